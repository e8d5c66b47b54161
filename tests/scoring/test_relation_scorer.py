import itertools
import random

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ragre.registry import registry
from spacy_ragre.scoring import make_relation_scorer, score_relations
from spacy_ragre.scoring.comparison import find_disagreements
from spacy_ragre.scoring.confusions import find_confusions, find_errors

nlp = spacy.blank("en")
WORDS = ["Ada", "Byron", "met", "Bob", "and", "Cy", "in", "Rome"]
ENTS = [(0, 2), (3, 4), (5, 6), (7, 8)]


def make_doc(relations, ents=ENTS, clusters=None, words=WORDS, spaces=True):
    doc = Doc(nlp.vocab, words=words, spaces=[True] * len(words) if spaces else None)
    doc.ents = [Span(doc, start, end, "X") for start, end in ents]
    if clusters is not None:
        doc._.entity_clusters = clusters
    if relations is not None:
        doc._.relations = [
            {"head": rel[0], "tail": rel[1], "label": rel[2], **(rel[3] if len(rel) > 3 else {})} for rel in relations
        ]
    return doc


def example(gold, predicted, **kwargs):
    return Example(make_doc(predicted, **kwargs), make_doc(gold, **kwargs))


A, B, C, D = ENTS


def test_hand_computed():
    scores = score_relations(
        [
            # right; wrong direction; missed
            example([(A, B, "met"), (A, C, "met"), (C, D, "in")], [(A, B, "met"), (C, A, "met")]),
            # predicted where there is none
            example([], [(A, B, "met")]),
        ]
    )
    assert scores["rels_micro_p"] == pytest.approx(1 / 3)
    assert scores["rels_micro_r"] == pytest.approx(1 / 3)
    assert scores["rels_micro_f"] == pytest.approx(1 / 3)
    met = {"p": 1 / 3, "r": 1 / 2, "f": 0.4}
    assert scores["rels_per_type"]["met"] == pytest.approx(met)
    assert scores["rels_per_type"]["in"] == pytest.approx({"p": 0, "r": 0, "f": 0})
    assert scores["rels_macro_f"] == pytest.approx(0.2)
    # First document: 6 pairs, right are A-B and the three that hold nothing. Second: all but A-B.
    assert scores["rels_micro_all_f"] == pytest.approx((4 + 5) / 12)


def test_pairs_with_several_labels():
    gold = [(A, B, "met"), (A, B, "knows"), (B, A, "knows")]
    scores = score_relations([example(gold, [(A, B, "met"), (B, A, "met")])])
    # Labels of A-B: one right, one wrong, two missed; five other pairs are right.
    p, r = 6 / 7, 6 / 8
    assert scores["rels_micro_all_f"] == pytest.approx(2 * p * r / (p + r))
    assert scores["rels_micro_r"] == pytest.approx(1 / 3)


def test_entities_that_were_not_predicted():
    gold = make_doc([(A, B, "met"), (C, D, "in")])
    predicted = make_doc([(A, B, "met")], ents=[A, B])
    scores = score_relations([Example(predicted, gold)])
    assert (scores["rels_micro_p"], scores["rels_micro_r"]) == pytest.approx((1.0, 0.5))
    scores = score_relations([Example(make_doc([], ents=[]), gold)])
    assert scores["rels_micro_r"] == 0.0 and scores["rels_micro_f"] == 0.0
    assert scores["rels_micro_all_f"] == pytest.approx(4 / 6)


def test_entities_that_are_not_gold():
    gold = make_doc([(A, B, "met")])
    # "Byron" begins inside "Ada Byron", and "Ada" begins where it begins: neither is the same mention.
    for head in ((1, 2), (0, 1)):
        scores = score_relations([Example(make_doc([(head, B, "met")], ents=[head, B]), gold)])
        assert scores["rels_micro_p"] == scores["rels_micro_r"] == scores["rels_micro_f"] == 0.0
        assert scores["rels_per_type"]["met"]["p"] == 0.0
        # A-B is missed and one pair too many is answered: 5 of the 6 pairs are right, 7 pairs are answered.
        assert scores["rels_micro_all_f"] == pytest.approx(2 * 5 / (7 + 7))


