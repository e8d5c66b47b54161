"""`tune` in the settings of `initialize`: the sentence encoder learns the labels, and is saved with the store."""

from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.training import Example

from spacy_ragre.components.relations import predictor
from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"


@pytest.fixture
def examples(make_doc, make_nlp):
    nlp = make_nlp()
    texts = [
        ("Acme was founded by Ann .", "founded_by"),
        ("Globex was founded by Bob .", "founded_by"),
        ("Acme is located in Rome .", "located_in"),
        ("Globex is located in Bonn .", "located_in"),
    ]
    docs = []
    for text, label in texts:
        words = text.split()
        docs.append(make_doc(nlp, text, [(words[0], "X"), (words[-2], "X")], [(0, label, 1)]))
    return [Example(copy_input(doc), doc) for doc in docs]


def keys(nlp, examples):
    component = nlp.get_pipe(NAME)
    instances = component.predictor.retriever.store.instances
    return component.predictor.retriever.encoder.encode_queries(instances)


def test_tuned_encoder_is_saved_with_the_store(make_nlp, text_retriever, examples, tmp_path: Path):
    plain, tuned = (make_nlp(retriever=text_retriever) for _ in range(2))
    plain.get_pipe(NAME).initialize(lambda: examples)
    tuned.get_pipe(NAME).initialize(lambda: examples, tune={"epochs": 3, "batch_size": 2, "learning_rate": 1e-3})
    before, after = keys(plain, examples), keys(tuned, examples)
    assert np.abs(before - after).max() > 1e-3
    tuned.to_disk(tmp_path)
    assert np.array_equal(keys(spacy.load(tmp_path), examples), after)


def test_only_sentence_encoders_are_tuned(make_nlp, examples):
    with pytest.raises(ValueError, match="R507"):
        make_nlp().get_pipe(NAME).initialize(lambda: examples, tune={"epochs": 1})


def test_pairs_that_may_hold_what_nobody_looked_for_are_not_tuned_on(
    make_nlp, make_doc, text_retriever, examples, monkeypatch
):
    nlp = make_nlp(retriever=text_retriever)
    unsure = make_doc(nlp, "Hooli was founded by Cara .", [("Hooli", "X"), ("Cara", "X")], [])
    unsure._.annotated_labels = ["located_in"]
    seen = []
    monkeypatch.setattr(
        predictor, "tune_encoder", lambda encoder, instances, *_, **__: seen.extend(instances) or encoder
    )
    nlp.get_pipe(NAME).initialize(lambda: [*examples, Example(copy_input(unsure), unsure)], tune={"epochs": 1})
    assert len(seen) == 4 and all(instance.answers for instance in seen)
    assert len(nlp.get_pipe(NAME).predictor.known_examples) == 5
