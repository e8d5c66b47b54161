"""What goes into the model with trained retrieval, and what its retriever gives."""

from typing import TYPE_CHECKING, Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from ...llm.label_model import Prompts

if TYPE_CHECKING:
    from torch import Tensor


class Preselected(NamedTuple):
    """The instances that an index found for the queries of a batch.

    positions (numpy.ndarray): each query's candidates in the store, *Shape* (queries, M).
    rows (numpy.ndarray): the same as rows of `keys`, int64, *Shape* (queries, M).
    allowed (numpy.ndarray): bool, which of them a query may use, *Shape* (queries, M).
    keys (numpy.ndarray): the keys that were kept, unit vectors, *Shape* (instances, key width).
    classes (numpy.ndarray): each instance's share of the classes, float32, *Shape* (instances, classes).
    read (Callable): gives the texts of rows of `keys`, for encoding them again.
    """

    positions: np.ndarray
    rows: np.ndarray
    allowed: np.ndarray
    keys: np.ndarray
    classes: np.ndarray
    read: Callable[[Sequence[int]], List[str]]


class Batch(NamedTuple):
    """What the model takes: prompts that share nothing, and their soft prompts.

    prompts (PackedBatch): see `spacy_ragre.llm.attention.packing`.
    vectors (torch.Tensor): what stands before each prompt, *Shape* (prompts, vectors, width).
    """

    prompts: Prompts
    vectors: "Tensor"


class Selection(NamedTuple):
    """What was retrieved.

    positions (numpy.ndarray): each query's candidates in the store, *Shape* (queries, M).
    allowed (numpy.ndarray): bool, which of them a query may use, *Shape* (queries, M).
    similarity (numpy.ndarray): of queries and candidates, *Shape* (queries, M).
    weights (numpy.ndarray): each candidate's share of the k neighbours, *Shape* (queries, M).
    votes (numpy.ndarray): each class's share, of all neighbours' weight in training and of that of the k instances with
        most weight in prediction, *Shape* (queries, classes).
    """

    positions: np.ndarray
    allowed: np.ndarray
    similarity: np.ndarray
    weights: np.ndarray
    votes: np.ndarray


class Retrieved(NamedTuple):
    """What the retriever gives.

    vectors (torch.Tensor): the queries' soft prompts, *Shape* (queries, vectors, width), without a gradient.
    selection (Optional[Selection]): what was retrieved; None without retrieval.
    """

    vectors: "Tensor"
    selection: Optional[Selection]


# Finds instances by the queries' keys, *Shape* (queries, key width).
Search = Callable[[np.ndarray], Preselected]
