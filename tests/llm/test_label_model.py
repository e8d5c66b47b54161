import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import numpy as np
import pytest
import torch
from thinc.api import Adam, Model, Optimizer

from spacy_ragre.llm import CausalLM, Seq2SeqLM
from spacy_ragre.llm.attention.packing import PackedBatch, TokenPrompt, unshared
from spacy_ragre.llm.label_model import LabelModel, LabelShim
from spacy_ragre.training.losses import cross_entropy

WORDS = [" no relation", " founded by", " located in"]
PROMPTS = [[0, 10, 11], [0, 20, 21, 22, 23], [0, 30], [0, 40, 41, 42]]
TARGETS = [[1], [0], [2], [1]]


@pytest.fixture
def build(tiny_llama: Path) -> Callable[..., Model]:
    def make(name: str = str(tiny_llama), head: bool = True, **options: Any) -> Model:
        torch.manual_seed(0)
        model = LabelModel(CausalLM(name, device="cpu", lora={"rank": 4}, **options))
        if head:
            shim_of(model).init_head(WORDS)
        return model

    return make


def rows(prompts: Sequence[Sequence[int]]) -> PackedBatch:
    return unshared([TokenPrompt(pair=tuple(prompt)) for prompt in prompts])


def shim_of(model: Model) -> LabelShim:
    shim = model.shims[0]
    assert isinstance(shim, LabelShim)
    return shim


def backbone_of(model: Model) -> CausalLM:
    backbone = shim_of(model).backbone
    assert isinstance(backbone, CausalLM)
    return backbone


def step(model: Model, prompts: List[List[int]], targets: List[List[int]], share: int) -> float:
    """Forward and backward; the gradient is that of the mean over `share` pairs."""
    (logits, _), backprop = model.begin_update(rows(prompts))
    loss, gradient = cross_entropy(logits, targets)
    backprop(gradient / share)
    return loss


def train(model: Model, steps: int = 5, rate: float = 0.02) -> Optimizer:
    optimizer: Optimizer = Adam(rate)
    for _ in range(steps):
        step(model, PROMPTS, TARGETS, len(PROMPTS))
        model.finish_update(optimizer)
    return optimizer


def values(model: Model) -> Dict[str, np.ndarray]:
    return {name: p.detach().numpy().copy() for name, p in shim_of(model).parameters().items()}


# Without a head


def test_building_loads_no_weights(build: Callable[..., Model]) -> None:
    model = build(name="no/such-model", head=False)
    shim = shim_of(model)
    assert not shim.has_head and shim.to_bytes() == b"" and len(shim.fingerprint()) == 64


def test_r503_without_a_head_there_is_no_answer(build: Callable[..., Model]) -> None:
    model = build(head=False)
    with pytest.raises(ValueError, match="R503.*not trained"):
        model.predict(rows(PROMPTS))
    with pytest.raises(ValueError, match="R503"):
        model.begin_update(rows(PROMPTS))


# Answers


def test_the_head_starts_as_the_embeddings_of_the_words(build: Callable[..., Model]) -> None:
    model = build()
    shim = shim_of(model)
    assert shim.has_head
    logits, states = model.predict(rows(PROMPTS))
    words = shim.backbone.word_embeddings(WORDS).numpy()
    assert logits.shape == (4, 3) and states.shape == (4, 32)
    np.testing.assert_allclose(logits, states @ words.T, rtol=1e-4, atol=1e-5)


def test_answers_do_not_depend_on_the_batch(build: Callable[..., Model]) -> None:
    model = build()
    train(model)
    logits, states = model.predict(rows(PROMPTS))
    for i, prompt in enumerate(PROMPTS):
        alone, state = model.predict(rows([prompt]))
        np.testing.assert_allclose(alone[0], logits[i], atol=1e-4)
        np.testing.assert_allclose(state[0], states[i], atol=1e-4)


# Training


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_it_learns_a_few_prompts_by_heart(build: Callable[..., Model], tiny_t5: Path, kind: str) -> None:
    model = build()
    if kind == "seq2seq":
        model = LabelModel(Seq2SeqLM(str(tiny_t5), device="cpu", lora={"rank": 4}))
        shim_of(model).init_head(WORDS)
    before = step(model, PROMPTS, TARGETS, 4)
    train(model, steps=150)
    logits, _ = model.predict(rows(PROMPTS))
    assert logits.argmax(axis=1).tolist() == [t[0] for t in TARGETS]
    assert cross_entropy(logits, TARGETS)[0] < 0.1 * before


