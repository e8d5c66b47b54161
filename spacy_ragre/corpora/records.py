"""What a format of annotations is made of: how it is told from others, and records that become documents.

A format has a file of its own, with a `Format` at its end. Its reader gives records in the interchange form (see
`jsonl`), and `from_records` makes documents of them, the same way for all formats: tokens are split where an entity
begins or ends inside one, overlapping entities go to `doc.spans`, ids must be different, and what could not be kept is
counted.
"""

import json
import zlib
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import Doc

from ..errors import Errors
from .counts import CorpusCounts
from .files import OnError, Problems, check_encoding, decode, read_lines
from .jsonl import make_doc, trim
from .parse import Checker, DocRecord, check_document

# Where all entities of a corpus are kept in which some overlap, in place of `doc.ents`.
OVERLAP_KEY = "entities"

# Labels of pairs that somebody looked at and found nothing in, as some annotators write them; letters alone count.
_NONE = frozenset(("norel", "norelation"))

_SAMPLE = 1 << 16  # bytes
_SAMPLED = 20  # records or lines
_DECODER = json.JSONDecoder()


@dataclass
class Record:
    """One document of a file, as its reader gives it.

    place (str): where it stands: "line 3".
    raw (str): what stands there, for documents that are left out.
    data (Optional[Dict[str, Any]]): the document in the interchange form; None where there is nothing to keep.
    words (Optional[List[str]]): its tokens, where the format has them and no text of its own; else the pipeline's
        tokenizer makes them.
    clusters (Optional[List[List[int]]]): indexes into its entities, where relations hold between mentions all the same.
    dropped (Counter[str]): what could not be kept, in words ("notes"), and how often.
    """

    place: str
    raw: str
    data: Optional[Dict[str, Any]] = None
    words: Optional[List[str]] = None
    clusters: Optional[List[List[int]]] = None
    dropped: Counter[str] = field(default_factory=Counter)


class Sample(NamedTuple):
    """What formats are told by: the beginning of a file, or what a folder holds.

    path (Path): the file or folder.
    names (Tuple[str, ...]): of the files in a folder and below it, relative to it; none for a file.
    lines (Tuple[str, ...]): the first lines of a text that hold anything.
    records (Tuple[Any, ...]): the first JSON values: those of lines, of one list, or the whole file.
    binary (bool): the file is compressed, as .spacy files are.
    """

    path: Path
    names: Tuple[str, ...] = ()
    lines: Tuple[str, ...] = ()
    records: Tuple[Any, ...] = ()
    binary: bool = False

    def has_object(self, accepts: Callable[[Dict[str, Any]], object]) -> bool:
        """accepts (Callable[[Dict[str, Any]], object]): tells the records of a format by what they hold.
        RETURNS (bool): whether it accepts one of the JSON objects.
        """
        return any(isinstance(record, dict) and accepts(record) for record in self.records)


RecordReader = Callable[[Path, Problems], Iterator[Record]]
# Takes the path, a pipeline and all settings of `convert`, and uses those that its format has.
Reader = Callable[..., Iterator[Doc]]
# Takes documents, the path and all settings of `export_docs`.
Writer = Callable[..., int]


@dataclass(frozen=True)
class Format:
    """A format of annotations.

    name (str): what --format calls it.
    title (str): what it is, for messages.
    matches (Callable[[Sample], bool]): whether a sample looks like it, and like no other format.
    read (Optional[Reader]): gives the documents.
    write (Optional[Writer]): writes documents, and gives their number.
    """

    name: str
    title: str
    matches: Callable[[Sample], bool]
    read: Optional[Reader] = None
    write: Optional[Writer] = None


# Samples


def take_sample(path: Path) -> Sample:
    """RETURNS (Sample): what a file or folder holds. A ValueError is raised for an empty file and for UTF-16."""
    if path.is_dir():
        names = sorted(item.relative_to(path).as_posix() for item in path.rglob("*") if item.is_file())
        return Sample(path, names=tuple(names))
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
    if is_compressed(start):
        return Sample(path, binary=True)
    check_encoding(start, path)
    lines = _lines(start)
    if not lines:
        raise ValueError(Errors.R334.format(path=path))
    records = _first_records(path, lines)
    return Sample(path, lines=tuple(lines[:_SAMPLED]), records=tuple(records[:_SAMPLED]))


def is_compressed(start: bytes) -> bool:
    """RETURNS (bool): whether bytes are the beginning of what zlib compressed."""
    try:
        return start[:1] == b"x" and bool(zlib.decompressobj().decompress(start))
    except zlib.error:
        return False


def _lines(start: bytes) -> List[str]:
    """RETURNS (List[str]): the lines of the beginning of a file that hold anything, without spaces at their ends."""
    # A text's lines may hold U+2028 and the like, and its bytes end at line feeds and carriage returns only.
    lines = (line.decode("utf-8-sig", errors="replace").strip() for line in start.splitlines())
    return [line for line in lines if line]


