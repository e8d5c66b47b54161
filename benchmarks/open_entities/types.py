"""Entities of real sentences, each sentence under types of its own: `corpora_src/types`.

    python -m benchmarks.open_entities.types assets    # checks the files

A block names a sentence of an open corpus by its id, gives all mentions of some types, and types that it has none of:

    #core-E8225960
    year : 2018
    biotech company : Helix
    - disease ; city

`corpora_src/types/README.md` tells more of the form.
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from spacy_ragre.corpora.files import Problems, read_lines

from ..open_relations.wordings import SOURCES
from ..sentences import is_held_out, places, read_texts
from .data import Text, TypedTexts

FOLDER = SOURCES / "types"
SOURCE = "types"


@dataclass
class Block:
    """A sentence and its types.

    id (str): of the sentence.
    names (Dict[str, List[str]]): all names of each type.
    none (List[str]): types that no word has.
    """

    id: str
    names: Dict[str, List[str]] = field(default_factory=dict)
    none: List[str] = field(default_factory=list)

    def ents(self, text: str) -> List[Tuple[int, int, str]]:
        """RETURNS (List[Tuple[int, int, str]]): characters from and to (exclusive), and type, in order."""
        found = {
            (start, end, type_)
            for type_, names in self.names.items()
            for name in names
            for start, end in places(text, name)
        }
        return sorted(found)

    def typed(self, text: str) -> TypedTexts:
        """RETURNS (TypedTexts): the sentence under its types."""
        types: Dict[str, Tuple[str, ...]] = {type_: (type_,) for type_ in (*self.names, *self.none)}
        return TypedTexts(self.id, SOURCE, types, [Text(text, tuple(self.ents(text)))])

    def problems(self, text: str) -> Iterator[str]:
        """YIELDS (str): what is wrong with it."""
        for names in self.names.values():
            for name in names:
                if not places(text, name):
                    yield f"{name!r} does not stand in the sentence {self.id!r} as whole words"
        ents = self.ents(text)
        for first, second in zip(ents, ents[1:]):
            if second[0] < first[1]:
                yield f"{text[slice(*first[:2])]!r} and {text[slice(*second[:2])]!r} overlap"


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
        elif line:
            type_, colon, rest = line.partition(" : ")
            absent = line.startswith("- ")
            parts = [part.strip() for part in (line[1:] if absent else rest).split(";")]
            if not all(parts) or not (absent or colon):
                problems.add(number, "'type : name; name' or '- type; type' is needed")
            elif absent:
                blocks[-1].none += parts
            elif type_.strip() in blocks[-1].names:
                problems.add(number, f"the type {type_.strip()!r} stands twice")
            else:
                blocks[-1].names[type_.strip()] = parts
    seen: Set[str] = set()
    for number, block in zip(lines, blocks):
        if block.id in seen:
            problems.add(number, f"the sentence {block.id!r} stands twice")
        seen.add(block.id)
        if not block.names:
            problems.add(number, f"the sentence {block.id!r} has no entity")
        for type_ in block.none:
            if type_ in block.names:
                problems.add(number, f"the sentence {block.id!r} has {type_!r} and has none of it")
        if texts is not None and block.id not in texts:
            problems.add(number, f"no sentence has the id {block.id!r}")
        elif texts is not None:
            for problem in block.problems(texts[block.id]):
                problems.add(number, problem)
    return blocks


def read_types(data: Path, held_out: bool, folder: Path = FOLDER) -> List[TypedTexts]:
    """RETURNS (List[TypedTexts]): all sentences that train, or those that are held out.

    data (Path): the folder of corpora.
    """
    texts = read_texts(data)
    out = []
    for path in sorted(folder.glob("*.txt")):
        problems = Problems(path)
        blocks = read_file(path, texts, problems)
        problems.raise_any()
        out += [block.typed(texts[block.id]) for n, block in enumerate(blocks, 1) if is_held_out(n) == held_out]
    return out


def main(argv: Optional[Sequence[str]] = None) -> int:
    """RETURNS (int): 0, or 1 where a file has problems."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args(argv)
    texts, told = read_texts(args.data), 0
    for path in sorted(args.folder.glob("*.txt")):
        problems = Problems(path)
        blocks = read_file(path, texts, problems)
        names = sum(len(names) for block in blocks for names in block.names.values())
        types = len({type_ for block in blocks for type_ in (*block.names, *block.none)})
        sys.stdout.write("".join(f"{path} {message}\n" for message in problems.messages))
        sys.stdout.write(f"{path.stem}: {len(blocks)} sentences, {names} names, {types} types\n")
        told += len(problems.messages)
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main())
