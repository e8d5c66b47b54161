"""Token ids of text that is only text: no words of a document become control tokens, and a text that is tokenised in
pieces is read as if it stood there whole.

Two things stand in the way. First, tokenizers turn the words "<|im_end|>" into the token that ends a turn. Second,
tokenizers of the SentencePiece kind (Llama 2, Mistral, T5) put a space before whatever they are given:

    whole text    "[Ann] met"    ->  ▁[  Ann  ]  ▁met
    its pieces    "["            ->  ▁[
                  "Ann"          ->  ▁Ann               a space that is not there
                  "] met"        ->  ▁]  ▁met           and another one

Here a piece inside a text is tokenised behind an anchor, such as "=", whose own tokens are then taken off.
"""

import re
import sys
from itertools import chain
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Pattern, Sequence, Tuple

if TYPE_CHECKING:
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase as Tokenizer

Ids = Tuple[int, ...]

# What stands for the text before a piece. Of these, the first is taken that does not grow together with the piece.
_ANCHORS = ("=", "|", "1", "\n=", "字", "z")
# The space before a word, as tokens spell it: SentencePiece and byte-level BPE.
_SPACES = ("\u2581", "\u0120")
# Room for texts that are remembered with their ids, in bytes; and what one of them, and one of its ids, take at most.
_ROOM = 32 * 2**20
_ENTRY, _ID = 300, 36


class _Recent:
    """Token ids of texts that were read lately. A text may be a whole document, so that it is room that is limited, and
    not their number. When the texts since the last change fill half of the room, those before are forgotten.
    """

    def __init__(self) -> None:
        self._new: Dict[Tuple[str, bool], Ids] = {}
        self._old: Dict[Tuple[str, bool], Ids] = {}
        self._size = 0

    def get(self, key: Tuple[str, bool]) -> Optional[Ids]:
        """RETURNS (Optional[Tuple[int, ...]]): the ids; None where they are not known."""
        ids = self._new.get(key)
        if ids is None:
            ids = self._old.get(key)
            if ids is not None:
                self.put(key, ids)
        return ids

    def put(self, key: Tuple[str, bool], ids: Ids) -> None:
        """Remember the ids of a text."""
        self._size += sys.getsizeof(key[0]) + _ENTRY + _ID * len(ids)
        if self._size > _ROOM // 2:
            self._new, self._old, self._size = {}, self._new, 0
        self._new[key] = ids


class TextTokens:
    """Reads text with a tokenizer of transformers, a slow or a fast one.

    tokenizer (PreTrainedTokenizerBase): the tokenizer.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self.tokenizer = tokenizer
        control = _control_tokens(tokenizer)
        self._control_ids = {number for number in control.values() if number != tokenizer.unk_token_id}
        self._control = _overlapping(control)
        self._adds_space = tokenizer.convert_ids_to_tokens(self._encode("a"))[:1][0].startswith(_SPACES)
        # T5 and XLM-R drop the white space at the end of a text.
        self._drops_space = self._adds_space and self._encode("a ") == self._encode("a")
        self._recent = _Recent()

    def __getstate__(self) -> Mapping[str, object]:
        return {**self.__dict__, "_recent": _Recent()}

    def ids(self, text: str, before: str = "") -> Ids:
        """Token ids of a text or a piece of one, without special tokens.

        text (str): the text.
        before (str): the piece that it comes after; "" at the start of a text.
        RETURNS (Tuple[int, ...]): the ids. They depend on the text and on the last character before it only.
        """
        if not self._adds_space or not before:
            return self._ids(text, not self._adds_space)
        if self._drops_space and before[-1].isspace() and not text[:1].isspace():
            text = f" {text}"
        return self._ids(text, True)

    def pieces(self, pieces: Sequence[str], before: str = "") -> Tuple[Ids, str]:
        """Token ids of a text that is tokenised piece by piece.

        pieces (Sequence[str]): the pieces in their order.
        before (str): what the first of them comes after.
        RETURNS (Tuple[Tuple[int, ...], str]): the ids, and the last piece that is not empty.
        """
        found: List[Ids] = []
        for piece in pieces:
            if piece:
                found.append(self.ids(piece, before))
                before = piece
        return tuple(chain.from_iterable(found)), before

    def _ids(self, text: str, inside: bool) -> Ids:
        ids = self._recent.get((text, inside))
        if ids is None:
            ids = self._read(text, inside)
            self._recent.put((text, inside), ids)
        return ids

    def _read(self, text: str, inside: bool) -> Ids:
        """inside (bool): whether the text goes on with another one."""
        cuts = [] if self._control is None else [match.start() + 1 for match in self._control.finditer(text)]
        # Cut in two, the words of a control token are words.
        found: List[int] = []
        for start, end in zip([0, *cuts], [*cuts, len(text)]):
            found.extend(self._words(text[start:end], inside or start > 0))
        return tuple(found)

    def _words(self, text: str, inside: bool) -> Sequence[int]:
        ids = self._after_anchor(text) if inside and self._adds_space else self._encode(text)
        if self._control_ids.isdisjoint(ids):
            return ids
        # The words of a control token only once they are normalised, such as "＜s＞" for T5.
        if len(text) == 1:
            return [number for number in ids if number not in self._control_ids]
        middle = len(text) // 2
        return [*self._words(text[:middle], inside), *self._words(text[middle:], True)]

    def _after_anchor(self, text: str) -> Sequence[int]:
        for anchor in _ANCHORS:
            head = self._encode(anchor)
            whole = self._encode(anchor + text)
            if head and whole[: len(head)] == head:
                return whole[len(head) :]
        return self._encode(text)

    def _encode(self, text: str) -> List[int]:
        ids: List[int] = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids


def special_tokens(tokenizer: "Tokenizer") -> Tuple[Ids, Ids]:
    """RETURNS (Tuple[Tuple[int, ...], Tuple[int, ...]]): the tokens that a tokenizer puts before and after a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(full) - len(plain) + 1):
        if full[start : start + len(plain)] == plain:
            return tuple(full[:start]), tuple(full[start + len(plain) :])
    return (), ()


def _control_tokens(tokenizer: "Tokenizer") -> Mapping[str, int]:
    """RETURNS (Mapping[str, int]): the ids of the special tokens, by their words."""
    found = {str(token): number for token, number in zip(tokenizer.all_special_tokens, tokenizer.all_special_ids)}
    for number, token in tokenizer.added_tokens_decoder.items():
        if token.special:
            found[token.content] = number
    return found


def _overlapping(words: Mapping[str, int]) -> Optional[Pattern[str]]:
    """RETURNS (Optional[Pattern[str]]): finds all places of some words, also those that overlap."""
    known = [re.escape(word) for word in words if len(word) > 1]
    return re.compile(f"(?={'|'.join(known)})") if known else None
