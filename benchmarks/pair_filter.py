"""The filter of candidate pairs alone, on Re-DocRED: how many gold pairs are kept and how many others dropped, at
thresholds that were chosen on the held-out documents, and with shorter context windows.

    python -m benchmarks.pair_filter --pipeline training/redocred-filter/model-best

The pipeline is one of configs/pair_filter_redocred.cfg. Thresholds come from the development documents, and the figures
from the test documents. A second run with another `--seed` and a pipeline trained with it adds to the rows.
"""

import argparse
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import spacy
from spacy.training import Example

from spacy_ragre.calibration.thresholds import fit_decision
from spacy_ragre.corpora import Corpus
from spacy_ragre.llm.runtime.openvino import ENGINES

from .results import add_row

NAME = "pair_candidate_filter"
TITLE = "Re-DocRED, candidate pairs"
RECALLS = (0.8, 0.9, 0.95, 0.96, 0.98, 0.99)


def decisions(pipe: Any, examples: Sequence[Example]) -> Tuple[np.ndarray, np.ndarray]:
    """RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): probability of every ordered pair, and whether it holds a
    relation.
    """
    parts = []
    for start in range(0, len(examples), 32):
        parts += pipe.score_pairs([example.predicted for example in examples[start : start + 32]])
    probability: List[np.ndarray] = []
    related: List[np.ndarray] = []
    for example, part in zip(examples, parts):
        gold = np.zeros(part.shape, dtype=bool)
        for rel in example.reference._.relations:
            gold[rel.head_cluster, rel.tail_cluster] = True
        off = ~np.eye(len(part), dtype=bool)
        probability.append(part[off])
        related.append(gold[off])
    return np.concatenate(probability), np.concatenate(related)


def measure(probability: np.ndarray, related: np.ndarray, threshold: float) -> Dict[str, float]:
    kept = probability >= threshold
    right = float((kept & related).sum())
    precision, recall = right / max(1, kept.sum()), right / max(1, related.sum())
    return {
        "pairs_p": precision,
        "pairs_r": recall,
        "pairs_f": 2 * precision * recall / (precision + recall) if right else 0.0,
        "pairs_dropped": float((~kept & ~related).sum() / max(1, (~related).sum())),
    }


def threshold_for(probability: np.ndarray, related: np.ndarray, recall: float) -> float:
    best_first = np.sort(probability[related])[::-1]
    return float(best_first[max(1, int(np.ceil(recall * len(best_first)))) - 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, required=True, help="a trained pipeline with the filter")
    parser.add_argument("--dev", type=Path, default=Path("corpus/redocred/dev.spacy"))
    parser.add_argument("--test", type=Path, default=Path("corpus/redocred/test.spacy"))
    parser.add_argument("--windows", default="128,64", help="other context windows to try, in word pieces")
    parser.add_argument("--limit", type=int, default=0, help="score a seeded subset of this size")
    parser.add_argument("--engine", choices=ENGINES, help="what computes, in place of the pipeline's own")
    parser.add_argument("--seed", type=int, default=0, help="the seed that the pipeline was trained with")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/pair_filter.json"))
    args = parser.parse_args()

    engine = {f"components.{NAME}.model.encoder.engine": args.engine} if args.engine else {}
    nlp = spacy.load(args.pipeline, config=engine)
    pipe: Any = nlp.get_pipe(NAME)
    dev = list(Corpus(args.dev)(nlp))
    # The subset does not depend on the seed of the training.
    test = list(Corpus(args.test, limit=args.limit, seed=0)(nlp))
    split = f"test ({len(test)})" if not args.limit else f"test, seeded subset ({len(test)})"

    def report(name: str, description: str, scores: Dict[str, float]) -> None:
        add_row(args.output, TITLE, {"name": name, "description": description, "split": split}, args.seed, scores)
        print(name, {key: round(value, 4) for key, value in scores.items()}, flush=True)

    chosen = f"threshold chosen on the {len(dev)} held-out documents"
    encoder = pipe.shim.encoder
    started = f", {encoder.weights} weights" if encoder.weights else ""
    suffix = started + (f", {args.engine}" if args.engine else "")
    whole = encoder.window
    for window in (whole, *(int(w) for w in args.windows.split(",") if w)):
        encoder.window, encoder.overlap = window, min(encoder.overlap, window // 2)
        dev_probability, dev_related = decisions(pipe, dev)
        probability, related = decisions(pipe, test)
        context = f"windows of {window} word pieces" + (f"; {args.engine}" if args.engine else "")
        if encoder.weights:
            context += f"; training started from the encoder of the reader of open labels ({encoder.weights})"
        # Rows of another engine or window are there to be compared.
        if window == whole and not args.engine:
            scores = measure(probability, related, 0.5)
            report(f"as likely as not{started}", f"pairs of probability 0.5 and more; {context}", scores)
        if window == whole:
            scores = measure(probability, related, fit_decision(dev_probability, dev_related))
            report(f"best F1 on dev{suffix}", f"{chosen}; {context}", scores)
        for recall in RECALLS if window == whole and not args.engine else (0.95,):
            scores = measure(probability, related, threshold_for(dev_probability, dev_related, recall))
            name = f"recall {recall} on dev" + ("" if window == whole else f", windows of {window}") + suffix
            report(name, f"{chosen}; {context}", scores)


if __name__ == "__main__":
    main()
