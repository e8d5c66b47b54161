"""A document whose entities all annotations can be set on."""

from typing import Any, Dict, List

import pytest
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

WORDS = "Acme Steel Corp was founded by Ada Poe and Poe met ACME STEEL in Rome .".split()


@pytest.fixture
def doc() -> Doc:
    doc = Doc(Vocab(), words=WORDS)
    doc.ents = [
        Span(doc, 0, 3, "ORG"),
        Span(doc, 6, 8, "PERSON"),
        Span(doc, 9, 10, "PERSON"),
        Span(doc, 11, 13, "ORG"),
        Span(doc, 14, 15, "GPE"),
    ]
    return doc


def offsets(clusters: Any) -> List[List[Any]]:
    return [[(span.start, span.end) for span in cluster] for cluster in clusters]


def read(doc: Doc) -> Dict[str, Any]:
    """What every extension gives, as plain data."""
    return {
        "relations": [rel.to_dict() for rel in doc._.relations],
        "clusters": [[(s.start, s.end, s.label_) for s in cluster] for cluster in doc._.entity_clusters],
        "pairs": doc._.candidate_pairs,
        "triples": doc._.triples,
        "usage": [(span._.usage, span._.usage_score) for span in doc.ents],
        "of_span": [[rel.label for rel in span._.relations] for span in doc.ents],
    }


def relation(**changes: Any) -> List[Dict[str, Any]]:
    return [{"head": (0, 3), "tail": (6, 8), "label": "founded_by", **changes}]


def same_to_bytes(doc: Doc) -> Doc:
    return Doc(doc.vocab).from_bytes(doc.to_bytes())
