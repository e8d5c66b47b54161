"""Any value in any place of an annotation: it is taken and kept with the document, or refused by a numbered message."""

from typing import Any, Callable

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_ragre.labels import LabelSet

VOCAB = spacy.blank("en").vocab
WORDS = ["Acme", "Steel", "was", "founded", "by", "Ada", "in", "Rome"]
MANY = settings(max_examples=2 * settings().max_examples)

NUMBERS = st.one_of(st.integers(-3, 9), st.integers(), st.floats(), st.sampled_from([np.int64(1), np.float32(0.5)]))
STRINGS = st.one_of(st.sampled_from(["", " ", "ORG", "founded_by", "\ud800"]), st.text(max_size=3))
WRONG = st.one_of(st.none(), st.booleans(), NUMBERS, STRINGS, st.binary(max_size=2), st.builds(object))
ANY = st.recursive(
    st.one_of(WRONG, st.just(np.array([1, 2])), st.just(np.array(1))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(STRINGS, st.integers(0, 2)), inner, max_size=3),
    ),
    max_leaves=6,
)


def mostly(right: "st.SearchStrategy[Any]") -> "st.SearchStrategy[Any]":
    """Right values and, now and then, any other."""
    return st.integers(0, 9).flatmap(lambda n: right if n else ANY)


FIRST, LAST = mostly(st.integers(0, 4)), mostly(st.integers(5, 8))
SPANS = mostly(
    st.one_of(
        st.tuples(FIRST, LAST),
        st.tuples(FIRST, LAST, mostly(st.just("ORG"))),
        st.fixed_dictionaries({"start": FIRST, "end": LAST}, optional={"label": mostly(st.just("ORG"))}),
    )
)
INDEXES, SCORES = mostly(st.integers(0, 1)), mostly(st.floats(0, 1))
NAMES = mostly(st.sampled_from(["founded_by", "located_in"]))
ITEMS = {
    "relations": st.fixed_dictionaries(
        {"head": SPANS, "tail": SPANS, "label": NAMES},
        optional={"score": SCORES, "head_cluster": INDEXES, "tail_cluster": INDEXES, "evidence": ANY},
    ),
    "entity_clusters": st.lists(SPANS, min_size=1, max_size=3),
    "candidate_pairs": st.one_of(
        st.tuples(INDEXES, INDEXES),
        st.tuples(INDEXES, INDEXES, SCORES),
        st.tuples(INDEXES, INDEXES, SCORES, mostly(st.dictionaries(STRINGS, SCORES, max_size=2))),
    ),
    "triples": st.lists(NAMES, min_size=3, max_size=3),
    "annotated_labels": NAMES,
}
TEXTS = mostly(st.one_of(st.just("was founded by"), st.lists(STRINGS, max_size=2)))
TYPES = mostly(st.lists(STRINGS, max_size=2))
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS,
        "definition": mostly(STRINGS),
        "symmetric": mostly(st.booleans()),
        "head_types": TYPES,
        "tail_types": TYPES,
    },
)


def is_refused(act: Callable[[], Any]) -> bool:
    """Whether an action ends in a ValueError, which must have a number; any other error goes on."""
    try:
        act()
    except ValueError as error:
        assert str(error).startswith("[R")
        return True
    return False


@pytest.mark.parametrize("attr", ITEMS)
@given(data=st.data())
def test_annotations_are_kept_or_refused(attr: str, data: st.DataObject) -> None:
    doc = Doc(VOCAB, words=WORDS)
    doc._.entity_clusters = [[doc[0:2]], [doc[5:6]]]
    before = dict(doc.user_data)
    value = data.draw(mostly(st.lists(mostly(ITEMS[attr]), max_size=3)))
    if is_refused(lambda: setattr(doc._, attr, value)):
        assert doc.user_data == before
        return
    copy = Doc(VOCAB).from_bytes(doc.to_bytes())
    # As text, since NaN in evidence is not equal to itself.
    assert repr(getattr(copy._, attr)) == repr(getattr(doc._, attr))
    setattr(doc._, attr, getattr(doc._, attr))
    assert repr(getattr(doc._, attr)) == repr(getattr(copy._, attr))


@MANY
@given(mostly(STRINGS), mostly(SPECS))
def test_label_tables_are_kept_or_refused(label: Any, spec: Any) -> None:
    labels = LabelSet()
    if is_refused(lambda: labels.add(label, spec)):
        assert not labels.specs and labels.classes == [None]
        return
    again = LabelSet(labels.to_dict())
    assert again.specs == labels.specs and again.classes == labels.classes
    assert len(labels.classes) == (2 if labels.specs[label].symmetric else 3)
