"""Encoder-decoder language models: T5, Flan-T5 and others."""

from typing import Any, Dict, List, Optional, Sequence

from ..registry import registry
from .base import Backbone, Likelihoods

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
    def _whole(self) -> Any:
        return self.model.get_base_model() if self.has_adapter else self.model

    @property
    def _start(self) -> int:
        config = self._whole.config
        start = getattr(config, "decoder_start_token_id", None)
        return self.pad_id if start is None else start

    def _encode(self, inputs: Sequence[Sequence[int]]) -> Any:
        """RETURNS (Tuple[torch.Tensor, torch.Tensor]): the encoder's states, *Shape* (batch, length, width), and the
        mask, *Shape* (batch, length).
        """
        ids, mask = self._pad(inputs)
        encoder = self._whole.get_encoder()
        return encoder(input_ids=ids, attention_mask=mask).last_hidden_state, mask

    def _decode(self, ids: Any, mask: Any, states: Any, states_mask: Any) -> Any:
        return (
            self._whole.get_decoder()(
                input_ids=ids,
                attention_mask=mask,
                encoder_hidden_states=states,
                encoder_attention_mask=states_mask,
                use_cache=False,
            )
        ).last_hidden_state

    def states(self, inputs: Sequence[Sequence[int]]) -> Any:
        import torch

        with self.compute(max(map(len, inputs))):
            encoded, mask = self._encode(inputs)
            start = torch.full((len(inputs), 1), self._start, device=self.device)
            hidden = self._decode(start, None, encoded, mask)
        return hidden[:, 0].float()

    def likelihoods(
        self, inputs: Sequence[Sequence[int]], answers: Sequence[Sequence[Sequence[int]]]
    ) -> List[Likelihoods]:
        import torch

        results = []
        with torch.no_grad(), self.compute(max(map(len, inputs))):
            encoded, mask = self._encode(inputs)
            for i, options in enumerate(answers):
                targets, target_mask = self._pad(options)
                start = torch.full((len(options), 1), self._start, device=self.device)
                decoder_ids = torch.cat([start, targets[:, :-1]], dim=1)
                states = encoded[i : i + 1].expand(len(options), -1, -1)
                hidden = self._decode(decoder_ids, None, states, mask[i : i + 1].expand(len(options), -1))
                logs = torch.log_softmax(self._logits(hidden), dim=-1)
                scores = logs.gather(2, targets[..., None])[..., 0] * target_mask
                results.append(Likelihoods(scores.sum(1).tolist(), [len(o) for o in options]))
        return results

    def _logits(self, hidden: Any) -> Any:
        whole = self._whole
        if whole.config.model_type in _SCALED and whole.config.tie_word_embeddings:
            hidden = hidden * whole.config.d_model**-0.5
        logits = whole.get_output_embeddings()(hidden).float()
        bias = getattr(whole, "final_logits_bias", None)  # BART
        return logits if bias is None else logits + bias

    def generate(self, inputs: Sequence[Sequence[int]], max_new_tokens: int) -> List[str]:
        import torch

        ids, mask = self._pad(inputs)
        with torch.no_grad(), self.compute(ids.shape[1]):
            out = self.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False
            )
        return self.tokenizer.batch_decode(out, skip_special_tokens=True)

    def _pad(self, inputs: Sequence[Sequence[int]]) -> Any:
        """RETURNS (Tuple[torch.Tensor, torch.Tensor]): ids and mask, both of *Shape* (batch, length)."""
        import torch

        length = max(len(p) for p in inputs)
        ids = torch.full((len(inputs), length), self.pad_id)
        mask = torch.zeros((len(inputs), length), dtype=torch.long)
        for i, prompt in enumerate(inputs):
            ids[i, : len(prompt)] = torch.tensor(prompt)
            mask[i, : len(prompt)] = 1
        return ids.to(self.device), mask.to(self.device)


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
