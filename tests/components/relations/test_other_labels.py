"""Labels in place of those that a component has: `set_labels`, and those that are given when a pipeline is loaded."""

import warnings

import pytest
import spacy

from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"
OTHERS = {"founded_by": "was founded by", "met": {"text": "met", "symmetric": True}}


@pytest.fixture
def make_open(make_nlp, open_settings, text_retriever):
    def make(**settings):
        return make_nlp(**{**open_settings, "retriever": text_retriever, "threshold": 0.01, **settings})

    return make


@pytest.fixture
def saved(make_open, tmp_path):
    make_open().to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def loaded(path, **settings):
    nlp = spacy.load(path, config={f"components.{NAME}.{key}": value for key, value in settings.items()})
    return nlp, nlp.get_pipe(NAME)


def test_other_labels_answer_as_if_they_were_there_from_the_start(make_open, gold_docs, plain, tmp_path):
    nlp, bare = make_open(), make_open(labels=OTHERS)
    docs = [[copy_input(doc) for doc in gold_docs(nlp)] for _ in range(4)]
    plain(nlp.pipe(docs[0]))
    nlp.get_pipe(NAME).set_labels(OTHERS)
    expected = plain(bare.pipe(docs[1]))
    assert nlp.get_pipe(NAME).label_data == bare.get_pipe(NAME).label_data
    assert any(expected) and plain(nlp.pipe(docs[2])) == expected
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert again.get_pipe(NAME).label_data == bare.get_pipe(NAME).label_data
    assert plain([again.get_pipe(NAME)(copy_input(doc)) for doc in gold_docs(again)]) == expected


@pytest.mark.filterwarnings("ignore:.*W161")
def test_what_belongs_to_other_labels_goes(make_open, gold_docs):
    nlp = make_open(threshold={"founded_by": 0.4, "located_in": 0.6, "*": 0.2})
    component = nlp.get_pipe(NAME)
    component.add_examples(gold_docs(nlp))
    component.freeze_labels()
    count, frozen = len(component.predictor.known_examples), dict(component.predictor.open.frozen)
    component.set_labels(OTHERS)
    calibration, examples = component.predictor.calibration, component.predictor.known_examples
    assert (calibration.threshold, calibration.thresholds) == (0.2, {"founded_by": 0.4})
    # Of a label that is new, nothing was looked for.
    assert {answer.label for example in examples for answer in example.answers} == {"founded_by"}
    assert len(examples) == count and {example.annotated for example in examples} == {frozenset({"founded_by"})}
    assert len(frozen) == 2 and len(component.predictor.open.frozen) == 1
    component.set_labels(["met"])
    assert not component.predictor.known_examples and not component.predictor.open.frozen
    with pytest.raises(ValueError, match="R007"):
        component.add_examples(gold_docs(nlp))


@pytest.mark.filterwarnings("ignore:.*W161")
def test_examples_say_nothing_of_a_label_that_is_added_after_them(make_open, gold_docs):
    component = make_open().get_pipe(NAME)
    docs = gold_docs(make_open())
    component.add_examples(docs[:6])
    assert component.add_label("met", OTHERS["met"]) == 1 and component.add_label("met") == 0
    component.add_examples(docs[6:])
    examples = component.predictor.known_examples
    known = [[component.predictor.labels.known(example)[i] for i in (1, 5)] for example in examples]
    assert known == [[True, False]] * 6 + [[True, True]] * 2
    assert [example.answers for example in examples[:6]] == [
        c.instance.answers for d in docs for c in asked(component, d)
    ]


def asked(component, doc):
    return [pair for pair in component._labelled(doc) if pair.instance.answers]


def test_no_labels_and_those_that_are_there(make_open):
    component = make_open().get_pipe(NAME)
    before = component.predictor.calibration
    component.set_labels(component.label_data)
    assert component.predictor.calibration is before
    with pytest.raises(ValueError, match="R661"):
        component.set_labels([])


def test_a_trained_head_keeps_its_labels(trained, gold_docs, found):
    nlp, component = loaded(trained)
    expected = found(nlp.pipe(copy_input(doc) for doc in gold_docs(nlp)))
    with pytest.raises(ValueError, match=r"R662.*missing now: 'located_in'; unknown to it: 'met'"):
        component.set_labels(OTHERS)
    with pytest.raises(ValueError, match="R662"):
        component.set_labels({"founded_by": "", "located_in": {"symmetric": True}})
    # Words and types are free, in any order.
    component.set_labels({"located_in": {"tail_types": ["GPE"]}, "founded_by": "is the work of"})
    assert component.labels == ("founded_by", "located_in")
    assert component.label_data["founded_by"]["text"] == "is the work of"
    assert found(nlp.pipe(copy_input(doc) for doc in gold_docs(nlp))) == expected


