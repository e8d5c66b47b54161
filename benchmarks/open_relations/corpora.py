"""Joint training data: every corpus as schemas of labels with texts that were annotated for them.

A document knows which ordered pairs somebody looked at and which triples nobody can decide. What nobody looked for is
never a negative. FewRel's validation relations, CrossRE, SemEval-2010 Task 8 and ChemProt are not among the corpora,
and the 16 properties of FewRel's validation set are left out of Re-DocRED.
"""

import collections
import json
import logging
import random
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Collection, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np
from tokenizers import Tokenizer

from spacy_ragre.components.relations.open_labels import OpenLabel
from spacy_ragre.components.relations.open_tokens import type_words
from spacy_ragre.corpora import openrel
from spacy_ragre.corpora.wordings import SchemaWordings, Wordings

from .redocred_words import FEWREL_VAL, SYMMETRIC, WORDS

log = logging.getLogger("open_reader")

MOST_TOKENS = 250
# Of these only so many documents are taken, so that a text is not seen far more often than it teaches.
LIMITS = {"somesci": 1500, "genia_rel": 1200, "wlp": 1500, "pcmsp": 800, "geneva": 1500, "causal_news": 800}
RELATION_CORPORA = (
    "fewrel64", "core", "fire", "somesci", "product", "genia_rel", "wlp", "chemrxn", "pcmsp", "materials_syntheses",
    "geneva", "causal_news", "because",
)  # fmt: skip
# One pair a sentence was annotated; nobody looked at others.
GIVEN_PAIRS = ("fewrel64", "core", "causal_news", "because")
# Labels of these have words that only their corpus would use.
NO_NAMES = ("geneva", "causal_news", "because")
# Entity types that are dates or numbers: where a schema has none of them, dates and numbers hold nothing in it.
NUMERIC = set(
    "DATE YEAR TIME MONEY PERCENT NUMBER AMOUNT COUNT QUANTITY VALUE VERSION PERIOD MEASURE DISTANCE LENGTH DOSE SCORE "
    "FIGURE AGE RATE DURATION SIZE SHARE STANDARD FLIGHT LINE UNIT".split()
)
_NUMBER = re.compile(r"\b(?:1[5-9]\d\d|20\d\d)\b|\b\d[\d.,]*(?: ?%)?")
_YEAR = re.compile(r"1[5-9]\d\d|20\d\d")


@dataclass(frozen=True)
class Label(OpenLabel):
    """A label with all its definitions, and with other wordings where it has some."""

    definitions: Tuple[str, ...] = ()
    wordings: Optional[Wordings] = None


class Found(NamedTuple):
    """An entity as a component finds it.

    start, end (int): first token, token after the last.
    type (str): its type.
    entity (Optional[int]): the number of the document's entity that it is, if any.
    known (bool): whether it is known what it holds.
    """

    start: int
    end: int
    type: str
    entity: Optional[int]
    known: bool


@dataclass
class Document:
    """A text as token ids.

    ids (List[int]): without those around it.
    ents (List[Tuple[int, int, str]]): first token, token after the last, type.
    relations (Dict[Tuple[int, int], Set[int]]): label numbers of ordered pairs; symmetric ones in both directions.
    undecided (Set[Tuple[int, int, int]]): (head, tail, label) that nobody can decide.
    pairs (Optional[List[Tuple[int, int]]]): ordered pairs that were looked at; all where None.
    extra (List[Tuple[int, int, str]]): dates and numbers that hold nothing.
    text (str): the text.
    phrases (List[Tuple[int, int, bool]]): phrases that are no entities: first token, token after the last, and whether
        it is known that they hold nothing.
    labels (Optional[Set[int]]): the labels that it was annotated for; all of its schema's where None.
    parts (List[Document]): shorter texts, which are read in its place now and then.
    found (Optional[List[Found]]): its entities as a component finds them; None where that is not known.
    """

    ids: List[int]
    ents: List[Tuple[int, int, str]]
    relations: Dict[Tuple[int, int], Set[int]]
    undecided: Set[Tuple[int, int, int]] = field(default_factory=set)
    pairs: Optional[List[Tuple[int, int]]] = None
    extra: List[Tuple[int, int, str]] = field(default_factory=list)
    text: str = ""
    phrases: List[Tuple[int, int, bool]] = field(default_factory=list)
    labels: Optional[Set[int]] = None
    parts: "List[Document]" = field(default_factory=list)
    found: Optional[List[Found]] = None


