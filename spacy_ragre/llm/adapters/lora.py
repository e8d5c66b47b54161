"""Low-rank adapters: their settings, and how a model gets one."""

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Tuple, Union

from ...errors import Errors
from ..runtime.quiet import quiet

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers.modeling_utils import PreTrainedModel

_QUANTIZER = "bitsandbytes"


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685).

    rank (int): width of the update.
    alpha (float): its scale is alpha / rank.
    dropout (float): on the update's input, from 0 to 1.
    target_modules (Union[str, Tuple[str, ...]]): names of the layers, or "all-linear".
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: Union[str, Tuple[str, ...]] = "all-linear"

    @classmethod
    def from_config(cls, config: Optional[Mapping[str, Any]]) -> "LoraSettings":
        """RETURNS (LoraSettings): the settings of a config block, checked."""
        config = dict(config or {})
        unknown = set(config) - set(cls.__dataclass_fields__)
        if unknown:
            raise ValueError(Errors.R110.format(problem=f"unknown keys {sorted(unknown, key=str)}"))
        if isinstance(config.get("target_modules"), list):
            config["target_modules"] = tuple(config["target_modules"])
        settings = cls(**config)
        right = {
            "rank": _is_number(settings.rank) and settings.rank >= 1 and settings.rank == int(settings.rank),
            "alpha": _is_number(settings.alpha) and settings.alpha > 0,
            "dropout": _is_number(settings.dropout) and 0 <= settings.dropout < 1,
            "target_modules": bool(settings.target_modules)
            and isinstance(settings.target_modules, (str, tuple))
            and all(isinstance(name, str) and name for name in settings.target_modules),
        }
        wrong = [f"{name}={getattr(settings, name)!r}" for name, fine in right.items() if not fine]
        if wrong:
            raise ValueError(Errors.R110.format(problem=", ".join(wrong)))
        return settings


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def add_lora(
    model: "PreTrainedModel", settings: LoraSettings, task_type: Optional[str] = None, quantized: bool = False
) -> "PeftModel":
    """Put LoRA layers into a model. They change nothing until they are trained.

    model (PreTrainedModel): the model.
    settings (LoraSettings): the settings. A ValueError is raised where the model has no layers of one of their names.
    task_type (Optional[str]): peft's name of what the model is for.
    quantized (bool): whether the model's weights are of bitsandbytes.
    RETURNS (PeftModel): the model with its adapter, in evaluation mode.
    """
    with quiet(_QUANTIZER), _without_quantizer(quantized):
        from peft import LoraConfig, get_peft_model

        modules = settings.target_modules
        _check_names(model, modules)
        config = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,  # type: ignore[arg-type]
            lora_dropout=settings.dropout,
            target_modules=modules if isinstance(modules, str) else list(modules),
            task_type=task_type,
        )
        try:
            # Peft's wrapper says that it is in training while what it wraps is not.
            return get_peft_model(model, config).eval()
        except ValueError as error:
            raise ValueError(Errors.R110.format(problem=error)) from error


def _check_names(model: "PreTrainedModel", names: Union[str, Tuple[str, ...]]) -> None:
    """Raise a ValueError for a name that no layer has. Peft leaves such a name out where another one fits."""
    if isinstance(names, str):  # "all-linear", or an expression
        return
    layers = [name for name, _ in model.named_modules()]
    unknown = [name for name in names if not any(f".{layer}".endswith(f".{name}") for layer in layers)]
    if unknown:
        # Weights of two dimensions are those of linear layers and embeddings, whatever their class.
        weights = [(n.split("."), p) for n, p in model.named_parameters() if n.endswith(".weight")]
        known = sorted({name[-2] for name, weight in weights if weight.dim() == 2})
        raise ValueError(
            Errors.R124.format(
                unknown=", ".join(map(repr, unknown)), model=model.name_or_path, known=", ".join(map(repr, known))
            )
        )


@contextmanager
def _without_quantizer(wanted: bool) -> Iterator[None]:
    """Keep peft from importing bitsandbytes, which takes seconds, for a model that is not quantised by it."""
    if wanted or _QUANTIZER in sys.modules:
        yield
        return
    sys.modules[_QUANTIZER] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_QUANTIZER]
        from peft.import_utils import is_bnb_4bit_available, is_bnb_available

        # What was found out while it was hidden is not so for the next model.
        is_bnb_available.cache_clear()
        is_bnb_4bit_available.cache_clear()
