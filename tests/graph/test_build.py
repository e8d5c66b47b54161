import json
import random
import warnings
from typing import Any, Callable, Dict, Sequence

import networkx as nx
import pytest
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ragre.graph import build, merge
from spacy_ragre.graph.packages import need
from spacy_ragre.visual.document import Selection, read_graph

ANN, BOB, ACME, ROME = "name:PERSON:ann", "name:PERSON:bob", "kb:Q1", "name:GPE:rome"
MakeDoc = Callable[..., Doc]


def edges(graph: nx.MultiDiGraph) -> Dict[Any, Any]:
    return {(head, key, tail): data["count"] for head, tail, key, data in graph.edges(keys=True, data=True)}


def test_entities_of_documents_become_one_node(corpus: Sequence[Doc]) -> None:
    graph = build(corpus)
    assert list(graph.nodes) == [ACME, ANN, BOB]
    assert graph.nodes[ANN] == {
        "name": "Ann",
        "type": "PERSON",
        "kb_id": "",
        "count": 3,
        "types": {"PERSON": 3},
        "names": {"ANN": 1, "Ann": 2},
        "mentions": {"ANN": 1, "Ann": 2},
    }
    assert graph.nodes[ACME]["kb_id"] == "Q1"
    assert ROME in build(corpus, isolated=True) and not build([], isolated=True)


def test_edges_have_counts_and_provenance(corpus: Sequence[Doc]) -> None:
    graph = build(iter(corpus))
    assert edges(graph) == {(ANN, "runs", ACME): 2, (ANN, "knows", BOB): 1, (BOB, "knows", ANN): 1}
    data = graph.edges[ANN, ACME, "runs"]
    assert data["label"] == "runs" and data["score"] == 0.9
    assert data["provenance"][0] == {
        "document": "a",
        "sentence": "Ann runs Acme. Bob is hers.",  # no sentences: what is around
        "head": [0, 3],
        "tail": [9, 13],
        "label": "runs",
        "score": 0.9,
        "evidence": {},
    }
    assert [place["document"] for place in data["provenance"]] == ["a", "b"]


def test_sentences_of_head_and_tail(nlp: Language) -> None:
    nlp.add_pipe("sentencizer")
    doc = nlp("Ann is here. So is Bob. " + "No one else. " * 40 + "Acme is shut.")
    spans = [doc.char_span(doc.text.index(name), doc.text.index(name) + len(name)) for name in ("Ann", "Bob", "Acme")]
    doc._.relations = [
        {"head": spans[1], "tail": spans[0], "label": "near"},
        {"head": spans[0], "tail": spans[2], "label": "far", "evidence": {"examples": [{"id": "x"}]}},
    ]
    graph = build([doc])
    (near,), (far,) = (graph.edges[edge]["provenance"] for edge in sorted(graph.edges, key=lambda edge: edge[2])[::-1])
    assert near["sentence"] == "Ann is here. So is Bob." and near["head"] == [19, 22]
    assert far["sentence"] == "Ann is here. ... Acme is shut."  # what is between them is far too much
    assert far["evidence"] == {"examples": [{"id": "x"}]}
    assert near["document"].startswith("text-") and near["document"] == far["document"]


def test_clusters_are_one_entity(nlp: Language, make_doc: MakeDoc) -> None:
    doc = make_doc("Marie Curie met Curie and she left Acme.", [("Marie Curie", "PERSON", ""), ("Curie", "PERSON", "")])
    cluster = [doc[0:2], doc[3:4], doc[5:6]]
    doc._.entity_clusters = [cluster]
    doc.ents[0].kb_id_ = ""
    doc._.relations = [
        {"head": doc[5:6], "tail": doc[7:8], "label": "left", "head_cluster": 0},
        {"head": doc[3:4], "tail": doc[7:8], "label": "left", "head_cluster": 0},
    ]
    graph = build([doc, make_doc("MARIE  CURIE’s", [("MARIE  CURIE’s", "PERSON", "")])])
    node = graph.nodes["name:PERSON:marie curie"]
    assert node["count"] == 3 and "she" not in node["mentions"] and node["name"] in ("Marie Curie", "MARIE CURIE’s")
    assert edges(graph) == {("name:PERSON:marie curie", "left", "name::acme"): 2}


def test_ids_of_linkers_are_kept_with_set_clusters(make_doc: MakeDoc) -> None:
    doc = make_doc("Ann runs Acme.", "Ann PERSON Q2, Acme ORG NIL")
    doc._.entity_clusters = [[doc.ents[0]], [doc.ents[1]]]
    doc._.relations = [{"head": doc[0:1], "tail": doc[2:3], "label": "runs"}]
    assert list(build([doc]).nodes) == ["kb:Q2", "name:ORG:acme"]


