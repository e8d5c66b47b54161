"""Stores whose keys, index and examples are files that are mapped into memory."""

import json
import os
import pickle
import shutil
import threading

import numpy as np
import pytest
import srsly

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.retrieval import ExampleStore, MappedStore, Retriever, TextEncoder, open_store, read_examples
from spacy_ragre.retrieval import indexes as indexes_module
from spacy_ragre.retrieval import mapped_files as files_module

KINDS = ("flat", "hnsw", "ivfpq")
COUNT = 800


@pytest.fixture(autouse=True)
def small_ivfpq(monkeypatch):
    # 16 centroids in place of 256, so that a test trains in a moment.
    monkeypatch.setattr(indexes_module, "PQ_BITS", 4)
    monkeypatch.setattr(indexes_module, "PQ_LEAST", 300)


def examples(count, first=0):
    return [
        Instance(f"text {i}", (0, 4), (5, 6), "A", "B", (Answer(f"l{i % 3}", i % 2 == 0),), f"d{i // 2}")
        for i in range(first, first + count)
    ]


@pytest.fixture
def clustered(vectors):
    def make(count, seed=0):
        rng = np.random.default_rng(seed)
        return vectors(40)[rng.integers(0, 40, count)] + 0.1 * rng.normal(size=(count, 16)).astype("float32")

    return make


@pytest.fixture
def keys(clustered):
    return clustered(COUNT)


def chunks(instances, keys, size=97):
    return ((instances[i : i + size], keys[i : i + size]) for i in range(0, len(instances), size))


@pytest.fixture
def build(tmp_path, keys):
    def make(kind, folder="store"):
        count = MappedStore.build(tmp_path / folder, kind, chunks(examples(COUNT), keys), fingerprint="f" * 64)
        assert count == COUNT
        return open_store(tmp_path / folder, fingerprint="f" * 64)

    return make


@pytest.fixture
def exact(keys):
    store = ExampleStore()
    store.add(examples(COUNT), keys)
    return store


def found(results):
    return [[(item.instance, round(item.score, 3)) for item in row] for row in results]


def recall(store, exact, queries, k=10):
    pairs = zip(store.search(queries, k), exact.search(queries, k), strict=True)
    return np.mean([len({a.instance for a in own} & {b.instance for b in best}) / k for own, best in pairs])


@pytest.mark.parametrize("kind", KINDS)
def test_finds_what_a_store_in_memory_finds(build, exact, keys, kind):
    store = build(kind)
    assert isinstance(store, MappedStore) and (len(store), store.width, store.kind) == (COUNT, 16, kind)
    assert list(store.instances) == exact.instances and store.instances[3:5] == exact.instances[3:5]
    queries = keys[:60] + 0.01
    assert recall(store, exact, queries) > (0.95 if kind != "flat" else 0.999)
    if kind == "flat":
        own, expected = (one.search(queries, 10, exact.instances[:60]) for one in (store, exact))
        assert [[item.index for item in row] for row in own] == [[item.index for item in row] for row in expected]
    scores = [item.score for item in store.search(queries[:1], 10)[0]]
    assert scores == sorted(scores, reverse=True)
    # Scores are cosines of the keys themselves, whatever the codes say.
    best = store.search(keys[:20], 1)
    assert np.allclose([row[0].score for row in best], 1, atol=1e-3)
    assert len(store.search(keys[:1], 2 * COUNT)[0]) == COUNT
    assert store.search(keys[:2], 0) == [[], []]


