"""Asks a server: many questions at once, over connections that are kept, with retries, a deadline and a breaker."""

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple

from ...errors import Errors
from .address import Address
from .answers import Unreadable
from .breaker import Breaker, ServerError, pause
from .dialect import MORE_ROOM, Dialect
from .questions import Question
from .replies import Kept, Reply, Usage, read_tokens

if TYPE_CHECKING:
    import httpx

# A server that is overloaded or restarts may answer the next time.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
# Some servers fail where others refuse.
_REFUSED = frozenset({400, 422, 500, 501})
# Further tries of an answer that can't be read: what failed twice in the same way is no accident.
_REPAIRS = 1
_CONNECT_SECONDS = 10.0

#: Reads an answer, or raises `Unreadable`.
Check = Callable[[Question, Reply], object]


class Clock:
    """The time that a document has, from its first request on.

    seconds (float): its deadline.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end: Optional[float] = None

    def left(self) -> float:
        """RETURNS (float): seconds; the clock starts with the first call."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + self.seconds
        return self._end - now


class Client:
    """Asks one server for one model. All methods but `__init__` run in one event loop.

    address (Address): the server.
    model (str): the model's name there.
    dialect (Dialect): what its requests are to hold.
    usage (Usage): where requests and tokens are counted.
    kept (Kept): the answers that are kept.
    concurrency (int): most requests at a time.
    deadline (float): seconds for a document.
    retries (int): further tries of a request that failed.
    """

    def __init__(
        self,
        address: Address,
        model: str,
        dialect: Dialect,
        *,
        usage: Usage,
        kept: Kept,
        concurrency: int,
        deadline: float,
        retries: int,
    ) -> None:
        self.address = address
        self.model = model
        self.dialect = dialect
        self.usage = usage
        self.kept = kept
        self.breaker = Breaker(address.url)
        # What the server refused, for a warning.
        self.left_out: List[str] = []
        self._concurrency = concurrency
        self._deadline = deadline
        self._retries = retries
        self._slots = asyncio.Semaphore(concurrency)
        self._http: Optional[httpx.AsyncClient] = None

    async def ask(self, documents: Sequence[Sequence[Question]], check: Check) -> List[List[Reply]]:
        """Ask about documents, all at once.

        documents (Sequence[Sequence[Question]]): the questions about each.
        check (Callable[[Question, Reply], object]): raises Unreadable for an answer that is to be asked for again.
        RETURNS (List[List[Reply]]): the answers. Once all are there, or failed, the first error is raised.
        """
        clocks = [Clock(self._deadline) for _ in documents]
        work = [self._one(q, check, clock) for questions, clock in zip(documents, clocks) for q in questions]
        found = await asyncio.gather(*work, return_exceptions=True)
        for result in found:
            if isinstance(result, BaseException):
                raise result
        replies = iter([result for result in found if isinstance(result, Reply)])
        return [[next(replies) for _ in questions] for questions in documents]

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _one(self, question: Question, check: Check, clock: Clock) -> Reply:
        key = self._key(question)
        reply = self.kept.get(key)
        if reply is not None:
            self.usage.cached += 1
            return reply
        async with self._slots:
            try:
                reply = await asyncio.wait_for(self._readable(question, check), max(0.0, clock.left()))
            except (asyncio.TimeoutError, TimeoutError):
                problem = Errors.R709.format(url=self.address.url, seconds=clock.seconds)
                self.breaker.failed(problem)
                raise ServerError(problem) from None
        # Written in another thread: a disk may be slow, and others' answers wait in this one.
        await asyncio.get_running_loop().run_in_executor(None, self.kept.put, key, reply)
        return reply

    def _key(self, question: Question) -> str:
        form = [part for part in question.form if part != ()]
        asked: List[object] = [question.system, question.user, [list(codes) for codes in question.allowed], form]
        if question.draw:
            asked.append(list(question.draw))
        return self.kept.key([self.address.url, self.model, self.dialect.constrain, asked])

    async def _readable(self, question: Question, check: Check) -> Reply:
        """RETURNS (Reply): an answer in the form that was asked for."""
        repair = ("", "")
        for number in range(_REPAIRS + 1):
            reply = await self._whole(question, repair)
            try:
                check(question, reply)
            except Unreadable as error:
                repair = (reply.text, str(error))
                if number == _REPAIRS:
                    problem = f"{error}. It begins: {self.address.hide(reply.text[:100])!r}"
                    raise ServerError(Errors.R716.format(name=self.model, problem=problem)) from None
            else:
                return reply
        raise AssertionError  # the loop above ends by one or the other

    async def _whole(self, question: Question, repair: Tuple[str, str]) -> Reply:
        """RETURNS (Reply): an answer that was not cut off."""
        room = self.dialect.room
        choice = await self._choice(question, repair)
        if choice.get("finish_reason") == "length" and not question.form.bare:
            if not room and not str(choice["message"].get("content") or "").lstrip().startswith("{"):
                # A model that reasons first needs more tokens, for all questions.
                self._adapt(room=MORE_ROOM)
                choice = await self._choice(question, repair)
            if choice.get("finish_reason") == "length":
                tokens = question.answer_tokens + self.dialect.room
                raise ServerError(Errors.R714.format(name=self.model, tokens=tokens))
        message = choice["message"]
        declined = message.get("refusal")
        if declined or choice.get("finish_reason") == "content_filter":
            problem = self.address.hide(declined or "its answer was held back by a filter of contents")
            raise ServerError(Errors.R715.format(name=self.model, problem=problem))
        return Reply(str(message.get("content") or ""), read_tokens(choice.get("logprobs")))

    async def _choice(self, question: Question, repair: Tuple[str, str]) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): the first choice of a chat completion, as the server gives it."""
        while True:
            dialect = self.dialect
            response = await self._sent(dialect.body(self.model, question, repair))
            if response.status_code == 200:
                return self._first(response)
            problem = _message(response)
            if response.status_code in _REFUSED:
                # Another request may have learned it while this one was on its way.
                if self.dialect != dialect or self._leave_out(problem):
                    continue
            raise ServerError(await self._refused(response.status_code, problem))

    async def _sent(self, body: Dict[str, Any]) -> "httpx.Response":
        """RETURNS (httpx.Response): what the server says, of whatever status that another try would not change."""
        import httpx

        content = json.dumps(body).encode("utf8")
        tries = 0
        while True:
            self.breaker.check()
            tries += 1
            retry_after: Optional[str] = None
            try:
                response = await self._connections().post(
                    f"{self.address.url}/chat/completions", content=content, headers=self._headers()
                )
                status, retry_after = response.status_code, response.headers.get("Retry-After")
                if not self._is_passing(response):
                    self.breaker.worked()
                    return response
                if status == 200:
                    problem = Errors.R712.format(url=self.address.url, problem="its answer is no JSON, or was cut off")
                else:
                    values = {"status": status, "tries": tries, "problem": self.address.hide(_message(response))}
                    problem = Errors.R708.format(url=self.address.url, **values)
            except httpx.TransportError as error:
                problem = Errors.R707.format(url=self.address.url, problem=self._cause(error), proxy=self._proxy())
            if tries > self._retries:
                self.breaker.failed(problem)
                # Not chained: what came before holds the request, and with it the key.
                raise ServerError(problem) from None
            self.usage.retries += 1
            await asyncio.sleep(pause(tries, retry_after))

    def _is_passing(self, response: "httpx.Response") -> bool:
        """RETURNS (bool): whether another try may go better."""
        if response.status_code == 200:
            return _is_json_type(response) and _json_of(response) is None
        if response.status_code == 500 and self.dialect.without(_message(response))[0] is not None:
            return False
        return response.status_code in _PASSING

    def _headers(self) -> Dict[str, str]:
        key = self.address.key()
        return {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}

    def _connections(self) -> "httpx.AsyncClient":
        """RETURNS (httpx.AsyncClient): the connections, which are kept open between requests."""
        import httpx

        if self._http is None:
            # Others than this machine may be behind a proxy, as the environment says.
            direct = {f"all://{self.address.host}": None} if self.address.is_local else {}
            limits = httpx.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency)
            timeout = httpx.Timeout(self._deadline, connect=min(_CONNECT_SECONDS, self._deadline))
            try:
                self._http = httpx.AsyncClient(limits=limits, timeout=timeout, mounts=direct)
            except (ImportError, ValueError) as error:
                values = {"variables": self.address.proxy(), "problem": self.address.hide(error)}
                raise ServerError(Errors.R718.format(**values)) from None
        return self._http

    # Problems

    def _first(self, response: "httpx.Response") -> Dict[str, Any]:
        answer = _json_of(response)
        choices = answer.get("choices") if isinstance(answer, dict) else None
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            known = f"the keys {', '.join(sorted(map(str, answer)))}" if isinstance(answer, dict) else response.text
            problem = f"it answered with {self.address.hide(known) or 'nothing'}"
            raise ServerError(Errors.R712.format(url=self.address.url, problem=problem))
        self.usage.count(answer.get("usage") if isinstance(answer, dict) else None)
        return choice

    async def _refused(self, status: int, problem: str) -> str:
        """RETURNS (str): the message for a request that the server refuses."""
        url, variable = self.address.url, self.address.key_variable
        if status in (401, 403):  # what the server says may quote the key
            key = f"that of the variable {variable}" if variable else "none was sent, set key_variable to its variable"
            return str(Errors.R706.format(url=url, status=status, variable=key, name=self.model))
        problem = self.address.hide(problem) or "it says nothing"
        if status == 404:
            return str(Errors.R711.format(url=url, name=self.model, problem=problem, known=await self._models()))
        settings = f"constrain is {self.dialect.constrain!r}"
        return str(Errors.R713.format(url=url, status=status, problem=problem, name=self.model, settings=settings))

    async def _models(self) -> str:
        """RETURNS (str): the models of the server, to choose from."""
        import httpx

        try:
            response = await self._connections().get(f"{self.address.url}/models", headers=self._headers())
            names = [str(model["id"]) for model in response.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return "It has no list of models, either: give its address up to the version, which mostly ends in '/v1'."
        return f"It has: {', '.join(names[:20]) or 'none'}."

    def _cause(self, error: Exception) -> str:
        return (
            self.address.hide(error)
            or {"ReadTimeout": "it takes too long"}.get(type(error).__name__, "")
            or repr(type(error).__name__)
        )

    def _proxy(self) -> str:
        variable = self.address.proxy()
        return f" It is asked through the proxy that the variable {variable} names." if variable else ""

    def _leave_out(self, problem: str) -> bool:
        """RETURNS (bool): whether what the server refused can be left out, as it is from now on."""
        fewer, left_out = self.dialect.without(problem)
        if fewer is None:
            return False
        self.dialect = fewer
        if left_out:
            self.left_out.append(left_out)
        return True

    def _adapt(self, room: int) -> None:
        self.dialect = replace(self.dialect, room=room)


def _is_json_type(response: "httpx.Response") -> bool:
    return "html" not in response.headers.get("Content-Type", "")


def _json_of(response: "httpx.Response") -> object:
    try:
        return response.json()
    except ValueError:
        return None


def _message(response: "httpx.Response") -> str:
    """RETURNS (str): what an error of a server says: servers put it under `error`, `message` or `detail`."""
    found = _json_of(response)
    for key in ("error", "message", "detail"):
        while isinstance(found, dict) and key in found:
            found = found[key]
    return str(found) if found is not None else response.text
