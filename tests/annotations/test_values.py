"""Values that annotations refuse, each with its numbered message."""

import json
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from spacy_ragre.relations import CandidatePair, Relation

from .conftest import WORDS, read, relation, same_to_bytes


@pytest.mark.parametrize("span", [(3, 3), (3, 2), (-1, 2), (0, 17), (0.0, 1), ("0", 1), (True, 2), (None, 2)])
def test_r001_offsets_out_of_range(doc: Doc, span: Any) -> None:
    message = f"R001.*the tail of relation 0 has start={span[0]} and end={span[1]}.*<= 16"
    with pytest.raises(ValueError, match=message):
        doc._.relations = relation(tail=span)
    with pytest.raises(ValueError, match="R001.*mention 1 of cluster 0"):
        doc._.entity_clusters = [[(0, 3), span]]
    assert doc._.relations == []


@pytest.mark.parametrize(
    "value",
    [
        ["founded_by"],
        [{"head": (0, 3), "tail": (6, 8)}],
        relation(head="Acme"),
        relation(head=(0, 1, "ORG", 4)),
        relation(score="high"),
        relation(score=None),
    ],
)
def test_r002_relations_of_another_form(doc: Doc, value: Any) -> None:
    with pytest.raises(ValueError, match="R002.*relations"):
        doc._.relations = value


@pytest.mark.parametrize(
    "attr,value",
    [
        ("entity_clusters", ["Acme"]),
        ("entity_clusters", [[]]),
        ("entity_clusters", [3]),
        ("entity_clusters", [{"start": 0, "end": 3}]),
        ("candidate_pairs", [(0,)]),
        ("candidate_pairs", ["01"]),
        ("candidate_pairs", [(0, 1, "high")]),
        ("triples", [("a", "b")]),
        ("triples", ["abc"]),
        ("triples", [3]),
    ],
)
def test_r002_other_attributes(doc: Doc, attr: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"R002.*{attr}"):
        setattr(doc._, attr, value)


@pytest.mark.parametrize("index", [5, -1, "0", 1.0, True])
def test_r003_clusters_that_do_not_exist(doc: Doc, index: Any) -> None:
    with pytest.raises(ValueError, match=f"R003.*cluster index {index} .* 5 entity.* 0 to 4"):
        doc._.candidate_pairs = [(0, index)]
    with pytest.raises(ValueError, match="R003"):
        doc._.relations = relation(head_cluster=0, tail_cluster=index)
    assert doc._.candidate_pairs == [] and doc._.relations == []


def test_r004_spans_of_another_document(doc: Doc) -> None:
    other = Doc(doc.vocab, words=WORDS)
    with pytest.raises(ValueError, match="R004.*relations"):
        doc._.relations = [Relation(doc[0:3], other[6:8], "founded_by")]
    with pytest.raises(ValueError, match="R004.*entity_clusters"):
        doc._.entity_clusters = [[other[0:3]]]


@pytest.mark.parametrize("attr", ["relations", "entity_clusters", "candidate_pairs", "triples"])
@pytest.mark.parametrize("value", [None, 3, "text", {"head": 0}])
def test_r012_what_is_no_list(attr, value):
    doc = spacy.blank("en")("Ada met Bob .")
    with pytest.raises(ValueError, match=f"R012.*{attr}"):
        setattr(doc._, attr, value)


@pytest.mark.parametrize(
    "change",
    [
        {"score": float("nan")},
        {"score": -0.1},
        {"score": 1.5},
        {"score": "0.5"},
        {"score": True},
        {"label": None},
        {"label": ""},
        {"label": 3},
        {"evidence": "text"},
        {"evidence": [1]},
    ],
    ids=str,
)
def test_r002_values_of_a_relation(change):
    doc = spacy.blank("en")("Ada met Bob .")
    with pytest.raises(ValueError, match="R002.*relations"):
        doc._.relations = [{"head": (0, 1), "tail": (2, 3), "label": "met", **change}]
    assert doc._.relations == []


def test_numpy_numbers_become_plain_ones():
    doc = spacy.blank("en")("Ada met Bob .")
    evidence = {"scores": np.asarray([0.5, 0.25], dtype="float32"), "best": np.float32(0.5), "n": np.int64(2)}
    doc._.relations = [
        {"head": (np.int64(0), 1), "tail": (2, 3), "label": "met", "score": np.float32(0.5), "evidence": evidence}
    ]
    (relation,) = doc._.relations
    assert relation.evidence == {"scores": [0.5, 0.25], "best": 0.5, "n": 2}
    assert json.loads(json.dumps(relation.to_dict()))["score"] == 0.5


@pytest.mark.parametrize(
    "value, shown", [(object(), "object"), ("a\udc00", "str"), ({"\ud800": 1}, "str"), (2**63, "int")]
)
def test_r013_evidence_that_cannot_be_saved(doc: Doc, value: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=rf"R013.*\({shown}\)"):
        doc._.relations = relation(evidence={"a": [value]})


def test_text_and_labels_that_cannot_be_saved(doc: Doc) -> None:
    for change in ({"head": (0, 3, 5)}, {"head": {"start": 0, "end": 3, "label": ["ORG"]}}, {"label": "\ud800"}):
        with pytest.raises(ValueError, match="R002"):
            doc._.relations = relation(**change)
    with pytest.raises(ValueError, match="R002"):
        doc._.triples = [("Acme", "founded_by", "\ud800")]
    with pytest.raises(ValueError, match="R013"):
        doc._.candidate_pairs = [(0, 1, 0.5, {"\ud800": 0.5})]


def test_numpy_arrays_are_taken_as_lists(doc: Doc) -> None:
    doc._.entity_clusters = np.array([[[0, 3]], [[6, 8]]])
    doc._.candidate_pairs = np.argwhere(np.eye(2) == 0)
    doc._.relations = [{"head": np.array([0, 3]), "tail": np.array([6, 8]), "label": np.str_("founded_by")}]
    assert doc._.candidate_pairs == [CandidatePair(0, 1), CandidatePair(1, 0)]
    assert read(same_to_bytes(doc)) == read(doc)
    assert type(doc._.relations[0].label) is str


@pytest.mark.parametrize("value, shown", [(0, "is 0, but"), ("Acme", "is 'Acme', but"), (None, "is None, but")])
def test_r002_says_which_mention_is_wrong_and_what_is_wanted(doc: Doc, value: Any, shown: str) -> None:
    with pytest.raises(
        ValueError, match=r"R002.*: the tail of relation 0 " + shown + r".*doc\.ents\[0\].*start and end"
    ):
        doc._.relations = relation(tail=value)
    with pytest.raises(ValueError, match=r"R002.*: item 0 is \["):
        doc._.relations = [[1]]


@pytest.mark.parametrize("value", ["met", ["met", ""], [None], [3], 3, np.array(3), ["\ud800"]])
def test_r011_annotated_labels(value):
    doc = spacy.blank("en")("Ada met Bob .")
    assert doc._.annotated_labels is None
    with pytest.raises(ValueError, match="R011"):
        doc._.annotated_labels = value


def test_r632_a_relation_of_what_is_no_span(doc: Doc) -> None:
    head, tail = doc[0:3], doc[6:8]
    for values in ((head, "founded_by", tail), ("Acme", tail, "founded_by"), (head, tail, None)):
        with pytest.raises(ValueError, match=r"R632.*Relation\(head, tail, 'founded_by'\)"):
            Relation(*values)
