"""What the service answers, and what it tells who asks for too much, or wrongly."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Callable, Dict, List, Tuple
from xml.etree import ElementTree

import pytest
import spacy
from spacy.language import Language
from starlette.testclient import TestClient

from spacy_ragre import LabelSet, doc_from_dict, doc_to_dict
from spacy_ragre.serve import Limits, create_app

from .conftest import LABELS, NAME, TEXT, ask, refused

Serve = Callable[..., TestClient]


def wait_until_ready(client: TestClient) -> None:
    for _ in range(500):
        if client.get("/health").status_code == 200:
            return
        time.sleep(0.02)
    raise AssertionError(client.get("/health").text)


def rows(docs: List[Dict[str, Any]]) -> List[Any]:
    """RETURNS (List[Any]): the relations of documents, to be compared: scores are compared to three digits or so."""
    found = [sorted((r["head"], r["tail"], r["label"], r.get("score", 1.0)) for r in doc["relations"]) for doc in docs]
    return [[(*row[:3], Score(row[3])) for row in doc] for doc in found]


class Score(float):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(self - other) < 1e-3

    __hash__ = None  # type: ignore[assignment]


# Answers


def test_words_of_texts_are_not_kept(client: TestClient, pipeline: Language) -> None:
    wait_until_ready(client)
    words = len(pipeline.vocab.strings)
    docs = ask(client, texts=[f"Acme{i} was founded by Ann." for i in range(4)])
    assert [len(doc["ents"]) for doc in docs] == [1] * 4 and docs[3]["text"].startswith("Acme3")
    for _ in range(500):  # they go after the answer
        if len(pipeline.vocab.strings) == words:
            return
        time.sleep(0.02)
    raise AssertionError(len(pipeline.vocab.strings) - words)


def test_an_answer_is_what_the_pipeline_finds(client: TestClient, make_pipeline: Callable[..., Language]) -> None:
    (doc,) = ask(client, text=TEXT)
    expected = doc_to_dict(make_pipeline()(TEXT))
    assert expected["relations"] and rows([doc]) == rows([expected])
    assert {key: doc[key] for key in ("text", "ents")} == {key: expected[key] for key in ("text", "ents")}
    assert doc_from_dict(doc)._.relations


def test_texts_are_answered_in_order(client: TestClient) -> None:
    texts = [
        TEXT,
        "",
        "Nobody.",
        "Bob met Ann.",
        "\x00",
        "Ann \U0001f600 Bob\u202e in Rome",
        "<script>Ann</script> Bob",
    ]
    assert [doc["text"] for doc in ask(client, texts=texts)] == texts
    assert ask(client, texts=[]) == []


def test_a_request_has_its_own_threshold(serve: Serve, make_pipeline: Callable[..., Language]) -> None:
    nlp = make_pipeline()
    predictor: Any = nlp.get_pipe(NAME).predictor  # type: ignore[attr-defined]
    predictor.calibration = replace(predictor.calibration, temperature=30.0, decision=0.0)
    client = serve(nlp)
    scores = sorted(r.get("score", 1.0) for r in ask(client, text=TEXT, threshold=0)[0]["relations"])
    assert len(scores) > 1
    kept = ask(client, text=TEXT, threshold=scores[-1] - 1e-4)[0]["relations"]
    assert [r.get("score", 1.0) for r in kept] == pytest.approx(scores[-1:], abs=1e-3)
    assert ask(client, text=TEXT, threshold=1)[0]["relations"] == []
    asked: List[Dict[str, Any]] = [
        {"threshold": 0.2},
        {},
        {"labels": ["left"]},
        {"labels": list(LABELS), "threshold": 0},
    ]
    told = [client.post("/relations", json={"text": TEXT, **more}).json()["threshold"] for more in asked]
    assert told == [0.2, 0.001, 0.001, 0.0], "the limit in the config goes before what is chosen, also of other labels"
    assert len(ask(client, text=TEXT)[0]["relations"]) == len(scores)


def test_pictures(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "<script>alert(1)</script> Acme & Ann \x00 \U0001f600 \u05e9 Bob"
    doc, plain = ask(client, texts=[text, "Nobody."], svg=["arcs", "graph", "arcs"], width=500)
    assert list(doc["svg"]) == ["arcs", "graph"] == list(plain["svg"])
    for picture in (*doc["svg"].values(), *plain["svg"].values()):
        tree = ElementTree.fromstring(picture)
        assert tree.tag.endswith("svg") and "script" not in {item.tag.split("}")[1] for item in tree.iter()}
    assert "near" in doc["svg"]["arcs"] and "in both directions" in doc["svg"]["arcs"]
    assert "svg" not in ask(client, text=text)[0]
    monkeypatch.setattr("spacy_ragre.serve.worker.MOST_DRAWN", 1)
    assert ask(client, text=text, svg=["arcs"])[0]["svg"] == {"arcs": None}


def test_a_request_has_its_own_labels(client: TestClient, pipeline: Language) -> None:
    before = rows(ask(client, text=TEXT))
    for labels in (["left"], {"left": "has left"}, {"left": {"text": ["has left", "left"], "head_types": ["PERSON"]}}):
        found = ask(client, text=TEXT, labels=labels)[0]["relations"]
        assert {r["label"] for r in found} == {"left"}
        types = {client_type(TEXT, r) for r in found}
        assert types == (
            {"PERSON"} if isinstance(labels, dict) and isinstance(labels["left"], dict) else {"ORG", "PERSON"}
        )
    assert rows(ask(client, text=TEXT)) == before
    extractor: Any = pipeline.get_pipe(NAME)
    assert extractor.labels == tuple(LABELS) and extractor.label_data == LabelSet(LABELS).to_dict()
    assert list(client.get("/labels").json()["labels"]) == list(LABELS)


def client_type(text: str, relation: Dict[str, Any]) -> str:
    return "ORG" if relation["head"] == 0 else "PERSON"


def test_answers_to_many_at_once_are_those_to_each(serve: Serve, make_pipeline: Callable[..., Language]) -> None:
    client = serve(make_pipeline(), batch=4)
    names = ["Acme", "Ann", "Bob", "Rome"]
    texts = [f"{a} and {b} {'saw ' * i}{c}." for i in range(3) for a, b, c in zip(names, names[1:], names[2:])]
    asked: List[Dict[str, Any]] = [
        {"text": text, **more}
        for text in texts
        for more in ({}, {"labels": {"owns": "owns"}}, {"labels": {"saw": "saw"}}, {"threshold": 0.3})
    ]
    single = [rows(ask(client, **body)) for body in asked]
    assert any(single)
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda body: rows(ask(client, **body)), asked))
    assert together == single
    metrics = client.get("/metrics").text
    assert f"ragre_texts_total {2 * len(asked)}.0" in metrics
    batches = float(metrics.split("ragre_batch_texts_count ")[1].split()[0])
    assert batches < 2 * len(asked), "no texts were read together"


def test_requests_for_the_same_labels_are_read_together(
    serve: Serve, make_pipeline: Callable[..., Language], gate: threading.Event
) -> None:
    nlp = make_pipeline()
    client = serve(nlp)
    wait_until_ready(client)
    sizes: List[Tuple[int, Tuple[str, ...]]] = []
    extractor: Any = nlp.get_pipe(NAME)
    predict = extractor.predict

    def counted(docs: Any) -> Any:
        docs = list(docs)
        sizes.append((len(docs), tuple(extractor.labels)))
        return predict(docs)

    extractor.predict = counted
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(ask, client, text="A slow text.")
        wait_for(lambda: "ragre_batch_texts_count 1.0" in client.get("/metrics").text)
        others = [
            pool.submit(ask, client, text=TEXT, **more) for more in ({}, {"labels": ["x"]}, {}, {"labels": ["x"]})
        ]
        wait_for(lambda: client.app.state.worker.waiting == 4)  # type: ignore[attr-defined]
        gate.set()
        for future in (first, *others):
            future.result()
    assert sizes[0] == (1, tuple(LABELS))
    assert sorted(sizes[1:]) == [(2, tuple(LABELS)), (2, ("x",))]


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")


# Failures


def test_a_text_that_fails_fails_alone(client: TestClient) -> None:
    assert "[R999] The document fails." == refused(client.post("/relations", json={"text": "to fail"}), 422, "R999")
    refused(client.post("/relations", json={"texts": [TEXT, "to fail"]}), 422, "R999")
    with ThreadPoolExecutor(8) as pool:
        texts = [TEXT, "to fail", TEXT, "a bug", TEXT]
        statuses = pool.map(lambda text: client.post("/relations", json={"text": text}).status_code, texts)
        assert list(statuses) == [200, 422, 200, 500, 200]


def test_a_client_is_told_no_path(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    assert "[R998]" in refused(client.post("/relations", json={"text": "a path"}), 500, "R628")
    assert "somebody" in caplog.text
    message = refused(client.post("/relations", json={"text": "a bug"}), 500, "R628")
    assert "secret" not in message and "KeyError" not in message
    assert ask(client, text=TEXT)


def test_an_answer_takes_no_longer_than_it_may(
    serve: Serve, make_pipeline: Callable[..., Language], gate: threading.Event
) -> None:
    client = serve(make_pipeline(), seconds=0.2)
    gate.set()
    wait_until_ready(client)
    gate.clear()
    assert "0.2 s" in refused(client.post("/relations", json={"text": "slow"}), 504, "R624")
    # What nobody waits for is not read.
    refused(client.post("/relations", json={"text": "waits behind it"}), 504, "R624")
    worker = client.app.state.worker  # type: ignore[attr-defined]
    gate.set()
    wait_for(lambda: worker.waiting == 0 and "ragre_batch_texts_count 1.0" in client.get("/metrics").text)
    # A busy machine may need more than one try.
    wait_for(lambda: client.post("/relations", json={"text": TEXT}).status_code == 200)


def test_a_full_queue_refuses(serve: Serve, make_pipeline: Callable[..., Language], gate: threading.Event) -> None:
    client = serve(make_pipeline(), waiting=2, batch=1)
    worker = client.app.state.worker  # type: ignore[attr-defined]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, client, text="slow")
        wait_for(lambda: worker.state == "ready" and first.running() and worker.waiting == 0)
        wait_for(lambda: "ragre_batch_texts_count 1.0" in client.get("/metrics").text)
        second = pool.submit(ask, client, texts=[TEXT, TEXT])
        wait_for(lambda: worker.waiting == 2)
        response = client.post("/relations", json={"text": TEXT})
        assert "2 texts wait" in refused(response, 503, "R625") and response.headers["retry-after"] == "1"
        assert "ragre_waiting_texts 2.0" in client.get("/metrics").text
        gate.set()
        assert len(first.result()) == 1 and len(second.result()) == 2
    assert ask(client, text=TEXT)
    refused(client.post("/relations", json={"texts": [TEXT] * 3}), 413, "R623")


def test_what_waits_at_the_end_is_refused(make_pipeline: Callable[..., Language], gate: threading.Event) -> None:
    app = create_app(make_pipeline(), Limits(batch=1))
    with TestClient(app, base_url="http://localhost") as client, ThreadPoolExecutor(4) as pool:
        wait_until_ready(client)
        first = pool.submit(client.post, "/relations", json={"text": "slow"})
        wait_for(lambda: "ragre_batch_texts_count 1.0" in client.get("/metrics").text)
        second = pool.submit(client.post, "/relations", json={"text": TEXT})
        wait_for(lambda: app.state.worker.waiting == 1)
        closing = pool.submit(app.state.worker.close)
        wait_for(lambda: app.state.worker._closing)
        refused(client.post("/relations", json={"text": TEXT}), 503, "R625")
        gate.set()
        closing.result()
        assert first.result().status_code == 200
        refused(second.result(), 503, "R625")
        assert client.get("/health").json() == {"status": "closed"}


# The pipeline


def test_it_is_ready_once_the_pipeline_answered(
    make_pipeline: Callable[..., Language], serve: Serve, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr("spacy_ragre.serve.worker.FIRST_TEXT", "slow")
    client = serve(make_pipeline())
    response = client.get("/health")
    assert response.status_code == 503 and response.json() == {"status": "starting"}
    gate.set()
    wait_until_ready(client)
    assert client.get("/health").json() == {"status": "ready"}


def test_a_pipeline_that_fails_at_its_start(
    make_pipeline: Callable[..., Language], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spacy_ragre.serve.worker.FIRST_TEXT", "to fail")
    client = serve(make_pipeline())
    wait_for(lambda: client.get("/health").json() == {"status": "failed"})
    assert client.get("/health").status_code == 503
    refused(client.post("/relations", json={"text": TEXT}), 503, "R628")


def test_labels_may_come_with_each_request_alone(serve: Serve, make_pipeline: Callable[..., Language]) -> None:
    client = serve(make_pipeline(labels={}))
    wait_until_ready(client)
    assert client.get("/labels").json()["labels"] == {}
    assert "'labels' is needed" in refused(client.post("/relations", json={"text": TEXT}), 422, "R622")
    assert ask(client, text=TEXT, labels=["left"])[0]["relations"]


def test_labels_that_were_learned_stay(serve: Serve, make_pipeline: Callable[..., Language]) -> None:
    nlp = make_pipeline()
    extractor: Any = nlp.get_pipe(NAME)
    extractor.predictor.init_head()
    extractor.predictor.trained = True
    client = serve(nlp)
    assert client.get("/labels").json()["editable"] is False
    response = client.post("/relations", json={"text": TEXT, "labels": ["left"]})
    assert NAME in refused(response, 422, "R627")
    assert ask(client, text=TEXT, threshold=0)[0]["relations"]
    # The same labels are no others.
    with extractor.asking(LabelSet(LABELS)):
        pass
    with pytest.raises(ValueError, match="R627"), extractor.asking(LabelSet({"left": ""})):
        pass


def test_a_pipeline_has_to_find_relations() -> None:
    with pytest.raises(ValueError, match="R606"):
        create_app(spacy.blank("en"))


def test_components_without_thresholds_are_held_against_one(serve: Serve) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(
        [{"label": "ORG", "pattern": "Acme"}, {"label": "PERSON", "pattern": "Ann"}]
    )  # type: ignore[attr-defined]  # noqa: E501
    nlp.add_pipe("test_always")
    client = serve(nlp)
    assert client.get("/labels").json()["threshold"] == 0.0
    assert len(ask(client, text=TEXT)[0]["relations"]) == 1
    assert ask(client, text=TEXT, threshold=0.6)[0]["relations"] == []
    refused(client.post("/relations", json={"text": TEXT, "labels": ["x"]}), 422, "R627")


@Language.component("test_always", assigns=["doc._.relations"], requires=["doc.ents"])
def always(doc: Any) -> Any:
    if len(doc.ents) > 1:
        doc._.relations = [{"head": doc.ents[0], "tail": doc.ents[1], "label": "near", "score": 0.5}]
    return doc


def test_other_components_keep_out_of_labels_of_a_request(serve: Serve, make_pipeline: Callable[..., Language]) -> None:
    nlp = make_pipeline()
    nlp.add_pipe("test_always")
    client = serve(nlp)
    assert {r["label"] for r in ask(client, text=TEXT, labels=["left"])[0]["relations"]} == {"left"}
    wait_for(lambda: nlp.pipe_names[-1] == "test_always")


# What is told of the service


def test_what_is_known_of_the_pipeline(serve: Serve, make_pipeline: Callable[..., Language]) -> None:
    client = serve(make_pipeline(threshold=0.25), chars=99)
    known = client.get("/labels").json()
    assert known["labels"] == LabelSet(LABELS).to_dict()
    assert known["editable"] is True and known["entity_types"] == ["GPE", "ORG", "PERSON"]
    assert known["limits"] == {"chars": 99, "texts": 64, "labels": 128}
    assert known["threshold"] == 0.25, "the one in the config, which goes before what is chosen"


def test_metrics(client: TestClient) -> None:
    ask(client, texts=[TEXT, TEXT])
    client.get("/what/ever")
    client.post("/relations", content=b"{")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert 'ragre_requests_total{path="/relations",status="200"} 1.0' in response.text
    assert 'ragre_requests_total{path="/relations",status="415"} 1.0' in response.text
    assert 'ragre_requests_total{path="other",status="404"} 1.0' in response.text
    assert "/what/ever" not in response.text
    assert "ragre_texts_total 2.0" in response.text


def test_the_description_is_of_what_is_there(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    there = {(route.path, method) for route in client.app.routes for method in route.methods}  # type: ignore[attr-defined]
    told = {(path, method.upper()) for path, item in described["paths"].items() for method in item}
    assert told == there - {(path, "HEAD") for path, _ in there}
    # Every reference leads somewhere.
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    assert names <= set(described["components"]["schemas"])
    properties = described["components"]["schemas"]["Query"]["properties"]
    assert (
        set(properties) == {"text", "texts", "labels", "threshold", "svg", "width"}
        and properties["text"]["maxLength"] == 20_000
    )


# Who may ask


def test_other_pages_may_not_ask(client: TestClient) -> None:
    def post(**headers: str) -> Any:
        return client.post(
            "/relations", json={"text": TEXT}, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    assert post(origin="http://localhost:8080").status_code == 200
    assert post(origin="http://LOCALHOST:8080", sec_fetch_site="same-origin").status_code == 200
    for origin in ("http://example.org", "null", "http://localhost:3000", "http://localhost:8080.example.org", ""):
        refused(post(origin=origin), 403, "R626")
    refused(post(sec_fetch_site="cross-site"), 403, "R626")
    # What a browser asks before it sends anything else.
    response = client.options("/relations", headers={"origin": "http://example.org"})
    assert response.status_code == 403 and "access-control-allow-origin" not in response.headers


def test_a_name_that_leads_here_may_not_be_asked_for(client: TestClient) -> None:
    for host in ("127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "localhost", "LocalHost:1"):
        assert client.get("/health", headers={"host": host}).status_code in (200, 503)
    for host in ("example.org", "localhost.example.org", "127.0.0.1.example.org:8080", "", "[::1", "@localhost"):
        refused(client.get("/health", headers={"host": host}), 403, "R626")


def test_every_response_carries_the_headers(client: TestClient) -> None:
    for response in (client.get("/"), client.get("/nothing"), client.post("/relations", content=b"{")):
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
    policy = client.get("/").headers["content-security-policy"]
    assert "script-src 'sha256-" in policy and "connect-src 'self'" in policy
