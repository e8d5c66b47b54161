"""What a pair competes with, and what that does to its log-odds."""

from dataclasses import replace

import numpy as np
import pytest
import spacy

from spacy_ragre.candidates.generators import make_near_sentences
from spacy_ragre.components.relations import open_rivals
from spacy_ragre.components.relations.open_labels import group_pairs
from spacy_ragre.components.relations.open_rivals import find_leads, rival_odds, rivals_of_rows
from spacy_ragre.entity_types import STRICT
from spacy_ragre.labels import LabelSet

#: Ann founded X and Y in 1990 ; Bob left X .
ENTS = [(0, "PERSON"), (2, "ORG"), (4, "ORG"), (6, "DATE"), (8, "PERSON"), (10, "ORG")]
TYPED = {
    "founded": {"text": "founded", "head_types": ["PERSON"], "tail_types": ["ORG"]},
    "partner": {"text": "is a partner of", "symmetric": True, "head_types": ["ORG"], "tail_types": ["ORG"]},
}
SETTINGS = {"weight": 2.0, "centre": 0.75}


def sure(lead):
    """How likely one pair is rather than another, whose log-odds are so much lower."""
    return 1 / (1 + np.exp(-lead))


@pytest.fixture
def doc():
    made = spacy.blank("en")("Ann founded X and Y in 1990 ; Bob left X .")
    made.set_ents([spacy.tokens.Span(made, at, at + 1, label) for at, label in ENTS])
    return made


@pytest.fixture
def candidates(doc):
    return make_near_sentences()(doc, list(doc.ents))


def scores_of(candidates, label_set, odds, other=-5.0):
    """Log-odds by label, head and tail (tokens), symmetric ones both ways; others have `other`."""
    scores = np.full((len(candidates), len(label_set.classes)), other, dtype="float32")
    scores[:, 0] = 0
    for place in places_of(candidates, label_set):
        if place in odds:
            scores[places_of(candidates, label_set)[place]] = odds[place]
    return scores


def places_of(candidates, label_set):
    """Row and class by label, head and tail (tokens)."""
    places = {}
    for row, candidate in enumerate(candidates):
        for number, answer in enumerate(label_set.classes):
            if answer is not None:
                ends = (candidate.first[0], candidate.second[0])
                places[(answer.label, *ends[:: -1 if answer.reversed else 1])] = row, number
    return places


def leads_of(candidates, labels, odds, documents=None, other=-5.0):
    """Leads by label, head and tail (tokens), of what types allow."""
    label_set = LabelSet(labels)
    scores = scores_of(candidates, label_set, odds, other)
    leads = find_leads(scores, candidates, label_set, STRICT, documents)
    assert leads.shape == scores.shape and np.isnan(leads[:, 0]).all()
    return {
        place: float(leads[at]) for place, at in places_of(candidates, label_set).items() if not np.isnan(leads[at])
    }


def test_a_pair_leads_the_likeliest_that_shares_its_head_or_its_tail(candidates):
    leads = leads_of(candidates, TYPED, {("founded", 0, 2): 2.0, ("founded", 0, 4): 1.0, ("founded", 8, 4): 3.0})
    # Ann founded X: her other company is Y. Bob founded Y: Ann might, too, and Bob has X.
    assert leads["founded", 0, 2] == pytest.approx(sure(2 - 1))
    assert leads["founded", 0, 4] == pytest.approx(sure(1 - 3))
    assert leads["founded", 8, 4] == pytest.approx(sure(3 - 1))


def test_only_what_types_allow_is_a_rival(candidates):
    leads = leads_of(candidates, TYPED, {("founded", 0, 2): 2.0, ("founded", 0, 6): 9.0, ("founded", 8, 0): 9.0})
    assert leads["founded", 0, 2] == pytest.approx(sure(2 + 5), abs=1e-4)
    assert {place[0] for place in leads} == {"founded", "partner"} and ("founded", 0, 6) not in leads


def test_a_name_that_stands_twice_is_no_rival_of_itself(candidates):
    # X stands at 2 and at 10.
    leads = leads_of(candidates, TYPED, {("founded", 0, 2): 2.0, ("founded", 0, 10): 2.0, ("founded", 8, 10): 1.5})
    assert leads["founded", 0, 2] == pytest.approx(sure(2 + 5), abs=1e-4)
    assert leads["founded", 0, 10] == pytest.approx(sure(2 - 1.5))


