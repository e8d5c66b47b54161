"""Scores of the four tasks on dietary supplements: entities, relations, triples and usage (RAMIE, arXiv 2411.15700).

Each task is scored on the documents whose reference is annotated for it. Mentions are the same where their character
offsets are the same, so that a document with another tokenisation can be scored.
"""

from collections import Counter, defaultdict
from functools import partial
from typing import Any, Callable, Collection, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from spacy.scorer import PRFScore
from spacy.tokens import Doc
from spacy.training import Example

from ...prompts.rendering import one_line
from ...registry import registry
from ...relations import TRIPLES_KEY, entity_spans, get_relations, has_entity_annotation, has_relations
from ...scoring.offsets import SolidOffsets

TASKS = ("ner", "re", "te", "uc")
ENTITY_LABELS = ("SUPPLEMENT", "EVENT")
RELATIONS = ("positive", "negative", "not_related")
#: Stands in the confusion matrix for a mention that only one side has.
MISSING = ""

Mention = Tuple[int, int, str]


@registry.scorers("ragre.supplement_scorer.v1")
def make_supplement_scorer(
    tasks: Optional[List[str]] = None,
    spans_key: Optional[str] = None,
    labels: Optional[List[str]] = None,
) -> Callable[..., Dict[str, Any]]:
    """Create a scorer of the supplement tasks.

    tasks (Optional[List[str]]): score these only, of ner, re, te and uc; those of the component where None.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`; where None, in the component's place.
    labels (Optional[List[str]]): the entity labels that count; the component's where None. The first one is the label
        of the mentions that have a usage.
    RETURNS (Callable[..., Dict[str, Any]]): the scorer.
    """
    # A partial, since a component with a function made here could not be pickled for another process.
    settings = {"tasks": tasks, "spans_key": spans_key, "labels": labels}
    return partial(_score, settings=settings)


def _score(examples: Iterable[Example], *, settings: Dict[str, Any], **kwargs: Any) -> Dict[str, Any]:
    # A component passes its own settings along; the scorer's win.
    own: Dict[str, Any] = {key: value or kwargs.get(key) for key, value in settings.items()}
    return score_supplements(examples, **{**own, "labels": own["labels"] or ENTITY_LABELS})


def score_supplements(
    examples: Iterable[Example],
    *,
    tasks: Optional[Sequence[str]] = None,
    spans_key: Optional[str] = None,
    labels: Sequence[str] = ENTITY_LABELS,
) -> Dict[str, Any]:
    """Score the four tasks. All scores are from 0 to 1, None where there is nothing to count.

    examples (Iterable[Example]): the examples.
    tasks (Optional[Sequence[str]]): the tasks to score, all of them where None.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    labels (Sequence[str]): the entity labels that count, that of mentions with a usage first.
    RETURNS (Dict[str, Any]): the scores of the tasks that were asked for.
        `ner_strict_p`, `ner_strict_r`, `ner_strict_f`: offsets and label are the same; `ner_per_type` by label.
        `ner_lenient_p`, `ner_lenient_r`, `ner_lenient_f`: mentions of the same label overlap, one to one.
        `re_micro_p`, `re_micro_r`, `re_micro_f`: head, tail and label are the same, all labels counted, "not_related"
        too; `re_macro_f`, the mean F1 of the labels in the reference; `re_per_type` by label.
        `te_strict_p`, `te_strict_r`, `te_strict_f`: both texts and the relation are the same; `te_per_type` by
        relation.
        `uc_micro_p`, `uc_micro_r`, `uc_micro_f`: a mention has the same status; where mentions are given, this is the
        accuracy. `uc_macro_f`, the mean F1 of the statuses in the reference; `uc_per_type` by status;
        `uc_confusion`, how often each status of the reference was given each status, with "" for mentions that the
        other side lacks.
    """
    chosen = TASKS if tasks is None else tasks
    examples = list(examples)
    scores: Dict[str, Any] = {}
    if "ner" in chosen:
        scores.update(_score_entities(examples, spans_key, labels))
    if "re" in chosen:
        scores.update(_score_relations(examples))
    if "te" in chosen:
        scores.update(_score_triples(examples))
    if "uc" in chosen:
        scores.update(_score_usage(examples, spans_key, labels[0]))
    return scores


# Entities


def _score_entities(examples: Sequence[Example], spans_key: Optional[str], labels: Sequence[str]) -> Dict[str, Any]:
    strict = _Counts()
    lenient = PRFScore()
    for example in examples:
        if not has_entity_annotation(example.reference, spans_key):
            continue
        predicted = _mentions(example.predicted, example.reference, spans_key, labels)
        gold = _mentions(example.reference, example.predicted, spans_key, labels)
        strict.add(predicted, gold)
        right = _count_overlaps(predicted, gold)
        lenient.tp += right
        lenient.fp += len(predicted) - right
        lenient.fn += len(gold) - right
    return {**strict.scores("ner_strict", "ner"), **_prf("ner_lenient", lenient)}


def _mentions(doc: Doc, other: Doc, spans_key: Optional[str], labels: Collection[str]) -> Set[Mention]:
    offsets = SolidOffsets.of(doc, other)
    return {(*offsets(span), span.label_) for span in entity_spans(doc, spans_key) if span.label_ in labels}


