"""Saving, loading, streams, other processes, and input that is refused."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from spacy.training import Example

from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.retrieval import ExampleStore

NAME = "etrag_extractor"
TEXTS = [
    ("Stark was founded by Jon .", [("Stark", "ORG"), ("Jon", "PERSON")]),
    ("", []),
    ("Nobody is here .", []),
    ("Rome !", [("Rome", "GPE")]),
    ("Dan founded Initech and Hooli .", [("Dan", "PERSON"), ("Initech", "ORG"), ("Hooli", "ORG")]),
    ("Eve met Finn .", [("Eve", "PERSON"), ("Finn", "PERSON")]),
    ("Italy contains Rome .", [("Italy", "GPE"), ("Rome", "GPE")]),
]


@pytest.fixture
def make_docs(make_doc):
    return lambda nlp: [make_doc(nlp, *text) for text in TEXTS]


def flat(docs):
    """The relations of documents with scores and the weights of their neighbours, to four decimals."""
    return [
        sorted(
            (r.head.start, r.label, r.tail.start, round(r.score, 4))
            + tuple((e["text"], round(e["weight"], 4)) for e in r.evidence["examples"])
            for r in doc._.relations
        )
        for doc in docs
    ]


# Saving and loading


@pytest.mark.parametrize(
    "settings",
    [{}, {"k": 0}, {"train_retriever": False}, {"tuning": "full"}, {"index": "hnsw", "refresh_size": 2}],
    ids=["etrag", "no retrieval", "frozen", "full", "hnsw"],
)
def test_saved_pipelines_give_the_same_answers(make_etrag, train_etrag, gold_examples, make_docs, tmp_path, settings):
    nlp = make_etrag(refresh_every=2, **settings)
    train_etrag(nlp, gold_examples(nlp), steps=5)
    nlp.to_disk(tmp_path / "a")  # the keys are older than the weights, and are made again
    data = nlp.to_bytes()
    expected = flat(nlp.pipe(make_docs(nlp)))
    assert any(expected)
    loaded = spacy.load(tmp_path / "a")
    from_bytes = spacy.util.load_model_from_config(nlp.config).from_bytes(data)
    for other in (loaded, from_bytes):
        shim = other.get_pipe(NAME).predictor.shim
        assert not shim.backbone.is_loaded and shim.encoder._model is None
    loaded.to_disk(tmp_path / "b")  # what was never loaded is saved as it came
    for file in ("model", "cfg"):
        assert (tmp_path / "a" / NAME / file).read_bytes() == (tmp_path / "b" / NAME / file).read_bytes()
    for other in (loaded, from_bytes):
        assert flat(other.pipe(make_docs(other))) == expected
    loaded.from_disk(tmp_path / "b")  # over what was loaded
    assert flat(loaded.pipe(make_docs(loaded))) == expected


def test_training_goes_on_after_loading(trained_etrag, gold_examples, train_etrag):
    nlp = spacy.load(trained_etrag)
    losses = train_etrag(nlp, gold_examples(nlp), steps=2, initialize=False)
    assert losses[0] < 0.01 and losses[1] != losses[0]


def test_saved_files_are_safetensors_without_the_base(trained_etrag):
    folder = trained_etrag / NAME
    assert {file.name for file in folder.iterdir()} == {"cfg", "model", "store", "pending", "manifest.json"}
    assert b"head.weight" in (folder / "model").read_bytes()
    assert b"word_embeddings" not in (folder / "model").read_bytes()


def test_saving_a_fresh_component_needs_no_weights(make_etrag, tmp_path):
    nlp = make_etrag(backbone=tmp_path / "nowhere", encoder=tmp_path / "nowhere")
    nlp.to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved")
    assert not again.get_pipe(NAME).predictor.backbone.is_loaded
    assert again.get_pipe(NAME).labels == ("founded_by", "located_in")


@pytest.fixture
def copy(trained_etrag, tmp_path) -> Path:
    path = tmp_path / "pipeline"
    shutil.copytree(trained_etrag, path)
    return path


def test_encoder_that_is_another_one(copy, make_docs, tmp_path, tiny_bert):
    from transformers import AutoConfig, AutoTokenizer, BertModel

    torch.manual_seed(1)
    BertModel(AutoConfig.from_pretrained(tiny_bert)).save_pretrained(tmp_path / "other")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path / "other")
    config = spacy.util.load_config(copy / "config.cfg")
    config["components"][NAME]["model"]["encoder"]["name"] = str(tmp_path / "other")
    config.to_disk(copy / "config.cfg")
    nlp = spacy.load(copy)
    for _ in range(2):  # it fails each time
        with pytest.raises(ValueError, match="R545.*other"):
            nlp(make_docs(nlp)[0])


def test_store_of_another_encoder(copy, make_etrag, train_etrag, gold_examples, tmp_path):
    nlp = make_etrag()
    train_etrag(nlp, gold_examples(nlp), steps=1)
    nlp.to_disk(tmp_path / "other")
    shutil.rmtree(copy / NAME / "store")
    shutil.copytree(tmp_path / "other" / NAME / "store", copy / NAME / "store")
    (copy / NAME / "manifest.json").unlink()
    with pytest.raises(ValueError, match="R212"):
        spacy.load(copy)


def test_model_of_other_settings(copy, make_docs):
    config = spacy.util.load_config(copy / "config.cfg")
    config["components"][NAME]["model"]["prompt_length"] = 2
    config.to_disk(copy / "config.cfg")
    nlp = spacy.load(copy)
    with pytest.raises((ValueError, OSError), match="R108.*other settings"):
        nlp(make_docs(nlp)[0])


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_model(copy, share, make_docs):
    path = copy / NAME / "model"
    path.write_bytes(path.read_bytes()[: int(len(path.read_bytes()) * share)])
    with pytest.raises(ValueError, match="R120.*model"):
        spacy.load(copy)(make_docs(spacy.blank("en"))[0])


# Streams


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_pipe_equals_call(trained_etrag, make_docs, batch_size):
    nlp = spacy.load(trained_etrag)
    expected = flat([nlp(doc) for doc in make_docs(nlp)])
    assert sum(map(len, expected)) >= 3 and not any(expected[1:4])
    docs = list(nlp.pipe(make_docs(nlp), batch_size=batch_size))
    assert [doc.text for doc in docs] == [text for text, _ in TEXTS]
    assert flat(docs) == expected


def test_failing_document_goes_to_the_handler(trained_etrag, make_docs, monkeypatch):
    nlp = spacy.load(trained_etrag)
    pipe = nlp.get_pipe(NAME)
    predict = pipe.predict

    def fail(docs):
        docs = list(docs)
        if any("Eve" in doc.text for doc in docs):
            raise RuntimeError("no answer")
        return predict(docs)

    monkeypatch.setattr(pipe, "predict", fail)
    seen = []
    nlp.set_error_handler(lambda name, proc, docs, error: seen.extend(doc.text for doc in docs))
    assert len(list(nlp.pipe(make_docs(nlp)))) == len(TEXTS) - 1
    assert seen == ["Eve met Finn ."]


def test_pickle(trained_etrag, make_docs):
    nlp = spacy.load(trained_etrag)
    expected = flat(nlp.pipe(make_docs(nlp)))
    again = pickle.loads(pickle.dumps(nlp.get_pipe(NAME)))
    assert flat(again.pipe(make_docs(nlp))) == expected


def test_two_processes(trained_etrag, in_processes):
    assert any(in_processes(trained_etrag))


# Input that is refused


def examples_of(nlp, make_doc, *labels):
    docs = []
    for i, label in enumerate(labels):
        text = f"Acme{i} was founded by Ann{i} ."
        relations = [(0, label, 1)] if label else []
        docs.append(make_doc(nlp, text, [(f"Acme{i}", "ORG"), (f"Ann{i}", "PERSON")], relations))
    return [Example(copy_input(doc), doc) for doc in docs]


def test_not_trained(make_etrag, make_docs, gold_docs):
    nlp = make_etrag()
    with pytest.raises(ValueError, match="R547.*etrag_extractor"):
        nlp(make_docs(nlp)[0])
    with pytest.raises(ValueError, match="R547"):
        nlp.get_pipe(NAME).add_examples(gold_docs(nlp))
    with pytest.raises(ValueError, match="R547"):
        nlp.get_pipe(NAME).retrieval_report([Example(doc, doc) for doc in gold_docs(nlp)])
    assert not nlp(nlp.make_doc("Nobody is here ."))._.relations


def test_no_labels(make_etrag, make_docs):
    nlp = make_etrag(labels={})
    with pytest.raises(ValueError, match="R501"):
        nlp(make_docs(nlp)[0])


def test_k_larger_than_the_store(make_etrag, make_doc):
    nlp = make_etrag(k=4)
    examples = examples_of(nlp, make_doc, "founded_by", "", "located_in")
    with pytest.raises(ValueError, match="R543.*k=4.*3 instance"):
        nlp.initialize(lambda: examples)


def test_k_larger_than_a_store_that_shrank(trained_etrag, make_docs):
    nlp = spacy.load(trained_etrag)
    store = nlp.get_pipe(NAME).predictor.retriever.store
    small = ExampleStore(fingerprint=store.fingerprint)
    small.add(store.instances[:1], store.keys_of(np.arange(1)))
    nlp.get_pipe(NAME).predictor.retriever.store = small
    with pytest.raises(ValueError, match="R543.*k=2.*1 instance"):
        nlp(make_docs(nlp)[0])


def test_empty_store(trained_etrag, make_docs, make_etrag, make_doc):
    nlp = spacy.load(trained_etrag)
    nlp.get_pipe(NAME).predictor.retriever.clear()
    with pytest.raises(ValueError, match="R544.*etrag_extractor"):
        nlp(make_docs(nlp)[0])
    # No document with a relation, and so nothing to put into the store.
    nlp = make_etrag()
    with pytest.raises(ValueError, match="R550"):
        nlp.initialize(lambda: examples_of(nlp, make_doc, "", ""))


def test_store_with_one_label(make_etrag, make_doc, train_etrag):
    nlp = make_etrag()
    examples = examples_of(nlp, make_doc, "founded_by", "founded_by", "founded_by")
    with pytest.warns(UserWarning, match="W502.*founded_by"):
        losses = train_etrag(nlp, examples, steps=2)
    assert np.isfinite(losses).all()
    assert nlp(examples[0].predicted) is not None


def test_preselection_smaller_than_k(make_etrag):
    with pytest.raises(ValueError, match="R541.*k=4.*3"):
        make_etrag(k=4, preselect=3)


def test_similarity_that_is_no_number(trained_etrag, make_docs):
    nlp = spacy.load(trained_etrag)
    nlp(make_docs(nlp)[0])
    shim = nlp.get_pipe(NAME).predictor.shim
    with torch.no_grad():
        dict(shim.encoder.model.named_parameters())["encoder.layer.1.output.dense.weight"].fill_(float("nan"))
    with pytest.raises(ValueError, match="R205"):
        nlp(make_docs(nlp)[0])


def test_scores_that_are_no_numbers(trained_etrag, make_docs):
    nlp = spacy.load(trained_etrag)
    nlp(make_docs(nlp)[0])
    with torch.no_grad():
        nlp.get_pipe(NAME).predictor.shim.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="R504"):
        nlp(make_docs(nlp)[0])


@pytest.mark.parametrize(
    "settings",
    [
        {"k": -1},
        {"prompt_length": 0},
        {"fresh": -1},
        {"train_layers": -1},
        {"temperature": 0.0},
        {"tuning": "none"},
        {"index": "ivfpq"},
        {"refresh_every": -1},
        {"refresh_size": -1},
        {"retrieval_loss": -1.0},
        {"vote": -1.0},
        {"label_dropout": 1.5},
    ],
)
def test_settings_out_of_range(make_etrag, settings):
    with pytest.raises(ValueError, match=f"R540.*{next(iter(settings))}"):
        make_etrag(**settings)


def test_an_encoder_of_two_towers_is_refused(tiny_bert, tiny_llama):
    towers = {"@ragre_encoders": "ragre.DualEncoder.v1", "query": str(tiny_bert), "passage": str(tiny_bert)}
    lm = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu"}
    model = {"@architectures": "ragre.ETRAG.v1", "backbone": lm, "encoder": towers}
    with pytest.raises(ValueError, match="R540.*encoder='DualEncoder'.*TextEncoder"):
        spacy.blank("en").add_pipe(NAME, config={"model": model})


def test_full_training_of_16_bits(make_etrag, gold_examples):
    nlp = make_etrag(tuning="full")
    nlp.get_pipe(NAME).predictor.backbone.dtype_name = "bfloat16"
    with pytest.raises(ValueError, match="R546.*16 bits"):
        nlp.initialize(lambda: gold_examples(nlp))


def test_full_training_keeps_32_bits_where_the_type_is_left_open(make_etrag, gold_examples, monkeypatch):
    monkeypatch.setattr("spacy_ragre.llm.runtime.precision.bfloat16_pays", lambda: True)
    low, full = make_etrag(), make_etrag(tuning="full")
    full.initialize(lambda: gold_examples(full))
    types = [nlp.get_pipe(NAME).predictor.backbone.dtype for nlp in (low, full)]
    assert types == [torch.bfloat16, torch.float32]


def test_label_that_comes_too_late(trained_etrag):
    with pytest.raises(ValueError, match="R505"):
        spacy.load(trained_etrag).get_pipe(NAME).add_label("new")


def test_overlapping_mentions_of_a_spans_key(trained_etrag, make_doc):
    nlp = spacy.load(trained_etrag)
    nlp.get_pipe(NAME).spans_key = "sc"
    doc = make_doc(nlp, "Acme Rome was founded by Ann .")
    doc.spans["sc"] = [doc[0:2], doc[0:1], doc[5:6]]
    assert nlp(doc) is doc


@pytest.mark.parametrize("k", [0, 2])
@pytest.mark.parametrize("multi_label", [False, True])
def test_an_answer_is_the_same_again_and_after_loading(
    make_etrag, train_etrag, gold_examples, tiny_llama, tmp_path, k, multi_label
):
    """With dropout, so that two calls differ wherever it is left on."""
    lora = {"rank": 8, "alpha": 16, "dropout": 0.3}
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu", "lora": lora}
    nlp = make_etrag(k=k, multi_label=multi_label, backbone_settings=backbone)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=3)

    def scores(nlp):
        pipe = nlp.get_pipe(NAME)
        return pipe.predictor.score([c.instance for e in examples for c in pipe._candidates(e.reference)]).scores

    first = scores(nlp)
    assert scores(nlp) == pytest.approx(first, abs=1e-5)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert scores(again) == pytest.approx(first, abs=1e-4) == scores(again)
