"""Documents that were annotated for some of the labels: what nobody looked for is no negative."""

from typing import Any, List

import numpy as np
import pytest
import spacy
from spacy.training import Example

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.components.relations import fitting
from spacy_ragre.components.relations.annotations import known_classes
from spacy_ragre.components.relations.decisions import MultiLabel, SingleLabel
from spacy_ragre.components.relations.examples import as_shown, only_kind
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.retrieval import Neighbour

NAME = "rag_relation_extractor"
LABELS = LabelSet({"founded_by": "was founded by", "located_in": "is located in"})
FOUNDED, LOCATED = LABELS.index(Answer("founded_by")), LABELS.index(Answer("located_in"))


def instance(*labels: str, annotated: Any = None) -> Instance:
    answers = tuple(Answer(label) for label in labels)
    return Instance("Acme and Ann", (0, 4), (9, 12), answers=answers, annotated=annotated)


PARTLY = instance(annotated=frozenset(["located_in"]))


def half_annotated(docs: List[Any], copies: List[Any]) -> List[Any]:
    """Each founder is also in two documents in which nobody looked for founders."""
    for doc in copies:
        doc._.relations = [r for r in doc._.relations if r.label != "founded_by"]
        doc._.annotated_labels = ["located_in"]
    return [*docs, *copies]


def examples_of(docs: List[Any]) -> List[Example]:
    return [Example(copy_input(doc), doc) for doc in docs]


# Training


@pytest.mark.parametrize("settings", [{}, {"multi_label": True}, {"label_smoothing": 0.1, "both_orders": True}])
def test_a_label_half_annotated_keeps_its_recall(make_nlp, gold_docs, gold_examples, train, settings):
    nlp = make_nlp(**settings)
    docs = half_annotated(gold_docs(nlp), [*gold_docs(nlp), *gold_docs(nlp)])
    train(nlp, examples_of(docs))
    scores = nlp.evaluate(gold_examples(nlp))
    assert scores["rels_per_type"]["founded_by"]["r"] == 1.0 == scores["rels_micro_f"]


def test_where_all_is_annotated_nothing_is_new(make_nlp, gold_docs, gold_examples, train):
    losses = []
    for labels in (None, ["founded_by", "located_in", "other"]):
        nlp = make_nlp()
        docs = gold_docs(nlp)
        for doc in docs:
            doc._.annotated_labels = labels
        losses.append(train(nlp, examples_of(docs), steps=3))
    assert losses[0] == losses[1]


def test_documents_of_other_labels_teach_nothing(make_nlp, make_doc, component):
    nlp = make_nlp()
    ents = [("Acme", "ORG"), ("Ann", "PERSON"), ("Rome", "GPE")]
    doc = make_doc(nlp, "Acme was founded by Ann in Rome .", ents, [(0, "founded_by", 1)])
    doc._.annotated_labels = ["wrote"]
    (known,) = component(nlp)._gold([doc])
    assert known.answers == (Answer("founded_by"),) and known.annotated == {"wrote"}
    assert len(nlp.update(examples_of([doc]), sgd=nlp.initialize(lambda: examples_of([doc])))) == 1


def test_what_is_known_of_pairs():
    both = frozenset(["founded_by", "located_in", "wrote"])
    assert known_classes([instance(), instance("founded_by", annotated=both)], LABELS) is None
    known = known_classes([instance(), PARTLY, instance("founded_by", annotated=frozenset())], LABELS)
    # none, founded_by, its inverse, located_in, its inverse
    assert known.tolist() == [[True] * 5, [True, False, False, True, True], [True, True, True, False, False]]


# Examples


def neighbour(*labels: str, annotated: Any = None, score: float = 0.5) -> Neighbour:
    return Neighbour(instance(*labels, annotated=annotated), score, 0)


LOCATED_ONLY = frozenset(["located_in"])


def test_a_neighbour_has_no_vote_on_what_it_was_not_annotated_for():
    near = [[neighbour("founded_by"), *[neighbour(annotated=LOCATED_ONLY)] * 3]]
    single, several = SingleLabel(), MultiLabel()
    votes = single.votes(near, LABELS, 0.1, None)
    assert votes[0].tolist() == [0, 1, 0, 0, 0]
    assert single.turnout(near, votes, LABELS, 4).tolist() == [[0.25]]
    # Each label by itself: the others say that this one is no "located in".
    votes = several.votes(near, LABELS, 0.1, None)
    assert votes[0].tolist() == [0, 1, 0, 0, 0]
    assert several.turnout(near, votes, LABELS, 4).tolist() == [[0.25, 0.25, 0.25, 1, 1]]
    near[0].append(neighbour("located_in"))
    votes = several.votes(near, LABELS, 0.1, None)
    assert votes[0] == pytest.approx([0, 0.5, 0, 0.2, 0])


