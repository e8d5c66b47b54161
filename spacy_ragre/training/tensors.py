"""Files of trained tensors, in 32 bits as training leaves them, or in 16 or 8 bits to be shipped.

In 8 bits, a matrix has whole numbers from -127 to 127 and one scale for each row or column, whichever are fewer: each
component of a low-rank adapter has a scale of its own. A file says itself how its tensors are kept, so that all are
read alike.
"""

import json
from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, Dict, Literal, Tuple, TypeVar, cast, get_args

from ..errors import Errors

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["half", "int8"]
_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Ends the names of the scales of a tensor that is kept in 8 bits.
SCALE = "!scale"
# What has fewer numbers stays as it is: thresholds, biases and scales take little room and count most.
_LEAST = 1024


def plain_tensors(function: _Function) -> _Function:
    """Decorator of what makes weights, or learns: the tensors that torch makes inside of a caller's
    `torch.inference_mode()` can't be trained, there or later, nor asked whether they have changed.

    function (Callable): the function; no generator.
    RETURNS (Callable): the function, outside of that mode and with gradients.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        import torch

        with torch.inference_mode(False):
            return function(*args, **kwargs)

    return cast(_Function, call)


def is_shrunk(data: bytes) -> bool:
    """RETURNS (bool): whether a file is one that `shrink` wrote.

    data (bytes): a safetensors file.
    """
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return any(name.endswith(SCALE) or about.get("dtype") == "F16" for name, about in header.items())


def read_tensors(data: bytes) -> "Dict[str, Tensor]":
    """Read a safetensors file of any precision.

    data (bytes): the file.
    RETURNS (Dict[str, torch.Tensor]): the tensors by name, those of numbers with a fraction in float32. A damaged file
        raises safetensors' SafetensorError.
    """
    import torch
    from safetensors.torch import load

    tensors = load(data)
    scales = {name[: -len(SCALE)]: tensors.pop(name) for name in list(tensors) if name.endswith(SCALE)}
    result = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    result.update((name, result[name].to(torch.float32) * scale) for name, scale in scales.items())
    return result


def shrink(data: bytes, precision: Precision) -> bytes:
    """Write a file of tensors with fewer bits a number.

    data (bytes): a safetensors file.
    precision (str): "half" for 16 bits, or "int8" for 8 bits in matrices and 16 in the rest. What half precision can't
        hold, and tensors of few numbers, stay in float32.
    RETURNS (bytes): the file, with the same metadata.
    """
    from safetensors.torch import save

    check_precision(precision)
    result: Dict[str, Tensor] = {}
    for name, tensor in read_tensors(data).items():
        if not tensor.is_floating_point() or tensor.numel() < _LEAST:
            result[name] = tensor
        elif precision == "int8" and tensor.dim() == 2:
            result[name], result[name + SCALE] = _to_int8(tensor)
        else:
            half = tensor.half()
            result[name] = half if half.isfinite().all() else tensor
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return save(result, metadata=header.get("__metadata__"))


def check_precision(value: str) -> Precision:
    """RETURNS (str): the same. A ValueError is raised for what is no precision."""
    if value not in get_args(Precision):
        raise ValueError(Errors.R651.format(value=value, known=" or ".join(map(repr, get_args(Precision)))))
    return cast(Precision, value)


def _to_int8(tensor: "Tensor") -> "Tuple[Tensor, Tensor]":
    """tensor (torch.Tensor): *Shape* (rows, columns).
    RETURNS (Tuple[torch.Tensor, torch.Tensor]): whole numbers, *Shape* (rows, columns), and scales, *Shape* (rows, 1)
        or (1, columns).
    """
    import torch

    longest = 0 if tensor.shape[0] > tensor.shape[1] else 1
    scale = tensor.abs().amax(dim=longest, keepdim=True) / 127
    whole = (tensor / torch.where(scale > 0, scale, 1)).round()
    return whole.to(torch.int8), scale
