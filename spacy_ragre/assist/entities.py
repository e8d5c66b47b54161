"""What a pipeline makes of the texts of annotated documents: sentences, and how many of their entities it finds."""

import random
from typing import List, NamedTuple, Optional, Sequence

from spacy.language import Language
from spacy.tokens import Doc

from ..corpora.reader import copy_input
from ..relations import entity_spans


class Found(NamedTuple):
    """How many annotated entities a pipeline finds.

    entities (int): those that are annotated.
    places (int): those that it finds, whatever their type.
    types (int): those that it finds with their type.
    """

    entities: int
    places: int
    types: int


def sample(docs: Sequence[Doc], size: int, seed: int = 0) -> List[Doc]:
    """RETURNS (List[Doc]): so many of the documents, picked by chance, in their order; all where there are no more."""
    if len(docs) <= size:
        return list(docs)
    return [docs[i] for i in sorted(random.Random(seed).sample(range(len(docs)), size))]


def read_with(nlp: Language, docs: Sequence[Doc], spans_key: Optional[str] = None) -> Found:
    """Run a pipeline on the words of annotated documents. Where none of them has sentence borders, they get those of
    the pipeline, where it finds any.

    nlp (Language): the pipeline.
    docs (Sequence[Doc]): the documents, which may be changed.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    RETURNS (Found): how many of their entities it finds.
    """
    borders = any(doc.has_annotation("SENT_START") for doc in docs)
    entities = places = types = 0
    plain = (copy_input(doc, gold_ents=False) for doc in docs)
    for doc, own in zip(docs, nlp.pipe(plain)):
        gold = {(span.start, span.end, span.label_) for span in entity_spans(doc, spans_key)}
        found = {(span.start, span.end, span.label_) for span in entity_spans(own, spans_key)}
        entities += len(gold)
        types += len(gold & found)
        places += len({item[:2] for item in gold} & {item[:2] for item in found})
        if not borders and own.has_annotation("SENT_START"):
            for token, source in zip(doc, own):
                token.is_sent_start = source.is_sent_start
    return Found(entities, places, types)