@pytest.mark.parametrize("kind", KINDS)
def test_never_finds_the_query_itself_or_its_document(build, keys, kind):
    store = build(kind)
    same_text = Instance("TEXT   7", (0, 4), (5, 6))
    same_id = Instance("else", (0, 4), (5, 6), id="d3")
    for query, gone in ((same_text, {"text 7"}), (same_id, {"text 6", "text 7"})):
        (row,) = store.search(keys[7:8], 30, [query])
        assert len(row) == 30 and not gone & {item.instance.text for item in row}
    store.add([Instance("text  7", (0, 4), (5, 6)), Instance("new", (0, 3), (0, 3), id="d3")], keys[[7, 7]])
    assert store.search(keys[7:8], 3, [same_text])[0][0].instance.text == "new"
    assert not {"new", "text 7"} & {item.instance.text for item in store.search(keys[7:8], 20, [same_id])[0][1:]}


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_added_and_removed_while_it_serves(build, keys, clustered, kind, tmp_path):
    store = build(kind)
    new = clustered(30, seed=5)
    store.add(examples(30, first=COUNT), new)
    assert len(store) == COUNT + 30
    assert [row[0].instance.text for row in store.search(new, 1)] == [f"text {COUNT + i}" for i in range(30)]
    assert store.remove(ids=["d0", f"d{COUNT // 2}", "never seen", ""], texts=["TEXT 9"]) == 5
    assert store.remove(texts=["text 9"]) == 0
    gone = {"text 0", "text 1", "text 9", f"text {COUNT}", f"text {COUNT + 1}"}
    left = [instance for instance in examples(COUNT + 30) if instance.text not in gone]

    def check(other):
        assert len(other) == COUNT + 25 and list(other.instances) == left
        rows = other.search(np.concatenate([keys[[0, 1, 9]], new[:2]]), 20)
        assert not gone & {item.instance.text for row in rows for item in row} and all(len(row) == 20 for row in rows)

    check(store)
    expected = found(store.search(new, 5, left[:30]))
    store.to_disk(tmp_path / "store")
    again = open_store(tmp_path / "store")
    for other in (again, pickle.loads(pickle.dumps(store)), MappedStore().from_bytes(store.to_bytes())):
        check(other)
        assert found(other.search(new, 5, left[:30])) == expected
    assert (tmp_path / "store" / "added").is_dir() and (tmp_path / "store" / "removed.bin").is_file()
    # What was removed once can be added again.
    again.add(examples(1), keys[:1])
    assert again.search(keys[:1], 1)[0][0].instance.text == "text 0"


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_made_anew_once_what_changed_is_as_much_as_they_hold(build, keys, kind, tmp_path):
    store = build(kind)
    assert store.remove(ids=[f"d{i}" for i in range(250)]) == 500
    assert len(store.search(keys[:1], COUNT)[0]) == 300
    store.to_disk(tmp_path / "store")
    meta = json.loads((tmp_path / "store" / "meta.json").read_text())
    assert meta["total"] == meta["count"] == 300 and not (tmp_path / "store" / "removed.bin").exists()
    again = open_store(tmp_path / "store")
    assert list(again.instances) == examples(COUNT)[500:]
    again.add(examples(400, first=COUNT), np.flip(keys[:400], axis=1).copy())
    again.to_disk(tmp_path / "store")
    assert json.loads((tmp_path / "store" / "meta.json").read_text())["total"] == 700


@pytest.mark.filterwarnings("ignore:.W201")
@pytest.mark.parametrize("kind", KINDS)
def test_small_and_empty_stores(kind, vectors, tmp_path):
    assert MappedStore.build(tmp_path / "none", kind, [], fingerprint="f") == 0
    store = open_store(tmp_path / "none", fingerprint="another")
    assert len(store) == 0 and store.width is None and store.search(vectors(1), 3) == [[]]
    assert list(store.instances) == [] and store.remove(ids=["d"]) == 0
    store.add([Instance("a b", (0, 1), (2, 3))], vectors(1))
    store.to_disk(tmp_path / "one")
    (row,) = open_store(tmp_path / "one").search(vectors(1), 3)
    assert [item.instance.text for item in row] == ["a b"]
    everything = open_store(tmp_path / "one")
    assert everything.remove(texts=["A  b"]) == 1 and everything.search(vectors(1), 3) == [[]]
    everything.to_disk(tmp_path / "one")
    assert len(open_store(tmp_path / "one")) == 0


def test_too_few_keys_for_ivfpq_are_all_compared(vectors, tmp_path):
    with pytest.warns(UserWarning, match=r"\[W201\].*300.*50"):
        MappedStore.build(tmp_path / "s", "ivfpq", [(examples(50), vectors(50))], fingerprint="f")
    assert open_store(tmp_path / "s").search(vectors(50), 1)[49][0].index == 49


