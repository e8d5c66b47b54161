import errno
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import srsly

from spacy_ragre import files as folders_module
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.retrieval import ExampleStore
from spacy_ragre.retrieval import indexes as indexes_module
from spacy_ragre.retrieval import searching as searching_module
from spacy_ragre.retrieval import store as store_module
from spacy_ragre.retrieval.packing import pack_instances


def examples(count, **kwargs):
    return [Instance(f"text {i}", (0, 4), (5, 6), answers=(Answer(f"l{i % 3}"),), **kwargs) for i in range(count)]


def plain(results):
    return [[(item.index, item.instance) for item in found] for found in results]


def scores(results):
    return np.array([[item.score for item in found] for found in results])


@pytest.fixture
def store(vectors):
    result = ExampleStore(fingerprint="f" * 64)
    result.add(examples(50), vectors(50))
    return result


def test_search_equals_numpy(store, vectors):
    queries = vectors(20, seed=1)
    results = store.search(queries * 7, 5)
    similarity = queries @ vectors(50).T
    expected = np.argsort(-similarity, axis=1)[:, :5]
    assert [[item.index for item in found] for found in results] == expected.tolist()
    assert np.allclose(scores(results), np.take_along_axis(similarity, expected, 1), atol=1e-5)
    assert all(item.instance is store.instances[item.index] for found in results for item in found)


def test_ties_come_in_the_order_of_addition(vectors):
    store = ExampleStore()
    keys = vectors(3)
    store.add(examples(60), keys[[i % 3 for i in range(60)]])
    for batch in (keys, keys[:1], np.repeat(keys, 30, axis=0)):
        found = store.search(batch, 4)[0]
        assert [item.index for item in found] == [0, 3, 6, 9]


def test_empty_store_and_k_larger_than_the_store(store, vectors):
    assert ExampleStore().search(vectors(2), 3) == [[], []]
    assert len(ExampleStore()) == 0 and ExampleStore().width is None
    assert [len(found) for found in store.search(vectors(2), 999)] == [50, 50]
    assert store.search(vectors(2), 0) == [[], []]
    assert store.search(np.zeros((0, 16)), 3) == []
    store.add([], np.zeros((0, 16)))
    assert len(store) == 50


def test_never_finds_the_query_itself_or_its_duplicates(vectors):
    keys = vectors(40)
    texts = ["Same  TEXT" if i < 12 else f"text {i}" for i in range(40)]
    ids = ["d1" if 10 <= i < 20 else "" for i in range(40)]
    instances = [Instance(text, (0, 1), (1, 2), id=id) for text, id in zip(texts, ids, strict=True)]
    store = ExampleStore()
    store.add(instances, keys)

    duplicate = Instance("same text ", (0, 1), (1, 2))
    same_id = Instance("another text", (0, 1), (1, 2), id="d1")
    both = Instance("same text", (0, 1), (1, 2), id="d1")
    neither = Instance("another text", (0, 1), (1, 2))
    queries = [duplicate, same_id, both, neither]
    # Each query's key is that of an example it must not get.
    results = store.search(keys[[0, 11, 10, 0]], 15, queries)
    allowed = [set(range(12, 40)), {*range(10), *range(20, 40)}, set(range(20, 40)), set(range(40))]
    for found, candidates in zip(results, allowed, strict=True):
        assert len(found) == 15 and {item.index for item in found} <= candidates
        assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert results[3][0].index == 0
    # Fewer come back where nothing else is left.
    assert len(store.search(keys[:1], 40, [both])[0]) == 20


def test_leak_free_search_is_exact(store, vectors):
    keys = vectors(50)
    similarity = keys @ keys.T
    np.fill_diagonal(similarity, -2)
    found = store.search(keys, 3, store.instances)
    assert [[item.index for item in row] for row in found] == np.argsort(-similarity, axis=1)[:, :3].tolist()


def test_large_searches_are_cut(store, vectors, monkeypatch):
    expected = plain(store.search(vectors(30, seed=2), 5))
    monkeypatch.setattr(searching_module, "_MAX_RESULTS", 20)
    assert plain(store.search(vectors(30, seed=2), 5)) == expected


