"""Relations under many schemas, as readable source files: openrel and other corpora of that form.

A file is a schema, or several one after the other. `# title: ...` begins one and says what it is about, `# labels` is
followed by a line a label, `# texts` by a line a text, annotated completely under these labels:

    owns | owns; holds | the head owns the tail | PERSON,ORG | ORG
    [Rosalba Conti|PERSON] owns [Latteria Conti|ORG], a partner of [Burro|ORG]. || 1 owns 2

`|| none` follows a text in which nothing holds. `corpora_src/openrel/README.md` tells more of the form.
`write_corpus` converts schemas to the interchange format, and `read_corpus` takes them back.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

from ..errors import Errors
from ..files import atomic_write
from .files import Problems, existing_path, read_lines, write_json_lines

# Models and thresholds are chosen on these schemas of openrel; all others train.
DEV_SCHEMAS = (
    "04_boards",
    "15_courts",
    "24_books",
    "34_rail",
    "46_veterinary",
    "57_vehicles",
    "65_events",
    "74_languages",
    "84_abstracts",
)
# A label of openrel is trained in other words each time; a corpus that only measures needs one wording.
MIN_WORDINGS = 3
SPLITS = ("train", "dev")

_ENTITY = re.compile(r"\[([^\[\]|]+)\|([A-Z_]+)\]")
_RELATION = re.compile(r"(\d+) +(\S+) +(\d+)")


@dataclass(frozen=True)
class SourceLabel:
    """A label of a schema.

    name (str): its name.
    texts (Tuple[str, ...]): wordings that read between head and tail.
    definition (str): what decides whether it holds.
    head_types, tail_types (Tuple[str, ...]): entity types it may have.
    symmetric (bool): whether it holds in both directions.
    """

    name: str
    texts: Tuple[str, ...]
    definition: str
    head_types: Tuple[str, ...]
    tail_types: Tuple[str, ...]
    symmetric: bool = False

    def allows(self, head: str, tail: str) -> bool:
        """Whether entities of these types may stand in it."""
        fits = head in self.head_types and tail in self.tail_types
        return fits or (self.symmetric and head in self.tail_types and tail in self.head_types)


@dataclass(frozen=True)
class SourceEntity:
    """An entity: character offsets, `end` exclusive, and type."""

    start: int
    end: int
    type: str


@dataclass(frozen=True)
class SourceText:
    """A text, its entities in order, and its relations as (index of head, label, index of tail)."""

    text: str
    ents: Tuple[SourceEntity, ...]
    relations: Tuple[Tuple[int, str, int], ...]


@dataclass
class SourceSchema:
    """A source file.

    name (str): the file's name without its ending.
    title (str): what it is about.
    labels (Dict[str, SourceLabel]): by name.
    texts (List[SourceText]): all annotated completely under `labels`.
    """

    name: str
    title: str = ""
    labels: Dict[str, SourceLabel] = field(default_factory=dict)
    texts: List[SourceText] = field(default_factory=list)


# Reading


def read_schema(
    path: Union[str, Path], problems: Optional[Problems] = None, *, min_wordings: int = MIN_WORDINGS
) -> SourceSchema:
    """Read and check a source file of one schema.

    path, problems, min_wordings: see `read_schemas`.
    RETURNS (SourceSchema): the schema, named as the file without its ending.
    """
    found = Problems(existing_path(path)) if problems is None else problems
    schemas = read_schemas(path, found, min_wordings=min_wordings)
    if len(schemas) > 1:
        found.add("the file", Errors.R360.format(count=len(schemas)))
    if problems is None:
        found.raise_any()
    return schemas[0]


def read_schemas(
    path: Union[str, Path], problems: Optional[Problems] = None, *, min_wordings: int = MIN_WORDINGS
) -> List[SourceSchema]:
    """Read and check a source file. Each `# title:` begins a schema.

    path (Union[str, Path]): the file.
    problems (Optional[Problems]): gets everything that is wrong; what is wrong is left out of the schemas. Without it a
        ValueError is raised that tells all.
    min_wordings (int): least wordings of a label, 1 or more. With 1, labels are as users give them, and need no
        definition.
    RETURNS (List[SourceSchema]): at least one, named as the file without its ending; of several, each with its number.
    """
    if min_wordings < 1:
        raise ValueError(Errors.R356.format(value=min_wordings))
    path = existing_path(path)
    found = Problems(path) if problems is None else problems
    schemas = [SourceSchema(path.stem)]
    part = ""
    lines_by_text: Dict[str, int] = {}
    for number, line in read_lines(path, found):
        line, schema = line.strip(), schemas[-1]
        messages: List[str] = []
        if line.startswith("# title:"):
            if part:
                _check_parts(schema, found)
                schema, part = SourceSchema(path.stem), ""
                schemas.append(schema)
            schema.title = line[len("# title:") :].strip()
        elif line in ("# labels", "# texts"):
            part = line[2:]
        elif not line or line.startswith("#"):
            continue
        elif part == "labels":
            label = _parse_label(line, min_wordings, messages)
            if label is not None and label.name in schema.labels:
                messages.append(Errors.R350.format(problem=f"the label {label.name!r} stands twice"))
            elif label is not None:
                schema.labels[label.name] = label
        elif part == "texts":
            text = _parse_text(line, schema.labels, messages)
            if text is not None:
                if text.text in lines_by_text:
                    problem = f"the same text stands in line {lines_by_text[text.text]}"
                    messages.append(Errors.R351.format(problem=problem))
                lines_by_text.setdefault(text.text, number)
                schema.texts.append(text)
        else:
            messages.append(Errors.R353)
        for message in messages:
            found.add(number, message)
    _check_parts(schemas[-1], found)
    if len(schemas) > 1:
        for count, schema in enumerate(schemas, 1):
            schema.name = f"{path.stem}_{count}"
    if problems is None:
        found.raise_any()
    return schemas


def _check_parts(schema: SourceSchema, problems: Problems) -> None:
    for what in ("labels", "texts"):
        if not getattr(schema, what):
            problems.add(f"the schema {schema.title!r}" if schema.title else "the file", Errors.R354.format(what=what))


def _parse_label(line: str, min_wordings: int, messages: List[str]) -> Optional[SourceLabel]:
    """A label line: `name | wording; wording; wording | definition | head types | tail types [| symmetric]`.

    messages (List[str]): gets what is wrong with it.
    RETURNS (Optional[SourceLabel]): the label, None where the line can't be read.
    """

    def tell(problem: str) -> None:
        messages.append(Errors.R350.format(problem=problem))

    parts = [part.strip() for part in line.split("|")]
    if not 5 <= len(parts) <= 6:
        tell(f"it has {len(parts)} parts between bars")
        return None
    if len(parts) == 6 and parts[5] != "symmetric":
        tell(f"only 'symmetric' can follow the types, not {parts[5]!r}")
    texts = _split(parts[1], ";")
    if len(texts) < min_wordings:
        tell(f"{parts[0]!r} has {len(texts)} wording(s), and {min_wordings} are needed")
    if len(set(texts)) < len(texts):
        tell(f"{parts[0]!r} has the same wording twice")
    head_types, tail_types = _split(parts[3], ","), _split(parts[4], ",")
    needed = {"name": parts[0], "head types": head_types, "tail types": tail_types}
    if min_wordings > 1:
        needed["definition"] = parts[2]
    for what, value in needed.items():
        if not value:
            tell(f"the label has no {what}")
    if any(char.isspace() for char in parts[0]):
        tell(f"the name {parts[0]!r} has spaces")
    return SourceLabel(parts[0], texts, parts[2], head_types, tail_types, parts[5:] == ["symmetric"])


def _parse_text(line: str, labels: Dict[str, SourceLabel], messages: List[str]) -> Optional[SourceText]:
    """A text line: a text with `[surface|TYPE]` entities, then `||` and its relations or `none`.

    labels (Dict[str, SourceLabel]): the labels it may use.
    messages (List[str]): gets what is wrong with it.
    RETURNS (Optional[SourceText]): the text, None where the line can't be read.
    """

    def tell(problem: str) -> None:
        messages.append(Errors.R351.format(problem=problem))

    if line.count("||") != 1:
        tell(f"'||' stands in it {line.count('||')} times")
        return None
    marked, relations = (part.strip() for part in line.split("||"))
    text, ents, end = "", [], 0
    for match in _ENTITY.finditer(marked):
        text += marked[end : match.start()]
        ents.append(SourceEntity(len(text), len(text) + len(match[1]), match[2]))
        text += match[1]
        end = match.end()
    text += marked[end:]
    if any(char in text for char in "[]|"):
        tell(f"a bracket or a bar is left over in {text[:60]!r}")
    if len(ents) < 2:
        tell(f"it has {len(ents)} entities, and two are needed")
    if not relations:
        tell("nothing follows '||'")
    triples: List[Tuple[int, str, int]] = []
    for part in [] if relations == "none" else _split(relations, ";"):
        triple = _parse_relation(part, ents, labels, messages)
        if triple is None:
            continue
        if triple in triples or (labels[triple[1]].symmetric and triple[::-1] in triples):
            messages.append(Errors.R352.format(relation=part, problem="it stands twice"))
            continue
        triples.append(triple)
    return SourceText(text, tuple(ents), tuple(triples))


def _parse_relation(
    part: str, ents: Sequence[SourceEntity], labels: Dict[str, SourceLabel], messages: List[str]
) -> Optional[Tuple[int, str, int]]:
    """`head label tail`, with entity numbers from 1. None where it can't hold; `messages` then says why."""

    def tell(problem: str) -> None:
        messages.append(Errors.R352.format(relation=part, problem=problem))

    match = _RELATION.fullmatch(part)
    if match is None:
        tell("it is not 'number label number'")
        return None
    head, name, tail = int(match[1]), match[2], int(match[3])
    label = labels.get(name)
    if label is None:
        tell(f"the label {name!r} is unknown")
        return None
    if head == tail or not (1 <= head <= len(ents) and 1 <= tail <= len(ents)):
        tell(f"it needs two different ones of the {len(ents)} entities")
        return None
    types = ents[head - 1].type, ents[tail - 1].type
    if not label.allows(*types):
        tell(f"it joins {types[0]} and {types[1]}, which {name!r} does not allow")
        return None
    return head - 1, name, tail - 1


