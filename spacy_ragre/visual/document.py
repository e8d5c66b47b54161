"""What a picture shows of a document, as plain data: its text, mentions and relations."""

from typing import Collection, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from spacy.tokens import Doc, Span

from ..errors import Errors
from ..graph.entities import Entities
from ..relations import Relation, entity_spans, get_relations

Offsets = Tuple[int, int]
# What is shown: a document, or a part of one.
Source = Union[Doc, Span]


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

    name (str): the mention that names it best.
    label (str): its most frequent entity type, "" where it has none.
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


def selected(source: Source, selection: Selection) -> List[Relation]:
    """source (Union[Doc, Span]): a document, or a part of one, whose relations have both ends in it.
    RETURNS (List[Relation]): the relations that are shown, best first.
    """
    doc = doc_of(source)
    first, last = (source.start, source.end) if isinstance(source, Span) else (0, len(doc))
    return [
        relation
        for relation in get_relations(doc)
        if (selection.labels is None or relation.label in selection.labels)
        and relation.score >= selection.min_score
        and all(first <= end.start and end.end <= last for end in (relation.head, relation.tail))
    ]


def each_source(docs: Union[Source, Iterable[Source]]) -> Iterator[Source]:
    """docs (Union[Doc, Span, Iterable[Union[Doc, Span]]]): document(s), or parts of some.
    YIELDS (Union[Doc, Span]): each of them. A ValueError is raised for what is no document.
    """
    if isinstance(docs, (str, bytes, Mapping)) or not isinstance(docs, (Doc, Span, Iterable)):
        raise _no_document(docs)
    for source in [docs] if isinstance(docs, (Doc, Span)) else docs:
        if not isinstance(source, (Doc, Span)):
            raise _no_document(source)
        yield source


def _no_document(value: object) -> ValueError:
    return ValueError(Errors.R690.format(value=value, type=type(value).__name__))


def doc_of(source: Source) -> Doc:
    """RETURNS (Doc): the document that is, or has, what is shown."""
    return source.doc if isinstance(source, Span) else source


def read_text(source: Source, selection: Selection) -> TextPicture:
    """RETURNS (TextPicture): what a picture of arcs shows of a document or of a part of one."""
    doc = doc_of(source)
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


def _inside(span: Span, source: Source) -> bool:
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


def read_graph(source: Source, selection: Selection) -> GraphPicture:
    """RETURNS (GraphPicture): what a picture of a graph shows of a document or of a part of one."""
    doc = doc_of(source)
    relations = selected(source, selection)
    entities = Entities(doc, selection.spans_key)
    ends = [entities.ends(relation) for relation in relations]
    first: Dict[str, int] = {}
    nodes: Dict[str, Node] = {}
    for relation, pair in zip(relations, ends):
        for span, entity in zip((relation.head, relation.tail), pair):
            first[entity.id] = min(span.start, first.get(entity.id, span.start))
            nodes.setdefault(entity.id, Node(entity.name, entity.type))
    order = {id_: i for i, id_ in enumerate(sorted(first, key=first.__getitem__))}
    edges = [
        Edge(order[head.id], order[tail.id], rel.label, rel.score, rel.label in selection.symmetric)
        for (head, tail), rel in zip(ends, relations)
    ]
    return GraphPicture([nodes[id_] for id_ in order], joined(edges), doc.lang_)
