"""Decoder-only language models: Llama, Mistral, Gemma, SmolLM and others."""

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..registry import registry
from .base import Backbone, Likelihoods
from .trie import TokenTrie

# Rows of the vocabulary's logits that are held at a time.
_LOGIT_ROWS = 256


class CausalLM(Backbone):
    """A decoder-only language model."""

    def _auto_class(self) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def _task_type(self) -> str:
        return "CAUSAL_LM"

    @property
    def _whole(self) -> Any:
        return self.model.get_base_model() if self.has_adapter else self.model

    @property
    def _decoder(self) -> Any:
        whole = self._whole
        # GPT-2 and GPT-NeoX name their decoder by the older attribute only.
        return whole.get_decoder() if hasattr(whole, "get_decoder") else whole.base_model

    def states(self, inputs: Sequence[Sequence[int]]) -> Any:
        import torch

        # Padded on the right: under causal attention no token sees the padding, so no mask is needed.
        ids, lengths = self._pad(inputs)
        with self.compute(ids.shape[1]):
            hidden = self._decoder(input_ids=ids, use_cache=False).last_hidden_state
        rows = torch.arange(len(inputs), device=ids.device)
        return hidden[rows, lengths - 1].float()

    def likelihoods(
        self, inputs: Sequence[Sequence[int]], answers: Sequence[Sequence[Sequence[int]]]
    ) -> List[Likelihoods]:
        import torch

        tries = [TokenTrie.build(a) for a in answers]
        sequences = [list(p) + trie.tokens for p, trie in zip(inputs, tries)]
        ids, _ = self._pad(sequences)
        starts = [len(p) for p in inputs]
        positions, mask = self._tree_layout(starts, tries, ids)
        with torch.no_grad(), self.compute(ids.shape[1]):
            hidden = self._decoder(
                input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False
            ).last_hidden_state
            return [
                self._trie_likelihoods(hidden[i, starts[i] - 1 : starts[i] + len(trie)], trie)
                for i, trie in enumerate(tries)
            ]

    def _tree_layout(self, starts: Sequence[int], tries: Sequence[TokenTrie], ids: Any) -> Any:
        """Positions and mask of prompts that are each followed by a trie.

        starts (Sequence[int]): index of each trie's first node.
        tries (Sequence[TokenTrie]): the tries.
        ids (torch.Tensor): token ids, *Shape* (batch, length).
        RETURNS (Tuple[torch.Tensor, Any]): positions, *Shape* (batch, length), and what `_masks` gives.
        """
        import torch

        batch, length = ids.shape
        positions = torch.arange(length).repeat(batch, 1)
        seen = torch.tril(torch.ones(length, length, dtype=torch.bool)).repeat(batch, 1, 1)
        for i, (start, trie) in enumerate(zip(starts, tries)):
            seen[i, start:, start:] = torch.eye(length - start, dtype=torch.bool)
            for node, parent in enumerate(trie.parents):
                row = start + node
                if parent >= 0:
                    seen[i, row, start:row] = seen[i, start + parent, start:row]
                positions[i, row] = start + trie.depths[node]
        return positions.to(ids.device), self._masks(seen, positions, ids.device)

    def _masks(self, seen: Any, positions: Any, device: Any) -> Any:
        """Additive masks. Transformers takes one that is given to it as it is, so that the window of layers which see
        the last tokens only (Mistral, Gemma) must be cut here.

        seen (torch.Tensor): whether a token may see another, *Shape* (batch, length, length).
        positions (torch.Tensor): *Shape* (batch, length).
        device (torch.device): where the masks are put.
        RETURNS (Union[torch.Tensor, Dict[str, torch.Tensor]]): in the model's data type, *Shape* (batch, 1, length,
            length); a mask for each kind of layer where the model mixes them.
        """
        import torch

        def additive(allowed: Any) -> Any:
            mask = torch.zeros(allowed.shape, dtype=self.dtype)
            return mask.masked_fill_(~allowed, torch.finfo(self.dtype).min)[:, None].to(device)

        config = self._whole.config
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

    def _logits(self, hidden: Any) -> Any:
        """hidden (torch.Tensor): *Shape* (tokens, width).
        RETURNS (torch.Tensor): float32 logits, *Shape* (tokens, vocabulary), scaled and capped as the model does.
        """
        import torch

        config = self._whole.config
        logits = self._whole.get_output_embeddings()(hidden).float()
        if getattr(config, "logits_scaling", None) is not None:  # Granite
            logits = logits / config.logits_scaling
        if getattr(config, "logit_scale", None) is not None:  # Cohere
            logits = logits * config.logit_scale
        if getattr(config, "final_logit_softcapping", None) is not None:  # Gemma 2
            cap = config.final_logit_softcapping
            logits = torch.tanh(logits / cap) * cap
        return logits

    def _trie_likelihoods(self, hidden: Any, trie: TokenTrie) -> Likelihoods:
        """hidden (torch.Tensor): states of the root and the nodes, *Shape* (1 + nodes, width)."""
        import torch

        inner = trie.inner()
        parents = torch.tensor(trie.parents, device=hidden.device)
        tokens = torch.tensor(trie.tokens, device=hidden.device)
        scores = torch.zeros(len(trie), device=hidden.device)
        for i in range(0, len(inner), _LOGIT_ROWS):
            nodes = inner[i : i + _LOGIT_ROWS]
            logits = self._logits(hidden[torch.tensor(nodes, device=hidden.device) + 1])
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

        ids, lengths = self._pad(inputs, left=True)
        length = ids.shape[1]
        mask = (torch.arange(length, device=ids.device)[None] >= (length - lengths)[:, None]).long()
        with torch.no_grad(), self.compute(length + max_new_tokens):
            out = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=self.pad_id,
            )
        return self.tokenizer.batch_decode(out[:, length:], skip_special_tokens=True)

    def _pad(self, inputs: Sequence[Sequence[int]], left: bool = False) -> Any:
        """RETURNS (Tuple[torch.Tensor, torch.Tensor]): ids, *Shape* (batch, length), and lengths, *Shape* (batch)."""
        import torch

        lengths = torch.tensor([len(p) for p in inputs])
        ids = torch.full((len(inputs), int(lengths.max())), self.pad_id)
        for i, prompt in enumerate(inputs):
            where = slice(ids.shape[1] - len(prompt), None) if left else slice(0, len(prompt))
            ids[i, where] = torch.tensor(prompt)
        return ids.to(self.device), lengths.to(self.device)


@registry.ragre_backbones("ragre.CausalLM.v1")
def create_causal_lm(
    name: str = "smollm2-135m-instruct",
    quantization: Optional[str] = None,
    dtype: str = "auto",
    device: str = "auto",
    lora: Optional[Dict[str, Any]] = None,
    max_length: int = 2048,
    batch_tokens: int = 4096,
) -> CausalLM:
    """A decoder-only language model; see `Backbone` for the arguments."""
    settings: Mapping[str, Any] = lora or {}
    return CausalLM(
        name,
        quantization=quantization,
        dtype=dtype,
        device=device,
        lora=settings,
        max_length=max_length,
        batch_tokens=batch_tokens,
    )
