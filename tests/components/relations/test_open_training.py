"""Training of the reader of open labels: what is learned, what a step reads, and what is kept."""

import json
import pickle
import random
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.cli.train import train as train_by_config
from spacy_ragre.components.relations import label_words, open_labels
from spacy_ragre.components.relations.decisions import MultiLabel, SingleLabel
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet

NAME = "rag_relation_extractor"
TYPED = {
    "founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]},
    "located_in": {"text": "is located in", "head_types": ["GPE"], "tail_types": ["GPE"]},
    "met": {"text": "met", "symmetric": True, "head_types": ["PERSON"], "tail_types": ["PERSON"]},
}


@pytest.fixture
def make_open(make_nlp, open_settings):
    return lambda **settings: make_nlp(**{**open_settings, **settings})


@pytest.fixture
def fit(train):
    """As `train`, at a rate that this small reader learns at."""
    return lambda nlp, examples, steps=120, **how: train(nlp, examples, steps=steps, learn_rate=0.025, **how)


def predictor_of(nlp):
    return nlp.get_pipe(NAME).predictor


def answers(nlp, examples, found):
    return found(nlp.pipe([copy_input(example.reference) for example in examples]))


def scores(nlp, examples):
    pipe = nlp.get_pipe(NAME)
    pairs = [c.instance for example in examples for c in pipe._candidates(copy_input(example.reference))]
    return pipe.predictor.score(pairs).scores


# What is learned


@pytest.fixture(scope="module")
def learned(make_nlp, reader_files, gold_examples, train, tmp_path_factory):
    """The folder of a pipeline that has learned the sentences, and whose labels are those of the data."""
    path = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spacy_ragre.components.relations.open_shim.locate", lambda name: reader_files[0])
        nlp = make_nlp(labels={}, answer="open", weights=str(reader_files[1]))
        losses = train(nlp, gold_examples(nlp)[::-1], steps=120, learn_rate=0.025)
    assert losses[-1] < 0.1 < losses[0]
    nlp.to_disk(path)
    return path


def test_learns_labels_directions_and_no_relation(learned, open_settings, gold_examples, found):
    nlp = spacy.load(learned)
    assert set(nlp.get_pipe(NAME).labels) == {"founded_by", "located_in"}
    examples = gold_examples(nlp)
    expected = found(example.reference for example in examples)
    assert answers(nlp, examples, found) == expected
    # One by one as in a batch.
    assert found(nlp(copy_input(example.reference)) for example in examples) == expected
    assert nlp.evaluate(examples)["rels_micro_all_f"] == 1.0
    predictor = predictor_of(nlp)
    assert predictor.mode == "open" and predictor.trained
    assert not predictor.backbone.is_loaded


def test_learns_several_labels_of_one_pair(make_open, make_doc, gold_examples, fit, found):
    nlp = make_open(multi_label=True)
    both = [(0, "founded_by", 1), (1, "located_in", 0)]
    doc = make_doc(nlp, "Soylent belongs to Kim .", [("Soylent", "ORG"), ("Kim", "PERSON")], both)
    examples = [Example(copy_input(doc), doc), *gold_examples(nlp)]
    fit(nlp, examples, steps=250)
    predicted = answers(nlp, examples, found)
    assert predicted[0] == [("Kim", "located_in", "Soylent"), ("Soylent", "founded_by", "Kim")]
    assert predicted == found(example.reference for example in examples)


def test_learns_symmetric_labels_and_types(make_open, make_doc, gold_examples, fit, found):
    nlp = make_open(labels=TYPED)
    people = [("Eve", "PERSON"), ("Finn", "PERSON")]
    examples = gold_examples(nlp)[:6]
    for text, order in (("Eve met Finn .", (0, "met", 1)), ("Eve saw Finn .", (1, "met", 0))):
        doc = make_doc(nlp, text, people, [order])
        examples.append(Example(copy_input(doc), doc))
    fit(nlp, examples)
    for example in examples[6:]:
        (relation,) = nlp(copy_input(example.reference))._.relations
        assert relation.label == "met"
    assert answers(nlp, examples[:6], found) == found(example.reference for example in examples[:6])


