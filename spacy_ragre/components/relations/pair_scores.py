"""Scores of pairs, and of pairs of entity clusters, which a reader of sentences answers from pairs of mentions."""

from typing import TYPE_CHECKING, Any, List, NamedTuple, Sequence, Tuple, Union

from ...candidates import Candidate
from ...instances import Instance
from ...llm.remote.backbone import Documents
from ...retrieval import Neighbour

if TYPE_CHECKING:
    import numpy as np


class LabelScores(NamedTuple):
    """Scores of pairs.

    scores (numpy.ndarray): *Shape* (pairs, classes).
    neighbours (List[List[Neighbour]]): the examples that were found for each pair, most similar first.
    """

    scores: Any
    neighbours: List[List[Neighbour]]


def mention_pairs(
    candidates: Sequence[Candidate], documents: Documents = None
) -> "Tuple[List[Instance], np.ndarray, Documents]":
    """The texts to read for pairs.

    candidates (Sequence[Candidate]): the pairs.
    documents (Optional[Sequence[int]]): the number of each one's document.
    RETURNS (Tuple[List[Instance], numpy.ndarray, Optional[Sequence[int]]]): of each pair its pairs of mentions, one
        after the other: those that stand near each other, or the nearest one where none does; where those of each pair
        begin, *Shape* (pairs,); and the documents of all of them.
    """
    import numpy as np

    groups = [candidate.mention_pairs or (candidate.instance,) for candidate in candidates]
    starts = np.cumsum([0, *map(len, groups)])[:-1]
    owners = None if documents is None else [number for number, group in zip(documents, groups) for _ in group]
    return [instance for group in groups for instance in group], starts, owners


def likeliest(scored: LabelScores, starts: "np.ndarray", added: "Union[float, np.ndarray]" = 0.0) -> LabelScores:
    """A relation of two clusters is as likely as it is where it is likeliest.

    scored (LabelScores): of pairs of mentions, in log-odds.
    starts (numpy.ndarray): as `mention_pairs` gave them.
    added (Union[float, numpy.ndarray]): what is added to the log-odds of each pair. *Shape:* (pairs, classes)
    RETURNS (LabelScores): of pairs, with what was found for their nearest mentions.
    """
    import numpy as np

    best = np.maximum.reduceat(scored.scores, starts, axis=0)
    return LabelScores(best + added, [scored.neighbours[at] for at in starts])
