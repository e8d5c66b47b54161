"""What goes into the model with trained retrieval, and what comes out."""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from thinc.types import Floats2d

from .label_model import Prompts


class Preselected(NamedTuple):
    """The instances that an index found for the queries of a batch.

    positions (numpy.ndarray): each query's candidates in the store, *Shape* (queries, M).
    rows (numpy.ndarray): the same as rows of `keys`, int64, *Shape* (queries, M).
    allowed (numpy.ndarray): bool, which of them a query may use, *Shape* (queries, M).
    keys (numpy.ndarray): the keys that were kept, unit vectors, *Shape* (instances, key width).
    classes (numpy.ndarray): each instance's share of the classes, float32, *Shape* (instances, classes).
    read (Callable): gives the texts of rows of `keys`, for encoding them anew.
    """

    positions: Any
    rows: Any
    allowed: Any
    keys: Any
    classes: Any
    read: Callable[[Sequence[int]], List[str]]


class Batch(NamedTuple):
    """What the model takes: prompts that share nothing, the texts of their queries, and the index.

    prompts (Chunk): see `spacy_ragre.backbones.packing`.
    queries (List[str]): the text of each prompt's query.
    search (Callable): finds instances by the queries' keys, *Shape* (queries, key width).
    share (float): the part of a training step that this batch is, and of the instances that are encoded anew in it.
    """

    prompts: Prompts
    queries: List[str]
    search: Callable[[Any], Preselected]
    share: float = 1.0


class Selection(NamedTuple):
    """What was retrieved.

    positions (numpy.ndarray): each query's candidates in the store, *Shape* (queries, M).
    allowed (numpy.ndarray): bool, which of them a query may use, *Shape* (queries, M).
    similarity (numpy.ndarray): of queries and candidates, *Shape* (queries, M).
    weights (numpy.ndarray): each candidate's share of the k neighbours, *Shape* (queries, M).
    votes (numpy.ndarray): each class's share, of all neighbours' weight in training and of that of the k instances with
        most weight in prediction, *Shape* (queries, classes).
    """

    positions: Any
    allowed: Any
    similarity: Any
    weights: Any
    votes: Any


Output = Tuple[Floats2d, Optional[Selection]]
