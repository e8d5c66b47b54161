"""How much pairs count in training: as annotations, in files, and in the losses."""

import json
from collections import Counter
from typing import Any, List, Tuple

import numpy as np
import pytest
from spacy.tokens import Doc, DocBin

from spacy_ragre import doc_from_dict, doc_to_dict
from spacy_ragre.candidates import label_candidates, make_same_sentence, make_whole_document
from spacy_ragre.corpora import read_jsonl, write_jsonl
from spacy_ragre.corpora.writing import flat_dict
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.pair_weights import WEIGHTS_KEY, get_weights, set_weights
from spacy_ragre.training.losses import adaptive_threshold, cross_entropy, vote_likelihood

RECORD = {
    "text": "Ann runs Acme near Paris.",
    "ents": [
        {"start": 0, "end": 3, "label": "PERSON"},
        {"start": 9, "end": 13, "label": "ORG"},
        {"start": 19, "end": 24, "label": "GPE"},
    ],
    "relations": [{"head": 0, "tail": 1, "label": "runs", "score": 0.8}],
    "weights": [{"head": 0, "tail": 1, "weight": 0.8}, {"head": 2, "tail": 0, "weight": 0.0}],
}


@pytest.fixture
def doc(nlp: Any) -> Doc:
    return doc_from_dict(RECORD, nlp)


def weights_in(doc: Doc) -> List[Tuple[str, str, float]]:
    return [(pair.head.text, pair.tail.text, pair.weight) for pair in get_weights(doc)]


# Annotations


def test_they_are_read_and_written(doc: Doc, nlp: Any, tmp_path: Any) -> None:
    assert weights_in(doc) == [("Ann", "Acme", 0.8), ("Paris", "Ann", 0.0)]
    assert doc_to_dict(doc) == RECORD
    write_jsonl([doc], tmp_path / "docs.jsonl")
    (again,) = read_jsonl(tmp_path / "docs.jsonl", nlp)
    assert weights_in(again) == weights_in(doc)
    (kept,) = DocBin(store_user_data=True, docs=[doc]).get_docs(nlp.vocab)
    assert weights_in(kept) == weights_in(doc)


def test_pairs_that_count_one_are_not_kept(doc: Doc) -> None:
    set_weights(doc, [(doc.ents[0], doc.ents[1], 1.0), (doc.ents[1], doc.ents[2], 0.5)])
    assert weights_in(doc) == [("Acme", "Paris", 0.5)]
    set_weights(doc, [])
    assert WEIGHTS_KEY not in doc.user_data and "weights" not in doc_to_dict(doc)


@pytest.mark.parametrize("value", [1.2, -0.1, float("nan"), True, "much", None])
def test_a_weight_is_a_share(doc: Doc, value: Any) -> None:
    with pytest.raises(ValueError, match="R755"):
        set_weights(doc, [(doc.ents[0], doc.ents[1], value)])


@pytest.mark.parametrize(
    "weights, problem",
    [
        ([{"head": 0, "tail": 7, "weight": 0.5}], r"R409.*weights\[0\].tail"),
        ([{"head": 0, "tail": 1}], r"R405.*weights\[0\].*weight"),
        ([{"head": 0, "tail": 1, "weight": 2}], "R405.*from 0 to 1"),
        ("no", "R405.*weights"),
    ],
)
def test_bad_weights_in_a_file(weights: Any, problem: str, tmp_path: Any) -> None:
    (tmp_path / "docs.jsonl").write_text(json.dumps({**RECORD, "weights": weights}))
    with pytest.raises(ValueError, match=problem):
        list(read_jsonl(tmp_path / "docs.jsonl"))


def test_a_mention_that_is_no_entity_is_told_when_it_is_written(doc: Doc) -> None:
    set_weights(doc, [(doc[1:2], doc.ents[0], 0.5)])
    with pytest.raises(ValueError, match="R413.*a pair with a weight"):
        doc_to_dict(doc)


def test_formats_that_do_not_hold_them_say_so(doc: Doc) -> None:
    dropped: Counter[str] = Counter()
    flat_dict(doc, None, dropped)
    assert dropped["weights of pairs"] == 2


def test_pairs_take_their_weight_along(doc: Doc) -> None:
    pairs = label_candidates(doc, make_same_sentence()(doc, doc.ents))
    found = {(pair.instance.first_text, pair.instance.second_text): pair.instance.weight for pair in pairs}
    assert found == {("Ann", "Acme"): 0.8, ("Ann", "Paris"): 0.0, ("Acme", "Paris"): 1.0}
    # As pairs of clusters, too, and in either order.
    doc._.entity_clusters = [[ent] for ent in doc.ents]
    doc._.candidate_pairs = [(1, 0), (0, 2)]
    pairs = label_candidates(doc, make_whole_document()(doc, doc.ents))
    assert {pair.instance.first_text + pair.instance.second_text: pair.instance.weight for pair in pairs} == {
        "AnnAcme": 0.8,
        "AnnParis": 0.0,
        "AcmeParis": 1.0,
    }


def test_a_weight_makes_no_other_pair() -> None:
    one = Instance("a b", (0, 1), (2, 3), answers=(Answer("runs"),), weight=0.5)
    assert one == Instance("a b", (0, 1), (2, 3), answers=(Answer("runs"),)) and one.swapped().weight == 0.5


# Losses

LOSSES = [
    lambda values, targets, weights: cross_entropy(values, targets, 0.1, None, weights),
    lambda values, targets, weights: adaptive_threshold(values, targets, None, weights),
    lambda values, targets, weights: vote_likelihood(abs(values) / 10, targets, weights=weights),
]


@pytest.mark.parametrize("loss", LOSSES, ids=["single", "several", "votes"])
def test_the_loss_and_its_gradient_are_multiplied(loss: Any) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    targets: List[List[int]] = [[1], [], [2, 3]]
    weights = np.array([0.25, 1.0, 0.0], dtype="float32")
    alone = [loss(values[[row]], [targets[row]], None) for row in range(3)]
    total, gradient = loss(values, targets, weights)
    assert total == pytest.approx(sum(float(w) * own for w, (own, _) in zip(weights, alone)), rel=1e-5)
    for row, (_, own) in enumerate(alone):
        assert gradient[row] == pytest.approx(weights[row] * own[0], abs=1e-6)
    # Weights of 1 are none.
    same = loss(values, targets, np.ones(3, dtype="float32"))
    plain = loss(values, targets, None)
    assert same[0] == pytest.approx(plain[0]) and same[1] == pytest.approx(plain[1])
