"""What annotations give back, and what they survive."""

import json
import pickle
from typing import Any, Dict

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.vocab import Vocab

from spacy_ragre.relations import (
    CLUSTERS_KEY,
    CandidatePair,
    EntityCluster,
    Relation,
    cluster_entities,
    relations_key,
)

from .conftest import WORDS, offsets, read, relation, same_to_bytes


def annotate(doc: Doc) -> Doc:
    """Set every extension."""
    ents = doc.ents
    doc._.entity_clusters = [[ents[0], ents[3]], [ents[1], ents[2]], [ents[4]]]
    evidence = {"examples": [{"id": "d1", "text": "...", "labels": ["owns"], "score": 0.5}], "text": doc.text}
    doc._.relations = [
        Relation(ents[0], ents[1], "founded_by", 0.25, 0, 1, evidence),
        Relation(ents[4], ents[0], "home_of", 0.75),
    ]
    doc._.candidate_pairs = [CandidatePair(0, 1, 0.5), (1, 2)]
    doc._.triples = [("Acme", "founded by", "Ada")]
    ents[0]._.usage = "continuing"
    ents[0]._.usage_score = 0.125
    return doc


@Language.component("annotations_test_annotate")
def annotate_component(doc: Doc) -> Doc:
    ents = doc.ents
    if len(ents) > 1:
        doc._.relations = [{"head": ents[0], "tail": ents[1], "label": "founded_by", "score": 0.5}]
        doc._.candidate_pairs = [(0, 1)]
        ents[0]._.usage = "uncertain"
    return doc


# Without annotations


def test_everything_is_empty_at_first(doc: Doc) -> None:
    assert doc._.relations == [] and doc._.candidate_pairs == [] and doc._.triples == []
    assert all((span._.usage, span._.usage_score, span._.relations) == ("", None, []) for span in doc.ents)
    empty = Doc(Vocab())
    assert empty._.entity_clusters == [] and empty._.relations == []


# Relations


def test_relations_are_read_as_spans_of_the_document(doc: Doc) -> None:
    doc._.relations = [Relation(doc.ents[0], doc.ents[1], "founded_by", 0.5)]
    (relation,) = doc._.relations
    assert isinstance(relation.head, Span) and relation.head.doc is doc
    assert (relation.head.text, relation.head.label_) == ("Acme Steel Corp", "ORG")
    assert (relation.tail.text, relation.label, relation.score) == ("Ada Poe", "founded_by", 0.5)
    assert relation.head_cluster is None and relation.tail_cluster is None and relation.evidence == {}


def test_relations_are_sorted_by_score_and_ties_stay_in_order(doc: Doc) -> None:
    head, tail = doc.ents[:2]
    doc._.relations = [Relation(head, tail, label, score) for label, score in zip("abcd", (0.1, 0.5, 0.9, 0.5))]
    assert [rel.label for rel in doc._.relations] == ["c", "b", "d", "a"]


def test_to_dict_gives_what_can_be_assigned_again(doc: Doc) -> None:
    annotate(doc)
    plain = [rel.to_dict() for rel in doc._.relations]
    assert plain[0] == {
        "head": {"start": 14, "end": 15, "label": "GPE", "text": "Rome"},
        "tail": {"start": 0, "end": 3, "label": "ORG", "text": "Acme Steel Corp"},
        "label": "home_of",
        "score": 0.75,
        "head_cluster": None,
        "tail_cluster": None,
        "evidence": {},
    }
    doc._.relations = []
    assert doc._.relations == []
    doc._.relations = plain
    assert [rel.to_dict() for rel in doc._.relations] == plain


def test_dicts_may_leave_out_what_has_a_default(doc: Doc) -> None:
    doc._.relations = [{"head": (0, 3, "ORG"), "tail": {"start": 6, "end": 8}, "label": "founded_by"}]
    (relation,) = doc._.relations
    assert (relation.score, relation.head.label_, relation.tail.label_) == (1.0, "ORG", "")


