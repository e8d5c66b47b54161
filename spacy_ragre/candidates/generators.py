"""The registered candidate generators: where pairs of mentions come from.

A generator is called with a document and its entity mentions, and gives each pair of mentions once, in the order of
the text. Mentions may be nested or overlap; two mentions with the same offsets are no pair.
"""

from dataclasses import replace
from functools import partial
from typing import Dict, Iterator, List, Sequence, Set, Tuple

from spacy.tokens import Doc, Span

from ..coreference import owners_of
from ..errors import Errors
from ..instances import Instance
from ..registry import registry
from ..relations import CandidatePair, EntityCluster, cluster_entities
from .base import Candidate, CandidateGenerator, Mention, is_blank, make_candidate, sorted_mentions, text_order
from .windows import Windows, check_max_tokens

# Of two clusters, so many pairs of mentions are read, which stand so many sentences from each other at most.
MENTION_PAIRS, MENTION_SENTENCES = 2, 1
SENTENCE_TOKENS = 200


@registry.ragre_candidates("ragre.SameSentence.v1")
def make_same_sentence(max_tokens: int = 200) -> CandidateGenerator:
    """Pairs of mentions in one sentence, with that sentence as text.

    A document without sentence boundaries is one sentence. Of a sentence that is longer than the limit, the pair
    gets the window around its mentions; pairs further apart than the limit are left out.

    max_tokens (int): the largest text, in spaCy tokens.
    RETURNS (CandidateGenerator): the generator.
    """
    return partial(same_sentence, max_tokens=check_max_tokens(max_tokens))


@registry.ragre_candidates("ragre.TokenDistance.v1")
def make_token_distance(max_distance: int = 50, max_tokens: int = 200) -> CandidateGenerator:
    """Pairs of mentions with few tokens between them, also across sentence borders.

    max_distance (int): the most tokens between the two mentions.
    max_tokens (int): the largest text, in spaCy tokens; pairs that it can't hold are left out.
    RETURNS (CandidateGenerator): the generator.
    """
    distance = _check_distance(max_distance)
    return partial(token_distance, max_distance=distance, max_tokens=check_max_tokens(max_tokens))


@registry.ragre_candidates("ragre.NearSentences.v1")
def make_near_sentences(max_sentences: int = 1, max_distance: int = 50, max_tokens: int = 200) -> CandidateGenerator:
    """Pairs of mentions in one sentence or in sentences next to each other, with these sentences as text.

    Mentions of one entity are no pair: those of one of the document's entity clusters, and those with the same text and
    type. A document without sentence boundaries is one sentence.

    max_sentences (int): how many sentences further the second mention may be; 0 for the same one.
    max_distance (int): the most tokens between the two mentions.
    max_tokens (int): the largest text, in spaCy tokens; pairs that it can't hold are left out.
    RETURNS (CandidateGenerator): the generator.
    """
    if isinstance(max_sentences, bool) or not isinstance(max_sentences, int) or max_sentences < 0:
        expected, what = "use a whole number, 0 or more", "the candidate generator"
        raise ValueError(Errors.R202.format(setting="max_sentences", value=max_sentences, what=what, expected=expected))
    return partial(
        near_sentences,
        max_sentences=max_sentences,
        max_distance=_check_distance(max_distance),
        max_tokens=check_max_tokens(max_tokens),
    )


@registry.ragre_candidates("ragre.Passage.v1")
def make_passage(max_distance: int = 80, max_tokens: int = 200) -> CandidateGenerator:
    """Pairs of mentions with few tokens between them. Where they stand in one sentence, it is their text, else the
    passage around them.

    Mentions of one entity are no pair, as for `ragre.NearSentences.v1`. A text of at most `max_tokens` tokens is one
    passage; of a longer one, pairs of one neighbourhood have the same window of that size. A document without sentence
    boundaries is one sentence.

    max_distance (int): the most tokens between the two mentions.
    max_tokens (int): the largest text, in spaCy tokens; pairs that it can't hold are left out.
    RETURNS (CandidateGenerator): the generator.
    """
    distance = _check_distance(max_distance)
    return partial(passage, max_distance=distance, max_tokens=check_max_tokens(max_tokens))


