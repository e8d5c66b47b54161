"""Which relations are taken for which others, with the sentences where that happens."""

from collections import defaultdict
from typing import Any, Collection, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from spacy.tokens import Doc
from spacy.training import Example

from ..labels import NO_RELATION
from ..relations import ID_KEY, Relation, has_relations
from .relations import DocView, Pair, Triple

# Characters on each side of two mentions, where a document has no sentence borders.
_AROUND = 60
# What an answer can do wrong.
WRONG_LABEL, WRONG_DIRECTION, MISSED, NOT_ANNOTATED = "wrong label", "wrong direction", "missed", "not annotated"
KINDS = (WRONG_LABEL, WRONG_DIRECTION, MISSED, NOT_ANNOTATED)


class Mistake(NamedTuple):
    """A pair whose gold relation is not the predicted one.

    id (str): the document's id, or "".
    text (str): the part of the document with both mentions.
    head (str): the head's text.
    tail (str): the tail's text.
    """

    id: str
    text: str
    head: str
    tail: str


class Confusion(NamedTuple):
    """How often one answer is given in place of another.

    gold (str): the label of the gold relation, or "no_relation".
    predicted (str): the predicted label, or "no_relation". "founded_by, reversed" has the label and exchanges head and
        tail.
    times (int): how often.
    mistakes (List[Mistake]): the first of them.
    """

    gold: str
    predicted: str
    times: int
    mistakes: List[Mistake]


class RelationError(NamedTuple):
    """An answer that is wrong, or an answer that is missing.

    kind (str): one of `KINDS`.
    number (int): which of the examples it is in.
    gold (Optional[Triple]): the gold relation, in terms of the gold entities; None where there is none.
    predicted (Optional[Triple]): the wrong answer; None where the relation was missed.
    doc (Doc): the document to show it in: the reference where there is a gold relation, else the predicted one.
    relation (Relation): the relation to show: the gold one, where there is one.
    score (Optional[float]): of the wrong answer.
    evidence (Mapping[str, Any]): what supported the wrong answer.
    """

    kind: str
    number: int
    gold: Optional[Triple]
    predicted: Optional[Triple]
    doc: Doc
    relation: Relation
    score: Optional[float]
    evidence: Mapping[str, Any]

    @property
    def names(self) -> Tuple[str, str]:
        """RETURNS (Tuple[str, str]): the gold and the predicted label; see `Confusion`."""
        if self.gold is None or self.predicted is None:
            return (self.gold[2] if self.gold else NO_RELATION, self.predicted[2] if self.predicted else NO_RELATION)
        return (self.gold[2], turned(self.predicted, self.gold))


def turned(triple: Triple, beside: Triple) -> str:
    """RETURNS (str): a relation's label, with ", reversed" where head and tail are those of another the other way
    round.
    """
    return triple[2] if triple[0] == beside[0] else f"{triple[2]}, reversed"


def find_errors(
    examples: Iterable[Example], *, symmetric: Collection[str] = (), spans_key: Optional[str] = None
) -> Iterator[RelationError]:
    """Hold predicted against gold relations, pair by pair. Of the relations of a pair, those that are right are left
    out; each missed one is held against each wrong one, or against "no relation" where there is none. Labels that a
    reference was not annotated for are left out.

    examples (Iterable[Example]): the examples. A reference whose relations were never set is left out.
    symmetric (Collection[str]): labels whose head and tail can be exchanged.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    YIELDS (RelationError): the errors, in the order of the documents.
    """
    for number, example in enumerate(examples):
        if not has_relations(example.reference):
            continue
        view = DocView(example, frozenset(symmetric), spans_key)
        missed = by_pair(view.gold - view.predicted)
        wrong = by_pair(view.predicted - view.gold)
        for pair in sorted({*missed, *wrong}):
            for gold in missed.get(pair, [None]):
                for predicted in wrong.get(pair, [None]):
                    yield _error(number, example, view, gold, predicted)


def _error(
    number: int, example: Example, view: DocView, gold: Optional[Triple], predicted: Optional[Triple]
) -> RelationError:
    answer = None if predicted is None else view.predicted_relations[predicted]
    relation = view.gold_relations[gold] if gold is not None else answer
    assert relation is not None  # one of the two is there
    doc = example.predicted if gold is None else example.reference
    if predicted is None:
        kind = MISSED
    elif gold is None:
        kind = NOT_ANNOTATED
    else:
        kind = WRONG_DIRECTION if gold[2] == predicted[2] else WRONG_LABEL
    score, evidence = (None, {}) if answer is None else (answer.score, answer.evidence)
    return RelationError(kind, number, gold, predicted, doc, relation, score, evidence)


def find_confusions(
    examples: Iterable[Example],
    *,
    symmetric: Collection[str] = (),
    spans_key: Optional[str] = None,
    mistakes: int = 3,
) -> List[Confusion]:
    """Count which answers are given in place of which.

    examples, symmetric, spans_key: as in `find_errors`.
    mistakes (int): how many mistakes are shown of a confusion.
    RETURNS (List[Confusion]): the confusions, most frequent first.
    """
    return count_confusions(find_errors(examples, symmetric=symmetric, spans_key=spans_key), mistakes)


def count_confusions(errors: Iterable[RelationError], mistakes: int = 3) -> List[Confusion]:
    """RETURNS (List[Confusion]): the confusions of errors, most frequent first, each with so many mistakes."""
    counts: Dict[Tuple[str, str], int] = defaultdict(int)
    shown: Dict[Tuple[str, str], List[Mistake]] = defaultdict(list)
    for error in errors:
        counts[error.names] += 1
        if len(shown[error.names]) < mistakes:
            shown[error.names].append(mistake(error.doc, error.relation))
    order = sorted(counts, key=lambda key: (-counts[key], key))
    return [Confusion(*key, counts[key], shown[key]) for key in order]


def by_pair(triples: Iterable[Triple]) -> "Dict[Pair, List[Optional[Triple]]]":
    """RETURNS (Dict[Pair, List[Optional[Triple]]]): relations by their pairs of entities, in a fixed order."""
    result: Dict[Pair, List[Optional[Triple]]] = defaultdict(list)
    for triple in sorted(triples):
        result[min(triple[:2]), max(triple[:2])].append(triple)
    return result


def mistake(doc: Doc, relation: Relation) -> Mistake:
    """RETURNS (Mistake): a relation of a document, with the sentences around it."""
    spans = sorted((relation.head, relation.tail), key=lambda span: span.start)
    start, end = spans[0].start_char, max(span.end_char for span in spans)
    if doc.has_annotation("SENT_START"):
        start, end = spans[0].sent.start_char, max(end, spans[1].sent.end_char)
    else:
        start, end = max(0, start - _AROUND), min(len(doc.text), end + _AROUND)
    text = doc.text[start:end].strip()
    return Mistake(str(doc.user_data.get(ID_KEY, "")), text, relation.head.text, relation.tail.text)
