"""Ways to compute predictions on a CPU, on the same batches: torch in 32 and in 16 bits, OpenVINO in 32 and in 8.

    python -m benchmarks.cpu_paths

The language model's packed passes, with an adapter; the sentence encoder; the encoder of the pair filter. Random text:
the time does not depend on it. What the ways cost in F1 is measured by benchmarks.semeval.
"""

import argparse
import random
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import spacy
import torch
from tqdm import tqdm

from spacy_ragre.components.pair_filter.encoders import HuggingFaceEncoder, PairInput
from spacy_ragre.instances import Instance
from spacy_ragre.llm import CausalLM
from spacy_ragre.llm.attention.packing import TokenPrompt
from spacy_ragre.llm.runtime.openvino import ENGINES
from spacy_ragre.retrieval import TextEncoder

from .results import merge

# Tokens of the instruction, of each document, and of each of its pairs; documents; pairs of each.
PROMPTS: Dict[str, Tuple[int, int, int, int, int]] = {
    "language model, 64 sentences of a pair each": (40, 0, 50, 64, 1),
    "language model, 2 documents of 200 pairs": (40, 250, 16, 2, 200),
}
WAYS: Dict[str, Dict[str, Any]] = {
    "torch_float32": {"dtype": "float32"},
    "torch_bfloat16": {"dtype": "bfloat16"},
    "openvino": {"dtype": "float32", "engine": "openvino"},
    "openvino_int8": {"dtype": "float32", "engine": "openvino-int8"},
}


def prompts(instruction: int, document: int, pair: int, documents: int, pairs: int) -> List[TokenPrompt]:
    rng = random.Random(0)

    def ids(count: int) -> Tuple[int, ...]:
        return tuple(rng.randrange(20, 40_000) for _ in range(count))

    first = ids(instruction)
    texts = [ids(document) for _ in range(documents)]
    return [TokenPrompt(first, text, ids(pair)) for text in texts for _ in range(pairs)]


def language_model(name: str, way: str) -> CausalLM:
    backbone = CausalLM(name, device="cpu", **WAYS[way])
    backbone.init_adapter()
    return backbone


def answer(backbone: CausalLM, asked: List[TokenPrompt]) -> None:
    for chunk in backbone.pack(asked):
        backbone.states(chunk)
        chunk.release()


def words(count: int, rng: random.Random) -> str:
    known = "the a river city of was born in company founded by and large small north player team war year".split()
    return " ".join(rng.choice(known) for _ in range(count))


def seconds(call: Callable[[], Any], least: float) -> float:
    """The best time of a call, repeated for some seconds after a first one that compiles what is to be compiled."""
    call()
    best, until = float("inf"), time.perf_counter() + least
    while time.perf_counter() < until:
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--encoder", default="all-MiniLM-L6-v2")
    parser.add_argument("--seconds", type=float, default=15.0, help="time for each way and task; the best run counts")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/cpu_paths.json"))
    args = parser.parse_args()

    torch.set_grad_enabled(False)
    rng = random.Random(0)
    found: Dict[str, Dict[str, float]] = {}

    def measure(task: str, way: str, unit: str, count: int, call: Callable[[], Any]) -> None:
        speeds = found.setdefault(task, {})
        speeds[f"{way}_{unit}_per_second"] = count / seconds(call, args.seconds)
        first = next(iter(speeds.values()))
        if len(speeds) > 1:
            speeds[f"{way}_ratio"] = speeds[f"{way}_{unit}_per_second"] / first
        merge(args.output, "Predictions on a CPU", {task: speeds})

    bar = tqdm(total=len(WAYS) * len(PROMPTS) + 2 * len(ENGINES))
    for way in WAYS:
        backbone = language_model(args.model, way)
        for task, shape in PROMPTS.items():
            asked = prompts(*shape)
            measure(task, way, "pairs", len(asked), partial(answer, backbone, asked))
            bar.update()
    texts = [words(rng.randrange(10, 40), rng) for _ in range(256)]
    instances = [Instance(text, (0, 1), (2, 3)) for text in texts]
    nlp = spacy.blank("en")
    docs = [nlp(words(200, rng)) for _ in range(8)]
    inputs = [PairInput(doc, [[(i, i + 1)] for i in range(0, 200, 10)], [""] * 20) for doc in docs]
    for engine in ENGINES:
        way = "torch_float32" if engine == "torch" else engine.replace("-", "_")
        text_encoder = TextEncoder(args.encoder, device="cpu", engine=engine)
        measure("sentence encoder", way, "texts", len(texts), partial(text_encoder.encode_queries, instances))
        bar.update()
        reader = HuggingFaceEncoder(args.encoder, device="cpu", engine=engine)
        measure("encoder of the pair filter", way, "documents", len(docs), partial(reader.read, inputs, training=False))
        bar.update()


if __name__ == "__main__":
    main()
