"""From scores to probabilities, alone and mixed with the answers of retrieved neighbours."""

from typing import Sequence, Union

import numpy as np

_TEMPERATURES = np.exp(np.linspace(np.log(0.1), np.log(20.0), 160))


def softmax(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Probability of every class, where one of them holds.

    scores (numpy.ndarray): logits or log-likelihoods, *Shape* (pairs, classes); -inf for classes that are not allowed.
    temperature (float): divides the scores.
    RETURNS (numpy.ndarray): *Shape* (pairs, classes); each row sums to 1.
    """
    scaled = np.asarray(scores, dtype="float64") / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    exp: np.ndarray = np.exp(scaled)
    result: np.ndarray = exp / exp.sum(axis=1, keepdims=True)
    return result


def against_threshold(scores: np.ndarray, temperature: float, shift: Union[float, np.ndarray] = 0.0) -> np.ndarray:
    """Probability of every class, where several may hold and class 0 is the threshold that they are held against.

    scores (numpy.ndarray): logits, *Shape* (pairs, classes); -inf for classes that are not allowed.
    temperature (float): divides the scores.
    shift (Union[float, numpy.ndarray]): added to the differences.
    RETURNS (numpy.ndarray): the sigmoid of the difference to class 0, *Shape* (pairs, classes); 0.5 for class 0.
    """
    scaled = np.asarray(scores, dtype="float64") / temperature
    result: np.ndarray = 1.0 / (1.0 + np.exp(-np.clip(scaled - scaled[:, :1] + shift, -500, 500)))
    result[:, 0] = 0.5
    return result


def interpolate(model: np.ndarray, votes: np.ndarray, weight: Union[float, np.ndarray]) -> np.ndarray:
    """Mix the model's probabilities with the votes of the neighbours.

    model (numpy.ndarray): *Shape* (pairs, classes).
    votes (numpy.ndarray): *Shape* (pairs, classes).
    weight (Union[float, numpy.ndarray]): the weight of the votes, from 0 to 1, one for all or *Shape* (pairs, 1).
    RETURNS (numpy.ndarray): *Shape* (pairs, classes).
    """
    return (1 - weight) * model + weight * votes


def fit_temperature(scores: np.ndarray, targets: Sequence[Sequence[int]]) -> float:
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
        chosen = np.where(gold, softmax(scores, temperature), 0.0).sum(axis=1)
        losses.append(-np.log(np.maximum(chosen, 1e-12)).sum())
    return float(_TEMPERATURES[int(np.argmin(losses))])
