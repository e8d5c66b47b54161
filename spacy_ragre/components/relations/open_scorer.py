"""The answer "open": labels that nobody trained on, read by an encoder that comes with the package.

The reader was trained once on many schemas. It reads a label as a statement with placeholders, once for all documents,
and a text once for all its pairs; see `open_reader`. A class's score is the log-odds that its label holds, calibrated
on schemas that the reader was not trained on.
"""

import hashlib
import json
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Union

from ...candidates import Candidate
from ...entity_types import FORBIDDEN, STRICT, TypeRules
from ...errors import Errors, Warnings
from ...files import file_hash
from ...instances import Answer, Instance
from ...labels import LabelSet
from ...llm.remote.backbone import Documents
from ..predictor import Pass
from .label_words import draw_labels, label_key, label_kind, open_labels
from .open_shim import OpenShim
from .open_states import LabelStates, Readings, pack_states, unpack_states

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .open_examples import Evidence
    from .open_labels import OpenLabel, OpenRelations, OpenText, PairReadings

WEIGHTS = Path(__file__).parents[2] / "weights"
# What the setting `weights` calls those that the package carries.
BUNDLED_WEIGHTS = "open"
READER = "open_reader"
# What finds entities: a recogniser, rules for phrases beside it, or `open_entities`.
FOUND, PHRASES, NAMED = "found", "phrases", "named"
# States of so many labels are kept beyond those that are asked about, for who asks about them again.
MOST_KEPT = 1024


