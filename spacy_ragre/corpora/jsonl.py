"""The interchange format: JSON lines, one document a line, character offsets, `end` exclusive.

    {"id": "d1", "text": "...", "ents": [{"start": 0, "end": 9, "label": "ORG"}],
     "clusters": [[0], [1, 3]], "relations": [{"head": 0, "tail": 1, "label": "founded_by"}]}

`clusters` lists indexes into `ents` and may be absent. `head` and `tail` index `clusters` where present, else `ents`.
Optional are `usage`, `usage_score` and `kb_id` on an entity, `score` and `evidence` on a relation, `triples`, `id`,
`labels` and `weights` on the document; `null` is as if it were absent. Without `relations` a document has no gold
relations; with `[]` it is known to hold none. `labels` lists the labels that were annotated: of others, nothing is
known. `weights` lists pairs of entities that count less than 1 in training, as `{"head": 0, "tail": 1, "weight": 0.6}`
with indexes into `ents`. Spaces at the edges of an entity are left out.
"""

import math
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans, get_words_and_spaces
from spacy.vocab import Vocab

from ..errors import Errors
from ..pair_weights import WEIGHTS_KEY, PairWeight, get_weights, set_weights
from ..plain import plain
from ..relations import (
    CLUSTERS_KEY,
    ID_KEY,
    TRIPLES_KEY,
    Relation,
    cluster_entities,
    entity_spans,
    get_relations,
    has_relations,
    set_relations,
)
from .counts import CorpusCounts
from .files import OnError, Problems, existing_path, read_lines, write_json_lines
from .parse import DocRecord, check_document, parse_document
from .tokens import get_nlp, split_at


def read_jsonl(
    path: Union[str, Path],
    nlp: Union[Language, Vocab, None] = None,
    *,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    on_error: Optional[OnError] = None,
) -> Iterator[Doc]:
    """Read a file of the interchange format.

    Problems of the file are gathered and raised at its end; from the first of them on, no more documents come.

    path (Union[str, Path]): the file.
    nlp (Union[Language, Vocab, None]): its tokenizer is used, and its pipes are not. Blank English by default, with
        this Vocab where one is given.
    spans_key (Optional[str]): keep the entities in `doc.spans[spans_key]`, where they may overlap, instead of
        `doc.ents`.
    split_tokens (bool): cut tokens where an entity begins or ends inside one, instead of calling it an error.
    on_error (Optional[OnError]): is given the place of a line that can't be read ("line 3"), the line and what is wrong
        with it; the lines after it are read all the same. Errors are raised where None.
    YIELDS (Doc): the documents.
    """
    path = existing_path(path)
    nlp = get_nlp(nlp)
    problems = Problems(path, on_error)
    first = True
    for number, line in read_lines(path, problems):
        if not line.strip():
            continue
        if first:
            check_first_line(line, path)
        first = False
        messages: List[str] = []
        record = parse_document(line, messages)
        doc = None
        if record is not None and not messages:
            doc = make_doc(nlp, record, messages, spans_key=spans_key, split=split_tokens)
        if messages:
            problems.add(number, *messages, record=line)
        elif doc is not None and not problems:
            yield doc
    problems.raise_any()


def check_first_line(line: str, path: Path) -> None:
    """Raise a ValueError where the first line of a file is the beginning of JSON over several lines."""
    if line.strip() in ("{", "[", "[{"):
        raise ValueError(Errors.R444.format(path=path))


def write_jsonl(docs: Iterable[Doc], path: Union[str, Path], *, spans_key: Optional[str] = None) -> int:
    """Write documents in the interchange format. The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (int): how many documents were written.
    """
    return write_json_lines(path, (doc_to_dict(doc, spans_key=spans_key) for doc in docs))


# Reading


def doc_from_dict(
    record: Mapping[str, Any],
    nlp: Union[Language, Vocab, None] = None,
    *,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
) -> Doc:
    """Make a document of a record of the interchange format, such as `doc_to_dict` gives.

    record (Mapping[str, Any]): the record as plain data; numbers may be those of numpy.
    nlp, spans_key, split_tokens: as for `read_jsonl`.
    RETURNS (Doc): the document. A ValueError is raised that says all that is wrong with the record.
    """
    messages: List[str] = []
    checked = check_document(plain(record, "the record"), messages)
    doc = None
    if checked is not None and not messages:
        doc = make_doc(get_nlp(nlp), checked, messages, spans_key=spans_key, split=split_tokens)
    if doc is None:
        problems = "\n".join(f"- {message}" for message in messages)
        raise ValueError(Errors.R335.format(count=len(messages), problems=problems))
    return doc


