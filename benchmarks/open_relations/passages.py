"""Invented passages, each under labels of its own: `corpora_src/passages`.

A passage is read as a whole, and in parts of one or two sentences, as the component reads it.

The files have the form of openrel's, with one text a schema and no definitions:

    python scripts/convert_openrel.py --min-wordings 1 check corpora_src/passages
"""

import json
import random
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set

import spacy
from spacy.language import Language
from tokenizers import Tokenizer

from spacy_ragre.corpora.openrel import SourceSchema, read_schemas, source_files, to_records

from ..sentences import HELD_OUT
from .corpora import Document, Found, Label, Schema, token_span
from .own_labels import Part, own_labels_schema
from .wordings import SOURCES

FOLDER = SOURCES / "passages"
SOURCE = "passages"


def read_passages(held_out: bool, folder: Path = FOLDER) -> List[SourceSchema]:
    """RETURNS (List[SourceSchema]): the passages that train, or those that are held out: every tenth of a file."""
    files = (read_schemas(path, min_wordings=1) for path in source_files(folder))
    return [schema for schemas in files for schema in trains(schemas, held_out)]


def trains(schemas: Sequence[SourceSchema], held_out: bool = False) -> List[SourceSchema]:
    """RETURNS (List[SourceSchema]): of the passages of a file those that train, or those that are held out."""
    return [schema for number, schema in enumerate(schemas, 1) if (number % HELD_OUT == 0) == held_out]


def read_schema(tokenizer: Tokenizer, folder: Path = FOLDER, found_entities: Optional[Path] = None) -> Schema:
    """tokenizer (Tokenizer): the reader's.
    folder (Path): the passages.
    found_entities (Optional[Path]): what `benchmarks.open_entities.found` wrote.
    RETURNS (Schema): the passages that train, with all labels as one schema; a document knows its own.
    """
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
    whole = own_labels_schema(SOURCE, found, tokenizer, flat=True, parts=parts)
    if found_entities is not None:
        add_found(whole, found_entities, tokenizer)
    return whole


def add_found(schema: Schema, path: Path, tokenizer: Tokenizer) -> None:
    """Give the passages and their parts the entities that a component finds in them.

    schema (Schema): the passages; their documents are changed.
    path (Path): what `benchmarks.open_entities.found` wrote.
    tokenizer (Tokenizer): the one that made the documents.
    """
    with path.open(encoding="utf8") as file_:
        known = {record["text"]: record["found"] for record in map(json.loads, file_)}
    for doc in schema.docs:
        if doc.text in known:
            doc.found = match(doc, known[doc.text], tokenizer)
            for part in doc.parts:
                first = doc.text.index(part.text)
                last = first + len(part.text)
                inside = [(s - first, e - first, *rest) for s, e, *rest in known[doc.text] if first <= s and e <= last]
                part.found = match(part, inside, tokenizer)


def match(doc: Document, found: Sequence[Sequence[Any]], tokenizer: Tokenizer) -> List[Found]:
    """doc (Document): a passage, or a part of one.
    found (Sequence[Sequence[Any]]): characters from and to, type, and whether it may stand for another name.
    RETURNS (List[Found]): what is found, each with the entity that it is: of those that it shares half of their tokens
        with, the first that nothing else is. What is none, and stands for no other name, holds nothing.
    """
    offsets = tokenizer.encode(doc.text, add_special_tokens=False).offsets
    taken: Set[int] = set()
    out = []
    for start, end, type_, stands_for in found:
        span = token_span(offsets, start, end)
        if span is None:
            continue
        same, near = None, False
        for number, (first, last, _) in enumerate(doc.ents):
            shared = min(last, span[1]) - max(first, span[0])
            near = near or shared > 0
            if same is None and number not in taken and 2 * shared >= max(last, span[1]) - min(first, span[0]):
                same = number
                taken.add(number)
        out.append(Found(span[0], span[1], type_, same, same is not None or not (near or stands_for)))
    return out


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