DRUGS = "NSAIDs D1|D2, Aspirin D1, ibuprofen D2, kids P1, cats P2"


@pytest.mark.parametrize(
    "mentions, relations",
    [
        (DRUGS, ["D1 P1", "D2 P2"]),
        (DRUGS, ["D2 P2"]),
        (DRUGS, ["P1 D1", "P1 D2"]),
        ("NSAIDs D1|D2, ibuprofen D2, drugs -|D2, kids P1", ["D2 P1"]),
        ("NSAIDs D1|D2, pills D2|D3, kids P1", ["D2 P1"]),
        ("NSAIDs D1|D2, drugs D1|D2, kids P1", ["D1|D2 P1"]),
    ],
)
def test_relations_of_concepts_that_share_a_mention(read_concepts: MakeDoc, mentions: str, relations: Any) -> None:
    doc = read_concepts(mentions, *relations)
    expected = {tuple(f"kb:{concept}" for concept in relation.split()) for relation in relations}
    graph = build([doc])
    assert {(head, tail) for head, tail in graph.edges()} == expected
    names, picture = dict(graph.nodes(data="name")), read_graph(doc, Selection())
    drawn = {(picture.nodes[edge.head].name, picture.nodes[edge.tail].name) for edge in picture.edges}
    assert drawn == {(names[head], names[tail]) for head, tail in expected}


def test_clusters_of_relations_are_those_of_entities(nlp: Language, make_doc: MakeDoc) -> None:
    doc = make_doc("Ann runs Acme in Rome.", "Ann P, Acme O, Rome G")
    doc._.relations = [{"head": doc[0:1], "tail": doc[2:3], "label": "runs", "head_cluster": 0, "tail_cluster": 1}]
    doc.spans["some"] = [doc.ents[2], doc.ents[1], doc.ents[0]]
    assert edges(build([doc], spans_key="some")) == {("name:P:ann", "runs", "name:O:acme"): 1}
    doc.spans["some"] = [doc.ents[2]]
    assert set(build([doc], spans_key="some").nodes) == {"name::ann", "name::acme"}


def test_functional_labels_keep_their_best_tail(make_doc: MakeDoc) -> None:
    docs = [
        make_doc("Ann, Rome, Oslo", "Ann P, Rome G, Oslo G", (0, "born_in", 1, 0.9), (0, "lives_in", 1, 0.2), id="a"),
        make_doc("Ann, Oslo", "Ann P, Oslo G", (0, "born_in", 1, 0.6), (0, "lives_in", 1, 0.2), id="b"),
        make_doc("Ann, Oslo", "Ann P, Oslo G", (0, "born_in", 1, 0.6), id="c"),
    ]
    graph = build(docs, functional=["born_in"])
    ann, oslo, rome = "name:P:ann", "name:G:oslo", "name:G:rome"
    assert edges(graph) == {(ann, "born_in", oslo): 2, (ann, "lives_in", oslo): 1, (ann, "lives_in", rome): 1}
    assert graph.graph["left_out"] == {"functional": 1}
    pairs = make_doc("Ann, Bob, Cid", "Ann P, Bob P, Cid P", (0, "wed", 1, 0.9), (2, "wed", 1, 0.8), (0, "wed", 0, 0.1))
    assert edges(build([pairs], functional=["wed"], symmetric=["wed"])) == {(ann, "wed", "name:P:bob"): 1}


def test_inverse_and_symmetric_labels_appear_once(make_doc: MakeDoc) -> None:
    both = (0, "knows", 1, 0.5), (1, "knows", 0, 0.4)
    doc = make_doc("Bob, Ann", "Bob P, Ann P", (0, "child", 1, 0.9), (1, "parent", 0, 0.8), *both)
    graph = build([doc], inverse={"child": "parent"}, symmetric=["knows"])
    ann, bob = "name:P:ann", "name:P:bob"
    assert edges(graph) == {(ann, "parent", bob): 1, (ann, "knows", bob): 1}
    (place,) = graph.edges[ann, bob, "parent"]["provenance"]
    assert place["label"] == "child" and place["head"] == [5, 8] and place["tail"] == [0, 3] and place["score"] == 0.9


