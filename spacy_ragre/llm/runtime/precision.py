"""Number types and kernels under which a batch is computed."""

from contextlib import contextmanager, nullcontext
from typing import Any, ContextManager, Iterator

# Above this length the fused attention kernel wins on CPU; below it, plain matrix products are up to 1.5 times faster
# in training.
SHORT_ATTENTION = 256


def is_low(dtype: Any) -> bool:
    """RETURNS (bool): whether a torch.dtype has 16 bits."""
    import torch

    return dtype in (torch.bfloat16, torch.float16)


@contextmanager
def computing(device: str, dtype: Any, mixed: bool, length: int, silence: ContextManager[Any]) -> Iterator[None]:
    """Compute a batch inside of it.

    device (str): the type of torch device.
    dtype (torch.dtype): that of the model's weights.
    mixed (bool): whether other weights, such as an adapter's, are in 32 bits.
    length (int): tokens of the longest sequence.
    silence (ContextManager[Any]): entered with the rest.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    precision = torch.autocast(device, dtype) if mixed and is_low(dtype) else nullcontext()
    short = device == "cpu" and length <= SHORT_ATTENTION and torch.is_grad_enabled()
    kernel = sdpa_kernel(SDPBackend.MATH) if short else nullcontext()
    with precision, kernel, silence:
        yield
