"""Saving and loading: settings, adapter, label head and examples, and what happens where one is missing."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"


@pytest.fixture
def questions(make_doc):
    texts = [
        ("Stark was founded by Jon .", [("Stark", "ORG"), ("Jon", "PERSON")]),
        ("Ivy founded Wonka .", [("Ivy", "PERSON"), ("Wonka", "ORG")]),
        ("Nice is located in France .", [("Nice", "GPE"), ("France", "GPE")]),
        ("Acme was founded by Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]),
    ]
    return lambda nlp: [make_doc(nlp, *text) for text in texts]


@pytest.fixture(params=["fresh", "few-shot", "few-shot text", "trained", "trained text", "calibrated", "mixed"])
def pipeline(request, make_nlp, gold_docs, gold_examples, train, component, text_retriever):
    """Pipelines in all states: with examples in the store, pending, or both."""
    state = request.param
    settings = {"retriever": text_retriever} if "text" in state else {}
    nlp = make_nlp(n_examples=2, **settings)
    pipe = component(nlp)
    if state.startswith("few-shot"):
        pipe.add_examples(gold_docs(nlp))
    if state.startswith("trained"):
        train(nlp, gold_examples(nlp), steps=5)
    if state in ("calibrated", "mixed"):
        train(nlp, gold_examples(nlp), steps=3)
        pipe.predictor.refresh()
        pipe.predictor.calibration = Calibration(2.0, 4, 0.5, 0.1, 0.1)
    if state == "mixed":
        # Some examples have keys, and others still wait for theirs.
        pipe.predictor.pending = list(pipe.predictor.retriever.store.instances[:3])
    return nlp


def state_of(nlp: Any) -> Any:
    pipe = nlp.get_pipe(NAME)
    predictor = pipe.predictor
    return (
        pipe.label_data,
        predictor.trained,
        predictor.calibration,
        predictor.mode,
        list(predictor.retriever.store.instances),
        predictor.pending,
    )


@pytest.mark.filterwarnings("ignore:.*W501")
def test_disk(pipeline, make_nlp, questions, plain, tmp_path):
    expected = plain(pipeline.pipe(questions(pipeline)))
    assert any(expected)
    pipeline.to_disk(tmp_path / "a")
    again = spacy.load(tmp_path / "a")
    assert state_of(again) == state_of(pipeline)
    assert plain(again.pipe(questions(again))) == expected
    again.to_disk(tmp_path / "a")  # over what is there
    again.to_disk(tmp_path / "b")
    for path in ("a", "b"):
        third = spacy.load(tmp_path / path)
        third.from_disk(tmp_path / path)  # over what was loaded
        assert state_of(third) == state_of(pipeline)
        assert plain(third.pipe(questions(third))) == expected


@pytest.mark.filterwarnings("ignore:.*W501")
def test_bytes(pipeline, questions, plain):
    expected = plain(pipeline.pipe(questions(pipeline)))
    data = pipeline.to_bytes()
    again = spacy.util.load_model_from_config(pipeline.config)
    again.from_bytes(data)
    assert not again.get_pipe(NAME).predictor.backbone.is_loaded
    # What was never loaded is saved as it came.
    third = spacy.util.load_model_from_config(pipeline.config)
    third.from_bytes(again.to_bytes())
    for nlp in (again, third):
        assert state_of(nlp) == state_of(pipeline)
        assert plain(nlp.pipe(questions(nlp))) == expected
    assert again.get_pipe(NAME).to_bytes() == pipeline.get_pipe(NAME).to_bytes()


def test_loading_saves_no_base_model(trained):
    size = sum(file.stat().st_size for file in (trained / NAME).rglob("*") if file.is_file())
    assert size < 200_000
    assert {file.name for file in (trained / NAME).iterdir()} == {"cfg", "model", "store", "pending", "manifest.json"}


def test_saving_a_fresh_component_needs_no_weights(make_nlp, tmp_path, component):
    nlp = make_nlp(backbone=tmp_path / "nowhere")
    nlp.to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved")
    assert not component(nlp).predictor.backbone.is_loaded
    assert not component(again).predictor.backbone.is_loaded
    assert component(again).labels == ("founded_by", "located_in")


def test_loading_and_saving_a_trained_one_needs_no_weights(trained, tmp_path, component):
    nlp = spacy.load(trained)
    nlp.to_disk(tmp_path / "copy")
    assert not component(nlp).predictor.backbone.is_loaded
    assert (tmp_path / "copy" / NAME / "model").read_bytes() == (trained / NAME / "model").read_bytes()


def test_labels_and_their_openness_are_kept(make_nlp, gold_docs, make_doc, component, tmp_path):
    nlp = make_nlp(labels={})
    component(nlp).add_label("founded_by", "was set up by")
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert component(again).label_data["founded_by"]["text"] == "was set up by"
    component(again).add_examples(gold_docs(again))
    assert set(component(again).labels) == {"founded_by", "located_in"}


def test_exclude(trained, make_nlp, component, tmp_path):
    source = component(spacy.load(trained))
    target = component(make_nlp(labels={"x": "is x of"}))
    target.to_disk(tmp_path / "own")
    target.from_disk(trained / NAME, exclude=["cfg", "vocab", "store", "pending"])
    assert target.labels == ("x",)
    assert target.predictor.pending == []
    assert target.predictor.shim.has_head
    source.to_disk(tmp_path / "part", exclude=["store", "pending", "vocab"])
    assert {file.name for file in (tmp_path / "part").iterdir()} == {"cfg", "model", "manifest.json"}
    data = source.to_bytes(exclude=["store"])
    fresh = component(make_nlp())
    fresh.from_bytes(data)
    assert fresh.predictor.trained
    # Without its head, a trained component answers as before training.
    without = component(make_nlp())
    without.from_disk(trained / NAME, exclude=["model", "vocab"])
    assert without.predictor.mode == "trie"


# What is missing, damaged or of another model


@pytest.fixture
def copy(trained, tmp_path) -> Path:
    path = tmp_path / "pipeline"
    shutil.copytree(trained, path)
    return path


@pytest.mark.parametrize(
    "manifest, part, error, match",
    [
        (True, "store", OSError, "R121.*store"),
        (True, "store/store/meta.json", OSError, "R121.*meta.json"),
        (True, "cfg", OSError, "R121.*cfg"),
        (True, "pending", OSError, "R121.*pending"),
        (True, "model", OSError, "R121.*model"),
        # As version 0.1.0 saved it.
        (False, "store", OSError, "R210.*store"),
        (False, "store/store/meta.json", OSError, "R210.*meta.json"),
        (False, "cfg", OSError, "R210.*cfg"),
        (False, "pending", OSError, "R210.*pending"),
        (False, "model", OSError, "R108.*missing.*model"),
    ],
)
def test_missing_parts(copy, manifest, part, error, match):
    if not manifest:
        (copy / NAME / "manifest.json").unlink()
    path = copy / NAME / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(error, match=match):
        spacy.load(copy)


@pytest.mark.parametrize(
    "manifest, part, match",
    [
        (True, "cfg", "R120.*cfg"),
        (True, "model", "R120.*model"),
        (True, "pending", "R120.*pending"),
        (False, "cfg", "R211.*cfg"),
        (False, "model", "R108.*damaged"),
        (False, "pending", "R211.*pending"),
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_parts(copy, manifest, part, match, share):
    if not manifest:
        (copy / NAME / "manifest.json").unlink()
    path = copy / NAME / part
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=match):
        spacy.load(copy)


@pytest.mark.parametrize("part", ["cfg", "model", "pending"])
def test_one_changed_byte(copy, part):
    path = copy / NAME / part
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=f"R120.*{part}"):
        spacy.load(copy)


@pytest.mark.parametrize("text", ["", "{}", '{"sha256": 3}', "[1]"])
def test_damaged_manifest(copy, text):
    (copy / NAME / "manifest.json").write_text(text, encoding="utf8")
    with pytest.raises(ValueError, match="R120.*manifest.json"):
        spacy.load(copy)


def test_what_is_excluded_is_not_checked(copy, make_nlp, component):
    (copy / NAME / "model").write_bytes(b"damaged")
    fresh = component(make_nlp())
    fresh.from_disk(copy / NAME, exclude=["model", "vocab"])
    assert fresh.labels == ("founded_by", "located_in")


def test_saving_removes_what_a_killed_process_left(copy):
    folder = copy / NAME
    left = folder / f".model.{'0' * 32}.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    spacy.load(copy).to_disk(copy)
    assert {file.name for file in folder.iterdir()} == {"cfg", "model", "store", "pending", "manifest.json"}


def test_adapter_of_another_base(copy, other_llama, questions):
    config = spacy.util.load_config(copy / "config.cfg")
    trained_on = config["components"][NAME]["model"]["backbone"]["name"]
    config["components"][NAME]["model"]["backbone"]["name"] = str(other_llama)
    config.to_disk(copy / "config.cfg")
    nlp = spacy.load(copy)
    with pytest.raises(ValueError, match="R107") as error:
        nlp(questions(nlp)[0])
    assert trained_on in str(error.value) and str(other_llama) in str(error.value)
    # It fails each time, and gives no answers by the wrong model meanwhile.
    with pytest.raises(ValueError, match="R107"):
        nlp(questions(nlp)[1])


def test_same_base_at_another_path(copy, tiny_llama, tmp_path, questions, plain, trained):
    moved = tmp_path / "moved-llama"
    shutil.copytree(tiny_llama, moved)
    config = spacy.util.load_config(copy / "config.cfg")
    config["components"][NAME]["model"]["backbone"]["name"] = str(moved)
    config.to_disk(copy / "config.cfg")
    here, there = spacy.load(copy), spacy.load(trained)
    assert plain(here.pipe(questions(here))) == plain(there.pipe(questions(there)))


def test_store_of_another_adapter(make_nlp, gold_examples, train, component, tmp_path, trained):
    nlp = make_nlp()
    train(nlp, gold_examples(nlp), steps=2)
    component(nlp).predictor.refresh()
    nlp.to_disk(tmp_path)
    shutil.copy(trained / NAME / "model", tmp_path / NAME / "model")
    (tmp_path / NAME / "manifest.json").unlink()
    with pytest.raises(ValueError, match="R212"):
        spacy.load(tmp_path)


def test_settings_are_plain_json(trained):
    cfg = json.loads((trained / NAME / "cfg").read_text())
    assert set(cfg) == {"labels", "open_labels", "trained", "calibration", "threshold", "reader", "types", "configured"}
    assert cfg["trained"] is True


def test_an_untrained_state_over_a_trained_component(make_nlp, gold_examples, train, found):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    docs = [copy_input(example.reference) for example in examples]
    start = nlp.to_bytes()
    before = [[(r.label, round(r.score, 5)) for r in doc._.relations] for doc in nlp.pipe([d.copy() for d in docs])]
    train(nlp, examples, steps=3)
    nlp.from_bytes(start)
    after = [[(r.label, round(r.score, 5)) for r in doc._.relations] for doc in nlp.pipe([d.copy() for d in docs])]
    assert after == before


# What version 0.1.0 saved


@pytest.fixture
def pending_nlp(make_nlp, gold_docs, component):
    nlp = make_nlp()
    component(nlp).predictor.pending = component(nlp)._gold(gold_docs(nlp))
    return nlp


def test_pending_examples_under_their_old_name(pending_nlp, make_nlp, component, tmp_path):
    pipe = component(pending_nlp)
    pipe.to_disk(tmp_path, exclude=["vocab"])
    (tmp_path / "pending").rename(tmp_path / "waiting")
    (tmp_path / "manifest.json").unlink()
    again = component(make_nlp())
    again.from_disk(tmp_path, exclude=["vocab", "waiting"])
    assert again.predictor.pending == []
    again.from_disk(tmp_path, exclude=["vocab"])
    assert again.predictor.pending == pipe.predictor.pending != []
    # Saved over it, they are there once.
    again.to_disk(tmp_path, exclude=["vocab"])
    assert not (tmp_path / "waiting").exists() and (tmp_path / "pending").exists()


def test_messages_in_their_old_form(pending_nlp, make_nlp, component):
    pipe = component(pending_nlp)
    parts = srsly.msgpack_loads(pipe.to_bytes())
    own = {"store": parts.pop("store"), "waiting": parts.pop("pending")}
    again = component(make_nlp(labels={}))
    again.from_bytes(srsly.msgpack_dumps({"pipe": srsly.msgpack_dumps(parts), **own}))
    assert again.labels == pipe.labels
    assert again.predictor.pending == pipe.predictor.pending != []


def test_damaged_settings(copy):
    (copy / NAME / "cfg").write_text("{")
    (copy / NAME / "manifest.json").unlink()
    with pytest.raises(ValueError, match="R211.*cfg"):
        spacy.load(copy)


def test_a_pipeline_of_32_bits_answers_in_16(trained, questions, monkeypatch):
    """As on a processor that is faster with them, which `dtype = "auto"` finds out."""
    exact = spacy.load(trained)
    docs = list(exact.pipe(questions(exact)))
    monkeypatch.setattr("spacy_ragre.llm.runtime.precision.bfloat16_pays", lambda: True)
    low = spacy.load(trained)
    for doc, other in zip(docs, low.pipe(questions(low))):
        assert [(r.head.text, r.label, r.tail.text) for r in other._.relations] == [
            (r.head.text, r.label, r.tail.text) for r in doc._.relations
        ]
        assert [r.score for r in other._.relations] == pytest.approx([r.score for r in doc._.relations], abs=0.05)
    assert str(low.get_pipe(NAME).predictor.backbone.dtype) == "torch.bfloat16"
