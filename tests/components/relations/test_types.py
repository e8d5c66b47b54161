"""How strictly entities must have the types of labels: near types where a recogniser may err, strict ones elsewhere."""

import copy
import pickle
import warnings

import pytest

from spacy_ragre.components.relations.given_types import GivenTypes
from spacy_ragre.entity_types import FORBIDDEN, STRICT

NAME = "rag_relation_extractor"
TYPED = {"founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]}}
UNFOUND = {"treats": {"text": "treats", "head_types": ["DRUG"], "tail_types": ["CONDITION"]}}


@pytest.fixture
def make(make_nlp):
    """A pipeline with a recogniser that was not trained; its documents bring their entities."""

    def build(labels=TYPED, found=("PERSON", "ORG"), **settings):
        nlp = make_nlp(labels=labels, **{"weights": "open", **settings})
        ner = nlp.add_pipe("ner", first=True)
        for label in found:
            ner.add_label(label)
        return nlp

    return build


def rules_of(nlp):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nlp.get_pipe(NAME)._type_rules()


def test_types_are_near_where_a_recogniser_finds_entities(make, make_nlp):
    nlp = make()
    assert rules_of(nlp).given == {"PERSON", "ORG"}
    assert rules_of(make(types="strict")) == STRICT
    by_hand = make_nlp(labels=TYPED, weights="open")
    by_hand.add_pipe("entity_ruler", first=True).add_patterns([{"label": "ORG", "pattern": "Acme"}])
    assert rules_of(by_hand) == STRICT
    near = make_nlp(labels=TYPED, weights="open", types="near")
    assert rules_of(near).cost("GPE", ["ORG"]) < FORBIDDEN


def test_types_are_strict_once_something_was_chosen_or_trained(make):
    nlp = make()
    predictor = nlp.get_pipe(NAME).predictor
    predictor.calibration = copy.copy(predictor.calibration).from_dict(
        {**predictor.calibration.to_dict(), "weight": 0.5}
    )
    assert rules_of(nlp) == STRICT
    assert rules_of(make(answer="trie")) == STRICT
    assert rules_of(make(answer="trie", types="near")) == STRICT


def test_a_recogniser_behind_the_component_finds_nothing_for_it(make_nlp):
    nlp = make_nlp(labels=TYPED, weights="open")
    nlp.add_pipe("ner").add_label("ORG")
    assert rules_of(nlp) == STRICT


def test_another_process_knows_the_types(make):
    nlp = make()
    given = pickle.loads(pickle.dumps(GivenTypes(nlp, NAME)))
    assert given.found() == {"PERSON", "ORG"}


def test_what_was_saved_before_there_were_near_types_stays_strict(make):
    nlp = make()
    component = nlp.get_pipe(NAME)
    settings = component._settings()
    component._apply(settings)
    assert rules_of(nlp) != STRICT
    component._apply({key: value for key, value in settings.items() if key != "types"})
    assert rules_of(nlp) == STRICT


def test_r642_unknown_strictness(make_nlp):
    with pytest.raises(ValueError, match="R642.*'loose'"):
        make_nlp(labels=TYPED, types="loose")


def test_w641_types_that_nothing_finds_are_told_once(make):
    nlp = make(UNFOUND)
    with pytest.warns(
        UserWarning, match=r"W641.*DRUG, CONDITION.*\(types that are found: ORG, PERSON\).*stand for them"
    ):
        nlp.get_pipe(NAME)._type_rules()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp.get_pipe(NAME)._type_rules()
    strict = make(UNFOUND, types="strict")
    with pytest.warns(UserWarning, match="W641.*They get none"):
        strict.get_pipe(NAME)._type_rules()


@pytest.mark.real
def test_a_relation_between_names_of_other_types_is_found_for_a_higher_score(make, make_doc):
    def found(ents, **settings):
        nlp = make(found=("PERSON", "ORG", "GPE"), **settings)
        doc = make_doc(nlp, "Acme was founded by Ann Lee in 1990 .", ents)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            doc = nlp.get_pipe(NAME)(doc)
        return {(r.head.text, r.label, r.tail.text): r.score for r in doc._.relations}

    key = ("Acme", "founded_by", "Ann Lee")
    right = found([("Acme", "ORG"), ("Ann Lee", "PERSON")])
    wrong = found([("Acme", "GPE"), ("Ann Lee", "PERSON")])
    assert 0 < wrong[key] < right[key]
    assert found([("Acme", "GPE"), ("Ann Lee", "PERSON")], types="strict") == {}
    assert found([("Acme", "DATE"), ("Ann Lee", "PERSON")]) == {}
    # Of a type that nothing finds, a phrase may be.
    asked = {"treats": {"text": "was founded by", "head_types": ["STARTUP"], "tail_types": ["PERSON"]}}
    assert len(found([("Acme", "TERM"), ("Ann Lee", "PERSON")], labels=asked, threshold=0.1)) == 1


@pytest.mark.real
def test_limits_are_those_of_entities_that_are_found(make, make_nlp):
    nlp, strict = make(), make(types="strict")
    limits = []
    for pipeline in (nlp, strict):
        rules_of(pipeline)
        limits.append(pipeline.get_pipe(NAME).predictor.settings.threshold)
    decision = nlp.get_pipe(NAME).predictor.open.known["decision"]
    assert limits == [decision["types_found"], decision["types"]]
