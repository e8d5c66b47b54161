"""Finding labelled examples that are like a query."""

from .biomedical import create_bmretriever, create_contriever, create_medcpt
from .encoders import DualEncoder, Encoder, TextEncoder
from .mapped import MappedStore
from .opening import open_store, read_examples
from .qdrant import QdrantRetriever
from .retriever import DEFAULT_K, Retriever, evidence, neighbour_distribution, turnout
from .store import ExampleStore, Neighbour
from .texts import mark_mentions
from .tuning import tune_encoder

__all__ = [
    "DEFAULT_K",
    "DualEncoder",
    "Encoder",
    "ExampleStore",
    "MappedStore",
    "Neighbour",
    "QdrantRetriever",
    "Retriever",
    "TextEncoder",
    "create_bmretriever",
    "create_contriever",
    "create_medcpt",
    "evidence",
    "mark_mentions",
    "neighbour_distribution",
    "open_store",
    "read_examples",
    "tune_encoder",
    "turnout",
]
