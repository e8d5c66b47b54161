"""A store that `ragre index` made becomes a component's own examples."""

import pytest
import spacy

from spacy_ragre.cli.index import index


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
    index(path.rename(tmp_path / "train.txt"), tmp_path / "store", encoder=str(make_bert(128)))
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