def _first_records(path: Path, lines: Sequence[str]) -> List[Any]:
    if not lines[0].startswith(("{", "[")):
        return []
    found = [value for value in map(_json, lines[:_SAMPLED]) if isinstance(value, dict)]
    # Records may be longer than the sample.
    text = "" if found else path.read_bytes().decode("utf-8-sig", errors="replace")
    return found or [value for value, _, _ in islice(json_values(text), _SAMPLED)]


def describe(sample: Sample) -> str:
    """RETURNS (str): what was found in a file or folder, for messages."""
    if sample.binary:
        return "a compressed file, such as .spacy files are"
    if sample.names or sample.path.is_dir():
        endings = Counter(Path(name).suffix or Path(name).name for name in sample.names)
        return "a folder with " + (", ".join(f"{n} {ending}" for ending, n in endings.most_common(5)) or "no files")
    if sample.records:
        return f"JSON, {describe_value(sample.records[0])}"
    return f"text, whose first line is {sample.lines[0][:80]!r}"


def describe_value(value: Any) -> str:
    """RETURNS (str): the keys of a JSON object and of the objects in its lists, or what else it is."""
    if not isinstance(value, dict):
        return f"a {type(value).__name__}"
    keys = []
    for key, item in list(value.items())[:12]:
        inner = item[0] if isinstance(item, list) and item else None
        keys.append(f"{key} [{', '.join(map(str, list(inner)[:8]))}]" if isinstance(inner, dict) else str(key))
    return f"an object with the keys {', '.join(keys) or '(none)'}"


# JSON


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def json_values(text: str) -> Iterator[Tuple[Any, int, int]]:
    """The values of a text that are one JSON list, or one value after another, up to the first that is not whole.

    YIELDS (Tuple[Any, int, int]): a value, and the offsets where it begins and ends.
    """
    place = _skip(text, 0, " \t\r\n")
    listed = text[place : place + 1] == "["
    if listed:
        place = _skip(text, place + 1, " \t\r\n")
    while place < len(text) and not (listed and text[place] == "]"):
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            return
        yield value, place, end
        place = _skip(text, end, " \t\r\n," if listed else " \t\r\n")


def _skip(text: str, place: int, chars: str) -> int:
    while place < len(text) and text[place] in chars:
        place += 1
    return place


def json_records(
    path: Path, problems: Problems, matches: Callable[[Dict[str, Any]], bool], wanted: str
) -> Iterator[Tuple[str, str, Dict[str, Any]]]:
    """The objects of a file: one a line or, pretty-printed or not, those of one list, or one after another.

    path (Path): the file.
    problems (Problems): is told what is no JSON, and which object is not of the format.
    matches (Callable[[Dict[str, Any]], bool]): whether an object is of the format.
    wanted (str): which keys the format has, for messages.
    YIELDS (Tuple[str, str, Dict[str, Any]]): where the object stands ("line 3"), what stands there, and the object.
    """
    values = _values_of_lines(path, problems) if _has_lines(path) else _values_of_whole(path, problems)
    for place, raw, value in values:
        if isinstance(value, dict) and matches(value):
            yield place, raw, value
        else:
            problems.add(place, Errors.R338.format(found=describe_value(value), wanted=wanted), record=raw)


def checked_records(
    path: Path,
    problems: Problems,
    matches: Callable[[Dict[str, Any]], bool],
    wanted: str,
    read: Callable[[str, str, Dict[str, Any], Checker], Record],
) -> Iterator[Record]:
    """The records of a file of JSON objects, without those that something is wrong with.

    path, problems, matches, wanted: as for `json_records`.
    read (Callable[[str, str, Dict[str, Any], Checker], Record]): makes a record of an object, where it stands and what
        stands there. The checker gets what is wrong with it; the record is left out then.
    YIELDS (Record): the records.
    """
    for place, raw, value in json_records(path, problems, matches, wanted):
        yield from unless_wrong(place, raw, problems, partial(_read_checked, read, place, raw, value))


def _read_checked(read: Callable[..., Record], place: str, raw: str, value: Any, messages: List[str]) -> Record:
    return read(place, raw, value, Checker(messages))


def unless_wrong(
    place: str, raw: str, problems: Problems, read: Callable[[List[str]], Optional[Record]]
) -> Iterator[Record]:
    """The record of one part of a file, unless something is wrong with it.

    place (str): where the part stands.
    raw (str): what stands there.
    problems (Problems): is told all that is wrong.
    read (Callable[[List[str]], Optional[Record]]): makes the record, or None where there is none to keep. It adds what
        is wrong to the list.
    YIELDS (Record): the record.
    """
    messages: List[str] = []
    record = read(messages)
    if messages:
        problems.add(place, *messages, record=raw)
    elif record is not None:
        yield record


def _has_lines(path: Path) -> bool:
    """RETURNS (bool): whether one of the first lines is a whole object, or the file is no JSON at all."""
    with path.open("rb") as file:
        lines = _lines(file.read(_SAMPLE))
    if any(isinstance(_json(line), dict) for line in lines[:_SAMPLED]):
        return True
    return not (lines and lines[0].startswith(("{", "[")))


def _values_of_lines(path: Path, problems: Problems) -> Iterator[Tuple[str, str, Any]]:
    for number, line in read_lines(path, problems):
        if not line.strip():
            continue
        try:
            yield f"line {number}", line, json.loads(line)
        except (ValueError, RecursionError) as err:
            problems.add(number, Errors.R404.format(problem=err), record=line)


