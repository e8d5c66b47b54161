"""What a picture shows of a document, as plain data: its text, mentions and relations."""

from typing import Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from spacy.tokens import Doc, Span

from ..errors import Errors
from ..relations import EntityCluster, Relation, cluster_entities, entity_spans, get_clusters, get_relations

Offsets = Tuple[int, int]


class Mention(NamedTuple):
    """An entity mention.

    start (int), end (int): character offsets in the document, end exclusive.
    label (str): its entity type, "" where it has none.
    """

    start: int
    end: int
    label: str


class Edge(NamedTuple):
    """A relation between two mentions or nodes, by their indexes.

    head (int), tail (int): the two indexes.
    label (str): the relation's label.
    score (float): its probability, from 0 to 1.
    both (bool): it holds in both directions.
    """

    head: int
    tail: int
    label: str
    score: float
    both: bool = False


class Selection(NamedTuple):
    """Which relations are shown.

    labels (Optional[Collection[str]]): only these; None for all.
    min_score (float): only those with at least this score.
    symmetric (Collection[str]): labels that say the same in both directions.
    spans_key (Optional[str]): entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    """

    labels: Optional[Collection[str]] = None
    min_score: float = 0.0
    symmetric: Collection[str] = ()
    spans_key: Optional[str] = None


class TextPicture(NamedTuple):
    """A document as text with mentions.

    text (str): the whole text of the document.
    words (List[Offsets]): character offsets of the tokens that are shown, without white space.
    rows (List[int]): where a new row begins: indexes of words, 0 left out.
    mentions (List[Mention]): in the order of the text.
    edges (List[Edge]): best first; their indexes are those of `mentions`.
    lang (str): language code.
    """

    text: str
    words: List[Offsets]
    rows: List[int]
    mentions: List[Mention]
    edges: List[Edge]
    lang: str


class Node(NamedTuple):
    """An entity with all its mentions.

    name (str): what names it best: its longest mention that is an entity and no pronoun.
    label (str): its entity type, "" where it has none.
    """

    name: str
    label: str


class GraphPicture(NamedTuple):
    """A document as entities and relations.

    nodes (List[Node]): entities that take part in a relation, in the order of the text.
    edges (List[Edge]): best first; their indexes are those of `nodes`.
    lang (str): language code.
    """

    nodes: List[Node]
    edges: List[Edge]
    lang: str


def selected(source: Union[Doc, Span], selection: Selection) -> List[Relation]:
    """source (Union[Doc, Span]): a document, or a part of one, whose relations have both ends in it.
    RETURNS (List[Relation]): the relations that are shown, best first.
    """
    doc = _doc(source)
    first, last = (source.start, source.end) if isinstance(source, Span) else (0, len(doc))
    return [
        relation
        for relation in get_relations(doc)
        if (selection.labels is None or relation.label in selection.labels)
        and relation.score >= selection.min_score
        and all(first <= end.start and end.end <= last for end in (relation.head, relation.tail))
    ]


def _doc(source: Union[Doc, Span]) -> Doc:
    if isinstance(source, Span):
        return source.doc
    if not isinstance(source, Doc):
        raise ValueError(Errors.R690.format(value=source, type=type(source).__name__))
    return source


def read_text(source: Union[Doc, Span], selection: Selection) -> TextPicture:
    """RETURNS (TextPicture): what a picture of arcs shows of a document or of a part of one."""
    doc = _doc(source)
    relations = selected(source, selection)
    tokens = list(source)
    spans = [span for span in entity_spans(doc, selection.spans_key) if _inside(span, source)]
    found: Dict[Offsets, str] = {}
    for span in (*spans, *(end for relation in relations for end in (relation.head, relation.tail))):
        place = (span.start_char, span.end_char)
        found[place] = found.get(place) or span.label_
    mentions = [Mention(*place, found[place]) for place in sorted(found, key=_outer_first)]
    index = {(mention.start, mention.end): i for i, mention in enumerate(mentions)}
    words: List[Offsets] = []
    rows: List[int] = []
    sentences = doc.has_annotation("SENT_START")
    for token in tokens:
        new_row = (sentences and token.is_sent_start) or (token.is_space and "\n" in token.text)
        if new_row and words and (not rows or rows[-1] != len(words)):
            rows.append(len(words))
        if not token.is_space:
            words.append((token.idx, token.idx + len(token)))
    edges = [
        Edge(index[_place(rel.head)], index[_place(rel.tail)], rel.label, rel.score, rel.label in selection.symmetric)
        for rel in relations
    ]
    rows = [row for row in rows if row < len(words) and not _cuts(words[row][0], mentions)]
    return TextPicture(doc.text, words, rows, mentions, joined(edges), doc.lang_)