def test_repeated_predictions_count_once():
    scores = score_relations([example([(A, B, "met")], [(A, B, "met"), (A, B, "met", {"score": 0.4})])])
    assert scores["rels_micro_p"] == 1.0


def test_symmetric_labels():
    eg = example([(A, B, "met"), (C, D, "in")], [(B, A, "met"), (D, C, "in")])
    assert score_relations([eg])["rels_micro_f"] == 0.0
    scores = score_relations([eg], symmetric=["met"])
    assert scores["rels_micro_f"] == 0.5
    assert scores["rels_micro_all_f"] == pytest.approx(5 / 6)


def test_other_tokens_and_unknown_spaces():
    gold = make_doc([(A, B, "met")])
    words = ["A", "da", "Byron", "met", "Bob", "and", "Cy", "in", "Rome"]
    spaces = [False] + [True] * 8
    predicted = Doc(nlp.vocab, words=words, spaces=spaces)
    predicted._.relations = [{"head": [0, 3], "tail": [4, 5], "label": "met"}]
    assert score_relations([Example(predicted, gold)])["rels_micro_f"] == 1.0
    predicted = Doc(nlp.vocab, words=words, spaces=[False] * 9)
    predicted._.relations = [{"head": [0, 3], "tail": [4, 5], "label": "met"}]
    assert predicted.text != gold.text
    assert score_relations([Example(predicted, gold)])["rels_micro_f"] == 1.0
    predicted._.relations = [{"head": [1, 3], "tail": [4, 5], "label": "met"}]
    assert score_relations([Example(predicted, gold)])["rels_micro_f"] == 0.0


CLUSTERS = [[D], [A, B], [C]]
AT = {"head_cluster": 1, "tail_cluster": 0}


def test_clusters_match_by_any_mention():
    gold = make_doc([(A, D, "born_in", AT)], clusters=CLUSTERS)
    # The predicted clusters have other indexes, and miss a mention.
    predicted = make_doc([(B, D, "born_in", {"head_cluster": 0, "tail_cluster": 1})], ents=[B, D], clusters=[[B], [D]])
    scores = score_relations([Example(predicted, gold)])
    assert scores["rels_micro_f"] == 1.0 and scores["rels_micro_all_f"] == 1.0
    # Two predictions between mentions of the same two clusters are one triple.
    predicted = make_doc([(A, D, "born_in"), (B, D, "born_in"), (C, D, "born_in")])
    scores = score_relations([Example(predicted, gold)])
    assert (scores["rels_micro_p"], scores["rels_micro_r"]) == (0.5, 1.0)
    assert scores["rels_micro_all_f"] == pytest.approx(2 / 3)
    # A cluster that holds mentions of two gold clusters is the one that most of them belong to.
    predicted = make_doc([(C, D, "born_in", {"head_cluster": 0, "tail_cluster": 1})], clusters=[[C, A, B], [D]])
    assert score_relations([Example(predicted, gold)])["rels_micro_f"] == 1.0
    predicted = make_doc([(D, A, "born_in", {"head_cluster": 0, "tail_cluster": 1})], clusters=CLUSTERS)
    assert score_relations([Example(predicted, gold)])["rels_micro_f"] == 0.0


def test_mentions_count_one_by_one_where_gold_names_no_clusters():
    gold = make_doc([(A, D, "born_in")], clusters=CLUSTERS)
    predicted = make_doc([(B, D, "born_in")], clusters=CLUSTERS)
    assert score_relations([Example(predicted, gold)])["rels_micro_f"] == 0.0
    assert score_relations([Example(gold.copy(), gold)])["rels_micro_all_f"] == 1.0


