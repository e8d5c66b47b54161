"""What an annotated corpus holds: documents, entities by type, relations by label and by the types of their ends."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Counter as CounterType
from typing import Dict, FrozenSet, Iterable, List, Optional, Set, Tuple

from spacy.tokens import Doc, Span

from ..corpora import CorpusCounts
from ..relations import entity_spans, get_relations

# A label is symmetric where so many of its pairs, and at least so many, have it in both directions.
_SYMMETRIC_SHARE, _SYMMETRIC_PAIRS = 0.9, 3
# Pairs may hold several relations where more than this share of those with any do.
_SEVERAL_SHARE = 0.01

# Entity types of head and tail.
Types = Tuple[str, str]
# What tells an end of a relation: a mention's tokens, or its cluster; and a pair, with its document's number.
_End = Tuple[int, int]
_Pair = Tuple[int, FrozenSet[_End]]


@dataclass
class Profile:
    """What was found in documents that went by.

    counts (CorpusCounts): documents, entities and relations by label.
    words (int): tokens of all documents.
    entities (Counter[str]): mentions by type; "" for those without a type.
    types (Dict[str, Counter[Tuple[str, str]]]): of each label, how often head and tail have which types.
    pairs (int): pairs with a relation, in whatever direction.
    several (int): those of them that hold several relations, one and the same label in both directions not counted.
    symmetric (Set[str]): labels that hold in both directions wherever they hold.
    by_cluster (bool): whether relations are told of entity clusters.
    """

    counts: CorpusCounts = field(default_factory=CorpusCounts)
    words: int = 0
    entities: CounterType[str] = field(default_factory=Counter)
    types: Dict[str, CounterType[Types]] = field(default_factory=dict)
    pairs: int = 0
    several: int = 0
    symmetric: Set[str] = field(default_factory=set)
    by_cluster: bool = False

    @property
    def labels(self) -> List[str]:
        """RETURNS (List[str]): the labels, the most frequent first; those of one frequency by name."""
        return sorted(self.counts.relations, key=lambda label: (-self.counts.relations[label], label))

    @property
    def multi_label(self) -> bool:
        """RETURNS (bool): whether a pair may hold several relations."""
        return self.several > _SEVERAL_SHARE * self.pairs

    def ends(self, label: str) -> Tuple[List[str], List[str]]:
        """RETURNS (Tuple[List[str], List[str]]): the types of the label's heads and of its tails, sorted. Empty where
        all types that the corpus has are among them, or some end has none: no type says anything then.
        """
        found = self.types.get(label, Counter())
        heads, tails = ({pair[end] for pair in found} for end in (0, 1))
        if label in self.symmetric:
            heads = tails = heads | tails
        every = set(self.entities)
        first, second = ([] if "" in own or own >= every else sorted(own) for own in (heads, tails))
        return first, second


def profile(docs: Iterable[Doc], spans_key: Optional[str] = None) -> Profile:
    """Count what documents hold.

    docs (Iterable[Doc]): annotated documents.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    RETURNS (Profile): the counts.
    """
    result = Profile()
    held: Dict[_Pair, Set[Tuple[str, _End]]] = {}
    for number, doc in enumerate(result.counts.counting(docs, spans_key)):
        result.words += len(doc)
        result.entities.update(span.label_ for span in entity_spans(doc, spans_key))
        for relation in get_relations(doc):
            types = (relation.head.label_, relation.tail.label_)
            result.types.setdefault(relation.label, Counter())[types] += 1
            result.by_cluster = result.by_cluster or relation.head_cluster is not None
            head = _end(relation.head, relation.head_cluster)
            tail = _end(relation.tail, relation.tail_cluster)
            held.setdefault((number, frozenset((head, tail))), set()).add((relation.label, head))
    one_way: CounterType[str] = Counter()
    both_ways: CounterType[str] = Counter()
    for found in held.values():
        times = Counter(label for label, _ in found)
        one_way.update(times.keys())
        both_ways.update(label for label, count in times.items() if count > 1)
        result.several += len(times) > 1
    result.pairs = len(held)
    for label, count in both_ways.items():
        if count >= max(_SYMMETRIC_PAIRS, _SYMMETRIC_SHARE * one_way[label]):
            result.symmetric.add(label)
    return result


def _end(span: Span, cluster: Optional[int]) -> _End:
    return (span.start, span.end) if cluster is None else (cluster, -1)


def words_of(label: str) -> str:
    """RETURNS (str): a label's name as words: "founded by" for "founded_by", "org:foundedBy" and "/org/founded-by"."""
    name = re.split(r"[:/]", label.rstrip(":/"))[-1]
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.sub(r"[_\-.]+", " ", name).lower().split()) or label
