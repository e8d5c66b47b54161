"""The files of a corpus: what they hold, cut into parts that workers read on their own."""

import json
from array import array
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy

from ..corpora.files import MAX_SHOWN, existing_path, split_lines
from ..corpora.jsonl import check_first_line, make_doc
from ..corpora.parse import DocRecord, check_document, is_id, parse_document
from ..corpora.reader import copy_input, read_doc_bin
from ..errors import Errors
from ..relations import ID_KEY
from .documents import Item, LeftOut
from .parquet import read_ids, read_rows

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, DocBin

# Files that are read, and what one document of them is called.
_WHAT = {".jsonl": "line", ".parquet": "row", ".spacy": "document"}
ENDINGS = tuple(_WHAT)


class Shard(NamedTuple):
    """A file of the input.

    name (str): its path in the folder that was named, or the name of the file that was.
    path (Path): where it is.
    """

    name: str
    path: Path

    @property
    def kind(self) -> str:
        return self.path.suffix.lower()


class Part(NamedTuple):
    """Documents that stand one after the other in one file, and are annotated together.

    number (int): of the part, from 0.
    shard (int): number of the file.
    start (int): number of the first document in the file, from 0.
    size (int): how many documents.
    offset (int): where they begin in a .jsonl file, in bytes.
    line (int): number of the line there, from 1.
    """

    number: int
    shard: int
    start: int
    size: int
    offset: int = 0
    line: int = 1


class _Mark(NamedTuple):
    """Where a document is: its id and place; byte and line of a .jsonl file, and whether a part may begin there."""

    id: Optional[str]
    place: str
    offset: int = 0
    line: int = 1
    fit: bool = True


def find_shards(path: Path) -> List[Shard]:
    """path (Path): a file, or a folder. In folders, what begins with "_" or "." is no document: it is left out.
    RETURNS (List[Shard]): the files, in the order of their names. An error is raised where there is none.
    """
    path = existing_path(path)
    if path.is_file():
        shards = [Shard(path.name, path)]
    else:
        names = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
        shown = sorted(name for name in names if not any(part[0] in "_." for part in name.split("/")))
        shards = [Shard(name, names[name]) for name in shown]
    shards = [shard for shard in shards if shard.kind in ENDINGS]
    if not shards:
        raise ValueError(Errors.R731.format(path=path, known=" or ".join(ENDINGS)))
    return shards


def cut(shards: Sequence[Shard], size: int) -> List[Part]:
    """Read all files once, check that they can be read and that no id is there twice, and cut them into parts.

    shards (Sequence[Shard]): the files.
    size (int): documents of a part.
    RETURNS (List[Part]): the parts, in the order of the documents. A ValueError that tells of all files is raised where
        some can't be read.
    """
    parts: List[Part] = []
    hashes = array("Q")
    problems: List[str] = []
    for i, shard in enumerate(shards):
        begin: Optional[_Mark] = None
        start = count = 0
        try:
            for mark in _marks(shard):
                if begin is None or (count - start >= size and mark.fit):
                    if begin is not None:
                        parts.append(Part(len(parts), i, start, count - start, begin.offset, begin.line))
                    begin, start = mark, count
                count += 1
                if mark.id is not None:
                    hashes.append(_hash(mark.id))
        except (ValueError, OSError) as error:
            problems.append(str(error))
            continue
        if begin is not None:
            parts.append(Part(len(parts), i, start, count - start, begin.offset, begin.line))
    if problems:
        raise ValueError("\n".join(problems[:MAX_SHOWN]))
    _check_ids(shards, hashes)
    return parts


def _hash(id_: str) -> int:
    return int.from_bytes(blake2b(id_.encode("utf8", "surrogatepass"), digest_size=8).digest(), "little")


def _check_ids(shards: Sequence[Shard], hashes: "array[int]") -> None:
    """Raise a ValueError where documents have the same id. Eight bytes of each are kept: a corpus may have millions."""
    values, counts = numpy.unique(numpy.frombuffer(hashes, dtype=numpy.uint64), return_counts=True)
    twice: Set[int] = set(values[counts > 1].tolist())
    places: Dict[str, List[str]] = {}
    if not twice:
        return
    for shard in shards:
        for mark in _marks(shard):
            if mark.id is not None and _hash(mark.id) in twice:
                places.setdefault(mark.id, []).append(_place(shards, shard, mark.place))
    same = {id_: found for id_, found in places.items() if len(found) > 1}
    if same:
        lines = [f"- {id_!r}: {' and '.join(found[:3])}" for id_, found in list(same.items())[:MAX_SHOWN]]
        raise ValueError(Errors.R723.format(count=len(same), shown="\n".join(lines)))


def _place(shards: Sequence[Shard], shard: Shard, place: str) -> str:
    return f"{shard.name}, {place}" if len(shards) > 1 else place


