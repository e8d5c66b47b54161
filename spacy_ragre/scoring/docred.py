"""The official scores of DocRED and Re-DocRED: F1 and Ign F1, and F1 within and across sentences.

Yao et al. 2019, https://aclanthology.org/P19-1074. Counted are distinct (title, head, tail, relation), where head and
tail are entities, not mentions. Ign F1 leaves out what the training data say already: a right answer counts neither as
right nor as given for precision, where the training file has the relation between mentions of the same names. Recall
stays as it is. Relations within a sentence are those of entities that have mentions in one sentence (Nan et al. 2020,
https://aclanthology.org/2020.acl-main.141).
"""

from bisect import bisect_right
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple, Union

from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from ..corpora.docred import NAMES_KEY, read_docred
from ..corpora.reader import read_docs
from ..registry import registry
from ..relations import get_relations, has_relations
from .entities import Argument, EntityMap, clusters_of
from .relations import score_relations, split_known

Fact = Tuple[str, str, str]  # name of a head's mention, name of a tail's mention, label
Triple = Tuple[Argument, Argument, str]

# The official script adds this to a denominator.
_EPSILON = 1e-5


@registry.scorers("ragre.docred_scorer.v1")
def make_docred_scorer(
    train: Optional[Path] = None, relation_names: Optional[Path] = None, spans_key: Optional[str] = None
) -> Callable[..., Dict[str, Any]]:
    """Create a scorer that gives the official scores of DocRED and those of the relation scorer.

    train (Optional[Path]): the training documents, for Ign F1: a .spacy file or a folder of them, or DocRED's JSON. It
        is read once, when the first documents are scored.
    relation_names (Optional[Path]): the JSON file of relation ids and names that DocRED's JSON is read with.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (Callable[..., Dict[str, Any]]): the scorer.
    """
    # A partial, since a component with a function made here could not be pickled for another process.
    return partial(_score, settings={"train": train, "relation_names": relation_names, "spans_key": spans_key})


def _score(examples: Iterable[Example], *, settings: Dict[str, Any], **kwargs: Any) -> Dict[str, Any]:
    examples = list(examples)
    train, names, spans_key = settings["train"], settings["relation_names"], settings["spans_key"]
    facts = None if train is None else _read_facts(str(train), None if names is None else str(names))
    scores = score_docred(examples, facts=facts, spans_key=spans_key)
    return {**scores, **score_relations(examples, negative=False, spans_key=spans_key)}


@lru_cache(maxsize=2)
def _read_facts(path: str, names: Optional[str]) -> FrozenSet[Fact]:
    if path.endswith(".json"):
        return train_facts(read_docred(path, relation_names=names))
    return train_facts(read_docs(path, Vocab()))


def train_facts(docs: Iterable[Doc]) -> FrozenSet[Fact]:
    """docs (Iterable[Doc]): training documents with gold clusters and relations.
    RETURNS (FrozenSet[Tuple[str, str, str]]): their relations, for all names of heads and tails.
    """
    facts: Set[Fact] = set()
    for doc in docs:
        relations = get_relations(doc)
        if not relations:
            continue
        names = _names(doc, clusters_of(doc, None))
        for rel in relations:
            heads = {rel.head.text} if rel.head_cluster is None else names[rel.head_cluster]
            tails = {rel.tail.text} if rel.tail_cluster is None else names[rel.tail_cluster]
            facts.update((head, tail, rel.label) for head in heads for tail in tails)
    return frozenset(facts)


