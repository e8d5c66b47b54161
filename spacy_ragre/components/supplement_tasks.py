"""The supplement tasks on documents: the windows that are read, the questions about them with their gold answers, and
answers on their way back into a document.
"""

import re
from bisect import bisect_right
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from spacy.tokens import Doc, Span, SpanGroup, Token

from ..errors import Errors
from ..labels import Answer, PairInstance
from ..prompts.rendering import one_line
from ..prompts.responses import Aligner, Mention, TripleText, write_entities, write_triples
from ..prompts.supplements import KINDS, RELATIONS, TRIPLE_RELATIONS, USAGES, Task, label_text
from ..relations import ID_KEY, RELATIONS_KEY, TRIPLES_KEY, Relation

_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*$|\n")
_PART_END = re.compile(r"[.!?,;:]$|\n")
# Fewer words than these are no text to learn from.
_PART_WORDS = 4
# Tokens with more characters are no words, but encoded data or the like: no text is read across them.
_LONGEST_WORD = 200

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
    RETURNS (List[Tuple[int, int]]): token offsets, end exclusive. One window where all fits. Tokens that are far too
        long for a word are in none.
    """
    result: List[Tokens] = []
    start = 0
    for stop in [*(token.i for token in doc if len(token) > _LONGEST_WORD), len(doc)]:
        result.extend(_windows_of((start, stop), doc, max_tokens))
        start = stop + 1
    return result


def _windows_of(part: Tokens, doc: Doc, max_tokens: int) -> List[Tokens]:
    start = stop = part[0]
    if part[1] - start <= max_tokens:
        return [part] if start < part[1] else []
    result: List[Tokens] = []
    for left, right in _sentences(doc):
        left, right = max(left, part[0]), min(right, part[1])
        if right <= left:
            continue
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
    # Of two spans of a group that are the same, one; and none of white space.
    unique = {(*offsets(span), span.label_): span for span in spans if span.text.strip()}.values()
    supplements = [span for span in unique if span.label_ == labels.supplement]
    events = [span for span in unique if span.label_ == labels.event]
    if task == "ner":
        return [_whole(doc, w, _gold_entities(w, supplements, events) if gold else "") for w in cuts]
    if task == "te":
        if gold and TRIPLES_KEY not in doc.user_data:
            return []
        return [_whole(doc, w, _gold_triples(doc, w, supplements, events) if gold else "") for w in cuts]
    if task == "uc":
        # A status that is not known is no answer to learn.
        asked = [span for span in supplements if span._.usage or not gold]
        return [_about(doc, w, (s, s), _status(s) if gold else None) for w, s in _placed(asked, cuts)]
    known = _gold_relations(doc) if gold else {}
    if known is None:
        return []
    near: Dict[Tokens, List[Span]] = {}
    for window, event in _placed(events, cuts):
        near.setdefault(window, []).append(event)
    result = []
    for window, supplement in _placed(supplements, cuts):
        for event in near.get(window, ()):
            label = known.get((offsets(supplement), offsets(event)), RELATIONS[-1]) if gold else None
            result.append(_about(doc, window, (supplement, event), label))
    return result


def without_mentions(doc: Doc, spans: Sequence[Span], max_tokens: int) -> List[PairInstance]:
    """Parts of an annotated document, between commas and the like, in which nothing is to be found. A model that was
    only trained on texts with mentions would find some in every text.

    doc (Doc): the annotated document.
    spans (Sequence[Span]): its mentions.
    max_tokens (int): most tokens of a part.
    RETURNS (List[PairInstance]): the parts, as questions for entities with the answer "none".
    """
    borders = [0, *(token.i + 1 for token in doc if _PART_END.search(token.text)), len(doc)]
    result = []
    for part in zip(borders, borders[1:]):
        words = sum(token.is_alpha for token in doc[part[0] : part[1]])
        if words < _PART_WORDS or _windows_of(part, doc, max_tokens) != [part]:
            continue
        if not any(span.start < part[1] and part[0] < span.end for span in spans):
            result.append(_whole(doc, part, write_entities([])).instance)
    return result


def _whole(doc: Doc, window: Tokens, response: str) -> Question:
    text = _text(doc, window)
    place = (0, len(text))
    return Question(PairInstance(text, place, place, id=doc.user_data.get(ID_KEY, ""), response=response), window)


def _placed(spans: Sequence[Span], cuts: Sequence[Tokens]) -> Iterator[Tuple[Tokens, Span]]:
    """YIELDS (Tuple[Tuple[int, int], Span]): the window that a mention begins in, and the mention. Those that begin in
    no window are left out.
    """
    for span in spans:
        at = bisect_right(cuts, (span.start, len(span.doc) + 1)) - 1
        if at >= 0 and span.start < cuts[at][1]:
            yield cuts[at], span


def _about(doc: Doc, window: Tokens, spans: Tuple[Span, Span], label: Optional[str]) -> Question:
    """A question about one or two mentions, with its gold answer where that is given."""
    first, second = spans
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


def _status(supplement: Span) -> str:
    if supplement._.usage not in USAGES:
        raise ValueError(Errors.R537.format(value=supplement._.usage, known=", ".join(USAGES)))
    return supplement._.usage


def _gold_relations(doc: Doc) -> Optional[Dict[Tuple[Tokens, Tokens], str]]:
    """RETURNS (Optional[Dict[Tuple[Tuple[int, int], Tuple[int, int]], str]]): the labels of pairs of mentions. None
    where nothing is known: no relations are annotated, or only those of other kinds.
    """
    if RELATIONS_KEY not in doc.user_data:
        return None
    annotated = doc._.relations
    own = [relation for relation in annotated if relation.label in RELATIONS]
    if annotated and not own:
        return None
    clusters = doc._.entity_clusters if any({r.head_cluster, r.tail_cluster} != {None} for r in own) else []
    known: Dict[Tuple[Tokens, Tokens], str] = {}
    for relation in own:
        # What is said of two entities is said of all their mentions.
        heads = [relation.head] if relation.head_cluster is None else clusters[relation.head_cluster]
        tails = [relation.tail] if relation.tail_cluster is None else clusters[relation.tail_cluster]
        for head in heads:
            for tail in tails:
                known.setdefault((offsets(head), offsets(tail)), relation.label)
    return known


def _gold_entities(window: Tokens, supplements: Sequence[Span], events: Sequence[Span]) -> str:
    found = [(s, KINDS[0]) for s in supplements] + [(s, KINDS[1]) for s in events]
    found = sorted((item for item in found if _inside(item[0], window)), key=lambda item: (item[0].start, item[0].end))
    return write_entities([Mention(span.text, kind) for span, kind in found])


def _gold_triples(doc: Doc, window: Tokens, supplements: Sequence[Span], events: Sequence[Span]) -> str:
    """Those of the document's triples that its text in a window states: where mentions are annotated, between two of
    them, else with names that stand there.
    """
    heads, tails = ({_name(s.text): s.start for s in own[::-1] if _inside(s, window)} for own in (supplements, events))
    aligner = None if supplements or events else Aligner(_text(doc, window))
    found = []
    for head, relation, tail in doc._.triples:
        if aligner is None:
            stated = _name(head) in heads and _name(tail) in tails
        else:
            stated = bool(aligner.places(head) and aligner.places(tail))
        if stated and relation in TRIPLE_RELATIONS:
            found.append(TripleText(head, relation, tail))
    found.sort(key=lambda triple: (heads.get(_name(triple.head), 0), tails.get(_name(triple.tail), 0)))
    return write_triples(found)


def _name(text: str) -> str:
    return one_line(text).casefold()


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


def without_taken(new: Sequence[Span], taken: Sequence[Span], own: Sequence[str]) -> List[Span]:
    """The mentions that `doc.ents` may have.

    new (Sequence[Span]): the mentions.
    taken (Sequence[Span]): entities that stand already. Those with more words than a mention, or with a label of our
        own, stay; the others give way.
    own (Sequence[str]): these labels.
    RETURNS (List[Span]): those where no entity stays, and no token was blocked with `Doc.set_ents`.
    """
    result = []
    for span in new:
        near = [old for old in taken if old.start < span.end and span.start < old.end]
        stays = (old.label_ in own or old.start < span.start or span.end < old.end for old in near)
        if not any(stays) and not any(map(_is_blocked, span)):
            result.append(span)
    return result


def _is_blocked(token: Token) -> bool:
    return token.ent_iob == 3 and not token.ent_type


def set_mentions(doc: Doc, mentions: Sequence[Span], replaced: Sequence[str], spans_key: Optional[str]) -> None:
    """Set new mentions, and drop what was annotated for those that go.

    doc (Doc): the document.
    mentions (Sequence[Span]): the new mentions.
    replaced (Sequence[str]): labels whose mentions the new ones take the place of. In `doc.ents`, they also take that
        of all entities that they overlap.
    spans_key (Optional[str]): the key of the span group; `doc.ents` where None.
    """
    group = None if spans_key is None else doc.spans.get(spans_key)
    before = doc.ents if spans_key is None else list(group or ())
    kept = [span for span in before if span.label_ not in replaced]
    _forget(doc, [span for span in before if span.label_ in replaced], mentions)
    if spans_key is not None:
        attrs = {} if group is None else group.attrs
        doc.spans[spans_key] = SpanGroup(doc, name=spans_key, attrs=attrs, spans=[*kept, *mentions])
        return
    kept = [span for span in kept if not any(span.start < m.end and m.start < span.end for m in mentions)]
    blocked = [doc[token.i : token.i + 1] for token in doc if _is_blocked(token)]
    doc.set_ents(sorted([*kept, *mentions], key=lambda span: span.start), blocked=blocked, default="outside")


def _forget(doc: Doc, before: Sequence[Span], after: Sequence[Span]) -> None:
    """Drop usage and relations of the mentions that are not found again."""
    again = {(*offsets(span), span.label_) for span in after}
    gone: Set[Tokens] = set()
    for span in before:
        if (*offsets(span), span.label_) not in again:
            gone.add(offsets(span))
            if span._.usage:
                span._.usage, span._.usage_score = "", None
    if gone and RELATIONS_KEY in doc.user_data:
        doc._.relations = [
            relation
            for relation in doc._.relations
            if relation.label not in RELATIONS or gone.isdisjoint((offsets(relation.head), offsets(relation.tail)))
        ]


def other_relations(doc: Doc) -> List[Relation]:
    """RETURNS (List[Relation]): the document's relations that are of other kinds than those of supplements."""
    return [relation for relation in doc._.relations if relation.label not in RELATIONS]
