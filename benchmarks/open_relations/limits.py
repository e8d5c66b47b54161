"""The least probability of a relation before training, chosen on the ordinary paragraphs.

The development schemas of openrel are hard on purpose, so that a limit for a wanted precision there is far too strict
for ordinary text. So it is chosen on `corpora_src/paragraphs`: of the limits that reach `PRECISION`, the one that finds
most relations. Gold entities, the component's default settings.
"""

import json
from pathlib import Path
from typing import Dict, FrozenSet, List, Sequence, Set, Tuple

from spacy_ragre.components.relations.open_scorer import READER
from spacy_ragre.corpora.openrel import SourceSchema, component_labels
from spacy_ragre.files import atomic_write

from .. import paragraphs

PRECISION = 0.75
# Below this nothing is worth a look; a limit must leave so many relations that a lucky few decide nothing.
LEAST, FEW = 0.02, 50


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
    RETURNS (float): in the middle between two scores; that of the best precision, where none reaches it.
    """
    ordered = sorted(found, reverse=True)
    right, options = 0, []
    for count, (score, correct) in enumerate(ordered, 1):
        right += correct
        after = ordered[count][0] if count < len(ordered) else 0.0
        if count >= min(FEW, len(ordered)) and after < score:
            options.append((right / count, right, (score + after) / 2))
    enough = [option for option in options if option[0] >= precision]
    if enough:
        return max(enough, key=lambda option: option[1])[2]
    return max(options)[2] if options else 0.5


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
