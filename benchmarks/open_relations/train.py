"""Train an open-label reader for a given time.

    python train.py PATH_TO_MINILM DATA OPENREL --minutes 70 --out reader_checkpoint.safetensors
    python export.py reader_checkpoint.safetensors PATH_TO_MINILM open_reader.safetensors

DATA holds the folders of the corpora, OPENREL what `scripts/convert_openrel.py convert` wrote.
"""

import argparse
import logging
import math
import time
from pathlib import Path
from typing import Dict, List, Sequence

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from spacy_ragre.components.relations.open_reader import OpenReader, TokenInput, pack

from .corpora import read_all
from .sampling import Group, Sampler

log = logging.getLogger("open_reader")

# What an encoder brings along learns more slowly than what is new.
OLD = ("layers.", "norm.", "positions.")
SCALARS = ("scale", "bias")
SCALAR_RATE = 0.01


def from_minilm(model: OpenReader, path: Path) -> OpenReader:
    """Fill the encoder with all-MiniLM-L6-v2, or another BERT of the same shape. RETURNS (OpenReader): the model."""
    state = load_file(str(path))
    with torch.no_grad():
        model.words.weight.copy_(state["embeddings.word_embeddings.weight"])
        kind = state["embeddings.token_type_embeddings.weight"][0]
        model.positions.weight.copy_(state["embeddings.position_embeddings.weight"] + kind)
        for part in ("weight", "bias"):
            getattr(model.norm, part).copy_(state[f"embeddings.LayerNorm.{part}"])
            for number, layer in enumerate(model.layers):
                name = f"encoder.layer.{number}."
                qkv = [state[f"{name}attention.self.{key}.{part}"] for key in ("query", "key", "value")]
                getattr(layer.qkv, part).copy_(torch.cat(qkv))
                getattr(layer.out, part).copy_(state[f"{name}attention.output.dense.{part}"])
                getattr(layer.norm1, part).copy_(state[f"{name}attention.output.LayerNorm.{part}"])
                getattr(layer.up, part).copy_(state[f"{name}intermediate.dense.{part}"])
                getattr(layer.down, part).copy_(state[f"{name}output.dense.{part}"])
                getattr(layer.norm2, part).copy_(state[f"{name}output.LayerNorm.{part}"])
    return model


def loss_of(scores: Tensor, target: Tensor, allowed: Tensor) -> Tensor:
    """Binary loss of every decision that somebody looked at, and for each label that holds a softmax against all that
    does not hold for its pair and a threshold at 0.

    scores, target, allowed (Tensor): *Shape:* (P, L)
    RETURNS (Tensor): a scalar.
    """
    count = (target & allowed).sum()
    binary = F.binary_cross_entropy_with_logits(scores, target.float(), reduction="none")
    wrong = scores.masked_fill(~allowed | target, -1e4)
    rivals = torch.logsumexp(torch.cat([wrong, scores.new_zeros(len(scores), 1)], 1), 1, keepdim=True)
    ranked = F.softplus(rivals - scores)
    return (binary * allowed).sum() / (count + 4) + (ranked * (target & allowed)).sum() / count.clamp(min=1)


def step_loss(model: OpenReader, groups: Sequence[Group], types: "TypeVectors") -> Tensor:
    """RETURNS (Tensor): the loss of some groups, whose texts and labels are read together."""
    labels = [label for group in groups for label in group.labels]
    texts = [text for group in groups for text in group.texts]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        label_states = model.read_labels(pack(labels, types(labels)))
        pairs, related = model.read_texts(pack(texts, types(texts)))
    sizes = [group.target.shape for group in groups]
    pair_count, label_count = (sum(size[i] for size in sizes) for i in (0, 1))
    target = torch.zeros(pair_count, label_count, dtype=torch.bool)
    allowed = torch.zeros(pair_count, label_count, dtype=torch.bool)
    blocks, row, column = [], 0, 0
    for group, (height, width) in zip(groups, sizes):
        rows, columns = slice(row, row + height), slice(column, column + width)
        target[rows, columns], allowed[rows, columns] = group.target, group.allowed
        block = model.score(pairs[rows], related[rows], label_states[columns])
        blocks.append(F.pad(block, (column, label_count - column - width)))
        row, column = row + height, column + width
    return loss_of(torch.cat(blocks), target, allowed)


