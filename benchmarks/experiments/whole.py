"""A language model of which all weights are trained, to be compared with adapters."""

from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from spacy_ragre.llm.causal import CausalLM
from spacy_ragre.registry import registry

if TYPE_CHECKING:
    import torch

WHOLE = "benchmarks.WholeLM.v1"


class WholeLM(CausalLM):
    """A decoder-only model without an adapter: training changes the weights themselves. See `CausalLM`."""

    _trains = False

    def init_adapter(self) -> None:
        # Others may have been given the same weights.
        self.own_weights()
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        self._trains = True

    def adapter_parameters(self) -> "Dict[str, torch.nn.Parameter]":
        return dict(self.model.named_parameters()) if self._trains else {}


@registry.ragre_backbones(WHOLE)
def create_whole_lm(
    name: str,
    quantization: Optional[str] = None,
    dtype: str = "auto",
    device: str = "auto",
    lora: Optional[Mapping[str, Any]] = None,
) -> WholeLM:
    """The model; its settings are those of `ragre.CausalLM.v1`, of which it takes no adapter and no quantisation."""
    if quantization is not None:
        raise ValueError(f"all weights are trained in full precision only, and not in {quantization}")
    return WholeLM(name, dtype=dtype, device=device)
