"""The suite's own registries, kept next to spaCy's so that a config can name every choice.

Other packages add to them by entry points, in the groups `spacy_ragre_backbones`, `spacy_ragre_encoders`,
`spacy_ragre_retrievers`, `spacy_ragre_prompts` and `spacy_ragre_candidates`.
"""

from typing import Any, Callable, Dict, Protocol, TypeVar, cast

from spacy.util import registry as _spacy_registry

NAMES = ("ragre_backbones", "ragre_encoders", "ragre_retrievers", "ragre_prompts", "ragre_candidates")

for _name in NAMES:
    if not hasattr(_spacy_registry, _name):
        _spacy_registry.create(_name, entry_points=True)

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Registry(Protocol):
    """Functions of one kind by their names."""

    def __call__(self, name: str) -> Callable[[_Function], _Function]:
        """name (str): the name, with its version.
        RETURNS (Callable): a decorator that registers a function under it, and changes nothing.
        """
        ...

    def get(self, name: str) -> Callable[..., Any]:
        """RETURNS (Callable): the function that is registered under a name."""
        ...


class Registries(Protocol):
    """Those of spaCy's registries that the suite adds to, and its own."""

    architectures: Registry
    loggers: Registry
    misc: Registry
    readers: Registry
    scorers: Registry
    ragre_backbones: Registry
    ragre_encoders: Registry
    ragre_retrievers: Registry
    ragre_prompts: Registry
    ragre_candidates: Registry

    def resolve(self, config: Dict[str, Any]) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): a config with what its registered functions give in place of them."""
        ...


# The same object as spaCy's, which no type checker knows the attributes of.
registry = cast(Registries, _spacy_registry)

__all__ = ["NAMES", "registry"]
