"""The command, and a real server on this machine."""

import json
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import uvicorn
from spacy.language import Language
from typer.testing import CliRunner, Result

from spacy_ragre.cli import ragre_cli
from spacy_ragre.serve import Limits, create_app
from spacy_ragre.serve.guard import is_loopback, names_of
from spacy_ragre.serve.server import address_of, listen, make_server, run

from .conftest import NAME, TEXT


def post(port: int, **body: Any) -> Tuple[int, Dict[str, Any]]:
    request = Request(
        f"http://127.0.0.1:{port}/relations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def answer(port: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): the answer to a text, for which a busy machine may need several tries."""
    for _ in range(100):
        status, found = post(port, text=TEXT)
        if status == 200:
            return found
        assert status == 504
    raise AssertionError("no answer")


def talk(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """RETURNS (bytes): all that a server says to bytes, sent with pauses between them, until it hangs up."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            while data := connection.recv(65536):
                said += data
        except ConnectionError:
            pass
    return said


def test_a_server_answers_and_lives_on(running: Callable[..., Any]) -> None:
    with running(seconds=0.5, bytes=10_000) as port:
        assert answer(port)["docs"][0]["relations"]
        assert post(port, text=3)[0] == 422
        assert post(port, text="a" * 20_000)[0] == 413
        head = b"POST /relations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        # A body that never arrives, one that is larger than it says, a head that never ends, and no HTTP.
        slow = talk(port, head + b"Content-Length: 100\r\n\r\n{")
        assert slow.startswith(b"HTTP/1.1 408") and b"R624" in slow
        large = talk(port, head + b"Transfer-Encoding: chunked\r\n\r\n4000\r\n" + b"a" * 0x4000 + b"\r\n")
        assert large.startswith(b"HTTP/1.1 413")
        assert talk(port, b"POST /relations HTTP/1.1\r\nHost: local") == b""
        assert talk(port, *[b"G", b"E", b"T"] * 4, pause=0.1) == b""
        assert talk(port, b"\x16\x03\x01 no HTTP\r\n\r\n").startswith(b"HTTP/1.1 400")
        # A client that goes away.
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head + b"Content-Length: 100\r\n\r\n{")
        # Several requests of one connection.
        once = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
        assert talk(port, once + b"\r\n" + once + b"Connection: close\r\n\r\n").count(b'{"status":"ready"}') == 2
        assert answer(port)["docs"][0]["relations"]


def test_what_is_being_answered_is_answered_at_the_end(
    make_pipeline: Callable[..., Language], gate: threading.Event
) -> None:
    app = create_app(make_pipeline())
    with listen("127.0.0.1", 0) as opened:
        port = opened.getsockname()[1]
        server = make_server(app, Limits())
        thread = threading.Thread(target=server.run, args=([opened],))
        thread.start()
        answers: List[Tuple[int, Dict[str, Any]]] = []
        while not server.started:
            time.sleep(0.01)
        asking = threading.Thread(target=lambda: answers.append(post(port, text="slow Acme and Ann")))
        asking.start()
        while not server.server_state.tasks:
            time.sleep(0.01)
        server.should_exit = True
        time.sleep(0.1)
        gate.set()
        for thread_ in (asking, thread):
            thread_.join()
    assert answers[0][0] == 200 and answers[0][1]["docs"][0]["relations"]


# The command


@pytest.fixture
def call() -> Callable[..., Result]:
    def run(*args: Any) -> Result:
        return CliRunner().invoke(ragre_cli, ["serve", *map(str, args)])

    return run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """What the command would serve: the application, its socket and limits."""
    found: List[Any] = []

    def run(app: Any, opened: socket.socket, limits: Limits, started: Callable[[], None]) -> None:
        found[:] = [app, opened.getsockname(), limits]
        started()

    monkeypatch.setattr("spacy_ragre.serve.server.run", run)
    return found


@pytest.fixture
def saved(pipeline: Language, tmp_path: Path) -> str:
    pipeline.to_disk(tmp_path / "pipeline")
    return str(tmp_path / "pipeline")


def test_the_command(call: Callable[..., Result], saved: str, served: List[Any]) -> None:
    result = call(saved, "--port", 0, "--timeout", 2, "--max-texts", 3, "--max-chars", 50, "--batch-size", 7)
    assert result.exit_code == 0, result.output
    app, address, limits = served
    assert limits == Limits(seconds=2, texts=3, chars=50, batch=7)
    assert address[0] == "127.0.0.1" and f"Ready: http://127.0.0.1:{address[1]}" in result.stderr
    assert list(app.state.worker.labels) == ["founded_by", "near"] and "W620" not in result.stderr


def test_a_pipeline_without_relations_gets_an_extractor(
    call: Callable[..., Result], pipeline: Language, tmp_path: Path, served: List[Any]
) -> None:
    pipeline.remove_pipe(NAME)
    pipeline.to_disk(tmp_path / "entities")
    assert call(tmp_path / "entities", "--port", 0).exit_code == 0
    assert served[0].state.worker.labels == {} and served[0].state.worker.reader == NAME
    assert call(tmp_path / "entities", "--port", 0, "--labels", "left=has left").exit_code == 0
    assert list(served[0].state.worker.labels) == ["left"]


def test_labels_for_a_pipeline_that_has_its_own(call: Callable[..., Result], saved: str) -> None:
    result = call(saved, "--port", 0, "--labels", "left=has left")
    assert result.exit_code == 1 and "[R322]" in result.stderr


def test_another_host_is_a_choice_with_a_warning(call: Callable[..., Result], saved: str, served: List[Any]) -> None:
    with pytest.warns(UserWarning, match="W620.*0.0.0.0"):
        assert call(saved, "--host", "0.0.0.0", "--port", 0).exit_code == 0
    assert socket.gethostname().lower() in names_of("0.0.0.0") and names_of("::1") == ["localhost"]
    assert [
        is_loopback(host) for host in ("localhost", "127.0.0.9", "::1", "[::1]", "0.0.0.0", "example.org", "::")
    ] == [
        *[True] * 4,
        *[False] * 3,
    ]


def test_a_port_that_is_taken(call: Callable[..., Result], saved: str) -> None:
    with listen("127.0.0.1", 0) as taken:
        result = call(saved, "--port", taken.getsockname()[1])
    assert result.exit_code == 1 and "[R621]" in result.stderr and "--port" in result.stderr
    result = call(saved, "--host", "a name.invalid")
    assert result.exit_code == 1 and "[R621]" in result.stderr


def test_addresses() -> None:
    with listen("localhost", 0) as opened:
        port = opened.getsockname()[1]
        assert address_of(opened, "localhost") == f"http://localhost:{port}"
        assert address_of(opened, "::1") == f"http://[::1]:{port}"


def test_a_package_that_is_missing(call: Callable[..., Result], saved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["spacy_ragre.cli.serve"]  # the package has a function of this name
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "uvicorn" else name)
    result = call(saved)
    assert result.exit_code == 1 and "[R620]" in result.stderr and "spacy-ragre[serve]" in result.stderr


def test_a_pipeline_that_fails_at_its_start_ends_the_command(
    pipeline: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spacy_ragre.serve.worker.FIRST_TEXT", "to fail")
    monkeypatch.setattr(uvicorn.Server, "install_signal_handlers", lambda self: None, raising=False)
    told: List[str] = []
    with listen("127.0.0.1", 0) as opened, pytest.raises(ValueError, match="R999"):
        run(create_app(pipeline), opened, Limits(), lambda: told.append("ready"))
    assert told == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_in_peace(pipeline: Language, number: signal.Signals) -> None:
    told: List[str] = []

    def started() -> None:
        told.append("ready")
        signal.raise_signal(number)

    before = signal.getsignal(number)
    app = create_app(pipeline)
    with listen("127.0.0.1", 0) as opened:
        run(app, opened, Limits(), started)
    assert told == ["ready"] and app.state.worker.state == "closed" and signal.getsignal(number) is before
