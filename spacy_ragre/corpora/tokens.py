"""Tokens of corpora: which tokenizer reads them, and tokens cut where an entity begins or ends."""

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import Iterable, List, Optional, Sequence, Tuple, Union

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

_NO_SPACE_BEFORE = set(",.;:!?)]}%…”’") | {"'s", "’s", "'", "n't", "'m", "'re", "'ve", "'ll", "'d", "’"}
_NO_SPACE_AFTER = set("([{$£€“‘#")
_JOINS = set("-–/")


def get_nlp(nlp: Union[Language, Vocab, None] = None) -> Language:
    """RETURNS (Language): the pipeline whose tokenizer reads a corpus. For None or a Vocab, blank English."""
    if isinstance(nlp, Language):
        return nlp
    return spacy.blank("en", vocab=True if nlp is None else nlp)


def split_at(doc: Doc, offsets: Iterable[int]) -> int:
    """Cut tokens in place, so that tokens begin or end at all the given offsets. The text stays as it is.

    doc (Doc): the document.
    offsets (Iterable[int]): character offsets. Those at a token's boundary, or in the space after it, cut nothing.
    RETURNS (int): how many tokens were cut.
    """
    cuts = sorted(set(offsets))
    count = 0
    with doc.retokenize() as retokenizer:
        for token in doc:
            first, last = bisect_right(cuts, token.idx), bisect_left(cuts, token.idx + len(token))
            inside = [cut - token.idx for cut in cuts[first:last]]
            if inside:
                count += 1
                bounds: List[Optional[int]] = [0, *inside, None]
                orths = [token.text[start:end] for start, end in zip(bounds, bounds[1:])]
                # Each part is its own head: there is no parse yet, and the retokenizer asks for heads.
                retokenizer.split(token, orths, heads=[(token, i) for i in range(len(orths))])
    return count


def sentences(doc: Doc) -> List[Span]:
    """RETURNS (List[Span]): the sentences of a document; the whole of it where it has none."""
    return list(doc.sents) if doc.has_annotation("SENT_START") else [doc[:]]


def utf16_offsets(text: str) -> List[int]:
    """Where the characters of a text are for tools that count 16-bit units of UTF-16, in which those beyond U+FFFF,
    such as emoji, are two.

    text (str): the text.
    RETURNS (List[int]): the offset of each character, and that of the text's end.
    """
    return list(accumulate((1 + (char > "\uffff") for char in text), initial=0))


def english_spaces(words: Sequence[str]) -> List[bool]:
    """Whether a space follows each token of a sentence, as English is written, for formats that don't say.

    words (Sequence[str]): the tokens, none of them empty.
    RETURNS (List[bool]): one value a token.
    """
    spaces = [True] * len(words)
    quoted = False
    for i, word in enumerate(words):
        before, after = False, False  # whether the token sticks to its neighbours
        if word == '"':
            before, after = quoted, not quoted
            quoted = not quoted
        elif word.isspace():
            before = after = True
        elif word in _JOINS and 0 < i < len(words) - 1:
            before = after = words[i - 1][-1].isalnum() and words[i + 1][0].isalnum()
        else:
            before, after = word in _NO_SPACE_BEFORE, word in _NO_SPACE_AFTER
        if before and i:
            spaces[i - 1] = False
        if after:
            spaces[i] = False
    return spaces


def join_words(words: Sequence[str]) -> Tuple[str, List[int]]:
    """RETURNS (Tuple[str, List[int]]): the text of tokens, with spaces as English is written, and where each begins."""
    text = ""
    starts = []
    for word, space in zip(words, english_spaces(words)):
        starts.append(len(text))
        text += word + " " * space
    return text.rstrip(" "), starts


def blocked_tokens(tokens: Union[Doc, Span]) -> List[Span]:
    """RETURNS (List[Span]): each token where no entity may be, as `Doc.set_ents(..., blocked=...)` was told."""
    return [tokens[i : i + 1] for i, token in enumerate(tokens) if token.ent_iob == 3 and not token.ent_type]
