import math

import numpy as np
import pytest
import srsly

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.registry import registry
from spacy_ragre.retrieval import Neighbour, Retriever, TextEncoder, evidence, neighbour_distribution


@pytest.fixture
def retriever(bert, instances):
    result = Retriever(TextEncoder(bert), k=3)
    result.add(instances)
    return result


def tuned_encoder(bert, make_bert):
    return TextEncoder(bert).with_model(TextEncoder(str(make_bert(seed=8))).model, text="marked")


def test_retrieve(retriever, instances):
    results = retriever.retrieve(instances)
    assert len(retriever) == 60
    for query, found in zip(instances, results, strict=True):
        assert len(found) == 3 and query.text not in [item.instance.text for item in found]
    assert [found[0].instance for found in retriever.retrieve(instances, k=1, leak_free=False)] == instances
    one_by_one = [retriever.retrieve([query])[0] for query in instances]
    assert [[item.index for item in found] for found in one_by_one] == [
        [item.index for item in found] for found in results
    ]


def test_nothing_to_find_or_to_look_for(bert, retriever, instances):
    empty = Retriever(TextEncoder("never loaded"))
    assert empty.retrieve(instances[:2]) == [[], []]
    empty.add([])
    assert len(empty) == 0 and retriever.retrieve([]) == []


def test_examples_at_run_time(retriever, make_instance):
    query = make_instance("acme", "founded", "ann")
    new = make_instance("acme", "founded", "ann , ann", "founded_by")
    before = retriever.retrieve([query])[0]
    retriever.add([new])
    found = retriever.retrieve([query], k=61)[0]
    assert new in [item.instance for item in found] and new not in [item.instance for item in before]


def test_keys_from_elsewhere(instances, vectors):
    class Elsewhere:
        width = 8
        fingerprint = "elsewhere"

        def encode_queries(self, instances):
            raise AssertionError("keys were given")

        encode_examples = encode_queries

        def to_disk(self, path): ...

        def from_disk(self, path): ...

    retriever = Retriever(Elsewhere(), k=1)
    keys = vectors(60, width=8)
    retriever.add(instances, keys)
    found = retriever.retrieve(instances, keys=keys, leak_free=False)
    assert [item.index for (item,) in found] == list(range(60))
    for leak_free in (True, False):
        with pytest.raises(ValueError, match=r"\[R204\]"):
            retriever.retrieve(instances[:2], keys=keys, leak_free=leak_free)
    loaded = Retriever(Elsewhere(), k=1).from_bytes(retriever.to_bytes())
    assert loaded.retrieve(instances, keys=keys) == retriever.retrieve(instances, keys=keys)


def test_registered_retriever(bert):
    make = registry.ragre_retrievers.get("ragre.Retriever.v1")
    encoder = TextEncoder(bert)
    retriever = make(encoder=encoder)
    assert (retriever.encoder, retriever.k, retriever.store.kind) == (encoder, 8, "flat")
    assert make(encoder=encoder, k=2, index="hnsw").store.kind == "hnsw"
    with pytest.raises(ValueError, match=r"\[R202\] Setting k=0"):
        make(encoder=encoder, k=0)
    with pytest.raises(ValueError, match=r"\[R202\] Setting index"):
        make(encoder=encoder, index="none")


def test_config_names_every_choice(bert):
    config = {
        "retriever": {
            "@ragre_retrievers": "ragre.Retriever.v1",
            "k": 4,
            "encoder": {"@ragre_encoders": "ragre.TextEncoder.v1", "name": bert, "text": "marked"},
        }
    }
    retriever = registry.resolve(config)["retriever"]
    assert retriever.k == 4 and retriever.encoder.text == "marked" and retriever.encoder._model is None


def test_saved_retriever_gives_the_same_results(retriever, bert, instances, tmp_path):
    expected = retriever.retrieve(instances)
    retriever.to_disk(tmp_path / "retriever")
    retriever.to_disk(tmp_path / "retriever")
    assert [path.name for path in (tmp_path / "retriever").iterdir()] == ["store"]
    assert Retriever(TextEncoder(bert), k=3).from_disk(tmp_path / "retriever").retrieve(instances) == expected
    assert Retriever(TextEncoder(bert), k=3).from_bytes(retriever.to_bytes()).retrieve(instances) == expected


def test_tuned_weights_are_saved_with_the_store(bert, make_bert, instances, tmp_path):
    retriever = Retriever(tuned_encoder(bert, make_bert), k=3)
    retriever.add(instances)
    expected = retriever.retrieve(instances)
    retriever.to_disk(tmp_path / "retriever")
    for loaded in (
        Retriever(TextEncoder(bert), k=3).from_disk(tmp_path / "retriever"),
        Retriever(TextEncoder(bert), k=3).from_bytes(retriever.to_bytes()),
    ):
        assert loaded.encoder.text == "marked" and loaded.retrieve(instances) == expected


