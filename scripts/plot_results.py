"""Draw figures for the docs from `benchmarks/results`, into docs/images: F1 of ETRAG against its neighbours and the
vectors of each, and F1 against the size of the training set: of the supplement tasks, with and without retrieval, and
by what was annotated first. Mean and standard deviation over seeds.
"""

import argparse
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from render_results import read_results

Points = List[Tuple[int, List[float]]]


@dataclass(frozen=True)
class Panel:
    """One part of a figure.

    rows (str): pattern of its rows, each a name, a bar and a split ("ETRAG | test"), with a group `x` for the number
        on the x axis. Where it has a group `line`, rows of each are a line of their own.
    label (str): of the x axis.
    scores (Dict[str, str]): the scores that it shows, and what they are called; one where rows are lines.
    """

    rows: str
    label: str
    scores: Dict[str, str]


SEMEVAL = {"semeval_macro_f": "official macro-F1"}
SUPPLEMENTS = {
    "ner_strict_f": "NER, strict F1",
    "uc_macro_f": "UC, macro-F1",
    "re_micro_f": "RE, micro-F1",
    "te_strict_f": "TE, strict F1",
}
# What writes the results, and the parts of the figure, by the name of the results file, which is the figure's.
COMMANDS = {
    "etrag_sweep": "python -m benchmarks.etrag sweep",
    "supplements_training-size": "python -m benchmarks.supplements --parts curve",
    "training_size": "python -m benchmarks.experiments.runner run training_size",
    "suggest": "python -m benchmarks.suggest",
}
FIGURES = {
    "etrag_sweep": [
        Panel(r"k = (?P<x>\d+) .*", "neighbours k, one vector each", SEMEVAL),
        Panel(r"m = (?P<x>\d+) .*", "vectors m for each of 4 neighbours", SEMEVAL),
    ],
    "supplements_training-size": [Panel(r"(?P<x>\d+) sentences .*", "training sentences", SUPPLEMENTS)],
    "training_size": [Panel(r"open: (?P<line>.+) \| (?P<x>\d+) sentences, .*", "training sentences", SEMEVAL)],
    "suggest": [Panel(r"(?P<line>.+) \| (?P<x>\d+) sentences, .*", "annotated sentences", SEMEVAL)],
}


def read_points(rows: Sequence[Dict[str, Any]], panel: Panel) -> Dict[str, Points]:
    """rows (Sequence[Dict[str, Any]]): the rows of a results file.
    panel (Panel): what to read of them.
    RETURNS (Dict[str, List[Tuple[int, List[float]]]]): for each line, the numbers on the x axis with the F1 of their
        seeds in percent, smallest number first.
    """
    found: Dict[str, Points] = {}
    for row in rows:
        match = re.fullmatch(panel.rows, f"{row['name']} | {row['split']}")
        if match is not None:
            for score, name in panel.scores.items():
                points = found.setdefault(match.groupdict().get("line", name), [])
                points.append((int(match["x"]), [100 * value for value in row["scores"][score]]))
    return {name: sorted(points) for name, points in found.items()}


def draw(rows: Sequence[Dict[str, Any]], panels: Sequence[Panel], output: Path) -> None:
    """Draw a figure. The same results give the same file.

    rows (Sequence[Dict[str, Any]]): the rows of a results file.
    panels (Sequence[Panel]): the parts of the figure, from left to right.
    output (Path): an SVG file.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "spacy-ragre"
    from matplotlib import pyplot

    size = (4 * len(panels) + 1, 3)
    figure, parts = pyplot.subplots(1, len(panels), figsize=size, sharey=True, layout="constrained", squeeze=False)
    for axes, panel in zip(parts[0], panels):
        lines = read_points(rows, panel)
        for name, points in lines.items():
            values = [value for value, _ in points]
            means = [statistics.mean(scores) for _, scores in points]
            spreads = [statistics.stdev(scores) if len(scores) > 1 else 0.0 for _, scores in points]
            axes.errorbar(values, means, yerr=spreads, marker="o", capsize=3, label=name)
        ticks = sorted({value for points in lines.values() for value, _ in points})
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [str(value) for value in ticks])
        axes.set_xlabel(panel.label)
        if len(lines) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    names = panels[0].scores
    parts[0][0].set_ylabel("F1" if len(names) > 1 else next(iter(names.values())))
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, metadata={"Date": None})
    pyplot.close(figure)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"any of {', '.join(FIGURES)}; all by default")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="folder of the JSON files")
    parser.add_argument("--output", type=Path, default=Path("docs/images"), help="folder of the figures")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.figures) - set(FIGURES))
    if unknown:
        parser.error(f"unknown figures: {', '.join(unknown)}. There are {', '.join(FIGURES)}.")
    missing, results = 0, read_results(args.results)
    for name in args.figures or FIGURES:
        if name not in results:
            print(f"{args.results / name} does not exist. Run: {COMMANDS[name]}", file=sys.stderr)
            missing = 1
            continue
        draw(results[name]["rows"], FIGURES[name], args.output / f"{name}.svg")
        print(f"Written to {args.output / name}.svg")
    return missing


if __name__ == "__main__":
    sys.exit(main())
