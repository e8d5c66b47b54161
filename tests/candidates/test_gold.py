import pytest
import spacy
from spacy.tokens import Doc

from spacy_ragre.candidates import (
    filter_by_types,
    label_candidates,
    make_proposed,
    make_same_sentence,
    make_whole_document,
    unreached,
)
from spacy_ragre.instances import Answer
from spacy_ragre.labels import LabelSet


@pytest.fixture
def doc():
    words = "Ada founded Acme . She met Bob in Rome .".split()
    doc = Doc(spacy.blank("en").vocab, words=words, sent_starts=[i in (0, 4) for i in range(len(words))])
    doc.set_ents([doc.char_span(doc.text.index(w), doc.text.index(w) + len(w), label=label) for w, label in ENTS])
    return doc


ENTS = [("Ada", "PERSON"), ("Acme", "ORG"), ("Bob", "PERSON"), ("Rome", "GPE")]
ADA, ACME, SHE, BOB, ROME = (0, 1), (2, 3), (4, 5), (6, 7), (8, 9)


def rel(head, tail, label, **values):
    return {"head": head, "tail": tail, "label": label, **values}


def test_sentence_level(doc):
    doc._.relations = [
        rel(ACME, ADA, "founded_by"),
        rel(ADA, ACME, "works_for"),
        rel(BOB, ROME, "located_in"),
        rel(BOB, ROME, "located_in", score=0.5),
        rel(ADA, BOB, "knows"),
    ]
    candidates = make_same_sentence()(doc, doc.ents)
    labelled = label_candidates(doc, candidates)
    assert [candidate.instance.answers for candidate in labelled] == [
        (Answer("works_for"), Answer("founded_by", True)),
        (Answer("located_in"),),
    ]
    assert [candidate.instance.answers for candidate in candidates] == [None, None]
    assert [relation.label for relation in unreached(doc, candidates)] == ["knows"]
    assert len(unreached(doc, [])) == 5


def test_no_relations(doc):
    candidates = make_same_sentence()(doc, doc.ents)
    assert [candidate.instance.answers for candidate in label_candidates(doc, candidates)] == [(), ()]
    assert unreached(doc, candidates) == []


def test_clusters(doc):
    doc._.entity_clusters = [[ADA, SHE], [ACME], [BOB], [ROME]]
    doc._.relations = [
        rel(ACME, ADA, "founded_by", head_cluster=1, tail_cluster=0),
        rel(BOB, SHE, "knows"),  # by a mention, without cluster indexes
        rel((7, 8), ROME, "odd"),  # of no cluster
    ]
    candidates = make_whole_document()(doc, doc.ents)
    labelled = label_candidates(doc, candidates)
    found = {(c.first_cluster, c.second_cluster): c.instance.answers for c in labelled if c.instance.answers}
    # Of Ada and She, both one token from Acme, the first stands for the cluster.
    assert found == {(0, 1): (Answer("founded_by", True),), (0, 2): (Answer("knows", True),)}
    assert [relation.label for relation in unreached(doc, candidates)] == ["odd"]


def test_clusters_of_other_spans(doc):
    doc.spans["all"] = [*doc.ents, doc[4:5]]
    doc._.relations = [rel(BOB, SHE, "knows")]
    candidates = make_whole_document()(doc, doc.spans["all"])
    answers = [c.instance.answers for c in label_candidates(doc, candidates, doc.spans["all"])]
    assert (Answer("knows", True),) in answers
    assert unreached(doc, candidates, doc.spans["all"]) == []


def test_only_directions_asked_for(doc):
    doc._.candidate_pairs = [(0, 1)]
    doc._.relations = [rel(ADA, ACME, "works_for"), rel(ACME, ADA, "founded_by")]
    candidates = make_proposed()(doc, doc.ents)
    (labelled,) = label_candidates(doc, candidates)
    assert labelled.instance.answers == (Answer("works_for"),)
    assert [relation.label for relation in unreached(doc, candidates)] == ["founded_by"]


@pytest.mark.parametrize(
    "label,expected",
    [
        ({}, [(ADA, ACME), (BOB, ROME)]),
        ({"head_types": ["ORG"], "tail_types": ["PERSON"]}, [(ADA, ACME)]),
        ({"head_types": ["PERSON"], "tail_types": ["ORG"]}, [(ADA, ACME)]),
        ({"head_types": ["GPE"], "tail_types": ["PERSON"], "symmetric": True}, [(BOB, ROME)]),
        ({"head_types": ["PERSON"]}, [(ADA, ACME), (BOB, ROME)]),
        ({"tail_types": ["DATE"]}, []),
    ],
)
def test_filter_by_types(doc, label, expected):
    candidates = make_same_sentence()(doc, doc.ents)
    kept = filter_by_types(candidates, LabelSet({"x": label}))
    assert [(candidate.first, candidate.second) for candidate in kept] == expected


def test_filter_by_types_looks_at_the_directions(doc):
    labels = LabelSet({"founded_by": {"head_types": ["ORG"], "tail_types": ["PERSON"]}})
    for pair, count in (((0, 1), 0), ((1, 0), 1)):
        doc._.candidate_pairs = [pair]
        assert len(filter_by_types(make_proposed()(doc, doc.ents), labels)) == count


def test_filter_without_labels(doc):
    assert filter_by_types(make_same_sentence()(doc, doc.ents), LabelSet()) == []


def test_a_symmetric_label_holds_in_both_directions_and_is_given_once(doc):
    known = LabelSet({"married_to": {"text": "is married to", "symmetric": True}, "knows": "knows"})
    doc._.entity_clusters = [[ADA, SHE], [ACME], [BOB], [ROME]]
    both = [rel(ADA, BOB, "married_to", **ends) for ends in ({}, {"head_cluster": 0, "tail_cluster": 2})]
    turned = [rel(BOB, ADA, label, head_cluster=2, tail_cluster=0) for label in ("married_to", "knows")]
    doc._.candidate_pairs = [(0, 2)]
    for relations, expected in ((both, (Answer("married_to"),)), (turned, (Answer("married_to"),))):
        doc._.relations = relations
        (candidate,) = label_candidates(doc, make_proposed()(doc, doc.ents), known=known)
        assert candidate.instance.answers == expected
    assert [relation.label for relation in unreached(doc, [candidate], known=known)] == ["knows"]
    doc._.candidate_pairs = [(0, 2), (2, 0)]
    doc._.relations = [*both, *turned]
    (candidate,) = label_candidates(doc, make_proposed()(doc, doc.ents), known=known)
    assert set(candidate.instance.answers) == {Answer("married_to"), Answer("knows", True)}


def test_the_labels_that_a_document_was_annotated_for_go_along(doc):
    candidates = make_same_sentence()(doc, doc.ents)
    doc._.relations = [rel(ADA, ACME, "works_for")]
    for labels, expected in ((None, None), (["knows", "works_for"], {"knows", "works_for"}), ([], set())):
        doc._.annotated_labels = labels
        assert {c.instance.annotated for c in label_candidates(doc, candidates)} == {
            None if expected is None else frozenset(expected)
        }
