"""Relation-aware retrieval keys: the language model's own hidden state at the end of the query.

One forward pass gives both the answer and the key. Plain sentence similarity finds an example with the query's label
far less often than the state of a model that was tuned for the labels.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional, Sequence

from ..errors import Errors
from ..instances import Instance
from ..registry import registry

if TYPE_CHECKING:
    import numpy as np

States = Callable[[Sequence[Instance]], "np.ndarray"]


class BackboneEncoder:
    """An encoder that asks the component's language model for hidden states. It has no weights of its own.

    The component that owns the language model connects it with `bind`.
    """

    def __init__(self) -> None:
        self._states: Optional[States] = None
        self._fingerprint: Optional[Callable[[], str]] = None
        self._width: Optional[Callable[[], int]] = None

    def bind(self, states: States, fingerprint: Callable[[], str], width: Callable[[], int]) -> None:
        """Connect the language model.

        states (Callable): gives the hidden states of pairs, *Shape* (pairs, width).
        fingerprint (Callable): gives a hash of the base model and its adapter.
        width (Callable): gives the width of a hidden state.
        """
        self._states, self._fingerprint, self._width = states, fingerprint, width

    @property
    def width(self) -> int:
        """RETURNS (int): width of a key."""
        if self._width is None:
            raise ValueError(Errors.R111)
        return self._width()

    @property
    def fingerprint(self) -> str:
        """RETURNS (str): hash of the base model and its adapter: keys of another state are of no use."""
        if self._fingerprint is None:
            raise ValueError(Errors.R111)
        return self._fingerprint()

    def encode_queries(self, instances: Sequence[Instance]) -> "np.ndarray":
        """instances (Sequence[Instance]): the pairs.
        RETURNS (numpy.ndarray): float32 keys of unit length, *Shape* (pairs, width).
        """
        if self._states is None:
            raise ValueError(Errors.R111)
        return normalize(self._states(instances))

    def encode_examples(self, instances: Sequence[Instance]) -> "np.ndarray":
        """The same as `encode_queries`: an example's key is made before its answer is read."""
        return self.encode_queries(instances)

    def to_disk(self, path: Path) -> None:
        """Does nothing: the weights are saved with the component."""

    def from_disk(self, path: Path) -> "BackboneEncoder":
        """Does nothing: the weights are loaded with the component."""
        return self


def normalize(states: "np.ndarray") -> "np.ndarray":
    """states (numpy.ndarray): *Shape* (pairs, width).
    RETURNS (numpy.ndarray): the same rows at unit length, so that their inner product is the cosine.
    """
    import numpy as np

    norms = np.linalg.norm(states, axis=1, keepdims=True)
    keys: np.ndarray = (states / np.maximum(norms, 1e-12)).astype("float32")
    return keys


@registry.ragre_encoders("ragre.BackboneEncoder.v1")
def create_backbone_encoder() -> BackboneEncoder:
    """Keys from the hidden state of the component's own language model."""
    return BackboneEncoder()
