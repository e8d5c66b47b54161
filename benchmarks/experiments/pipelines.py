"""What the studies are made of: sentences of SemEval-2010 Task 8, pipelines on some of them, and their scores."""

import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, cast

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example

from spacy_ragre.assist import sample
from spacy_ragre.components.relations.component import RagRelationExtractor
from spacy_ragre.corpora import SEMEVAL_LABELS, read_semeval
from spacy_ragre.corpora.reader import Corpus, copy_input, read_docs, split
from spacy_ragre.scoring import make_semeval_scorer

from ..results import peak_memory
from ..training import LAST, Trained, train_once
from .plan import Place
from .whole import WHOLE

NAME = "rag_relation_extractor"
PARTS = ("train", "dev", "test")
SCORES = ("semeval_macro_f", "semeval_micro_all_f")
CONFIGS = {"open": Path("configs/open_semeval.cfg"), "head": Path("configs/rag_semeval.cfg")}
BACKBONE = f"components.{NAME}.model.backbone"
# How a language model is trained. In 32 bits, since nf4 is slower on a CPU, and not comparable, in 16.
ADAPTERS: Dict[str, Dict[str, Any]] = {
    "LoRA": {"vars.dtype": "float32"},
    "QLoRA": {"vars.dtype": "float32", "vars.quantization": "nf4"},
    # All weights move at once, so that steps have to be smaller.
    "full": {"vars.dtype": "float32", f"{BACKBONE}.@ragre_backbones": WHOLE, "vars.learn_rate": 5e-5},
}


def corpora(place: Place) -> Dict[str, Path]:
    """Write the corpus as .spacy files, unless they are there: the training sentences without a tenth, that tenth (the
    same as in the project's workflow), and the test sentences.

    RETURNS (Dict[str, Path]): the files by `PARTS`.
    """
    paths = {part: place.work / "semeval" / f"{part}.spacy" for part in PARTS}
    if not all(path.exists() for path in paths.values()):
        nlp, folder = spacy.blank("en"), place.data / "semeval2010_task8"
        train, dev = split(read_semeval(folder / "TRAIN_FILE.TXT", nlp), 0.1)
        test = list(read_semeval(folder / "TEST_FILE_FULL.TXT", nlp))
        paths["test"].parent.mkdir(parents=True, exist_ok=True)
        for part, docs in zip(PARTS, (train, dev, test)):
            DocBin(docs=docs, store_user_data=True).to_disk(paths[part])
    return paths


def sentences(place: Place, nlp: Language, part: str, count: int, seed: int = 0) -> List[Doc]:
    """RETURNS (List[Doc]): so many sentences of a part, by the seed those that a training with it sees; 0 for all."""
    return [example.reference for example in Corpus(corpora(place)[part], limit=count, seed=seed)(nlp)]


def train(place: Place, answer: str, count: int, seed: int, adapter: str = "LoRA") -> Tuple[Language, Trained]:
    """Train a pipeline on some sentences; the last state counts. Its examples vote only once it is calibrated.

    place (Place): where the data are.
    answer (str): "open" for the reader of open labels, "head" for the language model.
    count (int): number of training sentences.
    seed (int): of the choice of sentences, and of the training.
    adapter (str): one of `ADAPTERS`, of the language model.
    RETURNS (Tuple[Language, Trained]): the pipeline, and what its training took.
    """
    paths, budget = corpora(place), place.budget
    steps = budget.reader_steps[count] if answer == "open" else budget.model_steps
    overrides: Dict[str, Any] = {
        "paths.train": str(paths["train"]),
        "paths.dev": str(paths["dev"]),
        "system.seed": seed,
        "vars.train_limit": count,
        "vars.dev_limit": 20,
        "vars.max_steps": steps,
        "vars.total_steps": steps,
        "vars.warmup_steps": max(1, steps // 10),
        "vars.eval_frequency": steps,
    }
    folder = place.work / f"{answer}-{count}-{seed}"
    if answer == "head":
        overrides.update({"vars.backbone": budget.backbone, "vars.both_orders": False, "training.batcher.size": 400})
        overrides.update(ADAPTERS[adapter])
        folder = place.work / f"{adapter}-{count}-{seed}"
    took = train_once(CONFIGS[answer], overrides, folder)
    return spacy.load(folder / LAST), took


def untrained(
    place: Place, answer: str, examples: Sequence[Doc] = (), shown: int = 0, keys: Optional[Mapping[str, str]] = None
) -> Language:
    """A pipeline for the labels of SemEval that was not trained.

    place (Place): says which language model.
    answer (str): "open", "trie" or "head", which answers once it is there.
    examples (Sequence[Doc]): what it is told of.
    shown (int): examples in a prompt of the language model.
    keys (Optional[Mapping[str, str]]): what finds examples, as in a config; marked sentences by all-MiniLM-L6-v2 if
        None.
    RETURNS (Language): the pipeline.
    """
    nlp = spacy.blank("en")
    config: Dict[str, Any] = {"labels": SEMEVAL_LABELS, "answer": answer, "n_examples": shown}
    config["candidates"] = {"@ragre_candidates": "ragre.SameSentence.v1"}
    config["scorer"] = {"@scorers": "ragre.semeval_scorer.v1"}
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": place.budget.backbone}
    config["model"] = {"@architectures": "ragre.LabelModel.v1", "backbone": backbone}
    if keys is not None:
        config["retriever"] = {"@ragre_retrievers": "ragre.Retriever.v1", "encoder": dict(keys)}
    component = cast(RagRelationExtractor, nlp.add_pipe(NAME, config=config))
    if examples:
        component.add_examples(examples)
    return nlp


def component_of(nlp: Language) -> RagRelationExtractor:
    """RETURNS (RagRelationExtractor): the relation extractor of a pipeline."""
    return cast(RagRelationExtractor, nlp.get_pipe(NAME))


def let_vote(nlp: Language, dev: Sequence[Doc]) -> None:
    """Choose how much neighbours count for a trained pipeline, on development sentences."""
    component_of(nlp).calibrate([Example(copy_input(doc), doc) for doc in dev])


def predict(nlp: Language, docs: Sequence[Doc]) -> Tuple[List[Example], Dict[str, float]]:
    """Answer for documents with gold entities.

    RETURNS (Tuple[List[Example], Dict[str, float]]): answers beside what is right; documents a second of the process's
        own time, and the most memory that it had so far, in MiB.
    """
    started = time.process_time()
    predicted = list(nlp.pipe(map(copy_input, docs), batch_size=64))
    speed = len(docs) / max(time.process_time() - started, 1e-9)
    examples = [Example(guess, doc) for guess, doc in zip(predicted, docs)]
    return examples, {"throughput": speed, "memory_mib": peak_memory()}


def official(examples: Sequence[Example]) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): the official score of SemEval-2010 Task 8, and the accuracy over all classes."""
    found: Mapping[str, Any] = make_semeval_scorer()(examples)
    return {key: found[key] or 0.0 for key in SCORES}


def test_sentences(place: Place, nlp: Language, slow: bool = False) -> Tuple[List[Doc], str]:
    """RETURNS (Tuple[List[Doc], str]): test sentences, and what to call them in a table."""
    docs = list(read_docs(corpora(place)["test"], nlp.vocab))
    limit = place.budget.slow if slow else place.budget.test
    chosen = sample(docs, limit or len(docs))
    return chosen, f"test ({len(docs)})" if len(chosen) == len(docs) else f"test, seeded subset ({len(chosen)})"
