"""How much examples count under open labels: centre and variance, chosen on openrel's development schemas.

Texts are drawn until each label of a schema has so many examples; all pairs of a drawn text are told. What is measured
is the rest of the schema.
"""

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

import numpy as np

from spacy_ragre.components.relations.label_words import open_labels
from spacy_ragre.components.relations.open_examples import ExampleSettings, first_rows, pack_vector, weigh
from spacy_ragre.components.relations.open_labels import NEVER, OpenText, PairReadings, by_text, group_pairs
from spacy_ragre.components.relations.open_rivals import rivals_of_rows
from spacy_ragre.components.relations.open_scorer import READER, OpenScorer
from spacy_ragre.corpora.openrel import SourceSchema, component_labels
from spacy_ragre.entity_types import STRICT
from spacy_ragre.files import atomic_write
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet

from ..zero_shot import each_text, gold_of

COUNTS = (1, 2, 5, 10)  # examples a label
DRAWS = 5
# What is tried, and on which draws.
VARIANCES = (1.0, 2.0, 4.0)
CHOSEN_ON = ((1, 5), 2)
# Of a schema's texts, at least this share is left to be measured.
LEFT = 0.4
KINDS = {"types": True, "no_types": False}

# Right answers, answers, and gold relations.
Hits = np.ndarray


@dataclass(frozen=True)
class ReadSchema:
    """A schema whose texts were read, P pairs in all.

    pairs, odds (PairReadings, np.ndarray): what was read, and calibrated log-odds. *Shape* of `odds`: (P, L)
    examples (List[List[Instance]]): the pairs of each text with their answers.
    places (List[List[Tuple[int, int, int]]]): for each, its text and the rows of its two directions there.
    gold (np.ndarray): which labels hold of the pairs. *Shape:* (P, L)
    decision (float): a relation must be likelier than this.
    """

    name: str
    labels: LabelSet
    texts: List[OpenText]
    pairs: PairReadings
    odds: np.ndarray
    examples: List[List[Instance]]
    places: List[List[Tuple[int, int, int]]]
    gold: np.ndarray
    decision: float


def read_schemas(scorer: OpenScorer, schemas: Sequence[SourceSchema]) -> Dict[str, List[ReadSchema]]:
    """RETURNS (Dict[str, List[ReadSchema]]): the schemas as they are read with and without entity types.

    scorer (OpenScorer): has the reader.
    schemas (Sequence[SourceSchema]): the schemas.
    """
    return {kind: [_read(scorer, schema, types) for schema in schemas] for kind, types in KINDS.items()}


def _read(scorer: OpenScorer, schema: SourceSchema, types: bool) -> ReadSchema:
    labels = LabelSet(component_labels(schema, types=types))
    every: List[Instance] = []
    for _, _, text, asked in each_text([schema], types):
        gold = gold_of(text, schema)
        for (first, second), pair in asked:
            own = [Answer(label, head == second) for head, label, tail in gold if {head, tail} == {first, second}]
            every.append(replace(pair, answers=tuple(own)))
    texts, places = group_pairs(every)
    pairs, odds = scorer.odds(texts, labels)
    holds = np.zeros(odds.shape, dtype=bool)
    firsts, names = first_rows(texts), list(labels)
    own_examples: List[List[Instance]] = [[] for _ in texts]
    own_places: List[List[Tuple[int, int, int]]] = [[] for _ in texts]
    for example, (number, ahead, back) in zip(every, places):
        own_examples[number].append(example)
        own_places[number].append((number, ahead, back))
        for answer in example.answers or ():
            ways = (ahead, back) if labels.specs[answer.label].symmetric else ((ahead, back)[answer.reversed],)
            holds[[firsts[number] + way for way in ways], names.index(answer.label)] = True
    rivals = scorer.rival_settings(labels)
    if rivals is not None:
        odds = odds + rivals_of_rows(every, places, texts, labels, STRICT, rivals)
    decision = scorer.decision(labels)
    return ReadSchema(schema.name, labels, texts, pairs, odds, own_examples, own_places, holds, decision)


def draw(schema: ReadSchema, count: int, seed: int) -> List[int]:
    """RETURNS (List[int]): the texts that are told, by their numbers.

    count (int): examples a label. A label has fewer where the schema has too few, and more where texts hold several.
    seed (int): of the draw.
    """
    rng = random.Random(1000 * seed + count)
    order = list(range(len(schema.texts)))
    rng.shuffle(order)
    have = dict.fromkeys(schema.labels, 0)
    chosen: List[int] = []
    for number in order:
        held = [answer.label for pair in schema.examples[number] for answer in pair.answers or ()]
        if len(chosen) < (1 - LEFT) * len(order) and any(have[label] < count for label in held):
            chosen.append(number)
            for label in held:
                have[label] += 1
    return chosen


def tell(schema: ReadSchema, told: Sequence[int], settings: ExampleSettings) -> np.ndarray:
    """RETURNS (np.ndarray): log-odds of the schema's pairs once some texts are told. *Shape:* (P, L)"""
    examples = [pair for number in told for pair in schema.examples[number]]
    places = [place for number in told for place in schema.places[number]]
    before = np.concatenate(by_text(schema.odds, schema.texts, open_labels(schema.labels)))
    firsts = first_rows(schema.texts)
    evidence = weigh(examples, places, firsts, schema.pairs, before, schema.labels, settings)
    odds: np.ndarray = schema.odds + evidence.added(schema.pairs.vectors, schema.texts, [set() for _ in schema.texts])
    return odds