@pytest.mark.parametrize("decision", [SingleLabel(), MultiLabel()])
def test_only_such_neighbours_say_nothing_of_no_relation(decision):
    near = [[neighbour(annotated=LOCATED_ONLY)] * 4]
    votes = decision.votes(near, LABELS, 0.1, None)
    assert votes[0].tolist() == [0] * 5 and not decision.turnout(near, votes, LABELS, 4).any()


def test_neighbours_of_such_documents_take_no_label_away(trained, make_doc, component):
    nlp = spacy.load(trained)
    predictor = component(nlp).predictor
    predictor.retriever.clear()
    predictor.pending = []
    founders = [("Acme", "ORG"), ("Ann", "PERSON")]
    docs = [make_doc(nlp, f"Acme was founded by Ann {word} .", founders, []) for word in ("then", "too", "once")]
    for labels, expected in ((["located_in"], ["founded_by"]), (None, [])):
        for doc in docs:
            doc._.annotated_labels = labels
        component(nlp).add_examples(docs)
        predictor.calibration = Calibration(neighbours=3, weight=0.9)
        doc = nlp(make_doc(nlp, "Acme was founded by Ann .", founders))
        assert [r.label for r in doc._.relations] == expected
        predictor.retriever.clear()


def test_such_examples_are_shown_without_an_answer(make_nlp, component):
    assert as_shown(PARTLY, LABELS).answers is None
    assert as_shown(instance("located_in", annotated=LOCATED_ONLY), LABELS).answers == (Answer("located_in"),)
    assert only_kind([instance("founded_by"), PARTLY], LABELS) is True
    assert only_kind([instance("founded_by"), instance()], LABELS) is None
    predictor = component(make_nlp()).predictor
    query = Instance("Globex and Bob", (0, 6), (11, 14))
    texts = ["".join(predictor.pieces(query, [neighbour(annotated=labels)])[2]) for labels in (None, LOCATED_ONLY)]
    assert "not related" in texts[0] and "not related" not in texts[1]


def test_a_label_that_is_added_later_is_not_known_of_them(make_nlp, gold_docs, component):
    nlp = make_nlp(labels={"located_in": "is located in"})
    docs = [doc for doc in gold_docs(nlp) if not doc._.relations]
    for doc in docs:
        doc._.annotated_labels = ["located_in"]
    component(nlp).add_examples(docs)
    predictor = component(nlp).predictor
    assert predictor.one_sided() is False
    component(nlp).add_label("founded_by", "was founded by")
    assert predictor.one_sided() is None and len(predictor.known_examples) == 2


def test_w511_counts_the_examples_whose_answer_is_known(make_nlp, gold_docs, component):
    nlp = make_nlp(n_examples=2)
    docs = half_annotated([doc for doc in gold_docs(nlp) if doc._.relations], gold_docs(nlp))
    with pytest.warns(UserWarning, match="W511.*All 8 example.*hold a relation"):
        component(nlp).add_examples(docs)


def test_they_are_kept_with_the_pipeline(make_nlp, gold_docs, component, tmp_path):
    nlp = make_nlp()
    docs = gold_docs(nlp)
    for doc in docs[::2]:
        doc._.annotated_labels = ["located_in", "founded_by"]
    component(nlp).add_examples(docs)
    expected = component(nlp).predictor.known_examples
    assert {i.annotated for i in expected} == {None, frozenset(["located_in", "founded_by"])}
    nlp.to_disk(tmp_path)
    assert component(spacy.load(tmp_path)).predictor.known_examples == expected


# Calibration and scores


@pytest.mark.parametrize("decision", [SingleLabel(), MultiLabel()])
def test_calibration_counts_unknown_answers_neither_way(decision):
    # Two pairs are sure to be "founded by"; nobody looked for that in the second.
    scores = np.array([[0.0, 5, -5, -5, -5], [0, 5, -5, -5, -5], [0, -5, -5, -5, -5]])
    pairs = fitting.DevelopmentPairs(scores, [[]] * 3, [[FOUNDED], [], []], None, None, ["a", "b", "c"])
    results = []
    for known in (None, known_classes([instance("founded_by"), PARTLY, instance()], LABELS)):
        settings, result = fitting.choose(
            pairs._replace(known=known), decision, LABELS, Calibration(), ((),) * 3, with_prior=False
        )
        results.append((settings, result["after"]))
    assert [score for _, score in results] == [pytest.approx(2 / 3), 1.0]
    # What is known agrees with the scores, so that they are trusted more.
    assert results[1][0].temperature < results[0][0].temperature


def test_component_is_calibrated_with_such_documents(trained, gold_docs, component):
    nlp = spacy.load(trained)
    docs = half_annotated(gold_docs(nlp), gold_docs(nlp))
    assert component(nlp).calibrate(examples_of(docs))["before"] == 1.0
