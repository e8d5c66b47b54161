"""A document of 20,000 tokens with 400 entities through filter and extractor: pairs, seconds and memory of each.

    python -m benchmarks.long_document --pipeline training/redocred/model-best

The pipeline is one of configs/lmrc_redocred.cfg. The document is made of Re-DocRED documents, one after the other, with
a few entities of each. Memory is the peak of the process above what it has after a short document. What bounds it: the
filter's `model.memory` and the backbone's `batch_tokens`.
"""

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Any, Dict, List

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_ragre.corpora import Corpus

from .results import merge, peak_memory

STAGES = ("pair_candidate_filter", "rag_relation_extractor")


def join(nlp: Language, docs: List[Doc], tokens: int, entities: int) -> Doc:
    """RETURNS (Doc): the documents as one of so many tokens, with so many entities, equally many of each."""
    words: List[str] = []
    spaces: List[bool] = []
    starts: List[Any] = []
    found: List[List[List[Any]]] = []
    for doc in docs:
        offset = len(words)
        words += [token.text for token in doc]
        spaces += [bool(token.whitespace_) for token in doc][:-1] + [True]
        starts += [token.is_sent_start if token.i else True for token in doc]
        clusters = [[[s.start + offset, s.end + offset, s.label_] for s in c] for c in doc._.entity_clusters]
        found.append([cluster for cluster in clusters if all(end <= tokens for _, end, _ in cluster)])
        if len(words) >= tokens:
            break
    if len(words) < tokens or sum(map(len, found)) < entities:
        raise SystemExit(f"{len(docs)} documents are too few for {tokens} tokens with {entities} entities.")
    whole = Doc(nlp.vocab, words=words[:tokens], spaces=spaces[:tokens], sent_starts=starts[:tokens])
    # The first entity of every document, then the second of every one, and so on.
    rounds = (own[i] for i in range(max(map(len, found))) for own in found if i < len(own))
    chosen = sorted(islice(rounds, entities))
    whole._.entity_clusters = [[Span(whole, *mention) for mention in cluster] for cluster in chosen]
    whole.ents = spacy.util.filter_spans([span for cluster in whole._.entity_clusters for span in cluster])
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", type=Path, required=True, help="a trained pipeline of filter and extractor")
    parser.add_argument("--documents", type=Path, default=Path("corpus/redocred/test.spacy"))
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--entities", type=int, default=400)
    parser.add_argument("--max-distance", type=int, help="in place of the filter's own limit")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/long_document.json"))
    args = parser.parse_args()

    own = {} if args.max_distance is None else {f"components.{STAGES[0]}.max_distance": args.max_distance}
    nlp = spacy.load(args.pipeline, config=own)
    docs = [example.predicted for example in Corpus(args.documents)(nlp)]
    nlp(docs[0].copy())  # loads all weights
    doc = join(nlp, docs, args.tokens, args.entities)
    before = peak_memory()
    values: Dict[str, Any] = {
        "tokens": len(doc),
        "entities": len(doc._.entity_clusters),
        "max_distance": nlp.get_pipe(STAGES[0]).max_distance,
        "memory_before_mebibytes": before,
    }
    for stage in STAGES:
        started = time.perf_counter()
        doc = nlp.get_pipe(stage)(doc)
        values[f"{stage}_seconds"] = time.perf_counter() - started
        values[f"{stage}_peak_above_mebibytes"] = peak_memory() - before
    values.update(pairs_proposed=len(doc._.candidate_pairs), relations=len(doc._.relations))
    merge(args.output, "A long document, filter and extractor", {"long_document": values})
    print({key: round(value, 2) if isinstance(value, float) else value for key, value in values.items()})


if __name__ == "__main__":
    main()