def test_a_store_that_was_replaced_goes_on_serving(build, keys, tmp_path):
    store = build("hnsw")
    before = found(store.search(keys[:20], 5))
    build("hnsw", "other").to_disk(tmp_path / "store")
    shutil.rmtree(tmp_path / "other")
    assert found(store.search(keys[:20], 5)) == before
    store.to_disk(tmp_path / "store")
    assert found(open_store(tmp_path / "store").search(keys[:20], 5)) == before


def test_keys_that_do_not_fit(build, keys):
    store = build("flat")
    with pytest.raises(ValueError, match=r"\[R204\]"):
        store.search(keys[:2, :8], 1)
    with pytest.raises(ValueError, match=r"\[R204\]"):
        store.add(examples(2), keys[:2, :8])
    with pytest.raises(ValueError, match=r"\[R205\]"):
        store.add(examples(1), np.full((1, 16), np.nan))
    assert len(store) == COUNT


@pytest.mark.parametrize("name", ["keys.bin", "index.faiss", "examples.bin", "offsets.bin", "texts.bin", "ids.bin"])
def test_damaged_and_missing_files(build, tmp_path, name):
    build("hnsw")
    path = tmp_path / "store" / name
    data = path.read_bytes()
    for bad in (data[:-1], data[:-1] + bytes([data[-1] ^ 1]), b""):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=rf"\[R211\].*{name}"):
            open_store(tmp_path / "store")
    path.unlink()
    with pytest.raises(OSError, match=rf"\[R210\].*{name}"):
        open_store(tmp_path / "store")


def test_damaged_changes_meta_and_bytes(build, tmp_path, vectors):
    store = build("flat")
    store.add(examples(1, first=COUNT), vectors(1))
    store.remove(texts=["text 1"])
    store.to_disk(tmp_path / "store")
    for name in ("removed.bin", "added/meta.json", "added/index.faiss", "meta.json"):
        shutil.copytree(tmp_path / "store", tmp_path / "copy")
        path = tmp_path / "copy" / name
        path.write_bytes(path.read_bytes()[:-2])
        with pytest.raises(ValueError, match=r"\[R211\]"):
            open_store(tmp_path / "copy")
        shutil.rmtree(tmp_path / "copy")
    meta = tmp_path / "store" / "meta.json"
    good = json.loads(meta.read_text())
    for values in ({"total": 999}, {"count": 5}, {"width": 8}):
        meta.write_text(json.dumps({**good, **values}))
        with pytest.raises(ValueError, match=r"\[R211\]"):
            open_store(tmp_path / "store")
    meta.write_text(json.dumps({key: value for key, value in good.items() if key != "half"}))
    with pytest.raises(ValueError, match=r"\[R211\].*half"):
        open_store(tmp_path / "store")
    files = srsly.msgpack_loads(store.to_bytes())
    with pytest.raises(ValueError, match=r"\[R211\].*odd"):
        MappedStore().from_bytes(srsly.msgpack_dumps({**files, "added/../../x": b""}))
    with pytest.raises(ValueError, match=r"\[R212\]"):
        MappedStore().from_bytes(store.to_bytes(), fingerprint="e" * 64)


@pytest.mark.parametrize("place", ["write_index", "pack_instances", "write_meta"])
def test_a_full_disk_changes_nothing(build, tmp_path, monkeypatch, place):
    store = build("hnsw")
    store.remove(ids=[f"d{i}" for i in range(250)])

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files_module, place, full)
        with pytest.raises(OSError, match=r"\[R214\].*No space left"):
            store.to_disk(tmp_path / "store")
    assert os.listdir(tmp_path) == ["store"] and len(open_store(tmp_path / "store")) == COUNT
    store.to_disk(tmp_path / "store")
    assert len(open_store(tmp_path / "store")) == 300


