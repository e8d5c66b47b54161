"""Precision against recall, and whether scores are probabilities."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ragre.scoring.curves import Ranked, precision_recall, rank, reliability


def ranked(*items: "tuple[float, bool]", gold: int) -> Ranked:
    return Ranked(np.array([score for score, _ in items]), np.array([right for _, right in items], dtype=bool), gold)


def test_hand_computed() -> None:
    curve = precision_recall(ranked((0.9, True), (0.8, False), (0.5, True), (0.5, False), gold=4))
    assert [(p["threshold"], p["precision"], p["recall"]) for p in curve["points"]] == [
        (0.9, 1.0, 0.25),
        (0.8, 0.5, 0.25),
        (0.5, 0.5, 0.5),  # two of the same score, together
    ]
    assert curve["average_precision"] == pytest.approx(0.25 * 1 + 0.25 * 0.5)


def test_average_precision_as_elsewhere() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    scores, right = random.random(500).round(2), random.random(500) < 0.4
    own = precision_recall(Ranked(scores, right, int(right.sum())))
    assert own["average_precision"] == pytest.approx(metrics.average_precision_score(right, scores))
    assert len(precision_recall(Ranked(random.random(500), right, int(right.sum())))["points"]) == 200


def test_reliability_by_hand() -> None:
    found = reliability(ranked((0.95, True), (0.91, False), (1.0, True), (0.3, False), gold=2))
    assert [(part["low"], part["count"]) for part in found["bins"]] == [(0.3, 1), (0.9, 3)]
    assert found["bins"][1]["right"] == pytest.approx(2 / 3)
    gap = abs((0.95 + 0.91 + 1.0) / 3 - 2 / 3)
    assert found["ece"] == pytest.approx((3 * gap + 0.3) / 4)


def test_nothing_was_answered() -> None:
    nothing = ranked(gold=3)
    assert precision_recall(nothing) == {"average_precision": 0.0, "points": []}
    assert precision_recall(ranked(gold=0))["average_precision"] is None
    assert reliability(nothing) == {"ece": None, "bins": []}


def test_only_documents_with_annotated_relations_count() -> None:
    nlp = spacy.blank("en")

    def make(relations: object) -> Doc:
        doc = Doc(nlp.vocab, ["Ann", "met", "Bob"])
        doc.ents = [Span(doc, 0, 1, "X"), Span(doc, 2, 3, "X")]
        if relations is not None:
            doc._.relations = relations
        return doc

    relation = {"head": (0, 1), "tail": (2, 3), "label": "met", "score": 0.7}
    turned = {"head": (2, 3), "tail": (0, 1), "label": "met", "score": 0.2}
    examples = [Example(make([relation, turned]), make([relation])), Example(make([relation]), make(None))]
    found = rank(examples)
    assert (found.scores.tolist(), found.right.tolist(), found.gold) == ([0.7, 0.2], [True, False], 1)
    assert rank(examples, symmetric=["met"]).scores.tolist() == [0.7]
