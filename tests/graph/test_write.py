import csv
import json
import re
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List, Sequence, Tuple
from xml.etree import ElementTree

import networkx as nx
import pytest
import rdflib
from rdflib.namespace import RDF, RDFS
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_ragre.graph import FORMATS, build, write
from spacy_ragre.graph.neo4j import literal, quoted_name
from spacy_ragre.relations import ID_KEY

MakeDoc = Callable[..., Doc]
ODD = [
    'O\'Hara "Q" \\',
    "\\u0027}) DETACH DELETE n //",
    "a\nb\rc\td",
    "\x00\x01\x1b\x7f\x85\u2028\ufffe",
    "\u202e\u05d0\u05e0\u05d4 \u0645",
    "👩‍🚀;,`$`",
    "<b>&amp;</b>",
    "http://x y",
    "''; MATCH (n) DELETE n;",
]


@pytest.fixture
def odd(nlp: Language) -> nx.MultiDiGraph:
    """A graph of names, types, labels and ids that files could read as something else."""
    doc = Doc(nlp.vocab, words=ODD, spaces=[True] * len(ODD))
    spans = [Span(doc, i, i + 1, label=ODD[i - 1], kb_id=ODD[i - 2] if i % 3 else "") for i in range(len(ODD))]
    doc.ents = spans[1:]  # the first one has no type and is known by its relations alone
    pairs = [(doc[i : i + 1], ODD[-1 - i], doc[j : j + 1]) for i, j in enumerate([*range(1, len(ODD)), 0])]
    pairs.append((doc[0:1], ODD[2], doc[1:2]))
    doc._.relations = [{"head": h, "label": r, "tail": t, "score": i / 10} for i, (h, r, t) in enumerate(pairs)]
    doc.user_data[ID_KEY] = ODD[3]
    graph = build([doc], isolated=True)
    assert graph.number_of_nodes() == len(ODD) and graph.number_of_edges() == len(pairs)
    # `build` joins white space of names; a graph of the user's need not.
    for data in graph.nodes.values():
        data["name"] = next((name for name in ODD if " ".join(name.split()) == data["name"]), data["name"])
    return graph


@pytest.fixture(params=["corpus", "odd", "empty"])
def graph(request: pytest.FixtureRequest) -> nx.MultiDiGraph:
    if request.param == "empty":
        return build([])
    found = request.getfixturevalue(request.param)
    return build(found, isolated=True) if request.param == "corpus" else found


def rows(graph: nx.MultiDiGraph) -> List[Tuple[str, str, str, float, int]]:
    return sorted((h, d["label"], t, d["score"], d["count"]) for h, t, d in graph.edges(data=True))


def test_node_link_gives_the_same_graph_back(graph: nx.MultiDiGraph, tmp_path: Path) -> None:
    write(graph, tmp_path / "g.json", "node-link")
    data = json.loads((tmp_path / "g.json").read_text(encoding="utf8"))
    assert nx.utils.graphs_equal(nx.node_link_graph(data, edges="edges"), graph)


def in_xml(text: str) -> str:
    return re.sub("[\x00-\x08\x0b-\x1f\ufffe]", lambda found: f"\\u{ord(found[0]):04x}", text)


def test_graphml_is_read_back(graph: nx.MultiDiGraph, tmp_path: Path) -> None:
    write(graph, tmp_path / "g.graphml", "graphml")
    ids = [edge.get("id") for edge in ElementTree.parse(tmp_path / "g.graphml").iter() if edge.tag.endswith("}edge")]
    assert len(set(ids)) == len(ids) == graph.number_of_edges()
    back = nx.read_graphml(tmp_path / "g.graphml", force_multigraph=True)
    assert list(back.nodes) == list(graph.nodes)
    for id_, data in graph.nodes(data=True):
        for field, value in data.items():
            read = back.nodes[id_].get(field) or ""
            assert (json.loads(read) if isinstance(value, dict) else read) == (
                in_xml(value) if isinstance(value, str) else value
            )
    assert rows(back) == sorted((h, in_xml(label), t, *more) for h, label, t, *more in rows(graph))
    for head, tail, data in back.edges(data=True):
        expected = [d for _, t, d in graph.edges(head, data=True) if t == tail and in_xml(d["label"]) == data["label"]]
        assert json.loads(data["provenance"]) == expected[0]["provenance"]


