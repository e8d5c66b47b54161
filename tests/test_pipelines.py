"""Pipelines that go on after documents that fail."""

from typing import Any, List

import pytest
import spacy
from spacy.language import Language
from spacy.lookups import Lookups
from spacy.tokens import Doc

from spacy_ragre import pipelines
from spacy_ragre.pipelines import forget_words, set_error_handler, whole_labels


@Language.component("test_failing")
def failing(doc: Doc) -> Doc:
    if "fail" in doc.text:
        raise ValueError("It fails.")
    return doc


def test_a_pipeline_with_a_parser_takes_a_handler() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("parser")
    nlp.add_pipe("test_failing")
    told: List[Any] = []
    with pytest.raises(AttributeError):  # spaCy's own; where this no longer fails, ours is not needed
        nlp.set_error_handler(print)
    set_error_handler(nlp, lambda name, pipe, docs, error: told.append((name, [doc.text for doc in docs], str(error))))
    with nlp.select_pipes(enable="test_failing"):
        assert [doc.text for doc in nlp.pipe(["This fails.", "This does not."])] == ["This does not."]
    assert told == [("test_failing", ["This fails."], "It fails.")]


def test_labels_given_to_a_package_are_all_there_is() -> None:
    table = {"met": "met", "saw": {"text": "saw", "symmetric": True}}
    expected = [{"label": "met", "text": "met"}, {"label": "saw", "text": "saw", "symmetric": True}]
    for config in (
        {"components.x.labels": table},
        {"components": {"x": {"labels": table}}},
        {"components.x": {"labels": table}},
    ):
        given = whole_labels({"config": config, "vocab": True})
        assert expected in (
            given["config"].get("components.x.labels"),
            given["config"].get("components.x", {}).get("labels"),
            given["config"].get("components", {}).get("x", {}).get("labels"),
        )
        assert given["vocab"]
    others = {"components.x.threshold": {"met": 0.5}, "components.x.labels": ["met"], "nlp": {"batch_size": 2}}
    assert whole_labels({"config": others}) == {"config": others} and whole_labels({}) == {}


def test_words_are_forgotten_with_their_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("attribute_ruler").add([[{}]], {"POS": "NOUN"})  # type: ignore[attr-defined]
    lookups = Lookups()
    for name, table in (("rules", {"noun": [["s", ""]]}), ("exc", {}), ("index", {})):
        lookups.add_table(f"lemma_{name}", table)
    lemmatizer: Any = nlp.add_pipe("lemmatizer", config={"mode": "rule"})
    lemmatizer.initialize(lookups=lookups)
    nlp("Words that stay.")
    words, forms = len(nlp.vocab.strings), len(lemmatizer.cache)
    monkeypatch.setattr(pipelines, "_FORMS", forms + 10)
    for part in range(5):
        with forget_words(nlp):
            assert [token.lemma_ for token in nlp(f"things{part} and cars.")][1:3] == ["and", "car"]
            for doc in nlp.pipe(f"only{part}x{i}s" for i in range(8)):
                assert doc[0].lemma_ == doc.text[:-1]
        assert len(nlp.vocab.strings) == words and len(lemmatizer.cache) <= forms + 10
