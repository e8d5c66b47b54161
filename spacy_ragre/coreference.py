"""Clusters that the coreference components of other packages have written into a document, and clusters that moved."""

import warnings
from collections import Counter
from typing import Any, Callable, Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from spacy.tokens import Doc, Span

from .errors import Warnings

# spacy-experimental's span groups, and the attributes of fastcoref and coreferee.
SPANS_PREFIX = "coref_clusters_"
FASTCOREF = "coref_clusters"
COREFEREE = "coref_chains"

_ARTICLES = {"the", "a", "an"}
_POSSESSIVES = {"'s", "’s", "'", "’"}


def coreference_clusters(doc: Doc, entities: Sequence[Span]) -> List[List[Span]]:
    """The clusters of all coreference components that have read a document.

    Read are spacy-experimental's `doc.spans["coref_clusters_*"]`, fastcoref's `doc._.coref_clusters` (lists of
    character offsets) and coreferee's `doc._.coref_chains` (chains of mentions that have `token_indexes`), in this
    order. What another package keeps under these names is left alone, with a warning.

    doc (Doc): the document.
    entities (Sequence[Span]): its entity mentions. A mention of a cluster that is one of them but for an article or a
        possessive stands as that entity.
    RETURNS (List[List[Span]]): mentions in the order of the text, for every cluster with mentions.
    """
    clusters: List[List[Span]] = [list(group) for key, group in doc.spans.items() if key.startswith(SPANS_PREFIX)]
    clusters += _read(doc, FASTCOREF, _of_fastcoref)
    clusters += _read(doc, COREFEREE, lambda doc, value: _of_coreferee(doc, value, entities))
    known: Dict[Tuple[int, int], Span] = {}
    for span in entities if any(clusters) else ():
        known.setdefault(_bare(span), span)
    found = []
    for cluster in clusters:
        mentions: Dict[Tuple[int, int], Span] = {}
        for span in cluster:
            if len(span):
                mention = known.get(_bare(span), span)
                mentions.setdefault((mention.start, mention.end), mention)
        if mentions:
            found.append([mentions[place] for place in sorted(mentions)])
    return found


def _bare(span: Span) -> Tuple[int, int]:
    """RETURNS (Tuple[int, int]): token offsets without an article in front and a possessive behind."""
    start, end, doc = span.start, span.end, span.doc
    if end - start > 1 and doc[start].lower_ in _ARTICLES:
        start += 1
    if end - start > 1 and doc[end - 1].lower_ in _POSSESSIVES:
        end -= 1
    return start, end


def _read(doc: Doc, name: str, read: Callable[[Doc, Any], List[List[Span]]]) -> List[List[Span]]:
    """RETURNS (List[List[Span]]): the clusters of an attribute, none where it is not there or another package's."""
    value = getattr(doc._, name) if Doc.has_extension(name) else None
    if value is None:
        return []
    try:
        return read(doc, value)
    except (TypeError, ValueError, AttributeError, IndexError):
        warnings.warn(Warnings.W630.format(attr=name, value=value), stacklevel=4)
        return []


def _of_fastcoref(doc: Doc, value: Iterable[Iterable[Tuple[int, int]]]) -> List[List[Span]]:
    clusters = [[doc.char_span(start, end, alignment_mode="expand") for start, end in cluster] for cluster in value]
    if any(span is None for cluster in clusters for span in cluster):
        raise ValueError
    return [[span for span in cluster if span is not None] for cluster in clusters]


def _of_coreferee(doc: Doc, value: Iterable[Iterable[Any]], entities: Sequence[Span]) -> List[List[Span]]:
    # A mention is the head of its noun phrase. One with several heads names several entities ("Ann and Bob").
    owners = {i: span for span in entities for i in range(span.start, span.end)}
    heads = [[mention.token_indexes for mention in chain] for chain in value]
    return [[owners.get(i) or doc[i : i + 1] for (i, *more) in chain if not more] for chain in heads]


Place = Tuple[int, int]


def owners_of(clusters: Iterable[Iterable[Place]]) -> Dict[Place, List[int]]:
    """RETURNS (Dict[Tuple[int, int], List[int]]): places of mentions, with the indexes of their clusters."""
    owners: Dict[Place, List[int]] = {}
    for index, places in enumerate(clusters):
        for place in places:
            owners.setdefault(place, []).append(index)
    return owners


def renumber(
    index: int, places: Collection[Place], owners: Mapping[Place, Sequence[int]], mention: Optional[Place] = None
) -> Optional[int]:
    """Find a cluster in another list of clusters.

    index (int): its index in its own.
    places (Collection[Tuple[int, int]]): its mentions.
    owners (Mapping[Tuple[int, int], Sequence[int]]): those of the other list, see `owners_of`.
    mention (Optional[Tuple[int, int]]): where it is one of these, the cluster that is found must have it, too.
    RETURNS (Optional[int]): the index of the cluster that shares most mentions, first the same one; None for none.
    """
    shared = Counter(owner for place in places for owner in owners.get(place, ()))
    fitting = shared if mention is None or mention not in places else owners.get(mention, ())
    return max(fitting, key=lambda owner: (shared[owner], owner == index, -owner), default=None)
