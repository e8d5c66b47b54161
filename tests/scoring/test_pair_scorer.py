import pickle

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_ragre.registry import registry
from spacy_ragre.scoring import score_pairs

nlp = spacy.blank("en")
CLUSTERS = [[(0, 1), (8, 9)], [(2, 3)], [(4, 6)]]


def make_doc(relations=None, pairs=(), clusters=CLUSTERS):
    doc = Doc(nlp.vocab, words=[f"w{i}" for i in range(10)])
    doc._.entity_clusters = clusters
    doc._.candidate_pairs = pairs
    if relations is not None:
        doc._.relations = [
            {"head": clusters[h][0], "tail": clusters[t][0], "label": r, "head_cluster": h, "tail_cluster": t}
            for h, t, r in relations
        ]
    return doc


def test_hand_computed():
    gold = make_doc([(0, 1, "a"), (0, 1, "b"), (1, 2, "a")])
    predicted = make_doc(pairs=[(0, 1, 0.9), (1, 0, 0.8), (2, 0, 0.7)])
    scores = score_pairs([Example(predicted, gold)])
    # Six ordered pairs, two with a relation; three proposed, one of them right; two of four others dropped.
    assert scores["pairs_p"] == pytest.approx(1 / 3)
    assert scores["pairs_r"] == pytest.approx(1 / 2)
    assert scores["pairs_f"] == pytest.approx(2 / 5)
    assert scores["pairs_dropped"] == pytest.approx(1 / 2)


def test_entities_that_are_lacking_or_not_gold():
    gold = make_doc([(0, 1, "a"), (1, 2, "a")])
    predicted = make_doc(pairs=[(1, 0, 0.9), (2, 1, 0.8)], clusters=[[(2, 3)], [(8, 9)], [(6, 7)]])
    scores = score_pairs([Example(predicted, gold)])
    assert (scores["pairs_p"], scores["pairs_r"]) == (0.5, 0.5)
    # A pair with something that is no gold entity is wrong, and none of the pairs to be dropped.
    assert scores["pairs_dropped"] == 1.0


def test_sentence_level_relations():
    gold = make_doc()
    gold._.relations = [{"head": (8, 9), "tail": (2, 3), "label": "a"}]
    assert score_pairs([Example(make_doc(pairs=[(0, 1)]), gold)])["pairs_f"] == 1.0


def test_nothing_to_count():
    assert all(value is None for value in score_pairs([Example(make_doc(pairs=[(0, 1)]), make_doc())]).values())
    scores = score_pairs([Example(make_doc(), make_doc([]))])
    assert scores["pairs_f"] is None and scores["pairs_dropped"] == 1.0


def test_scorer():
    scorer = registry.resolve({"scorer": {"@scorers": "ragre.pair_filter_scorer.v1"}})["scorer"]
    examples = [Example(make_doc(pairs=[(0, 1)]), make_doc([(0, 1, "a")]))]
    assert pickle.loads(pickle.dumps(scorer))(examples, labels=())["pairs_f"] == 1.0


def test_pairs_that_may_hold_what_nobody_looked_for_count_neither_way():
    gold = make_doc([(0, 1, "a")])
    gold._.annotated_labels = ["a"]
    partly = Example(make_doc(pairs=[(0, 1), (1, 2)]), gold)
    whole = Example(make_doc(pairs=[(0, 1), (0, 2)]), make_doc([(0, 1, "b"), (2, 1, "a")]))
    # "b" is a label, too, so that the first document says nothing of the pair that it has no relation for.
    scores = score_pairs([partly, whole])
    assert (scores["pairs_p"], scores["pairs_r"]) == pytest.approx((2 / 3, 2 / 3))
    assert scores["pairs_dropped"] == pytest.approx(3 / 4)
    assert score_pairs([partly])["pairs_p"] == 1 / 2
    assert score_pairs([partly], labels=["c"])["pairs_p"] == 1.0
