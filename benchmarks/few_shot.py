"""Examples under open labels: 1, 2, 5 and 10 a label, told by `add_examples`, against none. Nothing is trained.

    python -m benchmarks.few_shot fit --weights training/open/weights
    python -m benchmarks.few_shot dev semeval

| command | what |
|---|---|
| fit | chooses how much examples count, and writes it beside the weights (`examples` of open_reader.json) |
| dev | openrel's development schemas, each with what was chosen on the others: all pairs of gold entities, micro-F1 |
| semeval | SemEval-2010 Task 8, test, examples from its training sentences: official macro-F1; never chosen on |

Figures are of five draws of examples. On the development schemas, a draw's texts are left out of what is measured, with
examples and without. A draw of SemEval has as many sentences of Other as of each relation.
"""

import argparse
import os
import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from spacy_ragre.components.relations.open_examples import read_examples
from spacy_ragre.components.relations.open_labels import OpenRelations, OpenText, PairReadings
from spacy_ragre.components.relations.open_scorer import WEIGHTS, OpenScorer
from spacy_ragre.components.relations.open_states import Readings
from spacy_ragre.corpora.openrel import SourceSchema
from spacy_ragre.instances import Answer, Instance

from .open_relations.few_shot import COUNTS, DRAWS, ReadSchema, held_out, read_schemas, scores_of, write_fit
from .paragraphs import subset
from .results import add_row
from .zero_shot import OUTPUT, Package, make_pair, score_nominals
from .zero_shot_corpora import read_nominals, read_openrel

TITLES = {"dev": "Few-shot: openrel, development schemas", "semeval": "Few-shot: SemEval-2010 Task 8"}
KIND_NAMES = {"types": "", "no_types": ", without entity types"}


class Keeping(OpenRelations):
    """A reader that reads each text once, since the same are asked about after every draw.

    reader (OpenRelations): the reader.
    """

    def __init__(self, reader: OpenRelations) -> None:
        self.__dict__ = reader.__dict__
        self._once: Dict[bool, Readings] = {}

    def read_pairs(self, texts: Sequence[OpenText], *, types: bool = True, batch_size: int = 24) -> PairReadings:
        known = self._once.setdefault(types, {})
        pairs, new = read_examples(partial(super().read_pairs, types=types), texts, known)
        known.update(new)
        return pairs


def measure_dev(scorer: OpenScorer, schemas: Dict[str, List[ReadSchema]], output: Path) -> None:
    """Add a row for each number of examples, with types and without, and the same texts without examples beside it."""
    for kind, read in schemas.items():
        variances = scorer.known["examples"][kind]["held_out"]
        for count, draws in held_out(read, variances).items():
            for seed, hits in enumerate(draws):
                for told, own in zip(("none told, the same texts", "told"), hits):
                    row = {
                        "name": f"{count} a label{KIND_NAMES[kind]}: {told}",
                        "description": "centre and variance chosen on the other schemas",
                        "split": "dev, all pairs of gold entities of the texts left",
                    }
                    add_row(output / "few_shot_dev.json", TITLES["dev"], row, seed, scores_of(own))


def draw_sentences(schema: SourceSchema, count: int, seed: int) -> List[Instance]:
    """RETURNS (List[Instance]): so many sentences of each relation, and of none, as pairs with answers."""
    order = list(schema.texts)
    random.Random(1000 * seed + count).shuffle(order)
    have: Dict[str, int] = {}
    drawn = []
    for text in order:
        label = text.relations[0][1] if text.relations else ""
        if have.get(label, 0) < count:
            have[label] = have.get(label, 0) + 1
            # The nominals are numbered in the order of the text.
            answers = tuple(Answer(label, head == 1) for head, label, _ in text.relations)
            drawn.append(replace(make_pair(text, 0, 1, False)[1], answers=answers))
    return drawn


def measure_semeval(data: Path, weights: Optional[Path], limit: int, output: Path) -> None:
    """Add a row for no examples and for each number of them."""
    folder = data / "semeval2010_task8"
    (training,), whole = (read_nominals(folder / name) for name in ("TRAIN_FILE.TXT", "TEST_FILE_FULL.TXT"))
    total = len(whole[0].texts)
    test = subset(whole, min(total, limit or total))
    system = Package("open", weights)
    scorer = system.predictor.open
    scorer.reader = Keeping(scorer.reader)
    part = "" if not limit else f", seeded subset of {limit}"
    for count in (0, *COUNTS):
        for seed in range(DRAWS if count else 1):
            system.predictor.pending = draw_sentences(training, count, seed)
            row = {
                "name": f"{count} of each relation and of Other" if count else "no examples",
                "description": "the reader that comes with the package, default settings",
                "split": f"test ({total}{part})",
            }
            scores = score_nominals(system, test)
            add_row(output / "few_shot_semeval.json", TITLES["semeval"], row, seed, scores)
            print(row["name"], seed, scores, flush=True)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="+", choices=["fit", "dev", "semeval"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAGRE_ASSETS", "assets")))
    parser.add_argument("--weights", type=Path, help="folder with another reader of open labels")
    parser.add_argument("--limit", type=int, default=0, help="measure a seeded subset of SemEval's sentences")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the results")
    args = parser.parse_args(argv)
    weights = args.weights or WEIGHTS
    if {"fit", "dev"} & set(args.commands):
        schemas = read_schemas(OpenScorer(str(weights)), read_openrel())
    if "fit" in args.commands:
        write_fit(weights, schemas)
    if "dev" in args.commands:
        measure_dev(OpenScorer(str(weights)), schemas, args.output)
    if "semeval" in args.commands:
        measure_semeval(args.data, args.weights, args.limit, args.output)


if __name__ == "__main__":
    main()
