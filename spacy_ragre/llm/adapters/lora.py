"""Settings of low-rank adapters."""

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple, Union

from ...errors import Errors


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
            raise ValueError(Errors.R110.format(problem=f"unknown keys {sorted(unknown)}"))
        if isinstance(config.get("target_modules"), list):
            config["target_modules"] = tuple(config["target_modules"])
        settings = cls(**config)
        if settings.rank < 1 or not 0 <= settings.dropout < 1:
            raise ValueError(Errors.R110.format(problem=f"rank={settings.rank}, dropout={settings.dropout}"))
        return settings
