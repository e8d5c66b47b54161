"""Answers to the supplement tasks, read and found again in the documents."""

import logging
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from spacy.tokens import Doc, Span

from ...prompts.rendering import one_line
from ...prompts.responses import Aligner, Parsed, read_entities, read_triples
from ...prompts.supplements import KINDS, TRIPLE_RELATIONS, Task
from ...retrieval import evidence
from .mentions import char_span
from .predictor import TaskAnswer, TaskPredictor
from .questions import EntityLabels, Question, questions
from .windows import Limits

logger = logging.getLogger(__name__)

Usage = Tuple[int, int, str, float]


class Predicted(NamedTuple):
    """What was found in a document; None for tasks that were not asked.

    mentions (Optional[List[Tuple[int, int, str]]]): token offsets and labels of mentions to set.
    relations (Optional[List[Dict[str, Any]]]): as `doc._.relations` takes them.
    triples (Optional[List[Tuple[str, str, str]]]): as `doc._.triples` takes them.
    usage (Optional[List[Tuple[int, int, str, float]]]): token offsets of a supplement, its status and the probability.
    replaced (Tuple[str, ...]): labels of the mentions that the new ones take the place of.
    """

    mentions: Optional[List[Tuple[int, int, str]]] = None
    relations: Optional[List[Dict[str, Any]]] = None
    triples: Optional[List[Tuple[str, str, str]]] = None
    usage: Optional[List[Usage]] = None
    replaced: Tuple[str, ...] = ()


