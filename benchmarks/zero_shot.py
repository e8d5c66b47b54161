"""Zero-shot benchmarks: relations under labels that nothing was trained on, head and tail or all entities given.

    python -m benchmarks.zero_shot fewrel
    python -m benchmarks.zero_shot pubmed semeval crossre openrel paragraphs

| benchmark | what | score |
|---|---|---|
| fewrel | FewRel's val_wiki (arXiv 1810.10147): head and tail given in their order | macro-F1 |
| pubmed | its val_pubmed (arXiv 1910.07124), likewise | macro-F1 |
| semeval | SemEval-2010 Task 8, test: the better of both directions, or Other | official macro-F1 |
| crossre | CrossRE, test (arXiv 2210.09345): all pairs of gold entities | micro-F1 |
| openrel | openrel's development schemas, on which settings are chosen: all pairs of gold entities | micro-F1 |
| paragraphs | `corpora_src/paragraphs`, on which settings are chosen: all pairs of gold entities | micro-F1 |
| redocred | Re-DocRED, test: all pairs of gold entities of whole documents; see `zero_shot_documents` | official F1 |

All pairs of gold entities means that the component is given the entities, and asks about the pairs that it asks about
by default; systems of pairs are asked about every one.

Systems are what the package ships with its default settings ("open"), the language model as it was published ("trie"),
and the cosine of a sentence and a statement of head, label and tail by all-MiniLM-L6-v2 ("cosine"). A system that is
slow on a CPU is measured on a seeded subset, and the row says so. "published" adds figures of others, which were not
measured here.
"""

import argparse
import os
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Sequence, Set, Tuple

import numpy as np
import spacy
from spacy.tokens import Doc

from spacy_ragre.candidates import Candidate
from spacy_ragre.corpora.openrel import SourceSchema, SourceText, component_labels
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.retrieval import TextEncoder
from spacy_ragre.scoring.semeval import OTHER, semeval_score

from .open_relations.evaluate import Decisions, best_threshold
from .paragraphs import gold_spans, subset
from .paragraphs import read as read_paragraphs
from .results import add_published, add_row
from .zero_shot_corpora import read_crossre, read_fewrel, read_nominals, read_openrel
from .zero_shot_documents import add_results
from .zero_shot_words import FEWREL_PUBMED, FEWREL_WIKI, PUBLISHED

NAME = "rag_relation_extractor"
GOLD = "gold"
OUTPUT = Path(__file__).parent / "results"
GROUP_SIZES, GROUPS = (5, 10, 15), 5
CHUNK = 200  # texts that are scored at once
DOCUMENTS = "redocred"

Triple = Tuple[int, str, int]


# Systems


class System(Protocol):
    """What answers. Classes are those of the label set; class 0 is "no relation"."""

    def scores(self, pairs: Sequence[Instance], labels: LabelSet) -> np.ndarray:
        """RETURNS (np.ndarray): how likely each class is, comparable within a pair. *Shape:* (pairs, classes)"""
        ...

    def answers(self, pairs: Sequence[Instance], labels: LabelSet) -> List[List[Answer]]:
        """RETURNS (List[List[Answer]]): the relations that each pair is given, likeliest first."""
        ...

    def find(self, schema: SourceSchema, types: bool) -> List[Set[Triple]]:
        """RETURNS (List[Set[Triple]]): what is found in each text of a schema, of all of its entities."""
        ...


class OfPairs(ABC):
    """A system that is asked about one pair after the other."""

    @abstractmethod
    def answers(self, pairs: Sequence[Instance], labels: LabelSet) -> List[List[Answer]]:
        """See `System`."""

    def find(self, schema: SourceSchema, types: bool) -> List[Set[Triple]]:
        """See `System`. Each pair is asked about once."""
        out: List[Set[Triple]] = []
        items = list(each_text([schema], types))
        for start in range(0, len(items), CHUNK):
            part = items[start : start + CHUNK]
            found = iter(self.answers([pair for *_, pairs in part for _, pair in pairs], part[0][1]))
            for *_, pairs in part:
                out.append({as_triple(ends, answer, schema) for ends, _ in pairs for answer in next(found)})
        return out