def test_another_encoder_is_refused(retriever, bert, tmp_path):
    retriever.to_disk(tmp_path / "retriever")
    with pytest.raises(ValueError, match=r"\[R212\].*meta\.json"):
        Retriever(TextEncoder(bert, pooling="cls")).from_disk(tmp_path / "retriever")
    with pytest.raises(OSError, match=r"\[R210\].*nowhere"):
        Retriever(TextEncoder(bert)).from_disk(tmp_path / "nowhere")


def test_encoder_that_changed_is_noticed(retriever, bert, make_bert, instances, tmp_path):
    retriever.encoder = tuned_encoder(bert, make_bert)
    for use in (
        lambda: retriever.add(instances[:1]),
        lambda: retriever.retrieve(instances[:1]),
        lambda: retriever.to_disk(tmp_path / "retriever"),
        lambda: retriever.to_bytes(),
    ):
        with pytest.raises(ValueError, match=r"\[R216\].*clear"):
            use()
    retriever.clear()
    retriever.add(instances)
    assert len(retriever.retrieve(instances[:1])[0]) == 3


def test_failed_write_leaves_nothing(retriever, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(retriever.encoder, "to_disk", full)
    with pytest.raises(OSError, match=r"\[R214\]"):
        retriever.to_disk(tmp_path / "retriever")
    assert not list(tmp_path.iterdir())


def test_bytes_that_lead_elsewhere_are_refused(retriever, bert, tmp_path):
    files = srsly.msgpack_loads(retriever.to_bytes())
    for name in ("encoder/../../x", "/etc/x", "x", "encoder"):
        data = srsly.msgpack_dumps({**files, name: b""})
        with pytest.raises(ValueError, match=r"\[R211\].*odd"):
            Retriever(TextEncoder(bert)).from_bytes(data)
    with pytest.raises(ValueError, match=r"\[R211\].*no store"):
        Retriever(TextEncoder(bert)).from_bytes(srsly.msgpack_dumps({}))


LABELS = LabelSet({"born_in": "was born in", "married_to": {"text": "is married to", "symmetric": True}})


def neighbour(score, *answers, known=True):
    instance = Instance("Ann and Bob", (0, 3), (8, 11), answers=tuple(answers) if known else None, id="d1")
    return Neighbour(instance, score, 0)


def test_neighbour_distribution():
    # classes: none, born_in, inverse of born_in, married_to
    a, b = neighbour(0.9, Answer("born_in")), neighbour(0.7, Answer("born_in", True))
    c = neighbour(0.5, Answer("married_to", True), Answer("born_in"))
    d, unknown = neighbour(0.3), neighbour(0.99, known=False)
    result = neighbour_distribution([[a, b, c, d, unknown], [], [unknown], [d]], LABELS, temperature=0.2)
    weights = np.array([math.exp(score / 0.2) for score in (0.9, 0.7, 0.5, 0.3)])
    weights /= weights.sum()
    expected = [weights[3], weights[0] + weights[2] / 2, weights[1], weights[2] / 2]
    assert result.dtype == np.float32 and np.allclose(result, [expected, [0] * 4, [0] * 4, [1, 0, 0, 0]], atol=1e-6)


def test_neighbour_distribution_with_extreme_temperatures():
    found = [[neighbour(0.9, Answer("born_in")), neighbour(0.8)]]
    assert np.allclose(neighbour_distribution(found, LABELS, 1e-9), [[0, 1, 0, 0]])
    assert np.allclose(neighbour_distribution(found, LABELS, 1e9), [[0.5, 0.5, 0, 0]])
    assert neighbour_distribution([], LABELS, 1.0).shape == (0, 4)
    for temperature in (0, -1, math.nan):
        with pytest.raises(ValueError, match=r"\[R202\] Setting temperature"):
            neighbour_distribution(found, LABELS, temperature)
    with pytest.raises(ValueError, match=r"\[R007\]"):
        neighbour_distribution([[neighbour(0.5, Answer("unknown"))]], LABELS, 1.0)


def test_evidence_is_plain_data():
    found = [neighbour(0.5, Answer("born_in", True)), neighbour(0.4), neighbour(0.3, known=False)]
    plain = evidence(found)
    assert plain[0] == {
        "id": "d1",
        "text": "Ann and Bob",
        "labels": [{"label": "born_in", "head": "Bob", "tail": "Ann", "inverse": True}],
        "score": 0.5,
    }
    assert [item["labels"] for item in plain[1:]] == [[], None]
    assert srsly.msgpack_loads(srsly.msgpack_dumps(plain)) == plain
