"""What scores say of relations: precision against recall, and how often relations of a score hold."""

from typing import Any, Collection, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from spacy.training import Example

from ..relations import has_relations
from .relations import DocView

# Curves have no more points than a picture shows.
_POINTS = 200
BINS = 10


class Ranked(NamedTuple):
    """Scored relations.

    scores (numpy.ndarray): from 0 to 1, *Shape* (relations,).
    right (numpy.ndarray): bool, which of them hold, of the same shape.
    gold (int): how many relations there are to find.
    """

    scores: np.ndarray
    right: np.ndarray
    gold: int


def rank(examples: Iterable[Example], *, symmetric: Collection[str] = (), spans_key: Optional[str] = None) -> Ranked:
    """The scores of predicted relations.

    examples (Iterable[Example]): the examples, whose predicted documents may have relations that are no answers, since
        their scores are too low. A reference whose relations were never set is left out.
    symmetric, spans_key: as in `score_relations`.
    RETURNS (Ranked): the relations.
    """
    scores: List[float] = []
    right: List[bool] = []
    gold = 0
    for example in examples:
        if not has_relations(example.reference):
            continue
        view = DocView(example, frozenset(symmetric), spans_key)
        gold += len(view.gold)
        for triple in sorted(view.predicted):
            scores.append(view.predicted_relations[triple].score)
            right.append(triple in view.gold)
    return Ranked(np.array(scores, dtype="float64"), np.array(right, dtype=bool), gold)


def precision_recall(ranked: Ranked) -> Dict[str, Any]:
    """Precision against recall, for every least score.

    ranked (Ranked): the relations.
    RETURNS (Dict[str, Any]): `average_precision`, the mean of the precisions at which a relation was found, those never
        found among them with 0; and `points`, the best scores first, each with `threshold`, `precision` and `recall`.
    """
    if not ranked.gold or not len(ranked.scores):
        return {"average_precision": 0.0 if ranked.gold else None, "points": []}
    order = np.argsort(-ranked.scores, kind="stable")
    scores = ranked.scores[order]
    right = np.cumsum(ranked.right[order])
    # Of those with the same score, all or none are taken.
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    precision, recall = right[last] / (last + 1), right[last] / ranked.gold
    average = float((np.diff(recall, prepend=0.0) * precision).sum())
    kept = np.unique(np.linspace(0, len(last) - 1, min(len(last), _POINTS)).round().astype(int))
    return {
        "average_precision": average,
        "points": [
            {"threshold": float(scores[last[i]]), "precision": float(precision[i]), "recall": float(recall[i])}
            for i in kept
        ],
    }


def reliability(ranked: Ranked, number: int = BINS) -> Dict[str, Any]:
    """How often relations of a score hold (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    ranked (Ranked): the relations.
    number (int): of bins.
    RETURNS (Dict[str, Any]): `ece`, the expected calibration error: the distance of score and share that holds, over
        bins of equal width, weighed by how many relations they have; None without relations. And `bins`, each with
        `low`, `high`, `count`, `score` (the mean) and `right` (the share).
    """
    place = np.minimum((np.clip(ranked.scores, 0, 1) * number).astype(int), number - 1)
    bins: List[Dict[str, Any]] = []
    for own in np.unique(place):
        inside = place == own
        bins.append(
            {
                "low": float(own) / number,
                "high": float(own + 1) / number,
                "count": int(inside.sum()),
                "score": float(ranked.scores[inside].mean()),
                "right": float(ranked.right[inside].mean()),
            }
        )
    return {"ece": _calibration_error(bins), "bins": bins}


def _calibration_error(bins: Sequence[Mapping[str, Any]]) -> Optional[float]:
    total = sum(item["count"] for item in bins)
    return sum(item["count"] * abs(item["score"] - item["right"]) for item in bins) / total if total else None
