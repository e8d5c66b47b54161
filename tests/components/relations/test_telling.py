"""Scores of relations that are not likely enough to be answers, as curves need them."""

from typing import Any, Dict, List

import pytest
from spacy.language import Language
from spacy.tokens import Doc

NAME = "rag_relation_extractor"


def told(nlp: Language, docs: List[Doc]) -> Dict[str, List[Any]]:
    found: Dict[str, List[Any]] = {}
    with nlp.get_pipe(NAME).telling(lambda doc, items: found.update({doc.text: items})):  # type: ignore[attr-defined]
        list(nlp.pipe(docs))
    return found


@pytest.mark.parametrize("several", [False, True])
def test_what_pairs_may_hold_is_told_and_answers_stay(make_nlp, gold_docs, several, plain):
    nlp = make_nlp(multi_label=several, threshold=0.999)
    labels = nlp.get_pipe(NAME).labels
    heard = told(nlp, [doc.copy() for doc in gold_docs(nlp)])
    assert any(heard.values())
    for items in heard.values():
        pairs = [(item.candidate.first, item.candidate.second) for item in items]
        assert all(0.01 <= item.score <= 1 and item.label in labels for item in items)
        assert several or len(pairs) == len(set(pairs))
    own = [doc for doc in nlp.pipe(gold_docs(nlp))]
    list(told(nlp, again := gold_docs(nlp)))
    assert plain(own) == plain(again)
    assert nlp.get_pipe(NAME)._hear is None


def test_answers_are_among_what_is_told(make_nlp, gold_docs):
    nlp = make_nlp(multi_label=True)
    docs = gold_docs(nlp)
    heard = told(nlp, docs)
    for doc in docs:
        likely = {(item.label, round(item.score, 5)) for item in heard[doc.text]}
        assert {(rel.label, round(rel.score, 5)) for rel in doc._.relations} <= likely


def test_a_failure_ends_it(make_nlp):
    component = make_nlp().get_pipe(NAME)
    with pytest.raises(KeyError), component.telling(lambda doc, items: None):
        raise KeyError("something")
    assert component._hear is None
