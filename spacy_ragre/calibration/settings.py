"""How scores become probabilities and answers, as plain data."""

from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Tuple


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities. All is chosen on a development set.

    temperature (float): divides the model's scores before the softmax (Guo et al. 2017, arXiv 1706.04599).
    neighbours (int): number of neighbours whose answers are mixed in.
    weight (float): their weight, from 0 (the model alone) to 1 (Khandelwal et al. 2020, arXiv 1911.00172).
    neighbour_temperature (float): divides the neighbours' similarities before their softmax.
    threshold (float): least probability of a relation.
    prior (Tuple[float, ...]): what is taken off each class's score first: its mean over many pairs, so that what a
        model finds likely anyhow gets no advantage (batch calibration, Zhou et al. 2023, arXiv 2309.17249). Empty for
        none.
    proposal (float): weight of the log-odds that a filter gave a pair, where a pair may hold several relations.
    bias (float): added to the scores of all relations, where a pair may hold several.
    decision (float): a relation must be likelier than this, where a pair may hold several.
    """

    temperature: float = 1.0
    neighbours: int = 8
    weight: float = 0.0
    neighbour_temperature: float = 0.1
    threshold: float = 0.0
    prior: Tuple[float, ...] = ()
    proposal: float = 0.0
    bias: float = 0.0
    decision: float = 0.5

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """RETURNS (Calibration): from what `to_dict` gave."""
        return cls(**{**values, "prior": tuple(values.get("prior", ()))})

    def to_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): the settings as plain data."""
        return {**asdict(self), "prior": list(self.prior)}
