"""Attention of rows to keys and values that they share, and causally to their own.

A function registered in transformers' attention interface, used only inside a pass. All rows of a document see its keys
by one matrix product; no mask of tokens x tokens is made. This is the decomposition of Hydragen (Juravsky et al. 2024,
arXiv 2402.05099), with gradients, and over a tree of instruction and documents.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Tuple

NAME = "ragre_shared"

KeysValues = Dict[int, Tuple[Any, Any]]


@dataclass
class Context:
    """Keys and values of all layers for a few documents.

    layers (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): keys and values by the layer's index, *Shape* (documents, key
        heads, tokens, head width). In training these are leaves, which gather the gradients of all passes.
    lengths (torch.Tensor): tokens of each document, padding not counted, *Shape* (documents).
    padded (Optional[torch.Tensor]): bool, where a token is padding, *Shape* (documents, tokens); None where none is.
    sources (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): what the leaves were made from.
    """

    layers: KeysValues
    lengths: Any
    padded: Optional[Any] = None
    sources: KeysValues = field(default_factory=dict)

    @classmethod
    def make(cls, layers: KeysValues, lengths: Any, padded: Optional[Any], trained: bool) -> "Context":
        """layers (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): keys and values, as they were computed.
        trained (bool): whether gradients are to go back to them.
        RETURNS (Context): the context.
        """
        if not trained:
            return cls(layers, lengths, padded)
        leaves = {}
        for index, (key, value) in layers.items():
            leaves[index] = (key.detach().requires_grad_(), value.detach().requires_grad_())
        return cls(leaves, lengths, padded, sources=layers)

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
    """context (Optional[Context]): what the rows see first. own (Optional[torch.Tensor]): bool, whether an own token
    sees another, *Shape* (rows, length, length); causal where None. keep (bool): whether the rows' keys and values are
    kept in `layers`.
    """

    context: Optional[Context]
    own: Optional[Any]
    keep: bool
    layers: KeysValues = field(default_factory=dict)


_PASSES: List[_Pass] = []


@contextmanager
def shared_pass(
    model: Any, context: Optional[Context], own: Optional[Any] = None, keep: bool = False
) -> Iterator[KeysValues]:
    """Compute a forward pass of a transformers model with this attention.

    model (transformers.PreTrainedModel): the decoder.
    context (Optional[Context]): what the rows see before their own tokens, the same number for each of its documents.
    own (Optional[torch.Tensor]): see `_Pass`.
    keep (bool): keep the rows' own keys and values.
    YIELDS (Dict[int, Tuple[torch.Tensor, torch.Tensor]]): where they are kept, *Shape* (rows, key heads, length, head
        width).
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if NAME not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
    current = _Pass(context, own, keep)
    usual = model.config._attn_implementation
    _PASSES.append(current)
    # Transformers makes no mask for an attention whose masks it does not know.
    model.config._attn_implementation = NAME
    try:
        yield current.layers
    finally:
        model.config._attn_implementation = usual
        _PASSES.pop()


def can_share(model: Any, longest: int) -> bool:
    """Whether a model computes attention through transformers' interface, in the plain way that `attention` does.

    model (transformers.PreTrainedModel): the language model.
    longest (int): most tokens of a prompt.
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
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: Optional[float] = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> Tuple[Any, None]:
    """Attention as transformers calls it.

    query (torch.Tensor): *Shape* (rows, heads, length, head width).
    key (torch.Tensor): *Shape* (rows, key heads, length, head width), as is value (torch.Tensor).
    RETURNS (Tuple[torch.Tensor, None]): *Shape* (rows, length, heads, head width), and no weights.
    """
    import torch

    current = _PASSES[-1]
    if current.keep:
        current.layers[module.layer_idx] = (key, value)
    rows, heads, length, width = query.shape
    shared_heads = key.shape[1]
    group = heads // shared_heads
    documents = 1 if current.context is None else current.context.layers[module.layer_idx][0].shape[0]
    each = rows // documents
    scaling = width**-0.5 if scaling is None else scaling

    # Documents and key heads first, so that both products below read their factors in order.
    query = (query * scaling).reshape(documents, each, shared_heads, group, length, width).transpose(1, 2)
    query = query.reshape(documents, shared_heads, each, group * length, width)
    key = key.reshape(documents, each, shared_heads, length, width).transpose(1, 2)
    value = value.reshape(documents, each, shared_heads, length, width).transpose(1, 2)
    own = torch.matmul(query, key.transpose(-1, -2)).unflatten(3, (group, length))
    seen = current.own
    if seen is None:
        hidden = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    else:
        hidden = ~seen.reshape(documents, 1, each, 1, length, length)
    own = own.masked_fill(hidden, torch.finfo(own.dtype).min).flatten(3, 4)
    if current.context is None:
        out = torch.matmul(_softmax(own, value), value)
    else:
        out = _with_context(query, own, value, current.context, module.layer_idx)
    out = out.unflatten(3, (group, length)).permute(0, 2, 4, 1, 3, 5)
    return out.reshape(rows, length, heads, width), None


def _softmax(scores: Any, like: Any) -> Any:
    import torch

    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(like.dtype)


def _with_context(query: Any, own: Any, value: Any, context: Context, layer: int) -> Any:
    """query (torch.Tensor): *Shape* (documents, key heads, rows of each, group * length, head width).
    own (torch.Tensor): scores of the own tokens, *Shape* (documents, key heads, rows of each, group * length, length).
    RETURNS (torch.Tensor): *Shape* as query's.
    """
    import torch

    keys, values = context.layers[layer]
    flat = query.flatten(2, 3)
    scores = torch.matmul(flat, keys.transpose(-1, -2))
    if context.padded is not None:
        scores = scores.masked_fill(context.padded[:, None, None], torch.finfo(scores.dtype).min)
    scores = scores.unflatten(2, query.shape[2:4])
    tokens = keys.shape[2]
    weights = _softmax(torch.cat([scores, own], dim=-1), value)
    out = torch.matmul(weights[..., tokens:], value)
    far = torch.matmul(weights[..., :tokens].flatten(2, 3), values)
    return out + far.unflatten(2, query.shape[2:4])
