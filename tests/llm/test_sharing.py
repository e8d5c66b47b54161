"""Language models with the same base have its weights in memory once, and nothing else in common."""

import copy
import gc
import os
import pickle
import shutil
import weakref
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
import spacy
import torch
from spacy.language import Language

from spacy_ragre.llm import CausalLM, Seq2SeqLM
from spacy_ragre.llm.base import Backbone

PIECES = ("", (), ("Microsoft was founded by Bill Gates.",))


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is not referred to goes at once; circles of references stay until somebody looks for them."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def folder(tiny_llama: Path, tmp_path: Path) -> Path:
    """The tiny model where no other test has loaded it from."""
    return Path(shutil.copytree(tiny_llama, tmp_path / "llama"))


def places(backbone: Backbone) -> List[int]:
    """Where the weights of the base are."""
    return [p.data_ptr() for name, p in backbone.model.named_parameters() if "lora" not in name]


def states(backbone: Backbone) -> Any:
    (chunk,) = backbone.pack([backbone.tokenize(PIECES)])
    with torch.no_grad():
        return backbone.states(chunk)


def adapt(backbone: Backbone, value: float) -> None:
    backbone.init_adapter()
    with torch.no_grad():
        for parameter in backbone.adapter_parameters().values():
            parameter.fill_(value)


def test_weights_are_loaded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: List[str] = []
    load = CausalLM._load_model
    monkeypatch.setattr(CausalLM, "_load_model", lambda self, path: loaded.append(path) or load(self, path))
    first, second = CausalLM(str(folder), device="cpu"), CausalLM(str(folder), device="cpu")
    assert places(first) == places(second) and len(loaded) == 1
    assert torch.equal(states(first), states(second))
    # Weights that are one parameter in the base are one here, too.
    for backbone in (first, second):
        assert backbone.model.lm_head.weight is backbone.model.get_input_embeddings().weight
    assert first.model is not second.model and first.model.config is not second.model.config


def test_adapters_stay_apart(folder: Path) -> None:
    plain, first, second = (CausalLM(str(folder), device="cpu", lora={"rank": 4, "alpha": 8}) for _ in range(3))
    before = states(plain)
    adapt(first, 0.1)
    adapt(second, -0.2)
    # For predictions, adapters are merged into the weights.
    answers = [states(first), states(second)]
    assert first._merged and second._merged
    assert torch.equal(states(plain), before)
    assert not torch.allclose(answers[0], before) and not torch.allclose(answers[0], answers[1])
    first.set_training(True)
    first.set_training(False)
    assert torch.equal(states(second), answers[1]) and torch.equal(states(first), answers[0])
    third = CausalLM(str(folder), device="cpu")
    assert torch.equal(states(third), before)
    assert not third.model.get_input_embeddings().weight.requires_grad


def test_weights_that_are_changed_are_taken_out(folder: Path) -> None:
    first, second = CausalLM(str(folder), device="cpu"), CausalLM(str(folder), device="cpu")
    before = states(second)
    first.own_weights()
    assert not set(places(first)) & set(places(second))
    assert torch.equal(states(first), before)
    with torch.no_grad():
        for parameter in first.model.parameters():
            parameter.mul_(2)
    assert torch.equal(states(second), before)
    own = places(first)
    first.own_weights()
    assert places(first) == own


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda backbone: pickle.loads(pickle.dumps(backbone))])
def test_a_copy_has_weights_of_its_own(folder: Path, copied: Callable[[Backbone], Backbone]) -> None:
    first = CausalLM(str(folder), device="cpu")
    expected = states(first)
    second = copied(first)
    assert not set(places(first)) & set(places(second))
    assert torch.equal(states(second), expected)


@pytest.mark.parametrize("settings", [{"dtype": "bfloat16"}, {"quantization": "nf4"}])
def test_other_numbers_are_other_weights(folder: Path, settings: Any) -> None:
    first = CausalLM(str(folder), device="cpu")
    second = CausalLM(str(folder), device="cpu", **settings)
    assert not set(places(first)) & set(places(second))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_files_that_changed_are_read_again(folder: Path, name: str) -> None:
    first = CausalLM(str(folder), device="cpu")
    first.load()
    os.utime(folder / name, ns=(1, 1))
    second = CausalLM(str(folder), device="cpu")
    assert not set(places(first)) & set(places(second))


def test_encoder_decoder_models_share_as_well(tiny_t5: Path) -> None:
    first, second = Seq2SeqLM(str(tiny_t5), device="cpu"), Seq2SeqLM(str(tiny_t5), device="cpu")
    assert places(first) == places(second)


def test_weights_go_with_the_last_that_uses_them(folder: Path, no_collector: None) -> None:
    first, second = CausalLM(str(folder), device="cpu"), CausalLM(str(folder), device="cpu")
    first.load()
    second.load()
    base = weakref.ref(first._base)
    del first
    gc.collect()
    assert base() is not None
    del second
    gc.collect()
    assert base() is None


def make_nlp(folder: Path) -> Language:
    nlp = spacy.blank("en")
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(folder), "device": "cpu"}
    config = {
        "labels": {"founded_by": "was founded by"},
        "model": {"@architectures": "ragre.LabelModel.v1", "backbone": backbone},
        "retriever": {
            "@ragre_retrievers": "ragre.Retriever.v1",
            "encoder": {"@ragre_encoders": "ragre.BackboneEncoder.v1"},
        },
    }
    nlp.add_pipe("rag_relation_extractor", config=config)
    return nlp


def test_pipelines_one_after_another_free_those_before(tiny_llama: Path, tmp_path: Path, no_collector: None) -> None:
    bases = []
    for number in range(4):
        nlp = make_nlp(Path(shutil.copytree(tiny_llama, tmp_path / str(number))))
        predictor: Any = nlp.get_pipe("rag_relation_extractor").predictor  # type: ignore[attr-defined]
        predictor.init_head()
        bases.append(weakref.ref(predictor.backbone._base))
        del predictor
    assert [base() is None for base in bases] == [True, True, True, False]


def test_two_pipelines_share(folder: Path) -> None:
    backbones = [make_nlp(folder).get_pipe("rag_relation_extractor").predictor.backbone for _ in range(2)]  # type: ignore[attr-defined]
    assert places(backbones[0]) == places(backbones[1])
