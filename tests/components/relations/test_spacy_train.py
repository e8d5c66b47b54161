"""Training with `spacy train`: from a corpus on disk to a pipeline that a fresh process loads, and on from there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
import spacy
from spacy.cli.train import train as spacy_train
from spacy.tokens import DocBin
from thinc.api import Config
from typer.testing import CliRunner

from spacy_ragre.cli import ragre_cli
from spacy_ragre.corpora.jsonl import write_jsonl
from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"

CONFIG = """
[nlp]
lang = "en"
pipeline = ["rag_relation_extractor"]

[components]

[corpora]

[corpora.train]
@readers = "ragre.Corpus.v1"
path = ${paths.train}

[corpora.dev]
@readers = "ragre.Corpus.v1"
path = ${paths.dev}

[paths]
train = ""
dev = ""

[training]
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"
max_steps = 12
eval_frequency = 6
accumulate_gradient = 2
seed = 0
gpu_allocator = null

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 8

[training.optimizer]
@optimizers = "Adam.v1"
grad_clip = 1.0
"""

READ = """
import json, sys
import spacy
from spacy.tokens import DocBin
from spacy_ragre.corpora.reader import copy_input

nlp = spacy.load(sys.argv[1])
docs = nlp.pipe([copy_input(doc) for doc in DocBin().from_disk(sys.argv[2]).get_docs(nlp.vocab)])
print(json.dumps([[[r.head.text, r.label, r.tail.text, round(r.score, 4)] for r in d._.relations] for d in docs]))
"""


def train(folder: Path, corpus: Path, component: Dict[str, Any], learn_rate: float = 0.02, **training: Any) -> None:
    """What `spacy train` does, into the subfolder "out", with a log in "log.jsonl"."""
    config = Config().from_str(CONFIG, interpolate=False)
    config["components"][NAME] = component
    config["training"]["logger"] = {"@loggers": "spacy.ConsoleLogger.v3", "output_file": str(folder / "log.jsonl")}
    config["training"]["optimizer"]["learn_rate"] = learn_rate
    config["training"].update(training)
    config.to_disk(folder / "config.cfg")
    overrides = {"paths.train": str(corpus), "paths.dev": str(corpus)}
    spacy_train(folder / "config.cfg", folder / "out", overrides=overrides)


def first_loss(log: Path) -> float:
    return json.loads(log.read_text().splitlines()[0])["losses"][NAME]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, gold_docs) -> Path:
    nlp = spacy.blank("en")
    path = tmp_path_factory.mktemp("corpus") / "train.spacy"
    DocBin(docs=gold_docs(nlp), store_user_data=True).to_disk(path)
    return path


@pytest.fixture(scope="module")
def output(tmp_path_factory, make_nlp, corpus) -> Path:
    """The folder that `spacy train` wrote."""
    folder = tmp_path_factory.mktemp("train")
    settings = make_nlp(labels={}).config["components"][NAME]
    train(folder, corpus, settings)
    return folder


def test_scores_appear_and_the_best_model_is_right(output, corpus):
    meta = json.loads((output / "out" / "model-best" / "meta.json").read_text())
    assert meta["performance"]["rels_micro_f"] == 1.0
    assert set(meta["performance"]["rels_per_type"]) == {"founded_by", "located_in"}
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["losses"][NAME] < rows[0]["losses"][NAME] * 6 / 10


def test_best_model_gives_the_same_in_a_fresh_process(output, corpus):
    path = output / "out" / "model-best"
    nlp = spacy.load(path)
    docs = list(DocBin().from_disk(corpus).get_docs(nlp.vocab))
    expected = [
        [[r.head.text, r.label, r.tail.text, round(r.score, 4)] for r in doc._.relations]
        for doc in nlp.pipe([copy_input(doc) for doc in docs])
    ]
    env = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-c", READ, str(path), str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == expected
    gold = [[(r.head.text, r.label, r.tail.text) for r in doc._.relations] for doc in docs]
    assert [[tuple(row[:3]) for row in rows] for rows in expected] == gold


def test_training_goes_on_from_a_saved_model(output, corpus, component, tmp_path):
    """Resuming keeps labels, head and examples, and the loss goes on from where it was."""
    source = output / "out" / "model-last"
    # The optimizer starts anew and its first steps are as large as the learning rate.
    train(tmp_path, corpus, {"source": str(source)}, learn_rate=0.001, max_steps=3, eval_frequency=3)
    before, after = spacy.load(source), spacy.load(tmp_path / "out" / "model-last")
    assert component(after).labels == component(before).labels
    assert component(after).predictor.trained
    assert len(component(after).predictor.pending) == len(component(before).predictor.pending) == 8
    assert first_loss(tmp_path / "log.jsonl") < first_loss(output / "log.jsonl") / 2
    meta = json.loads((tmp_path / "out" / "model-last" / "meta.json").read_text())
    assert meta["performance"]["rels_micro_f"] == 1.0


def test_the_general_config_trains_on_the_interchange_format(gold_docs, tiny_llama, tmp_path, capsys):
    """The commands of the README, on a corpus with labels that no config names."""
    config = Path(__file__).parents[3] / "configs" / "rag_relations.cfg"
    write_jsonl(gold_docs(spacy.blank("en")), tmp_path / "corpus.jsonl")
    binary, dev, best = tmp_path / "train.spacy", tmp_path / "dev.spacy", tmp_path / "out" / "model-best"
    own = {"backbone": str(tiny_llama), "device": "cpu", "max_steps": 4, "eval_frequency": 2}
    overrides = {"paths.train": str(binary), "paths.dev": str(dev), **{f"vars.{k}": v for k, v in own.items()}}
    split = ["convert", tmp_path / "corpus.jsonl", binary, "--format", "jsonl", "--dev", dev, "--dev-share", "0.25"]
    assert CliRunner().invoke(ragre_cli, list(map(str, split))).exit_code == 0
    spacy_train(config, tmp_path / "out", overrides=overrides)
    assert "RELS_MICRO_F" in capsys.readouterr().out.upper()
    assert CliRunner().invoke(ragre_cli, ["calibrate", str(best), str(dev)]).exit_code == 0
    nlp = spacy.load(best)
    assert set(nlp.get_pipe(NAME).labels) == {"founded_by", "located_in"}
    assert "rels_micro_f" in nlp.meta["performance"]
