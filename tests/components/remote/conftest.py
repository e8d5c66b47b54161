"""A server of chat completions on loopback that answers as a test tells it to, and fails as it is told to."""

import asyncio
import json
import re
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

import spacy_ragre.llm.remote.backbone  # noqa: F401  (registers it, where an older installation does not know it)
from spacy_ragre.llm.remote.backbone import RemoteLM

NAME = "rag_relation_extractor"
LABELS: Dict[str, Any] = {"founded_by": "was founded by", "near": {"text": "is near", "symmetric": True}}
# X and Y are not related; X was founded by Y; Y was founded by X; X is near Y.
NONE, FOUNDED, FOUNDED_TURNED, NEAR = "A", "B", "C", "D"
PATTERNS: List[Any] = [
    *({"label": "ORG", "pattern": name} for name in ("Acme", "Globex")),
    *({"label": "PERSON", "pattern": name} for name in ("Ann", "Bob")),
]

Reaction = Union["Fault", Dict[str, Any]]


class Fault:
    """What a server does in place of an answer.

    status (int): of the response.
    body (Union[str, bytes, Dict]): its body; a table is sent as JSON.
    headers (Dict[str, str]): further headers.
    wait (float): seconds before it answers.
    cut (bool): closes the connection in the middle of the body.
    reset (bool): closes it before anything is sent.
    """

    def __init__(
        self,
        status: int = 200,
        body: Union[str, Dict[str, Any]] = "",
        headers: Optional[Dict[str, str]] = None,
        wait: float = 0.0,
        cut: bool = False,
        reset: bool = False,
    ) -> None:
        self.status, self.headers, self.wait, self.cut, self.reset = status, dict(headers or {}), wait, cut, reset
        self.body = json.dumps(body) if isinstance(body, dict) else body
        self.headers.setdefault("Content-Type", "application/json" if isinstance(body, dict) else "text/plain")


def completion(content: Optional[str], logprobs: Any = None, finish: str = "stop", **message: Any) -> Dict[str, Any]:
    """A chat completion in OpenAI's form."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, **message},
        "logprobs": logprobs,
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {"id": "1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}


def logprobs_of(tokens: Sequence[Tuple[str, float, Dict[str, float]]]) -> Dict[str, Any]:
    """tokens: each with the log of its probability, and those of what might have stood in its place."""
    return {
        "content": [
            {
                "token": token,
                "logprob": logprob,
                "bytes": list(token.encode("utf8")),
                "top_logprobs": [{"token": other, "logprob": value, "bytes": []} for other, value in others.items()],
            }
            for token, logprob, others in tokens
        ]
    }


class Server:
    """A server in a thread of its own.

    react (Callable): gives the answer to the body of a request: a completion, or a fault. Takes the number of the
        request, from 0, as its second argument.
    requests (List[Dict]): the bodies of the requests so far.
    headers (List[Dict[str, str]]): their headers.
    connections (int): how many connections were opened.
    most (int): most requests that were under way at a time.
    """

    def __init__(self) -> None:
        self.react: Callable[[Dict[str, Any], int], Reaction] = lambda body, number: completion("{}")
        self.requests: List[Dict[str, Any]] = []
        self.headers: List[Dict[str, str]] = []
        self.paths: List[str] = []
        self.connections = self.most = self._busy = 0
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def _run(self, started: threading.Event) -> None:
        async def begin() -> None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            started.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
                content = await reader.readexactly(int(headers.get("content-length", 0)))
                self._busy += 1
                self.most = max(self.most, self._busy)
                try:
                    goes_on = await self._answer(lines[0].split()[1], headers, content, writer)
                finally:
                    self._busy -= 1
                if not goes_on:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, headers: Dict[str, str], content: bytes, writer: asyncio.StreamWriter) -> bool:
        self.paths.append(path)
        if path.endswith("/models"):
            fault = Fault(body={"object": "list", "data": [{"id": "tiny"}, {"id": "large"}]})
        else:
            number = len(self.requests)
            self.requests.append(json.loads(content))
            self.headers.append(headers)
            reaction = self.react(self.requests[-1], number)
            fault = reaction if isinstance(reaction, Fault) else Fault(body=reaction)
        await asyncio.sleep(fault.wait)
        if fault.reset:
            return False
        body = fault.body.encode("utf8")
        head = [f"HTTP/1.1 {fault.status} Whatever", f"Content-Length: {len(body)}"]
        head += [f"{key}: {value}" for key, value in fault.headers.items()]
        writer.write("\r\n".join([*head, "", ""]).encode("latin1"))
        writer.write(body[: len(body) // 2] if fault.cut else body)
        await writer.drain()
        return not fault.cut


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> List[Optional[str]]:
    """Tries follow one another at once. Gives what each pause was told by `Retry-After`."""
    asked: List[Optional[str]] = []

    def pause(tries: int, retry_after: Optional[str] = None) -> float:
        asked.append(retry_after)
        return 0.0

    monkeypatch.setattr("spacy_ragre.llm.remote.client.pause", pause)
    return asked


def pairs_of(body: Dict[str, Any]) -> Dict[str, Tuple[str, str]]:
    """RETURNS (Dict[str, Tuple[str, str]]): the two names of each pair that a request asks about, by its number."""
    users = [message["content"] for message in body["messages"] if message["role"] == "user"]
    asked = users[0].rsplit("Now answer for these:", 1)[-1]
    found = re.findall(r'^(\d+): X = "(.*?)".*?, Y = "(.*?)"', asked, re.MULTILINE)
    return {number: (first, second) for number, first, second in found}


def founders(body: Dict[str, Any], number: int = 0) -> Dict[str, Any]:
    """Companies were founded by persons, and nothing else is related."""
    companies = {"Acme", "Globex"}
    values = {}
    for key, (first, second) in pairs_of(body).items():
        turned = first not in companies
        related = (first in companies) != (second in companies)
        values[key] = (FOUNDED_TURNED if turned else FOUNDED) if related else NONE
    return completion(json.dumps(values))


@pytest.fixture
def make_remote(server: Server) -> Callable[..., Language]:
    """`make_remote(...)`: a pipeline that asks the server; settings of the backbone, and `component` ones."""

    def make(component: Optional[Dict[str, Any]] = None, **settings: Any) -> Language:
        backbone = {"@ragre_backbones": "ragre.OpenAI.v1", "name": "tiny", "url": server.url, "retries": 2, **settings}
        config: Dict[str, Any] = {
            "labels": LABELS,
            "n_examples": 0,
            "model": {"@architectures": "ragre.LabelModel.v1", "backbone": backbone},
            **(component or {}),
        }
        nlp = spacy.blank("en")
        nlp.add_pipe("sentencizer")
        nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
        nlp.add_pipe(NAME, config=config)
        return nlp

    return make


def backbone_of(nlp: Language) -> RemoteLM:
    backbone: RemoteLM = nlp.get_pipe(NAME).predictor.backbone  # type: ignore[attr-defined]
    return backbone


def found(doc: Doc) -> List[Tuple[str, str, str]]:
    return sorted((r.head.text, r.label, r.tail.text) for r in doc._.relations)