def _inside(span: Span, source: Union[Doc, Span]) -> bool:
    return isinstance(source, Doc) or (source.start <= span.start and span.end <= source.end)


def _outer_first(place: Offsets) -> Offsets:
    return place[0], -place[1]


def _place(span: Span) -> Offsets:
    return span.start_char, span.end_char


def _cuts(start: int, mentions: Sequence[Mention]) -> bool:
    """RETURNS (bool): whether a row that begins here would cut a mention in two."""
    return any(mention.start < start < mention.end for mention in mentions)


def joined(edges: Sequence[Edge]) -> List[Edge]:
    """Make one edge of equal ones, and of two with one label that go both ways.

    edges (Sequence[Edge]): best first.
    RETURNS (List[Edge]): each with the best score of those that it stands for.
    """
    kept: Dict[Tuple[int, int, str], Edge] = {}
    for edge in edges:
        key, back = (edge.head, edge.tail, edge.label), (edge.tail, edge.head, edge.label)
        if back in kept:
            kept[back] = kept[back]._replace(both=True)
        elif key not in kept:
            kept[key] = edge
    return list(kept.values())


def read_graph(source: Union[Doc, Span], selection: Selection) -> GraphPicture:
    """RETURNS (GraphPicture): what a picture of a graph shows of a document or of a part of one."""
    doc = _doc(source)
    relations = selected(source, selection)
    entities = Entities(doc, relations, selection.spans_key)
    ends = [(entities.of(rel.head, rel.head_cluster), entities.of(rel.tail, rel.tail_cluster)) for rel in relations]
    order = {entity: i for i, entity in enumerate(sorted({entity for pair in ends for entity in pair}))}
    nodes = [entities.node(entity) for entity in order]
    edges = [
        Edge(order[head], order[tail], rel.label, rel.score, rel.label in selection.symmetric)
        for (head, tail), rel in zip(ends, relations)
    ]
    return GraphPicture(nodes, joined(edges), doc.lang_)


class Entities:
    """The entities that the relations of a document are between, by number, in the order of the text.

    doc (Doc): the document.
    relations (Sequence[Relation]): its relations.
    spans_key (Optional[str]): entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    """

    def __init__(self, doc: Doc, relations: Sequence[Relation], spans_key: Optional[str]) -> None:
        named = entity_spans(doc, spans_key)
        self._named = {_place(span) for span in named}
        ends = [span for relation in relations for span in (relation.head, relation.tail)]
        # The clusters that relations name by number are those of the attribute.
        numbered = any(relation.head_cluster is not None or relation.tail_cluster is not None for relation in relations)
        # What is known of an entity, such as its id in a knowledge base, is not known to the end of a relation.
        others = [span for span in ends if _place(span) not in self._named]
        self._clusters = get_clusters(doc) if numbered else cluster_entities(doc, [*named, *others])
        self._number = {_place(span): i for i, cluster in enumerate(self._clusters) for span in cluster}
        for span in ends:
            if _place(span) not in self._number:
                self._number[_place(span)] = len(self._clusters)
                self._clusters.append(EntityCluster([span]))

    def of(self, span: Span, cluster: Optional[int]) -> int:
        """span (Span): an end of a relation. cluster (Optional[int]): the cluster that the relation names.
        RETURNS (int): the number of the entity.
        """
        return self._number[_place(span)] if cluster is None else cluster

    def node(self, number: int) -> Node:
        """RETURNS (Node): the entity of a number."""
        cluster = self._clusters[number]
        names = [span for span in cluster if _place(span) in self._named and span.root.pos_ != "PRON"]
        return Node(max((span.text for span in names or cluster), key=len), cluster.label)

    def key(self, number: int) -> str:
        """RETURNS (str): what an entity is called in a knowledge base, "" where that is not known."""
        return next((span.kb_id_ for span in self._clusters[number] if span.kb_id_ not in ("", "NIL")), "")
