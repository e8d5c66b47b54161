"""Candidates and what is known of them: gold relations and the labels' type constraints."""

from dataclasses import replace
from itertools import product
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from spacy.tokens import Doc, Span

from ..entity_types import STRICT, TypeRules
from ..instances import Answer
from ..labels import LabelSet
from ..pair_weights import weights_by_place
from ..relations import Relation, cluster_entities, get_relations
from .base import Candidate

# What tells a pair of arguments: cluster indexes, or token offsets at sentence level.
_Key = Tuple[object, object]


def label_candidates(
    doc: Doc,
    candidates: Sequence[Candidate],
    spans: Optional[Sequence[Span]] = None,
    known: Optional[LabelSet] = None,
) -> List[Candidate]:
    """Fill in the answers of candidates from `doc._.relations`.

    A sentence-level candidate has the relations between exactly its two mentions. A candidate of two clusters has
    the relations with those cluster indexes, and those without cluster indexes between any of their mentions. Only
    the directions that the candidate asks for are filled in; a symmetric label holds in both, and is given once. Which
    labels the document was annotated for (`doc._.annotated_labels`) goes along: of others, a pair without relation says
    nothing. So does how much a pair counts (see `pair_weights`).

    doc (Doc): the document with gold relations.
    candidates (Sequence[Candidate]): candidates of that same document.
    spans (Optional[Sequence[Span]]): the entity mentions that the candidates were made from; `doc.ents` if None.
    known (Optional[LabelSet]): the labels, which tell what is symmetric; nothing is if None.
    RETURNS (List[Candidate]): the candidates, in the same order, each with `instance.answers`, `instance.annotated` and
        `instance.weight` set.
    """
    relations: Dict[_Key, List[str]] = {}
    for relation, keys in _keyed_relations(doc, candidates, spans, known):
        for key in keys:
            own = relations.setdefault(key, [])
            if relation.label not in own:
                own.append(relation.label)
    labels = doc._.annotated_labels
    annotated = None if labels is None else frozenset(labels)
    weights = _keyed_weights(doc, candidates, spans)
    result = []
    for candidate in candidates:
        answers = dict.fromkeys(
            Answer(label, inverse and not _is_symmetric(label, known))
            for key, inverse in _asked(candidate)
            for label in relations.get(key, ())
        )
        weight = next((weights[key] for key, _ in _asked(candidate) if key in weights), 1.0)
        instance = replace(candidate.instance, answers=tuple(answers), annotated=annotated, weight=weight)
        result.append(replace(candidate, instance=instance))
    return result


def _is_symmetric(label: str, known: Optional[LabelSet]) -> bool:
    return known is not None and label in known and known.specs[label].symmetric


def unreached(
    doc: Doc,
    candidates: Sequence[Candidate],
    spans: Optional[Sequence[Span]] = None,
    known: Optional[LabelSet] = None,
) -> List[Relation]:
    """The gold relations that no candidate asks for: an upper bound on recall is lost with them.

    doc (Doc): the document with gold relations.
    candidates (Sequence[Candidate]): candidates of that same document.
    spans (Optional[Sequence[Span]]): the entity mentions that the candidates were made from; `doc.ents` if None.
    known (Optional[LabelSet]): the labels, which tell what is symmetric; nothing is if None.
    RETURNS (List[Relation]): the relations that are out of reach.
    """
    asked: Set[_Key] = {key for candidate in candidates for key, _ in _asked(candidate)}
    return [rel for rel, keys in _keyed_relations(doc, candidates, spans, known) if asked.isdisjoint(keys)]


def is_near(candidate: Candidate, relation: Relation) -> bool:
    """Whether a pair's mentions overlap with those of a relation, in either order: with "Bill Gates" as the relation's
    head, a pair with "Mr Bill Gates" is near.

    candidate (Candidate): the pair.
    relation (Relation): a gold relation of the same document.
    RETURNS (bool): whether they overlap.
    """
    head, tail = (relation.head.start, relation.head.end), (relation.tail.start, relation.tail.end)
    ends = ((candidate.first, candidate.second), (candidate.second, candidate.first))
    return any(_overlap(one, head) and _overlap(other, tail) for one, other in ends)


