"""Offsets of spans that can be compared between the two documents of an example."""

from typing import List, NamedTuple, Optional, Tuple

from spacy.tokens import Doc, Span

Offsets = Tuple[int, int]


class SolidOffsets(NamedTuple):
    """Offsets of spans that can be compared between the two documents of an example.

    They are character offsets, where both have the same text. Texts differ where one document was made from words
    with unknown spaces; then offsets count only the characters that are no spaces, as spaCy's own alignment does.

    counts (Optional[List[int]]): for each character offset, how many characters before it are no spaces.
    """

    counts: Optional[List[int]]

    @classmethod
    def of(cls, doc: Doc, other: Doc) -> "SolidOffsets":
        if doc.text == other.text:
            return cls(None)
        counts = [0]
        for char in doc.text:
            counts.append(counts[-1] + (not char.isspace()))
        return cls(counts)

    def __call__(self, span: Span) -> Offsets:
        if self.counts is None:
            return (span.start_char, span.end_char)
        return (self.counts[span.start_char], self.counts[span.end_char])
