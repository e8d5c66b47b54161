"""Number types and kernels under which a batch is computed."""

import time
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ContextManager, Iterator

if TYPE_CHECKING:
    import torch

# Above this length the fused attention kernel wins on CPU; below it, plain matrix products are up to 1.5 times faster
# in training.
SHORT_ATTENTION = 256

# What a processor calls its instructions for bfloat16, in torch's words and in those of /proc/cpuinfo.
_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
_CPUINFO = Path("/proc/cpuinfo")
# Of a matrix product that is timed: tokens, width of the input and of the output, as in a small language model.
_TIMED = (64, 576, 1536)
_RUNS = 5
# bfloat16 costs some digits, so that a gain within the noise of the timing is not enough.
_LEAST_GAIN = 1.3


def is_low(dtype: "torch.dtype") -> bool:
    """RETURNS (bool): whether numbers have 16 bits."""
    import torch

    return dtype in (torch.bfloat16, torch.float16)


def choose_dtype(device: "torch.device", quantized: bool) -> "torch.dtype":
    """What the setting "auto" means: bfloat16 on a GPU that has it and on a CPU where it is faster, else float32.

    device (torch.device): where the model computes.
    quantized (bool): whether its weights are, which on a CPU compute in float32.
    RETURNS (torch.dtype): the number type.
    """
    import torch

    if device.type == "cuda":
        low = torch.cuda.is_bf16_supported()
    else:
        low = device.type == "cpu" and not quantized and bfloat16_pays()
    return torch.bfloat16 if low else torch.float32


def mixed_precision(device: "torch.device") -> ContextManager[None]:
    """Compute in bfloat16 inside of it where `choose_dtype` says so, with weights in float32.

    device (torch.device): where the model computes.
    """
    import torch

    return torch.autocast(device.type, torch.bfloat16, enabled=is_low(choose_dtype(device, False)))


@cache
def bfloat16_pays() -> bool:
    """Whether this processor multiplies matrices clearly faster in bfloat16 than in float32: it must have instructions
    for it, and a short timing must show the gain, since a library may not use them. Found out once a
    process.

    RETURNS (bool): whether it does.
    """
    import torch

    return _has_bfloat16() and _seconds(torch.bfloat16) * _LEAST_GAIN < _seconds(torch.float32)


def _has_bfloat16() -> bool:
    import torch

    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return any(found.get(name) for name in _INSTRUCTIONS)
    try:  # older versions of torch
        flags = _CPUINFO.read_text(encoding="utf8").split()
    except OSError:
        return False
    return any(name in flags for name in _INSTRUCTIONS)


def _seconds(dtype: "torch.dtype") -> float:
    """RETURNS (float): seconds of the fastest of a few matrix products: the others waited for something else."""
    import torch

    tokens, inputs, outputs = _TIMED
    x, weight = torch.ones(tokens, inputs, dtype=dtype), torch.ones(outputs, inputs, dtype=dtype)
    times = []
    with torch.no_grad():
        for _ in range(_RUNS):
            start = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            times.append(time.perf_counter() - start)
    return min(times)


def quantization_config(kind: str, dtype: "torch.dtype") -> Any:
    """RETURNS (transformers.BitsAndBytesConfig): how weights are quantised, "int8" or "nf4", and computed in a type."""
    from transformers.utils.quantization_config import BitsAndBytesConfig

    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


@contextmanager
def computing(
    device: str, dtype: "torch.dtype", mixed: bool, length: int, silence: ContextManager[Any]
) -> Iterator[None]:
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
