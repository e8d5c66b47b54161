"""Entities by rules: what is added, what becomes whole, and that nothing is lost."""

import re

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.util import get_words_and_spaces

from spacy_ragre.bundled import BUNDLED
from spacy_ragre.components.entity_phrases.component import EntityPhrases
from spacy_ragre.components.entity_phrases.rules import ALL_RULES, RULES, find_phrases
from spacy_ragre.components.entity_phrases.words import UNITS

NAME = "entity_phrases"


@pytest.fixture(scope="module")
def parsed():
    """Gives a parsed document with these entities, and no others."""
    nlp = spacy.load(BUNDLED["en_core_web_sm"].module, exclude=["ner", "lemmatizer"])

    def make(text, ents=()):
        doc = nlp(text)
        spans = []
        for words, label in ents:
            start = text.index(words)
            spans.append(doc.char_span(start, start + len(words), label=label))
        doc.set_ents(spans)
        return doc

    return make


def phrases(doc, *rules):
    return [(span.text, span.label_) for span in find_phrases(doc, doc.ents, rules or RULES)]


def tagged(words, pos, ents=(), spaces=None):
    doc = Doc(spacy.blank("en").vocab, words=words, spaces=spaces, pos=pos, tags=["X"] * len(words))
    doc.set_ents([Span(doc, start, end, label) for start, end, label in ents])
    return doc


def test_names_become_whole():
    doc = tagged(["He", "left", "FC", "Linden", "."], ["PRON", "VERB", "PROPN", "PROPN", "PUNCT"], [(3, 4, "PERSON")])
    assert phrases(doc, "boundaries") == [("FC Linden", "PERSON")]
    doc = tagged(["At", "Town", "Hall", "on"], ["ADP", "PROPN", "PROPN", "ADP"], [(1, 4, "FAC")])
    assert phrases(doc, "boundaries") == [("Town Hall", "FAC")]
    doc = tagged(
        ["Regional", "Court", "of", "Mainz"], ["PROPN", "PROPN", "ADP", "PROPN"], [(0, 2, "ORG"), (3, 4, "GPE")]
    )
    assert phrases(doc, "boundaries") == [("Regional Court of Mainz", "ORG")]


def test_what_stands_beside_a_name_is_no_part_of_it():
    words, pos = ["Justice", "Iyer", "met", "Italian", "Lodi", "."], ["PROPN", "PROPN", "VERB", "ADJ", "PROPN", "PUNCT"]
    doc = tagged(words, pos, [(1, 2, "PERSON"), (3, 4, "NORP"), (4, 5, "PERSON")])
    assert phrases(doc, "boundaries", "names") == [("Iyer", "PERSON"), ("Italian", "NORP"), ("Lodi", "PERSON")]


def test_types_of_a_recogniser_of_one_s_own_stay_as_they_are():
    doc = tagged(["The", "Dow", "Jones"], ["DET", "PROPN", "PROPN"], [(2, 3, "TICKER")])
    assert phrases(doc, "boundaries") == [("Jones", "TICKER")]


def test_ids_of_entities_stay(parsed):
    doc = parsed("She met Ana Crețu of Acme.")
    doc.set_ents([Span(doc, 3, 4, "PERSON", kb_id="Q1")])
    assert [(span.text, span.kb_id_) for span in find_phrases(doc, doc.ents, RULES)][0] == ("Ana Crețu", "Q1")


def test_no_entity_takes_what_belongs_to_another():
    doc = tagged(["Ana", "Velm", "Linden"], ["PROPN"] * 3, [(0, 1, "PERSON"), (2, 3, "ORG")])
    assert phrases(doc, "boundaries") == [("Ana Velm", "PERSON"), ("Linden", "ORG")]
    doc = tagged(["$", "20", "pounds"], ["SYM", "NUM", "NOUN"], [(0, 1, "ORG"), (1, 2, "CARDINAL"), (2, 3, "PRODUCT")])
    assert phrases(doc, "boundaries") == [("$", "ORG"), ("20", "CARDINAL"), ("pounds", "PRODUCT")]


def test_amounts_get_their_unit():
    words = ["took", "850", "mg", "twice", "a", "day", "for", "£", "20"]
    pos = ["VERB", "NUM", "NOUN", "ADV", "DET", "NOUN", "ADP", "SYM", "NUM"]
    doc = tagged(words, pos, [(1, 2, "CARDINAL"), (8, 9, "MONEY")])
    wanted = [("850 mg", "QUANTITY"), ("twice a day", "FREQUENCY"), ("£ 20", "MONEY")]
    assert phrases(doc, "boundaries", "measures") == wanted
    # An entity that is no number goes before.
    doc = tagged(["Every", "Day", "news"], ["PROPN", "PROPN", "NOUN"], [(0, 3, "ORG")])
    assert phrases(doc, "measures") == [("Every Day news", "ORG")]


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_an_amount_is_found_with_any_unit_that_is_no_single_letter(unit):
    vocab = spacy.blank("en").vocab
    wanted = [] if len(unit) == 1 and unit.isalpha() else ["5" + unit, "1.5 " + unit, f"20-{unit}"]
    words = ["5", unit, "and", "1.5", unit, ",", "20", "-", unit]
    doc = Doc(vocab, words=words, spaces=[False, True, True, True, False, True, False, False, False])
    assert phrases(doc, "measures") == [(amount, "QUANTITY") for amount in wanted]
    # Nor is the beginning of another word a unit.
    assert phrases(Doc(vocab, words=["5", unit, "xyz"], spaces=[True, False, False]), "measures") == []