def make_doc(
    nlp: Language,
    record: DocRecord,
    messages: List[str],
    *,
    spans_key: Optional[str],
    split: bool,
    words: Optional[List[str]] = None,
    counts: Optional[CorpusCounts] = None,
    ents_too: bool = False,
) -> Optional[Doc]:
    """Make the document of a record.

    nlp (Language): its tokenizer is used.
    record (DocRecord): the record, checked.
    messages (List[str]): what is wrong is added here.
    spans_key (Optional[str]): keep the entities in `doc.spans[spans_key]`, where they may overlap, instead of
        `doc.ents`.
    split (bool): cut tokens where an entity begins or ends inside one.
    words (Optional[List[str]]): the tokens, where they are known.
    counts (Optional[CorpusCounts]): where tokens that are cut are counted.
    ents_too (bool): keep the entities in `doc.ents`, too; of those that overlap, the longer ones.
    RETURNS (Optional[Doc]): the document; None where its entities don't fit the tokens.
    """
    try:
        doc = nlp.make_doc(record.text) if words is None else _doc_of_words(nlp, words, record.text)
    except ValueError as err:
        messages.append(Errors.R425.format(problem=err))
        return None
    places = [trim(record.text, ent["start"], ent["end"]) for ent in record.ents]
    if split:
        cut = split_at(doc, [offset for place in places for offset in place])
        if counts is not None:
            counts.split_tokens += cut
    spans: List[Span] = []
    for i, (ent, (start, end)) in enumerate(zip(record.ents, places)):
        span = doc.char_span(start, end, label=ent["label"], kb_id=ent.get("kb_id") or "")
        if span is None:
            near = [token.text for token in doc if token.idx < end and token.idx + len(token) > start]
            text = record.text[start:end]
            messages.append(Errors.R407.format(what=f"ents[{i}]", start=start, end=end, text=text, tokens=near))
        else:
            spans.append(span)
    if messages:
        return None
    if spans_key is not None:
        doc.spans[spans_key] = spans
        if ents_too:
            doc.ents = tuple(filter_spans(spans))
    else:
        messages.extend(_overlaps(spans))
        if messages:
            return None
        doc.ents = tuple(sorted(spans, key=lambda span: span.start))
    _annotate(doc, record, spans)
    return doc


def _doc_of_words(nlp: Language, words: List[str], text: str) -> Doc:
    words, spaces = get_words_and_spaces(words, text)
    return Doc(nlp.vocab, words=words, spaces=spaces)


def trim(text: str, start: int, end: int) -> Tuple[int, int]:
    """RETURNS (Tuple[int, int]): a mention's offsets without the spaces at its edges, which annotation tools select
    with a word; as they are where there is nothing else.
    """
    words = text[start:end]
    if not words.strip():
        return start, end
    return end - len(words.lstrip()), start + len(words.rstrip())


def _overlaps(spans: Sequence[Span]) -> Iterator[str]:
    ordered = sorted(spans, key=lambda span: (span.start, span.end))
    for first, second in zip(ordered, ordered[1:]):
        if second.start < first.end:
            yield Errors.R408.format(
                first=first.text,
                first_offsets=(first.start_char, first.end_char),
                second=second.text,
                second_offsets=(second.start_char, second.end_char),
            )


def _annotate(doc: Doc, record: DocRecord, spans: Sequence[Span]) -> None:
    if record.id is not None:
        doc.user_data[ID_KEY] = record.id
    for ent, span in zip(record.ents, spans):
        if ent.get("usage") is not None:
            span._.usage = ent["usage"]
        if ent.get("usage_score") is not None:
            span._.usage_score = ent["usage_score"]
    if record.clusters is not None:
        doc._.entity_clusters = [sorted((spans[i] for i in cluster), key=_offsets) for cluster in record.clusters]
    if record.relations is not None:
        set_relations(doc, [_read_relation(item, record.clusters, spans) for item in record.relations])
    if record.triples is not None:
        doc._.triples = record.triples
    if record.labels is not None:
        doc._.annotated_labels = record.labels
    if record.weights is not None:
        set_weights(doc, [(spans[pair["head"]], spans[pair["tail"]], pair["weight"]) for pair in record.weights])


def _read_relation(item: Dict[str, Any], clusters: Optional[List[List[int]]], spans: Sequence[Span]) -> Dict[str, Any]:
    relation: Dict[str, Any] = {key: item[key] for key in ("label", "score", "evidence") if item.get(key) is not None}
    for role in ("head", "tail"):
        index = item[role]
        if clusters is None:
            relation[role] = spans[index]
        else:
            relation[role] = min((spans[i] for i in clusters[index]), key=_offsets)
            relation[f"{role}_cluster"] = index
    return relation


# Writing


def doc_to_dict(doc: Doc, spans_key: Optional[str] = None) -> Dict[str, Any]:
    """A document in the interchange format.

    Clusters are written where the document has them in its annotations, or where a relation names one. Mentions without
    an entity type that clusters have beside their entities, such as pronouns, are left out. Where the document says
    for which labels it was annotated, those of its relations are among them, such as the ones that a pipeline found in
    a half-annotated text.

    doc (Doc): the document.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (Dict[str, Any]): the document as plain data, for `json` and `doc_from_dict`. A ValueError is raised where
        a relation's mention is not among the entities.
    """
    spans = entity_spans(doc, spans_key)
    result: Dict[str, Any] = {}
    if ID_KEY in doc.user_data:
        result["id"] = plain(doc.user_data[ID_KEY], "the id of a document")
    result["text"] = doc.text
    result["ents"] = [write_ent(span) for span in spans]
    relations: List[Relation] = get_relations(doc)
    index = EntIndex(spans)
    clusters = _write_clusters(doc, spans, relations, index)
    if clusters is not None:
        result["clusters"] = [members for members, _ in clusters]
    if has_relations(doc):
        result["relations"] = [_write_relation(doc, rel, index, clusters) for rel in relations]
    if doc._.annotated_labels is not None:
        result["labels"] = list(dict.fromkeys([*doc._.annotated_labels, *(rel.label for rel in relations)]))
    if TRIPLES_KEY in doc.user_data:
        result["triples"] = [list(triple) for triple in doc._.triples]
    if WEIGHTS_KEY in doc.user_data:
        result["weights"] = [_write_weight(doc, pair, index) for pair in get_weights(doc)]
    return result


