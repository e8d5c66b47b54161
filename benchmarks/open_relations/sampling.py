"""What one training step reads: texts of a few schemas, some labels of each, one wording of each in one style."""

import math
import random
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

import torch
from torch import Tensor

from spacy_ragre.components.relations.open_reader import TokenInput
from spacy_ragre.components.relations.open_tokens import TokenLayout, type_words

from .corpora import Document, Label, Schema
from .passages import SOURCE as PASSAGES

# How often a corpus is drawn. openrel teaches to tell pairs apart, FewRel to tell labels apart, facts many labels on
# real sentences, passages many labels on ordinary paragraphs, openwiki and Re-DocRED real text.
SHARES = {
    "openrel": 0.13, "passages": 0.42, "openwiki": 0.06, "facts": 0.2, "fewrel64": 0.12, "redocred": 0.04, "core": 0.01,
    "fire": 0.006, "somesci": 0.004, "product": 0.003, "genia_rel": 0.003, "wlp": 0.004, "chemrxn": 0.004,
    "pcmsp": 0.004, "materials_syntheses": 0.004, "geneva": 0.004, "causal_news": 0.002, "because": 0.002,
}  # fmt: skip
# Corpora of many schemas, whose labels are varied more.
MANY_LABELS = ("openrel", "openwiki")
MOST_TEXTS, MOST_MENTIONS, MOST_PAIRS = 20, 11, 60
# Passages are read as ordinary paragraphs are, with nearly all of their mentions.
MANY_MENTIONS = {"passages": (26, 180)}
# How often one is read in its parts.
IN_PARTS = 0.35
MOST_LABELS = {"fewrel64": 24, "redocred": 20}
# Of texts with labels of their own: how many are read together, and labels less alike than this to all that a pair
# holds do not hold for it.
OWN_TEXTS, UNLIKE = 10, 0.35
# How often the labels of a group are written as verb phrases, nouns and so on, since a user writes all labels alike; in
# mixed groups, each as it comes.
STYLES = {"verb": 0.38, "noun": 0.2, "short": 0.16, "name": 0.1, "role": 0.06, "mixed": 0.1}
LOWER = 0.7
# How often a group has phrases as further mentions, and which share of them it then has.
WITH_PHRASES, PHRASE_SHARES = 0.4, (0.3, 0.6, 1.0)
# How often the mentions of a group are as a recogniser might find them, and how many of them then have another type of
# the text, none, or other ends.
AS_FOUND, OTHER_TYPE, NO_TYPE, OTHER_ENDS = 0.4, 0.1, 0.08, 0.1
# How often a group of passages has the entities that a component found, where that is known.
FOUND = 0.5
Mention = Tuple[int, int, str]
# A pair, as numbers of its mentions and as numbers of the document's entities.
Pair = Tuple[Tuple[int, int], Tuple[Any, Any]]


@dataclass
class Group:
    """Texts and labels of one schema.

    texts, labels (List[TokenInput]): as they are read.
    target (Tensor): whether a label holds of a pair. *Shape:* (P, L)
    allowed (Tensor): whether somebody looked, so that the decision counts in the loss. *Shape:* (P, L)
    """

    texts: List[TokenInput]
    labels: List[TokenInput]
    target: Tensor
    allowed: Tensor


