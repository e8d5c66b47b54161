"""Hugging Face encoders: where they are, and how they are loaded."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Tuple, Union

from ..bundled import BUNDLED, locate
from ..errors import Errors

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel


def locate_encoder(name: str) -> Union[str, Path]:
    """name (str): a local folder, the name of an embedded model or a hub id.
    RETURNS (Union[str, Path]): the folder, or the hub id as it was given. An OSError is raised where an embedded model
        is not installed.
    """
    if Path(name).is_dir():
        return Path(name)
    if name in BUNDLED:
        folder = locate(name)
        if folder is None:
            package = BUNDLED[name].package
            raise OSError(Errors.R201.format(name=name, reason=f"its package {package!r} is not installed"))
        return folder
    return name


def load_encoder(source: Union[str, Path], name: str, **options: Any) -> Tuple["PreTrainedModel", Any]:
    """Load an encoder.

    source (Union[str, Path]): a folder or a hub id.
    name (str): what it is called in the settings, for messages.
    **options (Any): passed to `from_pretrained` of the model.
    RETURNS (Tuple[PreTrainedModel, PreTrainedTokenizerBase]): the model in evaluation mode and float32, and the
        tokenizer. An OSError is raised where they can't be loaded.
    """
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source), trust_remote_code=False)
        model = AutoModel.from_pretrained(str(source), trust_remote_code=False, **options)
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise OSError(Errors.R201.format(name=name, reason=error)) from error
    return only_encoder(model, tokenizer)


def only_encoder(model: Any, tokenizer: Any) -> Tuple["PreTrainedModel", Any]:
    """Take of a model what reads.

    model (PreTrainedModel): the model.
    tokenizer (PreTrainedTokenizerBase): its tokenizer.
    RETURNS (Tuple[PreTrainedModel, PreTrainedTokenizerBase]): the encoder, in evaluation mode and float32, and the
        tokenizer, which can pad.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    # The pooler is not used, and checkpoints without one would get random weights for it.
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model.float().eval(), tokenizer
