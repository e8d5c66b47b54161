"""A pipeline with a tiny random model that gives all labels to all pairs, and its service in this process."""

import re
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, List

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from starlette.testclient import TestClient

from spacy_ragre.serve import Limits, create_app
from spacy_ragre.serve.server import listen, make_server

NAME = "rag_relation_extractor"
LABELS = {"founded_by": "was founded by", "near": {"text": "is near", "symmetric": True}}
TEXT = "Acme was founded by Ann."
PATTERNS: List[Any] = [
    {"label": "ORG", "pattern": "Acme"},
    {"label": "PERSON", "pattern": "Ann"},
    {"label": "PERSON", "pattern": "Bob"},
    {"label": "GPE", "pattern": "Rome"},
]
# Texts with "slow" are read once this is set.
GATE = threading.Event()


@Language.component("test_moody")
def moody(doc: Doc) -> Doc:
    """Waits, or fails, as the text says."""
    if "slow" in doc.text:
        assert GATE.wait(30)
    if "fail" in doc.text:
        raise ValueError("[R999] The document fails.")
    if "path" in doc.text:
        raise ValueError("[R998] Can't find /home/somebody/models/a file.")
    if "bug" in doc.text:
        raise KeyError("/home/somebody/secret")
    return doc


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Lets slow texts through once it is set, as it is at the end."""
    GATE.clear()
    yield GATE
    GATE.set()


@pytest.fixture
def make_pipeline(tiny_config: Dict[str, Any]) -> Callable[..., Language]:
    def make(**settings: Any) -> Language:
        nlp = spacy.blank("en")
        nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
        nlp.add_pipe("test_moody")
        given = {"labels": LABELS, "weights": None, "n_examples": 0, "multi_label": True, "threshold": 0.001}
        nlp.add_pipe(NAME, config={**tiny_config, **given, **settings})
        return nlp

    return make


@pytest.fixture
def pipeline(make_pipeline: Callable[..., Language]) -> Language:
    return make_pipeline()


@pytest.fixture
def serve() -> "Iterator[Callable[..., TestClient]]":
    """`serve(nlp, chars=100, ...)`: a client of its service."""
    with ExitStack() as stack:

        def start(nlp: Language, **limits: Any) -> TestClient:
            app = create_app(nlp, Limits(**limits))
            client = TestClient(app, base_url="http://localhost:8080")
            return stack.enter_context(client)

        yield start
        GATE.set()  # before the services end, which wait for what is read


@pytest.fixture
def client(serve: Callable[..., TestClient], pipeline: Language) -> TestClient:
    return serve(pipeline)


@pytest.fixture
def running(make_pipeline: Callable[..., Language]) -> Callable[..., Any]:
    """`with running(seconds=1) as port`: a real server, in a thread."""

    @contextmanager
    def start(**limits: Any) -> Iterator[int]:
        settings = Limits(**limits)
        app = create_app(make_pipeline(), settings)
        with listen("127.0.0.1", 0) as opened:
            server = make_server(app, settings)
            thread = threading.Thread(target=server.run, args=([opened],))
            thread.start()
            try:
                while not (server.started and app.state.worker.state == "ready"):
                    time.sleep(0.01)
                yield opened.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join()
        assert app.state.worker.state == "closed"

    return start


def ask(client: TestClient, **body: Any) -> List[Dict[str, Any]]:
    response = client.post("/relations", json=body)
    assert response.status_code == 200, response.text
    docs: List[Dict[str, Any]] = response.json()["docs"]
    return docs


def refused(response: Any, status: int, code: str) -> str:
    """RETURNS (str): the message, of which no part is of this machine."""
    assert response.status_code == status, response.text
    message: str = response.json()["error"]
    assert message.startswith(f"[{code}]"), message
    assert "Traceback" not in message and not re.search(r"/(home|work|tmp|usr)\b|\.py", message)
    return message
