"""Constrained decoding on a language model, with plain token ids.

Works on what a backbone holds: `model`, a decoder-only or encoder-decoder model of transformers, with an adapter or
without.
"""

from contextlib import contextmanager
from typing import Any, ContextManager, Iterator, List, Optional, Protocol, Sequence, Tuple

from .copying import CopyGrammar

Ids = Sequence[int]


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
    def pad(self, rows: Sequence[Ids], left: bool = False) -> Tuple[Any, Any]: ...
    def compute(self, length: int) -> ContextManager[Any]: ...


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
    import torch

    whole = backbone.whole
    encoder_decoder = whole.config.is_encoder_decoder
    ids, mask = backbone.pad(prompts, left=not encoder_decoder)
    # What generation gives back begins with the prompt, or with the decoder's start token.
    start = 1 if encoder_decoder else ids.shape[1]
    follow = _Follower(grammars, start) if grammars is not None else None
    end = end_id(backbone)
    head = whole.get_output_embeddings()
    with (
        torch.no_grad(),
        backbone.compute(ids.shape[1] + max_new_tokens),
        _contiguous_inputs(head),
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
    results = []
    for row in output[:, start:].tolist():
        results.append(row[: row.index(end)] if end in row else row)
    return results


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

    def __init__(self, grammars: Sequence[CopyGrammar], start: int) -> None:
        self.grammars = grammars
        self.start = start
        self.states = [grammar.start() for grammar in grammars]
        self.seen = [0] * len(grammars)

    def __call__(self, row: int, ids: Any) -> List[int]:
        new = ids[self.start + self.seen[row] :].tolist()
        for token in new:
            self.states[row] = self.grammars[row].advance(self.states[row], token)
        self.seen[row] += len(new)
        return self.grammars[row].allowed(self.states[row])


def end_id(backbone: Holds) -> int:
    """RETURNS (int): the token that ends a response."""
    end = backbone.tokenizer.eos_token_id
    return backbone.pad_id if end is None else end

