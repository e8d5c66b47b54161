"""Write one page of tables for each file of `benchmarks/results/`, and for each folder of runs there, an index of them,
and the README's short table.

The pages are in docs/results/ and hold nothing else; the README's table stands between its markers. With `--check`
nothing is written, and the exit code is 1 where a page is stale, missing, or without results.

Figures in the text of the README and of docs/ are traced, too: where a paragraph, an item or a row of a table links to
pages of results, each number with a decimal point that it has must stand in one of them, unless it says "about" before
it. Where one doesn't, the exit code is 1.
"""

import argparse
import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

BEGIN = "<!-- results:begin -->"
END = "<!-- results:end -->"
# Paragraphs, items and rows; what is no text; links to pages of results; numbers with a decimal point.
_BLOCKS = re.compile(r"\n\s*\n|\n(?=\s*(?:- |\|))")
_NO_TEXT = re.compile(r"```.*?```|`[^`]*`|\(https?:[^)]*\)|arXiv \d+\.\d+", re.DOTALL)
_LINK = re.compile(r"\]\((?:docs/)?results/([\w-]+\.md)")
_FIGURE = re.compile(r"(?<!\w)(?<!about )(?<![\d.,])\d+\.\d+(?![\d.]*\w)")
SUPPLEMENT_TASKS = ("ner", "re", "te", "uc")
# Columns with the names that a score may have in a results file.
COLUMNS = {
    "official macro-F1": ("semeval_macro_f",),
    **{f"{name} path": (f"semeval_macro_f_{name}",) for name in ("short", "middle", "long")},
    "micro-F1, all labels": ("micro_all_f", "semeval_micro_all_f", "rels_micro_all_f"),
    "training labels right": ("silver_right",),
    "nearest neighbour has the label": ("label_agreement",),
    "neighbours have the label before training": ("neighbours_label_before",),
    "neighbours have the label": ("neighbours_label",),
    "label or an entity": ("neighbours_either",),
    "precision of pairs": ("pairs_p",),
    "recall of pairs": ("pairs_r",),
    "F1 of pairs": ("pairs_f",),
    "other pairs dropped": ("pairs_dropped",),
    "accuracy": ("accuracy",),
    "accuracy, order not given": ("accuracy_directed",),
    "macro-F1": ("macro_f",),
    **{f"macro-F1, {size} labels": (f"macro_f_{size}",) for size in (5, 10, 15)},
    "precision": ("relations_p",),
    "recall": ("relations_r",),
    "F1": ("docred_f", "relations_f"),
    **{f"B-cubed {name}": (f"clusters_{name[0].lower()}",) for name in ("precision", "recall", "F1")},
    **{f"{name} of entities": (f"ents_{name[0].lower()}",) for name in ("precision", "recall", "F1")},
    "F1 whatever type": ("spans_f",),
    "recall, names found": ("relations_reached_r",),
    "entities found": ("entities_r",),
    "Ign F1": ("docred_ign_f",),
    "intra": ("docred_intra_f",),
    "inter": ("docred_inter_f",),
    "NER strict F1": ("ner_strict_f",),
    "NER lenient F1": ("ner_lenient_f",),
    "RE micro-F1": ("re_micro_f",),
    "RE macro-F1": ("re_macro_f",),
    "TE strict F1": ("te_strict_f",),
    "TE generated": ("te_generated_strict_f",),
    "UC micro-F1": ("uc_micro_f",),
    "UC macro-F1": ("uc_macro_f",),
    **{f"{task.upper()} precision at {k}": (f"{task}_precision_at_{k}",) for task in SUPPLEMENT_TASKS for k in (1, 5)},
    "right without retrieval": ("right_without",),
    "helped": ("helped",),
    "harmed": ("harmed",),
}
# Columns whose numbers are no shares.
NUMBERS = {
    "adapters": ("adapters",),
    "minutes of training": ("train_minutes",),
    "memory of training, MiB": ("train_memory_mib",),
    "minutes to make the store": ("index_minutes",),
    "sentences a second": ("throughput",),
    "memory, MiB": ("memory_mib",),
    "times slower": ("times_slower",),
    "times slower, triples generated": ("times_slower_generated",),
    "documents a second": ("documents_per_second",),
    "times ATLOP": ("times_atlop",),
    "phrases added a document": ("phrases_a_document",),
    "pairs a document": ("pairs_a_document",),
    "tokens a document": ("tokens_a_document",),
    "seconds a document": ("seconds_a_document",),
}


