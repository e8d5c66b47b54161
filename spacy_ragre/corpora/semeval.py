"""SemEval-2010 Task 8, "Multi-Way Classification of Semantic Relations Between Pairs of Nominals", official format.

Hendrickx et al. 2010, https://aclanthology.org/S10-1006. A record is four lines, the last of them blank:

    1	"The <e1>fire</e1> was caused by a <e2>cigarette</e2>."
    Cause-Effect(e2,e1)
    Comment:

Other corpora are written like this, too, such as KBP37 (Zhang & Wang 2015, https://arxiv.org/abs/1508.01006), with
labels of any name and "no_relation"; and test files without labels, whose records are their first line alone.
"""

import re
from collections import Counter
from itertools import chain, count
from pathlib import Path
from typing import Any, Collection, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ..errors import Errors
from ..files import atomic_write
from ..relations import ID_KEY, set_relations
from .files import OnError, Problems, existing_path, read_all_lines
from .tokens import get_nlp, split_at
from .writing import flat_dict, keep_entities, one_line, to_pairs

ENTITY_LABEL = "NOMINAL"
OTHER = "Other"
# What a pair without a relation is called in the corpora of TAC, which are also written in this format.
NO_RELATION = "no_relation"

# For LabelSet: the words between head and tail, and what the relation means.
SEMEVAL_LABELS: Dict[str, Dict[str, str]] = {
    "Cause-Effect": {
        "text": "causes",
        "definition": "The head is an event or a thing that brings about the tail.",
    },
    "Component-Whole": {
        "text": "is a component of",
        "definition": "The head is a part of the tail and has a function or a place in it.",
    },
    "Content-Container": {
        "text": "is contained in",
        "definition": "The head is kept or carried inside the tail, which is a vessel, a room or the like.",
    },
    "Entity-Destination": {
        "text": "is moved into",
        "definition": "The head moves, or is moved, towards the tail.",
    },
    "Entity-Origin": {
        "text": "comes from",
        "definition": "The head comes out of the tail: a place that it left, or what it is derived from or made of.",
    },
    "Instrument-Agency": {
        "text": "is an instrument used by",
        "definition": "The head is a tool or a means that the tail uses.",
    },
    "Member-Collection": {
        "text": "is a member of",
        "definition": "The head is one of those that make up the tail, a group, and has no function of its own in it.",
    },
    "Message-Topic": {
        "text": "is about",
        "definition": "The head is something said, written or shown, and the tail is its subject.",
    },
    "Product-Producer": {
        "text": "is produced by",
        "definition": "The head is made, written or grown by the tail.",
    },
}

_RECORD_START = re.compile(r"\d+\t")
_SENTENCE = re.compile(r'(\d+)\t"(.*)"\s*')
_LABEL = re.compile(r"(.+)\((e1,e2|e2,e1)\)")
_TAGS = re.compile(r"</?e[12]>")
_BREAKS = re.compile(r"[\r\n]")


# Numbers and texts of lines, and what is wrong with their encoding.
_Lines = List[Tuple[int, str, str]]


class _Record(NamedTuple):
    id: str
    text: str
    nominals: Tuple[Tuple[int, int], Tuple[int, int]]  # character offsets, in the order of the text
    label: str  # "" for Other
    reversed: bool  # True where the second nominal is the head
    labelled: bool  # whether it is known what holds


