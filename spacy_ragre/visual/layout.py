"""Places of nodes in a picture of a graph: stress majorisation (Gansner, Koren and North 2004), then no overlaps.

Labels of edges are nodes, too, between the two ends, so that nothing lies on a label either. The same graph is always
laid out the same.
"""

from typing import List, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Size = Tuple[float, float]

_ROUNDS = 150
_PUSHES = 400
GAP = 14.0


def lay_out_graph(sizes: Sequence[Size], links: Sequence[Tuple[int, int]], widest: float = 1000.0) -> Floats:
    """Place nodes.

    sizes (Sequence[Size]): width and height of each node, in pixels.
    links (Sequence[Tuple[int, int]]): pairs of nodes that should be near each other.
    widest (float): parts without links between them stand side by side up to this width.
    RETURNS (Floats): middle of each node. *Shape:* (nodes, 2). All nodes are at least at 0.
    """
    places = np.zeros((len(sizes), 2))
    boxes = np.array(sizes, dtype=np.float64).reshape(-1, 2)
    left = top = height = 0.0
    for part in sorted(_parts(len(sizes), links), key=lambda part: (-len(part), part[0])):
        number = {node: i for i, node in enumerate(part)}
        own = _lay_out_part(boxes[part], [(number[a], number[b]) for a, b in links if a in number])
        own -= (own - boxes[part] / 2).min(axis=0)
        width, tall = (own + boxes[part] / 2).max(axis=0)
        if left and left + width > widest:
            left, top, height = 0.0, top + height + 2 * GAP, 0.0
        places[part] = own + [left, top]
        left, height = left + width + 2 * GAP, max(height, tall)
    return places


def _parts(count: int, links: Sequence[Tuple[int, int]]) -> List[List[int]]:
    """RETURNS (List[List[int]]): nodes that are linked, directly or over others."""
    near: List[List[int]] = [[] for _ in range(count)]
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    seen = [False] * count
    parts = []
    for start in range(count):
        if seen[start]:
            continue
        seen[start] = True
        part = [start]
        for node in part:
            for other in near[node]:
                if not seen[other]:
                    seen[other] = True
                    part.append(other)
        parts.append(sorted(part))
    return parts


def _lay_out_part(boxes: Floats, links: Sequence[Tuple[int, int]]) -> Floats:
    count = len(boxes)
    if count == 1:
        return np.zeros((1, 2))
    wanted = _distances(boxes, links)
    # A circle in the order of a walk over the graph: any start will do, but it must not be random.
    angles = 2 * np.pi * np.arange(count) / count
    places = np.stack([1.4 * np.cos(angles), np.sin(angles)], axis=1) * wanted.max() / 2
    weights = 1 / np.maximum(wanted, 1e-9) ** 2
    np.fill_diagonal(weights, 0.0)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    inverse = np.linalg.pinv(laplacian)
    for _ in range(_ROUNDS):
        between = places[:, None] - places[None]
        far = np.maximum(np.sqrt((between**2).sum(axis=2)), 1e-9)
        pulls = weights * wanted / far
        places = inverse @ (pulls.sum(axis=1)[:, None] * places - pulls @ places)
    # Boxes with text are flat, so that they need less room above each other than side by side.
    return _without_overlaps(_lying(places) * [1.0, 0.55], boxes)


def _distances(boxes: Floats, links: Sequence[Tuple[int, int]]) -> Floats:
    """RETURNS (Floats): how far nodes should be from each other, along the shortest way. *Shape:* (nodes, nodes)."""
    count = len(boxes)
    far = np.full((count, count), np.inf)
    np.fill_diagonal(far, 0.0)
    for a, b in links:
        far[a, b] = far[b, a] = 0.4 * (boxes[a, 0] + boxes[b, 0]) + 2 * GAP
    for middle in range(count):
        np.minimum(far, far[:, middle, None] + far[None, middle], out=far)
    return far


def _lying(places: Floats) -> Floats:
    """RETURNS (Floats): places turned so that they are widest from left to right, as screens are, the first on the
    left.
    """
    centred = places - places.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    turned: Floats = centred @ axes.T
    # The sign of an axis is not given: the first node is on the left, and above.
    signs = np.where(turned[0] > 0, -1.0, 1.0)
    return turned * signs


def _without_overlaps(places: Floats, boxes: Floats) -> Floats:
    """Push nodes apart that are less than the gap from each other, each pair along the shorter way out."""
    needed = (boxes[:, None] + boxes[None]) / 2 + GAP
    others = ~np.eye(len(boxes), dtype=bool)
    order = np.sign(np.arange(len(boxes))[:, None] - np.arange(len(boxes))[None]).astype(np.float64)
    for _ in range(_PUSHES):
        between = places[:, None] - places[None]
        over = needed - np.abs(between)
        hit = (over > 1e-3).all(axis=2) & others
        if not hit.any():
            break
        across = (over[..., 0] < over[..., 1]) & hit
        along = ~across & hit
        for axis, mask in ((0, across), (1, along)):
            way = np.where(between[..., axis] == 0, order, np.sign(between[..., axis]))
            push = np.where(mask, way * over[..., axis] / 2, 0.0)
            places[:, axis] += push.sum(axis=1) / np.maximum(mask.sum(axis=1), 1) * 1.05
    return places
