"""Examples in a vector database, by its client that runs in this process."""

import json
import pickle
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import spacy

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.registry import registry
from spacy_ragre.retrieval import ExampleStore, QdrantRetriever, Retriever, TextEncoder
from spacy_ragre.retrieval.state_keys import BackboneEncoder


@pytest.fixture
def retriever(bert, instances, tmp_path):
    result = QdrantRetriever(TextEncoder(bert), "examples", path=str(tmp_path / "db"), k=3)
    result.add(instances)
    return result


def found(results):
    return [[(item.instance, round(item.score, 4)) for item in row] for row in results]


def test_finds_what_a_store_in_memory_finds(retriever, bert, instances):
    plain = Retriever(TextEncoder(bert), k=3)
    plain.add(instances)
    assert len(retriever) == 60 and retriever.store.width == plain.store.width
    assert set(retriever.store.instances) == set(instances)
    own, expected = (one.retrieve(instances) for one in (retriever, plain))
    assert np.allclose(*([[item.score for item in row] for row in rows] for rows in (own, expected)), atol=1e-4)
    for query, row in zip(instances, own, strict=True):
        assert query.text not in [item.instance.text for item in row]
    assert [row[0].instance for row in retriever.retrieve(instances, k=1, leak_free=False)] == instances


def test_never_finds_a_duplicate_or_the_same_document(retriever, instances):
    query = Instance(instances[0].text.upper().replace(" ", "  "), (0, 1), (2, 3), id="d5")
    texts = {item.instance.text for item in retriever.retrieve([query], k=60)[0]}
    assert len(texts) == 58 and not texts & {instances[0].text, instances[5].text}
    assert retriever.retrieve([query], k=0) == [[]]


def test_every_field_comes_back(bert, vectors):
    retriever = QdrantRetriever(TextEncoder(bert), "examples", path=":memory:")
    examples = [
        Instance("ünï 🙂", (0, 3), (4, 5), "A", "B", (), "d", "said", frozenset(["x", "y"])),
        Instance("x", (0, 1), (0, 1), answers=None),
        Instance("x", (0, 1), (0, 1), answers=(Answer("a", True), Answer("b"))),
    ]
    retriever.add(examples, vectors(3))
    retriever.add(examples, vectors(3))  # there once
    assert set(retriever.store.instances) == set(examples) and len(retriever) == 3
    assert retriever.store.instances[0] in examples and len(retriever.store.instances[1:]) == 2


def test_examples_are_added_and_removed_while_it_serves(retriever, make_instance, instances):
    new = make_instance("acme", "founded", "ann , ann", "founded_by", id="new")
    retriever.add([new])
    assert retriever.retrieve([new], k=1, leak_free=False)[0][0].instance == new
    assert retriever.remove(ids=["new", "d1", ""], texts=[instances[7].text.upper()]) == 3
    assert retriever.remove(ids=["new"]) == 0 and len(retriever) == 58
    assert not {new, instances[1], instances[7]} & set(retriever.store.instances)
    retriever.clear()
    assert len(retriever) == 0 and retriever.retrieve(instances[:2]) == [[], []]
    assert retriever.remove(ids=["d1"]) == 0 and list(retriever.store.instances) == []
    retriever.add(instances[:2])
    assert len(retriever) == 2


def test_examples_stay_in_the_database(retriever, bert, make_bert, instances, tmp_path):
    retriever.to_disk(tmp_path / "r")
    expected = found(retriever.retrieve(instances[:5]))
    data = retriever.to_bytes()
    settings = {"path": str(tmp_path / "db"), "k": 3}
    for again in (
        QdrantRetriever(TextEncoder(bert), "examples", **settings).from_disk(tmp_path / "r"),
        QdrantRetriever(TextEncoder(bert), "examples", **settings).from_bytes(data),
        pickle.loads(pickle.dumps(retriever)),
    ):
        assert found(again.retrieve(instances[:5])) == expected
    other = TextEncoder(str(make_bert(seed=8)))
    with pytest.raises(ValueError, match=r"\[R212\]"):
        QdrantRetriever(other, "examples", **settings).from_disk(tmp_path / "r")
    with pytest.raises(ValueError, match=r"\[R216\]"):
        QdrantRetriever(other, "examples", **settings).retrieve(instances[:1])
    (tmp_path / "r" / "store" / "database.json").unlink()
    with pytest.raises(OSError, match=r"\[R210\].*database.json"):
        QdrantRetriever(TextEncoder(bert), "examples", **settings).from_disk(tmp_path / "r")


def test_each_task_has_a_collection(retriever):
    fresh = retriever.fresh("ner")
    assert (fresh.store.collection, len(fresh), fresh.k) == ("examples-ner", 0, 3)


