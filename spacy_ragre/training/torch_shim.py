"""What the torch sides of Thinc models have in common: steps of a Thinc optimizer, and its averages."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Dict, Iterator, Mapping, Tuple, cast

from thinc.api import Optimizer, Shim, torch2xp, xp2torch
from thinc.compat import has_cupy_gpu
from thinc.types import FloatsXd

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter


class TorchShim(Shim):
    """Trains named torch parameters with a Thinc optimizer."""

    def parameters(self) -> Dict[str, "Parameter"]:
        """RETURNS (Dict[str, torch.nn.Parameter]): what is trained, float32, by name."""
        raise NotImplementedError

    def rate(self, name: str) -> float:
        """RETURNS (float): a parameter's learning rate, as a multiple of the optimizer's."""
        return 1.0

    def finish_update(self, optimizer: Optimizer) -> None:
        """Take a step. The optimizer works on the parameters' own memory, as in Thinc's `PyTorchShim`. On a GPU it
        needs CuPy for that: without it, each step moves parameters and gradients to the CPU and back.

        optimizer (Optimizer): the optimizer.
        """
        from torch.autograd.graph import increment_version

        for name, parameter in self.parameters().items():
            if parameter.grad is None:
                continue
            own = parameter.detach()
            value, _ = optimizer((self.id, name), _as_array(own), _as_array(parameter.grad), lr_scale=self.rate(name))
            new = xp2torch(value, device=own.device)
            if new.data_ptr() == own.data_ptr():
                # Torch has not seen the change, and what was made of the weights is known to be old by their version.
                increment_version(own)
            else:
                own.copy_(new)
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
                kept[name] = parameter.detach().clone()
                parameter.detach().copy_(xp2torch(params[(self.id, name)], device=parameter.device))
        try:
            yield
        finally:
            for name, value in kept.items():
                own[name].detach().copy_(value)


def _as_array(tensor: "Tensor") -> FloatsXd:
    """RETURNS (FloatsXd): a NumPy or CuPy array over a tensor's memory; a copy where there is no CuPy for it."""
    return cast(FloatsXd, torch2xp(tensor) if has_cupy_gpu or not tensor.is_cuda else tensor.cpu().numpy())
