"""Scores of the reader of open labels on development schemas whose labels are written in other ways."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.open_relations import evaluate
from benchmarks.open_relations.wordings import DEV, STYLES, read_source
from spacy_ragre.components.relations.open_labels import OpenRelations
from spacy_ragre.corpora.openrel import read_schema, write_corpus

SOURCE = """# title: Boards
# labels
chairs | chairs; presides over; leads | the head chairs the tail | PERSON | ORG
controls | controls; has in hand; dominates | the head has the tail in hand | PERSON,ORG | ORG
# texts
[Ann Lee|PERSON] chairs [Acme|ORG]. || 1 chairs 2
[Bob Ray|PERSON] has left [Acme|ORG] of [Bolt|ORG]. || 3 controls 2
"""


class FakeReader:
    """Reads a label by its words alone: what has a given word holds of every pair."""

    model = SimpleNamespace(device=torch.device("cpu"))

    def __init__(self, word):
        self.word, self.texts, self.labels = word, 0, []

    def read_pairs(self, texts, *, types):
        self.texts += len(texts)
        return sum(len(text.all_pairs()) for text in texts)

    def read_labels(self, labels, *, types):
        self.labels += labels
        return np.array([2.0 if self.word in " ".join(label.texts) else -2.0 for label in labels], dtype="float32")

    def match(self, pairs, states):
        return np.repeat(states[None], pairs, 0)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "04_boards.txt"
    path.write_text(SOURCE, encoding="utf8")
    write_corpus([read_schema(path)], tmp_path / "corpus")
    return tmp_path / "corpus"


def run(corpus, monkeypatch, word, *options):
    reader = FakeReader(word)
    monkeypatch.setattr(OpenRelations, "load", lambda weights: reader)
    out = corpus.parent / "out.json"
    evaluate.main(["weights", str(corpus), "--out", str(out), *options])
    return reader, json.loads(out.read_text())


def test_labels_are_read_as_the_options_say(corpus, monkeypatch):
    reader, scores = run(corpus, monkeypatch, "chairs", "--wordings", "2", "--no-definitions")
    assert [(label.texts, label.definition) for label in reader.labels[:2]] == [
        (("chairs", "presides over"), ""),
        (("controls", "has in hand"), ""),
    ]
    assert set(scores) == {"types", "no_types"} and scores["types"]["gold"] == 2
    # Of the pairs that types allow, it holds of three; without types of all eight.
    assert scores["types"]["zero"]["p"] == pytest.approx(100 / 3) and scores["types"]["zero"]["r"] == 50
    assert scores["no_types"]["zero"]["p"] == 12.5


def test_each_style_is_measured_by_one_reading_of_the_texts(corpus, monkeypatch):
    reader, scores = run(corpus, monkeypatch, "presided", "--styles")
    assert reader.texts == 4  # two, with types and without
    assert set(scores) == {"full", *STYLES}
    # Only the noun of "chairs" has the word: "board or committee chaired; body presided over".
    other = read_source(DEV)["04_boards"]
    written = {(label.texts, label.definition) for label in reader.labels if label.name == "chairs"}
    assert written == {
        (("chairs",), "the head chairs the tail"),
        (("chairs",), ""),
        ((other["chairs"].nouns[0],), ""),
        ((other["chairs"].shorts[0],), ""),
        ((other["chairs"].roles,), ""),
        ((other["chairs"].nouns[0],), other["chairs"].definition),
    }
    assert scores["noun"]["types"]["decisions"] == scores["full"]["types"]["decisions"] == 16


def test_a_style_that_fits_scores_higher(corpus, monkeypatch):
    _, scores = run(corpus, monkeypatch, "Chair-", "--styles")
    assert scores["role"]["types"]["zero"]["r"] == 50
    assert scores["verb"]["types"]["zero"]["r"] == scores["full"]["types"]["zero"]["r"] == 0
