"""Which of the retrieved examples a prompt shows to a model that was not trained to read them."""

from dataclasses import replace
from typing import Callable, Iterable, List, Optional, Sequence, Set

from ...instances import Instance
from ...labels import LabelSet
from ...retrieval import MappedStore, Neighbour, Retriever
from ...retrieval.state_keys import BackboneEncoder
from ...retrieval.store import Store
from ...retrieval.texts import normalise

# How much further is looked each time for an example of the other kind.
_FURTHER = 8

Find = Callable[[Sequence[int], int], List[List[Neighbour]]]


def as_shown(instance: Instance, labels: LabelSet) -> Instance:
    """An example as a prompt shows it.

    instance (Instance): the example.
    labels (LabelSet): the labels.
    RETURNS (Instance): the example; its answers are not known where it has none, and may have one that its document was
        not annotated for.
    """
    unsure = instance.answers == () and not labels.is_complete(instance)
    return replace(instance, answers=None) if unsure else instance


def only_kind(instances: Iterable[Instance], labels: LabelSet) -> Optional[bool]:
    """Whether examples are all of one kind.

    instances (Iterable[Instance]): examples; those whose answers are not known are left out.
    labels (LabelSet): the labels.
    RETURNS (Optional[bool]): True where all hold a relation, False where none does, None for both kinds or no example.
    """
    kinds: Set[bool] = set()
    for instance in instances:
        answers = as_shown(instance, labels).answers
        if answers is not None:
            kinds.add(bool(answers))
        if len(kinds) == 2:
            return None
    return kinds.pop() if kinds else None


def without(instances: Sequence[Instance], ids: Sequence[str], texts: Sequence[str]) -> List[Instance]:
    """RETURNS (List[Instance]): the examples that have none of the ids and texts, without regard to case and space."""
    names, gone = set(ids) - {""}, set(map(normalise, texts))
    return [item for item in instances if item.id not in names and normalise(item.text) not in gone]


def may_take(store: Store, retriever: Retriever) -> bool:
    """Whether a retriever without examples can have a store for its own.

    store (Store): the store.
    retriever (Retriever): the retriever.
    RETURNS (bool): True for a mapped store whose keys its encoder made, and whose examples all have answers.
    """
    if not isinstance(store, MappedStore) or len(retriever) or isinstance(retriever.encoder, BackboneEncoder):
        return False
    fits = store.fingerprint == retriever.encoder.fingerprint
    return fits and all(instance.answers is not None for instance in store.instances)


def both_kinds(
    found: Sequence[Sequence[Neighbour]], count: int, find: Find, total: int, labels: LabelSet
) -> List[List[Neighbour]]:
    """The nearest examples of each query, as many with a relation as without.

    A model that was not trained repeats the answer that most examples before the question have: shown two founders, it
    answers "founded by" to any question (majority label bias, Zhao et al. 2021, arXiv 2102.09690).

    found (Sequence[Sequence[Neighbour]]): the neighbours of each query, best first.
    count (int): most examples to show; at least 2, since one alone is of one kind.
    find (Callable[[Sequence[int], int], List[List[Neighbour]]]): gives more neighbours of some queries, by their
        positions; how many is its second argument.
    total (int): number of examples in the store.
    labels (LabelSet): the labels.
    RETURNS (List[List[Neighbour]]): the examples for each query, best first; none for a query for which there are no
        two kinds.
    """
    shown: List[List[Neighbour]] = [[] for _ in found]
    half = count // 2
    searched = max(map(len, found), default=0)
    pending = {row: list(near) for row, near in enumerate(found) if near}
    while half and pending:
        for row, near in list(pending.items()):
            related = [item for item in near if item.instance.answers]
            unrelated = [item for item in near if as_shown(item.instance, labels).answers == ()]
            number = min(half, len(related), len(unrelated))
            shown[row] = sorted([*related[:number], *unrelated[:number]], key=lambda item: -item.score)
            if number == half:
                del pending[row]
        if searched >= total or not pending:
            break
        searched = min(total, searched * _FURTHER)
        rows = list(pending)
        pending = dict(zip(rows, find(rows, searched)))
    return shown
