"""What a pair may be given: one answer, or several. Loss, probabilities and choice go together in one object.

| | one answer (`SingleLabel`) | several (`MultiLabel`) |
|---|---|---|
| loss | cross-entropy over all classes | adaptive thresholding: class 0 is the threshold |
| probability | softmax | sigmoid of the difference to class 0 |
| neighbours | share their weight among their labels | give all of it to each of their labels |
| choice | the likeliest class | every class above its limit |

`BestLabel` is for scores that judge each label by itself where one answer is wanted: the likeliest above the limit.
"""

from dataclasses import replace
from typing import List, Optional, Protocol, Sequence, Tuple

import numpy as np

from ...calibration.platt import fit_logistic
from ...calibration.settings import Calibration
from ...calibration.temperature import against_threshold, fit_temperature, softmax
from ...calibration.thresholds import decisions, fit_decision, limits, pick_best, pick_several
from ...labels import LabelSet
from ...retrieval import Neighbour, neighbour_distribution, turnout
from ...training.losses import adaptive_threshold, cross_entropy

Targets = Sequence[Sequence[int]]
Chosen = Tuple[Tuple[int, ...], ...]


class Decision(Protocol):
    """How scores of classes become answers. Arrays are *Shape* (pairs, classes); class 0 is "no relation". What is
    fitted or learned takes `known` (Optional[numpy.ndarray]): bool, the classes that are known to hold or not to hold;
    others are left out. All where None.
    """

    def loss(
        self, logits: np.ndarray, targets: Targets, known: Optional[np.ndarray], weights: Optional[np.ndarray]
    ) -> Tuple[float, np.ndarray]:
        """RETURNS (Tuple[float, numpy.ndarray]): the sum of the pairs' losses, and its gradient. weights
        (Optional[numpy.ndarray]): how much each pair counts, *Shape* (pairs,); 1 where None.
        """
        ...

    def probabilities(self, scores: np.ndarray, settings: Calibration, odds: Optional[np.ndarray]) -> np.ndarray:
        """RETURNS (numpy.ndarray): the probability of every class. odds (Optional[numpy.ndarray]): log-odds that a
        filter before gave them.
        """
        ...

    def votes(
        self,
        neighbours: Sequence[Sequence[Neighbour]],
        labels: LabelSet,
        temperature: float,
        allowed: Optional[np.ndarray],
    ) -> np.ndarray:
        """RETURNS (numpy.ndarray): how the neighbours of each pair answer, from 0 to 1; zeros for classes that are not
        allowed.
        """
        ...

    def turnout(
        self, neighbours: Sequence[Sequence[Neighbour]], votes: np.ndarray, labels: LabelSet, expected: int
    ) -> np.ndarray:
        """RETURNS (numpy.ndarray): how much of a vote of `expected` neighbours came together, from 0 to 1, to multiply
        its weight with.
        """
        ...

    def pick(self, probability: np.ndarray, settings: Calibration, labels: LabelSet) -> Chosen:
        """RETURNS (Tuple[Tuple[int, ...], ...]): the classes that each pair is given, likeliest first."""
        ...

    def draw(self, probability: np.ndarray, temperature: float, random: np.ndarray) -> List[Tuple[int, ...]]:
        """Sample answers of one pair.

        probability (numpy.ndarray): *Shape* (classes,).
        temperature (float): 1 for probabilities as they are; the lower, the more often the likeliest answer.
        random (numpy.ndarray): numbers from 0 to less than 1, *Shape* (samples, classes).
        RETURNS (List[Tuple[int, ...]]): the classes of each answer, without class 0.
        """
        ...

    def doubt(self, probability: np.ndarray, settings: Calibration, labels: LabelSet) -> np.ndarray:
        """RETURNS (numpy.ndarray): how near another answer is to what each pair is given, from 0 to 1, *Shape*
        (pairs,).
        """
        ...

    def fit(
        self,
        scores: np.ndarray,
        targets: Targets,
        settings: Calibration,
        allowed: Optional[np.ndarray],
        odds: Optional[np.ndarray],
        known: Optional[np.ndarray],
    ) -> Calibration:
        """RETURNS (Calibration): the settings that make the gold answers of development pairs likeliest."""
        ...

    def fit_limit(
        self, probability: np.ndarray, targets: Targets, settings: Calibration, known: Optional[np.ndarray]
    ) -> Calibration:
        """RETURNS (Calibration): the settings with the limit of probability that gives the best micro-F1."""
        ...


