"""A language model on a server that speaks OpenAI's protocol: vLLM, Ollama, llama.cpp, SGLang, hosted ones.

What is sent: the names and definitions of the labels, the texts of pairs with the names and types of their entities,
and the texts of examples; of the tasks on supplements, the texts that are read. Nothing is sent before a component with
such a model predicts.
"""

import math
import warnings
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ...errors import Errors, Warnings
from ...instances import Instance
from ...labels import LabelSet
from ...prompts import Prompt
from ...prompts.responses import Parsed
from ...prompts.supplements import Task, TaskPrompt
from ...registry import registry
from ..base import Backbone, Pieces
from .address import Address
from .answers import Tally, read_answer
from .client import Check, Client
from .dialect import CONSTRAINTS, Dialect
from .loop import LoopThread
from .questions import Draw, Question, Questions, by_document, count_tokens
from .replies import Kept, Reply, Usage
from .tasks import AskedTask, TaskWording, form_of, read_lists
from .wording import Form, PairWording

if TYPE_CHECKING:
    import numpy as np

#: The document of each of some pairs, by its number; None where it is told by names or texts.
Documents = Optional[Sequence[int]]

PACKAGE = "httpx"
# The score of a relation of a pair that has none.
_NEVER = -1e4
# What tells of answers that are not as they should be.
_TALLIED = {"W702": Warnings.W702, "W755": Warnings.W755, "W756": Warnings.W756, "W757": Warnings.W757}
REQUESTS = ("document", "pair")


class Asked(NamedTuple):
    """Pairs to ask about.

    prompt (Prompt): gives the wording of the statements that may hold.
    labels (LabelSet): the labels.
    pairs (Sequence[Instance]): the pairs.
    allowed (Sequence[Sequence[bool]]): which classes each of them may have.
    examples (Sequence[Sequence[Instance]]): examples for each of them, most similar first.
    documents (Optional[Sequence[int]]): the document of each; told by names or texts where None.
    several (bool): whether a pair may hold several relations.
    """

    prompt: Prompt
    labels: LabelSet
    pairs: Sequence[Instance]
    allowed: Sequence[Sequence[bool]]
    examples: Sequence[Sequence[Instance]]
    documents: Documents = None
    several: bool = False


