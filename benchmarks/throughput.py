"""Documents per second against spacy-llm's relation task on the same language model.

    pip install --no-deps spacy-llm
    python -m benchmarks.throughput --sentences corpus/test.spacy --documents assets/redocred/dev_revised.json

spacy-llm makes the prompts and reads the answers; its model is a callable that generates greedily with the weights that
the component uses, as spacy-llm's own Hugging Face models do: one prompt at a time. Those models are not used, because
they load from a hub. Prints one line for each corpus and writes the figures into the result file.
"""

import argparse
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ragre.corpora import SEMEVAL_LABELS
from spacy_ragre.corpora.docred import find_relation_names, read_docred
from spacy_ragre.corpora.reader import copy_input, read_docs

from .packed_scoring import NAME, make_nlp, timed
from .results import merge


def make_llm(ours: Language, labels: Sequence[str], max_new_tokens: int) -> Language:
    """A pipeline with spacy-llm's relation task, which generates with our pipeline's language model."""
    from spacy_llm.registry import registry

    backbone = ours.get_pipe(NAME).predictor.backbone
    backbone.load()

    @registry.llm_models("ragre.Generate.v1")
    def make() -> Any:
        def generate(prompts: Iterable[Iterable[str]]) -> Iterable[List[str]]:
            for of_document in prompts:
                yield [
                    backbone.generate([backbone.tokenize(("", (), [prompt])).ids], max_new_tokens)[0]
                    for prompt in of_document
                ]

        return generate

    nlp = spacy.blank("en")
    task = {"@llm_tasks": "spacy.REL.v1", "labels": list(labels)}
    nlp.add_pipe("llm", config={"task": task, "model": {"@llm_models": "ragre.Generate.v1"}})
    return nlp


def compare(ours: Language, docs: Sequence[Doc], labels: Sequence[str], sample: int, new: int) -> Dict[str, Any]:
    inputs = [copy_input(doc) for doc in docs]
    list(ours.pipe([doc.copy() for doc in inputs[:4]]))  # weights are loaded before the clock starts
    seconds = min(timed(lambda: list(ours.pipe([d.copy() for d in inputs], batch_size=64)))[0] for _ in range(2))
    llm = make_llm(ours, labels, new)
    theirs, _ = timed(lambda: list(llm.pipe([doc.copy() for doc in inputs[:sample]])))
    return {
        "documents": len(docs),
        "documents_per_second": len(docs) / seconds,
        "spacy_llm_documents": min(sample, len(docs)),
        "spacy_llm_documents_per_second": min(sample, len(docs)) / theirs,
        "spacy_llm_max_new_tokens": new,
        "ratio": (len(docs) / seconds) / (min(sample, len(docs)) / theirs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=Path, help="SemEval sentences, .spacy")
    parser.add_argument("--documents", type=Path, help="Re-DocRED documents, JSON")
    parser.add_argument("--count", type=int, default=200, help="number of sentences")
    parser.add_argument("--sample", type=int, default=10, help="documents that spacy-llm answers")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/throughput.json"))
    args = parser.parse_args()

    def report(part: str, values: Dict[str, Any]) -> None:
        values = {**values, "dtype": args.dtype}
        merge(args.output, "Throughput", {part: values})
        print(part, {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}, flush=True)

    if args.sentences is not None:
        docs = list(read_docs(args.sentences, spacy.blank("en").vocab))[: args.count]
        nlp = make_nlp(SEMEVAL_LABELS, False, args.dtype)
        report("sentences", compare(nlp, docs, list(SEMEVAL_LABELS), args.sample, args.max_new_tokens))
    if args.documents is not None:
        names = find_relation_names(None, args.documents.parent) or {}
        labels = {label: label.replace("_", " ") for label in sorted(names.values())}
        nlp = make_nlp(labels, True, args.dtype)
        # All pairs of a document are answered here; spacy-llm asks one prompt for the whole document.
        docs = [doc for doc, _ in zip(read_docred(args.documents, nlp.vocab), range(5))]
        report("documents", compare(nlp, docs, list(labels), 3, args.max_new_tokens))


if __name__ == "__main__":
    main()
