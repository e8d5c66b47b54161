"""Encoder-decoder language models: T5, Flan-T5 and others."""

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..registry import registry
from .attention.packing import Ids, PackedBatch, batches
from .attention.tries import TokenTrie
from .base import Backbone, Likelihoods

if TYPE_CHECKING:
    from torch import Tensor

# With tied embeddings, these scale the decoder's output before the vocabulary layer.
_SCALED = ("t5", "mt5", "umt5", "longt5", "switch_transformers")


class Seq2SeqLM(Backbone):
    """An encoder-decoder language model. The encoder reads the prompt, the decoder gives the answer."""

    def _auto_class(self) -> Any:
        from transformers import AutoModelForSeq2SeqLM

        return AutoModelForSeq2SeqLM

    def _task_type(self) -> str:
        return "SEQ_2_SEQ_LM"

    @property
    def _start(self) -> int:
        config = self.whole.config
        start = getattr(config, "decoder_start_token_id", None)
        return self.pad_id if start is None else start

    def _encode(self, inputs: Sequence[Sequence[int]]) -> Tuple["Tensor", "Tensor"]:
        """RETURNS (Tuple[torch.Tensor, torch.Tensor]): the encoder's states, *Shape* (batch, length, width), and the
        mask, *Shape* (batch, length).
        """
        ids, mask = self.pad(inputs)
        encoder = self.whole.get_encoder()
        return encoder(input_ids=ids, attention_mask=mask).last_hidden_state, mask

    def _decode(self, ids: "Tensor", mask: Optional["Tensor"], states: "Tensor", states_mask: "Tensor") -> "Tensor":
        out = self.decoder(
            input_ids=ids,
            attention_mask=mask,
            encoder_hidden_states=states,
            encoder_attention_mask=states_mask,
            use_cache=False,
        )
        decoded: Tensor = out.last_hidden_state
        return decoded

    def states(self, chunk: PackedBatch) -> "Tensor":
        import torch

        inputs, places = _distinct(chunk)
        with self.compute(max(map(len, inputs))):
            encoded, mask = self._encode(inputs)
            start = torch.full((len(inputs), 1), self._start, device=self.device)
            hidden = self._decode(start, None, encoded, mask)
        return hidden[torch.tensor(places, device=hidden.device), 0].float()

    def states_after(self, vectors: "Tensor", chunk: PackedBatch) -> "Tensor":
        """Hidden states of prompts that come after vectors of their own (soft prompts).

        vectors (torch.Tensor): what stands before the encoder's input embeddings, *Shape* (prompts, vectors, width).
        chunk (PackedBatch): prompts that share nothing.
        RETURNS (torch.Tensor): float32, *Shape* (prompts, width), with gradients where they are enabled.
        """
        import torch

        ids, mask = self.pad([prompt.ids for prompt in chunk.prompts])
        with self.compute(vectors.shape[1] + ids.shape[1]):
            encoder = self.whole.get_encoder()
            tokens = encoder.get_input_embeddings()(ids)
            inputs = torch.cat([vectors.to(tokens), tokens], dim=1)
            mask = torch.cat([mask.new_ones(vectors.shape[:2]), mask], dim=1)
            encoded = encoder(inputs_embeds=inputs, attention_mask=mask).last_hidden_state
            start = torch.full((len(ids), 1), self._start, device=self.device)
            return self._decode(start, None, encoded, mask)[:, 0].float()

    def response_states(self, prompts: Sequence[Ids], responses: Sequence[Ids]) -> Iterator[Tuple[List[int], "Tensor"]]:
        import torch

        lengths = [len(prompt) + 1 + len(response) for prompt, response in zip(prompts, responses)]
        for batch in batches(lengths, self.batch_tokens):
            inputs, _ = self.pad([(self._start, *responses[i]) for i in batch])
            with self.compute(max(lengths[i] for i in batch)):
                encoded, mask = self._encode([prompts[i] for i in batch])
                hidden = self._decode(inputs, None, encoded, mask)
            yield batch, torch.cat([hidden[row, : 1 + len(responses[i])] for row, i in enumerate(batch)])

    def likelihoods(self, chunk: PackedBatch, tries: Sequence[TokenTrie]) -> List[Likelihoods]:
        import torch

        inputs, places = _distinct(chunk)
        # Answers are rows and not a tree: what a decoder knows of positions is not always an input of it.
        options = [answer for trie in tries for answer in trie.answers()]
        prompt_of = torch.tensor([place for place, trie in zip(places, tries) for _ in trie.paths])
        totals: List[float] = []
        with torch.no_grad(), self.compute(max(map(len, inputs))):
            encoded, mask = self._encode(inputs)
            for rows in _slices([len(answer) for answer in options], self.batch_tokens):
                targets, target_mask = self.pad(options[rows])
                start = torch.full((len(targets), 1), self._start, device=self.device)
                at = prompt_of[rows].to(self.device)
                hidden = self._decode(torch.cat([start, targets[:, :-1]], dim=1), None, encoded[at], mask[at])
                logs = torch.log_softmax(self.logits(hidden), dim=-1)
                scores = logs.gather(2, targets[..., None])[..., 0] * target_mask
                totals.extend(scores.sum(1).tolist())
        found = iter(totals)
        return [Likelihoods([next(found) for _ in trie.paths], [len(path) for path in trie.paths]) for trie in tries]

    def logits(self, hidden: "Tensor") -> "Tensor":
        whole = self.whole
        if whole.config.model_type in _SCALED and whole.config.tie_word_embeddings:
            hidden = hidden * whole.config.d_model**-0.5
        logits: Tensor = whole.get_output_embeddings()(hidden).float()
        bias = getattr(whole, "final_logits_bias", None)  # BART
        return logits if bias is None else logits + bias

    def generate(self, inputs: Sequence[Sequence[int]], max_new_tokens: int) -> List[str]:
        import torch

        ids, mask = self.pad(inputs)
        with torch.no_grad(), self.compute(ids.shape[1]):
            out = self.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False
            )
        texts: List[str] = self.tokenizer.batch_decode(out, skip_special_tokens=True)
        return texts


def _distinct(chunk: PackedBatch) -> Tuple[List[Ids], List[int]]:
    """RETURNS (Tuple[List[Tuple[int, ...]], List[int]]): the different inputs of a chunk, and for each prompt which one
    is its own.
    """
    order: Dict[Ids, int] = {}
    places = [order.setdefault(prompt.ids, len(order)) for prompt in chunk.prompts]
    return list(order), places


def _slices(lengths: Sequence[int], limit: int) -> Iterator[slice]:
    """YIELDS (slice): rows whose padded batch stays within a limit, in order."""
    start = longest = 0
    for i, length in enumerate(lengths):
        longest = max(longest, length)
        if i > start and (i + 1 - start) * longest > limit:
            yield slice(start, i)
            start, longest = i, length
    yield slice(start, len(lengths))


@registry.ragre_backbones("ragre.Seq2SeqLM.v1")
def create_seq2seq_lm(
    name: str,
    quantization: Optional[str] = None,
    dtype: str = "auto",
    device: str = "auto",
    lora: Optional[Dict[str, Any]] = None,
    max_length: int = 512,
    batch_tokens: int = 4096,
) -> Seq2SeqLM:
    """An encoder-decoder language model; see `Backbone` for the arguments."""
    return Seq2SeqLM(
        name,
        quantization=quantization,
        dtype=dtype,
        device=device,
        lora=lora or {},
        max_length=max_length,
        batch_tokens=batch_tokens,
    )
