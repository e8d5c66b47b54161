"""Small pipelines whose retrieval is trained, on tiny random models."""

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import pytest
import spacy
from spacy.language import Language
from spacy.training import Example
from spacy.util import fix_random_seed

NAME = "etrag_extractor"
LABELS = {"founded_by": "was founded by", "located_in": "is located in"}


@pytest.fixture(scope="session")
def make_etrag(tiny_llama: Path, tiny_bert: Path) -> Callable[..., Language]:
    """`make_etrag(k=..., preselect=...)`: tiny models, and nothing random in training."""

    def make(
        backbone: Optional[Path] = None,
        encoder: Optional[Path] = None,
        seq2seq: bool = False,
        preselect: int = 8,
        refresh_every: int = 5,
        refresh_size: int = 0,
        index: str = "flat",
        retrieval_loss: float = 0.0,
        labels: Any = LABELS,
        threshold: float = 0.0,
        multi_label: bool = False,
        backbone_settings: Optional[Dict[str, Any]] = None,
        **model: Any,
    ) -> Language:
        kind = "Seq2SeqLM" if seq2seq else "CausalLM"
        lm = {"@ragre_backbones": f"ragre.{kind}.v1", "name": str(backbone or tiny_llama), "device": "cpu"}
        reader = {"@ragre_encoders": "ragre.TextEncoder.v1", "name": str(encoder or tiny_bert), "device": "cpu"}
        config = {
            "labels": labels,
            "model": {
                "@architectures": "ragre.ETRAG.v1",
                "backbone": backbone_settings or {**lm, "lora": {"rank": 8, "alpha": 16}},
                "encoder": {**reader, "text": "marked"},
                **{"k": 2, "fresh": 8, "retriever_rate": 0.2, "label_dropout": 0.0, **model},
            },
            "preselect": preselect,
            "refresh_every": refresh_every,
            "refresh_size": refresh_size,
            "index": index,
            "retrieval_loss": retrieval_loss,
            "threshold": threshold,
            "multi_label": multi_label,
        }
        nlp = spacy.blank("en")
        nlp.add_pipe(NAME, config=config)
        return nlp

    return make


@pytest.fixture(scope="session")
def train_etrag() -> Callable[..., List[float]]:
    """`train_etrag(nlp, examples)` initialises, takes steps over all examples, and gives the losses."""

    def run(nlp: Language, examples: Sequence[Example], steps: int = 25, initialize: bool = True) -> List[float]:
        fix_random_seed(0)
        optimizer = nlp.initialize(lambda: examples) if initialize else nlp.resume_training()
        optimizer.learn_rate = 0.02
        return [nlp.update(examples, sgd=optimizer)[NAME] for _ in range(steps)]

    return run


@pytest.fixture(scope="session")
def trained_etrag(make_etrag: Any, train_etrag: Any, gold_examples: Any, tmp_path_factory: Any) -> Path:
    """The folder of a pipeline that was trained until it answers its training sentences rightly."""
    nlp = make_etrag()
    train_etrag(nlp, gold_examples(nlp))
    path = tmp_path_factory.mktemp("pipelines") / "etrag"
    nlp.to_disk(path)
    return path


@pytest.fixture
def etrag() -> Callable[[Language], Any]:
    return lambda nlp: nlp.get_pipe(NAME)
