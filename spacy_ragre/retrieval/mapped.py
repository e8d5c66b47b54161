"""Stores for many examples: keys, index and examples are files that are mapped into memory, see `mapped_files`.

What is added and removed while the store serves is kept beside the files: saving writes it there, and makes the files
anew once it is as much as they hold.
"""

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import (
    Any,
    Collection,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    Union,
    overload,
)

import numpy as np
import srsly

from ..errors import Errors
from ..files import existing, file_hash, replace_folder
from ..instances import Instance
from .indexes import IndexKind, check_kind, unit_keys
from .mapped_files import ADDED, FILES, META, REMOVED, VERSION, StoreFiles, StoreWriter, write_meta
from .packing import check_hash, check_meta, unpack_files
from .searching import best, find
from .store import ExampleStore, Neighbour

# Keys that are copied at once.
_CHUNK = 8192

Chunk = Tuple[Sequence[Instance], np.ndarray]


class MappedExamples(Sequence[Instance]):
    """The examples of a mapped store, in their order, each read when it is asked for."""

    def __init__(self, store: "MappedStore") -> None:
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    @overload
    def __getitem__(self, number: int) -> Instance: ...
    @overload
    def __getitem__(self, number: slice) -> List[Instance]: ...
    def __getitem__(self, number: Union[int, slice]) -> Union[Instance, List[Instance]]:
        places = self._store.positions()[number]
        if isinstance(number, slice):
            return [self._store.instance(int(place)) for place in places]
        return self._store.instance(int(places))

    def __iter__(self) -> Iterator[Instance]:
        return (self._store.instance(int(place)) for place in self._store.positions())