def test_numpy_indexes_are_kept_as_plain_numbers(doc: Doc) -> None:
    first, second = np.arange(2)
    doc._.relations = [
        {
            "head": (first, np.int64(3)),
            "tail": (np.int32(6), np.int32(8)),
            "label": "founded_by",
            "score": np.float32(0.5),
            "head_cluster": first,
            "tail_cluster": second,
        }
    ]
    doc._.candidate_pairs = [(first, second, np.float32(0.5))]
    restored = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert read(restored) == read(doc)
    assert type(restored._.relations[0].head_cluster) is int


def test_nested_entities_are_told_apart(doc: Doc) -> None:
    outer, inner = Span(doc, 0, 3, "ORG"), Span(doc, 0, 2, "PRODUCT")
    doc._.relations = [Relation(outer, inner, "makes", 0.5), Relation(inner, doc.ents[4], "sold_in", 0.25)]
    assert [(rel.head.text, rel.tail.text) for rel in doc._.relations] == [
        ("Acme Steel Corp", "Acme Steel"),
        ("Acme Steel", "Rome"),
    ]
    assert [rel.label for rel in outer._.relations] == ["makes"]
    assert [rel.label for rel in inner._.relations] == ["makes", "sold_in"]


def test_relations_of_a_span_include_those_of_its_cluster(doc: Doc) -> None:
    acme, ada, poe, acme_again, rome = doc.ents
    doc._.entity_clusters = [[acme, acme_again], [ada, poe], [rome]]
    doc._.relations = [
        Relation(acme, ada, "founded_by", 0.75, head_cluster=0, tail_cluster=1),
        Relation(acme, rome, "located_in", 0.5),
    ]
    assert [rel.label for rel in acme._.relations] == ["founded_by", "located_in"]
    assert [rel.label for rel in poe._.relations] == ["founded_by"]
    # At sentence level, a relation belongs to its two mentions only.
    assert [rel.label for rel in acme_again._.relations] == ["founded_by"]
    assert doc[3:4]._.relations == []


# Survival


def same_doc_bin(doc: Doc) -> Doc:
    data = DocBin(store_user_data=True, docs=[doc]).to_bytes()
    return next(iter(DocBin(store_user_data=True).from_bytes(data).get_docs(doc.vocab)))


def same_pickle(doc: Doc) -> Doc:
    return pickle.loads(pickle.dumps(doc))


@pytest.mark.parametrize("copy", [same_to_bytes, same_doc_bin, same_pickle])
def test_annotations_survive(doc: Doc, copy: Any) -> None:
    annotate(doc)
    assert read(copy(doc)) == read(doc)


def test_annotations_survive_several_processes(nlp: Language) -> None:
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "ORG", "pattern": "Acme"}, {"label": "PERSON", "pattern": "Ada"}])  # type: ignore[attr-defined]
    nlp.add_pipe("annotations_test_annotate")
    texts = ["Ada founded Acme.", "Nothing here.", "", "Acme was founded by Ada."]
    alone = [read(doc) for doc in nlp.pipe(texts)]
    together = [read(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=1)]
    assert together == alone
    assert [len(item["relations"]) for item in together] == [1, 0, 0, 1]
    assert together[0]["usage"] == [("uncertain", None), ("", None)]


def same_json(doc: Doc) -> Doc:
    data = doc.to_json(underscore=["relations", "candidate_pairs", "triples", "usage", "annotated_labels"])
    return Doc(Vocab()).from_json(json.loads(json.dumps(data)))


def same_json_data(doc: Doc) -> Doc:
    return Doc(Vocab()).from_json(doc.to_json(underscore=["relations", "triples", "candidate_pairs", "usage"]))


@pytest.mark.parametrize("copy", [same_json, same_json_data])
def test_relations_go_through_json(doc: Doc, copy: Any) -> None:
    annotate(doc)
    # spaCy's JSON has no clusters: those that follow from the entities are the same on both sides.
    del doc.user_data[CLUSTERS_KEY]
    doc._.annotated_labels = ["founded_by", "home_of"]
    expected = read(doc)
    expected["usage"][0] = ("continuing", None)
    assert read(copy(doc)) == expected
    plain = json.loads(json.dumps(doc._.relations))
    assert plain == [relation.to_dict() for relation in doc._.relations]
    assert json.loads(json.dumps(doc.ents[0]._.relations)) == plain


