from spacy_ragre.instances import Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.prompts import Segments, class_words, make_relation_prompt


def test_class_words():
    labels = LabelSet({"founded_by": "was founded by", "spouse": {"symmetric": True}})
    assert class_words(labels) == ["no relation", "was founded by", "inverse of was founded by", "spouse"]
    assert class_words(LabelSet()) == ["no relation"]


def test_class_words_are_distinct():
    labels = LabelSet({"a": "is in", "b": "is in", "c": "no relation", "d": "inverse of is in", "e": "is  in\n"})
    words = class_words(labels)
    assert len(set(words)) == len(words) == len(labels.classes)
    assert words[3] == "is in b"


def test_segments_skip_empty_parts():
    segments = Segments("", "d\n", ("", ("e", "", "\n")), ("", "q"))
    assert segments.pieces() == ["d\n", "e", "\n", "q"]
    assert segments.text == "d\ne\nq"
    assert Segments(query="q").pieces() == ["q"]


def test_many_labels_have_an_answer_each():
    labels = LabelSet({f"label_{i}": "" for i in range(100)})
    query = Instance("Ada met Bob. " * 30, (0, 3), (8, 11))
    answers = make_relation_prompt().answers(query, labels)
    assert len(answers) == len(set(answers)) == len(labels.classes) == 201
