"""Values of annotations as plain data: numbers, strings, lists and tables of Python, as msgpack and JSON hold them."""

import math
import operator
import re
from typing import Any, Dict, Iterable, List, Mapping, Optional

from .errors import Errors

#: What stands in place of an id where there is none.
NO_ID = ("", "-", "-1")
_ID_PARTS = re.compile(r"[|,;]")


def plain_int(value: Any) -> Optional[int]:
    """RETURNS (Optional[int]): an index as a plain int, as msgpack needs it; None for what is no whole number."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def plain_score(value: Any, attr: str, index: int, item: Any) -> float:
    expected = "an item with a score from 0 to 1"
    try:
        score = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(Errors.R002.format(attr=attr, what=f"item {index}", value=item, expected=expected)) from error
    # A sum of probabilities may be over 1 in its last digits.
    if not -1e-6 <= score <= 1 + 1e-6:
        raise ValueError(Errors.R002.format(attr=attr, what=f"item {index}", value=item, expected=expected))
    return min(1.0, max(0.0, score))


def plain_label(value: Any, attr: str, index: int, item: Any) -> str:
    if not is_text(value) or not value:
        expected = "an item whose label is a string that is not empty"
        raise ValueError(Errors.R002.format(attr=attr, what=f"item {index}", value=item, expected=expected))
    return str(value)


def is_text(value: Any) -> bool:
    """RETURNS (bool): whether a value is a string that can be saved: one without halves of surrogate pairs."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def plain_evidence(value: Any, attr: str, index: int, item: Any) -> Dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        expected = "an item whose evidence is a table"
        raise ValueError(Errors.R002.format(attr=attr, what=f"item {index}", value=item, expected=expected))
    return dict(plain(value, f"the evidence of a relation (doc._.{attr})"))


def items(values: Any, attr: str) -> List[Any]:
    """What is set, as a list. A ValueError is raised for what has no items, such as None."""
    values = as_list(values)
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ValueError(Errors.R012.format(attr=attr, value=values))
    return list(values)


def as_list(value: Any) -> Any:
    """RETURNS (Any): an array of numpy as a list; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def plain(value: Any, what: str, depth: int = 0) -> Any:
    """Nested values as plain data: numbers and arrays of numpy become those of Python, and tuples lists.

    value (Any): the value.
    what (str): what it is, for errors.
    depth (int): how deep it is nested in another one.
    RETURNS (Any): a copy. A ValueError is raised where something else is in it.
    """
    if value is None or isinstance(value, bool):
        return value
    if is_text(value):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), what, depth)
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if depth < 64 and isinstance(value, Mapping):
        return {plain(str(key), what): plain(item, what, depth + 1) for key, item in value.items()}
    if depth < 64 and isinstance(value, (list, tuple)):
        return [plain(item, what, depth + 1) for item in value]
    raise ValueError(Errors.R013.format(what=what, value=value, type=type(value).__name__))


def with_lists(value: Any) -> Any:
    """A copy of plain data. `DocBin` gives its lists back as tuples; here they are lists again."""
    if isinstance(value, Mapping):
        return {key: with_lists(item) for key, item in value.items()}
    return [with_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def id_parts(kb_id: str) -> List[str]:
    """RETURNS (List[str]): the ids of which one consists, as corpora write that of a mention of several: "D1|D2"."""
    return [part for part in map(str.strip, _ID_PARTS.split(kb_id)) if part not in NO_ID]
