"""A relation extractor that learns on the pairs that a filter proposes."""

from dataclasses import replace

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_ragre.candidates import Candidate
from spacy_ragre.components.relations.annotations import proposal_odds, propose, with_proposals
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.instances import Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.relations import PAIRS_KEY, CandidatePair

NAME = "rag_relation_extractor"
WORDS = "Ann and Bob met Cara in Rome".split()
CLUSTERS = [[(0, 1, "PER")], [(2, 3, "PER")], [(4, 5, "PER")], [(6, 7, "LOC")]]
PROPOSED = [(0, 3, 0.9), (3, 0, 0.8), (1, 2, 0.7)]


@Language.component("test_proposer", assigns=["doc._.candidate_pairs"])
def proposer(doc: Doc) -> Doc:
    doc._.candidate_pairs = PROPOSED if len(doc._.entity_clusters) > 3 else []
    return doc


@Language.component("test_forgetful", assigns=["doc._.relations"])
def forgetful(doc: Doc) -> Doc:
    return doc


def make_doc(nlp, clusters=CLUSTERS):
    doc = Doc(nlp.vocab, words=WORDS)
    doc._.entity_clusters = clusters
    doc.ents = sorted((doc._.entity_clusters[i][0] for i in range(len(clusters))), key=lambda span: span.start)
    return doc


@pytest.fixture
def reference(nlp):
    doc = make_doc(nlp)
    doc._.relations = [
        {"head": (0, 1), "tail": (6, 7), "label": "located_in", "head_cluster": 0, "tail_cluster": 3},
        {"head": (2, 3), "tail": (6, 7), "label": "located_in", "head_cluster": 1, "tail_cluster": 3},
    ]
    return doc


def test_proposals_go_into_a_copy_of_the_reference(reference):
    example = Example(copy_input(reference), reference)
    assert with_proposals(example) is reference
    proposer(example.predicted)
    doc = with_proposals(example)
    assert [pair[:3] for pair in doc._.candidate_pairs] == PROPOSED
    assert [r.label for r in doc._.relations] == ["located_in"] * 2
    assert PAIRS_KEY not in reference.user_data
    # Those of the reference come first.
    reference._.candidate_pairs = [(2, 3)]
    assert with_proposals(example) is reference


def test_proposals_for_other_entities(nlp, reference):
    # Another order, an entity that is not gold, and a gold one that is lacking.
    predicted = make_doc(nlp, [CLUSTERS[3], CLUSTERS[0], [(3, 4, "PER")]])
    predicted._.candidate_pairs = [(1, 0, 0.5), (2, 0, 0.4), (0, 2, 0.3)]
    doc = with_proposals(Example(predicted, reference))
    assert [pair[:3] for pair in doc._.candidate_pairs] == [(0, 3, 0.5)]


def test_proposals_for_mentions_in_a_span_group(nlp, reference):
    predicted = copy_input(reference)
    for doc in (predicted, reference):
        doc.spans["sc"] = list(doc.ents)
    proposer(predicted)
    assert len(with_proposals(Example(predicted, reference), "sc")._.candidate_pairs) == 3


def test_components_before_propose(nlp, reference):
    nlp.add_pipe("test_proposer")
    component = nlp.add_pipe("test_forgetful", name="own")
    nlp.add_pipe("test_proposer", name="after")
    with nlp.select_pipes(disable=["test_proposer"]):
        (example,) = propose([Example(copy_input(reference), reference)], nlp, component)
    assert len(example.predicted._.candidate_pairs) == 3
    (example,) = propose([Example(copy_input(reference), reference)], None, component)
    assert PAIRS_KEY not in example.predicted.user_data
    reference._.candidate_pairs = [(0, 3)]  # those of the corpus stay
    (example,) = propose([Example(copy_input(reference), reference)], nlp, component)
    assert [pair[:2] for pair in example.predicted.user_data[PAIRS_KEY]] == [[0, 3]]


def test_components_before_propose_for_batches_of_documents(nlp, reference, monkeypatch):
    nlp.add_pipe("test_proposer")
    component = nlp.add_pipe("test_forgetful", name="own")
    sizes = []

    class Proposer:
        def pipe(self, docs, *, batch_size):
            docs = list(docs)
            sizes.append((len(docs), batch_size >= len(docs)))
            yield from map(proposer, docs)

    monkeypatch.setattr(nlp, "_components", [("test_proposer", Proposer()), ("own", component)])
    given = reference.copy()
    given._.candidate_pairs = [(0, 3)]
    golds = [reference, given] * 50
    examples = list(propose([Example(copy_input(doc), doc) for doc in golds], nlp, component))
    assert [example.reference for example in examples] == golds
    assert [len(example.predicted._.candidate_pairs) for example in examples] == [3, 1] * 50
    # Two batches, and not a call a document.
    assert len(sizes) == 2 and sum(size for size, _ in sizes) == 50 and all(whole for _, whole in sizes)


@pytest.fixture
def make_pipeline(make_nlp):
    def make():
        nlp = make_nlp(
            candidates={"@ragre_candidates": "ragre.Proposed.v1"}, multi_label=True, labels={"located_in": ""}
        )
        nlp.add_pipe("test_proposer", first=True)
        return nlp

    return make


