"""Words for classes, from which a label head starts."""

from typing import List

from ..labels import LabelSet
from .rendering import one_line

NO_RELATION_WORDS = "no relation"


def class_words(labels: LabelSet) -> List[str]:
    """A short phrase for each class. The mean embedding of its tokens is the first value of that class's row in a
    label head, so that a head starts near what the language model knows of the label.

    labels (LabelSet): the labels.
    RETURNS (List[str]): one phrase for each of `labels.classes`, all different: "no relation"; the label's text, with
        "inverse of" before it where the second mention is the head. Of labels with the same text, the later ones get
        the label itself in addition.
    """
    result: List[str] = []
    for answer in labels.classes:
        if answer is None:
            phrase, addition = NO_RELATION_WORDS, NO_RELATION_WORDS
        else:
            text = one_line(labels.specs[answer.label].text)
            phrase = f"inverse of {text}" if answer.reversed else text
            addition = answer.label
        while phrase in result:
            phrase = f"{phrase} {addition}"
        result.append(phrase)
    return result
