"""What a teacher that errs is worth: the reader of open labels trained on silver relations of SemEval-2010 Task 8.

    python -m benchmarks.teacher --errors 0.3 --seeds 0,1,2

The teacher is an oracle: it knows the annotated label of each sentence, and errs at a stated rate, so that what is
measured is how its answers are gathered and learned, and no language model. Some sentences are harder than others: of
each, the rate is drawn from a beta distribution (concentration 2) around the stated one, and its wrong answers all name
the same other class, as a model's do. Each sentence is answered several times, and the answers go the way that those of
any teacher go. The sentences are the same in all rows of a seed; what is there already is left out, so that a run that
was cut off goes on. The last state is scored.
"""

import argparse
import random
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import spacy
from spacy import util
from spacy.tokens import Doc, DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from spacy_ragre.components.relations.extractor import RelationExtractor
from spacy_ragre.components.relations.teaching import Given, taught
from spacy_ragre.corpora import SEMEVAL_LABELS
from spacy_ragre.corpora.reader import copy_input, read_docs
from spacy_ragre.pair_weights import WEIGHTS_KEY
from spacy_ragre.relations import get_relations

from .etrag import examples, numbers
from .open_tuning import CONFIG
from .results import add_row, scores_of

NAME = "rag_relation_extractor"
TITLE = "SemEval-2010 Task 8, taught by an oracle that errs"
# The beta distributions of the sentences' rates have these two numbers' sum.
CONCENTRATION = 2.0


def rows(samples: int, error: float) -> Dict[str, Tuple[str, int, bool]]:
    """RETURNS (Dict[str, Tuple[str, int, bool]]): of each row of an error rate what it is, how often each sentence is
    answered, and whether agreement weighs.
    """
    wrong = f"{error:.0%} of all answers are wrong"
    return {
        f"one answer, {error:.0%} wrong": (f"one answer a sentence, {wrong}", 1, False),
        f"most of {samples} answers, {error:.0%} wrong": (f"what most of them say, {wrong}", samples, False),
        f"most of {samples} answers, weighed, {error:.0%} wrong": (
            f"the same, weighed with how many agree, {wrong}",
            samples,
            True,
        ),
    }


def answer(gold: int, classes: int, samples: int, error: float, chance: random.Random) -> List[Given]:
    """What the oracle answers to one sentence.

    gold (int): its class.
    classes (int): number of classes.
    samples (int): number of answers.
    error (float): share of wrong answers over many sentences, from 0 to less than 1.
    chance (random.Random): draws how hard the sentence is, and the answers.
    RETURNS (List[Optional[Tuple[int, ...]]]): the answers, without class 0.
    """
    rate = chance.betavariate(CONCENTRATION * error, CONCENTRATION * (1 - error)) if error else 0.0
    other = chance.choice([index for index in range(classes) if index != gold])
    drawn = [other if chance.random() < rate else gold for _ in range(samples)]
    return [(index,) if index else () for index in drawn]


def teach(docs: List[Doc], samples: int, error: float, seed: int) -> Tuple[List[Doc], float]:
    """Annotate sentences as the oracle sees them.

    docs (List[Doc]): annotated sentences.
    samples (int): answers of each.
    error (float): share of wrong answers.
    seed (int): of the errors.
    RETURNS (Tuple[List[Doc], float]): the sentences with silver relations, and the share that has the right ones.
    """
    nlp = spacy.blank("en")
    extractor = nlp.add_pipe(NAME, config={"labels": SEMEVAL_LABELS})
    assert isinstance(extractor, RelationExtractor)
    labels = extractor.predictor.labels
    silver, right = [], 0
    for doc in docs:
        pairs = extractor._labelled(doc)
        copy = copy_input(doc)
        chance = random.Random(f"{seed} {doc.text}")
        targets = extractor.predictor.targets([pair.instance for pair in pairs])
        answers = [answer((*own, 0)[0], len(labels.classes), samples, error, chance) for own in targets]
        least = np.zeros((len(pairs), len(labels.classes)))
        extractor.set_annotations([copy], [taught(pairs, answers, [()] * len(pairs), labels, least)])
        silver.append(copy)
        right += _facts(copy) == _facts(doc)
    return silver, right / len(docs)


def _facts(doc: Doc) -> List[Tuple[str, int, int]]:
    return sorted((rel.label, rel.head.start, rel.tail.start) for rel in get_relations(doc))


def train_and_score(
    docs: List[Doc], args: argparse.Namespace, folder: Path, seed: int
) -> Tuple[Dict[str, float], float]:
    """RETURNS (Tuple[Dict[str, float], float]): scores on the test sentences, and minutes of training."""
    folder.mkdir(parents=True, exist_ok=True)
    DocBin(store_user_data=True, docs=docs).to_disk(folder / "train.spacy")
    steps = args.steps
    overrides: Dict[str, Any] = {
        "paths.train": str(folder / "train.spacy"),
        "paths.dev": str(args.dev),
        "system.seed": seed,
        "vars.dev_limit": 100,
        "vars.max_steps": steps,
        "vars.total_steps": steps,
        "vars.warmup_steps": max(1, steps // 10),
        "vars.eval_frequency": steps,
    }
    started = time.process_time()
    train(init_nlp(util.load_config(CONFIG, overrides=overrides, interpolate=False), use_gpu=-1), folder)
    minutes = (time.process_time() - started) / 60
    nlp = spacy.load(folder / "model-last")
    scores = nlp.evaluate(examples(args.test, nlp, args.limit))
    return {key: float(scores[key]) for key in ("semeval_macro_f", "semeval_micro_all_f")}, minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=Path("corpus/train.spacy"))
    parser.add_argument("--dev", type=Path, default=Path("corpus/dev.spacy"))
    parser.add_argument("--test", type=Path, default=Path("corpus/test.spacy"))
    parser.add_argument("--training", type=Path, default=Path("training/teacher"), help="folder for the pipelines")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/teacher.json"))
    parser.add_argument("--sentences", type=int, default=240, help="training sentences")
    parser.add_argument("--samples", type=int, default=5, help="answers of each")
    parser.add_argument("--errors", type=lambda text: [float(part) for part in text.split(",")], default=[0.3])
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=100, help="updates of about 20 sentences")
    parser.add_argument("--limit", type=int, default=0, help="score a seeded subset of the test sentences of this size")
    args = parser.parse_args()
    corpus = list(read_docs(args.train, spacy.blank("en").vocab))
    split = f"{args.sentences} sentences, test" + (f", seeded subset ({args.limit})" if args.limit else "")
    for seed in args.seeds:
        gold = random.Random(seed).sample(corpus, args.sentences)
        todo = {"annotated": ("annotated relations", 0, False, 0.0)}
        for error in args.errors:
            todo.update((name, (*row, error)) for name, row in rows(args.samples, error).items())
        for name, (description, samples, weighed, error) in todo.items():
            if scores_of(args.output, name, split, seed):
                continue
            docs, right = teach(gold, samples, error, seed) if samples else (gold, 1.0)
            for doc in docs:
                if not weighed:
                    doc.user_data.pop(WEIGHTS_KEY, None)
            folder = args.training / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            scores, minutes = train_and_score(docs, args, folder, seed)
            row = {"name": name, "description": description, "split": split}
            add_row(args.output, TITLE, row, seed, {**scores, "silver_right": right}, {"train_minutes": minutes})
            print(name, seed, {key: round(value, 4) for key, value in scores.items()}, round(right, 4), flush=True)


if __name__ == "__main__":
    main()
