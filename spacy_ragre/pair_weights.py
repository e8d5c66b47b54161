"""How much pairs of entities count in training, where that is not 1: what a teacher was not sure of counts less.

Weights are of pairs and not of relations, since a teacher may be as unsure that two entities hold none. They are kept
in `doc.user_data` as plain data, from character offsets on.
"""

from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Tuple

from spacy.tokens import Doc, Span

from .errors import Errors
from .plain import as_list
from .relations import make_span, plain_span

#: In `doc.user_data`: a list of both mentions' character offsets and labels, and the weight.
WEIGHTS_KEY = "ragre.pair_weights"

# What the errors of spans call it.
_ATTR = "pair_weights"


class PairWeight(NamedTuple):
    """How much a pair counts.

    head (Span): one mention. Which of them is the head makes no difference.
    tail (Span): the other one.
    weight (float): from 0, as if there were no such pair, to 1.
    """

    head: Span
    tail: Span
    weight: float


def get_weights(doc: Doc) -> List[PairWeight]:
    """RETURNS (List[PairWeight]): the pairs of a document that were given a weight; all others have 1."""
    stored: Sequence[Any] = doc.user_data.get(WEIGHTS_KEY, ())
    return [PairWeight(make_span(doc, *head), make_span(doc, *tail), float(weight)) for head, tail, weight in stored]


def set_weights(doc: Doc, weights: Iterable[Tuple[Any, Any, Any]]) -> None:
    """Say how much pairs count, in place of what was said before.

    doc (Doc): the document.
    weights (Iterable[Tuple[Any, Any, float]]): two mentions, as `doc._.relations` takes them, and the weight of each
        pair. A ValueError is raised for what is no share from 0 to 1. Nothing is kept of pairs that count 1.
    """
    stored: List[List[Any]] = []
    for number, (head, tail, weight) in enumerate(map(as_list, weights)):
        ends = [plain_span(doc, span, _ATTR, f"a mention of pair {number}") for span in (head, tail)]
        stored.append([*ends, check_weight(weight)])
    kept = [item for item in stored if item[2] < 1]
    doc.user_data.pop(WEIGHTS_KEY, None)
    if kept:
        doc.user_data[WEIGHTS_KEY] = kept


def check_weight(value: Any) -> float:
    """RETURNS (float): a weight. A ValueError is raised for what is none."""
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else -1.0
    if not 0 <= number <= 1:
        raise ValueError(Errors.R755.format(value=value))
    return number


def weights_by_place(doc: Doc) -> Dict[Tuple[Tuple[int, int], Tuple[int, int]], float]:
    """RETURNS (Dict[Tuple[Tuple[int, int], Tuple[int, int]], float]): weights by the token offsets of both mentions, in
    either order.
    """
    found = {}
    for head, tail, weight in get_weights(doc):
        first, second = (head.start, head.end), (tail.start, tail.end)
        found[first, second] = found[second, first] = weight
    return found
