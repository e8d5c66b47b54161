"""A pipeline as a service on this machine: `python -m spacy ragre serve PIPELINE`, or `create_app(nlp)` under any ASGI
server.

A request goes `guard -> query -> worker -> pipeline -> interchange dicts`: the guard bounds what may come in and from
where, the query is checked before anything is computed, and one thread owns the pipeline and answers what waits, a
batch at a time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .limits import Limits

__all__ = ["Limits", "create_app"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'app' if name == 'create_app' else 'limits'}"), name)
