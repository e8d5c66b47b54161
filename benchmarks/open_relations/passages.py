"""Invented passages, each under labels of its own: `corpora_src/passages`.

The files have the form of openrel's, with one text a schema and no definitions:

    python scripts/convert_openrel.py --min-wordings 1 check corpora_src/passages
"""

from pathlib import Path
from typing import List

from tokenizers import Tokenizer

from spacy_ragre.corpora.openrel import SourceSchema, read_schemas, source_files, to_records

from ..sentences import HELD_OUT
from .corpora import Label, Schema
from .own_labels import own_labels_schema
from .wordings import SOURCES

FOLDER = SOURCES / "passages"
SOURCE = "passages"


def read_passages(held_out: bool, folder: Path = FOLDER) -> List[SourceSchema]:
    """RETURNS (List[SourceSchema]): the passages that train, or those that are held out: every tenth of a file."""
    found = (read_schemas(path, min_wordings=1) for path in source_files(folder))
    return [
        schema for schemas in found for number, schema in enumerate(schemas, 1) if (number % HELD_OUT == 0) == held_out
    ]


def read_schema(tokenizer: Tokenizer, folder: Path = FOLDER) -> Schema:
    """RETURNS (Schema): the passages that train, with all labels as one schema; a document knows its own."""
    found = []
    for schema in read_passages(False, folder):
        labels = [
            Label(label.name, label.texts, "", label.head_types, label.tail_types, label.symmetric, ("",))
            for label in schema.labels.values()
        ]
        found += [(record, labels) for record in to_records(schema)]
    return own_labels_schema(SOURCE, found, tokenizer, flat=True)
