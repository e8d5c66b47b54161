"""Soft selection of the k nearest neighbours (neural nearest neighbours, Plötz and Roth 2018, arXiv 1810.12575).

A softmax over similarities is a soft choice of one neighbour. To choose the next one, what was chosen is taken out as
far as it was chosen: its similarity goes down by the log of what is left of it. With a low temperature these are the k
nearest, one after the other; with a high one, each is the mean of all.

For example, three candidates with similarities 2, 1 and 0, temperature 1, k = 2:

    first choice    softmax(2, 1, 0)                                    = 0.67, 0.24, 0.09
    what is left    log(1 - w)                                          = -1.10, -0.28, -0.09
    second choice   softmax(2 - 1.10, 1 - 0.28, 0 - 0.09)               = 0.45, 0.38, 0.17

At temperature 0.1 the first choice is 1.00, 0.00, 0.00 and the second one 0.00, 1.00, 0.00. Both choices are smooth in
the similarities, so that the loss of what was read trains the encoder that gave them.
"""

import math
from typing import Optional

import torch
from torch import nn

from ...errors import Errors


class SoftKNN(nn.Module):
    """Weights of k soft neighbours among M candidates, with gradients to the similarities and to the temperature.

    temperature (float): divides the similarities, above 0.
    learnable (bool): train the temperature's logarithm.
    """

    def __init__(self, temperature: float = 0.1, *, learnable: bool = True) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError(Errors.R540.format(setting="temperature", value=temperature, expected="a number above 0"))
        # Optimizers take no number without a dimension.
        value = torch.tensor([math.log(temperature)])
        if learnable:
            self.log_temperature = nn.Parameter(value)
        else:
            self.register_buffer("log_temperature", value)

    @property
    def temperature(self) -> float:
        """RETURNS (float): the temperature."""
        return float(self.log_temperature.detach().exp())

    def forward(self, similarity: torch.Tensor, k: int, allowed: Optional[torch.Tensor] = None) -> torch.Tensor:
        """Choose k soft neighbours.

        similarity (torch.Tensor): *Shape* (batch, M).
        k (int): how many to choose, at most M.
        allowed (Optional[torch.Tensor]): bool, which candidates may be chosen, *Shape* (batch, M). The others have
            weights and gradients of exactly 0.
        RETURNS (torch.Tensor): weights, *Shape* (batch, k, M); those of a neighbour sum to 1. Where fewer than k
            candidates are allowed, the neighbours that are left over have weights of 0.
        """
        count = similarity.shape[1]
        if k > count:
            raise ValueError(Errors.R541.format(k=k, count=count))
        if allowed is None:
            allowed = torch.ones_like(similarity, dtype=torch.bool)
        broken = (~torch.isfinite(similarity) & allowed).sum()
        if broken:
            raise ValueError(Errors.R542.format(count=int(broken), total=int(allowed.sum())))
        # Through `where`, what is not allowed gets no gradient, whatever it holds.
        scores = torch.where(allowed, similarity, torch.zeros_like(similarity))
        available = allowed.sum(1, keepdim=True)
        scale = torch.exp(-self.log_temperature).to(scores.dtype)
        chosen = []
        for step in range(k):
            active = available > step
            # A row without candidates is computed with all of them and counts for nothing: no number is NaN.
            logits = torch.where(allowed | ~active, scores * scale, -math.inf)
            weights = torch.softmax(logits, dim=1)
            chosen.append(weights * active)
            if step + 1 < k:
                scores = scores + _log_rest(logits, weights, allowed & (available > 1))
        return torch.stack(chosen, dim=1) if chosen else similarity.new_zeros(len(similarity), 0, count)


def _log_rest(logits: torch.Tensor, weights: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """log(1 - w), exact where w is next to 1.

    Only the largest weight can be: what is left of it is the weight of all others, summed without it. For the others,
    w is at most a half.

    *Shapes*: all (batch, M).
    """
    top = torch.zeros_like(allowed).scatter(1, logits.argmax(1, keepdim=True), True)
    small = torch.log1p(-torch.where(top, torch.zeros_like(weights), weights))
    several = allowed.any(1, keepdim=True)
    # Rows with one candidate have no others; they are not asked for a second neighbour.
    others = torch.where(top & several, -math.inf, torch.where(several, logits, torch.zeros_like(logits)))
    rest = torch.logsumexp(others, 1, keepdim=True) - torch.logsumexp(
        torch.where(several, logits, torch.zeros_like(logits)), 1, keepdim=True
    )
    result = torch.where(top, rest, small)
    return torch.where(allowed, result, torch.zeros_like(result))