def read_semeval(
    path: Union[str, Path], nlp: Union[Language, Vocab, None] = None, *, on_error: Optional[OnError] = None
) -> Iterator[Doc]:
    """Read a file of SemEval-2010 Task 8, or of another corpus in its format. Both nominals are in `doc.ents`, the
    relation is in `doc._.relations` (which is empty for "Other" and "no_relation", and not set in a file without
    labels) and its number, a string, is in `doc.user_data[ID_KEY]`. Where a record has a label of the task, all
    must have one; else labels have any name.

    Problems of the file are gathered and raised at its end; from the first of them on, no more documents come.

    path (Union[str, Path]): the file, with labels (TRAIN_FILE.TXT, TEST_FILE_FULL.TXT) or without (TEST_FILE.TXT).
    nlp (Union[Language, Vocab, None]): its tokenizer is used, and its pipes are not. Tokens are cut where a nominal
        begins or ends. Blank English by default, with this Vocab where one is given.
    on_error (Optional[OnError]): is given the place of a record that can't be read ("line 5"), the record and what is
        wrong with it; the records after it are read all the same. Errors are raised where None.
    YIELDS (Doc): the documents. Their text is the sentence without quotes and tags.
    """
    path = existing_path(path)
    nlp = get_nlp(nlp)
    problems = Problems(path, on_error)
    lines_by_id: Dict[str, int] = {}
    blocks = list(_read_blocks(path))
    labelled = any(len(lines) > 1 for lines in blocks)
    known = _known_labels(blocks)
    for lines in blocks:
        number = lines[0][0]
        whole = "\n".join(line for _, line, _ in lines)
        try:
            record = _parse_record(lines, known, labelled)
        except _RecordError as err:
            problems.add(err.line, err.message, record=whole)
            continue
        if record.id in lines_by_id:
            problems.add(number, Errors.R412.format(id=record.id, line=lines_by_id[record.id]), record=whole)
            continue
        lines_by_id[record.id] = number
        try:
            doc = _make_doc(nlp, record)
        except ValueError as err:
            problems.add(number, Errors.R425.format(problem=err), record=whole)
            continue
        if not problems:
            yield doc
    problems.raise_any()


