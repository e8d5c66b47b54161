"""The rules: boundaries of entities that are there, and entities that a named entity recogniser left out.

All of them read part-of-speech tags, and `find_terms` the parse. They are for English.
"""

import re
from typing import List, Sequence, Set

from spacy.tokens import Doc, Span, Token
from spacy.util import filter_spans

from ...corpora.tokens import blocked_tokens
from ...entity_types import FREQUENCY, NAME, NAMES, NUMBERS, QUANTITY, TERM
from .words import (
    ARTICLES,
    COURTESY,
    CURRENCIES,
    DESCRIBING,
    GREETINGS,
    INSIDE_NAMES,
    INSTITUTIONS,
    OFFICES,
    POSSESSIVES,
    UNITS,
)

_COUNT = r"(?:once|twice|(?:\d+|two|three|four) times)"
_PERIOD = r"(?:hour|day|week|month|year)"
_FREQUENCY = re.compile(
    rf"\b(?:{_COUNT} (?:(?:a|an|per|each|every) {_PERIOD}|daily|weekly|monthly)"
    rf"|every (?:(?:\d+|two|three|four|six|eight|twelve|other) )?(?:{_PERIOD}s?|morning|evening|night)"
    r"|daily|(?:in the )?morning and evening|at night)\b",
    re.IGNORECASE,
)
# One-letter units are too often something else, and "%" is not.
_WRITTEN = "|".join(sorted((re.escape(unit) for unit in UNITS - set("glm")), key=len, reverse=True))
_MEASURE = re.compile(rf"\b\d[\d.,]*[- ]?(?:{_WRITTEN})(?!\w)", re.IGNORECASE)
# What goes on with a name after a hyphen, beside other names: "Rolls-royce", "T-shirt".
_AFTER_HYPHEN = frozenset(("PROPN", "NOUN", "NUM"))
# Tags of what stands in front of the words that name a thing.
_FRONT = frozenset("DET PRON NUM PUNCT ADV PART SYM CCONJ ADP AUX".split())
_FRONT_TAGS = frozenset("JJR JJS CD PRP$ DT PDT WDT WP$ POS".split())


def overlaps(span: Span, others: Sequence[Span]) -> bool:
    """RETURNS (bool): whether a span has a token in common with one of the others."""
    return any(span.start < other.end and other.start < span.end for other in others)


def closed_tokens(doc: Doc, ents: Sequence[Span]) -> Set[int]:
    """Where nothing may change.

    doc (Doc): the document.
    ents (Sequence[Span]): its entities, in order.
    RETURNS (Set[int]): tokens that are blocked, and those of entities that stand beside them, or beside others that do.
    """
    closed = {token.start for token in blocked_tokens(doc)}
    # Back and forth, since what they stand beside may come before or behind.
    for ent in (*ents, *reversed(ents)):
        if not closed.isdisjoint((ent.start - 1, ent.end)):
            closed.update(range(ent.start, ent.end))
    return closed


def mend(doc: Doc, ents: Sequence[Span], closed: Set[int]) -> List[Span]:
    """Entities with the boundaries that their type asks for: names whole ("FC Linden", not "Linden"), without a
    preposition behind, amounts with their unit. Only entities of OntoNotes' types change.

    doc (Doc): the document, tagged.
    ents (Sequence[Span]): entities, in order.
    closed (Set[int]): tokens where nothing may change; none of these entities has any.
    RETURNS (List[Span]): as many or fewer: parts of one name become one.
    """
    taken = closed | {token.i for ent in ents for token in ent}
    out: List[Span] = []
    left = list(ents)
    while left:
        ent = left.pop(0)
        if ent.label_ in NAMES:
            ent = _mend_name(doc, ent, taken)
            follows = left and left[0].start == ent.end + 1 and left[0].label_ in NAMES and ent.end not in closed
            if follows and doc[ent.end].lower_ == "of" and doc[ent.end - 1].lower_ in INSTITUTIONS:
                ent = _relabel(doc, ent, ent.start, left.pop(0).end)
        elif ent.label_ == "DATE" and left and left[0].label_ == "TIME" and left[0].start == ent.end:
            ent = _relabel(doc, ent, ent.start, left.pop(0).end)
        elif ent.label_ in NUMBERS - {"DATE"}:
            ent = _mend_number(doc, ent, taken)
        taken.update(range(ent.start, ent.end))
        out.append(ent)
    return out


