"""Probabilities from the scores of a binary decision."""

from typing import Any, NamedTuple

import numpy as np

_STEPS = 100
_RIDGE = 1e-6


class PlattScale(NamedTuple):
    """A logistic function of a score (Platt 1999).

    slope (float): multiplies the score.
    shift (float): is added to it.
    """

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, scores: Any) -> np.ndarray:
        """scores (numpy.ndarray): the scores.
        RETURNS (numpy.ndarray): probabilities, float64, of the same shape.
        """
        scaled = self.slope * np.asarray(scores, dtype="float64") + self.shift
        return 1.0 / (1.0 + np.exp(-np.clip(scaled, -500, 500)))


def fit_platt(scores: np.ndarray, targets: np.ndarray) -> PlattScale:
    """Fit slope and shift by Newton's method, with the smoothed targets that Platt gives.

    scores (numpy.ndarray): *Shape* (decisions,).
    targets (numpy.ndarray): bool, *Shape* (decisions,).
    RETURNS (PlattScale): the scale. The order of the scores is kept: where they say nothing, the slope is small.
    """
    scores = np.asarray(scores, dtype="float64")
    center, spread = float(scores.mean()), float(scores.std()) or 1.0
    features = np.stack([(scores - center) / spread, np.ones_like(scores)], axis=1)
    positives, negatives = int(targets.sum()), int((~targets).sum())
    wanted = np.where(targets, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weights = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(features @ weights, -500, 500)))
        gradient = features.T @ (probability - wanted)
        curvature = np.maximum(probability * (1 - probability), 1e-9)
        hessian = (features * curvature[:, None]).T @ features + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        # A full step can overshoot where all probabilities are near 0 or 1.
        weights = weights - step * min(1.0, 5.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-9:
            break
    slope = max(float(weights[0]), 1e-3) / spread
    return PlattScale(slope, float(weights[1]) - slope * center)
