"""Train an open-label reader for a given time.

    python -m benchmarks.open_relations.train assets corpus/openrel corpus/openwiki --out reader.safetensors
    python -m benchmarks.open_relations.train ... --backbone HuggingFaceTB/SmolLM2-1.7B --quantization nf4

The first folder holds the corpora, the others what `scripts/convert_openrel.py convert` wrote. The checkpoint keeps the
reader's settings beside its weights, for `export`.
"""

import argparse
import json
import logging
import math
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from spacy_ragre.components.open_entities.tagger import OpenTagger
from spacy_ragre.components.relations.open_encoder import BertEncoder, from_bert
from spacy_ragre.components.relations.open_labels import OpenRelations, WithOwnState, read_settings
from spacy_ragre.components.relations.open_models import kind_of
from spacy_ragre.components.relations.open_reader import OpenReader, PairReader, pack
from spacy_ragre.components.relations.open_shim import SLOW, find_encoder
from spacy_ragre.components.relations.open_tokens import TypeVectors
from spacy_ragre.llm.runtime.precision import mixed_precision

from .corpora import RELATION_CORPORA, Schema, read_redocred, read_relations, read_schemas, with_wordings
from .facts import held_out_ids
from .facts import read_schema as facts_schema
from .passages import read_schema as passages_schema
from .phrases import add_phrases
from .sampling import Group, Sampler
from .wordings import read_source

log = logging.getLogger("open_reader")

SCALARS = ("scale", "bias")
SCALAR_RATE = 0.01


def read_all(
    data: Path, openrel_folder: Path, openwiki_folder: Path, tokenizer: Tokenizer, found: Optional[Path] = None
) -> List[Schema]:
    """All that trains.

    data (Path): the folder of corpora.
    openrel_folder, openwiki_folder (Path): what `convert_openrel.py` wrote of each.
    found (Optional[Path]): what `benchmarks.open_entities.found` wrote.
    RETURNS (List[Schema]): the schemas.
    """
    schemas = [
        *read_schemas(openrel_folder, "openrel", tokenizer),
        *read_schemas(openwiki_folder, "openwiki", tokenizer),
    ]
    unseen = held_out_ids()
    schemas += [
        read_relations(data / "relations", name, data / "fewrel", tokenizer, unseen) for name in RELATION_CORPORA
    ]
    schemas.append(read_redocred(data, tokenizer))
    wordings = {source: read_source(source) for source in {schema.source for schema in schemas}}
    worded = [with_wordings(schema, wordings[schema.source]) for schema in schemas]
    return [*worded, facts_schema(data, tokenizer), passages_schema(tokenizer, found_entities=found)]


def fill_encoder(model: BertEncoder, path: Path) -> None:
    """Fill the encoder with all-MiniLM-L6-v2, or another BERT of the same shape."""
    model.load_own_state({**model.own_state(), **from_bert(load_file(str(path)))})


def make_reader(backbone: str, quantization: str, rank: int, dropout: float) -> OpenRelations:
    """RETURNS (OpenRelations): a reader before training, on all-MiniLM-L6-v2, or on another model with a LoRA."""
    if not backbone:
        reader = OpenRelations.build({"dropout": dropout}, {})
        assert isinstance(reader.model, OpenReader)
        fill_encoder(reader.model, find_encoder() / "model.safetensors")
        return reader
    settings: Dict[str, Any] = {"kind": kind_of(backbone), "name": backbone, "quantization": quantization or None}
    settings["lora"] = {"rank": rank, "alpha": 2.0 * rank, "dropout": dropout}
    # Mixed precision is up to the steps; the states of a model in 16 bits are too coarse to learn from.
    settings["dtype"] = "float32" if not quantization else "auto"
    return OpenRelations.build({"backbone": settings}, {})


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


def step_loss(model: PairReader, groups: Sequence[Group], types: TypeVectors) -> Tensor:
    """RETURNS (Tensor): the loss of some groups, whose texts and labels are read together."""
    labels = [label for group in groups for label in group.labels]
    texts = [text for group in groups for text in group.texts]
    with mixed_precision(model.device):
        label_states = model.read_labels(pack(labels, types(labels)).to(model.device))
        pairs, related = model.read_texts(pack(texts, types(texts)).to(model.device))
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
    return loss_of(torch.cat(blocks), target.to(model.device), allowed.to(model.device))


