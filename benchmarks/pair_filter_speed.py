"""How many Re-DocRED documents a second the filter of candidate pairs reads, with every engine, next to the published
code of ATLOP (Zhou et al. 2021, arXiv 2010.11304) with the same encoder on the same documents.

    git clone https://github.com/wzhouad/ATLOP
    pip install ujson opt_einsum
    python -m benchmarks.pair_filter_speed --atlop ATLOP --pipeline training/redocred-filter/model-best

All take turns in one process, several times over, and the median time counts. What ATLOP takes does not depend on its
weights, so that these are not trained. Both start from documents with entities: reading of word pieces is counted.
"""

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List

import spacy
from tqdm import tqdm

from spacy_ragre.corpora import Corpus
from spacy_ragre.llm.runtime.openvino import ENGINES
from spacy_ragre.relations import ID_KEY

from .atlop import Atlop
from .pair_filter import NAME, decisions
from .results import add_row

TITLE = "Re-DocRED, speed of scoring all pairs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlop", type=Path, required=True, help="a checkout of the published code")
    parser.add_argument("--pipeline", type=Path, required=True, help="a trained pipeline with the filter")
    parser.add_argument("--test", type=Path, default=Path("corpus/redocred/test.spacy"))
    parser.add_argument("--documents", type=Path, default=Path("assets/redocred/test_revised.json"))
    parser.add_argument("--limit", type=int, default=64, help="documents, a seeded subset")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/pair_filter_speed.json"))
    args = parser.parse_args()

    runs: Dict[str, Callable[[], Any]] = {}
    titles: List[str] = []
    encoder = ""
    for engine in ENGINES:
        nlp = spacy.load(args.pipeline, config={f"components.{NAME}.model.encoder.engine": engine})
        pipe: Any = nlp.get_pipe(NAME)
        examples = list(Corpus(args.test, limit=args.limit, seed=0)(nlp))
        titles = [example.reference.user_data[ID_KEY] for example in examples]
        encoder = pipe.shim.encoder.name
        runs[engine] = partial(decisions, pipe, examples)

    known = {document["title"]: document for document in json.loads(args.documents.read_text(encoding="utf8"))}
    documents = [known[title] for title in titles]
    names = sorted({label["r"] for document in known.values() for label in document["labels"]})
    atlop = Atlop(args.atlop, {"Na": 0, **{name: i for i, name in enumerate(names, 1)}}, encoder)
    runs["ATLOP"] = lambda: atlop.logits(atlop.features(documents))

    seconds: Dict[str, List[float]] = {name: [] for name in runs}
    for turn in tqdm(range(args.repeats + 1), desc="turns"):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if turn:  # the first compiles, and fills caches
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    for name, median in medians.items():
        costs = {"documents_per_second": len(documents) / median, "times_atlop": medians["ATLOP"] / median}
        row = {
            "name": name if name == "ATLOP" else f"pair_candidate_filter, {name}",
            "description": "published code, untrained" if name == "ATLOP" else "trained",
            "split": f"test, seeded subset ({len(documents)})",
        }
        add_row(args.output, TITLE, row, 0, {}, costs)
        print(row["name"], {key: round(value, 2) for key, value in costs.items()}, flush=True)


if __name__ == "__main__":
    main()
