"""Retrieval that is trained with the task, on SemEval-2010 Task 8: rows of the comparison, sweeps, and what it costs.

    python -m benchmarks.etrag table --sizes 1,5,10,100 --seeds 0,1,2
    python -m benchmarks.etrag sweep --seeds 0,1,2
    python -m benchmarks.etrag cost
    python -m benchmarks.etrag scaling

`table` trains and scores every row at every share of the training sentences, with the same backbone, sentences, steps
and batches; `sweep` does so for numbers of neighbours and lengths of the soft prompt. What is there already is left
out, and a pipeline that was trained with the same config is scored without training it again, so that a run that was
cut off goes on. `cost` measures steps and predictions with and without retrieval, each in a process of its own, and
`scaling` steps with stores of generated vectors. `--set vars.NAME=VALUE` changes settings of the config. How much votes
weigh, which is a setting of prediction, is chosen on the dev sentences for each pipeline.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import spacy
from spacy import util
from spacy.language import Language
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from spacy_ragre.corpora import Corpus
from spacy_ragre.instances import Instance

from .results import add_row, merge, peak_memory, scores_of

ETRAG = "etrag_extractor"
RAG = "rag_relation_extractor"
CONFIG = Path("configs/etrag_semeval.cfg")
TITLE = "SemEval-2010 Task 8, trained retrieval"
TABLE = "etrag.json"
# Steps for each share of the training sentences, in percent; the same for every row.
STEPS = {1: 100, 5: 200, 10: 300, 100: 660}
SENTENCES = 7200
# Dev sentences by which the weight of votes is chosen.
DEV = 400
# Settings of the rows. What is shown as text is another component, with the examples in its prompt.
ROWS: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "no retrieval": ("LoRA and label head", {"vars.k": 0}),
    "frozen, as text": ("the nearest by the encoder as it was published, as an example in the prompt", {}),
    "frozen, as soft prompts": (
        "the same encoder, soft selection, projection and language model trained",
        {"vars.train_retriever": False},
    ),
    "ETRAG": ("encoder, soft selection, projection and language model trained together", {}),
    "ETRAG, the answers' loss alone": (
        "no votes, no loss of what is retrieved and no dropout of labels: the published loss",
        {"vars.vote": 0, "vars.retrieval_loss": 0, "vars.label_dropout": 0},
    ),
}
# Examples in the prompt: each is as long as the question, so that more would be another budget than the other rows'.
TEXT_EXAMPLES = 1
# The usual weight of votes, half of it, and none: neighbours that were not trained are often wrong.
VOTES = (3.0, 1.5, 0.0)
# Times that the sentences are predicted, for the median of seconds.
PASSES = 5
NEIGHBOURS = (1, 2, 4, 8)
LENGTHS = (1, 2, 4)


def settings(args: argparse.Namespace) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): the overrides of the command line."""
    own: Dict[str, Any] = {}
    for item in args.set:
        name, _, value = item.partition("=")
        try:
            own[name] = json.loads(value)
        except json.JSONDecodeError:  # a text, such as float32
            own[name] = value
    return {"paths.train": str(args.train), "paths.dev": str(args.dev), **own}


def budget(size: int, seed: int, steps: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): overrides for a share of the training sentences, in percent."""
    steps = steps or STEPS[size]
    return {
        "system.seed": seed,
        "vars.train_limit": 0 if size == 100 else SENTENCES * size // 100,
        "vars.max_steps": steps,
        "vars.total_steps": steps,
        "vars.warmup_steps": max(1, steps // 10),
        "vars.eval_frequency": steps,
    }


def text_config(overrides: Dict[str, Any]) -> Any:
    """RETURNS (Config): that of the component that shows examples as text, with this one's settings."""
    known = {**overrides, "vars.both_orders": False, "vars.dev_limit": overrides.get("vars.dev_limit", 200)}
    config = util.load_config(Path("configs/rag_semeval.cfg"), overrides=known, interpolate=False)
    component = config["components"][RAG]
    component["n_examples"] = TEXT_EXAMPLES
    component["retriever"]["encoder"] = {
        "@ragre_encoders": "ragre.TextEncoder.v1",
        "name": "all-MiniLM-L6-v2",
        "text": "marked",
    }
    return config


