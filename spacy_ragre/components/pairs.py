"""Pairs on their way from candidates to relations: what a pair may be, what was found, and how a document keeps it."""

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from spacy.tokens import Span

from ..candidates import Candidate
from ..relations import LabelSet


class Found(NamedTuple):
    """A relation that was found in a document.

    candidate (Candidate): the pair.
    label (str): its label.
    inverse (bool): True where the second mention is the head.
    score (float): its probability.
    evidence (Dict[str, Any]): what supported it.
    """

    candidate: Candidate
    label: str
    inverse: bool
    score: float
    evidence: Dict[str, Any]


def allowed_classes(candidates: Sequence[Candidate], labels: LabelSet) -> Any:
    """The classes that the labels' type constraints and the candidates' directions allow.

    candidates (Sequence[Candidate]): the pairs.
    labels (LabelSet): the labels.
    RETURNS (numpy.ndarray): bool, *Shape* (pairs, classes).
    """
    import numpy as np

    inverse = np.array([answer is not None and answer.inverse for answer in labels.classes])
    symmetric = np.array([answer is None or labels.specs[answer.label].symmetric for answer in labels.classes])
    # Thousands of candidates share a few combinations.
    known: Dict[Tuple[str, str, bool, bool], Any] = {}
    rows = []
    for candidate in candidates:
        types = (candidate.instance.first_type, candidate.instance.second_type)
        key = (*types, candidate.forward, candidate.inverse)
        if key not in known:
            direction = (inverse & candidate.inverse) | (~inverse & candidate.forward) | symmetric
            known[key] = np.array(labels.allowed(*types)) & direction
        rows.append(known[key])
    return np.array(rows, dtype=bool).reshape(len(rows), len(labels.classes))


def to_relations(found: Sequence[Found], spans: Sequence[Span]) -> List[Dict[str, Any]]:
    """What was found, as `doc._.relations` takes it.

    found (Sequence[Found]): the relations of one document.
    spans (Sequence[Span]): its mentions, which give heads and tails their entity types.
    RETURNS (List[Dict[str, Any]]): the relations as plain data.
    """
    types = {(span.start, span.end): span.label_ for span in spans}
    relations = []
    for item in found:
        pair = item.candidate
        first = (*pair.first, types.get(pair.first, pair.instance.first_type))
        second = (*pair.second, types.get(pair.second, pair.instance.second_type))
        order = -1 if item.inverse else 1
        head, tail = (first, second)[::order]
        head_cluster, tail_cluster = (pair.first_cluster, pair.second_cluster)[::order]
        relations.append(
            {
                "head": head,
                "tail": tail,
                "label": item.label,
                "score": item.score,
                "head_cluster": head_cluster,
                "tail_cluster": tail_cluster,
                "evidence": item.evidence,
            }
        )
    return relations
