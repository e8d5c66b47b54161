import random

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ragre.corpora import SEMEVAL_LABELS
from spacy_ragre.registry import registry
from spacy_ragre.relations import ID_KEY
from spacy_ragre.scoring import doc_label, semeval_score, write_answers

nlp = spacy.blank("en")
CLASSES = ["Other"] + [f"{name}({ends})" for name in SEMEVAL_LABELS for ends in ("e1,e2", "e2,e1")]


def make_doc(label, id_=None, ents=((1, 2), (3, 5))):
    doc = Doc(nlp.vocab, words=["The", "fire", "near", "the", "house", "."])
    doc.ents = [Span(doc, start, end, "NOMINAL") for start, end in ents]
    if label is not None:
        head, tail = ((1, 2), (3, 5)) if label.endswith("(e1,e2)") else ((3, 5), (1, 2))
        doc._.relations = [] if label == "Other" else [{"head": head, "tail": tail, "label": label.split("(")[0]}]
    if id_ is not None:
        doc.user_data[ID_KEY] = id_
    return doc


def by_definition(gold, predicted):
    """The official definition, counted from a confusion matrix with a column for wrong directions."""
    cells = {}
    for g, p in zip(gold, predicted):
        row, column = g.split("(")[0], p.split("(")[0]
        if row == column and g != p:
            column = "wrong direction"
        cells[row, column] = cells.get((row, column), 0) + 1
    rows = {row for row, _ in cells} - {"Other"}
    f1s = []
    for name in rows:
        correct = cells.get((name, name), 0)
        proposed = sum(n for (_, column), n in cells.items() if column == name)
        proposed += cells.get((name, "wrong direction"), 0)
        actual = sum(n for (row, _), n in cells.items() if row == name)
        f1s.append(2 * correct / (proposed + actual))
    return sum(f1s) / len(rows)


def test_hand_computed():
    ce, ec = "Cause-Effect(e1,e2)", "Cause-Effect(e2,e1)"
    mt = "Message-Topic(e1,e2)"
    gold = [ce, ce, ec, mt, "Other", "Other"]
    predicted = [ce, ec, ec, ce, ce, "Other"]
    scores = semeval_score(gold, predicted)
    # Cause-Effect: 2 right, of 3 gold and 5 predicted (one with the wrong direction, one for Message-Topic, one for
    # Other). Message-Topic: none right.
    assert scores["semeval_per_type"]["Cause-Effect"] == pytest.approx({"p": 2 / 5, "r": 2 / 3, "f": 0.5})
    assert scores["semeval_per_type"]["Message-Topic"] == pytest.approx({"p": 0, "r": 0, "f": 0})
    assert scores["semeval_macro_f"] == pytest.approx(0.25)
    assert scores["semeval_macro_p"] == pytest.approx(0.2)
    assert scores["semeval_macro_r"] == pytest.approx(1 / 3)
    assert scores["semeval_micro_all_f"] == pytest.approx(3 / 6)
    assert "Other" not in scores["semeval_per_type"]


def test_relations_that_are_only_predicted_are_not_averaged():
    scores = semeval_score(["Cause-Effect(e1,e2)"] * 2, ["Cause-Effect(e1,e2)", "Entity-Origin(e1,e2)"])
    assert list(scores["semeval_per_type"]) == ["Cause-Effect"]
    assert scores["semeval_macro_f"] == pytest.approx(2 / 3)


def test_perfect_none_and_empty():
    assert semeval_score(CLASSES, CLASSES)["semeval_macro_f"] == 1.0
    assert semeval_score(CLASSES, ["Other"] * 19)["semeval_macro_f"] == 0.0
    assert all(value is None for value in semeval_score([], []).values())
    scores = semeval_score(["Other"], ["Other"])
    assert scores["semeval_macro_f"] is None and scores["semeval_micro_all_f"] == 1.0


# Macro-averaged P, R and F1 with direction, and the accuracy over 19 classes, in percent.
OFFICIAL = (56.48, 56.54, 56.24, 55.80)


