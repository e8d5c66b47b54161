"""A training checkpoint as the file that ships: matrices in 8 bits, nothing of the base model.

python -m benchmarks.open_relations.export CHECKPOINT.safetensors open_reader.safetensors
"""

import sys
from pathlib import Path

from spacy_ragre.components.relations.open_labels import OpenRelations, save_weights

from .train import read_checkpoint


def main(checkpoint: str, out: str) -> None:
    save_weights(OpenRelations.build(*read_checkpoint(Path(checkpoint))).model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
