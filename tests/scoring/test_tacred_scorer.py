import pickle

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_ragre.registry import registry
from spacy_ragre.relations import ID_KEY
from spacy_ragre.scoring import score_tacred, tacred_score

nlp = spacy.blank("en")
NONE = "no_relation"


def make_doc(relations=None, pairs=((0, 1),), clusters=(((3, 5),), ((0, 1),)), id_="t1"):
    """The subject stands behind the object."""
    doc = Doc(nlp.vocab, words=["Acme", "hired", "the", "painter", "Ann", "."])
    doc.user_data[ID_KEY] = id_
    doc._.entity_clusters = clusters
    doc._.candidate_pairs = pairs
    if relations is not None:
        doc._.relations = [{"head": h, "tail": t, "label": label, "score": s} for h, label, t, s in relations]
    return doc


SUBJECT, OBJECT = (3, 5), (0, 1)


def score(predicted, gold, **settings):
    return score_tacred([Example(make_doc(predicted), make_doc(gold))], **settings)


def test_by_hand():
    gold = ["a", "a", "b", "b", NONE, NONE, NONE, "c"]
    found = ["a", "b", "b", NONE, "a", NONE, NONE, NONE]
    scores = tacred_score(gold, found)
    # Four were guessed, two of them right, of five that there are.
    assert scores["tacred_p"] == pytest.approx(2 / 4)
    assert scores["tacred_r"] == pytest.approx(2 / 5)
    assert scores["tacred_f"] == pytest.approx(2 * 2 / (4 + 5))
    assert scores["tacred_accuracy"] == pytest.approx(4 / 8)
    assert scores["tacred_per_type"]["a"] == pytest.approx({"p": 1 / 2, "r": 1 / 2, "f": 1 / 2})
    assert scores["tacred_per_type"]["c"] == pytest.approx({"p": 0, "r": 0, "f": 0})


def test_nothing_to_count():
    assert tacred_score([], [])["tacred_f"] is None
    scores = tacred_score([NONE, NONE], [NONE, NONE])
    assert scores["tacred_f"] is None and scores["tacred_accuracy"] == 1
    assert tacred_score(["a"], [NONE])["tacred_f"] == 0


def test_one_label_a_sentence():
    with pytest.raises(ValueError, match="R419"):
        tacred_score(["a"], [])


def test_the_likeliest_relation_of_the_asked_pair_counts():
    gold = [(SUBJECT, "per:employee_of", OBJECT, 1.0)]
    assert score([(SUBJECT, "per:employee_of", OBJECT, 0.6)], gold)["tacred_f"] == 1
    likelier = [(SUBJECT, "per:title", OBJECT, 0.7), (SUBJECT, "per:employee_of", OBJECT, 0.6)]
    assert score(likelier, gold)["tacred_f"] == 0
    # What is predicted of another pair or in the other direction is no answer.
    assert score([(OBJECT, "per:employee_of", SUBJECT, 0.9)], gold)["tacred_p"] == 0
    assert score([((4, 5), "per:employee_of", OBJECT, 0.9)], gold)["tacred_accuracy"] == 0
    assert score([(OBJECT, "org:members", SUBJECT, 0.9)], [])["tacred_accuracy"] == 1


def test_labels_without_direction():
    gold = [(SUBJECT, "per:spouse", OBJECT, 1.0)]
    assert score([(OBJECT, "per:spouse", SUBJECT, 0.9)], gold)["tacred_f"] == 0
    assert score([(OBJECT, "per:spouse", SUBJECT, 0.9)], gold, symmetric=["per:spouse"])["tacred_f"] == 1


def test_sentences_that_are_not_annotated_are_left_out():
    scores = score_tacred([Example(make_doc([(SUBJECT, "a", OBJECT, 1.0)]), make_doc())])
    assert scores["tacred_f"] is None


@pytest.mark.parametrize("pairs", [(), ((0, 1), (1, 0))])
def test_a_sentence_asks_about_one_pair(pairs):
    gold = make_doc([], pairs=pairs)
    with pytest.raises(ValueError, match=f"R375.*'t1' has {len(pairs)} candidate"):
        score_tacred([Example(make_doc([]), gold)])


def test_the_relation_scorer_gives_it_where_asked():
    make = registry.scorers.get("ragre.relation_scorer.v1")
    gold = [(SUBJECT, "a", OBJECT, 1.0)]
    examples = [Example(make_doc(gold), make_doc(gold)), Example(make_doc(gold), make_doc([]))]
    scores = pickle.loads(pickle.dumps(make(tacred=True)))(iter(examples))
    assert scores["tacred_f"] == pytest.approx(2 / 3)
    # One relation a sentence at most: the same as over all triples.
    assert scores["rels_micro_f"] == pytest.approx(scores["tacred_f"])
    assert "tacred_f" not in make()(examples)
