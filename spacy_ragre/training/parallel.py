"""Training on several processes, with a GPU each or on CPUs: each learns from a share of every batch, and all take the
same step.

A launcher (`accelerate launch`, `torchrun`) starts the processes. All of them read all documents, and draw the same
batches. Components compute their own share of a batch's pairs or documents, and divide losses by the size of the whole
batch, so that the sum of the processes' gradients is the gradient of one process.
"""

import os
import random
import warnings
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Callable, Collection, Iterator, List, Literal, Sequence, TypeVar, cast

from ..errors import Errors, Warnings

if TYPE_CHECKING:
    from torch.nn import Parameter

_Made = TypeVar("_Made")
_Item = TypeVar("_Item")

# While the first process makes or writes what the others wait for.
_PATIENCE = timedelta(days=1)


class _Group:
    """This process's number, and how many there are."""

    def __init__(self) -> None:
        self.rank, self.size = 0, 1


_group = _Group()


def processes() -> int:
    """RETURNS (int): how many processes train together; 1 where this one trains alone."""
    return _group.size


def rank() -> int:
    """RETURNS (int): the number of this process, from 0. The first one writes what is saved."""
    return _group.rank


def launched() -> int:
    """RETURNS (int): how many processes a launcher started, whether they train together or not."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that a launcher started, as long as the context lasts. One process stays as it is. A
    ValueError is raised where they don't find one another.
    """
    count = launched()
    if count < 2:
        if "ACCELERATE_USE_CPU" in os.environ:
            warnings.warn(Warnings.W771, stacklevel=3)
        yield
        return
    import torch
    from torch import distributed

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        distributed.init_process_group(backend, timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise ValueError(Errors.R776.format(count=count, problem=" ".join(str(error).split()))) from error
    _group.rank, _group.size = distributed.get_rank(), distributed.get_world_size()
    try:
        yield
    finally:
        _group.rank, _group.size = 0, 1
    # Not after an error: others may wait for this process, until the launcher ends them.
    distributed.destroy_process_group()


def own_share(batch: Sequence[_Item]) -> Sequence[_Item]:
    """RETURNS (Sequence[Any]): this process's part of a batch. Neighbours stay together, since pairs of one document
    are computed with one prefix.
    """
    count = len(batch)
    return batch[count * _group.rank // _group.size : count * (_group.rank + 1) // _group.size]


def total(value: float) -> float:
    """RETURNS (float): the sum of a number over all processes."""
    return _over_all(value, "SUM")


def most(value: int) -> int:
    """RETURNS (int): the largest of the numbers that all processes give."""
    return int(_over_all(value, "MAX"))


def _over_all(value: float, operation: Literal["SUM", "MAX"]) -> float:
    """RETURNS (float): one number made of those that all processes give."""
    if _group.size == 1:
        return value
    import torch
    from torch import distributed

    result = torch.tensor(value, dtype=torch.float64)
    distributed.all_reduce(result, getattr(distributed.ReduceOp, operation))
    return float(result)


def sum_gradients(parameters: "Collection[Parameter]") -> None:
    """Put the sum of all processes' gradients in place of each one's own. A parameter that has none anywhere gets none.

    parameters (Collection[torch.nn.Parameter]): the same ones in all processes, in the same order.
    """
    if _group.size == 1 or not parameters:
        return
    import torch
    from torch import distributed

    own = list(parameters)
    device = own[0].device
    parts = [torch.tensor([float(parameter.grad is not None) for parameter in own], device=device)]
    parts += [
        torch.zeros(p.numel(), device=device) if p.grad is None else p.grad.detach().flatten().to(device, torch.float32)
        for p in own
    ]
    flat = torch.cat(parts)
    distributed.all_reduce(flat)
    known, *sums = flat.split([len(own), *(parameter.numel() for parameter in own)])
    for parameter, has_gradient, gradient in zip(own, known.tolist(), sums):
        if has_gradient:
            parameter.grad = gradient.view_as(parameter).to(parameter.device, parameter.dtype)


def from_first(make: Callable[[], _Made]) -> _Made:
    """Make something in the first process, for all of them.

    make (Callable[[], Any]): is called in the first process alone. What it raises is raised in all.
    RETURNS (Any): what it gave there.
    """
    if _group.size == 1:
        return make()
    from torch import distributed

    made: List[object] = [None, None]
    if _group.rank == 0:
        try:
            made[0] = make()
        except (ValueError, OSError) as error:
            made[1] = error
    distributed.broadcast_object_list(made, src=0)
    if isinstance(made[1], Exception):
        raise made[1]
    return cast(_Made, made[0])


@contextmanager
def same_draws() -> Iterator[None]:
    """Let processes draw at random for their own share, dropout each its own, and go on from the same state."""
    if _group.size == 1:
        yield
        return
    import torch

    seed = random.getrandbits(32)
    state = random.getstate()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed + _group.rank)
            yield
    finally:
        random.setstate(state)
