"""All pairs of a document in few passes: the component answers as it does for separate prompts."""

from typing import Any, Dict, List

import numpy as np
import pytest
from spacy.tokens import Doc

from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"
PACKED: Dict[str, Any] = {
    "prompt": {
        "@ragre_prompts": "ragre.Relation.v1",
        "instruction": True,
        "document": True,
        "marked": False,
        "types": True,
    },
    "candidates": {"@ragre_candidates": "ragre.WholeDocument.v1"},
}
TEXT = "Acme was founded by Ann in Paris . Bob met Cara there , and Dan founded Initech in Rome ."
ENTS = [
    ("Acme", "ORG"),
    ("Ann", "PERSON"),
    ("Paris", "GPE"),
    ("Bob", "PERSON"),
    ("Cara", "PERSON"),
    ("Dan", "PERSON"),
    ("Initech", "ORG"),
    ("Rome", "GPE"),
]


@pytest.fixture
def predictor(component: Any) -> Any:
    return lambda nlp: component(nlp).predictor


def scores(nlp: Any, doc: Doc, share: bool) -> np.ndarray:
    component = nlp.get_pipe(NAME)
    component.predictor.backbone._shares = share
    return component.predictor.score([c.instance for c in component._candidates(doc)]).scores


def make_labels(count: int) -> Dict[str, str]:
    return {f"label {i}": f"has {'very ' * (i % 3)}number {i}" for i in range(count)}


@pytest.mark.parametrize("trained", [True, False], ids=["head", "trie"])
@pytest.mark.parametrize(
    "labels",
    [
        {"founded_by": "was founded by"},
        {"a": "knows", "b": "knows of", "c": "knows of the", "d": "is"},
        make_labels(40),
    ],
    ids=["one label", "prefixes of each other", "many"],
)
def test_scores_are_those_of_separate_prompts(make_nlp, make_doc, predictor, trained, labels) -> None:
    nlp = make_nlp(labels=labels, **PACKED)
    if trained:
        predictor(nlp).init_head()
        predictor(nlp).trained = True
    doc = make_doc(nlp, TEXT, ENTS)
    packed, separate = scores(nlp, doc, True), scores(nlp, doc, False)
    assert packed.shape == (28, 1 + 2 * len(labels))
    np.testing.assert_allclose(packed, separate, atol=1e-3)
    assert separate.std() > 1e-3


@pytest.mark.parametrize("trained", [True, False], ids=["head", "trie"])
def test_two_thousand_labels(make_nlp, make_doc, predictor, trained) -> None:
    nlp = make_nlp(labels=make_labels(2000), **{**PACKED, "prompt": {**PACKED["prompt"], "instruction": False}})
    if trained:
        predictor(nlp).init_head()
        predictor(nlp).trained = True
    doc = make_doc(nlp, "Acme was founded by Ann .", ENTS[:2])
    found = scores(nlp, doc, True)
    assert found.shape == (1, 4001) and np.isfinite(found).all()
    sizes: List[int] = []
    backbone = predictor(nlp).backbone
    original = backbone.pad
    backbone.pad = lambda rows, left=False: (sizes.append(max(map(len, rows))), original(rows, left))[1]
    scores(nlp, doc, True)
    # The trie is cut: no row is longer than the prompt and 512 nodes.
    assert max(sizes) < 600


def test_a_question_over_the_budget_is_answered(make_nlp, make_doc, predictor) -> None:
    nlp = make_nlp(**PACKED)
    doc = make_doc(nlp, TEXT, ENTS)
    expected = scores(nlp, doc, True)
    predictor(nlp).backbone.batch_tokens = 4
    np.testing.assert_allclose(scores(nlp, doc, True), expected, atol=1e-4)


def test_no_pairs(make_nlp, make_doc, predictor) -> None:
    nlp = make_nlp(**PACKED)
    assert predictor(nlp).score([]).scores.shape == (0, 5)
    assert nlp(make_doc(nlp, "Nothing here .")).user_data is not None


def test_training_is_that_of_separate_prompts(make_nlp, make_doc, train, component) -> None:
    from spacy.training import Example

    losses = {}
    for share in (True, False):
        nlp = make_nlp(**PACKED)
        component(nlp).predictor.backbone._shares = share
        doc = make_doc(nlp, TEXT, ENTS, [(0, "founded_by", 1), (6, "founded_by", 5), (6, "located_in", 7)])
        losses[share] = train(nlp, [Example(copy_input(doc), doc)], steps=4)
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)
    assert losses[True][-1] < losses[True][0]


def test_documents_of_a_batch_answer_as_alone(make_nlp, make_doc, found) -> None:
    nlp = make_nlp(**PACKED)
    docs = [make_doc(nlp, TEXT, ENTS[:n]) for n in (8, 0, 3, 1, 5)]
    together = found(list(nlp.pipe([doc.copy() for doc in docs], batch_size=8)))
    assert together == found([nlp(doc.copy()) for doc in docs])
    assert any(together)
