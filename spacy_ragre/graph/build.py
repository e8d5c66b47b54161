"""Graphs of documents, one document after the other, and graphs of parts of a corpus joined to one."""

import math
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Collection, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from spacy.tokens import Doc

from ..errors import Errors, Warnings
from ..relations import get_relations
from .entities import Entities, Entity, first
from .packages import need
from .places import Place, document_id, key, make_place, rank, turn
from .settings import Settings, make_settings

if TYPE_CHECKING:
    import networkx

# Head, tail and label; the ends are ids of nodes.
EdgeId = Tuple[str, str, str]
NODE_FIELDS = ("name", "kb_id", "types", "names", "mentions")
EDGE_FIELDS = ("label", "score", "count", "provenance")


def build(
    docs: Iterable[Doc],
    *,
    functional: Collection[str] = (),
    inverse: Optional[Mapping[str, str]] = None,
    symmetric: Collection[str] = (),
    min_score: float = 0.0,
    min_count: int = 1,
    isolated: bool = False,
    spans_key: Optional[str] = None,
) -> "networkx.MultiDiGraph":
    """Make a graph of the relations of documents. They are read once, one after the other, and not kept.

    Mentions are one entity where they are in one cluster of their document, where clusters have the same id of a
    knowledge base (`kb_id_`) or of an entity ruler (`ent_id_`), and else where they have the same name and type. The
    same documents give the same graph, in whatever order.

    A node is an entity: `name`, `type` (the most frequent one), `kb_id` (or ""), `count` (how often it is mentioned),
    and `types`, `names` and `mentions`, tables of how often each type, full name and text occurs. An edge is a
    relation, with its label as key: `label`, `score` (the best one), `count` (how many places say it), and
    `provenance`, a list of these places, best first (see `spacy_ragre.graph.places.Place`). `graph.graph` has the
    settings, and `left_out`: how many relations each of them left out.

    docs (Iterable[Doc]): documents with `doc._.relations`.
    functional (Collection[str]): labels of which an entity has one tail at most, such as "born_in": the one with the
        greatest sum of scores is kept.
    inverse (Optional[Mapping[str, str]]): labels with their inverses, such as {"child": "parent"}: a relation "child"
        becomes the relation "parent" from its tail to its head.
    symmetric (Collection[str]): labels that say the same in both directions; they become one edge.
    min_score (float): relations below are left out, from 0 to 1.
    min_count (int): edges that fewer places say are left out.
    isolated (bool): keep entities that take part in no relation.
    spans_key (Optional[str]): mentions are in `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (networkx.MultiDiGraph): the graph, all of whose attributes are plain data. A ValueError is raised for
        settings that are not valid and for what is no document.
    """
    need("networkx")
    settings = make_settings(functional, inverse or {}, symmetric, min_score, min_count, isolated)
    parts = _Parts(settings)
    for doc in _checked(docs):
        parts.add_doc(doc, spans_key)
    return parts.graph()


def merge(
    graphs: "Iterable[networkx.MultiDiGraph]",
    *,
    functional: Collection[str] = (),
    inverse: Optional[Mapping[str, str]] = None,
    symmetric: Collection[str] = (),
    min_score: float = 0.0,
    min_count: int = 1,
    isolated: bool = False,
) -> "networkx.MultiDiGraph":
    """Join graphs that `build` made of parts of a corpus.

    With `isolated=True` and neither `functional` nor `min_count` for the parts, the result is what `build` makes of the
    whole corpus. What a part has left out by these settings can't be counted any more, which is a warning.

    graphs (Iterable[networkx.MultiDiGraph]): the graphs. They stay as they are.
    functional, inverse, symmetric, min_score, min_count, isolated: as `build` takes them, for the joined graph.
    RETURNS (networkx.MultiDiGraph): the joined graph. A ValueError is raised for a graph that `build` has not made.
    """
    nx = need("networkx")
    settings = make_settings(functional, inverse or {}, symmetric, min_score, min_count, isolated)
    parts = _Parts(settings)
    if isinstance(graphs, nx.Graph):
        raise ValueError(Errors.R618.format(expected="a list of graphs", value=graphs))
    cut: Set[str] = set()
    for graph in graphs:
        check_graph(graph)
        cut.update(name for name in ("functional", "min_count") if graph.graph["left_out"].get(name))
        parts.add_graph(graph)
    if cut:
        warnings.warn(Warnings.W610.format(settings=" and ".join(sorted(cut))), stacklevel=2)
    return parts.graph()


def check_graph(graph: "networkx.MultiDiGraph") -> None:
    """Raise a ValueError where a graph is not of the form that `build` gives it."""
    nx = need("networkx")
    fine = isinstance(graph, nx.MultiDiGraph) and isinstance(graph.graph.get("left_out"), dict)
    fine = fine and all({*NODE_FIELDS, "type", "count"} <= data.keys() for _, data in graph.nodes(data=True))
    if not fine or not all(set(EDGE_FIELDS) <= data.keys() for _, _, data in graph.edges(data=True)):
        raise ValueError(Errors.R618.format(expected="a graph that spacy_ragre.graph.build made", value=graph))


def _checked(docs: Iterable[Doc]) -> Iterator[Doc]:
    if isinstance(docs, Doc) or not isinstance(docs, Iterable):
        raise ValueError(Errors.R618.format(expected="an iterable of documents, such as [doc]", value=repr(docs)[:80]))
    for doc in docs:
        if not isinstance(doc, Doc):
            raise ValueError(Errors.R618.format(expected="documents (Doc)", value=repr(doc)[:80]))
        yield doc