def _overlap(one: Tuple[int, int], other: Tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def filter_by_types(candidates: Sequence[Candidate], labels: LabelSet, types: TypeRules = STRICT) -> List[Candidate]:
    """Drop the pairs that can hold no relation, because no label allows their entity types.

    candidates (Sequence[Candidate]): the candidates.
    labels (LabelSet): the labels with their type constraints.
    types (TypeRules): which types may stand for others.
    RETURNS (List[Candidate]): those for which a label is allowed in a direction that they ask for.
    """
    directions: Dict[Tuple[str, str], Tuple[bool, bool]] = {}
    result = []
    for candidate in candidates:
        pair = (candidate.instance.first_type, candidate.instance.second_type)
        if pair not in directions:
            directions[pair] = _allowed_directions(labels, *pair, types)
        forward, inverse = directions[pair]
        if (forward and candidate.forward) or (inverse and candidate.reversed):
            result.append(candidate)
    return result


def _allowed_directions(labels: LabelSet, first_type: str, second_type: str, types: TypeRules) -> Tuple[bool, bool]:
    forward = inverse = False
    for answer, allowed in zip(labels.classes, labels.allowed(first_type, second_type, types)):
        if answer is not None and allowed:
            symmetric = labels.specs[answer.label].symmetric
            forward = forward or symmetric or not answer.reversed
            inverse = inverse or symmetric or answer.reversed
    return forward, inverse


def _asked(candidate: Candidate) -> Iterator[Tuple[_Key, bool]]:
    """The argument pairs that a candidate asks for, with whether they are inverse."""
    first: object = candidate.first if candidate.first_cluster is None else candidate.first_cluster
    second: object = candidate.second if candidate.second_cluster is None else candidate.second_cluster
    if candidate.forward:
        yield (first, second), False
    if candidate.reversed:
        yield (second, first), True


def _keyed_relations(
    doc: Doc, candidates: Sequence[Candidate], spans: Optional[Sequence[Span]], known: Optional[LabelSet]
) -> List[Tuple[Relation, List[_Key]]]:
    """The gold relations with the argument pairs that would reach them, turned ones too where that is the same."""
    members = _members(doc, candidates, spans)
    result = []
    for relation in get_relations(doc):
        head, tail = (relation.head.start, relation.head.end), (relation.tail.start, relation.tail.end)
        heads = members.get(head, []) if relation.head_cluster is None else [relation.head_cluster]
        tails = members.get(tail, []) if relation.tail_cluster is None else [relation.tail_cluster]
        keys: List[_Key] = [(head, tail)]
        keys.extend((h, t) for h in heads for t in tails)
        if _is_symmetric(relation.label, known):
            keys.extend([(second, first) for first, second in keys])
        result.append((relation, keys))
    return result


def _keyed_weights(doc: Doc, candidates: Sequence[Candidate], spans: Optional[Sequence[Span]]) -> Dict[_Key, float]:
    """How much pairs count, by the argument pairs that reach them: a pair of clusters as any of its mentions."""
    weights: Dict[_Key, float] = {}
    by_place = weights_by_place(doc)
    members = _members(doc, candidates, spans) if by_place else {}
    for (first, second), weight in by_place.items():
        weights[first, second] = weight
        for pair in product(members.get(first, ()), members.get(second, ())):
            weights.setdefault(pair, weight)
    return weights


def _members(
    doc: Doc, candidates: Sequence[Candidate], spans: Optional[Sequence[Span]]
) -> Dict[Tuple[int, int], List[int]]:
    """The clusters that a mention is in, by its token offsets; none where candidates are of mentions alone."""
    members: Dict[Tuple[int, int], List[int]] = {}
    if any(candidate.first_cluster is not None for candidate in candidates):
        for i, cluster in enumerate(cluster_entities(doc, doc.ents if spans is None else spans)):
            for span in cluster:
                members.setdefault((span.start, span.end), []).append(i)
    return members