def test_what_nobody_looked_for_is_no_negative(make_open, gold_docs, gold_examples, fit):
    nlp = make_open()
    copies = [*gold_docs(nlp), *gold_docs(nlp)]
    for doc in copies:
        doc._.relations = [r for r in doc._.relations if r.label != "founded_by"]
        doc._.annotated_labels = ["located_in"]
    fit(nlp, [Example(copy_input(doc), doc) for doc in [*gold_docs(nlp), *copies]])
    assert nlp.evaluate(gold_examples(nlp))["rels_per_type"]["founded_by"]["r"] == 1.0


def test_a_label_is_added_to_a_trained_component(make_open, gold_examples, fit):
    nlp = make_open()
    fit(nlp, gold_examples(nlp), steps=2)
    assert nlp.get_pipe(NAME).add_label("met", {"text": "met", "symmetric": True}) == 1
    assert scores(nlp, gold_examples(nlp)).shape == (8, 6)


def test_after_training_the_limit_is_that_of_no_relation(make_open, gold_examples, fit):
    nlp = make_open()
    predictor = predictor_of(nlp)
    assert predictor.settings.threshold == 0.2
    before = scores(nlp, gold_examples(nlp))
    nlp.initialize(lambda: gold_examples(nlp))
    # Nothing is learned yet, and what was fitted for the weights is no longer used.
    assert scores(nlp, gold_examples(nlp)) * 0.5 - 1.0 == pytest.approx(np.where(before, before, -1.0), abs=1e-4)
    assert predictor.settings == Calibration() and isinstance(predictor.decision, SingleLabel)
    assert type(predictor_of(make_open(multi_label=True)).decision) is MultiLabel


def test_calibration_of_a_trained_reader(learned, open_settings, gold_examples):
    nlp = spacy.load(learned)
    examples = gold_examples(nlp)
    pipe = nlp.get_pipe(NAME)
    assert pipe.calibrate(examples)["after"] == 1.0
    assert pipe.predictor.calibration.temperature != 1.0 and not pipe.predictor.pending
    assert nlp.evaluate(examples)["rels_micro_f"] == 1.0
    assert max(r.score for e in examples for r in nlp(copy_input(e.reference))._.relations) > 0.9
    # What was fitted is of the weights that there were.
    nlp.initialize(lambda: examples)
    assert pipe.predictor.calibration == Calibration()


def test_w164_a_trained_reader_does_not_see_examples(learned, gold_docs, gold_examples):
    nlp = spacy.load(learned)
    pipe = nlp.get_pipe(NAME)
    with pytest.warns(UserWarning, match=r"W164.*calibrate"):
        pipe.add_examples(gold_docs(nlp)[:1])
    pipe.predictor.calibration = Calibration(weight=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe.add_examples(gold_docs(nlp)[:1])  # they vote


def test_a_threshold_of_the_users_holds_after_training(make_open, gold_examples, fit, found):
    nlp = make_open(threshold={"founded_by": 0.99}, label_smoothing=0.1)
    examples = gold_examples(nlp)
    fit(nlp, examples)
    assert {label for doc in answers(nlp, examples, found) for _, label, _ in doc} == {"located_in"}


# What a step reads


def test_gradients_are_those_of_the_scores(make_open, gold_examples):
    """The loss of one packed pass is that of scores as they are predicted, and `get_loss` gives it, too."""
    nlp = make_open()
    examples = gold_examples(nlp)
    nlp.initialize(lambda: examples)
    predictor = predictor_of(nlp)
    loss, gradient = nlp.get_pipe(NAME).get_loss(examples, scores(nlp, examples))
    assert gradient.shape == (8, 5)
    assert nlp.get_pipe(NAME).update(examples)[NAME] == pytest.approx(loss, abs=1e-4)
    whole = {name: value.grad.clone() for name, value in predictor.open.shim.parameters().items()}
    assert all(torch.isfinite(gradient).all() for gradient in whole.values()) and "words.weight" not in whole
    # A little against the gradient, the loss falls by as much as it says.
    step, length = 1e-3, sum(float((gradient**2).sum()) for gradient in whole.values()) ** 0.5
    with torch.no_grad():
        for name, value in predictor.open.shim.parameters().items():
            value -= step / length * whole[name]
    after, _ = nlp.get_pipe(NAME).get_loss(examples, scores(nlp, examples))
    assert (loss - after) / step == pytest.approx(length, rel=0.05)


def test_parts_of_a_batch_give_the_gradients_of_the_whole(make_open, gold_examples, monkeypatch):
    found = []
    for most in (8192, 20):
        monkeypatch.setattr(open_labels.OpenRelations.learn, "__kwdefaults__", {"most": most})
        nlp = make_open()
        nlp.initialize(lambda nlp=nlp: gold_examples(nlp))
        loss = nlp.get_pipe(NAME).update(gold_examples(nlp))[NAME]
        found.append((loss, {n: value.grad for n, value in predictor_of(nlp).open.shim.parameters().items()}))
    (loss, whole), (other_loss, parts) = found
    assert loss == pytest.approx(other_loss, abs=1e-5)
    assert whole
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, atol=1e-5, rtol=1e-3, msg=name)