@dataclass
class Schema:
    """Labels and the documents annotated for them.

    source (str): the corpus. flat (bool): entities never overlap, so that names can be exchanged.
    single (bool): one label a pair.
    likeness (Optional[np.ndarray]): a vector of unit length for each label, where documents have labels of their own.
        *Shape:* (labels, width)
    """

    name: str
    source: str
    labels: List[Label]
    docs: List[Document]
    flat: bool = False
    single: bool = False
    likeness: Optional[np.ndarray] = None


def read_schemas(folder: Path, source: str, tokenizer: Tokenizer) -> Iterator[Schema]:
    """The training schemas of a corpus in the form of openrel.

    folder (Path): what `convert_openrel.py` wrote.
    source (str): the corpus.
    YIELDS (Schema): one a file.
    """
    for schema in openrel.read_corpus(folder, "train"):
        labels = [
            Label(
                label.name,
                label.texts,
                label.definition,
                label.head_types,
                label.tail_types,
                label.symmetric,
                (label.definition,),
            )
            for label in schema.labels.values()
        ]
        types = {type_ for label in labels for type_ in label.head_types + label.tail_types}
        docs = []
        for record in openrel.to_records(schema):
            extra = [] if types & NUMERIC or source != "openrel" else _numbers(record)
            doc = make_document(tokenizer, record, labels, undecided=other_mentions(record, labels), extra=extra)
            if doc is not None:
                docs.append(doc)
        yield Schema(schema.name, source, labels, docs, flat=source == "openrel")


def read_relations(folder: Path, name: str, fewrel: Path, tokenizer: Tokenizer, unseen: Collection[str] = ()) -> Schema:
    """A corpus in the interchange format, all its splits.

    folder (Path): where `NAME.labels.json` and `NAME.SPLIT.jsonl` are.
    fewrel (Path): where `pid2name.json` is, for other words of FewRel's relations.
    unseen (Collection[str]): ids of documents that never train.
    """
    spec = json.loads((folder / f"{name}.labels.json").read_text(encoding="utf8"))
    official: Dict[str, str] = {}
    if name == "fewrel64":
        official = dict(json.loads((fewrel / "pid2name.json").read_text(encoding="utf8")).values())
    labels = []
    for key, value in spec.items():
        texts, definitions = [value["text"]], [value["definition"]]
        if name == "fewrel64":
            texts.append(key)
            definitions.append(official[key].split(". ")[0])
        elif name not in NO_NAMES:
            texts.append(type_words(key))
        symmetric = "(symmetric)" in value["definition"] or key in SYMMETRIC or key == "Identity"
        labels.append(Label(key, tuple(texts), definitions[0], (), (), symmetric, tuple(definitions)))
    docs = []
    given = name in GIVEN_PAIRS
    for split in ("train", "dev", "test"):
        for record in _lines(folder / f"{name}.{split}.jsonl"):
            if len(record["ents"]) < 2 or (name == "because" and not record["relations"]) or record["id"] in unseen:
                continue
            for ent in record["ents"]:
                ent["label"] = "" if ent["label"] in ("ENTITY", "ARG") else ent["label"]
            pairs = None
            if given and record["relations"]:
                ordered = [(relation["head"], relation["tail"]) for relation in record["relations"]]
                pairs = sorted({*ordered, *((tail, head) for head, tail in ordered)})
            doc = make_document(tokenizer, record, labels, pairs=pairs)
            if doc is not None:
                docs.append(doc)
    if len(docs) > LIMITS.get(name, len(docs)):
        docs = random.Random(0).sample(docs, LIMITS[name])
    if name not in ("fewrel64", "geneva"):
        labels = with_types(labels, docs)
    return Schema(name, name, labels, docs, flat=name == "fewrel64", single=given)


