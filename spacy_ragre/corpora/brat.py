"""brat's standoff format: NAME.txt with a text, and NAME.ann with its annotations, alone or in a folder.

    T1<tab>PERSON 0 3<tab>Ann
    T2<tab>ORG 9 13<tab>Acme
    R1<tab>runs Arg1:T1 Arg2:T2

See https://brat.nlplab.org/standoff.html. Entities (T), relations (R), equivalences (* Equiv) and references to a
knowledge base (N) are kept. Events (E), attributes (A, M), notes (#) and relations that have an event or a relation as
an argument are left out and counted. An entity of several parts goes from its first to its last character.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union
from urllib.parse import unquote

from spacy.tokens import Doc

from ..errors import Errors
from .files import Problems, decode
from .folders import FileNames, write_files
from .records import Format, Record, Sample, check_mention, from_records, same_text
from .writing import unique_names

_ENTITY = re.compile(r"(T\S*)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_RELATION = re.compile(r"(R\S*)\t(\S+)\s+\S+?:(\S+)\s+\S+?:(\S+)\s*")
_REFERENCE = re.compile(r"N\S*\t\S+ (\S+) (\S+)(?:\t.*)?")
_EQUIV = re.compile(r"\*\t(\S+)((?: \S+)+)\s*")
# What an annotation is, by the first letter of its id.
_LEFT_OUT = {"E": "events", "A": "attributes", "M": "attributes", "#": "notes"}
_LINE = re.compile(r"(?:[TREAMN]\S+|\*|#\S*)\t")


class _Mention(NamedTuple):
    line: int
    id: str
    label: str
    parts: Tuple[Tuple[int, int], ...]
    text: Optional[str]


def read_brat(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the documents of a folder, or one document by the name of either of its files. Ids are the names.

    path (Path): the folder or file.
    problems (Problems): is told which document can't be read, and why.
    YIELDS (Record): the records.
    """
    folder = path if path.is_dir() else path.parent
    names = {item.with_suffix("") for item in path.rglob("*.ann")} if path.is_dir() else {path.with_suffix("")}
    for name in sorted(names):
        place = f"{name.relative_to(folder).as_posix()}.ann"
        text_path, ann_path = (name.with_name(name.name + ending) for ending in (".txt", ".ann"))
        missing = next((item.name for item in (text_path, ann_path) if not item.is_file()), None)
        if missing is not None:
            problems.add(place, Errors.R345.format(name=missing))
            continue
        raw = ann_path.read_bytes()
        try:
            text, lines = text_path.read_bytes(), decode(raw, ann_path)
            document = _Document(decode(text, text_path), lines, place)
        except ValueError as err:
            problems.add(place, str(err), record=raw.decode("utf-8", "replace"))
            continue
        record = document.record(place, unquote(name.relative_to(folder).as_posix()))
        if document.messages:
            problems.add(place, *document.messages, record=lines)
        else:
            yield record
    if path.is_dir():
        alone = sum(item.with_suffix("") not in names for item in path.rglob("*.txt"))
        yield Record(path.name, "", dropped=Counter({"texts without a file of annotations": alone}))


