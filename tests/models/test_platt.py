import numpy as np
import pytest

from spacy_ragre.models.platt import PlattScale, fit_platt


def test_recovers_slope_and_shift():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=200_000) * 3 + 1
    targets = rng.random(len(scores)) < PlattScale(0.5, -2.0)(scores)
    scale = fit_platt(scores, targets)
    assert scale.slope == pytest.approx(0.5, abs=0.02)
    assert scale.shift == pytest.approx(-2.0, abs=0.05)
    assert scale(scores).mean() == pytest.approx(targets.mean(), abs=1e-3)


@pytest.mark.parametrize("shift", [0.0, 500.0, -500.0])
def test_separable_scores(shift):
    scores = np.array([-2.0, -1.0, 1.0, 2.0]) + shift
    probability = fit_platt(scores, scores > shift)(scores)
    assert (np.diff(probability) > 0).all() and np.isfinite(probability).all()
    assert probability[1] < 0.5 < probability[2]


def test_scores_that_say_nothing_keep_their_order():
    scores = np.array([0.0, 1.0, 0.0, 1.0])
    assert fit_platt(scores, np.array([True, False, True, False])).slope > 0
    scale = fit_platt(np.zeros(4), np.array([True, False, False, False]))
    assert scale(np.zeros(1))[0] == pytest.approx(0.3, abs=0.05)


def test_no_change_and_extreme_scores():
    assert PlattScale()(np.array([0.0])) == pytest.approx(0.5)
    assert np.isfinite(PlattScale()(np.array([-1e9, 1e9]))).all()
