"""The labels of a component as the reader of open labels takes them."""

import json
import random
from typing import TYPE_CHECKING, List, Optional, Sequence

from ...instances import Instance
from ...labels import LabelSet

if TYPE_CHECKING:
    from .open_labels import OpenLabel

# Labels that a step of training reads at most: those that hold, and others at random.
MOST_LABELS = 64


def label_key(label: "OpenLabel") -> str:
    """RETURNS (str): all that is read of a label."""
    return json.dumps([label.texts, label.definition, label.head_types, label.tail_types])


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


def draw_labels(instances: Sequence[Instance], labels: LabelSet) -> List[str]:
    """RETURNS (List[str]): the labels that a step reads, in their order."""
    gold = {answer.label for instance in instances for answer in instance.answers or ()}
    rest = [name for name in labels if name not in gold]
    drawn = gold.union(random.sample(rest, min(len(rest), max(0, MOST_LABELS - len(gold)))))
    return [name for name in labels if name in drawn]


def label_kind(labels: LabelSet) -> str:
    """RETURNS (str): which calibration fits: with entity types, a label is easier to tell."""
    typed = any(spec.head_types or spec.tail_types for spec in labels.specs.values())
    return "types" if typed else "no_types"
