"""Examples that the reader of open labels is told, and labels that are frozen."""

import json
import pickle
import shutil
import threading

import numpy as np
import pytest
import spacy
import srsly
import torch

from spacy_ragre.components.relations.open_examples import Evidence, learn, pack_vector, unpack_vector
from spacy_ragre.components.relations.open_labels import OpenRelations, OpenText
from spacy_ragre.components.relations.open_scorer import WEIGHTS, OpenScorer
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet

NAME = "rag_relation_extractor"
LABELS = {"founded_by": "was founded by", "located_in": "is located in", "married_to": {"text": "x", "symmetric": True}}
# Words that say nothing to who has not seen an example.
ODD = Instance("Acme zibbed Ann.", (0, 4), (12, 15), answers=(Answer("founded_by"),))
LIKE_ODD = Instance("Globex zibbed Bob.", (0, 6), (14, 17))
OTHER = Instance("Rome saw Oslo fall in May.", (0, 4), (9, 13))

real = pytest.mark.real


@pytest.fixture(scope="module")
def scorer():
    return OpenScorer()


@pytest.fixture
def labels():
    return LabelSet(LABELS)


@pytest.fixture
def make_open(make_nlp):
    def make(**settings):
        return make_nlp(**{"weights": "open", "labels": LABELS, **settings})

    return make


@pytest.fixture
def calls(monkeypatch):
    """How many labels and texts were read."""
    counts = {"labels": 0, "texts": 0}
    read_labels, read_pairs = OpenRelations.read_labels, OpenRelations.read_pairs

    def count_labels(self, labels, **kwargs):
        counts["labels"] += len(labels)
        return read_labels(self, labels, **kwargs)

    def count_texts(self, texts, **kwargs):
        counts["texts"] += len(texts)
        return read_pairs(self, texts, **kwargs)

    monkeypatch.setattr(OpenRelations, "read_labels", count_labels)
    monkeypatch.setattr(OpenRelations, "read_pairs", count_texts)
    return counts


# Weights


def test_weights_follow_the_examples():
    vectors = np.eye(4, dtype="float32")[[0, 1, 2]]
    holds = np.array([[True, False], [False, False], [False, False]])
    known = np.array([[True, True], [True, True], [False, True]])
    weights, shares = learn(vectors, np.zeros((3, 2), dtype="float32"), holds, known, 2.0)
    assert weights[0, 0] > 0.3 and weights[0, 1] < -0.3  # what holds, and what does not
    assert weights[0, 2] == 0 == weights[0, 3]  # what is not known, and what was not seen
    assert not weights[1].any() and not shares[:, 1].any()  # a label without an example
    np.testing.assert_allclose(weights, shares.T @ vectors, atol=1e-3)
    with torch.inference_mode():
        np.testing.assert_array_equal(learn(vectors, np.zeros((3, 2), dtype="float32"), holds, known, 2.0)[0], weights)


def test_many_examples_count_more_and_known_ones_nothing():
    def weight(score, count):
        vectors = np.ones((count, 1), dtype="float32")
        scores, every = np.full((count, 1), score, dtype="float32"), np.ones((count, 1), dtype=bool)
        return learn(vectors, scores, every, every, 2.0)[0][0, 0]

    assert 0 < weight(0, 1) < weight(0, 2) < weight(0, 10)
    assert weight(12, 10) == pytest.approx(0, abs=1e-2)


def test_no_example_of_the_own_text_or_id():
    vectors = np.array([[1, 0], [0, 1]], dtype="float32")
    rows = {("text", "a b."): {0}, ("id", "d1"): {1}}
    shares = np.array([[2], [3]], dtype="float32")
    evidence = Evidence(shares.T @ vectors, shares, vectors, rows, np.zeros(2, dtype="float32"))
    query = np.ones((1, 2), dtype="float32")

    def added(text, *ids):
        return evidence.added(query, [OpenText(text, ((0, 1, ""), (1, 2, "")), ((0, 1),))], [set(ids)]).item()

    assert [added("other"), added("A  b."), added("other", "d1"), added("a b.", "d1")] == [5, 3, 2, 0]


def test_a_vector_is_kept_as_text():
    vector = np.linspace(-1, 1, 768, dtype="float32")
    np.testing.assert_allclose(unpack_vector(pack_vector(vector)), vector, atol=1e-3)


# Scores


@real
def test_an_example_speaks_for_what_is_like_it(scorer, labels):
    plain = scorer.scores([LIKE_ODD, OTHER], labels)
    told = scorer.scores([LIKE_ODD, OTHER], labels, [ODD])
    founded, reverse = labels.index(Answer("founded_by")), labels.index(Answer("founded_by", True))
    more = told - plain
    assert more[0, founded] > 0.5 and more[0, founded] > more[0, reverse] and more[0, founded] > 1.5 * more[1, founded]
    others = [i for i in range(len(labels.classes)) if i not in (founded, reverse)]
    np.testing.assert_allclose(more[:, others], 0, atol=1e-5)