def test_examples_are_added_at_run_time(vectors):
    keys = vectors(30)
    whole, grown = ExampleStore(), ExampleStore()
    whole.add(examples(30), keys)
    for i, example in enumerate(examples(30)):
        grown.add([example], keys[i : i + 1])
    queries = vectors(5, seed=3)
    assert plain(grown.search(queries, 4)) == plain(whole.search(queries, 4))


@pytest.mark.parametrize(
    "keys, expected",
    [
        (np.ones((2, 15)), r"\(2, 15\).*\(2, 16\)"),
        (np.ones((3, 16)), r"\(3, 16\).*\(2, 16\)"),
        (np.ones(16), r"\(16,\)"),
        (np.ones((2, 0)), r"\(2, 0\)"),
    ],
)
def test_keys_of_another_shape(store, keys, expected):
    with pytest.raises(ValueError, match=r"\[R204\].*" + expected):
        store.add(examples(2), keys)
    assert len(store) == 50
    with pytest.raises(ValueError, match=r"\[R204\]"):
        store.search(keys, 1, examples(2))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_keys_that_are_not_finite(store, vectors, value):
    keys = vectors(3)
    keys[1, 2] = value
    with pytest.raises(ValueError, match=r"\[R205\] 1 of 3 keys.*row 1"):
        store.add(examples(3), keys)
    with pytest.raises(ValueError, match=r"\[R205\]"):
        store.search(keys, 1)
    assert len(store) == 50


def test_key_of_length_zero_is_found_last(vectors):
    store = ExampleStore()
    keys = np.abs(vectors(3))
    keys[1] = 0
    store.add(examples(3), keys)
    assert store.search(np.abs(vectors(1, seed=4)), 3)[0][-1].index == 1


def test_wrong_kind():
    with pytest.raises(ValueError, match=r"\[R202\] Setting index='annoy'"):
        ExampleStore("annoy")


def agreement(store, exact, queries, k=10):
    pairs = zip(store.search(queries, k), exact.search(queries, k), strict=True)
    return np.mean([len({a.index for a in found} & {b.index for b in best}) / k for found, best in pairs])


def test_hnsw_agrees_with_flat(vectors, tmp_path):
    keys = vectors(2000)
    exact, store = ExampleStore(), ExampleStore("hnsw")
    exact.add(examples(2000), keys)
    store.add(examples(1500), keys[:1500])
    store.add(examples(2000)[1500:], keys[1500:])
    queries = vectors(50, seed=1)
    assert agreement(store, exact, queries) > 0.95
    assert all(len(found) == 10 for found in store.search(keys[:50], 10, store.instances[:50]))
    store.to_disk(tmp_path / "store")
    loaded = ExampleStore().from_disk(tmp_path / "store")
    assert loaded.kind == "hnsw" and plain(loaded.search(queries, 10)) == plain(store.search(queries, 10))


@pytest.fixture
def small_ivfpq(monkeypatch):
    # 16 centroids in place of 256, so that the test trains in a moment.
    monkeypatch.setattr(indexes_module, "PQ_BITS", 4)
    monkeypatch.setattr(indexes_module, "PQ_LEAST", 39 * 16)


def test_ivfpq_agrees_with_flat(vectors, tmp_path, small_ivfpq):
    # Keys in clusters, as those of texts are.
    rng = np.random.default_rng(0)
    keys = vectors(40)[rng.integers(0, 40, 2000)] + 0.05 * rng.normal(size=(2000, 16)).astype("float32")
    exact, store = ExampleStore(), ExampleStore("ivfpq")
    exact.add(examples(2000), keys)
    store.add(examples(2000), keys)
    queries = keys[:50] + 0.01
    assert agreement(store, exact, queries, k=30) > 0.5
    assert all(len(found) == 10 for found in store.search(keys[:50], 10, store.instances[:50]))
    assert len(store.search(keys[:1], 2000)[0]) == 2000
    store.to_disk(tmp_path / "store")
    loaded = ExampleStore().from_disk(tmp_path / "store")
    assert plain(loaded.search(queries, 10)) == plain(store.search(queries, 10))


