"""Entities of any types: plain data in, spans out.

finder = EntityFinder.load("open_entities.safetensors")
types = finder.read_types(["person", "software vulnerability"])      # once; kept
finder.find(["Ann reported CVE-2026-1 ."], [[(0, 3), (4, 12), (13, 23), (24, 25)]], types)
"""

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from ...errors import Errors
from ..relations.open_labels import STRIDE, WINDOW, read_settings, read_weights, take_words
from ..relations.open_tokens import TokenLayout
from .tagger import OTHER, OpenTagger, writing_of

# Types longer than this are cut.
MAX_TYPE_TOKENS = 24
BATCH_TOKENS = 4096
# Token ids, and how each is written.
Row = Tuple[List[int], List[int]]


class Found(NamedTuple):
    """An entity.

    start, end (int): its first word, and the one after its last.
    type (int): number of its type.
    """

    start: int
    end: int
    type: int


class EntityFinder:
    """A trained tagger with its tokenizer.

    model (OpenTagger): the tagger.
    layout (TokenLayout): how texts and types are laid out for it.
    """

    def __init__(self, model: OpenTagger, layout: TokenLayout) -> None:
        self.model, self.layout = model.eval(), layout

    @classmethod
    def load(cls, weights: Union[str, Path], encoder: Optional[Path] = None) -> "EntityFinder":
        """weights (Union[str, Path]): what `save_weights` wrote.
        encoder (Optional[Path]): see `build`.
        """
        return cls.build(read_settings(weights), read_weights(weights), encoder)

    @classmethod
    def build(
        cls, settings: Mapping[str, Any], weights: Mapping[str, Tensor], encoder: Optional[Path] = None
    ) -> "EntityFinder":
        """settings (Mapping[str, Any]): of the tagger.
        weights (Mapping[str, Tensor]): all but the word vectors, by name; with none, the tagger is as it is before
            training.
        encoder (Optional[Path]): folder of all-MiniLM-L6-v2, for word vectors and tokenizer. Where it comes as a
            package by default.
        """
        model = OpenTagger(**settings)
        layout = take_words(model, encoder)
        if weights:
            model.load_own_state(weights)
        return cls(model, layout)

    @torch.inference_mode()
    def read_types(self, types: Sequence[str]) -> Tensor:
        """Read types, once for all texts.

        types (Sequence[str]): their words.
        RETURNS (Tensor): *Shape:* (K, 2, view)
        """
        return self.model.read_types(self.model.pack([self.type_row(words) for words in types]))

    def type_row(self, words: str) -> Row:
        """RETURNS (Row): a type as it is read, with the tokens around it."""
        return self.row(*self.encode(words)[:2], 0, MAX_TYPE_TOKENS)

    def is_cut(self, words: str) -> bool:
        """RETURNS (bool): whether a type has more words than are read."""
        return len(self.encode(words)[0]) > MAX_TYPE_TOKENS

    def encode(self, text: str) -> Tuple[List[int], List[int], List[Tuple[int, int]]]:
        """RETURNS (Tuple[List[int], List[int], List[Tuple[int, int]]]): the ids of a text's tokens, how the words that
        they belong to are written, and their characters.
        """
        encoded = self.layout.tokenizer.encode(text, add_special_tokens=False)
        ends: Dict[Optional[int], Tuple[int, int]] = {}
        for word, (start, end) in zip(encoded.word_ids, encoded.offsets):
            ends[word] = ends.get(word, (start, end))[0], end
        ways = {word: writing_of(text[start:end]) for word, (start, end) in ends.items()}
        return encoded.ids, [ways[word] for word in encoded.word_ids], encoded.offsets

    def row(self, ids: Sequence[int], ways: Sequence[int], first: int, last: int) -> Row:
        """RETURNS (Row): a part of a text's tokens as it is read, with those around it."""
        before, after = self.layout.before, self.layout.after
        around = [OTHER] * len(before), [OTHER] * len(after)
        return [*before, *ids[first:last], *after], [*around[0], *ways[first:last], *around[1]]

    @torch.inference_mode()
    def find(
        self, texts: Sequence[str], words: Sequence[Sequence[Tuple[int, int]]], types: Tensor, *, caution: float = 0.0
    ) -> List[List[Found]]:
        """Find the entities of texts.

        texts (Sequence[str]): the texts.
        words (Sequence[Sequence[Tuple[int, int]]]): of each text, the characters of the words that entities are made
            of.
        types (Tensor): what `read_types` gave.
        caution (float): log-odds that are added to "no entity".
        RETURNS (List[List[Found]]): the entities of each text, in order; none overlap. A ValueError is raised where
            the weights hold what is no number.
        """
        encoded = [self.encode(text) for text in texts]
        size = 1 + 2 * types.shape[0]
        scores = [np.zeros((len(ids), size), np.float32) for ids, _, _ in encoded]
        # How far from the nearer end of its window a token was read.
        depth = [np.full(len(ids), -1) for ids, _, _ in encoded]
        windows = [
            (number, first, self.row(ids, ways, first, first + WINDOW))
            for number, (ids, ways, _) in enumerate(encoded)
            for first in range(0, max(1, len(ids) - WINDOW + STRIDE), STRIDE)
            if ids
        ]
        windows.sort(key=lambda window: len(window[2][0]))
        around = len(self.layout.before), len(self.layout.after)
        for part in _portions(windows):
            batch = self.model.pack([row for _, _, row in part])
            read = torch.log_softmax(self.model.score(self.model.read_tokens(batch), types), 1).cpu().numpy()
            if np.isnan(read).any():
                raise ValueError(Errors.R504.format(model="open_entities"))
            at = 0
            for number, first, row in part:
                count = len(row[0]) - sum(around)
                own = read[at + around[0] : at + around[0] + count]
                deep = np.minimum(np.arange(count), np.arange(count)[::-1])
                better = np.flatnonzero(deep > depth[number][first : first + count])
                scores[number][first + better] = own[better]
                depth[number][first + better] = deep[better]
                at += len(row[0])
        return [
            _found(text, places, _of_words(own, offsets, places), caution)
            for text, own, (_, _, offsets), places in zip(texts, scores, encoded, words)
        ]


