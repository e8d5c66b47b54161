"""The config of SemEval-2010 Task 8, trained with `spacy train` on a few sentences and tiny models; training that was
killed, with others, and on a GPU.
"""

import os
from pathlib import Path

import pytest
import spacy
from spacy.cli.train import train
from spacy.tokens import DocBin

from spacy_ragre.corpora.semeval import read_semeval
from spacy_ragre.training import parallel

NAME = "etrag_extractor"
CONFIG = Path(__file__).parents[3] / "configs" / "etrag_semeval.cfg"
SENTENCES = [
    ("The <e1>fire</e1> caused the <e2>smoke</e2>.", "Cause-Effect(e1,e2)"),
    ("The <e1>smoke</e1> came from a <e2>fire</e2>.", "Cause-Effect(e2,e1)"),
    ("The <e1>apples</e1> are in the <e2>box</e2>.", "Content-Container(e1,e2)"),
    ("The <e1>bag</e1> holds <e2>flour</e2>.", "Content-Container(e2,e1)"),
    ("The <e1>book</e1> is about <e2>trees</e2>.", "Message-Topic(e1,e2)"),
    ("A <e1>man</e1> saw a <e2>dog</e2>.", "Other"),
]


@pytest.fixture
def corpus(tmp_path):
    lines = [f'{i}\t"{text}"\n{label}\nComment:\n\n' for i, (text, label) in enumerate(SENTENCES, 1)]
    (tmp_path / "all.txt").write_text("".join(lines))
    docs = read_semeval(tmp_path / "all.txt", spacy.blank("en").vocab)
    path = tmp_path / "all.spacy"
    DocBin(docs=list(docs), store_user_data=True).to_disk(path)
    return path


@pytest.mark.parametrize("own", [{}, {"vars.k": 0}, {"vars.train_retriever": False}], ids=["etrag", "none", "frozen"])
def test_the_config_trains(corpus, tiny_llama, tiny_bert, tmp_path, own):
    overrides = {
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        "vars.backbone": str(tiny_llama),
        "vars.encoder": str(tiny_bert),
        "vars.device": "cpu",
        "vars.max_steps": 3,
        "vars.eval_frequency": 2,
        "vars.refresh_every": 2,
        **own,
    }
    train(CONFIG, tmp_path / "out", overrides=overrides)
    for name in ("model-best", "model-last"):
        nlp = spacy.load(tmp_path / "out" / name)
        assert "semeval_macro_f" in nlp.meta["performance"]
        pipe = nlp.get_pipe(NAME)
        assert len(pipe.labels) == 9 and len(pipe.predictor.retriever) == (6 if pipe.predictor.etrag.k else 0)
    assert os.path.getsize(tmp_path / "out" / "model-best" / NAME / "model") > 0


def test_a_killed_training_goes_on(check_resuming, make_etrag, gold_docs):
    nlp = make_etrag(refresh_every=3, refresh_size=3, label_dropout=0.3)
    check_resuming(nlp, gold_docs(nlp), NAME)


def test_a_process_may_have_no_share_of_a_batch(make_etrag, train_etrag, gold_examples, etrag, monkeypatch):
    nlp = make_etrag(retrieval_loss=1.0)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=0)
    monkeypatch.setattr(parallel._group, "size", 100)
    assert etrag(nlp).predictor.train(etrag(nlp)._gold([examples[0].reference])) == 0


@pytest.mark.cuda
def test_learns_on_a_gpu(on_gpu, make_etrag, train_etrag, gold_examples, gold_docs, found):
    nlp = on_gpu(make_etrag())
    examples = gold_examples(nlp)
    losses = train_etrag(nlp, examples)
    assert losses[-1] < 0.1 * losses[0]
    assert found(nlp.pipe(example.predicted for example in examples)) == found(gold_docs(nlp))
