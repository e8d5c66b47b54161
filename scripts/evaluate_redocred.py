"""Score a pipeline on whole documents with gold entities. Writes the scores as JSON, and the relations in the format of
DocRED's scorer.
"""

import argparse
import json
import time
from pathlib import Path

SHOWN = ("docred_f", "docred_ign_f", "docred_intra_f", "docred_inter_f", "pairs_r", "pairs_dropped")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("corpus", type=Path, help=".spacy file")
    parser.add_argument("output", type=Path, help="JSON file to write; the relations go next to it")
    parser.add_argument("--train", type=Path, help="documents that were trained on, for Ign F1 (.spacy)")
    parser.add_argument("--names", type=Path, default=Path("assets/redocred/rel_info.json"), help="relation names")
    parser.add_argument("--limit", type=int, default=0, help="score a seeded subset of this size")
    args = parser.parse_args()

    import spacy
    from spacy.training import Example

    from spacy_ragre.corpora import Corpus, write_docred
    from spacy_ragre.corpora.reader import read_docs
    from spacy_ragre.files import atomic_write, check_outputs
    from spacy_ragre.scoring import score_docred, score_pairs, train_facts

    check_outputs({"corpus": args.corpus}, {"scores": args.output})
    nlp = spacy.load(args.pipeline)
    facts = None if args.train is None else train_facts(read_docs(args.train, nlp.vocab))
    examples = list(Corpus(args.corpus, limit=args.limit, seed=0)(nlp))
    start = time.perf_counter()
    docs = list(nlp.pipe(example.predicted for example in examples))
    seconds = time.perf_counter() - start
    scored = [Example(doc, example.reference) for doc, example in zip(docs, examples)]
    scores = {**score_docred(scored, facts=facts), **score_pairs(scored)}
    result = {
        "pipeline": args.pipeline.as_posix(),
        "corpus": args.corpus.as_posix(),
        "documents": len(docs),
        "seed": nlp.config.interpolate()["training"].get("seed"),
        "documents_per_second": round(len(docs) / seconds, 3),
        "scores": scores,
    }
    with atomic_write(args.output) as file:
        file.write((json.dumps(result, indent=2) + "\n").encode("utf8"))
    write_docred(docs, args.output.with_suffix(".answers.json"), relation_names=args.names)
    print(f"{len(docs)} documents in {seconds:.0f} s, scores from 0 to 1:")
    for key in SHOWN:
        if scores.get(key) is not None:
            print(f"  {key:20} {scores[key]:.4f}")
    print(f"Written to {args.output}")


if __name__ == "__main__":
    main()
