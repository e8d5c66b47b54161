"""Choose calibration settings on development pairs, and tell what they are worth on pairs that they were not chosen on.

All options are tried with the language model's scores and the neighbours of one pass. Cross-validation makes the same
choice again on four fifths of the documents and scores it on the rest, five times.
"""

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...calibration.settings import Calibration
from ...calibration.temperature import interpolate
from ...calibration.thresholds import micro_f
from ...labels import LabelSet
from ...retrieval import Neighbour
from .decisions import Chosen, Decision, model_probabilities

if TYPE_CHECKING:
    import numpy as np

# What is chosen from.
NEIGHBOURS = (1, 2, 4, 8, 16, 32)
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
NEIGHBOUR_TEMPERATURES = (0.02, 0.05, 0.1, 0.2)
_FOLDS = 5


class DevelopmentPairs(NamedTuple):
    """Pairs with their answers, scores and neighbours. Arrays are *Shape* (pairs, classes).

    scores (numpy.ndarray): the language model's scores.
    neighbours (Sequence[Sequence[Neighbour]]): examples of each pair, most similar first.
    targets (Sequence[Sequence[int]]): gold classes of each pair.
    allowed (Optional[numpy.ndarray]): bool, the classes that a pair may have.
    odds (Optional[numpy.ndarray]): log-odds that a filter gave them.
    documents (Sequence[str]): what tells each pair's document from others.
    known (Optional[numpy.ndarray]): bool, the classes that are known of each; all where None.
    """

    scores: "np.ndarray"
    neighbours: Sequence[Sequence[Neighbour]]
    targets: Sequence[Sequence[int]]
    allowed: Optional["np.ndarray"]
    odds: Optional["np.ndarray"]
    documents: Sequence[str]
    known: Optional["np.ndarray"] = None

    def score(self, answers: Sequence[Tuple[int, ...]], rows: Sequence[int]) -> float:
        """RETURNS (float): micro-F1 of some pairs' answers, from 0 to 1. Those of which it is not known whether they
        are right count neither as right nor as wrong.
        """
        known = self.known
        if known is not None:
            answers = tuple(tuple(c for c in own if known[row, c]) for own, row in zip(answers, rows))
        return micro_f(answers, [self.targets[row] for row in rows])

    def alone(self, decision: Decision, settings: Calibration) -> "np.ndarray":
        """RETURNS (numpy.ndarray): the model's probabilities, without neighbours."""
        return model_probabilities(decision, self.scores, settings, self.allowed, self.odds)


class _Choice:
    """The best option for some of the pairs, among those that were tried.

    rows (List[int]): the pairs that settings are chosen on.
    held_out (List[int]): the pairs that they are scored on.
    """

    def __init__(
        self,
        pairs: DevelopmentPairs,
        decision: Decision,
        labels: LabelSet,
        plain: Calibration,
        rows: List[int],
        held_out: List[int],
        with_prior: bool,
    ) -> None:
        self.pairs, self.decision, self.labels = pairs, decision, labels
        self.rows, self.held_out = rows, held_out
        self.targets = [pairs.targets[row] for row in rows]
        scores = pairs.scores[rows]
        settings = plain
        if with_prior:
            settings = replace(settings, prior=tuple(float(value) for value in scores.mean(axis=0)))
            scores = scores - scores.mean(axis=0)
        tables = (pairs.allowed, pairs.odds, pairs.known)
        allowed, odds, self.known = (None if table is None else table[rows] for table in tables)
        self.fitted = decision.fit(scores, self.targets, settings, allowed, odds, self.known)
        self.alone = pairs.alone(decision, self.fitted)
        self.best: Optional[Calibration] = plain
        self.score = -1.0
        self.answers: Chosen = ()
        # Of equally good ones the fitted one without neighbours, then the plain one.
        self.take(self.fitted, self.alone)
        self.take(plain, pairs.alone(decision, plain), fit=False)

    def take(self, option: Calibration, probability: "np.ndarray", fit: bool = True) -> None:
        """Keep an option where it is better than all before."""
        if fit:
            option = self.decision.fit_limit(probability[self.rows], self.targets, option, self.known)
        score = self.pairs.score(self.decision.pick(probability[self.rows], option, self.labels), self.rows)
        if score > self.score:
            self.best, self.score = option, score
            self.answers = self.decision.pick(probability[self.held_out], option, self.labels)

    def keep(self, before: Chosen) -> None:
        """Keep what was there, where it is better than all options."""
        score = self.pairs.score([before[row] for row in self.rows], self.rows)
        if score > self.score:
            self.best, self.score = None, score
            self.answers = tuple(before[row] for row in self.held_out)


def choose(
    pairs: DevelopmentPairs,
    decision: Decision,
    labels: LabelSet,
    plain: Calibration,
    before: Chosen,
    *,
    with_prior: bool,
) -> Tuple[Optional[Calibration], Dict[str, float]]:
    """Choose temperature, prior, neighbours and limit by micro-F1.

    pairs (DevelopmentPairs): the pairs.
    decision (Decision): one answer a pair, or several.
    labels (LabelSet): the labels.
    plain (Calibration): settings of which nothing was chosen.
    before (Tuple[Tuple[int, ...], ...]): the classes that each pair is given by the settings of now, which may be
        others for pairs across sentences.
    with_prior (bool): take each class's mean off its scores first.
    RETURNS (Tuple[Optional[Calibration], Dict[str, float]]): the settings, None where those of now are better; and
        micro-F1, from 0 to 1: `before`, `after` on these same pairs, and `cross_validated` where there are two
        documents or more.
    """
    everything = list(range(len(pairs.targets)))
    choices = [
        _Choice(pairs, decision, labels, plain, rows, held_out, with_prior)
        for rows, held_out in [(everything, []), *folds(pairs.documents)]
    ]
    if any(pairs.neighbours):
        for k, temperature in product(NEIGHBOURS, NEIGHBOUR_TEMPERATURES):
            near = [items[:k] for items in pairs.neighbours]
            votes = decision.votes(near, labels, temperature, pairs.allowed)
            heard = decision.turnout(near, votes, labels, k)
            for choice, weight in product(choices, WEIGHTS):
                option = replace(choice.fitted, neighbours=k, neighbour_temperature=temperature, weight=weight)
                choice.take(option, interpolate(choice.alone, votes, weight * heard))
    for choice in choices:
        choice.keep(before)
    chosen, *crossed = choices
    result = {"before": pairs.score(before, everything), "after": chosen.score}
    if crossed:
        answers = tuple(answer for choice in crossed for answer in choice.answers)
        result["cross_validated"] = pairs.score(answers, [row for choice in crossed for row in choice.held_out])
    return chosen.best, result


def folds(documents: Sequence[str], count: int = _FOLDS) -> List[Tuple[List[int], List[int]]]:
    """Cut pairs into parts, all pairs of a document in one part.

    documents (Sequence[str]): each pair's document.
    count (int): most parts; as many as documents where there are fewer.
    RETURNS (List[Tuple[List[int], List[int]]]): for each part the pairs outside of it and those in it; empty for fewer
        than two documents.
    """
    number = {document: place for place, document in enumerate(dict.fromkeys(documents))}
    count = min(count, len(number))
    if count < 2:
        return []
    parts = [number[document] % count for document in documents]
    return [
        ([row for row, part in enumerate(parts) if part != own], [row for row, part in enumerate(parts) if part == own])
        for own in range(count)
    ]
