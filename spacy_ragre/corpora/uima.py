"""UIMA CAS in JSON, as INCEpTION exports a document: a file, or a folder of them. It needs the extra `uima`.

https://github.com/dkpro/dkpro-cassis. An annotation with two links to others, as INCEpTION's layers of relations have
them, is a relation, and so is each link of a feature that links to several. All other annotations are entities, but for
those that describe words.
"""

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union
from urllib.parse import unquote

from spacy.tokens import Doc

from ..errors import Errors
from .files import Problems, decode
from .folders import FileNames, write_files
from .layers import ENTITIES, METADATA, RELATIONS, SENTENCE, TOKEN, choose_label, is_linguistic
from .records import Format, Record, Sample, from_records, unless_wrong
from .tokens import sentences, utf16_offsets
from .writing import to_words, unique_names

if TYPE_CHECKING:
    from cassis import Cas
    from cassis.typesystem import FeatureStructure

#: The features of a relation that link to its head and its tail.
ENDS = (("Governor", "Dependent"), ("source", "target"), ("head", "tail"), ("from", "to"), ("arg1", "arg2"))
_STRING, _VIEW = "uima.cas.String", "_InitialView"
_KEYS = ("%TYPES", "%FEATURE_STRUCTURES", "%VIEWS")


def read_uima(path: Path, problems: Problems) -> Iterator[Record]:
    """Read a file, or all .json files of a folder and below it.

    path (Path): the file or folder.
    problems (Problems): is told what can't be read.
    YIELDS (Record): a record a file.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    for file in files:
        try:
            text = decode(file.read_bytes(), file)
        except ValueError as err:
            problems.add(file.name, str(err))
            continue
        try:
            cas = _load(text)
        except ImportError as err:
            raise ImportError(Errors.R383) from err
        # What a damaged file raises depends on where it is damaged.
        except Exception as err:
            problem = f"{type(err).__name__}: {err}"
            problems.add(file.name, Errors.R384.format(problem=problem), record=text[:2000])
            continue
        yield from unless_wrong(file.name, text[:2000], problems, partial(_record, cas, file))


def _load(text: str) -> "Cas":
    from cassis import load_cas_from_json

    return load_cas_from_json(text)


def _record(cas: "Cas", file: Path, messages: List[str]) -> Record:
    text = cas.sofa_string or ""
    if not isinstance(text, str):
        messages.append(Errors.R384.format(problem=f"its text is {text!r}"))
        return Record(file.name, file.name)
    dropped: Counter[str] = Counter()
    nodes = [item for item in cas.select_all_annotations() if _place(item) is not None]
    relations: List[Tuple[Any, Any, str, Dict[str, Any]]] = []
    spans: Dict[int, Any] = {}
    name = unquote(file.stem)
    for item in nodes:
        ends = _ends(item)
        if item.type.name.endswith(".DocumentMetaData"):
            name = getattr(item, "documentId", None) or name
        elif ends is not None and not is_linguistic(item.type.name):
            label, concept, others = choose_label(_features(item), item.type.name)
            others.update({"identifier": concept} if concept else {})
            relations.append((*ends, label, others))
        elif is_linguistic(item.type.name) or item.type.name.startswith("uima.tcas."):
            if not item.type.name.endswith((".Token", ".Sentence", ".DocumentAnnotation")):
                dropped[f"annotations of the layer {item.type.name.rsplit('.', 1)[-1]}"] += 1
        else:
            spans[id(item)] = item
            relations += [(item, *link) for link in _links(item)]
    # Relations may be between words, too.
    for head, tail, *_ in relations:
        for end in (head, tail):
            if end is not None and _place(end) is not None and _ends(end) is None:
                spans.setdefault(id(end), end)
    places: Dict[int, int] = {}
    ents: List[Dict[str, Any]] = []
    for key, item in sorted(spans.items(), key=lambda pair: (pair[1].begin, -pair[1].end)):
        label, concept, others = choose_label(_features(item), item.type.name)
        dropped["further features of annotations"] += 0 if item.type.name == TOKEN else len(others)
        if item.begin == item.end:
            dropped["annotations without length"] += 1
            continue
        if not 0 <= item.begin < item.end <= len(text):
            problem = f"an annotation of {item.type.name} goes from {item.begin} to {item.end}, outside of the text"
            messages.append(Errors.R384.format(problem=problem))
            continue
        places[key] = len(ents)
        ent = {"start": item.begin, "end": item.end, "label": label}
        ents.append({**ent, **({"kb_id": concept} if concept else {})})
    found = []
    for head, tail, label, others in relations:
        if head is None or tail is None:
            dropped["relations that lack an end"] += 1
        elif id(head) in places and id(tail) in places:
            relation = {"head": places[id(head)], "tail": places[id(tail)], "label": label}
            found.append({**relation, **({"evidence": {"features": others}} if others else {})})
        else:
            dropped["relations to relations, or to annotations without length"] += 1
    tokens = cas.select(TOKEN) if _has(cas, TOKEN) else []
    words = [text[slice(*place)] for place in map(_place, tokens) if place is not None]
    whole = "".join("".join(words).split()) == "".join(text.split()) and bool(words)
    content = {"id": name, "text": text, "ents": ents, "relations": found}
    return Record(file.name, file.name, content, words=words if whole else None, dropped=dropped)


def _has(cas: "Cas", name: str) -> bool:
    return bool(cas.typesystem.contains_type(name))


def _place(item: "FeatureStructure") -> Optional[Tuple[int, int]]:
    start, end = getattr(item, "begin", None), getattr(item, "end", None)
    return (start, end) if isinstance(start, int) and isinstance(end, int) else None


def _ends(item: "FeatureStructure") -> Optional[Tuple[Any, Any]]:
    """RETURNS (Optional[Tuple[Any, Any]]): head and tail of a relation; None for another annotation."""
    names = {feature.name for feature in item.type.all_features}
    for first, second in ENDS:
        if first in names and second in names:
            return getattr(item, first), getattr(item, second)
    return None


def _links(item: "FeatureStructure") -> Iterator[Tuple[Any, str, Dict[str, Any]]]:
    """YIELDS (Tuple[Any, str, Dict[str, Any]]): the targets and roles of features that link to several annotations."""
    for feature in item.type.all_features:
        for link in getattr(getattr(item, feature.name, None), "elements", None) or ():
            if hasattr(link, "target"):
                yield link.target, getattr(link, "role", None) or feature.name, {}


def _features(item: "FeatureStructure") -> Dict[str, str]:
    """RETURNS (Dict[str, str]): features that are texts, numbers or truth values, by name."""
    values = {feature.name: getattr(item, feature.name, None) for feature in item.type.all_features}
    own = {name: value for name, value in values.items() if name not in ("begin", "end", "sofa")}
    return {name: str(value) for name, value in own.items() if isinstance(value, (str, int, float)) and value != ""}


# Writing


def write_uima(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents to a folder, a CAS in JSON each, with their tokens and sentences. The folder appears under its
    name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the folder to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    # The id stands in the file, too.
    names, files = FileNames(Counter()), {}
    for name, doc, data in unique_names(docs, spans_key, dropped, ("kb_id", "features")):
        files[f"{names.add(name)}.json"] = json.dumps(_cas(name, doc, data, dropped), ensure_ascii=False)
    write_files(path, files)
    return len(files)


def _cas(name: str, doc: Doc, data: Dict[str, Any], dropped: Counter[str]) -> Dict[str, Any]:
    to_words(doc, data, dropped)
    relations = data.get("relations", [])
    features = {key: str(value) for item in relations for key, value in item.get("features", {}).items()}
    types = [
        _type(TOKEN, {}),
        _type(SENTENCE, {}),
        _type(METADATA, {"documentId": _STRING}, "uima.tcas.DocumentAnnotation"),
        _type(ENTITIES, {"value": _STRING, "identifier": _STRING}),
        _type(
            RELATIONS,
            {"Governor": ENTITIES, "Dependent": ENTITIES, "value": _STRING, **dict.fromkeys(features, _STRING)},
        ),
    ]
    structures: List[Dict[str, Any]] = []
    text: str = data["text"]
    offsets = utf16_offsets(text)

    def add(type_: str, start: int, end: int, **values: Any) -> int:
        number = len(structures) + 2
        place = {"begin": offsets[start], "end": offsets[end]}
        structures.append({"%ID": number, "%TYPE": type_, "@sofa": 1, **place, **values})
        return number

    add(METADATA, 0, len(text), documentId=name)
    for token in doc:
        if not token.text.isspace():
            add(TOKEN, token.idx, token.idx + len(token))
    for sentence in sentences(doc):
        add(SENTENCE, sentence.start_char, sentence.end_char)
    numbers = []
    for ent in data["ents"]:
        concept = {"identifier": ent["kb_id"]} if "kb_id" in ent else {}
        numbers.append(add(ENTITIES, ent["start"], ent["end"], value=ent["label"], **concept))
    for item in relations:
        tail = data["ents"][item["tail"]]
        ends = {"@Governor": numbers[item["head"]], "@Dependent": numbers[item["tail"]]}
        further = {key: str(value) for key, value in item.get("features", {}).items()}
        add(RELATIONS, tail["start"], tail["end"], **{**further, "value": item["label"], **ends})
    sofa = {
        "%ID": 1,
        "%TYPE": "uima.cas.Sofa",
        "sofaNum": 1,
        "sofaID": _VIEW,
        "mimeType": "text",
        "sofaString": text,
    }
    views = {_VIEW: {"%SOFA": 1, "%MEMBERS": [item["%ID"] for item in structures]}}
    return {
        "%TYPES": {item["%NAME"]: item for item in types},
        "%FEATURE_STRUCTURES": [sofa, *structures],
        "%VIEWS": views,
    }


def _type(name: str, features: Dict[str, str], parent: str = "uima.tcas.Annotation") -> Dict[str, Any]:
    own = {key: {"%NAME": key, "%RANGE": kind} for key, kind in features.items()}
    return {"%NAME": name, "%SUPER_TYPE": parent, **own}


def _matches(sample: Sample) -> bool:
    if sample.names:
        return any(name.endswith(".json") and _is_mine(sample.path / name) for name in sample.names[:20])
    return sample.has_object(lambda item: "%FEATURE_STRUCTURES" in item)


def _is_mine(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4096)
    return any(f'"{key}"'.encode() in start for key in _KEYS)


UIMA = Format("uima", "UIMA CAS of INCEpTION, JSON", _matches, from_records(read_uima), write_uima)