def test_relations_of_a_document_with_the_same_text_can_be_set(doc: Doc) -> None:
    annotate(doc)
    other = Doc(Vocab(), words=WORDS)
    other._.relations = [relation for relation in doc._.relations if relation.head_cluster is None]
    assert [rel.to_dict() for rel in other._.relations] == [doc._.relations[0].to_dict()]
    with pytest.raises(ValueError, match="R004"):
        Doc(Vocab(), words=["Acme"] * len(doc))._.relations = doc._.relations


def test_the_text_that_was_read_is_not_stored_again(doc: Doc) -> None:
    text = doc.text
    whole, part, two = {"text": text, "n": 1}, {"n": 1, "text": text[5:20]}, {"text": text[:10] + " ... " + text[-8:]}
    other, none = {"text": "Another text"}, {"text": None}
    for evidence in (whole, part, two, other, none, {"text": ""}, {"text": ["a"]}, {"n": 1}, {}):
        doc._.relations = relation(evidence=evidence)
        for _ in range(2):
            assert doc._.relations[0].evidence == evidence
            stored = str(doc.user_data)
            assert not any(words in stored for words in ("Acme Steel", "Corp", "Rome"))
            doc = same_doc_bin(doc)
            doc._.relations = doc._.relations
    # Merged tokens change no text.
    doc._.relations = relation(evidence=two)
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:3])
    assert doc._.relations[0].evidence == two


def test_relations_that_version_0_1_0_stored_are_read(doc: Doc) -> None:
    stored = {"head": [0, 15, "ORG"], "tail": [31, 38, ""], "label": "founded_by", "score": 0.5}
    evidence = {"text": doc.text, "examples": []}
    doc.user_data[relations_key()] = [{**stored, "head_cluster": None, "tail_cluster": None, "evidence": evidence}]
    (found,) = same_doc_bin(doc)._.relations
    assert (found.head.text, found.tail.text, found.evidence) == ("Acme Steel Corp", "Ada Poe", evidence)


def test_what_is_read_is_a_copy(doc: Doc) -> None:
    annotate(doc)
    before = read(doc)
    relation = doc._.relations[1]
    relation.evidence["examples"][0]["labels"].append("other")
    relation.evidence.clear()
    doc._.relations.clear()
    doc._.candidate_pairs.clear()
    doc._.entity_clusters[0].clear()
    assert read(doc) == before


# Clusters


def test_clusters_by_text_ignore_case_and_keep_types_apart(nlp: Language) -> None:
    doc = nlp("Jordan met JORDAN in Jordan")
    doc.ents = [Span(doc, 0, 1, "PERSON"), Span(doc, 2, 3, "PERSON"), Span(doc, 4, 5, "GPE")]
    assert offsets(doc._.entity_clusters) == [[(0, 1), (2, 3)], [(4, 5)]]
    assert [cluster.label for cluster in doc._.entity_clusters] == ["PERSON", "GPE"]


def set_ents(doc: Doc, ids: Dict[int, str], kb_ids: Dict[int, str]) -> None:
    doc.ents = [
        Span(doc, ent.start, ent.end, ent.label_, kb_id=kb_ids.get(i, ""), span_id=ids.get(i, ""))
        for i, ent in enumerate(doc.ents)
    ]


def test_clusters_are_read_in_the_documented_order(doc: Doc) -> None:
    a, b, c, d, e = [(span.start, span.end) for span in doc.ents]
    assert offsets(doc._.entity_clusters) == [[a], [b], [c], [d], [e]]

    # ent_id_ before the text
    ids = {0: "acme", 3: "acme"}
    set_ents(doc, ids, {})
    assert offsets(doc._.entity_clusters) == [[a, d], [b], [c], [e]]

    # kb_id_ before ent_id_; NIL is the linker's word for "not in the knowledge base"
    set_ents(doc, ids, {0: "Q1", 1: "Q1", 2: "NIL", 4: "NIL"})
    assert offsets(doc._.entity_clusters) == [[a, b], [c], [d], [e]]

    # coreference before kb_id_, with its mentions that are no entities; a cluster without entities is left out
    doc.spans["coref_clusters_1"] = [doc[8:9], doc[11:13], doc[0:3]]
    doc.spans["coref_clusters_2"] = [doc[3:4], doc[5:6]]
    doc.spans["sc"] = [doc[0:3], doc[14:15]]
    assert offsets(doc._.entity_clusters) == [[a, (8, 9), d], [b], [c], [e]]

    # what was set before all else
    doc._.entity_clusters = [[doc[14:15], doc[0:3]]]
    assert offsets(doc._.entity_clusters) == [[e, a]]

    # mentions that are entities keep their ids
    doc._.entity_clusters = [list(doc.ents[:2]), [doc[8:9]]]
    assert [[span.kb_id_ for span in cluster] for cluster in doc._.entity_clusters] == [["Q1", "Q1"], [""]]
    assert isinstance(doc._.entity_clusters[0], EntityCluster)


