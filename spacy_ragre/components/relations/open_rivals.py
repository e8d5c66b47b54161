"""What a pair competes with: other mentions that could be its head or its tail under a label.

The reader of open labels judges every pair by itself. But the more mentions could stand in a tail's place, and the
nearer they stand to the head, the fewer of the pairs hold, and the same for heads. So the log-odds are lessened by the
logarithms of these numbers, with weights that were fitted with the weights of the reader; they are as the reader gives
them where a pair has as many rivals as the pairs had that this was fitted on.
"""

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from ...candidates import Candidate
from ...entity_types import TypeRules
from ...instances import Instance
from ...labels import LabelSet
from ...llm.remote.backbone import Documents
from .annotations import allowed_classes
from .open_labels import OpenText

# Of tails and of heads: how many stand nearer than the pair's own, and how many there are.
COUNTS = 4
# "weights" and "centre", of COUNTS numbers each.
Settings = Mapping[str, Sequence[float]]


class _Pairs(NamedTuple):
    """The pairs of a document: their rows, and the numbers of the mentions that come first and second."""

    rows: List[int]
    first: List[int]
    second: List[int]


def rival_odds(
    candidates: Sequence[Candidate], labels: LabelSet, rules: TypeRules, documents: Documents, settings: Settings
) -> np.ndarray:
    """candidates (Sequence[Candidate]): the pairs.
    labels (LabelSet): the labels.
    rules (TypeRules): which types may stand for others.
    documents (Optional[Sequence[int]]): the number of each pair's document. Where None, pairs of one id are of one
        document, and those without an id where they have one text.
    settings (Mapping[str, Sequence[float]]): the weights of the counts, and what is taken off them.
    RETURNS (numpy.ndarray): what is to be added to log-odds, float32, 0 for class 0 and for pairs of clusters.
        *Shape:* (pairs, classes)
    """
    weights, centre = (np.asarray(settings[name], dtype="float32") for name in ("weights", "centre"))
    odds = np.zeros((len(candidates), len(labels.classes)), dtype="float32")
    for rows, column, counts in _counts(candidates, labels, rules, documents):
        odds[rows, column] = (centre - counts) @ weights
    return odds


def count_rivals(
    candidates: Sequence[Candidate], labels: LabelSet, rules: TypeRules, documents: Documents = None
) -> np.ndarray:
    """candidates, labels, rules, documents: see `rival_odds`.
    RETURNS (numpy.ndarray): log(1 + number) of the tails that stand nearer to the head than the pair's own, of all
        other tails, and the same of heads; of a symmetric label, the means of both ways; float32, zeros for class 0 and
        for pairs of clusters. Only pairs that are asked about, and whose types the label allows, count.
        *Shape:* (pairs, classes, COUNTS)
    """
    out = np.zeros((len(candidates), len(labels.classes), COUNTS), dtype="float32")
    for rows, column, counts in _counts(candidates, labels, rules, documents):
        out[rows, column] = counts
    return out


def rivals_of_rows(
    instances: Sequence[Instance],
    places: Sequence[Tuple[int, int, int]],
    texts: Sequence[OpenText],
    labels: LabelSet,
    rules: TypeRules,
    settings: Settings,
) -> np.ndarray:
    """The same for pairs of texts that are read in both directions; pairs of one text are each other's rivals.

    instances (Sequence[Instance]): the pairs.
    places, texts: as `group_pairs` gives them.
    labels, rules, settings: see `rival_odds`.
    RETURNS (numpy.ndarray): what is to be added to log-odds, float32. *Shape:* (rows, L)
    """
    candidates = [Candidate(instance.first, instance.second, instance) for instance in instances]
    odds = rival_odds(candidates, labels, rules, [text for text, _, _ in places], settings)
    ahead_columns, back_columns = np.array(_columns(labels), dtype=int).reshape(-1, 2).T
    firsts = np.cumsum([0, *(len(text.all_pairs()) for text in texts)])
    out = np.zeros((firsts[-1], len(labels)), dtype="float32")
    for (text, ahead, back), row in zip(places, odds):
        out[firsts[text] + ahead], out[firsts[text] + back] = row[ahead_columns], row[back_columns]
    return out


def _counts(
    candidates: Sequence[Candidate], labels: LabelSet, rules: TypeRules, documents: Documents
) -> Iterator[Tuple[List[int], int, np.ndarray]]:
    """YIELDS (Tuple[List[int], int, numpy.ndarray]): rows of pairs, a class, and the counts of each for it. *Shape:*
    (rows, COUNTS)
    """
    columns = _columns(labels)
    for spans, pairs in _by_document(candidates, documents):
        own, ordered = allowed_classes([candidates[row] for row in pairs.rows], labels, rules), _Ordered(spans, pairs)
        # Labels that allow the same pairs of this document have the same rivals.
        known: Dict[bytes, List[np.ndarray]] = {}
        for ahead, back in columns:
            asked = np.concatenate([own[:, ahead], own[:, back]])
            key = asked.tobytes()
            if key not in known:
                known[key] = np.split(np.log1p(ordered.count(asked)), 2)
            forward, backward = known[key]
            if ahead == back:
                yield pairs.rows, ahead, (forward + backward) / 2
            else:
                yield pairs.rows, ahead, forward
                yield pairs.rows, back, backward


