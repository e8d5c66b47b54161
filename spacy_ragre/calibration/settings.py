"""How scores become probabilities and answers, as plain data."""

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Mapping, Tuple, Union

from ..errors import Errors

# In a table of thresholds, what labels without one of their own have.
OTHERS = "*"


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities. All is chosen on a development set.

    temperature (float): divides the model's scores before the softmax (Guo et al. 2017, arXiv 1706.04599).
    neighbours (int): number of neighbours whose answers are mixed in.
    weight (float): their weight, from 0 (the model alone) to 1 (Khandelwal et al. 2020, arXiv 1911.00172).
    neighbour_temperature (float): divides the neighbours' similarities before their softmax.
    threshold (float): least probability of a relation, as the user says it; 0 leaves it to what was chosen.
    prior (Tuple[float, ...]): what is taken off each class's score first: its mean over many pairs, so that what a
        model finds likely anyhow gets no advantage (batch calibration, Zhou et al. 2023, arXiv 2309.17249). Empty for
        none.
    proposal (float): weight of the log-odds that a filter gave a pair, where a pair may hold several relations.
    bias (float): added to the scores of all relations, where a pair may hold several.
    decision (float): a relation must be likelier than this, where a pair may hold several and the user does not say
        how likely its label must be.
    thresholds (Mapping[str, float]): least probability of labels for which the user gives one of their own.
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
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """RETURNS (Calibration): from what `to_dict` gave."""
        return cls(**{**values, "prior": tuple(values.get("prior", ()))})

    def plain(self) -> "Calibration":
        """RETURNS (Calibration): the same thresholds, and nothing that was chosen."""
        return Calibration(threshold=self.threshold, thresholds=self.thresholds)

    def to_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): the settings as plain data."""
        return {**asdict(self), "prior": list(self.prior)}


def read_thresholds(value: Union[float, Mapping[str, float]]) -> Tuple[float, Dict[str, float]]:
    """The thresholds of an extractor's settings. A ValueError is raised for what is no probability.

    value (Union[float, Mapping[str, float]]): one for all labels, or a table of labels; "*" names all others. Labels
        that a table does not name keep the limit that was chosen for them, by calibration or with the weights of open
        labels, as all do with 0 or "*": 0.
    RETURNS (Tuple[float, Dict[str, float]]): the threshold of all that have none of their own, and the others.
    """
    table = value if isinstance(value, Mapping) else {OTHERS: value}
    for label, number in table.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 1:
            setting = f"threshold of {label!r}" if isinstance(value, Mapping) else "threshold"
            raise ValueError(Errors.R540.format(setting=setting, value=number, expected="a number from 0 to 1"))
    own = {label: float(number) for label, number in table.items()}
    return own.pop(OTHERS, 0.0), own