def test_labels_are_read_once_a_batch(make_open, gold_examples, monkeypatch):
    nlp = make_open()
    nlp.initialize(lambda: gold_examples(nlp))
    calls = []
    read = open_labels.OpenReader.read_labels
    monkeypatch.setattr(open_labels.OpenReader, "read_labels", lambda *args: calls.append(1) or read(*args))
    monkeypatch.setattr(open_labels.OpenRelations.learn, "__kwdefaults__", {"most": 20})
    nlp.get_pipe(NAME).update(gold_examples(nlp))
    assert len(calls) == 1


def test_of_many_labels_a_step_reads_some(make_open, gold_examples, monkeypatch, fit, found):
    monkeypatch.setattr(label_words, "MOST_LABELS", 3)
    nlp = make_open(labels={"founded_by": "was founded by", "located_in": "is located in", "met": "met", "saw": "saw"})
    examples = gold_examples(nlp)
    fit(nlp, examples, steps=2)
    predictor = predictor_of(nlp)
    instances = nlp.get_pipe(NAME)._gold([example.reference for example in examples])
    random.seed(0)
    (part,) = predictor.open.begin_update(instances, predictor.labels, 0.0)
    known = part.known.all(axis=0)
    assert known[:5].all() and known[5:].sum() == 2
    # What is drawn is what it is without others.
    plain = scores(nlp, examples)
    np.testing.assert_allclose(part.logits[:, known], plain[:, known], atol=1e-4)


def test_types_say_what_a_pair_is_scored_for(make_open):
    nlp = make_open(labels=TYPED)
    predictor = predictor_of(nlp)
    predictor.init_head()
    labels = predictor.labels
    pair = Instance("Acme met Ann", (0, 4), (9, 12), "ORG", "PERSON", answers=())
    odd = Instance("Acme met Ann", (0, 4), (9, 12), "ORG", "PERSON", answers=(Answer("located_in"),))
    (part,) = predictor.open.begin_update([pair, odd], labels, 0.0)
    # none, founded_by, its inverse, located_in, its inverse, met; what an annotator said stays.
    assert part.known.tolist() == [[True, True, False, False, False, False], [True, True, False, True, False, False]]


def test_dropout_of_update_is_that_of_the_encoder(make_open, gold_examples):
    nlp = make_open()
    examples = gold_examples(nlp)
    nlp.initialize(lambda: examples)
    pipe = nlp.get_pipe(NAME)
    plain = [pipe.update(examples)[NAME] for _ in range(2)]
    assert plain[0] == plain[1]
    dropped = [pipe.update(examples, drop=0.5)[NAME] for _ in range(2)]
    assert dropped[0] != dropped[1]
    # Prediction leaves nothing out.
    assert (scores(nlp, examples) == scores(nlp, examples)).all()


def test_averages_of_weights_answer_while_they_are_used(make_open, gold_examples, fit):
    nlp = make_open()
    examples = gold_examples(nlp)
    fit(nlp, examples, steps=2)
    shim = predictor_of(nlp).open.shim
    plain = scores(nlp, examples)
    nothing = {(shim.id, name): np.zeros(value.numel(), "f") for name, value in shim.parameters().items()}
    with nlp.use_params(nothing):
        assert not np.allclose(scores(nlp, examples), plain)
    assert (scores(nlp, examples) == plain).all()