class MappedStore:
    """An example store of any size; see the module. Its methods are those of `ExampleStore`.

    kind (str): index kind: `flat`, `hnsw` or `ivfpq`.
    fingerprint (str): fingerprint of the encoder that makes the keys.
    """

    def __init__(self, kind: IndexKind = "flat", *, fingerprint: str = "") -> None:
        self.kind = check_kind(kind)
        self.fingerprint = fingerprint
        self.half = kind != "flat"
        self._files: Optional[StoreFiles] = None
        # Of the files; None where nothing was removed.
        self._alive: Optional[np.ndarray] = None
        self._added = ExampleStore()

    @classmethod
    def build(
        cls, folder: Path, kind: IndexKind, chunks: Iterable[Chunk], *, fingerprint: str, half: Optional[bool] = None
    ) -> int:
        """Write a store in a stream, into a folder that is itself replaced as a whole.

        folder (Path): the folder.
        kind (str): index kind.
        chunks (Iterable[Tuple[Sequence[Instance], np.ndarray]]): examples and their keys, *Shape* (examples, width).
        fingerprint (str): fingerprint of the encoder that made the keys.
        half (Optional[bool]): keys in half precision; where None, those of an approximate index are.
        RETURNS (int): how many examples were written.
        """
        writer = StoreWriter(folder, check_kind(kind), fingerprint, kind != "flat" if half is None else half)
        try:
            for instances, keys in chunks:
                writer.add(instances, keys)
            writer.finish()
        finally:
            writer.close()
        return writer.count

    def __len__(self) -> int:
        """RETURNS (int): the number of examples."""
        return self._left + len(self._added)

    @property
    def _left(self) -> int:
        """RETURNS (int): how many examples of the files were not removed."""
        if self._files is None:
            return 0
        return self._files.total if self._alive is None else int(np.count_nonzero(self._alive))

    @property
    def width(self) -> Optional[int]:
        """RETURNS (Optional[int]): the keys' width; None before the first example."""
        return int(self._files.keys.shape[1]) if self._files is not None else self._added.width

    @property
    def instances(self) -> MappedExamples:
        """RETURNS (Sequence[Instance]): the examples, read when they are asked for."""
        return MappedExamples(self)

    def positions(self) -> np.ndarray:
        """RETURNS (np.ndarray): positions of what was not removed, in rising order. *Shape* (len(self),)."""
        total = 0 if self._files is None else self._files.total
        own = np.arange(total) if self._alive is None else np.flatnonzero(self._alive)
        return np.concatenate([own, total + np.arange(len(self._added))])

    def instance(self, position: int) -> Instance:
        """RETURNS (Instance): the example of a position, of the files or of what was added since."""
        total = 0 if self._files is None else self._files.total
        if self._files is not None and position < total:
            return self._files.instance(position)
        return self._added.instances[position - total]

    def add(self, instances: Sequence[Instance], keys: np.ndarray) -> None:
        """Add examples, which are kept in memory until the store is saved. See `ExampleStore.add`."""
        self._added.add(instances, unit_keys(keys, len(instances), self.width))

    def remove(self, ids: Collection[str] = (), texts: Collection[str] = ()) -> int:
        """Remove examples. See `ExampleStore.remove`."""
        count = self._added.remove(ids, texts)
        if self._files is not None and (gone := self._files.places(ids, texts)):
            alive = np.ones(self._files.total, dtype=bool) if self._alive is None else self._alive.copy()
            rows = np.fromiter(gone, dtype="int64")
            count += int(np.count_nonzero(alive[rows]))
            alive[rows] = False
            self._alive = alive
        return count

    def search(self, keys: np.ndarray, k: int, queries: Optional[Sequence[Instance]] = None) -> List[List[Neighbour]]:
        """Find the examples most similar to each key. See `ExampleStore.search`."""
        keys = unit_keys(keys, None if queries is None else len(queries), self.width)
        added = self._added.search(keys, k, queries) if len(self._added) else [[] for _ in keys]
        files, alive = self._files, self._alive
        if files is None or not self._left:
            return added

        def look(part: np.ndarray, count: int, effort: int) -> Tuple[np.ndarray, np.ndarray]:
            return files.nearest(part, count, effort, alive)

        found = find(look, self._left, keys, k, self._excluded(files, keys, queries))
        results = []
        for own, later in zip(found, added):
            at = {files.total + item.index: item.instance for item in later}
            both = best([*own, *((item.score, files.total + item.index) for item in later)], k)
            results.append([Neighbour(at.get(i) or files.instance(i), score, i) for score, i in both])
        return results

    def _excluded(
        self, files: StoreFiles, keys: np.ndarray, queries: Optional[Sequence[Instance]]
    ) -> List[FrozenSet[int]]:
        if queries is None:
            return [frozenset()] * len(keys)
        # All pairs of a document exclude the same examples. Those that were removed are not found anyway.
        known: Dict[Tuple[str, str], FrozenSet[int]] = {}
        for query in queries:
            if (query.text, query.id) not in known:
                own = files.places([query.id], [query.text])
                left = own if self._alive is None else {place for place in own if self._alive[place]}
                known[query.text, query.id] = frozenset(left)
        return [known[query.text, query.id] for query in queries]

    # Saving and loading

    def to_disk(self, folder: Union[str, Path]) -> None:
        """Save the store, in place of one that is there. See `ExampleStore.to_disk`."""
        with replace_folder(Path(folder), FILES) as temporary:
            self.write(temporary)

    def write(self, folder: Path) -> None:
        """Write the store's files into a folder. See `ExampleStore.write`."""
        files = self._files
        if files is None or files.half != self.half or 2 * self._left < files.total or self._left < len(self._added):
            self.build(folder, self.kind, self._chunks(), fingerprint=self.fingerprint, half=self.half)
            return
        folder.mkdir(exist_ok=True)
        for name, data in files.data.items():
            (folder / name).write_bytes(data)
        hashes = {name: files.hashes[name] for name in files.data}
        if self._alive is not None:
            removed = np.flatnonzero(~self._alive).astype("<i8").tobytes()
            (folder / REMOVED).write_bytes(removed)
            hashes[REMOVED] = sha256(removed).hexdigest()
        if len(self._added):
            self._added.write(folder / ADDED)
            hashes[ADDED] = file_hash(folder / ADDED / META)
        about = {"index": self.kind, "fingerprint": self.fingerprint, "width": self.width, "half": self.half}
        write_meta(folder, len(self), files.total, about, hashes)

    def _chunks(self) -> Iterator[Chunk]:
        """YIELDS (Tuple[List[Instance], np.ndarray]): all that was not removed, and its keys."""
        places = self.positions()
        total = 0 if self._files is None else self._files.total
        for start in range(0, len(places), _CHUNK):
            part = places[start : start + _CHUNK]
            own, later = part[part < total], part[part >= total] - total
            keys = [] if self._files is None else [self._files.keys[own].astype("float32")]
            if len(later):
                keys.append(self._added.keys_of(later))
            yield [self.instance(int(place)) for place in part], np.concatenate(keys)

    def from_disk(self, folder: Union[str, Path], *, fingerprint: Optional[str] = None) -> "MappedStore":
        """Load a saved store in place of this one. See `ExampleStore.from_disk`."""
        folder = existing(Path(folder))
        for path in (folder, folder / META):
            if not path.exists():
                raise OSError(Errors.R210.format(file=path))
        meta = check_meta((folder / META).read_bytes(), str(folder / META), fingerprint, VERSION)
        if not {"total", "half"} <= set(meta):
            raise ValueError(Errors.R211.format(file=folder / META, problem="it lacks total or half"))
        for name in meta["sha256"]:
            file = folder / ADDED / META if name == ADDED else folder / name
            if not file.is_file():
                raise OSError(Errors.R210.format(file=file))
            check_hash(meta, name, file_hash(file), str(file))
        loaded = MappedStore(meta["index"], fingerprint=meta["fingerprint"])
        loaded.half = meta["half"]
        if meta["total"]:
            loaded._files = StoreFiles(folder, meta)
        if REMOVED in meta["sha256"]:
            loaded._alive = np.ones(meta["total"], dtype=bool)
            loaded._alive[np.fromfile(folder / REMOVED, dtype="<i8")] = False
        if ADDED in meta["sha256"]:
            loaded._added.from_disk(folder / ADDED)
        if len(loaded) != meta["count"] or (len(loaded) and loaded.width != meta["width"]):
            raise ValueError(Errors.R211.format(file=folder, problem="its files have different numbers of examples"))
        self.__dict__ = loaded.__dict__
        return self

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): the store's files in one message."""
        with tempfile.TemporaryDirectory() as folder:
            self.write(Path(folder) / "store")
            files = [file for file in Path(folder, "store").rglob("*") if file.is_file()]
            data = {file.relative_to(Path(folder, "store")).as_posix(): file.read_bytes() for file in files}
        return bytes(srsly.msgpack_dumps(data))

    def from_bytes(self, data: bytes, *, fingerprint: Optional[str] = None) -> "MappedStore":
        """Load what `to_bytes` gave; arguments and errors are those of `from_disk`. The files lie in a temporary folder
        without a name, and are gone with the store.
        """
        files = unpack_files(data)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for name, content in files.items():
                # A name is data, and must not lead out of the folder.
                if name.split("/")[0] not in FILES or ".." in name:
                    raise ValueError(Errors.R211.format(file="bytes", problem=f"the file name {name!r} is odd"))
                file = Path(folder, name)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(content)
            return self.from_disk(folder, fingerprint=fingerprint)

    def __getstate__(self) -> Dict[str, Any]:
        return {"data": self.to_bytes()}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.from_bytes(state["data"])
