"""Texts that each have labels of their own, as one schema."""

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
from tokenizers import Tokenizer

from spacy_ragre.instances import Instance
from spacy_ragre.retrieval.encoders import TextEncoder

from .corpora import Document, Label, Schema, make_document, other_mentions

Record = Dict[str, Any]
# A piece of a text, and which of the text's entities it has.
Part = Tuple[Record, List[int]]


def own_labels_schema(
    source: str,
    found: Sequence[Tuple[Record, Sequence[Label]]],
    tokenizer: Tokenizer,
    *,
    flat: bool = False,
    parts: Optional[Sequence[Sequence[Part]]] = None,
) -> Schema:
    """source (str): the corpus.
    found (Sequence[Tuple[Record, Sequence[Label]]]): texts in the interchange format, and the labels that each was
        annotated for. Equal labels of several texts are one.
    flat (bool): whether names can be exchanged, see `Schema`.
    parts (Optional[Sequence[Sequence[Part]]]): the parts that each text is read in now and then.
    RETURNS (Schema): all labels; a document knows its own.
    """
    numbers: Dict[Label, int] = {}
    docs: List[Document] = []
    for place, (record, labels) in enumerate(found):
        own = [numbers.setdefault(label, len(numbers)) for label in labels]
        # A part does not know of relations that are stated outside of it.
        undecided = other_mentions(record, labels)
        whole = _read(record, range(len(record["ents"])), labels, own, undecided, tokenizer)
        smaller = [_read(*part, labels, own, undecided, tokenizer) for part in (parts[place] if parts else ())]
        if whole is not None:
            docs.append(replace(whole, parts=[doc for doc in smaller if doc is not None]))
    every = list(numbers)
    return Schema(source, source, every, docs, flat=flat, likeness=_likeness(every))


def _read(
    record: Record,
    ents: Sequence[int],
    labels: Sequence[Label],
    own: Sequence[int],
    undecided: Set[Tuple[int, int, int]],
    tokenizer: Tokenizer,
) -> Optional[Document]:
    """RETURNS (Optional[Document]): a text whose labels have the numbers `own`; None where it is too long.

    ents (Sequence[int]): the numbers that its entities have in `undecided`.
    """
    doc = make_document(tokenizer, record, labels)
    if doc is not None:
        place = {number: i for i, number in enumerate(ents)}
        doc.relations = {pair: {own[i] for i in held} for pair, held in doc.relations.items()}
        doc.undecided = {(place[h], place[t], own[i]) for h, t, i in undecided if h in place and t in place}
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
