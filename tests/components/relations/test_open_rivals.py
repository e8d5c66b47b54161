"""What a pair competes with, and what that takes off its log-odds."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import spacy

from spacy_ragre.candidates import Candidate
from spacy_ragre.candidates.generators import make_near_sentences
from spacy_ragre.components.relations import open_rivals
from spacy_ragre.components.relations.open_labels import group_pairs
from spacy_ragre.components.relations.open_rivals import count_rivals, rival_odds, rivals_of_rows
from spacy_ragre.entity_types import STRICT
from spacy_ragre.instances import Instance
from spacy_ragre.labels import LabelSet

#: Ann founded X and Y in 1990 ; Bob left Z .
ENTS = [(0, "PERSON"), (2, "ORG"), (4, "ORG"), (6, "DATE"), (8, "PERSON"), (10, "ORG")]
TYPED = {
    "founded": {"text": "founded", "head_types": ["PERSON"], "tail_types": ["ORG"]},
    "partner": {"text": "is a partner of", "symmetric": True, "head_types": ["ORG"], "tail_types": ["ORG"]},
}


@pytest.fixture
def doc():
    made = spacy.blank("en")("Ann founded X and Y in 1990 ; Bob left Z .")
    made.set_ents([spacy.tokens.Span(made, at, at + 1, label) for at, label in ENTS])
    return made


def count(doc, labels, documents=None):
    """By label, head and tail (tokens): numbers of nearer tails, other tails, nearer heads, other heads."""
    label_set = LabelSet(labels)
    candidates = make_near_sentences()(doc, list(doc.ents))
    counts = np.expm1(count_rivals(candidates, label_set, STRICT, documents))
    assert counts.shape == (len(candidates), len(label_set.classes), open_rivals.COUNTS)
    found = {}
    for candidate, own in zip(candidates, counts):
        for answer, row in zip(label_set.classes, own):
            if answer is not None:
                ends = (candidate.first[0], candidate.second[0])
                found[(answer.label, *ends[:: -1 if answer.reversed else 1])] = row.round(3).tolist()
    return found


def test_only_what_types_allow_is_a_rival(doc):
    found = count(doc, TYPED)
    # X is nearest to Ann, of three companies; Bob is the other person, and is further from X than Ann.
    assert found["founded", 0, 2] == [0, 2, 0, 1]
    assert found["founded", 0, 10] == [2, 2, 1, 1]
    assert found["founded", 8, 10] == [0, 2, 0, 1]
    # Both ways are the same where a label is symmetric: the mean of what lies on both sides, in logarithms.
    nearer = np.expm1(np.log1p([0, 1]).mean())
    assert found["partner", 4, 10] == pytest.approx([nearer, 1, nearer, 1], abs=1e-3)


def test_without_types_all_others_are_rivals(doc):
    found = count(doc, {"founded": "founded"})
    assert found["founded", 0, 2] == [0, 4, 0, 4]
    assert found["founded", 0, 10] == [4, 4, 4, 4]
    assert len(found) == 30


def test_memory_grows_with_the_pairs_of_a_long_document():
    """Each mention has two neighbours that it is asked about with, whatever the length of the text."""
    number = 4000
    pair = Instance("X and Y", (0, 1), (6, 7))
    spans = [(2 * i, 2 * i + 1) for i in range(number)]
    candidates = [Candidate(one, other, pair) for one, other in zip(spans, spans[1:])]
    tracemalloc.start()
    counts = np.expm1(count_rivals(candidates, LabelSet({"founded": "founded"}), STRICT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < number**2
    first, second, last = counts[0, 1], counts[1, 1], counts[-1, 1]
    assert first.round(3).tolist() == [0, 0, 0, 1] and last.round(3).tolist() == [0, 1, 0, 0]
    assert second.round(3).tolist() == [0, 1, 0, 1]


def test_a_document_s_pairs_compete_among_themselves(doc):
    label_set = LabelSet(TYPED)
    candidates = make_near_sentences()(doc, list(doc.ents))
    alone = count_rivals(candidates, label_set, STRICT)
    numbers = [0] * len(candidates) + [1] * len(candidates)
    both = count_rivals([*candidates, *candidates], label_set, STRICT, numbers)
    assert np.array_equal(both, np.concatenate([alone, alone]))


def test_more_rivals_make_a_pair_less_likely_and_fewer_more(doc):
    label_set = LabelSet(TYPED)
    candidates = make_near_sentences()(doc, list(doc.ents))
    settings = {"weights": [1.0, 0.5, 1.0, 0.5], "centre": np.log1p([1, 1, 1, 1]).tolist()}
    odds = rival_odds(candidates, label_set, STRICT, None, settings)
    assert odds.shape == (len(candidates), len(label_set.classes)) and not odds[:, 0].any()
    row = next(i for i, c in enumerate(candidates) if (c.first[0], c.second[0]) == (0, 2))
    counts = np.log1p([0, 2, 0, 1])
    assert odds[row, 1] == pytest.approx(-(counts - np.log1p(1)) @ settings["weights"], abs=1e-6)
    alone = [candidate for candidate in candidates if (candidate.first[0], candidate.second[0]) == (0, 2)]
    assert rival_odds(alone, label_set, STRICT, None, settings)[0, 1] > odds[row, 1] > 0


def test_pairs_of_clusters_keep_their_scores_and_are_no_rivals(doc):
    label_set = LabelSet(TYPED)
    candidates = make_near_sentences()(doc, list(doc.ents))
    clusters = [replace(candidate, first_cluster=0, second_cluster=1) for candidate in candidates]
    settings = {"weights": [1.0] * 4, "centre": [0.5] * 4}
    odds = rival_odds([*clusters, *candidates], label_set, STRICT, None, settings)
    assert not odds[: len(clusters)].any()
    assert np.array_equal(odds[len(clusters) :], rival_odds(candidates, label_set, STRICT, None, settings))
    assert not rival_odds([], label_set, STRICT, None, settings).any()


def test_tokens_with_two_types_are_a_rival_where_one_is_allowed(doc):
    """X as a company and, after it, as a person: it stays a rival of Ann's other companies."""
    label_set = LabelSet(TYPED)
    candidates = make_near_sentences()(doc, list(doc.ents))
    again = [
        replace(candidate, instance=replace(candidate.instance, second_type="PERSON"))
        for candidate in candidates
        if candidate.second[0] == 2
    ]
    twice = count_rivals([*candidates, *again], label_set, STRICT)[: len(candidates)]
    plain = count_rivals(candidates, label_set, STRICT)
    row = next(i for i, c in enumerate(candidates) if (c.first[0], c.second[0]) == (0, 10))
    assert np.array_equal(twice[row, 1, :2], plain[row, 1, :2])


