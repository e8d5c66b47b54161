"""Where one of two pipelines is right and the other is not, pair by pair."""

from typing import Collection, Iterable, Iterator, NamedTuple, Optional, Sequence, Tuple

from spacy.tokens import Doc
from spacy.training import Example

from ..labels import NO_RELATION
from ..relations import Relation, has_relations
from .confusions import by_pair, turned
from .relations import DocView, Triple


class Disagreement(NamedTuple):
    """A pair that one pipeline answers rightly and the other does not.

    better (bool): whether the first pipeline is right.
    gold (str): the labels of the pair, or "no_relation". "founded_by, reversed" has head and tail exchanged.
    wrong (str): what the other pipeline answers.
    score (Optional[float]): the best score of its wrong answers.
    doc (Doc): the document to show the pair in.
    relation (Relation): a relation with its head and tail.
    """

    better: bool
    gold: str
    wrong: str
    score: Optional[float]
    doc: Doc
    relation: Relation


def find_disagreements(
    examples: Iterable[Example],
    others: Iterable[Example],
    *,
    symmetric: Collection[str] = (),
    spans_key: Optional[str] = None,
) -> Iterator[Disagreement]:
    """Compare the answers of two pipelines. A pair is answered rightly where its predicted relations are the gold ones.

    examples (Iterable[Example]): the documents with the answers of the first pipeline.
    others (Iterable[Example]): the same documents with those of the second.
    symmetric, spans_key: as in `score_relations`.
    YIELDS (Disagreement): in the order of the documents.
    """
    for pair_of_examples in zip(examples, others):
        if not has_relations(pair_of_examples[0].reference):
            continue
        views = [DocView(example, frozenset(symmetric), spans_key) for example in pair_of_examples]
        gold = by_pair(views[0].gold)
        answers = [by_pair(view.predicted) for view in views]
        # Answers that may be right, since nobody looked for their labels, are no answers to compare.
        for pair in sorted({*gold, *answers[0], *answers[1]}):
            right = [found.get(pair, []) == gold.get(pair, []) for found in answers]
            if right[0] == right[1]:
                continue
            loser = int(right[0])
            view, example = views[loser], pair_of_examples[loser]
            wrong = [triple for triple in answers[loser].get(pair, []) if triple is not None]
            if pair in gold:
                first = next(triple for triple in gold[pair] if triple is not None)
                doc, relation = pair_of_examples[0].reference, views[0].gold_relations[first]
            else:
                first = wrong[0]
                doc, relation = example.predicted, view.predicted_relations[first]
            false = [view.predicted_relations[triple].score for triple in wrong if triple not in view.gold]
            yield Disagreement(
                right[0],
                _names(gold.get(pair, []), first),
                _names(wrong, first),
                max(false, default=None),
                doc,
                relation,
            )


def _names(triples: Sequence[Optional[Triple]], first: Triple) -> str:
    found: Tuple[str, ...] = tuple(turned(triple, first) for triple in triples if triple is not None)
    return " + ".join(found) or NO_RELATION
