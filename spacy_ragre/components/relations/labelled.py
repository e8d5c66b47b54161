"""Labels and thresholds of an extractor: those of its settings, those that were saved, and others in their place."""

import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from spacy.tokens import Doc
from spacy.util import load_config
from spacy.vocab import Vocab
from thinc.api import Model

from ...calibration.settings import Calibration, read_thresholds
from ...errors import Errors, Warnings
from ...instances import Instance
from ...labels import LabelSet, label_table
from ...training.locks import keep_turn, keeps_turn, one_at_a_time
from ..base import Component, Scorer
from .annotations import RelationPrediction
from .decisions import MultiLabel
from .predictor import RelationPredictor

# Is told of each document what its pairs may hold.
Hear = Callable[[Doc, List[RelationPrediction]], None]
# Labels with their fields, as `LabelSet.to_dict` gives them.
Table = Dict[str, Dict[str, Any]]
# Where spaCy saves the settings of a pipeline's components.
CONFIG = "config.cfg"


class Labelled(Component):
    """A component with labels.

    predictor (RelationPredictor): scores the classes of pairs.
    threshold (Union[float, Dict[str, float]]): least probability of a relation, from 0 to 1, or that of each label.
    labels (Union[Mapping[str, Any], Sequence[Any]]): those of the settings. Where there are none, labels are taken from
        annotated documents.
    Other arguments are those of `Component`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[Any, Any],
        name: str,
        *,
        predictor: RelationPredictor,
        threshold: Union[float, Dict[str, float]],
        labels: Union[Mapping[str, Any], Sequence[Any]],
        spans_key: Optional[str],
        scorer: Optional[Scorer],
    ) -> None:
        super().__init__(vocab, model, name, scorer=scorer, spans_key=spans_key)
        self.predictor = predictor
        self._threshold = threshold
        self._open_labels = not labels
        self._configured: Table = LabelSet(label_table(labels)).to_dict()
        self._is_list = not isinstance(labels, Mapping)
        # While a pipeline is loaded: what its settings give in place of what was saved, and its folder.
        self._given_labels: Optional[Table] = None
        # Those of them that may be there because spaCy adds a table to the one in the file.
        self._unsure: Tuple[str, ...] = ()
        self._given_threshold = False
        self._folder: Optional[Path] = None
        self._hear: Optional[Hear] = None
        # Its own labels, while it is asked about others.
        self._own_labels: Optional[LabelSet] = None
        self._set_thresholds()

    # Thresholds

    def _set_thresholds(self) -> None:
        """Take those of the settings."""
        threshold, own = read_thresholds(self._threshold)
        self.predictor.calibration = replace(self.predictor.calibration, threshold=threshold, thresholds=own)
        self._check_thresholds()

    def _check_thresholds(self) -> None:
        """Raise a ValueError for thresholds of labels that are not there, once there are labels."""
        known = self.predictor.labels
        unknown = [label for label in self.predictor.calibration.thresholds if label not in known]
        if unknown and len(known):
            shown = ", ".join(map(repr, unknown))
            raise ValueError(Errors.R549.format(name=self.name, unknown=shown, known=", ".join(known)))

    # Labels

    @property
    def labels(self) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): the labels, in the order they were added."""
        return tuple(self._labels)

    @property
    def _labels(self) -> LabelSet:
        """RETURNS (LabelSet): the labels that this thread knows: others than its own only inside of its `asking`."""
        own = self._own_labels
        return self.predictor.labels if own is None or keeps_turn() else own

    @property
    def label_data(self) -> Dict[str, Dict[str, Any]]:
        """RETURNS (Dict[str, Dict[str, Any]]): the labels as `initialize` takes them."""
        return self._labels.to_dict()

    @one_at_a_time
    def add_label(self, label: str, text: Union[str, Dict[str, Any]] = "") -> int:
        """Add a label. In the documents of the examples that are there, nobody looked for it.

        label (str): the label.
        text (Union[str, Dict[str, Any]]): the words between head and tail, or a table; see the factory.
        RETURNS (int): 1 where it is new, else 0. Raises a ValueError once the label head is there.
        """
        if label in self.predictor.labels:
            return 0
        if self.predictor.shim.has_head:
            raise ValueError(Errors.R505.format(label=label, name=self.name))
        old = self.labels
        self.predictor.add_label(label, text)
        self._replace_examples(_of_labels(self.predictor.known_examples, old, self.predictor.labels))
        return 1

    def _replace_examples(self, examples: List[Instance]) -> None:
        predictor = self.predictor
        if examples != predictor.known_examples:
            # Their keys are made again.
            predictor.retriever.clear()
            predictor.pending = []
            predictor.add_examples(examples)

    @property
    def reads_any_label(self) -> bool:
        """RETURNS (bool): whether the way to answer takes labels that were not there when it was trained."""
        return self.predictor.mode in ("open", "trie", "generate")

    @property
    def least_score(self) -> float:
        """RETURNS (float): least probability of a relation of a label without a threshold of its own."""
        settings = self.predictor.settings
        several = isinstance(self.predictor.decision, MultiLabel)
        return settings.threshold or (settings.decision if several else 0.0)

    @contextmanager
    def asking(self, labels: Optional[LabelSet] = None, threshold: Optional[float] = None) -> Iterator[None]:
        """Answer for other labels, or with another threshold, inside of a `with` block. Nothing of it stays, and other
        threads wait until it ends, so that they never see it.

        labels (Optional[LabelSet]): the labels. What was calibrated, and the examples, are of the component's own, so
            that they count for those only. A ValueError is raised where it has learned its labels.
        threshold (Optional[float]): least probability of a relation, from 0 to 1, in place of all that is set.
        """
        with keep_turn():
            predictor = self.predictor
            own = labels is None or labels.to_dict() == self.label_data
            if not own and not self.reads_any_label:
                raise ValueError(Errors.R627.format(name=self.name, labels=", ".join(self.labels)))
            asked = predictor.labels if labels is None or own else labels
            calibration = predictor.calibration
            if not own:
                least, single = read_thresholds(self._threshold)
                single = {label: value for label, value in single.items() if label in asked}
                calibration = Calibration(threshold=least, thresholds=single)
            before = predictor.labels, predictor.calibration, predictor.uses_examples, predictor.limit
            outer = self._own_labels
            self._own_labels = predictor.labels if outer is None else outer
            predictor.labels, predictor.calibration, predictor.uses_examples = asked, calibration, own and before[2]
            predictor.limit = before[3] if threshold is None else threshold
            try:
                yield
            finally:
                predictor.labels, predictor.calibration, predictor.uses_examples, predictor.limit = before
                self._own_labels = outer

    @contextmanager
    def telling(self, hear: Hear) -> Iterator[None]:
        """Tell, inside of a `with` block, how all relations were scored that pairs may hold, likely enough or not, as
        curves of precision and recall need it.

        hear (Callable[[Doc, List[RelationPrediction]], None]): is called with each document and its relations: of each
            pair the likeliest one, or all where a pair may hold several. Those below 0.01 are left out.
        """
        with keep_turn():
            self._hear = hear
            try:
                yield
            finally:
                self._hear = None

    @one_at_a_time
    def freeze_labels(self) -> None:
        """Read the labels now, and save what was read with the component, so that a loaded pipeline reads no label.
        Scores stay the same. A label that is added or changed later is read when it is needed; freeze again to save it.

        Raises a ValueError where another way to answer than "open" is used, which reads no labels so.
        """
        if not len(self.predictor.labels):
            raise ValueError(Errors.R501.format(name=self.name))
        if self.predictor.mode != "open":
            raise ValueError(Errors.R562.format(name=self.name, mode=self.predictor.mode))
        self.predictor.open.freeze(self.predictor.labels)

    @one_at_a_time
    def set_labels(self, labels: Union[LabelSet, Mapping[str, Any], Sequence[Any]]) -> None:
        """Take other labels in place of those that are there. They are saved with the component.

        Labels of the same name stay: with their threshold of the settings, their frozen state where nothing changed in
        their words, and their examples. What belongs to other labels goes, and so does what was calibrated, which is of
        all labels together.

        labels (Union[LabelSet, Mapping[str, Any], Sequence[Any]]): the labels, at least one; see the factory. A
            ValueError is raised for others than those that a label head was made for, of which only words and types can
            change.
        """
        new = labels if isinstance(labels, LabelSet) else LabelSet(label_table(labels))
        if new.to_dict() == self.label_data:
            return
        if not len(new):
            raise ValueError(Errors.R661.format(name=self.name))
        predictor = self.predictor
        if predictor.shim.has_head:
            missing = [label for label in self.labels if label not in new]
            new = LabelSet({label: new.to_dict()[label] for label in (*self.labels, *new) if label in new})
            if new.classes != predictor.labels.classes:
                others = [label for label in new if label not in self.labels]
                raise ValueError(
                    Errors.R662.format(
                        name=self.name,
                        count=len(self.labels),
                        missing=", ".join(map(repr, missing)) or "none",
                        others=", ".join(map(repr, others)) or "none",
                    )
                )
            predictor.labels.replace(new.to_dict())
            return
        examples = _of_labels(predictor.known_examples, self.labels, new)
        least, single = read_thresholds(self._threshold)
        single = {label: value for label, value in single.items() if label in new}
        predictor.calibration = Calibration(threshold=least, thresholds=single)
        predictor.labels.replace(new.to_dict())
        self._open_labels = False
        predictor.open.keep_frozen(new)
        self._replace_examples(examples)

    # Serialisation

    def _settings(self) -> Dict[str, Any]:
        return {
            "labels": self.label_data,
            "configured": self._configured,
            "open_labels": self._open_labels,
            "trained": self.predictor.trained,
            "calibration": self.predictor.calibration.to_dict(),
            "threshold": self._threshold,
            # One that was trained answers by weights of its own.
            "reader": None if self.predictor.open.shim.tuned else self.predictor.open.checksum,
        }

    def _apply(self, settings: Dict[str, Any]) -> None:
        self.predictor.labels.replace(settings["labels"])
        self._open_labels = settings["open_labels"]
        if "reader" not in settings and self.predictor.answer == "auto":  # version 0.1.0 asked the language model
            self.predictor.open.weights = None
        elif not settings["trained"] and self.predictor.answer in ("auto", "open"):
            self.predictor.open.check(settings.get("reader"), self.name)
        self.predictor.trained = settings["trained"]
        self.predictor.calibration = Calibration.from_dict(settings["calibration"])
        self._check_thresholds()
        # Others that were given when the pipeline was loaded.
        self._given_labels, self._unsure = self._find_given(settings)
        self._given_threshold = settings.get("threshold", self._threshold) != self._threshold

    def _find_given(self, settings: Mapping[str, Any]) -> Tuple[Optional[Table], Tuple[str, ...]]:
        """RETURNS (Tuple[Optional[Table], Tuple[str, ...]]): labels that the settings of now give in place of the saved
        ones, None where they are those that the component was saved with; and those of them that may be there because
        the file has them.
        """
        now = self._configured
        file = None if self._folder is None else _labels_of_config(self._folder)
        if file is None or not now:
            return None, ()
        if file != now:
            # Given to spacy.load, which adds a table to the one in the file, and puts a list in its place.
            is_added = not self._is_list and file.keys() <= now.keys()
            return now, tuple(label for label, spec in now.items() if is_added and file.get(label) == spec)
        if "configured" in settings:
            return (None if settings["configured"] == now else now), ()
        # Version 0.1.0 saved no labels of the settings: these were among all that it had.
        known: Table = LabelSet(settings["labels"]).to_dict()
        return (None if all(known.get(label) == spec for label, spec in now.items()) else now), ()

    def _after_loading(self) -> None:
        # Once all is there, such as the head that labels must fit.
        if self._given_labels is not None:
            # A head needs all of its labels.
            left_out = () if self.predictor.shim.has_head else self._unsure
            if left_out:
                shown = ", ".join(map(repr, left_out))
                warnings.warn(Warnings.W163.format(name=self.name, labels=shown), stacklevel=4)
            self.set_labels({label: spec for label, spec in self._given_labels.items() if label not in left_out})
        if self._given_threshold:
            self._set_thresholds()
        self._given_labels, self._unsure, self._given_threshold = None, (), False

    @one_at_a_time
    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> "Labelled":
        """As in `Saved`. Labels that were given to `spacy.load`, or changed in the pipeline's config.cfg, come in place
        of the saved ones; see `set_labels`.
        """
        self._folder = Path(path)
        try:
            super().from_disk(path, exclude=exclude)
        finally:
            self._folder = None
        return self


def _labels_of_config(folder: Path) -> Optional[Table]:
    """folder (Path): a component's folder in that of a saved pipeline.
    RETURNS (Optional[Table]): the component's labels in the config beside it; None where none can be read.
    """
    file = folder.parent / CONFIG
    if not file.is_file():
        return None
    try:
        settings = load_config(file, interpolate=True)["components"][folder.name]
        return LabelSet(label_table(settings.get("labels", {}))).to_dict()
    except (ValueError, KeyError, TypeError, AttributeError):  # of another component, or damaged: spaCy says so
        return None


def _of_labels(examples: Sequence[Instance], old: Sequence[str], new: LabelSet) -> List[Instance]:
    """RETURNS (List[Instance]): examples as they are for other labels. Their documents were annotated for the labels
    that were there; those that tell nothing of a label that is left are left out.
    """
    result = []
    for instance in examples:
        looked_for = old if instance.annotated is None else instance.annotated
        annotated = frozenset(label for label in looked_for if label in new)
        answers = tuple(answer for answer in instance.answers or () if answer.label in new)
        if instance.answers is not None and (annotated or answers):
            result.append(replace(instance, answers=answers, annotated=annotated))
    return list(dict.fromkeys(result))