@pytest.mark.parametrize("format", ["ttl", "nt"])
def test_rdf_is_read_back(graph: nx.MultiDiGraph, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(graph, tmp_path / "whole", format)
    monkeypatch.setattr("spacy_ragre.graph.rdf._TRIPLES", 7)
    write(graph, tmp_path / "parts", format)
    whole, back = (rdflib.Graph().parse(tmp_path / name, format=format) for name in ("whole", "parts"))
    assert set(whole) == set(back)
    terms = rdflib.Namespace("http://example.org/ragre/terms#")
    found = sorted(
        (
            str(back.value(back.value(statement, RDF.subject), RDFS.label)),
            str(back.value(back.value(statement, RDF.predicate), RDFS.label)),
            str(back.value(back.value(statement, RDF.object), RDFS.label)),
            back.value(statement, terms.score).toPython(),  # type: ignore[union-attr]
            back.value(statement, terms["count"]).toPython(),  # type: ignore[union-attr]
        )
        for statement in back.subjects(RDF.type, RDF.Statement)
    )
    names = nx.get_node_attributes(graph, "name")
    assert found == sorted((names[h], label, names[t], *more) for h, label, t, *more in rows(graph))
    prov = rdflib.URIRef("http://www.w3.org/ns/prov#wasDerivedFrom")
    sources = [back.value(source, terms.sentence) for _, source in back.subject_objects(prov)]
    places = [place for *_, data in graph.edges(data=True) for place in data["provenance"]]
    assert sorted(map(str, sources)) == sorted(place["sentence"] for place in places)


def test_wikidata_where_it_is_known(make_doc: MakeDoc, tmp_path: Path) -> None:
    doc = make_doc("Ann runs Acme in Rome", "Ann P Q42, Acme O http://a.org/1, Rome G x", (0, "P17", 1, 1.0))
    doc._.relations = [*doc._.relations, {"head": doc.ents[0], "tail": doc.ents[2], "label": "in country"}]
    write(build([doc]), tmp_path / "g.ttl", "ttl", base="http://my.org/", relation_names={"P27": "in country"})
    back = rdflib.Graph().parse(tmp_path / "g.ttl", format="turtle")
    wd, wdt = "http://www.wikidata.org/entity/", "http://www.wikidata.org/prop/direct/"
    ann, acme, rome = (rdflib.URIRef(iri) for iri in (f"{wd}Q42", "http://a.org/1", "http://my.org/entity/kb%3Ax"))
    assert (ann, rdflib.URIRef(f"{wdt}P17"), acme) in back and (ann, rdflib.URIRef(f"{wdt}P27"), rome) in back
    assert "wdt:P17" in (tmp_path / "g.ttl").read_text(encoding="utf8")
    # Names next to the file are found, as DocRED's are.
    (tmp_path / "rel_info.json").write_text('{"http://s.org/in": "in country"}', encoding="utf8")
    write(build([doc]), tmp_path / "g.nt", "nt")
    assert (ann, rdflib.URIRef("http://s.org/in"), None) in rdflib.Graph().parse(tmp_path / "g.nt", format="nt")


def test_csv_is_what_neo4j_imports(graph: nx.MultiDiGraph, tmp_path: Path) -> None:
    write(graph, tmp_path / "g", "csv")
    write(graph, tmp_path / "g", "csv")  # in place of the one before
    with (tmp_path / "g" / "nodes.csv").open(encoding="utf8", newline="") as file:
        header, *nodes = csv.reader(file, strict=True)
    assert header == ["id:ID", "name", "type", "kb_id", "count:int", "types", "names", "mentions", ":LABEL"]
    assert [row[0] for row in nodes] == list(graph.nodes)
    for row, data in zip(nodes, graph.nodes.values()):
        assert row[1:5] == [data["name"], data["type"], data["kb_id"], str(data["count"])]
        assert [json.loads(text) for text in row[5:8]] == [data[name] for name in ("types", "names", "mentions")]
        assert len(row[8].split(";")) == (2 if data["type"] else 1)
    with (tmp_path / "g" / "relationships.csv").open(encoding="utf8", newline="") as file:
        header, *relations = csv.reader(file, strict=True)
    assert header == [":START_ID", ":END_ID", ":TYPE", "label", "score:double", "count:int", "provenance"]
    assert sorted((r[0], r[3], r[1], float(r[4]), int(r[5])) for r in relations) == rows(graph)
    assert all(row[2] for row in relations)
    assert [json.loads(r[6]) for r in relations] == [data["provenance"] for *_, data in graph.edges(data=True)]


TOKEN = re.compile(
    r"'((?:[^'\\\x00-\x1f]|\\[\\'nrtbf])*)'|`((?:[^`]|``)*)`|([A-Za-z_]\w*|\d[\d.e-]*)|([][(){}:,.;=+>-])|( )"
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def read_cypher(text: str) -> Iterator[List[Tuple[str, Any]]]:
    """Statements as tokens, by the rules of Cypher, in which texts joined by a plus are one. Anything else fails.

    Neo4j replaces unicode escapes before it reads the text, wherever they stand: a backslash that is itself escaped
    may not be counted by it, so that the strictest reading is taken.
    """
    replaced = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    text = re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]", "\ufffd", replaced)
    for line in text.split("\n")[:-1]:
        tokens: List[Tuple[str, Any]] = []
        at = 0
        while at < len(line):
            found = TOKEN.match(line, at)
            assert found, line[at : at + 60]
            at = found.end()
            if found[1] is not None:
                value = re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], escape[1]), found[1])
                if tokens[-1] == ("sign", "+"):
                    value = tokens[-2][1] + value
                    del tokens[-2:]
                tokens.append(("text", value))
            elif found[2] is not None:
                tokens.append(("name", found[2].replace("``", "`")))
            elif not found[5]:
                tokens.append(("word", found[3]) if found[3] else ("sign", found[4]))
        assert tokens[-1] == ("sign", ";") and tokens.count(("sign", ";")) == 1
        yield tokens


