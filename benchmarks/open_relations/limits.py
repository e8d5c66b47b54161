"""The least probability of a relation before training, chosen on the ordinary paragraphs.

The development schemas of openrel are hard on purpose, so that a limit for a wanted precision there is far too strict
for ordinary text. So it is chosen on `corpora_src/paragraphs`: of the limits that reach `PRECISION`, the one that finds
most relations. Gold entities, the component's default settings.
"""

import json
import math
from pathlib import Path
from typing import Dict, FrozenSet, List, Sequence, Set, Tuple

import numpy as np

from spacy_ragre.components.relations.open_scorer import READER
from spacy_ragre.corpora.openrel import SourceSchema, component_labels
from spacy_ragre.files import atomic_write

from .. import paragraphs
from . import evaluate

PRECISION = 0.75
# Below this nothing is worth a look; a limit must leave so many relations that a lucky few decide nothing.
LEAST, FEW = 0.02, 50
# So many times recall weighs as much as precision, once the precision is reached.
RECALL = 100.0


def scored(schemas: Sequence[SourceSchema], weights: str, types: bool) -> Tuple[List[Tuple[float, bool]], int]:
    """RETURNS (Tuple[List[Tuple[float, bool]], int]): score and correctness of each relation between names that is
    found with a limit of `LEAST`, and the number of gold ones.
    """
    found: List[Tuple[float, bool]] = []
    total = 0
    for schema in schemas:
        config = {"weights": weights, "threshold": LEAST}
        nlp = paragraphs.make_pipeline(component_labels(schema, types=types), "open", "gold", **config)
        symmetric: FrozenSet[str] = frozenset(label.name for label in schema.labels.values() if label.symmetric)
        for text in schema.texts:
            doc = nlp(paragraphs.with_gold(nlp, text))
            best: Dict[paragraphs.Fact, float] = {}
            for relation in doc._.relations:
                fact = paragraphs.predicted_fact(relation, text, symmetric)
                best[fact] = max(relation.score, best.get(fact, 0.0))
            gold: Set[paragraphs.Fact] = paragraphs.gold_facts(text, symmetric)
            found += [(score, fact in gold) for fact, score in best.items()]
            total += len(gold)
    return found, total


def choose(found: Sequence[Tuple[float, bool]], precision: float = PRECISION) -> float:
    """The limit that finds most relations with at least this precision.

    found (Sequence[Tuple[float, bool]]): score and correctness of each relation.
    precision (float): from 0 to 1.
    RETURNS (float): in the middle between two scores; where none reaches the precision, one that finds most.
    """
    scores, right = (np.array(column) for column in zip(*found)) if found else (np.zeros(0), np.zeros(0, dtype=bool))
    decisions = evaluate.Decisions(scores, right, np.ones(len(found), dtype=bool), int(right.sum()))
    for wanted in (precision, 0.0):
        limit = evaluate.best_threshold(decisions, precision=wanted, beta=RECALL, least=min(FEW, len(found)))
        if math.isfinite(limit):
            return max(limit, LEAST)  # there is nothing below it
    return 0.5


def write_limits(folder: Path) -> Dict[str, float]:
    """Write the limits into the description of weights.

    folder (Path): the weights with their description.
    RETURNS (Dict[str, float]): the limit with entity types ("types") and without ("no_types").
    """
    schemas = paragraphs.read()
    limits = {
        kind: choose(scored(schemas, str(folder), types)[0]) for kind, types in (("types", True), ("no_types", False))
    }
    path = folder / f"{READER}.json"
    known = json.loads(path.read_text(encoding="utf8"))
    known["decision"] = limits
    with atomic_write(path) as file_:
        file_.write((json.dumps(known, indent=1) + "\n").encode("utf8"))
    return limits
