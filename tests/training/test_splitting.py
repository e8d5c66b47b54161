"""Language models whose weights are split among processes (`shard = true`): they learn what whole ones do."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.llm.causal import CausalLM, create_causal_lm
from spacy_ragre.llm.splitting import split_weights
from spacy_ragre.training import checkpoint, parallel  # noqa: F401  (registers the logger)

from .test_parallel import (
    EXTRACTOR,
    LEARNING,
    in_processes,
    killed_before,
    losses_of,
    run_training,
    write_corpus,
)

NAME = "rag_relation_extractor"
ALONE = """
[paths]
train = null

[nlp]
lang = "en"
pipeline = ["rag_relation_extractor"]

[components]
"""
CONFIG = ALONE + EXTRACTOR + "batch_tokens = 64\nshard = {shard}\n" + LEARNING


def backbone_of(nlp: Language) -> CausalLM:
    pipe: Any = nlp.get_pipe(NAME)
    backbone: CausalLM = pipe.predictor.backbone
    return backbone


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Documents of one pair and of six, so that processes have packed passes of unequal number."""
    meeting = "{head} met {tail} in Rome , Oslo and Bonn on day {i} ."
    write_corpus(tmp_path / "train.spacy", meeting, places=("Rome", "Oslo"))
    return tmp_path / "train.spacy"


def in_time(work: Callable[[], Any]) -> Callable[[], Any]:
    """RETURNS (Callable): the same, ended where processes wait for one another for ever."""

    def timed() -> None:
        signal.alarm(240)
        work()

    return timed