def test_clusters_give_the_pairs():
    empty = make_doc([], clusters=CLUSTERS)
    wrong = make_doc([(A, D, "born_in", AT)], clusters=CLUSTERS)
    assert score_relations([Example(wrong, empty)])["rels_micro_all_f"] == pytest.approx(2 / 3)
    self_relation = make_doc([(A, B, "same", {"head_cluster": 1, "tail_cluster": 1})], clusters=CLUSTERS)
    scores = score_relations([Example(self_relation.copy(), self_relation)])
    assert scores["rels_micro_f"] == scores["rels_micro_all_f"] == 1.0


def test_spans_key():
    gold, predicted = make_doc([(A, B, "met")], ents=[]), make_doc([(A, B, "met")], ents=[])
    gold.spans["sc"] = [Span(gold, 0, 2, "X"), Span(gold, 0, 1, "X"), Span(gold, 3, 4, "X")]
    predicted._.relations = []
    scores = score_relations([Example(predicted, gold)], spans_key="sc")
    assert scores["rels_micro_all_f"] == pytest.approx(2 / 3)
    # Arguments of gold relations are entities in any case.
    assert score_relations([Example(predicted, gold)])["rels_micro_all_f"] == 0.0


def test_no_annotation_is_none():
    names = {"rels_micro_p", "rels_micro_r", "rels_micro_f", "rels_macro_f", "rels_per_type", "rels_micro_all_f"}
    for examples in ([], [example(None, [(A, B, "met")])]):
        scores = score_relations(examples)
        assert set(scores) == names and all(value is None for value in scores.values())
    assert "rels_micro_all_f" not in score_relations([], negative=False)
    # Documents without annotation are left out, and don't cost precision.
    scores = score_relations([example(None, [(A, B, "met")]), example([(A, B, "met")], [(A, B, "met")])])
    assert scores["rels_micro_f"] == 1.0
    # Nothing to find and nothing found.
    scores = score_relations([example([], [])])
    assert scores["rels_micro_f"] is None and scores["rels_macro_f"] is None and scores["rels_micro_all_f"] == 1.0
    assert score_relations([example([], [(A, B, "met")])])["rels_micro_f"] == 0.0


def test_registered_scorer():
    block = {"scorer": {"@scorers": "ragre.relation_scorer.v1", "negative": False, "symmetric": ["met"]}}
    scorer = registry.resolve(block)["scorer"]
    scores = scorer([example([(A, B, "met")], [(B, A, "met")])], labels=("met",), threshold=0.5)
    assert scores["rels_micro_f"] == 1.0 and "rels_micro_all_f" not in scores
    assert "rels_micro_all_f" in make_relation_scorer()([])


def test_agrees_with_brute_force():
    rng = random.Random(0)
    labels = ["a", "b", "c"]
    examples, items = [], []
    for _ in range(60):
        pairs = list(itertools.combinations(ENTS, 2))
        rels = []
        for _ in range(2):
            chosen = []
            for first, second in pairs:
                if rng.random() < 0.5:
                    head, tail = rng.choice([(first, second), (second, first)])
                    chosen.append((head, tail, rng.choice(labels)))
            rels.append(chosen)
        examples.append(example(*rels))
        for first, second in pairs:
            items.append([next((r for r in chosen if {r[0], r[1]} == {first, second}), None) for chosen in rels])
    scores = score_relations(examples)
    both = [(g, p) for g, p in items if g is not None and g == p]
    precision = len(both) / sum(p is not None for _, p in items)
    recall = len(both) / sum(g is not None for g, _ in items)
    assert scores["rels_micro_p"] == pytest.approx(precision)
    assert scores["rels_micro_r"] == pytest.approx(recall)
    assert scores["rels_micro_f"] == pytest.approx(2 * precision * recall / (precision + recall))
    # One label a pair at most: the score with the negative class is the accuracy.
    assert scores["rels_micro_all_f"] == pytest.approx(sum(g == p for g, p in items) / len(items))
    fs = []
    for label in labels:
        tp = sum(g[2] == label for g, _ in both)
        n_gold = sum(g is not None and g[2] == label for g, _ in items)
        n_pred = sum(p is not None and p[2] == label for _, p in items)
        fs.append(2 * tp / (n_gold + n_pred))
        assert scores["rels_per_type"][label]["f"] == pytest.approx(fs[-1])
    assert scores["rels_macro_f"] == pytest.approx(sum(fs) / 3)


