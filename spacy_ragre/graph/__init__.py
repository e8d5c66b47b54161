"""Knowledge graphs: the relations of many documents between entities, with where each was read, in networkx's form."""

from .build import build, merge
from .write import FORMATS, write

__all__ = ["FORMATS", "build", "merge", "write"]
