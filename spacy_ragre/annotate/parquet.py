"""Documents as rows of Parquet, with the keys of the interchange format as columns."""

import json
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Dict, Iterator, List, Mapping, Sequence

from ..errors import Errors
from .packages import need

WHAT = "Parquet"
# What is read of a document; relations are what a pipeline writes.
COLUMNS = ("id", "text", "ents", "clusters", "labels")
# Rows that are decoded at a time.
_ROWS = 1024


def read_ids(path: Path) -> Iterator[object]:
    """Read a file through, all that will be asked of it.

    path (Path): the file. A ValueError is raised where it can't be read.
    YIELDS (object): each document's id, None where there is none.
    """
    file = _open(path)
    has_id = "id" in file.schema_arrow.names
    for batch in _batches(file, path):
        yield from batch.column("id").to_pylist() if has_id else [None] * batch.num_rows


def read_rows(path: Path, start: int, count: int) -> Iterator[Dict[str, Any]]:
    """path (Path): the file.
    start (int): number of the first row, from 0.
    count (int): of rows.
    YIELDS (Dict[str, Any]): the rows as records of the interchange format.
    """
    file = _open(path)
    groups: List[int] = []
    first = position = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if first < start + count and start < first + rows:
            position = position if groups else first
            groups.append(group)
        first += rows
    for batch in _batches(file, path, groups):
        begin, end = max(start - position, 0), min(start + count - position, batch.num_rows)
        if begin < end:
            yield from batch.slice(begin, end - begin).to_pylist()
        position += batch.num_rows
        if position >= start + count:
            return


def write_rows(records: Sequence[Mapping[str, Any]], stream: IO[bytes]) -> None:
    """records (Sequence[Mapping[str, Any]]): documents of the interchange format.
    stream (IO[bytes]): the open file.
    """
    arrow = need("pyarrow", WHAT)
    table = arrow.Table.from_pylist([_row(record) for record in records], schema=_schema(arrow))
    need("pyarrow.parquet", WHAT).write_table(table, stream)


def _row(record: Mapping[str, Any]) -> Dict[str, Any]:
    row = {**record, "id": None if record.get("id") is None else str(record["id"])}
    if "relations" in record:
        row["relations"] = [
            {**relation, "score": relation.get("score", 1.0), "evidence": _json(relation.get("evidence"))}
            for relation in record["relations"]
        ]
    return row


def _json(value: object) -> "str | None":
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _schema(arrow: ModuleType) -> Any:
    index = arrow.int32()
    text, real = arrow.string(), arrow.float64()
    ent = {"start": index, "end": index, "label": text, "kb_id": text, "usage": text, "usage_score": real}
    # Evidence is a table of any form: it is JSON.
    relation = {"head": index, "tail": index, "label": text, "score": real, "evidence": text}
    weight = {"head": index, "tail": index, "weight": real}
    return arrow.schema(
        {
            "id": text,
            "text": text,
            "ents": arrow.list_(arrow.struct(list(ent.items()))),
            "clusters": arrow.list_(arrow.list_(index)),
            "relations": arrow.list_(arrow.struct(list(relation.items()))),
            "labels": arrow.list_(text),
            "triples": arrow.list_(arrow.list_(text)),
            "weights": arrow.list_(arrow.struct(list(weight.items()))),
        }
    )


def _open(path: Path) -> Any:
    parquet, arrow = need("pyarrow.parquet", WHAT), need("pyarrow", WHAT)
    try:
        file = parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(Errors.R721.format(path=path, problem=_short(error))) from error
    schema = file.schema_arrow
    kind = schema.field("text").type if schema.names.count("text") == 1 else None
    if kind is not None and arrow.types.is_dictionary(kind):
        kind = kind.value_type
    if kind is None or not (arrow.types.is_string(kind) or arrow.types.is_large_string(kind)):
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"
        known = ", ".join(name for name in COLUMNS if name != "text")
        raise ValueError(Errors.R722.format(path=path, columns=columns, known=known))
    return file


def _batches(file: Any, path: Path, groups: "List[int] | None" = None) -> Iterator[Any]:
    arrow = need("pyarrow", WHAT)
    columns = [name for name in COLUMNS if name in file.schema_arrow.names]
    try:
        yield from file.iter_batches(batch_size=_ROWS, row_groups=groups, columns=columns)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(Errors.R721.format(path=path, problem=_short(error))) from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300]
