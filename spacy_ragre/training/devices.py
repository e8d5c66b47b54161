"""Which device computes, where a component's setting `device` is "auto".

The setting of a component comes first, then what a command was told by `--gpu-id`, then what there is.
"""

from typing import TYPE_CHECKING, Optional, TypeVar

from ..errors import Errors

if TYPE_CHECKING:
    import torch

    Module = TypeVar("Module", bound=torch.nn.Module)

_chosen: Optional[str] = None


def choose_gpu(gpu_id: Optional[int]) -> None:
    """Choose the device of all components of this process whose setting leaves it open.

    gpu_id (Optional[int]): the GPU, -1 for the CPU, or None to leave it open. A ValueError is raised where torch finds
        no such GPU. Where CuPy is installed, spaCy's own components use the GPU, too.
    """
    global _chosen
    if gpu_id is None or gpu_id < 0:
        _chosen = None if gpu_id is None else "cpu"
        return
    import torch
    from thinc.api import require_gpu
    from thinc.util import has_cupy

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpu_id >= count:
        raise ValueError(Errors.R615.format(gpu_id=gpu_id, problem=f"torch finds {count} GPUs"))
    if has_cupy:
        try:
            require_gpu(gpu_id)
        # What CuPy raises depends on what it misses: a driver, a library, a device.
        except Exception as error:
            raise ValueError(Errors.R615.format(gpu_id=gpu_id, problem=str(error).strip().rstrip("."))) from error
    torch.cuda.set_device(gpu_id)
    _chosen = f"cuda:{gpu_id}"


def pick_device(device: str, mps: bool = True) -> str:
    """device (str): torch's name of a device, or "auto".
    mps (bool): whether the GPU of a Mac will do.
    RETURNS (str): torch's name of a device.
    """
    if device != "auto":
        return device
    if _chosen is not None:
        return _chosen
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if mps and torch.backends.mps.is_available() else "cpu"


def check_device(device: str) -> str:
    """Check the name of a device. Whether there is one is told when a model is put there, since a pipeline may be built
    on another machine than it runs on.

    device (str): torch's name of a device, or "auto". A ValueError is raised where it is none.
    RETURNS (str): the same.
    """
    import torch

    if device != "auto":
        try:
            torch.device(str(device))
        except (RuntimeError, TypeError) as error:
            raise ValueError(Errors.R122.format(value=device)) from error
    return device


def place(model: "Module", device: str, name: str) -> "Module":
    """Put a model on a device. An OSError is raised where that fails, as where there is none.

    model (torch.nn.Module): the model.
    device (str): torch's name of a device, or "auto".
    name (str): what the model is called in the settings, for the message.
    RETURNS (torch.nn.Module): the model.
    """
    device = pick_device(device)
    try:
        return model.to(device)
    # Torch raises an AssertionError where it was built without GPUs.
    except (RuntimeError, AssertionError) as error:
        raise OSError(Errors.R123.format(model=name, device=device, reason=error)) from error