def examples(path: Path, nlp: Language, limit: int = 0) -> List[Example]:
    return list(Corpus(path, limit=limit, seed=0)(nlp))


def run(row: str, overrides: Dict[str, Any], output: Path, test: Path, limit: int) -> Dict[str, float]:
    """Train one row and score it on the test sentences.

    RETURNS (Dict[str, float]): the scores, and the shares of retrieved instances that have the query's label.
    """
    if row == "frozen, as text":
        config = text_config(overrides)
    else:
        config = util.load_config(CONFIG, overrides=overrides, interpolate=False)
    nlp = init_nlp(config, use_gpu=-1)
    queries = examples(test, nlp, limit)
    retrieves = ETRAG in nlp.pipe_names and nlp.get_pipe(ETRAG).predictor.etrag.k > 0
    reports = [nlp.get_pipe(ETRAG).retrieval_report(queries)] if retrieves else []
    # Written after training, so that a run that was cut off while it scored does not train again.
    done, wanted = output / "trained.cfg", nlp.config.to_str()
    if not done.exists() or done.read_text(encoding="utf8") != wanted:
        output.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)
        train(nlp, output, use_gpu=-1)
        done.write_text(wanted, encoding="utf8")
    nlp = spacy.load(output / "model-last")
    found = {"vote": choose_vote(nlp, Path(overrides["paths.dev"]))} if retrieves else {}
    scores = nlp.evaluate(queries)
    found.update({key: scores[key] for key in ("semeval_macro_f", "semeval_micro_all_f")})
    if retrieves:
        reports.append(nlp.get_pipe(ETRAG).retrieval_report(queries))
        for when, report in zip(("_before", ""), reports):
            found.update({f"neighbours_{key}{when}": report[key] for key in ("label", "entity", "either")})
        found["label_agreement"] = reports[1]["nearest"]
    return found


def choose_vote(nlp: Language, dev: Path) -> float:
    """Set the weight of votes to the best one on dev; to the greatest of those that are as good.

    RETURNS (float): the weight.
    """
    settings = nlp.get_pipe(ETRAG).predictor.etrag.settings
    if settings["vote"]:
        found = []
        for weight in VOTES:
            settings["vote"] = weight
            found.append((nlp.evaluate(examples(dev, nlp, DEV))["semeval_macro_f"], weight))
        settings["vote"] = max(found)[1]
    return settings["vote"]


def run_rows(args: argparse.Namespace, path: Path, title: str, jobs: Sequence[Tuple[str, str, str, Any]]) -> None:
    """jobs: name and description of the row, row whose method it is, and its overrides. Where these change nothing of
    that row and it is in the table, its scores are taken from there.
    """
    for size in args.sizes:
        split = f"{size}% of training, test" + (f", seeded subset ({args.limit})" if args.limit else "")
        for seed in args.seeds:
            for name, description, method, own in jobs:
                if scores_of(path, name, split, seed) and not args.again:
                    continue
                same = own == ROWS[method][1] and not args.again
                known = scores_of(args.results / TABLE, method, split, seed) if same else None
                overrides = {**settings(args), **budget(size, seed, args.steps), **own}
                folder = args.training / re.sub(r"\W+", "-", f"{name} {size} {seed}")
                if args.again:
                    (folder / "trained.cfg").unlink(missing_ok=True)
                scores = known or run(method, overrides, folder, args.test, args.limit)
                add_row(path, title, {"name": name, "description": description, "split": split}, seed, scores)
                print(name, split, seed, {key: round(value, 4) for key, value in scores.items()}, flush=True)