def test_split_weights_learn_what_whole_ones_do(
    tiny_llama: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("whole", "split"):
        (tmp_path / name).mkdir()
        values = {"llama": str(tiny_llama), "checkpoint": str(tmp_path / name / "checkpoint"), "shard": name == "split"}
        filled = CONFIG.format(**{key: json.dumps(value) for key, value in values.items()})
        (tmp_path / name / "config.cfg").write_text(filled, encoding="utf8")
    passes: List[int] = []
    keep_step = CausalLM.keep_step
    loaded: List[CausalLM] = []

    def counted(self: CausalLM, count: int) -> None:
        passes.append(parallel.most(count) - count)
        loaded[:] = [self]
        keep_step(self, count)

    def run(name: str) -> None:
        run_training(tmp_path / name, corpus, 4, monkeypatch)

    def split() -> None:
        monkeypatch.setattr(CausalLM, "keep_step", counted)
        with killed_before(3, monkeypatch):
            run("split")
        run("split")  # from the checkpoint
        # One process or the other had to wait for more passes, at some step.
        assert parallel.total(float(sum(passes))) > 0
        (backbone,) = loaded
        layers = [p for n, p in backbone.whole.named_parameters() if ".layers." in n and "lora_" not in n]
        held = sum(p.to_local().numel() for p in layers)
        assert held == pytest.approx(sum(p.numel() for p in layers) / 2, rel=0.05)
        assert all(type(p) is torch.nn.Parameter for p in backbone.adapter_parameters().values())

    run("whole")
    assert in_processes(2, in_time(split)) == [0, 0]
    whole, both = losses_of(tmp_path / "whole"), losses_of(tmp_path / "split")
    assert whole[-1][NAME] < whole[0][NAME] and len(both) == len(whole)
    assert [row[NAME] for row in both] == pytest.approx([row[NAME] for row in whole], abs=1e-3)
    assert not (tmp_path / "split" / "checkpoint").exists()
    one, two = (spacy.load(tmp_path / name / "model-last") for name in ("whole", "split"))
    assert backbone_of(two).shard and not backbone_of(two).is_split
    text = "Acme was founded by Ann in Rome ."
    scores = []
    for nlp in (one, two):
        doc = nlp.make_doc(text)
        doc.ents = [doc.char_span(0, 4, "ORG"), doc.char_span(20, 23, "PERSON")]
        pipe: Any = nlp.get_pipe(NAME)
        scores.append(pipe.predictor.score([c.instance for c in pipe.asked(doc)]).scores)
    assert len(scores[0]) and np.abs(scores[0] - scores[1]).max() < 1e-3


def with_soft_prompts(backbone: Dict[str, Any], encoder: Path) -> Language:
    """RETURNS (Language): with a component whose language model reads instances as soft prompts."""
    reader = {"@ragre_encoders": "ragre.TextEncoder.v1", "name": str(encoder), "device": "cpu", "text": "marked"}
    model = {"@architectures": "ragre.ETRAG.v1", "backbone": backbone, "encoder": reader, "k": 1, "label_dropout": 0.0}
    nlp = spacy.blank("en")
    nlp.add_pipe("etrag_extractor", config={"model": model, "labels": ["founded_by"], "preselect": 2})
    return nlp


def with_tasks(backbone: Dict[str, Any], encoder: Path) -> Language:
    """RETURNS (Language): with a component that learns labels and responses."""
    reader = {"@ragre_encoders": "ragre.TextEncoder.v1", "name": str(encoder), "device": "cpu", "text": "response"}
    config = {
        "tasks": ["ner", "uc"],
        "n_examples": 0,
        "model": {"@architectures": "ragre.MultiTaskModel.v1", "backbone": backbone},
        "prompt": {"@ragre_prompts": "ragre.Supplements.v1", "instruction": False},
        "retriever": {"@ragre_retrievers": "ragre.Retriever.v1", "encoder": reader},
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("supplement_usage_classifier", config=config)
    return nlp


def related(nlp: Language) -> List[Doc]:
    docs = []
    for i in range(5):
        doc = nlp.make_doc(f"Acme{' , a large old firm ,' * (i > 2)} was founded by Ann .")
        doc.ents = [Span(doc, 0, 1, "ORG"), Span(doc, len(doc) - 2, len(doc) - 1, "PERSON")]
        relation = {"head": doc.ents[0], "tail": doc.ents[1], "label": "founded_by"}
        doc._.relations = [relation] if i % 2 else []
        docs.append(doc)
    return docs


def used(nlp: Language) -> List[Doc]:
    docs = []
    for text in ("Takes zinc .", "Takes iron .", "Takes kava for many years and says that it helps her to sleep ."):
        doc = nlp.make_doc(text)
        doc.ents = [Span(doc, 1, 2, "SUPPLEMENT")]
        doc.ents[0]._.usage = "continuing"
        docs.append(doc)
    return docs


@pytest.mark.parametrize(("make", "gold"), [(with_soft_prompts, related), (with_tasks, used)])
def test_other_components_learn_what_they_do_with_whole_weights(
    tiny_llama: Path, make_bert: Callable[..., Path], make: Any, gold: Any
) -> None:
    encoder = make_bert(128)

    def learn(shard: bool) -> List[float]:
        lora = {"rank": 4, "alpha": 8, "dropout": 0.0}
        backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu", "lora": lora}
        nlp = make({**backbone, "batch_tokens": 32, "shard": shard}, encoder)
        ((name, pipe),) = nlp.pipeline
        examples = [Example(copy_input(doc), doc) for doc in gold(nlp)]
        fix_random_seed(0)
        optimizer = nlp.initialize(lambda: examples)
        optimizer.learn_rate = 0.01
        losses = [nlp.update(examples, sgd=optimizer)[name] for _ in range(3)]
        assert pipe.predictor.backbone.is_split == shard
        # The last batch is of one document, which one process has alone.
        losses.append(nlp.update(examples[:1], sgd=optimizer)[name])
        nlp.evaluate(examples)
        return losses

    def compare() -> None:
        whole, split = learn(False), learn(True)
        assert whole[0] > 0 and split == pytest.approx(whole, abs=1e-3)

    assert in_processes(2, in_time(compare)) == [0, 0]


def test_all_weights_are_not_trained_where_they_are_split(tiny_llama: Path, make_bert: Callable[..., Path]) -> None:
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu", "shard": True}
    nlp = with_soft_prompts(backbone, make_bert(128))
    pipe: Any = nlp.get_pipe("etrag_extractor")
    pipe.predictor.etrag.settings["tuning"] = "full"
    with pytest.raises(ValueError, match=r"R119\] Can't train all weights"):
        pipe.predictor.etrag._init_full(["none", "founded by"])


def test_what_split_weights_refuse(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for quantization in ("nf4", "int8"):
        with pytest.raises(ValueError, match=rf"R115\] Can't split .*quantised \({quantization}\)"):
            create_causal_lm(str(tiny_llama), quantization=quantization, shard=True)
    with pytest.raises(ValueError, match=r"R116\] Can't split .*engine 'openvino'"):
        create_causal_lm(str(tiny_llama), engine="openvino", shard=True)
    monkeypatch.setattr(parallel._group, "size", 2)
    monkeypatch.setattr("spacy_ragre.llm.causal.from_first", lambda make: make())
    backbone = create_causal_lm(str(tiny_llama), device="cpu", shard=True)
    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"R117\] .*torch 2.7 or newer.*is 2.6.0"):
        patch.setattr(torch, "__version__", "2.6.0")
        backbone.load()
    without_layers: Any = torch.nn.Linear(2, 2)
    without_layers.config, without_layers.base_model = SimpleNamespace(num_hidden_layers=2), without_layers
    with pytest.raises(ValueError, match=r"R118\] Can't split the weights of a Linear"):
        split_weights(without_layers, torch.device("cpu"))


def test_one_process_says_that_it_splits_nothing(tiny_llama: Path) -> None:
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "shard": True}
    model = {"@architectures": "ragre.LabelModel.v1", "backbone": backbone}
    nlp = spacy.blank("en")
    pipe: Any = nlp.add_pipe(NAME, config={"answer": "head", "weights": None, "model": model})
    doc = nlp.make_doc("Acme was founded by Ann .")
    doc.ents = [doc.char_span(0, 4, "ORG"), doc.char_span(20, 23, "PERSON")]
    doc._.relations = [{"head": doc.ents[0], "tail": doc.ents[1], "label": "founded_by"}]
    with pytest.warns(UserWarning, match=r"W772\] rag_relation_extractor is to split"):
        pipe._check_training(lambda: [Example(nlp.make_doc(doc.text), doc)])
    assert not pipe.predictor.backbone.is_split