def test_a_pair_without_a_rival_leads_with_certainty(candidates):
    alone = [candidate for candidate in candidates if (candidate.first[0], candidate.second[0]) == (0, 2)]
    assert set(leads_of(alone, TYPED, {}).values()) == {1.0}


def test_symmetric_labels_have_the_rivals_of_both_ends(candidates):
    leads = leads_of(candidates, TYPED, {("partner", 2, 4): 1.0, ("partner", 4, 10): 2.0})
    # The same companies by their names: of X and Y there are two pairs, which are no rivals.
    assert leads["partner", 2, 4] == pytest.approx(1.0, abs=1e-2)
    leads = leads_of(
        candidates, {"near": {"text": "is near", "symmetric": True}}, {("near", 0, 2): 1.0, ("near", 0, 4): 3.0}
    )
    assert leads["near", 0, 2] == pytest.approx(sure(1 - 3))


def test_without_types_all_others_are_rivals(candidates):
    leads = leads_of(candidates, {"founded": "founded"}, {("founded", 0, 2): 2.0, ("founded", 0, 6): 3.0})
    assert leads["founded", 0, 2] == pytest.approx(sure(2 - 3)) and len(leads) == 28
    # The same pair the other way round is none.
    leads = leads_of(candidates, {"founded": "founded"}, {("founded", 0, 2): 2.0, ("founded", 2, 0): 3.0})
    assert leads["founded", 0, 2] == pytest.approx(sure(2 + 5), abs=1e-4)


def test_a_document_s_pairs_compete_among_themselves(candidates):
    label_set = LabelSet(TYPED)
    scores = np.random.default_rng(0).normal(size=(len(candidates), len(label_set.classes))).astype("float32")
    alone = find_leads(scores, candidates, label_set, STRICT)
    numbers = [0] * len(candidates) + [1] * len(candidates)
    both = find_leads(np.concatenate([scores, scores]), [*candidates, *candidates], label_set, STRICT, numbers)
    assert np.array_equal(both, np.concatenate([alone, alone]), equal_nan=True)


def test_labels_are_compared_in_parts(candidates, monkeypatch):
    label_set = LabelSet({**TYPED, "left": "left", "sold": "sold"})
    scores = np.random.default_rng(0).normal(size=(len(candidates), len(label_set.classes))).astype("float32")
    whole = find_leads(scores, candidates, label_set, STRICT)
    monkeypatch.setattr(open_rivals, "MOST_COMPARED", 1)
    assert np.array_equal(find_leads(scores, candidates, label_set, STRICT), whole, equal_nan=True)


def test_a_lead_makes_a_pair_likelier_and_a_rival_less(candidates):
    label_set = LabelSet(TYPED)
    scores = scores_of(candidates, label_set, {("founded", 0, 2): 2.0, ("founded", 0, 4): 1.0})
    odds = rival_odds(scores, candidates, label_set, STRICT, None, SETTINGS)
    assert odds.shape == scores.shape and not odds[:, 0].any()
    places = places_of(candidates, label_set)
    assert odds[places["founded", 0, 2]] == pytest.approx(2 * (sure(1) - 0.75), abs=1e-5)
    assert odds[places["founded", 0, 4]] == pytest.approx(2 * (sure(-1) - 0.75), abs=1e-5)
    assert odds[places["founded", 0, 6]] == 0
    first = [candidate for candidate in candidates if (candidate.first[0], candidate.second[0]) == (0, 2)]
    alone = rival_odds(scores_of(first, label_set, {}), first, label_set, STRICT, None, SETTINGS)
    assert alone[0, 1] == pytest.approx(2 * 0.25)


def test_pairs_of_clusters_keep_their_scores_and_are_no_rivals(candidates):
    label_set = LabelSet(TYPED)
    clusters = [replace(candidate, first_cluster=0, second_cluster=1) for candidate in candidates]
    scores = scores_of(candidates, label_set, {("founded", 0, 2): 2.0, ("founded", 0, 4): 1.0})
    both = np.concatenate([scores + 3, scores])
    odds = rival_odds(both, [*clusters, *candidates], label_set, STRICT, None, SETTINGS)
    assert not odds[: len(clusters)].any()
    plain = rival_odds(scores, candidates, label_set, STRICT, None, SETTINGS)
    assert np.array_equal(odds[len(clusters) :], plain) and plain.any()
    assert not rival_odds(scores[:0], [], label_set, STRICT, None, SETTINGS).any()


