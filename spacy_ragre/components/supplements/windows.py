"""Windows: the parts of a document that are read at once, cut between sentences."""

import re
from typing import Iterator, List, NamedTuple, Optional, Tuple

from spacy.tokens import Doc, Token

from ...errors import Errors

_CLOSING = re.compile(r"(?P<word>\w*)[.!?]+[\"')\]]*$")
# Most tokens of what closes a sentence, after its last word: marks, quotes and brackets.
_ENDING = 3
# Words that are cut short by a full stop, and are seldom the last of a sentence.
_SHORT = frozenset("approx cont dr esp incl mr mrs ms prof resp st vit vs".split())
# Tokens with more characters are no words, but encoded data or the like: no text is read across them.
_LONGEST_WORD = 200

Tokens = Tuple[int, int]


class Limits(NamedTuple):
    """How much is read at once.

    max_tokens (int): most tokens. A sentence with more is cut where it is full.
    max_sentences (Optional[int]): most sentences; None for as many as fit.
    """

    max_tokens: int = 64
    max_sentences: Optional[int] = 1

    def check(self) -> None:
        """Raise a ValueError where a limit is too low to read anything."""
        for (setting, value), least in zip(self._asdict().items(), (8, 1)):
            if value is not None and not value >= least:
                raise ValueError(Errors.R533.format(setting=setting, value=value, least=least))


def windows(doc: Doc, limits: Limits) -> List[Tokens]:
    """Cut a document into texts that are read at once: sentences, as many as the limits allow, one after the other.

    doc (Doc): the document. Without sentence borders, sentences end at empty lines, and at line breaks, full stops and
        the like, unless the next word is in lower case.
    limits (Limits): most tokens and sentences of a window.
    RETURNS (List[Tuple[int, int]]): token offsets, end exclusive. Sentences of white space, and tokens that are far too
        long for a word, are in none.
    """
    # Sentences between which nothing stands that no text is read across.
    parts: List[List[Tokens]] = [[]]
    for left, right in _sentences(doc):
        for token in doc[left:right]:
            if is_too_long(token):
                parts[-1].append((left, token.i))
                parts.append([])
                left = token.i + 1
        parts[-1].append((left, right))
    words = ([s for s in part if not all(token.is_space for token in doc[s[0] : s[1]])] for part in parts)
    return [window for part in words for window in _grouped(part, limits)]


def _grouped(sentences: List[Tokens], limits: Limits) -> Iterator[Tokens]:
    count = start = stop = 0
    for left, right in sentences:
        if count and (count == limits.max_sentences or right - start > limits.max_tokens):
            yield start, stop
            count = 0
        if not count:
            start = left
        while right - start > limits.max_tokens:
            yield start, start + limits.max_tokens
            start += limits.max_tokens
        stop = right
        count += 1
    if count:
        yield start, stop


def is_too_long(token: Token) -> bool:
    """RETURNS (bool): whether no text is read across a token, since it can be no word."""
    return len(token) > _LONGEST_WORD


def _sentences(doc: Doc) -> Iterator[Tokens]:
    if doc.has_annotation("SENT_START"):
        yield from ((sent.start, sent.end) for sent in doc.sents)
        return
    start = 0
    for token in doc:
        if token.i + 1 == len(doc) or _ends_sentence(token):
            yield start, token.i + 1
            start = token.i + 1


def _ends_sentence(token: Token) -> bool:
    """RETURNS (bool): whether a sentence ends with a token that others come after."""
    after = token.nbor()
    if "\n" in token.text:
        # Lines may be wrapped inside of sentences.
        return token.text.count("\n") > 1 or not after.text[0].islower()
    if after.text[0].islower() or not (token.whitespace_ or after.is_space):
        return False
    first = token.i
    while first > max(0, token.i - _ENDING) and not token.doc[first - 1].whitespace_:
        first -= 1
    closing = _CLOSING.search("".join(part.text for part in token.doc[first : token.i + 1]))
    return closing is not None and closing["word"].casefold() not in _SHORT
