"""A pipeline that is trained once: where one of the same config is there already, it is taken."""

import json
import time
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from spacy import util
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from spacy_ragre.files import file_hash

from .results import peak_memory

# The folder of a pipeline, in that of its training.
LAST = "model-last"


class Trained(NamedTuple):
    """What a training took.

    minutes (float): of the process's own time, so that other work on the machine does not count.
    memory (float): most memory that the process had, in MiB.
    """

    minutes: float
    memory: float


def train_once(path: Path, overrides: Mapping[str, Any], folder: Path) -> Trained:
    """Train a pipeline into a folder, unless it was trained there with the same config on the same documents. What was
    cut off begins anew.

    path (Path): the training config.
    overrides (Mapping[str, Any]): settings of it, by their dotted names; `paths.train` among them.
    folder (Path): where the pipeline goes, as `LAST`.
    RETURNS (Trained): what its training took, whenever that was.
    """
    config = util.load_config(path, overrides=dict(overrides), interpolate=False)
    # Written after training, so that what is there is whole.
    done = folder / "trained.json"
    wanted = {"config": config.to_str(), "documents": file_hash(Path(overrides["paths.train"]))}
    if done.exists():
        known = json.loads(done.read_text(encoding="utf8"))
        if wanted.items() <= known.items():
            return Trained(known["minutes"], known["memory"])
        done.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    train(init_nlp(config, use_gpu=-1), folder, use_gpu=-1)
    took = Trained((time.process_time() - started) / 60, peak_memory())
    done.write_text(json.dumps({**wanted, **took._asdict()}), encoding="utf8")
    return took
