"""Pairs on their way from candidates to relations: what a pair may be, what was found, and how a document keeps it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import minibatch

from ...calibration.settings import Calibration
from ...candidates import Candidate
from ...coreference import owners_of, renumber
from ...corpora.reader import copy_input
from ...entity_types import STRICT, TypeRules
from ...instances import Instance
from ...labels import LabelSet
from ...relations import PAIRS_KEY, cluster_entities, entity_spans
from ...retrieval import Neighbour, evidence
from .decisions import Decision
from .examples import as_shown

if TYPE_CHECKING:
    import numpy as np

# What the scorer of relations gives, and which of it chooses the best model.
SCORE_WEIGHTS: Dict[str, Optional[float]] = {
    "rels_micro_f": 1.0,
    "rels_micro_p": None,
    "rels_micro_r": None,
    "rels_macro_f": None,
    "rels_micro_all_f": None,
    "rels_per_type": None,
}

# Probabilities of proposed pairs are kept this far from 0 and 1, so that none is certain.
_LEAST_SCORE = 1e-4
# Of all that pairs may hold, less likely relations are not told.
_LEAST_TOLD = 0.01
# Documents that other components propose pairs for at once.
_PROPOSED = 64


class RelationPrediction(NamedTuple):
    """A relation that was found in a document.

    candidate (Candidate): the pair.
    label (str): its label.
    reversed (bool): True where the second mention is the head.
    score (float): its probability.
    evidence (Dict[str, Any]): what supported it.
    """

    candidate: Candidate
    label: str
    reversed: bool
    score: float
    evidence: Dict[str, Any]


def allowed_classes(candidates: Sequence[Candidate], labels: LabelSet, rules: TypeRules = STRICT) -> "np.ndarray":
    """The classes that the labels' type constraints and the candidates' directions allow.

    candidates (Sequence[Candidate]): the pairs.
    labels (LabelSet): the labels.
    rules (TypeRules): which types may stand for others.
    RETURNS (numpy.ndarray): bool, *Shape* (pairs, classes).
    """
    import numpy as np

    inverse = np.array([answer is not None and answer.reversed for answer in labels.classes])
    symmetric = np.array([answer is None or labels.specs[answer.label].symmetric for answer in labels.classes])
    # Thousands of candidates share a few combinations.
    known: Dict[Tuple[str, str, bool, bool], Any] = {}
    rows = []
    for candidate in candidates:
        types = (candidate.instance.first_type, candidate.instance.second_type)
        key = (*types, candidate.forward, candidate.reversed)
        if key not in known:
            direction = (inverse & candidate.reversed) | (~inverse & candidate.forward) | symmetric
            known[key] = np.array(labels.allowed(*types, rules)) & direction
        rows.append(known[key])
    return np.array(rows, dtype=bool).reshape(len(rows), len(labels.classes))


def known_classes(instances: Sequence[Instance], labels: LabelSet) -> Optional["np.ndarray"]:
    """What is known of pairs of documents that were annotated for some of the labels.

    instances (Sequence[Instance]): pairs with answers.
    labels (LabelSet): the labels.
    RETURNS (Optional[numpy.ndarray]): bool, the classes that a pair is known to have or not to have, and "no relation",
        which they are held against, *Shape* (pairs, classes). None where everything is known.
    """
    import numpy as np

    if all(labels.is_complete(instance) for instance in instances):
        return None
    known = np.array([labels.known(instance) for instance in instances], dtype=bool)
    known[:, 0] = True
    return known


def weights_of(instances: Sequence[Instance]) -> Optional["np.ndarray"]:
    """RETURNS (Optional[numpy.ndarray]): how much pairs count in training, *Shape* (pairs,). None where all count 1."""
    import numpy as np

    weights = [instance.weight for instance in instances]
    return None if all(weight == 1 for weight in weights) else np.array(weights, dtype="float32")


def proposal_odds(candidates: Sequence[Candidate], labels: LabelSet) -> "Optional[np.ndarray]":
    """How sure the component that proposed the pairs is of their relations.

    candidates (Sequence[Candidate]): the pairs.
    labels (LabelSet): the labels.
    RETURNS (Optional[numpy.ndarray]): log-odds of each class, *Shape* (pairs, classes): that the pair holds a relation
        in the direction of the class, and which one, where that is known. 0 for class 0 and for directions that were
        not proposed. None where nothing was proposed.
    """
    import numpy as np

    if not any(candidate.forward_proposal or candidate.reversed_proposal for candidate in candidates):
        return None
    names = list(labels)
    index = {name: i for i, name in enumerate(names)}
    # Of each label, in both directions; the lowest is that of what was not proposed.
    shares = np.full((len(candidates), 2, len(names)), np.nan)
    for row, candidate in enumerate(candidates):
        for side, proposal in enumerate((candidate.forward_proposal, candidate.reversed_proposal)):
            if proposal is None:
                continue
            shares[row, side] = proposal.score if proposal.labels is None else 0.0
            for label, share in (proposal.labels or {}).items():
                if label in index:
                    shares[row, side, index[label]] = proposal.score * share
    shares = np.clip(shares, _LEAST_SCORE, 1 - _LEAST_SCORE)
    odds = np.log(shares) - np.log1p(-shares)
    result = np.zeros((len(candidates), len(labels.classes)))
    for column, answer in enumerate(labels.classes):
        if answer is None:
            continue
        values = odds[:, :, index[answer.label]]
        if labels.specs[answer.label].symmetric:
            result[:, column] = np.fmax(values[:, 0], values[:, 1])
        else:
            result[:, column] = values[:, int(answer.reversed)]
    return np.nan_to_num(result)


def gather(
    candidates: Sequence[Candidate],
    chosen: Sequence[Sequence[int]],
    probability: "np.ndarray",
    neighbours: Sequence[Sequence[Neighbour]],
    labels: LabelSet,
) -> List[RelationPrediction]:
    """The relations that pairs were given.

    candidates (Sequence[Candidate]): the pairs.
    chosen (Sequence[Sequence[int]]): the classes of each.
    probability (numpy.ndarray): of all classes, *Shape* (pairs, classes).
    neighbours (Sequence[Sequence[Neighbour]]): the examples that supported each.
    labels (LabelSet): the labels.
    RETURNS (List[RelationPrediction]): the relations, in the order of the pairs, "no relation" left out.
    """
    found = []
    for candidate, classes, scores, near in zip(candidates, chosen, probability, neighbours):
        answers = [(index, labels.classes[index]) for index in classes]
        given = [(index, answer) for index, answer in answers if answer is not None]
        support: Dict[str, Any] = {}
        if given:
            shown = [replace(item, instance=as_shown(item.instance, labels)) for item in near]
            support = {"text": candidate.instance.text, "examples": evidence(shown)}
        found += [RelationPrediction(candidate, *answer, float(scores[index]), support) for index, answer in given]
    return found


def gather_all(
    decision: Decision, candidates: Sequence[Candidate], probability: "np.ndarray", labels: LabelSet
) -> List[RelationPrediction]:
    """What pairs may hold, likely enough or not.

    decision (Decision): one answer a pair, or several.
    candidates (Sequence[Candidate]): the pairs.
    probability (numpy.ndarray): of all classes, *Shape* (pairs, classes).
    labels (LabelSet): the labels.
    RETURNS (List[RelationPrediction]): of each pair the likeliest relation, or all where it may hold several, without
        evidence; those that are next to impossible are left out.
    """
    relations = probability.copy()
    relations[:, 0] = 0.0
    chosen = decision.pick(relations, Calibration(threshold=_LEAST_TOLD, decision=_LEAST_TOLD), labels)
    return gather(candidates, chosen, probability, [()] * len(candidates), labels)


def drop_rivals(found: Sequence[RelationPrediction], labels: LabelSet) -> List[RelationPrediction]:
    """Leave out relations across sentences that a likelier one explains: in "Apple was founded by Steve Jobs. Amazon
    is in Seattle.", he founded Apple and not Amazon, too.

    found (Sequence[RelationPrediction]): the relations of a document.
    labels (LabelSet): the labels, which tell what is symmetric.
    RETURNS (List[RelationPrediction]): without those across sentences of which the head, or the tail, has the same
        label with another name, and likelier. Relations of clusters all stay.
    """

    def ends(item: RelationPrediction) -> List[Tuple[Tuple[str, bool, str], str]]:
        pair, symmetric = item.candidate.instance, labels.specs[item.label].symmetric
        head, tail = (text.casefold() for text in (pair.first_text, pair.second_text)[:: -1 if item.reversed else 1])
        return [((item.label, True, head), tail), ((item.label, symmetric, tail), head)]

    known: Dict[Tuple[str, bool, str], Dict[str, float]] = {}
    for item in found:
        for end, other in ends(item):
            partners = known.setdefault(end, {})
            partners[other] = max(item.score, partners.get(other, 0.0))

    def has_rival(item: RelationPrediction) -> bool:
        return any(
            score > item.score
            for end, other in ends(item)
            for partner, score in known.get(end, {}).items()
            if partner != other
        )

    def is_apart(item: RelationPrediction) -> bool:
        return item.candidate.across and item.candidate.first_cluster is None

    return [item for item in found if not (is_apart(item) and has_rival(item))]


def to_relations(
    found: Sequence[RelationPrediction], spans: Sequence[Span], clusters: Sequence[Sequence[Span]] = ()
) -> List[Dict[str, Any]]:
    """What was found, as `doc._.relations` takes it.

    found (Sequence[RelationPrediction]): the relations of one document.
    spans (Sequence[Span]): its mentions, which give heads and tails their entity types.
    clusters (Sequence[Sequence[Span]]): its entity clusters, where the relations are between these. A relation that was
        read at a mention without an entity type, such as "she", is told of the nearest one of its cluster that has one.
    RETURNS (List[Dict[str, Any]]): the relations as plain data.
    """
    types = {(span.start, span.end): span.label_ for span in spans}
    relations = []
    for item in found:
        pair = item.candidate
        first, second = _ends(pair, types, clusters)
        order = -1 if item.reversed else 1
        head, tail = (first, second)[::order]
        head_cluster, tail_cluster = (pair.first_cluster, pair.second_cluster)[::order]
        relations.append(
            {
                "head": head,
                "tail": tail,
                "label": item.label,
                "score": item.score,
                "head_cluster": head_cluster,
                "tail_cluster": tail_cluster,
                "evidence": item.evidence,
            }
        )
    return relations


def to_weights(
    weights: Sequence[Tuple[Candidate, float]], spans: Sequence[Span], clusters: Sequence[Sequence[Span]] = ()
) -> List[Tuple[Tuple[int, int, str], Tuple[int, int, str], float]]:
    """How much pairs count, as `set_weights` takes it; other arguments are those of `to_relations`."""
    types = {(span.start, span.end): span.label_ for span in spans}
    return [(*_ends(pair, types, clusters), weight) for pair, weight in weights]


def _ends(
    pair: Candidate, types: Dict[Tuple[int, int], str], clusters: Sequence[Sequence[Span]]
) -> Tuple[Tuple[int, int, str], Tuple[int, int, str]]:
    """RETURNS (Tuple[Tuple[int, int, str], Tuple[int, int, str]]): the mentions that a pair is told of."""
    first, second = (*pair.first, pair.instance.first_type), (*pair.second, pair.instance.second_type)
    if pair.first_cluster is not None:  # else these are the cluster's
        first = _as_entity(first, types, clusters[pair.first_cluster] if clusters else ())
    if pair.second_cluster is not None:
        second = _as_entity(second, types, clusters[pair.second_cluster] if clusters else ())
    return first, second


def _as_entity(
    mention: Tuple[int, int, str], types: Dict[Tuple[int, int], str], cluster: Sequence[Span]
) -> Tuple[int, int, str]:
    """RETURNS (Tuple[int, int, str]): a mention with its own type; of one that has none, the nearest of its cluster
    that has, of two that are as near the first.
    """
    start, end, label = mention
    named = [(span.start, span.end) for span in cluster if span.label_ or (span.start, span.end) in types]
    if named and (start, end) not in named:
        start, end = min(named, key=lambda place: (max(start - place[1], place[0] - end), place))
    return (start, end, types.get((start, end), label))


# Proposals of another component


def propose(examples: Iterable[Example], nlp: Optional[Language], component: Any) -> Iterator[Example]:
    """Have the components before this one propose candidate pairs for examples that have none.

    In training, spaCy does this with the components that are `annotating`; when the pipeline is initialised, nothing
    was annotated yet.

    examples (Iterable[Example]): the examples.
    nlp (Optional[Language]): the pipeline. Components that are disabled propose, too: a trained filter is disabled
        while the others are initialised.
    component (Any): the component that asks.
    YIELDS (Example): the examples, the predicted documents with candidate pairs.
    """
    proposing = []
    for name, pipe in [] if nlp is None else nlp.components:
        if pipe is component:
            break
        if "doc._.candidate_pairs" in nlp.get_pipe_meta(name).assigns:  # type: ignore[union-attr]
            proposing.append(pipe)
    for batch in minibatch(examples, _PROPOSED):
        # The pairs of gold entities, whatever the predicted document has.
        batch = [
            Example(copy_input(example.reference), example.reference)
            if proposing and PAIRS_KEY not in example.reference.user_data
            else example
            for example in batch
        ]
        docs = [example.predicted for example in batch if PAIRS_KEY not in example.reference.user_data]
        for pipe in proposing:
            docs = list(pipe.pipe(docs, batch_size=_PROPOSED)) if hasattr(pipe, "pipe") else [pipe(d) for d in docs]
        yield from batch


def with_proposals(example: Example, spans_key: Optional[str] = None) -> Doc:
    """The gold document with the pairs that were proposed for the predicted one.

    example (Example): the example.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (Doc): the reference, where it has candidate pairs or nothing was proposed. Else a copy of it, with the
        proposed pairs of its own entities: a proposed entity is the gold one that shares most mentions; where there is
        none, the pair is left out, since nothing is known of it.
    """
    reference, predicted = example.reference, example.predicted
    if PAIRS_KEY in reference.user_data or PAIRS_KEY not in predicted.user_data:
        return reference
    doc = reference.copy()
    clusters = [cluster_entities(own, entity_spans(own, spans_key)) for own in (predicted, doc)]
    proposed, known = ([[(m.start_char, m.end_char) for m in cluster] for cluster in own] for own in clusters)
    owners = owners_of(known)
    gold = [renumber(i, places, owners) for i, places in enumerate(proposed)]
    doc.user_data[PAIRS_KEY] = [
        [gold[head], gold[tail], *rest]
        for head, tail, *rest in predicted.user_data[PAIRS_KEY]
        if gold[head] is not None and gold[tail] is not None and gold[head] != gold[tail]
    ]
    return doc
