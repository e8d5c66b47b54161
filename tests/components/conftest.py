"""Small pipelines on a tiny random model, documents written by hand, and a pipeline that was trained on them."""

import json
import os
import random
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from spacy.util import fix_random_seed, registry
from thinc.api import Config

from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.relations import ID_KEY
from spacy_ragre.training import checkpoint  # noqa: F401  (registers the logger)

NAME = "rag_relation_extractor"

# Adam with averages, rising and falling rates, dropout, batches that a shuffle changes, and evaluations in between.
TRAINING = """
[corpora]

[corpora.train]
@readers = "ragre.Corpus.v1"
path = ${paths.train}

[corpora.dev]
@readers = "ragre.Corpus.v1"
path = ${paths.train}

[training]
seed = 1
dropout = 0.1
max_steps = 7
eval_frequency = 3
patience = 0

[training.logger]
@loggers = "ragre.Checkpoint.v1"
every = 2

[training.logger.logger]
@loggers = "spacy.ConsoleLogger.v3"

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 3

[training.optimizer]
@optimizers = "Adam.v1"
use_averages = true

[training.optimizer.learn_rate]
@schedules = "warmup_linear.v1"
warmup_steps = 3
total_steps = 9
initial_rate = 0.01
"""

LABELS = {"founded_by": "was founded by", "located_in": "is located in"}

# Text, entities, and relations as (head, label, tail): both directions of both labels, and pairs that hold none.
SENTENCES: List[Tuple[str, Sequence[Tuple[str, str]], Sequence[Tuple[int, str, int]]]] = [
    ("Acme was founded by Ann .", [("Acme", "ORG"), ("Ann", "PERSON")], [(0, "founded_by", 1)]),
    ("Globex was founded by Bob .", [("Globex", "ORG"), ("Bob", "PERSON")], [(0, "founded_by", 1)]),
    ("Cara founded Hooli .", [("Cara", "PERSON"), ("Hooli", "ORG")], [(1, "founded_by", 0)]),
    ("Dan founded Initech .", [("Dan", "PERSON"), ("Initech", "ORG")], [(1, "founded_by", 0)]),
    ("Paris is located in France .", [("Paris", "GPE"), ("France", "GPE")], [(0, "located_in", 1)]),
    ("Italy contains Rome .", [("Italy", "GPE"), ("Rome", "GPE")], [(1, "located_in", 0)]),
    ("Eve met Finn .", [("Eve", "PERSON"), ("Finn", "PERSON")], []),
    ("Gus met Hana .", [("Gus", "PERSON"), ("Hana", "PERSON")], []),
]

# It imports nothing of the suite: the pipeline has to bring what it needs, here and in the workers.
WORKERS = """
import json
import sys
import spacy
from spacy.tokens import Doc, Span

def make_docs(nlp):
    docs = []
    for i in range(6):
        doc = Doc(nlp.vocab, words=["Acme", "was", "founded", "by", f"Ann{i}", "."])
        doc.ents = [Span(doc, 0, 1, "ORG"), Span(doc, 4, 5, "PERSON")] if i != 2 else []
        docs.append(doc)
    return docs

def rows(docs):
    return [
        [
            (r.head.text, r.label, r.tail.text, round(r.score, 3), r.evidence["text"], len(r.evidence["examples"]))
            for r in doc._.relations
        ]
        for doc in docs
    ]

if __name__ == "__main__":
    nlp = spacy.load(sys.argv[1])
    # The model has been at work in this process before the others start.
    expected = rows(nlp.pipe(make_docs(nlp)))
    found = rows(nlp.pipe(make_docs(nlp), n_process=2, batch_size=2))
    assert found == expected, (found, expected)
    print(json.dumps([len(row) for row in found]))
"""

MakeDoc = Callable[..., Doc]
MakeNlp = Callable[..., Language]


