"""WebAnno TSV 3, as INCEpTION and WebAnno export a document: a file, or a folder of them.

https://inception-project.github.io/releases/33.0/docs/user-guide.html#sect_formats_webannotsv3: lines that say which
layers there are (`#T_SP` of spans, `#T_RL` of relations, `#T_CH` of chains), then a line for each token or part of one,
with a column for each feature. "PER[2]" is a part of annotation 2, "PER" one of this token alone, "*" one without a
value, "_" none; of several, "|" stands between them. A relation stands at its target and names its source. Offsets
count the 16-bit units of UTF-16.
"""

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union
from urllib.parse import unquote

from spacy.tokens import Doc

from ..errors import Errors
from .files import Problems, read_all_lines
from .folders import FileNames, write_files
from .layers import ENTITIES, RELATIONS, TOKEN, choose_label, is_linguistic
from .records import Format, Record, Sample, from_records, unless_wrong
from .tokens import sentences, utf16_offsets
from .writing import NO_TOKENS, tell_spaces, to_words, unique_names

_FORMAT = "#FORMAT=WebAnno TSV 3"
_UNIT = re.compile(r"\d+-\d+(\.\d+)?")
_REFERENCE = re.compile(r"(\d+-\d+(?:\.\d+)?)(?:\[(\d+)(?:_(\d+))?\])?")
# A backslash takes the meaning of what follows it, another backslash as well.
_ITEM = re.compile(r"(?:\\.|[^\\|])+")
_ID = re.compile(r"((?:\\.|[^\\])*?)\[(\d+)\]")
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r"}

# A layer with an annotation's number, or with the unit that it has alone.
_Key = Tuple[str, str]


class _Layer(NamedTuple):
    """A layer and its columns.

    name (str): the type's name.
    kind (str): "SP", "RL" or "CH".
    features (List[str]): features of its first columns; "" for one that only says that there is an annotation.
    slots (List[str]): features that link to annotations: each has a column of roles and one of targets.
    targets (List[str]): the layers that these link to.
    base (str): of relations, the layer that they connect; their last column has the sources.
    """

    name: str
    kind: str
    features: List[str]
    slots: List[str]
    targets: List[str]
    base: str

    @property
    def width(self) -> int:
        return len(self.features) + 2 * len(self.slots) + (self.kind == "RL")


class _Row(NamedTuple):
    """A token, or a part of one.

    number (int): the line's number.
    unit (str): its name, "2-5", or "2-5.1" for a part.
    start, end (int): its offsets, in 16-bit units.
    text (str): its text.
    columns (List[str]): the columns of the layers.
    """

    number: int
    unit: str
    start: int
    end: int
    text: str
    columns: List[str]


class _Annotation:
    """An annotation: what its rows say together."""

    def __init__(self, layer: str, row: _Row) -> None:
        self.layer = layer
        self.start, self.end = row.start, row.end
        self.features: Dict[str, str] = {}

    def add(self, row: _Row) -> None:
        self.start, self.end = min(self.start, row.start), max(self.end, row.end)


def read_webanno(path: Path, problems: Problems) -> Iterator[Record]:
    """Read a file, or all .tsv files of a folder and below it.

    path (Path): the file or folder.
    problems (Problems): is told what can't be read.
    YIELDS (Record): a record a file, whose id is the file's name.
    """
    files = sorted(path.rglob("*.tsv")) if path.is_dir() else [path]
    for file in files:
        name = file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem
        lines = list(_lines(file, problems))
        if any(line.strip() for _, line, _ in lines):
            raw = "\n".join(line for _, line, _ in lines)
            yield from unless_wrong(file.name, raw, problems, partial(_read, lines, unquote(name)))
        elif path.is_dir() and lines:
            problems.add(file.name, Errors.R334.format(path=file))


def _lines(file: Path, problems: Problems) -> Iterator[Tuple[int, str, str]]:
    try:
        yield from read_all_lines(file)
    except ValueError as err:  # in UTF-16
        problems.add(file.name, str(err))


def _read(lines: Sequence[Tuple[int, str, str]], name: str, messages: List[str]) -> Optional[Record]:
    messages += [f"line {number}: {wrong}" for number, _, wrong in lines if wrong]
    return None if messages else _Document([line[:2] for line in lines], messages).record(name)


