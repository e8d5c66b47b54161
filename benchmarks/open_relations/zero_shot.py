"""Zero-shot benchmarks: none of their labels or texts is trained on or chosen on.

python zero_shot.py open_reader.safetensors PATH_TO_MINILM DATA --thresholds open_reader.json --out zero_shot.json
"""

import argparse
import json
import random
import re
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import torch

from spacy_ragre.components.relations.open_labels import OpenLabel, OpenRelations, OpenText

from .wordings import FEWREL_PUBMED, FEWREL_SYMMETRIC, FEWREL_WIKI, SEMEVAL


def macro_f1(gold: np.ndarray, predicted: np.ndarray) -> float:
    """RETURNS (float): mean F1 of the labels in `gold`, in percent."""
    scores = []
    for label in np.unique(gold):
        right = ((gold == label) & (predicted == label)).sum()
        scores.append(2 * right / max(1, (gold == label).sum() + (predicted == label).sum()))
    return 100 * float(np.mean(scores))


def fewrel(
    reader: OpenRelations, path: Path, words: Dict[str, Tuple[str, str]], limit: int = 0, *, first: str = "h"
) -> Dict[str, Any]:
    """Head and tail given, in their order: the label among all, and among 5 random groups of 5, 10 and 15.

    first (str): where a label's first argument stands. In val_pubmed it is "t": `gene_found_in_organism` has the
        organism as "h" and the gene as "t".
    """
    data = json.loads(path.read_text(encoding="utf8"))
    names = list(data)
    labels = [OpenLabel(name, (words[name][0],), words[name][1], symmetric=name in FEWREL_SYMMETRIC) for name in names]
    texts, gold = [], []
    for number, name in enumerate(names):
        for row in data[name][: limit or None]:
            offsets, text = [], ""
            for token in row["tokens"]:
                offsets.append((len(text), len(text) + len(token)))
                text += token + " "
            spans = [
                (offsets[row[k][2][0][0]][0], offsets[row[k][2][0][-1]][1], "")
                for k in ("ht" if first == "h" else "th")
            ]
            texts.append(OpenText(text, tuple(spans), ((0, 1), (1, 0))))
            gold.append(number)
    answer = np.array(gold)
    both = np.stack(reader.score(texts, labels, reader.read_labels(labels)))
    scores = both[:, 0]
    out: Dict[str, Any] = {"sentences": len(texts), "accuracy": 100 * float((scores.argmax(1) == answer).mean())}
    out["macro_f1"] = macro_f1(answer, scores.argmax(1))
    # The direction not given either: the best of all labels in both orders must be the right one, forwards.
    out["accuracy_with_direction"] = 100 * float((both.reshape(len(both), -1).argmax(1) == answer).mean())
    for size in (5, 10, 15):
        if size >= len(names):
            continue
        values = []
        for seed in range(5):
            group = sorted(random.Random(seed).sample(range(len(names)), size))
            keep = np.isin(answer, group)
            values.append(macro_f1(answer[keep], np.array(group)[scores[keep][:, group].argmax(1)]))
        out[f"macro_f1_m{size}"] = float(np.mean(values))
    per = {}
    for number, name in enumerate(names):
        per[name] = round(100 * float((scores.argmax(1) == answer)[answer == number].mean()), 1)
    out["recall"] = per
    return out


def semeval(reader: OpenRelations, path: Path, threshold: float, limit: int = 0) -> Dict[str, Any]:
    """Official macro-F1, (9+1)-way with direction: the best of 18, or Other where it is below the threshold."""
    labels = [OpenLabel(name, (text,), definition) for name, (text, definition) in SEMEVAL.items()]
    index = {label.name: i for i, label in enumerate(labels)}
    texts, gold = [], []
    lines = path.read_text(encoding="utf8").split("\n")
    for first, second in zip(lines, lines[1:]):
        match = re.match(r'^\d+\s+"(.*)"\s*$', first)
        if not match:
            continue
        text, spans = "", []
        for part in re.split(r"(<e[12]>.*?</e[12]>)", match[1]):
            inner = re.fullmatch(r"<e[12]>(.*?)</e[12]>", part)
            if inner:
                spans.append((len(text), len(text) + len(inner[1]), ""))
            text += inner[1] if inner else part
        texts.append(OpenText(text, tuple(spans), ((0, 1), (1, 0))))
        name = second.strip()
        gold.append(-1 if name == "Other" else index[name.split("(")[0]] + (0 if "(e1,e2)" in name else len(labels)))
    if limit:
        texts, gold = texts[:limit], gold[:limit]
    scores = np.stack(reader.score(texts, labels, reader.read_labels(labels))).reshape(len(texts), -1)
    answer = np.array(gold)
    out: Dict[str, Any] = {"sentences": len(texts)}
    related = answer >= 0
    out["accuracy_of_related_18"] = 100 * float((scores[related].argmax(1) == answer[related]).mean())
    for name, least in (("at_threshold", threshold), ("always_answers", -1e9)):
        predicted = np.where(scores.max(1) > least, scores.argmax(1), -1)
        values = []
        for i in range(len(labels)):
            mine, true = predicted % len(labels) == i, answer % len(labels) == i
            mine, true = mine & (predicted >= 0), true & (answer >= 0)
            right = (mine & (predicted == answer)).sum()
            values.append(2 * right / max(1, mine.sum() + true.sum()))
        out[f"macro_f1_{name}"] = 100 * float(np.mean(values))
    return out


