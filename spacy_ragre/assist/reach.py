"""How many of the gold relations the candidates reach, and which candidates reach enough of them."""

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

from spacy.tokens import Doc

from ..candidates import CandidateGenerator, unreached
from ..registry import registry
from ..relations import Relation, entity_spans, get_relations

# Candidates are chosen that reach this share of the gold relations.
ENOUGH = 0.98
# Of documents with many entities, the pairs are too many to make them of all documents for every choice.
SAMPLE = 1000
# Distances are rounded up to a multiple of this, in tokens.
_STEP = 10
_TEXTS = (200, 400)
_MAX_SENTENCES = 3

Settings = Dict[str, Union[str, int]]


@dataclass
class Reach:
    """What candidates reach.

    settings (Dict[str, Union[str, int]]): how they are made, as in a config; empty where that is not known.
    relations (int): the gold relations.
    pairs (int): the candidates.
    missed (List[Tuple[Doc, Relation]]): the relations that they do not reach, with their documents.
    """

    settings: Settings = field(default_factory=dict)
    relations: int = 0
    pairs: int = 0
    missed: List[Tuple[Doc, Relation]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """RETURNS (float): the share of the relations that is reached, from 0 to 1."""
        return 1 - len(self.missed) / self.relations if self.relations else 1.0


def measure_reach(docs: Sequence[Doc], generator: CandidateGenerator, spans_key: Optional[str] = None) -> Reach:
    """Count what candidates reach.

    docs (Sequence[Doc]): annotated documents.
    generator (CandidateGenerator): makes the candidates.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    RETURNS (Reach): the counts.
    """
    result = Reach()
    for doc in docs:
        spans = entity_spans(doc, spans_key)
        candidates = generator(doc, spans)
        result.pairs += len(candidates)
        result.relations += len(get_relations(doc))
        result.missed.extend((doc, relation) for relation in unreached(doc, candidates, spans))
    return result


def choose_candidates(docs: Sequence[Doc], spans_key: Optional[str] = None, *, by_cluster: bool = False) -> Reach:
    """Choose the candidates with the fewest pairs of those that reach enough of the gold relations: pairs of one
    sentence, of neighbouring sentences, or with few tokens between them; where relations are told of entity clusters,
    all pairs of clusters. Where none reaches enough, those that reach most.

    docs (Sequence[Doc]): annotated documents, with sentence borders where these shall count.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    by_cluster (bool): whether relations are told of entity clusters.
    RETURNS (Reach): the candidates' settings, and what they reach.
    """
    best: Optional[Reach] = None
    for settings in _choices(docs, by_cluster):
        generator = registry.resolve({"candidates": settings})["candidates"]
        reach = measure_reach(docs, generator, spans_key)
        reach.settings = settings
        if best is None or reach.share > best.share:
            best = reach
        if reach.share >= ENOUGH:
            break
    assert best is not None
    return best


def _choices(docs: Sequence[Doc], by_cluster: bool) -> Iterator[Settings]:
    """YIELDS (Settings): what to try, from the fewest pairs to the most."""
    if by_cluster:
        yield {"@ragre_candidates": "ragre.WholeDocument.v1", "max_tokens": 400}
        return
    between, span = _distances(docs)
    max_tokens = next((size for size in _TEXTS if span <= size), _TEXTS[-1])
    yield {"@ragre_candidates": "ragre.SameSentence.v1", "max_tokens": max_tokens}
    if any(doc.has_annotation("SENT_START") for doc in docs):
        for sentences in range(1, _MAX_SENTENCES + 1):
            yield {
                "@ragre_candidates": "ragre.NearSentences.v1",
                "max_sentences": sentences,
                "max_distance": between,
                "max_tokens": max_tokens,
            }
    yield {"@ragre_candidates": "ragre.TokenDistance.v1", "max_distance": between, "max_tokens": max_tokens}


def _distances(docs: Sequence[Doc]) -> Tuple[int, int]:
    """RETURNS (Tuple[int, int]): tokens between the mentions of a relation, and from the start of one to the end of the
    other, that hold for enough of the relations; rounded up.
    """
    between, spans = [0], [0]
    for doc in docs:
        for relation in get_relations(doc):
            first, second = sorted([relation.head, relation.tail], key=lambda span: (span.start, -span.end))
            between.append(max(0, second.start - first.end))
            spans.append(max(first.end, second.end) - first.start)
    return _most(between), _most(spans)


def _most(values: List[int]) -> int:
    # A little more than is asked for, since sentences cut off some of those within the distance.
    share = (1 + ENOUGH) / 2
    value = sorted(values)[min(len(values) - 1, int(share * len(values)))]
    return _STEP * max(1, -(-value // _STEP))