def _split(text: str, separator: str) -> Tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in text.split(separator)) if part)


# Converting


def to_records(schema: SourceSchema) -> Iterator[Dict[str, Any]]:
    """The texts in the interchange format. `labels` are those that a document was annotated for: the schema's.

    schema (SourceSchema): the schema.
    YIELDS (Dict[str, Any]): documents, as `{"id", "schema", "text", "ents", "labels", "relations"}`.
    """
    for number, text in enumerate(schema.texts):
        yield {
            "id": f"{schema.name}-{number}",
            "schema": schema.name,
            "text": text.text,
            "ents": [{"start": ent.start, "end": ent.end, "label": ent.type} for ent in text.ents],
            "labels": list(schema.labels),
            "relations": [{"head": head, "tail": tail, "label": label} for head, label, tail in text.relations],
        }


def label_config(schema: SourceSchema) -> Dict[str, Dict[str, Any]]:
    """RETURNS (Dict[str, Dict[str, Any]]): the labels as plain data, by name."""
    return {
        label.name: {
            "text": label.texts[0],
            "wordings": list(label.texts),
            "definition": label.definition,
            "head_types": list(label.head_types),
            "tail_types": list(label.tail_types),
            "symmetric": label.symmetric,
        }
        for label in schema.labels.values()
    }