class TypeVectors:
    """Mean word vectors of entity types' words, kept."""

    def __init__(self, model: OpenReader, tokenizer: Tokenizer) -> None:
        self._words, self._tokenizer = model.words.weight.detach(), tokenizer
        self._vectors: Dict[str, Tensor] = {}

    def __call__(self, inputs: Sequence[TokenInput]) -> Dict[str, Tensor]:
        names = {"", *(name for input_ in inputs for _, _, name in input_.mentions)}
        for name in names - set(self._vectors):
            ids = self._tokenizer.encode(name, add_special_tokens=False).ids
            ids = ids or [self._tokenizer.token_to_id("[UNK]")]
            self._vectors[name] = self._words[torch.tensor(ids)].mean(0)
        return {name: self._vectors[name] for name in names}


def optimizer_of(model: OpenReader, rate: float, new_rate: float) -> torch.optim.Optimizer:
    """RETURNS (torch.optim.Optimizer): AdamW whose groups know their full rate as "base"."""
    groups: List[Dict[str, object]] = []
    named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    for old, base in ((True, rate), (False, new_rate)):
        for matrix, decay in ((True, 0.01), (False, 0.0)):
            values = [
                value
                for name, value in named
                if name not in SCALARS and name.startswith(OLD) == old and (value.dim() > 1) == matrix
            ]
            groups.append({"params": values, "lr": base, "base": base, "weight_decay": decay})
    scalars = [value for name, value in named if name in SCALARS]
    groups.append({"params": scalars, "lr": SCALAR_RATE, "base": SCALAR_RATE, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def save(model: OpenReader, path: Path) -> None:
    """Write all but the word vectors, which never change. The file appears under its name only when it is whole."""
    part = path.with_name(f"{path.name}.part")
    state = {name: value.contiguous() for name, value in model.state_dict().items() if name != "words.weight"}
    save_file(state, str(part))
    part.replace(path)


def main(argv: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description="Train an open-label reader.")
    parser.add_argument("encoder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("openrel", type=Path)
    parser.add_argument("openwiki", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=70)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--new-rate", type=float, default=7e-4)
    parser.add_argument("--groups", type=int, default=3, help="groups a step")
    parser.add_argument("--tokens", type=int, default=380, help="tokens of text a group")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    args = parser.parse_args(argv or None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = Tokenizer.from_file(str(args.encoder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    schemas = read_all(args.data, args.openrel, args.openwiki, tokenizer)
    sampler = Sampler(tokenizer, schemas, seed=args.seed, tokens=args.tokens)
    model = from_minilm(OpenReader(dropout=args.dropout), args.encoder / "model.safetensors")
    if args.start:
        model.load_state_dict({**load_file(str(args.start)), "words.weight": model.words.weight})
    types = TypeVectors(model, tokenizer)
    optimizer = optimizer_of(model, args.rate, args.new_rate)
    model.train()
    begin = told = saved = time.time()
    step, mean = 0, float("nan")
    while (done := (time.time() - begin) / (60 * args.minutes)) < 1:
        factor = min(1.0, done / 0.03 + 0.02) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor
        loss = step_loss(model, [sampler.group() for _ in range(args.groups)], types)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([value for value in model.parameters() if value.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        mean = loss.item() if step == 1 else 0.98 * mean + 0.02 * loss.item()
        if time.time() - told > 30:
            told = time.time()
            log.info("%.1f min, step %d, loss %.3f", (told - begin) / 60, step, mean)
        if time.time() - saved > 600:
            saved = time.time()
            save(model, args.out)
    save(model, args.out)


if __name__ == "__main__":
    main()
