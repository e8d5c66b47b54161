"""The text format of PubTator, in which CDR, BioRED and other corpora of PubMed abstracts go around.

Wei et al. 2013, https://doi.org/10.1093/nar/gkt441. A document is a block of lines, with a blank line behind it:

    12345|t|Title of the article.
    12345|a|Its abstract about fish oil and nausea.
    12345	41	49	fish oil	Chemical	D005395
    12345	54	60	nausea	Disease	D009325
    12345	CID	D005395	D009325

Offsets count the characters of title, one space and abstract. Relations are between concepts: they hold between all
mentions with their identifiers. A mention may name several concepts, joined by "|", "," or ";".
"""

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Union

from spacy.tokens import Doc

from ..errors import Errors
from ..files import atomic_write
from ..plain import NO_ID, id_parts
from .files import Problems, read_all_lines
from .records import Format, Record, Sample, from_records, unless_wrong
from .writing import BREAKS, keep_entities, one_line, tell_marks, unique_names

_TEXT = re.compile(r"([^|\t]+)\|([a-z]+)\|(.*)")
_SENTENCE_END = re.compile(r"(?<=[.?!]) ")
_TITLE = "PubTator, text"
NO_MENTION = "relations of concepts that no mention names"

# Numbers and texts of lines, and what is wrong with their encoding.
_Lines = List[Tuple[int, str, str]]


