"""Checks of one line of the interchange format, before it meets a tokenizer."""

import json
import math
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..errors import Errors

# What other formats call what stands under these keys here.
OTHER_KEYS: Dict[str, Tuple[str, ...]] = {
    "ents": ("entities", "spans", "annotations", "tokens", "tokenized_text", "ner", "label", "labels_spans"),
    "relations": ("rels", "relation", "links", "relationships"),
}
# What msgpack holds, in which documents are kept.
_LARGEST = 2**63 - 1
_DEEPEST = 64
# What `is_words` wants, for messages.
WORDS = "a list of tokens, one or more, without spaces around them"


class DocRecord(NamedTuple):
    """A line of the interchange format, checked.

    id (Optional[str]): the document's id.
    text (str): its text.
    ents (List[Dict[str, Any]]): entities with `start`, `end`, `label`.
    clusters (Optional[List[List[int]]]): indexes into `ents`.
    relations (Optional[List[Dict[str, Any]]]): `head` and `tail` index `clusters` where there are any, else `ents`.
    triples (Optional[List[List[str]]]): (head text, relation, tail text).
    labels (Optional[List[str]]): the labels that the document was annotated for; all where None.
    weights (Optional[List[Dict[str, Any]]]): pairs of `head` and `tail`, which index `ents`, with their `weight`.
    """

    id: Optional[str]
    text: str
    ents: List[Dict[str, Any]]
    clusters: Optional[List[List[int]]]
    relations: Optional[List[Dict[str, Any]]]
    triples: Optional[List[List[str]]]
    labels: Optional[List[str]] = None
    weights: Optional[List[Dict[str, Any]]] = None