def test_ivfpq_is_flat_until_it_can_be_trained(vectors, small_ivfpq):
    import faiss

    keys = vectors(1000)
    store = ExampleStore("ivfpq")
    with pytest.warns(UserWarning, match=r"\[W201\].*624.*100") as caught:
        store.add(examples(100), keys[:100])
        store.add(examples(200)[100:], keys[100:200])
    assert len([item for item in caught if "W201" in str(item.message)]) == 1
    assert isinstance(store._index, faiss.IndexFlat)
    assert store.search(keys[:1], 1)[0][0].index == 0
    store.add(examples(1000)[200:], keys[200:])
    assert isinstance(store._index, faiss.IndexIVFPQ) and store._index.ntotal == len(store) == 1000


# saving and loading


def test_saved_store_gives_the_same_results(store, vectors, tmp_path):
    store.add(
        [
            Instance("ünï 🙂", (0, 3), (4, 5), "A", "B", (), "d"),
            Instance("x", (0, 1), (0, 1), answers=None),
            Instance("x", (0, 1), (0, 1), answers=(Answer("a", True), Answer("b"))),
        ],
        vectors(3, seed=9),
    )
    store.to_disk(tmp_path / "store")
    loaded = ExampleStore().from_disk(tmp_path / "store", fingerprint="f" * 64)
    from_bytes = ExampleStore("hnsw").from_bytes(store.to_bytes(), fingerprint="f" * 64)
    queries = vectors(10, seed=5)
    for other in (loaded, from_bytes, pickle.loads(pickle.dumps(store))):
        assert other.instances == store.instances and other.kind == "flat" and other.fingerprint == "f" * 64
        assert other.search(queries, 7) == store.search(queries, 7)
        assert other.search(queries[:3], 7, store.instances[:3]) == store.search(queries[:3], 7, store.instances[:3])
        other.add(examples(1), vectors(1, seed=6))
        assert len(other) == 54
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [
        "examples.msgpack",
        "index.faiss",
        "meta.json",
    ]


def test_empty_store_is_saved(tmp_path, vectors):
    ExampleStore("hnsw").to_disk(tmp_path / "store")
    loaded = ExampleStore().from_disk(tmp_path / "store", fingerprint="any")
    assert len(loaded) == 0 and loaded.kind == "hnsw" and loaded.search(vectors(1), 1) == [[]]
    assert len(ExampleStore().from_bytes(ExampleStore().to_bytes())) == 0


def test_text_shared_by_pairs_is_saved_once(tmp_path, vectors):
    store = ExampleStore()
    store.add([Instance("long text " * 1000, (0, 1), (i, i + 1)) for i in range(50)], vectors(50))
    store.to_disk(tmp_path / "store")
    assert (tmp_path / "store" / "examples.msgpack").stat().st_size < 15_000
    assert ExampleStore().from_disk(tmp_path / "store").instances == store.instances


def test_saving_replaces_an_older_store(store, tmp_path):
    folder = tmp_path / "new" / "store"
    ExampleStore().to_disk(folder)
    store.to_disk(folder)
    store.to_disk(str(folder))
    assert len(ExampleStore().from_disk(folder)) == 50
    assert [path.name for path in folder.parent.iterdir()] == ["store"]


@pytest.mark.parametrize("missing", ["", "index.faiss", "examples.msgpack", "meta.json"])
def test_missing_folder_or_file(store, tmp_path, missing):
    if missing:
        store.to_disk(tmp_path / "store")
        (tmp_path / "store" / missing).unlink()
    with pytest.raises(OSError, match=r"\[R210\].*" + (missing or "store")):
        ExampleStore().from_disk(tmp_path / "store")