def test_names_that_were_missed_are_found():
    words = ["Dear", "Tom", ",", "Bank", "of", "Velm", "sued", "Dr.", "."]
    pos = ["PROPN", "PROPN", "PUNCT", "PROPN", "ADP", "PROPN", "VERB", "PROPN", "PUNCT"]
    assert phrases(tagged(words, pos), "names") == [("Tom", "NAME"), ("Bank of Velm", "NAME")]


@pytest.mark.parametrize(
    "text, pos, wanted",
    [
        ("Anna - our guide", "PROPN PUNCT PRON NOUN", ["Anna"]),
        ("Belmark -left", "PROPN PUNCT PROPN", ["Belmark"]),
        ("Paris- Lyon-Nord", "PROPN PUNCT PROPN PUNCT PROPN", ["Paris", "Lyon-Nord"]),
        ("Berlin-based Acme", "PROPN PUNCT VERB PROPN", ["Berlin", "Acme"]),
        ("Rolls-royce-7", "PROPN PUNCT NOUN PUNCT NUM", ["Rolls-royce-7"]),
        ("Anna-", "PROPN PUNCT", ["Anna"]),
    ],
)
def test_a_hyphen_is_a_part_of_a_name_and_a_dash_is_not(text, pos, wanted):
    words, spaces = get_words_and_spaces(re.findall(r"\w+|-", text), text)
    doc = tagged(words, pos.split(), spaces=spaces)
    assert phrases(doc, "names") == [(name, "NAME") for name in wanted]


@pytest.mark.real
def test_terms_are_noun_phrases_without_what_does_not_say_their_kind(parsed):
    text = "Fry the cold butter with her red lentils in a small pan."
    assert phrases(parsed(text)) == [("butter", "TERM"), ("red lentils", "TERM"), ("pan", "TERM")]
    assert phrases(parsed(text), "names") == []


@pytest.mark.real
def test_a_number_inside_a_term_is_a_part_of_it(parsed):
    doc = parsed("Dr. Kehl gave insulin for type 2 diabetes.", [("2", "CARDINAL")])
    assert phrases(doc, "terms")[-1] == ("type 2 diabetes", "TERM")


@pytest.mark.real
def test_entities_that_are_there_go_before(parsed):
    doc = parsed("The drug metformin lowers blood sugar.", [("metformin", "DRUG")])
    assert ("metformin", "DRUG") in phrases(doc)
    assert ("blood sugar", "TERM") in phrases(doc)


def test_a_term_with_a_hyphen_leaves_an_entity_behind_it_alone():
    words = ["The", "mayor", "-", "Obama", "spoke"]
    doc = Doc(
        spacy.blank("en").vocab,
        words=words,
        spaces=[True, False, False, True, False],
        pos=["DET", "NOUN", "PUNCT", "PROPN", "VERB"],
        tags=["DT", "NN", "HYPH", "NNP", "VBD"],
        heads=[1, 4, 1, 1, 4],
        deps=["det", "nsubj", "punct", "appos", "ROOT"],
    )
    assert phrases(doc, "terms") == [("mayor-Obama", "TERM")]
    doc.set_ents([Span(doc, 3, 4, "PERSON")])
    assert phrases(doc, "terms") == [("mayor", "TERM"), ("Obama", "PERSON")]


@pytest.mark.real
def test_the_component_in_a_pipeline(parsed):
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe(NAME, config={"rules": ["names"]})
    doc = pipe(parsed("Ann Lee works for Globex.", [("Ann Lee", "PERSON")]))
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Ann Lee", "PERSON"), ("Globex", "NAME")]
    assert len(pipe(nlp.make_doc("")).ents) == 0
    # It has nothing to save but its settings.
    again = spacy.blank("en").from_config(nlp.config)
    assert again.get_pipe(NAME).rules == ("names",)


