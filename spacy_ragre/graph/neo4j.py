"""Graphs for Neo4j: tables that its `neo4j-admin database import` reads, and a Cypher script.

https://neo4j.com/docs/operations-manual/current/import/ and https://neo4j.com/docs/cypher-manual/current/syntax/.
"""

import csv
import io
import json
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Dict, List, Mapping, Union

from ..files import replace_folder

if TYPE_CHECKING:
    import networkx

NODES, RELATIONSHIPS = "nodes.csv", "relationships.csv"
# The label that all nodes have, beside that of their type.
ENTITY = "Entity"

Value = Union[str, int, float]

# Where Neo4j takes a text apart: it ends a label of a list, and a quoted name can't hold the others in a safe form.
_NOT_IN_NAMES = re.compile("[;\\\\\x00-\x1f\x7f-\x9f]")
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_ESCAPED = re.compile("[\\\\'\x00-\x1f\x7f-\x9f\u2028\u2029]")


def write_csv(graph: "networkx.MultiDiGraph", folder: Path) -> None:
    """Write `nodes.csv` and `relationships.csv`, whose headers name ids, labels and types as Neo4j's import reads them.

    Tables of counts and provenance are JSON in one line. Names of entities may have line breaks, for which the import
    takes `--multiline-fields=true`.

    graph (networkx.MultiDiGraph): the graph.
    folder (Path): where the two files go.
    """
    with replace_folder(folder, (NODES, RELATIONSHIPS)) as temporary:
        with (temporary / NODES).open("w", encoding="utf8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["id:ID", "name", "type", "kb_id", "count:int", "types", "names", "mentions", ":LABEL"])
            for id_, data in graph.nodes(data=True):
                tables = [_json(data[field]) for field in ("types", "names", "mentions")]
                labels = ";".join(_labels(data["type"]))
                table.writerow([id_, data["name"], data["type"], data["kb_id"], data["count"], *tables, labels])
        with (temporary / RELATIONSHIPS).open("w", encoding="utf8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow([":START_ID", ":END_ID", ":TYPE", "label", "score:double", "count:int", "provenance"])
            for head, tail, data in graph.edges(data=True):
                row = [head, tail, _name(data["label"]), data["label"], data["score"], data["count"]]
                table.writerow([*row, _json(data["provenance"])])


def write_cypher(graph: "networkx.MultiDiGraph", file: IO[bytes]) -> None:
    """Write a script for `cypher-shell`: a statement a line, which may be run again. It has no parameters: texts are
    literals that can't end early, whatever they hold.

    graph (networkx.MultiDiGraph): the graph.
    file (IO[bytes]): the open file.
    """
    out = io.TextIOWrapper(file, encoding="utf8", newline="\n", write_through=True)
    constraint = f"CREATE CONSTRAINT ragre_entity_id IF NOT EXISTS FOR (n:{ENTITY}) REQUIRE n.id IS UNIQUE;\n"
    out.write(constraint)
    for id_, data in graph.nodes(data=True):
        labels = "".join(f":{quoted_name(label)}" for label in _labels(data["type"])[1:])
        values: Dict[str, Value] = {field: data[field] for field in ("name", "type", "kb_id", "count")}
        values.update({field: _json(data[field]) for field in ("types", "names", "mentions")})
        sets = [*([f"n{labels}"] if labels else []), *_sets("n", values)]
        out.write(f"MERGE (n:{ENTITY} {{id: {literal(id_)}}}) SET {', '.join(sets)};\n")
    for head, tail, data in graph.edges(data=True):
        ends = f"(h:{ENTITY} {{id: {literal(head)}}}), (t:{ENTITY} {{id: {literal(tail)}}})"
        # Two labels may have one type, so that the label itself tells relations apart.
        edge = f"(h)-[r:{quoted_name(_name(data['label']))} {{label: {literal(data['label'])}}}]->(t)"
        values = {"score": data["score"], "count": data["count"], "provenance": _json(data["provenance"])}
        out.write(f"MATCH {ends} MERGE {edge} SET {', '.join(_sets('r', values))};\n")
    out.flush()
    out.detach()


def literal(value: Value) -> str:
    """RETURNS (str): a number or a text as an expression of Cypher.

    Neo4j reads "\\u0027" as a quote before it looks for the end of a text, so that no backslash of ours stands before a
    "u": what would be one is cut there, into two texts with a plus.
    """
    if not isinstance(value, str):
        return repr(value)
    parts = re.split(r"(?<=\\)(?=[uU])", value)
    texts = [f"'{_ESCAPED.sub(lambda found: _escape(found[0]), part)}'" for part in parts]
    return texts[0] if len(texts) == 1 else f"({' + '.join(texts)})"


def _escape(char: str) -> str:
    # Other control characters become what they are before the text is read, and have no meaning in it.
    return _ESCAPES.get(char) or f"\\u{ord(char):04x}"


def quoted_name(name: str) -> str:
    """RETURNS (str): the name of a label or a type in backquotes."""
    return f"`{name.replace('`', '``')}`"


def _labels(type_: str) -> List[str]:
    return [ENTITY, _name(type_)] if type_ else [ENTITY]


def _name(text: str) -> str:
    """RETURNS (str): a text as the name of a label or type; the exact text is a property beside it."""
    return _NOT_IN_NAMES.sub("_", text)


def _sets(variable: str, values: Mapping[str, Value]) -> List[str]:
    return [f"{variable}.{field} = {literal(value)}" for field, value in values.items()]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
