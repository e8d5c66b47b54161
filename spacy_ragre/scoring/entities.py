"""Entities of a predicted document in terms of the gold ones, for scores that count entities and not mentions."""

from collections import Counter
from typing import Dict, List, Optional, Sequence, Tuple

from spacy.tokens import Doc, Span
from spacy.training import Example

from ..relations import cluster_entities, entity_spans
from .offsets import Offsets, SolidOffsets

# A gold entity, ("cluster", index, 0), or what was predicted and is none, ("mention", start, end).
Argument = Tuple[str, int, int]


class EntityMap:
    """Finds the gold entity that a cluster or a mention of either document of an example names.

    example (Example): the example.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    """

    def __init__(self, example: Example, spans_key: Optional[str] = None) -> None:
        self.gold_offsets = SolidOffsets.of(example.reference, example.predicted)
        self.own_offsets = SolidOffsets.of(example.predicted, example.reference)
        self.gold_clusters = clusters_of(example.reference, spans_key)
        self._own = [self._all(cluster, self.own_offsets) for cluster in clusters_of(example.predicted, spans_key)]
        self._mentions: Dict[Argument, Tuple[Offsets, ...]] = {}
        self._owners: Dict[Offsets, List[int]] = {}
        for i, cluster in enumerate(self.gold_clusters):
            self._mentions["cluster", i, 0] = self._all(cluster, self.gold_offsets)
            for mention in self._mentions["cluster", i, 0]:
                self._owners.setdefault(mention, []).append(i)

    @staticmethod
    def _all(cluster: Sequence[Span], offsets: SolidOffsets) -> Tuple[Offsets, ...]:
        return tuple(offsets(mention) for mention in cluster)

    def mentions(self, argument: Argument) -> Tuple[Offsets, ...]:
        """RETURNS (Tuple[Tuple[int, int], ...]): character offsets of an argument's mentions."""
        return self._mentions[argument]

    def gold(self, span: Span, cluster: Optional[int]) -> Argument:
        """span (Span): a gold relation's mention.
        cluster (Optional[int]): its cluster, where the relation names it.
        RETURNS (Argument): the gold entity; the mention itself where it is in none.
        """
        if cluster is not None:
            return ("cluster", cluster, 0)
        return self._find((self.gold_offsets(span),), None)

    def predicted(self, span: Optional[Span], cluster: Optional[int]) -> Argument:
        """span (Optional[Span]): a predicted mention; it may be None where the cluster is given.
        cluster (Optional[int]): the index of a predicted cluster.
        RETURNS (Argument): the gold entity that shares most mentions; else the first mention.
        """
        if cluster is not None:
            return self._find(self._own[cluster], cluster)
        return self._find(() if span is None else (self.own_offsets(span),), None)

    def _find(self, mentions: Tuple[Offsets, ...], index: Optional[int]) -> Argument:
        found = Counter(owner for mention in mentions for owner in self._owners.get(mention, ()))
        if not found:
            self._mentions.setdefault(("mention", *mentions[0]), mentions)
            return ("mention", *mentions[0])
        # Two gold entities may share a mention: then the one at the same place in the list is meant.
        return ("cluster", max(found, key=lambda owner: (found[owner], owner == index, -owner)), 0)


def clusters_of(doc: Doc, spans_key: Optional[str]) -> List[List[Span]]:
    """RETURNS (List[List[Span]]): a document's entity clusters."""
    return [list(cluster) for cluster in cluster_entities(doc, entity_spans(doc, spans_key))]
