"""Losses over the scores of all ordered pairs of a document's entities, and over the labels of those with a relation.

Each takes the logits of a batch of documents as arrays, and gives the mean loss and its gradient for each document.
"""

from typing import List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ...training.losses import cross_entropy

Pair = Tuple[int, int]


def relation_loss(
    scores: Sequence[np.ndarray],
    related: Sequence[Optional[np.ndarray]],
    weight: float,
    known: Optional[Sequence[np.ndarray]] = None,
    whole: Optional[float] = None,
) -> Tuple[float, List[np.ndarray]]:
    """Binary cross-entropy, in which pairs with a relation have a weight. An entity with itself is left out.

    scores (Sequence[numpy.ndarray]): logits of each document, *Shape* (entities, entities).
    related (Sequence[Optional[numpy.ndarray]]): bool, which pairs hold a relation, of the same shape; None for a
        document of which it is not known.
    weight (float): weight of a pair with a relation.
    known (Optional[Sequence[numpy.ndarray]]): of which pairs it is known, bool, or how much each counts, of the same
        shape; all count 1 where None.
    whole (Optional[float]): the weight of all pairs of the batch, where these documents are a part of it.
    RETURNS (Tuple[float, List[numpy.ndarray]]): the loss and its gradients, float32.
    """
    total = 0.0
    gradients = []
    for i, (part, gold) in enumerate(zip(scores, related)):
        logits = np.asarray(part, dtype="float64")
        if gold is None:
            gradients.append(np.zeros_like(logits))
            continue
        weighed = _pair_weights(gold, weight, None if known is None else known[i])
        # log(1 + exp(x)) with x the score where there is no relation, else minus the score.
        with np.errstate(invalid="ignore"):  # the caller raises an error where the loss is NaN
            total += float((weighed * np.logaddexp(0.0, np.where(gold, -logits, logits))).sum())
        gradients.append(weighed * (1 / (1 + np.exp(-np.clip(logits, -500, 500))) - gold))
    weights = max(batch_weight(related, weight, known) if whole is None else whole, 1.0)
    return total / weights, [(gradient / weights).astype("float32") for gradient in gradients]


def batch_weight(
    related: Sequence[Optional[np.ndarray]], weight: float, known: Optional[Sequence[np.ndarray]] = None
) -> float:
    """RETURNS (float): the weight of all pairs of a batch; see `relation_loss`."""
    return sum(
        float(_pair_weights(gold, weight, None if known is None else known[i]).sum())
        for i, gold in enumerate(related)
        if gold is not None
    )


def _pair_weights(related: np.ndarray, weight: float, known: Optional[np.ndarray]) -> np.ndarray:
    weighed: np.ndarray = np.where(related, weight, 1.0)
    if known is not None:
        weighed *= known
    np.fill_diagonal(weighed, 0.0)
    return weighed


def label_loss(
    logits: Sequence[np.ndarray],
    labels: Sequence[Mapping[Pair, Sequence[int]]],
    known: Optional[Sequence[Optional[np.ndarray]]] = None,
    whole: Optional[int] = None,
) -> Tuple[float, List[np.ndarray]]:
    """Cross-entropy of the labels of the pairs with a relation; several labels share a pair's weight.

    logits (Sequence[numpy.ndarray]): logits of each document, *Shape* (entities, entities, labels).
    labels (Sequence[Mapping[Tuple[int, int], Sequence[int]]]): for each document the indexes of labels by pair, head
        first; at least one for each.
    known (Optional[Sequence[Optional[numpy.ndarray]]]): bool, the labels that each document was annotated for, *Shape*
        (labels,); all where None. Others are left out, unless a pair has them.
    whole (Optional[int]): how many pairs of the batch have labels, where these documents are a part of it.
    RETURNS (Tuple[float, List[numpy.ndarray]]): the loss and its gradients, float32.
    """
    gradients = [np.zeros(part.shape, dtype="float32") for part in logits]
    places = [(i, *pair) for i, found in enumerate(labels) for pair in found]
    if not places:
        return 0.0, gradients
    count = len(places) if whole is None else whole
    rows = np.stack([logits[i][head, tail] for i, head, tail in places])
    targets = [labels[i][head, tail] for i, head, tail in places]
    loss, slopes = cross_entropy(rows, targets, known=known_labels(rows.shape, places, targets, known))
    for (i, head, tail), slope in zip(places, slopes):
        gradients[i][head, tail] = slope / count
    return loss / count, gradients


def known_labels(
    shape: Tuple[int, ...],
    places: Sequence[Tuple[int, int, int]],
    targets: Sequence[Sequence[int]],
    known: Optional[Sequence[Optional[np.ndarray]]],
) -> Optional[np.ndarray]:
    """The labels that are known of pairs: those that their document was annotated for, and those that they have.

    shape (Tuple[int, int]): pairs and labels.
    places (Sequence[Tuple[int, int, int]]): each pair's document, head and tail.
    targets (Sequence[Sequence[int]]): the labels that each has.
    known (Optional[Sequence[Optional[numpy.ndarray]]]): see `label_loss`.
    RETURNS (Optional[numpy.ndarray]): bool, *Shape* (pairs, labels); None where all are known.
    """
    if known is None or all(known[i] is None for i, _, _ in places):
        return None
    result = np.ones(shape, dtype=bool)
    for row, ((i, _, _), own) in enumerate(zip(places, targets)):
        labels = known[i]
        if labels is not None:
            result[row] = labels
            result[row, list(own)] = True
    return result
