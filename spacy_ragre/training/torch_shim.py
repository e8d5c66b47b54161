"""What the torch sides of Thinc models have in common: steps of a Thinc optimizer, and its averages."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator

from thinc.api import Optimizer, Shim


class TorchShim(Shim):
    """Trains named torch parameters with a Thinc optimizer."""

    def parameters(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, torch.nn.Parameter]): what is trained, by name."""
        raise NotImplementedError

    def rate(self, name: str) -> float:
        """RETURNS (float): a parameter's learning rate, as a multiple of the optimizer's."""
        return 1.0

    def finish_update(self, optimizer: Optimizer) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self.parameters().items():
                if parameter.grad is None:
                    continue
                weights, gradient = parameter.detach().cpu().numpy(), parameter.grad.cpu().numpy()
                value, _ = optimizer((self.id, name), weights, gradient, lr_scale=self.rate(name))
                parameter.copy_(torch.as_tensor(value))
                parameter.grad = None

    @contextmanager
    def use_params(self, params: Any) -> Iterator[None]:
        import torch

        kept = {}
        own = self.parameters() if any(key[0] == self.id for key in params) else {}
        with torch.no_grad():
            for name, parameter in own.items():
                if (self.id, name) in params:
                    kept[name] = parameter.detach().clone()
                    parameter.copy_(torch.as_tensor(params[(self.id, name)]))
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    own[name].copy_(value)
