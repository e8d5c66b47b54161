"""The source files of openrel: checks them, converts them to the interchange format, and writes them back.

    python scripts/convert_openrel.py check corpora_src/openrel
    python scripts/convert_openrel.py convert corpora_src/openrel corpus/openrel

`corpora_src/openrel/README.md` tells the form of a source file. `convert` writes `train.jsonl`, `dev.jsonl` (the
schemas that models are chosen on) and `schemas.json` (the labels of every schema with their words, definitions and
types). Every document says which labels it was annotated for.
"""

import argparse
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

# Models and thresholds are chosen on these; all others train.
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
MIN_WORDINGS = 3
MAX_SHOWN = 40

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


def read_schema(path: Union[str, Path], problems: Optional[List[str]] = None) -> SourceSchema:
    """Read and check a source file.

    path (Union[str, Path]): the file.
    problems (Optional[List[str]]): gets a message for everything that is wrong, with file and line; what is wrong is
        left out of the schema. Without it a ValueError is raised that tells all.
    RETURNS (SourceSchema): the schema.
    """
    path = Path(path)
    found: List[str] = []
    schema = SourceSchema(path.stem)
    part = ""
    seen: Dict[str, int] = {}
    # Split at line feeds only: other line separators may stand inside a text.
    for number, line in enumerate(path.read_text(encoding="utf8").split("\n"), 1):
        line = line.strip()
        messages: List[str] = []
        if line.startswith("# title:"):
            schema.title = line[len("# title:") :].strip()
        elif line in ("# labels", "# texts"):
            part = line[2:]
        elif not line or line.startswith("#"):
            continue
        elif part == "labels":
            label = parse_label(line, messages)
            if label is not None and label.name in schema.labels:
                messages.append(f"the label {label.name!r} stands twice")
            elif label is not None:
                schema.labels[label.name] = label
        elif part == "texts":
            text = parse_text(line, schema.labels, messages)
            if text is not None:
                if text.text in seen:
                    messages.append(f"the same text as in line {seen[text.text]}")
                seen.setdefault(text.text, number)
                schema.texts.append(text)
        else:
            messages.append("a line before '# labels'")
        found.extend(f"{path}:{number}: {message}" for message in messages)
    if not schema.labels:
        found.append(f"{path}: no labels")
    if not schema.texts:
        found.append(f"{path}: no texts")
    if problems is not None:
        problems.extend(found)
    elif found:
        raise ValueError("\n".join(found))
    return schema


def parse_label(line: str, messages: List[str]) -> Optional[SourceLabel]:
    """A label line: `name | wording; wording; wording | definition | head types | tail types [| symmetric]`.

    line (str): the line.
    messages (List[str]): gets what is wrong with it.
    RETURNS (Optional[SourceLabel]): the label, None where the line can't be read.
    """
    parts = [part.strip() for part in line.split("|")]
    if not 5 <= len(parts) <= 6:
        messages.append("a label line is 'name | wording; wording; wording | definition | head types | tail types'")
        return None
    if len(parts) == 6 and parts[5] != "symmetric":
        messages.append(f"only 'symmetric' can follow the types, not {parts[5]!r}")
    texts = _split(parts[1], ";")
    if len(texts) < MIN_WORDINGS:
        messages.append(f"{parts[0]!r} has {len(texts)} wordings; {MIN_WORDINGS} are wanted")
    head_types, tail_types = _split(parts[3], ","), _split(parts[4], ",")
    needed = {"name": parts[0], "definition": parts[2], "head types": head_types, "tail types": tail_types}
    messages.extend(f"a label without {what}" for what, value in needed.items() if not value)
    if any(char.isspace() for char in parts[0]):
        messages.append(f"a name without spaces is wanted, not {parts[0]!r}")
    return SourceLabel(parts[0], texts, parts[2], head_types, tail_types, parts[5:] == ["symmetric"])


def parse_text(line: str, labels: Dict[str, SourceLabel], messages: List[str]) -> Optional[SourceText]:
    """A text line: a text with `[surface|TYPE]` entities, then `||` and its relations or `none`.

    line (str): the line.
    labels (Dict[str, SourceLabel]): the labels it may use.
    messages (List[str]): gets what is wrong with it.
    RETURNS (Optional[SourceText]): the text, None where the line can't be read.
    """
    if line.count("||") != 1:
        messages.append("exactly one '||' is wanted between a text and its relations")
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
        messages.append(f"a stray bracket or bar: {text[:60]!r}")
    if len(ents) < 2:
        messages.append(f"{len(ents)} entities; two or more are wanted")
    triples: List[Tuple[int, str, int]] = []
    if not relations:
        messages.append("'none' is wanted where no relation holds")
    for part in [] if relations == "none" else _split(relations, ";"):
        triple = _parse_relation(part, ents, labels, messages)
        if triple is None:
            continue
        if triple in triples or (labels[triple[1]].symmetric and triple[::-1] in triples):
            messages.append(f"{part!r} stands twice")
            continue
        triples.append(triple)
    return SourceText(text, tuple(ents), tuple(triples))


