"""The official score of TACRED, TACREV and Re-TACRED: micro-averaged F1 with "no_relation" left out.

Zhang et al. 2017, https://aclanthology.org/D17-1004. A sentence asks about one pair, subject and object. Precision is
over the sentences for which a relation was predicted, recall over those that have one, and both count exact matches.
"""

from typing import Any, Collection, Dict, Iterable, List, Sequence, Tuple

from spacy.scorer import PRFScore
from spacy.training import Example

from ..errors import Errors
from ..labels import NO_RELATION
from ..relations import ID_KEY, get_clusters, get_relations, has_relations
from .offsets import SolidOffsets


def score_tacred(examples: Iterable[Example], *, symmetric: Collection[str] = ()) -> Dict[str, Any]:
    """The official score of examples.

    examples (Iterable[Example]): examples whose references have one candidate pair each, as `read_tacred` sets it. A
        ValueError is raised for another one; references whose relations were never set are left out.
    symmetric (Collection[str]): labels whose head and tail can be exchanged.
    RETURNS (Dict[str, Any]): as `tacred_score` gives it.
    """
    labels = [asked_labels(example, symmetric) for example in examples if has_relations(example.reference)]
    return tacred_score([gold for gold, _ in labels], [predicted for _, predicted in labels])


def tacred_score(gold: Sequence[str], predicted: Sequence[str]) -> Dict[str, Any]:
    """The official score over sentences.

    gold (Sequence[str]): each sentence's relation, "no_relation" for none.
    predicted (Sequence[str]): each sentence's predicted relation.
    RETURNS (Dict[str, Any]): all scores from 0 to 1, None where there is nothing to count.
        `tacred_f`: the official score; `tacred_p` and `tacred_r`: precision and recall.
        `tacred_per_type`: for each relation that occurs, a dict with `p`, `r` and `f`.
        `tacred_accuracy`: share of the sentences with the right answer, "no_relation" among the answers.
    """
    if len(gold) != len(predicted):
        raise ValueError(Errors.R419.format(gold=len(gold), predicted=len(predicted)))
    micro = PRFScore()
    per_type: Dict[str, PRFScore] = {}
    for pair in zip(gold, predicted):
        right, found = ({label} - {NO_RELATION} for label in pair)
        micro.score_set(found, right)
        for label in right | found:
            per_type.setdefault(label, PRFScore()).score_set(found & {label}, right & {label})
    counted = len(micro) > 0
    return {
        "tacred_p": micro.precision if counted else None,
        "tacred_r": micro.recall if counted else None,
        "tacred_f": micro.fscore if counted else None,
        "tacred_per_type": {label: per_type[label].to_dict() for label in sorted(per_type)} if counted else None,
        "tacred_accuracy": sum(map(str.__eq__, gold, predicted)) / len(gold) if gold else None,
    }


def asked_labels(example: Example, symmetric: Collection[str] = ()) -> Tuple[str, str]:
    """The gold and the predicted relation of the pair that a sentence asks about.

    example (Example): an example whose reference has one candidate pair, as `read_tacred` sets it.
    symmetric (Collection[str]): labels whose head and tail can be exchanged.
    RETURNS (Tuple[str, str]): both labels. "no_relation" is also predicted where a relation has the wrong direction, or
        is between others.
    """
    reference = example.reference
    pairs = reference._.candidate_pairs
    if len(pairs) != 1:
        raise ValueError(Errors.R375.format(id=reference.user_data.get(ID_KEY, ""), count=len(pairs)))
    clusters = get_clusters(reference)
    own = SolidOffsets.of(reference, example.predicted)
    heads, tails = ({own(span) for span in clusters[i]} for i in pairs[0][:2])
    labels: List[str] = []
    for doc, offsets in ((reference, own), (example.predicted, SolidOffsets.of(example.predicted, reference))):
        # Relations come best first.
        found = NO_RELATION
        for rel in get_relations(doc):
            ends = (offsets(rel.head), offsets(rel.tail))
            turned = rel.label in symmetric and ends[1] in heads and ends[0] in tails
            if turned or (ends[0] in heads and ends[1] in tails):
                found = rel.label
                break
        labels.append(found)
    return labels[0], labels[1]
