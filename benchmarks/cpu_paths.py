"""Ways to run the language model on a CPU: torch and OpenVINO, in 32 and in 16 bits, on the same batches.

    pip install openvino
    python benchmarks/cpu_paths.py

Plain forward passes over rows of one length, without an adapter, which predictions merge. OpenVINO is no dependency of
the suite; without it, its lines are left out.
"""

import argparse
import time
from pathlib import Path
from typing import Any, Callable, Dict

import torch
from results import merge
from transformers import AutoModelForCausalLM

from spacy_ragre.backbones.resolve import resolve

SHAPES = ((16, 48), (32, 48), (4, 256), (1, 800))


class Decoder(torch.nn.Module):
    """The decoder alone, with a mask made by plain operations, which can be traced."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        place = torch.arange(ids.shape[1])
        least = torch.finfo(torch.float32).min
        mask = torch.where(place[None, :] > place[:, None], least, 0.0)[None, None]
        mask = mask.expand(ids.shape[0], 1, -1, -1).to(self.model.dtype)
        return self.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state


def load(name: str, dtype: torch.dtype) -> Decoder:
    return Decoder(AutoModelForCausalLM.from_pretrained(resolve(name), torch_dtype=dtype).eval().model).eval()


def by_openvino(decoder: Decoder, threads: int) -> Dict[str, Callable[[torch.Tensor], Any]]:
    try:
        import openvino
    except ImportError:
        return {}
    traced = openvino.convert_model(
        decoder, example_input=torch.randint(5, 1000, SHAPES[0]), input=[openvino.PartialShape([-1, -1])]
    )
    core = openvino.Core()
    calls = {}
    for bits, hint in (("float32", "f32"), ("bfloat16", "bf16")):
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = core.compile_model(traced, "CPU", settings)
        calls[f"openvino_{bits}"] = lambda ids, compiled=compiled: compiled(ids.numpy())[0]
    return calls


def tokens_per_second(call: Callable[[torch.Tensor], Any], ids: torch.Tensor, seconds: float) -> float:
    for _ in range(2):
        call(ids)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        call(ids)
        best = min(best, time.perf_counter() - started)
    return ids.numel() / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--seconds", type=float, default=4.0, help="time for each way and shape; the best run counts")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/cpu_paths.json"))
    args = parser.parse_args()

    torch.set_grad_enabled(False)
    plain = load(args.model, torch.float32)
    calls: Dict[str, Callable[[torch.Tensor], Any]] = {
        "torch_float32": plain,
        "torch_bfloat16": load(args.model, torch.bfloat16),
        **by_openvino(plain, torch.get_num_threads()),
    }
    generator = torch.Generator().manual_seed(0)
    for rows, length in SHAPES:
        ids = torch.randint(5, 40_000, (rows, length), generator=generator)
        speeds = {
            f"{name}_tokens_per_second": tokens_per_second(call, ids, args.seconds) for name, call in calls.items()
        }
        merge(args.output, "The language model on a CPU", {f"{rows} rows of {length} tokens": speeds})
        print(f"{rows} x {length}", {name: round(value) for name, value in speeds.items()}, flush=True)


if __name__ == "__main__":
    main()
