"""Checkpoints: what they refuse, what a killed process leaves, and which parameters an optimizer knows."""

import itertools
import json
import os
import shutil
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from thinc.api import Config, Optimizer

from spacy_ragre.training.checkpoint import MANIFEST, PROGRESS, create_checkpoint_logger, read_checkpoint
from spacy_ragre.training.optimizers import optimizer_state, restore_optimizer

# No component of this package: a checkpoint is of all that spaCy trains.
CONFIG = """
[nlp]
lang = "en"
pipeline = ["textcat"]

[components]

[components.textcat]
factory = "textcat"

[components.textcat.model]
@architectures = "spacy.TextCatBOW.v2"
exclusive_classes = true
ngram_size = 1
no_output_layer = false

[paths]
train = null

[corpora]

[corpora.train]
@readers = "spacy.Corpus.v1"
path = ${paths.train}

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.train}

[training]
seed = 3
gpu_allocator = null
max_steps = 8
eval_frequency = 4
dropout = 0.3

[training.logger]
@loggers = "ragre.Checkpoint.v1"
every = 3

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"

[training.batcher.size]
@schedules = "compounding.v1"
start = 1
stop = 4
compound = 1.3
"""

Train = Callable[..., Any]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """`train(at=5, exits=True)`: trains in tmp_path, and ends the process before step 5."""

    def run(at: Optional[int] = None, exits: bool = False, texts: int = 6, folder: str = "out", **settings: Any) -> Any:
        config = Config().from_str(CONFIG, interpolate=False)
        docs = [spacy.blank("en")(f"text number {i} of {texts}") for i in range(texts)]
        for i, doc in enumerate(docs):
            doc.cats = {"A": float(i % 2), "B": float(i % 2 == 0)}
        corpus = tmp_path / f"{texts}.spacy"
        DocBin(docs=docs).to_disk(corpus)
        config["training"]["logger"]["path"] = str(tmp_path / folder / "checkpoint")
        config["training"].update(settings)
        config["paths"]["train"] = str(corpus)
        (tmp_path / folder).mkdir(exist_ok=True)
        nlp = init_nlp(config)
        pipe: Any = nlp.get_pipe("textcat")
        begin = at if at is None else itertools.count()
        update = pipe.update

        def counted(*args: Any, **kwargs: Any) -> Any:
            if begin is not None and next(begin) == at:
                if exits:
                    os._exit(7)
                raise KeyboardInterrupt
            return update(*args, **kwargs)

        pipe.update = counted
        out = StringIO()
        train_loop(nlp, tmp_path / folder, stdout=out, stderr=out)
        return nlp, out.getvalue()

    return run


def weights(nlp: Any) -> Dict[str, Any]:
    models = list(nlp.get_pipe("textcat").model.walk())
    return {
        f"{number} {name}": model.get_param(name)
        for number, model in enumerate(models)
        for name in model.param_names
        if model.has_param(name)
    }


def equal(first: Any, second: Any) -> bool:
    own, other = weights(first), weights(second)
    return own.keys() == other.keys() and all(np.array_equal(own[name], other[name]) for name in own)


def test_a_process_that_dies_leaves_a_checkpoint(train: Train, tmp_path: Path) -> None:
    whole, _ = train(folder="whole")
    child = os.fork()
    if child == 0:
        train(5, exits=True)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    kept = read_checkpoint(tmp_path / "out" / "checkpoint")
    assert kept is not None and (kept.step, list(kept.evaluations)) == (2, [0])
    resumed, said = train()
    assert equal(resumed, whole) and "Goes on after step 3" in said
    assert not (tmp_path / "out" / "checkpoint").exists()
    # A run that nothing is kept of begins at the beginning.
    again, said = train()
    assert equal(again, whole) and "Goes on" not in said


def test_an_interrupted_training_keeps_its_checkpoint(train: Train, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(7)
    kept = read_checkpoint(tmp_path / "out" / "checkpoint")
    assert kept is not None and kept.step == 5 and "textcat" in kept.components
    assert set(kept.optimizer) == {"mom1", "mom2", "averages", "nr_update", "last_seen"}
    # It may go on for longer than was planned.
    longer, said = train(max_steps=10)
    assert "Goes on after step 6" in said and equal(longer, train(max_steps=10, folder="whole")[0])


def test_what_a_checkpoint_refuses(train: Train, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"R774\].*every of ragre.Checkpoint.v1 is 0"):
        create_checkpoint_logger("folder", every=0)
    with pytest.raises(ValueError, match=r"R770\] A checkpoint needs \[training\] seed"):
        train(seed=None)
    with pytest.raises(KeyboardInterrupt):
        train(7)
    with pytest.raises(ValueError, match=r"R771\].*checkpoint is of other settings: \[training\] dropout differ"):
        train(dropout=0.0)
    with pytest.raises(ValueError, match=r"R772\].*after 6 steps on other documents"):
        train(texts=7)
    folder = tmp_path / "out" / "checkpoint"
    shutil.copytree(folder, tmp_path / "kept")
    for name, problem in ((PROGRESS, "progress.msgpack is not as it was written"), (MANIFEST, "Expecting value")):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2] if name == PROGRESS else b"")
        with pytest.raises(ValueError, match=rf"R773\].*damaged: {problem}.*Delete it"):
            train()
        (folder / name).write_bytes(data)
    (folder / "components" / "textcat").unlink()
    with pytest.raises(ValueError, match=r"R773\].*components/textcat"):
        train()
    # What was written as a whole is all that is there.
    assert set(json.loads((tmp_path / "kept" / MANIFEST).read_text(encoding="utf8"))) >= {
        PROGRESS,
        "components/textcat",
    }


def test_an_optimizer_knows_the_same_parameters_in_another_process() -> None:
    """Numbers of models differ from one process to another; here, from one pipeline to the next."""
    pipes: List[Any] = []
    for _ in range(2):
        nlp = spacy.blank("en")
        pipes.append(nlp.add_pipe("textcat"))
        example = Example.from_dict(nlp.make_doc("a text"), {"cats": {"A": 1.0, "B": 0.0}})
        nlp.initialize(partial(list, [example]))
    first, second = ({"textcat": pipe} for pipe in pipes)
    optimizer = Optimizer(0.1, use_averages=True)
    for model in pipes[0].model.walk():
        for name in model.param_names:
            if model.has_param(name):
                optimizer((model.id, name), model.get_param(name), model.get_param(name) + 1)
    other = Optimizer(0.1, use_averages=True)
    state = optimizer_state(optimizer, first)
    assert state["mom1"]
    restore_optimizer(other, state, second)
    assert not set(other.mom1) & set(optimizer.mom1)
    again = optimizer_state(other, second)
    assert again["nr_update"] == state["nr_update"]
    assert all(np.array_equal(again["mom2"][place], value) for place, value in state["mom2"].items())
