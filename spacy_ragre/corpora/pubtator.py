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
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..errors import Errors
from .files import Problems, read_lines
from .records import Format, Record, Sample, from_records

_TEXT = re.compile(r"([^|\t]+)\|([a-z]+)\|(.*)")
_PARTS = re.compile(r"[|,;]")
NO_CONCEPT = {"", "-", "-1"}
NO_MENTION = "relations of concepts that no mention names"

_Lines = List[Tuple[int, str]]


def read_pubtator(path: Path, problems: Problems) -> Iterator[Record]:
    """Read the records of a file. Where no document of the file has a relation, none is known to have none.

    path (Path): the file.
    problems (Problems): is told what can't be read.
    YIELDS (Record): the records.
    """
    blocks = list(_blocks(path, problems))
    related = any(_is_relation(line) for lines in blocks for _, line in lines)
    for lines in blocks:
        messages: List[Tuple[int, str]] = []
        record = _record(lines, related, messages)
        if record is None:
            raw = "\n".join(line for _, line in lines)
            for number, message in messages:
                problems.add(number, message, record=raw)
                raw = "" if problems.on_error is None else raw
        else:
            yield record


def _blocks(path: Path, problems: Problems) -> Iterator[_Lines]:
    """The documents as lists of numbered lines: a blank line ends one, and a title begins one."""
    block: _Lines = []
    for number, line in read_lines(path, problems):
        title = _TEXT.fullmatch(line)
        if block and (not line.strip() or (title is not None and title[2] == "t")):
            yield block
            block = []
        if line.strip():
            block.append((number, line))
    if block:
        yield block


def _is_relation(line: str) -> bool:
    fields = line.split("\t")
    return len(fields) >= 4 and not fields[1].strip().isdigit() and _TEXT.fullmatch(line) is None


def _record(lines: _Lines, related: bool, messages: List[Tuple[int, str]]) -> Optional[Record]:
    texts = [match for match in (_TEXT.fullmatch(line) for _, line in lines) if match is not None]
    if not texts:
        messages.append((lines[0][0], Errors.R379.format(line=lines[0][1][:80], problem="no title stands above it")))
        return None
    id_ = texts[0][1].strip()
    text = " ".join(match[3] for match in texts)
    ents: List[Dict[str, Any]] = []
    relations: List[Tuple[str, str, str]] = []
    dropped: Counter[str] = Counter()
    for number, line in lines:
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
            messages.append((number, Errors.R379.format(line=line[:80], problem=problem)))
    if messages:
        return None
    content: Dict[str, Any] = {"id": id_, "text": text, "ents": ents}
    if related:
        content.update(concept_relations(ents, relations, dropped))
    where = f"lines {lines[0][0]} to {lines[-1][0]}"
    return Record(where, "\n".join(line for _, line in lines), content, dropped=dropped)


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
    return {**ent, **({} if concept in NO_CONCEPT else {"kb_id": concept})}, ""


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
        parts = [] if whole is None else [part.strip() for part in _PARTS.split(whole)]
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


def _matches(sample: Sample) -> bool:
    return bool(sample.lines) and not sample.records and _is_title(sample.lines[0])


def _is_title(line: str) -> bool:
    match = _TEXT.fullmatch(line)
    return match is not None and match[2] == "t"


PUBTATOR = Format("pubtator", "PubTator, text", _matches, from_records(read_pubtator))