def measure(schema: ReadSchema, odds: np.ndarray, told: Sequence[int]) -> Hits:
    """The best label and direction of each pair where it is likely enough, as the component answers it.

    RETURNS (Hits): of the texts that were not told. *Shape:* (3,)
    """
    odds = np.concatenate(by_text(odds, schema.texts, open_labels(schema.labels)))
    symmetric = np.array([spec.symmetric for spec in schema.labels.specs.values()])
    firsts = first_rows(schema.texts)
    left = sorted(set(range(len(schema.texts))) - set(told))
    places = [(firsts[n] + ahead, firsts[n] + back) for n in left for _, ahead, back in schema.places[n]]
    ahead, back = np.array(places).reshape(-1, 2).T
    scores = np.concatenate([odds[ahead], np.where(symmetric, NEVER, odds[back])], axis=1)
    gold = np.concatenate([schema.gold[ahead], schema.gold[back] & ~symmetric], axis=1)
    rows, best = np.arange(len(scores)), scores.argmax(1)
    said = 1 / (1 + np.exp(-scores[rows, best])) > schema.decision
    return np.array([(gold[rows, best] & said).sum(), said.sum(), gold.sum()])


def scores_of(hits: Hits) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): micro precision, recall and F1, from 0 to 1."""
    right, said, gold = (float(value) for value in hits)
    return {
        "relations_p": right / max(1.0, said),
        "relations_r": right / max(1.0, gold),
        "relations_f": 2 * right / max(1.0, said + gold),
    }


def centre_of(schemas: Sequence[ReadSchema], leave_out: str = "") -> np.ndarray:
    """RETURNS (np.ndarray): the mean vector of pairs, each schema counting the same. *Shape:* (views,)"""
    means = {schema.name: schema.pairs.vectors[~np.isnan(schema.pairs.related)].mean(0) for schema in schemas}
    mean: np.ndarray = np.mean([means[name] for name in _others(means, leave_out)], axis=0)
    return mean


def _others(names: Iterable[str], leave_out: str) -> List[str]:
    """RETURNS (List[str]): all names but one, or the only one that there is."""
    return [name for name in names if name != leave_out] or [leave_out]


def fit(schemas: Dict[str, List[ReadSchema]]) -> Dict[str, Any]:
    """Choose centre and variance.

    schemas (Dict[str, List[ReadSchema]]): openrel's development schemas.
    RETURNS (Dict[str, Any]): `examples` of the file beside the weights. `held_out` is the variance that is chosen
        without a schema, so that it can be measured there.
    """
    out: Dict[str, Any] = {}
    centres = []
    for kind, read in schemas.items():
        counts, draws = CHOSEN_ON
        tried: Dict[float, Dict[str, Hits]] = {}
        for variance in VARIANCES:
            tried[variance] = {}
            for schema in read:
                settings = ExampleSettings(centre_of(read, schema.name), variance)
                drawn = [draw(schema, count, seed) for count in counts for seed in range(draws)]
                hits = [measure(schema, tell(schema, told, settings), told) for told in drawn]
                tried[variance][schema.name] = np.sum(hits, axis=0)
        chosen = {schema.name: _best(tried, schema.name) for schema in read}
        out[kind] = {"variance": _best(tried), "held_out": chosen}
        centres.append(centre_of(read))
    return {"centre": pack_vector(np.mean(centres, axis=0)), **out}


def _best(tried: Dict[float, Dict[str, Hits]], leave_out: str = "") -> float:
    """RETURNS (float): the variance with the best F1 over all schemas but one."""
    f1 = {}
    for variance, schemas in tried.items():
        hits = np.sum([schemas[name] for name in _others(schemas, leave_out)], axis=0)
        f1[variance] = scores_of(hits)["relations_f"]
    return max(f1, key=lambda variance: f1[variance])


def write_fit(weights: Path, schemas: Dict[str, List[ReadSchema]]) -> None:
    """Write what is chosen into the file beside the weights.

    weights (Path): the folder.
    schemas (Dict[str, List[ReadSchema]]): openrel's development schemas.
    """
    path = weights / f"{READER}.json"
    known = {**json.loads(path.read_text(encoding="utf8")), "examples": fit(schemas)}
    with atomic_write(path) as file:
        file.write((json.dumps(known, indent=1) + "\n").encode("utf8"))


def held_out(read: Sequence[ReadSchema], variances: Mapping[str, float]) -> Dict[int, List[Tuple[Hits, Hits]]]:
    """Every schema with the centre and the variance that were chosen on the others.

    read (Sequence[ReadSchema]): the schemas.
    variances (Mapping[str, float]): the variance for each.
    RETURNS (Dict[int, List[Tuple[Hits, Hits]]]): for each number of examples, of every draw what is right without and
        with them, over all schemas.
    """
    out: Dict[int, List[Tuple[Hits, Hits]]] = {}
    for count in COUNTS:
        for seed in range(DRAWS):
            before, after = np.zeros(3), np.zeros(3)
            for schema in read:
                told = draw(schema, count, seed)
                settings = ExampleSettings(centre_of(read, schema.name), variances[schema.name])
                before += measure(schema, schema.odds, told)
                after += measure(schema, tell(schema, told, settings), told)
            out.setdefault(count, []).append((before, after))
    return out
