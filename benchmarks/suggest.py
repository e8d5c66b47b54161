"""Which sentences to annotate next: SemEval-2010 Task 8, official macro-F1 against the number of labelled sentences.

    python -m benchmarks.suggest --sizes 80,160,320,640 --seeds 0,1,2

Both ways begin with the same sentences, drawn at random. Then "random" draws more, and "uncertain" takes those of the
pool that the pipeline trained so far is least sure of, in the order of `ragre suggest --order uncertain`. At each size
the reader of open labels is trained anew from the weights that come with the package, for as many steps as `ragre init
config` plans. Pool and test are seeded subsets, so that all of it takes half an hour of one core. What is there already
is left out, so that a run that was cut off goes on.
"""

import argparse
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example

from spacy_ragre.assist import make_plan, profile, sample
from spacy_ragre.assist.suggest import put_in_order, read_docs
from spacy_ragre.corpora import read_semeval
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.relations import ID_KEY

from .etrag import numbers
from .results import add_row, scores_of
from .training import LAST, train_once

CONFIG = Path("configs/open_semeval.cfg")
TITLE = "SemEval-2010 Task 8, sentences chosen for annotation"
WAYS = {
    "random": "more sentences are drawn at random",
    "uncertain": "more sentences are those that the pipeline so far is least sure of",
}


def budget(docs: Sequence[Doc], seed: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): overrides for a training on these sentences."""
    steps = make_plan(profile(docs), "speed").steps
    return {
        "system.seed": seed,
        "vars.dev_limit": 20,
        "vars.max_steps": steps,
        "vars.total_steps": steps,
        "vars.warmup_steps": max(1, steps // 10),
        "vars.eval_frequency": steps,
    }


def train_on(docs: Sequence[Doc], seed: int, folder: Path) -> Language:
    """RETURNS (Language): a pipeline trained on sentences; that of an earlier run where it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train.spacy"
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    train_once(CONFIG, {"paths.train": str(path), "paths.dev": str(path), **budget(docs, seed)}, folder)
    return spacy.load(folder / LAST)


def choose(way: str, nlp: Language, left: Sequence[Doc], count: int, seed: int) -> List[Doc]:
    """RETURNS (List[Doc]): so many of the sentences that are left."""
    if way == "random":
        return sample(left, count, seed)
    by_id = {doc.user_data[ID_KEY]: doc for doc in left}
    read = read_docs(nlp, map(copy_input, left), name=way, order="uncertain")
    return [by_id[item.doc.user_data[ID_KEY]] for item in put_in_order(read, "uncertain")[:count]]


def run(way: str, seed: int, pool: Sequence[Doc], test: Sequence[Doc], args: argparse.Namespace) -> None:
    """Measure one way with one seed, at each size."""
    docs = sample(pool, args.sizes[0], seed)
    for size, following in zip(args.sizes, [*args.sizes[1:], 0]):
        row = {"name": way, "description": WAYS[way], "split": f"{size} sentences, test ({len(test)})"}
        # Both ways have the first size in common.
        name = "start" if size == args.sizes[0] else way
        nlp = train_on(docs, seed, args.training / f"{name}-{seed}-{size}")
        if not scores_of(args.output, way, row["split"], seed):
            scores = nlp.evaluate([Example(copy_input(doc), doc) for doc in test])
            shown = {key: scores[key] for key in ("semeval_macro_f", "semeval_micro_all_f")}
            add_row(args.output, TITLE, row, seed, shown)
            print(way, seed, size, {key: round(value, 4) for key, value in shown.items()}, flush=True)
        if following:
            known = {doc.user_data[ID_KEY] for doc in docs}
            left = [doc for doc in pool if doc.user_data[ID_KEY] not in known]
            docs = docs + choose(way, nlp, left, following - size, seed)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAGRE_ASSETS", "assets")))
    parser.add_argument("--training", type=Path, default=Path("training/suggest"), help="folder for the pipelines")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/suggest.json"))
    parser.add_argument("--sizes", type=numbers, default=[80, 160, 320, 640])
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    parser.add_argument("--pool", type=int, default=2000, help="training sentences to choose from")
    parser.add_argument("--test", type=int, default=1000, help="test sentences")
    args = parser.parse_args(argv)
    nlp = spacy.blank("en")
    folder = args.data / "semeval2010_task8"
    pool = sample(list(read_semeval(folder / "TRAIN_FILE.TXT", nlp)), args.pool)
    test = sample(list(read_semeval(folder / "TEST_FILE_FULL.TXT", nlp)), args.test)
    for seed in args.seeds:
        for way in WAYS:
            run(way, seed, pool, test, args)


if __name__ == "__main__":
    main()
