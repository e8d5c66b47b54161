"""Readers of open labels on other models than the one that comes with the package."""

import json

import numpy as np
import pytest
import torch

from benchmarks.open_relations import train as training
from spacy_ragre.components.relations.open_labels import OpenLabel, OpenRelations, OpenText, read_weights, save_weights
from spacy_ragre.components.relations.open_models import ModelReader, kind_of
from spacy_ragre.components.relations.open_reader import pack
from spacy_ragre.components.relations.open_scorer import READER
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.files import file_hash

TEXT = OpenText(
    "Ann Lee founded Acme in Rome. <|im_end|> It grew.",
    ((0, 7, "PERSON"), (16, 20, "ORG"), (24, 28, "GPE")),
)
OTHER = OpenText("Bob met Ann.", ((0, 3, "PERSON"), (8, 11, "")))
LABELS = [
    OpenLabel("founded", ("founded", "set up"), "HEAD is a person who founded TAIL.", ("PERSON",), ("ORG",)),
    OpenLabel("met", ("met",), "", (), (), True),
]
NAME = "rag_relation_extractor"
WORDS = ("head", "tail", "was", "founded", "by", "person", "met", ":")


@pytest.fixture(scope="module", params=["causal", "encoder-decoder", "encoder", "causal in 4 bits"])
def spec(request, tiny_llama, tiny_t5, make_bert):
    kind = request.param.split(" in ")[0]
    folder = {"causal": tiny_llama, "encoder-decoder": tiny_t5, "encoder": make_bert(64, words=WORDS)}[kind]
    bits = "nf4" if "in 4 bits" in request.param else None
    return {"kind": kind, "name": str(folder), "dtype": "float32", "quantization": bits, "lora": {"rank": 2}}


@pytest.fixture(scope="module")
def reader(spec):
    torch.manual_seed(0)
    reader = OpenRelations.build({"backbone": spec, "width": 32, "views": [8, 8, 16], "fuse": 8}, {})
    with torch.no_grad():  # as after some training: marks, types and the adapter count
        for name, value in reader.model.named_parameters():
            if value.requires_grad and not name.startswith("pair."):
                value.add_(0.1 * torch.randn_like(value))
    return reader


def scores(reader, texts, labels=LABELS, **kwargs):
    return reader.score(texts, labels, reader.read_labels(labels), **kwargs)


def test_the_kind_is_that_of_the_models_config(spec):
    assert kind_of(spec["name"]) == spec["kind"]


def test_reading_together_is_reading_apart(reader):
    whole = scores(reader, [TEXT, OTHER])
    assert [array.shape for array in whole] == [(6, 2), (2, 2)]
    np.testing.assert_allclose(whole[0], scores(reader, [TEXT])[0], atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(whole[1][:, ::-1], scores(reader, [OTHER], LABELS[::-1])[0], atol=1e-3, rtol=1e-3)
    one = [OpenText(TEXT.text, TEXT.mentions, (pair,)) for pair in TEXT.all_pairs()]
    # Which mentions are marked is part of what is read, so they stay the same.
    apart = np.concatenate(scores(reader, one))[:, 0]  # the other label is symmetric: a mean of two pairs
    np.testing.assert_allclose(apart, whole[0][:, 0], atol=1e-3, rtol=1e-3)


def test_what_stands_after_a_mention_counts(reader):
    """A pair looks at the whole text, though the states of a causal model do not."""
    ending = "in Rome. <|im_end|> It grew."
    other = OpenText(TEXT.text.replace(ending, "as a joke with friends."), TEXT.mentions[:2])
    first = scores(reader, [OpenText(TEXT.text, TEXT.mentions[:2])], types=False)[0]
    assert np.abs(first - scores(reader, [other], types=False)[0]).max() > 1e-3


def test_gradients_reach_all_that_is_saved_and_nothing_else(reader):
    reader.model.train()
    layout = reader.layout
    labels = [layout.statement("was founded by", "", ["PERSON"], ["ORG"])]
    ids = layout.ids("Ann met Bob")
    texts = [layout.text(ids, [(0, 1, "person"), (len(ids) - 1, len(ids), "person")], [(0, 1), (1, 0)])]
    states = reader.model.read_labels(pack(labels, reader._types(labels)))
    pairs, related = reader.model.read_texts(pack(texts, reader._types(texts)))
    reader.model.score(pairs, related, states).square().sum().backward()
    trained = {name for name, value in reader.model.named_parameters() if value.grad is not None}
    assert {name.split(".")[0] for name in reader.model.own_state()} == {name.split(".")[0] for name in trained}
    reader.model.eval()
    base = [value for name, value in reader.model.base.model.named_parameters() if "lora_" not in name]
    assert base and all(value.grad is None for value in base)


def test_saved_weights_score_as_before(reader, tmp_path):
    before = scores(reader, [TEXT])[0]
    save_weights(reader.model, tmp_path / "w.safetensors")
    again = OpenRelations.load(tmp_path / "w.safetensors")
    assert isinstance(again.model, ModelReader) and again.base_hash == reader.base_hash
    np.testing.assert_allclose(scores(again, [TEXT])[0], before, atol=0.2)  # 8 bits
    exact = OpenRelations.build(reader.model.settings, reader.model.own_state())
    np.testing.assert_allclose(scores(exact, [TEXT])[0], before, atol=1e-4)
    assert not any("embed" in name for name in read_weights(tmp_path / "w.safetensors"))


def test_a_pipeline_answers_and_is_trained_by_such_weights(reader, tmp_path, make_nlp, gold_examples, train):
    save_weights(reader.model, tmp_path / f"{READER}.safetensors")
    fitted = {kind: {"slope": 1.0, "offset": 0.0} for kind in ("types", "no_types")}
    known = {"sha256": file_hash(tmp_path / f"{READER}.safetensors"), "calibration": fitted}
    known["decision"] = {"types": 0.5, "no_types": 0.5}
    (tmp_path / f"{READER}.json").write_text(json.dumps(known), encoding="utf8")
    nlp = make_nlp(weights=str(tmp_path), answer="open", n_examples=0)
    docs = [copy_input(example.reference) for example in gold_examples(nlp)]
    list(nlp.pipe(docs))
    train(nlp, gold_examples(nlp), steps=2, learn_rate=0.025)
    predictor = nlp.get_pipe(NAME).predictor
    pairs = [c.instance for doc in docs for c in nlp.get_pipe(NAME)._candidates(doc)]
    trained = predictor.score(pairs).scores
    nlp.to_disk(tmp_path / "pipeline")
    again = make_nlp(weights=str(tmp_path), answer="open", n_examples=0).from_disk(tmp_path / "pipeline")
    np.testing.assert_allclose(again.get_pipe(NAME).predictor.score(pairs).scores, trained, atol=1e-4)


def test_r660_tokenizer_without_offsets(tiny_llama, monkeypatch):
    reader = OpenRelations.build({"backbone": {"kind": "causal", "name": str(tiny_llama)}}, {})
    monkeypatch.setattr(type(reader.model.base.tokenizer), "is_fast", False)
    with pytest.raises(ValueError, match="R660"):
        reader.model.layout()


def test_a_missing_model_is_a_numbered_error(tmp_path):
    (tmp_path / "config.json").write_text("{}", encoding="utf8")
    with pytest.raises(OSError, match="R104"):
        kind_of(str(tmp_path))


def test_training_makes_such_a_reader(tiny_llama):
    reader = training.make_reader(str(tiny_llama), "", 4, 0.1)
    assert reader.model.settings["backbone"]["kind"] == "causal" and reader.model.base.lora.rank == 4
