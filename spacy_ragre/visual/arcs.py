"""Where the arcs of a picture run: on levels above the lines of text, and along the sides from one line to another."""

from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Sequence, Tuple

from .document import Edge, TextPicture
from .lines import Box, Line, Lines, depths, port_step
from .texts import shorten, shown, width

LABEL_SIZE = 11.0
SCORE_SIZE = 10.0
BOLD = 1.07  # how much wider the letters of labels are than those of the text
LABEL_HEIGHT = 15.0
# What is between the lines of text, in pixels.
LEVEL = 21.0
LOWEST = 15.0  # from a mention to the lowest arc
ASCENT = 14.0
DESCENT = 5.0
TYPE_HEIGHT = 12.0
LINE_GAP = 10.0
ROW_GAP = 12.0
TRACK = 9.0
MARGIN = 14.0
LONGEST_LABEL = 240.0

Point = Tuple[float, float]


class PlacedBox(NamedTuple):
    """A mention's box. mention (int): its index. left, top, right, bottom (float): its edges. depth (int): how many
    mentions are nested in it.
    """

    mention: int
    left: float
    top: float
    right: float
    bottom: float
    depth: int


class PlacedRun(NamedTuple):
    """Words. x (float): their middle. y (float): their base line. width (float): how wide they are."""

    x: float
    y: float
    width: float
    text: str


class Arc(NamedTuple):
    """A relation as it is drawn.

    edge (Edge): the relation.
    points (List[Point]): corners of its line, from head to tail.
    label (str): what stands on it.
    score (str): the score behind the label.
    x (float), y (float): middle of the label, and of its height.
    width (float): how wide the label is with the score.
    """

    edge: Edge
    points: List[Point]
    label: str
    score: str
    x: float
    y: float
    width: float


class ArcsPicture(NamedTuple):
    """All that is drawn. width (float), height (float): its size, in pixels."""

    width: float
    height: float
    boxes: List[PlacedBox]
    runs: List[PlacedRun]
    arcs: List[Arc]


@dataclass
class _Segment:
    """The part of an arc that runs above one line.

    edge (int): index of the relation.
    left (float), right (float): its ends.
    label (float): width of the label that stands on it; 0 for none.
    stems (Tuple[float, ...]): where it goes down to the line.
    """

    edge: int
    left: float
    right: float
    label: float
    stems: Tuple[float, ...]
    level: int = 0
    x: float = 0.0
    bounds: Tuple[float, float] = (0.0, 0.0)


@dataclass
class _Track:
    """The part of an arc that runs along a side. first (int), last (int): its lines. right (bool): which side it is."""

    first: int
    last: int
    right: bool
    number: int = 0


@dataclass
class _Ends:
    """Where the two ends of relations are, by line and mention."""

    home: Dict[int, Tuple[int, Box]] = field(default_factory=dict)
    ports: Dict[Tuple[int, bool], float] = field(default_factory=dict)


def score_text(score: float) -> str:
    """RETURNS (str): a score as pictures show it, with two digits."""
    return f"{score:.2f}"


def lay_out(picture: TextPicture, most: float) -> ArcsPicture:
    """Lay out a document with arcs for its relations.

    picture (TextPicture): the document, with at least one word.
    most (float): how wide the picture may be, in pixels. It may get wider by the lines along its sides.
    RETURNS (ArcsPicture): what is to be drawn, and where.
    """
    ports = [0] * len(picture.mentions)
    for edge in picture.edges:
        ports[edge.head] += 1
        ports[edge.tail] += 1
    texts = [(shorten(shown(edge.label), LABEL_SIZE, LONGEST_LABEL), score_text(edge.score)) for edge in picture.edges]
    labels = [width(label, LABEL_SIZE) * BOLD + 5 + width(score, SCORE_SIZE) for label, score in texts]
    inner = most - 2 * MARGIN
    layout = _Layout(picture, Lines(picture, ports, labels, inner).lay_out(), texts, labels)
    if layout.width + layout.sides > inner:
        # What runs along the sides takes room from the lines.
        narrow = max(120.0, inner - layout.sides)
        layout = _Layout(picture, Lines(picture, ports, labels, narrow).lay_out(), texts, labels)
    return layout.place()


