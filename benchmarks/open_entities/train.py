"""Train the finder of entities for a given time.

    python -m benchmarks.open_entities.train assets corpora_src/openrel --out entities.safetensors

A step reads texts of a few schemas, with some of the types of each. What is annotated with a type that is not asked for
is no entity then: so the tagger learns to go by the types.
"""

import argparse
import itertools
import json
import logging
import math
import random
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_ragre.components.open_entities.finder import EntityFinder, Row
from spacy_ragre.components.open_entities.tagger import OpenTagger
from spacy_ragre.components.relations.open_labels import WINDOW
from spacy_ragre.components.relations.open_shim import find_encoder
from spacy_ragre.llm.runtime.precision import mixed_precision

from ..open_relations.corpora import token_span
from ..open_relations.train import fill_encoder, optimizer_of, read_checkpoint, run
from ..results import describe
from .data import CORPORA, FIRST_COMPLETE, HELD_OUT, SHARES, TypedTexts, read_training
from .types import read_types

# How often all types of a schema are asked for; else each with this chance.
ALL_TYPES, CHANCE = 0.5, 0.6
MOST_TYPES = 24
# Of schemas with few texts.
MOST_GROUPS = 16
# Texts, types, and the class of each token of the texts; -1 for those around them.
Group = Tuple[List[Row], List[Row], Tensor]


class Sampler:
    """Draws texts and types for ever.

    finder (EntityFinder): lays texts out.
    schemas (Sequence[TypedTexts]): all that trains.
    seed (int): of what is drawn.
    tokens (int): about how many tokens a group has.
    shares (Mapping[str, float]): how often a corpus is drawn.
    """

    def __init__(
        self,
        finder: EntityFinder,
        schemas: Sequence[TypedTexts],
        seed: int,
        tokens: int,
        shares: Mapping[str, float] = SHARES,
    ) -> None:
        self.finder, self.random, self.tokens, self.shares = finder, random.Random(seed), tokens, shares
        self.pools: Dict[str, List[TypedTexts]] = {}
        for schema in schemas:
            self.pools.setdefault(schema.source, []).append(schema)
        self._weights = {
            source: list(itertools.accumulate(math.sqrt(len(schema.texts)) for schema in pool))
            for source, pool in self.pools.items()
        }
        self.queues: Dict[str, List[int]] = {}
        self.known: Dict[Tuple[str, int], Tuple[List[int], List[int], List[Tuple[int, int, str]]]] = {}

    def groups(self) -> List[Group]:
        """RETURNS (List[Group]): one of a schema drawn by its corpus; several where its schemas are too short for the
        number of tokens.
        """
        source = self.random.choices(list(self.shares), list(self.shares.values()))[0]
        pool, weights = self.pools[source], self._weights[source]
        out: List[Group] = []
        while sum(len(classes) for _, _, classes in out) < self.tokens and len(out) < MOST_GROUPS:
            out.append(self._group(self.random.choices(pool, cum_weights=weights)[0]))
        return out

    def _group(self, schema: TypedTexts) -> Group:
        names = list(schema.types)
        if self.random.random() >= ALL_TYPES:
            names = [name for name in names if self.random.random() < CHANCE] or names[:1]
        names = self.random.sample(names, min(len(names), MOST_TYPES))
        numbers = {name: number for number, name in enumerate(names)}
        types = [self.finder.type_row(self._words(schema.types[name])) for name in names]
        texts: List[Row] = []
        classes: List[int] = []
        while not texts or (len(texts) < len(schema.texts) and sum(len(ids) for ids, _ in texts) < self.tokens):
            ids, ways, spans = self._text(schema)
            row = [0] * len(ids)
            for first, last, type_ in spans:
                if type_ in numbers:
                    row[first] = 1 + numbers[type_]
                    row[first + 1 : last] = [1 + len(names) + numbers[type_]] * (last - first - 1)
            texts.append(self.finder.row(ids, ways, 0, WINDOW))
            classes += [-1, *row[:WINDOW], -1]
        return texts, types, torch.tensor(classes)

    def _words(self, words: Sequence[str]) -> str:
        return words[0] if self.random.random() < 0.5 else self.random.choice(words)

    def _text(self, schema: TypedTexts) -> Tuple[List[int], List[int], List[Tuple[int, int, str]]]:
        queue = self.queues.setdefault(schema.name, [])
        if not queue:
            queue.extend(range(len(schema.texts)))
            self.random.shuffle(queue)
        number = queue.pop()
        key = schema.name, number
        if key not in self.known:
            item = schema.texts[number]
            ids, ways, offsets = self.finder.encode(item.text)
            spans = [(token_span(offsets, start, end), type_) for start, end, type_ in item.ents]
            self.known[key] = ids, ways, [(*span, type_) for span, type_ in spans if span is not None]
        return self.known[key]


def step_loss(model: OpenTagger, groups: Sequence[Group]) -> Tensor:
    """RETURNS (Tensor): the mean loss of the tokens of some groups, which are read together."""
    with mixed_precision(model.device):
        views, none = model.read_tokens(model.pack([row for texts, _, _ in groups for row in texts]))
        types = model.read_types(model.pack([row for _, types, _ in groups for row in types]))
    losses = []
    at = first = 0
    for _, asked, classes in groups:
        own = slice(at, at + len(classes))
        scores = model.score((views[own], none[own]), types[first : first + len(asked)])
        losses.append(F.cross_entropy(scores.float(), classes.to(model.device), ignore_index=-1, reduction="sum"))
        at, first = at + len(classes), first + len(asked)
    return torch.stack(losses).sum() / sum(int((classes >= 0).sum()) for _, _, classes in groups)


def main(argv: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description="Train the finder of entities.")
    parser.add_argument("data", type=Path)
    parser.add_argument("openrel", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--new-rate", type=float, default=8e-4)
    parser.add_argument("--groups", type=int, default=3, help="groups a step")
    parser.add_argument("--tokens", type=int, default=380, help="tokens of text a group")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    args = parser.parse_args(argv or None)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(args.seed)
    finder = EntityFinder.build({"dropout": args.dropout}, {})
    model = finder.model
    fill_encoder(model, find_encoder() / "model.safetensors")
    if args.start:
        model.load_own_state(read_checkpoint(args.start)[1])
    schemas = [*read_training(args.data, args.openrel), *read_types(args.data, held_out=False)]
    sampler = Sampler(finder, schemas, args.seed, args.tokens)
    step = run(
        model,
        optimizer_of(model, args.rate, args.new_rate),
        lambda: step_loss(model, [group for _ in range(args.groups) for group in sampler.groups()]),
        args.out,
        args.minutes,
        warm=0.05,
        least=0.02,
    )
    record = {
        "data": f"openrel from file {FIRST_COMPLETE} on without {len(HELD_OUT)} that are held out, Re-DocRED dev, "
        f"types and passages without every tenth, {', '.join(CORPORA)}",
        "never_seen": "the files that are held out, the ordinary paragraphs, Re-DocRED test, CrossRE",
        "minutes": args.minutes,
        "steps": step,
        "seed": args.seed,
        "start": str(args.start.name) if args.start else "all-MiniLM-L6-v2",
        **describe(),
    }
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
