"""Prefix attention: rows attend to the keys and values of a prefix that they share, and causally to their own.

For example, a document of three tokens and two rows after it, of two tokens and of one token with padding (-):

                  document      row 1     row 2              A query of row 1 sees the document's keys, which are held
                 d1  d2  d3     x1  x2    y1  -              once for all rows, and the keys of row 1 up to itself:
    row 1   x1    *   *   *     *   .                          scores = [ q . D  |  q . X + causal mask ]
            x2    *   *   *     *   *                          weights = softmax over both parts together
    row 2   y1    *   *   *               *                    output = weights[D] D_values + weights[X] X_values

The left part is one matrix product for all rows of a document, and no mask of tokens x tokens is made for it. This is
the decomposition of Hydragen (Juravsky et al. 2024, arXiv 2402.05099), with gradients, and over a tree of instruction
and documents. All other layers compute one token at a time: they are given the tokens that are no padding, as one
sequence (x1 x2 y1), which is spread into rows for attention only.

`attention` is registered in transformers' attention interface and used inside `shared_pass` only.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers.modeling_utils import PreTrainedModel

NAME = "ragre_shared"

KeysValues = Dict[int, Tuple["Tensor", "Tensor"]]


@dataclass
class PrefixCache:
    """Keys and values of all layers for a few documents.

    layers (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): keys and values by the layer's index, *Shape* (documents, key
        heads, tokens, head width). In training these are leaves, which gather the gradients of all passes.
    lengths (torch.Tensor): tokens of each document, padding not counted, *Shape* (documents).
    padded (Optional[torch.Tensor]): bool, where a token is padding, *Shape* (documents, tokens); None where none is.
        Padding may stand anywhere.
    sources (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): what the leaves were made from.
    """

    layers: KeysValues
    lengths: "Tensor"
    padded: Optional["Tensor"] = None
    sources: KeysValues = field(default_factory=dict)

    @classmethod
    def make(cls, layers: KeysValues, lengths: "Tensor", padded: Optional["Tensor"], trained: bool) -> "PrefixCache":
        """layers (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): keys and values, as they were computed.
        trained (bool): whether gradients are to go back to them.
        RETURNS (PrefixCache): the context.
        """
        if not trained:
            return cls(layers, lengths, padded)
        leaves = {}
        for index, (key, value) in layers.items():
            leaves[index] = (key.detach().requires_grad_(), value.detach().requires_grad_())
        return cls(leaves, lengths, padded, sources=layers)

    @classmethod
    def join(cls, parts: Sequence[Tuple[Sequence[int], "PrefixCache"]]) -> "PrefixCache":
        """parts (Sequence[Tuple[Sequence[int], PrefixCache]]): contexts, and the numbers of their documents.
        RETURNS (PrefixCache): all documents, in the order of their numbers.
        """
        import torch

        count = sum(len(numbers) for numbers, _ in parts)
        longest = max(part.mask.shape[1] for _, part in parts)
        first = parts[0][1]
        layers = {}
        for index, pair in first.layers.items():
            joined = [tensor.new_zeros(count, tensor.shape[1], longest, tensor.shape[3]) for tensor in pair]
            for numbers, part in parts:
                for tensor, own in zip(joined, part.layers[index]):
                    tensor[list(numbers), :, : own.shape[2]] = own
            layers[index] = (joined[0], joined[1])
        lengths = first.lengths.new_zeros(count)
        padded = torch.ones(count, longest, dtype=torch.bool, device=lengths.device)
        for numbers, part in parts:
            lengths[list(numbers)] = part.lengths
            padded[list(numbers), : part.mask.shape[1]] = part.mask
        return cls(layers, lengths, padded)

    @property
    def mask(self) -> "Tensor":
        """RETURNS (torch.Tensor): `padded`, also where no token is padding."""
        import torch

        if self.padded is not None:
            return self.padded
        keys, _ = next(iter(self.layers.values()))
        return torch.zeros(keys.shape[0], keys.shape[2], dtype=torch.bool, device=keys.device)

    def select(self, documents: "Tensor") -> "PrefixCache":
        """documents (torch.Tensor): their numbers.
        RETURNS (PrefixCache): a context of these documents, in this order.
        """
        layers = {index: (key[documents], value[documents]) for index, (key, value) in self.layers.items()}
        return PrefixCache(layers, self.lengths[documents], self.mask[documents])

    def extend(self, layers: KeysValues, real: "Tensor") -> None:
        """Append tokens to the documents.

        layers (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): keys and values of the new tokens.
        real (torch.Tensor): bool, which of these are no padding, *Shape* (documents, new tokens).
        """
        import torch

        self.padded = torch.cat([self.mask, ~real], dim=1)
        self.lengths = self.lengths + real.sum(1)
        for index, pair in layers.items():
            keys, values = (torch.cat([old, new], dim=2) for old, new in zip(self.layers[index], pair))
            self.layers[index] = (keys, values)

    def drop_last(self, counts: "Tensor") -> None:
        """Remove the last tokens: from now on they are padding.

        counts (torch.Tensor): how many of each document, *Shape* (documents).
        """
        real = ~self.mask
        from_end = real.flip(1).cumsum(1).flip(1)
        self.padded = ~(real & (from_end > counts[:, None]))
        self.lengths = self.lengths - counts

    def backward(self) -> None:
        """Hand the gradients that were gathered to what the keys and values were computed from."""
        import torch

        tensors, gradients = [], []
        for index, pair in self.sources.items():
            for source, leaf in zip(pair, self.layers[index]):
                if leaf.grad is not None and source.requires_grad:
                    tensors.append(source)
                    gradients.append(leaf.grad)
        if tensors:
            torch.autograd.backward(tensors, gradients)


@dataclass
class _Pass:
    """context (Optional[PrefixCache]): what the rows see first. hidden (Optional[torch.Tensor]): bool, whether an own
    token does not see another, *Shape* (rows, length, length); causal where None. keep (bool): whether the rows' keys
    and values are kept in `layers`. rows (Optional[_Rows]): where the tokens stand in the rows, if padding is left out.
    """

    context: Optional[PrefixCache]
    hidden: Optional["Tensor"]
    keep: bool
    rows: Optional["_Rows"]
    layers: KeysValues = field(default_factory=dict)


class _Rows:
    """Rows with padding, of which only the other tokens are computed.

    real (torch.Tensor): bool, the tokens that are no padding, *Shape* (rows, length).
    """

    def __init__(self, real: "Tensor") -> None:
        self.shape = real.shape
        self.places = real.flatten().nonzero()[:, 0]
        # Padding is any token.
        self.sources = (real.flatten().cumsum(0) - 1).clamp(min=0)

    def spread(self, states: "Tensor") -> "Tensor":
        """states (torch.Tensor): *Shape* (1, heads, tokens, width).
        RETURNS (torch.Tensor): *Shape* (rows, heads, length, width).
        """
        rows = states[0].transpose(0, 1).flatten(1).index_select(0, self.sources)
        return rows.view(*self.shape, *states.shape[1::2]).transpose(1, 2)

    def gather(self, states: "Tensor") -> "Tensor":
        """states (torch.Tensor): *Shape* (rows, length, heads, width).
        RETURNS (torch.Tensor): *Shape* (1, tokens, heads, width).
        """
        return states.flatten(0, 1).index_select(0, self.places)[None]


_PASSES: List[_Pass] = []


@contextmanager
def shared_pass(
    model: "PreTrainedModel",
    context: Optional[PrefixCache],
    own: Optional["Tensor"] = None,
    keep: bool = False,
    real: Optional["Tensor"] = None,
) -> Iterator[KeysValues]:
    """Compute a forward pass of a transformers model with this attention.

    model (transformers.PreTrainedModel): the decoder.
    context (Optional[PrefixCache]): what the rows see before their own tokens, the same number for each of its
        documents.
    own (Optional[torch.Tensor]): bool, whether an own token sees another, *Shape* (rows, length, length); causal where
        None.
    keep (bool): keep the rows' own keys and values.
    real (Optional[torch.Tensor]): bool, the tokens that are no padding, *Shape* (rows, length). Only these are given to
        the model, one row after the other, as one row.
    YIELDS (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): where they are kept, *Shape* (rows, key heads, length, head
        width). Those of padding mean nothing.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if NAME not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
    hidden = None if own is None else ~own
    current = _Pass(context, hidden, keep, None if real is None else _Rows(real))
    usual = model.config._attn_implementation
    _PASSES.append(current)
    # Transformers makes no mask for an attention whose masks it does not know.
    model.config._attn_implementation = NAME
    try:
        yield current.layers
    finally:
        model.config._attn_implementation = usual
        _PASSES.pop()


def can_share(model: "PreTrainedModel", longest: int) -> bool:
    """Whether a model computes attention through transformers' interface, in the plain way that `attention` does.

    model (transformers.PreTrainedModel): the language model.
    longest (int): maximum number of tokens of a prompt.
    """
    config = model.config
    window = getattr(config, "sliding_window", None)
    layers = set(getattr(config, "layer_types", None) or ("sliding_attention",))
    slides = getattr(config, "use_sliding_window", True) and "sliding_attention" in layers
    return (
        bool(getattr(model, "_supports_attention_backend", False))
        and getattr(config, "attn_logit_softcapping", None) is None
        and not any(hasattr(module, "sinks") for module in model.modules())
        and (window is None or not slides or longest <= window)
    )


def attention(
    module: "Module",
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    attention_mask: Optional["Tensor"],
    scaling: Optional[float] = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> Tuple["Tensor", None]:
    """Attention as transformers calls it.

    query (torch.Tensor): *Shape* (rows, heads, length, head width).
    key (torch.Tensor): *Shape* (rows, key heads, length, head width), as is value (torch.Tensor).
    RETURNS (Tuple[torch.Tensor, None]): *Shape* (rows, length, heads, head width), and no weights.
    """
    import torch

    current = _PASSES[-1]
    layer: int = module.layer_idx  # type: ignore[assignment]
    if current.rows is not None:
        query, key, value = map(current.rows.spread, (query, key, value))
    if current.keep:
        current.layers[layer] = (key, value)
    rows, heads, length, width = query.shape
    shared_heads = key.shape[1]
    group = heads // shared_heads
    documents = 1 if current.context is None else current.context.layers[layer][0].shape[0]
    each = rows // documents
    scaling = width**-0.5 if scaling is None else scaling

    # Documents and key heads first, so that both products below read their factors in order.
    query = (query * scaling).reshape(documents, each, shared_heads, group, length, width).transpose(1, 2)
    query = query.reshape(documents, shared_heads, each, group * length, width)
    key = key.reshape(documents, each, shared_heads, length, width).transpose(1, 2)
    value = value.reshape(documents, each, shared_heads, length, width).transpose(1, 2)
    own = torch.matmul(query, key.transpose(-1, -2)).unflatten(3, (group, length))
    if current.hidden is None:
        hidden = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    else:
        hidden = current.hidden.reshape(documents, 1, each, 1, length, length)
    own = own.masked_fill_(hidden, torch.finfo(own.dtype).min).flatten(3, 4)
    if current.context is None:
        out = torch.matmul(_softmax(own, value), value)
    else:
        out = _with_context(query, own, value, current.context, layer)
    out = out.unflatten(3, (group, length)).permute(0, 2, 4, 1, 3, 5)
    out = out.reshape(rows, length, heads, width)
    return (out if current.rows is None else current.rows.gather(out)), None


def _softmax(scores: "Tensor", like: "Tensor") -> "Tensor":
    """Sums are in 32 bits, whatever the scores are; in mixed precision, so is the result."""
    import torch

    return torch.softmax(scores, dim=-1).to(like.dtype)


def _with_context(query: "Tensor", own: "Tensor", value: "Tensor", context: PrefixCache, layer: int) -> "Tensor":
    """query (torch.Tensor): *Shape* (documents, key heads, rows of each, group * length, head width).
    own (torch.Tensor): scores of the own tokens, *Shape* (documents, key heads, rows of each, group * length, length).
    RETURNS (torch.Tensor): *Shape* as query's.
    """
    import torch

    keys, values = context.layers[layer]
    flat = query.flatten(2, 3)
    scores = torch.matmul(flat, keys.transpose(-1, -2))
    if context.padded is not None:
        scores = scores.masked_fill_(context.padded[:, None, None], torch.finfo(scores.dtype).min)
    scores = scores.unflatten(2, query.shape[2:4])
    tokens = keys.shape[2]
    weights = _softmax(torch.cat([scores, own], dim=-1), value)
    out = torch.matmul(weights[..., tokens:], value)
    far: Tensor = torch.matmul(weights[..., :tokens].flatten(2, 3), values).unflatten(2, query.shape[2:4])
    return out + far
