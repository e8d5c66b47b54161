"""Relation extraction for spaCy with language models that retrieve examples before they answer."""

from .relations import CandidatePair, EntityCluster, Relation, register_extensions

__version__ = "0.1.0"
__all__ = ["CandidatePair", "EntityCluster", "Relation", "__version__", "register_extensions"]

register_extensions()
