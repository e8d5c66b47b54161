"""One vector of the states of a text's word pieces."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def pool(hidden: "Tensor", mask: "Tensor", pooling: str) -> "Tensor":
    """Unit vectors of texts that are padded at the end.

    hidden (torch.Tensor): states of word pieces, *Shape* (batch, length, width).
    mask (torch.Tensor): 1 for word pieces and 0 for padding, *Shape* (batch, length).
    pooling (str): "mean", "cls", "max" or "last".
    RETURNS (torch.Tensor): *Shape* (batch, width).
    """
    import torch

    if pooling == "mean":
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
    elif pooling == "cls":
        pooled = hidden[:, 0]
    elif pooling == "max":
        pooled = hidden.masked_fill(mask.unsqueeze(-1) == 0, torch.finfo(hidden.dtype).min).amax(1)
    else:
        pooled = hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
    return torch.nn.functional.normalize(pooled, dim=1)
