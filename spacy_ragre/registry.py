"""The suite's own registries, kept next to spaCy's so that a config can name every choice.

Other packages add to them by entry points, in the groups `spacy_ragre_backbones`, `spacy_ragre_encoders`,
`spacy_ragre_retrievers`, `spacy_ragre_prompts` and `spacy_ragre_candidates`.
"""

from typing import Any

from spacy.util import registry as _spacy_registry

NAMES = ("ragre_backbones", "ragre_encoders", "ragre_retrievers", "ragre_prompts", "ragre_candidates")

for _name in NAMES:
    if not hasattr(_spacy_registry, _name):
        _spacy_registry.create(_name, entry_points=True)

# The same object as spaCy's; typed as Any because the registries above are attributes that no type checker knows.
registry: Any = _spacy_registry

__all__ = ["NAMES", "registry"]