# At load


@pytest.mark.parametrize("labels", [{"met": "met"}, ["met"], [{"label": "met", "text": "met"}]], ids=str)
def test_labels_given_at_load_replace_those_that_were_saved(saved, tmp_path, labels):
    nlp, component = loaded(saved, labels=labels)
    assert component.labels == ("met",)
    nlp.to_disk(tmp_path / "again")
    assert loaded(tmp_path / "again")[1].labels == ("met",)
    nested = spacy.load(saved, config={"components": {NAME: {"labels": labels}}})
    assert nested.get_pipe(NAME).labels == ("met",)


def test_a_list_may_have_labels_of_the_file_and_words_may_change(saved):
    known = loaded(saved)[1].label_data
    given = [{"label": label, **spec} for label, spec in known.items()] + [{"label": "met", "head_types": ["PERSON"]}]
    assert loaded(saved, labels=given)[1].labels == (*known, "met")
    assert loaded(saved, labels=given[:1])[1].labels == ("founded_by",)


def test_w163_a_table_with_labels_that_the_file_has(saved):
    """spaCy adds it to that of the file, so that those that are the same are not known to be given."""
    with pytest.warns(UserWarning, match=r"W163.*whether 'located_in', which.*as a list"):
        changed = loaded(saved, labels={"founded_by": "is the work of"})[1]
    assert changed.label_data["founded_by"]["text"] == "is the work of" and len(changed.labels) == 1
    with pytest.warns(UserWarning, match=r"W163.*whether 'founded_by', 'located_in', which"):
        assert loaded(saved, labels={"founded_by": "was founded by", "met": "met"})[1].labels == ("met",)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loaded(saved, labels=["met"])[1].labels == ("met",)


@pytest.mark.filterwarnings("ignore:.*W161")
def test_saved_labels_stay_where_none_are_given(make_open, gold_docs, tmp_path):
    nlp = make_open(labels={})
    nlp.get_pipe(NAME).add_examples(gold_docs(nlp))
    nlp.get_pipe(NAME).add_label("met")
    nlp.to_disk(tmp_path / "taken")
    assert loaded(tmp_path / "taken")[1].labels == ("founded_by", "located_in", "met")
    component = loaded(tmp_path / "taken", labels={"saw": ""})[1]
    assert component.labels == ("saw",) and not component.predictor.known_examples
    nlp = make_open()
    nlp.get_pipe(NAME).add_label("met")
    nlp.to_disk(tmp_path / "added")
    assert loaded(tmp_path / "added")[1].labels == ("founded_by", "located_in", "met")


def test_labels_written_into_the_config_of_a_saved_pipeline(saved):
    file = saved / "config.cfg"
    text = file.read_text(encoding="utf8")
    file.write_text(text.replace('located_in = "is located in"', 'located_in = "lies in"\nmet = "met"'), "utf8")
    component = loaded(saved)[1]
    assert component.labels == ("founded_by", "located_in", "met")
    assert component.label_data["located_in"]["text"] == "lies in"


def test_a_threshold_and_labels_given_at_load(saved):
    component = loaded(saved, labels=["met"], threshold=0.3)[1]
    assert component.labels == ("met",) and component.predictor.calibration.threshold == 0.3


def test_labels_given_at_load_to_a_trained_head(trained):
    with pytest.raises(ValueError, match="R662"):
        loaded(trained, labels={"met": "met"})
    same = [{"label": "located_in", "text": "lies in"}, {"label": "founded_by"}]
    assert loaded(trained, labels=same)[1].labels == ("founded_by", "located_in")
    # All labels that a head was made for are its own, also where a table changes the words of one.
    component = loaded(trained, labels={"located_in": "lies in"})[1]
    assert [spec["text"] for spec in component.label_data.values()] == ["was founded by", "lies in"]


@pytest.mark.parametrize("labels", [[{"text": "met"}], [{"label": "met"}, {"label": "met"}]], ids=str)
def test_a_list_that_is_no_list_of_labels(saved, labels):
    with pytest.raises(ValueError, match="R006"):
        loaded(saved, labels=labels)