def test_training_changes_adapter_and_head_and_not_the_base(build: Callable[..., Model]) -> None:
    model = build()
    base = {n: p.detach().clone() for n, p in backbone_of(model).model.named_parameters() if "lora_" not in n}
    before = values(model)
    # The first step moves only one side of each adapter, since the other is zero.
    train(model, steps=2)
    after = values(model)
    assert set(after) == set(before) and {"head.weight", "head.bias"} < set(after)
    assert all((after[name] != before[name]).any() for name in after)
    for name, parameter in backbone_of(model).model.named_parameters():
        if name in base:
            assert torch.equal(parameter, base[name])


def test_two_halves_give_the_gradient_of_the_whole(build: Callable[..., Model]) -> None:
    whole, halves = build(), build()
    for model in (whole, halves):
        train(model, steps=2)
    step(whole, PROMPTS, TARGETS, 4)
    step(halves, PROMPTS[:2], TARGETS[:2], 4)
    step(halves, PROMPTS[2:], TARGETS[2:], 4)
    expected, found = shim_of(whole).parameters(), shim_of(halves).parameters()
    for name in expected:
        assert expected[name].grad.abs().sum() > 0
        torch.testing.assert_close(found[name].grad, expected[name].grad, atol=1e-5, rtol=1e-4)


def test_gradients_are_used_once(build: Callable[..., Model]) -> None:
    model = build()
    optimizer = train(model)
    before = values(model)
    model.finish_update(optimizer)
    assert all((values(model)[name] == before[name]).all() for name in before)


def test_averages_are_used_and_put_back(build: Callable[..., Model]) -> None:
    model = build()
    optimizer = train(model, steps=10)
    own = values(model)
    logits, _ = model.predict(rows(PROMPTS))
    averages = optimizer.averages
    assert averages is not None
    with model.use_params(averages):
        inside = values(model)
        averaged, _ = model.predict(rows(PROMPTS))
    assert all((inside[name] != own[name]).any() for name in own)
    assert np.abs(averaged - logits).max() > 1e-4
    assert all((values(model)[name] == own[name]).all() for name in own)
    np.testing.assert_array_equal(model.predict(rows(PROMPTS))[0], logits)


def test_averages_are_put_back_after_an_error(build: Callable[..., Model]) -> None:
    model = build()
    optimizer = train(model)
    own = values(model)
    with pytest.raises(KeyError):
        with model.use_params(optimizer.averages or {}):
            raise KeyError
    assert all((values(model)[name] == own[name]).all() for name in own)


def test_averages_of_another_model_change_nothing(build: Callable[..., Model]) -> None:
    model, other = build(), build()
    optimizer = train(other)
    own = values(model)
    with model.use_params(optimizer.averages or {}):
        assert all((values(model)[name] == own[name]).all() for name in own)


# Serialisation


def test_a_saved_model_answers_the_same(build: Callable[..., Model]) -> None:
    model = build()
    train(model)
    loaded = build(head=False)
    shim_of(loaded).from_bytes(shim_of(model).to_bytes())
    assert shim_of(loaded).has_head
    for found, expected in zip(loaded.predict(rows(PROMPTS)), model.predict(rows(PROMPTS))):
        np.testing.assert_array_equal(found, expected)
    # The other way round: bytes before and after the state was put into the model.
    assert shim_of(loaded).to_bytes() == shim_of(model).to_bytes()


def test_thinc_models_are_saved_with_their_shim(build: Callable[..., Model], tmp_path: Path) -> None:
    model = build()
    train(model)
    expected = model.predict(rows(PROMPTS))[0]
    model.to_disk(tmp_path / "model")
    for loaded in (
        build(head=False).from_bytes(model.to_bytes()),
        build(head=False).from_disk(tmp_path / "model"),
    ):
        np.testing.assert_array_equal(loaded.predict(rows(PROMPTS))[0], expected)