def test_no_clusters_can_be_set(doc: Doc) -> None:
    doc._.entity_clusters = []
    assert doc._.entity_clusters == []


def test_relations_and_pairs_follow_their_mentions_into_other_clusters(doc: Doc) -> None:
    acme, ada, poe, steel, rome = doc.ents
    doc._.entity_clusters = [[acme, steel], [ada, poe], [steel, rome]]
    ends = [(steel, 0, ada, 1), (steel, 2, poe, 1), (rome, 2, doc[8:9], 1), (ada, None, rome, None)]
    keys = ("head", "head_cluster", "tail", "tail_cluster")
    doc._.relations = [{**dict(zip(keys, found)), "label": "r"} for found in ends]
    doc._.candidate_pairs = [(0, 1, 0.5, {"r": 1.0}), (2, 1), (1, 0)]

    def clusters() -> Any:
        return [(rel.head_cluster, rel.tail_cluster) for rel in doc._.relations]

    # Others that have a mention of two entities are told apart by the other mentions.
    doc._.entity_clusters = [[ada, poe], [rome, steel, doc[8:9]], [acme, steel]]
    assert clusters() == [(2, 0), (1, 0), (1, 0), (None, None)]
    assert doc._.candidate_pairs == [CandidatePair(2, 0, 0.5, {"r": 1.0}), CandidatePair(1, 0), CandidatePair(0, 2)]
    # A mention that is in none names none.
    doc._.entity_clusters = [[doc[3:4]], [ada], [acme, poe]]
    assert clusters() == [(None, 1), (None, 2), (None, 1), (None, None)]
    assert doc._.candidate_pairs == [CandidatePair(2, 1, 0.5, {"r": 1.0}), CandidatePair(1, 2)]


def test_clusters_of_given_spans_in_text_order(doc: Doc) -> None:
    spans = [doc[14:15], doc[0:2], doc[0:3]]
    assert offsets(cluster_entities(doc, spans)) == [[(0, 2)], [(0, 3)], [(14, 15)]]


def test_label_of_a_cluster_is_the_first_there_is(doc: Doc) -> None:
    cluster = EntityCluster([doc[8:9], Span(doc, 0, 3, "ORG"), Span(doc, 6, 8, "PERSON")])
    assert cluster.label == "ORG" and EntityCluster([doc[8:9]]).label == ""


def test_empty_span_group_under_a_coref_key(doc: Doc) -> None:
    doc.spans["coref_clusters_1"] = SpanGroup(doc)
    assert len(doc._.entity_clusters) == 5


# Pairs, triples, usage


def test_candidate_pairs(doc: Doc) -> None:
    doc._.candidate_pairs = [CandidatePair(0, 1, 0.25), (1, 0), [2, 3, 1]]
    assert doc._.candidate_pairs == [CandidatePair(0, 1, 0.25), CandidatePair(1, 0, 1.0), CandidatePair(2, 3, 1.0)]


def test_candidate_pairs_with_labels_are_plain_data(doc: Doc) -> None:
    doc._.candidate_pairs = [(0, 1, 0.5, {"at": np.float32(0.25)}), CandidatePair(1, 0, 0.5, None)]
    assert doc._.candidate_pairs == [CandidatePair(0, 1, 0.5, {"at": 0.25}), CandidatePair(1, 0, 0.5)]
    again = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert again._.candidate_pairs == doc._.candidate_pairs
    with pytest.raises(ValueError, match="R002"):
        doc._.candidate_pairs = [(0, 1, 0.5, {"at": "often"})]
    with pytest.raises(ValueError, match="R002"):
        doc._.candidate_pairs = [(0, 1, 0.5, 0.5)]


