"""Dropout that draws less often than torch's keeps its share, its scale and its gradient."""

from pathlib import Path

import pytest
import torch

from spacy_ragre.llm.adapters.dropout import CPUDropout
from spacy_ragre.llm.causal import CausalLM


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("share", [0.1, 0.75])
def test_share_and_scale(dtype: torch.dtype, share: float) -> None:
    torch.manual_seed(0)
    kept = CPUDropout(share)(torch.ones(301, 1003, dtype=dtype))
    assert float((kept == 0).double().mean()) == pytest.approx(share, abs=0.005)
    scale = torch.tensor(1 / (1 - share), dtype=dtype)
    assert bool(((kept == 0) | (kept == scale)).all())


def test_elements_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = (CPUDropout(0.5)(torch.ones(400, 1000, dtype=torch.bfloat16)) == 0).double()
    # Neighbours share a draw of 64 bits.
    for distance in (1, 2, 3, 4):
        assert float((dropped[:, distance:] * dropped[:, :-distance]).mean()) == pytest.approx(0.25, abs=0.005)
    assert float((dropped[1:] * dropped[:-1]).mean()) == pytest.approx(0.25, abs=0.005)


def test_gradients_pass_where_elements_do() -> None:
    x = torch.randn(7, 5, requires_grad=True)
    out = CPUDropout(0.5)(x)
    out.sum().backward()
    assert torch.equal(x.grad, torch.where(out == 0, 0.0, 2.0))


def test_a_seed_gives_the_same_elements() -> None:
    module, x = CPUDropout(0.3), torch.randn(9, 11)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(module(x))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_nothing_is_dropped_in_evaluation_or_without_a_share() -> None:
    x = torch.randn(3, 4)
    assert torch.equal(CPUDropout(0.9).eval()(x), x)
    assert torch.equal(CPUDropout(0.0)(x), x)
    assert CPUDropout(0.5)(torch.zeros(0, 4)).shape == (0, 4)


def test_adapters_use_it(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", lora={"dropout": 0.25})
    backbone.init_adapter()
    modules = list(backbone.model.modules())
    assert [module.p for module in modules if isinstance(module, CPUDropout)] == [0.25] * 14
    assert not any(isinstance(module, torch.nn.Dropout) and module.p for module in modules)
