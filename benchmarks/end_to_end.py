"""A pipeline on whole documents of Re-DocRED, with gold entities and with those that it finds and groups itself.

    python -m benchmarks.end_to_end --pipeline pipelines/en_ragre_wiki_sm --data assets/redocred/test_revised.json

Relations are between entities: a predicted entity counts as the gold one with which it shares most mentions, and a
mention is shared where its offsets are the same. A relation of an entity that is no gold one is wrong, and a gold one
whose entities are not found is missed. What the extractor itself can do shows in the recall of relations whose entities
were both found.
"""

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Set, Tuple

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_ragre.cli._util import pipe_names
from spacy_ragre.corpora import read_docred
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.relations import CLUSTERS_KEY, get_relations
from spacy_ragre.scoring import score_docred
from spacy_ragre.scoring.clusters import score_clusters
from spacy_ragre.scoring.entities import Argument, EntityMap

from .results import add_row

TITLE = "Re-DocRED end to end: entities and clusters, gold and found"


class Given(NamedTuple):
    """What a document is given before the pipeline runs.

    entities (bool): the gold mentions; else the pipeline finds its own.
    clusters (bool): the gold clusters.
    description (str): the row's.
    """

    entities: bool
    clusters: bool
    description: str


ROWS = {
    "gold entities": Given(True, True, "mentions, types and clusters are those of the data"),
    "own clusters": Given(True, False, "mentions and types are those of the data, and the pipeline groups them"),
    "own entities and clusters": Given(False, False, "the pipeline is given the tokens"),
}


def make_input(reference: Doc, given: Given) -> Doc:
    """RETURNS (Doc): what the pipeline gets of an annotated document."""
    doc = copy_input(reference, gold_ents=given.entities)
    if not given.clusters:
        doc.user_data.pop(CLUSTERS_KEY, None)
    return doc


def answer(nlp: Language, references: Iterable[Doc], given: Given) -> Tuple[List[Example], float]:
    """RETURNS (Tuple[List[Example], float]): the documents as the pipeline annotates them, and seconds a document."""
    examples = [Example(make_input(doc, given), doc) for doc in references]
    # What finds entities proposes none where they are given.
    finders = [name for name in pipe_names(nlp, "doc.ents") if given.entities]
    with nlp.select_pipes(disable=finders):
        started = time.perf_counter()
        for example, doc in zip(examples, nlp.pipe([example.predicted for example in examples])):
            example.predicted = doc
        seconds = time.perf_counter() - started
    return examples, seconds / len(examples)


def score(examples: List[Example]) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): official precision, recall and F1; B-cubed of the clusters; the share of the gold
    mentions that were found; and the recall of relations whose entities both were. All from 0 to 1.
    """
    mentions = found = reached = right = 0
    for example in examples:
        entities = EntityMap(example)
        own = {entities.own_offsets(ent) for ent in example.predicted.ents}
        gold = {entities.gold_offsets(span) for cluster in entities.gold_clusters for span in cluster}
        mentions += len(gold)
        found += len(gold & own)
        predicted = {
            (entities.predicted(rel.head, rel.head_cluster), entities.predicted(rel.tail, rel.tail_cluster), rel.label)
            for rel in get_relations(example.predicted)
        }
        known = _found_entities(entities, own)
        for rel in get_relations(example.reference):
            pair = entities.gold(rel.head, rel.head_cluster), entities.gold(rel.tail, rel.tail_cluster)
            if known.issuperset(pair):
                reached += 1
                right += (*pair, rel.label) in predicted
    scores = score_docred(examples)
    official = {
        "docred_f": scores["docred_f"],
        "relations_p": scores["docred_p"],
        "relations_r": scores["docred_r"],
        "relations_reached_r": right / reached if reached else 0.0,
        "entities_r": found / mentions if mentions else 0.0,
    }
    return {**official, **score_clusters(examples)}


def _found_entities(entities: EntityMap, own: "Set[Tuple[int, int]]") -> Set[Argument]:
    """RETURNS (Set[Tuple[str, int, int]]): the gold entities of which a mention was found."""
    return {
        ("cluster", number, 0)
        for number, cluster in enumerate(entities.gold_clusters)
        if any(entities.gold_offsets(span) in own for span in cluster)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", required=True, help="folder or package that finds entities and relations")
    parser.add_argument("--data", type=Path, default=Path("assets/redocred/test_revised.json"))
    parser.add_argument("--rows", default=";".join(ROWS), help="separated by semicolons")
    parser.add_argument("--limit", type=int, default=0, help="score the first so many documents; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="the seed that the pipeline was trained with")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/end_to_end.json"))
    args = parser.parse_args()

    nlp = spacy.load(args.pipeline)
    references = list(islice(read_docred(args.data, nlp), args.limit or None))
    split = f"test, the first {len(references)}" if args.limit else f"test ({len(references)})"
    for name in (row.strip() for row in args.rows.split(";")):
        examples, seconds = answer(nlp, references, ROWS[name])
        scores = score(examples)
        about = {"name": name, "description": ROWS[name].description, "split": split}
        add_row(args.output, TITLE, about, args.seed, scores, {"seconds_a_document": seconds})
        print(name, {key: round(value, 4) for key, value in scores.items()}, f"{seconds:.1f} s a document", flush=True)


if __name__ == "__main__":
    main()
