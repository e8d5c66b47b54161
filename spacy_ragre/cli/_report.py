"""What a report's page shows of answers: errors by kind, and where two pipelines disagree."""

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional

from ._answers import Answers, disagreements_of

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from ..relations import Relation
    from ..scoring.confusions import RelationError
    from ..scoring.relations import Triple
    from ..visual.report import Group, Place


def make_page(result: Mapping[str, Any], answers: Answers, others: Optional[Answers]) -> str:
    """Make the page of an evaluation.

    result (Mapping[str, Any]): what `evaluate` returns.
    answers (Answers): of the pipeline.
    others (Optional[Answers]): of the one that it is compared with.
    RETURNS (str): the page.
    """
    from ..visual.report import report_page

    errors = _errors(answers) if answers.relations else {}
    if others is None:
        return report_page(result, errors)
    places: Dict[bool, List[Place]] = {True: [], False: []}
    for item in disagreements_of(answers, others):
        said = [item.gold, item.wrong] if item.better else [item.wrong, item.gold]
        places[item.better].append(_place(item.doc, item.relation, item.gold, said, item.score, {}))
    return report_page(result, errors, _group(places[True]), _group(places[False]))


def _errors(answers: Answers) -> "Dict[str, Group]":
    from ..scoring.confusions import KINDS

    places: Dict[str, List[Place]] = {kind: [] for kind in KINDS}
    below = _Below(answers)
    for error in answers.errors:
        gold, predicted = error.names
        score = below.score(error) if error.score is None else error.score
        places[error.kind].append(_place(error.doc, error.relation, gold, [predicted], score, error.evidence))
    return {kind: _group(own) for kind, own in places.items()}


class _Below:
    """Finds the scores of relations that were not likely enough. answers (Answers): the answers."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._number = -1
        self._scores: Dict[Triple, float] = {}

    def score(self, error: "RelationError") -> Optional[float]:
        """RETURNS (Optional[float]): the score of the relation that was missed, where it was told."""
        from ..scoring.relations import DocView

        if error.number != self._number:
            answers = self._answers
            view = DocView(answers.ranked[error.number], frozenset(answers.symmetric), answers.spans_key)
            self._number = error.number
            self._scores = {triple: relation.score for triple, relation in view.predicted_relations.items()}
        return None if error.gold is None else self._scores.get(error.gold)


def _place(
    doc: "Doc",
    relation: "Relation",
    gold: str,
    answers: List[str],
    score: Optional[float],
    evidence: Mapping[str, Any],
) -> "Place":
    from ..graph.places import passage
    from ..relations import ID_KEY
    from ..visual.corpus import support_of

    text, head, tail = passage(relation)
    return {
        "doc": str(doc.user_data.get(ID_KEY, "")),
        "gold": gold,
        "answers": answers,
        "score": score,
        "text": text,
        "head": head,
        "tail": tail,
        "support": support_of(doc, evidence),
    }


def _group(places: "Iterable[Place]") -> "Group":
    from ..visual.report import SHOWN

    ordered = sorted(places, key=lambda place: -1.0 if place["score"] is None else place["score"], reverse=True)
    return {"count": len(ordered), "places": ordered[:SHOWN]}
