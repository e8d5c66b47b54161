"""How sure scores are, and whether two pipelines differ: documents are drawn again, or exchanged between pipelines.

Intervals are those of the percentile bootstrap (Efron 1979) over documents, since the relations of one document are not
independent. Differences are tested by approximate randomisation (Noreen 1989; Yeh 2000,
https://aclanthology.org/C00-2137): were two pipelines the same, the answers to a document might as well be the other's.
All is seeded.
"""

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .relations import DocCounts, sum_scores

# How often documents are drawn, and exchanged; the share of the draws that an interval holds.
RESAMPLES = 2000
EXCHANGES = 10_000
LEVEL = 0.95
SEED = 0
TOTALS = ("rels_micro_p", "rels_micro_r", "rels_micro_f", "rels_macro_f", "rels_micro_all_f")
PER_LABEL = "rels_per_type"
# Numbers of documents and repetitions that are in memory at once.
_CELLS = 4_000_000

Interval = Optional[Tuple[float, float]]


class Difference(NamedTuple):
    """Scores of two pipelines on the same documents.

    score (float): of the first pipeline, from 0 to 1.
    compared (float): of the second.
    difference (float): the first less the second.
    interval (Optional[Tuple[float, float]]): of the difference, by the paired bootstrap; None for a single document.
    p (float): two-sided p-value of approximate randomisation; of a label's F1 it is corrected for the number of labels
        (Holm 1979).
    """

    score: float
    compared: float
    difference: float
    interval: Interval
    p: float


class _Scores(NamedTuple):
    """Scores of repetitions, NaN where there is nothing to count.

    totals (Dict[str, numpy.ndarray]): by name, *Shape* (repetitions,).
    by_label (Dict[str, numpy.ndarray]): "p", "r" and "f", *Shape* (repetitions, labels).
    """

    totals: Dict[str, np.ndarray]
    by_label: Dict[str, np.ndarray]


def intervals(counts: Sequence[DocCounts]) -> Dict[str, Any]:
    """Confidence intervals of the scores of relations.

    counts (Sequence[DocCounts]): of each document.
    RETURNS (Dict[str, Any]): for each of the scores of `score_relations` its interval, [low, high]; in `rels_per_type`,
        for each label those of `p`, `r` and `f`. What can't be said, as with a single document, is left out.
    """
    labels = _labels(counts)
    table = _table(counts, labels)
    drawn = [_score(weights @ table) for weights in _draws(len(counts))] if len(counts) > 1 else []
    if not drawn:
        return {}
    found: Dict[str, Any] = {}
    for name in TOTALS:
        interval = _interval(np.concatenate([scores.totals[name] for scores in drawn]))
        if interval is not None:
            found[name] = list(interval)
    parts = {part: np.concatenate([scores.by_label[part] for scores in drawn]) for part in "prf"}
    found[PER_LABEL] = {
        label: {part: list(_interval(values[:, column]) or ()) for part, values in parts.items()}
        for column, label in enumerate(labels)
    }
    return found


def differences(counts: Sequence[DocCounts], others: Sequence[DocCounts]) -> Dict[str, Any]:
    """Compare two pipelines on the same documents.

    counts (Sequence[DocCounts]): of each document, with the first pipeline.
    others (Sequence[DocCounts]): of the same documents, with the second.
    RETURNS (Dict[str, Any]): a `Difference` for each of the scores of `score_relations`, and in `rels_per_type` that of
        the F1 of each label. Scores that one of the pipelines has not are left out.
    """
    labels = _labels([*counts, *others])
    one, two = _table(counts, labels), _table(others, labels)
    ours, theirs = _flat(_score(one.sum(axis=0)[None])), _flat(_score(two.sum(axis=0)[None]))
    observed = (ours - theirs)[0]
    drawn = [_flat(_score(w @ one)) - _flat(_score(w @ two)) for w in _draws(len(counts))] if len(counts) > 1 else []
    reached = np.zeros(len(observed))
    for exchanged in _exchanges(len(counts)):
        moved = exchanged @ (two - one)
        difference = _flat(_score(one.sum(axis=0) + moved)) - _flat(_score(two.sum(axis=0) - moved))
        # Sums of the same numbers may differ in the last digit; NaN reaches nothing.
        reached += (np.abs(difference) >= np.abs(observed) - 1e-12).sum(axis=0)
    p = (reached + 1) / (EXCHANGES + 1)
    spread = np.concatenate(drawn) if drawn else None
    found: List[Optional[Difference]] = [
        None
        if np.isnan(observed[i])
        else Difference(
            float(ours[0, i]),
            float(theirs[0, i]),
            float(observed[i]),
            None if spread is None else _interval(spread[:, i]),
            float(p[i]),
        )
        for i in range(len(observed))
    ]
    result: Dict[str, Any] = {name: item for name, item in zip(TOTALS, found) if item is not None}
    by_label = {label: item for label, item in zip(labels, found[len(TOTALS) :]) if item is not None}
    adjusted = _holm([item.p for item in by_label.values()])
    result[PER_LABEL] = {label: item._replace(p=p_value) for (label, item), p_value in zip(by_label.items(), adjusted)}
    return result


