"""Mentions of supplements and events on their way into a document, and what goes with those that leave it."""

from typing import List, Optional, Sequence, Set, Tuple

from spacy.tokens import Doc, Span, SpanGroup

from ...corpora.tokens import blocked_tokens
from ...prompts.supplements import RELATIONS, TRIPLE_RELATIONS
from ...relations import entity_spans, get_relations, has_relations, set_relations
from .gazetteer import Gazetteer
from .questions import EntityLabels, offsets
from .windows import Tokens


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
        if not any(stays) and not blocked_tokens(span):
            result.append(span)
    return result


def set_mentions(doc: Doc, mentions: Sequence[Span], replaced: Sequence[str], spans_key: Optional[str]) -> None:
    """Set new mentions, and drop what was annotated for those that go.

    doc (Doc): the document.
    mentions (Sequence[Span]): the new mentions.
    replaced (Sequence[str]): labels whose mentions the new ones take the place of. In `doc.ents`, they also take that
        of all entities that they overlap.
    spans_key (Optional[str]): the key of the span group; `doc.ents` where None.
    """
    before = entity_spans(doc, spans_key)
    kept = [span for span in before if span.label_ not in replaced]
    _forget(doc, [span for span in before if span.label_ in replaced], mentions)
    if spans_key is not None:
        attrs = doc.spans[spans_key].attrs if spans_key in doc.spans else {}
        doc.spans[spans_key] = SpanGroup(doc, name=spans_key, attrs=attrs, spans=[*kept, *mentions])
        return
    kept = [span for span in kept if not any(span.start < m.end and m.start < span.end for m in mentions)]
    ents = sorted([*kept, *mentions], key=lambda span: span.start)
    doc.set_ents(ents, blocked=blocked_tokens(doc), default="outside")


def _forget(doc: Doc, before: Sequence[Span], after: Sequence[Span]) -> None:
    """Drop usage and relations of the mentions that are not found again."""
    again = {(*offsets(span), span.label_) for span in after}
    gone: Set[Tokens] = set()
    for span in before:
        if (*offsets(span), span.label_) not in again:
            gone.add(offsets(span))
            if span._.usage:
                span._.usage, span._.usage_score = "", None
    if gone and has_relations(doc):
        kept = [
            relation
            for relation in get_relations(doc)
            if relation.label not in RELATIONS or gone.isdisjoint((offsets(relation.head), offsets(relation.tail)))
        ]
        set_relations(doc, kept)


def set_triples(doc: Doc, triples: Sequence[Tuple[str, str, str]]) -> None:
    """Set triples in place of those of supplements; those with other relations stay.

    doc (Doc): the document.
    triples (Sequence[Tuple[str, str, str]]): the new triples, as `doc._.triples` takes them.
    """
    doc._.triples = [*(triple for triple in doc._.triples if triple[1] not in TRIPLE_RELATIONS), *triples]


def look_up(
    doc: Doc, gazetteer: Gazetteer, labels: EntityLabels, taken: Sequence[Span], spans_key: Optional[str]
) -> List[Span]:
    """The supplements that a gazetteer finds.

    doc (Doc): the document.
    gazetteer (Gazetteer): the names.
    labels (EntityLabels): the entity labels.
    taken (Sequence[Span]): the entities that the document has.
    spans_key (Optional[str]): where they are to stand; `doc.ents` where None.
    RETURNS (List[Span]): the mentions; in `doc.ents`, those that may stand there.
    """
    spans = [char_span(doc, place.start, place.end, labels.supplement) for place in gazetteer.find(doc.text)]
    found = [span for span in spans if span is not None]
    return found if spans_key is not None else without_taken(found, taken, labels)