class TaskRunner:
    """Puts the questions of documents to a language model, and reads the answers.

    predictor (TaskPredictor): the language model with its examples.
    labels (EntityLabels): the entity labels.
    limits (Limits): how much is read at once.

    dropped (int): generated items that were dropped so far: no part of a list, or not in the text.
    """

    def __init__(self, predictor: TaskPredictor, labels: EntityLabels, limits: Limits) -> None:
        self.predictor = predictor
        self.entity_labels = labels
        self.limits = limits
        self.dropped = 0

    def _ask(self, docs: Sequence[Doc], task: Task, spans: Sequence[Sequence[Span]]) -> List[List[Question]]:
        fits = self.predictor.fits
        return [questions(doc, task, own, self.entity_labels, self.limits, fits=fits) for doc, own in zip(docs, spans)]

    def _predict(self, asked: Mapping[Task, Sequence[Sequence[Question]]]) -> Dict[Task, Iterator[TaskAnswer]]:
        """RETURNS (Dict[str, Iterator[TaskAnswer]]): of each task, the answers to the questions of all documents."""
        flat = {task: [question.instance for own in found for question in own] for task, found in asked.items()}
        numbers = {task: [i for i, own in enumerate(found) for _ in own] for task, found in asked.items()}
        return {task: iter(answers) for task, answers in self.predictor.predict(flat, numbers).items()}

    def _lists(self, task: Task, asked: Sequence[Sequence[Question]]) -> Iterator[Parsed]:
        """YIELDS (Parsed): what is listed in the answer to each question of all documents."""
        for answer in self._predict({task: asked})[task]:
            if answer.items is not None:
                yield answer.items
            elif task == "ner":
                yield read_entities(answer.text, KINDS)
            else:
                yield read_triples(answer.text, TRIPLE_RELATIONS)

    def mentions(self, docs: Sequence[Doc]) -> Iterator[List[Span]]:
        """docs (Sequence[Doc]): the documents.
        YIELDS (List[Span]): the mentions of each, in the order of the text. They do not overlap.
        """
        asked = self._ask(docs, "ner", [()] * len(docs))
        lists = self._lists("ner", asked)
        labels = dict(zip(KINDS, self.entity_labels))
        for doc, own in zip(docs, asked):
            found: List[Span] = []
            for question in own:
                parsed = next(lists)
                base = doc[question.window[0]].idx
                places = Aligner(question.instance.text).align([text for text, _ in parsed.items])
                lost = parsed.malformed
                for (_, kind), place in zip(parsed.items, places):
                    span = None
                    if place is not None:
                        span = char_span(doc, base + place[0], base + place[1], labels[kind])
                    if span is None or any(span.start < other.end and other.start < span.end for other in found):
                        lost += 1
                    else:
                        found.append(span)
                self._drop(lost, "ner")
            yield sorted(found, key=lambda span: span.start)

    def triples(self, docs: Sequence[Doc]) -> List[List[Tuple[str, str, str]]]:
        """RETURNS (List[List[Tuple[str, str, str]]]): the triples of each document, as `doc._.triples` takes them."""
        asked = self._ask(docs, "te", [()] * len(docs))
        lists = self._lists("te", asked)
        result = []
        for own in asked:
            triples: Dict[Tuple[str, str, str], None] = {}
            for question in own:
                parsed = next(lists)
                aligner = Aligner(question.instance.text)
                lost = parsed.malformed
                for head, relation, tail in parsed.items:
                    places = (aligner.places(head), aligner.places(tail))
                    if not all(places):
                        lost += 1
                        continue
                    # As they stand in the text, and not as the model wrote them.
                    head, tail = (one_line(question.instance.text[slice(*p[0])]) for p in places)
                    triples[head, relation, tail] = None
                self._drop(lost, "te")
            result.append(list(triples))
        return result

    def _drop(self, count: int, task: str) -> None:
        # The text itself is not logged: it may be a patient's.
        if count:
            self.dropped += count
            logger.info("%d generated item(s) of the task %r were dropped", count, task)

    def choose(self, docs: Sequence[Doc], spans: Sequence[Sequence[Span]], tasks: Sequence[Task]) -> List[Predicted]:
        """Answer the questions with labels, those of all tasks together.

        docs (Sequence[Doc]): the documents.
        spans (Sequence[Sequence[Span]]): the mentions of each.
        tasks (Sequence[str]): any of "re" and "uc".
        RETURNS (List[Predicted]): the relations and the usage in each document.
        """
        asked = {task: self._ask(docs, task, spans) for task in tasks}
        answered = self._predict(asked)

        def answers(task: Task, i: int) -> List[Tuple[Question, TaskAnswer]]:
            pairs = [(question, next(answered[task])) for question in asked[task][i]]
            return [(question, answer) for question, answer in pairs if answer.text]

        return [
            Predicted(
                relations=[_relation(*pair) for pair in answers("re", i)] if "re" in asked else None,
                usage=[_status(*pair) for pair in answers("uc", i)] if "uc" in asked else None,
            )
            for i in range(len(docs))
        ]


def _relation(question: Question, answer: TaskAnswer) -> Dict[str, Any]:
    head, tail = ((span.start, span.end, span.label_) for span in question.spans)
    support = {"text": question.instance.text, "examples": evidence(answer.neighbours)}
    return {"head": head, "tail": tail, "label": answer.text, "score": answer.score, "evidence": support}


def _status(question: Question, answer: TaskAnswer) -> Usage:
    return question.spans[0].start, question.spans[0].end, answer.text, answer.score


def read_triples_off(doc: Doc, relations: Sequence[Mapping[str, Any]]) -> List[Tuple[str, str, str]]:
    """The triples that the relations of mentions state.

    doc (Doc): the document.
    relations (Sequence[Mapping[str, Any]]): its relations, from `TaskRunner.choose`.
    RETURNS (List[Tuple[str, str, str]]): its triples, as `doc._.triples` takes them.
    """
    triples: Dict[Tuple[str, str, str], None] = {}
    for relation in relations:
        if relation["label"] in TRIPLE_RELATIONS:
            head, tail = (one_line(doc[relation[end][0] : relation[end][1]].text) for end in ("head", "tail"))
            triples[head, relation["label"], tail] = None
    return list(triples)
