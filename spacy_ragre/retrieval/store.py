"""The example store: labelled instances and the index over their keys."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Collection, Dict, FrozenSet, List, Optional, Protocol, Sequence, Tuple, Union

import numpy as np
import srsly

from ..errors import Errors
from ..files import existing, file_hash, replace_folder
from ..instances import Instance
from .indexes import (
    IndexKind,
    add_keys,
    check_kind,
    from_half,
    keep_keys,
    load_faiss,
    nearest,
    overwrite_keys,
    to_half,
    unit_keys,
    write_index,
)
from .packing import check_hash, check_meta, pack_instances, unpack_files, unpack_instances
from .searching import find
from .texts import normalise

VERSION = 1
INDEX_FILE = "index.faiss"
EXAMPLES_FILE = "examples.msgpack"
META_FILE = "meta.json"
FILES = (INDEX_FILE, EXAMPLES_FILE, META_FILE)


@dataclass(frozen=True)
class Neighbour:
    """An example that was found.

    instance (Instance): the example.
    score (float): cosine similarity of its key and the query's.
    index (int): its position in the store.
    weight (Optional[float]): its share of what was read, where instances are weighted; None where they are shown.
    """

    instance: Instance
    score: float
    index: int
    weight: Optional[float] = None


class Store(Protocol):
    """What a retriever needs of a store; `ExampleStore` describes the methods."""

    fingerprint: str
    half: bool

    def __len__(self) -> int: ...
    @property
    def width(self) -> Optional[int]: ...
    @property
    def instances(self) -> Sequence[Instance]: ...
    def add(self, instances: Sequence[Instance], keys: np.ndarray) -> None: ...
    def remove(self, ids: Collection[str] = (), texts: Collection[str] = ()) -> int: ...
    def search(
        self, keys: np.ndarray, k: int, queries: Optional[Sequence[Instance]] = None
    ) -> List[List[Neighbour]]: ...
    def write(self, folder: Path) -> None: ...
    def to_bytes(self) -> bytes: ...


class ExampleStore:
    """Instances that are found by their keys. Examples can be added at any time.

    kind (str): index kind: `flat` (exact), `hnsw` or `ivfpq` (approximate, for large stores).
    fingerprint (str): fingerprint of the encoder that makes the keys.
    """

    def __init__(self, kind: IndexKind = "flat", *, fingerprint: str = "") -> None:
        self.kind = check_kind(kind)
        self.fingerprint = fingerprint
        #: Keys of a `flat` index are saved in half precision; in memory they are in float32.
        self.half = False
        self.instances: List[Instance] = []
        self._index: Any = None
        self._by_text: Dict[str, List[int]] = {}
        self._by_id: Dict[str, List[int]] = {}

    def __len__(self) -> int:
        """RETURNS (int): the number of examples."""
        return len(self.instances)

    @property
    def width(self) -> Optional[int]:
        """RETURNS (Optional[int]): the keys' width; None before the first example."""
        return None if self._index is None else int(self._index.d)

    def add(self, instances: Sequence[Instance], keys: np.ndarray) -> None:
        """Add examples at the end.

        instances (Sequence[Instance]): the examples.
        keys (np.ndarray): their keys, of any length. *Shape* (len(instances), width). Keys of another shape, with
            NaN or with infinite values raise a ValueError.
        """
        keys = self._unit(keys, len(instances))
        if not len(instances):
            return
        self._index = add_keys(self._index, self.kind, keys)
        self._remember(instances)

    def remove(self, ids: Collection[str] = (), texts: Collection[str] = ()) -> int:
        """Remove examples; those after them move up. The links of `hnsw` are made again.

        ids (Collection[str]): ids of their documents.
        texts (Collection[str]): their texts, without regard to case and white space.
        RETURNS (int): how many were removed.
        """
        gone = {at for name in ids if name for at in self._by_id.get(name, ())}
        gone.update(at for text in texts for at in self._by_text.get(normalise(text), ()))
        if gone:
            kept = np.delete(np.arange(len(self)), list(gone))
            self._index = keep_keys(self._index, self.kind, kept)
            instances = [self.instances[at] for at in kept]
            self.instances, self._by_text, self._by_id = [], {}, {}
            self._remember(instances)
        return len(gone)

    def search(self, keys: np.ndarray, k: int, queries: Optional[Sequence[Instance]] = None) -> List[List[Neighbour]]:
        """Find the examples most similar to each key.

        keys (np.ndarray): the queries' keys, of any length. *Shape* (n, width).
        k (int): how many to find. Fewer come back where the store has fewer.
        queries (Optional[Sequence[Instance]]): the queries. Where given, an example with a query's text (without
            regard to case and white space) or with its non-empty id is never found for it.
        RETURNS (List[List[Neighbour]]): neighbours of each key, best first, those of one similarity in the order in
            which they were added.
        """
        keys = self._unit(keys, None if queries is None else len(queries))
        excluded = self._excluded(queries) if queries is not None else [frozenset()] * len(keys)
        found = find(self._nearest, len(self), keys, k, excluded)
        return [[Neighbour(self.instances[at], score, at) for score, at in own] for own in found]

    def _nearest(self, keys: np.ndarray, count: int, effort: int) -> Tuple[np.ndarray, np.ndarray]:
        return nearest(self._index, keys, count, effort=effort)

    def preselect(self, keys: np.ndarray, count: int, queries: Sequence[Instance]) -> Tuple[np.ndarray, np.ndarray]:
        """Find the positions of the examples most similar to each key, as arrays; ties are in any order.

        keys (np.ndarray): the queries' keys, of any length. *Shape* (n, width).
        count (int): how many to find; fewer where the store has fewer.
        queries (Sequence[Instance]): the queries.
        RETURNS (Tuple[np.ndarray, np.ndarray]): positions, and whether a query may use them, bool: False where the
            example has its text or its id, as in `search`, and where there was none to find. *Shapes* (n, count).
        """
        keys = self._unit(keys, len(queries))
        excluded = self._excluded(queries)
        fetch = min(len(self), count + max(map(len, excluded), default=0))
        _, positions = nearest(self._index, keys, fetch, effort=0)
        allowed = positions >= 0
        for row, own in enumerate(excluded):
            if own:
                allowed[row] &= ~np.isin(positions[row], list(own))
        # Those that may be used come first, each part in its order.
        order = np.argsort(~allowed, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(positions, order, 1), np.take_along_axis(allowed, order, 1)

    def keys_of(self, positions: np.ndarray) -> np.ndarray:
        """positions (np.ndarray): positions in the store. *Shape* (n,).
        RETURNS (np.ndarray): the keys there, unit vectors, float32; not those of an `ivfpq` index, which keeps none.
            *Shape* (n, width).
        """
        keys: np.ndarray = self._index.reconstruct_batch(np.ascontiguousarray(positions, dtype="int64"))
        return keys

    def replace_keys(self, positions: np.ndarray, keys: np.ndarray) -> None:
        """Put other keys in the place of some, of a `flat` or `hnsw` index. The links of `hnsw` stay until all keys
        are replaced at once.

        positions (np.ndarray): positions in the store. *Shape* (n,).
        keys (np.ndarray): the new keys, of any length. *Shape* (n, width).
        """
        keys = self._unit(keys, len(positions))
        if len(positions) == len(self):
            whole = np.empty_like(keys)
            whole[positions] = keys
            self._index = add_keys(None, self.kind, whole)
        else:
            overwrite_keys(self._index, positions, keys)

    def _excluded(self, queries: Sequence[Instance]) -> List[FrozenSet[int]]:
        # All pairs of a document exclude the same examples.
        known: Dict[Tuple[str, str], FrozenSet[int]] = {}
        for query in queries:
            key = (query.text, query.id)
            if key not in known:
                same_id = self._by_id.get(query.id, []) if query.id else []
                known[key] = frozenset([*self._by_text.get(normalise(query.text), []), *same_id])
        return [known[query.text, query.id] for query in queries]

    def _remember(self, instances: Sequence[Instance]) -> None:
        normal: Dict[str, str] = {}
        for position, instance in enumerate(instances, start=len(self.instances)):
            if instance.text not in normal:
                normal[instance.text] = normalise(instance.text)
            self._by_text.setdefault(normal[instance.text], []).append(position)
            if instance.id:
                self._by_id.setdefault(instance.id, []).append(position)
        self.instances.extend(instances)

    def _unit(self, keys: np.ndarray, count: Optional[int]) -> np.ndarray:
        return unit_keys(keys, count, self.width)

    def to_disk(self, folder: Union[str, Path]) -> None:
        """Save the store, in place of one that is there.

        folder (Union[str, Path]): the folder. Where it can't be written, an OSError is raised and what was there
            before stays.
        """
        with replace_folder(Path(folder), FILES) as temporary:
            self.write(temporary)

    def write(self, folder: Path) -> None:
        """Write the store's files into a folder, made where it does not exist, with none of `to_disk`'s precautions.

        folder (Path): the folder, inside one that is itself replaced as a whole.
        """
        folder.mkdir(exist_ok=True)
        hashes = {}
        for name in (INDEX_FILE, EXAMPLES_FILE):
            with (folder / name).open("wb") as file:
                hashes[name] = self._dump(name, file.write)
        (folder / META_FILE).write_text(json.dumps(self._meta(hashes), indent=2), encoding="utf8")

    def from_disk(self, folder: Union[str, Path], *, fingerprint: Optional[str] = None) -> "ExampleStore":
        """Load a saved store in place of this one.

        folder (Union[str, Path]): the folder.
        fingerprint (Optional[str]): fingerprint of the encoder that will make the queries' keys.
        RETURNS (ExampleStore): the store itself. A file that is missing raises an OSError; one that is damaged, of
            another version or made with another encoder raises a ValueError. The store then stays as it was.
        """
        folder = existing(Path(folder))
        for path in (folder, *(folder / name for name in FILES)):
            if not path.exists():
                raise OSError(Errors.R210.format(file=path))
        meta = check_meta((folder / META_FILE).read_bytes(), str(folder / META_FILE), fingerprint, VERSION)
        check_hash(meta, INDEX_FILE, file_hash(folder / INDEX_FILE), str(folder / INDEX_FILE))
        examples = (folder / EXAMPLES_FILE).read_bytes()
        return self._restore(meta, examples, lambda: load_faiss().read_index(str(folder / INDEX_FILE)), str(folder))

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): the store's files in one message."""
        data: Dict[str, bytes] = {}
        hashes = {}
        for name in (INDEX_FILE, EXAMPLES_FILE):
            buffer = io.BytesIO()
            hashes[name] = self._dump(name, buffer.write)
            data[name] = buffer.getvalue()
        data[META_FILE] = json.dumps(self._meta(hashes)).encode("utf8")
        return bytes(srsly.msgpack_dumps(data))

    def from_bytes(self, data: bytes, *, fingerprint: Optional[str] = None) -> "ExampleStore":
        """Load what `to_bytes` gave; arguments and errors are those of `from_disk`."""
        files = unpack_files(data)
        if set(files) != set(FILES):
            raise ValueError(Errors.R211.format(file="bytes", problem=f"the files {', '.join(FILES)} are expected"))
        meta = check_meta(files[META_FILE], META_FILE, fingerprint, VERSION)
        index = files[INDEX_FILE]
        check_hash(meta, INDEX_FILE, hashlib.sha256(index).hexdigest(), INDEX_FILE)
        array = np.frombuffer(index, dtype="uint8")
        return self._restore(meta, files[EXAMPLES_FILE], lambda: load_faiss().deserialize_index(array), "bytes")

    def _meta(self, hashes: Dict[str, str]) -> Dict[str, Any]:
        return {
            "version": VERSION,
            "count": len(self),
            "width": self.width,
            "index": self.kind,
            "fingerprint": self.fingerprint,
            **({"half": True} if self.half else {}),
            "sha256": hashes,
        }

    def _dump(self, name: str, write: Callable[[bytes], Any]) -> str:
        """Write one file. RETURNS (str): its sha256."""
        digest = hashlib.sha256()

        def write_and_hash(chunk: bytes) -> int:
            digest.update(chunk)
            write(chunk)
            return len(chunk)

        if name == EXAMPLES_FILE:
            write_and_hash(pack_instances(self.instances))
        elif self._index is not None:
            write_index(to_half(self._index) if self.half else self._index, write_and_hash)
        return digest.hexdigest()

    def _restore(
        self, meta: Dict[str, Any], examples: bytes, load_index: Callable[[], Any], where: str
    ) -> "ExampleStore":
        check_hash(meta, EXAMPLES_FILE, hashlib.sha256(examples).hexdigest(), f"{where}/{EXAMPLES_FILE}")
        index = load_index() if meta["width"] is not None else None
        instances = unpack_instances(examples)
        if not meta["count"] == len(instances) == (0 if index is None else index.ntotal):
            raise ValueError(Errors.R211.format(file=where, problem="its files have different numbers of examples"))
        loaded = ExampleStore(meta["index"], fingerprint=meta["fingerprint"])
        loaded.half = bool(meta.get("half"))
        loaded._index = from_half(index) if loaded.half else index
        loaded._remember(instances)
        self.__dict__ = loaded.__dict__
        return self