class _Document:
    """Reads the annotations of one document."""

    def __init__(self, text: str, annotations: str, place: str) -> None:
        self.text = text
        self.annotations = annotations
        self.place = place
        self.messages: List[str] = []
        self.dropped: Counter[str] = Counter()
        self.ids: Set[str] = set()
        self.mentions: List[_Mention] = []
        self.index: Dict[str, int] = {}
        self.kb_ids: Dict[str, str] = {}
        self.relations: List[Tuple[int, str, str, str]] = []
        self.equivalent: List[Tuple[int, List[str]]] = []

    def record(self, place: str, id_: str) -> Record:
        for number, line in enumerate(re.split(r"\r\n|\r|\n", self.annotations), 1):
            if line.strip():
                self._line(number, line)
        self.index = {mention.id: i for i, mention in enumerate(self.mentions)}
        shift = self._shift()
        ents = []
        for mention in self.mentions:
            start, end = mention.parts[0][0] - shift, mention.parts[-1][1] - shift
            ent = {"start": start, "end": end, "label": mention.label}
            if mention.id in self.kb_ids:
                ent["kb_id"] = self.kb_ids[mention.id]
            ents.append(ent)
            gaps = len(mention.parts) > 1 and not same_text(self.text[start:end], self._covered(mention, shift))
            self.dropped["gaps of entities with several parts (kept from first to last character)"] += gaps
            if mention.text is not None:
                self._check(mention, shift)
        # What is wrong with entities would be said of their relations again.
        asked = [] if self.messages else self.relations
        relations = [item for item in (self._relation(*relation) for relation in asked) if item is not None]
        data = {"id": id_, "text": self.text, "ents": ents, "relations": relations}
        return Record(place, self.annotations, data, clusters=self._clusters(), dropped=self.dropped)

    def _line(self, number: int, line: str) -> None:
        entity, relation = _ENTITY.fullmatch(line), _RELATION.fullmatch(line)
        reference, equiv = _REFERENCE.fullmatch(line), _EQUIV.fullmatch(line)
        if line[0] in "TREAMN":
            id_ = line.partition("\t")[0]
            if id_ in self.ids:
                self.messages.append(Errors.R343.format(what=f"line {number}", id=id_))
            self.ids.add(id_)
        if entity is not None:
            parts = sorted((int(start), int(end)) for start, end in map(str.split, entity[3].split(";")))
            self.mentions.append(_Mention(number, entity[1], entity[2], tuple(parts), entity[4]))
        elif relation is not None:
            self.relations.append((number, relation[2], relation[3], relation[4]))
        elif reference is not None:
            self.dropped["further references of an entity"] += reference[1] in self.kb_ids
            self.kb_ids.setdefault(reference[1], reference[2])
        elif equiv is not None:
            self.equivalent.append((number, equiv[2].split()))
        elif line[0] in _LEFT_OUT:
            self.dropped[_LEFT_OUT[line[0]]] += 1
        else:
            self.messages.append(Errors.R344.format(line=number, text=line[:80]))

    def _shift(self) -> int:
        """RETURNS (int): 1 where the offsets count a byte order mark at the beginning of the text, else 0."""
        told = [mention for mention in self.mentions if mention.text is not None]
        fits = [all(same_text(self._covered(m, shift), m.text or "") for m in told) for shift in (0, 1)]
        return int(fits == [False, True])

    def _covered(self, mention: _Mention, shift: int) -> str:
        return " ".join(self.text[max(0, start - shift) : max(0, end - shift)] for start, end in mention.parts)

    def _check(self, mention: _Mention, shift: int) -> None:
        if not same_text(self._covered(mention, shift), mention.text or ""):
            what, ends = f"line {mention.line}, {mention.id}", (mention.parts[0][0], mention.parts[-1][1])
            check_mention(self.text, *ends, mention.text or "", what, self.messages)

    def _relation(self, line: int, label: str, head: str, tail: str) -> Optional[Dict[str, Any]]:
        for id_ in (head, tail):
            if id_ not in self.index:
                kind = {"E": "an event", "R": "a relation"}.get(id_[0])
                if kind is not None and id_ in self.ids:
                    self.dropped[f"relations with {kind} as an argument"] += 1
                else:
                    self._unknown(line, id_)
                return None
        return {"head": self.index[head], "tail": self.index[tail], "label": label}

    def _clusters(self) -> Optional[List[List[int]]]:
        """RETURNS (Optional[List[List[int]]]): all entities in clusters, where any are said to be equivalent."""
        clusters: List[Set[int]] = [{i} for i in range(len(self.mentions))]
        found = False
        for line, ids in self.equivalent:
            members = {self.index[id_] for id_ in ids if id_ in self.index}
            others = [id_ for id_ in ids if id_ not in self.index]
            for id_ in others:
                if id_ in self.ids:
                    self.dropped["members of equivalences that are no entities"] += 1
                else:
                    self._unknown(line, id_)
            touched = [cluster for cluster in clusters if cluster & members]
            clusters = [cluster for cluster in clusters if not cluster & members]
            if touched:
                found = True
                clusters.append(set().union(*touched))
        return sorted(map(sorted, clusters)) if found else None

    def _unknown(self, line: int, id_: str) -> None:
        problem = "nothing in the file has that id"
        self.messages.append(Errors.R342.format(what=f"line {line}", reference=id_, problem=problem))


