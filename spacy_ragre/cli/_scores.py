"""Scores in the terminal."""

from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional, Sequence, Tuple

from ._util import cell

if TYPE_CHECKING:
    from rich.console import Console

# The scores of a component's labels have this ending in its scorer.
_PER_LABEL = "_per_type"
# How the parts of the names of scores are shown.
_TITLES = {
    "rels": "relations",
    "re": "relations",
    "ents": "entities",
    "ner": "entities",
    "te": "triples",
    "uc": "usage",
}
_MISTAKES = 2
# So many labels that differ, and places, are shown of a comparison.
_LABELS = 10
_PLACES = 5


def show(result: Mapping[str, Any], confusions: int) -> None:
    """Show scores, from 0 to 100.

    result (Mapping[str, Any]): what `evaluate` returns.
    confusions (int): how many confusions are shown.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    scores, intervals = result["scores"], result.get("intervals", {})
    about = f"{result['documents']} documents, {result['entities']} entities"
    totals = Table(title=f"Scores ({about})", title_justify="left")
    totals.add_column("score")
    totals.add_column("value", justify="right")
    if intervals:
        totals.add_column("95% interval", justify="right")
    for key, value in scores.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # The speed is in words a second.
            shown = f"{value:.0f}" if key == "speed" else _percent(value)
            totals.add_row(cell(key), shown, *([_range(intervals.get(key))] if intervals else ()))
    console.print(totals)
    for key, table in scores.items():
        if key.endswith(_PER_LABEL) and isinstance(table, Mapping) and table:
            _show_labels(console, key[: -len(_PER_LABEL)], table, intervals.get(key, {}))
    for number, item in enumerate(result["confusions"][:confusions]):
        if not number:
            console.print("What is taken for what, the most frequent first:")
        console.print(cell(f"{item['times']} times {item['gold']} was answered by {item['predicted']}"))
        for mistake in item["mistakes"][:_MISTAKES]:
            place = f"{mistake['id']}: " if mistake["id"] else ""
            console.print("   ", cell(f"{place}{mistake['head']} -> {mistake['tail']} in: {mistake['text']}"))
    if "compared" in result:
        _show_comparison(console, result["pipeline"], result["compared"])


def _show_labels(
    console: "Console",
    name: str,
    scores: Mapping[str, Mapping[str, float]],
    intervals: Mapping[str, Mapping[str, Sequence[float]]],
) -> None:
    from rich.table import Table

    table = Table(title=f"By label: {_TITLES.get(name, name)}", title_justify="left")
    table.add_column("label")
    for part in ("precision", "recall", "F1", *(["95% interval of F1"] if intervals else [])):
        table.add_column(part, justify="right")
    for label, own in scores.items():
        values = [_percent(own.get(part, 0.0)) for part in "prf"]
        table.add_row(cell(label), *values, *([_range(intervals.get(label, {}).get("f"))] if intervals else []))
    console.print(table)


def _show_comparison(console: "Console", pipeline: str, compared: Mapping[str, Any]) -> None:
    found = compared["differences"]
    other = compared["pipeline"]
    rows = [(key, item) for key, item in found.items() if not key.endswith(_PER_LABEL)]
    _show_differences(console, f"{pipeline} and {other}", rows)
    console.print(
        cell(f"p: {compared['test']['method']}, {compared['test']['exchanges']} exchanges; of labels, by Holm's method")
    )
    by_label = sorted(found["rels_per_type"].items(), key=lambda item: -abs(item[1]["difference"]))
    differing = [item for item in by_label if item[1]["difference"]]
    gained = sum(item["difference"] > 0 for _, item in differing)
    title = f"F1 by label: {gained} gained, {len(differing) - gained} lost"
    if differing:
        _show_differences(console, title, differing[:_LABELS])
    for name, which in zip((pipeline, other), ("better", "worse")):
        console.print(cell(f"Pairs that only {name} answers rightly: {compared[which]['pairs']}"))
        for place in compared[which]["places"][:_PLACES]:
            id_ = f"{place['id']}: " if place["id"] else ""
            said = f"{place['head']} -> {place['tail']}, {place['gold']} and not {place['wrong']}"
            console.print("   ", cell(f"{id_}{said}, in: {place['text']}"))


def _show_differences(console: "Console", title: str, rows: Iterable[Tuple[str, Mapping[str, Any]]]) -> None:
    from rich.table import Table

    table = Table(title=cell(title), title_justify="left")
    table.add_column("score")
    for part in ("first", "second", "difference", "95% interval", "p"):
        table.add_column(part, justify="right")
    for label, item in rows:
        numbers = (_percent(item["score"]), _percent(item["compared"]), f"{100 * item['difference']:+.1f}")
        table.add_row(cell(label), *numbers, _range(item["interval"]), f"{item['p']:.4f}")
    console.print(table)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _range(interval: Optional[Sequence[float]]) -> str:
    return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}" if interval else ""
