"""Relations, entity clusters and candidate pairs, and how documents hold them (`extensions` makes them attributes).

Everything lives in `doc.user_data` under the keys below, as plain numbers, strings, lists and dicts, so that
`Doc.to_bytes`, `DocBin(store_user_data=True)`, pickle and `nlp.pipe(n_process=2)` keep it. The keys are those of
spaCy's own extensions: `Doc.from_docs` and `Span.as_doc` leave out what belongs to a whole document, and warn by its
name alone. Spans are made when an attribute is read, from character offsets, which stay right where tokens are merged
or split.
"""

import os
from dataclasses import dataclass, field
from typing import Any, Collection, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Union

from spacy.tokens import Doc, Span

from .coreference import Place, coreference_clusters, owners_of, renumber
from .errors import Errors
from .plain import as_list, is_text, items, plain, plain_evidence, plain_int, plain_label, plain_score, with_lists

CLUSTERS_KEY: Any = ("._.", "entity_clusters", None, None)
PAIRS_KEY: Any = ("._.", "candidate_pairs", None, None)
TRIPLES_KEY: Any = ("._.", "triples", None, None)
LABELS_KEY: Any = ("._.", "annotated_labels", None, None)
ID_KEY = "ragre.id"  # the document's id in its corpus, a string

GAP = " ... "  # stands between two parts of a document that are read as one text
# In a stored relation: where the text that was read stands in the document, in place of the text itself.
TEXT_AT = "text_at"

# What `doc._.relations` and `span._.relations` are called, where another package needs that name for itself. Processes
# that this one starts find it in the environment.
NAME_VARIABLE = "RAGRE_RELATIONS"
_name = os.environ.get(NAME_VARIABLE) or "relations"


def relations_name() -> str:
    """RETURNS (str): the name of the attribute that holds relations, "relations" if not set otherwise."""
    return _name


def set_relations_name(name: str) -> None:
    """name (str): what the attribute is called from now on, in this process and in those that it starts."""
    global _name
    _name = os.environ[NAME_VARIABLE] = name


def relations_key() -> Any:
    """RETURNS (Any): the key of relations in `doc.user_data`."""
    return ("._.", _name, None, None)


