"""Relations that were annotated with Prodigy (`rel.manual`), as `db-out` exports them, in JSON lines.

    {"text": "Ann runs Acme.", "spans": [{"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "PERSON"},
     {"start": 9, "end": 13, "token_start": 2, "token_end": 2, "label": "ORG"}], "tokens": [...], "answer": "accept",
     "relations": [{"head": 0, "child": 2, "head_span": {...}, "child_span": {...}, "label": "runs"}]}

Character offsets have exclusive ends, `token_end` is inclusive; `head` and `child` are the last tokens of their spans.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from spacy.tokens import Doc

from ..errors import Errors
from .files import Problems, write_json_lines
from .parse import Checker, is_int, is_name, is_table, is_tables, is_text
from .records import Format, Record, Sample, check_mention, checked_records, from_records
from .writing import NO_TYPE, flat_dict

WANTED = "text, spans [start, end, label] and relations [head, child, label]"
_UNTYPED = f"types of relation arguments that are no span (kept as {NO_TYPE})"
_OFFSET = "a whole number"


def read_prodigy(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the records of a file. What was rejected or ignored is left out.

    path (Path): the file.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records.
    """
    return checked_records(path, problems, _may_be_mine, WANTED, _record)


def _record(place: str, raw: str, task: Dict[str, Any], check: Checker) -> Record:
    answer = task.get("answer", "accept")
    if answer != "accept":
        return Record(place, raw, dropped=Counter({f"documents with the answer {answer!r}": 1}))
    reader = _Task(task, check)
    data = reader.document()
    return Record(place, raw, data, dropped=reader.dropped)


class _Task:
    """Reads one task."""

    def __init__(self, task: Dict[str, Any], check: Checker) -> None:
        self.task = task
        self.check = check
        self.dropped: Counter[str] = Counter()
        self.text = check.get(task, "text", "the task", is_text, "a string") or ""
        spans = check.get(task, "spans", "the task", is_tables, "a list of objects", required=False)
        self.spans: List[Dict[str, Any]] = spans or []
        self.tokens: List[Dict[str, Any]] = check.optional(task, "tokens", is_tables, "a list of objects") or []
        self.ents: List[Dict[str, Any]] = []

    def document(self) -> Dict[str, Any]:
        self.ents = [self._ent(span, f"spans[{i}]") for i, span in enumerate(self.spans)]
        data: Dict[str, Any] = {"text": self.text, "ents": self.ents}
        meta = self.task.get("meta")
        id_ = meta.get("id") if isinstance(meta, dict) else None
        id_ = self.task.get("_task_hash") if id_ is None else id_
        if id_ is not None:
            data["id"] = id_
        relations = self.check.optional(self.task, "relations", is_tables, "a list of objects")
        if relations is not None:
            data["relations"] = [self._relation(item, f"relations[{i}]") for i, item in enumerate(relations)]
        return data

    def _ent(self, span: Dict[str, Any], what: str) -> Dict[str, Any]:
        start = self.check.get(span, "start", what, is_int, _OFFSET)
        end = self.check.get(span, "end", what, is_int, _OFFSET)
        label = self.check.get(span, "label", what, is_name, "a string that is not empty")
        if isinstance(span.get("text"), str) and start is not None and end is not None:
            check_mention(self.text, start, end, span["text"], what, self.check.messages)
        ent = {"start": start, "end": end, "label": label}
        return {**ent, "kb_id": str(span["kb_id"])} if span.get("kb_id") else ent

    def _relation(self, relation: Dict[str, Any], what: str) -> Dict[str, Any]:
        label = self.check.get(relation, "label", what, is_name, "a string that is not empty")
        head, tail = (self._argument(relation, role, what) for role in ("head", "child"))
        return {"head": head, "tail": tail, "label": label}

    def _argument(self, relation: Dict[str, Any], role: str, what: str) -> Optional[int]:
        """The index of an argument among the entities; tokens that are no span become an entity."""
        given = self.check.get(relation, f"{role}_span", what, is_table, "an object", required=False)
        if given is not None:
            start = self.check.get(given, "start", f"{what}.{role}_span", is_int, _OFFSET)
            end = self.check.get(given, "end", f"{what}.{role}_span", is_int, _OFFSET)
            place, label = (start, end), given.get("label")
        else:
            found = self._of_token(self.check.get(relation, role, what, is_int, _OFFSET), f"{what}.{role}")
            if found is None:
                return None
            place, label = found, None
        same = [i for i, ent in enumerate(self.ents) if (ent["start"], ent["end"]) == place]
        if not same:
            self.dropped[_UNTYPED] += not label
            self.ents.append({"start": place[0], "end": place[1], "label": label or NO_TYPE})
            return len(self.ents) - 1
        return next((i for i in same if self.ents[i]["label"] == label), same[0])

    def _of_token(self, token: Optional[int], what: str) -> Optional[Tuple[int, int]]:
        """The offsets of the span that a token is in or, where there is none, of the token."""
        if token is None:
            return None
        for span in self.spans:
            first, last = span.get("token_start"), span.get("token_end")
            if isinstance(first, int) and isinstance(last, int) and first <= token <= last:
                return span["start"], span["end"]
        if 0 <= token < len(self.tokens) and {"start", "end"} <= self.tokens[token].keys():
            return self.tokens[token]["start"], self.tokens[token]["end"]
        problem = f"the task has {len(self.tokens)} tokens, and no span with it"
        self.check.messages.append(Errors.R342.format(what=what, reference=token, problem=problem))
        return None


