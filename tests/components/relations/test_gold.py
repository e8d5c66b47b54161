"""What is learned of gold annotations, and what is never made of them."""

import warnings

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"
WORDS = "Mr Bill Gates founded Microsoft in Albuquerque .".split()


def make(nlp, head, tail, ents=((0, 3, "PER"), (4, 5, "ORG"), (6, 7, "GPE"))):
    doc = Doc(nlp.vocab, words=WORDS)
    doc.ents = [Span(doc, *ent) for ent in ents]
    doc._.relations = [{"head": head, "tail": tail, "label": "founded"}]
    return doc


def test_a_pair_beside_a_lost_relation_is_no_negative(make_nlp, component):
    nlp = make_nlp(labels={"founded": "founded"})
    doc = make(nlp, (1, 3), (4, 5))
    with pytest.warns(UserWarning, match=r"W510.*1 gold.*'Bill Gates' founded 'Microsoft' \('Bill Gates' is"):
        assert component(nlp).add_examples([doc]) == 2
    shown = [(i.first_text, i.second_text) for i in component(nlp)._gold([doc])]
    assert shown == [("Mr Bill Gates", "Albuquerque"), ("Microsoft", "Albuquerque")]


def test_a_lost_relation_beside_another_of_the_same_pair(make_nlp, component):
    nlp = make_nlp(labels={"founded": "founded", "led": "led"})
    doc = make(nlp, (1, 3), (4, 5))
    doc._.relations = [*doc._.relations, {"head": (0, 3), "tail": (4, 5), "label": "led"}]
    answers = [[answer.label for answer in i.answers] for i in component(nlp)._gold([doc])]
    assert answers == [["led"], [], []]


def test_relations_out_of_reach_are_told_and_counted(make_nlp, component):
    nlp = make_nlp(labels={"founded": "founded"})
    doc = nlp.make_doc("Bill Gates left . Microsoft grew .")
    doc.ents = [Span(doc, 0, 2, "PER"), Span(doc, 4, 5, "ORG")]
    for token in doc:
        token.is_sent_start = token.i in (0, 4)
    doc._.relations = [{"head": (0, 2), "tail": (4, 5), "label": "founded"}]
    found = make(nlp, (0, 3), (4, 5))
    examples = [Example(copy_input(d), d) for d in (doc, found)]
    with pytest.warns(UserWarning, match="W510.*1 gold.*the candidates do not reach it"):
        nlp.initialize(lambda: examples)


def test_nothing_lost_warns_of_nothing(make_nlp, component):
    nlp = make_nlp(labels={"founded": "founded"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert component(nlp).add_examples([make(nlp, (0, 3), (4, 5))]) == 3


# Documents without relations


@pytest.mark.parametrize("annotated", [False, True])
def test_r550_documents_of_which_none_has_relations(make_nlp, annotated):
    nlp = make_nlp(labels={"founded": "founded"})
    docs = [make(nlp, (0, 3), (4, 5)) for _ in range(2)]
    for doc in docs:
        doc.user_data.clear()
        if annotated:
            doc._.relations = []
    examples = [Example(copy_input(doc), doc) for doc in docs]
    with pytest.raises(ValueError, match=rf"R550.*none of the 2 has a relation \({2 * annotated} have"):
        nlp.initialize(lambda: examples)


def test_r550_comes_before_the_message_of_missing_labels(make_nlp):
    nlp = make_nlp(labels={})
    doc = make(nlp, (0, 3), (4, 5))
    doc.user_data.clear()
    with pytest.raises(ValueError, match="R550"):
        nlp.initialize(lambda: [Example(copy_input(doc), doc)])


# Two components in one pipeline


def test_each_component_replaces_only_relations_of_its_own_labels(make_nlp, tiny_llama, gold_docs):
    nlp = make_nlp(labels={"founded_by": "was founded by"})
    config = dict(nlp.get_pipe_config(NAME))
    config.pop("factory")
    nlp.add_pipe(NAME, name="second", config={**config, "labels": {"located_in": "is located in"}})
    alone = spacy.blank("en")
    alone.add_pipe(NAME, name="second", config={**config, "labels": {"located_in": "is located in"}})
    doc, other = copy_input(gold_docs(nlp)[0]), copy_input(gold_docs(alone)[0])
    first = nlp.get_pipe(NAME)(copy_input(gold_docs(nlp)[0]))
    whole = {(r.head.text, r.label, r.tail.text) for r in nlp(doc)._.relations}
    parts = [{(r.head.text, r.label, r.tail.text) for r in d._.relations} for d in (first, alone(other))]
    assert whole == parts[0] | parts[1] and all(parts)
    # Again over the same document: nothing is doubled.
    assert len(nlp(doc)._.relations) == len(whole)


# Threshold


@pytest.mark.parametrize("threshold", [0.0, 0.999])
def test_a_threshold_given_at_load_goes_before_the_saved_one(trained, threshold):
    nlp = spacy.load(trained, config={f"components.{NAME}.threshold": threshold})
    assert nlp.get_pipe(NAME).predictor.calibration.threshold == threshold
    assert spacy.load(trained).get_pipe(NAME).predictor.calibration.threshold == 0.0


@pytest.mark.parametrize("setting", [{"threshold": 2.0}, {"threshold": -0.5}, {"n_examples": -1}], ids=str)
def test_r540_settings_out_of_their_range(make_nlp, setting):
    with pytest.raises(ValueError, match=f"R540.*{next(iter(setting))}"):
        make_nlp(**setting)


def test_labels_may_be_a_list(make_nlp, component, tmp_path):
    nlp = make_nlp(labels=["founded_by", "located_in"])
    assert component(nlp).labels == ("founded_by", "located_in")
    nlp.to_disk(tmp_path)
    assert component(spacy.load(tmp_path)).label_data["founded_by"]["text"] == "founded by"
