"""The thread that owns the pipeline: it takes what waits, up to a batch, and answers it by `nlp.pipe`.

Texts of requests that ask for the same labels and threshold are read together. What a request asks for is set before
its texts are read and taken back after them, so that no other request sees it.
"""

import json
import logging
import re
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..corpora import doc_to_dict
from ..errors import Errors
from ..labels import LabelSet
from ..pipelines import forget_words, set_error_handler
from ..relations import get_relations, has_relations, set_relations
from ..visual import render
from .limits import Limits, Refusal
from .query import Pictures, Query

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

    from ..components.relations.extractor import RelationExtractor

logger = logging.getLogger(__name__)

Answer = Dict[str, object]

# What the pipeline answers before it counts as ready; English names, which most pipelines find.
FIRST_TEXT = "Ada Lovelace worked with Charles Babbage in London."
# Of a text with more relations no picture is drawn, which nobody could read, and which takes long.
MOST_DRAWN = 300
_NUMBERED = re.compile(r"\[[A-Z]\d{3,4}\]")
# What may be a path: a client is not told where things are on this machine.
_PATH = re.compile(r"\S[/\\]|[/\\]\S")


class Asked(NamedTuple):
    """What texts must have in common to be read together.

    labels (Optional[str]): as JSON; the pipeline's own where None.
    threshold (Optional[float]): the least score; what is set where None.
    """

    labels: Optional[str] = None
    threshold: Optional[float] = None


@dataclass
class Job:
    """Texts of one request.

    asked (Asked): for which labels.
    future (Future[List[Answer]]): gets the answers, in the order of the texts, or a Refusal. Who cancels it wants no
        more of them.
    answers (List[Optional[Answer]]): those that are there.
    pictures (Pictures): what is drawn of each text.
    least_score (float): of a relation, as it was asked for or is set; right once there are answers.
    """

    asked: Asked
    answers: "List[Optional[Answer]]"
    pictures: Pictures
    least_score: float = 0.0
    future: "Future[List[Answer]]" = field(default_factory=Future)

    def give(self, number: int, answer: Answer) -> None:
        """Take the answer to a text."""
        self.answers[number] = answer
        found = [answer for answer in self.answers if answer is not None]
        if len(found) == len(self.answers):
            self._end(lambda: self.future.set_result(found))

    def refuse(self, refusal: Refusal) -> None:
        """Give no answer."""
        self._end(lambda: self.future.set_exception(refusal))

    def _end(self, end: Callable[[], None]) -> None:
        try:
            end()
        except InvalidStateError:  # it was cancelled, or refused for another text
            pass


class Waiting(NamedTuple):
    """A text of a job, by its number there."""

    job: Job
    number: int
    text: str


