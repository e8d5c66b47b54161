"""A language model on a server that speaks OpenAI's protocol: vLLM, Ollama, llama.cpp, SGLang, hosted ones.

What is sent: the names and definitions of the labels, the texts of pairs with the names and types of their entities,
and the texts of examples. Nothing is sent before a component with such a model predicts.
"""

import math
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ...errors import Errors, Warnings
from ...instances import Instance
from ...labels import LabelSet
from ...prompts import Prompt
from ...registry import registry
from ..base import Backbone, Pieces
from .address import Address
from .answers import Choices, Tally, read_answer
from .client import Client
from .dialect import CONSTRAINTS, Dialect
from .loop import LoopThread
from .questions import Form, Question, Questions, by_document, count_tokens
from .replies import Kept, Reply, Usage

if TYPE_CHECKING:
    import numpy as np

#: The document of each of some pairs, by its number; None where it is told by names or texts.
Documents = Optional[Sequence[int]]

PACKAGE = "httpx"
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
        self._tally = Tally()

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

        form = Form(self.by_pair, self.constrain == "logprobs", asked.several and self.constrain != "logprobs")
        questions = Questions(asked.prompt, asked.labels, form, self.max_length, self.name)
        documents: List[List[Question]] = []
        for rows in by_document(asked.pairs, asked.documents):
            pairs = [asked.pairs[row] for row in rows]
            allowed = [asked.allowed[row] for row in rows]
            examples = [asked.examples[row] for row in rows]
            documents.append(list(questions.of(rows, pairs, allowed, examples)))
        choices = Choices(questions.codes, questions.statements, asked.labels)
        replies = self._ask(documents, choices)
        scores = np.zeros((len(asked.pairs), len(questions.codes)), dtype="float32")
        for question, reply in zip((q for own in documents for q in own), (r for own in replies for r in own)):
            values, tally = read_answer(question, reply, choices)
            scores[list(question.rows)] = values
            self._tally.add(tally)
        if form.bare and asked.several:
            # One letter was chosen, and what is likelier than class 0 holds.
            scores = scores - scores[:, :1]
        self._warn(questions.cut, [reply for own in replies for reply in own])
        return scores

    def cancel(self) -> None:
        """Give up what another thread asks now."""
        self._thread.cancel()

    def _ask(self, documents: Sequence[Sequence[Question]], choices: Choices) -> List[List[Reply]]:
        if find_spec(PACKAGE) is None:
            raise ImportError(Errors.R700.format(package=PACKAGE))
        self.address.key()  # what is missing is said before anything is sent
        if self.address.exposes_key:
            self._say(Warnings.W703.format(variable=self.address.key_variable, url=self.address.url))
        if not self._thread.is_running:
            self._client = None  # that of the process that this one was forked from
        return self._thread.run(self._asking(documents, choices))

    async def _asking(self, documents: Sequence[Sequence[Question]], choices: Choices) -> List[List[Reply]]:
        if self._client is None:
            dialect = Dialect.of(self.constrain)
            self._client = Client(self.address, self.name, dialect, usage=self.usage, kept=self.kept, **self._limits)
            self._thread.at_end(self._client.close)
        return await self._client.ask(documents, lambda question, reply: read_answer(question, reply, choices))

    def _warn(self, cut: int, replies: Sequence[Reply]) -> None:
        """Say, once each, what makes answers worse than they could be."""
        client, values = self._client, {"name": self.name, "url": self.address.url}
        for what in [] if client is None else client.left_out:
            self._say(Warnings.W701.format(what=what, **values))
        if any(not reply.tokens for reply in replies):
            self._say(Warnings.W700.format(**values))
        if cut:
            self._say(Warnings.W704.format(length=cut, limit=self.max_length, **values), code="W704")
        tally = self._tally
        if tally.missing or tally.unknown or tally.invented:
            counts = {key: getattr(tally, key) for key in ("total", "missing", "unknown", "invented")}
            self._say(Warnings.W702.format(**counts, **values), code="W702")

    def _say(self, message: str, code: str = "") -> None:
        if (code or message) not in self._said:
            self._said.append(code or message)
            warnings.warn(message, stacklevel=5)


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
