"""The supplement tasks on documents: the windows that are read, the questions about them with their gold answers, and
answers on their way back into a document.
"""

import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from spacy.tokens import Doc, Span

from ..labels import Answer, PairInstance
from ..prompts.responses import Mention, TripleText, write_entities, write_triples
from ..prompts.supplements import KINDS, RELATIONS, TRIPLE_RELATIONS, Task, label_text
from ..relations import ID_KEY, RELATIONS_KEY, TRIPLES_KEY, Relation

_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*$|\n")
_PART_END = re.compile(r"[.!?,;:\n]$")
# Fewer words than these are no text to learn from.
_PART_WORDS = 4

Tokens = Tuple[int, int]


class EntityLabels(NamedTuple):
    """supplement (str): entity label of supplements. event (str): entity label of events."""

    supplement: str
    event: str


class Question(NamedTuple):
    """A question about a document.

    instance (PairInstance): what is asked, with the gold answer where it is known.
    window (Tuple[int, int]): token offsets of the text that is read.
    spans (Tuple[Span, ...]): the mentions that are asked about: none, one supplement, or supplement and event.
    """

    instance: PairInstance
    window: Tokens
    spans: Tuple[Span, ...] = ()


# Windows


def windows(doc: Doc, max_tokens: int) -> List[Tokens]:
    """Cut a document into texts that are read at one go: as many whole sentences as fit, one after the other. A
    sentence with more tokens is cut where it is full.

    doc (Doc): the document. Without sentence borders, sentences end at full stops and line breaks.
    max_tokens (int): most tokens of a window.
    RETURNS (List[Tuple[int, int]]): token offsets, end exclusive. One window where all fits.
    """
    if not len(doc):
        return []
    if len(doc) <= max_tokens:
        return [(0, len(doc))]
    result: List[Tokens] = []
    start = stop = 0
    for left, right in _sentences(doc):
        if right - start > max_tokens and stop > start:
            result.append((start, stop))
            start = left
        while right - start > max_tokens:
            result.append((start, start + max_tokens))
            start += max_tokens
        stop = right
    if stop > start:
        result.append((start, stop))
    return result


def _sentences(doc: Doc) -> Iterator[Tokens]:
    if doc.has_annotation("SENT_START"):
        yield from ((sent.start, sent.end) for sent in doc.sents)
        return
    start = 0
    for token in doc:
        closed = _SENTENCE_END.search(token.text) and (token.whitespace_ or token.is_space or token.i + 1 == len(doc))
        if closed:
            yield start, token.i + 1
            start = token.i + 1
    if start < len(doc):
        yield start, len(doc)


def _text(doc: Doc, window: Tokens) -> str:
    return doc[window[0] : window[1]].text


# Questions


def questions(
    doc: Doc, task: Task, spans: Sequence[Span], labels: EntityLabels, max_tokens: int, gold: bool = False
) -> List[Question]:
    """The questions of a task about a document.

    doc (Doc): the document.
    task (str): the task.
    spans (Sequence[Span]): its mentions, of which those with the two labels are asked about.
    labels (EntityLabels): the entity labels.
    max_tokens (int): most tokens of a window.
    gold (bool): take the answers from the document's annotations, and leave out what is not annotated.
    RETURNS (List[Question]): the questions in the order of the text.
    """
    cuts = windows(doc, max_tokens)
    supplements = [span for span in spans if span.label_ == labels.supplement]
    events = [span for span in spans if span.label_ == labels.event]
    if task == "ner":
        return [_whole(doc, w, _gold_entities(w, supplements, events) if gold else "") for w in cuts]
    if task == "te":
        if gold and TRIPLES_KEY not in doc.user_data:
            return []
        return [_whole(doc, w, _gold_triples(doc, w, supplements, events) if gold else "") for w in cuts]
    if task == "uc":
        asked = [_about(doc, cuts, (span, span), span._.usage if gold else None) for span in supplements]
        return [question for question in asked if question is not None]
    known: Dict[Tuple[Tokens, Tokens], str] = {}
    if gold:
        if RELATIONS_KEY not in doc.user_data:
            return []
        for relation in doc._.relations:
            known.setdefault((offsets(relation.head), offsets(relation.tail)), relation.label)
    result = []
    for supplement in supplements:
        for event in events:
            label = known.get((offsets(supplement), offsets(event)), RELATIONS[-1]) if gold else None
            question = _about(doc, cuts, (supplement, event), label)
            if question is not None:
                result.append(question)
    return result


