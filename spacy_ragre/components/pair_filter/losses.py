"""Losses over the scores of all ordered pairs of a document's entities, and over the labels of those with a relation.

Each takes the logits of a batch of documents as arrays, and gives the mean loss and its gradient for each document.
"""

from typing import List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ...training.losses import cross_entropy

Pair = Tuple[int, int]


def relation_loss(
    scores: Sequence[np.ndarray], related: Sequence[Optional[np.ndarray]], weight: float
) -> Tuple[float, List[np.ndarray]]:
    """Binary cross-entropy, in which pairs with a relation have a weight. An entity with itself is left out.

    scores (Sequence[numpy.ndarray]): logits of each document, *Shape* (entities, entities).
    related (Sequence[Optional[numpy.ndarray]]): bool, which pairs hold a relation, of the same shape; None for a
        document of which it is not known.
    weight (float): weight of a pair with a relation.
    RETURNS (Tuple[float, List[numpy.ndarray]]): the loss and its gradients, float32.
    """
    total, weights = 0.0, 0.0
    gradients = []
    for part, gold in zip(scores, related):
        logits = np.asarray(part, dtype="float64")
        if gold is None:
            gradients.append(np.zeros_like(logits))
            continue
        weighed = np.where(gold, weight, 1.0)
        np.fill_diagonal(weighed, 0.0)
        # log(1 + exp(x)) with x the score where there is no relation, else minus the score.
        with np.errstate(invalid="ignore"):  # the caller raises an error where the loss is NaN
            total += float((weighed * np.logaddexp(0.0, np.where(gold, -logits, logits))).sum())
        weights += float(weighed.sum())
        gradients.append(weighed * (1 / (1 + np.exp(-np.clip(logits, -500, 500))) - gold))
    weights = max(weights, 1.0)
    return total / weights, [(gradient / weights).astype("float32") for gradient in gradients]


def label_loss(
    logits: Sequence[np.ndarray], labels: Sequence[Mapping[Pair, Sequence[int]]]
) -> Tuple[float, List[np.ndarray]]:
    """Cross-entropy of the labels of the pairs with a relation; several labels share a pair's weight.

    logits (Sequence[numpy.ndarray]): logits of each document, *Shape* (entities, entities, labels).
    labels (Sequence[Mapping[Tuple[int, int], Sequence[int]]]): for each document the indexes of labels by pair, head
        first; at least one for each.
    RETURNS (Tuple[float, List[numpy.ndarray]]): the loss and its gradients, float32.
    """
    gradients = [np.zeros(part.shape, dtype="float32") for part in logits]
    places = [(i, *pair) for i, found in enumerate(labels) for pair in found]
    if not places:
        return 0.0, gradients
    rows = np.stack([logits[i][head, tail] for i, head, tail in places])
    loss, slopes = cross_entropy(rows, [labels[i][head, tail] for i, head, tail in places])
    for (i, head, tail), slope in zip(places, slopes):
        gradients[i][head, tail] = slope / len(places)
    return loss / len(places), gradients
