"""The reader of open labels, trained further on SemEval-2010 Task 8: official macro-F1 at shares of the training set.

    python -m benchmarks.open_tuning --sizes 1,5,10,100 --seeds 0,1,2

The subsets are those of `benchmarks.etrag`, whose row "no retrieval" is the language model trained from its plain state
on the same sentences. What is there already is left out, so that a run that was cut off goes on. The learning rate, and
the steps for 1%, were chosen on dev sentences; steps for larger shares were not tuned. The last state is scored.
"""

import argparse
from pathlib import Path
from typing import Any, Dict

import spacy

from .etrag import SENTENCES, examples, numbers
from .results import add_row, scores_of
from .training import LAST, train_once

CONFIG = Path("configs/open_semeval.cfg")
TITLE = "SemEval-2010 Task 8, trained from the open weights"
ROW = {
    "name": "from the open weights",
    "description": "the reader of open labels, all but its word vectors trained",
}
# Updates of about 20 sentences for each share of the training sentences, in percent.
STEPS = {1: 60, 5: 150, 10: 240, 100: 1440}


def budget(size: int, seed: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): overrides for a share of the training sentences, in percent."""
    steps = STEPS[size]
    return {
        "system.seed": seed,
        "vars.train_limit": 0 if size == 100 else SENTENCES * size // 100,
        "vars.dev_limit": 100,
        "vars.max_steps": steps,
        "vars.total_steps": steps,
        "vars.warmup_steps": steps // 10,
        "vars.eval_frequency": steps,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=Path("corpus/train.spacy"))
    parser.add_argument("--dev", type=Path, default=Path("corpus/dev.spacy"))
    parser.add_argument("--test", type=Path, default=Path("corpus/test.spacy"))
    parser.add_argument("--training", type=Path, default=Path("training/open_semeval"), help="folder for the pipelines")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/open_tuning.json"))
    parser.add_argument("--sizes", type=numbers, default=sorted(STEPS), help="percent of the training sentences")
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    args = parser.parse_args()
    for seed in args.seeds:
        for size in args.sizes:
            split = f"{size}% of training, test"
            if scores_of(args.output, ROW["name"], split, seed):
                continue
            overrides = {"paths.train": str(args.train), "paths.dev": str(args.dev), **budget(size, seed)}
            folder = args.training / f"{size}-{seed}"
            took = train_once(CONFIG, overrides, folder)
            nlp = spacy.load(folder / LAST)
            scores = nlp.evaluate(examples(args.test, nlp))
            shown = {key: scores[key] for key in ("semeval_macro_f", "semeval_micro_all_f")}
            add_row(args.output, TITLE, {**ROW, "split": split}, seed, shown, {"train_minutes": took.minutes})
            print(split, seed, {key: round(value, 4) for key, value in shown.items()}, flush=True)


if __name__ == "__main__":
    main()
