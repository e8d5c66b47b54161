from typing import Any, Callable, List

import numpy as np
import pytest
import torch

from spacy_ragre.training.losses import adaptive_threshold, cross_entropy, vote_likelihood

LOGITS = np.random.default_rng(0).normal(scale=2, size=(5, 4)).astype("float32")


def numeric_gradient(loss: Callable[[np.ndarray], float], logits: np.ndarray, step: float = 1e-2) -> np.ndarray:
    gradient = np.zeros_like(logits)
    for index in np.ndindex(*logits.shape):
        up, down = logits.copy(), logits.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (loss(up) - loss(down)) / (2 * step)
    return gradient


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_that_of_torch(smoothing: float) -> None:
    targets = [2, 0, 1, 3, 3]
    scores = torch.tensor(LOGITS, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        scores, torch.tensor(targets), reduction="sum", label_smoothing=smoothing
    )
    expected.backward()
    loss, gradient = cross_entropy(LOGITS, [[t] for t in targets], smoothing)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert scores.grad is not None
    np.testing.assert_allclose(gradient, scores.grad.numpy(), atol=1e-6)


def test_cross_entropy_without_a_relation_is_that_of_class_0() -> None:
    none, zero = cross_entropy(LOGITS[:1], [[]]), cross_entropy(LOGITS[:1], [[0]])
    assert none[0] == zero[0]
    np.testing.assert_array_equal(none[1], zero[1])


def test_cross_entropy_of_several_relations_shares_the_weight() -> None:
    loss, gradient = cross_entropy(LOGITS[:1], [[1, 3]])
    alone = [cross_entropy(LOGITS[:1], [[c]]) for c in (1, 3)]
    assert loss == pytest.approx((alone[0][0] + alone[1][0]) / 2, rel=1e-5)
    np.testing.assert_allclose(gradient, (alone[0][1] + alone[1][1]) / 2, atol=1e-6)


def test_gradients_of_cross_entropy_sum_to_zero() -> None:
    _, gradient = cross_entropy(LOGITS, [[1], [], [2, 3], [0], [1]], 0.1)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-5)


def test_adaptive_threshold_by_hand() -> None:
    # One pair with threshold 0, its class at 1 and another class at 2.
    loss, gradient = adaptive_threshold(np.asarray([[0.0, 1.0, 2.0]]), [[1]])
    above = np.exp([0.0, 1.0]) / np.exp([0.0, 1.0]).sum()  # threshold and the pair's class
    below = np.exp([0.0, 2.0]) / np.exp([0.0, 2.0]).sum()  # threshold and the other class
    assert loss == pytest.approx(-np.log(above[1]) - np.log(below[0]), rel=1e-5)
    expected = [above[0] + below[0] - 1, above[1] - 1, below[1]]
    np.testing.assert_allclose(gradient, [expected], atol=1e-6)


def test_adaptive_threshold_without_a_relation_pushes_all_below_class_0() -> None:
    loss, gradient = adaptive_threshold(LOGITS[:1], [[]])
    expected, slope = cross_entropy(LOGITS[:1], [[0]])
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=1e-6)


TARGETS: List[List[int]] = [[1, 2], [], [3], [1, 2, 3], [2]]


def test_gradient_of_adaptive_threshold_is_that_of_its_loss() -> None:
    _, gradient = adaptive_threshold(LOGITS, TARGETS)
    expected = numeric_gradient(lambda logits: adaptive_threshold(logits, TARGETS)[0], LOGITS)
    np.testing.assert_allclose(gradient, expected, atol=2e-3)
    for row, classes in zip(gradient, TARGETS):
        assert all(row[c] >= 0 for c in range(1, 4) if c not in classes)


def test_adaptive_threshold_leaves_class_0_out_of_the_targets() -> None:
    with_zero, without = adaptive_threshold(LOGITS[:1], [[0, 2]]), adaptive_threshold(LOGITS[:1], [[2]])
    assert with_zero[0] == without[0]
    np.testing.assert_array_equal(with_zero[1], without[1])


def test_adaptive_threshold_learns_several_relations() -> None:
    logits = np.zeros((2, 4), dtype="float32")
    for _ in range(200):
        loss, gradient = adaptive_threshold(logits, [[1, 3], []])
        logits -= 0.5 * gradient
    assert (logits > logits[:, :1]).tolist() == [[False, True, False, True], [False] * 4]
    # Two classes that are both above the threshold share one softmax: ln 2 for each is the least there is.
    assert loss == pytest.approx(2 * np.log(2), abs=0.05)


VOTES = np.asarray([[0.2, 0.5, 0.3], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.1, 0.2, 0.7]], dtype="float32")
VOTED: List[List[int]] = [[1], [], [2], [1, 2]]


