"""Facts in real sentences, each sentence under labels of its own: `corpora_src/facts`.

    python -m benchmarks.open_relations.facts check assets
    python -m benchmarks.open_relations.facts measure assets open_reader.safetensors

A block names a sentence of an open corpus by its id, and says what holds and what does not:

    #fewrel64-7062
    blue christmas > was recorded by | artist > a fine frenzy
    - was produced by ; is a cover of
    + november 2009

`corpora_src/facts/README.md` tells more of the form.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np
from tokenizers import Tokenizer

from spacy_ragre.components.relations.open_labels import OpenLabel, OpenRelations, OpenText, by_text
from spacy_ragre.corpora.files import Problems, read_lines
from spacy_ragre.instances import Instance
from spacy_ragre.llm.runtime.precision import mixed_precision
from spacy_ragre.retrieval.encoders import TextEncoder

from ..sentences import is_held_out, places, read_texts
from .corpora import Document, Label, Schema, make_document
from .wordings import SOURCES

FOLDER = SOURCES / "facts"
SOURCE = "facts"
# Labels of other sentences among which the right one must be found.
OTHERS = 12


@dataclass
class Block:
    """A sentence and its labels.

    id (str): of the sentence.
    facts (List[Tuple[str, Tuple[str, ...], bool, str]]): head, wordings of the label, whether it is symmetric, tail.
    wrong (List[str]): labels that hold for no pair of its names.
    names (List[str]): further names.
    """

    id: str
    facts: List[Tuple[str, Tuple[str, ...], bool, str]] = field(default_factory=list)
    wrong: List[str] = field(default_factory=list)
    names: List[str] = field(default_factory=list)

    def labels(self) -> List[Tuple[Tuple[str, ...], bool]]:
        """RETURNS (List[Tuple[Tuple[str, ...], bool]]): wordings of its labels, each once, and whether it is symmetric;
        those that hold come first.
        """
        right = [(wordings, symmetric) for _, wordings, symmetric, _ in self.facts]
        return list(dict.fromkeys([*right, *(((label,), False) for label in self.wrong)]))

    def record(self, text: str) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): the sentence in the interchange format; a label's name is its first wording."""
        spans = sorted({_find(text, name) for name in self._all_names()})
        relations = [
            {"head": spans.index(_find(text, head)), "tail": spans.index(_find(text, tail)), "label": wordings[0]}
            for head, wordings, _, tail in self.facts
        ]
        ents = [{"start": start, "end": end, "label": ""} for start, end in spans]
        return {"id": self.id, "text": text, "ents": ents, "relations": relations}

    def problems(self, text: str) -> Iterator[str]:
        """YIELDS (str): what is wrong with it."""
        for name in dict.fromkeys(self._all_names()):
            if _find(text, name) == (0, 0):
                yield f"{name!r} does not stand in the sentence {self.id!r} as whole words"
        for head, _, _, tail in self.facts:
            first, second = _find(text, head), _find(text, tail)
            if first[0] < second[1] and second[0] < first[1]:
                yield f"{head!r} and {tail!r} overlap"
        owner: Dict[str, Tuple[Tuple[str, ...], bool]] = {}
        for _, wordings, symmetric, _ in self.facts:
            for wording in wordings:
                if owner.setdefault(wording.lower(), (wordings, symmetric)) != (wordings, symmetric):
                    yield f"{wording!r} is a wording of two labels"
        right = {wording.lower() for _, wordings, _, _ in self.facts for wording in wordings}
        for label in self.wrong:
            if label.lower() in right:
                yield f"{label!r} is right and wrong"
        if not self.facts and not self.wrong:
            yield f"the sentence {self.id!r} has neither facts nor wrong labels"

    def _all_names(self) -> List[str]:
        return [name for head, _, _, tail in self.facts for name in (head, tail)] + self.names


def _find(text: str, name: str) -> Tuple[int, int]:
    """RETURNS (Tuple[int, int]): characters of a name, in its first place or the one that it names. (0, 0) where it has
    none.
    """
    found = places(text, name)
    return found[0] if found else (0, 0)


def read_file(path: Path, texts: Optional[Mapping[str, str]], problems: Problems) -> List[Block]:
    """Read and check a file.

    texts (Optional[Mapping[str, str]]): sentences by id; None where they are not there, and what needs them is not
        checked.
    problems (Problems): gets everything that is wrong.
    RETURNS (List[Block]): its blocks, in order.
    """
    blocks: List[Block] = []
    lines: List[int] = []
    for number, line in read_lines(path, problems):
        line = line.strip()
        if line.startswith("#"):
            blocks.append(Block(line[1:].strip()))
            lines.append(number)
        elif line and not blocks:
            problems.add(number, "no '#id' of a sentence stands above it")
        elif line.startswith(("-", "+")):
            parts = [part.strip() for part in line[1:].split(";")]
            (blocks[-1].wrong if line[0] == "-" else blocks[-1].names).extend(parts)
            if not all(parts):
                problems.add(number, "a part between semicolons is empty")
        elif line:
            parts = [part.strip() for part in line.split(" > ")]
            if len(parts) != 3 or not all(parts):
                problems.add(number, "'head > label | other wording > tail' is needed")
                continue
            wordings = tuple(wording.strip() for wording in parts[1].removeprefix("~").split("|"))
            if not all(wordings):
                problems.add(number, "a wording is empty")
            if any(wording.startswith("~") for wording in wordings):
                problems.add(number, "'~' stands before the first wording alone, and is meant of all")
            blocks[-1].facts.append((parts[0], wordings, parts[1].startswith("~"), parts[2]))
    seen: Set[str] = set()
    for number, block in zip(lines, blocks):
        if block.id in seen:
            problems.add(number, f"the sentence {block.id!r} stands twice")
        seen.add(block.id)
        if texts is None:
            continue
        if block.id not in texts:
            problems.add(number, f"no sentence has the id {block.id!r}")
            continue
        for problem in block.problems(texts[block.id]):
            problems.add(number, problem)
    return blocks


