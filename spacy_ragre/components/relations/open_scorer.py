"""The answer "open": labels that nobody trained on, read by an encoder that comes with the package.

The reader was trained once on many schemas. It reads a label as a statement with placeholders, once for all documents,
and a text once for all its pairs; see `open_reader`. A class's score is the log-odds that its label holds; the score of
"no relation" is the threshold that was best on development schemas.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from ...bundled import BUNDLED, locate
from ...errors import Errors
from ...files import file_hash
from ...instances import Instance
from ...labels import LabelSet

if TYPE_CHECKING:
    import numpy as np

    from .open_labels import OpenLabel, OpenRelations

WEIGHTS = Path(__file__).parents[2] / "weights"
READER = "open_reader"
ENCODER = "all-MiniLM-L6-v2"


class OpenScorer:
    """Scores pairs under open labels. Weights are loaded at first use; labels are read when they change.

    folder (Path): holds the reader's weights and what is known of them.
    """

    def __init__(self, folder: Path = WEIGHTS) -> None:
        self.folder = folder
        self._reader: Optional[OpenRelations] = None
        self._known: Dict[str, Any] = {}
        self._labels: List[OpenLabel] = []
        self._states: Any = None
        self._read = ""

    def __getstate__(self) -> Dict[str, Any]:
        # Another process loads the reader itself.
        return {"folder": self.folder}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]

    def scores(self, instances: Sequence[Instance], labels: LabelSet) -> "np.ndarray":
        """Score every class of every pair.

        instances (Sequence[Instance]): the pairs.
        labels (LabelSet): the labels.
        RETURNS (numpy.ndarray): float32, *Shape* (pairs, classes): log-odds, and for class 0 the threshold.
        """
        import numpy as np

        reader = self._load()
        self._read_labels(reader, labels)
        typed = any(i.first_type or i.second_type for i in instances)
        scores = np.empty((len(instances), len(labels.classes)), dtype="float32")
        scores[:, 0] = self._known["thresholds"]["types" if typed else "no_types"]["argmax_best"]
        column = {name: number for number, name in enumerate(labels)}
        # Classes and columns of both directions, once for all pairs.
        answers = [(i, column[answer.label], answer.reversed) for i, answer in enumerate(labels.classes) if answer]
        ways = [[(i, c) for i, c, reverse in answers if reverse == way] for way in (False, True)]
        (ahead, ahead_columns), (back, back_columns) = (np.array(way, dtype=int).reshape(-1, 2).T for way in ways)
        texts, places = _group(instances)
        found = reader.score(texts, self._labels, self._states, types=typed)
        for row, (text, forward, backward) in enumerate(places):
            scores[row, ahead] = found[text][forward, ahead_columns]
            scores[row, back] = found[text][backward, back_columns]
        return scores

    def _load(self) -> "OpenRelations":
        if self._reader is None:
            from .open_labels import OpenRelations

            encoder = locate(ENCODER)
            if encoder is None:
                raise ValueError(Errors.R102.format(name=ENCODER, package=BUNDLED[ENCODER].package))
            weights = self.folder / f"{READER}.safetensors"
            self._known = json.loads((self.folder / f"{READER}.json").read_text(encoding="utf8"))
            if file_hash(weights) != self._known["sha256"]:
                raise ValueError(Errors.R120.format(file=weights))
            self._reader = OpenRelations.load(weights, encoder)
        return self._reader

    def _read_labels(self, reader: "OpenRelations", labels: LabelSet) -> None:
        from .open_labels import OpenLabel

        read = json.dumps(labels.to_dict())
        if read != self._read:
            self._labels = [
                OpenLabel(name, spec.texts, spec.definition, spec.head_types, spec.tail_types, spec.symmetric)
                for name, spec in labels.specs.items()
            ]
            self._states = reader.read_labels(self._labels)
            self._read = read


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