class _RecordError(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def _known_labels(blocks: Sequence[_Lines]) -> Collection[str]:
    """RETURNS (Collection[str]): the labels of the task, where a record has one of them, or all have "Other"; none, for
    any name, in another corpus.
    """
    labels = {lines[1][1].strip() for lines in blocks if len(lines) > 1}
    names = {parts[1] for parts in map(_LABEL.fullmatch, labels) if parts is not None}
    others = names or NO_RELATION in labels
    return () if others and not names & SEMEVAL_LABELS.keys() else SEMEVAL_LABELS


def _read_blocks(path: Path) -> Iterator[_Lines]:
    """The records as lists of numbered lines, blank lines left out."""
    block: _Lines = []
    for number, line, wrong in read_all_lines(path):
        # A record ends where the next begins: some copies of the corpus have lost the blank lines.
        if block and (_RECORD_START.match(line) or (line.strip() and _ends_record(block[-1][1]))):
            yield block
            block = []
        if line.strip():
            block.append((number, line, wrong))
    if block:
        yield block


def _ends_record(line: str) -> bool:
    return line.startswith("Comment")


def _parse_record(lines: _Lines, known: Collection[str], labelled: bool) -> _Record:
    for number, _, wrong in lines:
        if wrong:
            raise _RecordError(number, wrong)
    number, line, _ = lines[0]
    match = _SENTENCE.fullmatch(line)
    if match is None:
        problem = "the number, the tab or the quotes are missing"
        raise _RecordError(number, Errors.R410.format(text=line, problem=problem))
    id_, tagged = match.groups()
    tags = list(_TAGS.finditer(tagged))
    if [tag.group() for tag in tags] != ["<e1>", "</e1>", "<e2>", "</e2>"]:
        problem = f"its tags are {' '.join(tag.group() for tag in tags) or 'missing'}"
        raise _RecordError(number, Errors.R410.format(text=line, problem=problem))
    text, nominals = _untag(tagged, tags)
    if not all(start < end for start, end in nominals):
        raise _RecordError(number, Errors.R410.format(text=line, problem="a nominal is empty"))
    label_number, label, _ = lines[1] if len(lines) > 1 else (number, "", "")
    label = label.strip()
    if not labelled or label == OTHER or (label == NO_RELATION and not known):
        name, inverse = "", False
    else:
        parts = _LABEL.fullmatch(label)
        if parts is None or (known and parts[1] not in known):
            shown = ", ".join(known) or "labels of any name"
            raise _RecordError(label_number, Errors.R411.format(id=id_, label=label, known=shown))
        name, inverse = parts[1], parts[2] == "e2,e1"
    for number, line, _ in lines[2:]:
        if not _ends_record(line):
            problem = "a comment line, a blank line or the next record should stand here"
            raise _RecordError(number, Errors.R410.format(text=line, problem=problem))
    return _Record(id_, text, nominals, name, inverse, labelled)


def _untag(tagged: str, tags: List["re.Match[str]"]) -> Tuple[str, Tuple[Tuple[int, int], Tuple[int, int]]]:
    """The text without the four tags, and the offsets in it of both nominals, without spaces at their ends."""
    text = _TAGS.sub("", tagged)
    offsets: List[int] = []
    removed = 0
    for tag in tags:
        offsets.append(tag.start() - removed)
        removed += len(tag.group())
    first, second = (_trim(text, *offsets[i : i + 2]) for i in (0, 2))
    return text, (first, second)


def _trim(text: str, start: int, end: int) -> Tuple[int, int]:
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


def _make_doc(nlp: Language, record: _Record) -> Doc:
    doc = nlp.make_doc(record.text)
    split_at(doc, [offset for nominal in record.nominals for offset in nominal])
    spans: List[Optional[Span]] = [doc.char_span(*nominal, label=ENTITY_LABEL) for nominal in record.nominals]
    first, second = (span for span in spans if span is not None)
    doc.ents = (first, second)
    doc.user_data[ID_KEY] = record.id
    head, tail = (second, first) if record.reversed else (first, second)
    if record.labelled:
        set_relations(doc, [{"head": head, "tail": tail, "label": record.label}] if record.label else [])
    return doc


# Writing


def write_semeval(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write a record for each pair that holds a relation, and for the only pair of a document. Where nothing is known
    of any document's relations, the file is one without labels. It appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written. A ValueError is raised where labels of the
        task stand beside others, which no reader would take.
    """
    written: List[List[Tuple[str, Optional[str]]]] = []
    ids: List[str] = []
    unknown = []
    for doc in docs:
        data = flat_dict(doc, spans_key, dropped, keeps=("unknown",))
        ids.append(data.get("id", ""))
        unknown.append("relations" not in data)
        written.append(list(_write_pairs(data, dropped)))
    names = {label.rpartition("(")[0] for records in written for _, label in records if label is not None}
    if names & SEMEVAL_LABELS.keys() and names - SEMEVAL_LABELS.keys():
        others = ", ".join(sorted(names - SEMEVAL_LABELS.keys()))
        raise ValueError(Errors.R811.format(others=others, known=", ".join(sorted(names & SEMEVAL_LABELS.keys()))))
    if not all(unknown):
        dropped["marks of documents that were not annotated for relations"] += sum(unknown)
    numbered = all(map(str.isdecimal, ids)) and len(set(ids)) == len(ids) and all(len(r) == 1 for r in written)
    dropped["ids of documents that are no numbers, or of several pairs"] += 0 if numbered else sum(map(bool, ids))
    numbers = iter(ids) if numbered else map(str, count(1))
    with atomic_write(path) as file_:
        for tagged, label in chain.from_iterable(written):
            rest = "" if all(unknown) else f"{label or OTHER}\nComment:\n\n"
            file_.write(f'{next(numbers)}\t"{tagged}"\n{rest}'.encode())
    return sum(map(bool, written))


def _write_pairs(data: Dict[str, Any], dropped: Counter[str]) -> Iterator[Tuple[str, Optional[str]]]:
    """YIELDS (Tuple[str, Optional[str]]): the tagged sentence of each pair, and its label; None where it holds none."""
    text = _BREAKS.sub(" ", data["text"])
    dropped["line breaks (written as spaces)"] += text != data["text"]
    if _TAGS.search(text):
        dropped["documents whose text has the tags <e1> or <e2>"] += 1
        return
    keep_entities(data, lambda ent: bool(text[ent["start"] : ent["end"]].strip()), "entities of spaces alone", dropped)
    for head, tail, label in to_pairs(data, dropped):
        first, second = sorted((data["ents"][head], data["ents"][tail]), key=lambda ent: (ent["start"], ent["end"]))
        if first["end"] > second["start"]:
            dropped["pairs of entities that overlap"] += 1
            continue
        dropped[f"types of entities (written as {ENTITY_LABEL})"] += first["label"] != ENTITY_LABEL
        dropped[f"types of entities (written as {ENTITY_LABEL})"] += second["label"] != ENTITY_LABEL
        tagged, last = "", 0
        for tag, ent in (("e1", first), ("e2", second)):
            tagged += f"{text[last : ent['start']]}<{tag}>{text[ent['start'] : ent['end']]}</{tag}>"
            last = ent["end"]
        order = "(e2,e1)" if data["ents"][head] is second else "(e1,e2)"
        named = None if label is None else one_line(label, "the label", "SemEval-2010 Task 8") + order
        yield tagged + text[last:], named
