"""The files of a store that is mapped into memory: how they are written in a stream, and how they are read.

    keys.bin      unit vectors, one after the other: half precision for `hnsw` and `ivfpq`, else float32
    index.faiss   codes of the keys, with the links of `hnsw` or the cells of `ivfpq`; none for `flat`
    examples.bin  messages of 16 examples each; offsets.bin tells where each begins
    texts.bin     hashes of all texts in rising order, and the position of each; ids.bin the same of ids
    removed.bin   positions of what was removed since
    added/        what was added since, a store of its own that is in memory
    meta.json     counts, encoder and checksums

The index proposes more than is asked for, and the keys tell which of them are nearest.
"""

import json
import mmap
from array import array
from functools import lru_cache
from hashlib import blake2b, sha256
from pathlib import Path
from typing import IO, Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Union

import numpy as np

from ..errors import Errors
from ..instances import Instance
from .indexes import (
    IndexKind,
    build_codes,
    by_score,
    check_kind,
    exact_nearest,
    map_index,
    nearest,
    unit_keys,
    write_index,
)
from .packing import pack_instances, unpack_instances
from .texts import normalise

VERSION = 2
KEYS, INDEX, EXAMPLES, OFFSETS, TEXTS, IDS = (
    "keys.bin",
    "index.faiss",
    "examples.bin",
    "offsets.bin",
    "texts.bin",
    "ids.bin",
)
REMOVED, ADDED, META = "removed.bin", "added", "meta.json"
#: What the folder of such a store holds.
FILES = (KEYS, INDEX, EXAMPLES, OFFSETS, TEXTS, IDS, REMOVED, ADDED, META)

# Examples of one message: more share the text of a document, fewer are read for one that is looked at.
_TOGETHER = 16
# Messages that are kept as they were read.
_KEPT = 4096
# Proposals of an index for each neighbour that is asked for.
_PROPOSALS = {"flat": 1, "hnsw": 2, "ivfpq": 16}


class StoreWriter:
    """Writes the files of a store, of which no more than a chunk is in memory.

    folder (Path): the folder, which is made.
    kind (str): index kind.
    fingerprint (str): fingerprint of the encoder that makes the keys.
    half (bool): whether keys are written in half precision.
    """

    def __init__(self, folder: Path, kind: IndexKind, fingerprint: str, half: bool) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.kind = kind
        self.fingerprint = fingerprint
        self.dtype = np.dtype("<f2" if half else "<f4")
        self.count = 0
        self.width: Optional[int] = None
        self._hashes: Dict[str, str] = {}
        self._waiting: List[Instance] = []
        self._offsets = array("q", [0])
        self._texts, self._ids = (array("Q"), array("Q")), (array("Q"), array("Q"))
        self._keys = _Hashed(folder / KEYS)
        self._examples = _Hashed(folder / EXAMPLES)

    def add(self, instances: Sequence[Instance], keys: np.ndarray) -> None:
        """Write examples. Arguments and errors are those of `ExampleStore.add`."""
        keys = unit_keys(keys, len(instances), self.width)
        if not len(instances):
            return
        self.width = keys.shape[1]
        self._keys.write(keys.astype(self.dtype).tobytes())
        for instance in instances:
            self._note(self._texts, normalise(instance.text))
            if instance.id:
                self._note(self._ids, instance.id)
            self._waiting.append(instance)
            self.count += 1
            if len(self._waiting) == _TOGETHER:
                self._write_waiting()

    def finish(self) -> None:
        """Make the index, and write what tells that the store is whole."""
        if self._waiting:
            self._write_waiting()
        self._hashes.update({KEYS: self._keys.close(), EXAMPLES: self._examples.close()})
        self._write(OFFSETS, np.frombuffer(self._offsets, dtype="int64").astype("<i8").tobytes())
        for name, (hashes, positions) in ((TEXTS, self._texts), (IDS, self._ids)):
            both = np.array([hashes, positions], dtype="<u8").reshape(2, -1)
            self._write(name, both[:, np.argsort(both[0], kind="stable")].tobytes())
        if self.count and self.kind != "flat":
            self._write_codes()
        half = self.dtype.itemsize == 2
        about = {"index": self.kind, "fingerprint": self.fingerprint, "width": self.width, "half": half}
        write_meta(self.folder, self.count, self.count, about, self._hashes)

    def close(self) -> None:
        """Close the files, whatever happened."""
        self._keys.close()
        self._examples.close()

    def _write_codes(self) -> None:
        # The keys that were just written are read again, a block at a time.
        keys = np.memmap(self.folder / KEYS, dtype=self.dtype, mode="r").reshape(self.count, -1)
        index = build_codes(self.kind, keys)
        del keys
        if index is not None:
            file = _Hashed(self.folder / INDEX)
            try:
                write_index(index, file.write)
            finally:
                self._hashes[INDEX] = file.close()

    def _write_waiting(self) -> None:
        self._examples.write(pack_instances(self._waiting))
        self._offsets.append(self._examples.size)
        self._waiting = []

    def _note(self, known: "Tuple[array[int], array[int]]", text: str) -> None:
        known[0].append(_hash(text))
        known[1].append(self.count)

    def _write(self, name: str, data: bytes) -> None:
        file = _Hashed(self.folder / name)
        try:
            file.write(data)
        finally:
            self._hashes[name] = file.close()


