"""Calibration on development documents, and scores against gold relations."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.training import Example

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.components.relations import decisions, fitting
from spacy_ragre.components.relations import predictor as predictor_module
from spacy_ragre.components.relations.decisions import MultiLabel
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.labels import LabelSet


@pytest.fixture
def dev(make_doc):
    texts = [
        ("Stark was founded by Jon .", [("Stark", "ORG"), ("Jon", "PERSON")], [(0, "founded_by", 1)]),
        ("Ivy founded Wonka .", [("Ivy", "PERSON"), ("Wonka", "ORG")], [(1, "founded_by", 0)]),
        ("Nice is located in France .", [("Nice", "GPE"), ("France", "GPE")], [(0, "located_in", 1)]),
        ("Kim met Lou .", [("Kim", "PERSON"), ("Lou", "PERSON")], []),
    ]

    def make(nlp: Any) -> Any:
        docs = [make_doc(nlp, *text) for text in texts]
        return [Example(copy_input(doc), doc) for doc in docs]

    return make


def micro_f(nlp: Any, examples: Any) -> float:
    return nlp.evaluate([Example(copy_input(e.reference), e.reference) for e in examples])["rels_micro_f"]


@pytest.mark.parametrize("steps", [1, 3, 15])
def test_calibration_is_never_worse_on_dev(make_nlp, gold_examples, train, component, dev, steps):
    nlp = make_nlp()
    train(nlp, gold_examples(nlp), steps=steps)
    before = micro_f(nlp, dev(nlp))
    scores = component(nlp).calibrate(dev(nlp))
    assert 0 <= scores["before"] <= scores["after"] <= 1
    assert scores["before"] == pytest.approx(before)
    assert scores["after"] == pytest.approx(micro_f(nlp, dev(nlp)))
    assert 0 <= scores["cross_validated"] <= 1
    assert not component(nlp).predictor.pending
    assert len(component(nlp).predictor.retriever) == 8
    assert component(nlp).predictor.calibration.temperature != 1.0


def test_calibration_keeps_the_threshold(make_nlp, gold_examples, train, component, dev):
    nlp = make_nlp(threshold=0.3)
    train(nlp, gold_examples(nlp), steps=3)
    component(nlp).calibrate(dev(nlp))
    assert component(nlp).predictor.calibration.threshold == 0.3


def test_before_is_what_the_component_answered(make_nlp, open_settings, text_retriever, component, dev):
    """By the weights' limits, and then by what was calibrated before."""
    nlp = make_nlp(**{**open_settings, "retriever": text_retriever}, multi_label=True)
    for _ in range(2):
        before = micro_f(nlp, dev(nlp))
        scores = component(nlp).calibrate(dev(nlp))
        assert 0 < scores["before"] == pytest.approx(before)
        assert scores["before"] <= scores["after"] == pytest.approx(micro_f(nlp, dev(nlp)))


def test_what_was_there_stays_where_nothing_is_better(trained, component, dev, monkeypatch):
    nlp = spacy.load(trained)
    predictor = component(nlp).predictor
    before = predictor.calibration
    monkeypatch.setattr(predictor_module, "choose", lambda *given, **settings: (None, {}))
    component(nlp).calibrate(dev(nlp))
    assert predictor.calibration is before


def test_calibration_of_zero_shot_answers(make_nlp, component, dev):
    nlp = make_nlp()
    scores = component(nlp).calibrate(dev(nlp))
    assert scores["after"] >= scores["before"]
    assert component(nlp).predictor.mode == "trie"
    assert scores["after"] == pytest.approx(micro_f(nlp, dev(nlp)) or 0.0)


def test_neighbours_are_used_after_calibration(trained, component, dev, monkeypatch, tmp_path, plain):
    nlp = spacy.load(trained)
    # A head that knows nothing any more: the neighbours must answer.
    pipe = component(nlp)
    pipe.predictor.shim.restore()
    pipe.predictor.shim.weight.data.zero_()
    pipe.predictor.shim.bias.data.zero_()
    pipe.predictor.shim.bias.data[0] = 0.1
    monkeypatch.setattr(fitting, "WEIGHTS", (0.9,))
    scores = pipe.calibrate(dev(nlp))
    assert scores["before"] == 0.0 and scores["after"] > 0.5
    assert pipe.predictor.calibration.weight == 0.9
    docs = [nlp(copy_input(example.reference)) for example in dev(nlp)]
    relations = [relation for doc in docs for relation in doc._.relations]
    assert relations
    for relation in relations:
        assert len(relation.evidence["examples"]) == pipe.predictor.calibration.neighbours
        assert any(label["label"] == relation.label for e in relation.evidence["examples"] for label in e["labels"])
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    kept, chosen = component(again).predictor.calibration, pipe.predictor.calibration
    assert kept.temperature == pytest.approx(chosen.temperature)
    assert replace(kept, temperature=chosen.temperature) == chosen
    assert plain(again.pipe([copy_input(e.reference) for e in dev(again)])) == plain(docs)


def test_calibration_without_pairs(trained, component, make_doc):
    nlp = spacy.load(trained)
    doc = make_doc(nlp, "Acme sleeps .", [("Acme", "ORG")], [])
    for examples in ([], [Example(copy_input(doc), doc)]):
        with pytest.raises(ValueError, match="R506"):
            component(nlp).calibrate(examples)
    assert len(component(nlp).predictor.pending) == 8


