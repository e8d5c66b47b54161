"""Draw the sweeps of `benchmarks/etrag.py` as a figure for docs/etrag.md: F1 against the number of neighbours and
against the vectors of each, mean and standard deviation over seeds.
"""

import argparse
import json
import re
import statistics
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

SCORE = "semeval_macro_f"
AXES = {"k": "neighbours k, one vector each", "m": "vectors m for each of 4 neighbours"}

Points = List[Tuple[int, List[float]]]


def read_points(path: Path) -> Dict[str, Points]:
    """path (Path): the sweep's results.
    RETURNS (Dict[str, List[Tuple[int, List[float]]]]): for k and m, each value with the F1 of its seeds in percent,
        smallest value first.
    """
    found: Dict[str, Points] = {name: [] for name in AXES}
    for row in json.loads(path.read_text(encoding="utf8"))["rows"]:
        match = re.fullmatch(r"([km]) = (\d+)", row["name"])
        if match is not None:
            found[match[1]].append((int(match[2]), [100 * score for score in row["scores"][SCORE]]))
    return {name: sorted(points) for name, points in found.items()}


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/etrag_sweep.json"))
    parser.add_argument("--output", type=Path, default=Path("docs/images/etrag_sweep.svg"))
    args = parser.parse_args(argv)
    if not args.results.exists():
        print(f"{args.results} does not exist. Run: python benchmarks/etrag.py sweep", file=sys.stderr)
        return 1

    import matplotlib

    matplotlib.use("svg")
    # The same results give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "etrag"
    from matplotlib import pyplot

    figure, parts = pyplot.subplots(1, len(AXES), figsize=(8, 3), sharey=True, layout="constrained")
    for part, (name, points) in zip(parts, read_points(args.results).items()):
        values = [value for value, _ in points]
        means = [statistics.mean(scores) for _, scores in points]
        spreads = [statistics.stdev(scores) if len(scores) > 1 else 0.0 for _, scores in points]
        part.errorbar(values, means, yerr=spreads, marker="o", capsize=3)
        part.set_xscale("log", base=2)
        part.set_xticks(values, [str(value) for value in values])
        part.set_xlabel(AXES[name])
    parts[0].set_ylabel("official macro-F1")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output, metadata={"Date": None})
    pyplot.close(figure)
    print(f"Written to {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
