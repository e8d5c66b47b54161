"""Text windows for pairs of mentions in long documents.

Each pair gets a window around its two mentions, so that no pair falls on the border between two fixed windows. The
work for a pair grows with the window and not with the document. For many pairs of a document, windows stand on a grid,
so that pairs of one neighbourhood have the same text, which a language model then reads once.
"""

from bisect import bisect_left, bisect_right
from typing import Dict, Optional, Tuple

from spacy.tokens import Doc

from ..errors import Errors
from ..relations import GAP

MIN_TOKENS = 8

Offsets = Tuple[int, int]


def check_max_tokens(max_tokens: int) -> int:
    """RETURNS (int): the value; a ValueError is raised where no two mentions with some context could fit."""
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < MIN_TOKENS:
        raise ValueError(Errors.R310.format(value=max_tokens, minimum=MIN_TOKENS))
    return max_tokens


class Windows:
    """The windows of one document.

    A window has at most `max_tokens` tokens, unless the mentions alone have more, and balanced context on
    both sides, in whole sentences where the document has sentence borders and they fit.

    doc (Doc): the document.
    max_tokens (int): the limit, in spaCy tokens.
    shared (bool): let windows stand on a grid, as far as both mentions keep context. Else mentions stand in the middle.
    """

    def __init__(self, doc: Doc, max_tokens: int, shared: bool = False) -> None:
        self.max_tokens = check_max_tokens(max_tokens)
        self.shared = shared
        self.length = len(doc)
        self._text = doc.text
        self._starts = [token.idx for token in doc]
        self._ends = [token.idx + len(token) for token in doc]
        self.has_sentences = len(doc) > 0 and doc.has_annotation("SENT_START")
        self.borders = [0, self.length]
        if self.has_sentences:
            self.borders = [sent.start for sent in doc.sents] + [self.length]
        # Pairs of one neighbourhood often share their window, and then also the string.
        self._texts: Dict[Offsets, str] = {}

    def sentences(self, start: int, end: int) -> Offsets:
        """RETURNS (Tuple[int, int]): token offsets of the sentences that hold these tokens."""
        first, last = self.sentence_numbers(start, end)
        return self.borders[first], self.borders[last + 1]

    def sentence_numbers(self, start: int, end: int) -> Offsets:
        """RETURNS (Tuple[int, int]): numbers of the first and of the last sentence that hold these tokens."""
        return bisect_right(self.borders, start) - 1, bisect_left(self.borders, end) - 1

    def are_apart(self, first: Offsets, second: Offsets) -> bool:
        """RETURNS (bool): whether the second mention stands in later sentences than the first."""
        return self.sentence_numbers(*first)[1] < self.sentence_numbers(*second)[0]

    def cut(self, first: Offsets, second: Offsets, bounds: Optional[Offsets] = None) -> Tuple[str, Offsets, Offsets]:
        """The text for a pair.

        Two mentions that are further apart than the limit get two contexts of half the size, joined by `GAP`, which
        counts as one token.

        first (Tuple[int, int]): token offsets of the mention that starts first.
        second (Tuple[int, int]): token offsets of the other one.
        bounds (Optional[Tuple[int, int]]): tokens that the window must not leave; None for the whole document.
        RETURNS (Tuple[str, Tuple[int, int], Tuple[int, int]]): the text and the mentions' character offsets in it.
        """
        bounds = bounds or (0, self.length)
        low, high = first[0], max(first[1], second[1])
        if high - low <= self.max_tokens or first[1] > second[0]:
            window = self._on_grid(low, high, bounds) or self._fit(low, high, self.max_tokens, bounds)
            return self._get(window), self._chars(first, window), self._chars(second, window)
        # A mention that is longer than half the limit takes its part from the other one's context.
        half = (self.max_tokens - 1) // 2
        need_first, need_second = first[1] - first[0], second[1] - second[0]
        size_first = max(need_first, min(half, self.max_tokens - 1 - need_second))
        size_second = max(need_second, self.max_tokens - 1 - size_first)
        left = self._fit(*first, size_first, bounds)
        right = self._fit(*second, size_second, bounds)
        shift = len(self._get(left)) + len(GAP)
        start, end = self._chars(second, right)
        return self._get(left) + GAP + self._get(right), self._chars(first, left), (start + shift, end + shift)

    def _get(self, window: Offsets) -> str:
        if window not in self._texts:
            start, end = window
            self._texts[window] = self._text[self._starts[start] : self._ends[end - 1]]
        return self._texts[window]

    def _chars(self, mention: Offsets, window: Offsets) -> Offsets:
        shift = self._starts[window[0]]
        return self._starts[mention[0]] - shift, self._ends[mention[1] - 1] - shift

    def _fit(self, low: int, high: int, size: int, bounds: Offsets) -> Offsets:
        """The window around tokens `low` to `high`: at most `size` tokens, inside the bounds.

        Whole sentences where they fit; else, or where they would leave more than half of the room unused because a
        neighbour is very long, as many tokens on both sides.
        """
        left, right = bounds
        if right - left <= size:
            return left, right
        if self.has_sentences:
            start, end = self._fit_sentences(low, high, size, bounds)
            if size // 2 <= end - start <= size:
                return start, end
        spare = max(0, size - (high - low))
        before = min(low - left, spare // 2)
        after = min(right - high, spare - before)
        before = min(low - left, spare - after)
        return low - before, high + after

    def _on_grid(self, low: int, high: int, bounds: Offsets) -> Optional[Offsets]:
        """The grid's window whose middle is nearest to that of tokens `low` to `high`, without the sentences that it
        cuts off; None where windows are not shared, or the mentions would stand at its end.
        """
        size, (left, right) = self.max_tokens, bounds
        cell = size // 4
        if not self.shared or right - left <= size or high - low > size - 2 * cell:
            return None
        start = round(((low + high) / 2 - size / 2 - left) / cell) * cell + left
        start = min(max(start, left), right - size)
        end = start + size
        if self.has_sentences:
            first = self.borders[bisect_left(self.borders, start)]
            last = self.borders[bisect_right(self.borders, end) - 1]
            start, end = (first if first <= low else start), (last if last >= high else end)
        return start, end

    def _fit_sentences(self, low: int, high: int, size: int, bounds: Offsets) -> Offsets:
        """Take in sentences one by one, on the side with less context where both fit."""
        start, end = self.sentences(low, high)
        start, end = max(start, bounds[0]), min(end, bounds[1])
        while True:
            steps = []
            if start > bounds[0]:
                steps.append((low - start, self.borders[bisect_left(self.borders, start) - 1], end))
            if end < bounds[1]:
                steps.append((end - high, start, self.borders[bisect_right(self.borders, end)]))
            steps = [step for step in steps if step[2] - step[1] <= size]
            if not steps:
                return start, end
            _, start, end = min(steps)