class _Node:
    """What is known of an entity so far: its id in a knowledge base, and how often types, names and texts occur."""

    __slots__ = ("kb_id", "mentions", "names", "types")

    def __init__(self, kb_id: str) -> None:
        self.kb_id = kb_id
        self.types: Dict[str, int] = {}
        self.names: Dict[str, int] = {}
        self.mentions: Dict[str, int] = {}

    def add(self, types: Mapping[str, int], names: Mapping[str, int], mentions: Mapping[str, int]) -> None:
        for counts, more in ((self.types, types), (self.names, names), (self.mentions, mentions)):
            for text, count in more.items():
                counts[text] = counts.get(text, 0) + count


class _Parts:
    """Nodes and edges while they are gathered.

    settings (Settings): which relations count, and how they are told.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.nodes: Dict[str, _Node] = {}
        self.edges: Dict[EdgeId, List[Place]] = {}
        self.left_out: Counter[str] = Counter()

    def add_doc(self, doc: Doc, spans_key: Optional[str]) -> None:
        entities = Entities(doc, spans_key)
        document = document_id(doc)
        for relation in get_relations(doc):
            head, tail = entities.ends(relation)
            if relation.score < self.settings.min_score:
                self.left_out["min_score"] += 1
                continue
            label, turned = self.settings.turn(relation.label, head.id, tail.id)
            edge = (tail.id, head.id, label) if turned else (head.id, tail.id, label)
            self.edges.setdefault(edge, []).append(make_place(document, relation, turned))
        for entity in entities.all:
            self._add_entity(entity)

    def _add_entity(self, entity: Entity) -> None:
        node = self.nodes.setdefault(entity.id, _Node(entity.kb_id))
        node.add(entity.types, {entity.name: 1}, entity.mentions)

    def add_graph(self, graph: "networkx.MultiDiGraph") -> None:
        for id_, data in graph.nodes(data=True):
            node = self.nodes.setdefault(id_, _Node(data["kb_id"]))
            node.add(data["types"], data["names"], data["mentions"])
        for head, tail, data in graph.edges(data=True):
            label, turned = self.settings.turn(data["label"], head, tail)
            kept = [place for place in data["provenance"] if place["score"] >= self.settings.min_score]
            self.left_out["min_score"] += len(data["provenance"]) - len(kept)
            if kept:
                edge = (tail, head, label) if turned else (head, tail, label)
                self.edges.setdefault(edge, []).extend(map(turn, kept) if turned else kept)
        self.left_out.update(graph.graph["left_out"])

    def graph(self) -> "networkx.MultiDiGraph":
        """RETURNS (networkx.MultiDiGraph): the graph of what was gathered, in the order of ids."""
        edges = self._resolved()
        linked = {end for head, tail, _ in edges for end in (head, tail)}
        settings = self.settings
        graph = need("networkx").MultiDiGraph(
            functional=sorted(settings.functional),
            inverse=dict(sorted(settings.inverse.items())),
            symmetric=sorted(settings.symmetric),
            min_score=settings.min_score,
            min_count=settings.min_count,
            left_out={name: count for name, count in sorted(self.left_out.items()) if count},
        )
        for id_ in sorted(self.nodes if settings.isolated else linked):
            node = self.nodes[id_]
            graph.add_node(
                id_,
                name=first(node.names),
                type=first(node.types),
                kb_id=node.kb_id,
                count=sum(node.mentions.values()),
                types=dict(sorted(node.types.items())),
                names=dict(sorted(node.names.items())),
                mentions=dict(sorted(node.mentions.items())),
            )
        for (head, tail, label), places in edges.items():
            graph.add_edge(
                head, tail, key=label, label=label, score=places[0]["score"], count=len(places), provenance=places
            )
        return graph

    def _resolved(self) -> Dict[EdgeId, List[Place]]:
        """RETURNS (Dict[EdgeId, List[Place]]): the edges that are kept, in the order of their ids."""
        edges: Dict[EdgeId, List[Place]] = {}
        for edge in sorted(self.edges):
            # Two components, or both directions of a pair, may have said the same in the same place: the best counts.
            places: Dict[Tuple[str, str, Tuple[int, ...]], Place] = {}
            for place in sorted(self.edges[edge], key=rank):
                places.setdefault(key(place), place)
            if len(places) >= self.settings.min_count:
                edges[edge] = list(places.values())
            else:
                self.left_out["min_count"] += 1
        for edge in self._contradicted(edges):
            del edges[edge]
            self.left_out["functional"] += 1
        return edges

    def _contradicted(self, edges: Mapping[EdgeId, List[Place]]) -> List[EdgeId]:
        """RETURNS (List[EdgeId]): edges of functional labels whose head has a better tail."""
        weights = {
            edge: math.fsum(place["score"] for place in places)
            for edge, places in edges.items()
            if edge[2] in self.settings.functional
        }
        taken: Set[Tuple[str, str]] = set()
        worse = []
        for edge in sorted(weights, key=lambda edge: (-weights[edge], edge)):
            head, tail, label = edge
            # A symmetric label has no head: each of its ends has one partner.
            ends = {(head, label), (tail, label)} if label in self.settings.symmetric else {(head, label)}
            if ends & taken:
                worse.append(edge)
            else:
                taken |= ends
        return worse