def _mend_name(doc: Doc, ent: Span, taken: Set[int]) -> Span:
    start, end = ent.start, ent.end
    while end - 1 > start and doc[end - 1].pos_ in ("ADP", "PUNCT", "DET", "CCONJ") and doc[end - 1].text[-1] != ".":
        end -= 1
    if ent.label_ == "NORP":  # "Italian" is no part of the name that follows
        return _relabel(doc, ent, start, end)
    while end < len(doc) and end not in taken and is_name(doc[end]) and not doc[end].is_sent_start:
        end += 1
    while start > 0 and start - 1 not in taken and is_name(doc[start - 1]) and not doc[start].is_sent_start:
        if doc[start - 1].lower_ in OFFICES | GREETINGS:
            break
        start -= 1
    return _relabel(doc, ent, start, end)


def _mend_number(doc: Doc, ent: Span, taken: Set[int]) -> Span:
    start, end, label = ent.start, ent.end, ent.label_
    while end - start > 1 and doc[start].pos_ == "VERB":
        start += 1
    numbers = [i for i in range(start, end) if doc[i].like_num]
    unit = numbers[-1] + 1 if numbers else len(doc)
    if unit < len(doc) and doc[unit].lower_ in UNITS and (unit not in taken or (unit < end and label == "TIME")):
        end, label = unit + 1, "MONEY" if doc[unit].lower_ in CURRENCIES else QUANTITY
    if start > 0 and start - 1 not in taken and doc[start - 1].is_currency:
        start, label = start - 1, "MONEY"
    return _relabel(doc, ent, start, end, label)


def _relabel(doc: Doc, ent: Span, start: int, end: int, label: str = "") -> Span:
    return Span(doc, start, end, label or ent.label, kb_id=ent.kb_id, span_id=ent.id)


def trim(doc: Doc, ents: Sequence[Span]) -> List[Span]:
    """RETURNS (List[Span]): entities without an article in front and a possessive ending behind, as many corpora have
    them: "World Bank" for "the World Bank's".
    """
    out = []
    for ent in ents:
        start, end = ent.start, ent.end
        if end - start > 1 and doc[start].lower_ in ARTICLES:
            start += 1
        if end - start > 1 and doc[end - 1].lower_ in POSSESSIVES:
            end -= 1
        out.append(_relabel(doc, ent, start, end))
    return out


def find_measures(doc: Doc, ents: Sequence[Span], closed: Set[int]) -> List[Span]:
    """RETURNS (List[Span]): amounts with a unit, and how often something is done ("twice a day"), where no entity other
    than a number is.
    """
    out = []
    for expression, label in ((_FREQUENCY, FREQUENCY), (_MEASURE, QUANTITY)):
        for match in expression.finditer(doc.text):
            span = doc.char_span(match.start(), match.end(), label=label)
            if span is None or not closed.isdisjoint(range(span.start, span.end)):
                continue
            others = [ent for ent in ents if overlaps(span, [ent])]
            whole = any(ent.start <= span.start and span.end <= ent.end and ent.label_ in _MEASURED for ent in others)
            if not whole and all(ent.label_ in NUMBERS for ent in others):
                out.append(span)
    return filter_spans(out)


_MEASURED = frozenset(("QUANTITY", "MONEY", "PERCENT"))


def is_name(token: Token) -> bool:
    """RETURNS (bool): whether a token is, by tag and writing, a name or a part of one."""
    if token.pos_ == "PROPN":
        return token.text[0].isupper()
    # A tagger takes some abbreviations for something else.
    return token.is_alpha and token.text[:2].isupper() and len(token) > 1 and not token.is_sent_start


def _joins(doc: Doc, i: int) -> bool:
    """RETURNS (bool): whether a token is a hyphen between the words beside it, without spaces, and no dash."""
    return 0 < i < len(doc) - 1 and doc[i].text == "-" and not (doc[i - 1].whitespace_ or doc[i].whitespace_)


