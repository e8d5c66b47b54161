import numpy as np
import pytest

from spacy_ragre.calibration.platt import PlattScale, fit_logistic, fit_platt


def test_recovers_slope_and_shift():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=200_000) * 3 + 1
    targets = rng.random(len(scores)) < PlattScale(0.5, -2.0)(scores)
    scale = fit_platt(scores, targets)
    assert scale.slope == pytest.approx(0.5, abs=0.02)
    assert scale.shift == pytest.approx(-2.0, abs=0.05)
    assert scale(scores).mean() == pytest.approx(targets.mean(), abs=1e-3)


def test_several_features_get_weights_of_their_own():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200_000, 3)) * [3, 1, 2] + [1, 0, -1]
    targets = rng.random(len(features)) < PlattScale()(features @ [0.5, 1.5, -1.0] - 2)
    weights, bias = fit_logistic(features[:, :2], targets)
    assert weights[1] / weights[0] == pytest.approx(3.0, rel=0.05) and (weights > 0).all()
    weights, bias = fit_logistic(features, targets)
    assert 0 < weights[2] < 1e-3  # it speaks against, which is left out


def test_features_that_are_given_true_weights():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200_000, 2)) * [3, 1] + [1, 5]
    targets = rng.random(len(features)) < PlattScale()(features @ [0.5, 1.5] - 8)
    weights, bias = fit_logistic(features, targets)
    assert weights == pytest.approx([0.5, 1.5], abs=0.03) and bias == pytest.approx(-8, abs=0.2)


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


def test_rare_decisions_keep_their_share():
    """Most features at their lowest value, and hardly any decision: where a plain Newton step leads away."""
    rng = np.random.default_rng(2)
    likely = rng.random(200_000) < 0.01
    features = np.stack(
        [rng.normal(size=len(likely)) * 3 - 8, np.where(likely, rng.normal(size=len(likely)), -9.2)], axis=1
    )
    targets = rng.random(len(likely)) < PlattScale()(features @ [0.5, 0.8] + 2.0)
    weights, bias = fit_logistic(features, targets)
    probability = PlattScale()(features @ weights + bias)
    assert probability.mean() == pytest.approx(targets.mean(), rel=1e-2)
    assert weights == pytest.approx([0.5, 0.8], abs=0.15)
