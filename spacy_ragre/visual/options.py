"""The options of pictures, checked."""

import re
from typing import Any, Callable, Collection, Dict, Mapping, NamedTuple, Tuple

from ..errors import Errors
from .document import Selection

DEFAULT_WIDTH = 960


class Options(NamedTuple):
    """The options of `render`, checked."""

    selection: Selection
    colors: Mapping[str, str]
    width: float


def read_options(options: Mapping[str, Any], without: Collection[str] = ()) -> Options:
    """Check options.

    options (Mapping[str, Any]): the user's.
    without (Collection[str]): names that mean nothing here.
    RETURNS (Options): what they say. A ValueError is raised for an unknown name and for a value of the wrong kind.
    """
    kinds: Dict[str, Tuple[str, Callable[[Any], bool]]] = {
        "labels": ("a list of labels", lambda value: value is None or _are_names(value)),
        "min_score": ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1),
        "symmetric": ("a list of labels", _are_names),
        "spans_key": ("a string", lambda value: value is None or isinstance(value, str)),
        "colors": ("a table of labels and CSS colors, such as '#0a7' or 'teal'", _are_colors),
        "width": ("a number of pixels from 200 to 20000", lambda value: _is_number(value) and 200 <= value <= 20000),
    }
    known = [name for name in kinds if name not in without]
    for name, value in options.items():
        if name not in known:
            raise ValueError(Errors.R692.format(name=name, known=", ".join(known)))
        expected, fits = kinds[name]
        if not fits(value):
            raise ValueError(Errors.R693.format(name=name, value=value, expected=expected))
    selection = Selection(
        options.get("labels"), options.get("min_score", 0.0), options.get("symmetric", ()), options.get("spans_key")
    )
    return Options(selection, options.get("colors", {}), options.get("width", DEFAULT_WIDTH))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_names(value: Any) -> bool:
    return (
        not isinstance(value, (str, bytes))
        and isinstance(value, Collection)
        and all(isinstance(name, str) for name in value)
    )


def _are_colors(value: Any) -> bool:
    # They stand in attributes of the markup, where nothing else may follow them.
    return (
        isinstance(value, Mapping)
        and _are_names(value)
        and all(isinstance(color, str) and re.fullmatch(r"[#\w(),.%/ -]+", color) for color in value.values())
    )
