"""A BERT over packed tokens: what the reader of open labels and the finder of entities read by."""

import math
from typing import TYPE_CHECKING, Dict, Iterator, List, Mapping, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from .open_reader import Packed

# The weights that are the base model's.
WORDS = "words.weight"
# What transformers' `BertModel` calls the parts of a layer, of which it has three in place of `qkv`.
PARTS = {
    "out": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}
ATTENDED = ("query", "key", "value")
POSITIONS, KINDS = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"


def from_bert(state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """state (Mapping[str, Tensor]): weights of a `BertModel`, by name.
    RETURNS (Dict[str, Tensor]): those of a `BertEncoder`, without the word vectors. The vector of the first token type,
        the only one that is used, is added to those of positions.
    """
    layers = sum(name.endswith("attention.self.query.weight") for name in state)
    own = {name: torch.cat([state[key] for key in keys]) for name, keys in _names(layers)}
    return {**own, "positions.weight": state[POSITIONS] + state[KINDS][0]}


def to_bert(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """The inverse of `from_bert`.

    own (Mapping[str, Tensor]): weights of a `BertEncoder`, by name.
    state (Mapping[str, Tensor]): weights of a `BertModel` of the same shape, whose token types are kept.
    RETURNS (Dict[str, Tensor]): those of its weights that are another's.
    """
    new = {POSITIONS: own["positions.weight"] - state[KINDS][0]}
    for name, keys in _names(sum(name.endswith("qkv.weight") for name in own)):
        new.update(zip(keys, own[name].chunk(len(keys))))
    return new


def _names(layers: int) -> Iterator[Tuple[str, List[str]]]:
    """YIELDS (Tuple[str, List[str]]): the name of a weight of a `BertEncoder`, and those of a `BertModel`'s weights
    that it is put together of, one below the other.
    """
    for part in ("weight", "bias"):
        yield f"norm.{part}", [f"embeddings.LayerNorm.{part}"]
        for number in range(layers):
            layer = f"encoder.layer.{number}"
            yield f"layers.{number}.qkv.{part}", [f"{layer}.attention.self.{name}.{part}" for name in ATTENDED]
            for name, key in PARTS.items():
                yield f"layers.{number}.{name}.{part}", [f"{layer}.{key}.{part}"]


class EncoderLayer(nn.Module):
    """A BERT layer over packed tokens."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)

    def forward(self, states: Tensor, batch: "Packed") -> Tensor:
        """states (Tensor): *Shape:* (N, width)
        RETURNS (Tensor): *Shape:* (N, width)
        """
        out: Tensor = F.dropout(self.out(self._attend(self.qkv(states), batch)), self.dropout, self.training)
        states = self.norm1(states + out)
        inner = self.down(F.gelu(self.up(states)))
        out = self.norm2(states + F.dropout(inner, self.dropout, self.training))
        return out

    def _attend(self, qkv: Tensor, batch: "Packed") -> Tensor:
        """Written out: on a CPU in bfloat16 the fused kernel takes several times as long for short rows."""
        size = qkv.shape[1] // 3 // self.heads
        parts = []
        for chunk in batch.chunks:
            rows, columns = chunk.mask.shape
            padded = qkv.new_zeros(rows * columns, qkv.shape[1])
            padded = padded.index_copy(0, chunk.places, qkv.index_select(0, chunk.tokens))
            query, key, value = padded.view(rows, columns, 3, self.heads, size).permute(2, 0, 3, 1, 4)
            bias = torch.zeros(chunk.mask.shape, dtype=qkv.dtype, device=qkv.device).masked_fill_(~chunk.mask, -1e4)
            weights = torch.softmax((query / math.sqrt(size)) @ key.transpose(-1, -2) + bias[:, None, None, :], -1)
            mixed = (weights @ value).permute(0, 2, 1, 3).reshape(rows * columns, -1)
            parts.append(mixed.index_select(0, chunk.places))
        return torch.cat(parts).index_select(0, batch.back)


class BertEncoder(nn.Module):
    """A BERT over packed tokens, as the own part of a module. Its word vectors are the base model's, and stay so."""

    def _make_encoder(self, vocab: int, width: int, heads: int, inner: int, layers: int, dropout: float) -> None:
        """vocab, width, heads, inner, layers (int): as in BERT.
        dropout (float): while training.
        """
        self.dropout = dropout
        self.words = nn.Embedding(vocab, width)
        self.words.weight.requires_grad_(False)
        self.positions = nn.Embedding(512, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, inner, dropout) for _ in range(layers))

    def own_state(self) -> Dict[str, Tensor]:
        """RETURNS (Dict[str, Tensor]): all weights but the word vectors, by name."""
        return {name: value for name, value in self.state_dict().items() if name != WORDS}

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """state (Mapping[str, Tensor]): what `own_state` gave."""
        self.load_state_dict({**state, WORDS: self.words.weight})

    def _encode_with(self, batch: "Packed", *added: Tensor) -> Tensor:
        """batch (Packed): the tokens.
        added (Tensor): what is added to their vectors, one after the other. *Shape:* (N, width) each
        RETURNS (Tensor): a state of every token. *Shape:* (N, width)
        """
        states: Tensor = self.norm(F.embedding(batch.ids, self.words.weight) + self.positions(batch.columns))
        for part in added:
            states = states + part
        states = F.dropout(states, self.dropout, self.training)
        if torch.is_autocast_enabled(states.device.type):
            states = states.to(torch.get_autocast_dtype(states.device.type))
        for layer in self.layers:
            states = layer(states, batch)
        return states
