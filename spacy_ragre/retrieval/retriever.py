"""The retriever: an encoder and the store of examples that it encoded."""

import tempfile
from pathlib import Path, PurePosixPath
from typing import Any, Collection, Dict, Iterable, List, Optional, Sequence, Union

import numpy as np
import srsly

from ..errors import Errors
from ..files import existing, replace_folder
from ..instances import Instance
from ..labels import LabelSet
from ..registry import registry
from ..training.locks import one_at_a_time
from .encoders import Encoder
from .indexes import IndexKind
from .mapped import MappedStore
from .opening import open_store, unpack_store
from .packing import unpack_files
from .store import ExampleStore, Neighbour, Store

# Neighbours of a query where nobody says how many.
DEFAULT_K = 8

_STORE = "store"
_ENCODER = "encoder"


@registry.ragre_retrievers("ragre.Retriever.v1")
def create_retriever(
    encoder: Encoder, k: int = DEFAULT_K, index: IndexKind = "flat", mapped: bool = False
) -> "Retriever":
    """Registered maker of `Retriever`; see there for the arguments."""
    return Retriever(encoder, k=k, index=index, mapped=mapped)


class Retriever:
    """Finds labelled instances that are like a query. Threads may add, remove and retrieve: they take turns.

    encoder (Encoder): makes the keys. Not called where keys are given.
    k (int): how many neighbours a query gets where `retrieve` is not told. Components tell it.
    index (str): index kind: "flat" (exact), "hnsw" or "ivfpq" (approximate, for hundreds of thousands of examples).
    mapped (bool): once saved, keep keys, index and examples in files that are mapped into memory, for stores that are
        large.
    """

    def __init__(
        self, encoder: Encoder, *, k: int = DEFAULT_K, index: IndexKind = "flat", mapped: bool = False
    ) -> None:
        if k < 1:
            raise ValueError(Errors.R202.format(setting="k", value=k, what="the retriever", expected="use at least 1"))
        self.encoder = encoder
        self.k = k
        self.index = index
        self.mapped = mapped
        self.store: Store = MappedStore(index) if mapped else ExampleStore(index)

    def __len__(self) -> int:
        """RETURNS (int): the number of examples."""
        return len(self.store)

    def fresh(self, name: str = "") -> "Retriever":
        """Make a retriever for other examples, with the same encoder and settings.

        name (str): tells it from others that are made of this one, where examples are kept in a database.
        RETURNS (Retriever): the retriever.
        """
        return Retriever(self.encoder, k=self.k, index=self.index, mapped=self.mapped)

    @one_at_a_time
    def add(self, instances: Sequence[Instance], keys: Optional[np.ndarray] = None) -> None:
        """Add examples. No training is needed for them to be found.

        instances (Sequence[Instance]): the examples.
        keys (Optional[np.ndarray]): their keys, where they were computed elsewhere. *Shape* (len(instances), width).
        """
        if not len(instances):
            return
        if len(self.store):
            self._check_fingerprint()
        if keys is None:
            keys = self.encoder.encode_examples(instances)
        self.store.fingerprint = self.encoder.fingerprint
        self.store.add(instances, keys)

    @one_at_a_time
    def remove(self, ids: Collection[str] = (), texts: Collection[str] = ()) -> int:
        """Remove examples. They are not found any more from now on.

        ids (Collection[str]): ids of their documents.
        texts (Collection[str]): their texts, without regard to case and white space.
        RETURNS (int): how many were removed.
        """
        return self.store.remove(ids, texts)

    def clear(self) -> None:
        """Forget all examples, for example because the encoder was tuned."""
        self.store = self.fresh().store

    @one_at_a_time
    def retrieve(
        self,
        instances: Sequence[Instance],
        k: Optional[int] = None,
        keys: Optional[np.ndarray] = None,
        leak_free: bool = True,
    ) -> List[List[Neighbour]]:
        """Find examples for queries.

        instances (Sequence[Instance]): the queries.
        k (Optional[int]): how many to find for each; the retriever's own `k` where None.
        keys (Optional[np.ndarray]): the queries' keys, where they were computed elsewhere. *Shape*
            (len(instances), width).
        leak_free (bool): never find an example that has the query's text or id.
        RETURNS (List[List[Neighbour]]): neighbours of each query, best first; fewer than k where the store has
            fewer.
        """
        if not len(instances) or not len(self.store):
            return [[] for _ in instances]
        if keys is None:
            keys = self.query_keys(instances)
        elif len(keys) != len(instances):
            expected = f"({len(instances)}, {self.store.width})"
            raise ValueError(Errors.R204.format(shape=np.shape(keys), expected=expected))
        return self.store.search(keys, self.k if k is None else k, instances if leak_free else None)

    def query_keys(self, instances: Sequence[Instance]) -> np.ndarray:
        """Encode queries for `retrieve`, as for several stores of one encoder.

        instances (Sequence[Instance]): the queries.
        RETURNS (np.ndarray): their keys, *Shape* (len(instances), width).
        """
        self._check_fingerprint()
        return self.encoder.encode_queries(instances)

    def build(self, path: Union[str, Path], chunks: Iterable[Sequence[Instance]]) -> int:
        """Encode examples in a stream and write them as a mapped store, of which no more than a chunk is in memory. The
        retriever itself stays as it is; `from_disk` loads what was written.

        path (Union[str, Path]): the folder, which is replaced. Errors are those of `ExampleStore.to_disk`.
        chunks (Iterable[Sequence[Instance]]): the examples, some hundreds at a time.
        RETURNS (int): how many there are.
        """
        with replace_folder(Path(path), (_STORE, _ENCODER)) as temporary:
            self.encoder.to_disk(temporary / _ENCODER)
            encoded = ((chunk, self.encoder.encode_examples(chunk)) for chunk in chunks)
            return MappedStore.build(temporary / _STORE, self.index, encoded, fingerprint=self.encoder.fingerprint)

    @one_at_a_time
    def to_disk(self, path: Union[str, Path]) -> None:
        """Save the store and, where they were tuned, the encoder's weights, in place of what is there.

        path (Union[str, Path]): the folder. Errors are those of `ExampleStore.to_disk`.
        """
        if len(self.store):
            self._check_fingerprint()
        with replace_folder(Path(path), (_STORE, _ENCODER)) as temporary:
            self.encoder.to_disk(temporary / _ENCODER)
            self.store.write(temporary / _STORE)

    def from_disk(self, path: Union[str, Path]) -> "Retriever":
        """Load what `to_disk` saved.

        path (Union[str, Path]): the folder.
        RETURNS (Retriever): the retriever itself. Errors are those of `ExampleStore.from_disk`.
        """
        path = existing(Path(path))
        if not path.exists():
            raise OSError(Errors.R210.format(file=path))
        self.encoder.from_disk(path / _ENCODER)
        self.store = self._load_store(path / _STORE)
        return self

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): the store and, where they were tuned, the encoder's weights."""
        if len(self.store):
            self._check_fingerprint()
        data = {_STORE: self.store.to_bytes()}
        with tempfile.TemporaryDirectory() as folder:
            self.encoder.to_disk(Path(folder))
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    data[f"{_ENCODER}/{file.relative_to(folder).as_posix()}"] = file.read_bytes()
        return bytes(srsly.msgpack_dumps(data))

    def from_bytes(self, data: bytes) -> "Retriever":
        """Load what `to_bytes` gave.

        data (bytes): the message.
        RETURNS (Retriever): the retriever itself.
        """
        files = unpack_files(data)
        if _STORE not in files:
            raise ValueError(Errors.R211.format(file="bytes", problem="it holds no store"))
        store = files.pop(_STORE)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                parts = PurePosixPath(name).parts
                # A name is data, and must not lead out of the folder.
                if len(parts) < 2 or parts[0] != _ENCODER or ".." in parts:
                    raise ValueError(Errors.R211.format(file="bytes", problem=f"the file name {name!r} is odd"))
                file = Path(folder).joinpath(*parts[1:])
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            self.encoder.from_disk(Path(folder))
        self.store = self._unpack_store(store)
        return self

    def _load_store(self, folder: Path) -> Store:
        return open_store(folder, fingerprint=self.encoder.fingerprint)

    def _unpack_store(self, data: bytes) -> Store:
        return unpack_store(data, fingerprint=self.encoder.fingerprint)

    def _check_fingerprint(self) -> None:
        expected = self.encoder.fingerprint
        if self.store.fingerprint != expected:
            raise ValueError(Errors.R216.format(found=self.store.fingerprint[:12], expected=expected[:12]))


