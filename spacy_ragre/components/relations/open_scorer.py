"""The answer "open": labels that nobody trained on, read by an encoder that comes with the package.

The reader was trained once on many schemas. It reads a label as a statement with placeholders, once for all documents,
and a text once for all its pairs; see `open_reader`. A class's score is the log-odds that its label holds, calibrated
on schemas that the reader was not trained on.
"""

import json
import random
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from ...errors import Errors, Warnings
from ...files import file_hash
from ...instances import Instance
from ...labels import LabelSet
from ..predictor import Pass
from .open_shim import OpenShim, find_encoder

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .open_labels import OpenLabel, OpenRelations

WEIGHTS = Path(__file__).parents[2] / "weights"
# What the setting `weights` calls those that the package carries.
BUNDLED_WEIGHTS = "open"
READER = "open_reader"
# Labels that a step of training reads at most: those that hold, and others at random.
MOST_LABELS = 64


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
        self._read: Tuple[Any, ...] = ()
        self.shim = OpenShim()
        self._told = False

    def __getstate__(self) -> Dict[str, Any]:
        # Another process loads the reader itself.
        return {"weights": self.weights, "shim": self.shim}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__init__(state["weights"])  # type: ignore[misc]
        self.shim = state["shim"]

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
        """RETURNS (Optional[str]): SHA-256 of the weights that come as a file, None where there are none."""
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
        # What was fitted for the weights as they came is not true of what they were trained to.
        fitted = {} if self.shim.tuned else self.known["calibration"][_kind(labels)]
        slope, offset = fitted.get("slope", 1.0), fitted.get("offset", 0.0)
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

    # Training

    def start(self) -> None:
        """Make weights that are to be trained, of those that come as a file, in place of any that were trained."""
        self.shim.from_bytes(b"")
        self.shim.start(self._load(), self.checksum)
        self._reader = None

    def begin_update(self, instances: Sequence[Instance], labels: LabelSet, dropout: float) -> Iterator[Pass]:
        """Score pairs, with gradients. See `OpenRelations.learn`.

        instances (Sequence[Instance]): pairs with answers.
        labels (LabelSet): the labels.
        dropout (float): from 0 to less than 1.
        YIELDS (Pass): some of the pairs. Those that no window holds are in none.
        """
        import numpy as np
        import torch

        names = _draw(instances, labels)
        read = open_labels(labels, names)
        column = {name: number for number, name in enumerate(names)}
        # In a row of all scores, 0 comes first, then those of the pair as it stands, then those of the pair reversed.
        places = np.zeros(len(labels.classes), dtype=int)
        for number, answer in enumerate(labels.classes):
            if answer is not None and answer.label in column:
                places[number] = 1 + column[answer.label] + len(names) * answer.reversed
        drawn = places > 0
        symmetric = torch.tensor([label.symmetric for label in read])
        texts, rows_of = _group(instances)
        reached: Set[int] = set()
        for scores, owners in self.shim.begin_update(dropout).learn(texts, read):
            row_of = {owner: row for row, owner in enumerate(owners)}
            chosen = [i for i, (text, ahead, _) in enumerate(rows_of) if (text, ahead) in row_of]
            ahead, back = (
                scores[torch.tensor([row_of[rows_of[i][0], rows_of[i][way]] for i in chosen])] for way in (1, 2)
            )
            ahead = torch.where(symmetric, (ahead + back) / 2, ahead)
            logits = torch.cat([ahead.new_zeros(len(chosen), 1), ahead, back], dim=1)[:, places]
            types = [(instances[i].first_type, instances[i].second_type) for i in chosen]
            known = np.array([labels.allowed(*both) for both in types], dtype=bool) & drawn
            for row, i in enumerate(chosen):
                # An answer that the types of its label don't allow is one all the same.
                known[row, [0, *map(labels.index, instances[i].answers or ())]] = True
            yield Pass(chosen, logits.detach().numpy(), known, partial(_backward, logits))
            reached.update(chosen)
        far = sum(bool(instance.answers) for i, instance in enumerate(instances) if i not in reached)
        if far and not self._told:
            self._told = True
            warnings.warn(Warnings.W165.format(count=far), stacklevel=4)

    def _load(self) -> "OpenRelations":
        if self.shim.tuned:
            reader = self.shim.restore()
            reader.model.eval()
            return reader
        if self._reader is None:
            from .open_labels import OpenRelations

            encoder = find_encoder()
            weights = self._folder / f"{READER}.safetensors"
            if not weights.exists():
                raise ValueError(Errors.R560.format(folder=self._folder, file=weights.name))
            if file_hash(weights) != self.known["sha256"]:
                raise ValueError(Errors.R120.format(file=weights))
            self._reader = OpenRelations.load(weights, encoder)
        return self._reader

    def _read_labels(self, reader: "OpenRelations", labels: LabelSet) -> "Tensor":
        # Each step of training, and averages of weights that are put in their place, make another version.
        version = sum(value._version for value in reader.model.parameters())
        read = json.dumps(labels.to_dict()), reader, version
        if self._states is None or read != self._read:
            self._labels = open_labels(labels)
            self._states = reader.read_labels(self._labels)
            self._read = read
        return self._states


def open_labels(labels: LabelSet, names: Optional[Sequence[str]] = None) -> "List[OpenLabel]":
    """RETURNS (List[OpenLabel]): labels, or those of some names, as the reader takes them."""
    from .open_labels import OpenLabel

    specs = labels.specs
    return [
        OpenLabel(
            name,
            specs[name].texts,
            specs[name].definition,
            specs[name].head_types,
            specs[name].tail_types,
            specs[name].symmetric,
        )
        for name in names or specs
    ]


def _draw(instances: Sequence[Instance], labels: LabelSet) -> List[str]:
    """RETURNS (List[str]): the labels that a step reads, in their order."""
    gold = {answer.label for instance in instances for answer in instance.answers or ()}
    rest = [name for name in labels if name not in gold]
    drawn = gold.union(random.sample(rest, min(len(rest), max(0, MOST_LABELS - len(gold)))))
    return [name for name in labels if name in drawn]


def _backward(logits: "Tensor", gradient: "np.ndarray") -> None:
    import torch

    logits.backward(torch.as_tensor(gradient, dtype=logits.dtype))


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