def without_mentions(doc: Doc, spans: Sequence[Span]) -> List[PairInstance]:
    """Parts of an annotated document, between commas and the like, in which nothing is to be found. A model that was
    only trained on texts with mentions would find some in every text.

    doc (Doc): the annotated document.
    spans (Sequence[Span]): its mentions.
    RETURNS (List[PairInstance]): the parts, as questions for entities with the answer "none".
    """
    borders = [0, *(token.i + 1 for token in doc if _PART_END.search(token.text)), len(doc)]
    result = []
    for part in zip(borders, borders[1:]):
        words = sum(token.is_alpha for token in doc[part[0] : part[1]])
        if words >= _PART_WORDS and not any(span.start < part[1] and part[0] < span.end for span in spans):
            result.append(_whole(doc, part, write_entities([])).instance)
    return result


def _whole(doc: Doc, window: Tokens, response: str) -> Question:
    text = _text(doc, window)
    place = (0, len(text))
    return Question(PairInstance(text, place, place, id=doc.user_data.get(ID_KEY, ""), response=response), window)


def _about(doc: Doc, cuts: Sequence[Tokens], spans: Tuple[Span, Span], label: Optional[str]) -> Optional[Question]:
    """A question about one or two mentions; None where no window has both, or where the gold answer is unknown."""
    first, second = spans
    window = next((w for w in cuts if w[0] <= first.start < w[1]), None)
    if window is None or not window[0] <= second.start < window[1] or label == "":
        return None
    # A mention that a cut went through is read as a whole.
    window = (window[0], max(window[1], first.end, second.end))
    base = doc[window[0]].idx
    instance = PairInstance(
        _text(doc, window),
        (first.start_char - base, first.end_char - base),
        (second.start_char - base, second.end_char - base),
        first.label_,
        second.label_,
        None if label is None else (Answer(label),),
        doc.user_data.get(ID_KEY, ""),
        "" if label is None else label_text(label),
    )
    return Question(instance, window, (first,) if first == second else spans)


def _gold_entities(window: Tokens, supplements: Sequence[Span], events: Sequence[Span]) -> str:
    found = [(s, KINDS[0]) for s in supplements] + [(s, KINDS[1]) for s in events]
    found = sorted((item for item in found if _inside(item[0], window)), key=lambda item: (item[0].start, item[0].end))
    return write_entities([Mention(span.text, kind) for span, kind in found])


def _gold_triples(doc: Doc, window: Tokens, supplements: Sequence[Span], events: Sequence[Span]) -> str:
    text = " ".join(_text(doc, window).split())
    places = {" ".join(s.text.split()): s.start for s in [*events, *supplements][::-1]}
    triples = []
    for head, relation, tail in doc._.triples:
        if relation in TRIPLE_RELATIONS and " ".join(head.split()) in text and " ".join(tail.split()) in text:
            triples.append(TripleText(head, relation, tail))
    triples.sort(key=lambda t: (places.get(" ".join(t.head.split()), 0), places.get(" ".join(t.tail.split()), 0)))
    return write_triples(triples)


def _inside(span: Span, window: Tokens) -> bool:
    return window[0] <= span.start and span.end <= window[1]


def offsets(span: Span) -> Tokens:
    """RETURNS (Tuple[int, int]): where a mention starts and ends, in tokens."""
    return span.start, span.end


# Back into the document


def char_span(doc: Doc, start: int, end: int, label: str) -> Optional[Span]:
    """The tokens of a mention.

    doc (Doc): the document.
    start (int): character offset.
    end (int): character offset, exclusive.
    label (str): the span's label.
    RETURNS (Optional[Span]): the span. Where a token holds punctuation that is no part of the mention, as "D." at the
        end of a sentence, it is taken in; None where it holds letters or digits that are not.
    """
    span = doc.char_span(start, end, label=label)
    if span is None:
        span = doc.char_span(start, end, label=label, alignment_mode="expand")
        if span is not None:
            beyond = doc.text[span.start_char : start] + doc.text[end : span.end_char]
            if any(char.isalnum() for char in beyond):
                return None
    return span


def other_relations(doc: Doc) -> List[Relation]:
    """RETURNS (List[Relation]): the document's relations that are of other kinds than those of supplements."""
    return [relation for relation in doc._.relations if relation.label not in RELATIONS]