def _count_overlaps(predicted: Set[Mention], gold: Set[Mention]) -> int:
    """RETURNS (int): pairs of mentions with one label that overlap, each mention in one pair at most. Taking the gold
    mention that ends first is the largest number of pairs where mentions of one side do not overlap each other.
    """
    free = sorted(gold, key=lambda mention: (mention[1], mention[0]))
    count = 0
    for start, end, label in sorted(predicted, key=lambda mention: (mention[1], mention[0])):
        match = next((item for item in free if item[2] == label and item[0] < end and start < item[1]), None)
        if match is not None:
            free.remove(match)
            count += 1
    return count


# Relations and triples


def _score_relations(examples: Sequence[Example]) -> Dict[str, Any]:
    counts = _Counts()
    for example in examples:
        if has_relations(example.reference):
            counts.add(
                _relations(example.predicted, example.reference), _relations(example.reference, example.predicted)
            )
    return {**counts.scores("re_micro", "re"), "re_macro_f": counts.macro}


def _relations(doc: Doc, other: Doc) -> Set[Tuple[Any, ...]]:
    offsets = SolidOffsets.of(doc, other)
    # Other components may have set relations of other kinds.
    return {(offsets(r.head), offsets(r.tail), r.label) for r in get_relations(doc) if r.label in RELATIONS}


def _score_triples(examples: Sequence[Example]) -> Dict[str, Any]:
    counts = _Counts()
    for example in examples:
        if TRIPLES_KEY in example.reference.user_data:
            counts.add(_triples(example.predicted), _triples(example.reference))
    return counts.scores("te_strict", "te")


def _triples(doc: Doc) -> Set[Tuple[Any, ...]]:
    # Line breaks inside a mention are no part of its name.
    return {(one_line(h), one_line(t), relation) for h, relation, t in doc._.triples}


# Usage


def _score_usage(examples: Sequence[Example], spans_key: Optional[str], label: str) -> Dict[str, Any]:
    counts = _Counts()
    confusion: Dict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        if not _has_usage(example.reference, spans_key, label):
            continue
        predicted = _usage(example.predicted, example.reference, spans_key, label)
        gold = _usage(example.reference, example.predicted, spans_key, label)
        # Of a mention whose status is not annotated, nothing is known.
        predicted = {key: value for key, value in predicted.items() if value and gold.get(key) != ""}
        gold = {key: value for key, value in gold.items() if value}
        counts.add({(*key, value) for key, value in predicted.items()}, {(*key, v) for key, v in gold.items()})
        for key in {**gold, **predicted}:
            confusion[gold.get(key, MISSING)][predicted.get(key, MISSING)] += 1
    matrix = {status: dict(sorted(row.items())) for status, row in sorted(confusion.items())}
    scores = counts.scores("uc_micro", "uc")
    return {**scores, "uc_macro_f": counts.macro, "uc_confusion": matrix or None}


def _has_usage(doc: Doc, spans_key: Optional[str], label: str) -> bool:
    """Whether a reference is annotated for usage. One without mentions is: whatever is found there is wrong."""
    spans = [span for span in entity_spans(doc, spans_key) if span.label_ == label]
    return any(span._.usage for span in spans) or (not spans and has_entity_annotation(doc, spans_key))


def _usage(doc: Doc, other: Doc, spans_key: Optional[str], label: str) -> Dict[Tuple[int, int], str]:
    """RETURNS (Dict[Tuple[int, int], str]): the status of each mention; "" where it has none."""
    offsets = SolidOffsets.of(doc, other)
    return {offsets(span): span._.usage for span in entity_spans(doc, spans_key) if span.label_ == label}


# Counting


class _Counts:
    """True and false positives and negatives, over all items and by their class, which is an item's last part."""

    def __init__(self) -> None:
        self.all = PRFScore()
        self.per_type: Dict[str, PRFScore] = defaultdict(PRFScore)
        self.gold: Set[str] = set()

    def add(self, predicted: Set[Any], gold: Set[Any]) -> None:
        self.all.score_set(predicted, gold)
        for name in {item[-1] for item in predicted | gold}:
            own = ({item for item in items if item[-1] == name} for items in (predicted, gold))
            self.per_type[name].score_set(*own)
        self.gold.update(item[-1] for item in gold)

    @property
    def macro(self) -> Optional[float]:
        """RETURNS (Optional[float]): mean F1 of the classes that occur in the gold items."""
        if not self.gold:
            return None
        return sum(self.per_type[name].fscore for name in self.gold) / len(self.gold)

    def scores(self, name: str, task: str) -> Dict[str, Any]:
        types = {key: self.per_type[key].to_dict() for key in sorted(self.per_type)}
        return {**_prf(name, self.all), f"{task}_per_type": types or None}


def _prf(name: str, score: PRFScore) -> Dict[str, Optional[float]]:
    known = len(score) > 0
    return {
        f"{name}_p": score.precision if known else None,
        f"{name}_r": score.recall if known else None,
        f"{name}_f": score.fscore if known else None,
    }
