"""Texts with entities for the finder of entities: openrel, Re-DocRED dev, and other open corpora with types."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from spacy_ragre.components.relations.open_tokens import type_words
from spacy_ragre.corpora.openrel import SourceSchema, read_schema, source_files
from spacy_ragre.entity_types import ONTONOTES, TERM

from ..open_relations import passages

# openrel brackets all names and amounts from this file on.
FIRST_COMPLETE = 101
# Of those files, the ones that are never trained on here.
HELD_OUT = frozenset("103 110 125 140 155 170 185 200 212 229 245 258 271 286 301 309 318 351 369 383 391 398".split())
# Corpora in the interchange format, of which the training part is read.
CORPORA = ("fire", "wlp", "pcmsp", "chemrxn")
# How often a corpus is drawn.
SHARES = {
    "openrel": 0.2, "passages": 0.46, "types": 0.2, "redocred": 0.09, "fire": 0.02, "wlp": 0.01, "pcmsp": 0.01,
    "chemrxn": 0.01,
}  # fmt: skip
REDOCRED = {
    "PER": "person",
    "ORG": "organisation",
    "LOC": "place",
    "TIME": "date",
    "NUM": "number",
    "MISC": "other name",
}
# Other words for the types of OntoNotes.
WORDS: Dict[str, Tuple[str, ...]] = {
    "PERSON": ("person", "people", "name of a person", "human"),
    "ORG": ("organisation", "organization", "company or institution", "company, agency or team"),
    "GPE": ("country or city", "city, country or state", "geopolitical entity"),
    "LOC": ("place", "location", "region, river or mountain"),
    "FAC": ("building", "facility", "building, road or airport"),
    "NORP": ("nationality or group", "nationality, religion or party"),
    "DATE": ("date", "date or year", "day, month or year"),
    "TIME": ("time", "time of day", "hour"),
    "MONEY": ("money", "price", "sum of money"),
    "PERCENT": ("percent", "percentage"),
    "QUANTITY": ("quantity", "measurement", "amount with its unit"),
    "CARDINAL": ("number", "count"),
    "ORDINAL": ("number", "ordinal number"),
    "PRODUCT": ("product", "vehicle or device", "product name"),
    "EVENT": ("event", "named event"),
    "WORK_OF_ART": ("work of art", "title of a book, film or song", "book, film or song"),
    "LAW": ("law", "law or treaty"),
    "LANGUAGE": ("language",),
}


@dataclass(frozen=True)
class Text:
    """A text whose entities of some types are all known.

    text (str): the text.
    ents (Tuple[Tuple[int, int, str], ...]): characters from and to (exclusive), and type; none overlap.
    """

    text: str
    ents: Tuple[Tuple[int, int, str], ...]


@dataclass(frozen=True)
class TypedTexts:
    """Texts under one set of types.

    name, source (str): of the schema, and its corpus.
    types (Dict[str, Tuple[str, ...]]): the types, and the words for each.
    texts (List[Text]): the texts.
    """

    name: str
    source: str
    types: Dict[str, Tuple[str, ...]]
    texts: List[Text]


def words_of(type_: str) -> Tuple[str, ...]:
    """RETURNS (Tuple[str, ...]): the words for a type; the first as the component has them."""
    return tuple(dict.fromkeys((type_words(type_), *WORDS.get(type_, ()))))


def without_overlaps(ents: Sequence[Tuple[int, int, str]]) -> Tuple[Tuple[int, int, str], ...]:
    """RETURNS (Tuple[Tuple[int, int, str], ...]): of entities that overlap, the longer ones."""
    kept: List[Tuple[int, int, str]] = []
    for ent in sorted(ents, key=lambda ent: (ent[0] - ent[1], ent[0])):
        if all(ent[1] <= other[0] or other[1] <= ent[0] for other in kept):
            kept.append(ent)
    return tuple(sorted(kept))


def of_schema(schema: SourceSchema, source: str = "openrel") -> TypedTexts:
    """RETURNS (TypedTexts): a schema of openrel. Where it has spaCy's types, all of these are asked for; common nouns
    (TERM) are none.
    """
    texts = [
        Text(text.text, without_overlaps([(ent.start, ent.end, ent.type) for ent in text.ents if ent.type != TERM]))
        for text in schema.texts
    ]
    found = {type_ for text in texts for _, _, type_ in text.ents}
    names = sorted(ONTONOTES if found <= ONTONOTES else found)
    return TypedTexts(schema.name, source, {name: words_of(name) for name in names}, texts)


def read_openrel(folder: Path, held_out: bool) -> List[TypedTexts]:
    """RETURNS (List[TypedTexts]): the schemas of openrel that are annotated completely: those that train, or those that
    are held out.
    """
    out = []
    for path in source_files(folder):
        number = path.name.split("_")[0]
        if number.isdigit() and int(number) >= FIRST_COMPLETE and (number in HELD_OUT) == held_out:
            out.append(of_schema(read_schema(path, min_wordings=1)))
    return out


def read_passages(held_out: bool) -> List[TypedTexts]:
    """RETURNS (List[TypedTexts]): the passages that train, or those that are held out."""
    return [of_passage(schema) for schema in passages.read_passages(held_out)]


def of_passage(schema: SourceSchema) -> TypedTexts:
    """RETURNS (TypedTexts): a passage. Types of its labels that no entity has are asked for, too, but those of
    OntoNotes, which may mean what has a type of its own.
    """
    typed = of_schema(schema, passages.SOURCE)
    for label in schema.labels.values():
        for type_ in (*label.head_types, *label.tail_types):
            if type_ not in ONTONOTES and type_ != TERM:
                typed.types.setdefault(type_, words_of(type_))
    return typed


def read_docred(path: Path, name: str = "redocred") -> TypedTexts:
    """RETURNS (TypedTexts): a file of Re-DocRED, in parts of one to three sentences."""
    texts: List[Text] = []
    chance = random.Random(0)
    for record in json.loads(path.read_text(encoding="utf8")):
        first = 0
        while first < len(record["sents"]):
            last = first + chance.choice((1, 2, 3))
            texts.append(_part(record, first, last))
            first = last
    return TypedTexts(name, "redocred", {key: (words,) for key, words in REDOCRED.items()}, texts)


def _part(record: Dict[str, Any], first: int, last: int) -> Text:
    text, places = "", {}
    for sentence, tokens in list(enumerate(record["sents"]))[first:last]:
        for i, token in enumerate(tokens):
            places[sentence, i] = len(text), len(text) + len(token)
            text += f"{token} "
    ents = [
        (
            places[vertex["sent_id"], vertex["pos"][0]][0],
            places[vertex["sent_id"], vertex["pos"][1] - 1][1],
            vertex["type"],
        )
        for cluster in record["vertexSet"]
        for vertex in cluster
        if first <= vertex["sent_id"] < last
    ]
    return Text(text, without_overlaps(sorted(set(ents))))


def read_corpus(path: Path, name: str) -> TypedTexts:
    """RETURNS (TypedTexts): a corpus in the interchange format."""
    texts = []
    with path.open(encoding="utf8") as file_:
        for line in filter(str.strip, file_):
            record = json.loads(line)
            ents = [(ent["start"], ent["end"], ent["label"]) for ent in record["ents"]]
            texts.append(Text(record["text"], without_overlaps(ents)))
    names = sorted({type_ for text in texts for _, _, type_ in text.ents})
    return TypedTexts(name, name, {key: words_of(key) for key in names}, texts)


def read_training(data: Path, openrel: Path) -> Iterator[TypedTexts]:
    """YIELDS (TypedTexts): all that trains.

    data (Path): folder of the corpora.
    openrel (Path): folder of openrel's source files.
    """
    yield from read_openrel(openrel, held_out=False)
    yield from read_passages(held_out=False)
    yield read_docred(data / "redocred" / "dev_revised.json")
    for name in CORPORA:
        yield read_corpus(data / "relations" / f"{name}.train.jsonl", name)
