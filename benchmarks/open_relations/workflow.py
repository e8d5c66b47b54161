"""Steps of the project's workflow `open`, with the encoder that comes as a package.

    python -m benchmarks.open_relations.workflow train assets corpus/openrel corpus/openwiki training/open --minutes 70
    python -m benchmarks.open_relations.workflow export corpus/openrel training/open

`train` writes `checkpoint.safetensors` and `training.json` (what it was trained on). `export` writes `weights/`: the
reader in 8 bits, and beside it thresholds, calibration, how much examples count, and scores, all of openrel's
development schemas. That folder is what
`benchmarks.zero_shot --weights` measures and what stands in `spacy_ragre/weights`.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import torch

from spacy_ragre.components.relations.open_scorer import READER, OpenScorer
from spacy_ragre.components.relations.open_shim import ENCODER
from spacy_ragre.corpora.openrel import read_corpus

from ..results import describe as provenance
from . import describe, evaluate, export, few_shot, limits, train
from .corpora import RELATION_CORPORA

CHECKPOINT, TRAINING, DEV, WEIGHTS = "checkpoint.safetensors", "training.json", "dev.json", "weights"
# As many wordings of a label as openrel has at least; a pipeline reads all that its labels have.
WORDINGS = 3


def run_training(
    data: Path, openrel: Path, openwiki: Path, folder: Path, minutes: float, seed: int, backbone: str, quantization: str
) -> None:
    """Train a reader.

    data (Path): the corpora.
    openrel, openwiki (Path): openrel and openwiki, converted.
    folder (Path): where to write.
    minutes (float): how long to train.
    seed (int): of what is drawn.
    backbone, quantization (str): a model in place of all-MiniLM-L6-v2, or "", and "nf4", "int8" or "".
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "--out": folder / CHECKPOINT,
        "--minutes": minutes,
        "--seed": seed,
        "--threads": torch.get_num_threads(),
        "--backbone": backbone,
        "--quantization": quantization,
    }
    options = [str(part) for item in settings.items() for part in item]
    train.main([str(data), str(openrel), str(openwiki), *options])
    own = "openrel without its development schemas, openwiki, facts, passages, other wordings of labels, Re-DocRED dev"
    record: Dict[str, Any] = {
        "data": f"{own}, {', '.join(RELATION_CORPORA)}",
        "never_seen": "FewRel val_wiki and val_pubmed, CrossRE, SemEval-2010 Task 8, openrel's development schemas",
        "backbone": backbone or ENCODER,
        "quantization": quantization or None,
        "minutes": minutes,
        "seed": seed,
        "wordings_averaged": WORDINGS,
        **provenance(),
    }
    (folder / TRAINING).write_text(json.dumps(record, indent=1) + "\n", encoding="utf8")


def run_export(openrel: Path, folder: Path) -> None:
    """Write the weights as they ship, with what is chosen on openrel's development schemas.

    openrel (Path): openrel, converted.
    folder (Path): where the training wrote.
    """
    weights = folder / WEIGHTS / f"{READER}.safetensors"
    weights.parent.mkdir(exist_ok=True)
    export.main(str(folder / CHECKPOINT), str(weights))
    options = ["--wordings", str(WORDINGS), "--out", str(folder / DEV)]
    evaluate.main([str(weights), str(openrel), *options])
    describe.main(str(weights), str(folder / DEV), str(folder / TRAINING), str(weights.with_suffix(".json")))
    dev = list(read_corpus(openrel, "dev"))
    limits.write_limits(weights.parent, dev)
    schemas = few_shot.read_schemas(OpenScorer(str(weights.parent)), dev)
    few_shot.write_fit(weights.parent, schemas)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train a reader")
    training.add_argument("data", type=Path, help="folder of the corpora")
    exporting = commands.add_parser("export", help="write the weights as they ship")
    for command in (training, exporting):
        command.add_argument("openrel", type=Path, help="what scripts/convert_openrel.py wrote of openrel")
        if command is training:
            command.add_argument("openwiki", type=Path, help="what it wrote of openwiki")
        command.add_argument("folder", type=Path, help="what belongs to this training")
    training.add_argument("--minutes", type=float, default=70)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--backbone", default="", help="a model in place of all-MiniLM-L6-v2")
    training.add_argument("--quantization", default="", help="of that model: nf4 or int8")
    args = parser.parse_args(argv)
    if args.command == "train":
        run_training(
            args.data,
            args.openrel,
            args.openwiki,
            args.folder,
            args.minutes,
            args.seed,
            args.backbone,
            args.quantization,
        )
    else:
        run_export(args.openrel, args.folder)


if __name__ == "__main__":
    main()
