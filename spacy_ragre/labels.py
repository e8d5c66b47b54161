"""The labels that a pair may hold, with what is known of each."""

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from thinc.api import Config

from .entity_types import FORBIDDEN, STRICT, TypeRules
from .errors import Errors
from .instances import Answer, Instance

NO_RELATION = "no_relation"


@dataclass(frozen=True)
class LabelSpec:
    """What is known of one label.

    text (str): the words between head and tail: "was founded by". Of several wordings, the first.
    definition (str): what the label means, for prompts.
    symmetric (bool): True where head and tail can be exchanged ("is married to").
    head_types (Tuple[str, ...]): entity types that a head may have; empty for any.
    tail_types (Tuple[str, ...]): entity types that a tail may have; empty for any.
    texts (Tuple[str, ...]): all wordings, the first of which is `text`; `text` alone where none are given.
    """

    text: str
    definition: str = ""
    symmetric: bool = False
    head_types: Tuple[str, ...] = ()
    tail_types: Tuple[str, ...] = ()
    texts: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", self.texts or (self.text,))


class LabelSet:
    """The labels and the classes that answer a pair.

    A pair is asked about once, in the order of the text, so that a label gives two classes, one for each
    direction, unless it is symmetric. Class 0 is "no relation" (`None` in `classes`).

    labels (Mapping[str, Union[str, Mapping]]): each label with its text, or with a table of `LabelSpec`'s fields.
    """

    def __init__(self, labels: Mapping[str, Union[str, Mapping[str, Any]]] = {}) -> None:
        self.specs: Dict[str, LabelSpec] = {}
        self.classes: List[Optional[Answer]] = [None]
        self._index: Dict[Answer, int] = {}
        for label, value in labels.items():
            self.add(label, value)

    def __len__(self) -> int:
        """RETURNS (int): the number of labels, "no relation" not counted."""
        return len(self.specs)

    def __contains__(self, label: object) -> bool:
        return label in self.specs

    def __iter__(self) -> Any:
        return iter(self.specs)

    def add(self, label: str, value: Union[str, Mapping[str, Any]] = "") -> bool:
        """Add a label at the end.

        label (str): the label.
        value (Union[str, Mapping]): its text, or a table of `LabelSpec`'s fields. Without a text, the label's own
            words are used: "founded_by" reads "founded by".
        RETURNS (bool): False where the label was there already; it stays as it was.
        """
        if not isinstance(label, str) or not label.strip():
            raise ValueError(Errors.R006.format(label=label, problem="the label itself must be text that is not blank"))
        if label in self.specs:
            return False
        if label == NO_RELATION:
            raise ValueError(Errors.R005.format(label=label))
        spec = _label_spec(label, value)
        self.specs[label] = spec
        for inverse in (False,) if spec.symmetric else (False, True):
            answer = Answer(label, inverse)
            self._index[answer] = len(self.classes)
            self.classes.append(answer)
        return True

    def replace(self, labels: Mapping[str, Union[str, Mapping[str, Any]]]) -> None:
        """Take other labels in place of those that are there.

        labels (Mapping[str, Union[str, Mapping]]): as for `LabelSet(...)`.
        """
        self.__dict__ = LabelSet(labels).__dict__

    def index(self, answer: Optional[Answer]) -> int:
        """RETURNS (int): the class of an answer; 0 for None. An unknown label raises a ValueError."""
        if answer is None:
            return 0
        if answer.label not in self.specs:
            raise ValueError(Errors.R007.format(label=answer.label, known=", ".join(self.specs) or "none"))
        if self.specs[answer.label].symmetric:
            answer = Answer(answer.label, False)
        return self._index[Answer(*answer)]

    def is_complete(self, instance: Instance) -> bool:
        """RETURNS (bool): whether an instance's document was annotated for all labels, so that it has no others than
        its answers.
        """
        return instance.annotated is None or self.specs.keys() <= instance.annotated

    def known(self, instance: Instance) -> List[bool]:
        """Which classes an instance is known to have or not to have. Of a label that its document was not annotated
        for, nothing is known, unless the instance has it; and without any label it may have one that nobody looked for.

        instance (Instance): the instance.
        RETURNS (List[bool]): one value a class.
        """
        if instance.answers is None:
            return [False] * len(self.classes)
        if self.is_complete(instance):
            return [True] * len(self.classes)
        labels = {*(instance.annotated or ()), *(answer.label for answer in instance.answers)}
        return [bool(instance.answers) if answer is None else answer.label in labels for answer in self.classes]

    def allowed(self, first_type: str, second_type: str, types: TypeRules = STRICT) -> List[bool]:
        """Which classes the labels' type constraints allow.

        first_type (str): entity type of the first mention.
        second_type (str): entity type of the second mention.
        types (TypeRules): which types may stand for others.
        RETURNS (List[bool]): one value a class; "no relation" is always allowed.
        """
        return [cost < FORBIDDEN for cost in self.costs(first_type, second_type, types)]

    def costs(self, first_type: str, second_type: str, types: TypeRules = STRICT) -> List[float]:
        """What the classes cost for entities whose types are not those of the labels. Arguments are those of `allowed`.

        RETURNS (List[float]): log-odds, one value a class; infinite for what is not allowed, 0 for "no relation".
        """
        result = [0.0]
        for answer in self._index:
            spec = self.specs[answer.label]
            pairs = [(second_type, first_type) if answer.reversed else (first_type, second_type)]
            if spec.symmetric:
                pairs.append((second_type, first_type))
            result.append(
                min(types.cost(head, spec.head_types) + types.cost(tail, spec.tail_types) for head, tail in pairs)
            )
        return result

    def to_dict(self) -> Dict[str, Dict[str, Any]]:
        """RETURNS (Dict[str, Dict[str, Any]]): what `LabelSet(...)` needs to build the same set."""
        return {
            label: {
                "text": spec.text if len(spec.texts) == 1 else list(spec.texts),
                "definition": spec.definition,
                "symmetric": spec.symmetric,
                "head_types": list(spec.head_types),
                "tail_types": list(spec.tail_types),
            }
            for label, spec in self.specs.items()
        }