def _columns(labels: LabelSet) -> List[Tuple[int, int]]:
    """RETURNS (List[Tuple[int, int]]): the classes of each label in both directions; the same twice where symmetric."""
    found: Dict[str, Dict[bool, int]] = {}
    for number, answer in enumerate(labels.classes):
        if answer is not None:
            found.setdefault(answer.label, {})[answer.reversed] = number
    return [(ways[False], ways.get(True, ways[False])) for ways in found.values()]


def _by_document(candidates: Sequence[Candidate], documents: Documents) -> List[Tuple[List[Tuple[int, int]], _Pairs]]:
    """RETURNS (List[Tuple[List[Tuple[int, int]], _Pairs]]): of each document the tokens of its mentions, and its
    pairs, without those of clusters.
    """
    owners: Sequence[Any] = [c.instance.id or c.instance.text for c in candidates] if documents is None else documents
    mentions: Dict[Any, Dict[Tuple[int, int], int]] = {}
    pairs: Dict[Any, _Pairs] = {}
    for row, (candidate, owner) in enumerate(zip(candidates, owners)):
        if candidate.first_cluster is not None:
            continue
        own = mentions.setdefault(owner, {})
        first, second = (own.setdefault(span, len(own)) for span in (candidate.first, candidate.second))
        for numbers, number in zip(pairs.setdefault(owner, _Pairs([], [], [])), (row, first, second)):
            numbers.append(number)
    return [(list(own), pairs[owner]) for owner, own in mentions.items()]


class _Ordered:
    """The pairs of a document as heads and tails, by how near they stand: first all as they are, then all reversed. A
    pair is there once, however often it is asked about: the same tokens may be a mention twice, with types of which
    only one is allowed. What is kept grows with the pairs, and not with the square of the mentions.

    spans (Sequence[Tuple[int, int]]): tokens from and to (exclusive) of mentions.
    pairs (_Pairs): P pairs of them.
    """

    def __init__(self, spans: Sequence[Tuple[int, int]], pairs: _Pairs) -> None:
        heads, tails = np.array([*pairs.first, *pairs.second]), np.array([*pairs.second, *pairs.first])
        _, self._which, self._pair = np.unique(heads * len(spans) + tails, return_index=True, return_inverse=True)
        heads, tails = heads[self._which], tails[self._which]
        starts, ends = np.array(spans).T
        # Tokens between the two, 0 where they touch or overlap.
        distance = np.maximum(np.maximum(starts[heads] - ends[tails], starts[tails] - ends[heads]), 0)
        self._sides = [_Side(ends, distance) for ends in (heads, tails)]

    def count(self, asked: np.ndarray) -> np.ndarray:
        """asked (numpy.ndarray): which pairs are asked about. *Shape:* (2 * P,)
        RETURNS (numpy.ndarray): of each pair how many tails stand nearer to its head than its own, of those that are
            asked about, and how many others there are; the same of heads; float32. *Shape:* (2 * P, COUNTS)
        """
        once = np.zeros(len(self._which), dtype=bool)
        once[self._pair[asked]] = True
        counts = np.concatenate([side.count(once) for side in self._sides], axis=1)
        return counts[self._pair].astype("float32")


class _Side:
    """Pairs that share an end, the nearest first.

    ends (numpy.ndarray): number of the mention that stands at this end of each pair. *Shape:* (pairs,)
    distance (numpy.ndarray): tokens between the two mentions of each. *Shape:* (pairs,)
    """

    def __init__(self, ends: np.ndarray, distance: np.ndarray) -> None:
        self._order = np.lexsort((distance, ends))
        key = ends.astype("int64") * (int(distance.max(initial=0)) + 1) + distance
        # In this order: where the pairs of an end begin and stop, and where those begin that are as far as a pair.
        self._first, self._last = (np.searchsorted(ends[self._order], ends, side) for side in ("left", "right"))
        self._as_far = np.searchsorted(key[self._order], key)

    def count(self, asked: np.ndarray) -> np.ndarray:
        """RETURNS (numpy.ndarray): of each pair, how many with its end are asked about and nearer, and how many others
        there are. *Shape:* (pairs, 2)
        """
        sums = np.concatenate([[0], asked[self._order].cumsum()])
        nearer = sums[self._as_far] - sums[self._first]
        others = sums[self._last] - sums[self._first] - asked
        return np.stack([nearer, others], axis=1)