def read_redocred(data: Path, tokenizer: Tokenizer) -> Schema:
    """Re-DocRED dev in windows of one sentence, and of two where a relation reaches over them.

    A relation holds between the nearest mentions of its entities where its evidence lies inside the window, or without
    evidence where both stand in one sentence. Elsewhere it is undecided.
    """
    info = json.loads((data / "redocred" / "rel_info.json").read_text(encoding="utf8"))
    official = json.loads((data / "fewrel" / "pid2name.json").read_text(encoding="utf8"))
    few = json.loads((data / "relations" / "fewrel64.labels.json").read_text(encoding="utf8"))
    labels: List[Label] = []
    numbers: Dict[str, int] = {}
    for pid, name in info.items():
        if pid in FEWREL_VAL:
            continue
        text, definition = WORDS.get(name) or (few[name]["text"], few[name]["definition"])
        definitions = [definition] + ([official[pid][1].split(". ")[0]] if pid in official else [])
        numbers[pid] = len(labels)
        labels.append(Label(name, (text, name), definition, (), (), name in SYMMETRIC, tuple(definitions)))
    docs: List[Document] = []
    for record in json.loads((data / "redocred" / "dev_revised.json").read_text(encoding="utf8")):
        for width in (1, 2):
            for first in range(len(record["sents"]) - width + 1):
                doc = _window(tokenizer, record, range(first, first + width), labels, numbers)
                if doc is not None:
                    docs.append(doc)
    return Schema("redocred", "redocred", with_types(labels, docs), docs)


def _window(
    tokenizer: Tokenizer, record: Dict[str, Any], window: range, labels: List[Label], numbers: Dict[str, int]
) -> Optional[Document]:
    text, offsets = "", {}
    for sentence in window:
        for i, token in enumerate(record["sents"][sentence]):
            offsets[sentence, i] = len(text), len(text) + len(token)
            text += token + " "
    ents: List[Dict[str, Any]] = []
    mentions: Dict[int, List[int]] = collections.defaultdict(list)
    taken = set()
    for cluster, vertices in enumerate(record["vertexSet"]):
        for vertex in vertices:
            key = vertex["sent_id"], *vertex["pos"]
            if key[0] in window and key not in taken:
                taken.add(key)
                mentions[cluster].append(len(ents))
                start, end = offsets[key[0], key[1]][0], offsets[key[0], key[2] - 1][1]
                ents.append({"start": start, "end": end, "label": vertex["type"], "sentence": key[0]})
    if len(mentions) < 2 or len(ents) > 14:
        return None
    relations, undecided, reaches = [], set(), False
    for relation in record["labels"]:
        head, tail, number = relation["h"], relation["t"], numbers.get(relation["r"])
        if number is None or head not in mentions or tail not in mentions or head == tail:
            continue
        near = min((abs(ents[h]["start"] - ents[t]["start"]), h, t) for h in mentions[head] for t in mentions[tail])[1:]
        same = ents[near[0]]["sentence"] == ents[near[1]]["sentence"]
        evidence = relation.get("evidence") or []
        stated = set(evidence) <= set(window) if evidence else same
        for h in mentions[head]:
            for t in mentions[tail]:
                if not (stated and (h, t) == near):
                    undecided.add((h, t, number))
                    if labels[number].symmetric:
                        undecided.add((t, h, number))
        if stated:
            relations.append({"head": near[0], "tail": near[1], "label": labels[number].name})
            reaches = reaches or not same
    if len(window) > 1 and not reaches:
        return None
    cluster_of = {mention: cluster for cluster, group in mentions.items() for mention in group}
    count = range(len(ents))
    pairs = [(h, t) for h in count for t in count if cluster_of[h] != cluster_of[t]]
    made = {"text": text, "ents": ents, "relations": relations}
    return make_document(tokenizer, made, labels, pairs=pairs, undecided=undecided)


