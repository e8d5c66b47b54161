"""Examples in a vector database: Qdrant, in this process with its files in a folder, or on a server or cluster.

A point is an example: its key, and what it reads and answers as plain data. The collection's metadata holds the
fingerprint of the encoder that made the keys. The examples stay in the database: a saved pipeline says where they are.
"""

import json
import uuid
from contextlib import contextmanager
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Collection,
    Dict,
    Iterator,
    List,
    Optional,
    Sequence,
    Union,
    overload,
)
from weakref import WeakValueDictionary

import numpy as np

from ..errors import Errors
from ..files import existing, replace_folder
from ..instances import Answer, Instance
from ..llm.remote.address import Address
from ..registry import registry
from .encoders import Encoder
from .indexes import unit_keys
from .packing import check_meta
from .retriever import DEFAULT_K, Retriever
from .state_keys import BackboneEncoder
from .store import Neighbour
from .texts import normalise

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

VERSION = 3
META = "database.json"
# Points of one request.
_POINTS = 256
_QUERIES = 64
_DECIMALS = 6
_SPACE = uuid.UUID("6f0f6d1e-7d0c-4f8e-9d55-0d8b6f4c3a21")


@registry.ragre_retrievers("ragre.QdrantRetriever.v1")
def create_qdrant_retriever(
    encoder: Encoder,
    collection: str,
    url: Optional[str] = None,
    path: Optional[str] = None,
    key_variable: Optional[str] = None,
    k: int = DEFAULT_K,
    timeout: int = 30,
) -> "QdrantRetriever":
    """Registered maker of `QdrantRetriever`; see there for the arguments."""
    return QdrantRetriever(encoder, collection, url=url, path=path, key_variable=key_variable, k=k, timeout=timeout)


class QdrantRetriever(Retriever):
    """Finds labelled instances in a collection of Qdrant. Its methods are those of `Retriever`. An example that is
    added twice is there once.

    encoder (Encoder): makes the keys; none whose keys change while a component is trained.
    collection (str): the collection, made with the first example. Training a component and `clear` replace what it
        holds, so that each pipeline needs one of its own.
    url (Optional[str]): address of a server or cluster, such as "http://localhost:6333". Either this or `path`.
    path (Optional[str]): a folder for a database inside this process, which one process at a time can open; ":memory:"
        for one that is gone with the process. For some ten thousand examples.
    key_variable (Optional[str]): the environment variable that holds the server's key; null for one without.
    k (int): how many neighbours a query gets where `retrieve` is not told. Components tell it.
    timeout (int): seconds that a request may take.
    """

    def __init__(
        self,
        encoder: Encoder,
        collection: str,
        *,
        url: Optional[str] = None,
        path: Optional[str] = None,
        key_variable: Optional[str] = None,
        k: int = DEFAULT_K,
        timeout: int = 30,
    ) -> None:
        super().__init__(encoder, k=k)
        if isinstance(encoder, BackboneEncoder):
            raise ValueError(Errors.R754)
        if (url is None) == (path is None) or not collection:
            raise ValueError(Errors.R753.format(url=url, path=path, collection=collection))
        self._place: Dict[str, Any] = {"url": url, "path": path, "key_variable": key_variable, "timeout": timeout}
        address = None if url is None else Address(url, key_variable)
        self.store: QdrantStore = QdrantStore(address, path or "", collection, timeout)

    def fresh(self, name: str = "") -> "QdrantRetriever":
        """RETURNS (QdrantRetriever): one with the same encoder and settings, for the collection of this name after a
        hyphen.
        """
        collection = f"{self.store.collection}-{name}" if name else self.store.collection
        return QdrantRetriever(self.encoder, collection, k=self.k, **self._place)

    def clear(self) -> None:
        """Delete the collection."""
        self.store.clear()

    def _load_store(self, folder: Path) -> "QdrantStore":
        return self.store.from_disk(folder, fingerprint=self.encoder.fingerprint)

    def _unpack_store(self, data: bytes) -> "QdrantStore":
        return self.store.from_bytes(data, fingerprint=self.encoder.fingerprint)


# Databases in this process: a folder can be opened once.
_embedded: "WeakValueDictionary[str, QdrantClient]" = WeakValueDictionary()


