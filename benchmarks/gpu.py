"""The whole table of performance on a GPU, in one call of at most nine minutes.

    python -m benchmarks.gpu                        # on the GPU that torch finds
    python -m benchmarks.gpu --device cpu --quick   # a test of this script, whose figures mean nothing

For language models of several sizes, in 16 bits and in 4 (nf4): pairs a second, packed and as separate prompts, and
how far their scores are apart; tokens a second of a step of training (LoRA, QLoRA); and the most memory. Then pairs a
second of the reader of open labels. Weights are random, of the shapes of known models: they cost the same as trained
ones, and nothing is needed but the tokenizer (`python -m spacy ragre download smollm2-135m-instruct`). Documents are
seeded ones of `corpora_src/openrel`, three paragraphs each, with all pairs of their gold entities.

Sizes come in order, the small ones first, and what the time does not reach is written as not measured. So is everything
where there is no GPU.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ragre.corpora.openrel import SourceText, component_labels, read_schema, source_files

from .packed_scoring import documents, equality, make_nlp, pairs, spread_adapter, timed, training
from .paragraphs import with_gold
from .results import merge, peak_memory
from .zero_shot_speed import OPENREL, make_pipeline, read_texts, seconds

OUTPUT = Path(__file__).parent / "results" / "gpu.json"
TITLE = "GPU: speed and memory"
# Layers, width, inner width, heads, heads of keys and values.
SHAPES: Dict[str, Tuple[int, int, int, int, int]] = {
    "tiny": (2, 64, 128, 4, 2),
    "SmolLM2-135M": (30, 576, 1536, 9, 3),
    "SmolLM2-1.7B": (24, 2048, 8192, 32, 32),
    "Mistral-7B": (32, 4096, 14336, 32, 8),
}
PARTS = ("packed", "training")
READER = "open_reader"
BITS: Tuple[Optional[str], ...] = (None, "nf4")
LABELS = 12


class Clock:
    """Says when the time is over.

    minutes (float): the time.
    """

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes
        self.longest = 0.0

    def has_time(self) -> bool:
        """RETURNS (bool): whether a measurement as long as the longest so far, twice over, would end in time."""
        return time.monotonic() + 2 * self.longest < self.end

    def measure(self, call: Any) -> Any:
        """RETURNS (Any): what a call gives, whose time is noted."""
        took, result = timed(call)
        self.longest = max(self.longest, took)
        return result


def parameters(shape: str) -> int:
    """RETURNS (int): about how many weights a language model has, embeddings left out."""
    layers, width, inner, heads, key_heads = SHAPES[shape]
    return layers * width * (2 * width + 2 * width * key_heads // heads + 3 * inner)


def write_model(shape: str, tokenizer: Any, folder: Path, device: str) -> Path:
    """Write a language model with random weights.

    shape (str): of `SHAPES`.
    tokenizer (PreTrainedTokenizerFast): its tokenizer.
    folder (Path): where to.
    device (str): where the weights are drawn, since that takes long on a CPU.
    RETURNS (Path): the folder.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    layers, width, inner, heads, key_heads = SHAPES[shape]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if device == "cpu" else torch.bfloat16)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def read_documents(nlp: Language, count: int) -> List[Doc]:
    """RETURNS (List[Doc]): documents of three paragraphs with their gold entities."""
    texts = read_texts(3 * count)
    return [Doc.from_docs([with_gold(nlp, text) for text in texts[3 * i : 3 * i + 3]]) for i in range(count)]


def read_labels() -> Dict[str, str]:
    """RETURNS (Dict[str, str]): the words of some labels, by name."""
    schema = read_schema(source_files(OPENREL)[0])
    return {name: name.replace("_", " ") for name in list(component_labels(schema))[:LABELS]}


class Size(NamedTuple):
    """How much is measured.

    documents (int): documents.
    pairs (int): most pairs of a document.
    sample (int): separate prompts of each document that are timed.
    paragraphs (int): paragraphs that the reader of open labels reads.
    """

    documents: int
    pairs: int
    sample: int
    paragraphs: int


WHOLE, QUICK = Size(12, 1000, 8, 100), Size(1, 6, 2, 1)