def _marks(shard: Shard) -> Iterator[_Mark]:
    what = _WHAT[shard.kind]
    if shard.kind == ".jsonl":
        for number, raw, offset, line, fit in _lines(shard.path, 0, 1):
            yield _Mark(_id_of(raw), f"{what} {number}", offset, line, fit)
    elif shard.kind == ".parquet":
        for i, id_ in enumerate(read_ids(shard.path), 1):
            yield _Mark(str(id_) if is_id(id_) else None, f"{what} {i}")
    else:
        import spacy

        for i, doc in enumerate(read_doc_bin(shard.path).get_docs(spacy.blank("xx").vocab), 1):
            id_ = doc.user_data.get(ID_KEY)
            yield _Mark(None if id_ is None else str(id_), f"{what} {i}")


def _lines(path: Path, offset: int, line: int) -> Iterator[Tuple[int, bytes, int, int, bool]]:
    """The lines of a file that are not blank.

    path (Path): the file.
    offset (int): where to begin, in bytes.
    line (int): number of the line there, from 1.
    YIELDS (Tuple[int, bytes, int, int, bool]): number and content of the line; where a reader may begin, in bytes, and
        the number of the line there; and whether this is the line there.
    """
    first = True
    with path.open("rb") as stream:
        stream.seek(offset)
        # Not by the file's own iterator. One of these may hold several lines, which carriage returns end.
        for chunk in iter(stream.readline, b""):
            fit = True
            number = line
            for number, raw in split_lines([chunk], path, line):
                if not raw.strip():
                    continue
                if first and line == 1:
                    check_first_line(raw.decode("utf8", "replace"), path)
                first = False
                yield number, raw, offset, line, fit
                fit = False
            offset += len(chunk)
            line = number + 1


def _id_of(raw: bytes) -> Optional[str]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):  # the worker that reads it says what is wrong
        return None
    id_ = data.get("id") if isinstance(data, dict) else None
    return str(id_) if is_id(id_) else None


class Reader:
    """Reads parts of a corpus.

    shards (Sequence[Shard]): its files.
    spans_key (Optional[str]): where the entities of interchange documents go.
    """

    def __init__(self, shards: Sequence[Shard], spans_key: Optional[str]) -> None:
        self.shards = shards
        self.spans_key = spans_key
        # A .spacy file is read as a whole: the next part is mostly of the same one.
        self._last: Optional[Tuple[Path, DocBin]] = None

    def read(self, part: Part, nlp: "Language") -> Iterator[Item]:
        """part (Part): which documents.
        nlp (Language): its tokenizer is used.
        YIELDS (Item): the documents. Entities and entity clusters are kept, and relations are not.
        """
        shard = self.shards[part.shard]
        for place, content in self._contents(shard, part, nlp):
            where = _place(self.shards, shard, place)
            yield Item(where, content._replace(place=where) if isinstance(content, LeftOut) else copy_input(content))

    def place(self, part: Part) -> str:
        """RETURNS (str): where the first document of a part stands."""
        shard = self.shards[part.shard]
        number = part.line if shard.kind == ".jsonl" else part.start + 1
        return _place(self.shards, shard, f"{_WHAT[shard.kind]} {number}")

    def _contents(self, shard: Shard, part: Part, nlp: "Language") -> "Iterator[Tuple[str, Doc | LeftOut]]":
        if shard.kind == ".spacy":
            for i, doc in enumerate(self._docs(shard.path, part).get_docs(nlp.vocab), part.start + 1):
                yield f"{_WHAT[shard.kind]} {i}", doc
        elif shard.kind == ".parquet":
            for i, row in enumerate(read_rows(shard.path, part.start, part.size), part.start + 1):
                messages: List[str] = []
                record = check_document(row, messages)
                shown = row.get("text")
                yield (
                    f"{_WHAT[shard.kind]} {i}",
                    self._doc(nlp, record, messages, shown if isinstance(shown, str) else ""),
                )
        else:
            for (number, raw, *_), _ in zip(_lines(shard.path, part.offset, part.line), range(part.size)):
                yield f"{_WHAT[shard.kind]} {number}", self._doc_of_line(nlp, raw)

    def _doc_of_line(self, nlp: "Language", raw: bytes) -> "Doc | LeftOut":
        try:
            line = raw.decode("utf8")
        except UnicodeDecodeError as error:
            return LeftOut("", [Errors.R403.format(problem=error)])
        messages: List[str] = []
        return self._doc(nlp, parse_document(line, messages), messages, line)

    def _doc(self, nlp: "Language", record: Optional[DocRecord], messages: List[str], shown: str) -> "Doc | LeftOut":
        doc = None
        if record is not None and not messages:
            # Tokens may not fit the entities that someone else annotated; cutting them changes no text.
            doc = make_doc(nlp, record, messages, spans_key=self.spans_key, split=True)
        if doc is None:
            return LeftOut("", messages, (record.id or "") if record is not None else "", shown)
        return doc

    def _docs(self, path: Path, part: Part) -> "DocBin":
        if self._last is None or self._last[0] != path:
            self._last = (path, read_doc_bin(path))
        whole = self._last[1]
        some = type(whole)(attrs=whole.attrs, store_user_data=True)
        some.attrs, some.strings = whole.attrs, whole.strings
        for name in ("tokens", "spaces", "cats", "flags", "span_groups", "user_data"):
            setattr(some, name, getattr(whole, name)[part.start : part.start + part.size])
        return some