class RemoteLM(Backbone):
    """A language model on a server. It gives texts: what needs hidden states or weights raises an error. Documents are
    asked about at once, up to a bound. Its key is read from the environment with each request and kept nowhere.

    name (str): the model's name on the server.
    url (str): the server's address up to the version, such as "http://localhost:11434/v1".
    key_variable (Optional[str]): the environment variable that holds the key; null for a server without one.
    request (str): "document" asks about all pairs of a document at once, "pair" about each by itself.
    constrain (str): how answers are held to the labels: "json_schema", "grammar" (llama.cpp), "logprobs" (the likeliest
        letter, for requests of a pair), "none" (answers are only checked), or "auto" for a JSON schema where the server
        takes it.
    concurrency (int): most requests at a time.
    deadline (float): seconds for a document, from its first request on.
    retries (int): further tries of a request after status 429 and 5xx, and after lost connections.
    max_length (int): most tokens of a question with its answer, about the model's window. They are estimated.
    cache (Optional[str]): a folder where answers are kept by the hash of their question; null for memory alone.
    prices (Optional[Mapping[str, float]]): price of a million tokens, `input` and `output`, for `usage.cost`.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        key_variable: Optional[str] = None,
        request: str = "document",
        constrain: str = "auto",
        concurrency: int = 16,
        deadline: float = 120.0,
        retries: int = 5,
        max_length: int = 8192,
        cache: Optional[str] = None,
        prices: Optional[Mapping[str, float]] = None,
    ) -> None:
        _check("name", name, bool(str(name).strip()), "the model's name on the server")
        _check("request", request, request in REQUESTS, " or ".join(map(repr, REQUESTS)))
        _check("constrain", constrain, constrain in CONSTRAINTS, " or ".join(map(repr, CONSTRAINTS)))
        fine = constrain != "logprobs" or request == "pair"
        _check("constrain", constrain, fine, "request = 'pair', since this chooses one letter,")
        for setting, value, least in (("concurrency", concurrency, 1), ("retries", retries, 0)):
            _check(setting, value, _is_number(value, int) and value >= least, f"a whole number from {least} on")
        _check("max_length", max_length, _is_number(max_length, int) and max_length >= 256, "256 or more")
        _check("deadline", deadline, _is_number(deadline) and deadline > 0, "a number of seconds above 0")
        costs = dict(prices or {})
        fine = set(costs) <= {"input", "output"} and all(_is_number(p) and p >= 0 for p in costs.values())
        _check("prices", prices, fine, "a table with `input` and `output`, numbers from 0 on,")
        super().__init__(name, device="cpu", max_length=max_length)
        self.address = Address(url, key_variable)
        self.by_pair = request == "pair"
        self.constrain = constrain
        self.usage = Usage(prices=costs)
        self.kept = Kept(None if cache is None else Path(cache))
        self._limits: Dict[str, Any] = {"concurrency": concurrency, "deadline": float(deadline), "retries": retries}
        self._thread = LoopThread()
        self._client: Optional[Client] = None
        self._said: List[str] = []
        # What was wrong with answers, by the number of the warning that tells of it.
        self._tallies: Dict[str, Tally] = {}

    def __getstate__(self) -> Dict[str, Any]:
        # Connections and threads are those of a process.
        return {**super().__getstate__(), "_thread": LoopThread(), "_client": None}

    # What a server does not give

    def load(self) -> None:
        """Raise a ValueError: there is nothing to load."""
        raise ValueError(self.lacks("hidden states, training, and the likelihood of every label"))

    def lacks(self, what: str) -> str:
        """what (str): what weights are needed for.
        RETURNS (str): the message that they are not here.
        """
        return str(Errors.R701.format(name=self.name, url=self.address.url, what=what))

    def init_adapter(self) -> None:
        self.load()

    def set_training(self, value: bool) -> None:
        if value:
            self.load()

    @property
    def fingerprint(self) -> str:
        """RETURNS (str): the server and the model's name there; what its weights are is not known."""
        return f"{self.address.url} {self.name}"

    def count_tokens(self, pieces: Pieces) -> int:
        """RETURNS (int): about the number of tokens of a prompt."""
        return count_tokens("".join([pieces[0], *pieces[1], *pieces[2]]))

    # Answers

    def score_pairs(self, asked: Asked) -> "np.ndarray":
        """Ask the server which labels hold.

        asked (Asked): the pairs.
        RETURNS (numpy.ndarray): float32, *Shape* (pairs, classes): natural logs of probabilities; where several labels
            may hold, log-odds against class 0. Raises an OSError where the server does not answer as it should.
        """
        import numpy as np

        (scores,) = self._score_pairs(asked, [None])
        # A pair that the answers leave out has no relation.
        none = np.where(np.arange(scores.shape[1]) == 0, np.float32(0), _NEVER)
        return np.where(np.isnan(scores), none, scores)

    def sample_pairs(self, asked: Asked, draws: Sequence[Draw]) -> "np.ndarray":
        """Ask the server several times which labels hold, at once.

        asked (Asked): the pairs.
        draws (Sequence[Draw]): how each of the answers is sampled.
        RETURNS (numpy.ndarray): as `score_pairs`, *Shape* (draws, pairs, classes), with all the probability at what was
            drawn, and NaN for pairs that an answer leaves out.
        """
        return self._score_pairs(asked, draws)

    def _score_pairs(self, asked: Asked, draws: Sequence[Optional[Draw]]) -> "np.ndarray":
        bare = self.constrain == "logprobs"
        form = Form(self.by_pair, bare, asked.several and not bare)
        questions = Questions(PairWording(asked.prompt, asked.labels), form, self.max_length, self.name)
        code = "W702" if draws[0] is None else "W757"
        scores = self._score(questions, asked.pairs, asked.allowed, asked.examples, asked.documents, draws, code)
        if bare and asked.several:
            # One letter was chosen, and what is likelier than class 0 holds.
            scores = scores - scores[:, :, :1]
        return scores

    def score_task(self, asked: AskedTask) -> "np.ndarray":
        """Ask the server for the labels of a task on supplements.

        asked (AskedTask): the questions.
        RETURNS (numpy.ndarray): float32, *Shape* (questions, labels): natural logs of probabilities, NaN for questions
            that were not answered with one of the labels. Raises an OSError as `score_pairs` does.
        """
        questions = self._task_questions(asked.task, asked.prompt)
        allowed = [[True] * len(questions.wording.choices.codes)] * len(asked.questions)
        found = self._score(questions, asked.questions, allowed, asked.examples, asked.documents, [None], "W756")
        scores: np.ndarray = found[0]
        return scores

    def list_task(self, asked: AskedTask) -> List[Parsed]:
        """Ask the server for the lists of a task on supplements.

        asked (AskedTask): the texts.
        RETURNS (List[Parsed]): the list of each, of names that stand in it. Raises an OSError as `score_pairs` does.
        """

        def read(question: Question, reply: Reply) -> Tuple[List[Parsed], Tally]:
            return read_lists(question, reply, [asked.questions[row].text for row in question.rows])

        questions = self._task_questions(asked.task, asked.prompt)
        allowed: List[Sequence[bool]] = [()] * len(asked.questions)
        documents = _put(questions, asked.questions, allowed, asked.examples, asked.documents)
        lists = [Parsed([], 0)] * len(asked.questions)
        for question, reply in self._answers(documents, questions, read):
            found, tally = read(question, reply)
            for row, own in zip(question.rows, found):
                lists[row] = own
            self._count("W755", tally)
        return lists

    def task_length(self, task: Task, prompt: TaskPrompt, instance: Instance) -> int:
        """RETURNS (int): about how many tokens a question of a task has, without examples, with its answer."""
        return self._task_questions(task, prompt).length([instance])

    def _task_questions(self, task: Task, prompt: TaskPrompt) -> Questions:
        form = form_of(task, self.by_pair, self.constrain == "logprobs")
        return Questions(TaskWording(task, prompt), form, self.max_length, self.name)

    def _score(
        self,
        questions: Questions,
        pairs: Sequence[Instance],
        allowed: Sequence[Sequence[bool]],
        examples: Sequence[Sequence[Instance]],
        numbers: Documents,
        draws: Sequence[Optional[Draw]],
        code: str,
    ) -> "np.ndarray":
        """RETURNS (numpy.ndarray): float32, *Shape* (draws, pairs, letters); see `read_answer`."""
        import numpy as np

        choices = questions.wording.choices
        documents = _put(questions, pairs, allowed, examples, numbers)
        asked = [[replace(question, draw=draw) for question in own] for draw in draws for own in documents]
        scores = np.zeros((len(draws), len(pairs), len(choices.codes)), dtype="float32")
        place = {draw: number for number, draw in enumerate(draws)}
        read: Check = lambda question, reply: read_answer(question, reply, choices)  # noqa: E731
        for question, reply in self._answers(asked, questions, read):
            values, tally = read_answer(question, reply, choices)
            scores[place[question.draw], list(question.rows)] = values
            self._count(code, tally)
        return scores

    def cancel(self) -> None:
        """Give up what another thread asks now."""
        self._thread.cancel()

    def _answers(
        self, documents: Sequence[Sequence[Question]], questions: Questions, check: Check
    ) -> Iterator[Tuple[Question, Reply]]:
        """YIELDS (Tuple[Question, Reply]): each question with its answer, and warns then of what makes them worse."""
        replies = [reply for own in self._ask(documents, check) for reply in own]
        yield from zip((question for own in documents for question in own), replies)
        scored = questions.wording.choices.codes and not any(question.draw for own in documents for question in own)
        self._warn(questions.cut, replies if scored else ())

    def _ask(self, documents: Sequence[Sequence[Question]], check: Check) -> List[List[Reply]]:
        if find_spec(PACKAGE) is None:
            raise ImportError(Errors.R700.format(package=PACKAGE))
        self.address.key()  # what is missing is said before anything is sent
        if self.address.exposes_key:
            self._say(Warnings.W703.format(variable=self.address.key_variable, url=self.address.url))
        if not self._thread.is_running:
            self._client = None  # that of the process that this one was forked from
        return self._thread.run(self._asking(documents, check))

    async def _asking(self, documents: Sequence[Sequence[Question]], check: Check) -> List[List[Reply]]:
        if self._client is None:
            dialect = Dialect.of(self.constrain)
            self._client = Client(self.address, self.name, dialect, usage=self.usage, kept=self.kept, **self._limits)
            self._thread.at_end(self._client.close)
        return await self._client.ask(documents, check)

    def _count(self, code: str, tally: Tally) -> None:
        self._tallies.setdefault(code, Tally()).add(tally)

    def _warn(self, cut: int, scored: Sequence[Reply]) -> None:
        """Say, once each, what makes answers worse than they could be.

        cut (int): the length of the longest text that had to be cut.
        scored (Sequence[Reply]): those whose probabilities are asked for.
        """
        client, values = self._client, {"name": self.name, "url": self.address.url}
        for what in [] if client is None else client.left_out:
            self._say(Warnings.W701.format(what=what, **values))
        if any(not reply.tokens for reply in scored):
            self._say(Warnings.W700.format(**values))
        if cut:
            self._say(Warnings.W704.format(length=cut, limit=self.max_length, **values), code="W704")
        for code, tally in self._tallies.items():
            if tally.missing or tally.unknown or tally.invented or tally.other:
                self._say(_TALLIED[code].format(**asdict(tally), **values), code=code)

    def _say(self, message: str, code: str = "") -> None:
        if (code or message) not in self._said:
            self._said.append(code or message)
            warnings.warn(message, stacklevel=5)


