"""Pipelines that go on after documents that fail."""

from typing import Any, List

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ragre.pipelines import set_error_handler


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
