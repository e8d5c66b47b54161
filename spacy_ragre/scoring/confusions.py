"""Which relations are taken for which others, with the sentences where that happens."""

from collections import defaultdict
from typing import Collection, Dict, Iterable, List, NamedTuple, Optional, Tuple

from spacy.tokens import Doc
from spacy.training import Example

from ..labels import NO_RELATION
from ..relations import ID_KEY, Relation, has_relations
from .relations import Argument, DocView, Triple

# Characters on each side of two mentions, where a document has no sentence borders.
_AROUND = 60


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


def find_confusions(
    examples: Iterable[Example],
    *,
    symmetric: Collection[str] = (),
    spans_key: Optional[str] = None,
    mistakes: int = 3,
) -> List[Confusion]:
    """Hold predicted against gold relations, pair by pair. Of the relations of a pair, those that are right are left
    out; each missed one is held against each wrong one, or against "no relation" where there is none. Labels that a
    reference was not annotated for are left out.

    examples (Iterable[Example]): the examples. A reference whose relations were never set is left out.
    symmetric (Collection[str]): labels whose head and tail can be exchanged.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    mistakes (int): how many mistakes are shown of a confusion.
    RETURNS (List[Confusion]): the confusions, most frequent first.
    """
    counts: Dict[Tuple[str, str], int] = defaultdict(int)
    shown: Dict[Tuple[str, str], List[Mistake]] = defaultdict(list)
    for example in examples:
        if not has_relations(example.reference):
            continue
        view = DocView(example, frozenset(symmetric), spans_key)
        missed = _by_pair(view.gold - view.predicted)
        wrong = _by_pair(view.predicted - view.gold)
        for pair in sorted({*missed, *wrong}):
            for gold in missed.get(pair, [None]):
                for predicted in wrong.get(pair, [None]):
                    key = _names(gold, predicted)
                    counts[key] += 1
                    if len(shown[key]) < mistakes:
                        if gold is not None:
                            shown[key].append(_mistake(example.reference, view.gold_relations[gold]))
                        elif predicted is not None:
                            shown[key].append(_mistake(example.predicted, view.predicted_relations[predicted]))
    order = sorted(counts, key=lambda key: (-counts[key], key))
    return [Confusion(*key, counts[key], shown[key]) for key in order]


def _by_pair(triples: Iterable[Triple]) -> "Dict[Tuple[Argument, Argument], List[Optional[Triple]]]":
    result: Dict[Tuple[Argument, Argument], List[Optional[Triple]]] = defaultdict(list)
    for triple in sorted(triples):
        result[min(triple[:2]), max(triple[:2])].append(triple)
    return result


def _names(gold: Optional[Triple], predicted: Optional[Triple]) -> Tuple[str, str]:
    if gold is None or predicted is None:
        return (gold[2] if gold else NO_RELATION, predicted[2] if predicted else NO_RELATION)
    return (gold[2], predicted[2] if gold[0] == predicted[0] else f"{predicted[2]}, reversed")


def _mistake(doc: Doc, relation: Relation) -> Mistake:
    spans = sorted((relation.head, relation.tail), key=lambda span: span.start)
    start, end = spans[0].start_char, max(span.end_char for span in spans)
    if doc.has_annotation("SENT_START"):
        start, end = spans[0].sent.start_char, max(end, spans[1].sent.end_char)
    else:
        start, end = max(0, start - _AROUND), min(len(doc.text), end + _AROUND)
    text = doc.text[start:end].strip()
    return Mistake(str(doc.user_data.get(ID_KEY, "")), text, relation.head.text, relation.tail.text)