def test_collections_that_are_no_stores(bert, vectors, instances, tmp_path):
    from qdrant_client import models

    retriever = QdrantRetriever(TextEncoder(bert), "photos", path=str(tmp_path / "db"))
    vector = models.VectorParams(size=4, distance=models.Distance.DOT)
    retriever.store.client.create_collection("photos", vectors_config=vector)
    with pytest.raises(ValueError, match=r"\[R752\].*'photos'"):
        retriever.add(instances[:1], vectors(1))
    other = retriever.fresh("own")
    other.add(instances[:2], vectors(2))
    with pytest.raises(ValueError, match=r"\[R204\]"):
        other.add(instances[2:3], vectors(1, width=8))
    with pytest.raises(ValueError, match=r"\[R205\]"):
        other.add(instances[2:3], np.full((1, 16), np.nan))


def test_settings(bert, monkeypatch):
    make = registry.ragre_retrievers.get("ragre.QdrantRetriever.v1")
    encoder = TextEncoder(bert)
    for wrong in ({}, {"url": "http://localhost:6333", "path": "db"}):
        with pytest.raises(ValueError, match=r"\[R753\]"):
            make(encoder=encoder, collection="c", **wrong)
    with pytest.raises(ValueError, match=r"\[R754\]"):
        make(encoder=BackboneEncoder(), collection="c", path=":memory:")
    with pytest.raises(ValueError, match=r"\[R703\]"):
        make(encoder=encoder, collection="c", url="http://user:secret@host")
    with pytest.raises(ValueError, match=r"\[R704\]"):
        make(encoder=encoder, collection="c", url="http://localhost:6333", key_variable="sk-secret")
    with pytest.raises(ValueError, match=r"\[R705\].*QDRANT_KEY_MISSING"):
        len(make(encoder=encoder, collection="c", url="http://localhost:6333", key_variable="QDRANT_KEY_MISSING"))
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(ImportError, match=r"\[R750\].*spacy-ragre\[qdrant\]"):
        len(make(encoder=encoder, collection="c", path=":memory:"))


def test_a_server_that_is_not_there_or_refuses(bert, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match=rf"\[R751\].*127.0.0.1:{port}.*'c'"):
        len(QdrantRetriever(TextEncoder(bert), "c", url=f"http://127.0.0.1:{port}", timeout=2))

    seen = []

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("api-key"))
            body = b'{"status":{"error":"the key top-secret is wrong"}}'
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args): ...

    server = HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("QDRANT_TEST_KEY", "top-secret")
    address = f"http://127.0.0.1:{server.server_port}"
    retriever = QdrantRetriever(TextEncoder(bert), "c", url=address, key_variable="QDRANT_TEST_KEY")
    with pytest.warns(UserWarning, match="insecure"), pytest.raises(OSError, match=r"\[R751\]") as caught:
        len(retriever)
    server.shutdown()
    server.server_close()
    assert seen == ["top-secret"] and "top-secret" not in str(caught.value)
    assert b"top-secret" not in pickle.dumps(retriever.store)


def test_a_pipeline_finds_its_examples_in_the_database(bert, tmp_path):
    encoder = {"@ragre_encoders": "ragre.TextEncoder.v1", "name": bert}
    settings = {"collection": "rels", "path": str(tmp_path / "db"), "encoder": encoder}
    config = {
        "labels": {"founded_by": "was founded by"},
        "retriever": {"@ragre_retrievers": "ragre.QdrantRetriever.v1", **settings},
    }
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("rag_relation_extractor", config=config)
    instance = Instance("acme was founded by ann", (0, 4), (20, 23), answers=(Answer("founded_by"),), id="d")
    pipe.predictor.add_examples([instance])
    nlp.to_disk(tmp_path / "p")
    assert json.loads((tmp_path / "p" / pipe.name / "store" / "store" / "database.json").read_text())["count"] == 1
    again = spacy.load(tmp_path / "p").get_pipe(pipe.name)
    assert again.predictor.known_examples == [instance] and again.predictor.unknown([instance]) == []
    assert again.remove_examples(ids=["d"]) == 1 and len(pipe.predictor.retriever) == 0


def test_another_process_has_the_folder_open(retriever, bert, tmp_path):
    import qdrant_client

    from spacy_ragre.retrieval import qdrant

    known = dict(qdrant._embedded)
    qdrant._embedded.clear()
    try:
        with pytest.raises(OSError, match=r"\[R751\].*already accessed.*no other process"):
            len(QdrantRetriever(TextEncoder(bert), "examples", path=str(tmp_path / "db")))
    finally:
        qdrant._embedded.update(known)
    assert isinstance(retriever.store.client, qdrant_client.QdrantClient)
    assert not isinstance(retriever.store, ExampleStore)
