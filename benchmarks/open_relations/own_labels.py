"""Texts that each have labels of their own, as one schema."""

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from tokenizers import Tokenizer

from spacy_ragre.instances import Instance
from spacy_ragre.retrieval.encoders import TextEncoder

from .corpora import Document, Label, Schema, make_document, other_mentions

Record = Dict[str, Any]


def own_labels_schema(
    source: str,
    found: Sequence[Tuple[Record, Sequence[Label]]],
    tokenizer: Tokenizer,
    *,
    flat: bool = False,
    parts: Optional[Sequence[Sequence[Record]]] = None,
) -> Schema:
    """source (str): the corpus.
    found (Sequence[Tuple[Record, Sequence[Label]]]): texts in the interchange format, and the labels that each was
        annotated for. Equal labels of several texts are one.
    flat (bool): whether names can be exchanged, see `Schema`.
    parts (Optional[Sequence[Sequence[Record]]]): the parts that each text is read in now and then.
    RETURNS (Schema): all labels; a document knows its own.
    """
    numbers: Dict[Label, int] = {}
    docs: List[Document] = []
    for place, (record, labels) in enumerate(found):
        own = [numbers.setdefault(label, len(numbers)) for label in labels]
        read = [_read(part, labels, own, tokenizer) for part in (record, *(parts[place] if parts else ()))]
        whole, smaller = read[0], [doc for doc in read[1:] if doc is not None]
        if whole is not None:
            docs.append(replace(whole, parts=smaller))
    every = list(numbers)
    return Schema(source, source, every, docs, flat=flat, likeness=_likeness(every))


def _read(record: Record, labels: Sequence[Label], own: Sequence[int], tokenizer: Tokenizer) -> Optional[Document]:
    """RETURNS (Optional[Document]): a text whose labels have the numbers `own`; None where it is too long."""
    doc = make_document(tokenizer, record, labels, undecided=other_mentions(record, labels))
    if doc is not None:
        doc.relations = {pair: {own[i] for i in held} for pair, held in doc.relations.items()}
        doc.undecided = {(head, tail, own[i]) for head, tail, i in doc.undecided}
        doc.labels = set(own)
    return doc


def _likeness(labels: Sequence[Label]) -> np.ndarray:
    """RETURNS (np.ndarray): what all-MiniLM-L6-v2 makes of the wordings of each label. *Shape:* (L, width)"""
    owner = np.array([number for number, label in enumerate(labels) for _ in label.texts])
    texts = [Instance(text, (0, 0), (0, 0)) for label in labels for text in label.texts]
    encoded = TextEncoder().encode_queries(texts)
    vectors = np.zeros((len(labels), encoded.shape[1]), dtype="float32")
    np.add.at(vectors, owner, encoded)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit
