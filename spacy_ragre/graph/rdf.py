"""Graphs as RDF: each relation as a triple, and as an `rdf:Statement` that tells its score and where it was read.

https://www.w3.org/TR/rdf11-primer/ and, for what statements come from, https://www.w3.org/TR/prov-o/.
"""

import hashlib
import json
import re
from itertools import islice
from typing import IO, TYPE_CHECKING, Iterator, Mapping, Optional, Tuple
from urllib.parse import quote

from ..errors import Errors
from .packages import need
from .places import Place

if TYPE_CHECKING:
    import networkx
    from rdflib import URIRef
    from rdflib.term import Identifier

    Triple = Tuple[URIRef, URIRef, Identifier]

BASE = "http://example.org/ragre/"
ENTITY, PROPERTY = "http://www.wikidata.org/entity/", "http://www.wikidata.org/prop/direct/"
SKOS, PROV = "http://www.w3.org/2004/02/skos/core#", "http://www.w3.org/ns/prov#"

_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\x00-\x20<>\"{}|\\^`]+")
_WIKIDATA_ITEM, _WIKIDATA_PROPERTY = re.compile(r"[QL][1-9][0-9]*"), re.compile(r"P[1-9][0-9]*")
# A library's graph in memory takes about 1 KB a triple: so many triples are written at once.
_TRIPLES = 20_000


def write_rdf(
    graph: "networkx.MultiDiGraph",
    file: IO[bytes],
    format: str,
    base: str = BASE,
    properties: Optional[Mapping[str, str]] = None,
) -> None:
    """Write RDF by rdflib, part by part, so that memory does not grow with the graph.

    Entities whose `kb_id` is an id of Wikidata ("Q42") or an IRI, and labels that are properties of Wikidata ("P17") or
    IRIs, keep those; others are under `base`: `entity/`, `relation/`, `type/`, `statement/`. Terms of statements are
    under `terms#`.

    graph (networkx.MultiDiGraph): the graph.
    file (IO[bytes]): the open file.
    format (str): "turtle" or "nt".
    base (str): the IRI that others begin with. A ValueError is raised for what is none.
    properties (Optional[Mapping[str, str]]): properties or IRIs with the labels that they stand for.
    """
    rdflib = need("rdflib")
    if not isinstance(base, str) or not _IRI.fullmatch(base) or not base.endswith("/"):
        raise ValueError(Errors.R617.format(setting="base", value=base, expected="an IRI that ends in /"))
    triples = _Triples(graph, base, {name: id_ for id_, name in (properties or {}).items()}).all()
    while part := list(islice(triples, _TRIPLES)):
        chunk = rdflib.Graph(bind_namespaces="core")
        for prefix, iri in (("wd", ENTITY), ("wdt", PROPERTY), ("skos", SKOS), ("prov", PROV)):
            chunk.bind(prefix, iri)
        for prefix, iri in (("ragre", "terms#"), ("relation", "relation/"), ("type", "type/")):
            chunk.bind(prefix, f"{base}{iri}")
        for triple in part:
            chunk.add(triple)
        written = chunk.serialize(format=format, encoding="utf-8")
        # Documents of both formats may follow each other in one file, since no node is without a name. The lines of
        # N-Triples come in no order.
        file.write(b"".join(sorted(written.splitlines(keepends=True))) if format == "nt" else written)


class _Triples:
    """The triples of a graph.

    graph (networkx.MultiDiGraph): the graph.
    base (str): the IRI that others begin with.
    ids (Mapping[str, str]): labels with their properties.
    """

    def __init__(self, graph: "networkx.MultiDiGraph", base: str, ids: Mapping[str, str]) -> None:
        self.graph = graph
        self.base = base
        self.ids = ids

    def all(self) -> Iterator["Triple"]:
        """YIELDS (Triple): the triples, in the order of the graph."""
        from rdflib.namespace import RDFS
        from rdflib.term import Literal

        for id_ in self.graph.nodes:
            yield from self._node(id_)
        for label in sorted({data["label"] for _, _, data in self.graph.edges(data=True)}):
            yield self._property(label), RDFS.label, Literal(label)
        for edge in self.graph.edges(keys=True):
            yield from self._edge(*edge)

    def _node(self, id_: str) -> Iterator["Triple"]:
        from rdflib.namespace import RDF, RDFS
        from rdflib.term import Literal

        data, node = self.graph.nodes[id_], self._entity(id_)
        yield node, RDFS.label, Literal(data["name"])
        yield node, self._term("mentions"), Literal(data["count"])
        for type_ in data["types"]:
            yield node, RDF.type, self._own("type", type_)
        for text in data["mentions"]:
            if text != data["name"]:
                yield node, _iri(f"{SKOS}altLabel"), Literal(text)

    def _edge(self, head: str, tail: str, key: str) -> Iterator["Triple"]:
        from rdflib.namespace import RDF, XSD
        from rdflib.term import Literal

        data = self.graph.edges[head, tail, key]
        subject, predicate, object_ = self._entity(head), self._property(data["label"]), self._entity(tail)
        digest = hashlib.sha256(json.dumps([head, data["label"], tail]).encode("utf8")).hexdigest()[:24]
        statement = self._own("statement", digest)
        yield subject, predicate, object_
        yield statement, RDF.type, RDF.Statement
        yield statement, RDF.subject, subject
        yield statement, RDF.predicate, predicate
        yield statement, RDF.object, object_
        yield statement, self._term("score"), Literal(data["score"], datatype=XSD.double)
        yield statement, self._term("count"), Literal(data["count"])
        for i, place in enumerate(data["provenance"]):
            source = self._own("statement", f"{digest}-{i + 1}")
            yield statement, _iri(f"{PROV}wasDerivedFrom"), source
            for name, value in _fields(place):
                yield source, self._term(name), Literal(value, datatype=XSD.double if name == "score" else None)

    def _entity(self, id_: str) -> "URIRef":
        kb_id = self.graph.nodes[id_]["kb_id"]
        if _WIKIDATA_ITEM.fullmatch(kb_id):
            return _iri(f"{ENTITY}{kb_id}")
        return _iri(kb_id) if _IRI.fullmatch(kb_id) else self._own("entity", id_)

    def _property(self, label: str) -> "URIRef":
        id_ = self.ids.get(label, label)
        if _WIKIDATA_PROPERTY.fullmatch(id_):
            return _iri(f"{PROPERTY}{id_}")
        return _iri(id_) if _IRI.fullmatch(id_) else self._own("relation", label)

    def _own(self, kind: str, name: str) -> "URIRef":
        return _iri(f"{self.base}{kind}/{quote(name, safe='')}")

    def _term(self, name: str) -> "URIRef":
        return _iri(f"{self.base}terms#{name}")


def _iri(text: str) -> "URIRef":
    from rdflib.term import URIRef

    return URIRef(text)


def _fields(place: Place) -> Iterator[Tuple[str, object]]:
    yield "document", place["document"]
    yield "sentence", place["sentence"]
    yield "headStart", place["head"][0]
    yield "headEnd", place["head"][1]
    yield "tailStart", place["tail"][0]
    yield "tailEnd", place["tail"][1]
    yield "label", place["label"]
    yield "score", place["score"]
    if place["evidence"]:
        yield "evidence", json.dumps(place["evidence"], ensure_ascii=False)