@dataclass(frozen=True)
class Relation(Dict[str, Any]):
    """A directed relation between two mentions, or between the entity clusters that they name.

    It is a table of its plain data (`to_dict`), too, so that `json` and `Doc.to_json(underscore=["relations"])` can
    write it.

    head (Span): the mention that is the relation's first argument.
    tail (Span): the mention that is its second argument.
    label (str): the relation's label.
    score (float): probability, from 0 to 1.
    head_cluster (Optional[int]): index into `doc._.entity_clusters`; None at sentence level.
    tail_cluster (Optional[int]): the same for the tail.
    evidence (Dict[str, Any]): what supported the answer, as plain data: `examples`, the retrieved examples, each
        a dict with `id`, `text`, `labels`, `score` and, where retrieval is trained, `weight`; `text`, the part of
        the document that was read.
    """

    head: Span
    tail: Span
    label: str
    score: float = 1.0
    head_cluster: Optional[int] = None
    tail_cluster: Optional[int] = None
    evidence: Dict[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.head, Span) and isinstance(self.tail, Span) and isinstance(self.label, str)):
            raise ValueError(Errors.R632.format(head=self.head, tail=self.tail, label=self.label))
        self.update(self.to_dict())

    def to_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): the relation as plain data; `head` and `tail` are dicts with `start`, `end`
        (token indexes, end exclusive), `label` (entity type) and `text`.
        """
        return {
            "head": _span_to_dict(self.head),
            "tail": _span_to_dict(self.tail),
            "label": self.label,
            "score": self.score,
            "head_cluster": self.head_cluster,
            "tail_cluster": self.tail_cluster,
            "evidence": self.evidence,
        }


class EntityCluster(List[Span]):
    """The mentions that name one entity, in the order of the text."""

    @property
    def label(self) -> str:
        """RETURNS (str): the entity type of the first mention that has one."""
        return next((span.label_ for span in self if span.label_), "")


class CandidatePair(NamedTuple):
    """Two entity clusters that may hold a relation.

    head (int): index of the head's cluster in `doc._.entity_clusters`.
    tail (int): index of the tail's cluster.
    score (float): probability that they hold a relation, from 0 to 1.
    labels (Optional[Dict[str, float]]): where known, how likely each label is if they do hold one, unlikely ones left
        out.
    """

    head: int
    tail: int
    score: float = 1.0
    labels: Optional[Dict[str, float]] = None


# Reading and writing

_FIELDS = {"head", "tail", "label", "score", "head_cluster", "tail_cluster", "evidence"}


def _span_to_dict(span: Span) -> Dict[str, Any]:
    return {"start": span.start, "end": span.end, "label": span.label_, "text": span.text}


def make_span(doc: Doc, start: int, end: int, label: str) -> Span:
    # Where tokens were merged, the mention is the token that it became a part of.
    span = doc.char_span(start, end, label=label, alignment_mode="expand")
    if span is None:
        raise ValueError(Errors.R010.format(start=start, end=end, length=len(doc.text)))
    return span


def _copy_span(doc: Doc, span: Span) -> Span:
    """RETURNS (Span): the same mention in another document with the same text."""
    return make_span(doc, span.start_char, span.end_char, span.label_)


def _check_cluster(value: Any, count: int, attr: str) -> int:
    index = plain_int(value)
    if index is None or not 0 <= index < count:
        raise ValueError(Errors.R003.format(attr=attr, cluster=value, count=count, last=count - 1))
    return index


def plain_span(doc: Doc, value: Any, attr: str, what: str) -> List[Any]:
    """A span given as Span, dict or (start, end[, label]), checked against the document.

    RETURNS (List[Any]): its character offsets and label.
    """
    value = as_list(value)
    if isinstance(value, Span):
        if value.doc is not doc:
            raise ValueError(Errors.R004.format(attr=attr))
        start, end, label = value.start, value.end, value.label_
    elif isinstance(value, Mapping) and "start" in value and "end" in value:
        start, end, label = value["start"], value["end"], value.get("label", "")
    elif isinstance(value, (list, tuple)) and len(value) in (2, 3):
        start, end, label = value[0], value[1], (value[2] if len(value) == 3 else "")
    else:
        expected = "a Span, such as doc.ents[0], or a dict with start and end (token indexes)"
        raise ValueError(Errors.R002.format(attr=attr, what=what, value=value, expected=expected))
    first, last = plain_int(start), plain_int(end)
    if first is None or last is None or not 0 <= first < last <= len(doc):
        raise ValueError(Errors.R001.format(attr=attr, what=what, start=start, end=end, length=len(doc)))
    if not is_text(label) and label is not None:
        expected = "a span whose label is a string"
        raise ValueError(Errors.R002.format(attr=attr, what=what, value=value, expected=expected))
    span = doc[first:last]
    return [span.start_char, span.end_char, str(label or "")]


def has_relations(doc: Doc) -> bool:
    """RETURNS (bool): whether relations were set, if only to none."""
    return relations_key() in doc.user_data


def get_relations(doc: Doc) -> List[Relation]:
    """RETURNS (List[Relation]): the relations of a document, best first: `doc._.relations` under whatever name."""
    return _read(doc, _stored(doc))


def _stored(doc: Doc) -> Sequence[Mapping[str, Any]]:
    """RETURNS (Sequence[Mapping[str, Any]]): relations as they are kept. A ValueError is raised for those of another
    package, which has written them under the same name.
    """
    stored: Sequence[Mapping[str, Any]] = doc.user_data.get(relations_key(), ())
    for item in stored if isinstance(stored, (list, tuple)) else [stored]:
        if not isinstance(item, Mapping) or not _FIELDS <= item.keys():
            raise ValueError(Errors.R016.format(attr=_name, value=item))
    return stored


def _read(doc: Doc, stored: Sequence[Mapping[str, Any]]) -> List[Relation]:
    text = doc.text if stored else ""
    return [
        Relation(
            head=make_span(doc, *item["head"]),
            tail=make_span(doc, *item["tail"]),
            label=item["label"],
            score=item["score"],
            head_cluster=item["head_cluster"],
            tail_cluster=item["tail_cluster"],
            evidence=_read_evidence(item, text),
        )
        for item in stored
    ]


def _read_evidence(item: Mapping[str, Any], text: str) -> Dict[str, Any]:
    evidence: Dict[str, Any] = with_lists(item["evidence"])
    places = item.get(TEXT_AT)
    return evidence if places is None else {"text": GAP.join(text[start:end] for start, end in places), **evidence}


def _find_text(read: str, text: str) -> Optional[List[List[int]]]:
    """RETURNS (Optional[List[List[int]]]): character offsets of the one or two parts of a document that were read as
    one text; None where it holds anything else.
    """
    parts = [read] if read in text else read.split(GAP)
    starts = [text.find(part) for part in parts]
    return None if min(starts) < 0 else [[start, start + len(part)] for start, part in zip(starts, parts)]


def set_relations(doc: Doc, relations: Iterable[Union[Relation, Mapping[str, Any]]]) -> None:
    """Set the relations of a document: `doc._.relations` under whatever name. A ValueError is raised for what is none.

    doc (Doc): the document.
    relations (Iterable[Union[Relation, Mapping[str, Any]]]): Relations or dicts with `head`, `tail` and `label`.
    """
    attr = _name
    stored: List[Dict[str, Any]] = []
    count: Optional[int] = None
    text = doc.text
    known: Dict[str, Optional[List[List[int]]]] = {}  # most relations of a document were read in the same text
    for i, item in enumerate(items(relations, attr)):
        if isinstance(item, Relation):
            other = item.head.doc
            moved = other is not doc and other is item.tail.doc and other.text == text
            ends = (_copy_span(doc, span) if moved else span for span in (item.head, item.tail))
            item = {**item, **dict(zip(("head", "tail"), ends))}
        if not isinstance(item, Mapping) or not {"head", "tail", "label"} <= set(item):
            expected = "a Relation or a dict with head, tail and label"
            raise ValueError(Errors.R002.format(attr=attr, what=f"item {i}", value=item, expected=expected))
        clusters = {key: item.get(key) for key in ("head_cluster", "tail_cluster")}
        for key, index in clusters.items():
            if index is not None:
                count = len(get_clusters(doc)) if count is None else count
                clusters[key] = _check_cluster(index, count, attr)
        evidence = plain_evidence(item.get("evidence"), attr, i, item)
        read = evidence.get("text")
        if isinstance(read, str) and read not in known:
            known[read] = _find_text(read, text)
        places = known[read] if isinstance(read, str) else None
        stored.append(
            {
                "head": plain_span(doc, item["head"], attr, f"the head of relation {i}"),
                "tail": plain_span(doc, item["tail"], attr, f"the tail of relation {i}"),
                "label": plain_label(item["label"], attr, i, item),
                "score": plain_score(item.get("score", 1.0), attr, i, item),
                **clusters,
                "evidence": evidence,
            }
        )
        if places is not None:
            evidence.pop("text")
            stored[-1][TEXT_AT] = places
    stored.sort(key=lambda rel: -rel["score"])
    doc.user_data[relations_key()] = stored


def replace_relations(
    doc: Doc, relations: Iterable[Union[Relation, Mapping[str, Any]]], labels: Collection[str]
) -> None:
    """Set relations in place of a component's own from before. Those of other labels stay, as of another extractor.

    doc (Doc): the document.
    relations (Iterable[Union[Relation, Mapping[str, Any]]]): the new relations, as `set_relations` takes them.
    labels (Collection[str]): the component's labels.
    """
    set_relations(doc, [*(relation for relation in get_relations(doc) if relation.label not in labels), *relations])


def get_span_relations(span: Span) -> List[Relation]:
    """The relations whose head or tail is this span, or is in the same cluster as this span."""
    doc = span.doc
    stored = _stored(doc)
    place = (span.start_char, span.end_char)
    own: Set[int] = set()
    if any(item["head_cluster"] is not None or item["tail_cluster"] is not None for item in stored):
        own = {i for i, cluster in enumerate(get_clusters(doc)) if _offsets(span) in map(_offsets, cluster)}
    own_items = [
        item
        for item in stored
        if item["head_cluster"] in own
        or item["tail_cluster"] in own
        or any(tuple(item[end][:2]) == place or _is_merged(doc, item[end], span) for end in ("head", "tail"))
    ]
    return _read(doc, own_items)


def _is_merged(doc: Doc, mention: Sequence[Any], span: Span) -> bool:
    """RETURNS (bool): whether a mention whose tokens were merged since has become this span."""
    inside = span.start_char <= mention[0] and mention[1] <= span.end_char
    return inside and _offsets(make_span(doc, *mention)) == _offsets(span)


def set_span_relations(span: Span, value: Any) -> None:
    """Raise: without a setter, spaCy keeps a value that no one reads."""
    raise ValueError(Errors.R008.format(attr=_name))


def _offsets(span: Span) -> Tuple[int, int]:
    return (span.start, span.end)


def entity_spans(doc: Doc, spans_key: Optional[str] = None) -> Sequence[Span]:
    """The entity mentions of a document.

    doc (Doc): the document.
    spans_key (Optional[str]): they are in `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (Sequence[Span]): the mentions; none where there is no such span group.
    """
    if spans_key is None:
        return doc.ents
    # A span group may hold empty spans, which name nothing.
    return [span for span in doc.spans[spans_key] if len(span)] if spans_key in doc.spans else []


def has_entity_annotation(doc: Doc, spans_key: Optional[str] = None) -> bool:
    """RETURNS (bool): whether it is known which entities a document has, even if these are none."""
    return doc.has_annotation("ENT_IOB") if spans_key is None else spans_key in doc.spans


def cluster_entities(doc: Doc, spans: Sequence[Span]) -> List[EntityCluster]:
    """Group entity mentions by what they name.

    Read in this order: what was set as `doc._.entity_clusters`; the clusters of coreference components that hold one of
    the mentions (see `coreference_clusters`); `kb_id_`; `ent_id_`; the mention's text, without regard to case, with its
    label. A mention that is in no other cluster is a cluster of its own.

    doc (Doc): the document.
    spans (Sequence[Span]): the entity mentions.
    RETURNS (List[EntityCluster]): the clusters, in the order of their first mentions.
    """
    if CLUSTERS_KEY in doc.user_data:
        # What was set holds offsets and types alone: mentions that are entities have their ids, too.
        known = {(span.start_char, span.end_char, span.label_): span for span in spans}
        return [
            EntityCluster(known.get(tuple(m)) or make_span(doc, *m) for m in cluster)
            for cluster in doc.user_data[CLUSTERS_KEY]
        ]
    groups: Dict[Tuple[str, Any], Dict[Tuple[int, int], Span]] = {}
    found = coreference_clusters(doc, spans)
    coref: Dict[Tuple[int, int], int] = {}
    for i, cluster in enumerate(found):
        for span in cluster:
            coref.setdefault(_offsets(span), i)
    for span in spans:
        name: Tuple[str, Any]
        if _offsets(span) in coref:
            name = ("coref", coref[_offsets(span)])
        elif span.kb_id_ and span.kb_id_ != "NIL":
            name = ("kb", span.kb_id_)
        elif span.ent_id_:
            name = ("id", span.ent_id_)
        else:
            name = ("text", (span.text.casefold(), span.label_))
        groups.setdefault(name, {})[_offsets(span)] = span
    for (kind, key), members in groups.items():
        for span in found[key] if kind == "coref" else ():
            members.setdefault(_offsets(span), span)
    clusters = [EntityCluster(members[k] for k in sorted(members)) for members in groups.values()]
    return sorted(clusters, key=lambda cluster: _offsets(cluster[0]))


def get_clusters(doc: Doc) -> List[EntityCluster]:
    """RETURNS (List[EntityCluster]): `doc._.entity_clusters`, of the mentions in `doc.ents`."""
    return cluster_entities(doc, doc.ents)


def set_clusters(doc: Doc, clusters: Iterable[Iterable[Any]]) -> None:
    """Set `doc._.entity_clusters`, for relations too. A ValueError is raised for what is no list of lists of spans."""
    attr = "entity_clusters"
    stored = []
    for i, cluster in enumerate(map(as_list, items(clusters, attr))):
        if isinstance(cluster, (str, bytes, Mapping)) or not hasattr(cluster, "__iter__"):
            raise ValueError(Errors.R002.format(attr=attr, what=f"item {i}", value=cluster, expected="a list of spans"))
        mentions = [plain_span(doc, m, attr, f"mention {j} of cluster {i}") for j, m in enumerate(cluster)]
        if not mentions:
            raise ValueError(Errors.R002.format(attr=attr, what=f"item {i}", value=[], expected="a list of spans"))
        stored.append(mentions)
    _follow_mentions(doc, owners_of([_offsets(make_span(doc, *mention)) for mention in own] for own in stored))
    doc.user_data[CLUSTERS_KEY] = stored


def _follow_mentions(doc: Doc, owners: Mapping[Place, Sequence[int]]) -> None:
    """Let relations name the new clusters that have their mentions, or none; pairs without both of these go."""
    relations, pairs = [dict(item) for item in _stored(doc)], doc.user_data.get(PAIRS_KEY, ())
    named = [(item, end) for item in relations for end in ("head", "tail") if item[f"{end}_cluster"] is not None]
    if not named and not pairs:
        return
    old = dict(enumerate([_offsets(span) for span in cluster] for cluster in get_clusters(doc)))
    for item, end in named:
        index, mention = item[f"{end}_cluster"], _offsets(make_span(doc, *item[end]))
        item[f"{end}_cluster"] = renumber(index, old.get(index, ()), owners, mention)
    if named:
        doc.user_data[relations_key()] = relations
    if pairs:
        new = {index: renumber(index, places, owners) for index, places in old.items()}
        found = [[new.get(head), new.get(tail), *rest] for head, tail, *rest in pairs]
        doc.user_data[PAIRS_KEY] = [pair for pair in found if None not in pair[:2] and pair[0] != pair[1]]


def get_pairs(doc: Doc) -> List[CandidatePair]:
    """RETURNS (List[CandidatePair]): `doc._.candidate_pairs`."""
    return [CandidatePair(*pair) for pair in doc.user_data.get(PAIRS_KEY, ())]


def set_pairs(doc: Doc, pairs: Iterable[Sequence[Any]]) -> None:
    """Set `doc._.candidate_pairs`. A ValueError is raised for indexes of no cluster."""
    attr = "candidate_pairs"
    count = len(get_clusters(doc))
    stored = []
    for i, pair in enumerate(map(as_list, items(pairs, attr))):
        if not isinstance(pair, (list, tuple)) or len(pair) not in (2, 3, 4):
            expected = "a CandidatePair or (head, tail[, score[, labels]])"
            raise ValueError(Errors.R002.format(attr=attr, what=f"item {i}", value=pair, expected=expected))
        head, tail = (_check_cluster(index, count, attr) for index in pair[:2])
        row: List[Any] = [head, tail, plain_score(pair[2], attr, i, pair) if len(pair) > 2 else 1.0]
        if len(pair) > 3 and pair[3] is not None:
            if not isinstance(pair[3], dict):
                expected = "a table of labels and their probabilities as its last part"
                raise ValueError(Errors.R002.format(attr=attr, what=f"item {i}", value=pair, expected=expected))
            labels = {label: plain_score(value, attr, i, pair) for label, value in pair[3].items()}
            row.append(plain(labels, f"the labels of a pair (doc._.{attr})"))
        stored.append(row)
    doc.user_data[PAIRS_KEY] = stored


def get_triples(doc: Doc) -> List[Tuple[str, str, str]]:
    """RETURNS (List[Tuple[str, str, str]]): `doc._.triples`."""
    return [(t[0], t[1], t[2]) for t in doc.user_data.get(TRIPLES_KEY, ())]


def set_triples(doc: Doc, triples: Iterable[Sequence[str]]) -> None:
    """Set `doc._.triples`. A ValueError is raised for what is no three strings."""
    stored = []
    for i, triple in enumerate(items(triples, "triples")):
        if not isinstance(triple, (list, tuple)) or len(triple) != 3 or not all(map(is_text, triple)):
            expected = "(head text, relation, tail text)"
            raise ValueError(Errors.R002.format(attr="triples", what=f"item {i}", value=triple, expected=expected))
        stored.append([str(part) for part in triple])
    doc.user_data[TRIPLES_KEY] = stored


def get_labels(doc: Doc) -> Optional[List[str]]:
    """RETURNS (Optional[List[str]]): `doc._.annotated_labels`; None for all."""
    labels = doc.user_data.get(LABELS_KEY)
    return None if labels is None else list(labels)


def set_labels(doc: Doc, labels: Optional[Iterable[str]]) -> None:
    """Set `doc._.annotated_labels`, or unset it by None. A ValueError is raised for what is no list of strings."""
    if labels is None:
        doc.user_data.pop(LABELS_KEY, None)
        return
    labels = as_list(labels)
    names = None if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable) else list(labels)
    if names is None or not all(is_text(name) and name for name in names):
        raise ValueError(Errors.R011.format(value=labels))
    doc.user_data[LABELS_KEY] = [str(name) for name in names]


def all_labels(docs: Iterable[Doc], more: Iterable[str] = ()) -> Set[str]:
    """The labels that annotated documents know of.

    docs (Iterable[Doc]): the documents.
    more (Iterable[str]): labels that are known from elsewhere.
    RETURNS (Set[str]): those, and the labels that the documents have or were annotated for.
    """
    found = set(more)
    for doc in docs:
        found.update(doc.user_data.get(LABELS_KEY) or ())
        found.update(item["label"] for item in _stored(doc))
    return found


def is_annotated_for(doc: Doc, labels: Collection[str]) -> bool:
    """RETURNS (bool): whether a document was annotated for all of these labels, so that a pair of its entities without
    a relation holds none of them.
    """
    own = doc.user_data.get(LABELS_KEY)
    return own is None or set(labels) <= set(own)