def make_document(
    tokenizer: Tokenizer,
    record: Dict[str, Any],
    labels: Sequence[Label],
    *,
    pairs: Optional[List[Tuple[int, int]]] = None,
    undecided: Optional[Set[Tuple[int, int, int]]] = None,
    extra: Sequence[Tuple[int, int, str]] = (),
) -> Optional[Document]:
    """A document of the interchange format as token ids. None where it is too long or an entity has no token."""
    encoded = tokenizer.encode(record["text"], add_special_tokens=False)

    spans = [token_span(encoded.offsets, ent["start"], ent["end"]) for ent in record["ents"]]
    if len(encoded.ids) > MOST_TOKENS or any(span is None for span in spans):
        return None
    index = {label.name: i for i, label in enumerate(labels)}
    relations: Dict[Tuple[int, int], Set[int]] = collections.defaultdict(set)
    for relation in record["relations"]:
        number = index[relation["label"]]
        relations[relation["head"], relation["tail"]].add(number)
        if labels[number].symmetric:
            relations[relation["tail"], relation["head"]].add(number)
    more = [(token_span(encoded.offsets, start, end), type_) for start, end, type_ in extra]
    return Document(
        encoded.ids,
        [(span[0], span[1], ent["label"]) for span, ent in zip(spans, record["ents"]) if span is not None],
        dict(relations),
        undecided or set(),
        pairs,
        [(span[0], span[1], type_) for span, type_ in more if span is not None],
        record["text"],
    )


def token_span(offsets: Sequence[Tuple[int, int]], start: int, end: int) -> Optional[Tuple[int, int]]:
    """RETURNS (Optional[Tuple[int, int]]): the first token of some characters and the one after the last; None where
    they have none.

    offsets (Sequence[Tuple[int, int]]): the characters of each token.
    """
    found = [i for i, (first, last) in enumerate(offsets) if first < end and last > start]
    return (found[0], found[-1] + 1) if found else None


def with_types(labels: Sequence[Label], docs: Sequence[Document]) -> List[Label]:
    """Labels with the types of head and tail that the documents show, rare ones left out."""
    seen: List[Tuple[collections.Counter[str], collections.Counter[str]]] = [
        (collections.Counter(), collections.Counter()) for _ in labels
    ]
    for doc in docs:
        for (head, tail), numbers in doc.relations.items():
            for number in numbers:
                seen[number][0][doc.ents[head][2]] += 1
                seen[number][1][doc.ents[tail][2]] += 1

    def common(counts: collections.Counter[str]) -> Tuple[str, ...]:
        return tuple(sorted(key for key, count in counts.items() if count >= max(1, 0.01 * sum(counts.values()))))

    return [
        replace(old, head_types=common(heads), tail_types=common(tails)) for old, (heads, tails) in zip(labels, seen)
    ]


def with_wordings(schema: Schema, wordings: SchemaWordings) -> Schema:
    """RETURNS (Schema): a schema whose labels have the wordings of its source, where there are some."""
    known = wordings.get(schema.name, {})
    without = [label.name for label in schema.labels if label.name not in known]
    if without:
        log.info("no other wordings of %s (%s): %s", schema.name, schema.source, ", ".join(without))
    return replace(schema, labels=[replace(label, wordings=known.get(label.name)) for label in schema.labels])


def other_mentions(record: Dict[str, Any], labels: Sequence[Label]) -> Set[Tuple[int, int, int]]:
    """Triples of other mentions of two names that have a relation: it is annotated for the nearest ones."""
    index = {label.name: i for i, label in enumerate(labels)}
    names = [record["text"][ent["start"] : ent["end"]].lower() for ent in record["ents"]]
    mentions: Dict[str, List[int]] = collections.defaultdict(list)
    for mention, name in enumerate(names):
        mentions[name].append(mention)
    stated, undecided = set(), set()
    for relation in record["relations"]:
        number = index[relation["label"]]
        ways = [(relation["head"], relation["tail"])]
        ways += [way[::-1] for way in ways if labels[number].symmetric]
        for head, tail in ways:
            stated.add((head, tail, number))
            undecided |= {(h, t, number) for h in mentions[names[head]] for t in mentions[names[tail]]}
    return undecided - stated


def _numbers(record: Dict[str, Any]) -> List[Tuple[int, int, str]]:
    """Years and numbers of a text that are no entities."""
    found = []
    for match in _NUMBER.finditer(record["text"]):
        if not any(match.start() < ent["end"] and match.end() > ent["start"] for ent in record["ents"]):
            found.append((match.start(), match.end(), "DATE" if _YEAR.fullmatch(match[0]) else "CARDINAL"))
    return found


def _lines(path: Path) -> Iterator[Dict[str, Any]]:
    with path.open(encoding="utf8") as file_:
        for line in file_:
            if line.strip():
                yield json.loads(line)