@registry.ragre_candidates("ragre.WholeDocument.v1")
def make_whole_document(max_tokens: int = 400) -> CandidateGenerator:
    """All pairs of entity clusters of a document, each at the place where its mentions are nearest.

    The number of pairs, and the memory for their texts, grows with the square of the number of clusters: for
    documents with hundreds of entities, put a `pair_candidate_filter` first and use `ragre.Proposed.v1`.

    max_tokens (int): the largest text, in spaCy tokens. Where the nearest mentions are further apart, the text is
        their two contexts, joined by " ... ".
    RETURNS (CandidateGenerator): the generator.
    """
    return partial(whole_document, max_tokens=check_max_tokens(max_tokens))


@registry.ragre_candidates("ragre.Proposed.v1")
def make_proposed(max_tokens: int = 400, head_first: bool = False) -> CandidateGenerator:
    """The pairs of entity clusters in `doc._.candidate_pairs`, as a `pair_candidate_filter` sets them.

    (a, b) and (b, a) become one candidate that asks for both directions, with the score of each. A cluster
    paired with itself is left out.

    max_tokens (int): the largest text, in spaCy tokens, as for `ragre.WholeDocument.v1`.
    head_first (bool): ask about a pair that was proposed in one direction with the head as first mention, wherever it
        stands, so that a prompt tells which is which. For corpora that give a subject and an object, such as TACRED.
    RETURNS (CandidateGenerator): the generator.
    """
    return partial(proposed, max_tokens=check_max_tokens(max_tokens), head_first=head_first)


def _check_distance(max_distance: int) -> int:
    if isinstance(max_distance, bool) or not isinstance(max_distance, int) or max_distance < 0:
        raise ValueError(Errors.R311.format(value=max_distance))
    return max_distance


def needs_proposals(generator: CandidateGenerator) -> bool:
    """RETURNS (bool): whether a generator takes its pairs from `doc._.candidate_pairs`."""
    return getattr(generator, "func", None) is proposed


def same_sentence(doc: Doc, spans: Sequence[Span], *, max_tokens: int) -> List[Candidate]:
    """See `make_same_sentence`."""
    mentions = sorted_mentions(spans)
    if len(mentions) < 2:
        return []
    windows = Windows(doc, max_tokens)
    sentences = [windows.sentences(mention.start, mention.end) for mention in mentions]
    result = []
    for i, first in enumerate(mentions):
        for j in range(i + 1, len(mentions)):
            second = mentions[j]
            if second.start >= sentences[i][1] or second.start - first.start >= max_tokens:
                break
            if first.offsets == second.offsets or max(first.end, second.end) - first.start > max_tokens:
                continue
            # A mention across a sentence border belongs to both sentences.
            bounds = (sentences[i][0], max(sentences[i][1], sentences[j][1]))
            result.append(make_candidate(doc, windows, first, second, bounds=bounds))
    return result


def token_distance(doc: Doc, spans: Sequence[Span], *, max_distance: int, max_tokens: int) -> List[Candidate]:
    """See `make_token_distance`."""
    mentions = sorted_mentions(spans)
    if len(mentions) < 2:
        return []
    windows = Windows(doc, max_tokens)
    near = _near(mentions, windows, max_distance)
    return [make_candidate(doc, windows, mentions[i], mentions[j]) for i, j in near]


def near_sentences(
    doc: Doc, spans: Sequence[Span], *, max_sentences: int, max_distance: int, max_tokens: int
) -> List[Candidate]:
    """See `make_near_sentences`."""
    if len(spans) < 2:
        return []
    windows = Windows(doc, max_tokens)
    result = []
    for first, second, further in _of_two_names(doc, spans, windows, max_distance):
        if further <= max_sentences:
            bounds = windows.sentences(first.start, max(first.end, second.end))
            result.append(make_candidate(doc, windows, first, second, bounds=bounds))
    return result


