"""Thresholds of single labels, in both extractors."""

import shutil

import numpy as np
import pytest
import spacy
from thinc.api import Config

from spacy_ragre.calibration.settings import Calibration, read_thresholds
from spacy_ragre.components.relations.decisions import MultiLabel, SingleLabel
from spacy_ragre.labels import LabelSet

NAME = "rag_relation_extractor"
FACTORIES = (NAME, "etrag_extractor")
LABELS = {"founded_by": "was founded by", "located_in": "is located in"}
TABLE = {"founded_by": 0.7, "*": 0.25}


@pytest.fixture(params=FACTORIES)
def make(request, tiny_llama, tiny_bert):
    """`make(threshold=..., ...)`: a pipeline with either extractor on tiny models."""
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu"}
    encoder = {"@ragre_encoders": "ragre.TextEncoder.v1", "name": str(tiny_bert), "device": "cpu", "text": "marked"}
    if request.param == NAME:
        own = {
            "model": {"@architectures": "ragre.LabelModel.v1", "backbone": backbone},
            "retriever": {"@ragre_retrievers": "ragre.Retriever.v1", "encoder": encoder},
        }
    else:
        own = {"model": {"@architectures": "ragre.ETRAG.v1", "k": 2, "backbone": backbone, "encoder": encoder}}

    def build(**settings):
        nlp = spacy.blank("en")
        nlp.add_pipe(request.param, config={"labels": LABELS, **own, **settings})
        return nlp

    return build


def pipe_of(nlp):
    return nlp.get_pipe(nlp.pipe_names[0])


def thresholds(nlp):
    calibration = pipe_of(nlp).predictor.calibration
    return calibration.threshold, dict(calibration.thresholds)


def load_with(path, threshold):
    """A saved pipeline whose config.cfg was edited: overrides of `spacy.load` can't put a table in a number's place."""
    config = Config().from_disk(path / "config.cfg")
    (name,) = config["nlp"]["pipeline"]
    config["components"][name]["threshold"] = threshold
    config.to_disk(path / "config.cfg")
    return spacy.load(path)


@pytest.mark.parametrize("decision", [SingleLabel(), MultiLabel()])
def test_each_label_is_held_against_its_own(decision):
    labels = LabelSet({**LABELS, "married_to": {"symmetric": True}})
    # none, founded_by and its inverse, located_in and its inverse, married_to
    rows = np.full((6, 6), 0.01)
    for row, (column, value) in enumerate([(1, 0.71), (2, 0.69), (2, 0.7), (3, 0.51), (4, 0.49), (5, 0.51)]):
        rows[row, column] = value
    settings = Calibration(threshold=0.5, thresholds={"founded_by": 0.7}, decision=0.0)
    assert decision.pick(rows, settings, labels) == ((1,), (), (2,), (3,), (), (5,))
    assert decision.pick(rows, settings.plain(), labels) == decision.pick(rows, settings, labels)


def test_tables():
    assert read_thresholds(0.5) == (0.5, {})
    assert read_thresholds(TABLE) == (0.25, {"founded_by": 0.7})
    assert read_thresholds({"founded_by": 1}) == (0.0, {"founded_by": 1.0})
    assert read_thresholds({}) == (0.0, {})


def test_they_are_kept_and_a_given_one_goes_before(make, tmp_path):
    nlp = make(threshold=TABLE)
    assert thresholds(nlp) == (0.25, {"founded_by": 0.7})
    nlp.to_disk(tmp_path)
    assert nlp.config == spacy.load(tmp_path).config
    assert thresholds(spacy.load(tmp_path)) == (0.25, {"founded_by": 0.7})
    again = make(threshold=TABLE)
    pipe_of(nlp).predictor.calibration = Calibration(threshold=0.1, thresholds={"located_in": 0.2})
    pipe_of(again).from_bytes(pipe_of(nlp).to_bytes())
    assert thresholds(again) == (0.1, {"located_in": 0.2})
    place = f"components.{nlp.pipe_names[0]}.threshold"
    assert thresholds(spacy.load(tmp_path, config={f"{place}.founded_by": 0.9})) == (0.25, {"founded_by": 0.9})
    for value, expected in ((0.9, (0.9, {})), ({"located_in": 0.3}, (0.0, {"located_in": 0.3}))):
        assert thresholds(load_with(tmp_path, value)) == expected
    make(threshold=0.4).to_disk(tmp_path)
    assert thresholds(load_with(tmp_path, TABLE)) == (0.25, {"founded_by": 0.7})
    with pytest.raises(ValueError, match="R549.*'wrote'"):
        load_with(tmp_path, {"wrote": 0.5})


