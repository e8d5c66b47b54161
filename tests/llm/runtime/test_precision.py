"""`dtype = "auto"`: 16 bits where they are faster, and nothing else."""

import pickle
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
import torch

from spacy_ragre.llm.attention.packing import TokenPrompt, pack
from spacy_ragre.llm.causal import CausalLM
from spacy_ragre.llm.runtime import precision
from spacy_ragre.llm.runtime.precision import _has_bfloat16, bfloat16_pays, choose_dtype, mixed_precision

# As it is imported, before the test session replaces it.
has_bfloat16 = _has_bfloat16
LOW, HIGH = torch.bfloat16, torch.float32


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., List[torch.dtype]]]:
    """`processor(has, low, high)`: has the instructions or not, and needs so many seconds for the product that is timed
    in 16 and in 32 bits. Gives the list of what was timed.
    """
    bfloat16_pays.cache_clear()

    def make(has: bool, low: float = 1.0, high: float = 4.0) -> List[torch.dtype]:
        timed: List[torch.dtype] = []

        def seconds(dtype: torch.dtype) -> float:
            timed.append(dtype)
            return low if dtype is LOW else high

        monkeypatch.setattr(precision, "_has_bfloat16", lambda: has)
        monkeypatch.setattr(precision, "_seconds", seconds)
        return timed

    yield make
    bfloat16_pays.cache_clear()


def state(model: CausalLM) -> torch.Tensor:
    (chunk,) = pack([TokenPrompt((), (), (0, 20, 21, 22))], 64, False)
    with torch.no_grad():
        return model.states(chunk)


@pytest.mark.parametrize("low,high,expected", [(1.0, 4.0, LOW), (1.0, 1.1, HIGH), (4.0, 1.0, HIGH)])
def test_a_timing_decides_once(processor: Any, low: float, high: float, expected: torch.dtype) -> None:
    timed = processor(True, low, high)
    found = [choose_dtype(torch.device("cpu"), False) for _ in range(3)]
    assert found == [expected] * 3 and sorted(map(str, timed)) == ["torch.bfloat16", "torch.float32"]


def test_a_processor_without_the_instructions_is_not_timed(processor: Any) -> None:
    timed = processor(False)
    assert choose_dtype(torch.device("cpu"), False) is HIGH and timed == []


def test_the_product_is_timed_in_both_types() -> None:
    assert precision._seconds(LOW) > 0 and precision._seconds(HIGH) > 0


def test_instructions_are_read_without_torch_telling_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert has_bfloat16()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    assert not has_bfloat16()
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    for text, has in (("flags : sse2 avx512_bf16 vaes", True), ("flags : sse2 avx512f", False), (None, False)):
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.unlink(missing_ok=True)
        if text is not None:
            cpuinfo.write_text(text, encoding="utf8")
        monkeypatch.setattr(precision, "_CPUINFO", cpuinfo)
        assert has_bfloat16() == has


@pytest.mark.parametrize(
    "settings,expected",
    [
        ({}, LOW),
        ({"dtype": "float32"}, HIGH),
        ({"dtype": "float16"}, torch.float16),
        ({"quantization": "nf4"}, HIGH),
        ({"quantization": "int8"}, HIGH),
        ({"engine": "openvino"}, HIGH),
        ({"engine": "openvino-int8"}, HIGH),
    ],
)
def test_auto_stays_in_32_bits_where_they_are_needed(
    processor: Any, settings: Dict[str, Any], expected: torch.dtype
) -> None:
    processor(True)
    assert CausalLM("x", device="cpu", **settings).dtype is expected


def test_a_model_computes_in_16_bits_with_an_adapter_of_32(processor: Any, tiny_llama: Path) -> None:
    processor(False)
    exact = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4})
    exact.init_adapter()
    with torch.no_grad():
        for parameter in exact.adapter_parameters().values():
            parameter.add_(0.1)
    processor(True)
    bfloat16_pays.cache_clear()
    low = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4})
    low.load_adapter_state(exact.adapter_state())
    assert next(low.whole.parameters()).dtype is LOW and exact.dtype is HIGH
    found, expected = state(low), state(exact)
    assert found.dtype is HIGH
    assert 0 < ((found - expected).norm() / expected.norm()).item() < 0.1


def test_a_copy_computes_in_the_type_that_its_weights_have(processor: Any, tiny_llama: Path) -> None:
    processor(True)
    model = CausalLM(str(tiny_llama), device="cpu")
    expected = state(model)
    # Another process may have found another answer.
    processor(False)
    bfloat16_pays.cache_clear()
    copy = pickle.loads(pickle.dumps(model))
    assert copy.dtype is LOW and torch.equal(state(copy), expected)


@pytest.mark.parametrize("has, expected", [(True, LOW), (False, HIGH)])
def test_mixed_precision_is_16_bits_where_they_pay(processor: Any, has: bool, expected: torch.dtype) -> None:
    processor(has)
    weight = torch.ones(4, 4, requires_grad=True)
    with mixed_precision(torch.device("cpu")):
        made = torch.nn.functional.linear(torch.ones(2, 4), weight)
    assert made.dtype is expected
    made.float().sum().backward()
    assert weight.grad is not None and weight.grad.dtype is HIGH
