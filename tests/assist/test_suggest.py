"""Which texts come first."""

from typing import Any, List, Sequence

import numpy as np
import pytest
import spacy

from spacy_ragre.assist.suggest import Suggestion, doubt_of, put_in_order, read_docs
from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.components.relations.decisions import BestLabel, MultiLabel, SingleLabel
from spacy_ragre.instances import Instance
from spacy_ragre.labels import LabelSet

nlp = spacy.blank("en")
LABELS = LabelSet({"runs": {"symmetric": True}, "owns": {"symmetric": True}})


class Letters:
    """Encodes a text by its first letter."""

    width = 8
    fingerprint = "letters"

    def encode_queries(self, instances: Sequence[Instance]) -> np.ndarray:
        return np.eye(8, dtype="float32")[[ord(instance.text[0]) - ord("a") for instance in instances]]


def make(text: str, doubt: float, found: bool = False) -> Suggestion:
    doc = nlp.make_doc(text)
    doc._.relations = [{"head": doc[0:1], "tail": doc[1:2], "label": "runs"}] if found else []
    return Suggestion(doc, doubt)


def texts(items: Sequence[Suggestion]) -> List[str]:
    return [item.doc.text for item in items]


def test_doubt_of_one_answer_is_the_margin() -> None:
    probability = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.1, 0.7, 0.2]])
    assert SingleLabel().doubt(probability, Calibration(), LABELS) == pytest.approx([1.0, 0.0, 0.5])
    assert SingleLabel().doubt(probability[:0], Calibration(), LABELS).shape == (0,)


@pytest.mark.parametrize("decision", [MultiLabel(), BestLabel()])
def test_doubt_of_several_answers_is_the_way_from_the_limit(decision: Any) -> None:
    # Of the first class, "no relation", nothing is asked.
    probability = np.array([[0.8, 0.8, 0.0], [0.8, 0.9, 0.6], [0.8, 0.0, 0.0], [0.0, 0.4, 0.2]])
    settings = Calibration(threshold=0.8, decision=0.0)
    assert decision.doubt(probability, settings, LABELS) == pytest.approx([1.0, 0.75, 0.0, 0.5])
    own = Calibration(thresholds={"owns": 0.2}, threshold=0.8, decision=0.0)
    assert decision.doubt(probability[3:], own, LABELS) == pytest.approx([1.0])


def test_a_document_is_as_doubtful_as_its_most_doubtful_pairs() -> None:
    assert doubt_of([0.9, 0.0, 0.6, 0.3]) == pytest.approx(0.6)
    assert (doubt_of([0.5]), doubt_of([])) == (0.5, -1.0)


def test_orders() -> None:
    items = [make("a b", 0.2, True), make("c d", 0.9), make("e f", -1.0), make("g h", 0.5, True), make("c  d", 0.8)]
    # What was there before comes last.
    assert texts(put_in_order(items, "uncertain")) == ["c d", "g h", "a b", "e f", "c  d"]
    assert texts(put_in_order(items, "confident")) == ["a b", "g h", "c d", "e f", "c  d"]
    assert put_in_order([], "diverse") == []


def test_diverse_takes_of_each_group_in_turn() -> None:
    items = [make(f"{letter} {i}", i / 10) for letter, count in (("a", 4), ("b", 3), ("c", 2)) for i in range(count)]
    order = texts(put_in_order(items, "diverse", Letters()))  # type: ignore[arg-type]
    assert order == ["a 3", "b 2", "c 1", "a 2", "b 1", "c 0", "a 1", "b 0", "a 0"]


def test_pipelines_that_know_no_doubt_are_diverse_only() -> None:
    plain = spacy.blank("en")
    docs = [plain.make_doc("a b"), plain.make_doc("c d")]
    assert [item.doubt for item in read_docs(plain, docs, name="plain", order="diverse")] == [-1.0, -1.0]
    with pytest.raises(ValueError, match="R672.*'uncertain'"):
        read_docs(plain, docs, name="plain", order="uncertain")
