"""Which relations come into a graph, and what is done where they contradict each other."""

from numbers import Real
from typing import Collection, Dict, FrozenSet, Mapping, NamedTuple, Tuple

from ..errors import Errors
from ..plain import plain_int


class Settings(NamedTuple):
    """Checked settings of a graph; see `make_settings`."""

    functional: FrozenSet[str]
    inverse: Dict[str, str]
    symmetric: FrozenSet[str]
    min_score: float
    min_count: int
    isolated: bool

    def turn(self, label: str, head: str, tail: str) -> Tuple[str, bool]:
        """A relation in the one form that it has in the graph.

        label (str), head (str), tail (str): the relation, by the ids of its nodes.
        RETURNS (Tuple[str, bool]): its label there, and whether head and tail change places.
        """
        if label in self.inverse:
            return self.inverse[label], True
        return label, label in self.symmetric and tail < head


def make_settings(
    functional: Collection[str],
    inverse: Mapping[str, str],
    symmetric: Collection[str],
    min_score: float,
    min_count: int,
    isolated: bool,
) -> Settings:
    """RETURNS (Settings): the settings of `build`, checked. A ValueError is raised for one that is not valid."""
    for name, labels in (("functional", functional), ("symmetric", symmetric)):
        if isinstance(labels, (str, bytes)) or not all(isinstance(label, str) and label for label in labels):
            raise _wrong(name, labels, "a list of labels")
    if not isinstance(inverse, Mapping) or not all(
        isinstance(label, str) and label for pair in inverse.items() for label in pair
    ):
        raise _wrong("inverse", inverse, "a table of labels with the labels that take their place")
    for label, kept in inverse.items():
        if kept in inverse:
            raise _wrong("inverse", dict(inverse), f"a label that stays as it is in place of {label!r}")
        if label in symmetric or kept in symmetric:
            raise _wrong("inverse", dict(inverse), "a pair of labels none of which is symmetric")
        if label in functional:
            raise _wrong("functional", functional, f"{kept!r}, which takes the place of {label!r},")
    if isinstance(min_score, bool) or not isinstance(min_score, Real) or not 0 <= min_score <= 1:
        raise _wrong("min_score", min_score, "a number from 0 to 1")
    count = plain_int(min_count)
    if count is None or count < 1:
        raise _wrong("min_count", min_count, "a whole number of at least 1")
    return Settings(frozenset(functional), dict(inverse), frozenset(symmetric), float(min_score), count, bool(isolated))


def _wrong(setting: str, value: object, expected: str) -> ValueError:
    return ValueError(Errors.R617.format(setting=setting, value=value, expected=expected))
