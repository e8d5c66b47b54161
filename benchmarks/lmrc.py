"""The language model on all pairs of Re-DocRED documents, on those that the filter proposes, and on those that hold a
relation: official F1, and what it costs in pairs, tokens and time. Before each row, the extractor is calibrated on the
development documents with the pairs of that row, and the filter for the row's recall.

    python -m benchmarks.lmrc --pipeline training/redocred/model-best

The pipeline is one of configs/lmrc_redocred.cfg. A second run with another `--seed` and a pipeline trained with it adds
to the rows.
"""

import argparse
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from tqdm import tqdm

from spacy_ragre.calibration.thresholds import fit_decision
from spacy_ragre.corpora import Corpus
from spacy_ragre.corpora.reader import read_docs
from spacy_ragre.relations import CandidatePair
from spacy_ragre.scoring import score_docred, train_facts

from .results import add_row

FILTER = "pair_candidate_filter"
EXTRACTOR = "rag_relation_extractor"
TITLE = "Re-DocRED, the pairs that the language model is asked about"
SCORES = ("docred_f", "docred_ign_f", "docred_intra_f", "docred_inter_f")
RECALLS = "0.8,0.9,0.95"

Propose = Callable[[Language, Example], List[CandidatePair]]


def all_pairs(nlp: Language, example: Example) -> List[CandidatePair]:
    count = len(example.predicted._.entity_clusters)
    return [CandidatePair(head, tail, 1.0) for head in range(count) for tail in range(count) if head != tail]


def filtered_pairs(nlp: Language, example: Example) -> List[CandidatePair]:
    # On a copy, so that nothing stays for the other rows.
    return nlp.get_pipe(FILTER)(example.predicted.copy())._.candidate_pairs


def gold_pairs(nlp: Language, example: Example) -> List[CandidatePair]:
    # The corpus gives input documents the clusters of their references.
    pairs = {(relation.head_cluster, relation.tail_cluster) for relation in example.reference._.relations}
    return [CandidatePair(head, tail, 1.0) for head, tail in sorted(pairs)]


def unscored_pairs(nlp: Language, example: Example) -> List[CandidatePair]:
    return [CandidatePair(pair.head, pair.tail) for pair in filtered_pairs(nlp, example)]


# The pairs that are asked about; None where the language model is not asked.
ROWS: Dict[str, Any] = {
    "filter alone": ("no language model: the labels that the filter finds likely", None),
    "all pairs": ("every ordered pair of entities", all_pairs),
    "filtered pairs": ("pairs that the filter proposes, its threshold for a recall of {recall} on dev", filtered_pairs),
    "filtered pairs, scores unused": ("the same, without the filter's scores beside the model's", unscored_pairs),
    "gold pairs": ("only pairs that hold a relation: what a perfect filter would give", gold_pairs),
}


class FilterAlone:
    """Relations by the filter's own labels, with a limit that was fitted on development documents."""

    def __init__(self, nlp: Language, examples: Sequence[Example]) -> None:
        self._filter: Any = nlp.get_pipe(FILTER)
        self._labels = list(self._filter.shim.labels)
        rows, gold = [], []
        for example in examples:
            held = {(r.head_cluster, r.tail_cluster, r.label) for r in example.reference._.relations}
            for pair in filtered_pairs(nlp, example):
                rows.append([pair.score * (pair.labels or {}).get(label, 0.0) for label in self._labels])
                gold.append([(pair.head, pair.tail, label) in held for label in self._labels])
        self._least = fit_decision(np.asarray(rows), np.asarray(gold))

    def __call__(self, doc: Doc, example: Example) -> Doc:
        self._filter(doc)
        clusters = doc._.entity_clusters
        doc._.relations = [
            {
                "head": clusters[pair.head][0],
                "tail": clusters[pair.tail][0],
                "head_cluster": pair.head,
                "tail_cluster": pair.tail,
                "label": label,
                "score": pair.score * share,
            }
            for pair in doc._.candidate_pairs
            for label, share in (pair.labels or {}).items()
            if pair.score * share > self._least
        ]
        return doc