class _Document:
    def __init__(self, lines: Sequence[Tuple[int, str]], messages: List[str]) -> None:
        self.messages = messages
        self.layers: List[_Layer] = []
        self.rows: List[_Row] = []
        self.spans: Dict[_Key, _Annotation] = {}
        self.relations: List[Tuple[int, _Key, _Key, str, Dict[str, str]]] = []
        self.dropped: Counter[str] = Counter()
        if not lines[0][1].startswith(_FORMAT):
            self._tell(1, f"the first line should begin with {_FORMAT!r}")
            return
        for number, line in lines[1:]:
            if line.startswith("#T_"):
                self.layers.append(_layer(line))
            elif line.strip() and not line.startswith("#"):
                self._row(number, line)
        if not self.rows and not self.messages:
            self._tell(lines[-1][0], "no line of a token stands above its end")

    def _tell(self, number: int, problem: str) -> None:
        self.messages.append(f"line {number}: {Errors.R382.format(problem=problem)}")

    def _row(self, number: int, line: str) -> None:
        # A tab stands behind the last column, too.
        fields = line.removesuffix("\t").split("\t")
        offsets = fields[1].split("-") if len(fields) > 2 else []
        width = sum(layer.width for layer in self.layers)
        if len(offsets) != 2 or not all(map(str.isdigit, offsets)) or _UNIT.fullmatch(fields[0]) is None:
            self._tell(number, "a token's line begins with number, offsets and text, with tabs between them")
        elif len(fields) - 3 < width:
            self._tell(number, f"it has {len(fields) - 3} columns behind the text, but the layers have {width}")
        else:
            start, end = map(int, offsets)
            self.rows.append(_Row(number, fields[0], start, end, _plain(fields[2]), fields[3:]))

    def record(self, name: str) -> Record:
        text, index = self._text()
        if not self.messages:
            for row in self.rows:
                first = 0
                for layer in self.layers:
                    self._annotations(row, layer, row.columns[first : first + layer.width])
                    first += layer.width
            for row in self.rows:
                first = 0
                for layer in self.layers:
                    self._links(row, layer, row.columns[first : first + layer.width])
                    first += layer.width
        content = {"id": name, "text": text, **self._content(index)}
        words = [row.text for row in self.rows if "." not in row.unit]
        return Record(name, name, content, words=words, dropped=self.dropped)

    def _text(self) -> Tuple[str, Dict[int, int]]:
        """RETURNS (Tuple[str, Dict[int, int]]): the text, and its characters' indexes by their offsets in the file."""
        text, place = "", 0
        for row in self.rows:
            if "." in row.unit:
                continue
            if row.start < place or row.end - row.start != utf16_offsets(row.text)[-1]:
                self._tell(row.number, f"the token {row.text!r} does not fit its offsets, {row.start} to {row.end}")
                break
            text += " " * (row.start - place) + row.text
            place = row.end
        return text, {offset: i for i, offset in enumerate(utf16_offsets(text))}

    def _annotations(self, row: _Row, layer: _Layer, columns: Sequence[str]) -> None:
        """Note the annotations that a row is a part of."""
        if layer.kind == "CH":
            self.dropped["links of chains"] += columns[0] != "_"
        if layer.kind != "SP":
            return
        names = [*layer.features, *(name for name in layer.slots)]
        cells = [*columns[: len(layer.features)], *columns[len(layer.features) :: 2]]
        for name, cell in zip(names, cells):
            for item in _items(cell):
                value, number = _numbered(item)
                key = (layer.name, f"[{number}]" if number else row.unit)
                span = self.spans.setdefault(key, _Annotation(layer.name, row))
                span.add(row)
                if name and name in layer.features and value != "*":
                    span.features[name] = _plain(value)

    def _links(self, row: _Row, layer: _Layer, columns: Sequence[str]) -> None:
        """Note the relations and slots of a row."""
        if layer.kind == "RL":
            sources = _items(columns[-1])
            if is_linguistic(layer.name):
                self.dropped[f"relations of the layer {layer.name.rsplit('.', 1)[-1]}"] += len(sources)
                return
            cells = [_items(cell) for cell in columns[: len(layer.features)]]
            for i, source in enumerate(sources):
                values = {
                    name: _plain(_numbered(items[i])[0])
                    for name, items in zip(layer.features, cells)
                    if name and i < len(items) and items[i] not in ("*", "_")
                }
                head, own = self._find(row, layer.base, source)
                label, concept, others = choose_label(values, layer.name)
                others.update({"identifier": concept} if concept else {})
                if head is not None:
                    self.relations.append((row.number, head, (layer.base, own), label, others))
        for n, (slot, target) in enumerate(zip(layer.slots, layer.targets)):
            roles, ends = columns[len(layer.features) + 2 * n :][:2]
            for role, end in zip(_items(roles), _items(ends)):
                names, number = _numbered(role)
                host = (layer.name, f"[{number}]" if number else row.unit)
                for name, place in zip(names.split(";"), end.split(";")):
                    tail, _ = self._find(row, target, place)
                    if tail is not None:
                        self.relations.append((row.number, host, tail, slot if name == "*" else _plain(name), {}))

    def _find(self, row: _Row, layer: str, reference: str) -> Tuple[Optional[_Key], str]:
        """RETURNS (Tuple[Optional[Tuple[str, str]], str]): the annotation that a reference names, and which one of its
        own row a relation has as its target.
        """
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            self._tell(row.number, f"{reference!r} names no token, as '1-2' or '1-2[3]' does")
            return None, ""
        unit, number, target = match.groups()
        key = (layer, f"[{number}]" if number and number != "0" else unit)
        if layer == TOKEN or key not in self.spans:
            others = [item for item in self.rows if item.unit == unit]
            # A slot may link to annotations of any layer.
            found = [known for known in self.spans if known[1] == key[1]]
            if layer != TOKEN and found and not any(known[0] == layer for known in self.spans):
                key = found[0]
            elif others and (layer == TOKEN or is_linguistic(layer)):
                self.spans.setdefault(key, _Annotation(TOKEN, others[0]))
            else:
                self._tell(row.number, f"{reference!r} names an annotation of the layer {layer} that is not there")
                return None, ""
        own = f"[{target}]" if target and target != "0" else row.unit
        if layer == TOKEN or is_linguistic(layer):
            self.spans.setdefault((layer, own), _Annotation(TOKEN, row))
        return key, own

    def _content(self, index: Dict[int, int]) -> Dict[str, Any]:
        used = {key for _, head, tail, _, _ in self.relations for key in (head, tail)}
        places: Dict[_Key, int] = {}
        ents: List[Dict[str, Any]] = []
        for key, span in sorted(self.spans.items(), key=lambda item: (item[1].start, -item[1].end)):
            if is_linguistic(span.layer) and key not in used:
                self.dropped[f"annotations of the layer {span.layer.rsplit('.', 1)[-1]}"] += 1
            elif span.start == span.end:
                self.dropped["annotations without length"] += 1
            elif not {span.start, span.end} <= index.keys():
                self._tell(1, f"an annotation from {span.start} to {span.end} begins or ends outside of the text")
            else:
                label, concept, others = choose_label(span.features, span.layer)
                self.dropped["further features of annotations"] += len(others)
                places[key] = len(ents)
                ent = {"start": index[span.start], "end": index[span.end], "label": label}
                ents.append({**ent, **({"kb_id": concept} if concept else {})})
        content: Dict[str, Any] = {"ents": ents}
        if any(layer.slots or (layer.kind == "RL" and not is_linguistic(layer.name)) for layer in self.layers):
            content["relations"] = []
        for number, head, tail, label, others in self.relations:
            if tail not in self.spans:
                self._tell(number, f"a relation stands here, but no annotation of the layer {tail[0]}")
            elif head not in places or tail not in places:
                self.dropped["relations of annotations without length"] += 1
            else:
                relation = {"head": places[head], "tail": places[tail], "label": label}
                content["relations"].append({**relation, **({"evidence": {"features": others}} if others else {})})
        return content


