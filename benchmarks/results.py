"""What every result file says: the machine, the commit, the command and the day."""

import json
import platform
import resource
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from spacy_ragre.files import atomic_write


def machine() -> Dict[str, Any]:
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": torch.get_num_threads(),
        "gpu": gpu,
        "python": platform.python_version(),
    }


def peak_memory() -> float:
    """RETURNS (float): most memory that the process had so far, in MiB: of the GPU, where there is one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def commit() -> str:
    result = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return result.stdout.strip()


def command() -> str:
    """RETURNS (str): the command line, without absolute paths, which say nothing to others."""
    spec = sys.modules["__main__"].__spec__
    program = ["-m", spec.name] if spec is not None else sys.argv[:1]
    arguments = [*program, *sys.argv[1:]]
    return "python " + " ".join(Path(a).name if Path(a).is_absolute() else a for a in arguments)


def describe() -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): commit, machine and day."""
    day = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    return {"commit": commit(), "machine": machine(), "date": day}


def merge(path: Path, name: str, parts: Dict[str, Any]) -> None:
    """Write measurements into a result file, in place of earlier ones of the same names.

    path (Path): the file.
    name (str): the benchmark.
    parts (Dict[str, Any]): measurements by name, each a table; command, commit, machine and day are added to each.
    """
    data = json.loads(path.read_text()) if path.exists() else {"benchmark": name, "parts": {}}
    for key, values in parts.items():
        data["parts"][key] = {**values, "command": command(), **describe()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def add_row(
    path: Path,
    name: str,
    row: Dict[str, Any],
    seed: int,
    scores: Dict[str, float],
    costs: Optional[Dict[str, float]] = None,
) -> None:
    """Write one seed's scores of a row into a result file, with the machine, in place of that seed's earlier ones.

    path (Path): the file.
    name (str): the benchmark.
    row (Dict[str, Any]): `name`, `description` and `split` of the row.
    seed (int): the seed.
    scores (Dict[str, float]): scores by name.
    costs (Optional[Dict[str, float]]): what depends on the machine, by name. Seeds may have run on different ones, so
        that only those of the last run are kept, with its machine.
    """
    data = json.loads(path.read_text()) if path.exists() else {"rows": []}
    data = {**data, "benchmark": name, **describe()}
    known = next((r for r in data["rows"] if (r["name"], r["split"]) == (row["name"], row["split"])), None)
    if known is None:
        known = {**row, "seeds": [], "machines": [], "scores": {}}
        data["rows"].append(known)
    known.update(command=command(), commit=data["commit"])
    if seed in known["seeds"]:
        at = known["seeds"].index(seed)
        for values in (known["seeds"], known["machines"], *known["scores"].values()):
            values.pop(at)
    known["seeds"].append(seed)
    known["machines"].append(data["machine"])
    for key, value in scores.items():
        known["scores"].setdefault(key, []).append(round(float(value), 6))
    if costs:
        known["costs"] = {"machine": data["machine"], **{key: round(float(v), 6) for key, v in costs.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def add_published(path: Path, name: str, row: Dict[str, Any], scores: Dict[str, float]) -> None:
    """Write figures of others into a result file: a row without seeds, machines and command, since nothing was run.

    path (Path): the file.
    name (str): the benchmark.
    row (Dict[str, Any]): `name`, `description` (with the source) and `split` of the row.
    scores (Dict[str, float]): scores by name.
    """
    data = json.loads(path.read_text()) if path.exists() else {"benchmark": name, "rows": [], **describe()}
    others = [known for known in data["rows"] if (known["name"], known["split"]) != (row["name"], row["split"])]
    figures = {key: [value] for key, value in scores.items()}
    data["rows"] = [*others, {**row, "seeds": [], "machines": [], "scores": figures}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def write_run(
    path: Path,
    name: str,
    row: Mapping[str, str],
    run: Mapping[str, Any],
    scores: Mapping[str, float],
    costs: Mapping[str, float],
) -> None:
    """Write a file of one run, whole or not at all. Those of a folder make a table (`scripts/render_results.py`).

    path (Path): the file.
    name (str): the benchmark, the same for all runs of a folder.
    row (Mapping[str, str]): `name`, `description` and `split` of the row; runs of one row differ by their seed.
    run (Mapping[str, Any]): what was run, its `seed` among it.
    scores (Mapping[str, float]): scores by name.
    costs (Mapping[str, float]): what depends on the machine, by name.
    """
    numbers = {
        kind: {key: round(float(v), 6) for key, v in values.items()}
        for kind, values in (("scores", scores), ("costs", costs))
    }
    data = {"benchmark": name, **row, "run": dict(run), **numbers, "command": command(), **describe()}
    with atomic_write(path) as file:
        file.write((json.dumps(data, indent=2) + "\n").encode("utf8"))


def scores_of(path: Path, name: str, split: str, seed: int) -> Optional[Dict[str, float]]:
    """The scores of one seed in a result file that `add_row` writes.

    path (Path): the file, which may not exist.
    name (str): the row.
    split (str): its split.
    seed (int): the seed.
    RETURNS (Optional[Dict[str, float]]): scores by name; None where the row was not run with the seed.
    """
    for row in json.loads(path.read_text())["rows"] if path.exists() else []:
        if (row["name"], row["split"]) == (name, split) and seed in row["seeds"]:
            at = row["seeds"].index(seed)
            return {key: values[at] for key, values in row["scores"].items()}
    return None
