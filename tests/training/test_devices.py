"""The device of a component: its own setting, then --gpu-id, then what there is."""

from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
import torch

from spacy_ragre.components.pair_filter.encoders import create_huggingface_encoder
from spacy_ragre.llm.causal import create_causal_lm
from spacy_ragre.llm.seq2seq import create_seq2seq_lm
from spacy_ragre.retrieval.biomedical import create_bmretriever, create_contriever, create_medcpt
from spacy_ragre.retrieval.encoders import create_dual_encoder, create_text_encoder
from spacy_ragre.training.devices import choose_gpu, pick_device


@pytest.fixture(autouse=True)
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[List[int]]:
    """Two GPUs, as far as torch tells; the ids that were set."""
    chosen: List[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr("thinc.util.has_cupy", False)
    yield chosen
    choose_gpu(None)


def test_gpu_id_and_device_agree(gpus: List[int]) -> None:
    assert pick_device("auto") == "cuda"
    choose_gpu(1)
    assert gpus == [1] and pick_device("auto") == "cuda:1"
    choose_gpu(-1)
    assert pick_device("auto") == "cpu"
    # An explicit device wins.
    assert pick_device("cuda:0") == "cuda:0"
    choose_gpu(None)
    assert pick_device("auto") == "cuda"


def test_models_and_encoders_ask(tiny_encoder: Path) -> None:
    choose_gpu(-1)
    assert str(create_causal_lm("none").device) == "cpu"
    assert str(create_causal_lm("none", device="cuda:0").device) == "cuda:0"
    # On a GPU that is not really there, these would fail.
    encoder = create_text_encoder(str(tiny_encoder))
    assert str(encoder.model.device) == "cpu"


def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"\[R615\].*finds 2 GPUs"):
        choose_gpu(2)


MAKERS: List[Callable[..., Any]] = [
    create_causal_lm,
    partial(create_seq2seq_lm, "none"),
    create_text_encoder,
    create_dual_encoder,
    create_bmretriever,
    create_contriever,
    create_medcpt,
    create_huggingface_encoder,
]


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", None])
@pytest.mark.parametrize("make", MAKERS)
def test_r122_a_device_that_is_none(make: Callable[..., Any], device: Any) -> None:
    with pytest.raises(ValueError, match=rf"R122\].*Device {device!r}"):
        make(device=device)


@pytest.mark.parametrize("make", MAKERS)
def test_a_device_of_another_machine_is_no_error_before_it_is_used(make: Callable[..., Any]) -> None:
    make(device="cuda:7")


@pytest.mark.skipif(torch.version.cuda is not None, reason="torch may find a GPU")
@pytest.mark.parametrize("make", [create_text_encoder, create_huggingface_encoder])
def test_r123_a_device_that_is_not_there(make: Callable[..., Any], tiny_encoder: Path) -> None:
    encoder = make(str(tiny_encoder), device="cuda:1")
    for _ in range(2):  # an encoder that is nowhere is not taken for a loaded one
        with pytest.raises(OSError, match=r"R123\].*'cuda:1'"):
            encoder.model  # noqa: B018