def find_names(doc: Doc, ents: Sequence[Span], closed: Set[int]) -> List[Span]:
    """RETURNS (List[Span]): runs of proper nouns outside of entities, with "of" and the like between them; without
    offices in front ("Justice"), and without greetings.
    """
    taken = closed | {token.i for ent in ents for token in ent}

    def is_free_name(i: int) -> bool:
        return i < len(doc) and i not in taken and is_name(doc[i]) and doc[i].lower_ not in GREETINGS

    def goes_on(i: int) -> bool:
        if i >= len(doc) or doc[i].is_sent_start or i in taken:
            return False
        if doc[i].text == "-":
            # "Berlin-based" is no name.
            return _joins(doc, i) and i + 1 not in taken and (is_name(doc[i + 1]) or doc[i + 1].pos_ in _AFTER_HYPHEN)
        return is_free_name(i) or (doc[i].lower_ in INSIDE_NAMES and is_free_name(i + 1))

    out, start = [], 0
    while start < len(doc):
        end = start + 1
        if is_free_name(start):
            while goes_on(end):
                end += 2 if doc[end].text == "-" else 1
            while start < end and doc[start].lower_ in OFFICES:
                start += 1
            if any(token.lower_ not in COURTESY for token in doc[start:end]):
                out.append(Span(doc, start, end, NAME))
        start = end
    return out


def find_terms(doc: Doc, ents: Sequence[Span], closed: Set[int]) -> List[Span]:
    """RETURNS (List[Span]): noun phrases outside of entities, up to their head: without determiners, numbers, owners
    ("the bank's") and adjectives that say how something is.
    """
    taken = closed | {token.i for ent in ents if not _is_part(ent) for token in ent}
    out = []
    for chunk in doc.noun_chunks:
        head = chunk.root
        if not (head.tag_.startswith("NN") or head.pos_ in ("NOUN", "PROPN", "X")):
            continue
        start, end = chunk.start, head.i + 1
        for i in range(start, end):
            if doc[i].tag_ == "POS" or i in taken:
                start = i + 1
        while start < end and _is_front(doc[start]):
            start += 1
        while start < end and _joins(doc, end) and taken.isdisjoint((end, end + 1)):
            end += 2
        words = doc[start:end]
        # Of one word: neither a unit nor a sign.
        if len(words) > 1 or (len(words) == 1 and words[0].lower_ not in UNITS and _is_word(words[0])):
            out.append(Span(doc, start, end, TERM))
    return filter_spans(out)


def _is_part(ent: Span) -> bool:
    """RETURNS (bool): whether an entity is a number inside a noun phrase: the 2 of "type 2 diabetes"."""
    start, end = ent.start, ent.end
    inside = start > 0 and end < len(ent.doc) and ent.doc[start - 1].pos_ == ent.doc[end].pos_ == "NOUN"
    return inside and ent.label_ == "CARDINAL"


def _is_word(token: Token) -> bool:
    return token.is_alpha or "-" in token.text[1:]


def _is_front(token: Token) -> bool:
    """Whether a token at the beginning of a noun phrase does not say what kind of thing it is."""
    verb = token.pos_ == "VERB" and token.tag_ != "VBN"  # "whipped cream"
    return token.pos_ in _FRONT or token.tag_ in _FRONT_TAGS or token.lower_ in DESCRIBING or verb


def find_phrases(doc: Doc, ents: Sequence[Span], rules: Sequence[str]) -> List[Span]:
    """Entities as the rules make them, none of them overlapping. Nothing changes where tokens are blocked.

    doc (Doc): the document, tagged and parsed.
    ents (Sequence[Span]): its entities.
    rules (Sequence[str]): those of `ALL_RULES` to use.
    RETURNS (List[Span]): the entities, in order.
    """
    closed = closed_tokens(doc, ents)
    found = [ent for ent in ents if ent.start not in closed]
    found = mend(doc, found, closed) if "boundaries" in rules else found
    found = trim(doc, found) if "articles" in rules else found
    found = sorted([*found, *(ent for ent in ents if ent.start in closed)], key=lambda span: span.start)
    if "measures" in rules:
        measures = find_measures(doc, found, closed)
        found = [ent for ent in found if not overlaps(ent, measures)] + measures
    names = find_names(doc, found, closed) if "names" in rules else []
    terms = find_terms(doc, found, closed) if "terms" in rules else []
    # Of a name inside a longer noun phrase, the phrase ("Savoy cabbage"); the name where they are equal.
    names = [name for name in names if not any(term.start <= name.start and name.end < term.end for term in terms)]
    found = [*(ent for ent in found if not overlaps(ent, terms)), *names]
    found += [term for term in terms if not overlaps(term, names)]
    return sorted(filter_spans(found), key=lambda span: span.start)


#: The rules that are used where none are named, and all there are.
RULES = ("boundaries", "measures", "names", "terms")
ALL_RULES = (*RULES, "articles")