def test_loading_waits_for_the_first_use(build: Callable[..., Model]) -> None:
    data = shim_of(build()).to_bytes()
    loaded = build(head=False)
    shim = shim_of(loaded).from_bytes(data)
    assert shim.has_head and not backbone_of(loaded).is_loaded
    assert shim.to_bytes() == data


def test_a_loaded_model_goes_on_learning(build: Callable[..., Model]) -> None:
    model = build()
    train(model, steps=3)
    loaded = build(head=False).from_bytes(model.to_bytes())
    train(model, steps=3)
    train(loaded, steps=3)
    for name, value in values(model).items():
        np.testing.assert_allclose(values(loaded)[name], value, atol=1e-6)


def test_fingerprint_is_that_of_what_was_trained(build: Callable[..., Model], tmp_path: Path) -> None:
    model = build()
    first = shim_of(model).fingerprint()
    train(model, steps=1)
    trained = shim_of(model).fingerprint()
    assert trained != first
    loaded = build(head=False).from_bytes(model.to_bytes())
    assert shim_of(loaded).fingerprint() == trained
    loaded.predict(rows(PROMPTS))
    assert shim_of(loaded).fingerprint() == trained


def test_fingerprint_does_not_depend_on_where_the_base_lies(
    build: Callable[..., Model], tiny_llama: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_llama, tmp_path / "copy")
    here, there = build(), build(name=str(tmp_path / "copy"), head=False)
    shim_of(there).from_bytes(shim_of(here).to_bytes())
    np.testing.assert_array_equal(there.predict(rows(PROMPTS))[0], here.predict(rows(PROMPTS))[0])
    assert shim_of(there).fingerprint() == shim_of(here).fingerprint()
    assert shim_of(there).to_bytes() != shim_of(here).to_bytes()


def test_empty_bytes_are_a_model_without_a_head(build: Callable[..., Model]) -> None:
    model = build()
    shim_of(model).from_bytes(b"")
    assert not shim_of(model).has_head


def test_r107_another_base(build: Callable[..., Model], tiny_llama: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    LlamaForCausalLM(LlamaConfig.from_pretrained(tiny_llama)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(tmp_path)
    other = build(name=str(tmp_path), head=False)
    shim_of(other).from_bytes(shim_of(build()).to_bytes())
    with pytest.raises(ValueError, match="R107.*tiny-llama"):
        other.predict(rows(PROMPTS))
    # It stays an error: nothing was put into the model by halves.
    with pytest.raises(ValueError, match="R107"):
        other.predict(rows(PROMPTS))


def cut_header(data: bytes) -> bytes:
    return data[:30]


def cut_tensors(data: bytes) -> bytes:
    return data[:-10]


def only_noise(data: bytes) -> bytes:
    return bytes(range(200))


def without_base(data: bytes) -> bytes:
    return data.replace(b'"base"', b'"bass"')


def without_head(data: bytes) -> bytes:
    from safetensors.torch import load, save

    length = int.from_bytes(data[:8], "little")
    base = json.loads(data[8 : 8 + length])["__metadata__"]
    return save({name: t for name, t in load(data).items() if name != "head.bias"}, metadata=base)


@pytest.mark.parametrize("damage", [cut_header, cut_tensors, only_noise, without_base, without_head])
def test_r108_damaged_bytes(build: Callable[..., Model], damage: Callable[[bytes], bytes]) -> None:
    data = damage(shim_of(build()).to_bytes())
    model = build(head=False)
    with pytest.raises(ValueError, match="R108"):
        shim_of(model).from_bytes(data)
        model.predict(rows(PROMPTS))


def test_r108_adapter_of_other_settings(build: Callable[..., Model], tiny_llama: Path) -> None:
    other = LabelModel(CausalLM(str(tiny_llama), device="cpu", lora={"rank": 2}))
    shim_of(other).from_bytes(shim_of(build()).to_bytes())
    with pytest.raises(ValueError, match="R108.*another shape"):
        other.predict(rows(PROMPTS))


def test_nothing_that_is_loaded_is_unpickled(build: Callable[..., Model], tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    with pytest.raises(ValueError, match="R108"):
        shim_of(build(head=False)).from_bytes(pickle.dumps(Bomb()))
    assert not (tmp_path / "exploded").exists()
