"""The JSON of SpERT, in which CoNLL04, SciERC and ADE go around: tokens, entities and relations of a sentence.

Eberts & Ulges 2020, https://arxiv.org/abs/1909.07755, https://github.com/lavis-nlp/spert.

    [{"tokens": ["Ann", "runs", "Acme"], "entities": [{"type": "Peop", "start": 0, "end": 1},
      {"type": "Org", "start": 2, "end": 3}], "relations": [{"type": "Work_For", "head": 0, "tail": 1}], "orig_id": 7}]

`start` and `end` are token indexes, `end` exclusive; `head` and `tail` are indexes into `entities`.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Optional, Sequence, Union

from spacy.tokens import Doc

from ..errors import Errors
from .files import Problems, write_json
from .parse import WORDS, Checker, is_id, is_int, is_name, is_tables, is_words
from .records import Format, Record, Sample, checked_records, from_records
from .tokens import join_words
from .writing import worded

WANTED = "tokens, entities [type, start, end] and relations [type, head, tail]"


def read_spert(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the records of a file. The file says nothing about spaces: they stand as English is written.

    path (Path): the file.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records.
    """
    return checked_records(path, problems, _may_be_mine, WANTED, _record)


def _record(place: str, raw: str, data: Dict[str, Any], check: Checker) -> Record:
    words = check.get(data, "tokens", "the record", is_words, WORDS) or []
    entities = check.get(data, "entities", "the record", is_tables, "a list of objects") or []
    relations = check.get(data, "relations", "the record", is_tables, "a list of objects", required=False)
    id_ = check.get(data, "orig_id", "the record", is_id, "a string or a whole number", required=False)
    text, starts = join_words(words)
    content: Dict[str, Any] = {"text": text}
    content["ents"] = [
        _ent(entity, f"entities[{i}]", words, starts, check) for i, entity in enumerate(entities if words else ())
    ]
    if relations is not None:
        content["relations"] = [
            {
                "head": check.get(item, "head", f"relations[{i}]", is_int, "a whole number"),
                "tail": check.get(item, "tail", f"relations[{i}]", is_int, "a whole number"),
                "label": check.get(item, "type", f"relations[{i}]", is_name, "a string that is not empty"),
            }
            for i, item in enumerate(relations)
        ]
    if id_ is not None:
        content["id"] = str(id_)
    return Record(place, raw, content, words=list(words))


def _ent(
    entity: Dict[str, Any], what: str, words: Sequence[str], starts: Sequence[int], check: Checker
) -> Optional[Dict[str, Any]]:
    start = check.get(entity, "start", what, is_int, "a whole number")
    end = check.get(entity, "end", what, is_int, "a whole number")
    label = check.get(entity, "type", what, is_name, "a string that is not empty")
    if start is None or end is None:
        return None
    if not 0 <= start < end <= len(words):
        check.messages.append(Errors.R378.format(what=what, start=start, end=end, count=len(words)))
        return None
    return {"start": starts[start], "end": starts[end - 1] + len(words[end - 1]), "label": label}


def _may_be_mine(data: Dict[str, Any]) -> bool:
    entities, tokens = data.get("entities"), data.get("tokens")
    listed = isinstance(entities, list) and all(isinstance(item, dict) and "type" in item for item in entities)
    return listed and isinstance(tokens, list) and all(isinstance(word, str) for word in tokens)


def _matches(sample: Sample) -> bool:
    return sample.has_object(_may_be_mine)


def write_spert(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents as one JSON list. The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    records = []
    for data, words, places in worded(docs, spans_key, dropped, ids=True):
        record: Dict[str, Any] = {"tokens": words}
        record["entities"] = [
            {"type": ent["label"], "start": start, "end": end} for ent, (start, end) in zip(data["ents"], places)
        ]
        if "relations" in data:
            record["relations"] = [
                {"type": item["label"], "head": item["head"], "tail": item["tail"]} for item in data["relations"]
            ]
        if "id" in data:
            record["orig_id"] = data["id"]
        records.append(record)
    return write_json(path, records)


SPERT = Format("spert", "SpERT and CoNLL04, JSON", _matches, from_records(read_spert), write_spert)