class _Hashed:
    """A file whose checksum is known when it is written."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._digest = sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._file.write(data)
        self.size += len(data)
        return len(data)

    def close(self) -> str:
        """RETURNS (str): sha256 of what was written."""
        self._file.close()
        return self._digest.hexdigest()


class StoreFiles:
    """The files of a store, mapped into memory: what is not looked at is not read.

    folder (Path): the folder.
    meta (Dict[str, Any]): what `meta.json` says.
    """

    def __init__(self, folder: Path, meta: Dict[str, Any]) -> None:
        self.kind: IndexKind = check_kind(meta["index"])
        self.total: int = meta["total"]
        self.half: bool = meta["half"]
        width: int = meta["width"]
        self.hashes: Dict[str, str] = meta["sha256"]
        self.data = {name: _map(folder / name) for name in self.hashes if name not in (REMOVED, ADDED)}
        keys = np.frombuffer(self.data[KEYS], dtype="<f2" if self.half else "<f4")
        self._offsets = np.frombuffer(self.data[OFFSETS], dtype="<i8")
        self._texts, self._ids = (np.frombuffer(self.data[name], dtype="<u8").reshape(2, -1) for name in (TEXTS, IDS))
        messages = -(-self.total // _TOGETHER)
        if (len(keys), self._texts.shape[1], len(self._offsets) - 1) != (self.total * width, self.total, messages):
            raise ValueError(Errors.R211.format(file=folder, problem="its files have different numbers of examples"))
        self.keys = keys.reshape(self.total, width)
        self.index = map_index(str(folder / INDEX), self.kind) if INDEX in self.hashes else None
        self._message = lru_cache(_KEPT)(self._read_message)

    def instance(self, position: int) -> Instance:
        """RETURNS (Instance): an example."""
        return self._message(position // _TOGETHER)[position % _TOGETHER]

    def _read_message(self, number: int) -> List[Instance]:
        start, end = self._offsets[number : number + 2].tolist()
        return unpack_instances(bytes(self.data[EXAMPLES][start:end]))

    def places(self, ids: Iterable[str], texts: Iterable[str]) -> Set[int]:
        """RETURNS (Set[int]): positions of the examples that have one of the ids or texts, by their hashes."""
        found: Set[int] = set()
        wanted = [(self._ids, name) for name in ids if name] + [(self._texts, normalise(text)) for text in texts]
        for (hashes, positions), text in wanted:
            value = np.uint64(_hash(text))
            first, last = np.searchsorted(hashes, value, "left"), np.searchsorted(hashes, value, "right")
            found.update(positions[first:last].tolist())
        return found

    def nearest(
        self, keys: np.ndarray, count: int, effort: int, alive: Optional[np.ndarray]
    ) -> Tuple[np.ndarray, np.ndarray]:
        """See `searching.Nearest`."""
        if self.index is None:
            return exact_nearest(self.keys, keys, count, alive)
        proposed = min(self.total, _PROPOSALS[self.kind] * count)
        _, positions = nearest(self.index, keys, proposed, effort=effort, alive=alive)
        scores = np.full(positions.shape, -np.inf, dtype="float32")
        for key, own, score in zip(keys, positions, scores):
            there = own >= 0
            score[there] = self.keys[own[there]].astype("float32") @ key
        scores, positions = by_score(scores, positions)
        return scores[:, :count], positions[:, :count]


def write_meta(folder: Path, count: int, total: int, about: Dict[str, Any], hashes: Dict[str, str]) -> None:
    """Write what a store says of itself.

    folder (Path): the folder.
    count (int): examples that can be found.
    total (int): examples of the files, those that were removed among them.
    about (Dict[str, Any]): kind of the index, fingerprint, width and precision.
    hashes (Dict[str, str]): checksums by file.
    """
    meta = {"version": VERSION, "count": count, "total": total, **about, "sha256": hashes}
    (folder / META).write_text(json.dumps(meta, indent=2), encoding="utf8")


def _map(path: Path) -> Union[bytes, mmap.mmap]:
    """RETURNS (Union[bytes, mmap.mmap]): a file's content, read when it is looked at."""
    if not path.stat().st_size:  # nothing can't be mapped
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _hash(text: str) -> int:
    """RETURNS (int): 64 bits of a text. Another text has the same once in so many that nobody has met it; it would be
    left out of a search.
    """
    return int.from_bytes(blake2b(text.encode("utf8", "surrogatepass"), digest_size=8).digest(), "little")