class _Layout:
    """Arcs above lines of text.

    width (float): how wide the lines are, in pixels.
    sides (float): how wide what runs along both sides is.
    """

    def __init__(
        self, picture: TextPicture, lines: List[Line], texts: Sequence[Tuple[str, str]], labels: Sequence[float]
    ) -> None:
        self.edges = picture.edges
        self.lines = lines
        self.depths = depths(picture.mentions)
        self.texts = texts
        self.label_widths = labels
        # A short text may have long labels above it.
        self.width = max([line.width for line in lines] + [size + 8 for size in self.label_widths])
        self.ends = _Ends()
        for number, line in enumerate(lines):
            for box in line.boxes:
                if box.first:
                    self.ends.home[box.mention] = (number, box)
        self.tracks = self._tracks()
        self.left, self.right = (
            max((TRACK * (track.number + 1) + 6 for track in self.tracks.values() if track.right is right), default=0.0)
            for right in (False, True)
        )
        self.sides = self.left + self.right

    def place(self) -> ArcsPicture:
        """RETURNS (ArcsPicture): what is to be drawn, and where."""
        tracks = self.tracks
        self._place_ports(tracks)
        by_line = self._segments(tracks)
        for segments in by_line:
            _choose_levels(segments, self.width)
        dx = MARGIN + self.left
        boxes: List[PlacedBox] = []
        runs: List[PlacedRun] = []
        tops: List[float] = []
        y = MARGIN
        for number, (line, segments) in enumerate(zip(self.lines, by_line)):
            y += (ROW_GAP if line.row else LINE_GAP) if number else 0.0
            deepest = max((self.depths[box.mention] for box in line.boxes), default=-1)
            levels = max((segment.level + 1 for segment in segments), default=0)
            y += (LOWEST + (levels - 1) * LEVEL + LABEL_HEIGHT / 2 if levels else 0.0) + 3 * max(0, deepest)
            tops.append(y)
            base = y + 4 + ASCENT
            for box in line.boxes:
                depth = self.depths[box.mention]
                bottom = base + DESCENT + TYPE_HEIGHT * (depth + 1)
                boxes.append(PlacedBox(box.mention, box.left + dx, y - 3 * depth, box.right + dx, bottom, depth))
            runs += [PlacedRun(run.x + run.width / 2 + dx, base, run.width, run.text) for run in line.runs]
            y = base + DESCENT + TYPE_HEIGHT * (deepest + 1)
        arcs = self._arcs(by_line, tracks, tops, dx)
        boxes.sort(key=lambda box: (-box.depth, box.top, box.left))
        return ArcsPicture(self.width + self.sides + 2 * MARGIN, y + MARGIN, boxes, runs, arcs)

    def _tracks(self) -> Dict[int, _Track]:
        """RETURNS (Dict[int, _Track]): for each relation between two lines, where it runs along the side."""
        tracks: Dict[int, _Track] = {}
        for number, edge in enumerate(self.edges):
            (head_line, head), (tail_line, tail) = self.ends.home[edge.head], self.ends.home[edge.tail]
            if head_line != tail_line:
                middle = (head.left + head.right + tail.left + tail.right) / 4
                right = middle >= self.width / 2
                tracks[number] = _Track(min(head_line, tail_line), max(head_line, tail_line), right)
        for right in (False, True):
            side = [track for track in tracks.values() if track.right is right]
            for at, track in enumerate(sorted(side, key=lambda track: (track.last - track.first, track.first))):
                taken = {
                    other.number
                    for other in sorted(side, key=lambda track: (track.last - track.first, track.first))[:at]
                    if other.first <= track.last and track.first <= other.last
                }
                track.number = next(i for i in range(len(side)) if i not in taken)
        return tracks

    def _place_ports(self, tracks: Dict[int, _Track]) -> None:
        """Give each end of a relation its place on the mention: near ones outside, so that arcs do not cross there."""
        wanted: Dict[int, List[Tuple[bool, float, int, bool]]] = {}
        for number, edge in enumerate(self.edges):
            for mention, other, is_head in ((edge.head, edge.tail, True), (edge.tail, edge.head, False)):
                _, own = self.ends.home[mention]
                _, there = self.ends.home[other]
                target = (there.left + there.right) / 2
                if number in tracks:
                    track = tracks[number]
                    target = (1e6 + track.number) * (1 if track.right else -1)
                elif mention == other:
                    target += 1 if is_head else -1
                to_right = target > (own.left + own.right) / 2
                wanted.setdefault(mention, []).append((to_right, -target, number, is_head))
        for mention, ends in wanted.items():
            _, box = self.ends.home[mention]
            step = port_step(box.right - box.left, len(ends))
            start = (box.left + box.right) / 2 - step * (len(ends) - 1) / 2
            for at, (_, _, number, is_head) in enumerate(sorted(ends)):
                self.ends.ports[number, is_head] = start + at * step

    def _segments(self, tracks: Dict[int, _Track]) -> List[List[_Segment]]:
        """RETURNS (List[List[_Segment]]): for each line, the parts of arcs that run above it."""
        by_line: List[List[_Segment]] = [[] for _ in self.lines]
        for number, edge in enumerate(self.edges):
            head, tail = self.ends.ports[number, True], self.ends.ports[number, False]
            head_line, tail_line = self.ends.home[edge.head][0], self.ends.home[edge.tail][0]
            label = self.label_widths[number] + 8
            if number not in tracks:
                ends = (min(head, tail), max(head, tail))
                by_line[head_line].append(_Segment(number, *ends, label, ends))
                continue
            track = tracks[number]
            side = self.width + 6 + TRACK * track.number if track.right else -6 - TRACK * track.number
            lengths = {head_line: abs(side - head), tail_line: abs(side - tail)}
            on = max(lengths, key=lambda line: lengths[line])
            for line, port in ((head_line, head), (tail_line, tail)):
                ends = (min(port, side), max(port, side))
                by_line[line].append(_Segment(number, *ends, label if line == on else 0.0, (port,)))
        return by_line

    def _arcs(
        self, by_line: Sequence[Sequence[_Segment]], tracks: Dict[int, _Track], tops: Sequence[float], dx: float
    ) -> List[Arc]:
        """RETURNS (List[Arc]): the arcs, in the order of the relations."""
        heights = {
            (segment.edge, number): tops[number] - LOWEST - LEVEL * segment.level
            for number, segments in enumerate(by_line)
            for segment in segments
        }
        labels = {
            segment.edge: (segment.x + dx, heights[segment.edge, number])
            for number, segments in enumerate(by_line)
            for segment in segments
            if segment.label
        }
        arcs = []
        for number, edge in enumerate(self.edges):
            ends = []
            for mention, is_head in ((edge.head, True), (edge.tail, False)):
                line = self.ends.home[mention][0]
                x, top = self.ends.ports[number, is_head] + dx, tops[line] - 3 * self.depths[mention]
                ends.append(((x, top), (x, heights[number, line])))
            between: List[Point] = []
            if number in tracks:
                track = tracks[number]
                side = dx + (self.width + 6 + TRACK * track.number if track.right else -6 - TRACK * track.number)
                between = [(side, ends[0][1][1]), (side, ends[1][1][1])]
            points = [*ends[0], *between, *reversed(ends[1])]
            arcs.append(Arc(edge, points, *self.texts[number], *labels[number], self.label_widths[number]))
        return arcs