def passage(doc: Doc, spans: Sequence[Span], *, max_distance: int, max_tokens: int) -> List[Candidate]:
    """See `make_passage`."""
    if len(spans) < 2:
        return []
    windows, shared = Windows(doc, max_tokens), Windows(doc, max_tokens, shared=True)
    result = []
    for first, second, further in _of_two_names(doc, spans, windows, max_distance):
        if further > 0:
            result.append(make_candidate(doc, shared, first, second))
        else:
            bounds = windows.sentences(first.start, max(first.end, second.end))
            result.append(make_candidate(doc, windows, first, second, bounds=bounds))
    return result


def _of_two_names(
    doc: Doc, spans: Sequence[Span], windows: Windows, max_distance: int
) -> Iterator[Tuple[Mention, Mention, int]]:
    """YIELDS (Tuple[Mention, Mention, int]): two mentions near each other that are not of one entity, and how many
    sentences further the second one stands.
    """
    mentions = sorted_mentions(spans)
    names = _names(doc, spans, mentions)
    places = [windows.sentence_numbers(mention.start, mention.end) for mention in mentions]
    for i, j in _near(mentions, windows, max_distance):
        if names[i].isdisjoint(names[j]):
            yield mentions[i], mentions[j], places[j][0] - places[i][1]


def _near(mentions: Sequence[Mention], windows: Windows, max_distance: int) -> Iterator[Tuple[int, int]]:
    """YIELDS (Tuple[int, int]): the numbers of two mentions that a window can hold, with few tokens between them."""
    for i, first in enumerate(mentions):
        for j in range(i + 1, len(mentions)):
            second = mentions[j]
            if second.start - first.end > max_distance or second.start - first.start >= windows.max_tokens:
                break
            if first.offsets != second.offsets and max(first.end, second.end) - first.start <= windows.max_tokens:
                yield i, j


def whole_document(doc: Doc, spans: Sequence[Span], *, max_tokens: int) -> List[Candidate]:
    """See `make_whole_document`."""
    clusters = _cluster_mentions(cluster_entities(doc, spans))
    if len(clusters) < 2:
        return []
    windows, sentences = Windows(doc, max_tokens, shared=True), Windows(doc, SENTENCE_TOKENS)
    result = []
    for i, cluster in enumerate(clusters):
        for other in clusters[i + 1 :]:
            pairs = nearest(cluster, other)
            if pairs:
                candidate = make_candidate(doc, windows, *pairs[0])
                result.append(replace(candidate, mention_pairs=_in_sentences(doc, sentences, pairs)))
    return result


def proposed(doc: Doc, spans: Sequence[Span], *, max_tokens: int, head_first: bool = False) -> List[Candidate]:
    """See `make_proposed`."""
    pairs = doc._.candidate_pairs
    if not pairs:
        return []
    clusters = _cluster_mentions(cluster_entities(doc, spans))
    grouped: Dict[Tuple[int, int], Dict[Tuple[int, int], CandidatePair]] = {}
    for proposal in pairs:
        head, tail = proposal.head, proposal.tail
        if max(head, tail) >= len(clusters):
            raise ValueError(Errors.R312.format(index=max(head, tail), count=len(clusters)))
        if head != tail:
            directions = grouped.setdefault((min(head, tail), max(head, tail)), {})
            known = directions.get((head, tail), proposal)
            directions[head, tail] = max(proposal, known, key=lambda pair: pair.score)
    windows, sentences = Windows(doc, max_tokens, shared=True), Windows(doc, SENTENCE_TOKENS)
    result = []
    for (a, b), directions in grouped.items():
        pairs = nearest(clusters[a], clusters[b])
        if not pairs:
            continue
        order = (a, b) if pairs[0][0].cluster == a else (b, a)
        candidate = make_candidate(
            doc,
            windows,
            *pairs[0],
            forward=order in directions,
            reversed=order[::-1] in directions,
            forward_proposal=directions.get(order),
            reversed_proposal=directions.get(order[::-1]),
        )
        candidate = replace(candidate, mention_pairs=_in_sentences(doc, sentences, pairs))
        result.append(candidate.swapped() if head_first and not candidate.forward else candidate)
    return result


