"""Constrained decoding on a language model, with plain token ids.

Works on what a backbone holds: `model`, a decoder-only or encoder-decoder model of transformers, with an adapter or
without.
"""

from contextlib import contextmanager
from typing import Any, ContextManager, Iterator, List, Optional, Protocol, Sequence, Tuple

from .copying import CopyGrammar

Ids = Sequence[int]

# Where more of a batch's rows go on, those that ended stay in it: to take them out copies the cache.
_MOST_GOING = 7 / 8


class Holds(Protocol):
    """What is needed of a backbone."""

    @property
    def model(self) -> Any: ...
    @property
    def whole(self) -> Any: ...
    @property
    def decoder(self) -> Any: ...
    @property
    def tokenizer(self) -> Any: ...
    @property
    def device(self) -> Any: ...
    @property
    def pad_id(self) -> int: ...
    def passes(self, rows: Sequence[Any]) -> List[List[int]]: ...
    def pad(self, rows: Sequence[Ids], left: bool = False) -> Tuple[Any, Any]: ...
    def compute(self, length: int) -> ContextManager[Any]: ...
    def logits(self, hidden: Any) -> Any: ...


def generate_ids(
    backbone: Holds,
    prompts: Sequence[Ids],
    max_new_tokens: int,
    grammars: Optional[Sequence[CopyGrammar]] = None,
) -> List[List[int]]:
    """The likeliest next token, again and again, until the end token.

    backbone (Holds): the language model.
    prompts (Sequence[Sequence[int]]): token ids of the prompts of one batch.
    max_new_tokens (int): most tokens to generate.
    grammars (Optional[Sequence[CopyGrammar]]): what each response may be; anything where None.
    RETURNS (List[List[int]]): token ids of the responses, without the end token.
    """
    if backbone.whole.config.is_encoder_decoder:
        return _by_transformers(backbone, prompts, max_new_tokens, grammars)
    rows = [_Row(grammar) for grammar in grammars] if grammars is not None else [_Row(None) for _ in prompts]
    return _decode(backbone, prompts, max_new_tokens, rows)


class _Row:
    """A response as far as it is generated. grammar (Optional[CopyGrammar]): what it may be; anything where None."""

    def __init__(self, grammar: Optional[CopyGrammar]) -> None:
        self.grammar = grammar
        self.state: Any = None if grammar is None else grammar.start()
        self.tokens: List[int] = []
        self.ended = False

    def choose(self, logits: Any, end: int) -> int:
        """Take the likeliest of the allowed tokens. logits (torch.Tensor): *Shape* (vocabulary)."""
        if self.ended:
            return end
        if self.grammar is None:
            token = int(logits.argmax())
        else:
            allowed = self.grammar.allowed(self.state)
            token = allowed[int(logits[allowed].argmax())]
        if token == end:
            self.ended = True
        else:
            self.tokens.append(token)
            self.state = self.state if self.grammar is None else self.grammar.advance(self.state, token)
        return token


def _decode(backbone: Holds, prompts: Sequence[Ids], max_new_tokens: int, rows: Sequence[_Row]) -> List[List[int]]:
    """Decoder-only models. Lists differ much in length: rows that ended are taken out of the batch."""
    import torch

    end = end_id(backbone)
    longest = max(map(len, prompts))
    with torch.no_grad(), backbone.compute(longest + max_new_tokens), _plain_attention(backbone):
        cache, hidden = _read(backbone, prompts)
        lengths = torch.tensor([[len(prompt)] for prompt in prompts], device=hidden.device)
        mask = (torch.arange(longest, device=hidden.device) >= longest - lengths).long()
        positions = lengths - 1
        live = list(rows)
        for done in range(1, max_new_tokens + 1):
            logits = backbone.logits(hidden)
            tokens = [row.choose(scores, end) for row, scores in zip(live, logits)]
            going = [i for i, row in enumerate(live) if not row.ended]
            if not going or done == max_new_tokens:
                break
            ids = torch.tensor(tokens, device=hidden.device)[:, None]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            positions = positions + 1
            if len(going) <= _MOST_GOING * len(live):
                keep = torch.tensor(going, device=hidden.device)
                cache.batch_select_indices(keep)
                ids, mask, positions = ids[keep], mask[keep], positions[keep]
                live = [live[i] for i in going]
            hidden = _forward(backbone, ids, mask, positions, cache)
    return [row.tokens for row in rows]