def neighbour_distribution(
    neighbours: Sequence[Sequence[Neighbour]], labels: LabelSet, temperature: float, several: bool = False
) -> np.ndarray:
    """How the neighbours answer: a softmax over similarity / temperature, summed for each class.

    This is the k-nearest-neighbour distribution of kNN-LM (Khandelwal et al. 2020, arXiv 1911.00172), with cosine
    similarity in place of negative distance. A neighbour without answers gives its weight to class 0, and one whose
    answers are not known is left out. So is, for one answer a query, a neighbour without answers that was not annotated
    for all labels; for several, each label's share is that among the neighbours that were annotated for it.

    neighbours (Sequence[Sequence[Neighbour]]): the neighbours of each query.
    labels (LabelSet): the classes. A neighbour with a label that is not among them raises a ValueError.
    temperature (float): above 0; a small one trusts the nearest alone.
    several (bool): whether a query may have several answers. Then a neighbour with several gives all of its weight to
        each of them; else it shares it among them, so that each row sums to 1.
    RETURNS (np.ndarray): probabilities, float32; a row of zeros for a query without neighbours. *Shape*
        (len(neighbours), len(labels.classes)).
    """
    if not temperature > 0:
        raise ValueError(
            Errors.R202.format(
                setting="temperature", value=temperature, what="the neighbours", expected="use a number above 0"
            )
        )
    result = np.zeros((len(neighbours), len(labels.classes)), dtype="float32")
    for row, found in enumerate(neighbours):
        known = [item for item in found if _has_vote(item.instance, labels, several)]
        if not known:
            continue
        scores = np.array([item.score for item in known], dtype="float64") / temperature
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        for weight, item in zip(weights, known, strict=True):
            # A symmetric relation that is annotated in both directions is one class.
            classes = {labels.index(answer) for answer in item.instance.answers or ()}
            if not classes and labels.is_complete(item.instance):
                classes = {0}
            result[row, list(classes)] += weight if several else weight / max(1, len(classes))
        if several and not all(labels.is_complete(item.instance) for item in known):
            asked = weights @ np.array([labels.known(item.instance) for item in known])
            result[row] = np.divide(result[row], asked, out=np.zeros(len(asked)), where=asked > 0)
    return result


