"""FAISS indexes over unit vectors: how each kind is built, grown and searched.

Cosine similarity is the inner product of unit vectors. `flat` compares with every key. `hnsw` walks a graph of
neighbours (Malkov & Yashunin 2018) and `ivfpq` looks into the nearest cells of compressed keys (Jégou et al. 2011):
both are for stores of hundreds of thousands of examples and may miss a neighbour.
"""

import math
import warnings
from importlib import import_module
from typing import Any, Literal, Tuple

import numpy as np

from ..errors import Warnings

IndexKind = Literal["flat", "hnsw", "ivfpq"]

HNSW_LINKS = 32
HNSW_CONSTRUCTION = 200
HNSW_SEARCH = 128
PQ_BITS = 8
# FAISS asks for 39 points a centroid; fewer give cells that do not stand for the data.
PQ_LEAST = 39 * 2**PQ_BITS
PQ_TRAINING = 100_000


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
            index = _train_ivfpq(keys)
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


def nearest(index: Any, keys: np.ndarray, count: int, *, effort: int) -> Tuple[np.ndarray, np.ndarray]:
    """The nearest keys.

    index (faiss.Index): the index.
    keys (np.ndarray): unit vectors, float32. *Shape* (n, width).
    count (int): how many to find for each.
    effort (int): 0 at first; each step lets an approximate index look further.
    RETURNS (Tuple[np.ndarray, np.ndarray]): similarities and positions, -1 for none. *Shapes* (n, count).
    """
    faiss = load_faiss()
    params = None
    if isinstance(index, faiss.IndexHNSW):
        params = faiss.SearchParametersHNSW(efSearch=max(HNSW_SEARCH << effort, 2 * count))
    elif isinstance(index, faiss.IndexIVF):
        cells = index.nlist if count >= index.ntotal else min(index.nlist, max(8, index.nlist // 8) << 2 * effort)
        params = faiss.SearchParametersIVF(nprobe=cells)
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


def _train_ivfpq(keys: np.ndarray) -> Any:
    faiss = load_faiss()
    width = keys.shape[1]
    cells = max(1, min(int(4 * math.sqrt(len(keys))), len(keys) // 39))
    codes = next(n for n in range(max(1, width // 4), 0, -1) if width % n == 0)
    index = faiss.IndexIVFPQ(faiss.IndexFlatIP(width), width, cells, codes, PQ_BITS, faiss.METRIC_INNER_PRODUCT)
    sample = keys
    if len(keys) > PQ_TRAINING:
        sample = keys[np.random.default_rng(0).choice(len(keys), PQ_TRAINING, replace=False)]
    index.train(np.ascontiguousarray(sample))
    return index