def label_table(labels: Union[Mapping[str, Any], Sequence[Any]]) -> Dict[str, Any]:
    """Labels of settings as a table.

    labels (Union[Mapping[str, Any], Sequence[Any]]): a table, or a list of labels, each with its own words as its text,
        or of tables with the key `label` beside those of `LabelSpec`.
    RETURNS (Dict[str, Any]): each label with its text or table. A ValueError is raised for what is neither.
    """
    if isinstance(labels, Mapping):
        return dict(labels)
    table: Dict[str, Any] = {}
    for item in labels:
        if isinstance(item, Mapping):
            label, value = item.get("label"), {key: part for key, part in item.items() if key != "label"}
            if not isinstance(label, str):
                problem = "each of a list is text, or a table with the key 'label'"
                raise ValueError(Errors.R006.format(label=item, problem=problem))
            if label in table:
                raise ValueError(Errors.R006.format(label=label, problem="the list has it twice"))
            table[label] = value
        else:
            table.setdefault(item, "")
    return table


def check_config_labels(labels: Union[Mapping[str, Any], Sequence[Any]]) -> None:
    """Raise a ValueError for labels that a config would not give back as they are, so that a pipeline with them could
    be saved and not be loaded.

    labels (Union[Mapping[str, Any], Sequence[Any]]): the labels of a component's settings; see `label_table`.
    """
    lost = lost_in_config(labels)
    if lost:
        raise ValueError(Errors.R009.format(labels=", ".join(map(repr, lost))))


def lost_in_config(given: Union[Mapping[str, Any], Sequence[Any]]) -> List[str]:
    """RETURNS (List[str]): the keys of a table of settings, or the names in a list, that the config of a pipeline would
    not give back with what they have.
    """
    if isinstance(given, Mapping):
        return [key for key, value in given.items() if not _survives({key: value, "another": "label"})]
    return [str(item.get("label") if isinstance(item, Mapping) else item) for item in given if not _survives([item])]


def _survives(labels: Union[Dict[str, Any], List[Any]]) -> bool:
    config = Config({"component": {"labels": labels}})
    try:
        # As spaCy loads it, which puts values into places last of all, and doubles each "$" by that.
        return Config().from_str(config.to_str(), interpolate=False).interpolate() == config
    except ValueError:
        return False


def _label_spec(label: str, value: Union[str, Mapping[str, Any]]) -> LabelSpec:
    default = label.replace("_", " ").replace("-", " ").lower()
    # Of a label such as "-" no words are left.
    default = default if default.strip() else label
    if isinstance(value, str):
        return LabelSpec(text=value if value.strip() else default)
    if not isinstance(value, Mapping):
        raise ValueError(Errors.R006.format(label=label, problem=f"got {value!r}"))
    unknown = set(value) - {"text", "definition", "symmetric", "head_types", "tail_types"}
    if unknown:
        raise ValueError(Errors.R006.format(label=label, problem=f"unknown keys {sorted(unknown, key=str)}"))
    given = {key: item for key, item in value.items() if item is not None}
    problems = []
    text = given.get("text", "")
    if isinstance(text, str):
        text = [text if text.strip() else default]
    texts = tuple(text) if isinstance(text, (list, tuple)) else ()
    if not texts or not all(isinstance(words, str) and words.strip() for words in texts):
        problems.append(f"text must be text, or a list of texts that are not blank, got {given['text']!r}")
    elif len(set(texts)) < len(texts):
        problems.append(f"text gives the same words twice, {given['text']!r}")
    if not _is(given, "definition", str):
        problems.append(f"definition must be text, got {given['definition']!r}")
    if not _is(given, "symmetric", bool):
        problems.append(f"symmetric must be true or false, got {given['symmetric']!r}")
    for key in ("head_types", "tail_types"):
        types = given.get(key, ())
        if not isinstance(types, (list, tuple)) or not all(isinstance(name, str) and name for name in types):
            problems.append(f"{key} must be a list of entity types, got {types!r}")
    if problems:
        raise ValueError(Errors.R006.format(label=label, problem="; ".join(problems)))
    return LabelSpec(
        text=texts[0],
        definition=given.get("definition", ""),
        symmetric=given.get("symmetric", False),
        head_types=tuple(given.get("head_types", ())),
        tail_types=tuple(given.get("tail_types", ())),
        texts=texts,
    )


def _is(values: Mapping[str, Any], key: str, kind: type) -> bool:
    """RETURNS (bool): whether a value is absent or of its kind."""
    return key not in values or isinstance(values[key], kind)
