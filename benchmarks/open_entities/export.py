"""Write a checkpoint as weights that the component loads, with what the file beside it says of the training.

python -m benchmarks.open_entities.export checkpoint.safetensors FOLDER --caution 0.5
"""

import argparse
import json
from pathlib import Path
from typing import Sequence

from spacy_ragre.components.open_entities.component import FILE
from spacy_ragre.components.open_entities.finder import EntityFinder
from spacy_ragre.components.relations.open_labels import save_weights
from spacy_ragre.files import file_hash

from ..open_relations.train import read_checkpoint


def main(argv: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--caution", type=float, default=0.0, help="log-odds that are added to no entity")
    args = parser.parse_args(argv or None)
    settings, state = read_checkpoint(args.checkpoint)
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / f"{FILE}.safetensors"
    save_weights(EntityFinder.build(settings, state).model, path)
    known = {
        "architecture": {"settings": settings, "base": "all-MiniLM-L6-v2"},
        "sha256": file_hash(path),
        "bytes": path.stat().st_size,
        "caution": args.caution,
        "training": json.loads(args.checkpoint.with_suffix(".json").read_text(encoding="utf8")),
    }
    (args.folder / f"{FILE}.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
