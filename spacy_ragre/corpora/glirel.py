"""Training data of GLiREL: JSON lines with tokens, entities and relations, whose token indexes include the end.

    {"tokenized_text": ["Ann", "runs", "Acme", "."], "ner": [[0, 0, "PERSON", "Ann"], [2, 2, "ORG", "Acme"]],
     "relations": [{"head": {"mention": "Ann", "position": [0, 0], "type": "PERSON"},
                    "tail": {"mention": "Acme", "position": [2, 2], "type": "ORG"}, "relation_text": "runs"}]}

See the section on training data of https://github.com/jackboyla/GLiREL. An entity may stand in `ner` more than once.
"""

from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

from spacy.tokens import Doc

from ..errors import Errors
from .files import Problems, write_json_lines
from .parse import WORDS, Checker, is_int, is_name, is_table, is_tables, is_words
from .records import Format, Record, Sample, check_mention, checked_records, from_records
from .tokens import join_words
from .writing import NO_TYPE, worded

WANTED = "tokenized_text, ner and relations [head, tail, relation_text]"
_NER = "a list of [first token, last token, type, text]"
_POSITION = "[first token, last token]"


def read_glirel(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the records of a file. The file says nothing about spaces: they stand as English is written.

    path (Path): the file.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records.
    """
    return checked_records(path, problems, _may_be_mine, WANTED, _record)


def _record(place: str, raw: str, data: Dict[str, Any], check: Checker) -> Record:
    reader = _Example(data, check)
    document = reader.document()
    return Record(place, raw, document, words=list(reader.words))


class _Example:
    """Reads one record."""

    def __init__(self, data: Dict[str, Any], check: Checker) -> None:
        self.data = data
        self.check = check
        self.words: Sequence[str] = check.get(data, "tokenized_text", "the record", is_words, WORDS) or ()
        self.text, self.starts = join_words(self.words)
        # Mentions are told with a space after each token.
        self.spaced = " ".join(self.words)
        self.places = list(accumulate((len(word) + 1 for word in self.words), initial=0))
        self.ents: List[Dict[str, Any]] = []
        # By the first and last token. What a type is called may differ between `ner` and the relations.
        self.index: Dict[Tuple[int, int], int] = {}

    def document(self) -> Dict[str, Any]:
        if not self.words:
            return {}
        for i, item in enumerate(self.check.get(self.data, "ner", "the record", _is_ner, _NER) or ()):
            self._add(item[:2], item[2], item[3] if len(item) > 3 else None, f"ner[{i}]")
        document: Dict[str, Any] = {"text": self.text, "ents": self.ents}
        relations = self.check.get(self.data, "relations", "the record", is_tables, "a list of objects", required=False)
        if relations is not None:
            document["relations"] = [self._relation(item, f"relations[{i}]") for i, item in enumerate(relations)]
        return document

    def _relation(self, item: Dict[str, Any], what: str) -> Dict[str, Any]:
        relation: Dict[str, Any] = {}
        for role in ("head", "tail"):
            mention = self.check.get(item, role, what, is_table, "an object") or {}
            position = self.check.get(mention, "position", f"{what}.{role}", _is_position, _POSITION)
            if position is not None:
                type_ = mention.get("type")
                label = str(type_) if is_name(type_) else NO_TYPE
                relation[role] = self._add(position, label, mention.get("mention"), f"{what}.{role}")
        relation["label"] = self.check.get(item, "relation_text", what, is_name, "a string that is not empty")
        return relation

    def _add(self, position: Sequence[int], label: str, mention: Any, what: str) -> Optional[int]:
        """The index of the entity at a position, which is a new one where there was none."""
        first, last = position
        if not 0 <= first <= last < len(self.words):
            count = len(self.words)
            problem = f"the record has {count} tokens, and 0 <= first <= last < {count} is needed (the end is included)"
            self.check.messages.append(Errors.R342.format(what=what, reference=list(position), problem=problem))
            return None
        if isinstance(mention, str):
            place = self.places[first], self.places[last + 1] - 1
            told = f"{what}, tokens {first} to {last} (the end included),"
            check_mention(self.spaced, *place, mention, told, self.check.messages)
        if (first, last) not in self.index:
            end = self.starts[last] + len(self.words[last])
            self.index[first, last] = len(self.ents)
            self.ents.append({"start": self.starts[first], "end": end, "label": label})
        return self.index[first, last]


def _is_position(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_int, value))


def _is_ner(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, list) and len(item) in (3, 4) and _is_position(item[:2]) and is_name(item[2]) for item in value
    )


def _may_be_mine(data: Dict[str, Any]) -> bool:
    return {"tokenized_text", "ner"} <= data.keys()


def _matches(sample: Sample) -> bool:
    return sample.has_object(_may_be_mine)


def write_glirel(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents in JSON lines. The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    return write_json_lines(path, _written(docs, spans_key, dropped))


def _written(docs: Iterable[Doc], spans_key: Optional[str], dropped: Counter[str]) -> Iterator[Dict[str, Any]]:
    for data, words, places in worded(docs, spans_key, dropped, ids=False):
        texts = [" ".join(words[start:end]) for start, end in places]
        types: Dict[Tuple[int, int], str] = {}
        for place, ent in zip(places, data["ents"]):
            dropped["further types of the same tokens"] += place in types
            types.setdefault(place, ent["label"])
        ner = [[start, end - 1, types[start, end], " ".join(words[start:end])] for start, end in types]
        record: Dict[str, Any] = {"tokenized_text": words, "ner": ner}
        if "relations" in data:
            mentions = [
                {"mention": text, "position": [start, end - 1], "type": types[start, end]}
                for text, (start, end) in zip(texts, places)
            ]
            record["relations"] = [
                {"head": mentions[item["head"]], "tail": mentions[item["tail"]], "relation_text": item["label"]}
                for item in data["relations"]
            ]
        yield record


GLIREL = Format("glirel", "training data of GLiREL, JSONL", _matches, from_records(read_glirel), write_glirel)