class Asked:
    """Relations by the language model, calibrated on development documents."""

    def __init__(self, nlp: Language, examples: Sequence[Example], propose: Propose) -> None:
        self._nlp, self._propose = nlp, propose
        self._extractor: Any = nlp.get_pipe(EXTRACTOR)
        asked = []
        for example in examples:
            doc = example.predicted.copy()
            doc._.candidate_pairs = propose(nlp, example)
            asked.append(Example(doc, example.reference))
        print(self._extractor.calibrate(asked), flush=True)

    def __call__(self, doc: Doc, example: Example) -> Doc:
        doc._.candidate_pairs = self._propose(self._nlp, example)
        return self._extractor(doc)


def measure(
    nlp: Language, examples: Sequence[Example], answer: Callable[[Doc, Example], Doc], facts: Any, title: str
) -> Tuple[Dict[str, float], Dict[str, float]]:
    """RETURNS (Tuple[Dict[str, float], Dict[str, float]]): scores with pairs and tokens a document, and seconds a
    document. Tokens are those that go through the model: what several pairs share is counted once.
    """
    pairs = tokens = 0
    seconds = 0.0
    scored = []
    for example in tqdm(examples, desc=title):
        doc: Doc = example.predicted.copy()
        started = time.perf_counter()
        answer(doc, example)
        seconds += time.perf_counter() - started
        if isinstance(answer, Asked):
            pairs += len(doc._.candidate_pairs)
            tokens += shared_tokens(nlp.get_pipe(EXTRACTOR), doc)
        scored.append(Example(doc, example.reference))
    scores = score_docred(scored, facts=facts)
    counts = {"pairs_a_document": pairs / len(scored), "tokens_a_document": tokens / len(scored)}
    return {**{key: scores[key] for key in SCORES}, **counts}, {"seconds_a_document": seconds / len(scored)}


def shared_tokens(extractor: Any, doc: Doc) -> int:
    """RETURNS (int): tokens of a document's prompts, those of common texts once."""
    predictor = extractor.predictor
    prompts = [predictor.backbone.tokenize(predictor.pieces(c.instance)) for c in extractor._candidates(doc)]
    instructions = {prompt.instruction for prompt in prompts}
    documents = {(prompt.instruction, prompt.document) for prompt in prompts}
    shared = [*instructions, *(document for _, document in documents)]
    return sum(len(part) for part in shared) + sum(len(prompt.pair) for prompt in prompts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, required=True, help="a trained pipeline of filter and extractor")
    parser.add_argument("--train", type=Path, default=Path("corpus/redocred/train.spacy"), help="for Ign F1")
    parser.add_argument("--dev", type=Path, default=Path("corpus/redocred/dev.spacy"), help="for calibration")
    parser.add_argument("--test", type=Path, default=Path("corpus/redocred/test.spacy"))
    parser.add_argument("--rows", default=";".join(ROWS), help="separated by semicolons")
    parser.add_argument("--recalls", default=RECALLS, help="of the filter on dev, a row of filtered pairs for each")
    parser.add_argument("--limit", type=int, default=0, help="score a seeded subset of this size")
    parser.add_argument("--seed", type=int, default=0, help="the seed that the pipeline was trained with")
    parser.add_argument("--time", action="store_true", help="write down seconds, too: of all rows on one machine")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/lmrc.json"))
    args = parser.parse_args()

    nlp = spacy.load(args.pipeline)
    facts = train_facts(read_docs(args.train, nlp.vocab))
    # The subset does not depend on the seed of the training.
    examples = list(Corpus(args.test, limit=args.limit, seed=0)(nlp))
    split = f"test, seeded subset ({len(examples)})" if args.limit else f"test ({len(examples)})"
    dev = list(Corpus(args.dev)(nlp))
    component: Any = nlp.get_pipe(FILTER)
    for row in (name.strip() for name in args.rows.split(";")):
        description, propose = ROWS[row]
        for recall in args.recalls.split(",") if propose in (filtered_pairs, unscored_pairs) else [""]:
            name = f"{row}, recall {recall}" if recall else row
            if recall:
                component.target_recall = float(recall)
                print(name, component.calibrate(dev), flush=True)
            answer: Any = FilterAlone(nlp, dev) if propose is None else Asked(nlp, dev, propose)
            scores, costs = measure(nlp, examples, answer, facts, name)
            about = {"name": name, "description": description.format(recall=recall), "split": split}
            add_row(args.output, TITLE, about, args.seed, scores, costs if args.time else None)
            print(name, {key: round(value, 4) for key, value in {**scores, **costs}.items()}, flush=True)


if __name__ == "__main__":
    main()
