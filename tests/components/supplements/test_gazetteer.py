"""The shipped names of supplements, as spaCy patterns and as a gazetteer."""

import pickle

import pytest
import spacy

from spacy_ragre.components.supplements.gazetteer import Gazetteer, create_supplement_gazetteer, load_patterns
from spacy_ragre.registry import registry


@pytest.fixture(scope="module")
def gazetteer():
    return create_supplement_gazetteer()


def found(gazetteer, text):
    return [(text[place.start : place.end], place.id) for place in gazetteer.find(text)]


def test_list_is_large_and_has_no_name_twice():
    patterns = load_patterns()
    names = [str(pattern["pattern"]) for pattern in patterns]
    assert len({pattern["id"] for pattern in patterns}) >= 200 and len(set(names)) == len(names)
    assert {pattern["label"] for pattern in patterns} == {"SUPPLEMENT"}


def test_patterns_work_in_an_entity_ruler():
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
    ruler.add_patterns(registry.misc.get("ragre.SupplementPatterns.v1")())
    doc = nlp("Takes FISH OIL, St. John's wort and SAMe at the same time.")
    assert [(ent.text, ent.ent_id_) for ent in doc.ents] == [
        ("FISH OIL", "fish-oil"),
        ("St. John's wort", "st-johns-wort"),
        ("SAMe", "same"),
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("on VITAMIN D.", [("VITAMIN D", "vitamin-d")]),
        ("omega 3s and Omega-3", [("omega 3s", "fish-oil"), ("Omega-3", "fish-oil")]),
        ("gingko, tumeric", [("gingko", "ginkgo"), ("tumeric", "curcumin")]),
        ("St Johns wort; cat’s claw", [("St Johns wort", "st-johns-wort"), ("cat’s claw", "cats-claw")]),
        ("red yeast\nrice", [("red yeast\nrice", "red-yeast-rice")]),
        ("the same dose of SAMe", [("SAMe", "same")]),
        ("zinc sulfate", [("zinc sulfate", "zinc")]),
        ("fishoil zincs2 ironing", []),
        ("Fish\n\nOil change, vitamin\n- D-dimer, omega - 3", []),
        ("omega -3", [("omega -3", "fish-oil")]),
        ("", []),
        ("🙂 --", []),
    ],
)
def test_spellings(gazetteer, text, expected):
    assert found(gazetteer, text) == expected


def test_names_can_be_added_and_left_out():
    gazetteer = create_supplement_gazetteer(extra=["Snake Oil"], without=["iron", "MVI"])
    assert found(gazetteer, "snake oil, iron, ferrous sulfate, MVI, multivitamin") == [
        ("snake oil", "snake oil"),
        ("multivitamin", "multivitamin"),
    ]


def test_pattern_without_a_word():
    with pytest.raises(ValueError, match=r"\[R320\]"):
        Gazetteer([{"label": "SUPPLEMENT", "pattern": " - "}])


def test_pickled(gazetteer):
    assert found(pickle.loads(pickle.dumps(gazetteer)), "zinc") == [("zinc", "zinc")]
