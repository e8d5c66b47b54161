"""Write the tables of `benchmarks/results/*.json` into the README, between its markers for results.

With `--check` nothing is written, and the exit code is 1 where the README is stale.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

BEGIN = "<!-- results:begin -->"
END = "<!-- results:end -->"
# Columns with the names that a score may have in a results file.
COLUMNS = {
    "official macro-F1": ("semeval_macro_f",),
    "micro-F1, all labels": ("micro_all_f", "semeval_micro_all_f", "rels_micro_all_f"),
    "nearest neighbour has the label": ("label_agreement",),
    "precision of pairs": ("pairs_p",),
    "recall of pairs": ("pairs_r",),
    "F1 of pairs": ("pairs_f",),
    "other pairs dropped": ("pairs_dropped",),
    "F1": ("docred_f",),
    "Ign F1": ("docred_ign_f",),
    "intra": ("docred_intra_f",),
    "inter": ("docred_inter_f",),
}


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where the README is stale")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="folder of the JSON files")
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    args = parser.parse_args(argv)
    readme = args.readme.read_text(encoding="utf8")
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        print(f"{args.readme} needs the lines {BEGIN} and {END}, once and in this order.", file=sys.stderr)
        return 1
    head, rest = readme.split(BEGIN)
    tail = rest.split(END)[1]
    updated = f"{head}{BEGIN}\n{render(args.results)}{END}{tail}"
    if updated == readme:
        return 0
    if args.check:
        print(f"{args.readme} is stale. Run: python scripts/render_results.py", file=sys.stderr)
        return 1
    args.readme.write_text(updated, encoding="utf8")
    return 0


def render(folder: Path) -> str:
    """RETURNS (str): Markdown, one table a file; empty lines around it."""
    files = sorted(folder.glob("*.json"))
    if not files:
        return "\nNo results yet.\n\n"
    parts = [render_file(json.loads(path.read_text(encoding="utf8"))) for path in files]
    return "\n" + "\n".join(parts) + "\n"


def render_file(result: Dict[str, Any]) -> str:
    """result (Dict[str, Any]): a results file.
    RETURNS (str): its heading, table and provenance.
    """
    rows = result["rows"]
    columns = [name for name, keys in COLUMNS.items() if any(_values(row, keys) for row in rows)]
    header = ["setting", "", *columns, "seeds", "split"]
    lines = [
        f"### {result['benchmark']}",
        "",
        _line(header),
        _line(["---"] * 2 + ["---:"] * len(columns) + ["---"] * 2),
    ]
    for row in rows:
        scores = [_score(_values(row, COLUMNS[name])) for name in columns]
        seeds = ", ".join(map(str, row.get("seeds", []))) or "none"
        lines.append(_line([row["name"], row.get("description", ""), *scores, seeds, row.get("split", "")]))
    about = [f"commit `{result['commit']}`", _machine(result["machine"]), str(result.get("date", ""))]
    lines += ["", f"Scores in percent, as mean ± standard deviation over seeds. {'; '.join(filter(None, about))}."]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    # A bar inside a cell would end it.
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _values(row: Dict[str, Any], keys: Sequence[str]) -> List[float]:
    return next((row["scores"][key] for key in keys if row["scores"].get(key)), [])


def _score(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{100 * statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def _machine(machine: Any) -> str:
    if not isinstance(machine, dict):
        return str(machine)
    gpu = f"GPU {machine['gpu']}" if machine.get("gpu") else ""
    cores = f"{machine['cores']} CPU cores" if machine.get("cores") else ""
    return ", ".join(filter(None, [str(machine.get("processor") or ""), cores, gpu]))


if __name__ == "__main__":
    sys.exit(main())
