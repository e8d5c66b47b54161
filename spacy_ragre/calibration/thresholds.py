"""Which classes a pair is given, and the limit of probability that gives the best micro-F1."""

from typing import Sequence, Tuple, Union

import numpy as np

from ..labels import LabelSet
from .settings import Calibration


def fit_decision(probability: np.ndarray, gold: np.ndarray) -> float:
    """The limit that gives the best micro-F1.

    probability (numpy.ndarray): *Shape* (pairs, classes), class 0 left out.
    gold (numpy.ndarray): bool, which of them hold, of the same shape.
    RETURNS (float): what a relation must be likelier than, in the middle between two probabilities.
    """
    flat = np.asarray(probability).ravel()
    order = np.argsort(-flat, kind="stable")
    best_first = flat[order]
    right = np.cumsum(np.asarray(gold).ravel()[order])
    if not len(flat) or not right[-1]:
        return 0.5
    scores = 2 * right / (np.arange(1, len(flat) + 1) + right[-1])
    # Of those that are equally likely, all or none are taken.
    following = np.append(best_first[1:], 0.0)
    scores = np.where(best_first > following, scores, -1.0)
    best = int(np.argmax(scores))
    return float(best_first[best] + following[best]) / 2


def limits(settings: Calibration, labels: LabelSet) -> np.ndarray:
    """RETURNS (numpy.ndarray): least probability of each class, *Shape* (classes,)."""
    names = [None if answer is None else answer.label for answer in labels.classes]
    return np.array([settings.thresholds.get(name or "", settings.threshold) for name in names])


def decisions(settings: Calibration, labels: LabelSet) -> np.ndarray:
    """RETURNS (numpy.ndarray): what each class must be likelier than where a pair may hold several, *Shape* (classes,):
    what was chosen, and 0 where the user says how likely a label must be.
    """
    names = ["" if answer is None else answer.label for answer in labels.classes]
    said = [settings.threshold > 0 or name in settings.thresholds for name in names]
    return np.where(said, 0.0, settings.decision)


def pick_best(probability: np.ndarray, threshold: Union[float, np.ndarray]) -> Tuple[Tuple[int, ...], ...]:
    """The likeliest class of each pair.

    probability (numpy.ndarray): *Shape* (pairs, classes).
    threshold (Union[float, numpy.ndarray]): least probability of a relation, or of each class.
    RETURNS (Tuple[Tuple[int, ...], ...]): for every pair its class; none where that is class 0 or not likely enough.
    """
    if len(probability) == 0:
        return ()
    best = probability.argmax(axis=1)
    enough = probability >= threshold
    return tuple((int(c),) if c != 0 and row[c] else () for c, row in zip(best, enough))


def pick_several(
    probability: np.ndarray, threshold: Union[float, np.ndarray], decision: Union[float, np.ndarray] = 0.5
) -> Tuple[Tuple[int, ...], ...]:
    """All classes of each pair that are likely enough.

    probability (numpy.ndarray): *Shape* (pairs, classes).
    threshold (Union[float, numpy.ndarray]): least probability of a relation, or of each class.
    decision (Union[float, numpy.ndarray]): what each relation must be likelier than, or that of each class.
    RETURNS (Tuple[Tuple[int, ...], ...]): for every pair its classes, likeliest first, without class 0.
    """
    if len(probability) == 0:
        return ()
    chosen = (probability >= threshold) & (probability > decision)
    chosen[:, 0] = False
    return tuple(
        tuple(int(c) for c in sorted(np.flatnonzero(found), key=lambda c: -row[c]))
        for row, found in zip(probability, chosen)
    )


def micro_f(predicted: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> float:
    """RETURNS (float): micro-F1 over pairs and classes, class 0 left out, from 0 to 1."""
    pairs = [(set(p) - {0}, set(t) - {0}) for p, t in zip(predicted, targets)]
    true = sum(len(p & t) for p, t in pairs)
    total = sum(len(p) + len(t) for p, t in pairs)
    return 2 * true / total if total else 0.0
