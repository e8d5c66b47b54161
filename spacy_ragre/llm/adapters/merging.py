"""LoRA updates added to the weights for predictions, so that an adapted model is as fast as its base.

The base weights are kept aside and put back as they were: taking an update off again would leave rounding errors, which
grow with every evaluation during training.
"""

from typing import TYPE_CHECKING, Any, Hashable, List, Tuple

if TYPE_CHECKING:
    import torch
    from peft.tuners.lora import Linear
    from torch import Tensor

ADAPTER = "default"


class MergedWeights:
    """The layers of a model whose adapter is merged now. Needs the memory of those layers once more while it is."""

    def __init__(self) -> None:
        self._kept: List[Tuple[Linear, Tensor]] = []
        self._version: Hashable = None

    def __bool__(self) -> bool:
        """RETURNS (bool): whether the adapter is merged."""
        return bool(self._kept)

    def merge(self, model: "torch.nn.Module", version: Hashable) -> None:
        """Merge the adapter, or merge it again where it changed.

        model (peft.PeftModel): the model.
        version (Hashable): equal as long as the adapter is the same.
        """
        if self._kept and self._version == version:
            return
        self.restore()
        import torch
        from peft.tuners.lora import Linear

        with torch.no_grad():
            for layer in model.modules():
                # Quantised layers are of other classes, and keep the two products of their own.
                if type(layer) is Linear and not layer.merged:
                    base: Any = layer.get_base_layer().weight
                    self._kept.append((layer, base.data))
                    base.data = layer.get_delta_weight(ADAPTER).float().add_(base.data).to(base.dtype)
                    layer.merged_adapters.append(ADAPTER)
        self._version = version

    def restore(self) -> None:
        """Put the base weights back."""
        for layer, weight in self._kept:
            layer.get_base_layer().weight.data = weight
            layer.merged_adapters.clear()
        self._kept = []