def test_minimum_score_and_count(corpus: Sequence[Doc]) -> None:
    graph = build(corpus, min_score=0.65)
    assert edges(graph) == {(ANN, "runs", ACME): 1, (ANN, "knows", BOB): 1}
    assert graph.graph["left_out"] == {"min_score": 2}
    graph = build(corpus, min_count=2)
    assert edges(graph) == {(ANN, "runs", ACME): 2} and graph.graph["left_out"] == {"min_count": 2}
    assert graph.graph["min_count"] == 2 and list(graph.nodes) == [ACME, ANN]


def test_the_order_of_documents_changes_nothing(corpus: Sequence[Doc]) -> None:
    graph = build(corpus, symmetric=["knows"], isolated=True)
    expected = json.dumps(nx.node_link_data(graph, edges="edges"))
    docs = list(corpus)
    for seed in range(3):
        random.Random(seed).shuffle(docs)
        again = build(docs, symmetric=["knows"], isolated=True)
        assert json.dumps(nx.node_link_data(again, edges="edges")) == expected


def test_merged_parts_are_the_graph_of_the_whole(corpus: Sequence[Doc]) -> None:
    settings: Dict[str, Any] = {"functional": ["runs"], "symmetric": ["knows"], "min_count": 1, "min_score": 0.55}
    # One place that says the same in both directions, with the evidence at the second one.
    ends, evidence = corpus[2].ents, {"sentences": [0]}
    told = [(ends[0], ends[1], {"sentences": []}), (ends[1], ends[0], evidence)]
    corpus[2]._.relations = [{"head": h, "tail": t, "label": "knows", "score": 0.6, "evidence": e} for h, t, e in told]
    parts = [build([doc], isolated=True) for doc in corpus]
    before = json.dumps([nx.node_link_data(part, edges="edges") for part in parts])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        merged = merge(parts, **settings)
    assert nx.utils.graphs_equal(merged, build(corpus, **settings))
    assert merged.edges[ANN, BOB, "knows"]["provenance"][0]["evidence"] == evidence
    # A part that was written as JSON is as good as before.
    read = [nx.node_link_graph(data, edges="edges") for data in json.loads(before)]
    assert nx.utils.graphs_equal(merge(read, **settings), merged)
    assert json.dumps([nx.node_link_data(part, edges="edges") for part in parts]) == before


def test_w610_parts_that_were_cut(corpus: Sequence[Doc]) -> None:
    with pytest.warns(UserWarning, match=r"W610.* min_count"):
        merge([build(corpus, min_count=2), build([])])


def test_odd_names(make_doc: MakeDoc) -> None:
    names = ["\u200f\u05d0\u05e0\u05d4", "👩‍🚀", "\x01\n", "a:b%", "The"]
    doc = make_doc(" , ".join(names), [(name, "A:B", "") for name in names], (0, "x", 1, 1.0), (2, "x", 3, 1.0))
    graph = build([doc], isolated=True)
    assert graph.number_of_edges() == 2
    assert set(graph.nodes) == {
        "name:A%3AB:\u05d0\u05e0\u05d4",
        "name:A%3AB:👩🚀",
        "name:A%3AB:%01",
        "name:A%3AB:a:b%25",
        "name:A%3AB:the",
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"functional": "born_in"},
        {"symmetric": [""]},
        {"inverse": ["child"]},
        {"inverse": {"a": "b", "b": "c"}},
        {"inverse": {"a": "b"}, "symmetric": ["b"]},
        {"inverse": {"a": "b"}, "functional": ["a"]},
        {"min_score": 1.5},
        {"min_score": "high"},
        {"min_count": 0},
        {"min_count": 1.5},
    ],
    ids=str,
)
def test_r617_settings(settings: Any) -> None:
    with pytest.raises(ValueError, match="R617"):
        build([], **settings)


def test_r618_what_is_no_document_or_graph(nlp: Language) -> None:
    for docs in (nlp("a"), ["a"], 3):
        with pytest.raises(ValueError, match="R618"):
            build(docs)  # type: ignore[arg-type]
    unlike = build([])
    unlike.add_node("x")
    for graphs in (build([]), [nx.DiGraph()], [unlike]):
        with pytest.raises(ValueError, match="R618"):
            merge(graphs)
    unlike = build([], isolated=True)
    unlike.graph.pop("left_out")
    with pytest.raises(ValueError, match="R618"):
        merge([unlike])


def test_r616_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "networkx", None)
    with pytest.raises(ImportError, match=r"R616.*'networkx'.*spacy-ragre\[graph\]"):
        build([])
    with pytest.raises(ImportError, match="R616"):
        need("networkx")