class Worker:
    """Answers texts in a thread of its own.

    nlp (Language): the pipeline. Nothing else may use it.
    limits (Limits): how many texts may wait, and are read at once.
    observe (Callable[[int], None]): is told how many texts are read at once.
    """

    def __init__(self, nlp: "Language", limits: Limits, observe: Callable[[int], None] = lambda count: None) -> None:
        self.nlp = nlp
        self.limits = limits
        self._observe = observe
        self._queue: Deque[Waiting] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._failed: Dict[int, Exception] = {}
        self._used_score = 0.0
        self._thread: Optional[threading.Thread] = None
        #: "starting", "ready", "failed" or "closed".
        self.state = "starting"
        #: Why the pipeline did not answer once.
        self.problem: Optional[Exception] = None
        self.names = [name for name in nlp.pipe_names if "doc._.relations" in nlp.get_pipe_meta(name).assigns]
        #: Components whose labels or thresholds a request may change, and the first that answers for any labels.
        self.extractors: Dict[str, RelationExtractor] = {}
        #: The pipeline's own labels, each with its table where it has one. Read now: later, another thread may see
        #: those of a request.
        self.labels: Dict[str, object] = {}
        for name in self.names:
            pipe: object = nlp.get_pipe(name)
            self.labels.update(getattr(pipe, "label_data", None) or dict.fromkeys(getattr(pipe, "labels", ()), {}))
            if hasattr(pipe, "asking"):
                self.extractors[name] = pipe  # type: ignore[assignment]
        self.reader = next((name for name, pipe in self.extractors.items() if pipe.reads_any_label), None)
        #: The least score of a relation where a request gives none.
        self.least_score = next((pipe.least_score for pipe in self.extractors.values()), 0.0)
        keys = [getattr(nlp.get_pipe(name), "spans_key", None) for name in self.names]
        #: Where the entities are that relations are between; `doc.ents` where None.
        self.spans_key: Optional[str] = next((key for key in keys if key is not None), None)
        finders = [name for name in nlp.pipe_names if "doc.ents" in nlp.get_pipe_meta(name).assigns]
        #: The types of entities that the pipeline says it finds.
        self.entity_types = sorted({label for name in finders for label in nlp.pipe_labels.get(name, ())})

    # Asking

    @property
    def waiting(self) -> int:
        """RETURNS (int): texts that wait."""
        return len(self._queue)

    def ask(self, query: Query) -> Job:
        """Put the texts of a request behind those that wait.

        query (Query): the request.
        RETURNS (Job): gets the answers. A Refusal is raised where too many texts wait, and where the pipeline can't be
            asked.
        """
        texts, labels = query.texts, query.labels
        if labels is None and self.reader is not None and not self.labels:
            raise Refusal(422, Errors.R622.format(problem="'labels' is needed, since the pipeline has none of its own"))
        if labels is not None and self.reader is None:
            raise Refusal(422, Errors.R627.format(name=self.names[0], labels=", ".join(self.labels)))
        asked = Asked(None if labels is None else json.dumps(labels.to_dict()), query.threshold)
        job = Job(asked, [None] * len(texts), query.pictures, self.least_score)
        with self._condition:
            if self._closing:
                raise Refusal(503, Errors.R625.format(problem="it is being stopped"))
            if self.state == "failed":
                raise Refusal(503, Errors.R628.format(problem="it failed at its start"))
            if len(self._queue) + len(texts) > self.limits.waiting:
                problem = f"{len(self._queue)} texts wait, and {self.limits.waiting} may"
                raise Refusal(503, Errors.R625.format(problem=problem), {"Retry-After": "1"})
            self._queue.extend(Waiting(job, number, text) for number, text in enumerate(texts))
            self._condition.notify()
        if not texts:
            job.future.set_result([])
        return job

    # The thread

    def start(self) -> None:
        """Start the thread, which answers once before it takes what waits."""
        self._thread = threading.Thread(target=self._work, name="ragre-serve", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread after the batch that it reads. What waits is refused."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            set_error_handler(self.nlp, self._note)
            self._answer_once()
        except Exception as error:  # whatever it is, the service tells of it and lives
            logger.error("The pipeline failed at its start.", exc_info=error)
            self.state, self.problem = "failed", error
            self._refuse_all(Errors.R628.format(problem="it failed at its start"))
            return
        self.state = "ready"
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._queue or self._closing)
                if self._closing:
                    break
                batch = self._take()
            if batch:
                self._observe(len(batch))
            with forget_words(self.nlp):
                for asked, items in _groups(batch):
                    self._answer(asked, items)
        self.state = "closed"
        self._refuse_all(Errors.R625.format(problem="it is being stopped"))

    def _refuse_all(self, message: str) -> None:
        with self._condition:
            while self._queue:
                self._queue.popleft().job.refuse(Refusal(503, message))

    def _take(self) -> List[Waiting]:
        """RETURNS (List[Waiting]): a batch of what waits. What nobody waits for any more is left out."""
        batch: List[Waiting] = []
        while self._queue and len(batch) < self.limits.batch:
            item = self._queue.popleft()
            if not item.job.future.done():
                batch.append(item)
        return batch

    def _answer_once(self) -> None:
        if self.labels or self.reader is None:
            asked = Asked()
        else:  # labels come with each request
            asked = Asked(json.dumps(LabelSet({"works with": ""}).to_dict()))
        for _, _, error in self._read(asked, [(FIRST_TEXT, Pictures())]):
            if error is not None:
                raise error

    def _answer(self, asked: Asked, items: Sequence[Waiting]) -> None:
        left = dict(enumerate(items))
        try:
            for number, answer, error in self._read(asked, [(item.text, item.job.pictures) for item in items]):
                item = left.pop(number)
                item.job.least_score = self._used_score
                if answer is not None:
                    item.job.give(item.number, answer)
                elif error is not None:
                    item.job.refuse(_refusal(error))
        except Exception as error:  # of a component that gives no document up: one by one, each has its own
            for item in left.values():
                if len(items) > 1:
                    self._answer(asked, [item])
                else:
                    item.job.refuse(_refusal(error))

    def _read(
        self, asked: Asked, texts: Sequence[Tuple[str, Pictures]]
    ) -> "Iterator[Tuple[int, Optional[Answer], Optional[Exception]]]":
        """YIELDS (Tuple[int, Optional[Answer], Optional[Exception]]): each text's number, and what the pipeline found
        in it, or why it found nothing.
        """
        self._failed = {}
        done = set()
        with ExitStack() as stack:
            symmetric = self._set(asked, stack)
            # That of labels of a request is their own.
            used = [
                pipe.least_score for name, pipe in self.extractors.items() if name == self.reader or not asked.labels
            ]
            self._used_score = asked.threshold if asked.threshold is not None else next(iter(used), 0.0)
            numbered = ((text, number) for number, (text, _) in enumerate(texts))
            for doc, number in self.nlp.pipe(numbered, as_tuples=True, batch_size=self.limits.batch):
                done.add(number)
                try:
                    answer = self._to_dict(doc, asked.threshold, texts[number][1], symmetric)
                except ValueError as error:
                    yield number, None, error
                else:
                    yield number, answer, None
        for number in range(len(texts)):
            if number not in done:
                yield number, None, self._failed.get(number) or RuntimeError("a component gave no document back")

    def _set(self, asked: Asked, stack: ExitStack) -> List[str]:
        """Let the pipeline answer as a request wants it, until the stack ends.

        RETURNS (List[str]): the labels that say the same in both directions.
        """
        labels = None if asked.labels is None else LabelSet(json.loads(asked.labels))
        for name, pipe in self.extractors.items():
            if labels is None or name == self.reader:
                stack.enter_context(pipe.asking(labels, asked.threshold))
        if labels is not None and len(self.names) > 1:
            # These answer for labels of their own.
            others = [name for name in self.names if name != self.reader]
            stack.enter_context(self.nlp.select_pipes(disable=others))
        tables = self.labels if labels is None else labels.to_dict()
        return [name for name, table in tables.items() if isinstance(table, dict) and table.get("symmetric")]

    def _to_dict(self, doc: "Doc", threshold: Optional[float], pictures: Pictures, symmetric: List[str]) -> Answer:
        if threshold is not None and has_relations(doc):
            # Of components that take no threshold, too.
            set_relations(doc, [relation for relation in get_relations(doc) if relation.score >= threshold])
        answer: Answer = doc_to_dict(doc, spans_key=self.spans_key)
        if pictures.styles:
            options = {"symmetric": symmetric, "spans_key": self.spans_key, "width": pictures.width}
            drawn = len(get_relations(doc)) <= MOST_DRAWN
            answer["svg"] = {
                style: render(doc, style, jupyter=False, options=options) if drawn else None
                for style in pictures.styles
            }
        return answer

    def _note(self, name: str, component: object, docs: "List[Doc]", error: Exception) -> None:
        for doc in docs:
            self._failed[doc._context] = error


def _groups(batch: Sequence[Waiting]) -> "Iterator[Tuple[Asked, List[Waiting]]]":
    """YIELDS (Tuple[Asked, List[Waiting]]): what can be read together, the longest waiting first."""
    groups: Dict[Asked, List[Waiting]] = {}
    for item in batch:
        groups.setdefault(item.job.asked, []).append(item)
    yield from groups.items()


def _refusal(error: Exception) -> Refusal:
    """RETURNS (Refusal): what a client is told of an error: the numbered messages of the suite and of spaCy, as far as
    they say nothing of this machine. The others are in the log.
    """
    message = " ".join(str(error).split())
    code = _NUMBERED.match(message)
    if isinstance(error, ValueError) and code and not _PATH.search(message):
        return Refusal(422, message)
    logger.error("A request could not be answered.", exc_info=error)
    return Refusal(500, Errors.R628.format(problem=code.group() if code else "an error that is not its own"))
