"""The four supplement tasks: baselines, single-task and multi-task with and without retrieval, interference, retrieval
quality, training size and speed. Each part writes rows of one results file; seeds of a row are added one by one.

    python -m benchmarks.supplements --parts baselines
    python -m benchmarks.supplements --parts main,interference,curve,retrieval,speed --seed 0 --device cuda:0

Pipelines are trained by `configs/ramie_supplements.cfg` into `--work` where they are not there yet, so that a run that
was cut off goes on where it ended. Relations and usage are scored on gold mentions, as in RAMIE (arXiv 2411.15700).
"""

import argparse
import json
import random
import re
import time
from collections import Counter
from functools import partial
from itertools import combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Collection, Dict, List, Optional, Sequence, Tuple

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_ragre.components.supplements.questions import EntityLabels, questions
from spacy_ragre.components.supplements.scoring import score_supplements
from spacy_ragre.components.supplements.windows import Limits
from spacy_ragre.corpora.jsonl import doc_to_dict, read_jsonl
from spacy_ragre.corpora.reader import copy_input, read_docs
from spacy_ragre.instances import Instance
from spacy_ragre.llm.generation import by_transformers
from spacy_ragre.prompts.supplements import GENERATED, LABELS, TASKS, SupplementsPrompt, Task
from spacy_ragre.retrieval import TextEncoder

from .results import add_row, scores_of

NAME = "supplement_usage_classifier"
CONFIG = Path(__file__).parents[1] / "configs" / "ramie_supplements.cfg"
TITLE = "Dietary supplements (invented sentences)"
MAIN = {"ner": "ner_strict_f", "re": "re_micro_f", "te": "te_strict_f", "uc": "uc_macro_f"}
SCORES = (*MAIN.values(), "ner_lenient_f", "re_macro_f", "uc_micro_f")
SPEED_DOCS = 64
SPEED_TURNS = 4
NOTE_SENTENCES = 4
# The sentences of the corpus are read as they are. Some have a full stop inside.
WHOLE = Limits(10_000, None)
# Rows of the main table: description, retrieved examples, and the tasks of each adapter.
APART: List[Sequence[Task]] = [[task] for task in TASKS]
ROWS: Dict[str, Tuple[str, int, List[Sequence[Task]]]] = {
    "single-task": ("an adapter for each task", 0, APART),
    "multi-task": ("one adapter for all tasks", 0, [TASKS]),
    "single-task + retrieval": ("an adapter for each task", 1, APART),
    "multi-task + retrieval": ("one adapter for all tasks", 1, [TASKS]),
}


