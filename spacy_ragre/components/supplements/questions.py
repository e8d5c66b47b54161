"""The supplement tasks on documents: questions with their gold answers."""

import re
from bisect import bisect_right
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from spacy.tokens import Doc, Span

from ...errors import Errors
from ...instances import Answer, Instance
from ...prompts.responses import Aligner, write_entities, write_triples
from ...prompts.supplements import GENERATED, KINDS, RELATIONS, TRIPLE_RELATIONS, USAGES, Task, label_text
from ...relations import ID_KEY, TRIPLES_KEY, get_relations, has_relations
from ...retrieval.texts import normalise
from .windows import Limits, Tokens, is_too_long, windows

_PART_END = re.compile(r"[.!?,;:]$|\n")
# Fewer words than these are no text to learn from.
_PART_WORDS = 4


# Whether the language model's window takes the question of a task.
Fits = Callable[[Task, Instance], bool]


class EntityLabels(NamedTuple):
    """supplement (str): entity label of supplements. event (str): entity label of events."""

    supplement: str
    event: str


class Question(NamedTuple):
    """A question about a document.

    instance (Instance): what is asked, with the gold answer where it is known.
    window (Tuple[int, int]): token offsets of the text that is read.
    spans (Tuple[Span, ...]): the mentions that are asked about: none, one supplement, or supplement and event.
    """

    instance: Instance
    window: Tokens
    spans: Tuple[Span, ...] = ()


def _text(doc: Doc, window: Tokens) -> str:
    return doc[window[0] : window[1]].text


# Questions


def questions(
    doc: Doc,
    task: Task,
    spans: Sequence[Span],
    labels: EntityLabels,
    limits: Limits,
    gold: bool = False,
    fits: Optional[Fits] = None,
) -> List[Question]:
    """The questions of a task about a document.

    doc (Doc): the document.
    task (str): the task.
    spans (Sequence[Span]): its mentions, of which those with the two labels are asked about.
    labels (EntityLabels): the entity labels.
    limits (Limits): how much is read at once.
    gold (bool): take the answers from the document's annotations, and leave out what is not annotated.
    fits (Optional[Callable[[str, Instance], bool]]): whether the language model's window takes a question. Where whole
        texts are asked about, one that is too long is read in two halves, and so on.
    RETURNS (List[Question]): the questions in the order of the text.
    """
    cuts = windows(doc, limits)
    if task in GENERATED and fits is not None:
        cuts = [part for window in cuts for part in _halved(doc, window, task, fits)]
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


def _halved(doc: Doc, window: Tokens, task: Task, fits: Fits) -> Iterator[Tokens]:
    """YIELDS (Tuple[int, int]): a window, or the parts of it that fit. A single token is not cut."""
    start, end = window
    if end - start < 2 or fits(task, _whole(doc, window, "").instance):
        yield window
        return
    middle = (start + end) // 2
    for part in ((start, middle), (middle, end)):
        yield from _halved(doc, part, task, fits)


def without_mentions(doc: Doc, spans: Sequence[Span], max_tokens: int) -> List[Instance]:
    """Parts of an annotated document, between commas and the like, in which nothing is to be found. A model that was
    only trained on texts with mentions would find some in every text.

    doc (Doc): the annotated document.
    spans (Sequence[Span]): its mentions.
    max_tokens (int): most tokens of a part.
    RETURNS (List[Instance]): the parts, as questions for entities with the answer "none".
    """
    borders = [0, *(token.i + 1 for token in doc if _PART_END.search(token.text)), len(doc)]
    result = []
    for part in zip(borders, borders[1:]):
        tokens = doc[part[0] : part[1]]
        if len(tokens) > max_tokens or any(map(is_too_long, tokens)):
            continue
        words = sum(token.is_alpha for token in tokens)
        if words >= _PART_WORDS and not any(span.start < part[1] and part[0] < span.end for span in spans):
            result.append(_whole(doc, part, write_entities([])).instance)
    return result


def _whole(doc: Doc, window: Tokens, response: str) -> Question:
    text = _text(doc, window)
    place = (0, len(text))
    return Question(Instance(text, place, place, id=doc.user_data.get(ID_KEY, ""), response=response), window)


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
    instance = Instance(
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
    status: str = supplement._.usage
    if status not in USAGES:
        raise ValueError(Errors.R537.format(value=status, known=", ".join(USAGES)))
    return status


def _gold_relations(doc: Doc) -> Optional[Dict[Tuple[Tokens, Tokens], str]]:
    """RETURNS (Optional[Dict[Tuple[Tuple[int, int], Tuple[int, int]], str]]): the labels of pairs of mentions. None
    where nothing is known: no relations are annotated, or only those of other kinds.
    """
    if not has_relations(doc):
        return None
    annotated = get_relations(doc)
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
    return write_entities([(span.text, kind) for span, kind in found])


def _gold_triples(doc: Doc, window: Tokens, supplements: Sequence[Span], events: Sequence[Span]) -> str:
    """Those of the document's triples that its text in a window states: where mentions are annotated, between two of
    them, else with names that stand there.
    """
    heads, tails = (
        {normalise(s.text): s.start for s in own[::-1] if _inside(s, window)} for own in (supplements, events)
    )
    aligner = None if supplements or events else Aligner(_text(doc, window))
    found = []
    for head, relation, tail in doc._.triples:
        if aligner is None:
            stated = normalise(head) in heads and normalise(tail) in tails
        else:
            stated = bool(aligner.places(head) and aligner.places(tail))
        if stated and relation in TRIPLE_RELATIONS:
            found.append((head, relation, tail))
    found.sort(key=lambda triple: (heads.get(normalise(triple[0]), 0), tails.get(normalise(triple[2]), 0)))
    return write_triples(found)


def _inside(span: Span, window: Tokens) -> bool:
    return window[0] <= span.start and span.end <= window[1]


def offsets(span: Span) -> Tokens:
    """RETURNS (Tuple[int, int]): where a mention starts and ends, in tokens."""
    return span.start, span.end