class QdrantStore:
    """A collection as an example store; the methods of both kinds are the same.

    address (Optional[Address]): the server.
    path (str): where there is none, the folder of the database, or ":memory:".
    collection (str): the collection.
    timeout (int): seconds that a request may take.
    """

    half = False

    def __init__(self, address: Optional[Address], path: str, collection: str, timeout: int) -> None:
        self.address = address
        self.path = path
        self.collection = collection
        self.timeout = timeout
        self._client: Optional[QdrantClient] = None
        self._fingerprint = ""
        # What the collection says of itself, once it is there: its width.
        self._width: Optional[int] = None

    def __getstate__(self) -> Dict[str, Any]:
        # A copy in another process has connections of its own. What is in memory alone stays in this one.
        return {**self.__dict__, "_client": None, "_width": None}

    @property
    def place(self) -> str:
        """RETURNS (str): where the database is, for messages."""
        return self.path if self.address is None else self.address.url

    @property
    def client(self) -> "QdrantClient":
        """RETURNS (QdrantClient): the connection, made now if there was none."""
        if self._client is None:
            try:
                make = import_module("qdrant_client").QdrantClient
            except ImportError as error:
                raise ImportError(Errors.R750) from error
            with self._told():
                self._client = self._connect(make)
        return self._client

    def _connect(self, make: Any) -> "QdrantClient":
        if self.address is not None:
            # The versions of both are compared by a request that fails in silence.
            options = {"timeout": self.timeout, "check_compatibility": False}
            client: QdrantClient = make(url=self.address.url, api_key=self.address.key(), **options)
        elif self.path == ":memory:":
            client = make(location=self.path, force_disable_check_same_thread=True)
        else:
            name = str(Path(self.path).resolve())
            client = _embedded.get(name) or make(path=self.path, force_disable_check_same_thread=True)
            _embedded[name] = client
        return client

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what fails on the way to the database into a message."""
        try:
            yield
        except (ValueError, ImportError) as error:
            if str(error).startswith("["):
                raise
            raise OSError(self._problem(error)) from error
        except Exception as error:  # of HTTP, of gRPC and of the embedded database, with nothing in common
            raise OSError(self._problem(error)) from error

    def _problem(self, error: Exception) -> str:
        text = str(error) or type(error).__name__
        problem = " ".join(text.split())[:300] if self.address is None else self.address.hide(text)
        return Errors.R751.format(place=self.place, collection=self.collection, problem=problem.rstrip("."))

    def _exists(self) -> bool:
        """RETURNS (bool): whether the collection is there; what it says of itself is known then."""
        if self._width is None:
            with self._told():
                if self.client.collection_exists(self.collection):
                    config = self.client.get_collection(self.collection).config
                    width = getattr(config.params.vectors, "size", None)
                    about = config.metadata or {}
                    if width is None or "ragre_fingerprint" not in about:
                        raise ValueError(Errors.R752.format(collection=self.collection, place=self.place))
                    self._width, self._fingerprint = int(width), str(about["ragre_fingerprint"])
        return self._width is not None

    @property
    def fingerprint(self) -> str:
        """RETURNS (str): fingerprint of the encoder that made the keys."""
        self._exists()
        return self._fingerprint

    @fingerprint.setter
    def fingerprint(self, value: str) -> None:
        if self._exists() and value != self._fingerprint:
            with self._told():
                self.client.update_collection(self.collection, metadata={"ragre_fingerprint": value})
        self._fingerprint = value

    @property
    def width(self) -> Optional[int]:
        """RETURNS (Optional[int]): the keys' width; None before the first example."""
        return self._width if self._exists() else None

    def __len__(self) -> int:
        """RETURNS (int): the number of examples."""
        if not self._exists():
            return 0
        with self._told():
            return int(self.client.count(self.collection).count)

    @property
    def instances(self) -> "StoredExamples":
        """RETURNS (Sequence[Instance]): the examples, in the order of their points, read as they are asked for."""
        return StoredExamples(self)

    def scroll(self) -> Iterator[Instance]:
        """YIELDS (Instance): all examples."""
        offset = None
        while self._exists():
            with self._told():
                points, offset = self.client.scroll(self.collection, limit=_POINTS, offset=offset, with_payload=True)
            yield from (_instance(point.payload or {}) for point in points)
            if offset is None:
                return

    def add(self, instances: Sequence[Instance], keys: np.ndarray) -> None:
        """Add examples. See `ExampleStore.add`."""
        keys = unit_keys(keys, len(instances), self.width)
        if not len(instances):
            return
        models = import_module("qdrant_client.models")
        if not self._exists():
            with self._told():
                self._create(models, keys.shape[1])
        for start in range(0, len(instances), _POINTS):
            points = []
            for instance, key in zip(instances[start : start + _POINTS], keys[start : start + _POINTS]):
                payload = _payload(instance)
                name = uuid.uuid5(_SPACE, json.dumps(payload, sort_keys=True))
                points.append(models.PointStruct(id=str(name), vector=key.tolist(), payload=payload))
            with self._told():
                self.client.upsert(self.collection, points, wait=True)

    def _create(self, models: Any, width: int) -> None:
        vectors = models.VectorParams(size=width, distance=models.Distance.COSINE)
        about = {"ragre_fingerprint": self._fingerprint}
        self.client.create_collection(self.collection, vectors_config=vectors, metadata=about)
        if self.address is not None:  # the database in this process has no indexes
            for field in ("doc", "text_hash"):
                self.client.create_payload_index(self.collection, field, models.PayloadSchemaType.KEYWORD)
        self._width = width

    def remove(self, ids: Collection[str] = (), texts: Collection[str] = ()) -> int:
        """Remove examples. See `ExampleStore.remove`."""
        fields = {"doc": [name for name in ids if name], "text_hash": [_hash(text) for text in texts]}
        models = import_module("qdrant_client.models") if self._exists() and any(fields.values()) else None
        if models is None:
            return 0
        gone = models.Filter(should=_conditions(models, fields))
        with self._told():
            count = int(self.client.count(self.collection, count_filter=gone).count)
            self.client.delete(self.collection, models.FilterSelector(filter=gone), wait=True)
        return count

    def clear(self) -> None:
        """Delete the collection."""
        if self._exists():
            with self._told():
                self.client.delete_collection(self.collection)
        self._width, self._fingerprint = None, ""

    def search(self, keys: np.ndarray, k: int, queries: Optional[Sequence[Instance]] = None) -> List[List[Neighbour]]:
        """Find the examples most similar to each key. See `ExampleStore.search`; `Neighbour.index` is the number of a
        point. The server itself leaves out what a query must not find.
        """
        keys = unit_keys(keys, None if queries is None else len(queries), self.width)
        if k < 1 or not self._exists():
            return [[] for _ in keys]
        models = import_module("qdrant_client.models")
        requests = []
        for row, key in enumerate(keys):
            left_out = None
            if queries is not None:
                fields = {"doc": [queries[row].id] * bool(queries[row].id), "text_hash": [_hash(queries[row].text)]}
                left_out = models.Filter(must_not=_conditions(models, fields))
            requests.append(models.QueryRequest(query=key.tolist(), limit=k, filter=left_out, with_payload=True))
        results: List[List[Neighbour]] = []
        for start in range(0, len(requests), _QUERIES):
            with self._told():
                answers = self.client.query_batch_points(self.collection, requests[start : start + _QUERIES])
            results += [[_neighbour(point) for point in answer.points] for answer in answers]
        return [sorted(row, key=lambda item: (-round(item.score, _DECIMALS), item.index)) for row in results]

    # Saving and loading: the examples stay where they are

    def write(self, folder: Path) -> None:
        """Write where the examples are."""
        folder.mkdir(exist_ok=True)
        (folder / META).write_text(json.dumps(self._meta(), indent=2), encoding="utf8")

    def to_disk(self, folder: Union[str, Path]) -> None:
        """See `ExampleStore.to_disk`."""
        with replace_folder(Path(folder), (META,)) as temporary:
            self.write(temporary)

    def _meta(self) -> Dict[str, Any]:
        about = {"count": len(self), "width": self.width, "index": "qdrant", "fingerprint": self.fingerprint}
        return {"version": VERSION, "collection": self.collection, **about, "sha256": {}}

    def from_disk(self, folder: Union[str, Path], *, fingerprint: Optional[str] = None) -> "QdrantStore":
        """Check that the collection is the one that was saved. See `ExampleStore.from_disk`."""
        file = existing(Path(folder)) / META
        if not file.is_file():
            raise OSError(Errors.R210.format(file=file))
        check_meta(file.read_bytes(), str(file), fingerprint, VERSION)
        return self

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): where the examples are."""
        return json.dumps(self._meta()).encode("utf8")

    def from_bytes(self, data: bytes, *, fingerprint: Optional[str] = None) -> "QdrantStore":
        """See `from_disk`."""
        check_meta(data, "bytes", fingerprint, VERSION)
        return self


class StoredExamples(Sequence[Instance]):
    """The examples of a collection, in the order of their points."""

    def __init__(self, store: QdrantStore) -> None:
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    @overload
    def __getitem__(self, number: int) -> Instance: ...
    @overload
    def __getitem__(self, number: slice) -> List[Instance]: ...
    def __getitem__(self, number: Union[int, slice]) -> Union[Instance, List[Instance]]:
        return list(self)[number]

    def __iter__(self) -> Iterator[Instance]:
        return self._store.scroll()


def _conditions(models: Any, fields: Dict[str, List[str]]) -> List[Any]:
    return [
        models.FieldCondition(key=name, match=models.MatchAny(any=values)) for name, values in fields.items() if values
    ]


def _payload(instance: Instance) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): an example as plain data."""
    return {
        "text": instance.text,
        "text_hash": _hash(instance.text),
        "first": list(instance.first),
        "second": list(instance.second),
        "types": [instance.first_type, instance.second_type],
        "answers": None if instance.answers is None else [[own.label, own.reversed] for own in instance.answers],
        "doc": instance.id,
        "response": instance.response,
        "annotated": None if instance.annotated is None else sorted(instance.annotated),
    }


def _instance(payload: Dict[str, Any]) -> Instance:
    answers, annotated = payload["answers"], payload["annotated"]
    return Instance(
        text=payload["text"],
        first=tuple(payload["first"]),
        second=tuple(payload["second"]),
        first_type=payload["types"][0],
        second_type=payload["types"][1],
        answers=None if answers is None else tuple(Answer(*own) for own in answers),
        id=payload["doc"],
        response=payload["response"],
        annotated=None if annotated is None else frozenset(annotated),
    )


def _neighbour(point: Any) -> Neighbour:
    return Neighbour(_instance(point.payload), float(point.score), uuid.UUID(str(point.id)).int)


def _hash(text: str) -> str:
    """RETURNS (str): what texts have in common that differ in case and white space alone."""
    return blake2b(normalise(text).encode("utf8", "surrogatepass"), digest_size=16).hexdigest()