def component_labels(schema: SourceSchema, *, types: bool = True) -> Dict[str, Dict[str, Any]]:
    """The labels as settings of `rag_relation_extractor`.

    schema (SourceSchema): the schema.
    types (bool): with the entity types of head and tail.
    RETURNS (Dict[str, Dict[str, Any]]): text, definition, symmetry and types of each label, by name.
    """
    keys = ("definition", "symmetric", *(("head_types", "tail_types") if types else ()))
    return {
        name: {"text": value["wordings"], **{key: value[key] for key in keys}}
        for name, value in label_config(schema).items()
    }


def from_records(
    name: str, title: str, labels: Dict[str, Dict[str, Any]], records: Iterable[Dict[str, Any]]
) -> SourceSchema:
    """A schema from what `label_config` and `to_records` give: the way back.

    name, title (str): of the schema.
    labels (Dict[str, Dict[str, Any]]): its labels.
    records (Iterable[Dict[str, Any]]): its documents.
    RETURNS (SourceSchema): the schema.
    """
    schema = SourceSchema(name, title)
    for key, value in labels.items():
        types = tuple(value["head_types"]), tuple(value["tail_types"])
        schema.labels[key] = SourceLabel(key, tuple(value["wordings"]), value["definition"], *types, value["symmetric"])
    for record in records:
        ents = tuple(SourceEntity(ent["start"], ent["end"], ent["label"]) for ent in record["ents"])
        triples = tuple((rel["head"], rel["label"], rel["tail"]) for rel in record["relations"])
        schema.texts.append(SourceText(record["text"], ents, triples))
    return schema


