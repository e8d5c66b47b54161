"""What the zero-shot benchmarks read, all in one form: schemas with labels, texts, entities and relations."""

import json
from pathlib import Path
from typing import List, Mapping, Sequence, Tuple

from spacy_ragre.corpora import read_semeval
from spacy_ragre.corpora.files import existing_path
from spacy_ragre.corpora.openrel import (
    DEV_SCHEMAS,
    SourceEntity,
    SourceLabel,
    SourceSchema,
    SourceText,
    read_schema,
    source_files,
)

from .zero_shot_words import FEWREL_SYMMETRIC, SEMEVAL

OPENREL = Path(__file__).parents[1] / "corpora_src" / "openrel"

Words = Mapping[str, Tuple[str, str]]


def make_schema(name: str, words: Words, symmetric: Sequence[str] = ()) -> SourceSchema:
    """RETURNS (SourceSchema): labels without types and without texts."""
    labels = {
        key: SourceLabel(key, (text,), definition, (), (), key in symmetric)
        for key, (text, definition) in words.items()
    }
    return SourceSchema(name, labels=labels)


def read_fewrel(path: Path, words: Words, first: str = "h") -> List[SourceSchema]:
    """FewRel: sentences by relation, each with one head and one tail.

    path (Path): the file.
    words (Words): text and definition of each relation.
    first (str): where a label's first argument stands. In val_pubmed it is "t": `gene_found_in_organism` has the
        organism as "h" and the gene as "t".
    RETURNS (List[SourceSchema]): one schema, whose texts have the head as their first entity.
    """
    schema = make_schema("fewrel", words, tuple(FEWREL_SYMMETRIC))
    for name, rows in json.loads(existing_path(path).read_text(encoding="utf8")).items():
        for row in rows:
            text, offsets = "", []
            for token in row["tokens"]:
                offsets.append((len(text), len(text) + len(token)))
                text += f"{token} "
            places = [row[key][2][0] for key in ("ht" if first == "h" else "th")]
            ents = tuple(SourceEntity(offsets[place[0]][0], offsets[place[-1]][1], "") for place in places)
            schema.texts.append(SourceText(text.rstrip(), ents, ((0, name, 1),)))
    return [schema]


def read_nominals(path: Path) -> List[SourceSchema]:
    """RETURNS (List[SourceSchema]): SemEval-2010 Task 8 as one schema; Other is no relation."""
    schema = make_schema("semeval", SEMEVAL)
    for doc in read_semeval(path):
        ents = tuple(SourceEntity(ent.start_char, ent.end_char, "") for ent in doc.ents)
        number = {(ent.start, ent.end): i for i, ent in enumerate(ents)}
        relations = []
        for rel in doc._.relations:
            head, tail = (number[span.start_char, span.end_char] for span in (rel.head, rel.tail))
            relations.append((head, rel.label, tail))
        schema.texts.append(SourceText(doc.text, ents, tuple(relations)))
    return [schema]


def read_crossre(folder: Path) -> List[SourceSchema]:
    """RETURNS (List[SourceSchema]): CrossRE's test documents of all six domains as one schema, with entity types."""
    spec = json.loads(existing_path(folder / "crossre.labels.json").read_text(encoding="utf8"))
    schema = make_schema("crossre", {key: (value["text"], value["definition"]) for key, value in spec.items()})
    for line in existing_path(folder / "crossre.test.jsonl").read_text(encoding="utf8").split("\n"):
        if line.strip():
            row = json.loads(line)
            ents = tuple(SourceEntity(ent["start"], ent["end"], ent["label"]) for ent in row["ents"])
            relations = tuple((rel["head"], rel["label"], rel["tail"]) for rel in row["relations"])
            schema.texts.append(SourceText(row["text"], ents, relations))
    return [schema]


def read_openrel(folder: Path = OPENREL) -> List[SourceSchema]:
    """RETURNS (List[SourceSchema]): openrel's development schemas."""
    return [read_schema(path) for path in source_files(folder) if path.stem in DEV_SCHEMAS]