def _labels(counts: Sequence[DocCounts]) -> List[str]:
    return sorted({label for doc in counts for label in doc.by_label})


def _table(counts: Sequence[DocCounts], labels: Sequence[str]) -> np.ndarray:
    """RETURNS (numpy.ndarray): right, wrong and missed of each label and, last, of pairs, one after the other, *Shape*
    (documents, 3 * (labels + 1)).
    """
    table = np.zeros((len(counts), len(labels) + 1, 3))
    column = {label: i for i, label in enumerate(labels)}
    for row, doc in enumerate(counts):
        for label, own in doc.by_label.items():
            table[row, column[label]] = own.tp, own.fp, own.fn
        table[row, -1] = doc.pairs.tp, doc.pairs.fp, doc.pairs.fn
    return table.reshape(len(counts), 3 * (len(labels) + 1))


def _blocks(documents: int, repetitions: int) -> Iterator[int]:
    most = max(1, _CELLS // max(1, documents))
    for start in range(0, repetitions, most):
        yield min(most, repetitions - start)


def _draws(documents: int) -> Iterator[np.ndarray]:
    """YIELDS (numpy.ndarray): how often each document is drawn, *Shape* (repetitions, documents)."""
    random = np.random.default_rng(SEED)
    for size in _blocks(documents, RESAMPLES):
        drawn = random.integers(0, documents, (size, documents)) + documents * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * documents).reshape(size, documents).astype("float64")


def _exchanges(documents: int) -> Iterator[np.ndarray]:
    """YIELDS (numpy.ndarray): 1 where the answers to a document are exchanged, *Shape* (repetitions, documents)."""
    random = np.random.default_rng(SEED)
    for size in _blocks(documents, EXCHANGES):
        yield random.integers(0, 2, (size, documents)).astype("float64")


def _score(totals: np.ndarray) -> _Scores:
    """totals (numpy.ndarray): sums of rows of a table, *Shape* (repetitions, 3 * (labels + 1))."""
    counts = totals.reshape(len(totals), -1, 3)
    labels, pairs = counts[:, :-1], counts[:, -1]
    micro = dict(zip("prf", _prf(labels.sum(axis=1))))
    by_label = dict(zip("prf", _prf(labels)))
    in_gold = labels[..., 0] + labels[..., 2] > 0
    macro = _share(np.where(in_gold, by_label["f"], 0.0).sum(axis=1), in_gold.sum(axis=1), 0.0, np.nan)
    return _Scores(
        dict(zip(TOTALS, (micro["p"], micro["r"], micro["f"], macro, _prf(pairs)[2]))),
        by_label,
    )


def _prf(counts: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RETURNS (Tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]): precision, recall and F1 of counts of *Shape* (...,
    3); NaN where all are 0, and 0 where only a denominator is.
    """
    right, wrong, missed = np.moveaxis(counts, -1, 0)
    nothing = np.where(right + wrong + missed > 0, 0.0, np.nan)
    return (
        _share(right, right + wrong, nothing, nothing),
        _share(right, right + missed, nothing, nothing),
        _share(2 * right, 2 * right + wrong + missed, nothing, nothing),
    )


def _share(part: np.ndarray, whole: np.ndarray, shift: Any, otherwise: Any) -> np.ndarray:
    """RETURNS (numpy.ndarray): the quotient, and another value where there is none."""
    quotient: np.ndarray = np.where(whole > 0, part / np.maximum(whole, 1e-9) + shift, otherwise)
    return quotient


def _flat(scores: _Scores) -> np.ndarray:
    """RETURNS (numpy.ndarray): the totals and each label's F1, *Shape* (repetitions, totals + labels)."""
    return np.concatenate([np.stack(list(scores.totals.values()), axis=1), scores.by_label["f"]], axis=1)


def _interval(values: np.ndarray) -> Interval:
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _holm(values: Sequence[float]) -> List[float]:
    """RETURNS (List[float]): p-values, corrected for their number."""
    adjusted = [1.0] * len(values)
    least = 0.0
    for place, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        least = max(least, min(1.0, values[i] * (len(values) - place)))
        adjusted[i] = least
    return adjusted


def counted(counts: Sequence[DocCounts]) -> Dict[str, Dict[str, int]]:
    """RETURNS (Dict[str, Dict[str, int]]): of each label, how many relations are `gold`, `predicted` and `right`."""
    found: Dict[str, Dict[str, int]] = {}
    for label in sum_scores(counts)[PER_LABEL] or ():
        own = [doc.by_label[label] for doc in counts if label in doc.by_label]
        right = sum(score.tp for score in own)
        found[label] = {
            "gold": right + sum(score.fn for score in own),
            "predicted": right + sum(score.fp for score in own),
            "right": right,
        }
    return found
