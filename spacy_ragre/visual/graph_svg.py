"""Draws the relations of a document as a graph of its entities."""

import math
from typing import Dict, List, Mapping, Sequence, Tuple

from .arcs import BOLD, score_text
from .document import Edge, GraphPicture, Node
from .layout import lay_out_graph
from .lines import TYPE_SIZE, type_text, type_width
from .style import color, number, picture, relation, say, sentence, tip, together, words
from .texts import direction, markup, shorten, shown, width

_NAME = 13.0
_LABEL = 11.0
_MARGIN = 18.0
_LONGEST = 230.0

Point = Tuple[float, float]
Pair = Tuple[int, int]


def draw_graph(graph: GraphPicture, colors: Mapping[str, str]) -> str:
    """graph (GraphPicture): a document's entities and relations. colors (Mapping[str, str]): CSS colours of labels.
    RETURNS (str): SVG.
    """
    if not graph.edges:
        parts = [words(80, 30, 13, 0, "No relations", "none")]
        return picture("graph", (160, 48), graph.lang, say([], []), parts)
    # Relations between the same two entities share one line, with their labels under each other.
    lines: Dict[Pair, List[Edge]] = {}
    for edge in graph.edges:
        lines.setdefault((min(edge.head, edge.tail), max(edge.head, edge.tail)), []).append(edge)
    node_sizes = [_node_size(node) for node in graph.nodes]
    label_sizes = [
        (max(map(_label_width, edges)) + (22 if len(edges) > 1 else 8), 15.0 * len(edges)) for edges in lines.values()
    ]
    links = []
    for i, (head, tail) in enumerate(lines):
        links += [(head, len(node_sizes) + i), (tail, len(node_sizes) + i)]
    sizes = [*node_sizes, *label_sizes]
    places = lay_out_graph(sizes, links) + _MARGIN
    size = tuple(max(p[axis] + s[axis] / 2 for p, s in zip(places, sizes)) + _MARGIN for axis in (0, 1))
    names = [shown(node.name) for node in graph.nodes]
    middles = [(float(x), float(y)) for x, y in places]
    paths, labels = [], []
    for i, ((pair, edges), middle, label_size) in enumerate(zip(lines.items(), middles[len(names) :], label_sizes)):
        ends = [_border((middles[end], node_sizes[end]), middle) for end in pair]
        said = "; ".join(sentence(names, edge) for edge in edges)
        line, text = _draw_path(edges, pair, ends, middle), _draw_labels(edges, pair, ends, middle, label_size, colors)
        paths.append(relation(i, edges[0].label, colors, said, line))
        labels.append(relation(i, edges[0].label, colors, said, text))
    nodes = [_draw_node(*node, colors) for node in zip(graph.nodes, middles, node_sizes)]
    parts = [together(len(lines)), *paths, *nodes, *labels]
    return picture("graph", (size[0], size[1]), graph.lang, say(names, graph.edges), parts)


def _name(node: Node) -> str:
    return shorten(shown(node.name), _NAME, _LONGEST)


def _node_size(node: Node) -> Tuple[float, float]:
    return max(width(_name(node), _NAME), type_width(node.label)) + 22, 38.0 if node.label else 28.0


def _label_text(edge: Edge) -> Tuple[str, str]:
    return shorten(shown(edge.label), _LABEL, _LONGEST), score_text(edge.score)


def _label_width(edge: Edge) -> float:
    label, score = _label_text(edge)
    return width(label, _LABEL) * BOLD + 5 + width(score, _LABEL - 1)


def _draw_node(node: Node, place: Point, size: Tuple[float, float], colors: Mapping[str, str]) -> str:
    (x, y), (w, h) = place, size
    corner = f'x="{number(x - w / 2)}" y="{number(y - h / 2)}" width="{number(w)}" height="{number(h)}" rx="8"'
    name = _name(node)
    base = y + (0 if node.label else 4.5)
    type_ = words(x, y + 12.5, TYPE_SIZE, type_width(node.label), type_text(node.label), "type") if node.label else ""
    return (
        f'<g class="node c" {color(node.label, colors)}><title>{markup(node.name)}</title>'
        f'<rect class="bg" {corner}/><rect class="box" {corner}/>'
        f"{words(x, base, _NAME, width(name, _NAME), name, '', direction(name))}{type_}</g>"
    )


def _draw_path(edges: Sequence[Edge], pair: Pair, ends: Sequence[Point], middle: Point) -> str:
    """RETURNS (str): the line between two nodes, through the middle of its labels, with arrows at its ends."""
    first, last = ends
    if pair[0] == pair[1]:
        # From an entity to itself: two lines to the label, side by side.
        first, last = (first[0] - 7, first[1]), (last[0] + 7, last[1])
    # The curve passes the middle of the label half way.
    bend = (2 * middle[0] - (first[0] + last[0]) / 2, 2 * middle[1] - (first[1] + last[1]) / 2)
    reached = {edge.tail for edge in edges} | {edge.head for edge in edges if edge.both}
    points = {pair[0]: first, pair[1]: last}
    tips = "".join(_tip(points[end], bend) for end in sorted(reached))
    return f'<path class="path" d="M{_pair(first)}Q{_pair(bend)} {_pair(last)}"/>{tips}'


def _draw_labels(
    edges: Sequence[Edge],
    pair: Pair,
    ends: Sequence[Point],
    middle: Point,
    size: Tuple[float, float],
    colors: Mapping[str, str],
) -> str:
    """RETURNS (str): the labels of the relations between two nodes, under each other."""
    y = middle[1] - size[1] / 2
    x, wide, tall = number(middle[0] - size[0] / 2), number(size[0]), number(size[1])
    parts = [f'<rect class="bg" x="{x}" y="{number(y)}" width="{wide}" height="{tall}" rx="3"/>']
    way = (ends[1][0] - ends[0][0], ends[1][1] - ends[0][1])
    for i, edge in enumerate(edges):
        label, score = _label_text(edge)
        if len(edges) > 1 and pair[0] != pair[1]:
            # The line's tips do not say which of its relations goes where.
            back = edge.head == pair[1]
            label = f"{'↔' if edge.both else _arrow((-way[0], -way[1]) if back else way)} {label}"
        told = f'<tspan class="score" font-size="{number(_LABEL - 1)}" dx="5">{score}</tspan>'
        text = words(middle[0], y + 15.0 * i + 11, _LABEL, 0, label, "label", None, told)
        parts.append(f'<g class="c" {color(edge.label, colors)}>{text}</g>')
    return "".join(parts)


def _arrow(way: Point) -> str:
    """RETURNS (str): an arrow in that direction, of those that letters have."""
    return "→↘↓↙←↖↑↗"[round(math.atan2(way[1], way[0]) / (math.pi / 4)) % 8]


def _border(box: Tuple[Point, Tuple[float, float]], target: Point) -> Point:
    """RETURNS (Point): where the way from the middle of a box to a point leaves the box."""
    (x, y), (w, h) = box
    dx, dy = target[0] - x, target[1] - y
    share = min(w / 2 / abs(dx) if dx else math.inf, h / 2 / abs(dy) if dy else math.inf)
    return (x + dx * share, y + dy * share) if share < 1 else target


def _tip(point: Point, away: Point) -> str:
    far = math.dist(point, away) or 1.0
    return tip(*point, (point[0] - away[0]) / far, (point[1] - away[1]) / far)


def _pair(point: Point) -> str:
    return f"{number(point[0])},{number(point[1])}"
