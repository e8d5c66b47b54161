"""What a pair competes with: the likeliest other pair of its document that has its head or its tail under a label.

The reader of open labels judges every pair by itself. But of the pairs that share a head or a tail, most often one
holds, and the reader is surer of that one than of the others. So a pair's log-odds rise or fall by how much likelier it
is than its strongest rival, with a weight that was fitted with the weights of the reader; they are as the reader gives
them where a pair leads by as much as relations do on average.
"""

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from ...candidates import Candidate
from ...entity_types import TypeRules
from ...instances import Instance
from ...labels import LabelSet
from ...llm.remote.backbone import Documents
from .annotations import allowed_classes
from .label_words import class_numbers
from .open_labels import OpenText, class_scores

# "weight", and the "centre" that is taken off a lead.
Settings = Mapping[str, float]
# Scores of pairs of mentions that are compared at once: labels times mentions times mentions.
MOST_COMPARED = 1_000_000


class _Pairs(NamedTuple):
    """The pairs of a document: their rows, the numbers of the mentions that come first and second, and the mentions'
    names in lower case.
    """

    rows: List[int]
    first: List[int]
    second: List[int]
    names: List[str]


def rival_odds(
    scores: np.ndarray,
    candidates: Sequence[Candidate],
    labels: LabelSet,
    rules: TypeRules,
    documents: Documents,
    settings: Settings,
) -> np.ndarray:
    """scores (numpy.ndarray): log-odds that each class holds. *Shape:* (pairs, classes)
    candidates (Sequence[Candidate]): the pairs.
    labels (LabelSet): the labels.
    rules (TypeRules): which types may stand for others.
    documents (Optional[Sequence[int]]): the number of each pair's document. Where None, pairs of one id are of one
        document, and those without an id where they have one text.
    settings (Mapping[str, float]): how much a lead counts, and what is taken off it.
    RETURNS (numpy.ndarray): what is to be added to the log-odds, float32, 0 for class 0, for what types don't allow,
        and for pairs of clusters. *Shape:* (pairs, classes)
    """
    leads = find_leads(scores, candidates, labels, rules, documents)
    odds = np.where(np.isnan(leads), 0.0, settings["weight"] * (leads - settings["centre"]))
    return odds.astype("float32")