class SingleLabel:
    """One relation a pair, or none.

    label_smoothing (float): share of the target that training spreads over all classes, from 0 to less than 1.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def loss(
        self,
        logits: np.ndarray,
        targets: Targets,
        known: Optional[np.ndarray] = None,
        weights: Optional[np.ndarray] = None,
    ) -> Tuple[float, np.ndarray]:
        return cross_entropy(logits, targets, self.label_smoothing, known, weights)

    def probabilities(self, scores: np.ndarray, settings: Calibration, odds: Optional[np.ndarray]) -> np.ndarray:
        return softmax(scores, settings.temperature)

    def votes(
        self,
        neighbours: Sequence[Sequence[Neighbour]],
        labels: LabelSet,
        temperature: float,
        allowed: Optional[np.ndarray],
    ) -> np.ndarray:
        shares = neighbour_distribution(neighbours, labels, temperature)
        if allowed is None:
            return shares
        shares = shares * allowed
        whole: np.ndarray = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
        return whole

    def turnout(
        self, neighbours: Sequence[Sequence[Neighbour]], votes: np.ndarray, labels: LabelSet, expected: int
    ) -> np.ndarray:
        return turnout(neighbours, votes, expected, labels)

    def pick(self, probability: np.ndarray, settings: Calibration, labels: LabelSet) -> Chosen:
        return pick_best(probability, limits(settings, labels))

    def draw(self, probability: np.ndarray, temperature: float, random: np.ndarray) -> List[Tuple[int, ...]]:
        shares = _sharpened(probability, temperature)
        ends = np.cumsum(shares) / shares.sum()
        classes = np.minimum(np.searchsorted(ends, random[:, 0], side="right"), len(shares) - 1)
        return [(int(found),) if found else () for found in classes]

    def doubt(self, probability: np.ndarray, settings: Calibration, labels: LabelSet) -> np.ndarray:
        """The margin between the two likeliest classes (Scheffer et al. 2001), turned round."""
        second, first = np.sort(probability, axis=1)[:, -2:].T
        margin: np.ndarray = 1.0 - (first - second)
        return margin

    def fit(
        self,
        scores: np.ndarray,
        targets: Targets,
        settings: Calibration,
        allowed: Optional[np.ndarray],
        odds: Optional[np.ndarray],
        known: Optional[np.ndarray] = None,
    ) -> Calibration:
        scores = scores if known is None else np.where(known, scores, -np.inf)
        return replace(settings, temperature=fit_temperature(scores, targets))

    def fit_limit(
        self, probability: np.ndarray, targets: Targets, settings: Calibration, known: Optional[np.ndarray] = None
    ) -> Calibration:
        return settings


class MultiLabel:
    """Any number of relations a pair."""

    def loss(
        self,
        logits: np.ndarray,
        targets: Targets,
        known: Optional[np.ndarray] = None,
        weights: Optional[np.ndarray] = None,
    ) -> Tuple[float, np.ndarray]:
        return adaptive_threshold(logits, targets, known, weights)

    def probabilities(self, scores: np.ndarray, settings: Calibration, odds: Optional[np.ndarray]) -> np.ndarray:
        shift = settings.bias if odds is None else settings.bias + settings.proposal * odds
        return against_threshold(scores, settings.temperature, shift)

    def votes(
        self,
        neighbours: Sequence[Sequence[Neighbour]],
        labels: LabelSet,
        temperature: float,
        allowed: Optional[np.ndarray],
    ) -> np.ndarray:
        shares = neighbour_distribution(neighbours, labels, temperature, several=True)
        return shares if allowed is None else shares * allowed

    def turnout(
        self, neighbours: Sequence[Sequence[Neighbour]], votes: np.ndarray, labels: LabelSet, expected: int
    ) -> np.ndarray:
        return turnout(neighbours, votes, expected, labels, several=True)

    def pick(self, probability: np.ndarray, settings: Calibration, labels: LabelSet) -> Chosen:
        return pick_several(probability, limits(settings, labels), decisions(settings, labels))

    def draw(self, probability: np.ndarray, temperature: float, random: np.ndarray) -> List[Tuple[int, ...]]:
        for_it, against = _sharpened(probability, temperature), _sharpened(1 - probability, temperature)
        held = random < for_it / (for_it + against)
        return [tuple(int(found) + 1 for found in np.flatnonzero(row[1:])) for row in held]

    def doubt(self, probability: np.ndarray, settings: Calibration, labels: LabelSet) -> np.ndarray:
        """How near the nearest of all labels is to its limit, as a share of the way from there to 0 or 1."""
        limit = np.clip(np.maximum(limits(settings, labels), decisions(settings, labels)), 0.01, 0.99)[1:]
        above = probability[:, 1:] - limit
        far: np.ndarray = np.where(above > 0, above / (1.0 - limit), -above / limit)
        doubt: np.ndarray = 1.0 - far.min(axis=1)
        return doubt

    def fit(
        self,
        scores: np.ndarray,
        targets: Targets,
        settings: Calibration,
        allowed: Optional[np.ndarray],
        odds: Optional[np.ndarray],
        known: Optional[np.ndarray] = None,
    ) -> Calibration:
        asked = np.ones(scores.shape, dtype=bool) if allowed is None else allowed.copy()
        if known is not None:
            asked &= known
        asked[:, 0] = False
        gold = gold_classes(scores.shape, targets)[asked]
        if gold.all() or not gold.any():
            return settings
        features = [(scores - scores[:, :1])[asked]]
        if odds is not None and odds[asked].std() > 0:
            features.append(odds[asked])
        weights, bias = fit_logistic(np.stack(features, axis=1), gold)
        proposal = float(weights[1]) if len(weights) > 1 else 0.0
        return replace(settings, temperature=1 / float(weights[0]), proposal=proposal, bias=bias)

    def fit_limit(
        self, probability: np.ndarray, targets: Targets, settings: Calibration, known: Optional[np.ndarray] = None
    ) -> Calibration:
        gold = gold_classes(probability.shape, targets)
        if known is not None:
            # What is not known comes last, where no limit is.
            probability = np.where(known, probability, 0.0)
        return replace(settings, decision=fit_decision(probability[:, 1:], gold[:, 1:]))


class BestLabel(MultiLabel):
    """At most one relation a pair, by scores that judge each label by itself."""

    def pick(self, probability: np.ndarray, settings: Calibration, labels: LabelSet) -> Chosen:
        return tuple(classes[:1] for classes in super().pick(probability, settings, labels))

    def draw(self, probability: np.ndarray, temperature: float, random: np.ndarray) -> List[Tuple[int, ...]]:
        drawn = super().draw(probability, temperature, random)
        return [(max(classes, key=lambda c: float(probability[c])),) if classes else () for classes in drawn]


def _sharpened(probability: np.ndarray, temperature: float) -> np.ndarray:
    """RETURNS (numpy.ndarray): probabilities to the power of 1 / temperature, which are to be brought to a sum of 1."""
    sharpened: np.ndarray = np.clip(probability, 1e-12, 1.0) ** (1 / temperature)
    return sharpened


def pick_each(
    decision: Decision, probability: np.ndarray, settings: Sequence[Calibration], labels: LabelSet
) -> Tuple[List[Tuple[int, ...]], np.ndarray]:
    """RETURNS (Tuple[List[Tuple[int, ...]], numpy.ndarray]): the classes that each pair is given by its own settings,
    likeliest first, and the doubts about them.
    """
    chosen: List[Tuple[int, ...]] = [()] * len(settings)
    doubts = np.zeros(len(settings))
    for own in {id(each): each for each in settings}.values():
        rows = [row for row, each in enumerate(settings) if each is own]
        doubts[rows] = decision.doubt(probability[rows], own, labels)
        for row, classes in zip(rows, decision.pick(probability[rows], own, labels)):
            chosen[row] = classes
    return chosen, doubts


def model_probabilities(
    decision: Decision,
    scores: np.ndarray,
    settings: Calibration,
    allowed: Optional[np.ndarray],
    odds: Optional[np.ndarray],
) -> np.ndarray:
    """What the language model says of every class, without neighbours.

    decision (Decision): one answer a pair, or several.
    scores (numpy.ndarray): *Shape* (pairs, classes).
    settings (Calibration): prior, temperature and the like.
    allowed (Optional[numpy.ndarray]): bool, the classes that a pair may have, of the same shape.
    odds (Optional[numpy.ndarray]): log-odds that a filter before gave them, of the same shape.
    RETURNS (numpy.ndarray): probabilities, of the same shape.
    """
    if settings.prior:
        scores = scores - np.asarray(settings.prior)
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    return decision.probabilities(scores, settings, odds)


def gold_classes(shape: Tuple[int, int], targets: Targets) -> np.ndarray:
    """RETURNS (numpy.ndarray): bool, which classes hold, *Shape* (pairs, classes)."""
    gold = np.zeros(shape, dtype=bool)
    for row, classes in enumerate(targets):
        gold[row, list(classes)] = True
    return gold