def _parse_relation(
    part: str, ents: Sequence[SourceEntity], labels: Dict[str, SourceLabel], messages: List[str]
) -> Optional[Tuple[int, str, int]]:
    """`head label tail`, with entity numbers from 1. None where it can't hold; `messages` then says why."""
    match = _RELATION.fullmatch(part)
    if match is None:
        messages.append(f"{part!r} is not 'number label number'")
        return None
    head, name, tail = int(match[1]), match[2], int(match[3])
    label = labels.get(name)
    if label is None:
        messages.append(f"unknown label {name!r}")
        return None
    if head == tail or not (1 <= head <= len(ents) and 1 <= tail <= len(ents)):
        messages.append(f"{part!r} wants two of the {len(ents)} entities")
        return None
    types = ents[head - 1].type, ents[tail - 1].type
    if not label.allows(*types):
        messages.append(f"{part!r} joins {types[0]} and {types[1]}, which {name!r} does not allow")
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


def format_schema(schema: SourceSchema) -> str:
    """RETURNS (str): the schema as a source file."""
    lines = [f"# title: {schema.title}", "# labels"]
    for label in schema.labels.values():
        parts = [label.name, "; ".join(label.texts), label.definition]
        parts += [",".join(label.head_types), ",".join(label.tail_types)] + ["symmetric"] * label.symmetric
        lines.append(" | ".join(parts))
    lines.append("# texts")
    for text in schema.texts:
        marked, end = "", 0
        for ent in text.ents:
            marked += f"{text.text[end : ent.start]}[{text.text[ent.start : ent.end]}|{ent.type}]"
            end = ent.end
        triples = " ; ".join(f"{head + 1} {label} {tail + 1}" for head, label, tail in text.relations)
        lines.append(f"{marked}{text.text[end:]} || {triples or 'none'}")
    return "\n".join(lines) + "\n"


def source_files(folder: Union[str, Path]) -> List[Path]:
    """RETURNS (List[Path]): the source files of a folder, in order. Without any, a FileNotFoundError is raised."""
    files = sorted(Path(folder).glob("*.txt"))
    if not files:
        raise FileNotFoundError(f"no source files (*.txt) in {folder}")
    return files


def convert_folder(folder: Union[str, Path], out: Union[str, Path]) -> Dict[str, int]:
    """Write `train.jsonl`, `dev.jsonl` and `schemas.json`.

    folder (Union[str, Path]): the source files. A ValueError that tells all problems is raised where there are any.
    out (Union[str, Path]): where to write; made where it is missing.
    RETURNS (Dict[str, int]): how many documents went into each split.
    """
    problems: List[str] = []
    schemas = [read_schema(path, problems) for path in source_files(folder)]
    if problems:
        raise ValueError("\n".join(problems))
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    counts: Dict[str, int] = {}
    for split in ("train", "dev"):
        chosen = [schema for schema in schemas if (schema.name in DEV_SCHEMAS) == (split == "dev")]
        records = [record for schema in chosen for record in to_records(schema)]
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        (out / f"{split}.jsonl").write_bytes("".join(lines).encode("utf8"))
        counts[split] = len(records)
    config = {schema.name: {"title": schema.title, "labels": label_config(schema)} for schema in schemas}
    text = json.dumps(config, ensure_ascii=False, indent=1) + "\n"
    (out / "schemas.json").write_bytes(text.encode("utf8"))
    return counts


def summary(schema: SourceSchema) -> str:
    """RETURNS (str): one line of counts."""
    counts = Counter(label for text in schema.texts for _, label, _ in text.relations)
    empty = sum(not text.relations for text in schema.texts)
    few = [name for name in schema.labels if counts[name] < 6]
    rare = f"; fewer than 6 times: {', '.join(few)}" if few else ""
    texts = f"{len(schema.texts)} texts ({empty} hold nothing)"
    return (
        f"{schema.name}: {schema.title}: {len(schema.labels)} labels, {texts}, {sum(counts.values())} relations{rare}"
    )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """RETURNS (int): 0, or 1 where a file has problems."""
    parser = argparse.ArgumentParser(description="Check or convert the source files of openrel.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check the source files and count what is in them")
    check.add_argument("folder", type=Path)
    convert = commands.add_parser("convert", help="write them in the interchange format")
    convert.add_argument("folder", type=Path)
    convert.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    problems: List[str] = []
    schemas = [read_schema(path, problems) for path in source_files(args.folder)]
    lines = problems[:MAX_SHOWN]
    if args.command == "check":
        lines += [summary(schema) for schema in schemas]
        labels, texts = sum(len(schema.labels) for schema in schemas), sum(len(schema.texts) for schema in schemas)
        total = sum(len(text.relations) for schema in schemas for text in schema.texts)
        counted = f"{len(schemas)} schemas, {labels} labels, {texts} texts, {total} relations"
        lines.append(f"{counted}, {len(problems)} problems")
    elif not problems:
        counts = convert_folder(args.folder, args.out)
        lines.append(", ".join(f"{split}: {count} documents" for split, count in counts.items()))
    else:
        lines.append(f"{len(problems)} problems; nothing was written")
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