def test_official_output():
    """A sequence whose scores the official scorer, version 1.2, was asked for once."""
    rng = random.Random(8)
    gold = [rng.choice(CLASSES) for _ in range(500)]
    predicted = [g if rng.random() < 0.5 else rng.choice(CLASSES) for g in gold]
    scores = semeval_score(gold, predicted)
    assert round(100 * scores["semeval_macro_p"], 2) == OFFICIAL[0]
    assert round(100 * scores["semeval_macro_r"], 2) == OFFICIAL[1]
    assert round(100 * scores["semeval_macro_f"], 2) == OFFICIAL[2]
    assert round(100 * scores["semeval_micro_all_f"], 2) == OFFICIAL[3]


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_definition(seed):
    rng = random.Random(seed)
    classes = rng.sample(CLASSES, rng.randint(3, 19))
    gold = [rng.choice(classes) for _ in range(rng.randint(5, 300))]
    predicted = [g if rng.random() < 0.4 else rng.choice(CLASSES) for g in gold]
    scores = semeval_score(gold, predicted)
    assert scores["semeval_macro_f"] == pytest.approx(by_definition(gold, predicted))
    assert scores["semeval_micro_all_f"] == pytest.approx(sum(g == p for g, p in zip(gold, predicted)) / len(gold))


def test_errors():
    with pytest.raises(ValueError, match="R419.*2 gold.*1 predicted"):
        semeval_score(["Other", "Other"], ["Other"])
    for label in ("Cause-Effect", "Cause-Effect(e1,e1)", "", "no_relation"):
        with pytest.raises(ValueError, match="R420"):
            semeval_score(["Other"], [label])
    with pytest.raises(ValueError, match="R421.*'9'.*1 entities"):
        doc_label(make_doc("Other", "9", ents=[(1, 2)]))


@pytest.mark.parametrize("label", CLASSES)
def test_doc_label(label):
    assert doc_label(make_doc(label)) == label


def test_doc_label_takes_the_best_between_both_entities():
    doc = make_doc(None)
    assert doc_label(doc) == "Other"
    doc._.relations = [
        {"head": (1, 2), "tail": (3, 5), "label": "Message-Topic", "score": 0.4},
        {"head": (3, 5), "tail": (1, 2), "label": "Cause-Effect", "score": 0.6},
        {"head": (4, 5), "tail": (1, 2), "label": "Entity-Origin", "score": 0.9},
    ]
    assert doc_label(doc) == "Cause-Effect(e2,e1)"


def test_scorer():
    scorer = registry.resolve({"scorer": {"@scorers": "ragre.semeval_scorer.v1"}})["scorer"]
    rng = random.Random(1)
    gold = [rng.choice(CLASSES) for _ in range(100)]
    predicted = [g if rng.random() < 0.5 else rng.choice(CLASSES) for g in gold]
    examples = [Example(make_doc(p), make_doc(g)) for g, p in zip(gold, predicted)]
    scores = scorer(iter(examples), labels=tuple(SEMEVAL_LABELS))
    for key, value in semeval_score(gold, predicted).items():
        assert scores[key] == value
    # Two entities a document: both scores with the negative class are the accuracy.
    assert scores["rels_micro_all_f"] == pytest.approx(scores["semeval_micro_all_f"])
    assert scores["rels_macro_f"] == pytest.approx(scores["semeval_macro_f"])


def test_scorer_without_predicted_entities_or_annotation():
    scorer = registry.resolve({"scorer": {"@scorers": "ragre.semeval_scorer.v1"}})["scorer"]
    gold = make_doc("Cause-Effect(e1,e2)")
    assert scorer([Example(make_doc(None, ents=[]), gold)])["semeval_macro_f"] == 0.0
    assert scorer([Example(make_doc("Cause-Effect(e1,e2)", ents=[]), gold)])["semeval_macro_f"] == 1.0
    scores = scorer([Example(make_doc("Other"), make_doc(None))])
    assert all(value is None for value in scores.values())


def test_write_answers(tmp_path):
    path = tmp_path / "answers.txt"
    docs = [make_doc("Cause-Effect(e2,e1)", "1"), make_doc("Other", "2")]
    assert write_answers(docs, path) == 2
    assert path.read_bytes() == b"1\tCause-Effect(e2,e1)\n2\tOther\n"
    for bad, shown in ((docs + docs[:1], "'1' occurs twice"), ([make_doc("Other")], "has no id")):
        with pytest.raises(ValueError, match=f"R422.*{shown}"):
            write_answers(bad, path)
    assert path.read_bytes() == b"1\tCause-Effect(e2,e1)\n2\tOther\n"
    assert list(tmp_path.iterdir()) == [path]
