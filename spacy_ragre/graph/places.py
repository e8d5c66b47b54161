"""Where a relation was read: the document, the sentence and the offsets of its mentions."""

import hashlib
import json
from typing import Any, Dict, List, Tuple, TypedDict, Union

from spacy.tokens import Doc, Span

from ..relations import GAP, ID_KEY, Relation

Offsets = Tuple[int, int]
# Without sentences: so many tokens around a mention.
_AROUND = 25
# Sentences with more tokens between them are shown without what is between.
_FAR = 120


class Place(TypedDict):
    """One place that says a relation, as plain data.

    document (str): the document's id; of one without, "text-" and a hash of its text.
    sentence (str): the sentence of head and tail; those of both, where they are two, see `passage`.
    head (List[int]), tail (List[int]): character offsets in the document, end exclusive, of the mentions of the edge's
        first and second node.
    label (str): the relation's label as it was told, of which the edge's may be the inverse.
    score (float): its probability, from 0 to 1.
    evidence (Dict[str, Any]): what supported it; see `Relation`.
    """

    document: str
    sentence: str
    head: List[int]
    tail: List[int]
    label: str
    score: float
    evidence: Dict[str, Any]


def document_id(doc: Doc) -> str:
    """RETURNS (str): the document's id in its corpus, or one that its text gives it."""
    own = doc.user_data.get(ID_KEY)
    return str(own) if own else f"text-{hashlib.sha256(doc.text.encode('utf8')).hexdigest()[:16]}"


def make_place(document: str, relation: Relation, turned: bool) -> Place:
    """document (str): the document's id.
    relation (Relation): the relation that was read there.
    turned (bool): whether the edge has its tail first.
    RETURNS (Place): where it stands.
    """
    ends = [[span.start_char, span.end_char] for span in (relation.head, relation.tail)]
    head, tail = reversed(ends) if turned else ends
    return {
        "document": document,
        "sentence": passage(relation)[0],
        "head": head,
        "tail": tail,
        "label": relation.label,
        "score": relation.score,
        "evidence": relation.evidence,
    }


def turn(place: Place) -> Place:
    """RETURNS (Place): the same place with head and tail exchanged."""
    turned: Place = {**place, "head": place["tail"], "tail": place["head"]}
    return turned


def rank(place: Place) -> Tuple[Union[float, str, List[int]], ...]:
    """RETURNS: what places are ordered by, best first, and of those that are the same place the one with more evidence
    first, so that the order of documents and relations changes nothing.
    """
    where = (place["document"], place["head"], place["tail"], place["label"], place["sentence"])
    evidence = json.dumps(place["evidence"], sort_keys=True)
    return (-place["score"], *where, -len(evidence), evidence)


def key(place: Place) -> Tuple[str, str, Tuple[int, ...]]:
    """RETURNS: equal for the same place. Files may number their documents alike, so that the sentence counts, too."""
    return (place["document"], place["sentence"], (*place["head"], *place["tail"]))


def passage(relation: Relation) -> Tuple[str, Offsets, Offsets]:
    """The text that a relation is read in: the sentences of its mentions and what is between them, or only those
    sentences where they are far from each other.

    RETURNS (Tuple[str, Tuple[int, int], Tuple[int, int]]): the text, and where head and tail are in it: character
        offsets, end exclusive.
    """
    doc = relation.head.doc
    first, second = sorted((_around(relation.head), _around(relation.tail)))
    if second[0] - first[1] > _FAR:
        before = doc[slice(*first)].text + GAP
        shift = doc[second[0]].idx - len(before)
        shifts = [shift if span.start >= second[0] else doc[first[0]].idx for span in (relation.head, relation.tail)]
        text = before + doc[slice(*second)].text
    else:
        shifts = [doc[first[0]].idx] * 2
        text = doc[first[0] : max(first[1], second[1])].text
    head, tail = (
        (span.start_char - shift, span.end_char - shift) for span, shift in zip((relation.head, relation.tail), shifts)
    )
    return text, head, tail


def _around(span: Span) -> Offsets:
    """RETURNS (Tuple[int, int]): where the sentence of a mention begins and ends, in tokens."""
    doc = span.doc
    if doc.has_annotation("SENT_START"):
        return doc[span.start].sent.start, doc[span.end - 1].sent.end
    return max(0, span.start - _AROUND), min(len(doc), span.end + _AROUND)