# The indexes of a cluster's mentions among the entities, and the cluster's own index in `doc._.entity_clusters`.
_Clusters = List[Tuple[List[int], int]]


class EntIndex:
    """Finds a mention among the entities: by offsets and label or, where the label differs, by offsets."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._by_label: Dict[Tuple[int, int, str], int] = {}
        self._by_offsets: Dict[Tuple[int, int], int] = {}
        for i, span in enumerate(spans):
            self._by_label.setdefault((span.start, span.end, span.label_), i)
            self._by_offsets.setdefault(_offsets(span), i)

    def get(self, span: Span) -> Optional[int]:
        labelled = self._by_label.get((span.start, span.end, span.label_))
        return self._by_offsets.get(_offsets(span)) if labelled is None else labelled

    def require(self, doc: Doc, span: Span, what: str) -> int:
        """RETURNS (int): the index of a mention. A ValueError that names it is raised where it is not among them."""
        found = self.get(span)
        if found is None:
            raise ValueError(_missing(doc, span, what, "entities"))
        return found


def _offsets(span: Span) -> Tuple[int, int]:
    return (span.start, span.end)


def write_ent(span: Span) -> Dict[str, Any]:
    ent: Dict[str, Any] = {"start": span.start_char, "end": span.end_char, "label": span.label_}
    if span.kb_id_:
        ent["kb_id"] = span.kb_id_
    if span._.usage:
        ent["usage"] = span._.usage
    if span._.usage_score is not None:
        ent["usage_score"] = _finite(span.doc, span._.usage_score, f"the usage of {span.text!r}")
    return ent


def _write_clusters(
    doc: Doc, spans: Sequence[Span], relations: Sequence[Relation], index: EntIndex
) -> Optional[_Clusters]:
    named = {i for rel in relations for i in (rel.head_cluster, rel.tail_cluster) if i is not None}
    was_set = CLUSTERS_KEY in doc.user_data
    if not was_set and not named:
        return None
    result: _Clusters = []
    for i, cluster in enumerate(cluster_entities(doc, spans)):
        members = [j for j in map(index.get, cluster) if j is not None]
        missing = [m for m in cluster if index.get(m) is None and (m.label_ or not members)]
        if missing and (was_set or (i in named and not members)):
            raise ValueError(_missing(doc, missing[0], f"the mention of cluster {i}", "entities"))
        if members:
            result.append((members, i))
    return result


def _write_relation(doc: Doc, rel: Relation, index: EntIndex, clusters: Optional[_Clusters]) -> Dict[str, Any]:
    result: Dict[str, Any] = {}
    for role, span, own in (("head", rel.head, rel.head_cluster), ("tail", rel.tail, rel.tail_cluster)):
        found = index.get(span)
        if clusters is not None:
            found = _cluster_index(clusters, own, found)
        if found is None:
            kind = "entities" if clusters is None else "entity clusters"
            raise ValueError(_missing(doc, span, f"the {role} of {rel.label!r},", kind))
        result[role] = found
    result["label"] = rel.label
    if rel.score != 1.0:
        result["score"] = _finite(doc, rel.score, f"the relation {rel.label!r}")
    if rel.evidence:
        result["evidence"] = rel.evidence
    return result


def _write_weight(doc: Doc, pair: PairWeight, index: EntIndex) -> Dict[str, Any]:
    what = "a pair with a weight:"
    head, tail = (index.require(doc, span, what) for span in (pair.head, pair.tail))
    return {"head": head, "tail": tail, "weight": pair.weight}


def _cluster_index(clusters: _Clusters, own: Optional[int], mention: Optional[int]) -> Optional[int]:
    """The written cluster with the source index `own` or, for a relation at sentence level, with the mention."""
    for i, (members, source) in enumerate(clusters):
        if source == own or (own is None and mention in members):
            return i
    return None


def _missing(doc: Doc, span: Span, what: str, kind: str) -> str:
    attr = "doc.ents" if kind == "entities" else "doc._.entity_clusters"
    return Errors.R413.format(
        id=doc.user_data.get(ID_KEY, ""),
        what=what,
        text=span.text,
        start=span.start,
        end=span.end,
        kind=kind,
        attr=attr,
    )


def _finite(doc: Doc, score: float, what: str) -> float:
    if not math.isfinite(score):
        raise ValueError(Errors.R424.format(id=doc.user_data.get(ID_KEY, ""), what=what, score=score))
    return float(score)
