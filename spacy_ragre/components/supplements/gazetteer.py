"""Names of dietary supplements and where they stand in a text, without a trained model.

The names are in `supplements.jsonl` as spaCy patterns, so that an `entity_ruler` with `phrase_matcher_attr = "LOWER"`
reads them too; `README.md` next to it says where they come from.
"""

import re
from functools import lru_cache
from importlib import resources
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import srsly

from ...errors import Errors
from ...registry import registry

FILE = "data/supplements.jsonl"
# An empty line is a piece of no name.
_PIECE = re.compile(r"\w+|\n\s*\n|[^\w\s]")
# Written or left out, joined or apart: "omega-3", "omega 3"; "cat's claw", "cats claw" is given as a name of its own.
_IGNORED = frozenset("-\u2010\u2011\u2013'\u2019\u2018`")
_NAME = "\0name"


class Place(NamedTuple):
    """A name in a text.

    start (int): character offset.
    end (int): character offset, exclusive.
    id (str): the supplement, the same for all its names.
    """

    start: int
    end: int
    id: str


def load_patterns() -> List[Dict[str, Any]]:
    """RETURNS (List[Dict[str, Any]]): the shipped names as patterns for spaCy's `entity_ruler`: `label`, `pattern` and
    `id`. Names that are another word in small letters have token patterns with `TEXT`.
    """
    with resources.files(__package__).joinpath(FILE).open("r", encoding="utf8") as file:
        return [srsly.json_loads(line) for line in file if line.strip()]


@registry.misc("ragre.SupplementPatterns.v1")
def create_supplement_patterns() -> List[Dict[str, Any]]:
    """The shipped names, for `[initialize.components.entity_ruler.patterns]`."""
    return load_patterns()


@registry.misc("ragre.SupplementGazetteer.v1")
def create_supplement_gazetteer(extra: Optional[List[str]] = None, without: Optional[List[str]] = None) -> "Gazetteer":
    """The shipped names as a gazetteer.

    extra (Optional[List[str]]): further names.
    without (Optional[List[str]]): ids, or names, to leave out.
    """
    dropped = {name.casefold() for name in without or ()}
    patterns = [
        pattern
        for pattern in load_patterns()
        if pattern["id"].casefold() not in dropped and _words(pattern).casefold() not in dropped
    ]
    patterns += [{"label": "SUPPLEMENT", "pattern": name, "id": name.casefold()} for name in extra or ()]
    return Gazetteer(patterns)


class Gazetteer:
    """Finds names in a text: without regard to case, to hyphens and apostrophes, and to a plural "s".

    patterns (Sequence[Mapping[str, Any]]): patterns as `load_patterns` gives them.
    """

    def __init__(self, patterns: Sequence[Mapping[str, Any]]) -> None:
        self._root: Dict[str, Any] = {}
        self._cased: Dict[Tuple[str, ...], str] = {}
        for pattern in patterns:
            words = _words(pattern)
            pieces = [piece for piece, _, _ in _pieces(words)]
            if not any(piece.isalnum() for piece in pieces):
                raise ValueError(Errors.R320.format(pattern=dict(pattern)))
            if isinstance(pattern["pattern"], str):
                node = self._root
                for piece in pieces:
                    node = node.setdefault(_fold(piece), {})
                node.setdefault(_NAME, pattern.get("id", ""))
            else:
                self._cased[tuple(pieces)] = pattern.get("id", "")
        self._longest = max(map(len, self._cased), default=0)

    def find(self, text: str) -> List[Place]:
        """Find names. Of those that overlap, the one that begins first and of these the longest counts.

        text (str): the text.
        RETURNS (List[Place]): the names in the order of the text.
        """
        pieces = _pieces(text)
        result: List[Place] = []
        i = 0
        while i < len(pieces):
            stop, name = self._longest_at(pieces, i)
            if stop == i:
                i += 1
            else:
                result.append(Place(pieces[i][1], pieces[stop - 1][2], name))
                i = stop
        return result

    def _longest_at(self, pieces: Sequence[Tuple[str, int, int]], start: int) -> Tuple[int, str]:
        found, name = start, ""
        for size in range(min(self._longest, len(pieces) - start), 0, -1):
            words = tuple(piece for piece, _, _ in pieces[start : start + size])
            if words in self._cased:
                found, name = start + size, self._cased[words]
                break
        node = self._root
        for i in range(start, len(pieces)):
            folded = _fold(pieces[i][0])
            # The last word of a name may have a plural "s": "zinc tablets" has not, "probiotics" has.
            for last in (folded, folded[:-1] if folded.endswith("s") and len(folded) > 3 else folded):
                here = node.get(last, {})
                if _NAME in here and i + 1 > found:
                    found, name = i + 1, here[_NAME]
            if folded not in node:
                break
            node = node[folded]
        return found, name


def _words(pattern: Mapping[str, Any]) -> str:
    value = pattern["pattern"]
    return value if isinstance(value, str) else " ".join(token.get("TEXT", "") for token in value)


def _pieces(text: str) -> List[Tuple[str, int, int]]:
    """Words and other characters with their offsets, without those that are ignored. A dash between spaces, as that of
    a list, is no hyphen of a name.
    """
    pieces = []
    for match in _PIECE.finditer(text):
        start, end = match.span()
        alone = not (text[max(0, start - 1) : start] + text[end : end + 1]).strip()
        if alone or match.group() not in _IGNORED:
            pieces.append((match.group(), start, end))
    return pieces


@lru_cache(maxsize=1 << 14)
def _fold(piece: str) -> str:
    return piece.casefold()