def crossre(
    reader: OpenRelations, folder: Path, thresholds: Dict[str, float], types: bool, limit: int = 0
) -> Dict[str, Any]:
    """Gold entities, all ordered pairs, micro-F1 of (head, label, tail)."""
    words = json.loads((folder / "crossre.labels.json").read_text(encoding="utf8"))
    labels = [OpenLabel(name, (value["text"],), value["definition"]) for name, value in words.items()]
    index = {label.name: i for i, label in enumerate(labels)}
    texts: List[OpenText] = []
    gold: List[set] = []
    for line in (folder / "crossre.test.jsonl").read_text(encoding="utf8").split("\n"):
        if not line.strip():
            continue
        row = json.loads(line)
        texts.append(OpenText(row["text"], tuple((e["start"], e["end"], e["label"]) for e in row["ents"])))
        gold.append({(r["head"], r["tail"], index[r["label"]]) for r in row["relations"]})
    if limit:
        texts, gold = texts[:limit], gold[:limit]
    start = time.time()
    scores = reader.score(texts, labels, reader.read_labels(labels), types=types)
    seconds = time.time() - start
    out: Dict[str, Any] = {"documents": len(texts), "seconds": seconds, "pairs": sum(len(array) for array in scores)}
    total = sum(len(found) for found in gold)
    for mode, threshold in (("multi", thresholds["best_f1"]), ("single", thresholds["argmax_best"])):
        right = count = 0
        for text, array, found in zip(texts, scores, gold):
            for (head, tail), row in zip(text.all_pairs(), array):
                answers = [int(row.argmax())] if mode == "single" else range(len(labels))
                for label in answers:
                    if row[label] > threshold:
                        count += 1
                        right += (head, tail, label) in found
        precision, recall = right / max(1, count), right / max(1, total)
        out[mode] = {
            "precision": 100 * precision,
            "recall": 100 * recall,
            "micro_f1": 200 * precision * recall / max(1e-9, precision + recall),
        }
    return out


def main(argv: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description="Zero-shot benchmarks of an open-label reader.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--thresholds", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=0)
    args = parser.parse_args(argv or None)
    torch.set_num_threads(1)
    reader = OpenRelations.load(args.weights, args.encoder, low_precision=True)
    chosen = json.loads(args.thresholds.read_text(encoding="utf8"))["thresholds"]
    none, typed = chosen["no_types"], chosen["types"]
    out: Dict[str, Any] = {}

    def keep(name: str, value: Dict[str, Any]) -> None:
        out[name] = value
        args.out.write_text(json.dumps(out, indent=1) + "\n", encoding="utf8")

    keep("fewrel_val_wiki", fewrel(reader, args.data / "fewrel" / "val_wiki.json", FEWREL_WIKI, args.limit))
    keep(
        "semeval",
        semeval(reader, args.data / "semeval2010_task8" / "TEST_FILE_FULL.TXT", none["argmax_best"], args.limit),
    )
    keep("crossre_types", crossre(reader, args.data / "relations", typed, True, args.limit))
    keep("crossre_no_types", crossre(reader, args.data / "relations", none, False, args.limit))
    keep(
        "fewrel_val_pubmed",
        fewrel(reader, args.data / "fewrel" / "val_pubmed.json", FEWREL_PUBMED, args.limit, first="t"),
    )


if __name__ == "__main__":
    main()
