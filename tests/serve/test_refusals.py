"""What the service answers to requests that are malformed, too large, or not for it."""

from typing import Any, Callable, Dict

import pytest
from spacy.language import Language
from starlette.testclient import TestClient

from spacy_ragre.serve import Limits

from .conftest import TEXT, ask, refused

Serve = Callable[..., TestClient]


# Malformed requests


@pytest.mark.parametrize(
    "body, status, code, says",
    [
        (b"", 400, "R622", "not JSON"),
        (b"{", 400, "R622", "not JSON"),
        (b"\xff", 400, "R622", "not JSON"),
        (b'{"text": "a", "text": "b"}', 400, "R622", "'text' is given twice"),
        (b'{"text": "a", "threshold": NaN}', 400, "R622", "NaN"),
        (b"[" * 200_000, 400, "R622", "nested too deep"),
        (b'{"text": ' + b"9" * 5000 + b"}", 400, "R622", "not JSON"),
        (b"[]", 422, "R622", "got a list"),
        (b"null", 422, "R622", "got null"),
        (b"{}", 422, "R622", "either 'text' or 'texts'"),
        (b'{"text": "a", "texts": []}', 422, "R622", "either 'text' or 'texts'"),
        (b'{"text": 1}', 422, "R622", "'text' must be a string, got a number"),
        (b'{"text": true}', 422, "R622", "got true or false"),
        (b'{"texts": "a"}', 422, "R622", "got a string"),
        (b'{"texts": ["a", {}]}', 422, "R622", "'texts[1]' must be a string, got an object"),
        (b'{"text": "a\\ud800b"}', 422, "R423", "character 1"),
        (b'{"text": "a", "labels": {"a": "\\udfff"}}', 422, "R423", "'labels'"),
        (b'{"text": "a", "\\ud800": 1}', 422, "R622", "unknown"),
        (b'{"text": "a", "lables": []}', 422, "R622", "'lables' is unknown"),
        (b'{"text": "a", "labels": 3}', 422, "R622", "got a number"),
        (b'{"text": "a", "labels": [3]}', 422, "R622", "got a list"),
        (b'{"text": "a", "labels": [{"text": "x"}]}', 422, "R006", "the key 'label'"),
        (b'{"text": "a", "labels": {}}', 422, "R622", "is empty"),
        (b'{"text": "a", "labels": {" ": "x"}}', 422, "R006", "not blank"),
        (b'{"text": "a", "labels": {"no_relation": "x"}}', 422, "R005", "reserved"),
        (b'{"text": "a", "labels": {"a": 3}}', 422, "R006", "got 3"),
        (b'{"text": "a", "labels": {"a": {"words": "x"}}}', 422, "R006", "words"),
        (b'{"text": "a", "labels": {"a": {"head_types": "ORG"}}}', 422, "R006", "head_types"),
        (b'{"text": "a", "threshold": "0.5"}', 422, "R622", "from 0 to 1"),
        (b'{"text": "a", "threshold": 1.5}', 422, "R622", "from 0 to 1"),
        (b'{"text": "a", "threshold": true}', 422, "R622", "from 0 to 1"),
        (b'{"text": "a", "svg": ["arcs", "pie"]}', 422, "R622", "'svg' must be a list of 'arcs' and 'graph'"),
        (b'{"text": "a", "svg": "arcs"}', 422, "R622", "'svg'"),
        (b'{"text": "a", "width": 10}', 422, "R622", "from 200 to 4000"),
    ],
)
def test_malformed_requests(client: TestClient, body: bytes, status: int, code: str, says: str) -> None:
    response = client.post("/relations", content=body, headers={"Content-Type": "application/json"})
    assert says in refused(response, status, code)
    assert ask(client, text=TEXT)[0]["relations"]


def test_a_body_must_say_that_it_is_json(client: TestClient) -> None:
    # What a form of any page can send is none.
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = client.post("/relations", content=b'{"text": "a"}', headers={"Content-Type": kind})
        assert "Content-Type" in refused(response, 415, "R622")
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert client.post("/relations", content=b'{"text": "a"}', headers=headers).status_code == 200


def test_what_is_not_there(client: TestClient) -> None:
    assert "POST /relations" in refused(client.get("/nothing"), 404, "R629")
    response = client.get("/relations")
    refused(response, 405, "R629")
    assert response.headers["allow"] == "POST"
    refused(client.post("/labels/", json={}), 404, "R629")


def test_a_message_repeats_little_of_what_was_sent(client: TestClient) -> None:
    response = client.post("/relations", json={"text": "a", "labels": {"a": {"x" * 100_000: 1}}})
    assert len(refused(response, 422, "R006")) <= 1000


# Limits


@pytest.mark.parametrize(
    "body, what",
    [
        ({"text": "a" * 61}, "--max-chars"),
        ({"texts": ["", "a" * 61]}, "texts[1]"),
        ({"texts": ["a"] * 4}, "--max-texts"),
        ({"text": "a", "labels": list("abc")}, "--max-labels"),
        ({"text": "a", "labels": {"a": {"text": list("abc")}}}, "--max-labels"),
        ({"text": "a", "labels": {"a": "b" * 2000}}, "--max-bytes"),
    ],
)
def test_more_than_a_limit(serve: Serve, pipeline: Language, body: Dict[str, Any], what: str) -> None:
    client = serve(pipeline, chars=60, texts=3, labels=2, bytes=1000)
    assert what in refused(client.post("/relations", json=body), 413, "R623")
    assert ask(client, texts=[TEXT, "a" * 60], labels=["a", "b"])


def test_a_body_without_a_length_is_counted(serve: Serve, pipeline: Language) -> None:
    client = serve(pipeline, bytes=1000)
    response = client.post(
        "/relations", content=iter([b'{"text": "', b"a" * 2000]), headers={"Content-Type": "application/json"}
    )
    assert "size of the body" in refused(response, 413, "R623")


def test_texts_are_no_longer_than_the_pipeline_takes(serve: Serve, pipeline: Language) -> None:
    pipeline.max_length = 10
    assert "10 is the most" in refused(serve(pipeline).post("/relations", json={"text": TEXT}), 413, "R623")


def test_limits_are_above_zero() -> None:
    for name in ("bytes", "chars", "texts", "labels", "seconds", "waiting", "batch"):
        with pytest.raises(ValueError, match=f"R202.*{name}"):
            Limits(**{name: 0})
