"""Texts that were annotated with Label Studio, as exported in JSON: all of a task, or the small form (JSON-MIN).

    [{"id": 6, "data": {"text": "Ann runs Acme."}, "annotations": [{"result": [
      {"id": "a", "type": "labels", "value": {"start": 0, "end": 3, "text": "Ann", "labels": ["PERSON"]}, ...},
      {"id": "b", "type": "labels", "value": {"start": 9, "end": 13, "text": "Acme", "labels": ["ORG"]}, ...},
      {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right", "labels": ["runs"]}]}]}]

The small form has the regions under the name of their tag, and no relations.
"""

from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

from spacy.tokens import Doc

from ..errors import Errors
from .files import Problems, write_json
from .parse import Checker, count_items, is_id, is_int, is_labels, is_table, is_tables
from .records import Format, Record, Sample, check_mention, checked_records, from_records, same_text
from .tokens import utf16_offsets
from .writing import NO_TYPE, flat_dict

WANTED = "data [text] and annotations [result], or in the small form text and label [start, end, labels]"
_SMALL = {"annotation_id", "annotator", "lead_time", "updated_at", "created_at"}


def read_label_studio(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the records of a file. Of several annotations of a task the first counts that was not cancelled, or one that
    is marked as ground truth; of several labels of a region each makes an entity, and relations join the first.

    path (Path): the file.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records.
    """
    return checked_records(path, problems, _may_be_mine, WANTED, _record)


def _record(place: str, raw: str, task: Dict[str, Any], check: Checker) -> Record:
    reader = _Task(task, check)
    data = reader.document()
    return Record(place, raw, data, dropped=reader.dropped)


class _Task:
    """Reads one task."""

    def __init__(self, task: Dict[str, Any], check: Checker) -> None:
        self.task = task
        self.check = check
        self.dropped: Counter[str] = Counter()
        self.text = ""
        self.offsets: Sequence[int] = ()
        self.ents: List[Dict[str, Any]] = []
        self.index: Dict[Any, int] = {}

    def document(self) -> Optional[Dict[str, Any]]:
        """RETURNS (Optional[Dict[str, Any]]): the document, or None where the task was skipped."""
        whole = "annotations" in self.task
        fields = self.check.get(self.task, "data", "the task", is_table, "an object") if whole else self.task
        if fields is None:
            return None
        results: Optional[List[Dict[str, Any]]]
        if whole:
            results = self._results()
            if results is None:
                return None
        else:
            results = [{"type": "labels", "value": value} for value in _small_regions(self.task)]
            self.dropped["marks of relations, which the small form (JSON-MIN) has none of: documents"] += 1
        regions = [item for item in results if item.get("type") != "relation" and _is_region(item)]
        self.text = self._text(fields, [item["value"] for item in regions])
        self.offsets = utf16_offsets(self.text)
        for i, region in enumerate(regions):
            self._region(region, f"region {region.get('id', i)!r}")
        data: Dict[str, Any] = {"text": self.text, "ents": self.ents}
        # An id in `data` is that of who imported the texts.
        id_ = fields.get("id", self.task.get("id"))
        if id_ is not None:
            data["id"] = str(id_)
        for item in results:
            if item.get("type") != "relation" and not _is_region(item):
                self.dropped[f"results of the type {item.get('type')!r}"] += 1
        # What is wrong with regions would be said of their relations again.
        if whole and self.task["annotations"] and not self.check.messages:
            data["relations"] = [
                made for item in results if item.get("type") == "relation" for made in self._relation(item)
            ]
        return data

    def _results(self) -> Optional[List[Dict[str, Any]]]:
        annotations = self.check.get(self.task, "annotations", "the task", is_tables, "a list of objects") or []
        self.dropped["predictions"] += count_items(self.task.get("predictions"))
        kept = [item for item in annotations if not item.get("was_cancelled")]
        if annotations and not kept:
            self.dropped["documents that were skipped"] += 1
            return None
        self.dropped["further annotations of a task"] += max(0, len(kept) - 1)
        chosen = next((item for item in kept if item.get("ground_truth")), kept[0] if kept else {"result": []})
        results: List[Dict[str, Any]]
        results = self.check.get(chosen, "result", "the annotation", is_tables, "a list of objects") or []
        return results

    def _text(self, fields: Dict[str, Any], values: List[Dict[str, Any]]) -> str:
        """The field that holds the annotated text: "text", or else the one in which most regions are found."""
        texts = [value for value in fields.values() if isinstance(value, str)]
        if isinstance(fields.get("text"), str):
            return str(fields["text"])
        if not texts:
            self._tell("the task", "it has no text")
            return ""
        return max(texts, key=lambda text: (_count_found(text, values), len(text)))

    def _region(self, region: Dict[str, Any], what: str) -> None:
        value = region["value"]
        start, end = value.get("start"), value.get("end")
        if not is_int(start) or not is_int(end):
            self._tell(what, f"it goes from {start!r} to {end!r}")
            return
        place = _place(self.text, self.offsets, value)
        if place is not None:
            start, end = place
        elif isinstance(value.get("text"), str):
            check_mention(self.text, start, end, value["text"], what, self.check.messages)
        id_ = self.check.get(region, "id", what, is_id, "a string or a whole number", required=False)
        if id_ is not None:
            if id_ in self.index:
                self.check.messages.append(Errors.R343.format(what=what, id=id_))
            self.index[id_] = len(self.ents)
        labels = self.check.get(value, "labels", what, is_labels, "a list of strings", required=False)
        self.dropped[f"types of regions without a label (kept as {NO_TYPE})"] += not labels
        self.ents += [{"start": start, "end": end, "label": label} for label in labels or [NO_TYPE]]

    def _relation(self, item: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
        what = f"the relation from {item.get('from_id')!r} to {item.get('to_id')!r}"
        for key in ("from_id", "to_id"):
            if not is_id(item.get(key)) or item[key] not in self.index:
                problem = "the annotation has no region with that id"
                self.check.messages.append(Errors.R342.format(what=what, reference=item.get(key), problem=problem))
                return
        labels = self.check.get(item, "labels", what, is_labels, "a list of strings", required=False)
        self.dropped["relations without a label"] += not labels
        ends = self.index[item["from_id"]], self.index[item["to_id"]]
        directions: List[Tuple[int, int]] = [] if item.get("direction") == "left" else [ends]
        if item.get("direction") in ("left", "bi"):
            directions.append((ends[1], ends[0]))
        for label in labels or ():
            for head, tail in directions:
                yield {"head": head, "tail": tail, "label": label}

    def _tell(self, what: str, problem: str) -> None:
        self.check.messages.append(Errors.R349.format(what=what, problem=problem))


def _is_region(item: Dict[str, Any]) -> bool:
    value = item.get("value")
    return isinstance(value, dict) and item.get("type") in ("labels", "hypertextlabels", "paragraphlabels")


def _count_found(text: str, values: Sequence[Dict[str, Any]]) -> int:
    offsets = utf16_offsets(text)
    return sum(_place(text, offsets, value) is not None for value in values)


def _place(text: str, offsets: Sequence[int], value: Dict[str, Any]) -> Optional[Tuple[int, int]]:
    """Find the text of a region.

    text (str): the whole text.
    offsets (Sequence[int]): its `utf16_offsets`.
    value (Dict[str, Any]): where the region is, and what its text is.
    RETURNS (Optional[Tuple[int, int]]): the offsets at which its text stands; None where it doesn't, or where the
        region doesn't say its text.
    """
    start, end, wanted = value.get("start"), value.get("end"), value.get("text")
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(wanted, str):
        return None
    # Browsers count characters beyond U+FFFF, such as emoji, as two; scripts that import annotations do not.
    places = [(start, end)] if end <= len(text) else []
    if end <= offsets[-1]:
        places.insert(0, (bisect_right(offsets, start) - 1, bisect_right(offsets, end) - 1))
    return next((place for place in places if same_text(text[slice(*place)], wanted)), None)


def _small_regions(task: Dict[str, Any]) -> List[Dict[str, Any]]:
    """RETURNS (List[Dict[str, Any]]): the regions of a task in the small form, whatever their tag is called."""
    return [
        item
        for value in task.values()
        if isinstance(value, list)
        for item in value
        if isinstance(item, dict) and {"start", "end"} <= item.keys()
    ]


def _may_be_mine(task: Dict[str, Any]) -> bool:
    whole = isinstance(task.get("annotations"), list) and "data" in task
    return whole or len(_SMALL & task.keys()) > 1


def _matches(sample: Sample) -> bool:
    return sample.has_object(_may_be_mine)


def write_label_studio(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents as annotated tasks that Label Studio imports, with the tags `label` (Labels) and `text` (Text) of
    its template for relations. The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    tasks = []
    for doc in docs:
        data = flat_dict(doc, spans_key, dropped)
        fields = {key: data[key] for key in ("text", "id") if key in data}
        offsets = utf16_offsets(data["text"])
        results = [_write_region(data["text"], offsets, i, ent) for i, ent in enumerate(data["ents"])]
        results += [
            {
                "from_id": f"e{item['head']}",
                "to_id": f"e{item['tail']}",
                "type": "relation",
                "direction": "right",
                "labels": [item["label"]],
            }
            for item in data.get("relations", ())
        ]
        tasks.append({"data": fields, "annotations": [{"result": results}]})
    return write_json(path, tasks)


def _write_region(text: str, offsets: Sequence[int], i: int, ent: Dict[str, Any]) -> Dict[str, Any]:
    start, end = ent["start"], ent["end"]
    value = {"start": offsets[start], "end": offsets[end], "text": text[start:end], "labels": [ent["label"]]}
    return {"id": f"e{i}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}


LABEL_STUDIO = Format(
    "labelstudio", "Label Studio, JSON", _matches, from_records(read_label_studio), write_label_studio
)
