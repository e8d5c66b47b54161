"""Losses over label logits. Class 0 is "no relation".

Each takes logits as an array, so that Thinc models of any framework can use it, and gives the loss and its gradient.

A pair may count less than others: `weights`, one number a pair, multiply its loss and its gradient; all are 1 where it
is None. What nobody looked for is no negative. `known` says of which classes it is known whether they hold; of all
where it is None. The others are left out of a pair's loss, as if there were no such classes, and get no gradient.
"""

from typing import TYPE_CHECKING, Optional, Sequence, Tuple

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def cross_entropy(
    logits: "np.ndarray",
    targets: Sequence[Sequence[int]],
    smoothing: float = 0.0,
    known: "Optional[np.ndarray]" = None,
    weights: "Optional[np.ndarray]" = None,
) -> "Tuple[float, np.ndarray]":
    """Cross-entropy for pairs that hold one relation or none.

    logits (numpy.ndarray): *Shape* (pairs, classes).
    targets (Sequence[Sequence[int]]): each pair's classes; none means class 0, several share the weight.
    smoothing (float): share of the weight that is spread over all classes, from 0 to 1.
    known (Optional[numpy.ndarray]): bool, *Shape* (pairs, classes), at least the targets of each.
    weights (Optional[numpy.ndarray]): *Shape* (pairs,).
    RETURNS (Tuple[float, numpy.ndarray]): the sum of the losses, and its gradient, *Shape* (pairs, classes).
    """
    import torch

    scores = torch.tensor(logits, dtype=torch.float32)
    wanted = torch.zeros_like(scores)
    for row, classes in enumerate(targets):
        classes = list(classes) or [0]
        wanted[row, classes] = 1.0 / len(classes)
    if known is None:
        spread = torch.full_like(scores, 1 / scores.shape[1])
    else:
        asked = torch.as_tensor(known)
        spread = asked / asked.sum(dim=1, keepdim=True)
        scores = scores.masked_fill(~asked, torch.finfo(scores.dtype).min)
    wanted = wanted * (1 - smoothing) + smoothing * spread
    logs = torch.log_softmax(scores, dim=1)
    weighed = _column(weights, scores)
    loss = -(weighed * wanted * logs).sum()
    return float(loss), (weighed * (logs.exp() - wanted)).numpy()


def _column(weights: "Optional[np.ndarray]", scores: "Tensor") -> "Tensor":
    """RETURNS (torch.Tensor): the weights of pairs, *Shape* (pairs, 1)."""
    import torch

    return torch.ones_like(scores[:, :1]) if weights is None else torch.as_tensor(weights).to(scores).reshape(-1, 1)


def adaptive_threshold(
    logits: "np.ndarray",
    targets: Sequence[Sequence[int]],
    known: "Optional[np.ndarray]" = None,
    weights: "Optional[np.ndarray]" = None,
) -> "Tuple[float, np.ndarray]":
    """Adaptive thresholding loss for pairs that may hold several relations (ATLOP, arXiv 2010.11304): a pair's
    classes must score above class 0, all others below it.

    logits (numpy.ndarray): *Shape* (pairs, classes).
    targets (Sequence[Sequence[int]]): each pair's classes, class 0 left out.
    known (Optional[numpy.ndarray]): bool, *Shape* (pairs, classes), at least class 0 and the targets of each.
    weights (Optional[numpy.ndarray]): *Shape* (pairs,).
    RETURNS (Tuple[float, numpy.ndarray]): the sum of the losses, and its gradient, *Shape* (pairs, classes).
    """
    import torch

    scores = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    positive = torch.zeros_like(scores, dtype=torch.bool)
    for row, classes in enumerate(targets):
        positive[row, [c for c in classes if c != 0]] = True
    threshold = torch.zeros_like(positive)
    threshold[:, 0] = True
    low = torch.finfo(scores.dtype).min
    above = torch.log_softmax(scores.masked_fill(~(positive | threshold), low), dim=1)
    left_out = positive if known is None else positive | ~torch.as_tensor(known)
    below = torch.log_softmax(scores.masked_fill(left_out, low), dim=1)
    weighed = _column(weights, scores.detach())
    loss = -(weighed * above * positive).sum() - (weighed[:, 0] * below[:, 0]).sum()
    loss.backward()
    gradient = scores.grad
    return float(loss.detach()), torch.zeros_like(scores).numpy() if gradient is None else gradient.numpy()


def vote_likelihood(
    votes: "np.ndarray",
    targets: Sequence[Sequence[int]],
    least: float = 1e-3,
    known: "Optional[np.ndarray]" = None,
    weights: "Optional[np.ndarray]" = None,
) -> "Tuple[float, np.ndarray]":
    """Negative log of the share of votes that are for a pair's classes, as in neighbourhood components analysis
    (Goldberger et al. 2004). Pairs without any right vote teach nothing and are left out.

    votes (numpy.ndarray): each class's share, 0 or above, *Shape* (pairs, classes); the shares of a pair sum to 1 at
        most.
    targets (Sequence[Sequence[int]]): each pair's classes; none means class 0, a vote for any of several is right.
    least (float): added to the share, so that pairs with next to no right votes do not outweigh the others.
    known (Optional[numpy.ndarray]): bool, *Shape* (pairs, classes). Votes for other classes are neither right nor
        wrong.
    weights (Optional[numpy.ndarray]): *Shape* (pairs,).
    RETURNS (Tuple[float, numpy.ndarray]): the sum of the losses, and its gradient, *Shape* (pairs, classes).
    """
    import numpy as np

    wanted = np.zeros(votes.shape, dtype="float32")
    for row, classes in enumerate(targets):
        wanted[row, list(classes) or [0]] = 1.0
    right = (votes * wanted).sum(axis=1, keepdims=True)
    heard = right > 0
    right = np.where(heard, right + least, 1.0)
    losses, gradient = -np.log(right), -wanted * heard / right
    if known is not None:
        aside = heard & ~known
        total = 1 + least - (votes * aside).sum(axis=1, keepdims=True)
        losses = losses + np.log(total)
        gradient = gradient - aside / total
    if weights is not None:
        column = np.asarray(weights, dtype="float32").reshape(-1, 1)
        losses, gradient = losses * column, gradient * column
    return float(losses.sum()), gradient