def _has_vote(instance: Instance, labels: LabelSet, several: bool) -> bool:
    """RETURNS (bool): whether an example says something of a query's answers."""
    if instance.answers is None:
        return False
    return several or bool(instance.answers) or labels.is_complete(instance)


def turnout(
    neighbours: Sequence[Sequence[Neighbour]], votes: np.ndarray, expected: int, labels: LabelSet, several: bool = False
) -> np.ndarray:
    """How much of a vote came together: a store that holds fewer examples than the weight of the vote was chosen for
    has less to say, and one example alone does not speak for all.

    neighbours (Sequence[Sequence[Neighbour]]): the neighbours of each query.
    votes (np.ndarray): their votes, *Shape* (queries, classes).
    expected (int): how many neighbours a vote has.
    labels (LabelSet): the labels.
    several (bool): whether a query may have several answers. Then a neighbour counts for the classes that are known of
        it.
    RETURNS (np.ndarray): from 0 to 1, *Shape* (queries, 1), or (queries, classes) where it differs between the classes.
        0 where nothing that is allowed was voted for.
    """
    voting = [
        [item.instance for item in found[:expected] if _has_vote(item.instance, labels, several)]
        for found in neighbours
    ]
    count = np.array([len(own) for own in voting], dtype="float64").reshape(-1, 1)
    if several and not all(labels.is_complete(instance) for own in voting for instance in own):
        count = np.zeros(votes.shape)
        for row, own in enumerate(voting):
            for instance in own:
                count[row] += labels.known(instance)
    return np.where(votes.sum(axis=1, keepdims=True) > 0, count / max(1, expected), 0.0)


def evidence(neighbours: Sequence[Neighbour]) -> List[Dict[str, Any]]:
    """The neighbours of one query as plain data, for `Relation.evidence["examples"]`.

    neighbours (Sequence[Neighbour]): the neighbours.
    RETURNS (List[Dict[str, Any]]): dicts with `id`, `text`, `score` and `labels`: a list of dicts with `label`, the
        texts of `head` and `tail`, and `inverse`, True where the head is the second mention. `labels` is None where
        the example's answers are not known. Examples that were weighted have a `weight`, too.
    """
    return [
        {
            "id": item.instance.id,
            "text": item.instance.text,
            "labels": _labels(item.instance),
            "score": item.score,
            **({} if item.weight is None else {"weight": item.weight}),
        }
        for item in neighbours
    ]


def _labels(instance: Instance) -> Optional[List[Dict[str, Any]]]:
    if instance.answers is None:
        return None
    mentions = (instance.first_text, instance.second_text)
    return [
        {
            "label": answer.label,
            "head": mentions[answer.reversed],
            "tail": mentions[not answer.reversed],
            "inverse": answer.reversed,
        }
        for answer in instance.answers
    ]