def _matches(sample: Sample) -> bool:
    names = set(sample.names)
    if any(name.endswith(".ann") and f"{name[:-4]}.txt" in names for name in names):
        return True
    both = all(sample.path.with_suffix(ending).is_file() for ending in (".ann", ".txt"))
    # A text may have annotations in another format beside it.
    return both and sample.path.suffix in (".ann", ".txt") and _is_standoff(sample.path.with_suffix(".ann"))


def _is_standoff(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(1 << 10).decode("utf-8-sig", "replace").lstrip()
    return not start or _LINE.match(start) is not None


def write_brat(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents to a folder, with the file of settings in which brat finds the labels. The folder appears under
    its name only when it is whole. Documents without an id are called by their number.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the folder to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written. A ValueError is raised for two of one id, and for a label with
        spaces.
    """
    written = {name: data for name, _, data in unique_names(docs, spans_key, dropped, ("clusters", "kb_id"))}
    names, files = FileNames(dropped), {}
    for id_, data in written.items():
        name = names.add(id_)
        files[f"{name}.txt"] = data["text"]
        files[f"{name}.ann"] = "".join(_lines(data, id_))
    write_files(path, {**files, "annotation.conf": _settings(written.values())})
    return len(written)


def _lines(data: Dict[str, Any], name: str) -> Iterator[str]:
    for i, ent in enumerate(data["ents"], 1):
        text = " ".join(re.split(r"[\r\n\t]", data["text"][ent["start"] : ent["end"]]))
        yield f"T{i}\t{_one_word(ent['label'], name)} {ent['start']} {ent['end']}\t{text}\n"
    for i, item in enumerate(data.get("relations", ()), 1):
        yield f"R{i}\t{_one_word(item['label'], name)} Arg1:T{item['head'] + 1} Arg2:T{item['tail'] + 1}\n"
    for cluster in data.get("clusters", ()):
        if len(cluster) > 1:
            yield f"*\tEquiv {' '.join(f'T{i + 1}' for i in cluster)}\n"
    with_ids = [(i, ent) for i, ent in enumerate(data["ents"], 1) if "kb_id" in ent]
    for number, (i, ent) in enumerate(with_ids, 1):
        yield f"N{number}\tReference T{i} {_one_word(ent['kb_id'], name)}\t{ent['kb_id']}\n"


def _one_word(label: str, name: str) -> str:
    if not label or label.split() != [label]:
        raise ValueError(Errors.R346.format(label=label, id=name))
    return label


def _settings(documents: Iterable[Dict[str, Any]]) -> str:
    """RETURNS (str): brat's annotation.conf, which names the labels."""
    documents = list(documents)
    types = sorted({ent["label"] for data in documents for ent in data["ents"]})
    labels = sorted({item["label"] for data in documents for item in data.get("relations", ())})
    parts = {
        "entities": types,
        "relations": [f"{label}\tArg1:<ENTITY>, Arg2:<ENTITY>" for label in labels],
        "events": [],
        "attributes": [],
    }
    return "\n".join(f"[{part}]\n" + "".join(f"{line}\n" for line in lines) for part, lines in parts.items())


BRAT = Format("brat", "brat's .txt and .ann files", _matches, from_records(read_brat), write_brat)
