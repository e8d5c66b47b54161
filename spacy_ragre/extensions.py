"""The attributes of Doc and Span by which users read and set annotations, and those of other packages by these names.

Inside of the suite, `relations` reads and sets annotations, whatever the attributes are called.
"""

import warnings
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, Union

from spacy.tokens import Doc, Span

from . import relations as data
from .errors import Errors, Warnings

Owner = Type[Union[Doc, Span]]


def _extensions() -> List[Tuple[Owner, str, Dict[str, Any]]]:
    """RETURNS (List[Tuple[Owner, str, Dict[str, Any]]]): the class, name and settings of each attribute."""
    relations = data.relations_name()
    return [
        (Doc, relations, {"getter": data.get_relations, "setter": data.set_relations}),
        (Doc, "entity_clusters", {"getter": data.get_clusters, "setter": data.set_clusters}),
        (Doc, "candidate_pairs", {"getter": data.get_pairs, "setter": data.set_pairs}),
        (Doc, "triples", {"getter": data.get_triples, "setter": data.set_triples}),
        (Doc, "annotated_labels", {"getter": data.get_labels, "setter": data.set_labels}),
        (Span, relations, {"getter": data.get_span_relations, "setter": data.set_span_relations}),
        (Span, "usage", {"default": ""}),
        (Span, "usage_score", {"default": None}),
    ]


def register_extensions(force: bool = False, *, relations: Optional[str] = None) -> None:
    """Add the attributes to Doc and Span. One that another package has registered under the same name stays, with a
    warning, and the components can't be used until it is replaced, or until relations have another name.

    force (bool): replace attributes of other packages, with a warning. What the other package writes there is then
        checked as any relation is, so that its own components may no longer work in this process.
    relations (Optional[str]): the name of `doc._.relations` and `span._.relations` from now on, such as
        "ragre_relations". Documents that were annotated under another name keep that annotation, which is not read.
        None for the name as it is: what this was called with last, else what the variable RAGRE_RELATIONS says, which
        serves for processes that don't call this. A ValueError is raised for what can't be the name of an attribute.
    """
    name = data.relations_name() if relations is None else relations
    others = {other for _, other, _ in _extensions()} - {data.relations_name()}
    if not isinstance(name, str) or not name.isidentifier() or name in others:
        raise ValueError(Errors.R015.format(value=name, variable=data.NAME_VARIABLE))
    _rename(name)
    foreign = foreign_extensions()
    for owner, name, settings in _extensions():
        if not owner.has_extension(name) or (force and _full(owner, name) in foreign):
            owner.set_extension(name, force=force, **settings)
    if foreign:
        message = Warnings.W401 if force else Warnings.W400
        warnings.warn(message.format(names=", ".join(foreign)), stacklevel=2)


def _rename(name: str) -> None:
    old = data.relations_name()
    if name == old:
        return
    for owner, other, settings in _extensions():
        if other == old and owner.has_extension(old) and _is_own(owner.get_extension(old), settings):
            owner.remove_extension(old)
    data.set_relations_name(name)


def foreign_extensions() -> List[str]:
    """RETURNS (List[str]): the attributes that another package has registered under a name used here, such as
    "doc._.relations".
    """
    return [
        _full(owner, name)
        for owner, name, settings in _extensions()
        if owner.has_extension(name) and not _is_own(owner.get_extension(name), settings)
    ]


def _full(owner: Owner, name: str) -> str:
    return f"{owner.__name__.lower()}._.{name}"


def _is_own(registered: Sequence[Any], settings: Mapping[str, Any]) -> bool:
    default, method, getter, _ = registered
    if "getter" not in settings:
        return method is None and getter is None and bool(default == settings["default"])
    # By module, not by identity: a module that was loaded again has other functions of the same kind.
    return getattr(getter, "__module__", None) == data.__name__


def check_extensions() -> None:
    """Raise a ValueError where another package has replaced an attribute that the components use."""
    foreign = foreign_extensions()
    if foreign:
        raise ValueError(Errors.R014.format(names=", ".join(foreign)))