@pytest.fixture(scope="session")
def make_doc() -> MakeDoc:
    """`make_doc(nlp, text, ents, relations, id)`: entities are looked for in the text one after the other."""

    def make(
        nlp: Language,
        text: str,
        ents: Sequence[Tuple[str, str]] = (),
        relations: Optional[Sequence[Tuple[int, str, int]]] = None,
        id: str = "",
    ) -> Doc:
        doc = nlp.make_doc(text)
        spans, start = [], 0
        for words, label in ents:
            start = text.index(words, start)
            span = doc.char_span(start, start + len(words), label=label)
            assert span is not None, words
            spans.append(span)
            start += len(words)
        doc.set_ents(spans)
        if relations is not None:
            doc._.relations = [{"head": spans[h], "tail": spans[t], "label": label} for h, label, t in relations]
        if id:
            doc.user_data[ID_KEY] = id
        return doc

    return make


@pytest.fixture(scope="session")
def gold_docs(make_doc: MakeDoc) -> Callable[[Language], List[Doc]]:
    """The sentences above as annotated documents."""
    return lambda nlp: [make_doc(nlp, *sentence) for sentence in SENTENCES]


@pytest.fixture(scope="session")
def gold_examples(gold_docs: Callable[[Language], List[Doc]]) -> Callable[[Language], List[Example]]:
    """The sentences above as training examples, whose predicted documents have the entities."""
    return lambda nlp: [Example(copy_input(doc), doc) for doc in gold_docs(nlp)]


@pytest.fixture(scope="session")
def make_nlp(tiny_llama: Path) -> MakeNlp:
    """`make_nlp(labels=..., ...)`: a pipeline with the component on the tiny model; keys from its own states."""

    def make(backbone: Optional[Path] = None, lang: str = "en", **settings: Any) -> Language:
        config: Dict[str, Any] = {
            "labels": LABELS,
            "weights": None,
            "model": {
                "@architectures": "ragre.LabelModel.v1",
                "backbone": {
                    "@ragre_backbones": "ragre.CausalLM.v1",
                    "name": str(backbone or tiny_llama),
                    "device": "cpu",
                    "lora": {"rank": 8, "alpha": 16},
                },
            },
            "prompt": {"@ragre_prompts": "ragre.Relation.v1", "instruction": False},
            "retriever": {
                "@ragre_retrievers": "ragre.Retriever.v1",
                "encoder": {"@ragre_encoders": "ragre.BackboneEncoder.v1"},
            },
            "n_examples": 0,
        }
        config.update(settings)
        nlp = spacy.blank(lang)
        nlp.add_pipe(NAME, config=config)
        return nlp

    return make


@pytest.fixture(scope="session")
def train() -> Callable[..., List[float]]:
    """`train(nlp, examples)` initialises, takes steps over all examples, and gives the losses."""

    def run(
        nlp: Language,
        examples: Sequence[Example],
        steps: int = 15,
        learn_rate: float = 0.02,
        seed: int = 0,
        initialize: bool = True,
    ) -> List[float]:
        fix_random_seed(seed)
        optimizer = nlp.initialize(lambda: examples) if initialize else nlp.resume_training()
        optimizer.learn_rate = learn_rate
        losses = []
        for _ in range(steps):
            losses.append(nlp.update(examples, sgd=optimizer)[NAME])
        return losses

    return run