def nearest(
    cluster: Sequence[Mention], other: Sequence[Mention], most: int = MENTION_PAIRS
) -> List[Tuple[Mention, Mention]]:
    """The pairs of mentions of two clusters with the fewest tokens between them; of equal ones, the first in the text.

    Takes time linear in the number of mentions: of all mentions that start before a mention, the one that ends last
    is the nearest. Two are kept, since the nearest may have the very same offsets and then is no pair. So the first
    pair is the nearest of all, and the others are each mention's nearest ones before it.

    cluster (Sequence[Mention]): the mentions of one cluster, in the order of the text.
    other (Sequence[Mention]): the mentions of the other cluster, in the order of the text.
    most (int): how many pairs.
    RETURNS (List[Tuple[Mention, Mention]]): the mentions in the order of the text, the nearest pair first; empty where
        there is no pair, as for clusters that consist of the same single mention.
    """
    found: List[Tuple[int, Mention, Mention]] = []
    last: Tuple[List[Mention], List[Mention]] = ([], [])
    merged = [(mention, 0) for mention in cluster] + [(mention, 1) for mention in other]
    for mention, side in sorted(merged, key=lambda item: text_order(item[0])):
        for earlier in last[1 - side]:
            distance = max(0, mention.start - earlier.end)
            if earlier.offsets != mention.offsets:
                found.append((distance, earlier, mention))
        last[side].append(mention)
        last[side].sort(key=lambda item: -item.end)
        del last[side][2:]
    return [(first, second) for _, first, second in sorted(found, key=lambda pair: pair[0])[:most]]


def _in_sentences(doc: Doc, windows: Windows, pairs: Sequence[Tuple[Mention, Mention]]) -> Tuple[Instance, ...]:
    """RETURNS (Tuple[Instance, ...]): pairs of mentions that stand near each other, each in its own sentences."""
    result = []
    for first, second in pairs:
        places = windows.sentence_numbers(*first.offsets), windows.sentence_numbers(*second.offsets)
        if places[1][0] - places[0][1] <= MENTION_SENTENCES:
            bounds = windows.sentences(first.start, max(first.end, second.end))
            instance = make_candidate(doc, windows, first, second, bounds=bounds).instance
            result.append(instance if first.cluster == pairs[0][0].cluster else instance.swapped())
    return tuple(result)


def _names(doc: Doc, spans: Sequence[Span], mentions: Sequence[Mention]) -> List[Set[object]]:
    """RETURNS (List[Set[object]]): what tells the entity of each mention: two that have one of it in common name the
    same.
    """
    owners = owners_of([(span.start, span.end) for span in cluster] for cluster in cluster_entities(doc, spans))
    return [
        {(doc[mention.start : mention.end].text.casefold(), mention.label), *owners.get(mention.offsets, ())}
        for mention in mentions
    ]


def _cluster_mentions(clusters: Sequence[EntityCluster]) -> List[List[Mention]]:
    """The clusters as plain mentions in the order of the text; a mention without a type gets its cluster's."""
    result = []
    for i, cluster in enumerate(clusters):
        label = cluster.label
        spans = (span for span in cluster if not is_blank(span))
        unique = {(span.start, span.end): Mention(span.start, span.end, span.label_ or label, i) for span in spans}
        result.append(sorted(unique.values(), key=text_order))
    return result