def test_no_more_than_a_chunk_of_keys_is_asked_for_at_once(tmp_path, keys, monkeypatch):
    monkeypatch.setattr(indexes_module, "_BLOCK", 100)
    monkeypatch.setattr(indexes_module, "PQ_TRAINING", 624)
    alive = []

    def stream():
        for start in range(0, COUNT, 50):
            alive.append(start)
            yield examples(50, first=start), keys[start : start + 50]
            # Nothing of the chunk is kept, so that it can be overwritten.
            keys[start : start + 50] = 0

    before = keys.copy()
    MappedStore.build(tmp_path / "s", "ivfpq", stream(), fingerprint="f")
    store = open_store(tmp_path / "s")
    best = store.search(before[::50], 1)
    assert len(alive) == 16 and [row[0].index for row in best] == list(range(0, COUNT, 50))


# Retrievers


@pytest.mark.filterwarnings("ignore:.W201")
@pytest.mark.parametrize("kind", KINDS)
def test_retriever_with_a_mapped_store(bert, instances, tmp_path, kind):
    retriever = Retriever(TextEncoder(bert), k=3, index=kind, mapped=True)
    assert retriever.build(tmp_path / "r", [instances[:25], instances[25:]]) == 60 and len(retriever) == 0
    retriever.from_disk(tmp_path / "r")
    plain = Retriever(TextEncoder(bert), k=3)
    plain.add(instances)
    rows, expected = ([[item.score for item in row] for row in r.retrieve(instances)] for r in (retriever, plain))
    assert np.allclose(rows, expected, atol=2e-3)
    retriever.to_disk(tmp_path / "r")
    loaded = Retriever(TextEncoder(bert)).from_bytes(retriever.to_bytes())
    assert isinstance(loaded.store, MappedStore) and read_examples(tmp_path / "r") == instances
    assert retriever.remove(ids=["d3"]) == 1 and len(retriever) == 59
    assert (fresh := retriever.fresh()).mapped and fresh.store.kind == kind and not len(fresh)
    retriever.clear()
    assert isinstance(retriever.store, MappedStore) and not len(retriever)


def test_retriever_refuses_a_mapped_store_of_another_encoder(bert, make_bert, instances, tmp_path):
    Retriever(TextEncoder(bert), index="hnsw", mapped=True).build(tmp_path / "r", [instances])
    with pytest.raises(ValueError, match=r"\[R212\]"):
        Retriever(TextEncoder(str(make_bert(seed=8))), mapped=True).from_disk(tmp_path / "r")


def test_threads_add_remove_and_retrieve(bert, instances, vectors, tmp_path):
    retriever = Retriever(TextEncoder(bert), k=3, index="hnsw", mapped=True)
    retriever.build(tmp_path / "r", [instances])
    retriever.from_disk(tmp_path / "r")
    query = retriever.query_keys(instances[:8])
    problems = []

    def serve():
        try:
            for _ in range(40):
                for row in retriever.retrieve(instances[:8], keys=query):
                    assert len(row) == 3 and all(item.instance.id for item in row)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(40):
        retriever.add([Instance(f"new {i}", (0, 3), (4, 5), id=f"n{i}")], query[:1])
        retriever.remove(ids=[f"n{i - 1}", f"d{20 + i // 2}"])
    for thread in threads:
        thread.join()
    assert not problems and len(retriever) == 60 - 20 + 1


# In memory


@pytest.mark.parametrize("kind", KINDS)
def test_examples_of_a_store_in_memory_are_removed(keys, clustered, kind):
    store = ExampleStore(kind)
    store.add(examples(COUNT), keys)
    assert store.remove(ids=[f"d{i}" for i in range(0, 100)], texts=["Text  799", "never seen"]) == 201
    left = examples(COUNT)[200:799]
    assert len(store) == 599 and store.instances == left
    fresh = ExampleStore()
    fresh.add(left, keys[200:799])
    assert recall(store, fresh, keys[:30], k=30) > (0.4 if kind == "ivfpq" else 0.95)
    (row,) = store.search(keys[300:301], 599, [left[100]])
    assert len(row) == 597 and {item.instance for item in row} <= set(left)
    store.add(examples(1), keys[:1])
    assert store.remove(ids=[f"d{i}" for i in range(COUNT)]) == 600
    assert len(store) == 0 and store.search(keys[:1], 1) == [[]]
    store.add(examples(2), np.ones((2, 4)))
    assert store.width == 4
