"""Documents that were annotated with doccano, in JSON lines: entities with or without relations.

    {"id": 1, "text": "Ann runs Acme.", "entities": [{"id": 7, "label": "PERSON", "start_offset": 0, "end_offset": 3},
     {"id": 8, "label": "ORG", "start_offset": 9, "end_offset": 13}],
     "relations": [{"id": 1, "from_id": 7, "to_id": 8, "type": "runs"}]}

A project without relations is exported as `{"text": "...", "label": [[0, 3, "PERSON"]]}`, which is read, too.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Optional, Union

from spacy.tokens import Doc

from ..errors import Errors
from .files import Problems, write_json_lines
from .parse import Checker, count_items, is_id, is_int, is_name, is_tables, is_text
from .records import Format, Record, Sample, checked_records, from_records
from .writing import flat_dict

WANTED = "text, entities [id, label, start_offset, end_offset] and relations [from_id, to_id, type]"
_ID = "a string or a whole number"


def read_doccano(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the records of a file.

    path (Path): the file.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records.
    """
    return checked_records(path, problems, _may_be_mine, WANTED, _record)


def _record(place: str, raw: str, example: Dict[str, Any], check: Checker) -> Record:
    data = _document(example, check)
    if check.messages:
        return Record(place, raw)
    comments = example.get("Comments") or example.get("comments")
    return Record(place, raw, data, dropped=Counter({"comments": count_items(comments)}))


def _document(example: Dict[str, Any], check: Checker) -> Dict[str, Any]:
    data: Dict[str, Any] = {"text": check.get(example, "text", "the document", is_text, "a string")}
    id_ = check.get(example, "id", "the document", is_id, _ID, required=False)
    if id_ is not None:
        data["id"] = str(id_)
    if "entities" not in example:
        key = "label" if "label" in example else "labels"
        data["ents"] = [dict(zip(("start", "end", "label"), item)) for item in example[key]]
        return data
    entities = check.get(example, "entities", "the document", is_tables, "a list of objects") or []
    data["ents"] = [_ent(entity, f"entities[{i}]", check) for i, entity in enumerate(entities)]
    relations = check.get(example, "relations", "the document", is_tables, "a list of objects", required=False)
    if relations is None:
        return data
    index: Dict[Any, int] = {}
    for i, entity in enumerate(entities):
        id_ = check.get(entity, "id", f"entities[{i}]", is_id, _ID)
        if id_ in index:
            check.messages.append(Errors.R343.format(what=f"entities[{i}]", id=id_))
        index[id_] = i
    data["relations"] = [_relation(item, f"relations[{i}]", index, check) for i, item in enumerate(relations)]
    return data


def _ent(entity: Dict[str, Any], what: str, check: Checker) -> Dict[str, Any]:
    return {
        "start": check.get(entity, "start_offset", what, is_int, "a whole number"),
        "end": check.get(entity, "end_offset", what, is_int, "a whole number"),
        "label": check.get(entity, "label", what, is_name, "a string that is not empty"),
    }


def _relation(item: Dict[str, Any], what: str, index: Dict[Any, int], check: Checker) -> Dict[str, Any]:
    relation: Dict[str, Any] = {"label": check.get(item, "type", what, is_name, "a string that is not empty")}
    for role, key in (("head", "from_id"), ("tail", "to_id")):
        id_ = check.get(item, key, what, is_id, _ID)
        relation[role] = index.get(id_)
        if id_ is not None and id_ not in index:
            problem = "no entity of the document has that id"
            check.messages.append(Errors.R342.format(what=f"{what}.{key}", reference=id_, problem=problem))
    return relation


def _may_be_mine(example: Dict[str, Any]) -> bool:
    if "text" not in example:
        return False
    if "entities" in example:
        entities = example["entities"]
        return not isinstance(entities, list) or all(
            isinstance(item, dict) and "start_offset" in item for item in entities
        )
    labels = example.get("label", example.get("labels"))
    return isinstance(labels, list) and all(isinstance(item, list) and len(item) == 3 for item in labels)


def _matches(sample: Sample) -> bool:
    return sample.has_object(
        lambda item: (
            _may_be_mine(item)
            and bool(item.get("entities") or item.get("label") or item.get("labels"))
            and "ents" not in item
        )
    )


def write_doccano(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents in JSON lines that doccano imports. The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    return write_json_lines(path, (_example(flat_dict(doc, spans_key, dropped, keeps=("unknown",))) for doc in docs))


def _example(data: Dict[str, Any]) -> Dict[str, Any]:
    example: Dict[str, Any] = {"id": data["id"]} if "id" in data else {}
    example["text"] = data["text"]
    example["entities"] = [
        {"id": i, "label": ent["label"], "start_offset": ent["start"], "end_offset": ent["end"]}
        for i, ent in enumerate(data["ents"])
    ]
    if "relations" in data:
        example["relations"] = [
            {"id": i, "from_id": item["head"], "to_id": item["tail"], "type": item["label"]}
            for i, item in enumerate(data["relations"])
        ]
    return example


DOCCANO = Format("doccano", "doccano, JSONL", _matches, from_records(read_doccano), write_doccano)
