"""Responses of the generating tasks: how mentions and triples are written, read, and found again in the text.

A response is read leniently and aligned strictly: what is no item of the format is left out, and a mention counts only
where its words stand in the text. Nothing that a model invents passes.
"""

import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from .rendering import one_line

NONE = "none"
#: Words and single other characters, which mentions begin and end with.
PIECE = re.compile(r"\w+|[^\w\s]")

Offsets = Tuple[int, int]


class Parsed(NamedTuple):
    """What a response says.

    items (List[Tuple[str, ...]]): the text and kind of each mention, or the head, relation and tail of each triple, in
        the order of the response.
    malformed (int): parts that are no item of the format.
    """

    items: List[Tuple[str, ...]]
    malformed: int


def split_pieces_of(text: str) -> List[Tuple[str, Offsets]]:
    """RETURNS (List[Tuple[str, Tuple[int, int]]]): the words and other characters of a text, with their offsets."""
    return [(match.group(), match.span()) for match in PIECE.finditer(text)]


def response_pieces(text: str) -> List[str]:
    """Cut a response as it is tokenised, piece by piece, so that a name has the same tokens wherever it stands.

    text (str): the response.
    RETURNS (List[str]): its words and other characters, each with the space before it, where there is one.
    """
    found = split_pieces_of(text)
    return [(" " if start and text[start - 1].isspace() else "") + piece for piece, (start, _) in found]


# Writing


def write_entities(mentions: Sequence[Tuple[str, str]]) -> str:
    """mentions (Sequence[Tuple[str, str]]): the text and kind of each, such as "supplement".
    RETURNS (str): "fish oil (supplement); dry eyes (event)", or "none".
    """
    return "; ".join(f"{one_line(text)} ({kind})" for text, kind in mentions) or NONE


def write_triples(triples: Sequence[Tuple[str, str, str]]) -> str:
    """triples (Sequence[Tuple[str, str, str]]): as in `doc._.triples`.
    RETURNS (str): "fish oil | positive | dry eyes; ...", or "none".
    """
    return "; ".join(f"{one_line(head)} | {relation} | {one_line(tail)}" for head, relation, tail in triples) or NONE


# Reading


def read_entities(response: str, kinds: Sequence[str]) -> Parsed:
    """Read a list of mentions. Only the first line counts: models tend to go on with a next question.

    response (str): what was generated.
    kinds (Sequence[str]): the kinds that a mention may have.
    RETURNS (Parsed): the mentions.
    """
    pattern = re.compile(rf"\s*(\S.*?)\s*\(\s*({'|'.join(map(re.escape, kinds))})\s*\)\s*", re.IGNORECASE)
    known = {kind.casefold(): kind for kind in kinds}
    items: List[Tuple[str, ...]] = []
    malformed = 0
    for part in _parts(response):
        match = pattern.fullmatch(part)
        if match is None:
            malformed += 1
        else:
            items.append((match[1], known[match[2].casefold()]))
    return Parsed(items, malformed)


def read_triples(response: str, relations: Sequence[str]) -> Parsed:
    """Read a list of triples; as `read_entities`.

    relations (Sequence[str]): the relations that a triple may have.
    """
    known = {relation.casefold(): relation for relation in relations}
    items: List[Tuple[str, ...]] = []
    malformed = 0
    for part in _parts(response):
        fields = [field.strip() for field in part.split("|")]
        if len(fields) != 3 or not fields[0] or not fields[2] or fields[1].casefold() not in known:
            malformed += 1
        else:
            items.append((fields[0], known[fields[1].casefold()], fields[2]))
    return Parsed(items, malformed)


def count_answers(response: str) -> int:
    """RETURNS (int): how many answers a response gives: one for each item of a list, and one for an empty list or a
    label.
    """
    return max(1, len(_parts(response)))


def _parts(response: str) -> List[str]:
    line = response.strip().split("\n", 1)[0].strip()
    if not line or line.casefold().rstrip(".") == NONE:
        return []
    return [part for part in line.split(";") if part.strip()]


# Alignment


class Aligner:
    """Finds the words of mentions in a text, without regard to white space and, if need be, to case.

    text (str): the text.
    """

    def __init__(self, text: str) -> None:
        found = split_pieces_of(text)
        self._offsets = [offsets for _, offsets in found]
        self._exact = [piece for piece, _ in found]
        self._folded = [piece.casefold() for piece, _ in found]
        self._first: Dict[str, List[int]] = {}
        for i, piece in enumerate(self._folded):
            self._first.setdefault(piece, []).append(i)

    def places(self, words: str) -> List[Offsets]:
        """RETURNS (List[Tuple[int, int]]): all places of some words, as character offsets in the order of the text.
        Where they stand in the text in the same case, only those places count.
        """
        exact = [piece for piece, _ in split_pieces_of(words)]
        if not exact:
            return []
        folded = [piece.casefold() for piece in exact]
        size = len(exact)
        starts = [i for i in self._first.get(folded[0], ()) if self._folded[i : i + size] == folded]
        same = [i for i in starts if self._exact[i : i + size] == exact]
        return [(self._offsets[i][0], self._offsets[i + size - 1][1]) for i in same or starts]

    def align(self, mentions: Sequence[str]) -> List[Optional[Offsets]]:
        """Give mentions their places. They are taken to come in the order of the text: each gets its first place after
        the one before it, or else its first place that no other mention has.

        mentions (Sequence[str]): the words of each mention.
        RETURNS (List[Optional[Tuple[int, int]]]): character offsets, or None where the words do not stand in the text
            once more.
        """
        taken: List[Offsets] = []
        result: List[Optional[Offsets]] = []
        cursor = 0
        for words in mentions:
            free = [place for place in self.places(words) if not any(_overlap(place, other) for other in taken)]
            chosen = next((place for place in free if place[0] >= cursor), free[0] if free else None)
            if chosen is not None:
                taken.append(chosen)
                cursor = max(cursor, chosen[1])
            result.append(chosen)
        return result


def _overlap(a: Offsets, b: Offsets) -> bool:
    return a[0] < b[1] and b[0] < a[1]