def test_tokens_with_two_types_are_a_rival_where_one_is_allowed(candidates):
    """X as a company and, after it, as a person: it stays a rival of Ann's other companies."""
    label_set = LabelSet(TYPED)
    scores = scores_of(candidates, label_set, {("founded", 0, 2): 2.0, ("founded", 0, 4): 1.0})
    again = [
        replace(candidate, instance=replace(candidate.instance, second_type="PERSON"))
        for candidate in candidates
        if candidate.second[0] == 2
    ]
    more = np.concatenate([scores, np.zeros((len(again), scores.shape[1]), dtype="float32")])
    twice = find_leads(more, [*candidates, *again], label_set, STRICT)[: len(candidates)]
    assert np.array_equal(twice, find_leads(scores, candidates, label_set, STRICT), equal_nan=True)


def test_a_direction_that_is_not_asked_is_no_rival(candidates):
    labels = {"founded": "founded"}
    odds = {("founded", 0, 2): 2.0, ("founded", 4, 2): 3.0}
    assert leads_of(candidates, labels, odds)["founded", 0, 2] == pytest.approx(sure(2 - 3))
    one_way = [replace(candidate, reversed=False) for candidate in candidates]
    leads = leads_of(one_way, labels, odds)
    assert leads["founded", 0, 2] == pytest.approx(sure(2 + 5), abs=1e-4) and ("founded", 4, 2) not in leads


def test_pairs_that_could_not_be_read_do_no_harm(candidates):
    label_set = LabelSet(TYPED)
    scores = scores_of(candidates, label_set, {("founded", 0, 2): 2.0}, other=-1e9)
    odds = rival_odds(scores, candidates, label_set, STRICT, None, SETTINGS)
    assert np.isfinite(odds).all()
    assert odds[places_of(candidates, label_set)["founded", 0, 2]] == pytest.approx(2 * 0.25)


def test_rows_of_both_directions_get_what_their_classes_get(candidates):
    label_set = LabelSet(TYPED)
    instances = [candidate.instance for candidate in candidates]
    texts, places = group_pairs(instances)
    scores = np.random.default_rng(0).normal(size=(len(candidates), len(label_set.classes))).astype("float32")
    numbers = {(answer.label, answer.reversed): i for i, answer in enumerate(label_set.classes) if answer}
    founded, founded_back, partner = numbers["founded", False], numbers["founded", True], numbers["partner", False]
    rows = np.zeros((2 * len(instances), 2), dtype="float32")
    for (_, ahead, back), own in zip(places, scores):
        rows[ahead], rows[back] = own[[founded, partner]], own[[founded_back, partner]]
    added = rivals_of_rows(rows, instances, places, texts, label_set, STRICT, SETTINGS)
    odds = rival_odds(scores, candidates, label_set, STRICT, [0] * len(candidates), SETTINGS)
    assert odds.any()
    for (_, ahead, back), own in zip(places, odds):
        assert added[ahead].tolist() == own[[founded, partner]].tolist()
        assert added[back].tolist() == own[[founded_back, partner]].tolist()


def test_the_reader_s_settings_are_used_before_training_alone(make_nlp, open_settings, candidates, monkeypatch):
    nlp = make_nlp(**{**open_settings, "labels": TYPED})
    predictor = nlp.get_pipe("rag_relation_extractor").predictor
    known = {name: value for name, value in predictor.open.known.items() if name != "rivals"}
    monkeypatch.setattr(predictor.open, "_known", known)
    plain = predictor.judge(candidates, None)[0].scores
    monkeypatch.setattr(predictor.open, "_known", {**known, "rivals": {"types": SETTINGS}})
    weighed = predictor.judge(candidates, None)[0].scores
    added = rival_odds(plain, candidates, predictor.labels, STRICT, None, SETTINGS)
    assert np.allclose(weighed - plain, added, atol=1e-4) and added.any()
    # Once the reader is trained, rivals count for nothing.
    predictor.init_head()
    trained = predictor.judge(candidates, None)[0].scores
    monkeypatch.setattr(predictor.open, "_known", known)
    assert np.array_equal(predictor.judge(candidates, None)[0].scores, trained)
