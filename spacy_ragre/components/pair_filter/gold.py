"""What a filter of candidate pairs learns of an example."""

from itertools import product
from typing import Callable, Collection, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from spacy.tokens import Doc
from spacy.training import Example

from ...coreference import owners_of
from ...pair_weights import weights_by_place
from ...relations import get_relations, has_relations
from .encoders import PairInput

Labels = Dict[Tuple[int, int], List[str]]


class GoldPairs(NamedTuple):
    """The gold entities of an example, and which pairs of them hold a relation.

    item (PairInput): the predicted document with the gold entities.
    related (Optional[numpy.ndarray]): bool, head by tail, *Shape* (entities, entities); None where it is not known.
    labels (Dict[Tuple[int, int], List[str]]): the labels of the pairs with a relation, head first.
    annotated (Optional[FrozenSet[str]]): the labels that the document was annotated for; None for all.
    complete (bool): whether a pair without a relation is known to have none.
    weights (Optional[numpy.ndarray]): how much pairs count, from 0 to 1, *Shape* (entities, entities); 1 where None.
    """

    item: PairInput
    related: Optional[np.ndarray]
    labels: Labels
    annotated: Optional[FrozenSet[str]] = None
    complete: bool = True
    weights: Optional[np.ndarray] = None

    @property
    def has_pairs(self) -> bool:
        """RETURNS (bool): whether something can be learned."""
        return self.related is not None and len(self.related) > 1 and (self.complete or bool(self.labels))

    @property
    def known(self) -> np.ndarray:
        """RETURNS (numpy.ndarray): bool, of which pairs it is known whether they hold a relation, head by tail, *Shape*
        (entities, entities). An entity with itself is no pair.
        """
        known = np.zeros((len(self.item.clusters),) * 2, dtype=bool)
        if self.related is not None:
            known = self.related | self.complete
        if self.weights is not None:
            known = known & (self.weights > 0)
        np.fill_diagonal(known, False)
        return known

    @property
    def counted(self) -> np.ndarray:
        """RETURNS (numpy.ndarray): how much each pair counts, 0 for those that are not known, of the same shape."""
        return self.known if self.weights is None else self.known * self.weights


def gold_pairs(
    example: Example, make_input: Callable[[Doc], PairInput], everything: Optional[Collection[str]] = None
) -> GoldPairs:
    """The gold entities of an example on the tokens of its predicted document. Mentions that don't fit are left out,
    and so are entities without any mention that does.

    example (Example): the example.
    make_input (Callable[[Doc], PairInput]): gives a document's entities.
    everything (Optional[Collection[str]]): all labels. In a document that was not annotated for all of them, a pair
        without a relation may hold one that nobody looked for. None where they are not known.
    RETURNS (GoldPairs): the entities and what they hold.
    """
    reference, doc = example.reference, example.predicted
    item = make_input(reference)
    labels, weights = _labels(reference, item), _weights(reference, item)
    if [token.text for token in doc] == [token.text for token in reference]:
        item = item._replace(doc=doc)
    else:
        clusters = [_align(example, cluster) for cluster in item.clusters]
        kept = {i: place for place, i in enumerate(i for i, cluster in enumerate(clusters) if cluster)}
        item = PairInput(doc, [clusters[i] for i in kept], [item.types[i] for i in kept])
        labels = {(kept[h], kept[t]): names for (h, t), names in labels.items() if h in kept and t in kept}
        weights = None if weights is None else weights[np.ix_(list(kept), list(kept))]
    related = np.zeros((len(item.clusters),) * 2, dtype=bool)
    for pair in labels:
        related[pair] = True
    names = reference._.annotated_labels
    annotated = None if names is None else frozenset(names)
    complete = annotated is None or (everything is not None and annotated.issuperset(everything))
    return GoldPairs(item, related if has_relations(reference) else None, labels, annotated, complete, weights)


def _labels(doc: Doc, item: PairInput) -> Labels:
    """The labels of the ordered pairs of entities that hold a relation."""
    owners = owners_of(item.clusters)
    labels: Labels = {}
    for rel in get_relations(doc):
        ends = [
            owners.get((span.start, span.end), []) if index is None else [index]
            for span, index in ((rel.head, rel.head_cluster), (rel.tail, rel.tail_cluster))
        ]
        for head, tail in product(*ends):
            known = labels.setdefault((head, tail), []) if head != tail else [rel.label]
            if rel.label not in known:
                known.append(rel.label)
    return labels


def _weights(doc: Doc, item: PairInput) -> Optional[np.ndarray]:
    """How much the pairs of entities count, *Shape* (entities, entities); None where all count 1."""
    by_place = weights_by_place(doc)
    if not by_place:
        return None
    owners = owners_of(item.clusters)
    weights = np.ones((len(item.clusters),) * 2)
    for (first, second), weight in by_place.items():
        for pair in product(owners.get(first, ()), owners.get(second, ())):
            weights[pair] = weight
    return weights


def _align(example: Example, cluster: Sequence[Tuple[int, int]]) -> List[Tuple[int, int]]:
    """A gold entity's mentions on the tokens of the predicted document; those that don't fit are left out."""
    spans = [example.reference[start:end] for start, end in cluster]
    aligned = example.get_aligned_spans_y2x(spans, allow_overlap=True)
    return [(span.start, span.end) for span in aligned]
