"""Labels and the classes that answer a pair."""

from typing import Any

import pytest

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet, LabelSpec, check_config_labels, label_table


def test_classes_have_a_direction_each_unless_symmetric() -> None:
    labels = LabelSet({"founded_by": "was founded by", "spouse": {"text": "is married to", "symmetric": True}})
    assert labels.classes == [
        None,
        Answer("founded_by", False),
        Answer("founded_by", True),
        Answer("spouse", False),
    ]
    assert [labels.index(answer) for answer in labels.classes] == [0, 1, 2, 3]
    assert labels.index(Answer("spouse", True)) == 3
    assert len(labels) == 2 and list(labels) == ["founded_by", "spouse"]
    assert "spouse" in labels and "no_relation" not in labels


def test_no_labels() -> None:
    labels = LabelSet()
    assert len(labels) == 0 and labels.classes == [None] and labels.allowed("A", "B") == [True]


def test_text_of_a_label_is_its_own_words_by_default() -> None:
    labels = LabelSet({"Founded_By": "", "Cause-Effect": {"definition": "d"}})
    assert labels.specs["Founded_By"] == LabelSpec("founded by")
    assert labels.specs["Cause-Effect"] == LabelSpec("cause effect", "d")


def test_several_wordings_of_a_label() -> None:
    table = {"text": ["was founded by", "was started by"], "definition": "d"}
    labels = LabelSet({"founded_by": table, "one": {"text": ["runs"]}, "own_words": {"text": " "}})
    assert labels.specs["founded_by"].text == "was founded by"
    assert labels.specs["founded_by"].texts == ("was founded by", "was started by")
    assert labels.specs["own_words"] == LabelSpec("own words") == LabelSpec("own words", texts=("own words",))
    assert labels.to_dict()["founded_by"]["text"] == ["was founded by", "was started by"]
    # Saved as before where there is one.
    assert labels.to_dict()["one"]["text"] == "runs"
    assert LabelSet(labels.to_dict()).specs == labels.specs
    check_config_labels(labels.to_dict())


def test_adding_a_label_twice_keeps_the_first() -> None:
    labels = LabelSet({"a": "first"})
    assert labels.add("b") is True and labels.add("a", "second") is False
    assert labels.specs["a"].text == "first" and len(labels.classes) == 5


def test_type_constraints_hold_in_both_directions() -> None:
    labels = LabelSet(
        {
            "founded_by": {"head_types": ["ORG"], "tail_types": ["PERSON"]},
            "met": {"symmetric": True, "head_types": ["PERSON"], "tail_types": ["ORG"]},
            "in": {"tail_types": ["GPE"]},
        }
    )
    # no relation; founded_by and its inverse; met; in and its inverse
    assert labels.allowed("ORG", "PERSON") == [True, True, False, True, False, False]
    assert labels.allowed("PERSON", "ORG") == [True, False, True, True, False, False]
    assert labels.allowed("ORG", "GPE") == [True, False, False, False, True, False]
    assert labels.allowed("GPE", "ORG") == [True, False, False, False, False, True]
    assert labels.allowed("", "") == [True, False, False, False, False, False]


def test_replace_takes_other_labels_and_leaves_none_of_the_old() -> None:
    labels = LabelSet({"a": "x"})
    labels.replace({"b": {"symmetric": True}})
    assert list(labels) == ["b"] and labels.classes == [None, Answer("b", False)]
    with pytest.raises(ValueError, match="R007"):
        labels.index(Answer("a"))


def test_replace_changes_nothing_where_the_new_labels_are_wrong() -> None:
    labels = LabelSet({"a": "x"})
    with pytest.raises(ValueError, match="R005"):
        labels.replace({"b": "y", "no_relation": "z"})
    assert list(labels) == ["a"] and len(labels.classes) == 3


def test_to_dict_builds_the_same_set() -> None:
    labels = LabelSet({"a": "x", "b": {"symmetric": True, "head_types": ["ORG"], "tail_types": None}})
    again = LabelSet(labels.to_dict())
    assert again.specs == labels.specs and again.classes == labels.classes


def test_r005_no_relation_is_reserved() -> None:
    with pytest.raises(ValueError, match="R005.*'no_relation'"):
        LabelSet({"no_relation": "nothing"})


@pytest.mark.parametrize(
    "value,problem",
    [
        (3, "got 3"),
        (None, "got None"),
        ({"txt": "x"}, "unknown keys.*txt"),
        ({"txt": "x", 0: "y"}, "unknown keys.*0.*txt"),
        ({"head_types": "ORG"}, "must be a list"),
        ({"tail_types": [1]}, "must be a list"),
        ({"tail_types": [""]}, "must be a list"),
        ({"symmetric": "false"}, "symmetric must be true or false"),
        ({"text": 3}, "text must be text"),
        ({"text": 0}, "text must be text"),
        ({"text": []}, "a list of texts.*got \\[\\]"),
        ({"text": ["runs", 3]}, "a list of texts.*got \\['runs', 3\\]"),
        ({"text": ["runs", " "]}, "not blank.*got \\['runs', ' '\\]"),
        ({"text": ["runs", "leads", "runs"]}, "the same words twice"),
        ({"definition": ["x"]}, "definition must be text"),
    ],
)
def test_r006_settings_of_a_label(value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"R006.*'a'.*{problem}"):
        LabelSet({"a": value})


def test_r007_unknown_labels_are_named_with_the_known() -> None:
    with pytest.raises(ValueError, match="R007.*'c'.*a, b"):
        LabelSet({"a": "x", "b": "y"}).index(Answer("c"))
    with pytest.raises(ValueError, match="R007.*none"):
        LabelSet().index(Answer("c"))


@pytest.mark.parametrize("label", [3, None, "", "  "])
def test_r006_labels_that_are_no_text(label: Any) -> None:
    with pytest.raises(ValueError, match="R006.*the label itself"):
        LabelSet({label: "x"})


def test_a_list_of_labels_is_a_table_without_texts() -> None:
    assert LabelSet(label_table(["founded_by", "in"])).specs["founded_by"].text == "founded by"
    assert label_table({"a": "x"}) == {"a": "x"}


def test_what_is_known_of_an_instance() -> None:
    labels = LabelSet({"a": "x", "b": {"symmetric": True}})

    def instance(*answers: str, annotated: Any = None, known: bool = True) -> Instance:
        own = tuple(Answer(label) for label in answers) if known else None
        return Instance(
            "A B", (0, 1), (2, 3), answers=own, annotated=None if annotated is None else frozenset(annotated)
        )

    everything = [instance(), instance("a"), instance(annotated="abc"), instance("b", annotated="ab")]
    assert all(labels.is_complete(i) and labels.known(i) == [True] * 4 for i in everything)
    # none, a, a reversed, b
    assert labels.known(instance(annotated="bc")) == [False, False, False, True]
    assert labels.known(instance("a", annotated="c")) == [True, True, True, False]
    assert labels.known(instance(annotated=())) == [False] * 4 == labels.known(instance(known=False))
    assert not labels.is_complete(instance(annotated="b"))
    assert instance("a", annotated="b").swapped().annotated == {"b"}


@pytest.mark.parametrize("label", ["-", "_", "--"])
def test_a_label_without_words_is_its_own(label: str) -> None:
    for spec in ("", {}, {"text": " "}):
        labels = LabelSet({label: spec})
        assert labels.specs[label].text == label
        assert LabelSet(labels.to_dict()).specs == labels.specs
