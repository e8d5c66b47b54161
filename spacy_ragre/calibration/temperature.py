"""From scores to probabilities, alone and mixed with the answers of retrieved neighbours."""

from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Sequence, Tuple

import numpy as np

_TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(20.0), 160))


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities. All is chosen on a development set.

    temperature (float): divides the model's scores before the softmax (Guo et al. 2017, arXiv 1706.04599).
    neighbours (int): number of neighbours whose answers are mixed in.
    weight (float): their weight, from 0 (the model alone) to 1 (Khandelwal et al. 2020, arXiv 1911.00172).
    neighbour_temperature (float): divides the neighbours' similarities before their softmax.
    threshold (float): least probability of a relation.
    prior (Tuple[float, ...]): what is taken off each class's score first: its mean over many pairs, so that what a
        model finds likely anyhow gets no advantage (batch calibration, Zhou et al. 2023, arXiv 2309.17249). Empty for
        none.
    proposal (float): weight of the log-odds that a filter gave a pair, where a pair may hold several relations.
    bias (float): added to the scores of all relations, where a pair may hold several.
    decision (float): a relation must be likelier than this, where a pair may hold several.
    """

    temperature: float = 1.0
    neighbours: int = 8
    weight: float = 0.0
    neighbour_temperature: float = 0.1
    threshold: float = 0.0
    prior: Tuple[float, ...] = ()
    proposal: float = 0.0
    bias: float = 0.0
    decision: float = 0.5

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """RETURNS (Calibration): from what `to_dict` gave."""
        return cls(**{**values, "prior": tuple(values.get("prior", ()))})

    def to_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): the settings as plain data."""
        return {**asdict(self), "prior": list(self.prior)}


def probabilities(scores: Any, temperature: float, multi_label: bool, shift: Any = 0.0) -> Any:
    """Probability of every class.

    scores (numpy.ndarray): logits or log-likelihoods, *Shape* (pairs, classes); -inf for classes that are not allowed.
    temperature (float): divides the scores.
    multi_label (bool): False for one answer a pair (softmax); True where class 0 is the threshold that every other
        class is held against (sigmoid of the difference).
    shift (Union[float, numpy.ndarray]): added to the differences, where there may be several answers.
    RETURNS (numpy.ndarray): *Shape* (pairs, classes).
    """
    scaled = np.asarray(scores, dtype="float64") / temperature
    if multi_label:
        result = 1.0 / (1.0 + np.exp(-np.clip(scaled - scaled[:, :1] + shift, -500, 500)))
        result[:, 0] = 0.5
        return result
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    exp = np.exp(scaled)
    return exp / exp.sum(axis=1, keepdims=True)


def interpolate(model: Any, neighbours: Any, weight: float) -> Any:
    """Mix the model's probabilities with those of the neighbours.

    model (numpy.ndarray): *Shape* (pairs, classes).
    neighbours (numpy.ndarray): *Shape* (pairs, classes); a row of zeros where a pair has no neighbours, which leaves
        the model's row as it is.
    weight (float): the neighbours' weight.
    RETURNS (numpy.ndarray): *Shape* (pairs, classes).
    """
    share = np.where(neighbours.sum(axis=1, keepdims=True) > 0, weight, 0.0)
    return (1 - share) * model + share * neighbours


def fit_temperature(scores: Any, targets: Sequence[Sequence[int]]) -> float:
    """The temperature that makes gold answers likeliest.

    scores (numpy.ndarray): *Shape* (pairs, classes).
    targets (Sequence[Sequence[int]]): each pair's gold classes; none means class 0.
    RETURNS (float): the temperature, from 0.1 to 20.
    """
    scores = np.asarray(scores, dtype="float64")
    gold = np.zeros(scores.shape, dtype=bool)
    for row, classes in enumerate(targets):
        gold[row, list(classes) or [0]] = True
    losses = []
    for temperature in _TEMPERATURES:
        chosen = np.where(gold, probabilities(scores, temperature, multi_label=False), 0.0).sum(axis=1)
        losses.append(-np.log(np.maximum(chosen, 1e-12)).sum())
    return float(_TEMPERATURES[int(np.argmin(losses))])


def fit_decision(probability: Any, gold: Any) -> float:
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


def pick(probability: Any, threshold: float, multi_label: bool, decision: float = 0.5) -> Tuple[Tuple[int, ...], ...]:
    """The classes that each pair is given.

    probability (numpy.ndarray): *Shape* (pairs, classes).
    threshold (float): least probability of a relation.
    multi_label (bool): whether a pair may have several.
    decision (float): each of several must be likelier than this.
    RETURNS (Tuple[Tuple[int, ...], ...]): for every pair its classes, likeliest first, without class 0.
    """
    if len(probability) == 0:
        return ()
    if multi_label:
        chosen = (probability >= threshold) & (probability > decision)
        chosen[:, 0] = False
        return tuple(
            tuple(int(c) for c in sorted(np.flatnonzero(found), key=lambda c: -row[c]))
            for row, found in zip(probability, chosen)
        )
    best = probability.argmax(axis=1)
    return tuple((int(c),) if c != 0 and row[c] >= threshold else () for c, row in zip(best, probability))


def micro_f(predicted: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> float:
    """RETURNS (float): micro-F1 over pairs and classes, class 0 left out, from 0 to 1."""
    pairs = [(set(p) - {0}, set(t) - {0}) for p, t in zip(predicted, targets)]
    true = sum(len(p & t) for p, t in pairs)
    total = sum(len(p) + len(t) for p, t in pairs)
    return 2 * true / total if total else 0.0
