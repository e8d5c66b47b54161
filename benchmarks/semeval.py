"""Ablations on SemEval-2010 Task 8: official macro-F1 and micro-F1 over all labels, and how good retrieval is.

    python -m benchmarks.semeval --pipeline training/calibrated --train corpus/train.spacy --test corpus/test.spacy

Rows that train nothing read the labels from the same config. `--limit` scores a seeded subset of the test sentences,
for rows that take long on a CPU; the subset's size is written into the row. A second run with another `--seed` and a
pipeline trained with it adds to the rows of the same output file.
"""

import argparse
import random
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from tqdm import tqdm

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.components.relations.predictor import LabelScores
from spacy_ragre.corpora import SEMEVAL_LABELS
from spacy_ragre.corpora.reader import copy_input, read_docs
from spacy_ragre.instances import Instance
from spacy_ragre.llm.runtime.openvino import ENGINES
from spacy_ragre.scoring import make_semeval_scorer

from .results import add_row

NAME = "rag_relation_extractor"
SCORES = ("semeval_macro_f", "semeval_micro_all_f")
SENTENCE = {"@ragre_encoders": "ragre.TextEncoder.v1", "text": "sentence"}
MARKED = {"@ragre_encoders": "ragre.TextEncoder.v1", "text": "marked"}

# Settings of the rows that train nothing: name, description, component settings, whether the store is filled.
UNTRAINED: Dict[str, Any] = {
    "zero-shot": ("labels with definitions, scored on a trie", {"answer": "trie", "n_examples": 0}, MARKED, None),
    "few-shot": (
        "three retrieved examples with labels in the prompt, scored on a trie",
        {"answer": "trie", "n_examples": 3},
        MARKED,
        None,
    ),
    "RAG4RE": (
        "published prompt, one retrieved example without label, greedy generation and refinement",
        {"answer": "generate", "n_examples": 1},
        SENTENCE,
        "ragre.RAG4RE.v1",
    ),
}


def untrained(row: str, dtype: str, train: Optional[List[Doc]]) -> Language:
    """A pipeline that was not trained, with the training documents as examples where it shows any."""
    _, settings, encoder, prompt = UNTRAINED[row]
    config: Dict[str, Any] = {
        **settings,
        "labels": SEMEVAL_LABELS,
        "model": {
            "@architectures": "ragre.LabelModel.v1",
            "backbone": {"@ragre_backbones": "ragre.CausalLM.v1", "dtype": dtype, "name": "smollm2-135m-instruct"},
        },
        "retriever": {"@ragre_retrievers": "ragre.Retriever.v1", "encoder": encoder},
    }
    if prompt:
        config["prompt"] = {"@ragre_prompts": prompt}
    nlp = spacy.blank("en")
    component = nlp.add_pipe(NAME, config=config)
    if settings["n_examples"] and train:
        component.add_examples(train)
    return nlp


def evaluate(nlp: Language, docs: List[Doc], title: str) -> Dict[str, float]:
    """Score a pipeline on documents with gold entities."""
    started = time.time()
    inputs = (copy_input(doc) for doc in docs)
    predicted = list(tqdm(nlp.pipe(inputs, batch_size=64), total=len(docs), desc=title))
    examples = [Example(p, d) for p, d in zip(predicted, docs)]
    scores = make_semeval_scorer()(examples)
    return {**{key: scores[key] for key in SCORES}, "sentences_per_second": len(docs) / (time.time() - started)}


def questions(component: Any, docs: List[Doc]) -> List[Instance]:
    """The pairs that the component asks about, without their answers."""
    return [candidate.instance for doc in docs for candidate in component._candidates(copy_input(doc))]


def share_passes(nlp: Language, docs: List[Doc], count: int) -> float:
    """Score the documents' pairs once for all rows of a trained pipeline: the rows differ only in what they make of the
    same scores and neighbours.

    RETURNS (float): sentences per second of the model's passes and the search.
    """
    component = nlp.get_pipe(NAME)
    inputs = questions(component, docs)
    started = time.time()
    scored = component.predictor.score(inputs, count)
    speed = len(docs) / (time.time() - started)
    rows = {instance: row for row, instance in enumerate(inputs)}

    def look_up(instances: List[Instance], count: Optional[int] = None) -> LabelScores:
        found = [rows[instance] for instance in instances]
        return LabelScores(scored.scores[found], [scored.neighbours[row] for row in found])

    component.predictor.score = look_up
    return speed


