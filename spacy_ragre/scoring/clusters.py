"""B-cubed: how well the mentions of entities were grouped (Bagga and Baldwin 1998, https://aclanthology.org/P98-1012)."""

from functools import partial
from typing import Any, Callable, Dict, Hashable, Iterable, Optional, Sequence

from spacy.training import Example

from ..registry import registry
from ..relations import CLUSTERS_KEY
from .entities import clusters_of
from .offsets import SolidOffsets


@registry.scorers("ragre.cluster_scorer.v1")
def make_cluster_scorer(spans_key: Optional[str] = None) -> Callable[..., Dict[str, Any]]:
    """Create a scorer of entity clusters.

    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`; where None, in the component's place.
    RETURNS (Callable[..., Dict[str, Any]]): the scorer.
    """
    return partial(_score, settings={"spans_key": spans_key})


def _score(examples: Iterable[Example], *, settings: Dict[str, Any], **kwargs: Any) -> Dict[str, Any]:
    return score_clusters(examples, spans_key=settings["spans_key"] or kwargs.get("spans_key"))


class BCubed:
    """Sums over the mentions of many documents."""

    def __init__(self) -> None:
        self.precision_sum = self.recall_sum = 0.0
        self.predicted = self.gold = 0

    def add(self, gold: Sequence[Iterable[Hashable]], predicted: Sequence[Iterable[Hashable]]) -> None:
        """Count the mentions of one document.

        gold (Sequence[Iterable[Hashable]]): the mentions of each gold cluster, such as offsets.
        predicted (Sequence[Iterable[Hashable]]): those of each predicted cluster. Of a mention in several clusters, the
            first counts.
        """
        one, other = _owners(gold), _owners(predicted)
        self.gold += len(one)
        self.predicted += len(other)
        self.recall_sum += sum(len(own & other.get(mention, set())) / len(own) for mention, own in one.items())
        self.precision_sum += sum(len(own & one.get(mention, set())) / len(own) for mention, own in other.items())

    @property
    def precision(self) -> float:
        return self.precision_sum / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.recall_sum / self.gold if self.gold else 0.0

    @property
    def fscore(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def _owners(clusters: Sequence[Iterable[Hashable]]) -> Dict[Hashable, "set[Hashable]"]:
    owners: Dict[Hashable, int] = {}
    for i, cluster in enumerate(clusters):
        for mention in cluster:
            owners.setdefault(mention, i)
    groups: Dict[int, set[Hashable]] = {}
    for mention, i in owners.items():
        groups.setdefault(i, set()).add(mention)
    return {mention: groups[i] for mention, i in owners.items()}


def score_clusters(examples: Iterable[Example], *, spans_key: Optional[str] = None) -> Dict[str, Any]:
    """B-cubed precision, recall and F1 of `doc._.entity_clusters`, over all mentions of all documents.

    A gold mention that was not found costs recall, and an entity that is no gold mention costs precision. Pronouns and
    noun phrases that a cluster has beside its entities, and that the gold clusters don't have, are left out: corpora of
    entities don't annotate them. A reference whose clusters were never set is left out.

    examples (Iterable[Example]): the examples.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (Dict[str, Any]): `clusters_p`, `clusters_r` and `clusters_f`, from 0 to 1; None where no document has a
        mention.
    """
    counts = BCubed()
    for example in examples:
        if CLUSTERS_KEY not in example.reference.user_data:
            continue
        gold_offsets = SolidOffsets.of(example.reference, example.predicted)
        own_offsets = SolidOffsets.of(example.predicted, example.reference)
        gold = [[gold_offsets(span) for span in cluster] for cluster in clusters_of(example.reference, spans_key)]
        known = {mention for cluster in gold for mention in cluster}
        predicted = []
        for cluster in clusters_of(example.predicted, spans_key):
            places = ((span, own_offsets(span)) for span in cluster)
            predicted.append([place for span, place in places if span.label_ or place in known])
        counts.add(gold, predicted)
    found = counts.gold + counts.predicted > 0
    return {
        "clusters_p": counts.precision if found else None,
        "clusters_r": counts.recall if found else None,
        "clusters_f": counts.fscore if found else None,
    }