def test_predictions_of_labels_that_nobody_looked_for_count_neither_way():
    predicted = [(A, B, "met"), (A, C, "knows"), (B, D, "in"), (C, D, "knows")]
    partly = example([(A, B, "met"), (C, D, "met")], predicted)
    partly.reference._.annotated_labels = ["met", "in"]
    scores = score_relations([partly])
    # One right, "in" wrong, the second "met" missed.
    assert (scores["rels_micro_p"], scores["rels_micro_r"]) == pytest.approx((1 / 2, 1 / 2))
    assert set(scores["rels_per_type"]) == {"met", "in"}
    # Of six pairs, A-C is left out; right are A-B, A-D and B-C, wrong B-D, missed C-D (and that B-D holds nothing).
    assert scores["rels_micro_all_f"] == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))
    # A label that the document has counts, whatever it says that it was annotated for.
    partly.reference._.annotated_labels = []
    assert score_relations([partly])["rels_micro_r"] == 1 / 2
    partly.reference._.annotated_labels = None
    assert score_relations([partly])["rels_micro_p"] == 1 / 4


def test_confusions_leave_out_labels_that_nobody_looked_for():
    partly = example([(A, B, "met")], [(A, B, "in"), (A, C, "knows")])
    partly.reference._.annotated_labels = ["met", "in"]
    assert [item[:3] for item in find_confusions([partly])] == [("met", "in", 1)]


def test_errors_are_of_four_kinds():
    gold = [(A, B, "met"), (A, C, "met"), (C, D, "in"), (B, C, "met")]
    predicted = [(A, B, "knows", {"score": 0.6}), (C, A, "met"), (B, D, "in"), (B, C, "met")]
    found = list(find_errors([example(None, predicted), example(gold, predicted)]))
    assert sorted((error.kind, *error.names) for error in found) == [
        ("missed", "in", "no_relation"),
        ("not annotated", "no_relation", "in"),
        ("wrong direction", "met", "met, reversed"),
        ("wrong label", "met", "knows"),
    ]
    assert {error.number for error in found} == {1}
    wrong = next(error for error in found if error.kind == "wrong label")
    assert (wrong.score, wrong.relation.label, wrong.doc[0].text) == (0.6, "met", "Ada")
    assert next(error.score for error in found if error.kind == "missed") is None


def test_a_pair_with_a_wrong_label_the_other_way_round_is_a_wrong_label():
    (error,) = find_errors([example([(A, B, "met")], [(B, A, "knows")])])
    assert (error.kind, *error.names) == ("wrong label", "met", "knows, reversed")


def test_where_one_of_two_pipelines_is_right():
    gold = [(A, B, "met"), (A, B, "knows"), (C, D, "in")]
    ours = [(A, B, "met"), (A, B, "knows"), (D, C, "in", {"score": 0.4})]
    theirs = [(A, B, "met"), (C, D, "in"), (B, C, "met")]
    found = list(find_disagreements([example(gold, ours)], [example(gold, theirs)]))
    assert [(item.better, item.gold, item.wrong, item.score) for item in found] == [
        (True, "knows + met", "met", None),
        (True, "no_relation", "met", 1.0),
        (False, "in", "in, reversed", 0.4),
    ]
    assert not list(find_disagreements([example(None, ours)], [example(None, theirs)]))
    assert not list(find_disagreements([example(gold, ours)], [example(gold, ours)]))
