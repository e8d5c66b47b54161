"""Scores of candidate pairs: how many gold pairs are kept, and how many others are dropped."""

from functools import partial
from typing import Any, Callable, Collection, Dict, Iterable, Optional

from spacy.scorer import PRFScore
from spacy.training import Example

from ..registry import registry
from ..relations import all_labels, get_relations, has_relations, is_annotated_for
from .entities import EntityMap


@registry.scorers("ragre.pair_filter_scorer.v1")
def make_pair_filter_scorer(spans_key: Optional[str] = None) -> Callable[..., Dict[str, Any]]:
    """Create a scorer of candidate pairs.

    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`; where None, in the component's place.
    RETURNS (Callable[..., Dict[str, Any]]): the scorer.
    """
    # A partial, since a component with a function made here could not be pickled for another process.
    return partial(_score, settings={"spans_key": spans_key})


def _score(examples: Iterable[Example], *, settings: Dict[str, Any], **kwargs: Any) -> Dict[str, Any]:
    return score_pairs(
        examples, spans_key=settings["spans_key"] or kwargs.get("spans_key"), labels=kwargs.get("labels") or ()
    )


def score_pairs(
    examples: Iterable[Example], *, spans_key: Optional[str] = None, labels: Collection[str] = ()
) -> Dict[str, Any]:
    """Score `doc._.candidate_pairs` against the ordered pairs of gold entities that have a relation.

    Gold pairs of entities that the pipeline did not find are missed, and proposed pairs of entities that are not gold
    are wrong. A reference whose relations were never set is left out; of one that was not annotated for all labels,
    only the pairs with a relation count, since the others may hold one that nobody looked for.

    examples (Iterable[Example]): the examples.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    labels (Collection[str]): all labels, beside those that the references have or were annotated for.
    RETURNS (Dict[str, Any]): `pairs_p`, `pairs_r` and `pairs_f`, and `pairs_dropped`, the share of the pairs of gold
        entities without a relation that were not proposed; from 0 to 1, None where there is nothing to count.
    """
    examples = [example for example in examples if has_relations(example.reference)]
    everything = all_labels((example.reference for example in examples), labels)
    score = PRFScore()
    negatives = proposed = 0
    for example in examples:
        entities = EntityMap(example, spans_key)
        gold = {
            (entities.gold(rel.head, rel.head_cluster), entities.gold(rel.tail, rel.tail_cluster))
            for rel in get_relations(example.reference)
        }
        gold = {pair for pair in gold if pair[0] != pair[1]}
        given = {
            (entities.predicted(None, head), entities.predicted(None, tail))
            for head, tail, *_ in example.predicted._.candidate_pairs
        }
        if not is_annotated_for(example.reference, everything):
            score.score_set(given & gold, gold)
            continue
        score.score_set(given, gold)
        count = len(entities.gold_clusters)
        negatives += count * (count - 1) - sum(head[0] == tail[0] == "cluster" for head, tail in gold)
        proposed += sum(head[0] == tail[0] == "cluster" and head != tail for head, tail in given - gold)
    found = len(score) > 0
    return {
        "pairs_p": score.precision if found else None,
        "pairs_r": score.recall if found else None,
        "pairs_f": score.fscore if found else None,
        "pairs_dropped": 1 - proposed / negatives if negatives else None,
    }