@pytest.mark.parametrize("name", ["index.faiss", "examples.msgpack", "meta.json"])
@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_truncated_file(store, tmp_path, name, part):
    store.to_disk(tmp_path / "store")
    path = tmp_path / "store" / name
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    other = ExampleStore(fingerprint="own")
    with pytest.raises(ValueError, match=r"\[R211\].*" + name):
        other.from_disk(tmp_path / "store")
    assert len(other) == 0 and other.fingerprint == "own"


def edit_meta(folder, **values):
    path = folder / "meta.json"
    meta = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: value for key, value in meta.items() if value != "drop"}))


@pytest.mark.parametrize("values", [{"version": "drop"}, {"sha256": "drop"}, {"count": 51}], ids=str)
def test_meta_that_does_not_fit(store, tmp_path, values):
    store.to_disk(tmp_path / "store")
    edit_meta(tmp_path / "store", **values)
    with pytest.raises(ValueError, match=r"\[R211\].*store"):
        ExampleStore().from_disk(tmp_path / "store")


def test_another_encoder(store, tmp_path):
    store.to_disk(tmp_path / "store")
    with pytest.raises(ValueError, match=r"\[R212\].*meta\.json.*ffffffffffff.*eeeeeeeeeeee"):
        ExampleStore().from_disk(tmp_path / "store", fingerprint="e" * 64)
    with pytest.raises(ValueError, match=r"\[R212\]"):
        ExampleStore().from_bytes(store.to_bytes(), fingerprint="e" * 64)
    assert len(ExampleStore().from_disk(tmp_path / "store")) == 50


def test_another_version(store, tmp_path):
    store.to_disk(tmp_path / "store")
    edit_meta(tmp_path / "store", version=99)
    with pytest.raises(ValueError, match=r"\[R213\].*meta\.json.*99.*1"):
        ExampleStore().from_disk(tmp_path / "store")


def test_damaged_bytes(store):
    import srsly

    data = store.to_bytes()
    files = srsly.msgpack_loads(data)
    for bad in (
        b"",
        b"nonsense",
        data[:-10],
        srsly.msgpack_dumps([1]),
        srsly.msgpack_dumps({"meta.json": b"{}"}),
        srsly.msgpack_dumps({**files, "index.faiss": files["index.faiss"][:-1]}),
        srsly.msgpack_dumps({**files, "examples.msgpack": b""}),
    ):
        with pytest.raises(ValueError, match=r"\[R211\]"):
            ExampleStore().from_bytes(bad)


