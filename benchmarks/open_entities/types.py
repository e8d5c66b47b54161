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
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from ..open_relations.wordings import SOURCES
from ..sentences import check, places, read_split, read_texts
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

    def add(self, line: str) -> Iterator[str]:
        """Take a line. YIELDS (str): what is wrong with it."""
        type_, colon, rest = line.partition(" : ")
        absent = line.startswith("- ")
        parts = [part.strip() for part in (line[1:] if absent else rest).split(";")]
        if not all(parts) or not (absent or colon):
            yield "'type : name; name' or '- type; type' is needed"
        elif absent:
            self.none += parts
        elif type_.strip() in self.names:
            yield f"the type {type_.strip()!r} stands twice"
        else:
            self.names[type_.strip()] = parts

    def problems(self, text: Optional[str]) -> Iterator[str]:
        """YIELDS (str): what is wrong with it; without its sentence, what does not need it."""
        if not self.names:
            yield f"the sentence {self.id!r} has no entity"
        for type_ in self.none:
            if type_ in self.names:
                yield f"the sentence {self.id!r} has {type_!r} and has none of it"
        if text is None:
            return
        for names in self.names.values():
            for name in names:
                if not places(text, name):
                    yield f"{name!r} does not stand in the sentence {self.id!r} as whole words"
        ents = self.ents(text)
        for first, second in zip(ents, ents[1:]):
            if second[0] < first[1]:
                yield f"{text[slice(*first[:2])]!r} and {text[slice(*second[:2])]!r} overlap"


def read_types(data: Path, held_out: bool, folder: Path = FOLDER) -> List[TypedTexts]:
    """RETURNS (List[TypedTexts]): all sentences that train, or those that are held out.

    data (Path): the folder of corpora.
    """
    texts = read_texts(data)
    return [block.typed(texts[block.id]) for block in read_split(folder, texts, held_out, Block)]


def main(argv: Optional[Sequence[str]] = None) -> int:
    """RETURNS (int): 0, or 1 where a file has problems."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args(argv)
    return check(args.folder, read_texts(args.data), Block, _count)


def _count(blocks: Sequence[Block]) -> str:
    names = sum(len(names) for block in blocks for names in block.names.values())
    types = len({type_ for block in blocks for type_ in (*block.names, *block.none)})
    return f"{names} names, {types} types"


if __name__ == "__main__":
    sys.exit(main())
