"""BioC, in JSON and in XML: documents of passages, with annotations and relations at places of the whole document.

Comeau et al. 2013, https://doi.org/10.1093/database/bat064. A relation is between annotations, which it names by their
ids (`nodes`), or between concepts, as in CDR, BioRED and PubTator 3: these hold between all mentions of the concepts.
"""

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union
from xml.etree import ElementTree

from spacy.tokens import Doc

from ..errors import Errors
from ..files import atomic_write
from ..plain import NO_ID
from .files import Problems, check_encoding
from .parse import Checker, is_int, is_tables, is_text
from .pubtator import between_concepts, concept_relations
from .records import Format, Record, Sample, from_records, json_records, unless_wrong
from .writing import keep_entities, tell_marks, unique_names

WANTED = "documents with passages"

# Infons that hold an identifier, the first that is there.
_CONCEPTS = ("identifier", "MESH", "MeSH", "OMIM", "NCBI GENE", "NCBI Gene", "NCBI_Gene", "NCBI Taxonomy", "ChEBI")
_LABELS = ("type", "relation type", "relation", "label")
_NO_TYPE = "relations without a type"


def read_bioc(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the documents of a file.

    path (Path): the file, JSON or XML.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records. Where no document of the file has a relation, none is known to have none.
    """
    documents = list(_of_xml(path) if _is_xml(path) else _of_json(path, problems))
    related = any(_relations(data) for _, _, data in documents)
    for place, raw, data in documents:
        yield from unless_wrong(place, raw, problems, partial(_read, data, place, raw, related))


def _read(data: Dict[str, Any], place: str, raw: str, related: bool, messages: List[str]) -> Record:
    return _Document(data, Checker(messages)).record(place, raw, related)


def _of_json(path: Path, problems: Problems) -> Iterator[Tuple[str, str, Dict[str, Any]]]:
    for place, raw, value in json_records(path, problems, _may_be_mine, WANTED):
        documents = _documents(value)
        for number, document in enumerate(documents, 1):
            alone = len(documents) == 1
            yield place if alone else f"document {number}", raw if alone else json.dumps(document), document


def _documents(value: Dict[str, Any]) -> List[Dict[str, Any]]:
    for key in ("documents", "PubTator3"):
        if isinstance(value.get(key), list):
            return [item for item in value[key] if isinstance(item, dict)]
    return [value]


def _is_xml(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _of_xml(path: Path) -> Iterator[Tuple[str, str, Dict[str, Any]]]:
    content = path.read_bytes()
    check_encoding(content[:4], path)
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as err:
        raise ValueError(Errors.R381.format(path=path, problem=err)) from err
    for number, element in enumerate(root.iter("document"), 1):
        yield f"document {number}", ElementTree.tostring(element, encoding="unicode"), _element(element)


def _element(element: ElementTree.Element) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): a document, passage, sentence, annotation or relation, as JSON has it."""
    data: Dict[str, Any] = {"infons": {item.get("key"): item.text or "" for item in element.findall("infon")}}
    data.update({key: element.get(key) for key in ("id",) if element.get(key) is not None})
    for key in ("id", "text"):
        found = element.find(key)
        if found is not None:
            data[key] = found.text or ""
    offset = element.find("offset")
    if offset is not None:
        data["offset"] = _number(offset.text)
    for key in ("passage", "sentence", "annotation", "relation"):
        data[f"{key}s"] = [_element(item) for item in element.findall(key)]
    data["locations"] = [
        {key: _number(item.get(key)) for key in ("offset", "length")} for item in element.findall("location")
    ]
    data["nodes"] = [dict(item.attrib) for item in element.findall("node")]
    return data


def _number(text: Optional[str]) -> Any:
    return int(text) if text is not None and text.strip().isdigit() else text


def _parts(document: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """YIELDS (Dict[str, Any]): the document, its passages and their sentences, which all may have annotations."""
    yield document
    for passage in _tables(document, "passages"):
        yield passage
        yield from _tables(passage, "sentences")


def _relations(document: Dict[str, Any]) -> List[Dict[str, Any]]:
    return [relation for part in _parts(document) for relation in _tables(part, "relations")]


def _tables(data: Dict[str, Any], key: str) -> List[Dict[str, Any]]:
    value = data.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _infons(data: Dict[str, Any]) -> Dict[str, Any]:
    value = data.get("infons")
    return value if isinstance(value, dict) else {}


class _Concepts(NamedTuple):
    """A relation between concepts: the identifiers of head and tail."""

    head: str
    tail: str


class _Document:
    def __init__(self, data: Dict[str, Any], check: Checker) -> None:
        self.data = data
        self.check = check
        self.text, self.base = self._text()
        self.ents: List[Dict[str, Any]] = []
        self.index: Dict[str, int] = {}  # of annotations by id
        self.dropped: Counter[str] = Counter()

    def record(self, place: str, raw: str, related: bool) -> Record:
        # What is wrong with the text would be said of each annotation again, and of relations what is wrong with these.
        for part in () if self.check.messages else _parts(self.data):
            for annotation in _tables(part, "annotations"):
                self._annotation(annotation)
        content: Dict[str, Any] = {"text": self.text, "ents": self.ents}
        if self.data.get("id") not in (None, ""):
            content["id"] = str(self.data["id"])
        if related and not self.check.messages:
            content.update(self._related())
        return Record(place, raw, content, dropped=self.dropped)

    def _text(self) -> Tuple[str, int]:
        """RETURNS (Tuple[str, int]): the text, with spaces between its passages, and the offset where it begins."""
        text, base = "", None
        for part in _parts(self.data):
            if not is_text(part.get("text")):
                continue
            what = "a passage" if part.get("sentences") is None else "a passage or sentence"
            offset = self.check.get(part, "offset", what, is_int, "a whole number")
            if offset is None:
                continue
            base = offset if base is None else base
            if offset - base < len(text):
                inside = text[offset - base :].startswith(part["text"])
                if not inside:  # a passage with its text, and sentences in it
                    problem = f"it begins inside of the one before, which ends at {base + len(text)}"
                    self._tell(f"the passage at offset {offset}", problem)
                continue
            text += " " * (offset - base - len(text)) + part["text"]
        return text, base or 0

    def _annotation(self, annotation: Dict[str, Any]) -> None:
        id_ = str(annotation.get("id", len(self.ents)))
        what = f"the annotation {id_!r}"
        locations = self.check.get(annotation, "locations", what, is_tables, "a list of objects") or []
        places = [
            (
                self.check.get(item, "offset", what, is_int, "a whole number"),
                self.check.get(item, "length", what, is_int, "a whole number"),
            )
            for item in locations
        ]
        if not places or any(number is None for place in places for number in place):
            if not places:
                self.dropped["annotations without a place"] += 1
            return
        start = min(offset for offset, _ in places) - self.base
        end = max(offset + length for offset, length in places) - self.base
        wanted = annotation.get("text")
        found = self.text[max(start, 0) : max(end, 0)]
        if len(places) > 1:
            self.dropped["gaps inside of discontinuous annotations"] += 1
        elif isinstance(wanted, str) and wanted.split() != found.split():
            problem = f"its text is {wanted!r}, but the document has {found!r} from {start} to {end}"
            self._tell(what, problem)
            return
        infons = _infons(annotation)
        concept = next((str(infons[key]) for key in _CONCEPTS if infons.get(key) is not None), "")
        self.index[id_] = len(self.ents)
        ent = {"start": start, "end": end, "label": str(infons.get("type") or "")}
        self.ents.append({**ent, **({} if concept in NO_ID else {"kb_id": concept})})

    def _related(self) -> Dict[str, Any]:
        pairs: List[Tuple[str, int, int]] = []
        concepts: List[Tuple[str, str, str]] = []
        ids = {str(relation.get("id")) for relation in _relations(self.data)}
        for relation in _relations(self.data):
            infons = _infons(relation)
            label = next((str(infons[key]) for key in _LABELS if infons.get(key)), "")
            nodes = _tables(relation, "nodes")
            named = _concepts_of(infons)
            if not label:
                self.dropped[_NO_TYPE] += 1
            elif nodes:
                found = self._nodes(relation, nodes, ids)
                pairs += [] if found is None else [(label, *found)]
            elif named is not None:
                concepts.append((label, *named))
            else:
                self.dropped["relations of nothing that is named"] += 1
        if not concepts:
            return {"relations": [{"head": head, "tail": tail, "label": label} for label, head, tail in pairs]}
        content = concept_relations(self.ents, concepts, self.dropped)
        owner = {i: number for number, members in reversed(list(enumerate(content["clusters"]))) for i in members}
        for label, head, tail in pairs:
            content["relations"].append({"head": owner[head], "tail": owner[tail], "label": label})
        return content

    def _tell(self, what: str, problem: str) -> None:
        self.check.messages.append(Errors.R380.format(what=what, problem=problem))

    def _nodes(
        self, relation: Dict[str, Any], nodes: List[Dict[str, Any]], ids: Iterable[str]
    ) -> Optional[Tuple[int, int]]:
        refs = [str(node.get("refid")) for node in nodes]
        if any(ref not in self.index and ref in ids for ref in refs):
            self.dropped["relations to relations"] += 1
        elif len(refs) != 2:
            self.dropped["relations of more or less than two annotations"] += 1
        else:
            unknown = [ref for ref in refs if ref not in self.index]
            if not unknown:
                return self.index[refs[0]], self.index[refs[1]]
            problem = f"it names the annotation {unknown[0]!r}, which is not there"
            self._tell(f"the relation {relation.get('id')!r}", problem)
        return None


def _concepts_of(infons: Dict[str, Any]) -> Optional[_Concepts]:
    """RETURNS (Optional[_Concepts]): the concepts that a relation names in its infons."""
    for first, second in (("entity1", "entity2"), ("role1", "role2")):
        if first in infons and second in infons:
            both = [
                item.get("identifier") if isinstance(item, dict) else item for item in (infons[first], infons[second])
            ]
            return _Concepts(str(both[0]), str(both[1]))
    others = [value for key, value in infons.items() if key not in _LABELS]
    return _Concepts(str(others[0]), str(others[1])) if "relation" in infons and len(others) == 2 else None


# Writing


def write_bioc(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents as BioC JSON, a passage each. Relations are between annotations or, where a document has entity
    clusters, between concepts. The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    written = list(unique_names(docs, spans_key, dropped, ("clusters", "kb_id", "unknown", "untyped")))
    tell_marks([data for _, _, data in written], dropped)
    collection = {"source": "", "date": "", "key": "", "infons": {}}
    documents = [_document(name, data, dropped) for name, _, data in written]
    with atomic_write(path) as file_:
        file_.write(json.dumps({**collection, "documents": documents}, ensure_ascii=False).encode())
    return len(written)


def _document(name: str, data: Dict[str, Any], dropped: Counter[str]) -> Dict[str, Any]:
    text = data["text"]
    keep_entities(data, lambda ent: bool(text[ent["start"] : ent["end"]].strip()), "entities of spaces alone", dropped)
    relations: List[Dict[str, Any]] = []
    if data.get("clusters"):
        for label, head, tail in between_concepts(data, dropped):
            relations.append({"infons": {"type": label, "entity1": head, "entity2": tail}, "nodes": []})
    else:
        for item in data.get("relations", ()):
            nodes = [{"refid": str(item[role]), "role": role} for role in ("head", "tail")]
            relations.append({"infons": {"type": item["label"]}, "nodes": nodes})
    annotations = []
    for i, ent in enumerate(data["ents"]):
        start, end = ent["start"], ent["end"]
        infons = {"type": ent["label"], **({"identifier": ent["kb_id"]} if "kb_id" in ent else {})}
        place = {"offset": start, "length": end - start}
        annotations.append({"id": str(i), "infons": infons, "text": text[start:end], "locations": [place]})
    passage = {"offset": 0, "infons": {}, "text": text, "sentences": [], "annotations": annotations, "relations": []}
    numbered = [{"id": f"R{i}", **relation} for i, relation in enumerate(relations)]
    return {"id": name, "infons": {}, "passages": [passage], "relations": numbered}


def _may_be_mine(value: Dict[str, Any]) -> bool:
    return any(isinstance(item.get("passages"), list) for item in _documents(value))


def _matches(sample: Sample) -> bool:
    if sample.records:
        return sample.has_object(_may_be_mine)
    start = " ".join(sample.lines[:20])
    return start.lstrip().startswith("<") and "<collection" in start


BIOC = Format("bioc", "BioC, JSON or XML", _matches, from_records(read_bioc), write_bioc)