def table(args: argparse.Namespace) -> None:
    wanted = args.rows.split(";") if args.rows else list(ROWS)
    jobs = [(name, ROWS[name][0], name, ROWS[name][1]) for name in wanted]
    run_rows(args, args.results / TABLE, TITLE, jobs)


def sweep(args: argparse.Namespace) -> None:
    # The command's sizes are for the table; a sweep is made where retrieval is to help most.
    args.sizes = [5] if args.sizes == sorted(STEPS) else args.sizes
    usual = util.load_config(CONFIG)["vars"]
    jobs, wanted = [], args.rows.split(";") if args.rows else []
    for name, setting, values, description in (
        ("k", "k", NEIGHBOURS, "neighbours, one vector each"),
        ("m", "prompt_length", LENGTHS, "vectors for each of 4 neighbours"),
    ):
        for value in values:
            row, own = f"{name} = {value}", {} if value == usual[setting] else {f"vars.{setting}": value}
            if not wanted or row in wanted:
                jobs.append((row, description, "ETRAG", own))
    run_rows(args, args.results / "etrag_sweep.json", f"{TITLE}: neighbours and vectors", jobs)


# Costs


def start(overrides: Dict[str, Any], limit: int) -> Tuple[Language, List[Example], Any]:
    """RETURNS (Tuple[Language, List[Example], Optimizer]): an initialised pipeline and its training examples."""
    overrides = {**overrides, "vars.train_limit": limit}
    nlp = init_nlp(util.load_config(CONFIG, overrides=overrides, interpolate=False), use_gpu=-1)
    return nlp, examples(Path(overrides["paths.train"]), nlp, limit), nlp.resume_training()


def time_steps(nlp: Language, batches: Sequence[List[Example]], optimizer: Any) -> float:
    """RETURNS (float): median seconds of a step, the first two left out."""
    seconds = []
    for batch in batches:
        started = time.perf_counter()
        nlp.update(batch, sgd=optimizer)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[2:] or seconds))


def cost_row(args: argparse.Namespace) -> None:
    """One row of `cost`, in a process of its own, so that its memory is not another's."""
    nlp, corpus, optimizer = start({**settings(args), "vars.k": args.k}, args.sentences)
    if args.only == "predict":
        # One step, so that the keys are made as they are after training, before the clock starts.
        nlp.update(corpus[:16], sgd=optimizer)
        docs = [example.predicted for example in corpus]
        list(nlp.pipe(docs[:16]))
        passes = []
        for _ in range(PASSES):
            started = time.perf_counter()
            list(nlp.pipe((doc.copy() for doc in docs), batch_size=64))
            passes.append((time.perf_counter() - started) / len(docs))
        seconds = float(np.median(passes))
    else:
        batches = [corpus[i : i + args.batch] for i in range(0, args.batch * args.count, args.batch)]
        seconds = time_steps(nlp, [batch for batch in batches if batch], optimizer)
    print(json.dumps({"seconds": seconds, "memory": peak_memory()}))


def measure(args: argparse.Namespace, only: str, k: int) -> Dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.etrag", "cost-row", "--only", only, "--k", str(k)]
    command += ["--train", str(args.train)]
    for name in ("sentences", "batch", "count"):
        command += [f"--{name}", str(getattr(args, name))]
    for item in args.set:
        command += ["--set", item]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def cost(args: argparse.Namespace) -> None:
    parts: Dict[str, Any] = {}
    for only, name in (("train", "training step"), ("predict", "prediction of a sentence")):
        without, trained = measure(args, only, 0), measure(args, only, args.k)
        parts[name] = {
            "seconds_without_retrieval": without["seconds"],
            "seconds": trained["seconds"],
            "times_slower": trained["seconds"] / without["seconds"],
            "MiB_without_retrieval": without["memory"],
            "MiB": trained["memory"],
            "times_the_memory": trained["memory"] / without["memory"],
        }
        print(name, parts[name], flush=True)
    merge(args.results / "etrag_cost.json", f"{TITLE}: cost", parts)


