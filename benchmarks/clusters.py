"""Which mentions name one entity: B-cubed of `entity_clusterer` on Re-DocRED's development documents.

    python -m benchmarks.clusters --data assets/redocred/dev_revised.json

Gold mentions are given, with their types, and the clusters are those of the component. The rules were chosen on the
first half of the documents; the figures of the second half are the ones to look at. Pronouns and noun phrases are no
mentions there, so that their rules show in the last row only where they take a name for another one's.
"""

import argparse
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import spacy
from spacy.language import Language
from spacy.training import Example

from spacy_ragre import EntityClusterer
from spacy_ragre.bundled import BUNDLED
from spacy_ragre.corpora.docred import read_docred
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.relations import CLUSTERS_KEY, cluster_entities
from spacy_ragre.scoring.clusters import score_clusters

from .results import add_row

TITLE = "Re-DocRED, mentions of one entity"
PIPELINE = "en_core_web_sm"
SPANS_KEY = "mentions"
NAMES_ALONE = {"noun_phrases": False, "pronouns": False}
# Settings of the component by the row's name; None for no component.
ROWS: Dict[str, Optional[Dict[str, Any]]] = {
    "exact text": None,
    "names, no parts": {**NAMES_ALONE, "partial_names": False},
    "names, no acronyms": {**NAMES_ALONE, "acronyms": False},
    "names": NAMES_ALONE,
    "names and demonyms": {**NAMES_ALONE, "demonyms": True},
    "all rules": {},
}
DESCRIPTIONS = {
    "exact text": "mentions with one text and type; what all components do without the clusterer",
    "names, no parts": "partial_names = false",
    "names, no acronyms": "acronyms = false",
    "names": "noun_phrases = false, pronouns = false",
    "names and demonyms": "demonyms = true, too",
    "all rules": f"the default; parsed by {PIPELINE}",
}


def read(path: Path, nlp: Language) -> List[Example]:
    """RETURNS (List[Example]): the documents, the predicted ones with parse and gold mentions, and without clusters."""
    examples = []
    for reference in read_docred(path, nlp, spans_key=SPANS_KEY):
        doc = copy_input(reference)
        del doc.user_data[CLUSTERS_KEY]
        for _, pipe in nlp.pipeline:
            doc = pipe(doc)
        examples.append(Example(doc, reference))
    return examples


def measure(examples: List[Example], clusterer: Optional[EntityClusterer]) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): scores, phrases that were added to a document, and documents a second."""
    added = 0
    seconds = 0.0
    for example in examples:
        doc = example.predicted
        started = time.perf_counter()
        if clusterer is None:
            doc._.entity_clusters = cluster_entities(doc, list(doc.spans[SPANS_KEY]))
        else:
            clusterer(doc)
        seconds += time.perf_counter() - started
        added += sum(not span.label_ for cluster in doc._.entity_clusters for span in cluster)
    scores = score_clusters(examples, spans_key=SPANS_KEY)
    for example in examples:
        del example.predicted.user_data[CLUSTERS_KEY]
    return {**scores, "phrases_a_document": added / len(examples), "documents_per_second": len(examples) / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("assets/redocred/dev_revised.json"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/clusters.json"))
    args = parser.parse_args()

    nlp = spacy.load(BUNDLED[PIPELINE].module, disable=["ner"])
    examples = read(args.data, nlp)
    half = len(examples) // 2
    parts = {
        f"documents 1 to {half}, which the rules were chosen on": examples[:half],
        f"documents {half + 1} to {len(examples)}": examples[half:],
    }
    for split, part in parts.items():
        for name, settings in ROWS.items():
            clusterer = None if settings is None else EntityClusterer(nlp.vocab, spans_key=SPANS_KEY, **settings)
            scores = measure(part, clusterer)
            costs = {"documents_per_second": scores.pop("documents_per_second")}
            add_row(
                args.output, TITLE, {"name": name, "description": DESCRIPTIONS[name], "split": split}, 0, scores, costs
            )
            print(split, name, {key: round(value, 4) for key, value in {**scores, **costs}.items()}, flush=True)


if __name__ == "__main__":
    main()