def test_refresh_that_fails_loses_no_example(trained, component, monkeypatch):
    nlp = spacy.load(trained)
    predictor = component(nlp).predictor
    monkeypatch.setattr(predictor_module, "_CHUNK", 3)
    add = predictor.retriever.add
    calls = []

    def fail_at_second(chunk: Any) -> None:
        calls.append(chunk)
        if len(calls) == 2:
            raise MemoryError
        add(chunk)

    monkeypatch.setattr(predictor.retriever, "add", fail_at_second)
    expected = list(predictor.pending)
    with pytest.raises(MemoryError):
        predictor.refresh()
    assert predictor.retriever.store.instances + predictor.pending == expected
    predictor.refresh()
    assert predictor.retriever.store.instances == expected and not predictor.pending


def test_waiting_keys_are_said_where_they_matter(trained, component, dev):
    nlp = spacy.load(trained)
    docs = [copy_input(example.reference) for example in dev(nlp)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(nlp.pipe(docs))
    component(nlp).predictor.calibration = Calibration(weight=0.5)
    with pytest.warns(UserWarning, match="W501.*rag_relation_extractor"):
        nlp(docs[0])


def test_more_examples_need_no_training(trained, component, make_doc):
    nlp = spacy.load(trained)
    pipe = component(nlp)
    ents = [("Tyrell", "ORG"), ("Roy", "PERSON")]
    more = [make_doc(nlp, f"Tyrell {verb} Roy .", ents, [(0, "founded_by", 1)]) for verb in ("got", "has")]
    pipe.add_examples(more[:1])
    assert len(pipe.predictor.pending) == 9
    pipe.predictor.refresh()
    pipe.add_examples(more[1:])
    assert len(pipe.predictor.retriever) == 10 and not pipe.predictor.pending


# Scores


def test_scores_with_gold_entities(trained, gold_examples):
    nlp = spacy.load(trained)
    scores = nlp.evaluate(gold_examples(nlp))
    assert scores["rels_micro_p"] == scores["rels_micro_r"] == scores["rels_micro_f"] == 1.0
    assert scores["rels_per_type"]["founded_by"] == {"p": 1.0, "r": 1.0, "f": 1.0}


def test_missed_entities_cost_recall(trained, gold_docs):
    """Of six gold relations, three lose an entity and one gets an entity with another border."""
    nlp = spacy.load(trained)
    examples = []
    for i, doc in enumerate(gold_docs(nlp)):
        predicted = copy_input(doc)
        if i < 3:
            predicted.set_ents(list(predicted.ents)[:1])
        if i == 3:
            last = predicted.ents[1]
            predicted.set_ents([predicted.ents[0], spacy.tokens.Span(predicted, last.start, last.end + 1, "ORG")])
        examples.append(Example(predicted, doc))
    scores = nlp.evaluate(examples)
    assert scores["rels_micro_r"] == pytest.approx(2 / 6)
    assert scores["rels_micro_f"] < 1.0


def test_no_prediction_at_all_scores_zero(trained, gold_docs):
    nlp = spacy.load(trained)
    scores = nlp.evaluate([Example(copy_input(doc, gold_ents=False), doc) for doc in gold_docs(nlp)])
    assert scores["rels_micro_r"] == 0.0
    assert scores["rels_micro_f"] == 0.0


def test_component_without_a_scorer(make_nlp, gold_examples, component):
    nlp = make_nlp(scorer=None)
    assert component(nlp).score(gold_examples(nlp)) == {}


def test_pairs_of_a_document_are_held_out_together():
    parts = fitting.folds(["a", "b", "a", "c", "", ""], count=3)
    assert parts == [([1, 3], [0, 2, 4, 5]), ([0, 2, 3, 4, 5], [1]), ([0, 1, 2, 4, 5], [3])]
    assert fitting.folds(["a", "a"]) == [] == fitting.folds([])


def test_cross_validation_is_fitted_without_what_it_is_scored_on():
    # Scores say nothing: what is fitted helps on the pairs that it was fitted on alone.
    generator = np.random.default_rng(0)
    scores, targets = generator.normal(size=(60, 5)), [[int(c)] for c in generator.integers(1, 5, size=60)]
    labels = LabelSet({"a": "a", "b": "b"})
    pairs = fitting.DevelopmentPairs(scores, [[] for _ in targets], targets, None, None, [str(i) for i in range(60)])
    nothing = ((),) * 60
    _, found = fitting.choose(pairs, MultiLabel(), labels, Calibration(), nothing, with_prior=True)
    assert found["cross_validated"] <= found["after"] >= found["before"]
    alone = pairs._replace(documents=["d"] * 60)
    chosen, found = fitting.choose(alone, MultiLabel(), labels, Calibration(), nothing, with_prior=False)
    assert set(found) == {"before", "after"} and chosen is not None
    # All is right as it is: nothing is chosen.
    right = tuple(map(tuple, targets))
    chosen, found = fitting.choose(pairs, MultiLabel(), labels, Calibration(), right, with_prior=False)
    assert chosen is None and found == {"before": 1.0, "after": 1.0, "cross_validated": 1.0}


def test_neighbours_vote_once_for_each_choice_of_them(trained, component, dev, monkeypatch):
    """Not again for each weight of their vote."""
    calls = []
    distribution = decisions.neighbour_distribution
    monkeypatch.setattr(decisions, "neighbour_distribution", lambda *a, **k: calls.append(1) or distribution(*a, **k))
    nlp = spacy.load(trained)
    component(nlp).calibrate(dev(nlp))
    assert len(calls) == len(fitting.NEIGHBOURS) * len(fitting.NEIGHBOUR_TEMPERATURES)