def _choose_levels(segments: List[_Segment], whole: float) -> None:
    """Put segments on levels, short ones low, so that no two meet on one; then labels on them, beside the lines of
    higher arcs where there is room.
    """
    for segment in segments:
        left, right = max(segment.left, 0.0), min(segment.right, whole)
        half = segment.label / 2
        middle = min(max((left + right) / 2, half), whole - half)
        segment.x = middle
        segment.bounds = (
            (min(segment.left, middle - half), max(segment.right, middle + half))
            if half
            else (
                segment.left,
                segment.right,
            )
        )
    placed: List[_Segment] = []
    for segment in sorted(segments, key=lambda item: (item.bounds[1] - item.bounds[0], item.left, item.edge)):
        taken = {
            other.level
            for other in placed
            if other.bounds[0] < segment.bounds[1] + 6 and segment.bounds[0] < other.bounds[1] + 6
        }
        segment.level = next(level for level in range(len(segments)) if level not in taken)
        placed.append(segment)
    for segment in segments:
        if segment.label:
            higher = [x for other in segments if other.level > segment.level for x in other.stems]
            segment.x = _free_place(segment, higher, whole)


def _free_place(segment: _Segment, stems: Sequence[float], whole: float) -> float:
    """RETURNS (float): middle of the label, where the fewest of these lines run through it."""
    half = segment.label / 2
    low, high = max(segment.bounds[0], 0.0) + half, min(segment.bounds[1], whole) - half
    steps = int(max(0.0, high - low) // 6)
    places = [segment.x, *(low + 6 * i for i in range(steps + 1)), max(low, high)]
    return min(places, key=lambda x: (sum(abs(x - stem) < half for stem in stems), abs(x - segment.x)))
