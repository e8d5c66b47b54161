"""Relation extraction for spaCy with language models that retrieve examples before they answer."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Dict, List

from .extensions import register_extensions
from .relations import CandidatePair, EntityCluster, Relation

if TYPE_CHECKING:
    from .components.clusters.component import EntityClusterer
    from .components.embedded import EmbeddedPipeline
    from .components.entity_phrases.component import EntityPhrases
    from .components.etrag.component import ETRAGExtractor
    from .components.open_entities.component import OpenEntities
    from .components.pair_filter.component import PairCandidateFilter
    from .components.relations.component import RagRelationExtractor
    from .components.supplements.component import SupplementUsageClassifier
    from .corpora.jsonl import doc_from_dict, doc_to_dict
    from .labels import LabelSet, LabelSpec

__version__ = "0.1.0"
__all__ = [
    "CandidatePair",
    "ETRAGExtractor",
    "EntityCluster",
    "EmbeddedPipeline",
    "EntityClusterer",
    "EntityPhrases",
    "LabelSet",
    "LabelSpec",
    "OpenEntities",
    "PairCandidateFilter",
    "RagRelationExtractor",
    "Relation",
    "SupplementUsageClassifier",
    "__version__",
    "doc_from_dict",
    "doc_to_dict",
    "register_extensions",
]

# Names whose modules are imported when they are first asked for, since these import much.
_LAZY: Dict[str, str] = {
    "ETRAGExtractor": "components.etrag.component",
    "EmbeddedPipeline": "components.embedded",
    "EntityClusterer": "components.clusters.component",
    "EntityPhrases": "components.entity_phrases.component",
    "LabelSet": "labels",
    "LabelSpec": "labels",
    "OpenEntities": "components.open_entities.component",
    "PairCandidateFilter": "components.pair_filter.component",
    "RagRelationExtractor": "components.relations.component",
    "SupplementUsageClassifier": "components.supplements.component",
    "doc_from_dict": "corpora.jsonl",
    "doc_to_dict": "corpora.jsonl",
}

register_extensions()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *_LAZY})
