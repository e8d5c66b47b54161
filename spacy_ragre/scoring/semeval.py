"""The official score of SemEval-2010 Task 8, as its scorer (version 1.2) defines it.

Hendrickx et al. 2010, https://aclanthology.org/S10-1006: "(9+1)-way evaluation with directionality taken into
account". A relation is right where name and direction are right. A right name with the wrong direction misses the gold
relation and counts as one wrong prediction of that relation. Relations predicted for an Other sentence are wrong
predictions of theirs. The score is the mean of the F1 values of the relations that occur in the gold labels; Other is
not among them.
"""

import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Sequence, Tuple, Union

from spacy.scorer import PRFScore
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..errors import Errors
from ..files import atomic_write
from ..registry import registry
from ..relations import ID_KEY, get_relations, has_relations
from .offsets import SolidOffsets
from .relations import score_relations

OTHER = "Other"
_LABEL = re.compile(r"(.+)\((?:e1,e2|e2,e1)\)")


@registry.scorers("ragre.semeval_scorer.v1")
def make_semeval_scorer() -> Callable[..., Dict[str, Any]]:
    """Create a scorer that gives the official score of SemEval-2010 Task 8 and the scores of the relation scorer.

    RETURNS (Callable[..., Dict[str, Any]]): the scorer.
    """
    return _score


def _score(examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
    # A component passes its settings and labels along, which this score does not depend on.
    examples = list(examples)
    labels = [example_labels(eg) for eg in examples if has_relations(eg.reference)]
    scores = semeval_score([gold for gold, _ in labels], [predicted for _, predicted in labels])
    return {**scores, **score_relations(examples)}


def semeval_score(gold: Sequence[str], predicted: Sequence[str]) -> Dict[str, Any]:
    """The official score over sentences.

    gold (Sequence[str]): each sentence's label, such as "Cause-Effect(e1,e2)" or "Other".
    predicted (Sequence[str]): each sentence's predicted label.
    RETURNS (Dict[str, Any]): all scores from 0 to 1, None where there is nothing to count.
        `semeval_macro_f`: the official score; `semeval_macro_p`, `semeval_macro_r`: means over the same relations.
        `semeval_per_type`: for each relation of the gold labels, a dict with `p`, `r` and `f`.
        `semeval_micro_all_f`: accuracy over the 19 classes, which is their micro-averaged F1.
    """
    if len(gold) != len(predicted):
        raise ValueError(Errors.R419.format(gold=len(gold), predicted=len(predicted)))
    per_type: Dict[str, PRFScore] = {}
    right = 0
    for gold_label, predicted_label in zip(gold, predicted):
        gold_name, predicted_name = _name(gold_label), _name(predicted_label)
        right += gold_label == predicted_label
        for name in (gold_name, predicted_name):
            per_type.setdefault(name, PRFScore())
        if gold_label == predicted_label:
            per_type[gold_name].tp += 1
        else:
            per_type[gold_name].fn += 1
            per_type[predicted_name].fp += 1
    # Relations that are only predicted are in no average; what they cost is the recall of the gold relations.
    names = sorted({_name(label) for label in gold} - {OTHER})
    scored = [per_type[name].to_dict() for name in names]
    result: Dict[str, Any] = {
        f"semeval_macro_{key}": sum(item[key] for item in scored) / len(scored) if scored else None for key in "prf"
    }
    result["semeval_per_type"] = dict(zip(names, scored)) if scored else None
    result["semeval_micro_all_f"] = right / len(gold) if gold else None
    return result


def doc_label(doc: Doc) -> str:
    """The label of a document with two entities: its best-scored relation between them, in the order of the text.

    doc (Doc): the document.
    RETURNS (str): for example "Cause-Effect(e2,e1)" where the second entity is the head, or "Other".
    """
    first, second = _nominals(doc)
    return _pair_label(doc, SolidOffsets(None), SolidOffsets(None), first, second)


def example_labels(example: Example) -> Tuple[str, str]:
    """example (Example): an example whose reference has two entities.
    RETURNS (Tuple[str, str]): its gold label, and the label that was predicted for the same two entities. "Other" is
        also the label where the predicted document lacks one of them.
    """
    first, second = _nominals(example.reference)
    gold = SolidOffsets.of(example.reference, example.predicted)
    predicted = SolidOffsets.of(example.predicted, example.reference)
    return (
        _pair_label(example.reference, gold, gold, first, second),
        _pair_label(example.predicted, predicted, gold, first, second),
    )


def write_answers(docs: Iterable[Doc], path: Union[str, Path]) -> int:
    """Write the labels of documents in the format of the official scorer: id, tab, label. The file appears under its
    name only when it is whole.

    docs (Iterable[Doc]): the documents, with ids.
    path (Union[str, Path]): the file to write.
    RETURNS (int): how many labels were written.
    """
    seen = set()
    with atomic_write(path) as file_:
        for doc in docs:
            id_ = str(doc.user_data.get(ID_KEY, ""))
            if not id_ or id_ in seen:
                problem = f"id {id_!r} occurs twice" if id_ else f"the document {doc.text[:50]!r} has no id"
                raise ValueError(Errors.R422.format(problem=problem, key=ID_KEY))
            seen.add(id_)
            file_.write(f"{id_}\t{doc_label(doc)}\n".encode())
    return len(seen)


def _name(label: str) -> str:
    if label == OTHER:
        return OTHER
    match = _LABEL.fullmatch(label)
    if match is None:
        raise ValueError(Errors.R420.format(label=label))
    return match[1]


def _nominals(doc: Doc) -> List[Span]:
    if len(doc.ents) != 2:
        raise ValueError(Errors.R421.format(id=doc.user_data.get(ID_KEY, ""), count=len(doc.ents)))
    return list(doc.ents)


def _pair_label(doc: Doc, own: SolidOffsets, gold: SolidOffsets, first: Span, second: Span) -> str:
    ends = (gold(first), gold(second))
    # Relations come best first.
    for rel in get_relations(doc):
        pair = (own(rel.head), own(rel.tail))
        if pair == ends:
            return f"{rel.label}(e1,e2)"
        if pair == ends[::-1]:
            return f"{rel.label}(e2,e1)"
    return OTHER