def readable(text: str) -> str:
    return re.sub("[\x00-\x07\x0b\x0e-\x1f\x7f-\x9f\u2028\u2029]", "\ufffd", text)


def test_cypher_holds_every_text_as_it_is(graph: nx.MultiDiGraph, tmp_path: Path) -> None:
    write(graph, tmp_path / "g.cypher", "cypher")
    constraint, *statements = read_cypher((tmp_path / "g.cypher").read_bytes().decode("utf8"))
    assert constraint[:2] == [("word", "CREATE"), ("word", "CONSTRAINT")]
    nodes = [tokens for tokens in statements if tokens[0] == ("word", "MERGE")]
    relations = [tokens for tokens in statements if tokens[0] == ("word", "MATCH")]
    assert (len(nodes), len(relations)) == (graph.number_of_nodes(), graph.number_of_edges())
    assert len(statements) == len(nodes) + len(relations)
    for tokens, (id_, data) in zip(nodes, graph.nodes(data=True)):
        tables = [json.dumps(data[name], ensure_ascii=False) for name in ("types", "names", "mentions")]
        values = [id_, data["name"], data["type"], data["kb_id"], *tables]
        assert [value for kind, value in tokens if kind == "text"] == list(map(readable, values))
        assert [kind for kind, _ in tokens].count("name") == bool(data["type"])
    for tokens, (head, tail, data) in zip(relations, graph.edges(data=True)):
        values = [head, tail, data["label"], json.dumps(data["provenance"], ensure_ascii=False)]
        assert [value for kind, value in tokens if kind == "text"] == list(map(readable, values))
        # The words of a statement are ours, whatever its texts hold.
        words = [value for kind, value in tokens if kind == "word" and not value[0].isdigit()]
        assert words == ("MATCH h Entity id t Entity id MERGE h r label t SET r score r count r provenance".split())


def test_texts_of_cypher_never_end_early() -> None:
    assert literal("it's \\") == r"'it\'s \\'"
    assert literal("\\u0027") == r"('\\' + 'u0027')" and literal("\\\\u") == r"('\\\\' + 'u')"
    assert literal("a\x01\n") == r"'a\u0001\n'" and literal(3) == "3" and literal(1e-5) == "1e-05"
    assert quoted_name("a`b") == "`a``b`"


def test_files_are_the_same_each_time(make_doc: MakeDoc, tmp_path: Path) -> None:
    docs = (
        make_doc(f"p{i} o{i % 50}", f"p{i} P, o{i % 50} O", *((0, f"r{j}", 1, 0.5) for j in range(4)), id=f"{i}")
        for i in range(25)
    )
    graph = build(docs)
    assert graph.number_of_edges() == 100
    for format in FORMATS:
        for name in ("one", "two"):
            write(graph, tmp_path / format / name, format)
        one, two = (tmp_path / format / name for name in ("one", "two"))
        if format == "csv":
            one, two = one / "relationships.csv", two / "relationships.csv"
        assert one.read_bytes() == two.read_bytes()


def test_what_cannot_be_written(corpus: Sequence[Doc], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build(corpus)
    with pytest.raises(ValueError, match="R414"):
        write(graph, tmp_path / "g", "gexf")
    with pytest.raises(ValueError, match="R618"):
        write(nx.MultiDiGraph(), tmp_path / "g", "csv")
    for base in ("ragre", "http://a.org", "http://a b/"):
        with pytest.raises(ValueError, match="R617.*base"):
            write(graph, tmp_path / "g", "ttl", base=base)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "letters.txt").touch()
    with pytest.raises(ValueError, match="R215"):
        write(graph, tmp_path / "own", "csv")
    monkeypatch.setitem(sys.modules, "rdflib", None)
    with pytest.raises(ImportError, match=r"R616.*rdflib"):
        write(graph, tmp_path / "g", "nt")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
