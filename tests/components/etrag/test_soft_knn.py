"""Soft k-nearest-neighbour selection, against a reference that is written step by step."""

import math

import pytest
import torch

from spacy_ragre.components.etrag.soft_knn import SoftKNN


def reference(similarity, k, temperature, allowed=None):
    """The equations, one query at a time, over the allowed candidates only."""
    rows = []
    for i, row in enumerate(similarity.tolist()):
        places = [j for j in range(len(row)) if allowed is None or bool(allowed[i, j])]
        a = [row[j] for j in places]
        steps = []
        for step in range(k):
            weights = [0.0] * len(row)
            if step < len(places):
                top = max(a)
                parts = [math.exp((value - top) / temperature) for value in a]
                w = [part / sum(parts) for part in parts]
                for j, value in zip(places, w):
                    weights[j] = value
                a = [value + (math.log1p(-weight) if weight < 1 else -1e9) for value, weight in zip(a, w)]
            steps.append(weights)
        rows.append(steps)
    return torch.tensor(rows, dtype=similarity.dtype)


def cosine(*shape, dtype=torch.float64, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 1


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_equals_the_reference(temperature, k):
    similarity = cosine(4, 9)
    found = SoftKNN(temperature)(similarity, k)
    assert found.shape == (4, k, 9)
    torch.testing.assert_close(found, reference(similarity, k, temperature), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.sum(2), torch.ones(4, k, dtype=torch.float64))


def test_equals_the_reference_with_a_mask():
    similarity = cosine(6, 8)
    allowed = cosine(6, 8, seed=1) > 0
    allowed[0] = True
    allowed[1] = False
    allowed[2] = torch.arange(8) == 3
    found = SoftKNN(0.2)(similarity, 3, allowed)
    torch.testing.assert_close(found, reference(similarity, 3, 0.2, allowed), atol=1e-6, rtol=1e-5)
    assert (found.transpose(1, 2)[~allowed] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1e-3, 1e-5])
def test_low_temperature_gives_hard_neighbours_in_order(dtype, temperature):
    similarity = torch.stack([torch.randperm(6, generator=torch.Generator().manual_seed(i)) for i in range(5)])
    similarity = similarity.to(dtype) / 6
    found = SoftKNN(temperature)(similarity, 6)
    order = similarity.argsort(dim=1, descending=True)
    assert (found.argmax(2) == order).all()
    torch.testing.assert_close(found.max(2).values, torch.ones(5, 6, dtype=dtype))


def test_large_gaps_do_not_choose_a_neighbour_twice():
    similarity = torch.tensor([[200.0, 0.0, 100.0]])
    assert SoftKNN(0.5)(similarity, 2).argmax(2).tolist() == [[0, 2]]


def test_high_temperature_gives_the_mean():
    found = SoftKNN(1e6)(cosine(3, 7), 4)
    torch.testing.assert_close(found, torch.full_like(found, 1 / 7), atol=1e-5, rtol=0)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_gradients_are_right(temperature):
    module = SoftKNN(temperature).double()
    allowed = torch.ones(3, 6, dtype=torch.bool)
    allowed[1, 2:] = False
    allowed[2, 0] = False
    similarity = cosine(3, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: module(s, 2, allowed), (similarity,))

    def by_temperature(value):
        return torch.func.functional_call(module, {"log_temperature": value}, (similarity.detach(), 3, allowed))

    value = torch.tensor([math.log(temperature)], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(by_temperature, (value,))


@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 0.1, 1e3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_numbers_at_every_temperature(temperature, dtype):
    module = SoftKNN(temperature)
    similarity = torch.tensor([[1.0, -1.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.0]], dtype=dtype).requires_grad_()
    allowed = torch.tensor([[True] * 4, [True, False, False, False]])
    values = cosine(4, 3, dtype=dtype)
    (module(similarity, 3, allowed) @ values).sum().backward()
    assert similarity.grad.isfinite().all() and module.log_temperature.grad.isfinite()


def test_masked_instances_get_no_weight_and_no_gradient():
    similarity = cosine(2, 5).requires_grad_()
    values = cosine(2, 5, 3, seed=2).requires_grad_()
    allowed = torch.tensor([[True, False, True, True, True], [True, True, True, False, False]])
    with torch.no_grad():
        similarity[0, 1] = math.nan  # nothing is read of it
    weights = SoftKNN(0.1)(similarity, 3, allowed)
    (weights @ values).square().sum().backward()
    assert (weights.transpose(1, 2)[~allowed] == 0).all()
    assert (similarity.grad[~allowed] == 0).all() and (values.grad[~allowed] == 0).all()
    assert (similarity.grad[allowed] != 0).all()


def test_none_allowed():
    similarity = cosine(1, 3).requires_grad_()
    weights = SoftKNN(0.1)(similarity, 2, torch.zeros(1, 3, dtype=torch.bool))
    weights.sum().backward()
    assert (weights == 0).all() and (similarity.grad == 0).all()


def test_no_neighbours():
    assert SoftKNN()(cosine(2, 3), 0).shape == (2, 0, 3)


def test_fixed_temperature():
    module = SoftKNN(0.25, learnable=False)
    assert not list(module.parameters()) and module.temperature == pytest.approx(0.25)
    assert "log_temperature" in module.state_dict()


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperature_out_of_range(temperature):
    with pytest.raises(ValueError, match="R540"):
        SoftKNN(temperature)


def test_more_neighbours_than_candidates():
    with pytest.raises(ValueError, match="R541.*k=4.*3 candidates"):
        SoftKNN()(cosine(2, 3), 4)


def test_similarity_that_is_no_number():
    similarity = cosine(2, 3)
    similarity[1, 2] = math.nan
    with pytest.raises(ValueError, match="R542.*1 of 6"):
        SoftKNN()(similarity, 2)