def score_docred(
    examples: Iterable[Example], *, facts: Optional[FrozenSet[Fact]] = None, spans_key: Optional[str] = None
) -> Dict[str, Any]:
    """The official scores.

    A predicted entity is the gold entity with which it shares most mentions. Gold relations of entities that the
    pipeline did not find are missed; predicted relations of entities that are not gold are wrong. A reference whose
    relations were never set is left out. Where a reference says which labels it was annotated for, predictions of
    others count neither as right nor as wrong.

    examples (Iterable[Example]): the examples.
    facts (Optional[FrozenSet[Tuple[str, str, str]]]): what the training data say, from `train_facts`.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    RETURNS (Dict[str, Any]): all scores from 0 to 1, None where there is nothing to count: `docred_p`, `docred_r`,
        `docred_f`; `docred_ign_p` and `docred_ign_f`, None without facts; `docred_intra_f` and `docred_inter_f`, None
        where no reference has sentence borders.
    """
    total, intra, inter = _Counts(), _Counts(), _Counts()
    known = 0
    for example in examples:
        if not has_relations(example.reference):
            continue
        view = _View(example, spans_key)
        total.add(view.gold, view.predicted)
        if facts is not None:
            known += sum(view.is_fact(triple, facts) for triple in view.gold & view.predicted)
        if view.borders:
            within = {triple for triple in view.gold | view.predicted if view.is_within(triple)}
            intra.add(view.gold & within, view.predicted & within)
            inter.add(view.gold - within, view.predicted - within)
    scores: Dict[str, Any] = {"docred_p": None, "docred_r": None, "docred_f": None}
    if total:
        scores.update(docred_p=total.precision, docred_r=total.recall, docred_f=_f(total.precision, total.recall))
    scores.update(docred_ign_p=None, docred_ign_f=None)
    if total and facts is not None:
        precision = (total.right - known) / (total.given - known + _EPSILON)
        scores.update(docred_ign_p=precision, docred_ign_f=_f(precision, total.recall))
    for key, counts in (("docred_intra_f", intra), ("docred_inter_f", inter)):
        scores[key] = _f(counts.precision, counts.recall) if counts else None
    return scores


class _Counts:
    """How many triples are gold, were given, and are right."""

    def __init__(self) -> None:
        self.gold = self.given = self.right = 0

    def add(self, gold: Set[Triple], predicted: Set[Triple]) -> None:
        self.gold += len(gold)
        self.given += len(predicted)
        self.right += len(gold & predicted)

    def __bool__(self) -> bool:
        return bool(self.gold or self.given)

    @property
    def precision(self) -> float:
        return self.right / self.given if self.given else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.gold if self.gold else 0.0


def _f(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


class _View:
    """Gold and predicted triples of an example, in terms of the gold entities.

    gold (Set[Triple]): the gold triples.
    predicted (Set[Triple]): the predicted triples, of labels that the reference was annotated for.
    borders (List[int]): character offsets at which the reference's sentences begin; empty where it has none.
    """

    def __init__(self, example: Example, spans_key: Optional[str]) -> None:
        reference = example.reference
        self._entities = entities = EntityMap(example, spans_key)
        self._names = _names(reference, entities.gold_clusters)
        self.borders: List[int] = []
        if reference.has_annotation("SENT_START"):
            self.borders = [entities.gold_offsets(sent)[0] for sent in reference.sents]
        self.gold: Set[Triple] = {
            (entities.gold(rel.head, rel.head_cluster), entities.gold(rel.tail, rel.tail_cluster), rel.label)
            for rel in get_relations(reference)
        }
        predicted: Set[Triple] = {
            (entities.predicted(rel.head, rel.head_cluster), entities.predicted(rel.tail, rel.tail_cluster), rel.label)
            for rel in get_relations(example.predicted)
        }
        self.predicted, _ = split_known(predicted, self.gold, reference)

    def is_fact(self, triple: Triple, facts: FrozenSet[Fact]) -> bool:
        """RETURNS (bool): whether the training data have this gold triple, for any names of its entities."""
        head, tail, label = triple
        if head[0] != "cluster" or tail[0] != "cluster":
            return False
        return any((h, t, label) in facts for h in self._names[head[1]] for t in self._names[tail[1]])

    def is_within(self, triple: Triple) -> bool:
        """RETURNS (bool): whether both entities have a mention in one sentence of the reference."""
        head, tail = (
            {bisect_right(self.borders, start) for start, _ in self._entities.mentions(argument)}
            for argument in triple[:2]
        )
        return not head.isdisjoint(tail)


def _names(doc: Doc, clusters: Sequence[Sequence[Span]]) -> List[Set[str]]:
    """The names of each cluster: those of the corpus where they are known, else the mentions' texts."""
    known: Union[Sequence[Sequence[str]], None] = doc.user_data.get(NAMES_KEY)
    if known is not None and len(known) == len(clusters):
        return [set(names) for names in known]
    return [{mention.text for mention in cluster} for cluster in clusters]
