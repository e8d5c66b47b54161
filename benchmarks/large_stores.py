"""Stores of a million examples, memory-mapped: time to build, size, recall, speed, additions and deletions.

    python -m benchmarks.large_stores --count 1000000

The vectors are generated, with fixed seeds, to look like embeddings of sentences: topics, in each of them groups of
sentences that say nearly the same, and variances that fall from one direction to the next. Queries are of the same
groups. Exact neighbours come from a comparison with all vectors in float32. Each kind of index has a process to itself,
with its own memory.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import numpy as np

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.retrieval import MappedStore, open_store

from .results import merge

WIDTH = 384
CHUNK = 10_000
QUERIES = 1000
K = 10
# Sentences of a group, and groups of a topic, on average.
GROUP, TOPIC = 20, 100

Best = Tuple[np.ndarray, np.ndarray]


class Vectors:
    """Vectors in groups.

    count (int): how many there are.
    """

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        # The spectrum of embeddings of sentences falls slowly: few directions are equally used.
        self.scale = ((1 + np.arange(WIDTH)) ** -0.4).astype("float32")
        groups = max(1, count // GROUP)
        topics = self._draw(rng, max(1, groups // TOPIC))
        self.groups = topics[rng.integers(0, len(topics), groups)] + self._draw(rng, groups)
        self.count = count

    def _draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        drawn: np.ndarray = rng.normal(size=(count, WIDTH)).astype("float32") * self.scale
        return drawn

    def draw(self, seed: int, count: int) -> np.ndarray:
        """RETURNS (np.ndarray): unit vectors, float32. *Shape* (count, width)."""
        rng = np.random.default_rng(seed)
        vectors: np.ndarray = self.groups[rng.integers(0, len(self.groups), count)] + self._draw(rng, count)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def stream(self) -> Iterator[Tuple[List[Instance], np.ndarray]]:
        """YIELDS (Tuple[List[Instance], np.ndarray]): examples and their vectors, a chunk at a time."""
        for start in range(0, self.count, CHUNK):
            size = min(CHUNK, self.count - start)
            yield make_examples(start, size), self.draw(1 + start // CHUNK, size)

    def queries(self) -> np.ndarray:
        """RETURNS (np.ndarray): vectors that are in no store. *Shape* (QUERIES, width)."""
        return self.draw(10**6, QUERIES)


def make_examples(start: int, count: int) -> List[Instance]:
    return [
        Instance(f"Sentence {i} of a corpus.", (0, 8), (18, 24), answers=(Answer("part_of"),), id=f"doc {i // 4}")
        for i in range(start, start + count)
    ]


def exact(vectors: Vectors) -> Best:
    """RETURNS (Tuple[np.ndarray, np.ndarray]): similarities and positions of each query's nearest vectors, twice as
    many as are looked for. *Shapes* (QUERIES, 2 * K).
    """
    best = np.zeros((QUERIES, 0), dtype="float32"), np.zeros((QUERIES, 0), dtype="int64")
    for number, (_, block) in enumerate(vectors.stream()):
        best = with_others(best, vectors.queries(), block, number * CHUNK)
    return best


def with_others(best: Best, queries: np.ndarray, block: np.ndarray, first: int) -> Best:
    """RETURNS (Tuple[np.ndarray, np.ndarray]): the nearest among those known and others, whose positions begin at
    `first`.
    """
    scores = np.concatenate([best[0], queries @ block.T], axis=1)
    places = np.broadcast_to(np.arange(first, first + len(block)), (len(queries), len(block)))
    positions = np.concatenate([best[1], places], axis=1)
    kept = np.argsort(-scores, axis=1)[:, : 2 * K]
    return np.take_along_axis(scores, kept, 1), np.take_along_axis(positions, kept, 1)


def recall(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]) -> float:
    return float(np.mean([len(set(own) & set(best[:K])) / K for own, best in zip(found, expected)]))


def seconds(run: Callable[[], Any]) -> Tuple[float, Any]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def measure(kind: Any, count: int, folder: str, expected: Best) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): the figures of one kind of index."""
    vectors = Vectors(count)
    queries = vectors.queries()
    generated, _ = seconds(lambda: sum(len(keys) for _, keys in vectors.stream()))
    path = Path(folder) / kind
    built, _ = seconds(lambda: MappedStore.build(path, kind, vectors.stream(), fingerprint="benchmark"))
    # What is generated for the measurement, and no store needs.
    own = vectors.groups.nbytes / 2**20
    values: Dict[str, Any] = {
        "vectors": count,
        "width": WIDTH,
        "build_seconds": built - generated,
        "build_peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - own,
        "size_mib": sum(file.stat().st_size for file in path.iterdir()) / 2**20,
        "vectors_in_float32_mib": count * WIDTH * 4 / 2**20,
    }
    values["load_seconds"], store = seconds(lambda: open_store(path))

    def search(rows: np.ndarray) -> List[List[int]]:
        return [[item.index for item in row] for row in store.search(rows, K)]

    values["recall_at_10"] = recall(search(queries), expected[1].tolist())
    some = queries[: 100 if kind == "flat" else QUERIES]
    alone, _ = seconds(lambda: [search(query[None]) for query in some])
    values["queries_per_second_one_by_one"] = len(some) / alone
    together, _ = seconds(lambda: search(some))
    values["queries_per_second_together"] = len(some) / together
    # A hundredth is added and another one removed.
    change = max(1, count // 100)
    new = vectors.draw(10**6 + 1, change)
    added, _ = seconds(
        lambda: [
            store.add(make_examples(count + i, len(new[i : i + 100])), new[i : i + 100]) for i in range(0, change, 100)
        ]
    )
    values["additions"], values["additions_per_second"] = change, change / added
    values["additions_found"] = recall_of_added(search(new[:200]), count)
    removed, gone = seconds(
        lambda: sum(store.remove(ids=[f"doc {i}" for i in range(j, j + 25)]) for j in range(0, change // 4, 25))
    )
    values["deletions"], values["deletions_per_second"] = gone, gone / removed
    found = search(queries)
    values["deletions_found"] = sum(i < 4 * (change // 4) for row in found for i in row)
    _, places = with_others(expected, queries, new, count)
    values["recall_at_10_after"] = recall(found, [[i for i in row if i >= gone] for row in places.tolist()])
    alone, _ = seconds(lambda: [search(query[None]) for query in some])
    values["queries_per_second_after"] = len(some) / alone
    values["save_seconds"], _ = seconds(lambda: store.to_disk(path))
    values["load_seconds_after"], again = seconds(lambda: open_store(path))
    values["same_after_saving"] = found == [[item.index for item in row] for row in again.search(queries, K)]
    return values


def recall_of_added(found: Sequence[Sequence[int]], count: int) -> float:
    """RETURNS (float): share of additions that are the nearest to their own vector."""
    return sum(row[0] == count + number for number, row in enumerate(found)) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", default=["flat", "hnsw", "ivfpq"])
    parser.add_argument("--folder", type=Path, help="where the stores are written, and removed again")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/large_stores.json"))
    args = parser.parse_args()
    expected = exact(Vectors(args.count))
    for kind in args.kinds:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                values = pool.apply(measure, (kind, args.count, folder, expected))
        merge(args.output, "Large stores", {f"{kind}, {args.count} vectors": values})
        print(kind, {k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}, flush=True)


if __name__ == "__main__":
    main()
