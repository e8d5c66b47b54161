"""An encoder that finds entities of any types: a torch module.

A text is read once. A type is read once, as its words ("nationality or group"), by the same encoder. Each token is
matched with each type twice: whether an entity of the type begins here, and whether one goes on. Against all of these
stands that it belongs to none, so that a token's answer is one softmax. A type's reading depends on nothing but its
words, as in GLiNER (arXiv 2311.08526), which matches spans.
"""

from dataclasses import replace
from typing import Any, Dict, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..relations.open_encoder import BertEncoder
from ..relations.open_reader import Packed, TokenInput, pack

# How a word is written, which an encoder of lower case does not see otherwise.
OTHER, LOWER, CAPITALISED, UPPER, MIXED, NUMBER = range(6)
# Products of vectors of this width start at about unit size.
_UNIT = 0.1


class OpenTagger(BertEncoder):
    """Scores of (token, type).

    vocab, width, heads, inner, layers (int): the encoder's, as in BERT. Its word vectors stay as they are.
    dropout (float): in the encoder, while training.
    view (int): width of what tokens and types are matched by.
    """

    def __init__(
        self,
        *,
        vocab: int = 30522,
        width: int = 384,
        heads: int = 12,
        inner: int = 1536,
        layers: int = 6,
        dropout: float = 0.1,
        view: int = 256,
    ) -> None:
        super().__init__()
        #: The arguments that make a tagger like this one.
        self.settings: Dict[str, Any] = dict(vocab=vocab, width=width, heads=heads, inner=inner, layers=layers)
        self.settings.update(dropout=dropout, view=view)
        self.view = view
        self._make_encoder(vocab, width, heads, inner, layers, dropout)
        self.writing = nn.Embedding(6, width)
        nn.init.zeros_(self.writing.weight)
        self.token_views = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 2 * view))
        self.type_views = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 2 * view))
        self.none = nn.Linear(width, 1)

    @property
    def device(self) -> torch.device:
        """RETURNS (torch.device): where the weights are."""
        return self.none.bias.device

    def pack(self, rows: Sequence[Tuple[Sequence[int], Sequence[int]]]) -> Packed:
        """rows (Sequence[Tuple[Sequence[int], Sequence[int]]]): token ids of texts or types, with those around them,
            and how each is written; at least one row.
        RETURNS (Packed): the batch. Its marks are how tokens are written.
        """
        batch = pack([TokenInput(ids, (), ()) for ids, _ in rows], {"": torch.zeros(self.words.embedding_dim)})
        return replace(batch, marks=torch.tensor([way for _, ways in rows for way in ways])).to(self.device)

    def read_types(self, batch: Packed) -> Tensor:
        """RETURNS (Tensor): a reading of every type. *Shape:* (K, 2, view)"""
        states = self._encode(batch).float()
        rows, columns, _ = batch.size
        total = states.new_zeros(rows, states.shape[1])
        total = total.index_add(0, batch.places // columns, states)
        views: Tensor = self.type_views(total / batch.mask.sum(1, keepdim=True))
        return views.view(-1, 2, self.view)

    def read_tokens(self, batch: Packed) -> Tuple[Tensor, Tensor]:
        """RETURNS (Tuple[Tensor, Tensor]): a reading of every token, and how far it belongs to no entity. *Shape:*
        (N, 2, view) and (N, 1)
        """
        states = self._encode(batch).float()
        views: Tensor = self.token_views(states)
        return views.view(-1, 2, self.view), self.none(states)

    def score(self, tokens: Tuple[Tensor, Tensor], types: Tensor) -> Tensor:
        """Match tokens with types.

        tokens (Tuple[Tensor, Tensor]): what `read_tokens` gave.
        types (Tensor): what `read_types` gave.
        RETURNS (Tensor): logits of no entity, of the beginning of one of each type, of its going on. *Shape:*
            (N, 1 + 2 * K)
        """
        views, none = tokens
        begin, inside = ((views[:, i] @ types[:, i].T) * _UNIT for i in (0, 1))
        return torch.cat([none, begin, inside], 1)

    def _encode(self, batch: Packed) -> Tensor:
        """RETURNS (Tensor): a state of every token. *Shape:* (N, width)"""
        return self._encode_with(batch, self.writing(batch.marks))


def writing_of(word: str) -> int:
    """RETURNS (int): how a word is written."""
    if word[:1].isdigit():
        return NUMBER
    if not word[:1].isalpha():
        return OTHER
    if word.islower() or word.lower() == word.upper():
        return LOWER
    if word.isupper() and len(word) > 1:
        return UPPER
    return CAPITALISED if word[0].isupper() and not any(map(str.isupper, word[1:])) else MIXED