def read_pubtator(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the records of a file. Where no document of the file has a relation, none is known to have none.

    path (Path): the file.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records.
    """
    blocks = list(_blocks(path))
    related = any(_is_relation(line) for lines in blocks for _, line, _ in lines)
    for lines in blocks:
        where = f"lines {lines[0][0]} to {lines[-1][0]}"
        raw = "\n".join(line for _, line, _ in lines)
        yield from unless_wrong(where, raw, problems, partial(_record, where, raw, lines, related))


def _blocks(path: Path) -> Iterator[_Lines]:
    """The documents as lists of numbered lines: a blank line ends one, and a title begins one."""
    block: _Lines = []
    for number, line, wrong in read_all_lines(path):
        title = _TEXT.fullmatch(line)
        if block and (not line.strip() or (title is not None and title[2] == "t")):
            yield block
            block = []
        if line.strip():
            block.append((number, line, wrong))
    if block:
        yield block


def _is_relation(line: str) -> bool:
    fields = line.split("\t")
    return len(fields) >= 4 and not fields[1].strip().isdigit() and _TEXT.fullmatch(line) is None


def _record(where: str, raw: str, lines: _Lines, related: bool, messages: List[str]) -> Optional[Record]:
    messages += [f"line {number}: {wrong}" for number, _, wrong in lines if wrong]
    if messages:
        return None
    texts = [match for match in (_TEXT.fullmatch(line) for _, line, _ in lines) if match is not None]
    if not texts:
        problem = Errors.R379.format(line=lines[0][1][:80], problem="no title stands above it")
        messages.append(f"line {lines[0][0]}: {problem}")
        return None
    id_ = texts[0][1].strip()
    text = " ".join(match[3] for match in texts)
    ents: List[Dict[str, Any]] = []
    relations: List[Tuple[str, str, str]] = []
    dropped: Counter[str] = Counter()
    for number, line, _ in lines:
        fields = line.split("\t")
        owner = _TEXT.fullmatch(line)
        problem = ""
        if (owner[1] if owner is not None else fields[0]).strip() != id_:
            problem = f"its document is not {id_!r}, under which it stands"
        elif owner is None and _is_relation(line):
            relations.append((fields[1].strip(), fields[2].strip(), fields[3].strip()))
            dropped["further columns of relations"] += len(fields) > 4
        elif owner is None:
            ent, problem = _mention(fields, text)
            ents += [] if ent is None else [ent]
        if problem:
            messages.append(f"line {number}: {Errors.R379.format(line=line[:80], problem=problem)}")
    if messages:
        return None
    content: Dict[str, Any] = {"id": id_, "text": text, "ents": ents}
    if related:
        content.update(concept_relations(ents, relations, dropped))
    return Record(where, raw, content, dropped=dropped)


def _mention(fields: Sequence[str], text: str) -> Tuple[Optional[Dict[str, Any]], str]:
    """RETURNS (Tuple[Optional[Dict[str, Any]], str]): the entity, or what is wrong with it."""
    if len(fields) < 5 or not (fields[1].strip().isdigit() and fields[2].strip().isdigit()):
        return None, "it needs document, start, end, mention and type, with tabs between them"
    start, end = int(fields[1]), int(fields[2])
    found = text[start:end]
    if found.split() != fields[3].split() or not found.strip():
        return None, f"the text has {found!r} from {start} to {end} (title, a space and abstract)"
    concept = fields[5].strip() if len(fields) > 5 else ""
    ent = {"start": start, "end": end, "label": fields[4].strip()}
    return {**ent, **({} if concept in NO_ID else {"kb_id": concept})}, ""


def concept_relations(
    ents: Sequence[Dict[str, Any]], relations: Sequence[Tuple[str, str, str]], dropped: "Counter[str]"
) -> Dict[str, Any]:
    """Relations between concepts as relations between the clusters of their mentions.

    ents (Sequence[Dict[str, Any]]): the entities of a document in the interchange form, with `kb_id`.
    relations (Sequence[Tuple[str, str, str]]): label, and the identifiers of head and tail.
    dropped (Counter[str]): relations of concepts without a mention are counted here.
    RETURNS (Dict[str, Any]): `clusters` and `relations`. Mentions of one concept are a cluster; one that names several
        concepts is in the cluster of each of them that has a relation.
    """
    asked = {concept for _, head, tail in relations for concept in (head, tail)}
    members: Dict[Any, List[int]] = {}
    for i, ent in enumerate(ents):
        whole = ent.get("kb_id")
        parts = [] if whole is None else id_parts(whole)
        own = [part for part in dict.fromkeys(parts) if part in asked and part != whole]
        for key in own if own and whole not in asked else [i if whole is None else whole, *own]:
            members.setdefault(key, []).append(i)
    index = {key: number for number, key in enumerate(members)}
    found = []
    for label, head, tail in relations:
        if head in index and tail in index:
            found.append({"head": index[head], "tail": index[tail], "label": label})
        else:
            dropped[NO_MENTION] += 1
    return {"clusters": list(members.values()), "relations": found}


# Writing


def write_pubtator(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents as blocks of lines. Relations are between concepts: mentions without an identifier of their own
    get one where they hold a relation. The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written. A ValueError is raised for an id with "|" in it, and
        for a label that is a number.
    """
    written = list(unique_names(docs, spans_key, dropped, ("clusters", "kb_id", "unknown", "untyped")))
    tell_marks([data for _, _, data in written], dropped)
    with atomic_write(path) as file_:
        for name, _, data in written:
            lines = _block(one_line(name, "the id", _TITLE, without="|"), data, dropped)
            file_.write("\n".join([*lines, "", ""]).encode())
    return len(written)


def _block(name: str, data: Dict[str, Any], dropped: Counter[str]) -> Iterator[str]:
    text = BREAKS.sub(" ", data["text"])
    dropped["line breaks and tabs (written as spaces)"] += text != data["text"]
    keep_entities(data, lambda ent: bool(text[ent["start"] : ent["end"]].strip()), "entities of spaces alone", dropped)
    end = _SENTENCE_END.search(text)
    yield f"{name}|t|{text[: end.start()] if end else text}"
    if end:
        yield f"{name}|a|{text[end.end() :]}"
    relations = between_concepts(data, dropped)
    for ent in data["ents"]:
        mention = text[ent["start"] : ent["end"]]
        type_, concept = (one_line(value, "the type or identifier", _TITLE) if value else "" for value in _says(ent))
        yield "\t".join((name, str(ent["start"]), str(ent["end"]), mention, type_, *([concept] if concept else [])))
    for label, head, tail in relations:
        if label.isdigit():
            raise ValueError(Errors.R810.format(what="the label", value=label, format=_TITLE))
        yield "\t".join((name, one_line(label, "the label", _TITLE), head, tail))


def _says(ent: Mapping[str, Any]) -> Tuple[str, str]:
    return ent["label"], ent.get("kb_id", "")


def between_concepts(data: Dict[str, Any], dropped: Counter[str]) -> List[Tuple[str, str, str]]:
    """The relations of a document as relations between concepts, the other way round as `concept_relations`.

    data (Dict[str, Any]): what `flat_dict` gave, with clusters and `kb_id`. Entities that hold a relation and have no
        identifier get one.
    dropped (Counter[str]): where it is counted that they did, and what is not kept.
    RETURNS (List[Tuple[str, str, str]]): label, and the identifiers of head and tail.
    """
    ents: List[Dict[str, Any]] = data["ents"]
    clusters: List[List[int]] = data.get("clusters", [])
    owner = {i: number for number, members in reversed(list(enumerate(clusters))) for i in members}
    concepts: Dict[Tuple[int, ...], str] = {}

    def concept(mention: int, cluster: Optional[int]) -> str:
        number = owner.get(mention) if cluster is None else cluster
        members = (mention,) if number is None or not clusters[number] else tuple(clusters[number])
        key = (*members, -1 if number is None else number)
        if key not in concepts:
            concepts[key] = _choose([ents[i] for i in members], set(concepts.values()), mention, dropped)
            same = sum(ent.get("kb_id") == concepts[key] for ent in ents)
            dropped["relations of mentions (written as relations of all mentions of their identifiers)"] += (
                same > 1 and number is None
            )
        return concepts[key]

    found = [
        (item["label"], *(concept(item[role], item.get(f"{role}_cluster")) for role in ("head", "tail")))
        for item in data.get("relations", ())
    ]
    loose = [members for members in clusters if len({ents[i].get("kb_id") for i in members} - {None}) != 1]
    dropped["clusters of entities without one identifier"] += sum(
        len(members) > 1 and not any(set(members) <= set(key[:-1]) for key in concepts) for members in loose
    )
    return list(dict.fromkeys((label, head, tail) for label, head, tail in found))


def _choose(mentions: Sequence[Dict[str, Any]], taken: Set[str], number: int, dropped: Counter[str]) -> str:
    """RETURNS (str): the identifier that mentions share, or a new one."""
    wholes = [ent["kb_id"] for ent in mentions if ent.get("kb_id")]
    if not wholes:
        made = f"M{number + 1}"
        dropped["identifiers made up for entities that hold a relation"] += 1
        for ent in mentions:
            ent["kb_id"] = made
        return made
    shared = [part for part in id_parts(wholes[0]) if all(part in id_parts(whole) for whole in wholes[1:])]
    dropped["further identifiers of a cluster"] += not shared
    chosen = next((part for part in shared if part not in taken), (shared or wholes)[0])
    for ent in mentions:
        ent.setdefault("kb_id", chosen)
    return chosen


def _matches(sample: Sample) -> bool:
    return bool(sample.lines) and not sample.records and _is_title(sample.lines[0])


def _is_title(line: str) -> bool:
    match = _TEXT.fullmatch(line)
    return match is not None and match[2] == "t"


PUBTATOR = Format("pubtator", _TITLE, _matches, from_records(read_pubtator), write_pubtator)