def optimizer_of(model: nn.Module, rate: float, new_rate: float) -> torch.optim.Optimizer:
    """RETURNS (torch.optim.Optimizer): AdamW whose groups know their full rate as "base"."""
    groups: List[Dict[str, object]] = []
    named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    for old, base in ((True, rate), (False, new_rate)):
        for matrix, decay in ((True, 0.01), (False, 0.0)):
            values = [
                value
                for name, value in named
                if name not in SCALARS and name.startswith(SLOW) == old and (value.dim() > 1) == matrix
            ]
            groups.append({"params": values, "lr": base, "base": base, "weight_decay": decay})
    scalars = [value for name, value in named if name in SCALARS]
    groups.append({"params": scalars, "lr": SCALAR_RATE, "base": SCALAR_RATE, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def save(model: WithOwnState, path: Path) -> None:
    """Write all but the base model's weights, which never change. The file appears when it is whole."""
    part = path.with_name(f"{path.name}.part")
    state = {name: value.cpu().contiguous() for name, value in model.own_state().items()}
    save_file(state, str(part), metadata={"settings": json.dumps(model.settings)})
    part.replace(path)


def read_checkpoint(path: Path) -> Tuple[Dict[str, Any], Dict[str, Tensor]]:
    """RETURNS (Tuple[Dict[str, Any], Dict[str, Tensor]]): the reader's settings, and its weights."""
    return read_settings(path), load_file(str(path))


def run(
    model: Union[PairReader, OpenTagger],
    optimizer: torch.optim.Optimizer,
    next_loss: Callable[[], Tensor],
    out: Path,
    minutes: float,
    *,
    warm: float = 0.03,
    least: float = 0.03,
) -> int:
    """Train for a given time; checkpoints are written on the way, and at the end.

    model (Union[PairReader, OpenTagger]): what learns.
    optimizer (torch.optim.Optimizer): what `optimizer_of` gave.
    next_loss (Callable[[], Tensor]): gives the loss of the next step.
    out (Path): the checkpoint.
    minutes (float): how long.
    warm, least (float): share of the time in which rates rise, and what they fall to along a cosine, as a share.
    RETURNS (int): how many steps it were.
    """
    model.train()
    begin = told = saved = time.time()
    step, mean = 0, float("nan")
    while (done := (time.time() - begin) / (60 * minutes)) < 1:
        factor = min(1.0, done / warm + 0.02) * (least + (1 - least) * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor
        loss = next_loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([value for value in model.parameters() if value.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        mean = loss.item() if step == 1 else 0.98 * mean + 0.02 * loss.item()
        if time.time() - told > 30:
            told = time.time()
            log.info("%.1f min, step %d, loss %.4f", (told - begin) / 60, step, mean)
        if time.time() - saved > 600:
            saved = time.time()
            save(model, out)
    save(model, out)
    return step


def main(argv: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description="Train an open-label reader.")
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
    parser.add_argument("--found", type=Path, help="what benchmarks.open_entities.found wrote")
    parser.add_argument("--backbone", default="", help="a model in place of all-MiniLM-L6-v2")
    parser.add_argument("--quantization", default="", choices=["", "nf4", "int8"], help="of that model")
    parser.add_argument("--rank", type=int, default=16, help="of its LoRA")
    args = parser.parse_args(argv or None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    reader = make_reader(args.backbone, args.quantization, args.rank, args.dropout)
    model, layout = reader.model, reader.layout
    if args.start:
        model.load_own_state(read_checkpoint(args.start)[1])
    schemas = read_all(args.data, args.openrel, args.openwiki, layout.tokenizer, args.found)
    add_phrases(schemas, layout.tokenizer)
    sampler = Sampler(layout, schemas, seed=args.seed, tokens=args.tokens)
    types = TypeVectors(layout, lambda: model.word_vectors)
    optimizer = optimizer_of(model, args.rate, args.new_rate)
    run(
        model,
        optimizer,
        lambda: step_loss(model, [sampler.group() for _ in range(args.groups)], types),
        args.out,
        args.minutes,
    )


if __name__ == "__main__":
    main()
