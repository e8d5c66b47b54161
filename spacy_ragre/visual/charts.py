"""Charts of a report: curves, bars of probabilities, and scores with their intervals. Colours are those of its page."""

from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .style import number
from .texts import markup

# The size of a chart, and what is around its square, in pixels.
_WIDTH, _HEIGHT = 460, 400
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 14, 14, 46
_WIDE, _HIGH = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM


class Series(NamedTuple):
    """A pipeline in a chart of curves.

    name (str): of the pipeline.
    points (Sequence[Mapping[str, float]]): `precision`, `recall` and `threshold`, the highest threshold first.
    answers (Optional[Tuple[float, float]]): recall and precision of what it answers.
    """

    name: str
    points: Sequence[Mapping[str, float]]
    answers: Optional[Tuple[float, float]]


def curve_chart(series: Sequence[Series]) -> str:
    """RETURNS (str): precision against recall, as SVG; a point for the answers of each pipeline."""
    parts = []
    for place, item in enumerate(series):
        shape = [(point["recall"], point["precision"]) for point in item.points]
        if shape:
            # At the left, the curve begins with the precision of the best scores.
            line = [(0.0, shape[0][1]), *shape]
            parts.append(f'<polyline class="curve s{place}" points="{" ".join(_point(*at) for at in line)}"/>')
        for point in item.points[:: max(1, len(item.points) // 25)]:
            said = "precision {precision:.2f}, recall {recall:.2f} from score {threshold:.2f}".format(**point)
            parts.append(_dot(point["recall"], point["precision"], f"spot s{place}", 6, f"{item.name}: {said}"))
        if item.answers is not None:
            recall, precision = item.answers
            said = f"{item.name}, its answers: precision {precision:.2f}, recall {recall:.2f}"
            parts.append(_dot(recall, precision, f"answers s{place}", 5, said))
    about = "; ".join(item.name for item in series)
    return _chart(f"Precision against recall: {about}", ("recall", "precision"), parts)


def reliability_chart(bins: Sequence[Mapping[str, Any]]) -> str:
    """RETURNS (str): the share of relations of each score that hold, as SVG, beside the score itself."""
    parts = [f'<path class="even" d="M{_point(0, 0)} L{_point(1, 1)}"/>']
    for item in bins:
        left, right = _x(item["low"]) + 2, _x(item["high"]) - 2
        top, base = _y(item["right"]), _y(0)
        said = f"{item['count']} relations of score {item['score']:.2f}: {100 * item['right']:.0f}% hold"
        parts.append(
            f'<g><title>{markup(said)}</title><rect class="bar" x="{number(left)}" y="{number(top)}" '
            f'width="{number(right - left)}" height="{number(max(base - top, 1))}"/>'
            f'<text class="small" x="{number((left + right) / 2)}" y="{number(base - 6)}">'
            f"{_short(item['count'])}</text></g>"
        )
        parts.append(_dot(item["score"], item["right"], "mean", 3, said))
    return _chart("Share of relations that hold, by score", ("score", "share that holds"), parts)


def score_bar(value: float, interval: Sequence[float]) -> str:
    """RETURNS (str): a score from 0 to 1 as a bar, with its interval as a line, as SVG of 100 by 12 units."""
    whisker = ""
    if len(interval) == 2:
        low, high = (number(100 * end) for end in interval)
        whisker = f'<path class="whisker" d="M{low},6 H{high} M{low},3 V9 M{high},3 V9"/>'
    return (
        '<svg class="score" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="ground" width="100" height="12"/><rect class="bar" width="{number(100 * value)}" height="12"/>'
        f"{whisker}</svg>"
    )


def _chart(name: str, axes: Tuple[str, str], parts: Sequence[str]) -> str:
    grid: List[str] = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        grid.append(f'<path class="grid" d="M{_point(tick, 0)} V{number(_y(1))} M{_point(0, tick)} H{number(_x(1))}"/>')
        grid.append(f'<text class="tick" x="{number(_x(tick))}" y="{number(_y(0) + 18)}">{tick:g}</text>')
        grid.append(f'<text class="tick side" x="{_LEFT - 8}" y="{number(_y(tick) + 4)}">{tick:g}</text>')
    middle = _TOP + _HIGH / 2
    names = (
        f'<text class="axis" x="{number(_LEFT + _WIDE / 2)}" y="{_HEIGHT - 8}">{markup(axes[0])}</text>'
        f'<text class="axis" transform="translate(14,{number(middle)}) rotate(-90)">{markup(axes[1])}</text>'
    )
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{markup(name)}">'
        f"{''.join(grid)}{names}{''.join(parts)}</svg>"
    )


def _dot(x: float, y: float, css: str, radius: float, said: str) -> str:
    place = f'cx="{number(_x(x))}" cy="{number(_y(y))}" r="{number(radius)}"'
    return f'<circle class="{css}" {place}><title>{markup(said)}</title></circle>'


def _x(value: float) -> float:
    return _LEFT + _WIDE * min(1.0, max(0.0, value))


def _y(value: float) -> float:
    return _TOP + _HIGH * (1 - min(1.0, max(0.0, value)))


def _point(x: float, y: float) -> str:
    return f"{number(_x(x))},{number(_y(y))}"


def _short(count: int) -> str:
    return f"{count / 1000:.0f}k" if count >= 10_000 else str(count)
