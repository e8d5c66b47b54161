"""Scores of relations against gold relations."""

from collections import Counter, defaultdict
from functools import partial
from typing import Any, Callable, Collection, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from spacy.scorer import PRFScore
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..registry import registry
from ..relations import (
    CLUSTERS_KEY,
    EntityCluster,
    Relation,
    cluster_entities,
    entity_spans,
    get_relations,
    has_relations,
)
from .offsets import Offsets, SolidOffsets
from .tacred import score_tacred

# An argument of a relation: a gold entity cluster, ("cluster", index, 0), or a mention, ("mention", start, end).
Argument = Tuple[str, int, int]
Triple = Tuple[Argument, Argument, str]
Pair = Tuple[Argument, Argument]


@registry.scorers("ragre.relation_scorer.v1")
def make_relation_scorer(
    negative: bool = True,
    symmetric: Optional[List[str]] = None,
    spans_key: Optional[str] = None,
    tacred: bool = False,
) -> Callable[..., Dict[str, Any]]:
    """Create a scorer of relations.

    negative (bool): give the score with the negative class, too.
    symmetric (Optional[List[str]]): labels whose head and tail can be exchanged; the component's where None.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`; where None, in the component's place.
    tacred (bool): give the official score of TACRED and its revisions, too: see `score_tacred`.
    RETURNS (Callable[..., Dict[str, Any]]): the scorer.
    """
    # A partial, since a component with a function made here could not be pickled for another process.
    settings = {"negative": negative, "symmetric": tuple(symmetric or ()), "spans_key": spans_key, "tacred": tacred}
    return partial(_score, settings=settings)


def _score(examples: Iterable[Example], *, settings: Dict[str, Any], **kwargs: Any) -> Dict[str, Any]:
    # A component passes its own settings along; where the scorer has some, those hold.
    symmetric, spans_key = (settings[key] or kwargs.get(key) for key in ("symmetric", "spans_key"))
    examples = list(examples)
    scores = score_relations(examples, negative=settings["negative"], symmetric=symmetric or (), spans_key=spans_key)
    return {**scores, **(score_tacred(examples, symmetric=symmetric or ()) if settings["tacred"] else {})}


def score_relations(
    examples: Iterable[Example],
    *,
    negative: bool = True,
    symmetric: Collection[str] = (),
    spans_key: Optional[str] = None,
) -> Dict[str, Any]:
    """Precision, recall and F1 over directed (head, tail, label) triples.

    Each gold triple counts, whether its entities were predicted or not, and so does each predicted triple, whether its
    entities are gold or not. Mentions are the same where their character offsets are the same. Where gold relations
    name entity clusters, a predicted argument is right if it, or its cluster, has a mention of the gold cluster.

    A reference whose relations were never set is left out. One with `doc._.relations = []` counts as having none. Where
    a reference says which labels it was annotated for, predictions of others count neither as right nor as wrong.

    examples (Iterable[Example]): the examples.
    negative (bool): give `rels_micro_all_f`, too.
    symmetric (Collection[str]): labels whose head and tail can be exchanged.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (Dict[str, Any]): all scores from 0 to 1, None where there is nothing to count.
        `rels_micro_p`, `rels_micro_r`, `rels_micro_f`: over all triples.
        `rels_macro_f`: mean F1 of the labels that occur in the gold triples.
        `rels_per_type`: for each label, a dict with `p`, `r` and `f`.
        `rels_micro_all_f`: over all unordered pairs of gold entities of a document, each with the set of its directed
        labels, or with "no relation". For pairs with one label this is the accuracy. Pairs that only a predicted
        relation has count, too.
    """
    return sum_scores(count_relations(examples, symmetric=symmetric, spans_key=spans_key), negative)


class DocCounts(NamedTuple):
    """What is right, wrong and missed in one document.

    by_label (Dict[str, PRFScore]): of the directed triples of each label.
    pairs (PRFScore): of the pairs, with "no relation" among their labels.
    """

    by_label: Dict[str, PRFScore]
    pairs: PRFScore


def count_relations(
    examples: Iterable[Example], *, symmetric: Collection[str] = (), spans_key: Optional[str] = None
) -> List[DocCounts]:
    """The arguments are those of `score_relations`.

    RETURNS (List[DocCounts]): of each document whose reference has relations, or says that there are none.
    """
    counts = []
    for example in examples:
        if not has_relations(example.reference):
            continue
        view = DocView(example, frozenset(symmetric), spans_key)
        by_label: Dict[str, PRFScore] = defaultdict(PRFScore)
        for label in {triple[2] for triple in view.gold | view.predicted}:
            own = ({triple for triple in triples if triple[2] == label} for triples in (view.predicted, view.gold))
            by_label[label].score_set(*own)
        pairs = PRFScore()
        _score_pairs(pairs, view)
        counts.append(DocCounts(dict(by_label), pairs))
    return counts