def test_likelihood_of_votes_by_hand() -> None:
    loss, gradient = vote_likelihood(VOTES, VOTED, least=0.0)
    # A vote for either of two classes is right, and the third pair has no right vote.
    assert loss == pytest.approx(-np.log(0.5) - np.log(0.5) - np.log(0.9), rel=1e-5)
    np.testing.assert_allclose(gradient[2], 0)
    np.testing.assert_allclose(gradient[3], [0, -1 / 0.9, -1 / 0.9], rtol=1e-5)


def test_gradient_of_the_likelihood_of_votes_is_that_of_its_loss() -> None:
    _, gradient = vote_likelihood(VOTES, VOTED)
    expected = numeric_gradient(lambda votes: vote_likelihood(votes, VOTED)[0], VOTES, step=1e-3)
    heard = [0, 1, 3]
    np.testing.assert_allclose(gradient[heard], expected[heard], atol=1e-2)


def test_likelihood_of_few_votes_is_bounded() -> None:
    loss, gradient = vote_likelihood(np.asarray([[1.0, 1e-12]]), [[1]])
    assert loss < 7 and np.abs(gradient).max() <= 1000
    assert vote_likelihood(np.zeros((0, 3), dtype="float32"), [])[0] == 0


@pytest.mark.parametrize("loss", [cross_entropy, adaptive_threshold])
def test_large_logits_and_no_pairs(loss: Callable[..., Any]) -> None:
    value, gradient = loss(np.asarray([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]]), [[1], [2]])
    assert np.isfinite(value) and np.isfinite(gradient).all()
    value, gradient = loss(np.zeros((0, 3), dtype="float32"), [])
    assert value == 0 and gradient.shape == (0, 3)


def test_losses_do_not_change_the_logits() -> None:
    before = LOGITS.copy()
    cross_entropy(LOGITS, [[1]] * 5)
    adaptive_threshold(LOGITS, TARGETS)
    np.testing.assert_array_equal(LOGITS, before)


# Classes of which it is not known whether they hold

KNOWN = np.array([[True, True, False, True]] * 5)
TARGETS: List[List[int]] = [[1], [], [3], [], [1, 3]]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_unknown_classes(smoothing: float) -> None:
    loss, gradient = cross_entropy(LOGITS, TARGETS, smoothing, KNOWN)
    numeric = numeric_gradient(lambda x: cross_entropy(x, TARGETS, smoothing, KNOWN)[0], LOGITS)
    np.testing.assert_allclose(gradient, numeric, atol=2e-2)
    assert not gradient[:, 2].any()
    # As if there were no such class.
    left, places = LOGITS[:, [0, 1, 3]], {1: 1, 3: 2}
    expected, part = cross_entropy(left, [[places[t] for t in targets] for targets in TARGETS], smoothing)
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient[:, [0, 1, 3]], part, atol=1e-6)


def test_losses_where_all_is_known_are_the_same() -> None:
    everything = np.ones_like(KNOWN)
    for loss in (cross_entropy, adaptive_threshold):
        plain, same = loss(LOGITS, TARGETS), loss(LOGITS, TARGETS, known=everything)
        assert plain[0] == pytest.approx(same[0], rel=1e-6)
        np.testing.assert_allclose(plain[1], same[1], atol=1e-6)
    votes = np.array([[0.4, 0.3, 0.2, 0.1]] * 5)
    plain, same = vote_likelihood(votes, TARGETS), vote_likelihood(votes, TARGETS, known=everything)
    assert plain[0] == pytest.approx(same[0] - 5 * np.log(1 + 1e-3))
    np.testing.assert_allclose(plain[1], same[1])


def test_adaptive_threshold_with_unknown_classes() -> None:
    loss, gradient = adaptive_threshold(LOGITS, TARGETS, KNOWN)
    assert not gradient[:, 2].any()
    left, places = LOGITS[:, [0, 1, 3]], {1: 1, 3: 2}
    expected, part = adaptive_threshold(left, [[places[t] for t in targets] for targets in TARGETS])
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient[:, [0, 1, 3]], part, atol=1e-6)


def test_votes_for_unknown_classes_are_not_wrong() -> None:
    votes = np.array([[0.4, 0.3, 0.2, 0.1]])
    for targets, right in (([1], 0.3), ([], 0.4)):
        loss, gradient = vote_likelihood(votes, [targets], 1e-3, KNOWN[:1])
        assert loss == pytest.approx(-np.log((right + 1e-3) / (0.8 + 1e-3)))
        numeric = numeric_gradient(lambda x: vote_likelihood(x, [targets], 1e-3, KNOWN[:1])[0], votes, 1e-5)  # noqa: B023
        np.testing.assert_allclose(gradient, numeric, atol=1e-4)
        assert gradient[0, 2] < 0 == gradient[0, 3]