@real
def test_a_document_is_no_example_of_its_own(scorer, labels):
    np.testing.assert_allclose(scorer.scores([ODD], labels, [ODD]), scorer.scores([ODD], labels), atol=1e-3)


@real
def test_symmetric_labels_are_told_both_ways(scorer, labels):
    example = Instance("Ann zibbed Bob.", (0, 3), (11, 14), answers=(Answer("married_to"),))
    query = Instance("Eve zibbed Finn.", (0, 3), (11, 15))
    for asked in (query, query.swapped()):
        more = scorer.scores([asked], labels, [example]) - scorer.scores([asked], labels)
        assert more[0, labels.index(Answer("married_to"))] > 0.3


@real
def test_what_nobody_looked_for_says_nothing(scorer, labels):
    known = Instance("Rome zibbed Oslo.", (0, 4), (12, 16), answers=())
    half = Instance("Rome zibbed Oslo.", (0, 4), (12, 16), answers=(), annotated=frozenset({"located_in"}))
    founded = labels.index(Answer("founded_by"))
    alone, asked, not_asked = (
        scorer.scores([LIKE_ODD], labels, [ODD, *more])[0, founded] for more in ([], [known], [half])
    )
    assert asked < alone - 1e-3 and not_asked == pytest.approx(alone, abs=1e-3)


@real
def test_one_positive_example_is_not_the_answer_to_everything(make_open, make_doc, found):
    nlp = make_open(labels={"founded_by": "was founded by", "located_in": "is located in"})
    ents = [("Microsoft", "ORG"), ("Bill Gates", "PER"), ("Albuquerque", "GPE")]
    doc = make_doc(nlp, "Microsoft was founded by Bill Gates in Albuquerque.", ents)
    gold = [(0, "founded_by", 1)]
    apple = [("Apple", "ORG"), ("Steve Jobs", "PER")]
    nlp.get_pipe(NAME).add_examples([make_doc(nlp, "Apple was founded by Steve Jobs.", apple, gold)])
    (first, *others) = nlp(doc)._.relations
    assert (first.head.text, first.label, first.tail.text) == ("Microsoft", "founded_by", "Bill Gates")
    assert not [r for r in others if r.label == "founded_by"]


@real
def test_examples_count_until_the_reader_is_trained(make_open, gold_docs, gold_examples, train):
    nlp = make_open(labels={"founded_by": "was founded by", "located_in": "is located in"}, answer="open")
    component = nlp.get_pipe(NAME)
    component.add_examples(gold_docs(nlp))
    component.freeze_labels()
    nlp.to_bytes()
    scorer = component.predictor.open
    assert scorer.reads_examples and scorer.readings and scorer.frozen
    train(nlp, gold_examples(nlp), steps=1)
    assert not (scorer.reads_examples or scorer.readings or scorer.frozen)
    # What was trained can be frozen, too.
    component.freeze_labels()
    expected = scores_of(component)
    other = make_open(answer="open").get_pipe(NAME).from_bytes(component.to_bytes())
    assert other.predictor.open.frozen
    np.testing.assert_allclose(scores_of(other), expected, atol=1e-5)


@real
def test_w161_weights_that_say_nothing_of_examples(make_open, gold_docs, tmp_path):
    known = json.loads((WEIGHTS / "open_reader.json").read_text(encoding="utf8"))
    del known["examples"]
    (tmp_path / "open_reader.json").write_text(json.dumps(known), encoding="utf8")
    shutil.copy(WEIGHTS / "open_reader.safetensors", tmp_path)
    nlp = make_open(labels={"founded_by": "was founded by", "located_in": "is located in"}, weights=str(tmp_path))
    with pytest.warns(UserWarning, match=r"\[W161\].*benchmarks.few_shot fit"):
        nlp.get_pipe(NAME).add_examples(gold_docs(nlp))
    nlp.to_bytes()


# What is saved


def scores_of(component):
    return component.predictor.score([LIKE_ODD, OTHER, ODD]).scores


@real
def test_a_loaded_pipeline_reads_no_example_and_no_frozen_label(make_open, calls, tmp_path):
    nlp = make_open()
    component = nlp.get_pipe(NAME)
    component.predictor.add_examples([ODD])
    component.freeze_labels()
    expected = scores_of(component)
    nlp.to_disk(tmp_path)
    data = nlp.to_bytes()
    calls.update(labels=0, texts=0)
    for other in (
        spacy.load(tmp_path).get_pipe(NAME),
        make_open().from_bytes(data).get_pipe(NAME),
        pickle.loads(pickle.dumps(component)),
    ):
        np.testing.assert_array_equal(scores_of(other), expected)
        assert calls == {"labels": 0, "texts": 3}
        calls["texts"] = 0