def _values_of_whole(path: Path, problems: Problems) -> Iterator[Tuple[str, str, Any]]:
    text = decode(path.read_bytes(), path)
    listed = text.lstrip().startswith("[")
    last = text.index("[") + 1 if listed else 0
    for number, (value, start, end) in enumerate(json_values(text), 1):
        yield f"document {number} (line {_line(text, start)})", text[start:end], value
        last = end
    rest = text[last:].strip(" \t\r\n,")
    ended = rest.startswith("]") or not listed
    rest = rest.removeprefix("]").strip()
    if rest or not ended:
        problem, where = "there is more after its end" if ended else "the list has no end", text.rindex(rest)
        try:
            json.loads(rest or "[]")
        except json.JSONDecodeError as err:
            problem, where = err.msg, where + err.pos
        except RecursionError as err:
            problem = str(err)
        problems.add(_line(text, where), Errors.R339.format(problem=problem, text=text[where:][:40]), record=rest)


def _line(text: str, place: int) -> int:
    return len(text[:place].replace("\r\n", "\n").replace("\r", "\n").split("\n"))


# Documents


def from_records(read_records: RecordReader) -> Reader:
    """RETURNS (Reader): a reader of documents, made of a reader of records. All problems of the file are gathered and
    raised before the first document comes.
    """

    def read(
        path: Path,
        nlp: Language,
        *,
        spans_key: Optional[str] = None,
        on_error: Optional[OnError] = None,
        counts: Optional[CorpusCounts] = None,
        **settings: Any,
    ) -> Iterator[Doc]:
        problems = Problems(path, on_error)
        counts = CorpusCounts() if counts is None else counts
        found = list(_checked(read_records(path, problems), problems, counts))
        problems.raise_any()
        overlapping = [_overlap(checked) for _, checked in found]
        both = spans_key is None and any(overlapping)
        if both:
            spans_key = counts.spans_key = OVERLAP_KEY
        counts.overlapping += sum(overlapping)
        for record, checked in found:
            messages: List[str] = []
            words = record.words
            doc = make_doc(
                nlp, checked, messages, spans_key=spans_key, split=True, words=words, counts=counts, ents_too=both
            )
            if messages or doc is None:
                problems.add(record.place, *messages, record=record.raw)
            else:
                _set_clusters(doc, record, checked)
                yield doc
        problems.raise_any()

    return read


def _checked(records: Iterator[Record], problems: Problems, counts: CorpusCounts) -> Iterator[Tuple[Record, DocRecord]]:
    places: Dict[str, str] = {}
    for record in records:
        messages: List[str] = []
        checked = None if record.data is None else check_document(record.data, messages)
        if checked is not None and checked.id is not None and not messages:
            if checked.id in places:
                messages.append(Errors.R337.format(id=checked.id, place=places[checked.id]))
            places.setdefault(checked.id, record.place)
        if messages:
            problems.add(record.place, *messages, record=record.raw)
            continue
        counts.dropped.update(record.dropped)
        if checked is not None:
            yield record, _without_none(checked, counts)


def _without_none(checked: DocRecord, counts: CorpusCounts) -> DocRecord:
    """RETURNS (DocRecord): a document without relations whose label says that there is none: a pair without a relation
    is one that holds none anyway.
    """
    kept = []
    for item in checked.relations or ():
        if "".join(filter(str.isalpha, item["label"])).lower() in _NONE:
            counts.dropped[f"relations with the label {item['label']!r}, which are pairs without one"] += 1
        else:
            kept.append(item)
    return checked if checked.relations is None else checked._replace(relations=kept)


def _overlap(record: DocRecord) -> bool:
    places = sorted(trim(record.text, ent["start"], ent["end"]) for ent in record.ents)
    return any(second[0] < first[1] for first, second in zip(places, places[1:]))


def _set_clusters(doc: Doc, record: Record, checked: DocRecord) -> None:
    if record.clusters is None:
        return
    places = [trim(checked.text, ent["start"], ent["end"]) for ent in checked.ents]
    clusters = []
    for cluster in record.clusters:
        spans = [doc.char_span(*places[i], label=checked.ents[i]["label"]) for i in cluster]
        clusters.append(sorted((span for span in spans if span is not None), key=lambda span: (span.start, span.end)))
    doc._.entity_clusters = clusters


# Mentions


def check_mention(text: str, start: int, end: int, wanted: str, what: str, messages: List[str]) -> None:
    """Add a message where the text between two offsets is not the one that the annotation says, but for spaces."""
    found = text[max(start, 0) : max(end, 0)]
    if not same_text(found, wanted):
        messages.append(Errors.R341.format(what=what, start=start, end=end, found=found, wanted=wanted))


def same_text(found: str, wanted: str) -> bool:
    """RETURNS (bool): whether two texts are the same but for spaces and line breaks."""
    return _squeezed(found) == _squeezed(wanted)


def _squeezed(text: str) -> str:
    return "".join(text.replace("\\n", " ").split())
