"""The least probability of a relation before training, chosen on the ordinary paragraphs and on held-out passages.

The development schemas of openrel are hard on purpose, so that a limit for a wanted precision there is far too strict
for ordinary text. So it is chosen on `corpora_src/paragraphs`, and with gold entities on the held-out tenth of
`corpora_src/passages`, too, whose subjects are many more: of the limits that reach a precision, the one that finds most
relations, on the paragraphs and on all together; the stricter one counts. The component's default settings; once with
gold entities, once with those that en_core_web_sm finds, alone and with `entity_phrases`, where types may only be near,
and once with those that `open_entities` finds.

Relations across sentences are rarer and harder, so that they have a limit of their own: of those with which all
together, also those of single sentences, keep a precision, that which finds most.
(Alone, hardly any of them reach `PRECISION`.) Since paragraphs are few, the description of the weights also says what
limits give that were chosen without the subject that they are measured on.

Before the limits, it is fitted how much a pair's rivals count (`open_rivals`): on all of these paragraphs, also for the
figures of limits that were chosen on other subjects, and on the development schemas, whose texts are short.

    python -m benchmarks.open_relations.limits    # what such limits give on subjects that they were not chosen on
"""

import json
import math
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Sequence, Set, Tuple

import numpy as np
from spacy.language import Language

from spacy_ragre.calibration.platt import fit_logistic
from spacy_ragre.candidates import Candidate
from spacy_ragre.components.relations.component import RagRelationExtractor
from spacy_ragre.components.relations.open_rivals import COUNTS, count_rivals
from spacy_ragre.components.relations.open_scorer import FOUND, NAMED, PHRASES, READER, OpenScorer
from spacy_ragre.corpora.openrel import SourceSchema, component_labels
from spacy_ragre.files import atomic_write
from spacy_ragre.labels import LabelSet
from spacy_ragre.llm.remote.backbone import Documents

from .. import paragraphs
from . import evaluate, passages

# What limits aim at, by whether labels have types and by what finds the entities; gold ones where nothing is said. More
# than the 0.7 that is wanted, since other text costs precision: on the test paragraphs, limits for 0.75 with types and
# gold entities had 0.69, and those for 0.73 of found entities with types 0.66 to 0.68.
PRECISION = {
    "types": 0.79, "types_found": 0.76, "types_phrases": 0.76, "types_named": 0.76,
    "no_types": 0.75, "no_types_found": 0.73, "no_types_phrases": 0.73, "no_types_named": 0.76,
}  # fmt: skip
# By how much those of one sentence must be better than all together, to leave room for those across.
WITHIN = 0.01
# Below this nothing is worth a look; a limit must leave so many relations that a lucky few decide nothing.
LEAST, FEW = 0.02, 50
# Of a feature that says nothing, `fit_logistic` leaves less than this of its standard deviation.
IDLE = 2e-3
# So many times recall weighs as much as precision, once the precision is reached.
RECALL = 100.0


class Found(NamedTuple):
    """A relation between names that was found.

    subject (str): its schema.
    within (float): its best score in one sentence, from 0 to 1; 0 where it was found in none.
    across (float): that over two sentences.
    right (bool): whether it is gold.
    """

    subject: str
    within: float
    across: float
    right: bool


def scored(
    schemas: Sequence[SourceSchema], weights: str, types: bool, entities: str = "gold"
) -> Tuple[List[Found], Dict[str, int]]:
    """RETURNS (Tuple[List[Found], Dict[str, int]]): what is found with a limit of `LEAST`, and the number of gold
    relations of each subject.
    """
    found: List[Found] = []
    total: Dict[str, int] = {}
    scorer = OpenScorer(weights)
    for schema in schemas:
        nlp, symmetric = _pipeline(schema, types, entities, weights)
        _extractor(nlp).predictor.open.reader = scorer.reader
        for text in schema.texts:
            doc = nlp(paragraphs.with_gold(nlp, text) if entities == "gold" else text.text)
            best: Dict[paragraphs.Fact, List[float]] = {}
            for relation in doc._.relations:
                scores = best.setdefault(paragraphs.predicted_fact(relation, text, symmetric), [0.0, 0.0])
                across = relation.head.sent != relation.tail.sent
                scores[across] = max(relation.score, scores[across])
            gold: Set[paragraphs.Fact] = paragraphs.gold_facts(text, symmetric)
            found += [Found(schema.name, near, far, fact in gold) for fact, (near, far) in best.items()]
            total[schema.name] = total.get(schema.name, 0) + len(gold)
    return found, total


