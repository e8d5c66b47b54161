"""Training on several processes: they come to the losses and weights of one, and go on from its checkpoints."""

import itertools
import json
import os
import random
import socket
import traceback
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_ragre.cli.train import _begin_together, _own_gpu, train
from spacy_ragre.components.base import Component
from spacy_ragre.components.pair_filter.transformer_encoder import TransformerEncoder
from spacy_ragre.training import checkpoint, parallel  # noqa: F401  (registers the logger)
from spacy_ragre.training.parallel import from_first, own_share, process_group, same_draws, sum_gradients, total

NAMES = ("pair_candidate_filter", "rag_relation_extractor")
# An extractor up to its language model, and what follows that.
EXTRACTOR = """
[components.rag_relation_extractor]
factory = "rag_relation_extractor"
answer = "head"
weights = null
n_examples = 0

[components.rag_relation_extractor.model]
@architectures = "ragre.LabelModel.v1"

[components.rag_relation_extractor.model.backbone]
@ragre_backbones = "ragre.CausalLM.v1"
name = {llama}
device = "cpu"
lora = {{"rank": 4, "alpha": 8, "dropout": 0.0}}
"""
LEARNING = """
[components.rag_relation_extractor.retriever]
@ragre_retrievers = "ragre.Retriever.v1"

[components.rag_relation_extractor.retriever.encoder]
@ragre_encoders = "ragre.BackboneEncoder.v1"

[corpora]

[corpora.train]
@readers = "ragre.Corpus.v1"
path = ${{paths.train}}

[corpora.dev]
@readers = "ragre.Corpus.v1"
path = ${{paths.train}}

[training]
seed = 0
gpu_allocator = null
dropout = 0.0
max_steps = 6
eval_frequency = 2

[training.logger]
@loggers = "ragre.Checkpoint.v1"
path = {checkpoint}
every = 3

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 5

[training.optimizer]
@optimizers = "Adam.v1"
learn_rate = 0.01
"""
FILTERED = """
[paths]
train = null

[nlp]
lang = "en"
pipeline = ["pair_candidate_filter", "rag_relation_extractor"]

[components]

[components.pair_candidate_filter]
factory = "pair_candidate_filter"
label_weight = 0.5

[components.pair_candidate_filter.model]
@architectures = "ragre.PairFilter.v1"
hidden = 16
block = 8

[components.pair_candidate_filter.model.encoder]
@architectures = "ragre.HuggingFaceEncoder.v1"
name = {bert}
device = "cpu"
"""
CONFIG = FILTERED + EXTRACTOR + LEARNING


def in_processes(count: int, work: Callable[[], Any]) -> List[int]:
    """Call something in forked processes, as a launcher would start them. RETURNS (List[int]): their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
            os.environ.update(place, RANK=str(number), LOCAL_RANK=str(number))
            try:
                with process_group():
                    work()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def test_one_process_is_as_it_was() -> None:
    assert (parallel.processes(), parallel.rank(), total(2.5), from_first(lambda: 3)) == (1, 0, 2.5, 3)
    assert own_share(range(7)) == range(7)
    parameter = torch.nn.Parameter(torch.ones(2))
    sum_gradients([parameter])
    state = random.getstate()
    with process_group(), same_draws():
        assert random.getstate() == state and parameter.grad is None


def test_shares_are_all_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    for size, count in ((2, 7), (3, 2), (4, 0)):
        monkeypatch.setattr(parallel._group, "size", size)
        rows: List[int] = []
        for number in range(size):
            monkeypatch.setattr(parallel._group, "rank", number)
            rows.extend(own_share(range(count)))
        assert rows == list(range(count))


def collectives() -> None:
    """What two processes tell one another."""
    first = parallel.rank() == 0
    assert total(1.5 if first else 2.0) == 3.5
    own = [
        torch.nn.Parameter(torch.zeros(2, 2)),
        torch.nn.Parameter(torch.zeros(3)),
        torch.nn.Parameter(torch.zeros(1)),
    ]
    own[0].grad = torch.full((2, 2), 1.0 if first else 2.0)
    if first:
        own[1].grad = torch.ones(3)
    sum_gradients(own)
    assert own[0].grad.tolist() == [[3, 3], [3, 3]] and own[2].grad is None
    assert own[1].grad is not None and own[1].grad.tolist() == [1, 1, 1]
    assert from_first(lambda: {"rank": parallel.rank()}) == {"rank": 0}
    with pytest.raises(ValueError, match="the first one's"):
        from_first(lambda: (_ for _ in ()).throw(ValueError("the first one's")))
    random.seed(0)
    torch.manual_seed(0)
    with same_draws():
        drawn = torch.rand(1).item()
        for _ in range(1 + parallel.rank()):
            random.random()
    # Dropout is each one's own, and what all draw is the same again.
    assert total(drawn) != pytest.approx(2 * drawn, abs=1e-6)
    drawn = random.random()
    assert total(drawn) == pytest.approx(2 * drawn, abs=1e-12)


def write_corpus(path: Path, meeting: str, places: Sequence[str] = ()) -> None:
    """Write eight documents, of which the first four hold a relation.

    meeting (str): the others' text.
    places (Sequence[str]): further entities of these.
    """
    nlp = spacy.blank("en")
    docs = []
    for i, (head, tail) in enumerate([("Acme", "Ann"), ("Globex", "Bob"), ("Hooli", "Cara"), ("Umbra", "Dan")] * 2):
        text = (f"{head} was founded by {tail} ." if i < 4 else meeting).format(head=head, tail=tail, i=i)
        doc = nlp.make_doc(text)
        named = [(head, "ORG"), (tail, "PERSON"), *((place, "GPE") for place in places if i >= 4)]
        starts = [text.index(name) for name, _ in named]
        doc.ents = [doc.char_span(s, s + len(name), label) for s, (name, label) in zip(starts, named)]
        relation = {"head": doc.ents[0], "tail": doc.ents[1], "label": "founded_by"}
        doc._.relations = [relation] if i < 4 else []
        docs.append(doc)
    DocBin(docs=docs, store_user_data=True).to_disk(path)


def run_training(folder: Path, corpus: Path, steps: int, patch: pytest.MonkeyPatch) -> None:
    """Train by a folder's config. The first process writes the losses of this run into the folder."""
    if parallel.rank() == 0:
        (folder / "log.jsonl").unlink(missing_ok=True)
        log = {"@loggers": "spacy.ConsoleLogger.v3", "output_file": str(folder / "log.jsonl")}
        patch.setattr(import_module("spacy_ragre.cli.train"), "PROGRESS", log)
    overrides = {"paths.train": str(corpus), "training.max_steps": steps}
    train(folder / "config.cfg", folder, overrides=overrides, patience=0)