class Package:
    """The component with its default settings and no examples. Entities are those of a span group, which may overlap.

    answer (str): the way to answer.
    weights (Optional[Path]): folder with the reader of open labels; the one that comes with the package by default.
    """

    def __init__(self, answer: str, weights: Optional[Path] = None) -> None:
        config: Dict[str, Any] = {"labels": ["placeholder"], "answer": answer, "spans_key": GOLD}
        if weights is not None:
            config["weights"] = str(weights)
        self.nlp = spacy.blank("en")
        self.nlp.add_pipe("sentencizer")
        self.predictor = self.nlp.add_pipe(NAME, config=config).predictor  # type: ignore[attr-defined]

    def scores(self, pairs: Sequence[Instance], labels: LabelSet) -> np.ndarray:
        self.predictor.labels.replace(labels.to_dict())
        scores: np.ndarray = self.predictor.score(pairs).scores
        return scores

    def answers(self, pairs: Sequence[Instance], labels: LabelSet) -> List[List[Answer]]:
        self.predictor.labels.replace(labels.to_dict())
        candidates = [Candidate(pair.first, pair.second, pair) for pair in pairs]
        row = {id(candidate): i for i, candidate in enumerate(candidates)}
        found: List[List[Answer]] = [[] for _ in pairs]
        for item in self.predictor.predict(candidates)[0]:
            found[row[id(item.candidate)]].append(Answer(item.label, item.reversed))
        return found

    def find(self, schema: SourceSchema, types: bool) -> List[Set[Triple]]:
        self.predictor.labels.replace(LabelSet(component_labels(schema, types=types)).to_dict())
        out: List[Set[Triple]] = []
        for doc, text in zip(self.nlp.pipe(self._with_gold(text, types) for text in schema.texts), schema.texts):
            # Of entities at one place with one type, the first.
            numbers = {
                (ent.start, ent.end, ent.type if types else ""): number
                for number, ent in reversed(list(enumerate(text.ents)))
            }
            ends = (
                [numbers[span.start_char, span.end_char, span.label_] for span in (relation.head, relation.tail)]
                for relation in doc._.relations
            )
            names = (relation.label for relation in doc._.relations)
            out.append({as_triple((head, tail), Answer(name), schema) for (head, tail), name in zip(ends, names)})
        return out

    def _with_gold(self, text: SourceText, types: bool) -> Doc:
        doc = self.nlp.make_doc(text.text)
        doc.spans[GOLD] = gold_spans(doc, text, types)
        return doc


class Cosine(OfPairs):
    """Cosine of a pair's text and the statement of a class: its head, the label's words, its tail.

    encoder (Optional[TextEncoder]): all-MiniLM-L6-v2 by default.
    threshold (float): a pair whose best class is below it holds nothing.
    """

    def __init__(self, encoder: Optional[TextEncoder] = None, threshold: float = float("-inf")) -> None:
        self.encoder = encoder or TextEncoder(text="sentence")
        self.threshold = threshold

    def scores(self, pairs: Sequence[Instance], labels: LabelSet) -> np.ndarray:
        scores = np.full((len(pairs), len(labels.classes)), -np.inf, dtype="float32")
        scores[:, 0] = self.threshold
        numbers: Dict[str, int] = {}
        cells: List[Tuple[int, int, int, int]] = []  # row and column, and numbers of text and statement
        for row, pair in enumerate(pairs):
            text = numbers.setdefault(pair.text, len(numbers))
            allowed = labels.allowed(pair.first_type, pair.second_type)
            for column, answer in enumerate(labels.classes):
                if answer is not None and allowed[column]:
                    head, tail = (pair.first_text, pair.second_text)[:: -1 if answer.reversed else 1]
                    statement = f"{head} {labels.specs[answer.label].text} {tail}"
                    cells.append((row, column, text, numbers.setdefault(statement, len(numbers))))
        if cells:
            vectors = self.encoder.encode_queries([Instance(words, (0, 0), (0, 0)) for words in numbers])
            rows, columns, texts, statements = np.array(cells).T
            scores[rows, columns] = (vectors[texts] * vectors[statements]).sum(1)
        return scores

    def answers(self, pairs: Sequence[Instance], labels: LabelSet) -> List[List[Answer]]:
        found = [labels.classes[best] for best in self.scores(pairs, labels).argmax(1)]
        return [[] if answer is None else [answer] for answer in found]


