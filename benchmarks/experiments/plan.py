"""What a study is: a question, and a grid of runs that answers it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple, Sequence, Union

from sklearn.model_selection import ParameterGrid

# What is the same for all runs of a row of the table but the seed is one run's settings.
Value = Union[str, int]
Run = Mapping[str, Value]


class Measured(NamedTuple):
    """What a run gives.

    name (str), description (str), split (str): the row of the table that it belongs to.
    scores (Mapping[str, float]): scores by name, from 0 to 1.
    costs (Mapping[str, float]): times and memory by name, of this machine.
    """

    name: str
    description: str
    split: str
    scores: Mapping[str, float]
    costs: Mapping[str, float]


@dataclass(frozen=True)
class Budget:
    """How much is trained and measured.

    test (int): test sentences, a seeded subset; 0 for all.
    dev (int): development sentences that a pipeline is calibrated on.
    slow (int): test sentences, and texts of other corpora, of runs that take long.
    timed (int): sentences that times are of.
    model_steps (int): steps of the language model, of about ten sentences.
    reader_steps (Mapping[int, int]): steps of the reader of open labels by the number of training sentences.
    backbone (str): the language model.
    """

    test: int = 0
    dev: int = 400
    slow: int = 400
    timed: int = 100
    model_steps: int = 80
    reader_steps: Mapping[int, int] = field(default_factory=lambda: {72: 60, 360: 150, 720: 240})
    backbone: str = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Place:
    """Where runs find their data and keep what they train.

    data (Path): folder of the corpora, as RAGRE_ASSETS.
    work (Path): folder for trained pipelines, which other runs may use, too.
    budget (Budget): how much is trained and measured.
    """

    data: Path
    work: Path
    budget: Budget = Budget()


@dataclass(frozen=True)
class Study:
    """A grid of runs.

    title (str): of its page.
    grid (Sequence[Mapping[str, Sequence[Value]]]): as `sklearn.model_selection.ParameterGrid` takes it: every
        combination of each mapping. Each has a `seed`.
    measure (Callable[[Run, Place], Measured]): makes one run.
    minutes (float): what all of it takes of one core, about.
    """

    title: str
    grid: Sequence[Mapping[str, Sequence[Value]]]
    measure: Callable[[Run, Place], Measured]
    minutes: float

    def runs(self) -> Dict[str, Run]:
        """RETURNS (Dict[str, Run]): the runs by their names, those of the first seed before those of the next."""
        found: List[Run] = sorted(ParameterGrid(list(self.grid)), key=lambda run: run["seed"])
        return {run_name(run): run for run in found}


def run_name(run: Run) -> str:
    """RETURNS (str): what a run is called, as its file is: its settings, the seed last."""
    values = [run[key] for key in sorted(run, key=lambda key: (key == "seed", key))]
    return "-".join(str(value).replace(" ", "_") for value in values)
