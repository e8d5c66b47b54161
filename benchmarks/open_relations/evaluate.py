"""Scores on openrel's dev schemas, and what is chosen there: thresholds and calibration.

    python scripts/convert_openrel.py convert corpora_src/openrel corpus/openrel
    python -m benchmarks.open_relations.evaluate open_reader.safetensors corpus/openrel --out dev.json
    python -m benchmarks.open_relations.evaluate open_reader.safetensors corpus/openrel --styles --out styles.json

All ordered pairs of gold entities; a symmetric relation counts once. Micro-averaged over the schemas. With `--styles`
labels are read as the options say ("full"), and in each style of `wordings.STYLES`, with a report for each.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np
import torch

from spacy_ragre.components.relations.open_labels import NEVER, OpenLabel, OpenRelations, OpenText, by_text
from spacy_ragre.corpora.openrel import read_corpus, to_records
from spacy_ragre.llm.runtime.precision import mixed_precision

from .wordings import DEV, STYLES, read_source

# How the options say that labels are read.
FULL = "full"
# Makes of a schema's name and one of its labels what is read.
Reading = Callable[[str, OpenLabel], OpenLabel]


@dataclass(frozen=True)
class Decisions:
    """Every (pair, label) that was asked.

    scores (np.ndarray): log-odds. right (np.ndarray): whether the label holds. best (np.ndarray): whether it is its
    pair's best label. gold (int): how many relations there are.
    """

    scores: np.ndarray
    right: np.ndarray
    best: np.ndarray
    gold: int


def read_schemas(folder: Path, split: str) -> List[Tuple[str, List[OpenLabel], List[Dict[str, Any]]]]:
    """RETURNS (List[Tuple[str, List[OpenLabel], List[Dict[str, Any]]]]): name, labels and documents of each schema."""
    return [
        (
            schema.name,
            [
                OpenLabel(
                    label.name, label.texts, label.definition, label.head_types, label.tail_types, label.symmetric
                )
                for label in schema.labels.values()
            ],
            list(to_records(schema)),
        )
        for schema in read_corpus(folder, split)
    ]


def full_reading(wordings: int = 1, definitions: bool = True) -> Reading:
    """RETURNS (Reading): a label by so many of its wordings, with or without its definition."""
    return lambda _, label: replace(
        label, texts=label.texts[:wordings], definition=label.definition if definitions else ""
    )


def style_readings() -> Dict[str, Reading]:
    """RETURNS (Dict[str, Reading]): the styles of `wordings.STYLES`, of openrel's dev schemas."""
    known = read_source(DEV)

    def reading(style: str) -> Reading:
        return lambda schema, label: STYLES[style](label, known[schema][label.name])

    return {style: reading(style) for style in STYLES}


def decide(
    reader: OpenRelations,
    readings: Mapping[str, List[OpenLabel]],
    records: List[Dict[str, Any]],
    *,
    types: bool,
) -> Dict[str, Decisions]:
    """Score a schema by several ways to read its labels. Texts are read once.

    readings (Mapping[str, List[OpenLabel]]): its labels as they are read, by the way's name.
    types (bool): whether the reader is told types.
    RETURNS (Dict[str, Decisions]): by the way's name.
    """
    texts = [OpenText(r["text"], tuple((e["start"], e["end"], e["label"]) for e in r["ents"])) for r in records]
    pairs = reader.read_pairs(texts, types=types)
    out = {}
    for name, labels in readings.items():
        scores = reader.match(pairs, reader.read_labels(labels, types=types))
        out[name] = _decisions(labels, records, texts, by_text(scores, texts, labels, types=types))
    return out


def _decisions(
    labels: Sequence[OpenLabel],
    records: Sequence[Dict[str, Any]],
    texts: Sequence[OpenText],
    arrays: Sequence[np.ndarray],
) -> Decisions:
    index = {label.name: i for i, label in enumerate(labels)}
    scores: List[float] = []
    right: List[bool] = []
    best: List[bool] = []
    gold = 0
    for record, text, array in zip(records, texts, arrays):
        true = {(r["head"], r["tail"], index[r["label"]]) for r in record["relations"]}
        gold += len(true)
        for (head, tail), row in zip(text.all_pairs(), array):
            top = int(row.argmax())
            for i, label in enumerate(labels):
                if label.symmetric and head > tail:
                    continue
                scores.append(float(row[i]))
                right.append((head, tail, i) in true or (label.symmetric and (tail, head, i) in true))
                best.append(i == top)
    return Decisions(np.array(scores), np.array(right), np.array(best), gold)


def join(parts: Sequence[Decisions]) -> Decisions:
    """RETURNS (Decisions): all decisions as one."""
    return Decisions(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.best for part in parts]),
        sum(part.gold for part in parts),
    )


