"""Searches that leave nothing out: as many neighbours as were asked for, without those that a query must not find, and
ties in the order in which examples were added.
"""

from typing import Callable, Collection, Dict, Iterator, List, Sequence, Tuple

import numpy as np

# Similarities that differ by less are taken for ties: sums in another order differ in their last bits.
_DECIMALS = 6
# Results of one search that are held at once, queries times neighbours.
_MAX_RESULTS = 4_000_000

#: Gives similarities and positions of the nearest keys, best first, -1 for none: of queries' keys, *Shape* (n, width),
#: how many, and how far an approximate index looks (0 at first). *Shapes* (n, count).
Nearest = Callable[[np.ndarray, int, int], Tuple[np.ndarray, np.ndarray]]
#: Similarities and positions of one query's neighbours.
Found = List[Tuple[float, int]]


def find(nearest: Nearest, total: int, keys: np.ndarray, k: int, excluded: Sequence[Collection[int]]) -> List[Found]:
    """Find the examples most similar to each key.

    nearest (Callable): searches the index.
    total (int): number of examples that it can find.
    keys (np.ndarray): the queries' keys, unit vectors, float32. *Shape* (n, width).
    k (int): how many to find. Fewer come back where there are fewer.
    excluded (Sequence[Collection[int]]): for each query, the positions that it must not find.
    RETURNS (List[List[Tuple[float, int]]]): similarities and positions, best first, those of one similarity in their
        order.
    """
    results: List[Found] = [[] for _ in keys]
    if k < 1 or not total:
        return results
    # One more than is needed shows whether the last one is tied with others.
    rows = {row: _power_of_two(k + len(excluded[row]) + 1) for row in range(len(keys))}
    effort = 0
    while rows:
        again: Dict[int, int] = {}
        for row, scores, positions in _batches(nearest, total, keys, rows, effort):
            results[row] = _pick(scores, positions, k, excluded[row])
            if rows[row] < total and _is_short(results[row], k, scores, positions, effort):
                again[row] = 4 * rows[row]
        rows = again
        effort += 1
    return results


def _batches(
    nearest: Nearest, total: int, keys: np.ndarray, rows: Dict[int, int], effort: int
) -> Iterator[Tuple[int, np.ndarray, np.ndarray]]:
    """Search for rows that need equally many results together."""
    for count in sorted(set(rows.values())):
        group = [row for row in rows if rows[row] == count]
        fetch = min(count, total)
        size = max(1, _MAX_RESULTS // fetch)
        for start in range(0, len(group), size):
            part = group[start : start + size]
            yield from zip(part, *nearest(keys[part], fetch, effort), strict=True)


def _pick(scores: np.ndarray, positions: np.ndarray, k: int, excluded: Collection[int]) -> Found:
    found = [
        (score, position)
        for score, position in zip(scores.tolist(), positions.tolist(), strict=True)
        if position >= 0 and position not in excluded
    ]
    return best(found, k)


def best(found: Found, k: int) -> Found:
    """RETURNS (List[Tuple[float, int]]): the k most similar, those of one similarity in their order."""
    return sorted(found, key=lambda item: (-round(item[0], _DECIMALS), item[1]))[:k]


def _is_short(found: Found, k: int, scores: np.ndarray, positions: np.ndarray, effort: int) -> bool:
    """Whether a wider search may change the result: too few came back, or the last is tied with others unseen.

    Ties are followed twice: a store may hold any number of examples of one sentence.
    """
    if len(found) < k:
        return True
    return effort < 2 and positions[-1] >= 0 and round(float(scores[-1]), _DECIMALS) == round(found[-1][0], _DECIMALS)


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()