class Run:
    """What all parts need.

    args (argparse.Namespace): the command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.vocab = spacy.blank("en").vocab
        self.corpora = {
            name: list(read_docs(args.corpus / f"{name}.spacy", self.vocab)) for name in ("train", "dev", "test")
        }
        self.split = f"test ({len(self.corpora['test'])})"

    def wanted(self, names: Collection[str]) -> List[str]:
        """The rows to measure, of those that a part has: all, where the command line names none.

        names (Collection[str]): the part's rows.
        """
        named = [name.strip() for name in self.args.rows.split(";") if name.strip()]
        found = [name for name in names if name in named or not named]
        if not found:
            raise SystemExit(f"--rows names none of the part's: {'; '.join(names)}")
        return found

    def report(
        self,
        name: str,
        description: str,
        scores: Dict[str, float],
        file: str = "supplements",
        costs: Optional[Dict[str, float]] = None,
        split: str = "",
    ) -> None:
        """Write a row of the results. It is of the whole test set, where no other split is named."""
        known = {key: value for key, value in scores.items() if value is not None}
        row = {"name": name, "description": description, "split": split or self.split}
        title = TITLE if file == "supplements" else f"{TITLE}: {file.removeprefix('supplements_')}"
        add_row(self.args.output / f"{file}.json", title, row, self.args.seed, known, costs)
        print(name, {key: round(value, 4) for key, value in {**known, **(costs or {})}.items()}, flush=True)

    def known(self, name: str) -> Optional[Dict[str, float]]:
        """Scores of a row of the main table, with the seed of this run.

        name (str): the row.
        RETURNS (Optional[Dict[str, float]]): scores by name; None where it was not run.
        """
        scores = scores_of(self.args.output / "supplements.json", name, self.split, self.args.seed)
        return scores and {key: value for key, value in scores.items() if key != "adapters"}

    def pipeline(self, tasks: Sequence[Task], examples: int, limit: int = 0) -> Tuple[Language, float]:
        """A pipeline trained on some tasks, and the seconds that it took.

        tasks (Sequence[str]): the tasks.
        examples (int): retrieved examples in a prompt.
        limit (int): train on a seeded subset of this size; 0 for all.
        """
        name = f"{'-'.join(tasks)}.{examples}.{limit or 'all'}.{self.args.seed}"
        folder = self.args.work / name
        timing = folder / "seconds.json"
        if not timing.exists():
            started = time.time()
            train(self.args, folder, tasks, examples, limit, len(self.corpora["train"]))
            timing.write_text(json.dumps(time.time() - started))
        return spacy.load(folder / "model-best"), float(json.loads(timing.read_text()))


def train(args: argparse.Namespace, folder: Path, tasks: Sequence[Task], examples: int, limit: int, size: int) -> None:
    """`spacy train` with overrides. A smaller training set gets as many steps as half of the whole one would."""
    from spacy.cli.train import train as spacy_train

    steps = args.steps or args.epochs * -(-size // args.batch_docs)
    if limit and not args.steps:
        steps = max(steps // 2, round(steps * limit / size))
    overrides: Dict[str, Any] = {
        "paths.train": str(args.corpus / "train.spacy"),
        "paths.dev": str(args.corpus / "dev.spacy"),
        "system.seed": args.seed,
        "vars.tasks": list(tasks),
        "vars.n_examples": examples,
        "vars.train_limit": limit,
        "vars.max_steps": steps,
        "vars.total_steps": steps,
        "vars.warmup_steps": max(1, steps // 10),
        "vars.eval_frequency": max(1, steps // 4),
        "vars.batch_docs": args.batch_docs,
        "vars.learn_rate": args.learn_rate,
        "vars.backbone": args.backbone,
        "vars.dtype": args.dtype,
        "vars.device": args.device,
    }
    spacy_train(CONFIG, folder, overrides=overrides)


def evaluate(nlp: Language, docs: Sequence[Doc], limits: Limits = WHOLE) -> Dict[str, float]:
    """Scores of the pipeline's tasks. Those that ask about mentions are given the gold ones."""
    component: Any = nlp.get_pipe(NAME)
    component.runner.limits = limits
    scores: Dict[str, Any] = {}
    # Triples that are read off relations are of the mentions that were found. Without these, they are generated.
    found_by: Tuple[Task, ...] = ("ner", "te") if {"ner", "re"} <= set(component.tasks) else ("ner",)
    groups: List[Tuple[Sequence[Task], str, bool]] = [
        (("te",), "generate", False),
        (found_by, "auto", False),
        (("re", "uc"), "auto", True),
    ]
    for group, triples, gold_ents in groups:
        chosen = [task for task in component.tasks if task in group]
        if not chosen:
            continue
        component.triples = triples
        predicted = [copy_input(doc, gold_ents=gold_ents) for doc in docs]
        for start in range(0, len(predicted), 64):
            part = predicted[start : start + 64]
            component.set_annotations(part, component.predict(part, tasks=chosen))
        found = score_supplements([Example(p, d) for p, d in zip(predicted, docs)], tasks=chosen)
        scores.update({key: found[key] for key in SCORES if found.get(key) is not None})
        if triples == "generate":
            scores["te_generated_strict_f"] = scores["te_strict_f"]
    return scores


# Baselines


def asked(docs: Sequence[Doc], task: Task) -> List[Instance]:
    """The gold questions of a task."""
    labels = EntityLabels("SUPPLEMENT", "EVENT")
    return [q.instance for d in docs for q in questions(d, task, d.ents, labels, WHOLE, gold=True)]