def _pipeline(schema: SourceSchema, types: bool, entities: str, weights: str) -> Tuple[Language, FrozenSet[str]]:
    """RETURNS (Tuple[Language, FrozenSet[str]]): the pipeline for a schema, with a limit of `LEAST`, and the symmetric
    labels.
    """
    labels = component_labels(schema, types=types)
    nlp = paragraphs.make_pipeline(labels, "open", entities, weights=weights, threshold=LEAST)
    return nlp, frozenset(label.name for label in schema.labels.values() if label.symmetric)


def _extractor(nlp: Language) -> RagRelationExtractor:
    extractor = nlp.get_pipe(paragraphs.NAME)
    assert isinstance(extractor, RagRelationExtractor)
    return extractor


class Recorder(OpenScorer):
    """Takes nothing off for rivals, and keeps the counts of what was asked."""

    def __init__(self, weights: str) -> None:
        super().__init__(weights)
        # By label, head and tail, as tokens from and to.
        self.counts: Dict[Tuple[str, Tuple[int, int], Tuple[int, int]], np.ndarray] = {}

    def rivals(self, candidates: Sequence[Candidate], labels: LabelSet, documents: Documents) -> float:
        for candidate, own in zip(candidates, count_rivals(candidates, labels, self.types, documents)):
            for answer, counts in zip(labels.classes, own):
                if answer is not None:
                    head, tail = candidate.first, candidate.second
                    if answer.reversed:
                        head, tail = tail, head
                    self.counts[answer.label, head, tail] = counts
                    if labels.specs[answer.label].symmetric:
                        self.counts[answer.label, tail, head] = counts
        return 0.0


def fit_rivals(schemas: Sequence[SourceSchema], weights: str, types: bool) -> Dict[str, List[float]]:
    """RETURNS (Dict[str, List[float]]): how much rivals count, and how many of them relations have, as `rival_odds`
    takes them. Rivals never make a relation likelier.
    """
    rows: List[List[float]] = []
    right: List[bool] = []
    recorder = Recorder(weights)
    for schema in schemas:
        nlp, symmetric = _pipeline(schema, types, "gold", weights)
        _extractor(nlp).predictor.open = recorder
        for text in schema.texts:
            recorder.counts.clear()
            best: Dict[Tuple[paragraphs.Fact, bool], List[float]] = {}
            for relation in nlp(paragraphs.with_gold(nlp, text))._.relations:
                head, tail = ((span.start, span.end) for span in (relation.head, relation.tail))
                score = min(relation.score, 1 - 1e-6)
                across = relation.head.sent != relation.tail.sent
                fact = paragraphs.predicted_fact(relation, text, symmetric)
                row = [
                    math.log(score / (1 - score)),
                    -float(across),
                    *-recorder.counts[relation.label, head, tail],
                ]
                best[fact, across] = max(row, best.get((fact, across), row))
            gold = paragraphs.gold_facts(text, symmetric)
            rows += best.values()
            right += [fact in gold for fact, _ in best]
    features, targets = np.array(rows), np.array(right)
    kept = list(range(features.shape[1]))
    while True:
        fitted, _ = fit_logistic(features[:, kept], targets)
        idle = [
            column for column, weight in zip(kept, fitted) if column > 1 and weight * features[:, column].std() < IDLE
        ]
        if not idle:
            break
        kept = [column for column in kept if column not in idle]
    slopes = dict(zip(kept, fitted / fitted[0]))
    return {
        "weights": [round(float(slopes.get(column, 0.0)), 4) for column in range(2, 2 + COUNTS)],
        "centre": [round(float(value), 4) for value in -features[targets, 2:].mean(axis=0)],
    }


def choose(found: Sequence[Tuple[float, bool]], precision: float) -> float:
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