class Summary(NamedTuple):
    """A row of the README's table.

    file (str): name of the results file, without its ending.
    row (str): name of the row there.
    column (str): the column that is shown, of `COLUMNS`.
    task (str): what is measured, in the README's words.
    split (str): what the row's split begins with; rows of one name may differ by it.
    """

    file: str
    row: str
    column: str
    task: str
    split: str = ""


SUMMARIES = (
    Summary("zero_shot_fewrel", "open labels", "macro-F1", "FewRel, labels never trained on"),
    Summary("few_shot_dev", "5 a label: told", "F1", "Labels never trained on, 5 examples each"),
    Summary(
        "paragraphs", "open, with entity types", "F1", "Ordinary paragraphs, any labels", "test paragraphs (27), go"
    ),
    Summary("open_entities", "open_entities", "F1 of entities", "Entities of any types, paragraphs", "ordinary"),
    Summary("semeval", "fine-tuned", "official macro-F1", "SemEval-2010 Task 8"),
    Summary("semeval", "fine-tuned + retrieval", "official macro-F1", "SemEval-2010 Task 8"),
    Summary("etrag", "ETRAG", "official macro-F1", "SemEval-2010 Task 8, few sentences", "5%"),
    Summary("lmrc", "filtered pairs, recall 0.8", "F1", "Re-DocRED, whole documents"),
    Summary("supplements", "multi-task + retrieval", "NER strict F1", "Supplements, mentions"),
    Summary("supplements", "multi-task + retrieval", "RE micro-F1", "Supplements, relations of given mentions"),
)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a page is stale")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="folder of the JSON files")
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--pages", type=Path, default=Path("docs/results"), help="folder of the pages")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of pages whose figures are traced")
    args = parser.parse_args(argv)
    results = read_results(args.results)
    pages = {f"{name}.md": render_page(name, result) for name, result in results.items()}
    pages["README.md"] = render_index(results)
    codes = [write(args.pages / name, text, args.check) for name, text in pages.items()]
    for path in sorted(args.pages.glob("*.md")):
        if path.name not in pages:
            codes.append(remove(path, args.check))
    codes.append(update(args.readme, render_summary(results), args.check))
    for path in (args.readme, *sorted(args.docs.glob("*.md"))):
        codes.append(trace(path, pages))
    return max(codes)


def read_results(folder: Path) -> Dict[str, Dict[str, Any]]:
    """folder (Path): results files, and folders with a file for each run of a study.
    RETURNS (Dict[str, Dict[str, Any]]): what is in them, by their names without ending, in alphabetical order. Runs of
        one row, which differ by their seed, are put together.
    """
    found = {path.stem: json.loads(path.read_text(encoding="utf8")) for path in folder.glob("*.json")}
    for path in {path.parent for path in folder.glob("*/*.json")}:
        runs = [json.loads(file.read_text(encoding="utf8")) for file in sorted(path.glob("*.json"))]
        found[path.name] = join_runs(runs)
    return dict(sorted(found.items()))