def label_agreement(nlp: Language, docs: List[Doc], find: Callable[[List[Instance]], Any]) -> float:
    """Share of the pairs whose nearest example, as `find` gives it, has their answer."""
    component = nlp.get_pipe(NAME)
    inputs = questions(component, docs)
    pairs = list(zip(component._gold(docs), find(inputs)))
    return sum(bool(n) and n[0].instance.answers == pair.answers for pair, n in pairs) / len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, help="a trained and calibrated pipeline, for the fine-tuned rows")
    parser.add_argument("--train", type=Path, default=Path("corpus/train.spacy"))
    parser.add_argument("--test", type=Path, default=Path("corpus/test.spacy"))
    parser.add_argument("--rows", default="fine-tuned,fine-tuned + retrieval,retrieval")
    parser.add_argument("--limit", type=int, default=0, help="score a seeded subset of this size")
    parser.add_argument("--seed", type=int, default=0, help="the seed that the pipeline was trained with")
    parser.add_argument("--dtype", default="auto", help="precision, of trained pipelines in place of their own")
    parser.add_argument("--engine", choices=ENGINES, help="what computes trained pipelines, in place of their own")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/semeval.json"))
    args = parser.parse_args()

    vocab = spacy.blank("en").vocab
    test = list(read_docs(args.test, vocab))
    split = f"test ({len(test)})"
    if args.limit and args.limit < len(test):
        # The subset does not depend on the seed of the training.
        test = random.Random(0).sample(test, args.limit)
        split = f"test, seeded subset ({len(test)})"
    wanted = [row.strip() for row in args.rows.split(",")]
    trained: List[Any] = [r for r in wanted if r not in UNTRAINED]
    train = list(read_docs(args.train, vocab)) if len(trained) < len(wanted) or "retrieval" in wanted else None

    def report(name: str, description: str, scores: Dict[str, float], split: str = split) -> None:
        row = {"name": name, "description": description, "split": split}
        add_row(args.output, "SemEval-2010 Task 8", row, args.seed, scores)
        print(name, split, {key: round(value, 4) for key, value in scores.items()}, flush=True)

    for row in wanted:
        if row in UNTRAINED:
            report(row, UNTRAINED[row][0], evaluate(untrained(row, args.dtype, train), test, row))
    if not trained:
        return
    changed = {"dtype": None if args.dtype == "auto" else args.dtype, "engine": args.engine}
    changed = {key: value for key, value in changed.items() if value is not None}
    nlp = spacy.load(args.pipeline, config={f"components.{NAME}.model.backbone.{k}": v for k, v in changed.items()})
    predictor = nlp.get_pipe(NAME).predictor
    chosen = predictor.calibration
    speed = share_passes(nlp, test, max(1, chosen.neighbours))
    rows = {
        "fine-tuned": ("LoRA and label head, without neighbours", Calibration(temperature=chosen.temperature)),
        "fine-tuned + retrieval": (
            "and interpolation with neighbours by the model's own hidden state, chosen on dev",
            chosen,
        ),
    }
    for row in trained:
        if row in rows:
            description, predictor.calibration = rows[row]
            name = ", ".join([row, *changed.values()])
            report(name, description, {**evaluate(nlp, test, row), "sentences_per_second": speed})
    if "retrieval" in wanted:
        share = label_agreement(nlp, test, lambda pairs: predictor.score(pairs).neighbours)
        report("nearest neighbour, own state", "nearest example has the query's label", {"label_agreement": share})
        published = untrained("RAG4RE", args.dtype, train)
        retriever = published.get_pipe(NAME).predictor.retriever
        share = label_agreement(published, test, lambda pairs: retriever.retrieve(pairs, k=1))
        report("nearest neighbour, published", "nearest example has the query's label", {"label_agreement": share})


if __name__ == "__main__":
    main()
