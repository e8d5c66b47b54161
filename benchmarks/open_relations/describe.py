"""The JSON beside the weights: what they are, what was chosen on dev, what they score.

python -m benchmarks.open_relations.describe WEIGHTS.safetensors DEV.json TRAINING.json OUT.json
python -m benchmarks.open_relations.describe spacy_ragre/weights/open_reader.json

The second line puts the figures of `benchmarks/results` that were measured with the weights into the JSON.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from safetensors import safe_open

from spacy_ragre.components.relations.open_shim import ENCODER
from spacy_ragre.files import file_hash

RESULTS = Path(__file__).parents[1] / "results"
# How the rows begin that are of the weights.
ROWS = "open"
# Log-odds by the sum of matches below which the network over products is not asked, and from which on it counts in
# full. On dev schemas, whatever it lifts to a probability of 0.1 has a sum above -3.7.
UNLIKELY = (-4.5, -4.0)


def finite(value: float) -> Optional[float]:
    """RETURNS (Optional[float]): the value; None where no threshold reaches what was asked."""
    return value if math.isfinite(value) else None


def chance(score: float, dev: Dict[str, Any]) -> float:
    """RETURNS (float): the calibrated probability of a score."""
    return 1 / (1 + math.exp(-dev["calibration"]["slope"] * score - dev["calibration"]["offset"]))


def main(weights: str, dev: str, training: str, out: str) -> None:
    scores: Dict[str, Any] = json.loads(Path(dev).read_text(encoding="utf8"))
    with safe_open(weights, "pt") as file_:
        settings = json.loads(file_.metadata()["settings"])
    names = {"best_f1": "best", "argmax_best": "argmax_best", "precision_70": "precision_70"}
    record = {
        "architecture": {
            "settings": settings,
            "base": settings.get("backbone", {}).get("name", ENCODER),
            "format": "matrices int8 with a float scale for each row, the rest float16",
        },
        "sha256": file_hash(Path(weights)),
        "bytes": Path(weights).stat().st_size,
        "thresholds": {
            kind: {name: finite(value[key]["threshold"]) for name, key in names.items()}
            for kind, value in scores.items()
        },
        "calibration": {
            kind: {"slope": value["calibration"]["slope"], "offset": value["calibration"]["offset"]}
            for kind, value in scores.items()
        },
        "unlikely": UNLIKELY,
        # Until `limits` chooses them on ordinary paragraphs: precision weighs twice as much as recall.
        "decision": {kind: chance(value["argmax_cautious"]["threshold"], value) for kind, value in scores.items()},
        "training": json.loads(Path(training).read_text(encoding="utf8")),
        "dev": scores,
    }
    text = json.dumps(record, indent=1)
    for constant in ("Infinity", "NaN"):
        text = text.replace(constant, "null")
    Path(out).write_text(text + "\n", encoding="utf8")


def add_figures(out: str, results: Path = RESULTS) -> None:
    """Put what was measured with the weights that ship into their JSON, in percent: the rows of `ROWS`.

    out (str): the JSON.
    results (Path): the folder of result files.
    """
    record: Dict[str, Any] = json.loads(Path(out).read_text(encoding="utf8"))
    figures: Dict[str, List[Dict[str, Any]]] = {}
    for path in sorted(results.glob("zero_shot_*.json")) + [results / "paragraphs.json"]:
        for row in json.loads(path.read_text(encoding="utf8")).get("rows", ()):
            if row["name"].startswith(ROWS):
                scores = {name: round(100 * values[-1], 1) for name, values in row["scores"].items()}
                known = {key: row[key] for key in ("name", "split", "commit")}
                figures.setdefault(path.stem, []).append({**known, **scores})
    record["zero_shot"] = figures
    Path(out).write_text(json.dumps(record, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(*sys.argv[1:])
    else:
        add_figures(sys.argv[1])
