"""What leaves a component without relations is told once, by number."""

import warnings

import pytest
import spacy

from spacy_ragre import Relation

NAME = "rag_relation_extractor"
PROPOSED = {"@ragre_candidates": "ragre.Proposed.v1"}


def told(nlp, docs):
    """The codes of the warnings of processing documents twice."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            list(nlp.pipe([doc.copy() for doc in docs]))
    return [str(w.message)[1:5] for w in caught if "[W5" in str(w.message)]


def test_w512_no_component_sets_entities(make_nlp):
    nlp = make_nlp()
    assert told(nlp, [nlp.make_doc("Acme was founded by Ann ."), nlp.make_doc("")]) == ["W512"]
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "ORG", "pattern": "Acme"}])
    nlp.get_pipe("rag_relation_extractor").advice._given.clear()
    assert told(nlp, [nlp.make_doc("Acme was founded by Ann .")]) == ["W512"]  # it comes behind


def test_entities_that_were_looked_for_and_not_found_are_no_problem(make_nlp, make_doc):
    nlp = make_nlp()
    nlp.add_pipe("entity_ruler", first=True).add_patterns([{"label": "ORG", "pattern": "Acme"}])
    assert told(nlp, [nlp.make_doc("Nobody was founded ."), nlp.make_doc("")]) == []


def test_w513_a_spans_key_that_no_document_has(make_nlp, make_doc):
    nlp = make_nlp(spans_key="sc")
    doc = make_doc(nlp, "Acme sleeps .", [("Acme", "ORG")])
    doc.spans["ruler"] = list(doc.ents)
    with pytest.warns(UserWarning, match=r"W513.*'sc'.*'ruler'"):
        nlp(doc)
    other = make_nlp(spans_key="sc")
    assert told(other, [make_doc(other, "Acme sleeps .")]) == ["W513"]


def test_w514_proposed_pairs_with_nothing_that_proposes(make_nlp, make_doc):
    nlp = make_nlp(candidates=PROPOSED)
    doc = make_doc(nlp, "Acme sleeps .", [("Acme", "ORG")])
    assert told(nlp, [doc]) == ["W514"]
    doc._.candidate_pairs = []
    again = make_nlp(candidates=PROPOSED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again(doc)


def test_w515_the_retriever_s_k(make_nlp, text_retriever, trained):
    with pytest.warns(UserWarning, match=r"W515.*k = 2.*n_examples = 0"):
        make_nlp(retriever={**text_retriever, "k": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_nlp(retriever={**text_retriever, "k": 8})
        spacy.load(trained)


def test_r551_types_that_exclude_all_pairs(make_nlp, component, gold_examples):
    labels = {"founded_by": {"text": "was founded by", "head_types": ["COMPANY"]}, "located_in": "is located in"}
    nlp = make_nlp(labels={"founded_by": labels["founded_by"]})
    examples = [
        e for e in gold_examples(nlp) if e.reference._.relations and e.reference._.relations[0].label != "located_in"
    ]
    with pytest.raises(ValueError, match=r"R551.*4 pair\(s\).*ORG and PERSON, PERSON and ORG"):
        component(nlp).calibrate(examples)
    with pytest.raises(ValueError, match=r"R506.*0 of 0"):
        component(nlp).calibrate([])


def warned(nlp, docs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            list(nlp.pipe([doc.copy() for doc in docs]))
    return [message for message in (str(w.message) for w in caught) if message.startswith("[W66")]


def test_w665_weights_that_know_no_other_language(make_nlp, make_doc):
    def given(lang, **settings):
        nlp = make_nlp(lang=lang, **settings)
        return warned(nlp, [make_doc(nlp, "Acme wurde von Ann gegründet .", [("Acme", "ORG")])])

    (message,) = given("de", weights="open")
    assert "[W665]" in message and "'de'" in message
    assert given("en", weights="open") == given("xx", weights="open") == given("de") == []


def test_w666_labels_that_are_codes(make_nlp, make_doc):
    nlp = make_nlp(labels=["P17", "founded by", "P50"], weights="open")
    # One entity: nothing is read.
    (message,) = warned(nlp, [make_doc(nlp, "Acme sleeps .", [("Acme", "ORG")])])
    assert "[W666] The labels 'P17', 'P50'" in message and "{'P17': 'was founded by'}" in message
    shown = make_nlp(labels=["P17"], weights="open")
    doc = make_doc(shown, "Acme was founded by Ann .", [("Acme", "ORG"), ("Ann", "PERSON")])
    doc._.relations = [Relation(*doc.ents, "P17")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown.get_pipe(NAME).add_examples([doc])
    assert warned(shown, [shown.make_doc("Ann sleeps .")]) == []


def test_r631_and_w667_examples_that_are_none(make_nlp, make_doc):
    nlp = make_nlp()
    doc = make_doc(nlp, "Acme was founded by Ann .", [("Acme", "ORG"), ("Ann", "PERSON")])
    extractor = nlp.get_pipe(NAME)
    for value, told in ((doc, "one Doc"), (["Acme"], "'Acme' in it")):
        with pytest.raises(ValueError, match=f"R631.*{told}"):
            extractor.add_examples(value)
    with pytest.warns(UserWarning, match=r"W667.*1 document.*Acme was founded"):
        assert extractor.add_examples([doc]) == 0
    doc._.relations = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert extractor.add_examples([doc]) and extractor.add_examples([]) == 0


@pytest.mark.parametrize("setting", ["ids", "texts"])
def test_r633_examples_to_remove_are_given_as_a_list(make_nlp, setting):
    extractor = make_nlp().get_pipe(NAME)
    for value in ("doc1", [1], (None,)):
        with pytest.raises(ValueError, match=rf"R633.*{setting} of the examples.*{setting}=\['"):
            extractor.remove_examples(**{setting: value})
    assert extractor.remove_examples(**{setting: (text for text in ["doc1"])}) == 0
