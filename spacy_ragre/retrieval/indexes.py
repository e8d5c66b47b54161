"""FAISS indexes over unit vectors: how each kind is built, grown and searched.

Cosine similarity is the inner product of unit vectors. `flat` compares with every key. `hnsw` walks a graph of
neighbours (Malkov & Yashunin 2018) and `ivfpq` looks into the nearest cells of compressed keys (Jégou et al. 2011):
both are for stores of hundreds of thousands of examples and may miss a neighbour.
"""

import math
import warnings
from importlib import import_module
from typing import Any, Callable, Literal, Optional, Tuple, get_args

import numpy as np

from ..errors import Errors, Warnings

IndexKind = Literal["flat", "hnsw", "ivfpq"]

HNSW_LINKS = 32
HNSW_CONSTRUCTION = 200
HNSW_SEARCH = 128
PQ_BITS = 8
# FAISS asks for 39 points a centroid; fewer give cells that do not stand for the data.
PQ_LEAST = 39 * 2**PQ_BITS
PQ_TRAINING = 100_000
# Rows of keys on disk that are in memory at once.
_BLOCK = 32_768


def check_kind(kind: str) -> IndexKind:
    """RETURNS (str): an index kind. Another word raises a ValueError."""
    for known in get_args(IndexKind):
        if kind == known:
            return known  # type: ignore[no-any-return]
    expected = "use one of " + ", ".join(map(repr, get_args(IndexKind)))
    raise ValueError(Errors.R202.format(setting="index", value=kind, what="the store", expected=expected))


def unit_keys(keys: np.ndarray, count: Optional[int], width: Optional[int]) -> np.ndarray:
    """Check keys, and bring them to length 1.

    keys (np.ndarray): the keys. *Shape* (count, width). Another shape, NaN or infinite values raise a ValueError.
    count (Optional[int]): how many are expected; any number where None.
    width (Optional[int]): the width that is expected; any width where None.
    RETURNS (np.ndarray): unit vectors, float32; keys of length 0 stay as they are. *Shape* (count, width).
    """
    keys = np.asarray(keys, dtype="float32")
    wrong_width = keys.ndim == 2 and width is not None and keys.shape[1] != width
    if keys.ndim != 2 or wrong_width or not keys.shape[1] or (count is not None and len(keys) != count):
        expected = f"({'n' if count is None else count}, {width or 'width'})"
        raise ValueError(Errors.R204.format(shape=keys.shape, expected=expected))
    bad = np.flatnonzero(~np.isfinite(keys).all(axis=1))
    if len(bad):
        raise ValueError(Errors.R205.format(count=len(bad), total=len(keys), row=bad[0]))
    lengths = np.linalg.norm(keys, axis=1, keepdims=True)
    return keys / np.where(lengths > 0, lengths, 1)


def load_faiss() -> Any:
    """RETURNS (ModuleType): FAISS, which is imported where it is used: spaCy imports the suite in every process."""
    return import_module("faiss")


