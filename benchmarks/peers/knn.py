"""k nearest neighbours alone: all-MiniLM-L6-v2, untouched, on sentences with marked nominals; similarities vote.

k is chosen among a few on a tenth of the training sentences.
"""

import argparse
from pathlib import Path
from typing import List, Sequence

import numpy as np

from .common import Predict, Sentence, make_parser, run
from .encoders import encoder_folder

COUNTS = (1, 4, 8, 16, 32)
BATCH = 64


class Encoder:
    """Means of an encoder's last states, of length one.

    folder (Path): the model.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder).eval()

    def __call__(self, items: Sequence[Sentence]) -> np.ndarray:
        """RETURNS (np.ndarray): *Shape* (sentences, width)."""
        import torch

        texts = [item.marked(("[", "]"), ("[", "]")) for item in items]
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        rows: List[np.ndarray] = [np.zeros(0)] * len(texts)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            inputs = self.tokenizer([texts[row] for row in chosen], padding=True, truncation=True, return_tensors="pt")
            with torch.no_grad():
                states = self.model(**inputs).last_hidden_state
            mask = inputs["attention_mask"][..., None]
            means = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1).numpy()
            for row, vector in zip(chosen, means):
                rows[row] = vector
        return np.stack(rows)


def vote(similar: np.ndarray, labels: np.ndarray, count: int, classes: int) -> np.ndarray:
    """Labels by the similarities of the nearest examples.

    similar (np.ndarray): *Shape* (queries, examples).
    labels (np.ndarray): class numbers, *Shape* (examples,).
    RETURNS (np.ndarray): class numbers, *Shape* (queries,).
    """
    nearest = np.argsort(-similar, axis=1, kind="stable")[:, :count]
    votes = np.zeros((len(similar), classes))
    rows = np.repeat(np.arange(len(similar)), nearest.shape[1])
    np.add.at(votes, (rows, labels[nearest].ravel()), np.take_along_axis(similar, nearest, axis=1).ravel())
    chosen: np.ndarray = votes.argmax(1)
    return chosen


def fit(train: List[Sentence], args: argparse.Namespace) -> Predict:
    encode = Encoder(encoder_folder(args.encoder, args.output.parent / "mpnet"))
    names = sorted({item.label for item in train})
    labels = np.array([names.index(item.label) for item in train])
    keys = encode(train)
    held = np.random.default_rng(args.seed).permutation(len(train)) < max(1, len(train) // 10)
    similar = keys[held] @ keys[~held].T
    right = {k: (vote(similar, labels[~held], k, len(names)) == labels[held]).mean() for k in COUNTS}
    best = max(COUNTS, key=lambda k: right[k])
    return lambda test: [names[n] for n in vote(encode(test) @ keys.T, labels, best, len(names))]


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--encoder", default="minilm", help="minilm, mpnet, or a folder")
    run(parser.parse_args(), fit)