def find_leads(
    scores: np.ndarray,
    candidates: Sequence[Candidate],
    labels: LabelSet,
    rules: TypeRules,
    documents: Documents = None,
) -> np.ndarray:
    """scores, candidates, labels, rules, documents: see `rival_odds`.
    RETURNS (numpy.ndarray): the probability, from 0 to 1, that a pair holds rather than its strongest rival: 0.5 where
        both are as likely, 1 where it has none; NaN for class 0, for what types don't allow, and for pairs of clusters.
        Rivals are pairs that are asked about, and whose types the label allows, with the pair's head and a tail of
        another name, or its tail and a head of another name. *Shape:* (pairs, classes)
    """
    leads = np.full(scores.shape, np.nan, dtype="float32")
    ahead, back = np.array(class_numbers(labels), dtype=int).reshape(-1, 2).T
    for pairs in _by_document(candidates, documents):
        allowed = allowed_classes([candidates[row] for row in pairs.rows], labels, rules)
        own = np.where(allowed, scores[pairs.rows], -np.inf)
        rows = np.array(pairs.rows)[:, None]
        most = max(1, MOST_COMPARED // len(pairs.names) ** 2)
        for begin in range(0, len(ahead), most):
            columns = slice(begin, begin + most)
            forward, backward = _lead(own[:, ahead[columns]], own[:, back[columns]], pairs)
            # Of a symmetric label, both are the same.
            leads[rows, back[columns]] = backward
            leads[rows, ahead[columns]] = forward
        leads[pairs.rows] = np.where(allowed, leads[pairs.rows], np.nan)
    return leads


def rivals_of_rows(
    odds: np.ndarray,
    instances: Sequence[Instance],
    places: Sequence[Tuple[int, int, int]],
    texts: Sequence[OpenText],
    labels: LabelSet,
    rules: TypeRules,
    settings: Settings,
) -> np.ndarray:
    """The same for pairs of texts that are read in both directions; pairs of one text are each other's rivals.

    odds (numpy.ndarray): their log-odds, the same both ways where a label is symmetric. *Shape:* (rows, L)
    instances (Sequence[Instance]): the pairs.
    places, texts: as `group_pairs` gives them.
    labels, rules, settings: see `rival_odds`.
    RETURNS (numpy.ndarray): what is to be added to log-odds, float32. *Shape:* (rows, L)
    """
    candidates = [Candidate(instance.first, instance.second, instance) for instance in instances]
    firsts = np.cumsum([0, *(len(text.all_pairs()) for text in texts)])
    scores = class_scores(np.split(odds, firsts[1:-1]), places, labels)
    added = rival_odds(scores, candidates, labels, rules, [text for text, _, _ in places], settings)
    ahead_columns, back_columns = np.array(class_numbers(labels), dtype=int).reshape(-1, 2).T
    out = np.zeros(odds.shape, dtype="float32")
    for (text, ahead, back), row in zip(places, added):
        out[firsts[text] + ahead], out[firsts[text] + back] = row[ahead_columns], row[back_columns]
    return out


def _by_document(candidates: Sequence[Candidate], documents: Documents) -> Iterator[_Pairs]:
    """YIELDS (_Pairs): the pairs of each document, without those of clusters."""
    owners: Sequence[Any] = [c.instance.id or c.instance.text for c in candidates] if documents is None else documents
    mentions: Dict[Any, Dict[Tuple[int, int], int]] = {}
    pairs: Dict[Any, _Pairs] = {}
    for row, (candidate, owner) in enumerate(zip(candidates, owners)):
        if candidate.first_cluster is not None:
            continue
        own, found = mentions.setdefault(owner, {}), pairs.setdefault(owner, _Pairs([], [], [], []))
        instance = candidate.instance
        numbers = []
        for tokens, (start, end) in ((candidate.first, instance.first), (candidate.second, instance.second)):
            if tokens not in own:
                own[tokens] = len(own)
                found.names.append(instance.text[start:end].lower())
            numbers.append(own[tokens])
        found.rows.append(row)
        found.first.append(numbers[0])
        found.second.append(numbers[1])
    yield from pairs.values()


def _lead(forward: np.ndarray, backward: np.ndarray, pairs: _Pairs) -> Tuple[np.ndarray, np.ndarray]:
    """RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): how sure it is that the pairs of a document hold rather than their
    strongest rivals, as they stand and reversed. *Shape* of all arrays: (pairs, L)
    """
    count = len(pairs.names)
    first, second = np.array(pairs.first), np.array(pairs.second)
    ways = (first * count + second, forward), (second * count + first, backward)
    # By label, head and tail. The same tokens may be a mention twice, with types of which only one is allowed.
    table = np.full((count * count, forward.shape[1]), -np.inf)
    for cells, scores in ways:
        np.maximum.at(table, cells, scores)
    cube = table.T.reshape(-1, count, count)
    names = np.unique(pairs.names, return_inverse=True)[1]
    best = np.maximum(_best_other(cube, names), _best_other(cube.transpose(0, 2, 1), names).transpose(0, 2, 1))
    rivals = best.reshape(table.T.shape).T
    with np.errstate(invalid="ignore", over="ignore"):
        ahead, back = (1 / (1 + np.exp(rivals[cells] - scores)) for cells, scores in ways)
    return ahead, back


def _best_other(table: np.ndarray, names: np.ndarray) -> np.ndarray:
    """RETURNS (numpy.ndarray): in each row, the best of the columns that have another name. *Shape* of both: (L, n, n)

    names (numpy.ndarray): numbers of the columns' names from 0 on, each of which some column has. *Shape:* (n,)
    """
    order = names.argsort(kind="stable")
    begins = np.searchsorted(names[order], np.arange(names.max() + 1))
    by_name = np.maximum.reduceat(table[:, :, order], begins, axis=2)
    top = by_name.argmax(axis=2)[:, :, None]
    best = np.take_along_axis(by_name, top, axis=2)
    np.put_along_axis(by_name, top, -np.inf, axis=2)
    return np.where(names == top, by_name.max(axis=2, keepdims=True), best)