def test_word_vectors_stay(make_open, gold_examples, fit):
    nlp = make_open()
    fit(nlp, gold_examples(nlp), steps=1)
    shim = predictor_of(nlp).open.shim
    before = shim.restore().model.words.weight.clone()
    fit(nlp, gold_examples(nlp), steps=2, initialize=False)
    assert (shim.restore().model.words.weight == before).all()


def test_examples_wait_for_calibration(make_open, gold_examples, fit):
    """Nothing reads them before, and their keys would have to be made."""
    nlp = make_open()
    fit(nlp, gold_examples(nlp), steps=1)
    predictor = predictor_of(nlp)
    assert len(predictor.pending) == 8 and not len(predictor.retriever.store)


def test_a_document_inside_of_inference_mode(make_open, gold_examples, fit, tmp_path):
    nlp = make_open()
    examples = gold_examples(nlp)
    with torch.inference_mode():
        inside = scores(nlp, examples)
    np.testing.assert_allclose(scores(nlp, examples), inside, atol=1e-5)
    fit(nlp, examples, steps=1)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    with torch.inference_mode():
        inside = scores(again, examples)
    np.testing.assert_allclose(scores(again, examples), inside, atol=1e-5)
    fit(again, examples, steps=1, initialize=False)


# What is kept


def test_saved_and_loaded(make_open, gold_examples, fit, tmp_path):
    nlp = make_open()
    examples = gold_examples(nlp)
    fit(nlp, examples, steps=5)
    expected = scores(nlp, examples)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert predictor_of(again).open.shim._reader is None
    assert (scores(again, examples) == expected).all()
    assert again.get_pipe(NAME).to_bytes() == nlp.get_pipe(NAME).to_bytes()
    copy = pickle.loads(pickle.dumps(again.get_pipe(NAME)))
    assert copy.predictor.open.shim is copy.model.shims[1]
    again.replace_pipe(NAME, "sentencizer")
    again.remove_pipe(NAME)
    again._components.append((NAME, copy))
    assert (scores(again, examples) == expected).all()


def test_it_needs_the_weights_that_it_started_from_no_more(make_open, gold_examples, fit, tmp_path, reader_files):
    nlp = make_open()
    examples = gold_examples(nlp)
    shutil.copytree(reader_files[1], tmp_path / "weights")
    nlp = make_open(weights=str(tmp_path / "weights"))
    fit(nlp, examples, steps=3)
    expected = scores(nlp, examples)
    nlp.to_disk(tmp_path / "pipeline")
    shutil.rmtree(tmp_path / "weights")
    again = spacy.load(tmp_path / "pipeline")
    assert (scores(again, examples) == expected).all()
    # To begin anew it does.
    with pytest.raises(ValueError, match="R560"):
        again.initialize(lambda: examples)


def test_training_goes_on_and_begins_anew(make_open, gold_examples, fit, tmp_path):
    nlp = make_open()
    examples = gold_examples(nlp)
    losses = fit(nlp, examples, steps=20)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    on = fit(again, examples, steps=1, initialize=False)
    assert on[0] < losses[0] / 2
    assert fit(again, examples, steps=1)[0] == pytest.approx(losses[0], abs=1e-4)


def test_an_untrained_state_over_a_trained_one(make_open, gold_examples, fit, recwarn):
    nlp = make_open()
    examples = gold_examples(nlp)
    start, before = nlp.to_bytes(), scores(nlp, examples)
    fit(nlp, examples, steps=3)
    nlp.from_bytes(start)
    assert not predictor_of(nlp).open.shim.tuned
    assert not [warning for warning in recwarn if "W160" in str(warning.message)]
    assert (scores(nlp, examples) == before).all()