def source_files(folder: Union[str, Path]) -> List[Path]:
    """RETURNS (List[Path]): the source files of a folder, in order. Without any, a FileNotFoundError is raised."""
    files = sorted(Path(folder).glob("*.txt"))
    if not files:
        raise FileNotFoundError(Errors.R355.format(folder=folder))
    return files


def write_corpus(schemas: Iterable[SourceSchema], out: Union[str, Path]) -> Dict[str, int]:
    """Write `train.jsonl`, `dev.jsonl` (the schemas of `DEV_SCHEMAS`) and `schemas.json` (the labels of all).

    schemas (Iterable[SourceSchema]): the schemas.
    out (Union[str, Path]): the folder to write to; made where it is missing.
    RETURNS (Dict[str, int]): how many documents went into each split.
    """
    out = Path(out)
    records: Dict[str, List[Dict[str, Any]]] = {split: [] for split in SPLITS}
    config = {}
    for schema in schemas:
        records["dev" if schema.name in DEV_SCHEMAS else "train"].extend(to_records(schema))
        config[schema.name] = {"title": schema.title, "labels": label_config(schema)}
    for split, documents in records.items():
        write_json_lines(out / f"{split}.jsonl", documents)
    with atomic_write(out / "schemas.json") as file_:
        file_.write(f"{json.dumps(config, ensure_ascii=False, indent=1)}\n".encode())
    return {split: len(documents) for split, documents in records.items()}


def read_corpus(folder: Union[str, Path], split: str) -> List[SourceSchema]:
    """Read what `write_corpus` wrote.

    folder (Union[str, Path]): its folder.
    split (str): "train" or "dev".
    RETURNS (List[SourceSchema]): the schemas that have documents in the split, in their order.
    """
    path = existing_path(Path(folder) / f"{split}.jsonl")
    names = existing_path(Path(folder) / "schemas.json")
    documents: Dict[str, List[Dict[str, Any]]] = {}
    problems = Problems(path)
    try:
        config = json.loads(names.read_text(encoding="utf8"))
        for _, line in read_lines(path, problems):
            record = json.loads(line)
            documents.setdefault(record["schema"], []).append(record)
        problems.raise_any()
        return [
            from_records(name, config[name]["title"], config[name]["labels"], found)
            for name, found in documents.items()
        ]
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise ValueError(Errors.R357.format(folder=folder, problem=problem)) from error