def fit_threshold(system: Cosine, schemas: Sequence[SourceSchema]) -> float:
    """RETURNS (float): the threshold of the best F1, where each pair is given its best class or nothing."""
    best: List[float] = []
    right: List[bool] = []
    for schema, labels, text, pairs in each_text(schemas):
        if not pairs:
            continue
        instances = [pair for _, pair in pairs]
        scores = system.scores(instances, labels)[:, 1:]
        gold = gold_of(text, schema)
        for (ends, _), row in zip(pairs, scores):
            answer = labels.classes[1 + int(row.argmax())]
            if answer is not None and np.isfinite(row.max()):
                best.append(float(row.max()))
                right.append(as_triple(ends, answer, schema) in gold)
    total = sum(len(text.relations) for schema in schemas for text in schema.texts)
    decisions = Decisions(np.array(best), np.array(right), np.ones(len(best), dtype=bool), total)
    return best_threshold(decisions, argmax=True, least=1)


# Pairs


def make_pair(text: SourceText, one: int, other: int, types: bool = True) -> Tuple[Tuple[int, int], Instance]:
    """RETURNS (Tuple[Tuple[int, int], Instance]): numbers of two entities in the order of the text, and the pair."""
    numbers = sorted((one, other), key=lambda i: (text.ents[i].start, -text.ents[i].end))
    first, second = (text.ents[i] for i in numbers)
    pair = Instance(text.text, (first.start, first.end), (second.start, second.end))
    return (numbers[0], numbers[1]), replace(pair, first_type=first.type, second_type=second.type) if types else pair


def each_text(
    schemas: Sequence[SourceSchema], types: bool = True
) -> Iterator[Tuple[SourceSchema, LabelSet, SourceText, List[Tuple[Tuple[int, int], Instance]]]]:
    """YIELDS (Tuple): schema, its labels, a text, and all pairs of its entities, each once."""
    for schema in schemas:
        labels = LabelSet(component_labels(schema, types=types))
        for text in schema.texts:
            count = len(text.ents)
            places = [(ent.start, ent.end) for ent in text.ents]
            numbers = [(i, j) for i in range(count) for j in range(i + 1, count) if places[i] != places[j]]
            yield schema, labels, text, [make_pair(text, i, j, types) for i, j in numbers]


def as_triple(ends: Tuple[int, int], answer: Answer, schema: SourceSchema) -> Triple:
    """RETURNS (Triple): head, label and tail; of a symmetric label, the smaller number first.

    ends (Tuple[int, int]): the numbers of two entities in the order of the text.
    """
    head, tail = ends[:: -1 if answer.reversed else 1]
    if schema.labels[answer.label].symmetric and tail < head:
        head, tail = tail, head
    return head, answer.label, tail


def gold_of(text: SourceText, schema: SourceSchema) -> Set[Triple]:
    """RETURNS (Set[Triple]): the gold relations, as `as_triple` writes them."""
    return {as_triple((head, tail), Answer(label), schema) for head, label, tail in text.relations}


# Measures. Scores are from 0 to 1.


def macro_f1(gold: np.ndarray, predicted: np.ndarray) -> float:
    """RETURNS (float): mean F1 of the labels in `gold`."""
    scores = []
    for label in np.unique(gold):
        right = ((gold == label) & (predicted == label)).sum()
        scores.append(2 * right / max(1, (gold == label).sum() + (predicted == label).sum()))
    return float(np.mean(scores))