# Writing


def write_webanno(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents to a folder, a file each, with a layer of named entities and one of relations. Tokens of spaces
    are none. The folder appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the folder to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    keeps = ("kb_id", "unknown", "features")
    names, files = FileNames(dropped), {}
    for name, doc, data in unique_names(docs, spans_key, dropped, keeps):
        if data["text"].strip():
            files[f"{names.add(name)}.tsv"] = "\n".join(_written(doc, data, dropped)) + "\n"
        else:
            dropped[NO_TOKENS] += 1
    write_files(path, files)
    return len(files)


def _written(doc: Doc, data: Dict[str, Any], dropped: Counter[str]) -> Iterator[str]:
    """YIELDS (str): the lines of a document."""
    _, places = to_words(doc, data, dropped)
    sents = [(sent, [token for token in sent if not token.text.isspace()]) for sent in sentences(doc)]
    sents = [(sent, tokens) for sent, tokens in sents if tokens]
    # The number of the sentence, and the token's own number there.
    units = [f"{i}-{j}" for i, (_, tokens) in enumerate(sents, 1) for j in range(1, len(tokens) + 1)]
    known = "relations" in data
    features = list(dict.fromkeys(key for item in data.get("relations", ()) for key in item.get("features", ())))
    yield "#FORMAT=WebAnno TSV 3.3"
    yield f"#T_SP={ENTITIES}|identifier|value"
    if known:
        yield f"#T_RL={RELATIONS}|{'|'.join(['value', *features])}|BT_{ENTITIES}"
    yield ""
    numbers = _numbers(places)
    # The cells of each token: identifiers and values, and the features and sources of its relations.
    cells: List[List[List[str]]] = [[[] for _ in range(2 + known * (2 + len(features)))] for _ in units]
    for ent, (start, end), number in zip(data["ents"], places, numbers):
        mark = f"[{number}]" if number else ""
        for i in range(start, end):
            for cell, value in zip(cells[i], (ent.get("kb_id", ""), ent["label"])):
                cell.append((_escaped(value) or "*") + mark)
    for item in data.get("relations", ()):
        head, tail = item["head"], item["tail"]
        ends = f"[{numbers[head]}_{numbers[tail]}]" if numbers[head] or numbers[tail] else ""
        own = cells[places[tail][0]][2:]
        for cell, value in zip(own, (item["label"], *(item.get("features", {}).get(key, "") for key in features))):
            cell.append(_escaped(str(value)) or "*")
        own[-1].append(units[places[head][0]] + ends)
    rows = zip(units, cells)
    offsets = utf16_offsets(data["text"])
    text = ""
    for sent, tokens in sents:
        yield ""
        yield f"#Text={_escaped(sent.text.strip())}"
        for token, (unit, row) in zip(tokens, rows):
            place = f"{offsets[token.idx]}-{offsets[token.idx + len(token)]}"
            text += " " * (token.idx - len(text)) + token.text
            yield "\t".join((unit, place, _escaped(token.text), *("|".join(cell) or "_" for cell in row), ""))
    tell_spaces(text, data["text"], dropped)


def _numbers(places: Sequence[Tuple[int, int]]) -> List[int]:
    """RETURNS (List[int]): a number for each entity of several tokens, or that shares a token with another; else 0."""
    covering = Counter(i for start, end in places for i in range(start, end))
    return [number if end - start > 1 or covering[start] > 1 else 0 for number, (start, end) in enumerate(places, 1)]


def _escaped(text: str) -> str:
    """RETURNS (str): a text with the characters escaped that have a meaning in a cell."""
    named = {char: f"\\{name}" for name, char in _ESCAPES.items()}
    return re.sub(r"[\\\[\]|_;*>\t\n\r]", lambda match: named.get(match[0], f"\\{match[0]}"), text)


def _layer(line: str) -> _Layer:
    kind, _, rest = line[3:].partition("=")
    name, *columns = rest.split("|")
    base = next((column[3:] for column in columns if column.startswith("BT_")), "")
    features, slots, targets = [], [], []
    following = iter(column for column in columns if not column.startswith("BT_"))
    for column in following:
        if column.startswith("ROLE_"):
            # ROLE_layer:feature_type, and the layer that is linked to.
            slots.append(column.rsplit(":", 1)[-1].split("_", 1)[0])
            targets.append(next(following, ""))
        else:
            features.append(column)
    return _Layer(name, kind, features or ([] if slots else [""]), slots, targets, base)


def _items(cell: str) -> List[str]:
    return [item for item in _ITEM.findall(cell) if item != "_"]


def _numbered(item: str) -> Tuple[str, str]:
    """RETURNS (Tuple[str, str]): a value, and the number of its annotation or ""."""
    match = _ID.fullmatch(item)
    return (item, "") if match is None else (match[1], match[2])


def _plain(value: str) -> str:
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), value)


def _matches(sample: Sample) -> bool:
    if sample.names:
        return any(name.endswith(".tsv") and _is_mine(sample.path / name) for name in sample.names[:20])
    return bool(sample.lines) and sample.lines[0].startswith(_FORMAT)


def _is_mine(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(200).removeprefix(b"\xef\xbb\xbf").startswith(_FORMAT.encode())


WEBANNO = Format("webanno", "WebAnno TSV 3 of INCEpTION", _matches, from_records(read_webanno), write_webanno)
