"""Decoder-only language models: Llama, Mistral, Gemma, SmolLM and others."""

import warnings
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from ..errors import Errors, Warnings
from ..registry import registry
from ..training.parallel import from_first, most, processes
from .attention.packing import Ids, PackedBatch, Shared, TokenPrompt, batches, unshared
from .attention.prefix_attention import KeysValues, PrefixCache, can_share, shared_pass
from .attention.token_trees import Layout, lay_out
from .attention.tries import TokenTrie
from .base import Backbone, Likelihoods
from .runtime.decoder_graph import DecoderGraph
from .runtime.openvino import TORCH, Compiler, check_place
from .runtime.precision import SHORT_ATTENTION
from .splitting import split_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Rows of the vocabulary's logits that are held at a time.
_LOGIT_ROWS = 256


class CausalLM(Backbone):
    """A decoder-only language model. See `Backbone` for the other arguments.

    engine (str): what computes predictions on a CPU: "torch", "openvino" or "openvino-int8" (see `engines`). A graph is
        compiled at the first prediction and whenever the weights changed. Training and `generate` are torch's.
    shard (bool): split the weights of the layers, which are frozen, among the processes that `ragre train` runs on. Of
        no effect in one process.
    """

    def __init__(self, name: str, *, engine: str = TORCH, shard: bool = False, **settings: Any) -> None:
        super().__init__(name, **settings)
        self.settings.update(engine=engine, shard=shard)
        self._compiler = Compiler(engine)
        if shard and self.quantization is not None:
            raise ValueError(Errors.R115.format(model=name, quantization=self.quantization))
        if shard and engine != TORCH:
            raise ValueError(Errors.R116.format(model=name, engine=engine))
        self.shard = shard
        self._shares: Optional[bool] = None
        # Keys and values of the last instruction, with what they depend on.
        self._kept: Optional[Tuple[Any, PrefixCache]] = None

    def __getstate__(self) -> Dict[str, Any]:
        return {**super().__getstate__(), "_kept": None}

    def _auto_dtype(self) -> "torch.dtype":
        import torch

        # Graphs are compiled of weights in 32 bits.
        return super()._auto_dtype() if self._compiler.engine == TORCH else torch.float32

    def _sharing_key(self, path: str) -> Optional[Tuple[object, ...]]:
        return None if self._splits() else super()._sharing_key(path)

    def _splits(self) -> bool:
        return self.shard and processes() > 1

    def _load_model(self, path: str) -> Any:
        if self._splits():
            # What "auto" means is timed on a CPU, and must not differ.
            self._loaded_dtype = from_first(lambda: self.dtype)
        return super()._load_model(path)

    def _place(self, model: Any) -> Any:
        self.is_split = self._splits()
        if not self.is_split:
            return super()._place(model)
        split_weights(model, self.device)
        return model

    def _set_merged(self) -> None:
        # No process has all weights that the adapter would be added to.
        if not self.is_split:
            super()._set_merged()

    def keep_step(self, passes: int) -> None:
        import torch

        if not self.is_split:
            return
        for _ in range(most(passes) - passes):
            with torch.enable_grad():
                (self.states(unshared([TokenPrompt(pair=(self.pad_id,))])) * 0).sum().backward()

    def _auto_class(self) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def _task_type(self) -> str:
        return "CAUSAL_LM"

    @property
    def shares(self) -> bool:
        """RETURNS (bool): whether what prompts share is computed once. A model whose attention is not the plain one
        computes every prompt on its own, and says so once.
        """
        if self._shares is None:
            self._shares = can_share(self.whole, self.max_length)
            if not self._shares:
                warnings.warn(Warnings.W101.format(model=self.name), stacklevel=2)
        return self._shares

    def states(self, chunk: PackedBatch) -> "Tensor":
        import torch

        # Padded on the right: under causal attention no token sees the padding, so no mask is needed.
        ids, mask = self.pad(chunk.grid)
        with self.compute(ids.shape[1]):
            if chunk.shared is not None or self._compiles():
                hidden = self._after(self._context(chunk.shared), ids, mask.bool())
            else:
                hidden = self.decoder(input_ids=ids, use_cache=False).last_hidden_state
            rows = torch.tensor(chunk.cells, device=ids.device)
            return hidden[rows, mask.sum(1)[rows] - 1].float()

    def states_after(self, vectors: "Tensor", chunk: PackedBatch) -> "Tensor":
        """Hidden states of prompts that come after vectors of their own (soft prompts).

        vectors (torch.Tensor): what stands before the input embeddings, *Shape* (prompts, vectors, width).
        chunk (PackedBatch): prompts that share nothing.
        RETURNS (torch.Tensor): float32, *Shape* (prompts, width), with gradients where they are enabled.
        """
        import torch

        ids, mask = self.pad([prompt.ids for prompt in chunk.prompts])
        count = vectors.shape[1]
        with self.compute(count + ids.shape[1]):
            tokens = self.whole.get_input_embeddings()(ids)
            inputs = torch.cat([vectors.to(tokens), tokens], dim=1)
            hidden: Tensor = self.decoder(inputs_embeds=inputs, use_cache=False).last_hidden_state
            return hidden[torch.arange(len(ids), device=ids.device), count + mask.sum(1) - 1].float()

    def likelihoods(self, chunk: PackedBatch, tries: Sequence[TokenTrie]) -> List[Likelihoods]:
        import torch

        cells = chunk.grid
        starts = [len(row) for row in chunk.rows]
        for cell, row, trie in zip(chunk.cells, chunk.rows, tries):
            cells[cell] = row + tuple(trie.tokens)
        ids, mask = self.pad(cells)
        depths, seen = _tree_layout(ids.shape, chunk.cells, starts, tries)
        with torch.no_grad(), self.compute(ids.shape[1]):
            if chunk.shared is not None:
                hidden = self._after(self._context(chunk.shared), ids, mask.bool(), depths, seen)
            else:
                hidden = self._tree_states(ids, mask.bool(), depths, seen)
            return [
                self._trie_likelihoods(hidden[cell, start - 1 : start + len(trie)], trie)
                for cell, start, trie in zip(chunk.cells, starts, tries)
            ]

    def response_states(self, prompts: Sequence[Ids], responses: Sequence[Ids]) -> Iterator[Tuple[List[int], "Tensor"]]:
        import torch

        sequences = [(*prompt, *response) for prompt, response in zip(prompts, responses)]
        layouts: Iterable[Layout] = lay_out(sequences, self.batch_tokens)
        if self.is_split and torch.is_grad_enabled():
            own = list(layouts)
            self.keep_step(len(own))
            layouts = own
        for layout in layouts:
            ids, mask = self.pad(layout.rows)
            with self.compute(ids.shape[1]):
                hidden = self._tree_states(ids, mask.bool(), layout.depths, layout.seen)
            places = {i: (row, path[len(prompts[i]) - 1 :]) for i, (row, path) in layout.paths.items()}
            rows = torch.tensor([row for row, path in places.values() for _ in path], device=ids.device)
            columns = torch.tensor([place for _, path in places.values() for place in path], device=ids.device)
            yield list(places), hidden[rows, columns]

    def prefill(self, prompts: Sequence[Ids]) -> Tuple[PrefixCache, "Tensor"]:
        """Prefill: read prompts, so that `decode_step` can continue them. Only of models that share.

        prompts (Sequence[Tuple[int, ...]]): token ids.
        RETURNS (Tuple[PrefixCache, torch.Tensor]): their keys and values, a document for each prompt, and the states of
            their last tokens, *Shape* (prompts, width).
        """
        import torch

        parts: List[Tuple[List[int], PrefixCache]] = []
        states = torch.zeros(len(prompts), self.width, dtype=self.dtype, device=self.device)
        for members in batches([len(prompt) for prompt in prompts], self.batch_tokens):
            hidden, context = self._read(None, [prompts[i] for i in members], False)
            parts.append((members, context))
            states[members] = hidden[torch.arange(len(hidden), device=hidden.device), context.lengths - 1].to(states)
        return PrefixCache.join(parts), states

    def decode_step(self, context: PrefixCache, rows: Sequence[Ids]) -> "Tensor":
        """Read what comes after the documents of a context, and add it to them.

        context (PrefixCache): the keys and values of what was read. They are changed.
        rows (Sequence[Tuple[int, ...]]): token ids of each document's next tokens, not all empty.
        RETURNS (torch.Tensor): their states, one row after the other, *Shape* (tokens, width).
        """
        ids, mask = self.pad(rows)
        real = mask.bool()
        with self.compute(ids.shape[1]):
            hidden, layers = self._pass(context, ids, real, keep=True)
        context.extend(layers, real)
        return hidden[real]

    def _tree_states(self, ids: "Tensor", real: "Tensor", depths: "Tensor", seen: "Tensor") -> "Tensor":
        """Hidden states of rows that are trees; see `_after`. RETURNS (torch.Tensor): *Shape* (rows, length, width)."""
        if self._compiles() or (self.shares and ids.shape[1] <= SHORT_ATTENTION):
            return self._after(None, ids, real, depths, seen)
        mask = self._masks(seen, depths, ids.device)
        states: Tensor = self.decoder(
            input_ids=ids, position_ids=depths.to(ids.device), attention_mask=mask, use_cache=False
        ).last_hidden_state
        return states

    def _context(self, shared: Optional[Shared]) -> Optional[PrefixCache]:
        """The keys and values of what is shared, computed now if they were not; None where nothing is."""
        import torch

        if shared is None:
            return None
        if shared.context is not None:
            return shared.context
        parent = self._context(shared.parent)
        trained = torch.is_grad_enabled() and self.has_adapter
        # An instruction stays the same until the weights change: answers to one document after another share it.
        state = (shared.instruction, self.version())
        # Where weights are split, it is read anew: all processes have to read it, or none.
        if not (shared.documents or trained or self.is_split):
            if self._kept is None or self._kept[0] != state:
                self._kept = (state, self._read(None, [shared.instruction], False)[1])
            shared.context = self._kept[1]
        else:
            shared.context = self._read(parent, shared.documents or [shared.instruction], trained)[1]
        return shared.context

    def _read(self, before: Optional[PrefixCache], rows: Sequence[Ids], trained: bool) -> "Tuple[Tensor, PrefixCache]":
        """Compute the keys and values of rows.

        before (Optional[PrefixCache]): what all rows see first, a context of one document.
        rows (Sequence[Tuple[int, ...]]): token ids.
        trained (bool): whether gradients are to go back to them.
        RETURNS (Tuple[torch.Tensor, PrefixCache]): the rows' hidden states, *Shape* (rows, length, width), and the keys
            and values of `before` and of the rows together, a document for each row.
        """
        import torch

        ids, mask = self.pad(rows)
        real = mask.bool()
        with self.compute(ids.shape[1]):
            hidden, layers = self._pass(before, ids, real, keep=True)
        lengths, padded = mask.sum(1), ~real
        if before is not None:
            count, early = len(rows), before.layers
            for index, (key, value) in layers.items():
                first_key, first_value = (t.expand(count, -1, -1, -1) for t in early[index])
                layers[index] = (torch.cat([first_key, key], dim=2), torch.cat([first_value, value], dim=2))
            lengths = lengths + before.lengths
            padded = torch.cat([padded.new_zeros(count, int(before.lengths)), padded], dim=1)
        return hidden, PrefixCache.make(layers, lengths, padded if bool(padded.any()) else None, trained)

    def _after(
        self,
        context: Optional[PrefixCache],
        ids: "Tensor",
        real: "Tensor",
        depths: Optional["Tensor"] = None,
        seen: Optional["Tensor"] = None,
    ) -> "Tensor":
        """Hidden states of rows after a context.

        ids (torch.Tensor): own tokens, *Shape* (rows, length).
        real (torch.Tensor): bool, which of them are no padding, *Shape* (rows, length).
        depths (Optional[torch.Tensor]): each token's distance from the row's start, where rows are trees, *Shape*
            (rows, length).
        seen (Optional[torch.Tensor]): bool, whether an own token sees another, *Shape* (rows, length, length).
        RETURNS (torch.Tensor): *Shape* (rows, length, width).
        """
        return self._pass(context, ids, real, depths, seen)[0]

    def _pass(
        self,
        context: Optional[PrefixCache],
        ids: "Tensor",
        real: "Tensor",
        depths: Optional["Tensor"] = None,
        seen: Optional["Tensor"] = None,
        keep: bool = False,
    ) -> Tuple["Tensor", KeysValues]:
        """RETURNS (Tuple[torch.Tensor, Dict[int, Tuple[torch.Tensor, torch.Tensor]]]): hidden states of own tokens,
        *Shape* (rows, length, width), and where they are kept their keys and values by layer, *Shape* (rows, key
        heads, length, head width). Those of padding mean nothing.
        """
        import torch

        depths = torch.arange(ids.shape[1])[None] if depths is None else depths
        positions = depths.to(ids.device).expand(len(ids), -1)
        if context is not None:
            each = len(ids) // len(context.lengths)
            positions = positions + context.lengths.repeat_interleave(each)[:, None]
        own = None if seen is None else seen.to(ids.device)
        if self._compiles():
            return self._graph()(ids, positions, context, own)
        if bool(real.all()):
            with shared_pass(self.decoder, context, own, keep) as layers:
                out = self.decoder(input_ids=ids, position_ids=positions, use_cache=False)
            return out.last_hidden_state, layers
        with shared_pass(self.decoder, context, own, keep, real) as layers:
            out = self.decoder(input_ids=ids[real][None], position_ids=positions[real][None], use_cache=False)
        states = out.last_hidden_state[0]
        hidden = states.new_zeros(*ids.shape, states.shape[-1])
        hidden[real] = states
        return hidden, layers

    def _compiles(self) -> bool:
        """RETURNS (bool): whether a compiled graph computes what is asked for now."""
        return self._compiler.applies() and not self.model.training and self.shares

    def _graph(self) -> DecoderGraph:
        """RETURNS (DecoderGraph): of the weights as they are, while the adapter is merged."""

        def make() -> DecoderGraph:
            check_place(self._compiler.engine, self.name, self.device, self.quantization or self.dtype)
            return DecoderGraph(self.decoder, self._compiler.engine)

        return self._compiler.compiled(self.version(), make)

    def _masks(self, seen: "Tensor", positions: "Tensor", device: "torch.device") -> "Union[Tensor, Dict[str, Tensor]]":
        """Additive masks. Transformers takes one that is given to it as it is, so that the window of layers which see
        the last tokens only (Mistral, Gemma) must be cut here.

        seen (torch.Tensor): whether a token may see another, *Shape* (batch, length, length).
        positions (torch.Tensor): *Shape* (batch, length).
        device (torch.device): where the masks are put.
        RETURNS (Union[torch.Tensor, Dict[str, torch.Tensor]]): in the model's data type, *Shape* (batch, 1, length,
            length); a mask for each kind of layer where the model mixes them.
        """
        import torch

        def additive(allowed: "Tensor") -> "Tensor":
            mask = torch.zeros(allowed.shape, dtype=self.dtype)
            return mask.masked_fill_(~allowed, torch.finfo(self.dtype).min)[:, None].to(device)

        config = self.whole.config
        window = getattr(config, "sliding_window", None)
        kinds = set(getattr(config, "layer_types", None) or ())
        if not kinds and getattr(config, "use_sliding_window", True):
            kinds = {"sliding_attention"}
        if window is None or "sliding_attention" not in kinds or int(positions.max()) < window:
            return additive(seen)
        near = seen & (positions[:, :, None] - positions[:, None, :] < window)
        if kinds == {"sliding_attention"}:
            return additive(near)
        return {kind: additive(near if kind == "sliding_attention" else seen) for kind in sorted(kinds)}

    def logits(self, hidden: "Tensor") -> "Tensor":
        import torch

        config = self.whole.config
        logits: Tensor = self.whole.get_output_embeddings()(hidden).float()
        if getattr(config, "logits_scaling", None) is not None:  # Granite
            logits = logits / config.logits_scaling
        if getattr(config, "logit_scale", None) is not None:  # Cohere
            logits = logits * config.logit_scale
        if getattr(config, "final_logit_softcapping", None) is not None:  # Gemma 2
            cap = config.final_logit_softcapping
            logits = torch.tanh(logits / cap) * cap
        return logits

    def _trie_likelihoods(self, hidden: "Tensor", trie: TokenTrie) -> Likelihoods:
        """hidden (torch.Tensor): states of the root and the nodes, *Shape* (1 + nodes, width)."""
        import torch

        inner = trie.inner()
        parents = torch.tensor(trie.parents, device=hidden.device)
        tokens = torch.tensor(trie.tokens, device=hidden.device)
        scores = torch.zeros(len(trie), device=hidden.device)
        for i in range(0, len(inner), _LOGIT_ROWS):
            nodes = inner[i : i + _LOGIT_ROWS]
            logits = self.logits(hidden[torch.tensor(nodes, device=hidden.device) + 1])
            logs = torch.log_softmax(logits, dim=-1)
            rows = {node: row for row, node in enumerate(nodes)}
            chosen = [c for c, parent in enumerate(trie.parents) if parent in rows]
            at = torch.tensor(chosen, device=hidden.device)
            row_of = torch.tensor([rows[int(parents[c])] for c in chosen], device=hidden.device)
            scores[at] = logs[row_of, tokens[at]]
        values = scores.tolist()
        return Likelihoods(
            totals=[sum(values[node] for node in path) for path in trie.paths],
            lengths=[len(path) for path in trie.paths],
        )

    def generate(self, inputs: Sequence[Sequence[int]], max_new_tokens: int) -> List[str]:
        import torch

        ids, mask = self.pad(inputs, left=True)
        length = ids.shape[1]
        with torch.no_grad(), self.compute(length + max_new_tokens):
            out = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=self.pad_id,
            )
        texts: List[str] = self.tokenizer.batch_decode(out[:, length:], skip_special_tokens=True)
        return texts