def test_triples(doc: Doc) -> None:
    doc._.triples = [["a", "b", "c"], ("Ada", "met", "Poe")]
    assert doc._.triples == [("a", "b", "c"), ("Ada", "met", "Poe")]


def test_relations_of_a_span_are_set_on_the_document(doc: Doc) -> None:
    with pytest.raises(ValueError, match=r"R008.*doc\._\.relations"):
        doc[0:1]._.relations = []


def test_usage_and_its_score_belong_to_one_span(doc: Doc) -> None:
    doc[0:3]._.usage_score = np.float32(0.5)
    assert (doc[0:3]._.usage, doc[0:3]._.usage_score) == ("", 0.5)
    doc[0:3]._.usage = "started"
    doc[0:2]._.usage = "discontinued"
    assert (doc[0:3]._.usage, doc[0:3]._.usage_score) == ("started", 0.5)
    assert (doc[0:2]._.usage, doc[0:2]._.usage_score) == ("discontinued", None)
    doc[0:3]._.usage = "continuing"
    assert doc[0:3]._.usage == "continuing" and doc[1:3]._.usage == ""


# Documents that change


def test_annotations_stay_with_their_mentions_where_tokens_are_merged(doc: Doc) -> None:
    annotate(doc)
    texts = [ent.text for ent in doc.ents]
    with doc.retokenize() as retokenizer:
        for ent in doc.ents:
            retokenizer.merge(ent)
    assert [ent.text for ent in doc.ents] == texts and len(doc.ents[0]) == 1
    found = [(rel.head.text, rel.label, rel.tail.text, rel.head_cluster) for rel in doc._.relations]
    assert found == [(texts[4], "home_of", texts[0], None), (texts[0], "founded_by", texts[1], 0)]
    clusters = [[span.text for span in cluster] for cluster in doc._.entity_clusters]
    assert clusters == [[texts[0], texts[3]], [texts[1], texts[2]], [texts[4]]]
    assert [(ent._.usage, ent._.usage_score) for ent in doc.ents] == [("continuing", 0.125), *[("", None)] * 4]


def test_a_part_of_a_document_keeps_no_annotation_of_other_words(doc: Doc) -> None:
    annotate(doc)
    doc.ents[4]._.usage = "started"
    part = doc[6:].as_doc(copy_user_data=True)
    assert part._.relations == [] and part._.candidate_pairs == [] and part._.triples == []
    assert [[span.text for span in cluster] for cluster in part._.entity_clusters][0] == ["Ada Poe"]
    assert [ent._.usage for ent in part.ents] == ["", "", "", "started"]


def test_joining_documents_warns_without_their_text(doc: Doc) -> None:
    with pytest.warns(UserWarning, match="W101") as caught:
        joined = Doc.from_docs([annotate(doc), annotate(doc.copy())])
    assert not any("Acme" in str(warning.message) or "founded_by" in str(warning.message) for warning in caught)
    assert joined.ents[0]._.usage == joined.ents[5]._.usage == "continuing"


def test_r010_annotations_of_another_text(doc: Doc) -> None:
    other = Doc(doc.vocab, words=["Acme"])
    other.user_data.update(annotate(doc).user_data)
    with pytest.raises(ValueError, match="R010.*5 characters"):
        list(other._.relations)


def test_annotated_labels_are_kept():
    nlp = spacy.blank("en")
    doc = nlp("Ada met Bob .")
    doc._.annotated_labels = ("met",)
    assert Doc(nlp.vocab).from_bytes(doc.to_bytes())._.annotated_labels == ["met"]
    doc._.annotated_labels = None
    assert doc._.annotated_labels is None


def test_relations_of_a_span_are_those_of_the_document():
    doc = spacy.blank("en")(" ".join(f"w{i}" for i in range(60)))
    doc._.relations = [
        {"head": (i, i + 1), "tail": (j, j + 1), "label": "a"}
        for i in range(0, 60, 7)
        for j in range(3, 60, 11)
        if i != j
    ]
    for token in doc:
        span = doc[token.i : token.i + 1]
        expected = [r for r in doc._.relations if token.i in (r.head.start, r.tail.start)]
        assert span._.relations == expected
