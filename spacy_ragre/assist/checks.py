"""What may be wrong with annotations: texts that are there twice, and pairs that were annotated unlike others of the
same words.
"""

import random
from collections import Counter
from typing import TYPE_CHECKING, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from spacy.tokens import Doc

from ..candidates import CandidateGenerator, label_candidates
from ..instances import Answer, Instance
from ..relations import entity_spans, has_relations

if TYPE_CHECKING:
    from ..retrieval import Encoder

Answers = Tuple[Answer, ...]
# Pairs that are compared: all that hold a relation, and of the others as many as there is room for.
MOST_PAIRS = 20_000
# A pair is suspect where its nearest others, so many at least, have much the same words between their mentions, most
# of them have one other answer, and hardly any its own. Chosen on SemEval-2010 Task 8: of 4,000 pairs, the answers of
# 4% were changed at random; they are a third of the 50 most suspect ones.
_NEIGHBOURS, _LEAST, _SIMILAR = 8, 4, 0.7
_AGREE, _OWN = 0.75, 0.15


class Suspect(NamedTuple):
    """A pair whose annotation is unlike that of others of the same words.

    instance (Instance): the pair.
    others (Tuple[Answer, ...]): what the others were annotated as; empty for no relation.
    others_count (int): how many others.
    example (Instance): the most similar of them.
    share (float): the share of all neighbours that they are, weighed by how similar they are, from 0 to 1.
    """

    instance: Instance
    others: Answers
    others_count: int
    example: Instance
    share: float


def repeated(docs: Iterable[Doc], others: Iterable[Doc]) -> List[Doc]:
    """RETURNS (List[Doc]): those of the documents whose text is among that of the others, whatever spaces are in it."""
    known = {_text(doc) for doc in others}
    return [doc for doc in docs if _text(doc) in known]


def repeats(docs: Iterable[Doc]) -> int:
    """RETURNS (int): how many documents have a text that was there before."""
    counts = Counter(map(_text, docs))
    return sum(counts.values()) - len(counts)


def _text(doc: Doc) -> str:
    return " ".join(doc.text.split())


def gold_pairs(
    docs: Iterable[Doc], generator: CandidateGenerator, spans_key: Optional[str] = None, most: int = MOST_PAIRS
) -> List[Instance]:
    """The annotated pairs of documents.

    docs (Iterable[Doc]): the documents.
    generator (CandidateGenerator): makes the pairs.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    most (int): the most pairs; those without a relation are drawn at random.
    RETURNS (List[Instance]): pairs with answers. Those without a relation of documents that were annotated for some
        labels only are left out.
    """
    held: List[Instance] = []
    empty: List[Instance] = []
    for doc in docs:
        if not has_relations(doc):
            continue
        spans = entity_spans(doc, spans_key)
        for candidate in label_candidates(doc, generator(doc, spans), spans):
            if candidate.instance.answers:
                held.append(candidate.instance)
            elif candidate.instance.annotated is None:
                empty.append(candidate.instance)
    room = max(0, most - len(held))
    return held + (empty if len(empty) <= room else random.Random(0).sample(empty, room))


def find_suspects(instances: Sequence[Instance], encoder: "Optional[Encoder]" = None) -> List[Suspect]:
    """Find pairs that were likely annotated wrong: the nearest others by the words between the mentions have another
    answer.

    instances (Sequence[Instance]): pairs with answers.
    encoder (Optional[Encoder]): encodes the words; the default text encoder where None.
    RETURNS (List[Suspect]): the pairs, the most suspect first.
    """
    from ..retrieval import Retriever, TextEncoder

    # Equal words are encoded once, and count as often as they come.
    groups: Dict[str, List[int]] = {}
    for number, instance in enumerate(instances):
        groups.setdefault(_between(instance), []).append(number)
    texts = [Instance(words, (0, 0), (0, 0), id=str(i)) for i, words in enumerate(groups)]
    if not texts:
        return []
    members = list(groups.values())
    retriever = Retriever(encoder or TextEncoder())
    keys = retriever.encoder.encode_queries(texts)
    retriever.add(texts, keys)
    found = retriever.retrieve(texts, k=_NEIGHBOURS + 1, keys=keys, leak_free=False)
    result: List[Suspect] = []
    for numbers, near in zip(members, found):
        # All that have the same words are asked, and not a few of them, which might happen to agree.
        around: List[Tuple[Instance, float]] = []
        for item in near:
            if item.score >= _SIMILAR and len(around) <= _NEIGHBOURS:
                around.extend((instances[m], item.score) for m in members[int(item.instance.id)])
        votes: Dict[Answers, float] = {}
        for other, score in around:
            votes[_answers(other)] = votes.get(_answers(other), 0.0) + score
        for number in numbers:
            result.extend(_suspect(instances[number], around, votes))
    return sorted(result, key=lambda suspect: (-round(suspect.share, 3), -suspect.others_count))


def _suspect(
    instance: Instance, around: Sequence[Tuple[Instance, float]], votes: Mapping[Answers, float]
) -> List[Suspect]:
    """around (Sequence[Tuple[Instance, float]]): the nearest pairs and how similar they are, the pair among them.
    votes (Mapping[Tuple[Answer, ...], float]): how much each answer has of them.
    RETURNS (List[Suspect]): the pair, where the others are so many and so much of one mind.
    """
    count = len(around) - 1
    if count < _LEAST:
        return []
    own = _answers(instance)
    # It is as similar to itself as can be.
    total = sum(votes.values()) - 1.0
    best = max(votes, key=lambda answers: votes[answers])
    if best == own or votes[best] < _AGREE * total or votes[own] - 1.0 > _OWN * total:
        return []
    agreeing = [other for other, _ in around if _answers(other) == best]
    # Few say less than many.
    share = votes[best] / total * min(1.0, count / _NEIGHBOURS)
    return [Suspect(instance, best, len(agreeing), agreeing[0], share)]


def _answers(instance: Instance) -> Answers:
    return tuple(sorted(instance.answers or ()))


def _between(instance: Instance) -> str:
    """RETURNS (str): the words between the mentions."""
    return " ".join(instance.text[instance.first[1] : max(instance.second[0], instance.first[1])].split())
