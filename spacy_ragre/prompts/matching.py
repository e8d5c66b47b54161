"""Refinement of generated answers to the classes of a label set."""

import re
import unicodedata
from typing import Dict, List, Optional, Sequence, Set

_SEPARATORS = re.compile(r"[\W_]+")


def normalize(text: str) -> str:
    """RETURNS (str): the text in lower case, with everything but letters and digits reduced to single spaces."""
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def match_classes(
    answer_text: str, options: Sequence[Sequence[str]], short: Optional[Sequence[Sequence[str]]] = None
) -> List[int]:
    """The classes that a generated text names.

    Tried in this order, the first line before the whole text, since models tend to go on with a next question:
    equality; equality after normalisation; whole words contained in the text. The longest texts are looked for
    first, and what they cover is taken out, so that "is in" is not found inside "is in the north of".

    answer_text (str): the generated text.
    options (Sequence[Sequence[str]]): the texts that stand for each class.
    short (Optional[Sequence[Sequence[str]]]): texts that stand for each class only where the answer, or its first
        line, is nothing else: inside a sentence, "is married to" may speak of others.
    RETURNS (List[int]): the classes found, in order. Only a single one is an answer: several are a contradiction.
    """
    whole = answer_text.strip()
    first_line = whole.split("\n", 1)[0]
    for text in (whole, first_line):
        found = [i for i, texts in enumerate(options) if any(text.strip() == option.strip() for option in texts)]
        if len(found) == 1:
            return found
    classes = _by_text(options)
    equal = _by_text([[*texts, *more] for texts, more in zip(options, short)] if short else options)
    for text in (first_line, whole):
        if normalize(text) in equal:
            return sorted(equal[normalize(text)])
    for text in (first_line, whole):
        found = _contained(normalize(text), classes)
        if found:
            return found
    return []


def _by_text(options: Sequence[Sequence[str]]) -> Dict[str, Set[int]]:
    classes: Dict[str, Set[int]] = {}
    for i, texts in enumerate(options):
        for text in texts:
            if normalize(text):
                classes.setdefault(normalize(text), set()).add(i)
    return classes


def _contained(text: str, classes: Dict[str, Set[int]]) -> List[int]:
    # Every word gets a space of its own on both sides, so that two names in a row don't share one.
    rest = f" {text.replace(' ', '  ')} "
    found: Set[int] = set()
    for option in sorted(classes, key=len, reverse=True):
        padded = f" {option.replace(' ', '  ')} "
        if padded in rest:
            found |= classes[option]
            rest = rest.replace(padded, "\n")
    return sorted(found)
