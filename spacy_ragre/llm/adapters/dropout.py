"""Dropout for CPUs, where torch draws a number for every element, one after the other. LoRA's dropout, which every
layer applies to its own copy of the input, takes a third of a training step that way. Here one draw of 64 bits serves
several elements.
"""

from typing import Any

import torch


def use_cpu_dropout(model: Any) -> None:
    """Let the layers of an adapter use `CPUDropout`. On a GPU it is torch's own.

    model (peft.PeftModel): the model.
    """
    for layer in model.modules():
        for name, module in getattr(layer, "lora_dropout", {}).items():
            if isinstance(module, torch.nn.Dropout):
                layer.lora_dropout[name] = CPUDropout(module.p)


class CPUDropout(torch.nn.Module):
    """As `torch.nn.Dropout`, with a share of elements that is rounded to a multiple of 1 / 2^15 for 16-bit inputs.

    p (float): share of elements that become zero, from 0 to 1, 1 excluded. The others are scaled by 1 / (1 - p).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (torch.Tensor): floating point, any shape.
        RETURNS (torch.Tensor): of the same shape and type.
        """
        if not self.training or not self.p or x.device.type != "cpu" or x.itemsize > 4:
            return torch.nn.functional.dropout(x, self.p, self.training)
        return x * self._factors(x)

    def _factors(self, x: torch.Tensor) -> torch.Tensor:
        """Zero or the scale for each element. An integer as wide as an element is negative once the threshold is
        subtracted where the element is kept; its sign, spread over all bits, lets the bits of the scale through.
        """
        whole, each = (torch.int16, 4) if x.itemsize == 2 else (torch.int32, 2)
        top = 8 * x.itemsize - 1
        scale = torch.tensor(1 / (1 - self.p), dtype=x.dtype).view(whole).item()
        drawn = torch.empty(-(-x.numel() // each), dtype=torch.int64).random_(-(2**63), None)
        bits = drawn.view(whole)[: x.numel()].bitwise_and_(2**top - 1)
        bits.sub_(round((1 - self.p) * 2**top)).bitwise_right_shift_(top).bitwise_and_(scale)
        return bits.view(x.dtype).view(x.shape)
