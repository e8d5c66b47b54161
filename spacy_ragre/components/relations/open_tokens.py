"""How texts and labels are laid out as tokens for a reader of open labels, in training and in prediction.

    text        [CLS] bill gates founded microsoft . [SEP]       mentions "bill gates" and "microsoft"
    label       [CLS] head was founded by tail : DEFINITION [SEP]    its mentions are the two placeholders

Other models than BERT have other tokens around a text, or none.
"""

import re
from typing import Callable, Dict, List, Sequence, Tuple

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .open_reader import TokenInput

MAX_LABEL_TOKENS = 48
# The space before a word, as tokens of SentencePiece and of byte-level BPE spell it.
_SPACES = ("\u2581", "\u0120")
# Words for entity types that do not read as words. Other names are only split: `BusinessUnit` is "business unit".
TYPE_WORDS = {
    "PER": "person", "ORG": "organisation", "GPE": "country or city", "LOC": "place", "FAC": "building",
    "NORP": "nationality or group", "MISC": "thing", "NUM": "number", "CARDINAL": "number", "ORDINAL": "number",
    "WORK": "work of art", "WORK_OF_ART": "work of art", "VULN": "vulnerability", "MED": "medicine", "FIND": "finding",
    "PROC": "procedure", "DOC": "document", "POLITY": "country", "LAB": "laboratory", "ORGANIZATION": "organisation",
    "TEMP": "temperature",
}  # fmt: skip


def type_words(name: str) -> str:
    """RETURNS (str): words for an entity type: `WORK_OF_ART` is "work of art", `BusinessUnit` is "business unit"."""
    if name.upper() in TYPE_WORDS:
        return TYPE_WORDS[name.upper()]
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[_\-/]+", " ", name).strip().lower()


class TokenLayout:
    """Lays texts and labels out.

    tokenizer (Tokenizer): the model's. It is changed to cut nothing off, to pad nothing, and to read a text's own words
        never as control tokens.
    before, after (Sequence[int]): the ids that stand around a text.
    """

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int], after: Sequence[int]) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        self.tokenizer, self.before, self.after = tokenizer, list(before), list(after)
        first = tokenizer.id_to_token(self.ids("a")[0]) or ""
        self._space = "" if first.startswith(_SPACES) else " "

    def ids(self, text: str) -> List[int]:
        """RETURNS (List[int]): token ids of a text, without those around it."""
        ids: List[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def text(
        self,
        ids: Sequence[int],
        mentions: Sequence[Tuple[int, int, str]],
        pairs: Sequence[Tuple[int, int]],
    ) -> TokenInput:
        """ids (Sequence[int]): of the text alone.
        mentions (Sequence[Tuple[int, int, str]]): first of these tokens, the one after the last, words of the type.
        pairs (Sequence[Tuple[int, int]]): ordered pairs of mention numbers.
        RETURNS (TokenInput): the text as it is read.
        """
        shift = len(self.before)
        moved = [(start + shift, end + shift, words) for start, end, words in mentions]
        return TokenInput([*self.before, *ids, *self.after], moved, pairs)

    def statement(self, text: str, definition: str, head_types: Sequence[str], tail_types: Sequence[str]) -> TokenInput:
        """text (str): words between head and tail.
        definition (str): what decides whether the label holds, or "".
        head_types, tail_types (Sequence[str]): entity types, as they are to be told.
        RETURNS (TokenInput): the label as it is read, cut to `MAX_LABEL_TOKENS`.
        """
        head, words, tail, more = self._parts(text, definition)
        words = words[: self._room(head, tail) - 2]
        ids = [*self.before, *head, *words, *tail]
        spans = (len(self.before), len(self.before) + len(head)), (len(ids) - len(tail), len(ids))
        ids = [*[*ids, *more][: MAX_LABEL_TOKENS - len(self.after)], *self.after]
        types = [" or ".join(map(type_words, names)) for names in (head_types, tail_types)]
        return TokenInput(ids, [(*span, words) for span, words in zip(spans, types)], [(0, 1)], True)

    def is_cut(self, text: str, definition: str) -> bool:
        """RETURNS (bool): whether a label is read without its last words. Arguments are those of `statement`."""
        head, words, tail, more = self._parts(text, definition)
        room = self._room(head, tail)
        return len(words) > room - 2 or len(words) + len(more) > room

    def _parts(self, text: str, definition: str) -> Tuple[List[int], List[int], List[int], List[int]]:
        """RETURNS (Tuple[List[int], ...]): ids of the head, the words between, the tail, and what follows."""
        more = [*self.ids(":"), *self.ids(f"{self._space}{definition}")] if definition else []
        return self.ids("head"), self.ids(f"{self._space}{text}"), self.ids(f"{self._space}tail"), more

    def _room(self, head: Sequence[int], tail: Sequence[int]) -> int:
        return MAX_LABEL_TOKENS - len(head) - len(tail) - len(self.before) - len(self.after)


class TypeVectors:
    """Vectors for the words of entity types, kept: the mean of their word vectors.

    layout (TokenLayout): gives the words' ids.
    words (Callable[[], Tensor]): gives the word vectors. *Shape:* (vocabulary, width)
    """

    def __init__(self, layout: TokenLayout, words: Callable[[], Tensor]) -> None:
        self._layout, self._words = layout, words
        self._vectors: Dict[str, Tensor] = {}

    def __call__(self, inputs: Sequence[TokenInput]) -> Dict[str, Tensor]:
        """RETURNS (Dict[str, Tensor]): a vector for each name of a type that occurs; *Shape* (width,)."""
        names = {"", *(words for input_ in inputs for _, _, words in input_.mentions)}
        for name in names - set(self._vectors):
            # Outside of inference mode, so that training may use them, too.
            with torch.inference_mode(False):
                table = self._words().detach()
                ids = self._layout.ids(name)
                own = (
                    table[torch.tensor(ids, device=table.device)].float() if ids else table.new_zeros(1, table.shape[1])
                )
                self._vectors[name] = own.mean(0)
        return {name: self._vectors[name] for name in names}
