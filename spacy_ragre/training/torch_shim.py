"""What the torch sides of Thinc models have in common: steps of a Thinc optimizer, and its averages."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Dict, Iterator, Mapping, Optional, Tuple, cast

from thinc.api import Optimizer, Shim, torch2xp, xp2torch
from thinc.compat import has_cupy_gpu
from thinc.types import FloatsXd

from .parallel import sum_gradients
from .tensors import Precision, is_shrunk, shrink

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter


class TorchShim(Shim):
    """Trains named torch parameters with a Thinc optimizer. What subclasses save is a safetensors file."""

    #: A saved state that is not in the model yet.
    _saved: Optional[bytes] = None
    # The file of the state that is in the model, where it is one of fewer bits and nothing was trained since.
    _shrunk: Optional[bytes] = None

    @property
    def shard(self) -> bool:
        """RETURNS (bool): whether frozen weights are to be split among the processes of a training."""
        return False

    def parameters(self) -> Dict[str, "Parameter"]:
        """RETURNS (Dict[str, torch.nn.Parameter]): what is trained, float32, by name."""
        raise NotImplementedError

    def rate(self, name: str) -> float:
        """RETURNS (float): a parameter's learning rate, as a multiple of the optimizer's."""
        return 1.0

    def shrink(self, precision: Precision) -> None:
        """Keep what was trained in fewer bits, as it is read from now on, until it is trained further.

        precision (str): "half" or "int8"; see `training.tensors.shrink`.
        """
        data: bytes = self.to_bytes()  # type: ignore[no-untyped-call]
        if data:
            self.from_bytes(shrink(data, precision))

    @property
    def saved(self) -> Optional[bytes]:
        """RETURNS (Optional[bytes]): the file that the state is from, as long as it is to be saved as that."""
        return self._shrunk if self._saved is None else self._saved

    def take(self, data: Optional[bytes]) -> None:
        """data (Optional[bytes]): a saved state, which waits until the model is used; None where there is none, so that
        what is in the model counts.
        """
        self._saved, self._shrunk = data or None, None

    def taken(self) -> None:
        """Note that the saved state is in the model now."""
        data = self._saved
        if data is not None:
            self._saved, self._shrunk = None, data if is_shrunk(data) else None

    def finish_update(self, optimizer: Optimizer) -> None:
        """Take a step, with the gradients of all processes. The optimizer works on the parameters' own memory, as in
        Thinc's `PyTorchShim`. On a GPU it needs CuPy for that: without it, each step moves parameters and gradients to
        the CPU and back.

        optimizer (Optimizer): the optimizer.
        """
        import torch
        from torch.autograd.graph import increment_version

        parameters = self.parameters()
        sum_gradients(parameters.values())
        for name, parameter in parameters.items():
            if parameter.grad is None:
                continue
            self._shrunk = None
            own = parameter.detach()
            # A single number has no shape, which optimizers can't do with.
            flat, gradient = (torch.atleast_1d(tensor) for tensor in (own, parameter.grad))
            value, _ = optimizer((self.id, name), as_array(flat), as_array(gradient), lr_scale=self.rate(name))
            new = xp2torch(value, device=own.device)
            if new.data_ptr() == own.data_ptr():
                # Torch has not seen the change, and what was made of the weights is known to be old by their version.
                increment_version(own)
            else:
                own.copy_(new.view_as(own))
            parameter.grad = None

    @contextmanager
    def use_params(self, params: Mapping[Tuple[int, str], FloatsXd]) -> Iterator[None]:
        """Put other values into the parameters, such as an optimizer's averages, while the context lasts.

        params (Mapping[Tuple[int, str], FloatsXd]): values by the keys that `finish_update` gives the optimizer.
        """
        own = self.parameters() if any(key[0] == self.id for key in params) else {}
        kept = {}
        for name, parameter in own.items():
            if (self.id, name) in params:
                self._shrunk = None
                kept[name] = parameter.detach().clone()
                value = xp2torch(params[(self.id, name)], device=parameter.device)
                parameter.detach().copy_(value.view_as(parameter))
        try:
            yield
        finally:
            for name, value in kept.items():
                own[name].detach().copy_(value)


def as_array(tensor: "Tensor") -> FloatsXd:
    """RETURNS (FloatsXd): a NumPy or CuPy array over a tensor's memory; a copy where there is no CuPy for it."""
    return cast(FloatsXd, torch2xp(tensor) if has_cupy_gpu or not tensor.is_cuda else tensor.cpu().numpy())
