"""Few-shot examples of spacy-llm's task of relations, as `spacy.FewShotReader.v1` reads them from JSON or JSON lines.

    {"text": "Ann runs Acme.", "ents": [{"start_char": 0, "end_char": 3, "label": "PERSON"},
     {"start_char": 9, "end_char": 13, "label": "ORG"}], "relations": [{"dep": 0, "dest": 1, "relation": "runs"}]}

`dep` and `dest` are indexes into `ents`: the relation goes from the first to the second.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Optional, Union

from spacy.tokens import Doc

from .files import Problems, write_json_lines
from .parse import Checker, is_int, is_name, is_tables, is_text
from .records import Format, Record, Sample, checked_records, from_records
from .writing import flat_dict, leave_out_id

WANTED = "text, ents [start_char, end_char, label] and relations [dep, dest, relation]"


def read_spacy_llm(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the records of a file.

    path (Path): the file.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records.
    """
    return checked_records(path, problems, _may_be_mine, WANTED, _record)


def _record(place: str, raw: str, example: Dict[str, Any], check: Checker) -> Record:
    ents = check.get(example, "ents", "the example", is_tables, "a list of objects")
    relations = check.get(example, "relations", "the example", is_tables, "a list of objects")
    data = {
        "text": check.get(example, "text", "the example", is_text, "a string"),
        "ents": [_ent(ent, f"ents[{i}]", check) for i, ent in enumerate(ents or [])],
        "relations": [_relation(item, f"relations[{i}]", check) for i, item in enumerate(relations or [])],
    }
    return Record(place, raw, data)


def _ent(ent: Dict[str, Any], what: str, check: Checker) -> Dict[str, Any]:
    return {
        "start": check.get(ent, "start_char", what, is_int, "a whole number"),
        "end": check.get(ent, "end_char", what, is_int, "a whole number"),
        "label": check.get(ent, "label", what, is_text, "a string"),
    }


def _relation(relation: Dict[str, Any], what: str, check: Checker) -> Dict[str, Any]:
    return {
        "head": check.get(relation, "dep", what, is_int, "a whole number"),
        "tail": check.get(relation, "dest", what, is_int, "a whole number"),
        "label": check.get(relation, "relation", what, is_name, "a string that is not empty"),
    }


def _may_be_mine(example: Dict[str, Any]) -> bool:
    ents = example.get("ents") or []
    listed = isinstance(ents, list) and all("start_char" in ent for ent in ents if isinstance(ent, dict))
    return listed and {"text", "ents", "relations"} <= example.keys()


def _matches(sample: Sample) -> bool:
    return sample.has_object(lambda item: _may_be_mine(item) and item["ents"])


def write_spacy_llm(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents as examples, in JSON lines. The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    return write_json_lines(path, (_example(flat_dict(doc, spans_key, dropped, ("untyped",)), dropped) for doc in docs))


def _example(data: Dict[str, Any], dropped: Counter[str]) -> Dict[str, Any]:
    leave_out_id(data, dropped)
    ents = [{"start_char": ent["start"], "end_char": ent["end"], "label": ent["label"]} for ent in data["ents"]]
    relations = [
        {"dep": item["head"], "dest": item["tail"], "relation": item["label"]} for item in data.get("relations", ())
    ]
    return {"text": data["text"], "ents": ents, "relations": relations}


SPACY_LLM = Format(
    "spacy-llm", "few-shot examples of spacy-llm, JSON", _matches, from_records(read_spacy_llm), write_spacy_llm
)
