import json
from typing import Any, Callable

import numpy as np
import pytest

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.calibration.temperature import against_threshold, fit_temperature, interpolate, softmax
from spacy_ragre.calibration.thresholds import fit_decision, micro_f, pick_best, pick_several

SCORES = np.asarray([[1.0, 3.0, -2.0], [0.5, 0.0, 0.25]])


def test_settings_survive_json() -> None:
    settings = Calibration(2.0, 4, 0.3, 0.05, 0.5, (0.5, -1.0), 0.75, -0.25, 0.4)
    assert Calibration.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


# Probabilities


def test_one_answer_a_pair_is_a_softmax() -> None:
    found = softmax(SCORES, 1.0)
    expected = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_temperature_flattens_and_sharpens_without_changing_the_order() -> None:
    cold, plain, hot = (softmax(SCORES, t) for t in (0.1, 1.0, 10.0))
    assert (cold.max(axis=1) > plain.max(axis=1)).all() and (plain.max(axis=1) > hot.max(axis=1)).all()
    assert (np.argsort(cold) == np.argsort(hot)).all()
    np.testing.assert_allclose(softmax(SCORES, 2.0), softmax(SCORES / 2, 1.0))


def test_several_answers_a_pair_are_held_against_class_0() -> None:
    found = against_threshold(SCORES, 2.0)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(SCORES - SCORES[:, :1]) / 2)))
    assert (found[:, 0] == 0.5).all()
    shifted = against_threshold(SCORES, 2.0, shift=np.asarray([[0.0, 1.0, -1.0]]))
    np.testing.assert_allclose(np.log(shifted / (1 - shifted)), (SCORES - SCORES[:, :1]) / 2 + [0.0, 1.0, -1.0])


def test_class_0_is_never_shifted() -> None:
    assert (against_threshold(SCORES, 1.0, shift=3.0)[:, 0] == 0.5).all()


@pytest.mark.parametrize("probabilities", [softmax, against_threshold])
def test_classes_that_are_not_allowed_and_large_scores(probabilities: Callable[..., Any]) -> None:
    scores = np.asarray([[-5000.0, -np.inf, 5000.0], [0.0, -np.inf, -np.inf]])
    with np.errstate(all="raise", under="ignore"):
        found = probabilities(scores, 0.1)
    assert np.isfinite(found).all()
    assert found[0, 1] == pytest.approx(0, abs=1e-100) and found[0, 2] == pytest.approx(1)


# Neighbours


def test_interpolation_weighs_each_pair_s_votes() -> None:
    model = np.asarray([[0.5, 0.5], [0.9, 0.1]])
    votes = np.asarray([[0.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(interpolate(model, votes, np.asarray([[0.25], [0.0]])), [[0.375, 0.625], [0.9, 0.1]])
    np.testing.assert_allclose(interpolate(model, votes, 0.0), model)
    np.testing.assert_allclose(interpolate(model, votes, 1.0), votes)


# Fitting


def test_fitted_temperature_undoes_a_scale() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=2, size=(4000, 4))
    chances = softmax(logits, 1.0)
    targets = [[int(generator.choice(4, p=row))] for row in chances]
    assert fit_temperature(logits, targets) == pytest.approx(1.0, rel=0.08)
    assert fit_temperature(logits * 5, targets) == pytest.approx(5.0, rel=0.08)


def test_fitted_temperature_stays_in_its_range() -> None:
    always_right = np.eye(3) * 5
    always_wrong = always_right[:, [1, 2, 0]]
    targets = [[], [1], [2]]
    assert fit_temperature(always_right, targets) == pytest.approx(0.1)
    assert fit_temperature(always_wrong, targets) == pytest.approx(20.0)


# Picking


def test_pick_takes_the_best_class_over_the_threshold() -> None:
    rows = np.asarray([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.3, 0.3, 0.4]])
    assert pick_best(rows, 0.0) == ((1,), (), (2,))
    assert pick_best(rows, 0.5) == ((1,), (), ())
    assert pick_best(rows, 0.7) == ((1,), (), ())
    assert pick_best(rows, 0.71) == ((), (), ())


def test_pick_of_several_takes_all_above_class_0_likeliest_first() -> None:
    rows = np.asarray([[0.5, 0.6, 0.9, 0.4], [0.5, 0.5, 0.1, 0.2]])
    assert pick_several(rows, 0.0) == ((2, 1), ())
    assert pick_several(rows, 0.7) == ((2,), ())
    assert pick_several(rows, 0.95) == ((), ())


def test_pick_of_several_with_another_decision() -> None:
    rows = np.asarray([[0.5, 0.3, 0.9, 0.2]])
    assert pick_several(rows, 0.0, decision=0.25) == ((2, 1),)
    assert pick_several(rows, 0.4, decision=0.25) == ((2,),)
    assert pick_several(rows, 0.0, decision=0.3) == ((2,),)


def test_fitted_decision_has_the_best_f() -> None:
    generator = np.random.default_rng(0)
    probability = generator.random((50, 6)).round(2)
    gold = generator.random((50, 6)) < probability**3
    targets = [list(np.flatnonzero(row) + 1) for row in gold]
    rows = np.concatenate([np.full((50, 1), 0.5), probability], axis=1)
    scores = {d: micro_f(pick_several(rows, 0.0, d), targets) for d in np.arange(0, 1, 0.005)}
    decision = fit_decision(probability, gold)
    assert micro_f(pick_several(rows, 0.0, decision), targets) == pytest.approx(max(scores.values()))
    assert 0.5 < decision < 0.9


def test_no_decision_is_fitted_to_nothing() -> None:
    assert fit_decision(np.zeros((0, 3)), np.zeros((0, 3), dtype=bool)) == 0.5
    assert fit_decision(np.full((2, 3), 0.7), np.zeros((2, 3), dtype=bool)) == 0.5
    assert fit_decision(np.full((1, 2), 0.7), np.ones((1, 2), dtype=bool)) == pytest.approx(0.35)


@pytest.mark.parametrize("pick", [pick_best, pick_several])
def test_pick_of_nothing(pick: Callable[..., Any]) -> None:
    assert pick(np.zeros((0, 3)), 0.0) == ()


@pytest.mark.parametrize("pick", [pick_best, pick_several])
def test_picked_classes_are_plain_numbers(pick: Callable[..., Any]) -> None:
    ((chosen,),) = pick(np.asarray([[0.5, 0.9]]), 0.0)
    assert type(chosen) is int


# Scores


def test_micro_f_by_hand() -> None:
    predicted = [(1,), (2,), (), (1, 2)]
    targets = [[1], [1], [2], [2, 3]]
    # 2 right of 4 predicted and 5 wanted: precision 1/2, recall 2/5.
    assert micro_f(predicted, targets) == pytest.approx(2 * 2 / (4 + 5))


def test_micro_f_leaves_class_0_out() -> None:
    assert micro_f([(0,), (1,)], [[0], [1]]) == 1.0
    assert micro_f([(0,), ()], [[], [0]]) == 0.0
    assert micro_f([(0,), (1,)], [[], [2]]) == 0.0
    assert micro_f([], []) == 0.0