@contextmanager
def killed_before(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop what trains before its update of this number, from 0."""
    updates = itertools.count()
    update = Component.update

    def counted(self: Component, *args: Any, **settings: Any) -> Dict[str, float]:
        if next(updates) == number:
            raise KeyboardInterrupt
        return update(self, *args, **settings)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Component, "update", counted)
        yield


def losses_of(folder: Path) -> List[Dict[str, float]]:
    return [json.loads(line)["losses"] for line in (folder / "log.jsonl").read_text(encoding="utf8").splitlines()]


def test_two_processes_learn_what_one_does(
    tiny_llama: Path, make_bert: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "train.spacy", "{head} met {tail} in Rome on day {i} .")
    bert = make_bert(128)
    config = json.loads((bert / "config.json").read_text(encoding="utf8"))
    config.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    (bert / "config.json").write_text(json.dumps(config), encoding="utf8")

    for name in ("whole", "one", "two"):
        (tmp_path / name).mkdir()
        paths = {"bert": bert, "llama": tiny_llama, "checkpoint": tmp_path / name / "checkpoint"}
        filled = CONFIG.format(**{key: json.dumps(str(path)) for key, path in paths.items()})
        (tmp_path / name / "config.cfg").write_text(filled, encoding="utf8")

    def run(name: str) -> None:
        run_training(tmp_path / name, tmp_path / "train.spacy", 6, monkeypatch)

    def killed(name: str) -> None:
        with killed_before(2 * 4, monkeypatch):  # of two components: in the fifth step
            run(name)

    def two() -> None:
        collectives()
        killed("two")

    run("whole")
    assert in_processes(2, two) == [0, 0]
    whole, both = losses_of(tmp_path / "whole"), losses_of(tmp_path / "two")
    assert len(whole) == 4 and whole[-1]["rag_relation_extractor"] < whole[0]["rag_relation_extractor"]
    for name in NAMES:
        expected = [row[name] for row in whole[: len(both)]]
        assert len(both) == 2 and [row[name] for row in both] == pytest.approx(expected, abs=1e-3)
    # A checkpoint of two processes goes on in one, and of one in two.
    run("two")
    killed("one")
    assert in_processes(2, lambda: run("one")) == [0, 0]
    for folder in ("one", "two"):
        assert not (tmp_path / folder / "checkpoint").exists()
        assert weights(tmp_path / folder) == pytest.approx(weights(tmp_path / "whole"), abs=1e-3)


def weights(folder: Path) -> Any:
    """RETURNS (numpy.ndarray): all that was trained, one after the other."""
    nlp = spacy.load(folder / "model-last")
    shims: List[Any] = [nlp.get_pipe(name).model.shims[0] for name in NAMES]  # type: ignore[attr-defined]
    return np.concatenate([p.detach().numpy().ravel() for shim in shims for _, p in sorted(shim.parameters().items())])


def test_what_several_processes_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    with pytest.warns(UserWarning, match=r"W771\] accelerate started a single process"), process_group():
        pass
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match=r"R776\] Can't join the 2 processes.*RANK"):
        with process_group():
            pass
    nlp = spacy.blank("en")
    pipe: Any = nlp.add_pipe("pair_candidate_filter")
    # As `spacy train` under a launcher.
    with pytest.warns(UserWarning, match=r"W770\] 2 processes were started"):
        pipe._check_training(lambda: [Example(nlp.make_doc("a"), nlp.make_doc("a"))])
    monkeypatch.setattr(parallel._group, "size", 2)
    pipe.shim.encoder = object.__new__(TransformerEncoder)
    with pytest.raises(ValueError, match=r"R775\] pair_candidate_filter reads the states of another component"):
        pipe._learn([])
    nlp.config["training"]["seed"] = None
    with pytest.raises(ValueError, match=r"R770\] Training on several processes needs"):
        _begin_together(nlp)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (_own_gpu(None), _own_gpu(-1)) == (1, -1)
    with pytest.raises(ValueError, match=r"R323\] --gpu-id needs a single process: each of the 2 processes"):
        _own_gpu(0)
