"""Steps of a Thinc optimizer on torch parameters, which stay where they are."""

from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
import torch
from thinc.api import Optimizer

from spacy_ragre.training import torch_shim
from spacy_ragre.training.torch_shim import TorchShim


class Trained(TorchShim):
    """Two parameters, of which the first learns twice as fast."""

    def __init__(self) -> None:
        super().__init__(None)
        self.own = {"a": torch.nn.Parameter(torch.ones(3, 2)), "b": torch.nn.Parameter(torch.ones(2))}

    def parameters(self) -> Dict[str, Any]:
        return self.own

    def rate(self, name: str) -> float:
        return 2.0 if name == "a" else 1.0


class Descent:
    """Plain gradient descent, in place or not. Keeps what it was given."""

    def __init__(self, in_place: bool) -> None:
        self.in_place = in_place
        self.given: List[Tuple[Any, Any, Any]] = []

    def __call__(self, key: Any, weights: Any, gradient: Any, *, lr_scale: float) -> Tuple[Any, Any]:
        self.given.append((key, weights, gradient))
        if self.in_place:
            weights -= lr_scale * 0.1 * gradient
            return weights, gradient
        return weights - np.float32(lr_scale * 0.1) * gradient, gradient


@pytest.mark.parametrize("in_place", [True, False])
def test_a_step_works_on_the_parameters_own_memory(in_place: bool) -> None:
    shim, optimizer = Trained(), Descent(in_place)
    places = {name: parameter.data_ptr() for name, parameter in shim.own.items()}
    versions = {name: parameter._version for name, parameter in shim.own.items()}
    shim.own["a"].grad = torch.ones(3, 2)
    shim.finish_update(optimizer)  # type: ignore[arg-type]
    (key, weights, _), *others = optimizer.given
    assert key == (shim.id, "a") and not others  # nothing is done where there is no gradient
    assert np.shares_memory(weights, shim.own["a"].detach().numpy())
    assert shim.own["a"].detach().numpy() == pytest.approx(np.full((3, 2), 0.8))
    assert {name: parameter.data_ptr() for name, parameter in shim.own.items()} == places
    # By this, what was made of the weights is known to be old.
    assert [shim.own[name]._version > versions[name] for name in "ab"] == [True, False]
    assert shim.own["a"].grad is None and shim.own["a"].requires_grad


class OnGpu:
    """What is asked of a tensor on a GPU."""

    is_cuda = True

    def cpu(self) -> torch.Tensor:
        return torch.ones(1)


def test_tensors_on_a_gpu_stay_there_where_cupy_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: List[Any] = []
    monkeypatch.setattr(torch_shim, "torch2xp", lambda tensor: asked.append(tensor) or "cupy array")
    monkeypatch.setattr(torch_shim, "has_cupy_gpu", True)
    tensor: Any = OnGpu()
    assert torch_shim.as_array(tensor) == "cupy array" and asked == [tensor]  # type: ignore[comparison-overlap]
    monkeypatch.setattr(torch_shim, "has_cupy_gpu", False)
    assert torch_shim.as_array(tensor).tolist() == [1.0]


def test_averages_stand_in_for_the_parameters() -> None:
    shim = Trained()
    optimizer = Optimizer(0.1, use_averages=True)
    for _ in range(3):
        shim.own["b"].grad = torch.ones(2)
        shim.finish_update(optimizer)
    own = shim.own["b"].tolist()
    with shim.use_params(optimizer.averages or {}):
        assert shim.own["b"].tolist() != own
    assert shim.own["b"].tolist() == own


@pytest.mark.parametrize("in_place", [True, False])
def test_a_single_number_is_trained_and_averaged(in_place: bool) -> None:
    shim = Trained()
    shim.own = {"a": torch.nn.Parameter(torch.tensor(1.0))}
    shim.own["a"].grad = torch.tensor(1.0)
    shim.finish_update(Descent(in_place))  # type: ignore[arg-type]
    assert shim.own["a"].shape == () and shim.own["a"].item() == pytest.approx(0.8)
    optimizer = Optimizer(0.1, use_averages=True)
    shim.own["a"].grad = torch.tensor(1.0)
    shim.finish_update(optimizer)
    assert optimizer.averages is not None
    with shim.use_params({key: value * 0 for key, value in optimizer.averages.items()}):
        assert shim.own["a"].item() == 0
    assert shim.own["a"].item() != 0
