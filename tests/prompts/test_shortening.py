"""Texts that are cut around their mentions."""

import pytest

from spacy_ragre.instances import Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.prompts.shortening import count_words, cut_mentions, cut_text, without_definitions

TEXT = "A b c Ann d e f g h Bob i j"


def pair(first: str, second: str, text: str = TEXT) -> Instance:
    a, b = text.index(first), text.rindex(second)
    return Instance(text, (a, a + len(first)), (b, b + len(second)), "PERSON")


@pytest.mark.parametrize(
    "context, expected",
    [
        (0, "Ann … Bob"),
        (1, "c Ann d … h Bob i"),
        (2, "b c Ann d e … g h Bob i j"),
        (3, "A b c Ann d e f g h Bob i j"),
        (99, TEXT),
    ],
)
def test_words_near_the_mentions_are_kept(context: int, expected: str) -> None:
    for instance in (pair("Ann", "Bob"), pair("Ann", "Bob").swapped()):
        cut = cut_text(instance, context)
        assert cut.text == expected
        assert (cut.first_text, cut.second_text) == (instance.first_text, instance.second_text)
        assert cut.first_type == instance.first_type


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ("Ann d e", "e f g", "Ann d e f g"),
        ("Ann d e f", "e", "Ann d e f"),
        ("nn", "ob", "Ann … Bob"),
        ("A", "j", "A … j"),
    ],
)
def test_nested_mentions_and_those_inside_a_word(first: str, second: str, expected: str) -> None:
    cut = cut_text(pair(first, second), 0)
    assert cut.text == expected and (cut.first_text, cut.second_text) == (first, second)


def test_texts_without_spaces_are_cut() -> None:
    text = "北" * 200 + "安" + "京" * 200 + "波" + "南" * 200
    cut = cut_text(pair("安", "波", text), 1)
    assert len(cut.text) < 120 and (cut.first_text, cut.second_text) == ("安", "波")
    assert count_words(text) > 30


def test_the_middle_of_long_mentions_goes() -> None:
    cut = cut_mentions(pair("c Ann d e f g", "Bob"), 2)
    assert cut.text == "A b c Ann … f g h Bob i j"
    assert (cut.first_text, cut.second_text) == ("c Ann … f g", "Bob")
    assert cut_mentions(pair("Ann", "Bob"), 2) == pair("Ann", "Bob")
    nested = cut_mentions(pair("b c Ann d e f g h Bob i", "e"), 1)
    assert nested.second_text == "e" and nested.first_text.startswith("b")


def test_labels_without_definitions() -> None:
    labels = LabelSet({"a": {"text": "is a", "definition": "Long.", "symmetric": True}, "b": "has b"})
    brief = without_definitions(labels)
    assert brief.classes == labels.classes and [spec.definition for spec in brief.specs.values()] == ["", ""]
    assert brief.specs["a"].text == "is a" and labels.specs["a"].definition == "Long."
