"""Draws a document with arcs above its text."""

import math
from typing import List, Mapping, Sequence

from .arcs import LABEL_HEIGHT, LABEL_SIZE, SCORE_SIZE, TYPE_HEIGHT, Arc, Point, lay_out
from .document import TextPicture
from .lines import TEXT_SIZE, TYPE_SIZE, type_text, type_width
from .style import color, number, picture, relation, say, sentence, tip, together, words
from .texts import direction, has_emoji, shown

_TIP = 7.0


def draw_arcs(shown_doc: TextPicture, most: float, colors: Mapping[str, str]) -> str:
    """shown_doc (TextPicture): the document. most (float): how wide the picture may be, in pixels.
    colors (Mapping[str, str]): CSS colours of labels. RETURNS (str): SVG.
    """
    if not shown_doc.words:
        parts = [words(80, 30, 13, 0, "No text", "none")]
        return picture("arcs", (160, 48), shown_doc.lang, ("No text", "The document is empty."), parts)
    names = [shown(shown_doc.text[mention.start : mention.end]) for mention in shown_doc.mentions]
    placed = lay_out(shown_doc, most)
    way = direction(shown_doc.text)
    parts = []
    for box in placed.boxes:
        label = shown_doc.mentions[box.mention].label
        x, y = number(box.left), number(box.top)
        w, h = number(box.right - box.left), number(box.bottom - box.top)
        parts.append(
            f'<g class="c" {color(label, colors)}><rect class="box" x="{x}" y="{y}" width="{w}" height="{h}" rx="5"/>'
        )
        if label:
            base = box.bottom - TYPE_HEIGHT + TYPE_SIZE - 1
            middle = (box.left + box.right) / 2
            parts.append(words(middle, base, TYPE_SIZE, type_width(label), type_text(label), "type"))
        parts.append("</g>")
    for run in placed.runs:
        # How wide emoji are is not known.
        length = 0 if has_emoji(run.text) else run.width
        parts.append(words(run.x, run.y, TEXT_SIZE, length, run.text, "", way))
    # Labels lie above all lines. What belongs together has a class of its own, to be told apart under the mouse.
    said = [sentence(names, arc.edge) for arc in placed.arcs]
    parts.append(together(len(placed.arcs)))
    parts += [_draw_path(i, arc, said[i], colors) for i, arc in enumerate(placed.arcs)]
    parts += [_draw_label(i, arc, said[i], colors) for i, arc in enumerate(placed.arcs)]
    return picture("arcs", (placed.width, placed.height), shown_doc.lang, say(names, shown_doc.edges), parts)


def _draw_path(number_: int, arc: Arc, said: str, colors: Mapping[str, str]) -> str:
    points = list(arc.points)
    tips = []
    for end in (-1, 0) if arc.edge.both else (-1,):
        x, y = points[end]
        tips.append(tip(x, y - 1, 0, 1))
        points[end] = (x, y - _TIP)
    path = f'<path class="path" d="{_rounded(points, 8)}"/>{"".join(tips)}'
    return relation(number_, arc.edge.label, colors, said, path)


def _draw_label(number_: int, arc: Arc, said: str, colors: Mapping[str, str]) -> str:
    left, top = number(arc.x - arc.width / 2 - 3), number(arc.y - LABEL_HEIGHT / 2)
    score = f'<tspan class="score" font-size="{number(SCORE_SIZE)}" dx="5">{arc.score}</tspan>'
    ground = f'<rect class="bg" x="{left}" y="{top}" width="{number(arc.width + 6)}" height="{number(LABEL_HEIGHT)}"/>'
    text = words(arc.x, arc.y + LABEL_SIZE / 2 - 1.5, LABEL_SIZE, arc.width, arc.label, "label", None, score)
    return relation(number_, arc.edge.label, colors, said, ground + text)


def _rounded(points: Sequence[Point], radius: float) -> str:
    """RETURNS (str): a line through points, as SVG writes it, with round corners."""
    path: List[str] = [f"M{_pair(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:]):
        reach = min(radius, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        path.append(f"L{_pair(_toward(corner, before, reach))}Q{_pair(corner)} {_pair(_toward(corner, after, reach))}")
    return "".join([*path, f"L{_pair(points[-1])}"])


def _toward(start: Point, end: Point, length: float) -> Point:
    whole = math.dist(start, end) or 1.0
    return start[0] + (end[0] - start[0]) * length / whole, start[1] + (end[1] - start[1]) * length / whole


def _pair(point: Point) -> str:
    return f"{number(point[0])},{number(point[1])}"