class Sampler:
    """Draws groups for ever.

    layout (TokenLayout): the reader's.
    schemas (Sequence[Schema]): all that trains.
    seed (int): of what is drawn.
    tokens (int): about how many tokens of text a group has.
    """

    def __init__(self, layout: TokenLayout, schemas: Sequence[Schema], *, seed: int, tokens: int = 380) -> None:
        self.layout, self.random, self.tokens = layout, random.Random(seed), tokens
        self._pools: Dict[str, List[Schema]] = {}
        for schema in schemas:
            self._pools.setdefault(schema.source, []).append(schema)
        # A schema of many texts has more to teach, though not as much more as it has texts.
        self._weights = {
            source: [math.sqrt(len(schema.docs)) for schema in pool] for source, pool in self._pools.items()
        }
        self._queues: Dict[str, List[Document]] = {}
        self._names = {schema.name: _names(schema) for schema in schemas if schema.flat}

    def group(self) -> Group:
        """RETURNS (Group): texts of a schema drawn by `SHARES`, with labels, types and names varied."""
        sources = list(self._pools)
        while True:
            source = self.random.choices(sources, [SHARES[name] for name in sources])[0]
            group = self._draw(self.random.choices(self._pools[source], self._weights[source])[0])
            if group is not None:
                return group

    def _draw(self, schema: Schema) -> Optional[Group]:
        docs = self._take(schema)
        numbers = self._choose_labels(schema, docs)
        # Types: nowhere, at the entities only, everywhere; then often only what they allow counts.
        draw = self.random.random()
        text_types, label_types = draw > 0.35, draw > 0.5
        only_allowed = label_types and self.random.random() < 0.6
        labels = self._statements(schema, numbers, label_types)
        share = self.random.choice(PHRASE_SHARES) if self.random.random() < WITH_PHRASES else 0.0
        noisy = self.random.random() < AS_FOUND
        by_component = schema.source == PASSAGES and self.random.random() < FOUND
        texts: List[TokenInput] = []
        target: List[List[bool]] = []
        allowed: List[List[bool]] = []
        for doc in docs:
            component = by_component and doc.found is not None
            mentions, pairs, ids = self._found(schema, doc) if component else self._mentions(schema, doc, share)
            if not pairs:
                continue
            found = self._as_found(mentions, len(ids)) if noisy and not component else mentions
            told = [(start, end, type_words(t) if t and text_types else "") for start, end, t in found]
            texts.append(self.layout.text(ids, told, [pair for pair, _ in pairs]))
            for (head, tail), (h, t) in pairs:
                holds = doc.relations.get((h, t), set())
                back = doc.relations.get((t, h), set())
                target.append([number in holds for number in numbers])
                types = mentions[head][2], mentions[tail][2]
                known = doc.labels if doc.labels is None else doc.labels | _unlike(schema, holds, numbers)
                allowed.append(
                    [
                        (known is None or number in known)
                        and (h, t, number) not in doc.undecided
                        and (number in holds or not only_allowed or schema.labels[number].allows(*types))
                        # Of a given pair's other direction only this is known: that its own labels don't hold there.
                        and not (schema.single and not holds and back and number not in back)
                        for number in numbers
                    ]
                )
        if not texts:
            return None
        return Group(texts, labels, torch.tensor(target), torch.tensor(allowed))

    def _take(self, schema: Schema) -> List[Document]:
        """Documents in random order, each once before any comes again."""
        docs: List[Document] = []
        queue = self._queues.setdefault(schema.name, [])
        most = MOST_TEXTS if schema.likeness is None else OWN_TEXTS
        while sum(len(doc.ids) + 2 for doc in docs) < self.tokens and len(docs) < most:
            if not queue:
                queue += self.random.sample(schema.docs, len(schema.docs))
            doc = queue.pop()
            docs += doc.parts if doc.parts and self.random.random() < IN_PARTS else [doc]
        return docs

    def _choose_labels(self, schema: Schema, docs: Sequence[Document]) -> List[int]:
        """The labels that hold, and others. Of texts with labels of their own, all of these."""
        if schema.likeness is not None:
            own = sorted({number for doc in docs for number in doc.labels or ()})
            return self.random.sample(own, len(own))
        most = MOST_LABELS.get(schema.source, 18)
        gold = sorted({number for doc in docs for numbers in doc.relations.values() for number in numbers})
        rest = [number for number in range(len(schema.labels)) if number not in set(gold)]
        self.random.shuffle(rest)
        want = self.random.randint(max(4, len(gold)), max(most, len(gold)))
        if len(gold) > most:
            gold = self.random.sample(gold, most)
        chosen = gold + rest[: max(0, want - len(gold))]
        if schema.source in MANY_LABELS and len(chosen) > 5 and self.random.random() < 0.3:
            chosen = self.random.sample(chosen, self.random.randint(5, len(chosen)))
        self.random.shuffle(chosen)
        return chosen

    def _statements(self, schema: Schema, numbers: Sequence[int], types: bool) -> List[TokenInput]:
        """Labels by one wording each, in one style; with definitions, with some, or with none."""
        draw = self.random.random()
        share = 1.0 if draw < 0.4 else 0.5 if draw < 0.7 else 0.0
        style = self.random.choices(list(STYLES), list(STYLES.values()))[0]
        out = []
        for number in numbers:
            label = schema.labels[number]
            text, definition = self._write(label, style)
            heads, tails = (label.head_types, label.tail_types) if types else ((), ())
            shown = definition if self.random.random() < share else ""
            out.append(self.layout.statement(text, shown, heads, tails))
        return out

    def _write(self, label: Label, style: str) -> Tuple[str, str]:
        """RETURNS (Tuple[str, str]): a wording of a label in a style of `STYLES`, and one of its definitions. A label
        without other wordings is written by its own, or by its name.
        """
        other = label.wordings
        if style == "mixed":
            style = self.random.choice([name for name in STYLES if name != "mixed"])
        if style == "name":
            text = type_words(label.name)
        elif other is None:
            text = self.random.choice(label.texts)
        elif style == "role":
            text = other.roles.replace("-", " - ") if self.random.random() < 0.3 else other.roles
        else:
            phrases = {"verb": (*label.texts, *other.verbs), "noun": other.nouns, "short": other.shorts}
            text = self.random.choice(phrases[style])
        definitions = (*label.definitions, *([other.definition] if other else []))
        return text.lower() if self.random.random() < LOWER else text, self.random.choice(definitions)

    def _mentions(self, schema: Schema, doc: Document, share: float) -> Tuple[List[Mention], List[Pair], List[int]]:
        """share (float): of the document's phrases, how many are mentions, too.
        RETURNS: mentions; pairs as numbers of them and as numbers of the document's entities; token ids.
        """
        ids, ents = doc.ids, list(doc.ents)
        keep = list(range(len(ents)))
        most_mentions, most_pairs = MANY_MENTIONS.get(schema.source, (MOST_MENTIONS, MOST_PAIRS))
        if len(ents) > most_mentions:
            busy = sorted({i for pair in doc.relations for i in pair})
            keep = sorted({*self.random.sample(busy, min(len(busy), most_mentions - 3)), *self.random.sample(keep, 3)})
        # Other names now and then, so that the words between them are read; dates, numbers and phrases that hold
        # nothing, and phrases of which that is not known: no pair of these is asked.
        extra: List[Tuple[int, int, str]] = []
        phrases: List[Tuple[int, int, bool]] = []
        if schema.flat and self.random.random() < (0.25 if schema.source in MANY_LABELS else 0.15):
            ids, ents = self._rename(schema, doc)
        else:
            extra = [item for item in doc.extra if self.random.random() < 0.4]
            drawn = [phrase for phrase in doc.phrases if self.random.random() < share]
            phrases = [phrase for phrase in drawn if not any(_overlap(phrase, item) for item in extra)]
        mentions = [ents[i] for i in keep] + extra + [(start, end, "") for start, end, _ in phrases]
        number: List[Optional[int]] = [*keep, *([None] * (len(extra) + len(phrases)))]
        asked = [True] * (len(keep) + len(extra)) + [known for _, _, known in phrases]
        return mentions, self._pairs(doc, mentions, number, asked, most_pairs), ids

    def _found(self, schema: Schema, doc: Document) -> Tuple[List[Mention], List[Pair], List[int]]:
        """The same with the entities that a component found in a document."""
        most_mentions, most_pairs = MANY_MENTIONS.get(schema.source, (MOST_MENTIONS, MOST_PAIRS))
        found = doc.found or []
        if len(found) > most_mentions:
            found = [found[i] for i in sorted(self.random.sample(range(len(found)), most_mentions))]
        mentions = [(item.start, item.end, item.type) for item in found]
        pairs = self._pairs(doc, mentions, [item.entity for item in found], [item.known for item in found], most_pairs)
        return mentions, pairs, doc.ids

    def _pairs(
        self,
        doc: Document,
        mentions: Sequence[Mention],
        number: Sequence[Optional[int]],
        asked: Sequence[bool],
        most: int,
    ) -> List[Pair]:
        """number (Sequence[Optional[int]]): which of the document's entities each mention is, if any.
        asked (Sequence[bool]): whether it is known what each holds.
        most (int): how many pairs; those that hold something come first.
        RETURNS (List[Pair]): ordered pairs that are asked about.
        """
        looked = None if doc.pairs is None else set(doc.pairs)
        pairs: List[Pair] = []
        for head, h in enumerate(number):
            for tail, t in enumerate(number):
                if head == tail or not (asked[head] and asked[tail]) or (looked is not None and (h, t) not in looked):
                    continue
                if not _overlap(mentions[head], mentions[tail]):
                    pairs.append(((head, tail), (h, t)))
        if len(pairs) > most:
            held = [pair for pair in pairs if pair[1] in doc.relations]
            rest = [pair for pair in pairs if pair[1] not in doc.relations]
            pairs = held + self.random.sample(rest, max(0, min(len(rest), most - len(held))))
        return pairs

    def _as_found(self, mentions: Sequence[Tuple[int, int, str]], length: int) -> List[Tuple[int, int, str]]:
        """Mentions as a recogniser might find them: some with another type or none, some a token longer or shorter.

        length (int): tokens of the text.
        """
        types = sorted({type_ for _, _, type_ in mentions if type_})
        found: List[Tuple[int, int, str]] = []
        for number, (start, end, type_) in enumerate(mentions):
            draw = self.random.random()
            if draw < OTHER_TYPE and type_:
                type_ = self.random.choice(types)
            elif draw < OTHER_TYPE + NO_TYPE:
                type_ = ""
            if self.random.random() < OTHER_ENDS:
                moved = start + self.random.choice((-1, 0, 1)), end + self.random.choice((-1, 0, 1)), type_
                others = [*found, *mentions[number + 1 :]]
                if 0 <= moved[0] < moved[1] <= length and not any(_overlap(moved, other) for other in others):
                    start, end, _ = moved
            found.append((start, end, type_))
        return found

    def _rename(self, schema: Schema, doc: Document) -> Tuple[List[int], List[Tuple[int, int, str]]]:
        """Names of the same type (in FewRel: of the same place in the same relation) instead of a document's own."""
        names = self._names[schema.name]
        ids: List[int] = []
        ents: List[Tuple[int, int, str]] = [(0, 0, "")] * len(doc.ents)
        chosen: Dict[Tuple[int, ...], List[int]] = {}
        last = 0
        for i in sorted(range(len(doc.ents)), key=lambda i: doc.ents[i][0]):
            start, end, type_ = doc.ents[i]
            ids += doc.ids[last:start]
            name = doc.ids[start:end]
            others = names.get(_key(schema, doc, i))
            if others and self.random.random() < 0.8:
                name = chosen.setdefault(tuple(name), self.random.choice(others))
            ents[i] = (len(ids), len(ids) + len(name), type_)
            ids += name
            last = end
        return ids + doc.ids[last:], ents


def _unlike(schema: Schema, holds: Set[int], numbers: Sequence[int]) -> Set[int]:
    """RETURNS (Set[int]): of some labels, those that are so unlike what a pair holds that they do not hold; none where
    it holds nothing.
    """
    if schema.likeness is None or not holds:
        return set()
    alike = (schema.likeness[list(numbers)] @ schema.likeness[sorted(holds)].T).max(1)
    return {number for number, value in zip(numbers, alike) if value < UNLIKE}


def _overlap(first: Tuple[int, int, Any], second: Tuple[int, int, Any]) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def _key(schema: Schema, doc: Document, i: int) -> Any:
    """What an entity's name may be exchanged within."""
    if schema.source != "fewrel64":
        return doc.ents[i][2]
    for pair, numbers in doc.relations.items():
        if i in pair:
            return pair.index(i), min(numbers)
    return None


def _names(schema: Schema) -> Dict[Any, List[List[int]]]:
    names: Dict[Any, List[List[int]]] = {}
    for doc in schema.docs:
        for i, (start, end, _) in enumerate(doc.ents):
            names.setdefault(_key(schema, doc, i), []).append(doc.ids[start:end])
    return names