def _may_be_mine(task: Dict[str, Any]) -> bool:
    return "text" in task and bool({"spans", "tokens", "_task_hash", "_input_hash"} & task.keys())


def _matches(sample: Sample) -> bool:
    return sample.has_object(lambda task: _may_be_mine(task) and _is_task(task))


def _is_task(task: Dict[str, Any]) -> bool:
    relations = task.get("relations")
    listed = relations if isinstance(relations, list) else []
    arguments = [item for item in listed if isinstance(item, dict) and {"head", "child"} <= item.keys()]
    return bool({"_task_hash", "_input_hash", "_view_id"} & task.keys() or arguments)


def write_prodigy(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents as accepted tasks of Prodigy, in JSON lines. The file appears only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    keeps = ("kb_id", "unknown")
    return write_json_lines(path, (_task(doc, flat_dict(doc, spans_key, dropped, keeps=keeps)) for doc in docs))


def _task(doc: Doc, data: Dict[str, Any]) -> Dict[str, Any]:
    starts = {token.idx: token.i for token in doc}
    ends = {token.idx + len(token): token.i for token in doc}
    text, spans = data["text"], []
    for ent in data["ents"]:
        tokens = {"token_start": starts[ent["start"]], "token_end": ends[ent["end"]]}
        spans.append({"text": text[ent["start"] : ent["end"]], **ent, **tokens, "type": "span"})
    task: Dict[str, Any] = {"text": text, "spans": spans}
    task["tokens"] = [
        {
            "text": token.text,
            "start": token.idx,
            "end": token.idx + len(token),
            "id": token.i,
            "ws": bool(token.whitespace_),
        }
        for token in doc
    ]
    if "relations" in data:
        task["relations"] = [
            {
                "head": spans[item["head"]]["token_end"],
                "child": spans[item["tail"]]["token_end"],
                "head_span": _argument(spans[item["head"]]),
                "child_span": _argument(spans[item["tail"]]),
                "label": item["label"],
            }
            for item in data["relations"]
        ]
    if "id" in data:
        task["meta"] = {"id": data["id"]}
    return {**task, "_view_id": "relations", "answer": "accept"}


def _argument(span: Dict[str, Any]) -> Dict[str, Any]:
    return {key: span[key] for key in ("start", "end", "token_start", "token_end", "label")}


PRODIGY = Format("prodigy", "Prodigy's relations, JSONL", _matches, from_records(read_prodigy), write_prodigy)
