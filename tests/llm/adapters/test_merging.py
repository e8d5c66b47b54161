"""An adapter is merged for predictions, and the base weights come back as they were."""

import copy
import pickle
from pathlib import Path
from typing import Any, Dict

import pytest
import torch

from spacy_ragre.llm import CausalLM
from spacy_ragre.llm.attention.packing import TokenPrompt, unshared

PROMPTS = [TokenPrompt(pair=(0, 10, 11, 12, 13)), TokenPrompt(pair=(0, 20, 21))]


@pytest.fixture
def llama(tiny_llama: Path) -> CausalLM:
    backbone = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4})
    backbone.init_adapter()
    change(backbone)
    return backbone


def change(backbone: CausalLM, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in backbone.adapter_parameters().values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)


def base_weights(backbone: CausalLM) -> Dict[str, Any]:
    return {n: p.detach().clone() for n, p in backbone.model.named_parameters() if "lora_" not in n}


def predict(backbone: CausalLM) -> Any:
    with torch.no_grad():
        return backbone.states(unshared(PROMPTS))


def test_predictions_are_those_of_the_adapter_apart(llama: CausalLM) -> None:
    apart = llama.states(unshared(PROMPTS)).detach()
    assert not llama._merged
    merged = predict(llama)
    assert llama._merged
    torch.testing.assert_close(merged, apart, atol=1e-5, rtol=1e-5)
    change(llama, seed=1)
    assert (predict(llama) - merged).abs().max() > 1e-2
    torch.testing.assert_close(predict(llama), llama.states(unshared(PROMPTS)).detach(), atol=1e-5, rtol=1e-5)


def test_the_base_comes_back_as_it_was(llama: CausalLM) -> None:
    before = base_weights(llama)
    for _ in range(3):
        predict(llama)
        assert any((base_weights(llama)[name] != before[name]).any() for name in before)
        llama.states(unshared(PROMPTS)).sum().backward()
    after = base_weights(llama)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_training_goes_on_after_predictions(llama: CausalLM) -> None:
    llama.states(unshared(PROMPTS)).square().sum().backward()
    expected = {name: p.grad.clone() for name, p in llama.adapter_parameters().items()}
    for parameter in llama.adapter_parameters().values():
        parameter.grad = None
    predict(llama)
    llama.states(unshared(PROMPTS)).square().sum().backward()
    for name, parameter in llama.adapter_parameters().items():
        assert expected[name].abs().max() > 0
        torch.testing.assert_close(parameter.grad, expected[name])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_answer_the_same_and_have_their_own_weights(llama: CausalLM, again: Any) -> None:
    expected = predict(llama)
    other = again(llama)
    assert torch.equal(predict(other), expected)
    change(llama, seed=1)
    predict(llama)
    assert torch.equal(predict(other), expected)


def test_sixteen_bits_need_no_mixed_precision_once_merged(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", dtype="bfloat16", lora={"rank": 4})
    backbone.init_adapter()
    change(backbone)
    exact = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4})
    exact.init_adapter()
    change(exact)
    torch.testing.assert_close(predict(backbone), predict(exact), atol=0.2, rtol=0.05)


def test_quantised_weights_stay_apart(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", quantization="nf4", lora={"rank": 4})
    backbone.init_adapter()
    change(backbone)
    predict(backbone)
    assert not backbone._merged
