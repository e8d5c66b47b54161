"""Clinical sentences written by hand, and pipelines with the supplement component on tiny random models."""

from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_ragre.corpora.reader import copy_input

NAME = "supplement_usage_classifier"
S, E = "SUPPLEMENT", "EVENT"

# Text, mentions with the usage of supplements, relations as (supplement, label, event).
SENTENCES: List[Any] = [
    ("Takes zinc for colds .", [("zinc", S, "continuing"), ("colds", E, "")], [(0, "positive", 1)]),
    ("Stopped iron due to nausea .", [("iron", S, "discontinued"), ("nausea", E, "")], [(0, "negative", 1)]),
    ("Start biotin today .", [("biotin", S, "started")], []),
    ("Asks about kava for sleep .", [("kava", S, "uncertain"), ("sleep", E, "")], [(0, "positive", 1)]),
    (
        "Takes fish oil , no rash ; stopped zinc .",
        [("fish oil", S, "continuing"), ("rash", E, ""), ("zinc", S, "discontinued")],
        [(0, "not_related", 1), (2, "not_related", 1)],
    ),
    ("Takes iron .", [("iron", S, "continuing")], []),
    ("Denies pain and fever .", [("pain", E, ""), ("fever", E, "")], []),
]

MakeNlp = Callable[..., Language]


def annotate(doc: Doc, mentions: Any, relations: Any, id: str = "") -> Doc:
    spans, start = [], 0
    for words, label, usage in mentions:
        start = doc.text.index(words, start)
        span = doc.char_span(start, start + len(words), label=label)
        assert span is not None
        spans.append((span, usage))
        start += len(words)
    doc.set_ents([span for span, _ in spans], default="outside")
    for span, usage in spans:
        if usage:
            span._.usage = usage
    ends = [span for span, _ in spans]
    doc._.relations = [{"head": ends[h], "tail": ends[t], "label": label} for h, label, t in relations]
    doc._.triples = [(ends[h].text, lb, ends[t].text) for h, lb, t in relations if lb != "not_related"]
    return doc


@pytest.fixture(scope="session")
def gold() -> Callable[[Language], List[Doc]]:
    """The sentences as annotated documents."""
    return lambda nlp: [annotate(nlp.make_doc(text), *rest) for text, *rest in SENTENCES]


@pytest.fixture(scope="session")
def gold_examples_of(gold: Any) -> Callable[[Language], List[Example]]:
    """The sentences as examples whose predicted documents have the mentions."""
    return lambda nlp: [Example(copy_input(doc), doc) for doc in gold(nlp)]


@pytest.fixture(scope="session")
def make_supplements(tiny_llama: Path, tiny_bert: Path) -> MakeNlp:
    """`make_supplements(tasks=[...], ...)`: a pipeline with the component on tiny models, without instruction."""

    def make(backbone: Any = None, dropout: float = 0.0, **settings: Any) -> Language:
        lora = {"rank": 32, "alpha": 64, "dropout": dropout}
        config: Dict[str, Any] = {
            "tasks": ["ner", "re", "te", "uc"],
            "n_examples": 0,
            "model": {
                "@architectures": "ragre.MultiTaskModel.v1",
                "backbone": {
                    "@ragre_backbones": "ragre.CausalLM.v1",
                    "name": str(backbone or tiny_llama),
                    "device": "cpu",
                    "lora": lora,
                },
            },
            "prompt": {"@ragre_prompts": "ragre.Supplements.v1", "instruction": False},
            "retriever": {
                "@ragre_retrievers": "ragre.Retriever.v1",
                "encoder": {
                    "@ragre_encoders": "ragre.TextEncoder.v1",
                    "name": str(tiny_bert),
                    "text": "response",
                    "device": "cpu",
                },
            },
        }
        config.update(settings)
        nlp = spacy.blank("en")
        nlp.add_pipe(NAME, config=config)
        return nlp

    return make


@pytest.fixture(scope="session")
def train_supplements() -> Callable[..., List[float]]:
    """`train_supplements(nlp, examples)` initialises, takes steps over all examples, and gives the losses."""

    def run(nlp: Language, examples: List[Example], steps: int = 60, learn_rate: float = 0.01) -> List[float]:
        fix_random_seed(0)
        optimizer = nlp.initialize(lambda: examples)
        optimizer.learn_rate = learn_rate
        return [nlp.update(examples, sgd=optimizer)[NAME] for _ in range(steps)]

    return run


@pytest.fixture(scope="session")
def trained_supplements(
    make_supplements: MakeNlp, gold_examples_of: Any, train_supplements: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a pipeline that was trained on the sentences, on all tasks."""
    nlp = make_supplements()
    train_supplements(nlp, gold_examples_of(nlp))
    path = tmp_path_factory.mktemp("pipelines") / "supplements"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="session")
def all_of() -> Callable[[Any], List[Any]]:
    """All that the component writes, with scores to four decimals."""

    def collect(docs: Any) -> List[Any]:
        return [
            (
                [(e.start, e.end, e.label_, e._.usage, round(e._.usage_score or 0, 4)) for e in doc.ents],
                sorted((r.head.start, r.label, r.tail.start, round(r.score, 4)) for r in doc._.relations),
                doc._.triples,
            )
            for doc in docs
        ]

    return collect
