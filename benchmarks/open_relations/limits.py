"""The least probability of a relation before training, chosen on the ordinary paragraphs.

The development schemas of openrel are hard on purpose, so that a limit for a wanted precision there is far too strict
for ordinary text. So it is chosen on `corpora_src/paragraphs`: of the limits that reach a precision, the one that finds
most relations. The component's default settings; once with gold entities and once with those that en_core_web_sm and
`entity_phrases` find, where types may only be near.

    python -m benchmarks.open_relations.limits    # what such a limit gives on subjects that it was not chosen on
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

PRECISION, FOUND_PRECISION = 0.75, 0.7
# Below this nothing is worth a look; a limit must leave so many relations that a lucky few decide nothing.
LEAST, FEW = 0.02, 50
# So many times recall weighs as much as precision, once the precision is reached.
RECALL = 100.0


def scored(
    schemas: Sequence[SourceSchema], weights: str, types: bool, entities: str = "gold"
) -> Tuple[List[Tuple[float, bool]], int]:
    """RETURNS (Tuple[List[Tuple[float, bool]], int]): score and correctness of each relation between names that is
    found with a limit of `LEAST`, and the number of gold ones.
    """
    found: List[Tuple[float, bool]] = []
    total = 0
    for schema in schemas:
        labels = component_labels(schema, types=types)
        nlp = paragraphs.make_pipeline(labels, "open", entities, weights=weights, threshold=LEAST)
        symmetric: FrozenSet[str] = frozenset(label.name for label in schema.labels.values() if label.symmetric)
        for text in schema.texts:
            doc = nlp(paragraphs.with_gold(nlp, text) if entities == "gold" else text.text)
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
    RETURNS (Dict[str, float]): the limit with entity types ("types") and without ("no_types"), and the same for
        entities that are found ("types_found" and "no_types_found").
    """
    schemas = paragraphs.read()
    limits = {
        f"{kind}{ending}": choose(scored(schemas, str(folder), kind == "types", entities)[0], precision)
        for entities, ending, precision in (("gold", "", PRECISION), ("phrases", "_found", FOUND_PRECISION))
        for kind in ("types", "no_types")
    }
    path = folder / f"{READER}.json"
    known = json.loads(path.read_text(encoding="utf8"))
    known["decision"] = limits
    with atomic_write(path) as file_:
        file_.write((json.dumps(known, indent=1) + "\n").encode("utf8"))
    return limits


def held_out(
    schemas: Sequence[SourceSchema], weights: str, types: bool, entities: str, precision: float
) -> Tuple[float, float]:
    """RETURNS (Tuple[float, float]): precision and recall where each subject has the limit that others chose.

    schemas (Sequence[SourceSchema]): the subjects.
    weights (str): a folder of weights, or "open".
    types, entities: as for `scored`.
    precision (float): as for `choose`.
    """
    parts = [scored([schema], weights, types, entities) for schema in schemas]
    kept: List[bool] = []
    for left, (found, _) in enumerate(parts):
        limit = choose([item for i, (others, _) in enumerate(parts) if i != left for item in others], precision)
        kept += [right for score, right in found if score > limit]
    return sum(kept) / max(1, len(kept)), sum(kept) / sum(total for _, total in parts)


if __name__ == "__main__":
    for entities, precision in (("gold", PRECISION), ("phrases", FOUND_PRECISION)):
        for types in (True, False):
            right, found = held_out(paragraphs.read(), "open", types, entities, precision)
            print(f"{entities}, types {types}: precision {right:.3f}, recall {found:.3f}", flush=True)