TEXT = "Dr. Ana Velm of the World Bank 's Court of Mainz drank 5 % of red wine on 3 May at noon daily with Globex"
POS = (
    "PROPN PROPN PROPN ADP DET PROPN PROPN PART PROPN ADP PROPN VERB NUM NOUN ADP ADJ NOUN ADP NUM PROPN ADP NOUN ADV "
    "ADP PROPN"
)
GIVEN = [
    *((1, 2, "PERSON"), (4, 8, "ORG"), (8, 9, "ORG"), (10, 11, "GPE"), (12, 13, "CARDINAL"), (17, 20, "DATE")),
    *((20, 22, "TIME"), (22, 23, "DATE")),
]


@pytest.fixture
def drank():
    """A sentence with entities that the rules change, and with what they find beside them."""
    heads = [16 if i == 15 else 11 for i in range(25)]
    deps = ["pobj" if i == 16 else "dep" for i in range(25)]
    doc = Doc(spacy.blank("en").vocab, words=TEXT.split(), pos=POS.split(), tags=["X"] * 25, heads=heads, deps=deps)
    doc.set_ents([Span(doc, start, end, label) for start, end, label in GIVEN])
    return doc


def test_given_entities_stay_as_they_are_where_all_else_is_blocked(drank):
    pipe = EntityPhrases(drank.vocab, rules=ALL_RULES, types={"GPE": "LOC"})
    drank.set_ents(drank.ents, default="blocked")
    before = [token.ent_iob for token in drank]
    wanted = [(start, end, "LOC" if label == "GPE" else label) for start, end, label in GIVEN]
    assert [(ent.start, ent.end, ent.label_) for ent in pipe(drank).ents] == wanted
    assert [token.ent_iob for token in drank] == before
    # Where nothing is blocked, the rules change every one.
    drank.set_ents(drank.ents, default="outside")
    assert {(ent.start, ent.end, ent.label_) for ent in pipe(drank).ents}.isdisjoint(wanted)


def test_what_stands_elsewhere_than_beside_blocked_tokens_changes(drank):
    blocked = [drank[i : i + 1] for i, token in enumerate(drank) if token.text in ("of", "red", "Globex")]
    drank.set_ents(drank.ents, blocked=blocked)
    assert [(ent.text, ent.label_) for ent in EntityPhrases(drank.vocab)(drank).ents] == [
        ("Dr. Ana Velm", "PERSON"),
        ("the World Bank 's", "ORG"),
        ("Court", "ORG"),
        ("Mainz", "GPE"),
        ("5 %", "QUANTITY"),
        ("wine", "TERM"),
        ("on 3 May at noon", "DATE"),
        ("daily", "FREQUENCY"),
    ]
    assert all(span[0].ent_iob == 3 and not span[0].ent_type for span in blocked)


def test_r640_unknown_rules():
    with pytest.raises(ValueError, match=r"R640.*'quotes'.*boundaries, measures, names, terms, articles"):
        spacy.blank("en").add_pipe(NAME, config={"rules": ["names", "quotes"]})


def test_r641_without_tags_or_a_parse():
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME)
    with pytest.raises(ValueError, match="R641.*TAG, POS, DEP"):
        nlp("Ann Lee works.")
    with pytest.raises(ValueError, match="R641.*needs DEP,"):
        nlp.get_pipe(NAME)(tagged(["Ann"], ["PROPN"]))


def test_w640_another_language():
    with pytest.warns(UserWarning, match="W640.*'de'"):
        spacy.blank("de").add_pipe(NAME)


def test_articles_and_possessives_are_left_out_where_asked_for():
    words, pos = (
        ["The", "World", "Bank", "'s", "head", "met", "The"],
        ["DET", "PROPN", "PROPN", "PART", "NOUN", "VERB", "DET"],
    )
    doc = tagged(words, pos, [(0, 4, "ORG"), (6, 7, "WORK_OF_ART")])
    assert phrases(doc, "articles") == [("World Bank", "ORG"), ("The", "WORK_OF_ART")]
    assert phrases(doc, "measures") == [("The World Bank 's", "ORG"), ("The", "WORK_OF_ART")]


def test_types_of_another_corpus():
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe(NAME, config={"rules": ["names"], "types": {"GPE": "LOC", "NAME": "MISC", "ORDINAL": None}})
    doc = tagged(["Oslo", "first", "saw", "Globex", "Ann"], ["PROPN", "ADJ", "VERB", "PROPN", "PROPN"])
    doc.set_ents([Span(doc, 0, 1, "GPE", kb_id="Q585"), Span(doc, 1, 2, "ORDINAL"), Span(doc, 4, 5, "PERSON")])
    found = [(ent.text, ent.label_, ent.kb_id_) for ent in pipe(doc).ents]
    assert found == [("Oslo", "LOC", "Q585"), ("Globex", "MISC", ""), ("Ann", "PERSON", "")]
    assert spacy.blank("en").from_config(nlp.config).get_pipe(NAME).types == pipe.types
    with pytest.raises(ValueError, match="R663.*'GPE'"):
        nlp.add_pipe(NAME, "other", config={"types": {"GPE": " "}})