def read_facts(data: Path, held_out: bool, folder: Path = FOLDER) -> List[Tuple[Block, str]]:
    """All sentences that train, or those that are held out.

    data (Path): the folder of corpora.
    RETURNS (List[Tuple[Block, str]]): blocks and their sentences.
    """
    texts = read_texts(data)
    out = []
    for path in sorted(folder.glob("*.txt")):
        problems = Problems(path)
        blocks = read_file(path, texts, problems)
        problems.raise_any()
        out += [(block, texts[block.id]) for number, block in enumerate(blocks, 1) if is_held_out(number) == held_out]
    return out


def read_schema(data: Path, tokenizer: Tokenizer, folder: Path = FOLDER) -> Schema:
    """RETURNS (Schema): the sentences that train, with all labels as one schema; a document knows its own."""
    found = read_facts(data, False, folder)
    numbers: Dict[Tuple[Tuple[str, ...], bool], int] = {}
    for block, _ in found:
        for label in block.labels():
            numbers.setdefault(label, len(numbers))
    labels = [
        Label(wordings[0], wordings, "", symmetric=symmetric, definitions=("",)) for wordings, symmetric in numbers
    ]
    docs: List[Document] = []
    for block, text in found:
        own = block.labels()
        doc = make_document(tokenizer, block.record(text), [labels[numbers[label]] for label in own])
        if doc is not None:
            known = [numbers[label] for label in own]
            doc.relations = {pair: {known[i] for i in held} for pair, held in doc.relations.items()}
            doc.labels = set(known)
            docs.append(doc)
    return Schema(SOURCE, SOURCE, labels, docs, likeness=_likeness(labels))


def _likeness(labels: Sequence[Label]) -> np.ndarray:
    """RETURNS (np.ndarray): what all-MiniLM-L6-v2 makes of the wordings of each label. *Shape:* (L, width)"""
    owner = np.array([number for number, label in enumerate(labels) for _ in label.texts])
    texts = [Instance(text, (0, 0), (0, 0)) for label in labels for text in label.texts]
    vectors = np.zeros((len(labels), 384), dtype="float32")
    np.add.at(vectors, owner, TextEncoder().encode_queries(texts))
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit


def measure(reader: OpenRelations, found: Sequence[Tuple[Block, str]]) -> Dict[str, float]:
    """How often the likeliest label of a pair that has some is right: among the labels of its sentence, and with
    `OTHERS` of other sentences. Each label is read by its last wording.

    RETURNS (Dict[str, float]): percent, and the number of pairs.
    """
    random = np.random.default_rng(0)
    words = sorted({wordings[-1] for block, _ in found for wordings, _ in block.labels()})
    index = {word: i for i, word in enumerate(words)}
    labels = [OpenLabel(word, (word,)) for word in words]
    with mixed_precision(reader.model.device):
        states = reader.read_labels(labels, types=False)
        records = [block.record(text) for block, text in found]
        texts = [OpenText(r["text"], tuple((e["start"], e["end"], "") for e in r["ents"])) for r in records]
        scores = by_text(reader.match(reader.read_pairs(texts, types=False), states), texts, labels, types=False)
    own_right = all_right = count = 0
    for (block, _), record, text, array in zip(found, records, texts, scores):
        own = {index[wordings[-1]] for wordings, _ in block.labels()}
        others = random.choice([i for i in range(len(words)) if i not in own], OTHERS, replace=False)
        last = {wordings[0]: index[wordings[-1]] for wordings, _ in block.labels()}
        gold: Dict[Tuple[int, int], Set[int]] = {}
        for relation in record["relations"]:
            gold.setdefault((relation["head"], relation["tail"]), set()).add(last[relation["label"]])
        for pair, row in zip(text.all_pairs(), array):
            if pair in gold:
                near, far = sorted(own), sorted({*own, *others.tolist()})
                own_right += near[int(row[near].argmax())] in gold[pair]
                all_right += far[int(row[far].argmax())] in gold[pair]
                count += 1
    return {"own": 100 * own_right / max(1, count), "all": 100 * all_right / max(1, count), "pairs": count}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """RETURNS (int): 0, or 1 where a file has problems."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "measure"])
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path, nargs="?", help="what is measured")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args(argv)
    if args.what == "measure":
        if args.weights is None:
            parser.error("measure needs the weights: facts measure DATA WEIGHTS")
        reader = OpenRelations.load(args.weights)
        sys.stdout.write(f"{json.dumps(measure(reader, read_facts(args.data, True, args.folder)))}\n")
        return 0
    texts, told = read_texts(args.data), 0
    for path in sorted(args.folder.glob("*.txt")):
        problems = Problems(path)
        blocks = read_file(path, texts, problems)
        facts = sum(len(block.facts) for block in blocks)
        wordings = len({wording for block in blocks for label, _ in block.labels() for wording in label})
        sys.stdout.write("".join(f"{path} {message}\n" for message in problems.messages))
        sys.stdout.write(f"{path.stem}: {len(blocks)} sentences, {facts} facts, {wordings} wordings\n")
        told += len(problems.messages)
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main())
