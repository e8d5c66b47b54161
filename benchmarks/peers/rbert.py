"""A classifier in the style of R-BERT (Wu and He 2019, arXiv 1905.08284) on a small sentence encoder.

As there: "$" around the first nominal and "#" around the second; the first state and the mean states of both nominals
pass a tanh layer each (one for both nominals) and are read together by a linear layer over the classes. The encoder is
another one, and learning rates and epochs are usual values for it, not chosen on data. It computes in bfloat16 as far
as autocast does, where the processor has instructions for that, and else in float32.
"""

import argparse
import random
from pathlib import Path
from typing import List, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoModel, AutoTokenizer

from .common import Predict, Sentence, make_parser, run
from .encoders import encoder_folder

BATCH = 16
# A small encoder takes larger steps.
RATES = {"minilm": 1e-4, "mpnet": 3e-5}
WARMUP = 0.1
DROPOUT = 0.1
MARKS = (("$", "$"), ("#", "#"))
# What has to be in /proc/cpuinfo; without these bfloat16 is slower than float32.
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
CPUINFO = Path("/proc/cpuinfo")


class RBert(nn.Module):
    """The encoder and its layers.

    folder (Path): the encoder.
    classes (int): number of classes.
    """

    def __init__(self, folder: Path, classes: int) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.encoder = AutoModel.from_pretrained(folder)
        width = self.encoder.config.hidden_size
        self.whole = nn.Linear(width, width)
        self.nominal = nn.Linear(width, width)
        self.classify = nn.Linear(3 * width, classes)
        self.dropout = nn.Dropout(DROPOUT)
        self.low = has_bfloat16()

    def forward(self, items: Sequence[Sentence]) -> Tensor:
        """RETURNS (Tensor): logits, *Shape* (sentences, classes)."""
        texts = [item.marked(*MARKS) for item in items]
        inputs = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt", return_offsets_mapping=True)
        offsets = inputs.pop("offset_mapping")
        with torch.autocast("cpu", torch.bfloat16, enabled=self.low):
            states = self.encoder(**inputs).last_hidden_state.float()
        parts = [self.whole(self.dropout(torch.tanh(states[:, 0])))]
        for which in range(2):
            # Tokens that begin inside of the nominal; those around a text have no place, and end at 0.
            spans = torch.tensor([place_of(item, which) for item in items])
            inside = (offsets[..., 0] >= spans[:, :1]) & (offsets[..., 0] < spans[:, 1:]) & (offsets[..., 1] > 0)
            mask = inside[..., None].to(states)
            parts.append(self.nominal(self.dropout(torch.tanh((states * mask).sum(1) / mask.sum(1).clamp(min=1)))))
        logits: Tensor = self.classify(self.dropout(torch.cat(parts, dim=-1)))
        return logits


def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """RETURNS (bool): whether the processor has instructions for bfloat16."""
    known = cpuinfo.read_text(encoding="utf8") if cpuinfo.exists() else ""
    return any(name in known for name in INSTRUCTIONS)


def place_of(item: Sentence, which: int) -> Tuple[int, int]:
    """RETURNS (Tuple[int, int]): where a nominal stands in the marked text, its marks left out."""
    # A mark and a space before the first; a space, two marks and two spaces more before the second.
    start, end = item.nominals[which]
    shift = 2 if which == 0 else 6
    return start + shift, end + shift


def fit(train: List[Sentence], args: argparse.Namespace) -> Predict:
    torch.manual_seed(args.seed)
    names = sorted({item.label for item in train})
    model = RBert(encoder_folder(args.encoder, args.output.parent / "mpnet"), len(names))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATES.get(args.encoder, max(RATES.values())), weight_decay=0.01
    )
    steps = args.epochs * -(-len(train) // BATCH)

    def rate(step: int) -> float:
        return float(min((step + 1) / max(1, WARMUP * steps), (steps - step) / max(1.0, (1 - WARMUP) * steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    items, shuffle = list(train), random.Random(args.seed)
    model.train()
    for _ in range(args.epochs):
        shuffle.shuffle(items)
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            loss = cross_entropy(model(batch), torch.tensor([names.index(item.label) for item in batch]))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()

    def predict(test: Sequence[Sentence]) -> List[str]:
        model.eval()
        with torch.no_grad():
            chosen = [model(test[start : start + BATCH]).argmax(1) for start in range(0, len(test), BATCH)]
        return [names[number] for number in torch.cat(chosen).tolist()]

    return predict


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--encoder", default="minilm", help="minilm, mpnet, or a folder")
    parser.add_argument("--epochs", type=int, default=3)
    run(parser.parse_args(), fit)