def generated(count: int, width: int, like: Instance) -> Tuple[List[Instance], np.ndarray]:
    """RETURNS (Tuple[List[Instance], np.ndarray]): instances with texts of their own, and random keys."""
    instances = [Instance(f"{like.text} {i}", like.first, like.second, answers=like.answers) for i in range(count)]
    return instances, np.random.default_rng(0).standard_normal((count, width), dtype="float32")


def scaling(args: argparse.Namespace) -> None:
    parts: Dict[str, Any] = {}
    # Kept keys are made anew in parts of one size, so that this does not grow either.
    own = {"vars.k": args.k, "vars.refresh_every": 10, "components.etrag_extractor.refresh_size": 64}
    own["components.etrag_extractor.index"] = args.index
    nlp, corpus, optimizer = start({**settings(args), **own}, args.batch * args.count)
    predictor = nlp.get_pipe(ETRAG).predictor
    like = predictor.retriever.store.instances[0]
    batches = [corpus[i : i + args.batch] for i in range(0, len(corpus), args.batch)]
    # What the first steps allocate once is not the first store's.
    for _ in range(2):
        time_steps(nlp, batches, optimizer)
    for size in args.stores:
        predictor.retriever.clear()
        store = predictor.retriever.store
        started = time.perf_counter()
        store.add(*generated(size, predictor.encoder.width, like))
        built = time.perf_counter() - started
        before = peak_memory()
        keys = np.random.default_rng(1).standard_normal((args.batch, predictor.encoder.width), dtype="float32")
        queries = [Instance("another text", (0, 7), (8, 12)) for _ in keys]
        started = time.perf_counter()
        store.preselect(keys, predictor.preselect, queries)
        found = time.perf_counter() - started
        parts[f"{args.index} index, {size} instances"] = {
            "seconds_of_a_step": time_steps(nlp, batches, optimizer),
            "seconds_of_preselection": found,
            "seconds_to_build_the_index": built,
            "MiB_more_in_steps": peak_memory() - before,
        }
        print(size, parts[f"{args.index} index, {size} instances"], flush=True)
    merge(args.results / "etrag_scaling.json", f"{TITLE}: size of the store", parts)


def numbers(value: str) -> List[int]:
    return [int(part) for part in value.split(",")]


def main() -> None:
    parts = {"table": table, "sweep": sweep, "cost": cost, "cost-row": cost_row, "scaling": scaling}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--train", type=Path, default=Path("corpus/train.spacy"))
    parser.add_argument("--dev", type=Path, default=Path("corpus/dev.spacy"))
    parser.add_argument("--test", type=Path, default=Path("corpus/test.spacy"))
    parser.add_argument("--training", type=Path, default=Path("training/etrag"), help="folder for the pipelines")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--rows", default="", help=f"rows of the table or sweep, between semicolons: {'; '.join(ROWS)}")
    parser.add_argument("--sizes", type=numbers, default=sorted(STEPS), help="percent of the training sentences")
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=0, help="steps at every size; 0 for those of the size")
    parser.add_argument("--limit", type=int, default=0, help="score a seeded subset of the test sentences")
    parser.add_argument("--again", action="store_true", help="train what is in the results already")
    parser.add_argument("--set", action="append", default=[], metavar="vars.NAME=VALUE")
    parser.add_argument("--k", type=int, default=4, help="neighbours, where costs are measured")
    parser.add_argument("--only", choices=("train", "predict"), default="train")
    parser.add_argument("--batch", type=int, default=24, help="sentences of a step, where costs are measured")
    parser.add_argument("--count", type=int, default=8, help="steps to measure")
    parser.add_argument("--sentences", type=int, default=256, help="sentences in the store and to predict")
    parser.add_argument("--stores", type=numbers, default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--index", choices=("flat", "hnsw"), default="flat")
    args = parser.parse_args()
    parts[args.part](args)


if __name__ == "__main__":
    main()
