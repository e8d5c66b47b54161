"""Invented passages, each under labels of its own: `corpora_src/passages`.

A passage is read as a whole, and in parts of one or two sentences, as the component reads it.

The files have the form of openrel's, with one text a schema and no definitions:

    python scripts/convert_openrel.py --min-wordings 1 check corpora_src/passages
"""

import random
from pathlib import Path
from typing import Any, Dict, List

import spacy
from spacy.language import Language
from tokenizers import Tokenizer

from spacy_ragre.corpora.openrel import SourceSchema, read_schemas, source_files, to_records

from ..sentences import HELD_OUT
from .corpora import Label, Schema
from .own_labels import Part, own_labels_schema
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
    found, parts = [], []
    nlp, chance = spacy.blank("en"), random.Random(0)
    nlp.add_pipe("sentencizer")
    for schema in read_passages(False, folder):
        labels = [
            Label(label.name, label.texts, "", label.head_types, label.tail_types, label.symmetric, ("",))
            for label in schema.labels.values()
        ]
        for record in to_records(schema):
            found.append((record, labels))
            parts.append(cut(record, nlp, chance))
    return own_labels_schema(SOURCE, found, tokenizer, flat=True, parts=parts)


def cut(record: Dict[str, Any], nlp: Language, chance: random.Random) -> List[Part]:
    """Cut a document into parts of one or two sentences.

    record (Dict[str, Any]): a document in the interchange format.
    nlp (Language): finds sentences.
    chance (random.Random): draws how many a part has.
    RETURNS (List[Part]): the parts with two entities or more, with the relations inside of them, and the numbers of
        their entities.
    """
    sentences = list(nlp(record["text"]).sents)
    out: List[Part] = []
    while sentences:
        inside = sentences[: chance.choice((1, 2))]
        sentences = sentences[len(inside) :]
        start, end = inside[0].start_char, inside[-1].end_char
        numbers = [i for i, ent in enumerate(record["ents"]) if start <= ent["start"] and ent["end"] <= end]
        place = {i: k for k, i in enumerate(numbers)}
        ents = [record["ents"][i] for i in numbers]
        relations = [
            {**relation, "head": place[relation["head"]], "tail": place[relation["tail"]]}
            for relation in record["relations"]
            if relation["head"] in place and relation["tail"] in place
        ]
        if len(ents) > 1:
            moved = [{**ent, "start": ent["start"] - start, "end": ent["end"] - start} for ent in ents]
            text = record["text"][start:end]
            out.append(({**record, "text": text, "ents": moved, "relations": relations}, numbers))
    return out
