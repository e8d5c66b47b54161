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
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np
from tokenizers import Tokenizer

from spacy_ragre.components.relations.open_labels import OpenLabel, OpenRelations, OpenText, by_text
from spacy_ragre.llm.runtime.precision import mixed_precision

from ..sentences import check, places, read_split, read_texts
from .corpora import Label, Schema
from .own_labels import own_labels_schema
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

    def add(self, line: str) -> Iterator[str]:
        """Take a line. YIELDS (str): what is wrong with it."""
        if line.startswith(("-", "+")):
            parts = [part.strip() for part in line[1:].split(";")]
            (self.wrong if line[0] == "-" else self.names).extend(parts)
            if not all(parts):
                yield "a part between semicolons is empty"
            return
        parts = [part.strip() for part in line.split(" > ")]
        if len(parts) != 3 or not all(parts):
            yield "'head > label | other wording > tail' is needed"
            return
        wordings = tuple(wording.strip() for wording in parts[1].removeprefix("~").split("|"))
        if not all(wordings):
            yield "a wording is empty"
        if any(wording.startswith("~") for wording in wordings):
            yield "'~' stands before the first wording alone, and is meant of all"
        self.facts.append((parts[0], wordings, parts[1].startswith("~"), parts[2]))

    def problems(self, text: Optional[str]) -> Iterator[str]:
        """YIELDS (str): what is wrong with it; without its sentence, what does not need it."""
        owner: Dict[str, Tuple[Tuple[str, ...], bool]] = {}
        for _, wordings, symmetric, _ in self.facts:
            for wording in wordings:
                if owner.setdefault(wording.lower(), (wordings, symmetric)) != (wordings, symmetric):
                    yield f"{wording!r} is a wording of two labels"
        for label in self.wrong:
            if label.lower() in owner:
                yield f"{label!r} is right and wrong"
        if not self.facts and not self.wrong:
            yield f"the sentence {self.id!r} has neither facts nor wrong labels"
        if text is None:
            return
        for name in dict.fromkeys(self._all_names()):
            if _find(text, name) == (0, 0):
                yield f"{name!r} does not stand in the sentence {self.id!r} as whole words"
        for head, _, _, tail in self.facts:
            first, second = _find(text, head), _find(text, tail)
            if first[0] < second[1] and second[0] < first[1]:
                yield f"{head!r} and {tail!r} overlap"

    def _all_names(self) -> List[str]:
        return [name for head, _, _, tail in self.facts for name in (head, tail)] + self.names


def _find(text: str, name: str) -> Tuple[int, int]:
    """RETURNS (Tuple[int, int]): characters of a name, in its first place or the one that it names. (0, 0) where it has
    none.
    """
    found = places(text, name)
    return found[0] if found else (0, 0)


def held_out_ids(folder: Path = FOLDER) -> Set[str]:
    """RETURNS (Set[str]): the sentences that are held out of training."""
    return {block.id for block in read_split(folder, None, True, Block)}


def read_facts(data: Path, held_out: bool, folder: Path = FOLDER) -> List[Tuple[Block, str]]:
    """All sentences that train, or those that are held out.

    data (Path): the folder of corpora.
    RETURNS (List[Tuple[Block, str]]): blocks and their sentences.
    """
    texts = read_texts(data)
    return [(block, texts[block.id]) for block in read_split(folder, texts, held_out, Block)]


def read_schema(data: Path, tokenizer: Tokenizer, folder: Path = FOLDER) -> Schema:
    """RETURNS (Schema): the sentences that train, with all labels as one schema; a document knows its own."""
    found = [
        (
            block.record(text),
            [
                Label(wordings[0], wordings, "", symmetric=symmetric, definitions=("",))
                for wordings, symmetric in block.labels()
            ],
        )
        for block, text in read_facts(data, False, folder)
    ]
    return own_labels_schema(SOURCE, found, tokenizer)


def measure(reader: OpenRelations, found: Sequence[Tuple[Block, str]]) -> Dict[str, float]:
    """How often the likeliest label of a pair that has some is right: among the labels of its sentence, and with
    `OTHERS` of other sentences. Each label is read by its last wording.

    RETURNS (Dict[str, float]): percent, and the number of pairs.
    """
    random = np.random.default_rng(0)
    words = sorted({wordings[-1] for block, _ in found for wordings, _ in block.labels()})
    index = {word: i for i, word in enumerate(words)}
    labels = [OpenLabel(word, (word,)) for word in words]
    texts: List[OpenText] = []
    gold: List[Dict[Tuple[int, int], Set[int]]] = []
    for block, text in found:
        record, last = block.record(text), {wordings[0]: index[wordings[-1]] for wordings, _ in block.labels()}
        held: Dict[Tuple[int, int], Set[int]] = {}
        for relation in record["relations"]:
            held.setdefault((relation["head"], relation["tail"]), set()).add(last[relation["label"]])
        mentions = tuple((ent["start"], ent["end"], "") for ent in record["ents"])
        # Other pairs are not read.
        texts.append(OpenText(text, mentions, tuple(held)))
        gold.append(held)
    with mixed_precision(reader.model.device):
        states = reader.read_labels(labels, types=False)
        scores = by_text(reader.match(reader.read_pairs(texts, types=False), states), texts, labels, types=False)
    own_right = all_right = count = 0
    for (block, _), held, array in zip(found, gold, scores):
        own = {index[wordings[-1]] for wordings, _ in block.labels()}
        others = random.choice([i for i in range(len(words)) if i not in own], OTHERS, replace=False)
        near, far = sorted(own), sorted({*own, *others.tolist()})
        for right, row in zip(held.values(), array):
            own_right += near[int(row[near].argmax())] in right
            all_right += far[int(row[far].argmax())] in right
        count += len(held)
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
    return check(args.folder, read_texts(args.data), Block, _count)


def _count(blocks: Sequence[Block]) -> str:
    facts = sum(len(block.facts) for block in blocks)
    wordings = len({wording for block in blocks for label, _ in block.labels() for wording in label})
    return f"{facts} facts, {wordings} wordings"


if __name__ == "__main__":
    sys.exit(main())