def _portions(windows: Sequence[Tuple[int, int, Row]]) -> List[List[Tuple[int, int, Row]]]:
    """RETURNS (List[List[Tuple[int, int, Row]]]): windows of like length together."""
    parts: List[List[Tuple[int, int, Row]]] = []
    size = BATCH_TOKENS
    for window in windows:
        if size + len(window[2][0]) > BATCH_TOKENS:
            parts.append([])
            size = 0
        parts[-1].append(window)
        size += len(window[2][0])
    return parts


def _found(
    text: str, places: Sequence[Tuple[int, int]], scores: Sequence[Optional[np.ndarray]], caution: float
) -> List[Found]:
    """The entities of a text. Words that no token stands for, such as line breaks, are read over, but an entity ends at
    an empty line.

    text (str): the text.
    places (Sequence[Tuple[int, int]]): the characters of its words.
    scores (Sequence[Optional[np.ndarray]]): log-probabilities of each word, None of one that has no token.
    caution (float): see `best_path`.
    RETURNS (List[Found]): the entities, in order.
    """
    out: List[Found] = []
    part: List[int] = []
    for number, (start, end) in enumerate(places):
        if text[start:end].count("\n") > 1:
            out += _entities(part, scores, caution)
            part = []
        elif scores[number] is not None:
            part.append(number)
    return out + _entities(part, scores, caution)


def _entities(part: Sequence[int], scores: Sequence[Optional[np.ndarray]], caution: float) -> List[Found]:
    rows = [row for row in (scores[number] for number in part) if row is not None]
    found = best_path(np.stack(rows), caution) if rows else []
    return [Found(part[ent.start], part[ent.end - 1] + 1, ent.type) for ent in found]


def _of_words(
    scores: np.ndarray, offsets: Sequence[Tuple[int, int]], words: Sequence[Tuple[int, int]]
) -> List[Optional[np.ndarray]]:
    """RETURNS (List[Optional[np.ndarray]]): the log-probabilities of the first token of every word, *Shape*
    (1 + 2 * K,); None of a word that has none.
    """
    out: List[Optional[np.ndarray]] = []
    token = 0
    for start, end in words:
        while token < len(offsets) and offsets[token][1] <= start:
            token += 1
        out.append(scores[token] if token < len(offsets) and offsets[token][0] < end else None)
    return out


def best_path(scores: np.ndarray, caution: float = 0.0) -> List[Found]:
    """The likeliest tags in which an entity goes on only where it has begun (Viterbi).

    scores (np.ndarray): log-probabilities of words. *Shape:* (words, 1 + 2 * K)
    caution (float): log-odds that are added to "no entity".
    RETURNS (List[Found]): the entities, in order.
    """
    count = (scores.shape[1] - 1) // 2
    if not len(scores) or not count:
        return []
    scores = scores.astype(np.float64)
    scores[:, 0] += caution
    total = scores[0].copy()
    total[1 + count :] = -np.inf
    back = np.zeros(scores.shape, np.int64)
    begin, inside = np.arange(1, 1 + count), np.arange(1 + count, 1 + 2 * count)
    for row in range(1, len(scores)):
        best = int(total.argmax())
        back[row, : 1 + count] = best
        goes_on = total[inside] > total[begin]
        back[row, inside] = np.where(goes_on, inside, begin)
        total = scores[row] + np.where(np.arange(len(total)) > count, total[back[row]], total[best])
    tags = [int(total.argmax())]
    for row in range(len(scores) - 1, 0, -1):
        tags.append(int(back[row, tags[-1]]))
    tags.reverse()
    found: List[Found] = []
    for row, tag in enumerate(tags):
        if 1 <= tag <= count:
            found.append(Found(row, row + 1, tag - 1))
        elif tag > count:
            found[-1] = found[-1]._replace(end=row + 1)
    return found