def run_baselines(run: Run) -> None:
    """Logistic regression over words and over sentence embeddings. What is free is chosen on dev."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    features: Dict[str, Callable[..., List[Any]]] = {"TF-IDF": tfidf, "sentence embeddings": embeddings}
    for name, make in features.items():
        scores: Dict[str, float] = {}
        for task in LABELS:
            parts = [asked(run.corpora[part], task) for part in ("train", "dev", "test")]  # type: ignore[arg-type]
            gold = [[item.response for item in items] for items in parts]
            tried = []
            for width in (3, 6) if make is tfidf else (0,):
                train_x, dev_x, test_x = make(parts, width)
                for c, balance in product((1.0, 10.0, 100.0), (None, "balanced")):
                    model = LogisticRegression(max_iter=3000, C=c, class_weight=balance).fit(train_x, gold[0])
                    on_dev = f1_score(gold[1], model.predict(dev_x), average="macro")
                    tried.append((on_dev, -len(tried), model.predict(test_x)))
            predicted = max(tried, key=lambda item: item[:2])[2]
            for average in ("micro", "macro"):
                scores[f"{task}_{average}_f"] = float(f1_score(gold[2], predicted, average=average))
        run.report(f"{name} + logistic regression", "strength, weights and width chosen on dev", scores)


def tfidf(parts: Sequence[Sequence[Instance]], width: int) -> List[Any]:
    """Word n-grams of the text and of the words near the mentions, which placeholders stand for."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    def near(text: str) -> str:
        words = re.findall(r"\w+|[^\w\s]", text.lower())
        at = [i for i, word in enumerate(words) if word in ("supplementx", "eventx")]
        return " ".join(f"near_{word}" for word in words[max(0, min(at) - width) : max(at) + width + 1])

    settings = {"ngram_range": (1, 2), "sublinear_tf": True}
    close = TfidfVectorizer(preprocessor=near, token_pattern=r"\S+", **settings)
    union = FeatureUnion([("text", TfidfVectorizer(**settings)), ("near", close)])
    texts = [[_placeholders(item) for item in items] for items in parts]
    return [union.fit_transform(texts[0]), *(union.transform(part) for part in texts[1:])]


def embeddings(parts: Sequence[Sequence[Instance]], width: int) -> List[Any]:
    """all-MiniLM-L6-v2 over the text with marked mentions."""
    encoder = TextEncoder(text="marked", device="cpu")
    return [encoder.encode_queries(items) for items in parts]


def _placeholders(item: Instance) -> str:
    text = item.text
    for (start, end), word in sorted({item.second: " eventx ", item.first: " supplementx "}.items(), reverse=True):
        text = text[:start] + word + text[end:]
    return text


# Trained rows


def run_main(run: Run) -> None:
    """The table of the paper and the two rows that it lacks."""
    for name in run.wanted(ROWS):
        description, examples, groups = ROWS[name]
        scores: Dict[str, float] = {}
        seconds = 0.0
        for tasks in groups:
            nlp, took = run.pipeline(tasks, examples)
            scores.update(evaluate(nlp, run.corpora["test"]))
            seconds += took
        scores["adapters"] = len(groups)
        run.report(name, description, scores, costs={"train_minutes": seconds / 60})


def run_interference(run: Run) -> None:
    """How two tasks act on each other: scores of one adapter for both, without retrieval. What they are compared with,
    each task alone and all of them together, are the main table's rows, where they are there.
    """
    pairs = {" + ".join(pair): pair for pair in combinations(TASKS, 2)}
    references = {"each alone": "single-task", "all together": "multi-task"}
    for name in run.wanted([*pairs, *references]):
        if name in pairs:
            nlp, _ = run.pipeline(pairs[name], 0)
            scores = evaluate(nlp, run.corpora["test"])
            run.report(name, "one adapter for two tasks", scores, "supplements_interference")
        elif known := run.known(references[name]):
            run.report(name, ROWS[references[name]][0], known, "supplements_interference")


