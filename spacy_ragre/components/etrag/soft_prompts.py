"""From instances with weights to the vectors that a language model reads, and to votes for classes."""

import math
from typing import Optional, Tuple

import torch
from torch import nn

from .soft_knn import SoftKNN


class SoftPrompts(nn.Module):
    """Chooses k soft neighbours and projects each to vectors of the language model's width.

    key_width (int): width of an instance's key.
    width (int): width of the language model's input embeddings.
    classes (int): number of classes.
    length (int): vectors for each neighbour.
    temperature (float): of the soft selection.
    learn_temperature (bool): whether it is trained.
    start (float): size of the projection's first output, as a share of the size of the labels' embeddings.
    """

    def __init__(
        self,
        key_width: int,
        width: int,
        classes: int,
        *,
        length: int = 1,
        temperature: float = 0.1,
        learn_temperature: bool = True,
        start: float = 0.1,
    ) -> None:
        super().__init__()
        self.length = length
        self.size = start
        self.knn = SoftKNN(temperature, learnable=learn_temperature)
        self.projection = nn.Linear(key_width, length * width)
        self.labels = nn.Parameter(torch.zeros(classes, width))

    def start(self, words: torch.Tensor) -> None:
        """Begin with the embeddings of the labels' words.

        words (torch.Tensor): *Shape* (classes, width).
        """
        with torch.no_grad():
            self.labels.copy_(words)
            size = float(words.square().mean().sqrt()) or 1.0
            # Keys have length 1, so that the output has the deviation of the weights.
            nn.init.normal_(self.projection.weight, std=self.size * size)
            nn.init.zeros_(self.projection.bias)

    def weigh(self, similarity: torch.Tensor, k: int, allowed: Optional[torch.Tensor]) -> torch.Tensor:
        """See `SoftKNN`."""
        weights: torch.Tensor = self.knn(similarity, k, allowed)
        return weights

    def forward(
        self,
        weights: torch.Tensor,
        rows: torch.Tensor,
        table: torch.Tensor,
        classes: torch.Tensor,
        label_dropout: float = 0.0,
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """weights (torch.Tensor): of each neighbour over the candidates, *Shape* (queries, k, M).
        rows (torch.Tensor): the candidates' rows in the table, *Shape* (queries, M).
        table (torch.Tensor): the instances' keys, *Shape* (instances, key width).
        classes (torch.Tensor): their shares of the classes, *Shape* (instances, classes).
        label_dropout (float): the share of queries, drawn at random, whose vectors come without labels.
        RETURNS (Tuple[torch.Tensor, torch.Tensor]): the vectors, *Shape* (queries, k * length, width), the first
            neighbour last, next to the prompt; and the mean of the neighbours' classes, *Shape* (queries, classes).
        """
        count, k, _ = weights.shape
        spread = weights.new_zeros(count, k, len(table)).scatter_add(2, rows[:, None].expand_as(weights), weights)
        vectors = self.projection(spread @ table).view(count, k, self.length, -1)
        # The labels' share is that of a mean over the vectors, so that their sum does not grow with their number.
        labels = spread @ classes
        shown = labels
        if label_dropout:
            shown = labels * (torch.rand(count, 1, 1, device=labels.device) >= label_dropout)
        vectors = vectors + (shown @ self.labels)[:, :, None] / math.sqrt(self.length)
        return vectors.flip(1).flatten(1, 2), labels.mean(1)

    def votes_of_nearest(self, weights: torch.Tensor, rows: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Votes of the k instances with most weight alone: what has little weight is worth learning from, and says
        little of the answer.

        weights (torch.Tensor): of each neighbour over the candidates, *Shape* (queries, k, M).
        rows (torch.Tensor): the candidates' rows in the table, *Shape* (queries, M).
        classes (torch.Tensor): the instances' shares of the classes, *Shape* (instances, classes).
        RETURNS (torch.Tensor): each class's share of these instances' weight, *Shape* (queries, classes).
        """
        most = weights.sum(1).topk(weights.shape[1], dim=1)
        shares = most.values / most.values.sum(1, keepdim=True).clamp(min=1e-12)
        return (shares[:, :, None] * classes[rows.gather(1, most.indices)]).sum(1)