def rank_labels(system: System, schemas: Sequence[SourceSchema], types: bool = False) -> Dict[str, float]:
    """The best of all labels, head and tail given in their order.

    RETURNS (Dict[str, float]): `accuracy` and `macro_f`; `macro_f_5`, `macro_f_10` and `macro_f_15`: means of five
        random groups of so many labels; `accuracy_directed`: the order is not given, and label and order must be right.
    """
    (schema,) = schemas
    labels, names = LabelSet(component_labels(schema)), list(schema.labels)
    pairs, columns, gold = [], [], []
    for text in schema.texts:
        head, label, tail = text.relations[0]
        (first, _), pair = make_pair(text, head, tail, types)
        pairs.append(pair)
        columns.append([labels.index(Answer(name, first == tail)) for name in names])
        gold.append(names.index(label))
    scores = np.concatenate([system.scores(pairs[i : i + CHUNK], labels) for i in range(0, len(pairs), CHUNK)])
    answer, ahead = np.array(gold), np.take_along_axis(scores, np.array(columns), axis=1)
    right_class = np.take_along_axis(np.array(columns), answer[:, None], axis=1)[:, 0]
    out = {
        "accuracy": float((ahead.argmax(1) == answer).mean()),
        "macro_f": macro_f1(answer, ahead.argmax(1)),
        "accuracy_directed": float((scores[:, 1:].argmax(1) + 1 == right_class).mean()),
    }
    for size in (size for size in GROUP_SIZES if size < len(names)):
        values = []
        for seed in range(GROUPS):
            group = sorted(random.Random(seed).sample(range(len(names)), size))
            kept = np.isin(answer, group)
            if kept.any():
                values.append(macro_f1(answer[kept], np.array(group)[ahead[kept][:, group].argmax(1)]))
        out[f"macro_f_{size}"] = float(np.mean(values))
    return out


def score_nominals(system: System, schemas: Sequence[SourceSchema], types: bool = False) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): the official scores of SemEval-2010 Task 8."""
    (schema,) = schemas
    labels = LabelSet(component_labels(schema))
    pairs = [make_pair(text, 0, 1, types)[1] for text in schema.texts]
    found = [answers for i in range(0, len(pairs), CHUNK) for answers in system.answers(pairs[i : i + CHUNK], labels)]
    # The nominals are numbered in the order of the text.
    gold = [[Answer(label, head == 1) for head, label, _ in text.relations] for text in schema.texts]
    scores = semeval_score(*([official_label(answers) for answers in each] for each in (gold, found)))
    return {key: scores[key] for key in ("semeval_macro_f", "semeval_micro_all_f")}


def official_label(answers: Sequence[Answer]) -> str:
    """RETURNS (str): the first answer in the official format, such as "Cause-Effect(e2,e1)", or "Other"."""
    return f"{answers[0].label}({'e2,e1' if answers[0].reversed else 'e1,e2'})" if answers else OTHER


def score_all_pairs(system: System, schemas: Sequence[SourceSchema], types: bool = True) -> Dict[str, float]:
    """What is found among all gold entities of a text.

    types (bool): whether entity types, and those that labels may have, are told.
    RETURNS (Dict[str, float]): micro precision, recall and F1 of (head, label, tail), over all schemas.
    """
    right = predicted = total = 0
    for schema in schemas:
        for text, answers in zip(schema.texts, system.find(schema, types)):
            gold = gold_of(text, schema)
            right += len(answers & gold)
            predicted += len(answers)
            total += len(gold)
    precision, recall = right / max(1, predicted), right / max(1, total)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"relations_p": precision, "relations_r": recall, "relations_f": f1}


# Rows


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    title (str): for its page.
    split (str): what is measured, for its rows.
    read (Callable[[Path], List[SourceSchema]]): takes the folder of data.
    measure (Callable[[System, Sequence[SourceSchema], bool], Dict[str, float]]): takes the system, the schemas and
        whether types are told.
    types (Sequence[bool]): whether types are told; each gives a row of the package's reader.
    limits (Mapping[str, int]): texts that the slow systems are measured on.
    """

    title: str
    split: str
    read: Callable[[Path], List[SourceSchema]]
    measure: Callable[[System, Sequence[SourceSchema], bool], Dict[str, float]]
    types: Sequence[bool]
    limits: Mapping[str, int]


