"""The example store: labelled instances and the index over their keys."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple, Union, get_args

import numpy as np
import srsly

from ..errors import Errors
from ..files import existing, file_hash, replace_folder
from ..instances import Answer, Instance
from .indexes import IndexKind, add_keys, from_half, load_faiss, nearest, overwrite_keys, to_half
from .texts import normalise

VERSION = 1
INDEX_FILE = "index.faiss"
EXAMPLES_FILE = "examples.msgpack"
META_FILE = "meta.json"
FILES = (INDEX_FILE, EXAMPLES_FILE, META_FILE)

# Similarities that differ by less are taken for ties: sums in another order differ in their last bits.
_DECIMALS = 6
# Results of one search that are held at once, queries times neighbours.
_MAX_RESULTS = 4_000_000


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


class ExampleStore:
    """Instances that are found by their keys. Examples can be added at any time.

    kind (str): index kind: `flat` (exact), `hnsw` or `ivfpq` (approximate, for large stores).
    fingerprint (str): fingerprint of the encoder that makes the keys.
    """

    def __init__(self, kind: IndexKind = "flat", *, fingerprint: str = "") -> None:
        if kind not in get_args(IndexKind):
            expected = "use one of " + ", ".join(map(repr, get_args(IndexKind)))
            raise ValueError(Errors.R202.format(setting="index", value=kind, what="the store", expected=expected))
        self.kind = kind
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
        results: List[List[Neighbour]] = [[] for _ in keys]
        if k < 1 or not self.instances:
            return results
        excluded = self._excluded(queries) if queries is not None else [frozenset()] * len(keys)
        # One more than is needed shows whether the last one is tied with others.
        rows = {row: _power_of_two(k + len(excluded[row]) + 1) for row in range(len(keys))}
        effort = 0
        while rows:
            again: Dict[int, int] = {}
            for row, scores, positions in self._batches(keys, rows, effort):
                results[row] = self._pick(scores, positions, k, excluded[row])
                if rows[row] < len(self) and _is_short(results[row], k, scores, positions, effort):
                    again[row] = 4 * rows[row]
            rows = again
            effort += 1
        return results

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

    def _batches(self, keys: np.ndarray, rows: Dict[int, int], effort: int) -> Any:
        """Search for rows that need equally many results together."""
        for count in sorted(set(rows.values())):
            group = [row for row in rows if rows[row] == count]
            fetch = min(count, len(self))
            size = max(1, _MAX_RESULTS // fetch)
            for start in range(0, len(group), size):
                part = group[start : start + size]
                yield from zip(part, *nearest(self._index, keys[part], fetch, effort=effort), strict=True)

    def _pick(self, scores: np.ndarray, positions: np.ndarray, k: int, excluded: FrozenSet[int]) -> List[Neighbour]:
        found = [
            (score, position)
            for score, position in zip(scores.tolist(), positions.tolist(), strict=True)
            if position >= 0 and position not in excluded
        ]
        found.sort(key=lambda item: (-round(item[0], _DECIMALS), item[1]))
        return [Neighbour(self.instances[position], score, position) for score, position in found[:k]]

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
        """Keys of length 1, checked. *Shape* (count, width)."""
        keys = np.asarray(keys, dtype="float32")
        wrong_width = keys.ndim == 2 and self.width is not None and keys.shape[1] != self.width
        if keys.ndim != 2 or wrong_width or not keys.shape[1] or (count is not None and len(keys) != count):
            expected = f"({'n' if count is None else count}, {self.width or 'width'})"
            raise ValueError(Errors.R204.format(shape=keys.shape, expected=expected))
        bad = np.flatnonzero(~np.isfinite(keys).all(axis=1))
        if len(bad):
            raise ValueError(Errors.R205.format(count=len(bad), total=len(keys), row=bad[0]))
        lengths = np.linalg.norm(keys, axis=1, keepdims=True)
        return keys / np.where(lengths > 0, lengths, 1)

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
        meta = _check_meta((folder / META_FILE).read_bytes(), str(folder / META_FILE), fingerprint)
        _check_hash(meta, INDEX_FILE, file_hash(folder / INDEX_FILE), str(folder / INDEX_FILE))
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
        meta = _check_meta(files[META_FILE], META_FILE, fingerprint)
        index = files[INDEX_FILE]
        _check_hash(meta, INDEX_FILE, hashlib.sha256(index).hexdigest(), INDEX_FILE)
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
            # FAISS's own file writer overlooks errors that come up when the file is closed.
            faiss = load_faiss()
            index = to_half(self._index) if self.half else self._index
            faiss.write_index(index, faiss.PyCallbackIOWriter(write_and_hash, 1 << 20))
        return digest.hexdigest()

    def _restore(
        self, meta: Dict[str, Any], examples: bytes, load_index: Callable[[], Any], where: str
    ) -> "ExampleStore":
        _check_hash(meta, EXAMPLES_FILE, hashlib.sha256(examples).hexdigest(), f"{where}/{EXAMPLES_FILE}")
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


def read_examples(path: Union[str, Path]) -> List[Instance]:
    """The labelled examples of a store, without the encoder that made its keys.

    path (Union[str, Path]): the folder of a store, what `ragre index` wrote, or a saved component's folder.
    RETURNS (List[Instance]): the examples whose answers are known, each once. Errors are those of
        `ExampleStore.from_disk`.
    """
    folder = existing(Path(path))
    while nested := next((folder / name for name in ("retriever", "store") if (folder / name).is_dir()), None):
        folder = nested
    instances = ExampleStore().from_disk(folder).instances
    return list(dict.fromkeys(instance for instance in instances if instance.answers is not None))


def unpack_files(data: bytes) -> Dict[str, bytes]:
    """RETURNS (Dict[str, bytes]): what a message holds by name. Other data raise a ValueError."""
    try:
        files = srsly.msgpack_loads(data)
    except ValueError as error:
        raise ValueError(Errors.R211.format(file="bytes", problem=error)) from error
    if not isinstance(files, dict) or not all(isinstance(v, bytes) for v in files.values()):
        raise ValueError(Errors.R211.format(file="bytes", problem="a table of files is expected"))
    return files


def _is_short(found: List[Neighbour], k: int, scores: np.ndarray, positions: np.ndarray, effort: int) -> bool:
    """Whether a wider search may change the result: too few came back, or the last is tied with others unseen.

    Ties are followed twice: a store may hold any number of examples of one sentence.
    """
    if len(found) < k:
        return True
    return (
        effort < 2 and positions[-1] >= 0 and round(float(scores[-1]), _DECIMALS) == round(found[-1].score, _DECIMALS)
    )


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()


def pack_instances(instances: Sequence[Instance]) -> bytes:
    """RETURNS (bytes): instances as a msgpack message."""
    # Pairs of one document share its text, which is written once.
    texts: Dict[str, int] = {}
    label_sets: Dict[FrozenSet[str], int] = {}
    rows = [
        [
            texts.setdefault(item.text, len(texts)),
            *item.first,
            *item.second,
            item.first_type,
            item.second_type,
            None if item.answers is None else [[answer.label, answer.reversed] for answer in item.answers],
            item.id,
            # Left out where there is none, so that stores of pairs stay as they were.
            *([item.response] if item.response or item.annotated is not None else []),
            *([] if item.annotated is None else [label_sets.setdefault(item.annotated, len(label_sets))]),
        ]
        for item in instances
    ]
    data: Dict[str, Any] = {"texts": list(texts), "examples": rows}
    if label_sets:
        data["label_sets"] = [sorted(labels) for labels in label_sets]
    return bytes(srsly.msgpack_dumps(data))


def unpack_instances(data: bytes) -> List[Instance]:
    """RETURNS (List[Instance]): the instances of a message that `pack_instances` made."""
    plain = srsly.msgpack_loads(data)
    label_sets = [frozenset(labels) for labels in (plain["label_sets"] if "label_sets" in plain else ())]
    return [
        Instance(
            text=plain["texts"][text],
            first=(a, b),
            second=(c, d),
            first_type=first_type,
            second_type=second_type,
            answers=None if answers is None else tuple(Answer(*answer) for answer in answers),
            id=name,
            response=rest[0] if rest else "",
            annotated=label_sets[rest[1]] if len(rest) > 1 else None,
        )
        for text, a, b, c, d, first_type, second_type, answers, name, *rest in plain["examples"]
    ]


def _check_meta(data: bytes, file: str, fingerprint: Optional[str]) -> Dict[str, Any]:
    try:
        meta = json.loads(data)
    except ValueError as error:
        raise ValueError(Errors.R211.format(file=file, problem=error)) from error
    if not isinstance(meta, dict) or "version" not in meta:
        raise ValueError(Errors.R211.format(file=file, problem="it holds no version"))
    if meta["version"] != VERSION:
        raise ValueError(Errors.R213.format(file=file, found=meta["version"], expected=VERSION))
    missing = {"count", "width", "index", "fingerprint", "sha256"} - set(meta)
    if missing:
        raise ValueError(Errors.R211.format(file=file, problem=f"it lacks {sorted(missing)}"))
    # A store without examples has no keys that could be of another encoder.
    if fingerprint is not None and meta["count"] and meta["fingerprint"] != fingerprint:
        raise ValueError(
            Errors.R212.format(file=file, found=meta["fingerprint"][:12] or "none", expected=fingerprint[:12] or "none")
        )
    return meta


def _check_hash(meta: Dict[str, Any], name: str, found: str, file: str) -> None:
    if meta["sha256"].get(name) != found:
        raise ValueError(Errors.R211.format(file=file, problem="its checksum is not the one that was saved"))