def measure(decisions: Decisions, threshold: float, *, argmax: bool = False) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): precision, recall and F1 in percent of what is above a threshold; with `argmax`, of
    each pair's best label only.
    """
    chosen = decisions.scores > threshold
    if argmax:
        chosen = chosen & decisions.best
    right = int(decisions.right[chosen].sum())
    precision, recall = right / max(1, int(chosen.sum())), right / max(1, decisions.gold)
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return {"threshold": threshold, "p": 100 * precision, "r": 100 * recall, "f": 100 * f1}


def best_threshold(
    decisions: Decisions, *, precision: float = 0.0, argmax: bool = False, beta: float = 1.0, least: int = 50
) -> float:
    """RETURNS (float): the threshold of the best F among those with that precision; infinity where there is none.

    beta (float): how many times as much recall weighs as precision.
    least (int): how many decisions a threshold must leave, so that a lucky few decide nothing.
    """
    use = decisions.best if argmax else np.ones(len(decisions.scores), dtype=bool)
    scores, right = decisions.scores[use], decisions.right[use]
    order = np.argsort(-scores, kind="stable")
    hits, count = np.cumsum(right[order]), np.arange(1, len(order) + 1)
    f1 = (1 + beta**2) * hits / (count + beta**2 * decisions.gold)
    fits = (hits / count >= precision) & (count >= least)
    if not fits.any():
        return float("inf")
    at = int(np.where(fits, f1, -1).argmax())
    following = scores[order][at + 1] if at + 1 < len(order) else scores[order][at] - 1
    return float((scores[order][at] + following) / 2)


def calibrate(decisions: Decisions) -> Tuple[float, float, List[Dict[str, float]]]:
    """Platt scaling of the log-odds of each pair's best label: sigmoid(slope * score + offset).

    RETURNS (Tuple[float, float, List[Dict[str, float]]]): slope, offset, and how often labels hold by ten bands of the
        probability.
    """
    asked = (decisions.scores > NEVER) & decisions.best
    scores = torch.tensor(decisions.scores[asked], dtype=torch.float64)
    right = torch.tensor(decisions.right[asked], dtype=torch.float64)
    weight = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = weight[0] * scores + weight[1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, right)
        loss.backward()
        return loss

    optimizer.step(closure)
    slope, offset = weight.tolist()
    chance = torch.sigmoid(slope * scores + offset).numpy()
    bands = []
    for low in np.arange(0, 1, 0.1):
        inside = (chance >= low) & (chance < low + 0.1)
        if inside.any():
            held = float(right.numpy()[inside].mean())
            bands.append({"n": int(inside.sum()), "said": float(chance[inside].mean()), "held": held})
    return slope, offset, bands


def report(reader: OpenRelations, folder: Path, split: str, readings: Mapping[str, Reading]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): for each way to read labels, with and without types: at log-odds 0 and by each pair's
    best label, at the best threshold, at the one with a precision of 0.7, calibration, and the best F1 of each schema.
    """
    schemas = read_schemas(folder, split)
    out: Dict[str, Any] = {name: {} for name in readings}
    for kind, types in (("types", True), ("no_types", False)):
        each = {
            key: decide(
                reader,
                {name: [reading(key, label) for label in labels] for name, reading in readings.items()},
                docs,
                types=types,
            )
            for key, labels, docs in schemas
        }
        for name in readings:
            out[name][kind] = _figures({key: decisions[name] for key, decisions in each.items()})
    return out


def _figures(each: Mapping[str, Decisions]) -> Dict[str, Any]:
    """The figures of some schemas, by name."""
    every = join(list(each.values()))
    slope, offset, bands = calibrate(every)
    best, careful = best_threshold(every), best_threshold(every, precision=0.7)
    single = best_threshold(every, argmax=True)
    cautious = best_threshold(every, argmax=True, beta=0.5)
    return {
        "argmax": measure(every, 0.0, argmax=True),
        "argmax_best": measure(every, single, argmax=True),
        "argmax_cautious": measure(every, cautious, argmax=True),
        "zero": measure(every, 0.0),
        "best": measure(every, best),
        "precision_70": measure(every, careful),
        "schemas": {key: round(measure(part, best_threshold(part))["f"], 1) for key, part in each.items()},
        "calibration": {"slope": slope, "offset": offset, "bands": bands},
        "decisions": len(every.scores),
        "gold": every.gold,
    }


def main(argv: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description="Scores on dev schemas, thresholds and calibration.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("corpus", type=Path, help="what convert_openrel.py wrote")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--wordings", type=int, default=1)
    parser.add_argument("--no-definitions", action="store_true")
    parser.add_argument(
        "--styles", action="store_true", help="of openrel's dev schemas: other ways to write labels, too"
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv or None)
    torch.set_num_threads(1)
    reader = OpenRelations.load(args.weights)
    readings = {FULL: full_reading(args.wordings, not args.no_definitions)}
    if args.styles:
        readings.update(style_readings())
    with mixed_precision(reader.model.device):
        out = report(reader, args.corpus, args.split, readings)
    args.out.write_text(json.dumps(out if args.styles else out[FULL], indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