def test_a_direction_that_is_not_asked_has_no_rival(doc):
    label_set = LabelSet({"founded": "founded"})
    candidates = [replace(c, reversed=False) for c in make_near_sentences()(doc, list(doc.ents))]
    counts = np.expm1(count_rivals(candidates, label_set, STRICT))
    row = next(i for i, c in enumerate(candidates) if (c.first[0], c.second[0]) == (8, 10))
    # Of Bob (8) only Z (10) is asked; Z is asked of all five before it, of which Bob is nearest.
    assert counts[row, 1].round(3).tolist() == [0, 0, 0, 4]


def test_rows_of_both_directions_get_what_their_classes_get(doc):
    label_set = LabelSet(TYPED)
    candidates = make_near_sentences()(doc, list(doc.ents))
    instances = [candidate.instance for candidate in candidates]
    texts, places = group_pairs(instances)
    settings = {"weights": [1.0, 0.5, 0.3, 0.2], "centre": [0.5] * 4}
    rows = rivals_of_rows(instances, places, texts, label_set, STRICT, settings)
    assert rows.shape == (2 * len(instances), 2)
    by_characters = [replace(c, first=c.instance.first, second=c.instance.second) for c in candidates]
    odds = rival_odds(by_characters, label_set, STRICT, [0] * len(candidates), settings)
    for (_, ahead, back), own in zip(places, odds):
        classes = {(answer.label, answer.reversed): own[i] for i, answer in enumerate(label_set.classes) if answer}
        assert rows[ahead].tolist() == [classes["founded", False], classes["partner", False]]
        assert rows[back].tolist() == [classes["founded", True], classes["partner", False]]


def test_the_reader_s_settings_are_used_before_training_alone(make_nlp, open_settings, doc, monkeypatch):
    nlp = make_nlp(**{**open_settings, "labels": TYPED})
    predictor = nlp.get_pipe("rag_relation_extractor").predictor
    candidates = make_near_sentences()(doc, list(doc.ents))
    known = {name: value for name, value in predictor.open.known.items() if name != "rivals"}
    monkeypatch.setattr(predictor.open, "_known", known)
    plain = predictor.judge(candidates, None)[0].scores
    settings = {"weights": [1.0, 0.5, 1.0, 0.5], "centre": [0.0] * 4}
    monkeypatch.setattr(predictor.open, "_known", {**known, "rivals": {"types": settings}})
    less = predictor.judge(candidates, None)[0].scores
    assert np.allclose(less - plain, rival_odds(candidates, predictor.labels, STRICT, None, settings), atol=1e-4)
    assert (less[:, 1:] <= plain[:, 1:] + 1e-6).all() and not np.array_equal(less, plain)
    # Once the reader is trained, nothing is taken off.
    predictor.init_head()
    trained = predictor.judge(candidates, None)[0].scores
    monkeypatch.setattr(predictor.open, "_known", known)
    assert np.array_equal(predictor.judge(candidates, None)[0].scores, trained)