def _tree_layout(
    shape: Sequence[int], cells: Sequence[int], starts: Sequence[int], tries: Sequence[TokenTrie]
) -> "Tuple[Tensor, Tensor]":
    """Depths and mask of rows that each end in a trie.

    shape (Sequence[int]): rows and their length.
    cells (Sequence[int]): the row of each trie.
    starts (Sequence[int]): index of each trie's first node.
    tries (Sequence[TokenTrie]): the tries.
    RETURNS (Tuple[torch.Tensor, torch.Tensor]): depths, *Shape* (rows, length), and whether a token sees another, bool,
        *Shape* (rows, length, length).
    """
    import torch

    count, length = shape
    depths = torch.arange(length).repeat(count, 1)
    seen = torch.tril(torch.ones(length, length, dtype=torch.bool)).repeat(count, 1, 1)
    for cell, start, trie in zip(cells, starts, tries):
        seen[cell, start:, start:] = torch.eye(length - start, dtype=torch.bool)
        for node, parent in enumerate(trie.parents):
            row = start + node
            if parent >= 0:
                seen[cell, row, start:row] = seen[cell, start + parent, start:row]
            depths[cell, row] = start + trie.depths[node]
    return depths, seen


@registry.ragre_backbones("ragre.CausalLM.v1")
def create_causal_lm(
    name: str = "smollm2-135m-instruct",
    quantization: Optional[str] = None,
    dtype: str = "auto",
    device: str = "auto",
    lora: Optional[Dict[str, Any]] = None,
    max_length: int = 2048,
    batch_tokens: int = 4096,
    engine: str = TORCH,
    shard: bool = False,
) -> CausalLM:
    """A decoder-only language model; see `CausalLM` and `Backbone` for the arguments."""
    settings: Mapping[str, Any] = lora or {}
    return CausalLM(
        name,
        quantization=quantization,
        dtype=dtype,
        device=device,
        lora=settings,
        max_length=max_length,
        batch_tokens=batch_tokens,
        engine=engine,
        shard=shard,
    )