def test_other_weights_of_the_setting_are_no_matter_once_trained(make_open, gold_examples, fit, tmp_path, recwarn):
    nlp = make_open()
    fit(nlp, gold_examples(nlp), steps=1)
    nlp.to_disk(tmp_path)
    assert json.loads((tmp_path / NAME / "cfg").read_text(encoding="utf8"))["reader"] is None
    spacy.load(tmp_path, config={f"components.{NAME}.weights": "open"})
    assert not [warning for warning in recwarn if "W160" in str(warning.message)]


def test_the_config_for_any_corpus(gold_docs, open_settings, tmp_path):
    nlp = spacy.blank("en")
    docs = gold_docs(nlp)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "corpus.spacy")
    paths = {f"paths.{name}": str(tmp_path / "corpus.spacy") for name in ("train", "dev")}
    own = {"vars.learn_rate": 0.025, f"components.{NAME}.weights": open_settings["weights"]}
    config = Path(__file__).parents[3] / "configs" / "open_relations.cfg"
    train_by_config(config, tmp_path / "out", overrides={**paths, **own}, epochs=40, patience=0)
    again = spacy.load(tmp_path / "out" / "model-best")
    # Dropout makes this small reader slow: what it learned is what it answers with.
    learned = again.meta["performance"]["rels_micro_f"]
    assert learned > 0.5
    examples = [Example(copy_input(doc), doc) for doc in docs]
    assert again.evaluate(examples)["rels_micro_f"] == pytest.approx(learned)


# Bad input


def test_r570_another_encoder(make_open, make_bert, gold_examples, fit, monkeypatch, reader_files, tmp_path):
    nlp = make_open()
    fit(nlp, gold_examples(nlp), steps=1)
    nlp.to_disk(tmp_path)
    words = (reader_files[0] / "vocab.txt").read_text(encoding="utf8").splitlines()
    other = make_bert(64, words=words, width=32, seed=1)
    monkeypatch.setattr("spacy_ragre.components.relations.open_shim.locate", lambda name: other)
    again = spacy.load(tmp_path)
    for _ in range(2):
        with pytest.raises(ValueError, match="R570"):
            scores(again, gold_examples(again))


def test_r571_damaged_weights(make_open, gold_examples, fit):
    nlp = make_open()
    fit(nlp, gold_examples(nlp), steps=1)
    shim = predictor_of(nlp).open.shim
    data = shim.to_bytes()
    shim.from_bytes(data[:-100])
    with pytest.raises(ValueError, match="R571"):
        shim.restore()
    with pytest.raises(ValueError, match="R108"):
        shim.from_bytes(data[:10])


def test_r102_the_encoder_is_not_installed(make_open, gold_examples, monkeypatch):
    nlp = make_open()
    monkeypatch.setattr("spacy_ragre.components.relations.open_shim.locate", lambda name: None)
    with pytest.raises(ValueError, match="R102"):
        nlp.initialize(lambda: gold_examples(nlp))


def test_w165_mentions_that_are_too_far_apart(make_open, make_doc, fit):
    nlp = make_open(candidates={"@ragre_candidates": "ragre.WholeDocument.v1"})
    text = f"Acme was founded by Ann . {'Eve met Finn . ' * 100}Bob ran ."
    people = [("Acme", "ORG"), ("Ann", "PERSON"), ("Bob", "PERSON")]
    doc = make_doc(nlp, text, people, [(0, "founded_by", 1), (0, "founded_by", 2)])
    examples = [Example(copy_input(doc), doc)]
    with pytest.warns(UserWarning, match=r"\[W165\] 1 pair"):
        losses = fit(nlp, examples, steps=3)
    assert np.isfinite(losses).all()


def test_labels_alone_and_one_pair(make_open, make_doc, fit):
    nlp = make_open(labels=LabelSet({"founded_by": "was founded by"}).to_dict())
    docs = [make_doc(nlp, "", []), make_doc(nlp, "Acme .", [("Acme", "ORG")], [])]
    docs.append(make_doc(nlp, "Acme met Ann .", [("Acme", "ORG"), ("Ann", "PERSON")], [(0, "founded_by", 1)]))
    examples = [Example(copy_input(doc), doc) for doc in docs]
    fit(nlp, examples, steps=3)
    assert nlp.update(examples[:2]) == {NAME: 0.0}