def parse_document(line: str, messages: List[str]) -> Optional[DocRecord]:
    """Parse and check a line.

    line (str): the line.
    messages (List[str]): what is wrong is added here, all of it.
    RETURNS (Optional[DocRecord]): the record, which is good only where no message was added; None where there is
        no record to speak of.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as err:
        messages.append(Errors.R404.format(problem=err))
        return None
    return check_document(data, messages)


def check_document(data: Any, messages: List[str]) -> Optional[DocRecord]:
    """Check a document of the interchange format.

    data (Any): the document as plain data.
    messages (List[str]): what is wrong is added here, all of it.
    RETURNS (Optional[DocRecord]): as for `parse_document`.
    """
    if not isinstance(data, dict):
        messages.append(Errors.R404.format(problem=f"it is a {type(data).__name__}"))
        return None
    # What is null is absent.
    data = {key: value for key, value in data.items() if value is not None}
    problems = list(unfit_values(data, ""))
    if problems:
        messages.extend(problems)
        return None
    check = Checker(messages)
    for key, others in OTHER_KEYS.items():
        found = [other for other in others if other in data]
        if key not in data and found:
            messages.append(Errors.R440.format(found=", ".join(map(repr, found)), key=key))
    text = None if messages else check.get(data, "text", "the document", is_text, "a string")
    if text is None or messages:
        return None
    id_ = check.get(data, "id", "the document", is_id, "a string or a whole number", required=False)
    ents = check.items(data, "ents") or []
    for i, ent in enumerate(ents):
        check.ent(ent, f"ents[{i}]", len(text))
    clusters = check.optional(data, "clusters", is_clusters, "a list of lists, each with one index or more")
    for i, cluster in enumerate(clusters or []):
        for j, index in enumerate(cluster):
            check.index(index, f"clusters[{i}][{j}]", len(ents), "entities")
    relations = check.items(data, "relations")
    kind, count = ("entities", len(ents)) if clusters is None else ("clusters", len(clusters))
    for i, relation in enumerate(relations or []):
        check.relation(relation, f"relations[{i}]", count, kind)
    triples = check.optional(data, "triples", is_triples, "a list of lists of three strings")
    labels = check.optional(data, "labels", is_labels, "a list of strings that are not empty")
    if labels is not None and relations:
        unknown = sorted({r["label"] for r in relations if is_name(r.get("label"))} - set(labels))
        if unknown:
            messages.append(Errors.R443.format(unknown=", ".join(map(repr, unknown))))
    weights = check.items(data, "weights")
    for i, pair in enumerate(weights or []):
        check.ends(pair, f"weights[{i}]", len(ents), "entities")
        check.get(pair, "weight", f"weights[{i}]", is_share, "a number from 0 to 1")
    return DocRecord(None if id_ is None else str(id_), text, ents, clusters, relations, triples, labels, weights)


def unfit_values(value: Any, where: str, depth: int = 0) -> Iterator[str]:
    """YIELDS (str): what is wrong with values that a document can't keep: halves of surrogate pairs, numbers that are
    too large, nesting that is too deep.
    """
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as err:
            yield Errors.R423.format(what=where or "the document", start=err.start)
    elif isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        yield Errors.R441.format(what=where, problem=f"it is a number of {len(str(abs(value)))} digits")
    elif isinstance(value, (dict, list)):
        if depth >= _DEEPEST:
            yield Errors.R441.format(what=where, problem=f"it is nested more than {_DEEPEST} deep")
            return
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(key, str):
                yield from unfit_values(key, f"a key of {where or 'the document'}", depth)
                place = f"{where}.{key}" if where else key
            else:
                place = f"{where}[{key}]"
            yield from unfit_values(item, place, depth + 1)


class Checker:
    """Gets values out of JSON and notes those that are missing or of the wrong kind."""

    def __init__(self, messages: List[str]) -> None:
        self.messages = messages

    def get(self, data: Dict[str, Any], key: str, what: str, test: Any, expected: str, required: bool = True) -> Any:
        if key not in data:
            if required:
                self.messages.append(Errors.R405.format(what=what, key=key, expected=expected, value="missing"))
            return None
        value = data[key]
        if value is None and not required:
            return None
        if not test(value):
            self.messages.append(Errors.R405.format(what=what, key=key, expected=expected, value=repr(value)))
            return None
        return value

    def optional(self, data: Dict[str, Any], key: str, test: Any, expected: str) -> Any:
        return self.get(data, key, "the document", test, expected, required=False)

    def items(self, data: Dict[str, Any], key: str) -> Optional[List[Dict[str, Any]]]:
        items: Optional[List[Dict[str, Any]]] = self.optional(data, key, is_tables, "a list of objects")
        return items

    def ent(self, ent: Dict[str, Any], what: str, length: int) -> None:
        start = self.get(ent, "start", what, is_int, "a whole number")
        end = self.get(ent, "end", what, is_int, "a whole number")
        if start is not None and end is not None and not 0 <= start < end <= length:
            self.messages.append(Errors.R406.format(what=what, start=start, end=end, length=length))
        self.get(ent, "label", what, is_text, "a string")
        self.get(ent, "usage", what, is_text, "a string", required=False)
        self.get(ent, "usage_score", what, is_score, "a number", required=False)
        self.get(ent, "kb_id", what, is_text, "a string", required=False)

    def ends(self, pair: Dict[str, Any], what: str, count: int, kind: str) -> None:
        for role in ("head", "tail"):
            index = self.get(pair, role, what, is_int, "a whole number")
            if index is not None:
                self.index(index, f"{what}.{role}", count, kind)

    def relation(self, relation: Dict[str, Any], what: str, count: int, kind: str) -> None:
        self.ends(relation, what, count, kind)
        self.get(relation, "label", what, is_name, "a string that is not empty")
        self.get(relation, "score", what, is_score, "a number", required=False)
        self.get(relation, "evidence", what, is_table, "an object", required=False)

    def index(self, index: int, what: str, count: int, kind: str) -> None:
        if not count:
            self.messages.append(Errors.R442.format(what=what, index=index, kind=kind))
        elif not 0 <= index < count:
            self.messages.append(Errors.R409.format(what=what, index=index, count=count, kind=kind, last=count - 1))


def is_int(value: Any) -> bool:
    # A bool is an int to Python, and true as an offset is a mistake.
    return isinstance(value, int) and not isinstance(value, bool)


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def is_id(value: Any) -> bool:
    return isinstance(value, str) or is_int(value)


def is_score(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_share(value: Any) -> bool:
    return is_score(value) and 0 <= value <= 1


def is_table(value: Any) -> bool:
    return isinstance(value, dict)


def is_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def is_labels(value: Any) -> bool:
    return isinstance(value, list) and all(is_name(item) for item in value)


def is_clusters(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, list) and bool(item) and all(is_int(index) for index in item) for item in value
    )


def is_triples(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, list) and len(item) == 3 and all(isinstance(part, str) for part in item) for item in value
    )


def count_items(value: Any) -> int:
    """RETURNS (int): the length of a list; 0 for anything else."""
    return len(value) if isinstance(value, list) else 0


def is_words(value: Any) -> bool:
    """RETURNS (bool): whether a value is a list of tokens, one or more, which don't begin or end with spaces."""
    words = value if isinstance(value, list) else []
    return bool(words) and all(isinstance(word, str) and word and word.strip() == word for word in words)
