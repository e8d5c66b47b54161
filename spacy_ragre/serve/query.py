"""What a client asks: the body of a request, checked whole before anything is computed."""

import json
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..errors import Errors
from ..labels import LabelSet, label_table
from .limits import Limits, Refusal, too_large

FIELDS = ("text", "texts", "labels", "threshold", "svg", "width")
STYLES = ("arcs", "graph")
# Pixels that a picture may be wide.
WIDTHS = (200, 4000)


class Pictures(NamedTuple):
    """styles (Tuple[str, ...]): of `STYLES`, those that are wanted.
    width (float): how wide a picture of arcs may be, in pixels.
    """

    styles: Tuple[str, ...] = ()
    width: float = 960


@dataclass(frozen=True)
class Query:
    """texts (List[str]): the texts.
    labels (Optional[LabelSet]): labels in place of the pipeline's own.
    threshold (Optional[float]): least score of a relation, from 0 to 1, in place of what is set.
    pictures (Pictures): what is drawn of each text.
    """

    texts: List[str]
    labels: Optional[LabelSet] = None
    threshold: Optional[float] = None
    pictures: Pictures = Pictures()


def read_query(body: bytes, content_type: str, limits: Limits) -> Query:
    """Read and check the body of a request.

    body (bytes): a JSON object.
    content_type (str): what the client says that it is.
    limits (Limits): how much it may ask for.
    RETURNS (Query): what it asks. A Refusal is raised for what can't be read (400), is not JSON by its own account
        (415), is too much (413), or is not what is expected (422).
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise _unreadable(415, "the header Content-Type must be application/json")
    try:
        data = json.loads(body, object_pairs_hook=_once, parse_constant=_no_number)
    # Of what is nested too deep, and of numbers with too many digits, too.
    except (ValueError, RecursionError) as error:
        problem = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise _unreadable(400, f"the body is not JSON in UTF-8 ({problem})") from error
    if not isinstance(data, dict):
        raise _unreadable(422, f"the body must be an object, got {_kind(data)}")
    unknown = [name for name in data if name not in FIELDS]
    if unknown:
        raise _unreadable(422, f"{unknown[0]!r} is unknown, known are {', '.join(FIELDS)}")
    given = {name: value for name, value in data.items() if value is not None}
    texts = _texts(given)
    return Query(
        [_text(text, place, limits) for text, place in _few(texts, limits)],
        _labels(given["labels"], limits) if "labels" in given else None,
        _threshold(given.get("threshold")),
        _pictures(given),
    )


def _texts(given: Dict[str, object]) -> List[Tuple[object, str]]:
    if ("text" in given) == ("texts" in given):
        raise _unreadable(422, "either 'text' or 'texts' is needed")
    if "text" in given:
        return [(given["text"], "text")]
    texts = given["texts"]
    if not isinstance(texts, list):
        raise _unreadable(422, f"'texts' must be a list of strings, got {_kind(texts)}")
    return [(text, f"texts[{number}]") for number, text in enumerate(texts)]


def _few(texts: List[Tuple[object, str]], limits: Limits) -> List[Tuple[object, str]]:
    most = min(limits.texts, limits.waiting)
    if len(texts) > most:
        raise too_large("texts", "the number of texts", len(texts), limits)
    return texts


def _text(text: object, place: str, limits: Limits) -> str:
    if not isinstance(text, str):
        raise _unreadable(422, f"{place!r} must be a string, got {_kind(text)}")
    if len(text) > limits.chars:
        raise too_large("chars", f"the number of characters of {place!r}", len(text), limits)
    _check_unicode(text, place)
    return text


def _labels(value: object, limits: Limits) -> LabelSet:
    if not (isinstance(value, dict) or (isinstance(value, list) and all(isinstance(i, (str, dict)) for i in value))):
        problem = "'labels' must be an object of labels and their words, or a list of labels or their tables"
        raise _unreadable(422, f"{problem}, got {_kind(value)}")
    if not value:
        raise _unreadable(422, "'labels' is empty. Leave it out for the pipeline's own")
    if len(value) > limits.labels:
        raise too_large("labels", "the number of labels", len(value), limits)
    _check_unicode(json.dumps(value, ensure_ascii=False), "labels")
    try:
        labels = LabelSet(label_table(value))
    except ValueError as error:
        raise Refusal(422, str(error)) from error
    wordings = sum(len(spec.texts) for spec in labels.specs.values())
    if wordings > limits.labels:
        raise too_large("labels", "the number of wordings of all labels", wordings, limits)
    return labels


def _threshold(value: object) -> Optional[float]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise _unreadable(422, "'threshold' must be a number from 0 to 1")
    return float(value)


def _pictures(given: Dict[str, object]) -> Pictures:
    styles, width = given.get("svg", []), given.get("width", Pictures().width)
    if not isinstance(styles, list) or not all(style in STYLES for style in styles):
        raise _unreadable(422, f"'svg' must be a list of {' and '.join(map(repr, STYLES))}")
    least, most = WIDTHS
    if isinstance(width, bool) or not isinstance(width, (int, float)) or not least <= width <= most:
        raise _unreadable(422, f"'width' must be a number from {least} to {most}")
    return Pictures(tuple(dict.fromkeys(styles)), width)


def _check_unicode(text: str, place: str) -> None:
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        raise Refusal(422, Errors.R423.format(what=repr(place), start=error.start)) from error


def _unreadable(status: int, problem: str) -> Refusal:
    return Refusal(status, Errors.R622.format(problem=problem))


def _kind(value: object) -> str:
    """RETURNS (str): what JSON calls a value of this kind."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return {str: "a string", bool: "true or false", type(None): "null"}.get(type(value), "a number")


def _once(pairs: List[Tuple[str, object]]) -> Dict[str, object]:
    """An object, in which each name stands once: of two values, one would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
