"""A store that `ragre index` made becomes a component's own examples."""

import pytest
import spacy

from spacy_ragre.cli.index import index
from spacy_ragre.instances import Instance
from spacy_ragre.retrieval import MappedStore


@pytest.fixture
def store(tmp_path, make_bert):
    path = tmp_path / "TRAIN_FILE.TXT"
    records = [
        ("<e1>rain</e1>", "caused", "<e2>flood</e2>", "Cause-Effect(e1,e2)"),
        ("<e1>ridge</e1>", "by", "<e2>surge</e2>", "Other"),
    ]
    path.write_text(
        "".join(f'{i}\t"The {a} {b} the {c}."\n{label}\n\n\n' for i, (a, b, c, label) in enumerate(records))
    )
    for kind, name in (("flat", "store"), ("hnsw", "large")):
        index(path.rename(tmp_path / "train.txt"), tmp_path / name, encoder=str(make_bert(128)), index_kind=kind)
        path = tmp_path / "train.txt"
    return tmp_path / "store"


def test_examples_of_a_store_are_found_and_kept(nlp, tiny_config, store, tmp_path):
    pipe = nlp.add_pipe("rag_relation_extractor", config=tiny_config)
    assert pipe.add_store(store) == 2
    assert pipe.labels == ("Cause-Effect",)
    # None is added twice.
    assert pipe.add_store(store) == 0
    (found,) = pipe.predictor.retriever.retrieve(pipe.predictor.retriever.store.instances[:1], k=2, leak_free=False)
    assert found[0].instance.text == "The rain caused the flood." and found[0].score == pytest.approx(1, abs=1e-4)
    nlp.to_disk(tmp_path / "saved")
    assert len(spacy.load(tmp_path / "saved").get_pipe("rag_relation_extractor").predictor.retriever) == 2
    # A component can give its examples to another one, too.
    other = spacy.blank("en").add_pipe("rag_relation_extractor", config=tiny_config)
    assert other.add_store(tmp_path / "saved" / "rag_relation_extractor") == 2


def test_labels_that_are_closed_stay(nlp, tiny_config, store, tmp_path):
    pipe = nlp.add_pipe("rag_relation_extractor", config={**tiny_config, "labels": {"runs": "runs"}})
    with pytest.raises(ValueError, match=r"R007.*Cause-Effect"):
        pipe.add_store(store)
    assert len(pipe.predictor.retriever) == 0
    with pytest.raises(OSError, match="R210"):
        pipe.add_store(tmp_path / "missing")


def test_a_large_store_is_taken_as_it_is(nlp, tiny_config, store, tmp_path, make_bert):
    encoder = {"@ragre_encoders": "ragre.TextEncoder.v1", "name": str(make_bert(128)), "text": "sentence"}
    config = {**tiny_config, "retriever": {"@ragre_retrievers": "ragre.Retriever.v1", "encoder": encoder}}
    pipe = nlp.add_pipe("rag_relation_extractor", config=config)
    assert pipe.add_store(tmp_path / "large") == 2 and pipe.labels == ("Cause-Effect",)
    own = pipe.predictor.retriever.store
    assert isinstance(own, MappedStore)
    assert pipe.predictor.one_sided() is None
    # It is the component's own: what is added and removed stays with the pipeline.
    assert pipe.add_store(store) == 0
    assert pipe.remove_examples(ids=["1"]) == 1 and pipe.remove_examples(texts=["never seen"]) == 0
    nlp.to_disk(tmp_path / "saved")
    loaded = spacy.load(tmp_path / "saved").get_pipe("rag_relation_extractor").predictor.retriever.store
    assert isinstance(loaded, MappedStore) and list(loaded.instances) == list(own.instances) and len(loaded) == 1
    # Another encoder makes its own keys.
    other = spacy.blank("en").add_pipe("rag_relation_extractor", config=tiny_config)
    assert other.add_store(tmp_path / "large") == 2
    assert not isinstance(other.predictor.retriever.store, MappedStore)


def test_examples_are_removed(nlp, tiny_config, store):
    pipe = nlp.add_pipe("rag_relation_extractor", config=tiny_config)
    pipe.add_store(store)
    pipe.predictor.pending = [Instance("a b", (0, 1), (2, 3), answers=(), id="0"), Instance("c d", (0, 1), (2, 3))]
    assert pipe.remove_examples(ids=["0"], texts=["C  D"]) == 3
    assert len(pipe.predictor.known_examples) == 1