class OpenScorer:
    """Scores pairs under open labels. Weights are loaded at first use; labels are read when they change.

    weights (Optional[str]): "open" for those of the package, a folder with others, or None for none.
    """

    def __init__(self, weights: Optional[str] = BUNDLED_WEIGHTS) -> None:
        self.weights = weights
        # Which types may stand for others. Where these are not strict, the reader is not told any.
        self.types: TypeRules = STRICT
        # What finds the entities; there are limits for each.
        self.entities = FOUND
        self._reader: Optional[OpenRelations] = None
        self._known: Dict[str, Any] = {}
        # Labels as they were last read, and the states of each by what was read of it.
        self._labels: List[OpenLabel] = []
        self._states: Optional[Tensor] = None
        self._read = ""
        self._kept: LabelStates = {}
        # What is saved: states of frozen labels, and what was read of examples.
        self.frozen: LabelStates = {}
        self.readings: Readings = {}
        # What examples tell, and for which labels and examples that was found.
        self._evidence: Optional[Evidence] = None
        self._told_by: Tuple[str, List[Instance]] = ("", [])
        self.shim = OpenShim()
        # The reader, and the version of its weights, that all of this is of; None before something was read.
        self._version: Optional[Tuple[OpenRelations, int]] = None
        self._told = False

    def __getstate__(self) -> Dict[str, Any]:
        # Another process loads the reader itself.
        parts = {"weights": self.weights, "types": self.types, "entities": self.entities, "shim": self.shim}
        return {**parts, "frozen": self.frozen, "readings": self.readings}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__init__(state["weights"])  # type: ignore[misc]
        self.types, self.entities, self.shim = state["types"], state["entities"], state["shim"]
        self.frozen, self.readings = state["frozen"], state["readings"]

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

    def decision(self, labels: LabelSet, across: bool = False) -> float:
        """RETURNS (float): a relation must be likelier than this, where nothing else was chosen.

        labels (LabelSet): the labels.
        across (bool): between mentions that stand in different sentences.
        """
        kind = label_kind(labels)
        limits = self.known["decision_across" if across and "decision_across" in self.known else "decision"]
        if self.types == STRICT:
            return float(limits[kind])
        # Of weights that know less: what they know of a recogniser counts for phrases, too; where they know of neither
        # across sentences, none is good enough.
        names = [f"{kind}_{self.entities}", *([] if self.entities == NAMED else [f"{kind}_{FOUND}"])]
        otherwise = 1.0 if across and self.entities != NAMED else limits[kind]
        return float(next((limits[name] for name in names if name in limits), otherwise))

    def rival_settings(self, labels: LabelSet) -> Optional[Dict[str, List[float]]]:
        """RETURNS (Optional[Dict[str, List[float]]]): how much rivals count; None where nothing was fitted."""
        settings: Optional[Dict[str, List[float]]] = self.known.get("rivals", {}).get(label_kind(labels))
        return settings

    def rivals(
        self, candidates: Sequence[Candidate], labels: LabelSet, documents: Documents
    ) -> "Union[float, np.ndarray]":
        """RETURNS (Union[float, numpy.ndarray]): what the log-odds of pairs gain by rivals that they lack, and lose by
        those that they have; see `rival_odds`.
        """
        settings = self.rival_settings(labels)
        if settings is None:
            return 0.0
        from .open_rivals import rival_odds

        return rival_odds(candidates, labels, self.types, documents, settings)

    @property
    def _folder(self) -> Path:
        return WEIGHTS if self.weights == BUNDLED_WEIGHTS else Path(str(self.weights))

    @property
    def reads_examples(self) -> bool:
        """RETURNS (bool): whether it is known of the weights how much examples count; not once they are trained."""
        return not self.shim.tuned and "examples" in self.known

    def scores(
        self,
        instances: Sequence[Instance],
        labels: LabelSet,
        examples: Sequence[Instance] = (),
        documents: Optional[Sequence[int]] = None,
    ) -> "np.ndarray":
        """Score every class of every pair.

        instances (Sequence[Instance]): the pairs.
        labels (LabelSet): the labels.
        examples (Sequence[Instance]): pairs with answers, of no effect on weights that were trained. Those of a pair's
            own text or document tell it nothing.
        documents (Optional[Sequence[int]]): the number of each pair's document; told by their ids where None.
        RETURNS (numpy.ndarray): float32, *Shape* (pairs, classes): log-odds that each holds; 0 for class 0.
        """
        if self._tells_types(labels):
            return self._class_scores(instances, labels, examples, documents)
        import numpy as np

        from .open_labels import NEVER

        untyped = [_untyped(instance) for instance in instances]
        scores = self._class_scores(untyped, labels, examples, documents)
        types = [(instance.first_type, instance.second_type) for instance in instances]
        known = {pair: labels.costs(*pair, self.types) for pair in set(types)}
        costs = np.array([known[pair] for pair in types], dtype="float32").reshape(scores.shape)
        return np.where(costs < FORBIDDEN, scores - costs, np.float32(NEVER))

    def _class_scores(
        self,
        instances: Sequence[Instance],
        labels: LabelSet,
        examples: Sequence[Instance],
        documents: Optional[Sequence[int]],
    ) -> "np.ndarray":
        import numpy as np

        from .open_labels import by_text, group_pairs

        evidence = self._weigh(labels, list(examples))
        typed = any(i.first_type or i.second_type for i in instances)
        texts, places = group_pairs(instances, documents)
        pairs, odds = self.odds(texts, labels, types=typed)
        if evidence is not None:
            ids: List[Set[str]] = [set() for _ in texts]
            for instance, (text, _, _) in zip(instances, places):
                ids[text].update([instance.id] if instance.id else [])
            odds += evidence.added(pairs.vectors, texts, ids)
        found = by_text(odds, texts, self._labels, types=typed)
        scores = np.empty((len(instances), len(labels.classes)), dtype="float32")
        scores[:, 0] = 0.0
        column = {name: number for number, name in enumerate(labels)}
        # Classes and columns of both directions, once for all pairs.
        answers = [(i, column[answer.label], answer.reversed) for i, answer in enumerate(labels.classes) if answer]
        ways = [[(i, c) for i, c, reverse in answers if reverse == way] for way in (False, True)]
        (ahead, ahead_columns), (back, back_columns) = (np.array(way, dtype=int).reshape(-1, 2).T for way in ways)
        for row, (text, forward, backward) in enumerate(places):
            scores[row, ahead] = found[text][forward, ahead_columns]
            scores[row, back] = found[text][backward, back_columns]
        return scores

    def _tells_types(self, labels: LabelSet) -> bool:
        """RETURNS (bool): whether the reader is told entity types: not where others may stand for those of the labels,
        but where no label has any, and what finds the entities tells them apart well.
        """
        return self.types == STRICT or (self.entities == NAMED and label_kind(labels) == "no_types")

    def odds(
        self, texts: "Sequence[OpenText]", labels: LabelSet, *, types: bool = True
    ) -> "Tuple[PairReadings, np.ndarray]":
        """Read texts, and match their pairs with labels.

        texts (Sequence[OpenText]): the texts.
        labels (LabelSet): the labels.
        types (bool): tell the reader the entities' types.
        RETURNS (Tuple[PairReadings, np.ndarray]): what was read of all pairs, P of them, and calibrated log-odds,
            whatever types and symmetry say, NaN for pairs that could not be read. *Shape:* (P, L)
        """
        pairs = self.reader.read_pairs(texts, types=types)
        return pairs, self._match(pairs, labels)

    def freeze(self, labels: LabelSet) -> None:
        """Read labels, and keep their states with what is saved.

        labels (LabelSet): the labels.
        """
        self._read_labels(self.reader, labels)
        self.frozen = {key: self._kept[key] for key in map(label_key, self._labels)}

    def keep_frozen(self, labels: LabelSet) -> None:
        """Drop the frozen states of all but some labels.

        labels (LabelSet): the labels. One with other words than those that were frozen is dropped, too.
        """
        keys = set(map(label_key, open_labels(labels)))
        self.frozen = {key: state for key, state in self.frozen.items() if key in keys}

    def keep_read(self) -> None:
        """Go on with frozen labels and what was read of examples where the weights are the same in fewer bits, as a
        pipeline does that is loaded with them.
        """
        frozen, readings = self.frozen, self.readings
        self._forget()
        self.frozen, self.readings = frozen, readings

    def read_examples(self, labels: LabelSet, examples: Sequence[Instance]) -> None:
        """Read what was not read of examples, so that it is saved, and drop what belongs to others.

        labels (LabelSet): the labels.
        examples (Sequence[Instance]): pairs with answers.
        """
        if examples and self.reads_examples:
            self._weigh(labels, list(examples))
        else:
            self.readings = {}

    # Training

    def start(self) -> None:
        """Make weights that are to be trained, of those that come as a file, in place of any that were trained."""
        self.shim.from_bytes(b"")
        self.shim.start(self.reader, self.checksum)
        self._reader = None

    def stop(self) -> None:
        """Drop weights that were trained, and what they read: those that come as a file answer again."""
        if self.shim.tuned:
            self.shim.from_bytes(b"")
            self._forget()

    def begin_update(self, instances: Sequence[Instance], labels: LabelSet, dropout: float) -> Iterator[Pass]:
        """Score pairs, with gradients. See `OpenRelations.learn`.

        instances (Sequence[Instance]): pairs with answers.
        labels (LabelSet): the labels.
        dropout (float): from 0 to less than 1.
        YIELDS (Pass): some of the pairs. Those that no window holds are in none.
        """
        import numpy as np
        import torch

        from .open_labels import group_pairs

        self._forget()
        names = draw_labels(instances, labels)
        read = open_labels(labels, names)
        column = {name: number for number, name in enumerate(names)}
        # In a row of all scores, 0 comes first, then those of the pair as it stands, then those of the pair reversed.
        places = np.zeros(len(labels.classes), dtype=int)
        for number, answer in enumerate(labels.classes):
            if answer is not None and answer.label in column:
                places[number] = 1 + column[answer.label] + len(names) * answer.reversed
        drawn = places > 0
        symmetric = torch.tensor([label.symmetric for label in read])
        near = not self._tells_types(labels)
        texts, rows_of = group_pairs([_untyped(instance) for instance in instances] if near else instances)
        reached: Set[int] = set()
        for scores, owners in self.shim.begin_update(dropout).learn(texts, read):
            scores = scores.cpu()  # a reader of other models may be on a GPU
            row_of = {owner: row for row, owner in enumerate(owners)}
            chosen = [i for i, (text, ahead, _) in enumerate(rows_of) if (text, ahead) in row_of]
            ahead, back = (
                scores[torch.tensor([row_of[rows_of[i][0], rows_of[i][way]] for i in chosen])] for way in (1, 2)
            )
            ahead = torch.where(symmetric, (ahead + back) / 2, ahead)
            logits = torch.cat([ahead.new_zeros(len(chosen), 1), ahead, back], dim=1)[:, places]
            types = [(instances[i].first_type, instances[i].second_type) for i in chosen]
            costs = np.array([labels.costs(*both, self.types) for both in types], dtype="float32")
            known = (costs < FORBIDDEN) & drawn
            logits = logits - torch.from_numpy(np.where(known, costs, np.float32(0)))
            for row, i in enumerate(chosen):
                # An answer that the types of its label don't allow is one all the same.
                known[row, [0, *map(labels.index, instances[i].answers or ())]] = True
            yield Pass(chosen, logits.detach().numpy(), known, partial(_backward, logits))
            reached.update(chosen)
        far = sum(bool(instance.answers) for i, instance in enumerate(instances) if i not in reached)
        if far and not self._told:
            self._told = True
            warnings.warn(Warnings.W165.format(count=far), stacklevel=4)

    # Serialisation

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): states of frozen labels and what was read of examples; empty where there is nothing."""
        return pack_states(self._fingerprint(), self.frozen, self.readings) if self.frozen or self.readings else b""

    def from_bytes(self, data: bytes, file: str, name: str) -> None:
        """Take what `to_bytes` gave. What other weights read is dropped, with a warning where labels were frozen.

        data (bytes): the message. Where it is damaged, a ValueError is raised.
        file (str): where it comes from.
        name (str): the component's name.
        """
        self._forget()
        fingerprint, frozen, readings = unpack_states(data, file)
        if data and fingerprint == self._fingerprint():
            self.frozen, self.readings = frozen, readings
        elif frozen and self.weights is not None:
            warnings.warn(Warnings.W162.format(name=name, weights=self.weights), stacklevel=2)

    def _fingerprint(self) -> str:
        """RETURNS (str): SHA-256 of the weights that read, be they trained or as they came; empty without any."""
        return hashlib.sha256(self.shim.to_bytes()).hexdigest() if self.shim.tuned else self.checksum or ""

    def _forget(self) -> None:
        """Drop all that was read, which is of other weights."""
        self._version = self._states = self._evidence = None
        self._kept, self.frozen, self.readings = {}, {}, {}

    # Reading

    @property
    def reader(self) -> "OpenRelations":
        """RETURNS (OpenRelations): the reader, loaded at first use."""
        if self.shim.tuned:
            reader = self.shim.restore()
            reader.model.eval()
            return reader
        if self._reader is None:
            from .open_labels import OpenRelations

            weights = self._folder / f"{READER}.safetensors"
            if not weights.exists():
                raise ValueError(Errors.R560.format(folder=self._folder, file=weights.name))
            if file_hash(weights) != self.known["sha256"]:
                raise ValueError(Errors.R120.format(file=weights))
            self._reader = OpenRelations.load(weights)
        return self._reader

    @reader.setter
    def reader(self, reader: "OpenRelations") -> None:
        self._reader = reader

    def _read_labels(self, reader: "OpenRelations", labels: LabelSet) -> "Tensor":
        import numpy as np
        import torch

        # Each step of training, and averages of weights that are put in their place, make another version.
        version = reader, sum(value._version for value in reader.model.parameters())
        if self._version is not None and version != self._version:
            self._forget()
        self._version = version
        read = json.dumps(labels.to_dict())
        if self._states is None or read != self._read:
            self._labels = open_labels(labels)
            keys = [label_key(label) for label in self._labels]
            kept = {**self._kept, **self.frozen}
            # Only what changed is read.
            missing = {key: label for key, label in zip(keys, self._labels) if key not in kept}
            if missing:
                from .open_tokens import MAX_LABEL_TOKENS

                cut = [label.name for label in missing.values() if reader.is_cut(label)]
                if cut:
                    warnings.warn(Warnings.W166.format(labels=", ".join(cut), limit=MAX_LABEL_TOKENS), stacklevel=6)
                kept.update(zip(missing, reader.read_labels(list(missing.values())).numpy(), strict=True))
            others = [key for key in self._kept if key not in keys][-MOST_KEPT:]
            self._kept = {key: kept[key] for key in (*others, *keys)}
            self._states = torch.from_numpy(np.stack([kept[key] for key in keys]))
            self._read = read
        return self._states

    def _match(self, pairs: "PairReadings", labels: LabelSet) -> "np.ndarray":
        import numpy as np

        reader = self.reader
        # What was fitted for the weights as they came is not true of what they were trained to.
        known: Dict[str, Any] = {} if self.shim.tuned else self.known
        fitted = known["calibration"][label_kind(labels)] if known else {}
        scores = reader.match(pairs, self._read_labels(reader, labels), unlikely=known.get("unlikely"))
        # A pair that could not be read has a vector of zeros, and no score.
        if np.isnan(scores[pairs.vectors.any(axis=1)]).any():
            raise ValueError(Errors.R504.format(model=READER))
        odds: np.ndarray = fitted.get("slope", 1.0) * scores + fitted.get("offset", 0.0)
        return odds

    def _weigh(self, labels: LabelSet, examples: List[Instance]) -> "Optional[Evidence]":
        """What examples tell, found again where labels or examples changed."""
        if not examples or not self.reads_examples:
            return None
        told = json.dumps([labels.to_dict(), sorted(self.types.given or ()), self._tells_types(labels)]), examples
        if self._evidence is None or told != self._told_by:
            import numpy as np

            from .open_examples import ExampleSettings, first_rows, read_examples, weigh
            from .open_labels import by_text, group_pairs
            from .open_rivals import rivals_of_rows

            near = not self._tells_types(labels)
            texts, places = group_pairs([_untyped(example) for example in examples] if near else examples)
            pairs, self.readings = read_examples(self.reader.read_pairs, texts, self.readings)
            odds = np.concatenate(by_text(self._match(pairs, labels), texts, open_labels(labels)))
            if near:
                odds = self._less_costs(odds, examples, places, first_rows(texts), labels)
            rivals = self.rival_settings(labels)
            if rivals is not None:
                odds = odds + rivals_of_rows(examples, places, texts, labels, self.types, rivals)
            settings = ExampleSettings.of(self.known["examples"], label_kind(labels))
            self._evidence = weigh(examples, places, first_rows(texts), pairs, odds, labels, settings)
            self._told_by = told
        return self._evidence

    def _less_costs(
        self,
        odds: "np.ndarray",
        examples: Sequence[Instance],
        places: Sequence[Tuple[int, int, int]],
        firsts: Sequence[int],
        labels: LabelSet,
    ) -> "np.ndarray":
        """RETURNS (np.ndarray): the examples' log-odds as those of pairs that are asked about: without what types that
        are near cost, and `NEVER` where none may stand. *Shape:* (P, L)
        """
        import numpy as np

        from .open_labels import NEVER

        costs = np.zeros_like(odds)
        for example, (text, ahead, back) in zip(examples, places):
            known = labels.costs(example.first_type, example.second_type, self.types)
            for row, reverse in ((firsts[text] + ahead, False), (firsts[text] + back, True)):
                costs[row] = [known[labels.index(Answer(label, reverse))] for label in labels]
        return np.where(costs < FORBIDDEN, odds - costs, np.float32(NEVER))


def _untyped(instance: Instance) -> Instance:
    """RETURNS (Instance): a pair of which the reader is told no entity types, since those that are found are too often
    wrong.
    """
    return replace(instance, first_type="", second_type="")


def _backward(logits: "Tensor", gradient: "np.ndarray") -> None:
    import torch

    logits.backward(torch.as_tensor(gradient, dtype=logits.dtype))