def measure_model(
    folder: Path, device: str, quantization: Optional[str], size: Size, clock: Clock
) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Measure one model.

    folder (Path): the model.
    device (str): torch's name of a device.
    quantization (Optional[str]): "nf4", or None.
    size (Size): how much.
    clock (Clock): the time.
    YIELDS (Tuple[str, Dict[str, Any]]): the figures of each of `PARTS` that there is time for.
    """
    if not clock.has_time():
        return
    dtype = "float32" if device == "cpu" else "bfloat16"
    nlp = make_nlp(read_labels(), True, dtype, name=str(folder), device=device, quantization=quantization)
    clock.measure(lambda: spread_adapter(nlp))  # loads the model
    asked = [own[: size.pairs] for own in pairs(nlp, read_documents(nlp, size.documents))]
    few = asked[: max(1, size.documents // 4)]
    calls = {
        "packed": lambda: {**documents(nlp, asked, size.sample), **equality(nlp, asked[:1])},
        "training": lambda: training(nlp, few, size.sample),
    }
    for part in PARTS:
        if clock.has_time():
            if device != "cpu":
                torch.cuda.reset_peak_memory_stats()
            figures: Dict[str, Any] = clock.measure(calls[part])
            about = {"dtype": dtype, "quantization": quantization or "none"}
            yield part, {**figures, "peak_mebibytes": peak_memory(), **about}


def measure_reader(count: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): pairs a second of the reader of open labels, and how many there were."""
    texts: Sequence[SourceText] = read_texts(count)
    nlp = make_pipeline(dict(read_labels()), "open")
    docs = [with_gold(nlp, text) for text in texts]
    component: Any = nlp.get_pipe("rag_relation_extractor")
    with nlp.select_pipes(disable=["rag_relation_extractor"]):
        total = sum(len(component._candidates(doc)) for doc in nlp.pipe([doc.copy() for doc in docs]))
    seconds(nlp, docs[:2])
    return {"paragraphs": count, "pairs": total, "pairs_per_second": total / seconds(nlp, docs)}


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="torch's name of a device")
    parser.add_argument("--quick", action="store_true", help="a tiny model and two documents")
    parser.add_argument("--minutes", type=float, default=8.5, help="the time for all of it")
    parser.add_argument("--tokenizer", default="smollm2-135m-instruct", help="a folder or an embedded model")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    args = parser.parse_args(argv)
    clock = Clock(args.minutes)
    shapes = ["tiny"] if args.quick else list(SHAPES)[1:]

    def report(name: str, values: Dict[str, Any]) -> None:
        merge(args.output, TITLE, {name: values})
        print(name, {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in values.items()}, flush=True)

    size = QUICK if args.quick else WHOLE
    missing = args.device.startswith("cuda") and not torch.cuda.is_available()
    expected = [_name(shape, quantization, part) for shape in shapes for quantization in BITS for part in PARTS]
    measured = set()
    for name, values in () if missing else measure(args.device, args.tokenizer, shapes, size, clock):
        measured.add(name)
        report(name, values)
    why = "no: torch finds no GPU" if missing else "no: the time was over"
    for name in [*expected, READER]:
        if name not in measured:
            report(name, {"measured": why})


def measure(
    device: str, tokenizer: str, shapes: Sequence[str], size: Size, clock: Clock
) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """YIELDS (Tuple[str, Dict[str, Any]]): all figures that there is time for, by the names of their measurements."""
    from spacy_ragre.llm import CausalLM

    pieces = CausalLM(tokenizer, device="cpu").tokenizer
    before = shapes[0]
    for shape in shapes:
        # What a larger model takes is likely more by as much as it is larger.
        clock.longest *= parameters(shape) / parameters(before)
        before = shape
        if not clock.has_time():
            break
        with tempfile.TemporaryDirectory() as scratch:
            folder = clock.measure(partial(write_model, shape, pieces, Path(scratch) / "model", device))
            for quantization in BITS:
                for part, values in measure_model(folder, device, quantization, size, clock):
                    yield _name(shape, quantization, part), values
                if device != "cpu":
                    torch.cuda.empty_cache()
    if clock.has_time():
        yield READER, measure_reader(size.paragraphs)


def _name(shape: str, quantization: Optional[str], part: str) -> str:
    return f"{shape}_{quantization or '16_bits'}_{part}"


if __name__ == "__main__":
    main()