BENCHMARKS = {
    "fewrel": Benchmark(
        "Zero-shot: FewRel, 16 relations of Wikidata",
        "val_wiki",
        lambda data: read_fewrel(data / "fewrel" / "val_wiki.json", FEWREL_WIKI),
        rank_labels,
        (False,),
        {"trie": 200, "cosine": 1000},
    ),
    "pubmed": Benchmark(
        "Zero-shot: FewRel, 10 biomedical relations",
        "val_pubmed",
        lambda data: read_fewrel(data / "fewrel" / "val_pubmed.json", FEWREL_PUBMED, "t"),
        rank_labels,
        (False,),
        {"trie": 200},
    ),
    "semeval": Benchmark(
        "Zero-shot: SemEval-2010 Task 8",
        "test",
        lambda data: read_nominals(data / "semeval2010_task8" / "TEST_FILE_FULL.TXT"),
        score_nominals,
        (False,),
        {"trie": 300},
    ),
    "crossre": Benchmark(
        "Zero-shot: CrossRE",
        "test, all pairs of gold entities",
        lambda data: read_crossre(data / "relations"),
        score_all_pairs,
        (True, False),
        {"trie": 20, "cosine": 60},
    ),
    "openrel": Benchmark(
        "Zero-shot: openrel, development schemas",
        "dev, all pairs of gold entities",
        lambda data: read_openrel(),
        score_all_pairs,
        (True, False),
        {"trie": 200, "cosine": 200},
    ),
    "paragraphs": Benchmark(
        "Zero-shot: ordinary paragraphs, all pairs",
        "paragraphs, all pairs of gold entities",
        lambda data: read_paragraphs(),
        score_all_pairs,
        (True, False),
        {"trie": 6},
    ),
}
SYSTEMS = {
    "open": ("open labels", "the reader that comes with the package, default settings"),
    "trie": ("plain language model", "likelihood of each label's words, smollm2-135m-instruct as it was published"),
    "cosine": (
        "MiniLM cosine",
        "sentence and statement of head, label and tail; threshold chosen on openrel's development schemas",
    ),
}
# Texts of the development schemas that a threshold of the cosine is chosen on.
THRESHOLD_TEXTS = 100


def make_system(key: str, weights: Optional[Path], texts: int) -> System:
    """RETURNS (System): a system of `SYSTEMS`.

    weights (Optional[Path]): folder with another reader of open labels.
    texts (int): of the development schemas, on which the cosine's threshold is chosen; 0 for no threshold.
    """
    if key != "cosine":
        return Package(key, weights)
    system = Cosine()
    if texts:
        system.threshold = fit_threshold(system, subset(read_openrel(), texts))
    return system


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="+", choices=[*BENCHMARKS, DOCUMENTS])
    parser.add_argument("--systems", nargs="+", choices=[*SYSTEMS, "published"], default=[*SYSTEMS, "published"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAGRE_ASSETS", "assets")))
    parser.add_argument("--weights", type=Path, help="folder with another reader of open labels")
    parser.add_argument("--limit", type=int, default=0, help="measure a seeded subset of this many texts")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the results")
    args = parser.parse_args(argv)
    if DOCUMENTS in args.benchmarks and "open" in args.systems:
        add_results(args.data, args.output / f"zero_shot_{DOCUMENTS}.json", args.weights, args.limit)
    names = [name for name in args.benchmarks if name != DOCUMENTS]
    decides = any(BENCHMARKS[name].measure is not rank_labels for name in names)
    texts = min(args.limit or THRESHOLD_TEXTS, THRESHOLD_TEXTS) if decides else 0
    systems = {key: make_system(key, args.weights, texts) for key in args.systems if names and key in SYSTEMS}
    for name in names:
        benchmark, path = BENCHMARKS[name], args.output / f"zero_shot_{name}.json"
        whole = benchmark.read(args.data) if systems else []
        total = sum(len(schema.texts) for schema in whole)
        for key, system in systems.items():
            limit = min(total, args.limit or total, benchmark.limits.get(key, total))
            schemas = subset(whole, limit)
            for types in benchmark.types if key == "open" else benchmark.types[:1]:
                title, about = SYSTEMS[key]
                row = {
                    "name": title if types == benchmark.types[0] else f"{title}, without entity types",
                    "description": about,
                    "split": f"{benchmark.split} ({limit}{'' if limit == total else f' of {total}, seeded subset'})",
                }
                scores = benchmark.measure(system, schemas, types)
                add_row(path, benchmark.title, row, 0, scores)
                print(row["name"], row["split"], {key: round(value, 4) for key, value in scores.items()}, flush=True)
        for row, scores in PUBLISHED.get(name, ()) if "published" in args.systems else ():
            add_published(path, benchmark.title, row, scores)


if __name__ == "__main__":
    main()
