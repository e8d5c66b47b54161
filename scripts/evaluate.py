"""Score a pipeline on annotated documents. Writes the scores as JSON, and the answers for the official scorer."""

import argparse
import json
import time
from pathlib import Path

from budgets import BUDGETS

SHOWN = ("semeval_macro_f", "semeval_micro_all_f", "rels_micro_f", "rels_micro_all_f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("corpus", type=Path, help=".spacy file")
    parser.add_argument("output", type=Path, help="JSON file to write; the answers go next to it")
    parser.add_argument("--budget", choices=sorted(BUDGETS), default="full")
    args = parser.parse_args()

    import spacy
    from spacy.scorer import Scorer
    from spacy.training import Example

    from spacy_ragre.corpora import Corpus
    from spacy_ragre.files import atomic_write, check_outputs
    from spacy_ragre.scoring import write_answers

    check_outputs({"corpus": args.corpus}, {"scores": args.output})
    nlp = spacy.load(args.pipeline)
    # The subset is the same for every training seed, so that their scores can be compared.
    examples = list(Corpus(args.corpus, limit=BUDGETS[args.budget].test, seed=0)(nlp))
    start = time.perf_counter()
    docs = list(nlp.pipe(example.predicted for example in examples))
    seconds = time.perf_counter() - start
    scored = [Example(doc, example.reference) for doc, example in zip(docs, examples)]
    scores = {key: value for key, value in Scorer(nlp).score(scored).items() if key.startswith(("rels_", "semeval_"))}
    result = {
        "pipeline": args.pipeline.as_posix(),
        "corpus": args.corpus.as_posix(),
        "budget": args.budget,
        "sentences": len(docs),
        "seed": nlp.config.interpolate()["training"].get("seed"),
        "sentences_per_second": round(len(docs) / seconds, 2),
        "scores": scores,
    }
    with atomic_write(args.output) as file:
        file.write((json.dumps(result, indent=2) + "\n").encode("utf8"))
    write_answers(docs, args.output.with_suffix(".answers.txt"))
    print(f"{len(docs)} sentences in {seconds:.0f} s, scores from 0 to 1:")
    for key in SHOWN:
        if scores.get(key) is not None:
            print(f"  {key:20} {scores[key]:.4f}")
    print(f"Written to {args.output}")


if __name__ == "__main__":
    main()