def _read(backbone: Holds, prompts: Sequence[Ids]) -> Tuple[Any, Any]:
    """Read prompts in passes of similar length, since padding to the longest would cost as much as the tokens do.

    RETURNS (Tuple[transformers.DynamicCache, torch.Tensor]): keys and values, which end together, and the states of the
        last tokens, *Shape* (prompts, width).
    """
    import torch
    from transformers import DynamicCache

    parts: List[Tuple[Any, Any, Any]] = []
    for members in backbone.passes(prompts):
        ids, mask = backbone.pad([prompts[i] for i in members], left=True)
        cache: Any = DynamicCache()
        states = _forward(backbone, ids, mask, (mask.cumsum(1) - 1).clamp(min=0), cache)
        parts.append((torch.tensor(members, device=ids.device), cache, states))
    order = torch.cat([members for members, _, _ in parts]).argsort()
    hidden = torch.cat([states for _, _, states in parts])[order]
    whole: Any = DynamicCache()
    longest = max(map(len, prompts))
    for layer, pairs in enumerate(zip(*(_keys_values(cache) for _, cache, _ in parts))):
        key, value = (torch.cat([_pad_left(pair[k], longest) for pair in pairs])[order] for k in (0, 1))
        whole.update(key, value, layer)
    return whole, hidden


def _forward(backbone: Holds, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
    """RETURNS (torch.Tensor): the states of the last tokens, *Shape* (rows, width). They are contiguous: of a slice, a
    CPU would copy the vocabulary's matrix once for each row, which takes seconds.
    """
    hidden = backbone.decoder(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state
    return hidden[:, -1].contiguous()


def _keys_values(cache: Any) -> List[Tuple[Any, Any]]:
    """RETURNS (List[Tuple[torch.Tensor, torch.Tensor]]): those of each layer, *Shape* (rows, heads, length, width)."""
    layers = getattr(cache, "layers", None)
    if layers is None:  # transformers before 4.54
        return list(zip(cache.key_cache, cache.value_cache))
    return [(layer.keys, layer.values) for layer in layers]


def _pad_left(states: Any, length: int) -> Any:
    """states (torch.Tensor): *Shape* (rows, heads, length, width)."""
    import torch

    return torch.nn.functional.pad(states, (0, 0, length - states.shape[2], 0))


def _by_transformers(
    backbone: Holds, prompts: Sequence[Ids], max_new_tokens: int, grammars: Optional[Sequence[CopyGrammar]]
) -> List[List[int]]:
    """Encoder-decoder models, whose caches differ."""
    import torch

    whole = backbone.whole
    ids, mask = backbone.pad(prompts)
    follow = _Follower(grammars) if grammars is not None else None
    end = end_id(backbone)
    with (
        torch.no_grad(),
        backbone.compute(ids.shape[1] + max_new_tokens),
        _contiguous_inputs(whole.get_output_embeddings()),
        _plain_attention(backbone),
    ):
        output = backbone.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=end,
            pad_token_id=backbone.pad_id,
            prefix_allowed_tokens_fn=follow,
        )
    return [row[: row.index(end)] if end in row else row for row in output[:, 1:].tolist()]


@contextmanager
def _contiguous_inputs(layer: Any) -> Iterator[None]:
    """Give a linear layer contiguous inputs. For the states of the last tokens, a slice of the prompts' states, a CPU
    would copy the layer's weight once for each prompt, which for a vocabulary takes seconds.
    """
    handle = layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _plain_attention(backbone: Holds) -> Iterator[None]:
    """On a CPU, compute attention by matrix products over the whole batch. The fused kernel takes each head of each row
    by itself, which for the one token of a decoding step costs several times as much as the products.
    """
    config = backbone.decoder.config
    usual = config._attn_implementation
    if backbone.device.type == "cpu":
        config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = usual


class _Follower:
    """Keeps the state of each row's grammar while a batch is generated."""

    def __init__(self, grammars: Sequence[CopyGrammar]) -> None:
        self.grammars = grammars
        self.states = [grammar.start() for grammar in grammars]
        # What is generated begins with the decoder's start token.
        self.seen = [1] * len(grammars)

    def __call__(self, row: int, ids: Any) -> List[int]:
        new = ids[self.seen[row] :].tolist()
        for token in new:
            self.states[row] = self.grammars[row].advance(self.states[row], token)
        self.seen[row] += len(new)
        return self.grammars[row].allowed(self.states[row])


def end_id(backbone: Holds) -> int:
    """RETURNS (int): the token that ends a response."""
    end = backbone.tokenizer.eos_token_id
    return backbone.pad_id if end is None else end
