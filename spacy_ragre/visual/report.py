"""A page for the scores of a pipeline: one HTML file that loads nothing and runs no script."""

from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, TypedDict

from .charts import Series, curve_chart, reliability_chart, score_bar
from .colours import tone
from .style import fill
from .texts import marked, markup

_STATIC = Path(__file__).parent / "static"
# So many places are shown of each kind of error, and labels in the matrix.
SHOWN = 200
MATRIX = 40
_NONE, _TURNED, _OTHERS = "no_relation", "same label, reversed", "other labels"
_TITLES = {
    "rels_micro_f": "micro-F1",
    "rels_micro_p": "precision",
    "rels_micro_r": "recall",
    "rels_macro_f": "macro-F1",
    "rels_micro_all_f": "micro-F1 with no_relation",
}
_KINDS = {
    "wrong label": "The pair holds another relation.",
    "wrong direction": "The label is right, head and tail are exchanged.",
    "missed": "The pair is annotated, and nothing was answered. The score is that of the annotated relation, which was "
    "not likely enough.",
    "not annotated": "Something was answered, and the pair is not annotated. Some of these may be right.",
}


class Place(TypedDict):
    """A pair of a document, and what was answered.

    doc (str): the document's id. gold (str): what is annotated. answers (List[str]): of the pipeline and of the one
    that it is compared with, where that is shown. score (Optional[float]): of the wrong answer, or of the relation that
    was missed. text (str): what is around. head (Tuple[int, int]), tail (Tuple[int, int]): offsets in the text.
    support (Dict[str, Any]): retrieved `examples` and `sentences` that supported the answer.
    """

    doc: str
    gold: str
    answers: List[str]
    score: Optional[float]
    text: str
    head: Tuple[int, int]
    tail: Tuple[int, int]
    support: Dict[str, Any]


class Group(TypedDict):
    """Places of one kind. count (int): how many there are. places (List[Place]): those that are shown."""

    count: int
    places: List[Place]


def report_page(
    result: Mapping[str, Any],
    errors: Mapping[str, Group],
    better: Optional[Group] = None,
    worse: Optional[Group] = None,
) -> str:
    """Make the page. All texts are escaped.

    result (Mapping[str, Any]): what `ragre evaluate` writes as JSON.
    errors (Mapping[str, Group]): the errors of each kind.
    better (Optional[Group]): the pairs that the pipeline answers rightly and the one that it is compared with does not.
    worse (Optional[Group]): the other way round.
    RETURNS (str): the page.
    """
    compared = result.get("compared")
    sections: List[Tuple[str, str, str]] = [("scores", "Scores", _scores(result))]
    if compared:
        sections.append(("comparison", "Comparison", _comparison(result, compared, better, worse)))
    for title, table in _label_tables(result):
        sections.append((f"labels-{len(sections)}", title, table))
    if result.get("counts"):
        sections.append(("confusions", "Confusion matrix", _matrix(result)))
    if result.get("curve", {}).get("points") or (compared and compared["curve"]["points"]):
        sections.append(("curves", "Scores as probabilities", _curves(result)))
    if "errors" in result:
        sections.append(("errors", "Errors", _errors(errors)))
    title = " compared with ".join(_names(result))
    entities = "annotated entities" if result["entities"] == "gold" else "the pipeline's own entities"
    about = [f"{_several(result['documents'], 'document')} of {result['corpus']}", entities]
    if "counts" in result:
        about.insert(1, _several(sum(own["gold"] for own in result["counts"].values()), "annotated relation"))
    parts = {
        "title": markup(f"Evaluation of {title}"),
        "about": markup(", ".join(about)),
        "style": (_STATIC / "report.css").read_text(encoding="utf8"),
        "links": "".join(f'<a href="#{id_}">{markup(name)}</a>' for id_, name, _ in sections),
        "sections": "\n".join(
            f'<section id="{id_}"><h2>{markup(name)}</h2>\n{inner}\n</section>' for id_, name, inner in sections
        ),
    }
    return fill(_STATIC / "report.html", parts)


# Scores