@pytest.fixture(scope="session")
def trained(
    make_nlp: MakeNlp, gold_examples: Any, train: Callable[..., List[float]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a pipeline that was trained until it answers its training sentences rightly."""
    nlp = make_nlp()
    train(nlp, gold_examples(nlp))
    path = tmp_path_factory.mktemp("pipelines") / "trained"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="session")
def other_llama(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """A model like the tiny one, with other weights."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

    path = tmp_path_factory.mktemp("models") / "other-llama"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        LlamaForCausalLM(AutoConfig.from_pretrained(tiny_llama)).save_pretrained(path)
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def tiny_bert(make_bert: Callable[..., Path]) -> Path:
    """A BERT with room for a sentence."""
    return make_bert(128)


@pytest.fixture(scope="session")
def reader_files(make_bert: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, Path]:
    """Folders of a small encoder that knows the words below, and of random weights of a reader of open labels on it."""
    import torch

    from spacy_ragre.components.relations.open_labels import save_weights
    from spacy_ragre.components.relations.open_reader import OpenReader
    from spacy_ragre.files import file_hash

    texts = [text for text, _, _ in SENTENCES] + list(LABELS.values()) + ["head tail is related to wrote met saw ORG"]
    words = sorted({word for text in texts for word in text.lower().split()})
    encoder = make_bert(64, words=words, width=32)
    folder = tmp_path_factory.mktemp("reader")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vocab = len((encoder / "vocab.txt").read_text(encoding="utf8").splitlines())
        sizes: Dict[str, Any] = {"width": 32, "heads": 2, "inner": 64, "layers": 2, "views": (16, 16, 32), "fuse": 16}
        save_weights(OpenReader(vocab=vocab, pair_layers=1, **sizes), folder / "open_reader.safetensors")
    about = {
        "sha256": file_hash(folder / "open_reader.safetensors"),
        "calibration": {kind: {"slope": 0.5, "offset": -1.0} for kind in ("types", "no_types")},
        "decision": {"types": 0.3, "no_types": 0.2},
    }
    (folder / "open_reader.json").write_text(json.dumps(about), encoding="utf8")
    return encoder, folder


@pytest.fixture
def open_settings(reader_files: Tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Dict[str, Any]:
    """Settings of a component that answers by the small reader, and learns it."""
    encoder, folder = reader_files
    monkeypatch.setattr("spacy_ragre.components.relations.open_shim.locate", lambda name: encoder)
    return {"answer": "open", "weights": str(folder)}


@pytest.fixture(scope="session")
def text_retriever(tiny_bert: Path) -> Dict[str, Any]:
    """Settings of a retriever with a sentence encoder."""
    encoder = {"@ragre_encoders": "ragre.TextEncoder.v1", "name": str(tiny_bert), "text": "marked", "device": "cpu"}
    return {"@ragre_retrievers": "ragre.Retriever.v1", "encoder": encoder}


@pytest.fixture(scope="session")
def found() -> Callable[[Iterable[Doc]], List[List[Tuple[str, str, str]]]]:
    """The relations of documents as (head text, label, tail text), sorted."""
    return lambda docs: [sorted((r.head.text, r.label, r.tail.text) for r in doc._.relations) for doc in docs]


@pytest.fixture(scope="session")
def plain() -> Callable[[Iterable[Doc]], List[Any]]:
    """All that is known of documents' relations, with scores to four decimals."""

    def collect(docs: Iterable[Doc]) -> List[Any]:
        return [
            [
                (r.head.start, r.head.end, r.label, r.tail.start, r.tail.end, round(r.score, 4), r.evidence["text"])
                + tuple(example["text"] for example in r.evidence["examples"])
                for r in sorted(doc._.relations, key=lambda r: (r.head.start, r.tail.start, r.label))
            ]
            for doc in docs
        ]

    return collect


class Killed(Exception):
    """Ends a training in the middle."""


@registry.callbacks("test.Kill.v1")
def make_kill(at: int) -> Callable[..., None]:
    def before_update(nlp: Language, args: Dict[str, int]) -> None:
        if args["step"] == at:
            raise Killed

    return before_update


@pytest.fixture
def spacy_training(tmp_path: Path) -> Callable[..., Tuple[Language, List[str]]]:
    """`spacy_training(nlp, docs, "out")` does what `spacy train` does with the pipeline's settings and a checkpoint, in
    a folder of that name, and gives the pipeline and the lines that it wrote. It may be killed before a step.
    """

    def run(
        nlp: Language, docs: Sequence[Doc], name: str, kill_at: Optional[int] = None, **training: Any
    ) -> Tuple[Language, List[str]]:
        corpus = tmp_path / f"{name}.spacy"
        DocBin(docs=docs, store_user_data=True).to_disk(corpus)
        config = nlp.config.merge(Config().from_str(TRAINING, interpolate=False))
        config["paths"]["train"] = str(corpus)
        config["training"].update(training)
        config["training"]["logger"]["path"] = str(tmp_path / name / "checkpoint")
        if kill_at is not None:
            config["training"]["before_update"] = {"@callbacks": "test.Kill.v1", "at": kill_at}
        out = StringIO()
        (tmp_path / name).mkdir(exist_ok=True)
        trained = init_nlp(config)
        try:
            train_loop(trained, tmp_path / name, stdout=out, stderr=out)
        except Killed:
            assert kill_at is not None
        return trained, out.getvalue().splitlines()

    return run


def state_of(nlp: Language, name: str) -> Any:
    """All that a component saves: weights in lists, since the header of their file comes in any order."""
    pipe: Any = nlp.get_pipe(name)
    shims = [shim for model in pipe.model.walk() for shim in model.shims]
    weights = [{key: value.tolist() for key, value in shim.parameters().items()} for shim in shims]
    return weights, pipe.to_bytes(exclude=["model"])


@pytest.fixture
def check_resuming(spacy_training: Any, tmp_path: Path) -> Callable[..., None]:
    """`check_resuming(nlp, docs, name)`: a training that is killed twice comes to the weights and scores of one that is
    not, bit by bit.
    """

    def check(nlp: Language, docs: Sequence[Doc], name: str, **training: Any) -> None:
        whole, lines = spacy_training(nlp, docs, "whole", **training)
        first, second = sorted(random.Random(name).sample(range(2, 7), 2))
        spacy_training(nlp, docs, "killed", first, **training)
        # It is killed again while it passes through what was done, or after it.
        spacy_training(nlp, docs, "killed", second, **training)
        resumed, again = spacy_training(nlp, docs, "killed", **training)
        assert state_of(resumed, name) == state_of(whole, name)
        said = [line for line in again if line.startswith("Goes on after step")]
        assert len(said) == 1 and f"step {second // 2 * 2} from" in said[0]
        table = [[line for line in text if re.match(r" +\d+ +\d+ ", line)] for text in (lines, again)]
        assert len(table[0]) == 3 and table[0] == table[1]
        best = [state_of(spacy.load(tmp_path / run / "model-best"), name) for run in ("whole", "killed")]
        assert best[0] == best[1]
        # It ended by itself, so that there is nothing to go on from.
        assert not (tmp_path / "killed" / "checkpoint").exists()

    return check


@pytest.fixture
def on_gpu() -> Callable[[Language], Language]:
    """`on_gpu(nlp)`: a pipeline with the same component, all of whose models are on a GPU (or on what RAGRE_TEST_DEVICE
    says). The test is skipped where there is none.
    """
    device = os.environ.get("RAGRE_TEST_DEVICE", "cuda")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")

    def moved(settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        return {key: device if key == "device" else moved(value) for key, value in settings.items()}

    def make(nlp: Language) -> Language:
        (name,) = nlp.pipe_names
        config = moved(nlp.get_pipe_config(name))
        other = spacy.blank("en")
        other.add_pipe(config.pop("factory"), name=name, config=config)
        return other

    return make


@pytest.fixture
def component() -> Callable[[Language], Any]:
    return lambda nlp: nlp.get_pipe(NAME)


@pytest.fixture(scope="session")
def in_processes() -> Callable[[Path], List[int]]:
    """The number of relations that a saved pipeline finds in each of six documents, after it was seen that two worker
    processes find the same as one. With as many threads as a user has: a worker must not wait for its parent's threads.
    """

    def run(path: Path) -> List[int]:
        env = {**os.environ, "OMP_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "false"}
        command = [sys.executable, "-c", WORKERS, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return run
