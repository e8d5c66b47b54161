"""A training that is there is taken, unless its config or its documents changed."""

from pathlib import Path
from typing import Any, List

import pytest
import spacy

from benchmarks import training

CONFIG = '[paths]\ntrain = null\n\n[vars]\nsteps = 1\n\n[nlp]\nlang = "en"\npipeline = []\n'


def test_a_training_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.cfg").write_text(CONFIG, encoding="utf8")
    (tmp_path / "train.spacy").write_bytes(b"documents")
    done: List[Any] = []

    def train(nlp: Any, folder: Path, **settings: Any) -> None:
        done.append(nlp)
        spacy.blank("en").to_disk(folder / training.LAST)

    monkeypatch.setattr(training, "init_nlp", lambda config, use_gpu: config["vars"])
    monkeypatch.setattr(training, "train", train)

    def call(**overrides: Any) -> training.Trained:
        paths = {"paths.train": str(tmp_path / "train.spacy")}
        return training.train_once(tmp_path / "train.cfg", {**paths, **overrides}, tmp_path / "out")

    first = call()
    assert call() == first and first.minutes >= 0 and first.memory > 0 and len(done) == 1
    assert (tmp_path / "out" / training.LAST / "meta.json").is_file()
    call(**{"vars.steps": 2})
    assert len(done) == 2 and done[1]["steps"] == 2
    (tmp_path / "train.spacy").write_bytes(b"others")
    call(**{"vars.steps": 2})
    assert len(done) == 3
    # What was cut off is trained again.
    monkeypatch.setattr(training, "train", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        call(**{"vars.steps": 3})
    monkeypatch.setattr(training, "train", train)
    call(**{"vars.steps": 3})
    assert len(done) == 4
