"""Draw figures for the docs from `benchmarks/results/*.json`, into docs/images: F1 of ETRAG against its neighbours and
the vectors of each, and F1 of the supplement tasks against the size of their training set. Mean and standard deviation
over seeds.
"""

import argparse
import json
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

Points = List[Tuple[int, List[float]]]


@dataclass(frozen=True)
class Panel:
    """One part of a figure.

    rows (str): pattern of the names of its rows, with a group for the number on the x axis.
    label (str): of the x axis.
    scores (Dict[str, str]): the scores that it shows, and what they are called.
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
}
FIGURES = {
    "etrag_sweep": [
        Panel(r"k = (\d+)", "neighbours k, one vector each", SEMEVAL),
        Panel(r"m = (\d+)", "vectors m for each of 4 neighbours", SEMEVAL),
    ],
    "supplements_training-size": [Panel(r"(\d+) sentences", "training sentences", SUPPLEMENTS)],
}


def read_points(path: Path, panel: Panel) -> Dict[str, Points]:
    """path (Path): a results file.
    panel (Panel): what to read of it.
    RETURNS (Dict[str, List[Tuple[int, List[float]]]]): for each score, the numbers on the x axis with the F1 of their
        seeds in percent, smallest number first.
    """
    found: Dict[str, Points] = {score: [] for score in panel.scores}
    for row in json.loads(path.read_text(encoding="utf8"))["rows"]:
        match = re.fullmatch(panel.rows, row["name"])
        if match is not None:
            for score, points in found.items():
                points.append((int(match[1]), [100 * value for value in row["scores"][score]]))
    return {score: sorted(points) for score, points in found.items()}


def draw(results: Path, panels: Sequence[Panel], output: Path) -> None:
    """Draw a figure. The same results give the same file.

    results (Path): a results file.
    panels (Sequence[Panel]): the parts of the figure, from left to right.
    output (Path): an SVG file.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "spacy-ragre"
    from matplotlib import pyplot

    size = (4 * len(panels) + 1, 3)
    figure, rows = pyplot.subplots(1, len(panels), figsize=size, sharey=True, layout="constrained", squeeze=False)
    for axes, panel in zip(rows[0], panels):
        for score, points in read_points(results, panel).items():
            values = [value for value, _ in points]
            means = [statistics.mean(scores) for _, scores in points]
            spreads = [statistics.stdev(scores) if len(scores) > 1 else 0.0 for _, scores in points]
            axes.errorbar(values, means, yerr=spreads, marker="o", capsize=3, label=panel.scores[score])
        axes.set_xscale("log", base=2)
        axes.set_xticks(values, [str(value) for value in values])
        axes.set_xlabel(panel.label)
        if len(panel.scores) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    names = panels[0].scores
    rows[0][0].set_ylabel("F1" if len(names) > 1 else next(iter(names.values())))
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
    missing = 0
    for name in args.figures or FIGURES:
        results = args.results / f"{name}.json"
        if not results.exists():
            print(f"{results} does not exist. Run: {COMMANDS[name]}", file=sys.stderr)
            missing = 1
            continue
        draw(results, FIGURES[name], args.output / f"{name}.svg")
        print(f"Written to {args.output / name}.svg")
    return missing


if __name__ == "__main__":
    sys.exit(main())
