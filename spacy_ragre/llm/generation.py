"""Constrained decoding on a language model, with plain token ids.

Works on what a backbone holds: `model`, a decoder-only or encoder-decoder model of transformers, with an adapter or
without.
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ContextManager, Iterator, List, Optional, Protocol, Sequence, Tuple

from .copy_grammar import CopyGrammar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .attention.prefix_attention import PrefixCache

Ids = Sequence[int]

# Where more of a batch's rows go on, those that ended stay in it: to take them out copies the cache.
_MOST_GOING = 7 / 8
# Longer guesses are seldom right to their end.
_MOST_DRAFTED = 8


class Holds(Protocol):
    """What is needed of a backbone."""

    @property
    def model(self) -> Any: ...
    @property
    def whole(self) -> Any: ...
    @property
    def tokenizer(self) -> Any: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def shares(self) -> bool: ...
    def pad(self, rows: Sequence[Ids], left: bool = False) -> Tuple["Tensor", "Tensor"]: ...
    def compute(self, length: int) -> ContextManager[Any]: ...
    def prefill(self, prompts: Sequence[Tuple[int, ...]]) -> Tuple["PrefixCache", "Tensor"]: ...
    def decode_step(self, context: "PrefixCache", rows: Sequence[Tuple[int, ...]]) -> "Tensor": ...
    def logits(self, hidden: "Tensor") -> "Tensor": ...


def generate_ids(
    backbone: Holds,
    prompts: Sequence[Ids],
    max_new_tokens: int,
    grammars: Optional[Sequence[CopyGrammar]] = None,
) -> List[List[int]]:
    """The likeliest next token, again and again, until the end token.

    backbone (Holds): the language model.
    prompts (Sequence[Sequence[int]]): token ids of the prompts of one batch.
    max_new_tokens (int): maximum number of tokens to generate.
    grammars (Optional[Sequence[CopyGrammar]]): what each response may be; anything where None.
    RETURNS (List[List[int]]): token ids of the responses, without the end token.
    """
    if not backbone.shares:
        return by_transformers(backbone, prompts, max_new_tokens, grammars)
    followed: Sequence[Optional[CopyGrammar]] = [None] * len(prompts) if grammars is None else grammars
    return _decode(backbone, prompts, [_Row(grammar, max_new_tokens) for grammar in followed])


class _Row:
    """A response as far as it is generated.

    grammar (Optional[CopyGrammar]): what it may be; anything where None.
    most (int): maximum number of tokens.
    """

    def __init__(self, grammar: Optional[CopyGrammar], most: int) -> None:
        self.grammar = grammar
        self.most = most
        self.state: Any = None if grammar is None else grammar.start()
        self.tokens: List[int] = []
        self.drafted: List[int] = []
        self.ended = False

    def take(self, logits: "Tensor", end: int) -> int:
        """Choose the tokens that come next: one, and as many more as were guessed.

        logits (torch.Tensor): after the last token and after each drafted one, *Shape* (1 + drafted, vocabulary).
        end (int): the token that ends a response.
        RETURNS (int): how many of the drafted tokens are wrong.
        """
        right = 0
        for guess, scores in zip([*self.drafted, None], logits):
            token = self._choose(scores)
            if token == end:
                self.ended = True
                break
            self.tokens.append(token)
            if self.grammar is not None:
                self.state = self.grammar.advance(self.state, token)
            self.ended = len(self.tokens) == self.most
            if self.ended or token != guess:
                break
            right += 1
        return len(self.drafted) - right

    def _choose(self, logits: "Tensor") -> int:
        if self.grammar is None:
            return int(logits.argmax())
        allowed = self.grammar.allowed(self.state)
        return allowed[int(logits[allowed].argmax())]

    def next(self) -> Tuple[int, ...]:
        """RETURNS (Tuple[int, ...]): the last token and those that may come after it; nothing where the row ended."""
        self.drafted = []
        if self.ended:
            return ()
        if self.grammar is not None:
            room = self.most - len(self.tokens) - 1
            self.drafted = self.grammar.draft(self.state, min(_MOST_DRAFTED, room))
        return (self.tokens[-1], *self.drafted)


def _decode(backbone: Holds, prompts: Sequence[Ids], rows: Sequence[_Row]) -> List[List[int]]:
    """Models whose attention can be shared. Where a grammar leaves little choice, what it leaves is read along with the
    last token, and kept as far as the model agrees: speculative decoding (Leviathan et al. 2023, arXiv 2211.17192)
    without a second model. Lists differ much in length: rows that ended are taken out of the batch.
    """
    import torch

    end = end_id(backbone)
    with torch.no_grad():
        context, hidden = backbone.prefill([tuple(prompt) for prompt in prompts])
        live = list(rows)
        sizes = [1] * len(live)
        while True:
            each = backbone.logits(hidden).split(sizes)
            wrong = [0 if row.ended else row.take(logits, end) for row, logits in zip(live, each)]
            going = [i for i, row in enumerate(live) if not row.ended]
            if not going:
                break
            context.drop_last(torch.tensor(wrong, device=hidden.device))
            if len(going) <= _MOST_GOING * len(live):
                context = context.select(torch.tensor(going, device=hidden.device))
                live = [live[i] for i in going]
            tokens = [row.next() for row in live]
            sizes = [len(row) for row in tokens]
            hidden = backbone.decode_step(context, tokens)
    return [row.tokens for row in rows]


def by_transformers(
    backbone: Holds, prompts: Sequence[Ids], max_new_tokens: int, grammars: Optional[Sequence[CopyGrammar]] = None
) -> List[List[int]]:
    """The same by transformers' `generate`: for encoder-decoder models, for decoders whose attention is of a kind of
    its own, and to compare with. See `generate_ids`.
    """
    import torch

    whole = backbone.whole
    decodes = not whole.config.is_encoder_decoder
    ids, mask = backbone.pad(prompts, left=decodes)
    # What is generated comes after the prompt, or after the decoder's start token.
    start = ids.shape[1] if decodes else 1
    follow = _Follower(grammars, start) if grammars is not None else None
    end = end_id(backbone)
    with (
        torch.no_grad(),
        backbone.compute(ids.shape[1] + max_new_tokens),
        _contiguous_inputs(whole.get_output_embeddings()),
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
    return [row[: row.index(end)] if end in row else row for row in output[:, start:].tolist()]


@contextmanager
def _contiguous_inputs(layer: "torch.nn.Module") -> Iterator[None]:
    """Give a linear layer contiguous inputs. For the states of the last tokens, a slice of the prompts' states, a CPU
    would copy the layer's weight once for each prompt, which for a vocabulary takes seconds.
    """
    handle = layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))
    try:
        yield
    finally:
        handle.remove()


class _Follower:
    """Keeps the state of each row's grammar while a batch is generated.

    grammars (Sequence[CopyGrammar]): the rows'.
    start (int): tokens before what is generated.
    """

    def __init__(self, grammars: Sequence[CopyGrammar], start: int) -> None:
        self.grammars = grammars
        self.states = [grammar.start() for grammar in grammars]
        self.seen = [start] * len(grammars)

    def __call__(self, row: int, ids: "Tensor") -> List[int]:
        new = ids[self.seen[row] :].tolist()
        for token in new:
            self.states[row] = self.grammars[row].advance(self.states[row], token)
        self.seen[row] += len(new)
        return self.grammars[row].allowed(self.states[row])


def end_id(backbone: Holds) -> int:
    """RETURNS (int): the token that ends a response."""
    end = backbone.tokenizer.eos_token_id
    return backbone.pad_id if end is None else end
