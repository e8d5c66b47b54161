"""Trained pipelines in fewer bits: size, answers, and what is saved again."""

import numpy as np
import pytest
import spacy

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.cli.shrink import shrink

NAME = "rag_relation_extractor"


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.name in ("model", "index.faiss"))


@pytest.mark.parametrize("precision", ["half", "int8"])
def test_a_trained_extractor(make_nlp, gold_docs, gold_examples, train, tmp_path, monkeypatch, precision):
    monkeypatch.setattr("spacy_ragre.training.tensors._LEAST", 64)  # the model is a small one
    nlp = make_nlp()
    train(nlp, gold_examples(nlp), steps=3)
    pipe = nlp.get_pipe(NAME)
    pipe.predictor.refresh()
    pipe.predictor.calibration = Calibration(2.0, 4, 0.5, 0.1, 0.1)
    nlp.to_disk(tmp_path / "large")
    shrink(str(tmp_path / "large"), tmp_path / "small", precision)
    assert size(tmp_path / "small") < size(tmp_path / "large")
    small = spacy.load(tmp_path / "small")
    own = small.get_pipe(NAME).predictor
    before = own.fingerprint()
    expected = [[(r.label, r.score) for r in doc._.relations] for doc in nlp.pipe(gold_docs(nlp))]
    found = [[(r.label, r.score) for r in doc._.relations] for doc in small.pipe(gold_docs(small))]
    assert any(expected)
    for one, other in zip(expected, found):
        assert [label for label, _ in one] == [label for label, _ in other]
        assert [score for _, score in one] == pytest.approx([score for _, score in other], abs=0.02)
    # In the model or not yet, the weights are the same: examples keep their keys.
    assert own.fingerprint() == before == own.retriever.store.fingerprint
    small.to_disk(tmp_path / "again")
    again = spacy.load(tmp_path / "again")
    assert size(tmp_path / "again") == size(tmp_path / "small")
    keys = [n.get_pipe(NAME).predictor.retriever.store.keys_of(np.arange(3)) for n in (nlp, small, again)]
    assert keys[1] == pytest.approx(keys[0], abs=1e-3) and (keys[1] == keys[2]).all()
    assert (tmp_path / "again" / NAME / "store" / "store" / "index.faiss").stat().st_size == (
        tmp_path / "small" / NAME / "store" / "store" / "index.faiss"
    ).stat().st_size
    # It can be trained on.
    train(again, gold_examples(again), steps=1, initialize=False)


def test_a_trained_reader_of_open_labels(make_nlp, open_settings, gold_docs, gold_examples, train, tmp_path):
    nlp = make_nlp(**open_settings)
    train(nlp, gold_examples(nlp), steps=3)
    pipe = nlp.get_pipe(NAME)
    pipe.freeze_labels()
    shim, large, frozen = pipe.predictor.open.shim, len(pipe.model.to_bytes()), dict(pipe.predictor.open.frozen)
    pipe.shrink("int8")
    small = shim.to_bytes()
    list(nlp.pipe(gold_docs(nlp)))
    assert shim._reader is not None and shim.to_bytes() == small and len(pipe.model.to_bytes()) < 0.6 * large
    assert pipe.predictor.open.frozen.keys() == frozen.keys() and frozen
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path).get_pipe(NAME)
    assert again.predictor.open.frozen.keys() == frozen.keys()
    # What is trained further is saved as it is then.
    train(nlp, gold_examples(nlp), steps=1, initialize=False)
    assert len(pipe.model.to_bytes()) == large


def test_an_untrained_extractor_stays(make_nlp, tmp_path):
    nlp = make_nlp()
    nlp.get_pipe(NAME).shrink("half")
    nlp.to_disk(tmp_path)
    assert spacy.load(tmp_path).get_pipe(NAME).predictor.trained is False


def test_an_extractor_with_trained_retrieval(tmp_path):
    pipe = spacy.blank("en").add_pipe("etrag_extractor")
    with pytest.raises(ValueError, match="R652.*'etrag_extractor'"):
        pipe.shrink("half")


def test_what_cannot_be_shrunk(make_nlp, tmp_path):
    with pytest.raises(ValueError, match=r"R651.*'int4'"):
        make_nlp().get_pipe(NAME).shrink("int4")
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ValueError, match="R653.*none"):
        shrink(str(tmp_path / "blank"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
