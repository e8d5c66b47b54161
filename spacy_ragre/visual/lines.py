"""Where the words and mentions of a document stand in a picture: lines of a given width, from left or from right."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Sequence, Tuple

from .document import Mention, TextPicture
from .texts import direction, has_emoji, shorten, shown, width

TEXT_SIZE = 15.0
TYPE_SIZE = 9.0
SPACE = width(" ", TEXT_SIZE)
# Between the words of a mention and its box, and between two boxes.
PADDING = 6.0
# Between two lines that end at one mention.
PORT = 11.0
# What two words are moved apart at most, to make room for a label above them.
_MOST_APART = 150.0


class Run(NamedTuple):
    """Words that are drawn as one.

    x (float): left edge.
    width (float): how wide they are drawn.
    text (str): the words.
    """

    x: float
    width: float
    text: str


class Box(NamedTuple):
    """The part of a mention that stands on one line.

    mention (int): index of the mention.
    left (float), right (float): its edges.
    first (bool): the mention begins here.
    """

    mention: int
    left: float
    right: float
    first: bool


@dataclass
class Line:
    """One line of text.

    runs (List[Run]): its words.
    boxes (List[Box]): its mentions, outer ones first.
    row (bool): whether a new row, such as a sentence, begins here.
    width (float): how wide it is.
    """

    runs: List[Run] = field(default_factory=list)
    boxes: List[Box] = field(default_factory=list)
    row: bool = False
    width: float = 0.0


@dataclass
class _Piece:
    """Consecutive words of a line that are in the same mentions.

    first (int), last (int): indexes of its words, end exclusive.
    """

    first: int
    last: int
    text: str
    lead: float
    body: float
    trail: float
    x: float = 0.0

    @property
    def advance(self) -> float:
        return self.lead + self.body + self.trail


def depths(mentions: Sequence[Mention]) -> List[int]:
    """RETURNS (List[int]): for each mention, how many others are nested in it, one in another; 0 for most."""
    result = [0] * len(mentions)
    order = sorted(range(len(mentions)), key=lambda i: (mentions[i].end - mentions[i].start, i))
    for at, i in enumerate(order):
        own = mentions[i]
        inner = [result[j] for j in order[:at] if mentions[j].start < own.end and own.start < mentions[j].end]
        result[i] = max(inner, default=-1) + 1
    return result


class Lines:
    """Lays a document out in lines.

    picture (TextPicture): the document, with at least one word.
    ports (Sequence[int]): for each mention, how many lines end at it.
    labels (Sequence[float]): for each relation, how wide its label is.
    most (float): the widest that a line may be, in pixels.
    """

    def __init__(self, picture: TextPicture, ports: Sequence[int], labels: Sequence[float], most: float) -> None:
        self.picture = picture
        self.most = most
        self.base = direction(picture.text)
        text, words = picture.text, picture.words
        self._texts = [shorten(shown(text[a:b]), TEXT_SIZE, max(60.0, most - 40)) for a, b in words]
        self._widths = [width(word, TEXT_SIZE) for word in self._texts]
        self._spaced = [i > 0 and words[i][0] > words[i - 1][1] for i in range(len(words))]
        self._emoji = [has_emoji(word) for word in self._texts]
        self._pre = [0.0] * len(words)
        self._post = [0.0] * len(words)
        self._spans: List[Tuple[int, int]] = []
        self._of_word: List[List[int]] = [[] for _ in words]
        self._find_words()
        self._left = [0.0] * len(picture.mentions)
        self._right = [0.0] * len(picture.mentions)
        self._apart = [0.0] * len(words)
        self._make_room(ports)
        self._move_apart(ports, labels)

    def _find_words(self) -> None:
        """Tell which words each mention covers. It may begin or end inside of one that was merged since."""
        starts = {start: i for i, (start, _) in enumerate(self.picture.words)}
        ends = {end: i + 1 for i, (_, end) in enumerate(self.picture.words)}
        for number, mention in enumerate(self.picture.mentions):
            first, last = starts.get(mention.start), ends.get(mention.end)
            if first is None or last is None:
                words = self.picture.words
                inside = [i for i, (a, b) in enumerate(words) if a < mention.end and mention.start < b]
                # A mention of white space alone is shown at the word behind it.
                behind = min(bisect_left(words, (mention.start, 0)), len(words) - 1)
                first, last = (inside[0], inside[-1] + 1) if inside else (behind, behind + 1)
            self._spans.append((first, last))
            for i in range(first, last):
                self._of_word[i].append(number)

    def _make_room(self, ports: Sequence[int]) -> None:
        """Widen the ends of mentions to hold their type and the lines that end there, inner mentions first."""
        mentions = self.picture.mentions
        for i in sorted(range(len(mentions)), key=lambda i: mentions[i].end - mentions[i].start):
            first, last = self._spans[i]
            need = max(type_width(mentions[i].label), ports[i] * PORT) + 2 * PADDING
            extra = max(0.0, need - 2 * PADDING - self._length(first, last)) / 2
            self._pre[first] += PADDING + extra
            self._post[last - 1] += PADDING + extra
            self._left[i], self._right[i] = self._pre[first], self._post[last - 1]

    def _move_apart(self, ports: Sequence[int], labels: Sequence[float]) -> None:
        """Widen what is between two mentions where the label of their relation needs it, near ones first."""
        pairs = []
        for edge, label in zip(self.picture.edges, labels):
            one, other = sorted((edge.head, edge.tail), key=lambda mention: self._spans[mention])
            end, start = self._spans[one][1], self._spans[other][0]
            if end <= start and not any(end <= row <= start for row in self.picture.rows):
                pairs.append((start - end, end, start, one, other, label))
        for _, end, start, one, other, label in sorted(pairs):
            between = self._length(end, start) + self._gap(start) + (self._gap(end) if end < start else 0.0)
            lengths = [(self._length(*self._spans[mention]), ports[mention]) for mention in (one, other)]
            outside = sum(length - port_step(length, count) * (count - 1) for length, count in lengths)
            self._apart[start] += min(_MOST_APART, max(0.0, label + 2 * PORT - between - outside / 2))

    def _length(self, first: int, last: int) -> float:
        """RETURNS (float): how wide these words are, with what is between them."""
        return sum(
            self._pre[i] + self._widths[i] + self._post[i] + (self._gap(i) if i > first else 0.0)
            for i in range(first, last)
        )

    def _gap(self, i: int) -> float:
        """RETURNS (float): how far a word is from the one before."""
        if self._spaced[i]:
            return SPACE + self._apart[i]
        # Two boxes never touch.
        own, before = self._of_word[i], self._of_word[i - 1]
        return self._apart[i] + (2.0 if own and before and own != before else 0.0)

    def lay_out(self) -> List[Line]:
        """RETURNS (List[Line]): the lines, from the top."""
        rows = set(self.picture.rows)
        result = []
        for first, last in self._break():
            line = self._lay_out_line(first, last)
            line.row = first in rows
            result.append(line)
        widest = max((line.width for line in result), default=0.0)
        return result if self.base == "ltr" else [_mirrored(line, widest) for line in result]

    def _break(self) -> List[Tuple[int, int]]:
        """RETURNS (List[Tuple[int, int]]): the words of each line, end exclusive."""
        rows = set(self.picture.rows)
        lines: List[Tuple[int, int]] = []
        start, used = 0, 0.0
        for first, last in self._units():
            size = self._length(first, last)
            gap = self._gap(first) if first > start else 0.0
            if first > start and (first in rows or used + gap + size > self.most):
                lines.append((start, first))
                start, used, gap = first, 0.0, 0.0
            used += gap + size
        count = len(self.picture.words)
        return [*lines, (start, count)] if start < count else lines

    def _units(self) -> List[Tuple[int, int]]:
        """RETURNS (List[Tuple[int, int]]): words that stay on one line: those of a mention, where they fit on one."""
        whole = [self._length(*span) <= self.most for span in self._spans]
        units: List[Tuple[int, int]] = []
        for i in range(len(self.picture.words)):
            bound = any(whole[m] and i > self._spans[m][0] for m in self._of_word[i])
            if units and (not self._spaced[i] or bound) and self._length(units[-1][0], i + 1) <= self.most:
                units[-1] = (units[-1][0], i + 1)
            else:
                units.append((i, i + 1))
        return units

    def _lay_out_line(self, first: int, last: int) -> Line:
        """RETURNS (Line): the words of one line, as if all text ran from left."""
        blocks = self._blocks(first, last)
        turned = [_is_turned(block, self.base) for block in blocks]
        at, before = 0.0, None
        flipped_at: Dict[int, bool] = {}
        for number in _visual_order(turned):
            block = blocks[number]
            if before is not None:
                at += self._gap(blocks[max(number, before)][0].first) if abs(number - before) == 1 else SPACE
            pieces = block[::-1] if turned[number] else block
            for piece, next_piece in zip(pieces, [*pieces[1:], None]):
                piece.x = at
                at += piece.advance
                flipped_at[piece.first] = turned[number]
                if next_piece is not None:
                    at += self._gap(max(piece.first, next_piece.first))
            before = number
        line = Line(width=at)
        places: Dict[int, List[Tuple[_Piece, bool]]] = {}
        for piece in (piece for block in blocks for piece in block):
            flipped = flipped_at[piece.first]
            line.runs.append(Run(piece.x + (piece.trail if flipped else piece.lead), piece.body, piece.text))
            for mention in self._of_word[piece.first]:
                places.setdefault(mention, []).append((piece, flipped))
        for mention, parts in sorted(places.items()):
            line.boxes.append(self._box(mention, parts))
        return line

    def _box(self, mention: int, parts: Sequence[Tuple[_Piece, bool]]) -> Box:
        (begin, flipped), (end, _) = parts[0], parts[-1]
        first, last = self._spans[mention]
        left = self._left[mention] if begin.first == first else 2.0
        right = self._right[mention] if end.last == last else 2.0
        if flipped:
            edges = (end.x + end.trail - right, begin.x + begin.trail + begin.body + left)
            return Box(mention, *edges, begin.first == first)
        return Box(mention, begin.x + begin.lead - left, end.x + end.lead + end.body + right, begin.first == first)

    def _blocks(self, first: int, last: int) -> List[List[_Piece]]:
        """RETURNS (List[List[_Piece]]): the pieces of a line; those of mentions that overlap are one block."""
        blocks: List[List[_Piece]] = []
        for i in range(first, last):
            own = self._of_word[i]
            same = i > first and own == self._of_word[i - 1] and self._emoji[i] == self._emoji[i - 1]
            if same:
                piece = blocks[-1][-1]
                piece.text += (" " if self._spaced[i] else "") + self._texts[i]
                piece.body += piece.trail + self._gap(i) + self._pre[i] + self._widths[i]
                piece.trail = self._post[i]
                piece.last = i + 1
                continue
            piece = _Piece(i, i + 1, self._texts[i], self._pre[i], self._widths[i], self._post[i])
            if i > first and set(own) & set(self._of_word[i - 1]):
                blocks[-1].append(piece)
            else:
                blocks.append([piece])
        return blocks


def port_step(box: float, count: int) -> float:
    """RETURNS (float): how far the lines that end at a box are from each other. box (float): its width. count (int):
    how many lines there are.
    """
    return min(14.0, (box - 8) / count)


def type_width(label: str) -> float:
    """RETURNS (float): how wide an entity type is drawn, in pixels."""
    return width(type_text(label), TYPE_SIZE)


def type_text(label: str) -> str:
    """RETURNS (str): an entity type as it is drawn."""
    return shorten(shown(label), TYPE_SIZE, 160.0)


def _is_turned(block: Sequence[_Piece], base: str) -> bool:
    """RETURNS (bool): whether a block's text runs against that of the line."""
    text = "".join(piece.text for piece in block)
    other = "rtl" if base == "ltr" else "ltr"
    return all(direction(char, other) == other for char in text) and direction(text, base) == other


def _visual_order(turned: Sequence[bool]) -> List[int]:
    """RETURNS (List[int]): blocks as they follow each other on the line, from where it begins: neighbours that run
    against it come in reverse.
    """
    order: List[int] = []
    run: List[int] = []
    for i, flag in enumerate(turned):
        if flag:
            run.append(i)
        else:
            order += [*reversed(run), i]
            run = []
    return [*order, *reversed(run)]


def _mirrored(line: Line, widest: float) -> Line:
    runs = [Run(widest - run.x - run.width, run.width, run.text) for run in line.runs]
    boxes = [Box(box.mention, widest - box.right, widest - box.left, box.first) for box in line.boxes]
    return Line(runs, boxes, line.row, line.width)