def run_curve(run: Run) -> None:
    """All tasks, trained on parts of the training set. The whole of it is the main table's row, where it is there."""
    examples = run.args.curve_examples
    row = next((name for name, (_, shown, groups) in ROWS.items() if shown == examples and groups == [TASKS]), "")
    whole = len(run.corpora["train"])
    limits = {f"{limit or whole} sentences": limit for limit in (whole // 8, whole // 4, whole // 2, 0)}
    for name in run.wanted(limits):
        scores = None if limits[name] else run.known(row)
        if scores is None:
            nlp, _ = run.pipeline(TASKS, examples, limits[name])
            scores = evaluate(nlp, run.corpora["test"])
        run.report(name, "multi-task", scores, "supplements_training-size")


def run_notes(run: Run) -> None:
    """Sentences put together to notes, in an order of chance: read one by one, and as many as fit at one go. Relations
    are judged by their triples, since pairs of two sentences have no gold label.
    """
    nlp, _ = run.pipeline(TASKS, 0)
    docs = notes(run.corpora["test"], nlp)
    ways = {"one sentence at a time": Limits(64, 1), "as many as fit in 64 tokens": Limits(64, None)}
    for name in run.wanted(ways):
        scores = evaluate(nlp, docs, ways[name])
        scores = {key: scores[key] for key in (MAIN["ner"], MAIN["te"], MAIN["uc"])}
        split = f"test ({len(run.corpora['test'])}), {len(docs)} notes"
        run.report(name, "multi-task", scores, "supplements_notes", split=split)


def notes(docs: Sequence[Doc], nlp: Language) -> List[Doc]:
    """RETURNS (List[Doc]): a seeded shuffle of annotated sentences, put together to notes of several."""
    order = random.Random(0).sample(list(docs), len(docs))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "notes.jsonl"
        with path.open("w", encoding="utf8") as file_:
            for start in range(0, len(order), NOTE_SENTENCES):
                note = joined([doc_to_dict(doc) for doc in order[start : start + NOTE_SENTENCES]])
                file_.write(json.dumps(note) + "\n")
        return list(read_jsonl(path, nlp, split_tokens=True))


def joined(records: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): documents in the interchange format as one, with a space between their texts."""
    note: Dict[str, Any] = {"text": "", "ents": [], "relations": [], "triples": []}
    for record in records:
        note["text"] += " " if note["text"] else ""
        base, first = len(note["text"]), len(note["ents"])
        note["text"] += record["text"]
        note["ents"] += [{**ent, "start": ent["start"] + base, "end": ent["end"] + base} for ent in record["ents"]]
        note["relations"] += [{**r, "head": r["head"] + first, "tail": r["tail"] + first} for r in record["relations"]]
        note["triples"] += [triple for triple in record["triples"] if triple not in note["triples"]]
    return note


# Retrieval


def run_retrieval(run: Run) -> None:
    """Precision at k of the stores, and the questions whose answers retrieval puts right or wrong."""
    nlp, _ = run.pipeline(TASKS, 1)
    plain, _ = run.pipeline(TASKS, 0)
    component: Any = nlp.get_pipe(NAME)
    precision: Dict[str, float] = {}
    for task in TASKS:
        items = asked(run.corpora["test"], task)
        found = component.predictor.stores[task].retrieve(items, k=5)
        for k in (1, 3, 5):
            hits = [_agrees(task, item, n.instance) for item, near in zip(items, found) for n in near[:k]]
            precision[f"{task}_precision_at_{k}"] = float(np.mean(hits))
    run.report("precision at k", "share of found examples that agree", precision, "supplements_retrieval")
    for task in LABELS:
        items = asked(run.corpora["test"], task)  # type: ignore[arg-type]
        gold = [item.answers[0].label for item in items if item.answers]
        right = [
            [answer.text == g for answer, g in zip(c.predictor.predict({task: items})[task], gold)]
            for c in (plain.get_pipe(NAME), component)
        ]
        cases = Counter(zip(*right))
        shares = {
            "helped": cases[False, True] / len(gold),
            "harmed": cases[True, False] / len(gold),
            "right_without": sum(right[0]) / len(gold),
        }
        run.report(f"{task}: cases", "share of the questions", shares, "supplements_retrieval")


def _agrees(task: Task, query: Instance, example: Instance) -> bool:
    """Same label; for lists, a supplement in common or none in both."""
    if task not in GENERATED:
        return query.response == example.response
    names = [
        {part.strip().split(" (")[0].split(" | ")[0].casefold() for part in i.response.split(";")}
        for i in (query, example)
    ]
    return bool(names[0] & names[1])


# Speed


def run_speed(run: Run) -> None:
    """Sentences a second in `nlp.pipe` with all tasks, and with one prompt at a time and every answer generated. The
    ways take turns, so that what else the machine does slows all of them.
    """
    split = f"test (first {SPEED_DOCS} of {len(run.corpora['test'])})"
    texts = [doc.text for doc in run.corpora["test"][:SPEED_DOCS]]
    for examples, suffix in ((0, ""), (1, " + retrieval")):
        nlp, _ = run.pipeline(TASKS, examples)
        docs = list(nlp.pipe(texts))
        piped: Dict[str, List[float]] = {"generate": [], "auto": []}
        prompted: Dict[bool, List[float]] = {False: [], True: []}
        for turn in range(SPEED_TURNS):
            for triples, taken in piped.items():
                taken.append(piped_seconds(nlp, texts, triples))
            for instruction, taken in prompted.items():
                taken.append(one_at_a_time(nlp, docs[turn::SPEED_TURNS], instruction))
        fast = {triples: SPEED_TURNS * len(texts) / sum(taken) for triples, taken in piped.items()}
        for triples, words in (("generate", ", triples generated"), ("auto", "")):
            costs = {"throughput": fast[triples]}
            run.report(f"nlp.pipe{words}{suffix}", "all four tasks", {}, "supplements_speed", costs, split)
        for instruction, taken in prompted.items():
            slow = len(docs) / sum(taken)
            words = "with" if instruction else "without"
            # As it is used, which is less work, since triples are read off relations; and where it generates them, too.
            costs = {
                "throughput": slow,
                "times_slower": fast["auto"] / slow,
                "times_slower_generated": fast["generate"] / slow,
            }
            name = f"one prompt at a time{suffix}, {words} instruction"
            run.report(name, "all answers generated", {}, "supplements_speed", costs, split)


def piped_seconds(nlp: Language, texts: Sequence[str], triples: str) -> float:
    """RETURNS (float): seconds that `nlp.pipe` takes."""
    component: Any = nlp.get_pipe(NAME)
    component.triples = triples
    started = time.time()
    list(nlp.pipe(texts))
    return time.time() - started


def one_at_a_time(nlp: Language, docs: Sequence[Doc], instruction: bool) -> float:
    """Seconds where each question is a prompt of its own and each answer is generated freely, by the same model and
    transformers' `generate`. Mentions are those that the pipeline found, so that as many questions are asked. An answer
    with a label gets as many tokens as the longest label has: a model with label heads does not learn where such an
    answer ends.
    """
    component: Any = nlp.get_pipe(NAME)
    predictor = component.predictor
    backbone = predictor.backbone
    before = predictor.prompt
    predictor.prompt = SupplementsPrompt(instruction)
    tokens = partial(backbone.tokenizer, add_special_tokens=False)
    most = dict.fromkeys(TASKS, predictor.max_new_tokens)
    for task in LABELS:
        most[task] = max(len(tokens(answer).input_ids) for answer in predictor.prompt.answers(task))
    started = time.time()
    try:
        for doc in docs:
            for task in TASKS:
                for question in questions(doc, task, doc.ents, component.entity_labels, component.runner.limits):
                    by_transformers(backbone, predictor.prompt_ids(task, [question.instance]), most[task])
    finally:
        predictor.prompt = before
    return time.time() - started


PARTS: Dict[str, Callable[[Run], None]] = {
    "baselines": run_baselines,
    "main": run_main,
    "interference": run_interference,
    "curve": run_curve,
    "notes": run_notes,
    "retrieval": run_retrieval,
    "speed": run_speed,
}


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="baselines", help=f"any of {', '.join(PARTS)}")
    parser.add_argument("--rows", default="", help="rows of main, interference, curve or notes, between semicolons")
    parser.add_argument("--corpus", type=Path, default=Path("corpus/supplements"), help="folder with .spacy files")
    parser.add_argument("--work", type=Path, default=Path("training/supplements-benchmark"), help="trained pipelines")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=0, help="updates, in place of epochs")
    parser.add_argument("--batch-docs", type=int, default=8)
    parser.add_argument("--learn-rate", type=float, default=0.002)
    parser.add_argument(
        "--curve-examples", type=int, default=0, help="retrieved examples in the pipelines of the curve"
    )
    parser.add_argument("--backbone", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    run = Run(args)
    for part in args.parts.split(","):
        PARTS[part.strip()](run)


if __name__ == "__main__":
    main()
