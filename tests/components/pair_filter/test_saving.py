"""The filter saved and loaded, its damaged files, and its pairs in saved documents."""

import copy

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_ragre.relations import relations_key

from .conftest import NAME, examples_of, pairs_of


def test_saved_and_loaded(trained, make_nlp, gold_docs, tmp_path):
    nlp, _ = trained(steps=5)
    pipe = nlp.get_pipe(NAME)
    pipe.calibrate(examples_of(gold_docs(nlp)))
    expected = [[tuple(p) for p in doc._.candidate_pairs] for doc in nlp.pipe(gold_docs(nlp))]
    nlp.to_disk(tmp_path / "a")
    disk = spacy.load(tmp_path / "a")
    assert not disk.get_pipe(NAME).shim.encoder.is_loaded
    disk.to_disk(tmp_path / "a")  # over what is there, and with weights that were never put into the model
    both = [spacy.load(tmp_path / "a"), make_nlp().from_bytes(nlp.to_bytes())]
    for again in both:
        own = again.get_pipe(NAME)
        settings = [(p.threshold, *p.scale, p.positive_weight) for p in (own, pipe)]
        assert settings[0] == pytest.approx(settings[1])
        for doc, pairs in zip(again.pipe(gold_docs(again)), expected):
            assert [tuple(p)[:2] for p in doc._.candidate_pairs] == [p[:2] for p in pairs]
            assert [p.score for p in doc._.candidate_pairs] == pytest.approx([p[2] for p in pairs], abs=1e-5)
    again = copy.deepcopy(make_nlp().get_pipe(NAME))
    again.from_disk(tmp_path / "a" / NAME, exclude=["cfg", "vocab"])
    assert again.threshold == 0.5 and again.shim.is_ready


LORA = {"rank": 4, "alpha": 8, "dropout": 0.5}


# Each two of the settings once together; the other engine reads what was saved, too.
@pytest.mark.parametrize(
    "steps, engine, lora",
    [(0, "torch", None), (0, "openvino", LORA), (3, "torch", LORA), (3, "openvino", None)],
    ids=["untrained-torch-weights", "untrained-openvino-lora", "trained-torch-lora", "trained-openvino-weights"],
)
def test_scores_after_saving_are_those_before(trained, gold_docs, tmp_path, lora, engine, steps):
    nlp, _ = trained(steps=steps, lora=lora, engine=engine)
    pipe, docs = nlp.get_pipe(NAME), gold_docs(nlp)
    # As a step of training leaves it: dropout is on.
    pipe.shim.encoder.model.train()
    pipe.shim.pooling.train()
    expected = pipe.score_pairs(docs)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    again = loaded.get_pipe(NAME)
    for scores in (pipe.score_pairs(docs), again.score_pairs(gold_docs(loaded)), again.score_pairs(gold_docs(loaded))):
        for part, own in zip(scores, expected):
            assert part == pytest.approx(own, abs=1e-5)
    # Another engine computes the same.
    other = {"torch": "openvino", "openvino": "torch"}[engine]
    config = {f"components.{NAME}.model.encoder.engine": other}
    for part, own in zip(spacy.load(tmp_path, config=config).get_pipe(NAME).score_pairs(docs), expected):
        assert part == pytest.approx(own, abs=1e-3)


def test_a_fresh_component_is_saved_without_weights(make_nlp, tmp_path):
    make_nlp().to_disk(tmp_path)
    assert not spacy.load(tmp_path).get_pipe(NAME).shim.is_ready


def test_missing_and_damaged_weights(trained, tmp_path):
    nlp, _ = trained(steps=1)
    nlp.to_disk(tmp_path)
    path = tmp_path / NAME / "model"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="R120.*model"):
        spacy.load(tmp_path)
    path.unlink()
    with pytest.raises(OSError, match="R121.*model"):
        spacy.load(tmp_path)
    # Version 0.1.0 wrote no manifest.
    (tmp_path / NAME / "manifest.json").unlink()
    with pytest.raises(OSError, match="R150.*missing.*model"):
        spacy.load(tmp_path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="R150.*damaged.*model"):
        spacy.load(tmp_path)


def test_pairs_survive_serialisation(trained, gold_docs):
    nlp, _ = trained(steps=5)
    docs = list(nlp.pipe(gold_docs(nlp)))
    stored = DocBin(docs=docs, store_user_data=True).to_bytes()
    assert pairs_of(DocBin().from_bytes(stored).get_docs(nlp.vocab)) == pairs_of(docs)
    assert relations_key() in docs[0].user_data


# With spacy-transformers
