"""Training the extractor: all parts learn from one loss, and what must not be used is not."""

import numpy as np
import pytest
import spacy
import torch

NAME = "etrag_extractor"


@pytest.mark.parametrize(
    "settings",
    [{}, {"k": 0}, {"train_retriever": False}, {"prompt_length": 3}, {"tuning": "full"}, {"index": "hnsw"}],
    ids=["etrag", "no retrieval", "frozen", "long prompt", "full", "hnsw"],
)
def test_learns_the_training_sentences(make_etrag, train_etrag, gold_examples, gold_docs, found, settings):
    nlp = make_etrag(**settings)
    examples = gold_examples(nlp)
    losses = train_etrag(nlp, examples)
    assert losses[-1] < 0.1 * losses[0]
    docs = list(nlp.pipe(example.predicted for example in examples))
    assert found(docs) == found(gold_docs(nlp))


def test_learns_with_an_encoder_decoder(make_etrag, train_etrag, gold_examples, tiny_t5):
    nlp = make_etrag(backbone=tiny_t5, seq2seq=True)
    losses = train_etrag(nlp, gold_examples(nlp))
    assert losses[-1] < 0.3 * losses[0]


def test_multi_label(make_etrag, train_etrag, gold_examples):
    nlp = make_etrag(multi_label=True)
    losses = train_etrag(nlp, gold_examples(nlp), steps=8)
    assert losses[-1] < losses[0]