def test_folder_with_other_things_is_not_replaced(store, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("home", "file"):
        with pytest.raises(ValueError, match=r"\[R215\].*" + name):
            store.to_disk(tmp_path / name)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"
    assert {path.name for path in tmp_path.iterdir()} == {"home", "file"}


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("place", ["mkdir", "index", "examples", "meta", "sync", "rename"])
def test_failed_write_changes_nothing(store, tmp_path, monkeypatch, place, older):
    folder = tmp_path / "store"
    if older:
        older_store = ExampleStore()
        older_store.add(examples(1), np.ones((1, 4)))
        older_store.to_disk(folder)
    with monkeypatch.context() as patch:
        if place == "mkdir":
            patch.setattr(folders_module.Path, "mkdir", full_disk)
        elif place == "index":
            patch.setattr(store, "_dump", full_disk)
        elif place == "examples":
            patch.setattr(store_module, "pack_instances", full_disk)
        elif place == "meta":
            patch.setattr(store_module.Path, "write_text", full_disk)
        elif place == "sync":
            patch.setattr(folders_module, "_sync", full_disk)
        else:
            replace = os.replace
            patch.setattr(
                folders_module.os,
                "replace",
                lambda source, target: full_disk() if str(source).endswith(".tmp") else replace(source, target),
            )
        with pytest.raises(OSError, match=r"\[R214\].*store.*No space left"):
            store.to_disk(folder)
    assert [path.name for path in tmp_path.iterdir()] == (["store"] if older else [])
    if older:
        assert len(ExampleStore().from_disk(folder)) == 1
    store.to_disk(folder)
    assert len(ExampleStore().from_disk(folder)) == 50


def test_full_disk_while_faiss_writes(store, tmp_path):
    with pytest.raises(OSError, match="No space left"):
        store._dump("index.faiss", full_disk)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is always full")
def test_device_that_is_full(store):
    with pytest.raises(OSError, match="No space left"), open("/dev/full", "wb") as file:
        store._dump("index.faiss", file.write)


def test_folder_that_cannot_be_made(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"\[R214\]"):
        store.to_disk(tmp_path / "file" / "store")


def test_process_killed_between_the_renames(store, tmp_path):
    store.to_disk(tmp_path / "store")
    os.replace(tmp_path / "store", tmp_path / ".store.old")
    assert len(ExampleStore().from_disk(tmp_path / "store")) == 50
    store.to_disk(tmp_path / "store")
    store.to_disk(tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_interrupted_write_leaves_nothing(store, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(store_module, "pack_instances", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.to_disk(tmp_path / "store")
    assert not list(tmp_path.iterdir())


# Keys of an encoder that is trained


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_preselect_finds_what_search_finds(vectors, kind):
    store = ExampleStore(kind)
    store.add(examples(60), vectors(60))
    queries = [Instance(f"TEXT  {i}", (0, 4), (5, 6)) for i in range(6)]
    keys = vectors(60)[:6]
    positions, allowed = store.preselect(keys, 8, queries)
    assert positions.shape == allowed.shape == (6, 8) and allowed.all()
    found = [[item.index for item in row] for row in store.search(keys, 8, queries)]
    assert positions.tolist() == found
    assert not any(i in row for i, row in enumerate(positions.tolist()))


def test_preselect_marks_what_a_query_may_not_use(vectors):
    store = ExampleStore()
    store.add(examples(4), vectors(4))
    positions, allowed = store.preselect(vectors(1), 9, [Instance("text 2", (0, 4), (5, 6))])
    assert positions.shape == (1, 4) and sorted(positions[0].tolist()) == [0, 1, 2, 3]
    assert positions[0][~allowed[0]].tolist() == [2] and not allowed[0, -1]


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
@pytest.mark.parametrize("count", [3, 50])
def test_replaced_keys_are_found(vectors, kind, count):
    store = ExampleStore(kind)
    store.add(examples(50), vectors(50))
    positions = np.arange(count)[::-1]
    new = vectors(count, seed=5)
    store.replace_keys(positions, 3 * new)
    expected = vectors(50)
    expected[positions] = new
    np.testing.assert_allclose(store.keys_of(np.arange(50)), expected, atol=1e-6)
    queries = vectors(5, seed=9)
    if kind == "flat" or count == 50:
        best = (queries @ expected.T).argmax(1)
        assert [row[0].index for row in store.search(queries, 1)] == best.tolist()
    again = ExampleStore().from_bytes(store.to_bytes())
    np.testing.assert_array_equal(again.keys_of(np.arange(50)), store.keys_of(np.arange(50)))


def test_replaced_keys_are_checked(store, vectors):
    with pytest.raises(ValueError, match="R204"):
        store.replace_keys(np.arange(3), vectors(2))
    keys = vectors(1)
    keys[0, 0] = np.nan
    with pytest.raises(ValueError, match="R205"):
        store.replace_keys(np.arange(1), keys)
    with pytest.raises(ValueError, match="R205"):
        store.preselect(keys, 1, examples(1))


def test_labels_that_were_looked_for_are_saved(vectors, tmp_path):
    store = ExampleStore()
    sets = [None, frozenset(["b", "a"]), frozenset(), frozenset(["a", "b"])]
    instances = [
        Instance("text", (0, 1), (i, i + 1), answers=(), annotated=labels, response="r" * (i == 3))
        for i, labels in enumerate(sets)
    ]
    store.add(instances, vectors(4))
    store.to_disk(tmp_path / "store")
    assert ExampleStore().from_disk(tmp_path / "store").instances == instances
    # What has none is saved as before.
    plain = srsly.msgpack_loads(pack_instances(instances[:1]))
    assert set(plain) == {"texts", "examples"} and len(plain["examples"][0]) == 9