def choose_across(found: Sequence[Found], within: float, precision: float) -> float:
    """The limit across sentences that finds most relations, so that all together have at least this precision.

    found (Sequence[Found]): what was found.
    within (float): the limit for those of one sentence.
    precision (float): from 0 to 1.
    RETURNS (float): in the middle between two scores, not less than `within`; 1 where none is good enough.
    """
    kept = [item.right for item in found if item.within > within]
    more = sorted(((item.across, item.right) for item in found if item.within <= within), reverse=True)
    limit, right = 1.0, sum(kept)
    for count, (score, good) in enumerate(more, 1):
        right += good
        following = more[count][0] if count < len(more) else 0.0
        if score > following and right / (len(kept) + count) >= precision:
            limit = (score + following) / 2
    return max(limit, within)


def choose_both(found: Sequence[Found], precision: float) -> Tuple[float, float]:
    """RETURNS (Tuple[float, float]): the limit in one sentence, for a precision, and the one across sentences, for one
    that is less by `WITHIN`, of all together.
    """
    within = choose([(item.within, item.right) for item in found if item.within], precision)
    return within, choose_across(found, within, precision - WITHIN)


def choose_stricter(found: Sequence[Found], more: Sequence[Found], precision: float) -> Tuple[float, float]:
    """RETURNS (Tuple[float, float]): of the limits chosen on what was found in the paragraphs (`found`), and on that
    and what was found in passages (`more`), the higher ones.
    """
    within, across = zip(*(choose_both(items, precision) for items in (found, [*found, *more])))
    return max(within), max(across)


def held_out(
    found: Sequence[Found], total: Mapping[str, int], precision: float, more: Sequence[Found] = ()
) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): precision and recall in percent, each subject with limits chosen on the others."""
    right = kept = 0
    for subject in total:
        within, across = choose_stricter([item for item in found if item.subject != subject], more, precision)
        own = [item for item in found if item.subject == subject and (item.within > within or item.across > across)]
        right += sum(item.right for item in own)
        kept += len(own)
    return {"p": round(100 * right / max(1, kept), 1), "r": round(100 * right / max(1, sum(total.values())), 1)}


def write_limits(folder: Path, dev: Sequence[SourceSchema]) -> Dict[str, Dict[str, Any]]:
    """Write the limits into the description of weights.

    folder (Path): the weights with their description.
    dev (Sequence[SourceSchema]): openrel's development schemas.
    RETURNS (Dict[str, Dict[str, Any]]): what was written: how much rivals count; the limits with entity types ("types")
        and without ("no_types"), the same for entities that a recogniser finds ("types_found" and "no_types_found"),
        with `entity_phrases` ("types_phrases", ...) and for those of `open_entities` ("types_named", ...), in one
        sentence and across sentences, and what limits give that are chosen on other subjects.
    """
    schemas = paragraphs.read()
    more = passages.read_passages(held_out=True)
    rivals = {kind: fit_rivals([*schemas, *dev], str(folder), kind == "types") for kind in ("types", "no_types")}
    _write(folder, {"rivals": rivals})
    limits: Dict[str, Dict[str, Any]] = {"decision": {}, "decision_across": {}, "decision_held_out": {}}
    for kind in ("types", "no_types"):
        found, total = scored(schemas, str(folder), kind == "types")
        further = scored(more, str(folder), kind == "types")[0]
        within, across = choose_stricter(found, further, PRECISION[kind])
        limits["decision"][kind], limits["decision_across"][kind] = within, across
        limits["decision_held_out"][kind] = held_out(found, total, PRECISION[kind], further)
        for entities, by in (("own", FOUND), ("phrases", PHRASES), ("open", NAMED)):
            found, total = scored(schemas, str(folder), kind == "types", entities)
            own = f"{kind}_{by}"
            limits["decision"][own], limits["decision_across"][own] = choose_both(found, PRECISION[own])
            limits["decision_held_out"][own] = held_out(found, total, PRECISION[own])
    _write(folder, limits)
    return {"rivals": rivals, **limits}


def _write(folder: Path, more: Mapping[str, Any]) -> None:
    path = folder / f"{READER}.json"
    known = {**json.loads(path.read_text(encoding="utf8")), **more}
    with atomic_write(path) as file_:
        file_.write((json.dumps(known, indent=1) + "\n").encode("utf8"))


if __name__ == "__main__":
    for kind in ("types", "no_types"):
        for entities, key in (("gold", kind), ("phrases", f"{kind}_{PHRASES}")):
            found = scored(paragraphs.read(), "open", kind == "types", entities)
            print(entities, kind, held_out(*found, PRECISION[key]), flush=True)
