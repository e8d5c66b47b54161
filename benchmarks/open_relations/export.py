"""A training checkpoint as the file that ships: matrices in 8 bits, no word vectors.

python export.py CHECKPOINT.safetensors PATH_TO_MINILM open_reader.safetensors
"""

import sys

from safetensors.torch import load_file

from spacy_ragre.components.relations.open_labels import save_weights
from spacy_ragre.components.relations.open_reader import OpenReader


def main(checkpoint: str, encoder: str, out: str) -> None:
    state = load_file(checkpoint)
    layers = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("pair."))
    model = OpenReader(pair_layers=layers, fuse=state["match.0.weight"].shape[0] if "match.0.weight" in state else 0)
    state["words.weight"] = load_file(f"{encoder}/model.safetensors")["embeddings.word_embeddings.weight"]
    model.load_state_dict(state)
    save_weights(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
