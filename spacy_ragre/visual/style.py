"""How pictures look: one style sheet for light and dark grounds, and the page around pictures."""

import re
from pathlib import Path
from typing import Iterable, List, Mapping, Optional, Tuple

from .colours import tone
from .document import Edge
from .texts import FONT, markup

# A picture may stand alone, as a file, or with others on a page that has a style of its own: every rule names the
# class. The rules are the same in all pictures, so that they may be there twice.
STYLE = f"""<style>
.ragre{{--bg:#fff;--ink:#1c2128;--muted:#59636e;--line:#d8dee4;font-family:{FONT};max-width:none}}
.ragre .c{{--c:var(--l)}}
@media (prefers-color-scheme:dark){{
.ragre{{--bg:#14181d;--ink:#e6e9ed;--muted:#9aa4af;--line:#333b45}}
.ragre .c{{--c:var(--d)}}
}}
.ragre text{{fill:var(--ink)}}
.ragre .bg{{fill:var(--bg)}}
.ragre .box{{fill:var(--c);fill-opacity:.1;stroke:var(--c);stroke-opacity:.45}}
.ragre .node .bg{{stroke:none}}
.ragre text.type{{fill:var(--c);font-weight:600;letter-spacing:.02em}}
.ragre .path{{fill:none;stroke:var(--c);stroke-width:1.5}}
.ragre .tip{{fill:var(--c)}}
.ragre text.label{{fill:var(--c);font-weight:600}}
.ragre .score{{fill:var(--muted);font-weight:400}}
.ragre text.none{{fill:var(--muted)}}
.ragre .rel:hover .path{{stroke-width:2.5}}
</style>"""

_PAGE = """<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Relations</title>
<style>
:root{{color-scheme:light dark}}
body{{margin:0;padding:24px 16px;background:#f4f6f8}}
figure{{margin:0 auto 16px;max-width:max-content;overflow-x:auto;background:#fff;border:1px solid #d8dee4;\
border-radius:10px}}
svg{{display:block}}
@media (prefers-color-scheme:dark){{body{{background:#0d1014}}figure{{background:#14181d;border-color:#333b45}}}}
</style>
</head>
<body>
<main>
{figures}
</main>
</body>
</html>"""


def wrap_page(pictures: Iterable[str], lang: str = "en") -> str:
    """pictures (Iterable[str]): SVG of documents. lang (str): language code. RETURNS (str): an HTML page with them."""
    figures = "\n".join(f'<figure tabindex="0">\n{picture}\n</figure>' for picture in pictures)
    return _PAGE.format(lang=markup(lang), figures=figures)


def fill(skeleton: Path, parts: Mapping[str, str]) -> str:
    """skeleton (Path): a page, with `{{name}}` where parts belong. parts (Mapping[str, str]): markup by name.
    RETURNS (str): the page. What is filled in is not filled again.
    """
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], skeleton.read_text(encoding="utf8"))


def picture(kind: str, size: Tuple[float, float], lang: str, about: Tuple[str, str], parts: Iterable[str]) -> str:
    """Make one SVG of its parts.

    kind (str): "arcs" or "graph", a class of the element.
    size (Tuple[float, float]): its width and height, in pixels.
    lang (str): language code of the text.
    about (Tuple[str, str]): name and description, for those who do not see it.
    parts (Iterable[str]): markup of what is in it.
    RETURNS (str): the SVG, which can stand in a page or be a file.
    """
    width, height = (number(value) for value in size)
    name, description = about
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ragre {kind}" role="img" lang="{markup(lang)}" '
            f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" aria-label="{markup(name)}">',
            f"<desc>{markup(description)}</desc>",
            STYLE,
            f'<rect class="bg" width="{width}" height="{height}" rx="8"/>',
            *parts,
            "</svg>",
        ]
    )


def number(value: float) -> str:
    """RETURNS (str): a length with one digit behind the point, where there is one."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def color(name: str, colors: Mapping[str, str]) -> str:
    """name (str): a label or an entity type. colors (Mapping[str, str]): the user's own.
    RETURNS (str): the attribute that gives its colour to what has the class c.
    """
    own = colors.get(name)
    light, dark = (own, own) if own is not None else tone(name)
    return f'style="--l:{light};--d:{dark}"'


def together(count: int) -> str:
    """count (int): how many relations a picture has.
    RETURNS (str): a style by which the others fade where one of them is under the mouse.
    """
    rules = (f".ragre:has(.r{i}:hover) .rel:not(.r{i}){{opacity:.15}}" for i in range(count))
    return f"<style>{''.join(rules)}</style>" if 1 < count <= 300 else ""


def relation(place: int, label: str, colors: Mapping[str, str], said: str, inner: str) -> str:
    """A part of a relation, in its colour.

    place (int): which relation of the picture it is. label (str): its label. colors (Mapping[str, str]): of the user.
    said (str): the relation in words. inner (str): markup of the part.
    RETURNS (str): the markup.
    """
    return f'<g class="rel r{place} c" {color(label, colors)}><title>{markup(said)}</title>{inner}</g>'


def say(names: List[str], edges: List[Edge]) -> Tuple[str, str]:
    """What a picture shows, in words.

    names (List[str]): of what its relations are between.
    edges (List[Edge]): the relations.
    RETURNS (Tuple[str, str]): a short name and the relations themselves.
    """
    if not edges:
        return "No relations", "The document has no relations."
    count = f"{len(edges)} relation" + ("s" if len(edges) > 1 else "")
    said = [sentence(names, edge) for edge in edges[:50]]
    more = [f"And {len(edges) - 50} more"] if len(edges) > 50 else []
    return count, "; ".join([*said, *more]) + "."


def sentence(names: List[str], edge: Edge) -> str:
    """RETURNS (str): "Microsoft founded_by Bill Gates (0.84)"."""
    way = " (in both directions)" if edge.both else ""
    return f"{names[edge.head]} {edge.label} {names[edge.tail]} ({edge.score:.2f}){way}"


def tip(x: float, y: float, dx: float, dy: float) -> str:
    """RETURNS (str): an arrow's tip at a point, in a direction of length 1."""
    bx, by = x - 8 * dx, y - 8 * dy
    corners = ((x, y), (bx - 4 * dy, by + 4 * dx), (bx + 4 * dy, by - 4 * dx))
    return f'<path class="tip" d="M{" L".join(f"{number(a)},{number(b)}" for a, b in corners)}Z"/>'


def words(
    x: float, y: float, size: float, length: float, text: str, css: str = "", way: Optional[str] = None, more: str = ""
) -> str:
    """Text of a known width around a point.

    x (float): its middle. y (float): its base line. size (float): of its letters. length (float): how wide it is.
    text (str): the text. css (str): its class. way (Optional[str]): "rtl" where it runs from right to left.
    more (str): markup that follows inside.
    RETURNS (str): the markup.
    """
    kind = f' class="{css}"' if css else ""
    turned = ' direction="rtl"' if way == "rtl" else ""
    fit = f' textLength="{number(length)}" lengthAdjust="spacingAndGlyphs"' if length else ""
    return (
        f'<text{kind} x="{number(x)}" y="{number(y)}" font-size="{number(size)}" text-anchor="middle"{turned}{fit}>'
        f"{markup(text)}{more}</text>"
    )
