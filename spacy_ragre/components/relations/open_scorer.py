"""The answer "open": labels that nobody trained on, read by an encoder that comes with the package.

The reader was trained once on many schemas. It reads a label as a statement with placeholders, once for all documents,
and a text once for all its pairs; see `open_reader`. A class's score is the log-odds that its label holds, calibrated
on schemas that the reader was not trained on.
"""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from ...bundled import BUNDLED, locate
from ...errors import Errors, Warnings
from ...files import file_hash
from ...instances import Instance
from ...labels import LabelSet

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .open_labels import OpenLabel, OpenRelations

WEIGHTS = Path(__file__).parents[2] / "weights"
# What the setting `weights` calls those that the package carries.
BUNDLED_WEIGHTS = "open"
READER = "open_reader"
ENCODER = "all-MiniLM-L6-v2"


class OpenScorer:
    """Scores pairs under open labels. Weights are loaded at first use; labels are read when they change.

    weights (Optional[str]): "open" for those of the package, a folder with others, or None for none.
    """

    def __init__(self, weights: Optional[str] = BUNDLED_WEIGHTS) -> None:
        self.weights = weights
        self._reader: Optional[OpenRelations] = None
        self._known: Dict[str, Any] = {}
        self._labels: List[OpenLabel] = []
        self._states: Optional[Tensor] = None
        self._read = ""

    def __getstate__(self) -> Dict[str, Any]:
        # Another process loads the reader itself.
        return {"weights": self.weights}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__init__(state["weights"])  # type: ignore[misc]

    @property
    def known(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): what is known of the weights: checksum, calibration, data, scores."""
        if not self._known:
            file = self._folder / f"{READER}.json"
            if not file.exists():
                raise ValueError(Errors.R560.format(folder=self._folder, file=file.name))
            self._known = json.loads(file.read_text(encoding="utf8"))
        return self._known

    @property
    def checksum(self) -> Optional[str]:
        """RETURNS (Optional[str]): SHA-256 of the weights, None where there are none."""
        return None if self.weights is None else str(self.known["sha256"])

    def check(self, checksum: Optional[str], name: str) -> None:
        """Warn where a pipeline was saved with other weights.

        checksum (Optional[str]): of the weights that it was saved with.
        name (str): the component's name.
        """
        if checksum is not None and self.weights is not None and checksum != self.checksum:
            warnings.warn(Warnings.W160.format(name=name, weights=self.weights), stacklevel=3)

    def decision(self, labels: LabelSet) -> float:
        """RETURNS (float): a relation must be likelier than this, where nothing else was chosen."""
        return float(self.known["decision"][_kind(labels)])

    @property
    def _folder(self) -> Path:
        return WEIGHTS if self.weights == BUNDLED_WEIGHTS else Path(str(self.weights))

    def scores(self, instances: Sequence[Instance], labels: LabelSet) -> "np.ndarray":
        """Score every class of every pair.

        instances (Sequence[Instance]): the pairs.
        labels (LabelSet): the labels.
        RETURNS (numpy.ndarray): float32, *Shape* (pairs, classes): log-odds that each holds; 0 for class 0.
        """
        import numpy as np

        reader = self._load()
        states = self._read_labels(reader, labels)
        typed = any(i.first_type or i.second_type for i in instances)
        fitted = self.known["calibration"][_kind(labels)]
        slope, offset = fitted["slope"], fitted["offset"]
        scores = np.empty((len(instances), len(labels.classes)), dtype="float32")
        scores[:, 0] = 0.0
        column = {name: number for number, name in enumerate(labels)}
        # Classes and columns of both directions, once for all pairs.
        answers = [(i, column[answer.label], answer.reversed) for i, answer in enumerate(labels.classes) if answer]
        ways = [[(i, c) for i, c, reverse in answers if reverse == way] for way in (False, True)]
        (ahead, ahead_columns), (back, back_columns) = (np.array(way, dtype=int).reshape(-1, 2).T for way in ways)
        texts, places = _group(instances)
        found = reader.score(texts, self._labels, states, types=typed)
        for row, (text, forward, backward) in enumerate(places):
            scores[row, ahead] = slope * found[text][forward, ahead_columns] + offset
            scores[row, back] = slope * found[text][backward, back_columns] + offset
        return scores

    def _load(self) -> "OpenRelations":
        if self._reader is None:
            from .open_labels import OpenRelations

            encoder = locate(ENCODER)
            if encoder is None:
                raise ValueError(Errors.R102.format(name=ENCODER, package=BUNDLED[ENCODER].package))
            weights = self._folder / f"{READER}.safetensors"
            if not weights.exists():
                raise ValueError(Errors.R560.format(folder=self._folder, file=weights.name))
            if file_hash(weights) != self.known["sha256"]:
                raise ValueError(Errors.R120.format(file=weights))
            self._reader = OpenRelations.load(weights, encoder)
        return self._reader

    def _read_labels(self, reader: "OpenRelations", labels: LabelSet) -> "Tensor":
        from .open_labels import OpenLabel

        read = json.dumps(labels.to_dict())
        if self._states is None or read != self._read:
            self._labels = [
                OpenLabel(name, spec.texts, spec.definition, spec.head_types, spec.tail_types, spec.symmetric)
                for name, spec in labels.specs.items()
            ]
            self._states = reader.read_labels(self._labels)
            self._read = read
        return self._states


def _kind(labels: LabelSet) -> str:
    """RETURNS (str): which calibration fits: with entity types, a label is easier to tell."""
    typed = any(spec.head_types or spec.tail_types for spec in labels.specs.values())
    return "types" if typed else "no_types"


def _group(instances: Sequence[Instance]) -> Tuple[List[Any], List[Tuple[int, int, int]]]:
    """The texts of pairs, each once, and for every pair its text and the rows of its two directions there."""
    from .open_labels import OpenText

    numbers: Dict[str, int] = {}
    mentions: List[Dict[Tuple[int, int, str], int]] = []
    pairs: List[Dict[Tuple[int, int], int]] = []
    places = []
    for instance in instances:
        number = numbers.setdefault(instance.text, len(numbers))
        if number == len(mentions):
            mentions.append({})
            pairs.append({})
        own, asked = mentions[number], pairs[number]
        first = own.setdefault((*instance.first, instance.first_type), len(own))
        second = own.setdefault((*instance.second, instance.second_type), len(own))
        forward = asked.setdefault((first, second), len(asked))
        backward = asked.setdefault((second, first), len(asked))
        places.append((number, forward, backward))
    texts = [OpenText(text, tuple(mentions[n]), tuple(pairs[n])) for text, n in numbers.items()]
    return texts, places