def join_runs(runs: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """runs (Sequence[Dict[str, Any]]): at least one, as `benchmarks.results.write_run` writes them.
    RETURNS (Dict[str, Any]): a results file of their rows. Commits are those of all runs.
    """
    rows: Dict[Any, Dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: int(run["run"]["seed"])):
        about = {key: run[key] for key in ("name", "description", "split")}
        row = rows.setdefault(tuple(about.values()), {**about, "seeds": [], "machines": [], "scores": {}, "costs": {}})
        row["seeds"].append(run["run"]["seed"])
        row["machines"].append(run["machine"])
        for kind in ("scores", "costs"):
            for key, value in run[kind].items():
                row[kind].setdefault(key, []).append(value)
        if run["costs"]:
            row["costs"]["machine"] = run["machine"]
    commits = "`, `".join(dict.fromkeys(run["commit"] for run in runs))
    last = max(run["date"] for run in runs)
    about = {"benchmark": runs[0]["benchmark"], "commit": commits, "date": last, "runs": len(runs)}
    return {**about, "rows": list(rows.values())}


def write(page: Path, text: str, check: bool) -> int:
    """Write a page that is generated as a whole.

    page (Path): the page.
    text (str): Markdown.
    check (bool): write nothing.
    RETURNS (int): the exit code.
    """
    if page.is_file() and page.read_text(encoding="utf8") == text:
        return 0
    if check:
        return _stale(page)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf8")
    return 0


def remove(page: Path, check: bool) -> int:
    """Remove a page whose results file is gone.

    page (Path): the page.
    check (bool): remove nothing.
    RETURNS (int): the exit code.
    """
    if check:
        return _stale(page)
    page.unlink()
    return 0


def _stale(page: Path) -> int:
    print(f"{page} is stale. Run: python scripts/render_results.py", file=sys.stderr)
    return 1


def update(page: Path, table: str, check: bool) -> int:
    """Put a table into a page, between the markers.

    page (Path): the page.
    table (str): Markdown.
    check (bool): write nothing.
    RETURNS (int): the exit code.
    """
    text = page.read_text(encoding="utf8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        print(f"{page} needs the lines {BEGIN} and {END}, once and in this order.", file=sys.stderr)
        return 1
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    return write(page, f"{head}{BEGIN}\n{table}{END}{tail}", check)


def trace(page: Path, pages: Mapping[str, str]) -> int:
    """Look for the figures of a page in the results that it links to.

    page (Path): the page.
    pages (Mapping[str, str]): the pages of results, by their names.
    RETURNS (int): the exit code.
    """
    lost = 0
    for block in _BLOCKS.split(_NO_TEXT.sub(" ", page.read_text(encoding="utf8"))):
        linked = [name for name in _LINK.findall(block) if name in pages]
        known = set(_FIGURE.findall(" ".join(pages[name] for name in linked)))
        for figure in _FIGURE.findall(block) if linked else []:
            if figure not in known:
                print(f"{page} says {figure}, which is not in {', '.join(linked)}.", file=sys.stderr)
                lost = 1
    return lost


def render_page(name: str, result: Dict[str, Any]) -> str:
    """name (str): the results file, without its ending.
    result (Dict[str, Any]): what is in it.
    RETURNS (str): a page of Markdown, of scores ("rows") or of speed and memory ("parts").
    """
    tables = (render_file if "rows" in result else render_parts)(result)
    path = f"`benchmarks/results/{name}.json`"
    if "runs" in result:
        path = f"the {result['runs']} files of `benchmarks/results/{name}/`"
    source = f"Written by `python scripts/render_results.py` from {path}."
    return f"# {result['benchmark']}\n\n{source}\n\n{tables}"


def render_index(results: Dict[str, Dict[str, Any]]) -> str:
    """results (Dict[str, Dict[str, Any]]): the results files by name.
    RETURNS (str): a page that links to the others.
    """
    lines = ["# Results", "", "One page for each file or folder of `benchmarks/results/`, written by", ""]
    lines[2] += " `python scripts/render_results.py`."
    for kind, title in (("rows", "Scores"), ("parts", "Speed and memory")):
        links = [f"- [{result['benchmark']}]({name}.md)" for name, result in results.items() if kind in result]
        if links:
            lines += [f"## {title}", "", *links, ""]
    return "\n".join(lines[:-1]) + "\n"


def render_summary(results: Dict[str, Dict[str, Any]]) -> str:
    """results (Dict[str, Dict[str, Any]]): the results files by name.
    RETURNS (str): the README's table, of `SUMMARIES` that were measured.
    """
    lines = []
    for summary in SUMMARIES:
        for row in results.get(summary.file, {}).get("rows", []):
            values = _values(row, COLUMNS[summary.column])
            if row["name"] == summary.row and row.get("split", "").startswith(summary.split) and values:
                task = f"[{summary.task}](docs/results/{summary.file}.md)"
                lines.append(_line([task, row["name"], summary.column, _score(values), row.get("split", "")]))
    if not lines:
        return "\nNo results yet.\n\n"
    header = [_line(["task", "setting", "measure", "percent", "split"]), _line(["---", "---", "---", "---:", "---"])]
    return "\n" + "\n".join([*header, *lines]) + "\n\n"


def render_parts(result: Dict[str, Any]) -> str:
    """result (Dict[str, Any]): a file of measurements by name.
    RETURNS (str): a table for each measurement, with its provenance.
    """
    lines: List[str] = []
    for name, values in result["parts"].items():
        shown = {key: value for key, value in values.items() if key not in ("command", "commit", "machine", "date")}
        about = [f"`{values['command']}`", f"commit `{values['commit']}`", _machine(values["machine"]), values["date"]]
        lines += [_line([name.replace("_", " "), ""]), _line(["---", "---:"])]
        lines += [_line([key.replace("_", " "), _number(value)]) for key, value in shown.items()]
        lines += ["", f"{'; '.join(filter(None, about))}.", ""]
    return "\n".join(lines[:-1]) + "\n"


def _number(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def render_file(result: Dict[str, Any]) -> str:
    """result (Dict[str, Any]): a results file.
    RETURNS (str): its table and provenance. Rows of one split stand together, the smaller number first.
    """
    rows = sorted(result["rows"], key=lambda row: _natural(row.get("split", "")))
    columns = [name for name, keys in {**COLUMNS, **NUMBERS}.items() if any(_values(row, keys) for row in rows)]
    header = ["setting", "", *columns, "seeds", "split"]
    lines = [
        _line(header),
        _line(["---"] * 2 + ["---:"] * len(columns) + ["---"] * 2),
    ]
    for row in rows:
        scores = [
            _score(_values(row, COLUMNS[name])) if name in COLUMNS else _score(_values(row, NUMBERS[name]), 1)
            for name in columns
        ]
        seeds = ", ".join(map(str, sorted(row.get("seeds", [])))) or "none"
        lines.append(_line([row["name"], row.get("description", ""), *scores, seeds, row.get("split", "")]))
    measured = _machines(machine for row in rows for machine in row["machines"])
    # Times are said to be of the machine that they were measured on, whatever other seeds ran on.
    machines = _machines(row["costs"]["machine"] for row in rows if row.get("costs"))
    timed = f"times: {machines}" if machines else ""
    about = [f"commit `{result['commit']}`", measured, str(result.get("date", "")), timed]
    lines += ["", f"Scores in percent, as mean ± standard deviation over seeds. {'; '.join(filter(None, about))}."]
    return "\n".join(lines) + "\n"


def _natural(text: str) -> List[Any]:
    # Words and numbers take turns, so that two keys always compare.
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", text))]


def _line(cells: Sequence[str]) -> str:
    # A bar inside a cell would end it.
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _values(row: Dict[str, Any], keys: Sequence[str]) -> List[float]:
    # Of a file that gathers seeds, costs are those of the last; runs have each their own.
    own = {key: value for key, value in row.get("costs", {}).items() if key != "machine"}
    costs = {key: value if isinstance(value, list) else [value] for key, value in own.items()}
    return next((values for key in keys if (values := {**row["scores"], **costs}.get(key))), [])


def _score(values: Sequence[float], factor: int = 100) -> str:
    if not values:
        return ""
    mean = f"{factor * statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {factor * statistics.stdev(values):.1f}"


def _machines(machines: Iterable[Any]) -> str:
    return " and ".join(dict.fromkeys(map(_machine, machines)))


def _machine(machine: Any) -> str:
    if not isinstance(machine, dict):
        return str(machine)
    gpu = f"GPU {machine['gpu']}" if machine.get("gpu") else ""
    cores = f"{machine['cores']} CPU cores" if machine.get("cores") else ""
    return ", ".join(filter(None, [str(machine.get("processor") or ""), cores, gpu]))


if __name__ == "__main__":
    sys.exit(main())