def test_the_extractor_learns_and_answers_on_proposals(make_pipeline, reference):
    nlp = make_pipeline()
    reference = Doc(nlp.vocab).from_bytes(reference.to_bytes())
    examples = [Example(copy_input(reference), reference)]
    with nlp.select_pipes(disable=["test_proposer"]):
        optimizer = nlp.initialize(lambda: examples)
    pipe = nlp.get_pipe(NAME)
    # The store has the proposed pairs: one with both directions, and one without a relation.
    pipe.predictor.refresh()
    stored = {(i.first_text, i.second_text, len(i.answers)) for i in pipe.predictor.retriever.store.instances}
    assert stored == {("Ann", "Rome", 1), ("Bob", "Cara", 0)}
    examples = [Example(copy_input(reference), reference)]
    optimizer.learn_rate = 0.02
    losses = [
        nlp.update(examples, sgd=optimizer, exclude=["test_proposer"], annotates=["test_proposer"])[NAME]
        for _ in range(15)
    ]
    assert losses[-1] < losses[1] / 2
    doc = nlp(copy_input(reference))
    assert [(r.head.text, r.tail.text, r.head_cluster, r.tail_cluster) for r in doc._.relations] == [
        ("Ann", "Rome", 0, 3)
    ]
    scores = pipe.calibrate([Example(proposer(copy_input(reference)), reference)])
    assert scores["after"] == 1.0


def test_without_proposals_nothing_is_learned(make_nlp, reference):
    nlp = make_nlp(candidates={"@ragre_candidates": "ragre.Proposed.v1"}, labels={"located_in": ""})
    reference = Doc(nlp.vocab).from_bytes(reference.to_bytes())
    examples = [Example(copy_input(reference), reference)]
    optimizer = nlp.initialize(lambda: examples)
    assert nlp.update(examples, sgd=optimizer)[NAME] == 0.0


def test_the_filters_score_counts_after_calibration(make_pipeline, reference, tmp_path):
    nlp = make_pipeline()
    reference = Doc(nlp.vocab).from_bytes(reference.to_bytes())
    with nlp.select_pipes(disable=["test_proposer"]):
        nlp.initialize(lambda: [Example(copy_input(reference), reference)])
    pipe = nlp.get_pipe(NAME)
    pipe.predictor.trained = True
    # A head that knows nothing: all depends on the scores of the proposals, each for its own direction.
    pipe.predictor.shim.weight.data.zero_()
    pipe.predictor.shim.bias.data.zero_()
    predicted = copy_input(reference)
    predicted._.candidate_pairs = [(0, 3, 0.8), (3, 0, 0.3), (2, 1, 0.25), (1, 2, 0.1)]
    scores = pipe.calibrate([Example(predicted, reference)])
    assert scores["after"] == 1.0 > scores["before"]
    assert pipe.predictor.calibration.proposal > 0 and pipe.predictor.calibration.weight == 0
    nlp.to_disk(tmp_path)
    for again in (nlp, spacy.load(tmp_path)):
        doc = predicted.copy()
        again.get_pipe(NAME)(doc)
        assert [(r.head_cluster, r.tail_cluster, r.label) for r in doc._.relations] == [(0, 3, "located_in")]
        # Without scores, no direction is likelier than another.
        doc._.candidate_pairs = [(0, 3, 0.5), (3, 0, 0.5)]
        again.get_pipe(NAME)(doc)
        assert len({relation.score for relation in doc._.relations}) < 2


@pytest.mark.parametrize(
    "forward, inverse, expected",
    [
        (0.9, 0.5, [0, 2.197, 0, 2.197]),
        (0.5, 0.2, [0, 0, -1.386, 0]),
        (None, 0.2, [0, 0, -1.386, -1.386]),
        (1.0, 0.0, [0, 9.21, -9.21, 9.21]),
    ],
)
def test_odds_follow_the_direction_of_a_class(forward, inverse, expected):
    labels = LabelSet({"located_in": "", "sibling": {"symmetric": True}})
    instance = Instance(text="a b", first=(0, 1), second=(2, 3))
    proposals = [None if score is None else CandidatePair(0, 1, score) for score in (forward, inverse)]
    odds = proposal_odds([Candidate((0, 1), (1, 2), instance, True, True, None, None, *proposals)], labels)
    assert odds == pytest.approx(np.asarray([expected]), abs=1e-3)


def test_odds_of_labels():
    labels = LabelSet({"located_in": "", "sibling": {"symmetric": True}})
    instance = Instance(text="a b", first=(0, 1), second=(2, 3))
    forward = CandidatePair(0, 1, 0.8, {"located_in": 0.75, "unknown": 0.25})
    inverse = CandidatePair(1, 0, 0.4, {"sibling": 0.5, "located_in": 0.5})
    candidate = Candidate((0, 1), (1, 2), instance, forward_proposal=forward, reversed_proposal=inverse)
    (odds,) = proposal_odds([candidate], labels)
    assert 1 / (1 + np.exp(-odds)) == pytest.approx([0.5, 0.6, 0.2, 0.2])
    (odds,) = proposal_odds([replace(candidate, reversed_proposal=None)], labels)
    assert 1 / (1 + np.exp(-odds)) == pytest.approx([0.5, 0.6, 0.5, 1e-4])


def test_no_odds_without_scores():
    instance = Instance(text="a b", first=(0, 1), second=(2, 3))
    assert proposal_odds([Candidate((0, 1), (1, 2), instance)], LabelSet({"located_in": ""})) is None
    assert proposal_odds([], LabelSet({"located_in": ""})) is None


def test_pairs_are_proposed_for_gold_entities_whatever_was_predicted(nlp, reference):
    """As with spaCy's own corpus, whose predicted documents have no entities."""
    nlp.add_pipe("test_proposer")
    component = nlp.add_pipe("test_forgetful", name="own")
    given = Example(nlp.make_doc(reference.text), reference)
    (example,) = propose([given], nlp, component)
    assert len(example.predicted._.candidate_pairs) == 3
    assert PAIRS_KEY not in given.predicted.user_data
