"""Other names in place of mentions in training, so that a model learns what is said about a mention, and not which one
it is: mention replacement (Dai and Adel 2020, arXiv 2010.11683), with the names of the training documents.
"""

import random
from collections import Counter
from typing import Dict, List, NamedTuple, Sequence, Tuple

from spacy.tokens import Doc, Span

from ...prompts.rendering import one_line
from ...relations import ID_KEY, TRIPLES_KEY, get_relations, has_relations, set_relations
from .questions import offsets


class Name(NamedTuple):
    """words (Tuple[str, ...]): the tokens of a mention. spaces (Tuple[bool, ...]): whether a space comes after each."""

    words: Tuple[str, ...]
    spaces: Tuple[bool, ...]

    @classmethod
    def of(cls, span: Span) -> "Name":
        return cls(tuple(token.text for token in span), tuple(bool(token.whitespace_) for token in span))

    @property
    def text(self) -> str:
        """RETURNS (str): the name on one line."""
        return one_line("".join(word + " " * space for word, space in zip(*self)))

    def capitalised(self) -> "Name":
        """RETURNS (Name): the name with a capital at its start."""
        return Name((self.words[0][:1].upper() + self.words[0][1:], *self.words[1:]), self.spaces)


class MentionSwapper:
    """Knows the names of documents that it was shown, and makes copies of documents with some exchanged.

    share (float): of the names that are exchanged, from 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        # By entity label, and there by their texts without regard to case.
        self._names: Dict[str, Dict[str, Name]] = {}

    def add(self, spans: Sequence[Span]) -> None:
        """spans (Sequence[Span]): mentions whose names are to be given to others with the same entity label."""
        for span in spans if self.share else ():
            name = Name.of(span)
            self._names.setdefault(span.label_, {}).setdefault(name.text.casefold(), name)

    def __call__(self, doc: Doc, spans: Sequence[Span]) -> Tuple[Doc, Sequence[Span]]:
        """Exchange names at random. All mentions of one name get the same; mentions that overlap others keep theirs,
        and so do those whose name is one of both labels, since a triple has names alone.

        doc (Doc): an annotated document, which stays as it is.
        spans (Sequence[Span]): its mentions.
        RETURNS (Tuple[Doc, Sequence[Span]]): a document with the same id, sentence borders, relations, triples and
            usage, and its mentions in the same order.
        """
        new = self._choose(spans) if self.share else {}
        if not new:
            return doc, spans
        words: List[str] = []
        spaces: List[bool] = []
        # Where each token comes to stand; without those inside of an exchanged mention.
        places: Dict[int, int] = {}
        stop = 0
        for token in doc:
            if token.i < stop:
                continue
            places[token.i] = len(words)
            stop, name = new.get(token.i) or (token.i + 1, Name.of(doc[token.i : token.i + 1]))
            words.extend(name.words)
            # After a new name comes what came after the old one.
            spaces.extend((*name.spaces[:-1], bool(doc[stop - 1].whitespace_)))
        places[len(doc)] = len(words)
        copy = Doc(doc.vocab, words=words, spaces=spaces)
        moved = [Span(copy, places[span.start], places[span.end], label=span.label) for span in spans]
        _annotate(copy, moved, doc, spans, places)
        return copy, moved

    def _choose(self, spans: Sequence[Span]) -> Dict[int, Tuple[int, Name]]:
        """RETURNS (Dict[int, Tuple[int, Name]]): by the first token of mentions, where they end and their new names."""
        by_name: Dict[Tuple[str, str], Name] = {}
        keys = [(span.label_, Name.of(span).text.casefold()) for span in spans]
        labels = Counter(text for _, text in set(keys))
        new: Dict[int, Tuple[int, Name]] = {}
        for span, key in zip(spans, keys):
            if key not in by_name:
                others = list(self._names.get(span.label_, {}).values())
                swapped = bool(others) and random.random() < self.share
                by_name[key] = random.choice(others) if swapped else Name.of(span)
            name = by_name[key]
            if (
                name.text.casefold() == key[1]
                or labels[key[1]] > 1
                or sum(_overlap(span, other) for other in spans) > 1
            ):
                continue
            capital = span.start == 0 and span.text[0].isupper()
            new[span.start] = (span.end, name.capitalised() if capital else name)
        return new


def _annotate(copy: Doc, moved: Sequence[Span], doc: Doc, spans: Sequence[Span], places: Dict[int, int]) -> None:
    if ID_KEY in doc.user_data:
        copy.user_data[ID_KEY] = doc.user_data[ID_KEY]
    if doc.has_annotation("SENT_START"):
        starts = {places[sent.start] for sent in doc.sents if sent.start in places}
        for token in copy:
            token.is_sent_start = token.i in starts
    for old, span in zip(spans, moved):
        if old._.usage:
            span._.usage = old._.usage
    if has_relations(doc):
        by_place = {offsets(old): span for old, span in zip(spans, moved)}
        ends = [(by_place.get(offsets(r.head)), by_place.get(offsets(r.tail)), r.label) for r in get_relations(doc)]
        set_relations(copy, [{"head": h, "tail": t, "label": label} for h, t, label in ends if h and t])
    if TRIPLES_KEY in doc.user_data:
        texts = {Name.of(old).text.casefold(): Name.of(span).text for old, span in zip(spans, moved)}
        named = [map(one_line, triple) for triple in doc._.triples]
        copy._.triples = [
            (texts.get(head.casefold(), head), label, texts.get(tail.casefold(), tail)) for head, label, tail in named
        ]


def _overlap(a: Span, b: Span) -> bool:
    return a.start < b.end and b.start < a.end
