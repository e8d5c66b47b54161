"""Probabilities from the scores of binary decisions."""

from typing import NamedTuple, Tuple

import numpy as np

_STEPS = 100
_HALVINGS = 40
_RIDGE = 1e-6


class PlattScale(NamedTuple):
    """A logistic function of a score (Platt 1999).

    slope (float): multiplies the score.
    shift (float): is added to it.
    """

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """scores (numpy.ndarray): the scores.
        RETURNS (numpy.ndarray): probabilities, float64, of the same shape.
        """
        scaled = self.slope * np.asarray(scores, dtype="float64") + self.shift
        return 1.0 / (1.0 + np.exp(-np.clip(scaled, -500, 500)))


def fit_platt(scores: np.ndarray, targets: np.ndarray) -> PlattScale:
    """Fit slope and shift with the smoothed targets that Platt gives.

    scores (numpy.ndarray): *Shape* (decisions,).
    targets (numpy.ndarray): bool, *Shape* (decisions,).
    RETURNS (PlattScale): the scale. The order of the scores is kept: where they say nothing, the slope is small.
    """
    (slope,), shift = fit_logistic(np.asarray(scores)[:, None], targets)
    return PlattScale(float(slope), shift)


def fit_logistic(features: np.ndarray, targets: np.ndarray) -> Tuple[np.ndarray, float]:
    """Logistic regression by Newton's method, with the smoothed targets that Platt gives.

    features (numpy.ndarray): *Shape* (decisions, features). More of each must speak for a decision.
    targets (numpy.ndarray): bool, *Shape* (decisions,).
    RETURNS (Tuple[numpy.ndarray, float]): the features' weights, and what is added. No weight is negative: that of a
        feature which says nothing is small.
    """
    features = np.asarray(features, dtype="float64")
    center, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = np.concatenate([(features - center) / spread, np.ones((len(features), 1))], axis=1)
    positives, negatives = int(targets.sum()), int((~targets).sum())
    wanted = np.where(targets, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weights = np.append(np.ones(features.shape[1]), 0.0)
    loss = _loss(scaled, wanted, weights)
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(scaled @ weights, -500, 500)))
        gradient = scaled.T @ (probability - wanted)
        curvature = np.maximum(probability * (1 - probability), 1e-9)
        hessian = (scaled * curvature[:, None]).T @ scaled + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        # A full step can overshoot where all probabilities are near 0 or 1: it is halved until it leads down.
        for _ in range(_HALVINGS):
            found = _loss(scaled, wanted, weights - step)
            if found <= loss:
                break
            step = step / 2
        else:
            break
        weights = weights - step
        if np.abs(step).max() < 1e-9 or loss - found <= 1e-12 * abs(loss):
            break
        loss = found
    slopes = np.maximum(weights[:-1], 1e-3) / spread
    return slopes, float(weights[-1] - slopes @ center)


def _loss(features: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> float:
    scores = features @ weights
    return float((np.logaddexp(0.0, scores) - wanted * scores).sum())