@real
def test_only_labels_that_changed_are_read(make_open, calls):
    component = make_open().get_pipe(NAME)
    component.freeze_labels()
    assert calls["labels"] == len(LABELS)
    component.add_label("born_in", "was born in")
    before = scores_of(component)
    assert calls["labels"] == len(LABELS) + 1 and list(component.predictor.open.frozen) != component.labels
    component.freeze_labels()
    assert calls["labels"] == len(LABELS) + 1 and len(component.predictor.open.frozen) == len(LABELS) + 1
    changed = {**component.label_data, "founded_by": "was set up by"}
    component.predictor.labels.replace(changed)
    assert not np.array_equal(scores_of(component), before) and calls["labels"] == len(LABELS) + 2


@real
def test_labels_that_are_not_frozen_are_not_saved(make_open):
    component = make_open().get_pipe(NAME)
    scores_of(component)
    assert component.predictor.open.to_bytes() == b""


def test_r562_another_answer_has_nothing_to_freeze(make_nlp):
    with pytest.raises(ValueError, match=r"\[R562\].*trie"):
        make_nlp().get_pipe(NAME).freeze_labels()


def test_r501_nothing_to_freeze(make_open):
    with pytest.raises(ValueError, match=r"\[R501\]"):
        make_open(labels={}).get_pipe(NAME).freeze_labels()


@real
def test_w162_frozen_with_other_weights(make_open, calls, monkeypatch):
    component = make_open().get_pipe(NAME)
    component.predictor.add_examples([ODD])
    component.freeze_labels()
    expected = scores_of(component)
    data = component.predictor.open.to_bytes()
    other = make_open().get_pipe(NAME)
    other.predictor.add_examples([ODD])
    monkeypatch.setitem(other.predictor.open.known, "sha256", "0" * 64)
    with pytest.warns(UserWarning, match=r"\[W162\].*freeze_labels"):
        other.predictor.open.from_bytes(data, "bytes", NAME)
    monkeypatch.undo()
    assert not other.predictor.open.frozen and not other.predictor.open.readings
    np.testing.assert_allclose(scores_of(other), expected, atol=1e-4)


@real
def test_r211_damaged_states(make_open):
    component = make_open().get_pipe(NAME)
    component.freeze_labels()
    message = srsly.msgpack_loads(component.to_bytes())
    message["open"] = message["open"][:-1]
    with pytest.raises(ValueError, match=r"\[R211\]"):
        make_open().get_pipe(NAME).from_bytes(srsly.msgpack_dumps(message))


# Other labels for a while


@real
def test_labels_that_are_asked_about_for_a_while(make_open, calls):
    component = make_open().get_pipe(NAME)
    component.predictor.add_examples([ODD])
    expected, read = scores_of(component), dict(calls)
    bare = make_open(labels={**LABELS, "left": "has left"}).get_pipe(NAME)
    others = LabelSet({**LABELS, "left": "has left"})
    with component.asking(others):
        # The examples are of the component's own labels, of which none was looked for where they are others.
        np.testing.assert_allclose(scores_of(component), scores_of(bare), atol=1e-5)
    np.testing.assert_array_equal(scores_of(component), expected)
    calls.update(read)
    with component.asking(others):
        scores_of(component)
    with component.asking(LabelSet(component.label_data), threshold=0.7):
        np.testing.assert_array_equal(scores_of(component), expected)
        assert component.least_score == 0.7
    assert calls["labels"] == read["labels"], "what was read lately is not read again"
    component.freeze_labels()
    assert len(component.predictor.open.frozen) == len(LABELS)


def test_a_failure_leaves_nothing_of_what_was_asked_for(make_nlp):
    component = make_nlp(threshold={"founded_by": 0.4, "*": 0.1}).get_pipe(NAME)
    before = component.label_data, component.predictor.calibration
    with pytest.raises(KeyError), component.asking(LabelSet({"founded_by": "", "left": ""})):
        assert component.labels == ("founded_by", "left")
        # What is set for labels that are still there is true of them.
        assert (component.predictor.calibration.threshold, component.predictor.calibration.thresholds) == (
            0.1,
            {"founded_by": 0.4},
        )
        raise KeyError("something")
    assert (component.label_data, component.predictor.calibration) == before and component.predictor.uses_examples


def test_other_threads_set_what_they_found_while_others_are_asked_about(make_nlp, gold_docs):
    nlp = make_nlp()
    component, (doc, *_), seen = nlp.get_pipe(NAME), gold_docs(nlp), []

    def work():
        component.set_annotations([doc], [[]])
        seen.extend([component.labels, tuple(component.label_data)])

    thread = threading.Thread(target=work)
    with component.asking(LabelSet({"left": ""})), component.asking(LabelSet({"right": ""})):
        thread.start()
        thread.join()
        assert component.labels == ("right",)
    # The relation that was there is replaced.
    assert not list(doc._.relations) and seen == [component.labels] * 2 == [("founded_by", "located_in")] * 2


def test_other_threads_wait_while_others_are_asked_about(make_nlp):
    component = make_nlp().get_pipe(NAME)
    seen = []

    def predict():
        component.predict([])
        seen.append(component.labels)

    thread = threading.Thread(target=predict)
    with component.asking(LabelSet({"left": ""})):
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and not seen
    thread.join()
    assert seen == [tuple(component.label_data)]