def _put(
    questions: Questions,
    pairs: Sequence[Instance],
    allowed: Sequence[Sequence[bool]],
    examples: Sequence[Sequence[Instance]],
    numbers: Documents,
) -> List[List[Question]]:
    """RETURNS (List[List[Question]]): the questions about each document."""
    documents = []
    for rows in by_document(pairs, numbers):
        own, may, near = [pairs[i] for i in rows], [allowed[i] for i in rows], [examples[i] for i in rows]
        documents.append(list(questions.of(rows, own, may, near)))
    return documents


def _is_number(value: object, kind: type = object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and isinstance(value, kind)
        and math.isfinite(value)
    )


def _check(setting: str, value: object, fine: bool, expected: str) -> None:
    if not fine:
        raise ValueError(Errors.R702.format(setting=setting, value=value, expected=expected))


@registry.ragre_backbones("ragre.OpenAI.v1")
def create_openai(
    name: str,
    url: str,
    key_variable: Optional[str] = None,
    request: str = "document",
    constrain: str = "auto",
    concurrency: int = 16,
    deadline: float = 120.0,
    retries: int = 5,
    max_length: int = 8192,
    cache: Optional[str] = None,
    prices: Optional[Dict[str, float]] = None,
) -> RemoteLM:
    """A language model on a server that speaks OpenAI's protocol; see `RemoteLM` for the arguments."""
    return RemoteLM(
        name,
        url,
        key_variable=key_variable,
        request=request,
        constrain=constrain,
        concurrency=concurrency,
        deadline=deadline,
        retries=retries,
        max_length=max_length,
        cache=cache,
        prices=prices,
    )