def sum_scores(counts: Sequence[DocCounts], negative: bool = True) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): the scores of documents together, as `score_relations` gives them."""
    micro, pairs = PRFScore(), PRFScore()
    per_type: Dict[str, PRFScore] = defaultdict(PRFScore)
    for doc in counts:
        pairs += doc.pairs
        for label, own in doc.by_label.items():
            per_type[label] += own
            micro += own
    scores: Dict[str, Any] = {
        "rels_micro_p": micro.precision if len(micro) else None,
        "rels_micro_r": micro.recall if len(micro) else None,
        "rels_micro_f": micro.fscore if len(micro) else None,
        "rels_macro_f": None,
        "rels_per_type": {label: per_type[label].to_dict() for label in sorted(per_type)} if len(micro) else None,
    }
    in_gold = [own.fscore for own in per_type.values() if own.tp + own.fn]
    if in_gold:
        scores["rels_macro_f"] = sum(in_gold) / len(in_gold)
    if negative:
        scores["rels_micro_all_f"] = pairs.fscore if len(pairs) else None
    return scores


class DocView:
    """The gold and predicted triples of an example, in terms of the gold entities.

    gold_relations (Dict[Triple, Relation]): the gold triples, each with a relation that gives it.
    predicted_relations (Dict[Triple, Relation]): the predicted triples.
    gold (Set[Triple]): the gold triples.
    predicted (Set[Triple]): the predicted triples.
    unsure (Set[Triple]): predicted triples of labels that the reference was not annotated for, which are not among
        `predicted`.
    entities (Set[Argument]): the gold entities.
    """

    def __init__(self, example: Example, symmetric: Collection[str], spans_key: Optional[str]) -> None:
        gold_doc, predicted_doc = example.reference, example.predicted
        gold_offsets = SolidOffsets.of(gold_doc, predicted_doc)
        predicted_offsets = SolidOffsets.of(predicted_doc, gold_doc)
        gold_relations: List[Relation] = get_relations(gold_doc)
        spans = entity_spans(gold_doc, spans_key)
        clusters: List[EntityCluster] = []
        if _has_clusters(gold_doc, gold_relations):
            clusters = cluster_entities(gold_doc, spans)
        owner: Dict[Offsets, int] = {}
        for i, cluster in enumerate(clusters):
            for mention in cluster:
                owner.setdefault(gold_offsets(mention), i)
        predicted_clusters: List[EntityCluster] = []
        if clusters:
            # Predicted relations may name clusters by index, whose mentions are all good to find the gold cluster.
            predicted_clusters = cluster_entities(predicted_doc, entity_spans(predicted_doc, spans_key))

        def gold_argument(span: Span, cluster: Optional[int]) -> Argument:
            if clusters and cluster is not None:
                return ("cluster", cluster, 0)
            return _argument([gold_offsets(span)], owner)

        def predicted_argument(span: Span, cluster: Optional[int]) -> Argument:
            mentions = [span]
            if cluster is not None and cluster < len(predicted_clusters):
                mentions.extend(predicted_clusters[cluster])
            return _argument([predicted_offsets(mention) for mention in mentions], owner)

        self.gold_relations = _triples(gold_relations, gold_argument, symmetric)
        self.predicted_relations = _triples(get_relations(predicted_doc), predicted_argument, symmetric)
        self.gold = set(self.gold_relations)
        self.predicted, self.unsure = split_known(set(self.predicted_relations), self.gold, gold_doc)
        self.entities: Set[Argument] = {("cluster", i, 0) for i in range(len(clusters))}
        if not clusters:
            self.entities = {_argument([gold_offsets(span)], owner) for span in spans}
        self.entities.update(argument for triple in self.gold for argument in triple[:2])


def split_known(predicted: Set[Triple], gold: Set[Triple], reference: Doc) -> Tuple[Set[Triple], Set[Triple]]:
    """Put predictions aside that may be right, though nobody looked for them.

    predicted (Set[Triple]): the predicted triples.
    gold (Set[Triple]): the gold triples.
    reference (Doc): the gold document.
    RETURNS (Tuple[Set[Triple], Set[Triple]]): those that are right or wrong, and those of labels that the document was
        not annotated for.
    """
    labels = reference._.annotated_labels
    if labels is None:
        return predicted, set()
    known = {triple for triple in predicted if triple[2] in labels or triple in gold}
    return known, predicted - known


def _has_clusters(doc: Doc, relations: List[Relation]) -> bool:
    """Whether a gold document speaks of entity clusters. Where it has no relations, its annotated clusters decide."""
    if relations:
        return any(rel.head_cluster is not None or rel.tail_cluster is not None for rel in relations)
    return CLUSTERS_KEY in doc.user_data


def _argument(mentions: List[Offsets], owner: Dict[Offsets, int]) -> Argument:
    """The gold cluster that has most of the mentions, the first of them winning a tie; else the first mention."""
    found = Counter(owner[mention] for mention in dict.fromkeys(mentions) if mention in owner)
    if found:
        return ("cluster", found.most_common(1)[0][0], 0)
    return ("mention", *mentions[0])


def _triples(
    relations: Iterable[Relation], argument: Callable[[Span, Optional[int]], Argument], symmetric: Collection[str]
) -> Dict[Triple, Relation]:
    result: Dict[Triple, Relation] = {}
    for rel in relations:
        head, tail = argument(rel.head, rel.head_cluster), argument(rel.tail, rel.tail_cluster)
        if rel.label in symmetric:
            head, tail = sorted((head, tail))
        result.setdefault((head, tail, rel.label), rel)
    return result


def _score_pairs(score: PRFScore, view: DocView) -> None:
    """Add a document's pairs. Only pairs that hold a relation are looked at; the others are counted by arithmetic."""
    labels: Dict[Pair, Tuple[Set[Tuple[str, bool]], Set[Tuple[str, bool]], Set[Tuple[str, bool]]]] = {}
    for which, triples in enumerate((view.predicted, view.gold, view.unsure)):
        for head, tail, label in triples:
            pair = (min(head, tail), max(head, tail))
            labels.setdefault(pair, (set(), set(), set()))[which].add((label, head > tail))
    no_relation = {("", False)}
    for predicted, gold, unsure in labels.values():
        if predicted or gold or not unsure:
            # A pair with an answer that may be right is not said to hold no relation.
            score.score_set(predicted or (set() if unsure else no_relation), gold or no_relation)
    count = len(view.entities)
    touched = sum(a != b and a in view.entities and b in view.entities for a, b in labels)
    score.tp += count * (count - 1) // 2 - touched
