"""The device of a component: its own setting, then --gpu-id, then what there is."""

from pathlib import Path
from typing import Iterator, List

import pytest
import torch

from spacy_ragre.llm.causal import create_causal_lm
from spacy_ragre.retrieval.encoders import create_text_encoder
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
