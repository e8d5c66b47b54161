"""Sentences of open corpora by their ids, and names in them: for `corpora_src/facts` and `corpora_src/types`."""

import json
import re
import sys
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Sequence, Set, Tuple, TypeVar

from spacy_ragre.corpora.files import Problems, read_lines

# In the splits of `relations/NAME.SPLIT.jsonl`.
CORPORA = ("fewrel64", "geneva", "causal_news", "core", "because", "somesci", "product")
# Of so many sentences of a file the last one by number is held out of training, to measure on.
HELD_OUT = 10


class Block(Protocol):
    """What is annotated in one sentence: the lines under its `#id`."""

    id: str

    def add(self, line: str) -> Iterator[str]:
        """Take a line. YIELDS (str): what is wrong with it."""

    def problems(self, text: Optional[str]) -> Iterator[str]:
        """YIELDS (str): what is wrong with the whole; without its sentence, what does not need it."""


AnyBlock = TypeVar("AnyBlock", bound=Block)


def read_texts(data: Path) -> Dict[str, str]:
    """data (Path): the folder of corpora.
    RETURNS (Dict[str, str]): the sentences of `CORPORA` by id.
    """
    texts = {}
    for name in CORPORA:
        for path in sorted((data / "relations").glob(f"{name}.*.jsonl")):
            for line in path.read_text(encoding="utf8").splitlines():
                record = json.loads(line)
                texts[record["id"]] = record["text"]
    return texts


def places(text: str, name: str) -> List[Tuple[int, int]]:
    """RETURNS (List[Tuple[int, int]]): the characters of a name wherever it stands as whole words; only of its second
    place where it ends in "@@2".
    """
    name, _, number = name.partition("@@")
    if not name or (number and not (number.isdigit() and int(number))):
        return []
    before = r"(?<!\w)" if name[0].isalnum() else ""
    after = r"(?!\w)" if name[-1].isalnum() else ""
    found = [match.span() for match in re.finditer(before + re.escape(name) + after, text)]
    return found[int(number) - 1 : int(number)] if number else found


def read_blocks(
    path: Path, texts: Optional[Mapping[str, str]], problems: Problems, make: Callable[[str], AnyBlock]
) -> List[AnyBlock]:
    """Read and check a file.

    texts (Optional[Mapping[str, str]]): sentences by id; None where they are not there, and what needs them is not
        checked.
    problems (Problems): gets everything that is wrong.
    make (Callable[[str], AnyBlock]): makes an empty block of an id.
    RETURNS (List[AnyBlock]): its blocks, in order.
    """
    blocks: List[AnyBlock] = []
    lines: List[int] = []
    for number, line in read_lines(path, problems):
        line = line.strip()
        if line.startswith("#"):
            blocks.append(make(line[1:].strip()))
            lines.append(number)
        elif line and not blocks:
            problems.add(number, "no '#id' of a sentence stands above it")
        elif line:
            for problem in blocks[-1].add(line):
                problems.add(number, problem)
    seen: Set[str] = set()
    for number, block in zip(lines, blocks):
        if block.id in seen:
            problems.add(number, f"the sentence {block.id!r} stands twice")
        seen.add(block.id)
        if texts is not None and block.id not in texts:
            problems.add(number, f"no sentence has the id {block.id!r}")
        for problem in block.problems(None if texts is None else texts.get(block.id)):
            problems.add(number, problem)
    return blocks


def read_split(
    folder: Path, texts: Optional[Mapping[str, str]], held_out: bool, make: Callable[[str], AnyBlock]
) -> List[AnyBlock]:
    """RETURNS (List[AnyBlock]): the blocks of a folder that train, or those that are held out. A ValueError is raised
    where something is wrong. For the arguments see `read_blocks`.
    """
    out: List[AnyBlock] = []
    for path in sorted(folder.glob("*.txt")):
        problems = Problems(path)
        blocks = read_blocks(path, texts, problems, make)
        problems.raise_any()
        out += [block for number, block in enumerate(blocks, 1) if (number % HELD_OUT == 0) == held_out]
    return out


def check(
    folder: Path, texts: Mapping[str, str], make: Callable[[str], AnyBlock], count: Callable[[Sequence[AnyBlock]], str]
) -> int:
    """Print what is wrong with the files of a folder, and what they hold.

    count (Callable[[Sequence[AnyBlock]], str]): says how much is in some blocks.
    RETURNS (int): 0, or 1 where a file has problems.
    """
    told = 0
    for path in sorted(folder.glob("*.txt")):
        problems = Problems(path)
        blocks = read_blocks(path, texts, problems, make)
        sys.stdout.write("".join(f"{path} {message}\n" for message in problems.messages))
        sys.stdout.write(f"{path.stem}: {len(blocks)} sentences, {count(blocks)}\n")
        told += len(problems.messages)
    return int(bool(told))
