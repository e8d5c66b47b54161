"""The JSON beside the weights: what they are, what was chosen on dev, what they score.

python describe.py WEIGHTS.safetensors DEV.json TRAINING.json OUT.json
"""

import json
import math
import sys
from pathlib import Path
from typing import Any, Dict, Optional

from safetensors import safe_open

from spacy_ragre.files import file_hash


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
            "reader": "OpenReader",
            "settings": settings,
            "encoder": "all-MiniLM-L6-v2 (its word vectors and tokenizer; all other weights are in the file)",
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
        # Precision weighs twice as much as recall, as it does for who reads relations off ordinary texts.
        "decision": {kind: chance(value["argmax_cautious"]["threshold"], value) for kind, value in scores.items()},
        "training": json.loads(Path(training).read_text(encoding="utf8")),
        "dev": scores,
    }
    text = json.dumps(record, indent=1)
    for constant in ("Infinity", "NaN"):
        text = text.replace(constant, "null")
    Path(out).write_text(text + "\n", encoding="utf8")


if __name__ == "__main__":
    main(*sys.argv[1:])
