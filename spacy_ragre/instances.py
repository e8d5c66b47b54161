"""A text with no, one or two mentions and what holds of them, as plain data."""

from dataclasses import dataclass, field, replace
from typing import FrozenSet, NamedTuple, Optional, Tuple


class Answer(NamedTuple):
    """One relation of a pair that is read in the order of the text.

    label (str): the relation's label.
    reversed (bool): True where the second mention is the head.
    """

    label: str
    reversed: bool = False

    def swapped(self) -> "Answer":
        """RETURNS (Answer): the same relation, read in the other order."""
        return Answer(self.label, not self.reversed)


@dataclass(frozen=True)
class Instance:
    """Two mentions in a piece of text, in the order of the text: what a prompt asks about and what a store keeps.

    text (str): the text to read.
    first (Tuple[int, int]): character offsets of the mention that starts first, end exclusive.
    second (Tuple[int, int]): character offsets of the other mention. It may overlap or contain the first.
    first_type (str): entity type of the first mention, or "".
    second_type (str): entity type of the second mention, or "".
    answers (Optional[Tuple[Answer, ...]]): the pair's relations; empty for none, None where they are not known.
    id (str): the document that it comes from, or "".
    response (str): the answer in words, for tasks whose answer is a text; "" for none.
    annotated (Optional[FrozenSet[str]]): the labels that its document was annotated for; None for all. Whether it holds
        another one, which it has not among its answers, is not known.
    weight (float): how much it counts in training, from 0 to 1. It makes no other pair of it, and stores of examples
        don't keep it.
    """

    text: str
    first: Tuple[int, int]
    second: Tuple[int, int]
    first_type: str = ""
    second_type: str = ""
    answers: Optional[Tuple[Answer, ...]] = None
    id: str = ""
    response: str = ""
    annotated: Optional[FrozenSet[str]] = None
    weight: float = field(default=1.0, compare=False)

    @property
    def first_text(self) -> str:
        return self.text[slice(*self.first)]

    @property
    def second_text(self) -> str:
        return self.text[slice(*self.second)]

    def swapped(self) -> "Instance":
        """RETURNS (Instance): the same pair, asked about in the other order."""
        answers = None if self.answers is None else tuple(answer.swapped() for answer in self.answers)
        return replace(
            self,
            first=self.second,
            second=self.first,
            first_type=self.second_type,
            second_type=self.first_type,
            answers=answers,
        )
