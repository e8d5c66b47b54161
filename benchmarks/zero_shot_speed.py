"""Speed of answers before training: pairs a second, the first relation of a fresh process, and many labels.

    python -m benchmarks.zero_shot_speed

The texts are seeded ones of `corpora_src/openrel` of about 80 words with their gold entities, the labels seeded ones of
its schemas, with their wordings and definitions and without types, so that every pair of a sentence is asked about.
Both answers ("open", and "trie" by the language model) do the same work on the same texts in turns; the language model,
which is slower, on a few of them. Weights are loaded before the clock starts. For many labels the time is that of a
pipeline that has not read them yet. Ratios are of one run on one machine.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ragre.corpora.openrel import SourceText, component_labels, read_schema, source_files

from .packed_scoring import NAME
from .paragraphs import with_gold
from .results import merge

OPENREL = Path(__file__).parents[1] / "corpora_src" / "openrel"
OUTPUT = Path(__file__).parent / "results" / "zero_shot_speed.json"
WORDS = range(65, 96)
FIRST = """
import spacy
from spacy.tokens import Span
nlp = spacy.blank("en")
nlp.add_pipe("rag_relation_extractor", config={"labels": {"founded_by": "was founded by", "works_for": "works for"}})
doc = nlp.make_doc("Acme was founded by Ann Smith in Paris .")
doc.ents = [Span(doc, 0, 1, "ORG"), Span(doc, 4, 6, "PERSON"), Span(doc, 7, 8, "GPE")]
nlp.get_pipe("rag_relation_extractor")(doc)
"""


def read_texts(count: int) -> List[SourceText]:
    """RETURNS (List[SourceText]): seeded texts of about 80 words."""
    schemas = [read_schema(path) for path in source_files(OPENREL)]
    texts = [text for schema in schemas for text in schema.texts if len(text.text.split()) in WORDS]
    return random.Random(0).sample(texts, count)


def read_labels(count: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): seeded labels of all schemas, named by schema and label."""
    labels = {
        f"{path.stem}_{name}": value
        for path in source_files(OPENREL)
        for name, value in component_labels(read_schema(path), types=False).items()
    }
    return {name: labels[name] for name in random.Random(0).sample(sorted(labels), count)}


def make_pipeline(labels: Dict[str, Any], answer: str) -> Language:
    """RETURNS (Language): the component with its defaults, its weights loaded and its labels not yet read."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    component: Any = nlp.add_pipe(NAME, config={"labels": labels, "answer": answer})
    component.predictor.backbone.load()
    return nlp


def seconds(nlp: Language, docs: Sequence[Doc]) -> float:
    started = time.perf_counter()
    list(nlp.pipe([doc.copy() for doc in docs]))
    return time.perf_counter() - started


def measure(texts: Sequence[SourceText], labels: Dict[str, Any], sample: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): pairs a second by each answer, and their ratio."""
    ours, before = make_pipeline(labels, "open"), make_pipeline(labels, "trie")
    docs = [with_gold(ours, text) for text in texts]
    component: Any = ours.get_pipe(NAME)
    with ours.select_pipes(disable=[NAME]):
        pairs = [len(component._candidates(doc)) for doc in ours.pipe([doc.copy() for doc in docs])]
    seconds(ours, docs[:2])
    seconds(before, docs[:1])
    rate = sum(pairs) / seconds(ours, docs)
    slow = sum(pairs[:sample]) / seconds(before, docs[:sample])
    return {
        "labels": len(labels),
        "paragraphs": len(docs),
        "pairs": sum(pairs),
        "pairs_per_second": rate,
        "language_model_paragraphs": sample,
        "language_model_pairs_per_second": slow,
        "ratio": rate / slow,
    }


def many_labels(texts: Sequence[SourceText], sizes: Sequence[int]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): seconds for all texts with each number of labels, with reading the labels."""
    values: Dict[str, Any] = {"paragraphs": len(texts)}
    for size in sizes:
        nlp = make_pipeline(read_labels(size), "open")
        warm = make_pipeline({"warm": "is warmer than"}, "open")  # weights of the reader are shared
        docs = [with_gold(nlp, text) for text in texts]
        seconds(warm, docs[:1])
        values[f"seconds_{size}_labels"] = seconds(nlp, docs)
        values[f"seconds_{size}_labels_read_before"] = seconds(nlp, docs)
    least, most = min(sizes), max(sizes)
    values["ratio"] = values[f"seconds_{most}_labels"] / values[f"seconds_{least}_labels"]
    values["ratio_read_before"] = (
        values[f"seconds_{most}_labels_read_before"] / values[f"seconds_{least}_labels_read_before"]
    )
    return values


def first_relation(times: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): seconds of a fresh process up to its first answer, the least of some runs."""
    runs = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST], check=True)
        runs.append(time.perf_counter() - started)
    return {"runs": times, "seconds": min(runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="paragraphs")
    parser.add_argument("--sample", type=int, default=4, help="paragraphs that the language model answers")
    parser.add_argument("--labels", type=int, nargs="+", default=[8, 30])
    parser.add_argument("--many", type=int, nargs="+", default=[8, 300])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    args = parser.parse_args()

    def report(part: str, values: Dict[str, Any]) -> None:
        merge(args.output, "Speed before training", {part: values})
        print(part, {k: round(v, 3) if isinstance(v, float) else v for k, v in values.items()}, flush=True)

    report("first_relation", first_relation(3))
    texts = read_texts(args.count)
    for size in args.labels:
        report(f"{size}_labels", measure(texts, read_labels(size), args.sample))
    report("many_labels", many_labels(texts, args.many))


if __name__ == "__main__":
    main()
