"""Texts that each have labels of their own, as one schema."""

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from tokenizers import Tokenizer

from spacy_ragre.instances import Instance
from spacy_ragre.retrieval.encoders import TextEncoder

from .corpora import Document, Label, Schema, make_document, other_mentions


def own_labels_schema(
    source: str, found: Sequence[Tuple[Dict[str, Any], Sequence[Label]]], tokenizer: Tokenizer, *, flat: bool = False
) -> Schema:
    """source (str): the corpus.
    found (Sequence[Tuple[Dict[str, Any], Sequence[Label]]]): texts in the interchange format, and the labels that each
        was annotated for. Equal labels of several texts are one.
    flat (bool): whether names can be exchanged, see `Schema`.
    RETURNS (Schema): all labels; a document knows its own.
    """
    numbers: Dict[Label, int] = {}
    docs: List[Document] = []
    for record, labels in found:
        own = [numbers.setdefault(label, len(numbers)) for label in labels]
        doc = make_document(tokenizer, record, labels, undecided=other_mentions(record, labels))
        if doc is not None:
            doc.relations = {pair: {own[i] for i in held} for pair, held in doc.relations.items()}
            doc.undecided = {(head, tail, own[i]) for head, tail, i in doc.undecided}
            doc.labels = set(own)
            docs.append(doc)
    every = list(numbers)
    return Schema(source, source, every, docs, flat=flat, likeness=_likeness(every))


def _likeness(labels: Sequence[Label]) -> np.ndarray:
    """RETURNS (np.ndarray): what all-MiniLM-L6-v2 makes of the wordings of each label. *Shape:* (L, width)"""
    owner = np.array([number for number, label in enumerate(labels) for _ in label.texts])
    texts = [Instance(text, (0, 0), (0, 0)) for label in labels for text in label.texts]
    encoded = TextEncoder().encode_queries(texts)
    vectors = np.zeros((len(labels), encoded.shape[1]), dtype="float32")
    np.add.at(vectors, owner, encoded)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
