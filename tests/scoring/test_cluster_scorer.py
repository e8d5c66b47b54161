import pickle

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_ragre.registry import registry
from spacy_ragre.scoring.clusters import BCubed, score_clusters

nlp = spacy.blank("en")


def make_doc(clusters=None):
    doc = Doc(nlp.vocab, words=[f"w{i}" for i in range(12)])
    if clusters is not None:
        doc._.entity_clusters = [[(i, i + 1, "X") for i in cluster] for cluster in clusters]
    return doc


def score(gold, predicted):
    scores = score_clusters([Example(make_doc(predicted), make_doc(gold))])
    return tuple(scores[f"clusters_{key}"] for key in "prf")


def test_the_example_of_the_paper():
    # Bagga and Baldwin 1998, figures 3 and 4: {1..5}, {6, 7}, {8..12}; the second and the last are taken for one, or
    # the first and the last.
    gold = [range(5), range(5, 7), range(7, 12)]
    assert score(gold, [range(5), range(5, 12)]) == pytest.approx((16 / 21, 1.0, 32 / 37))
    assert score(gold, [[*range(5), *range(7, 12)], range(5, 7)]) == pytest.approx((7 / 12, 1.0, 14 / 19))


def test_hand_computed():
    # Mention 0: 2 of 3 that were predicted, 2 of 2 gold; 1: the same; 2: 1 of 3, 1 of 2; 3: 1 of 1, 1 of 2.
    precision, recall = (2 / 3 + 2 / 3 + 1 / 3 + 1) / 4, (1 + 1 + 1 / 2 + 1 / 2) / 4
    expected = (precision, recall, 2 * precision * recall / (precision + recall))
    assert score([[0, 1], [2, 3]], [[0, 1, 2], [3]]) == pytest.approx(expected)
    assert score([[0, 1], [2, 3]], [[0, 1], [2, 3]]) == (1.0, 1.0, 1.0)


def test_mentions_that_are_lacking_or_not_gold():
    # Mention 1 was not found, and 5 is none: both count where they are missing.
    assert score([[0, 1]], [[0, 5]]) == pytest.approx((1 / 4, 1 / 4, 1 / 4))
    assert score([[0]], []) == (0.0, 0.0, 0.0) and score([], [[0]]) == (0.0, 0.0, 0.0)
    assert score([], []) == (None, None, None)


def test_pronouns_count_where_the_gold_clusters_have_them():
    predicted = make_doc()
    predicted._.entity_clusters = [[(0, 1, "X"), (3, 4)], [(1, 2, "X"), (4, 5)]]
    scores = score_clusters([Example(predicted, make_doc([[0, 4], [1]]))])
    # Mention 4 is gold's, and 3 no one's.
    assert (scores["clusters_p"], scores["clusters_r"]) == pytest.approx(
        ((1 + 1 / 2 + 1 / 2) / 3, (1 / 2 + 1 / 2 + 1) / 3)
    )


def test_all_documents_count_by_their_mentions():
    counts = BCubed()
    counts.add([[0, 1]], [[0], [1]])
    counts.add([[0]], [[0]])
    assert (counts.precision, counts.recall) == pytest.approx((1.0, 2 / 3))


def test_references_without_clusters_are_left_out():
    assert score_clusters([Example(make_doc([[0]]), make_doc())])["clusters_f"] is None


def test_the_registered_scorer_can_be_pickled():
    scorer = pickle.loads(pickle.dumps(registry.scorers.get("ragre.cluster_scorer.v1")()))
    assert scorer([Example(make_doc([[0]]), make_doc([[0]]))])["clusters_f"] == 1.0