def _scores(result: Mapping[str, Any]) -> str:
    scores, intervals = result["scores"], result.get("intervals", {})
    cards = [
        f'<li><span class="name">{title}</span><b>{_percent(scores[key])}</b>{_range(intervals.get(key))}'
        f"{score_bar(scores[key], intervals.get(key, ()))}</li>"
        for key, title in _TITLES.items()
        if key in scores
    ]
    others = [
        (key, f"{value:.0f} words a second" if key == "speed" else _percent(value))
        for key, value in scores.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in _TITLES
    ]
    note = ""
    if intervals:
        drawn = result["resampling"]
        note = (
            f'<p class="note">In brackets: {100 * drawn["level"]:.0f}% confidence intervals, bootstrap over documents '
            f"({drawn['resamples']} resamples, seed {drawn['seed']}).</p>"
        )
    elif cards:
        note = '<p class="note">No confidence intervals: they need at least two annotated documents.</p>'
    rows = "".join(f"<li><span>{markup(key)}</span> <b>{value}</b></li>" for key, value in others)
    more = f'<ul class="others">{rows}</ul>' if rows else ""
    return f'<ul class="cards">{"".join(cards)}</ul>{note}{more}' if cards else more


def _label_tables(result: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """RETURNS (List[Tuple[str, str]]): titles and tables of all scores by label, those of relations first."""
    found = []
    for key, table in result["scores"].items():
        if not key.endswith("_per_type") or not isinstance(table, Mapping) or not table:
            continue
        relations = key == "rels_per_type"
        own = result.get("intervals", {}).get(key, {}) if relations else {}
        counts = result.get("counts", {}) if relations else {}
        head = "".join(f"<th class=n>{name}</th>" for name in ("annotated", "answered", "right") if counts)
        rows = []
        for label, scores in table.items():
            numbers = counts.get(label)
            cells = "".join(f"<td class=n>{numbers[name]}</td>" for name in numbers) if numbers else ""
            spread = own.get(label, {})
            values = "".join(
                f"<td class=n>{_percent(scores.get(part, 0.0))} {_range(spread.get(part))}</td>" for part in "prf"
            )
            bar = score_bar(scores.get("f", 0.0), spread.get("f", ()))
            rows.append(f"<tr><th scope=row>{_label(label)}</th>{cells}{values}<td class=bar>{bar}</td></tr>")
        title = "By label" if relations else f"By label: {key[: -len('_per_type')]}"
        names = "<th class=n>precision</th><th class=n>recall</th><th class=n>F1</th><th></th>"
        found.append(
            (
                title,
                f'<div class="scroll" tabindex="0"><table class="labels"><thead><tr><th>label</th>{head}{names}</tr>'
                f"</thead><tbody>{''.join(rows)}</tbody></table></div>",
            )
        )
    return sorted(found, key=lambda item: item[0] != "By label")


# Confusions


def _matrix(result: Mapping[str, Any]) -> str:
    """RETURNS (str): the confusion matrix: a row for each annotated label, a column for each answer."""
    counts = result["counts"]
    frequent = sorted(counts, key=lambda label: (-counts[label]["gold"] - counts[label]["predicted"], label))
    kept = sorted(frequent[:MATRIX])
    rest = [_OTHERS] if len(frequent) > MATRIX else []

    def place(label: str) -> str:
        return label if label in kept or label in (_NONE, _TURNED) else _OTHERS

    cells: Dict[Tuple[str, str], int] = defaultdict(int)
    for label, own in counts.items():
        cells[place(label), place(label)] += own["right"]
    for item in result["confusions"]:
        gold, answer = item["gold"], item["predicted"]
        answer = answer[: -len(", reversed")] if answer.endswith(", reversed") else answer
        turned = answer == gold and answer != item["predicted"]
        cells[place(gold), _TURNED if turned else place(answer)] += item["times"]
    columns = [*kept, *rest, *([_TURNED] if any(key[1] == _TURNED for key in cells) else []), _NONE]
    rows = []
    for gold in [*kept, *rest, _NONE]:
        total = sum(cells.get((gold, answer), 0) for answer in columns)
        tds = []
        for answer in columns:
            times = cells.get((gold, answer), 0)
            said = f"{gold} answered by {answer}: {times}"
            if not times:
                tds.append(f'<td class="{"never" if gold == answer == _NONE else "zero"}"></td>')
                continue
            kind = "right" if gold == answer and gold != _OTHERS else "wrong"
            share = 12 + 58 * (times / total) ** 0.5
            tds.append(f'<td class="{kind}" style="--n:{share:.0f}%" title="{markup(said)}">{times}</td>')
        rows.append(f"<tr><th scope=row>{_label(gold)}</th>{''.join(tds)}</tr>")
    heads = "".join(f'<th scope=col class="turned"><span>{markup(name)}</span></th>' for name in columns)
    notes = ["Rows: what is annotated. Columns: what was answered; in the last one, nothing was."]
    if rest:
        notes.append(f"The {MATRIX} most frequent of {len(frequent)} labels; the others are together.")
    return (
        f'<p class="note">{" ".join(notes)}</p>'
        f'<div class="scroll" tabindex="0"><table class="matrix"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


# Curves


def _curves(result: Mapping[str, Any]) -> str:
    both = [result, *([result["compared"]] if "compared" in result else [])]
    series = [Series(name, own["curve"]["points"], _answers(own["scores"])) for own, name in zip(both, _names(result))]
    legend = "".join(
        f'<li><span class="key s{place}"></span>{markup(item.name)}: average precision '
        f"{_percent(own['curve']['average_precision'])}</li>"
        for place, (own, item) in enumerate(zip(both, series))
        if own["curve"]["average_precision"] is not None
    )
    figures = [
        f"<figure>{curve_chart(series)}<figcaption>Precision against recall, for every least score. The ring is what "
        f'the pipeline answers.<ul class="legend">{legend}</ul></figcaption></figure>'
    ]
    for own, item in zip(both, series):
        if own["reliability"]["bins"]:
            error, answers = (own["reliability"][key] for key in ("ece", "ece_of_answers"))
            alone = "" if answers is None else f", of its answers alone {_percent(answers)}"
            whose = f" of {markup(item.name)}" if len(both) > 1 else ""
            figures.append(
                f"<figure>{reliability_chart(own['reliability']['bins'])}<figcaption>Reliability{whose}: how many "
                "relations of a score hold. On the line, scores are probabilities. In the bars: how many relations. "
                f"Expected calibration error {_percent(error)}{alone}.</figcaption></figure>"
            )
    note = (
        "The bars and the curve have every relation that the pipeline scored, likely enough to be an answer or not. Of "
        "components that tell only their answers, they have those."
    )
    return f'<div class="figures">{"".join(figures)}</div><p class="note">{note}</p>'


def _answers(scores: Mapping[str, Any]) -> Optional[Tuple[float, float]]:
    if "rels_micro_p" not in scores or "rels_micro_r" not in scores:
        return None
    return scores["rels_micro_r"], scores["rels_micro_p"]


# Errors


def _errors(errors: Mapping[str, Group]) -> str:
    if not any(group["count"] for group in errors.values()):
        return "<p>None.</p>"
    parts: List[str] = []
    for kind, group in errors.items():
        if group["count"]:
            parts.append(
                _group(f"{kind}: {group['count']}", _KINDS.get(kind, ""), group, ["answered"], opened=not parts)
            )
    return "\n".join(parts)


def _group(title: str, about: str, group: Group, names: Sequence[str], opened: bool = False) -> str:
    shown = len(group["places"])
    if shown < group["count"]:
        about = f"{about} {shown} of {group['count']} are shown, the highest scores first.".strip()
    places = "\n".join(_place(place, names) for place in group["places"])
    note = f'<p class="note">{markup(about)}</p>' if about else ""
    return f"<details{' open' if opened else ''}><summary>{markup(title)}</summary>{note}{places}</details>"


def _place(place: Place, names: Sequence[str]) -> str:
    answers = " ".join(
        f"<span><i>{markup(name)}</i> {_label(answer)}</span>" for name, answer in zip(names, place["answers"])
    )
    score = "" if place["score"] is None else f'<span class="score">{place["score"]:.2f}</span>'
    text = marked(place["text"], (*place["head"], "head"), (*place["tail"], "tail"))
    id_ = f'<span class="doc">{markup(place["doc"])}</span>' if place["doc"] else ""
    return (
        f'<article><p class="said"><span><i>annotated</i> {_label(place["gold"])}</span> {answers} {score} {id_}</p>'
        f'<p class="text" dir="auto">{text}</p>{_support(place["support"])}</article>'
    )


def _support(support: Mapping[str, Any]) -> str:
    items = [f"<li>{markup(str(text))}</li>" for text in support.get("sentences", ())]
    for example in support.get("examples", ()):
        labels = example.get("labels")
        answers = [
            f"{answer.get('head', '')} {answer.get('label', '')} {answer.get('tail', '')}"
            for answer in (labels if isinstance(labels, list) else ())
            if isinstance(answer, Mapping)
        ]
        said = "; ".join(answers) or ("no relation" if labels == [] else "")
        score = example.get("score")
        near = f' <span class="score">{score:.2f}</span>' if isinstance(score, (int, float)) else ""
        told = f" <i>{markup(said)}</i>" if said else ""
        items.append(f"<li>{markup(str(example.get('text', '')))}{told}{near}</li>")
    return f"<details><summary>Evidence ({len(items)})</summary><ul>{''.join(items)}</ul></details>" if items else ""


# Comparison


def _comparison(
    result: Mapping[str, Any], compared: Mapping[str, Any], better: Optional[Group], worse: Optional[Group]
) -> str:
    ours, theirs = _names(result)
    found = compared["differences"]
    rows = [(title, found[key]) for key, title in _TITLES.items() if key in found]
    by_label = sorted(found["rels_per_type"].items(), key=lambda item: -item[1]["difference"])
    gained = [item for item in by_label if item[1]["difference"] > 0]
    lost = [item for item in reversed(by_label) if item[1]["difference"] < 0]
    test = compared["test"]
    parts = [
        f'<p class="note">Differences: {markup(ours)} less {markup(theirs)}, in points, with 95% intervals by the '
        f"paired bootstrap. p: {markup(test['method'])} ({test['exchanges']} exchanges, seed {test['seed']}); for "
        "labels, corrected by Holm's method.</p>",
        _differences((ours, theirs), [(markup(title), item) for title, item in rows]),
    ]
    for title, items in (("Labels that gained", gained), ("Labels that lost", lost)):
        if items:
            parts.append(f"<h3>{title}: {len(items)}</h3>")
            parts.append(_differences((ours, theirs), [(_label(label), item) for label, item in items]))
    for name, group in ((ours, better), (theirs, worse)):
        if group is not None and group["count"]:
            about = "Pairs of which all answers are right with this pipeline, and not with the other."
            parts.append(_group(f"only {name} is right: {group['count']}", about, group, [ours, theirs]))
    return "\n".join(parts)


def _differences(names: Tuple[str, str], rows: Iterable[Tuple[str, Mapping[str, Any]]]) -> str:
    body = "".join(
        f"<tr><th scope=row>{title}</th><td class=n>{_percent(item['score'])}</td>"
        f"<td class=n>{_percent(item['compared'])}</td><td class=n><b>{_signed(item['difference'])}</b> "
        f"{_range(item['interval'], signed=True)}</td><td class=n>{item['p']:.4f}</td></tr>"
        for title, item in rows
    )
    heads = "".join(f"<th class=n>{markup(name)}</th>" for name in names)
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr><th></th>{heads}<th class=n>difference</th>'
        f"<th class=n>p</th></tr></thead><tbody>{body}</tbody></table></div>"
    )


# Words and numbers


def _label(label: str) -> str:
    light, dark = tone(label.removesuffix(", reversed"))
    dot = f'<span class="dot" style="--l:{light};--d:{dark}"></span>'
    return f'<span class="label">{dot if label != _NONE else ""}<span>{markup(label)}</span></span>'


def _names(result: Mapping[str, Any]) -> List[str]:
    """RETURNS (List[str]): the pipelines, by the last parts of their paths where that tells them apart."""
    paths = [result["pipeline"], *([result["compared"]["pipeline"]] if "compared" in result else [])]
    names = [Path(path).name or path for path in paths]
    return names if len(set(names)) == len(names) else paths


def _percent(value: Optional[float]) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _range(interval: Optional[Sequence[float]], signed: bool = False) -> str:
    if not interval:
        return ""
    low, high = (_signed(end) if signed else _percent(end) for end in interval)
    return f'<span class="range">[{low}, {high}]</span>'


def _several(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"