def add_keys(index: Any, kind: IndexKind, keys: np.ndarray) -> Any:
    """Add keys to an index, or make one.

    index (Optional[faiss.Index]): the index, or None for none yet.
    kind (str): the index kind.
    keys (np.ndarray): unit vectors, float32. *Shape* (n, width).
    RETURNS (faiss.Index): the index: the same one, except where an `ivfpq` store has grown enough to be trained.
    """
    faiss = load_faiss()
    if kind == "hnsw":
        if index is None:
            index = faiss.IndexHNSWFlat(keys.shape[1], HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = HNSW_CONSTRUCTION
    elif kind == "ivfpq" and (index is None or isinstance(index, faiss.IndexFlat)):
        # Keys of a store that is too small wait in a flat index.
        count = len(keys) + (index.ntotal if index is not None else 0)
        if count >= PQ_LEAST:
            if index is not None:
                keys = np.concatenate([index.reconstruct_n(0, index.ntotal), keys])
            index = _train_ivfpq(_sample(keys), len(keys))
        elif index is None:
            warnings.warn(Warnings.W201.format(least=PQ_LEAST, count=count), stacklevel=4)
            index = faiss.IndexFlatIP(keys.shape[1])
    elif index is None:
        index = faiss.IndexFlatIP(keys.shape[1])
    index.add(np.ascontiguousarray(keys))
    return index


def overwrite_keys(index: Any, positions: np.ndarray, keys: np.ndarray) -> None:
    """Put keys in the place of others, at a cost that does not depend on the size of the index.

    index (faiss.Index): the index, flat or hnsw.
    positions (np.ndarray): where. *Shape* (n,).
    keys (np.ndarray): unit vectors, float32. *Shape* (n, width).
    """
    faiss = load_faiss()
    storage = faiss.downcast_index(index.storage) if isinstance(index, faiss.IndexHNSW) else index
    rows = faiss.rev_swig_ptr(storage.get_xb(), storage.ntotal * storage.d)
    rows.reshape(storage.ntotal, storage.d)[positions] = keys


def keep_keys(index: Any, kind: IndexKind, kept: np.ndarray) -> Any:
    """An index of some of the keys of another, in their order.

    index (faiss.Index): the index. It is not used any more.
    kind (str): the index kind.
    kept (np.ndarray): positions, in rising order. *Shape* (n,).
    RETURNS (Optional[faiss.Index]): the index; None where no key is left.
    """
    faiss = load_faiss()
    if not len(kept):
        return None
    if not isinstance(index, faiss.IndexIVF):
        return add_keys(None, "hnsw" if kind == "hnsw" else "flat", index.reconstruct_batch(kept))
    # Compressed keys stay as they are, in their cells, and get the numbers of those that are left.
    new = np.full(index.ntotal, -1, dtype="int64")
    new[kept] = np.arange(len(kept))
    index.remove_ids(faiss.IDSelectorBatch(np.flatnonzero(new < 0)))
    for cell in range(index.nlist):
        numbers = faiss.rev_swig_ptr(index.invlists.get_ids(cell), index.invlists.list_size(cell))
        numbers[:] = new[numbers]
    return index


def write_index(index: Any, write: Callable[[bytes], Any]) -> None:
    """Write an index. FAISS's own file writer overlooks errors that come up when the file is closed.

    index (faiss.Index): the index.
    write (Callable[[bytes], int]): is called with part after part.
    """
    faiss = load_faiss()
    faiss.write_index(index, faiss.PyCallbackIOWriter(write, 1 << 20))


def build_codes(kind: IndexKind, keys: np.ndarray) -> Any:
    """An approximate index over codes of keys that stay on disk: `hnsw` of a byte a number, `ivfpq` of a byte for four.
    It finds more than is asked for, among which the keys themselves tell the nearest.

    kind (str): "hnsw" or "ivfpq".
    keys (np.ndarray): unit vectors, of which a block at a time is read. *Shape* (n, width).
    RETURNS (Optional[faiss.Index]): the index; None for too few keys to train an `ivfpq` index.
    """
    faiss = load_faiss()
    if kind == "ivfpq" and len(keys) < PQ_LEAST:
        warnings.warn(Warnings.W201.format(least=PQ_LEAST, count=len(keys)), stacklevel=4)
        return None
    sample = _sample(keys)
    if kind == "ivfpq":
        index = _train_ivfpq(sample, len(keys))
    else:
        code = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexHNSWSQ(keys.shape[1], code, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = HNSW_CONSTRUCTION
        index.train(sample)
    for start in range(0, len(keys), _BLOCK):
        index.add(np.ascontiguousarray(keys[start : start + _BLOCK], dtype="float32"))
    return index


def map_index(path: str, kind: IndexKind) -> Any:
    """RETURNS (faiss.Index): an index whose codes, and the links of `hnsw`, stay on disk until they are looked at."""
    faiss = load_faiss()
    return faiss.read_index(path, faiss.IO_FLAG_MMAP if kind == "ivfpq" else faiss.IO_FLAG_MMAP_IFC)


def exact_nearest(
    stored: np.ndarray, keys: np.ndarray, count: int, alive: Optional[np.ndarray]
) -> Tuple[np.ndarray, np.ndarray]:
    """The nearest of keys on disk, all of which are compared.

    stored (np.ndarray): unit vectors, of which a block at a time is read. *Shape* (total, width).
    keys (np.ndarray): the queries' keys, unit vectors, float32. *Shape* (n, width).
    count (int): how many to find for each; at most `total`.
    alive (Optional[np.ndarray]): bool, those that may be found; all where None. *Shape* (total,).
    RETURNS (Tuple[np.ndarray, np.ndarray]): similarities and positions, best first, -1 for none. *Shapes* (n, count).
    """
    scores = np.full((len(keys), count), -np.inf, dtype="float32")
    positions = np.full((len(keys), count), -1, dtype="int64")
    for start in range(0, len(stored), _BLOCK):
        block = keys @ np.asarray(stored[start : start + _BLOCK], dtype="float32").T
        if alive is not None:
            block[:, ~alive[start : start + _BLOCK]] = -np.inf
        numbers = np.broadcast_to(np.arange(start, start + block.shape[1]), block.shape)
        both, places = np.concatenate([scores, block], axis=1), np.concatenate([positions, numbers], axis=1)
        chosen = np.argpartition(-both, count - 1, axis=1)[:, :count]
        scores, positions = np.take_along_axis(both, chosen, 1), np.take_along_axis(places, chosen, 1)
    return by_score(scores, positions)


def by_score(scores: np.ndarray, positions: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """RETURNS (Tuple[np.ndarray, np.ndarray]): similarities and positions of each row, the most similar first."""
    order = np.argsort(-scores, axis=1, kind="stable")
    scores, positions = np.take_along_axis(scores, order, 1), np.take_along_axis(positions, order, 1)
    return scores, np.where(np.isneginf(scores), -1, positions)


def nearest(
    index: Any, keys: np.ndarray, count: int, *, effort: int, alive: Optional[np.ndarray] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """The nearest keys.

    index (faiss.Index): the index.
    keys (np.ndarray): unit vectors, float32. *Shape* (n, width).
    count (int): how many to find for each.
    effort (int): 0 at first; each step lets an approximate index look further.
    alive (Optional[np.ndarray]): bool, those that an approximate index may find; all where None. *Shape* (total,).
    RETURNS (Tuple[np.ndarray, np.ndarray]): similarities and positions, -1 for none. *Shapes* (n, count).
    """
    faiss = load_faiss()
    params = None
    allowed = {} if alive is None else {"sel": faiss.IDSelectorBitmap(np.packbits(alive, bitorder="little"))}
    if isinstance(index, faiss.IndexHNSW):
        params = faiss.SearchParametersHNSW(efSearch=max(HNSW_SEARCH << effort, 2 * count), **allowed)
    elif isinstance(index, faiss.IndexIVF):
        cells = index.nlist if count >= index.ntotal else min(index.nlist, max(8, index.nlist // 8) << 2 * effort)
        params = faiss.SearchParametersIVF(nprobe=cells, **allowed)
    found: Tuple[np.ndarray, np.ndarray] = index.search(np.ascontiguousarray(keys), count, params=params)
    return found


def to_half(index: Any) -> Any:
    """RETURNS (faiss.Index): a flat index with the same keys in half precision; another index as it is."""
    faiss = load_faiss()
    if not isinstance(index, faiss.IndexFlat):
        return index
    half = faiss.IndexScalarQuantizer(index.d, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    half.add(index.reconstruct_n(0, index.ntotal))
    return half


def from_half(index: Any) -> Any:
    """RETURNS (faiss.Index): the index of which `to_half` made one, with keys in float32."""
    faiss = load_faiss()
    if not isinstance(index, faiss.IndexScalarQuantizer):
        return index
    single = faiss.IndexFlatIP(index.d)
    single.add(index.reconstruct_n(0, index.ntotal))
    return single


def _train_ivfpq(keys: np.ndarray, total: int) -> Any:
    """RETURNS (faiss.IndexIVFPQ): trained for `total` keys on some or all of them."""
    faiss = load_faiss()
    width = keys.shape[1]
    cells = max(1, min(int(4 * math.sqrt(total)), len(keys) // 39))
    codes = next(n for n in range(max(1, width // 4), 0, -1) if width % n == 0)
    index = faiss.IndexIVFPQ(faiss.IndexFlatIP(width), width, cells, codes, PQ_BITS, faiss.METRIC_INNER_PRODUCT)
    index.train(keys)
    return index


def _sample(keys: np.ndarray) -> np.ndarray:
    """RETURNS (np.ndarray): what an index is trained on: some of the keys, or all, float32. *Shape* (n, width)."""
    if len(keys) > PQ_TRAINING:
        keys = keys[np.sort(np.random.default_rng(0).choice(len(keys), PQ_TRAINING, replace=False))]
    return np.ascontiguousarray(keys, dtype="float32")