def test_what_was_chosen_counts_where_no_threshold_is_given():
    labels = LabelSet({"founded_by": {"symmetric": True}, "located_in": {"symmetric": True}})
    rows = np.array([[0.5, 0.2, 0.2], [0.5, 0.5, 0.5], [0.5, 0.0, 0.0]])

    def picked(**settings):
        return MultiLabel().pick(rows, Calibration(decision=0.4, **settings), labels)

    assert picked() == ((), (1, 2), ())
    assert picked(threshold=0.1) == ((1, 2), (1, 2), ())
    assert picked(threshold=0.6) == ((), (), ())
    assert picked(thresholds={"founded_by": 0.1}) == ((1,), (1, 2), ())
    assert picked(thresholds={"founded_by": 0.6}) == ((), (2,), ())
    assert picked(thresholds={"founded_by": 0.0}) == ((1,), (1, 2), ())
    doubts = MultiLabel().doubt(rows, Calibration(decision=0.4, thresholds={"founded_by": 0.2}), labels)
    assert doubts == pytest.approx([1.0, 1 - 1 / 6, 0.0])


def test_a_given_one_goes_before_what_calibration_chose(make_nlp, open_settings, gold_docs, found, tmp_path):
    nlp = make_nlp(**open_settings, multi_label=True)
    component = nlp.get_pipe(NAME)
    component.predictor.calibration = Calibration(temperature=2.0, decision=0.99)
    nlp.to_disk(tmp_path)

    def answers(threshold):
        other = load_with(tmp_path, threshold)
        labels = {label for doc in found(other.pipe(gold_docs(other))) for _, label, _ in doc}
        return labels, other.get_pipe(NAME).least_score

    assert answers(0.0) == (set(), 0.99) and answers(0.01) == (set(LABELS), 0.01)
    assert answers({"founded_by": 0.01}) == ({"founded_by"}, 0.99)
    assert answers({"founded_by": 0.01, "*": 0.0}) == ({"founded_by"}, 0.99)
    assert answers({"founded_by": 0.995, "*": 0.01}) == ({"located_in"}, 0.01)


def test_labels_without_one_have_the_limit_of_the_weights(make_nlp, open_settings):
    for threshold in (0.0, {"founded_by": 0.9}, {"founded_by": 0.9, "*": 0.0}):
        assert make_nlp(**open_settings, threshold=threshold).get_pipe(NAME).least_score == 0.2


@pytest.mark.parametrize("value", [{"founded_by": 1.5}, {"*": -0.1}, {"founded_by": "0.5"}, {"founded_by": True}])
def test_r540_what_is_no_probability(make, value):
    with pytest.raises(ValueError, match=r"R540.*threshold of '(founded_by|\*)'.*from 0 to 1"):
        make(threshold=value)


def test_r549_labels_that_are_not_there(make):
    with pytest.raises(ValueError, match=r"R549.*'founded_bye'.*founded_by, located_in"):
        make(threshold={"founded_bye": 0.5})


def test_r009_labels_that_a_config_would_not_give_back(make):
    with pytest.raises(ValueError, match="R009.*'per:title'"):
        make(labels={}, threshold={"per:title": 0.5})


def test_labels_that_come_later_are_checked_when_they_are_there(make_nlp, gold_docs, gold_examples, component):
    nlp = make_nlp(labels={}, threshold={"founded_by": 0.7, "founded": 0.5})
    component(nlp).add_label("founded_by")
    with pytest.raises(ValueError, match="R549.*'founded'"):
        nlp(gold_docs(nlp)[0])
    with pytest.raises(ValueError, match="R549.*'founded'"):
        nlp.initialize(lambda: gold_examples(nlp))
    nlp = make_nlp(labels={}, threshold={"founded_by": 0.7})
    nlp.initialize(lambda: gold_examples(nlp))
    assert dict(component(nlp).predictor.calibration.thresholds) == {"founded_by": 0.7}


def test_they_decide_and_calibration_keeps_them(trained, gold_docs, gold_examples, tmp_path):
    for table, left in (({"founded_by": 1.0}, {"located_in"}), ({"*": 1.0, "founded_by": 0.0}, {"founded_by"})):
        shutil.copytree(trained, tmp_path / str(len(table)))
        nlp = load_with(tmp_path / str(len(table)), table)
        docs = list(nlp.pipe(gold_docs(nlp)))
        assert {r.label for doc in docs for r in doc._.relations} == left
        nlp.get_pipe(NAME).calibrate(gold_examples(nlp))
        assert thresholds(nlp) == read_thresholds(table)
