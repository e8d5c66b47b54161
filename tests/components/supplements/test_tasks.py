"""Questions of documents, and answers on their way back."""

import pytest
import spacy
from spacy.tokens import Span

from spacy_ragre.components.supplements.mentions import char_span
from spacy_ragre.components.supplements.predictor import mixing_weights
from spacy_ragre.components.supplements.questions import EntityLabels, questions, without_mentions
from spacy_ragre.components.supplements.windows import Limits

LABELS = EntityLabels("SUPPLEMENT", "EVENT")
nlp = spacy.blank("en")


def ask(doc, task, gold=False, max_tokens=64, max_sentences=None):
    return questions(doc, task, doc.ents, LABELS, Limits(max_tokens, max_sentences), gold=gold)


def test_questions_with_their_gold_answers(gold):
    doc = gold(nlp)[4]
    (entities,) = ask(doc, "ner", gold=True)
    assert entities.instance.response == "fish oil (supplement); rash (event); zinc (supplement)"
    assert [q.instance.response for q in ask(doc, "uc", gold=True)] == ["continuing", "discontinued"]
    relations = ask(doc, "re", gold=True)
    assert [(q.instance.first_text, q.instance.second_text, q.instance.response) for q in relations] == [
        ("fish oil", "rash", "not related"),
        ("zinc", "rash", "not related"),
    ]
    assert ask(doc, "te", gold=True)[0].instance.response == "none"
    assert ask(gold(nlp)[0], "te", gold=True)[0].instance.response == "zinc | positive | colds"


def test_questions_without_gold_tell_no_answers(gold):
    for task in ("ner", "re", "te", "uc"):
        for question in ask(gold(nlp)[0], task):
            assert question.instance.response == "" and question.instance.answers is None


def test_what_is_not_annotated_is_not_learned():
    doc = nlp("Takes zinc for colds .")
    doc.ents = [Span(doc, 1, 2, "SUPPLEMENT"), Span(doc, 3, 4, "EVENT")]
    assert [ask(doc, task, gold=True) for task in ("re", "te", "uc")] == [[], [], []]
    assert len(ask(doc, "ner", gold=True)) == 1


def test_no_text_and_no_mentions():
    empty = nlp("")
    assert ask(empty, "ner") == ask(empty, "te") == ask(nlp(" \n "), "ner") == []
    assert ask(nlp("Nothing here ."), "uc") == ask(nlp("Nothing here ."), "re") == []


def test_a_mention_on_a_cut_is_read_whole():
    doc = nlp("word " * 7 + "fish oil " + "word " * 6)
    doc.ents = [Span(doc, 7, 9, "SUPPLEMENT")]
    (question,) = ask(doc, "uc", max_tokens=8)
    assert question.instance.first_text == "fish oil"
    assert question.instance.text.endswith("fish oil")


def test_pairs_in_different_windows_are_not_asked():
    doc = nlp("Takes zinc daily with food . " + "Sleeps well at night . " * 4 + "Has colds .")
    zinc, colds = 1, len(doc) - 2
    doc.ents = [Span(doc, zinc, zinc + 1, "SUPPLEMENT"), Span(doc, colds, colds + 1, "EVENT")]
    assert ask(doc, "re", max_tokens=12) == ask(doc, "re", max_sentences=1) == [] and len(ask(doc, "re")) == 1


def test_parts_without_mentions_teach_that_there_may_be_none(gold):
    doc = nlp("Takes zinc daily, sleeps well on most nights, no pain .")
    doc.ents = [Span(doc, 1, 2, "SUPPLEMENT"), Span(doc, 11, 12, "EVENT")]
    (part,) = without_mentions(doc, doc.ents, 64)
    assert (part.text, part.response) == ("sleeps well on most nights,", "none")
    doc = nlp("no text ends here " * 20 + "\n \nthis one does end")
    assert [part.text for part in without_mentions(doc, (), 16)] == ["this one does end"]


@pytest.mark.parametrize(
    "text, start, end, expected",
    [
        ("takes vitamin D.", 6, 15, "vitamin D."),
        ("takes vitamin D daily", 6, 15, "vitamin D"),
        ("takes zincs", 6, 10, None),
        ("takes zinc", 6, 10, "zinc"),
    ],
)
def test_tokens_of_a_mention(text, start, end, expected):
    span = char_span(nlp(text), start, end, "SUPPLEMENT")
    assert (span.text if span is not None else None) == expected


@pytest.mark.parametrize(
    "temperature, expected",
    [(1, {"ner": 1, "uc": 1}), (2, {"ner": 4 / 3, "uc": 2 / 3}), (1e9, {"ner": 2.5, "uc": 0.625})],
)
def test_mixing_weights(temperature, expected):
    counts = {"ner": 100, "uc": 400, "te": 0}
    weights = mixing_weights(counts, counts, temperature)
    assert sum(weights[task] * count for task, count in counts.items()) == pytest.approx(500)
    share = weights["ner"] * 100 / 500
    assert share == pytest.approx(100 ** (1 / temperature) / (100 ** (1 / temperature) + 400 ** (1 / temperature)))
    if temperature != 2:
        assert {task: weights[task] for task in expected} == pytest.approx(expected)


def test_lists_weigh_as_much_as_their_items():
    weights = mixing_weights({"ner": 100, "uc": 200}, {"ner": 300, "uc": 200}, 1)
    assert weights["ner"] == pytest.approx(3 * weights["uc"])
    assert weights["ner"] * 100 + weights["uc"] * 200 == pytest.approx(300)


def test_no_text_is_read_across_what_is_no_word():
    doc = nlp("Takes zinc . " + "QmFzZTY0" * 2000 + " Takes iron . Has colds .")
    doc.ents = [Span(doc, 1, 2, "SUPPLEMENT"), Span(doc, 5, 6, "SUPPLEMENT"), Span(doc, 8, 9, "EVENT")]
    assert [q.instance.text for q in ask(doc, "ner")] == ["Takes zinc .", "Takes iron . Has colds ."]
    assert [q.instance.first_text for q in ask(doc, "uc")] == ["zinc", "iron"]
    assert [(q.instance.first_text, q.instance.second_text) for q in ask(doc, "re")] == [("iron", "colds")]
    assert without_mentions(nlp("Here are some words and " + "QmFzZTY0" * 2000), (), 64) == []


def test_mentions_of_white_space_and_twice_in_a_group_are_asked_about_once():
    doc = nlp("Takes zinc \n\n daily")
    spans = [Span(doc, 1, 2, "SUPPLEMENT"), Span(doc, 1, 2, "SUPPLEMENT"), Span(doc, 2, 3, "SUPPLEMENT")]
    (question,) = questions(doc, "uc", spans, LABELS, Limits())
    assert question.instance.first_text == "zinc"


def test_relations_of_other_kinds_are_not_learned():
    doc = nlp("Takes zinc for colds")
    doc.ents = [Span(doc, 1, 2, "SUPPLEMENT"), Span(doc, 3, 4, "EVENT")]
    zinc, colds = doc.ents
    other = {"head": zinc, "tail": colds, "label": "mentioned_with"}
    doc._.relations = [other]
    assert ask(doc, "re", gold=True) == []
    doc._.relations = [other, {"head": zinc, "tail": colds, "label": "positive", "score": 0.5}]
    assert [q.instance.response for q in ask(doc, "re", gold=True)] == ["positive"]


def test_relations_of_entities_hold_for_all_their_mentions():
    doc = nlp("Takes zinc for colds ; zinc helps colds , iron does not")
    doc.ents = [
        Span(doc, 1, 2, "SUPPLEMENT"),
        Span(doc, 3, 4, "EVENT"),
        Span(doc, 5, 6, "SUPPLEMENT"),
        Span(doc, 7, 8, "EVENT"),
        Span(doc, 9, 10, "SUPPLEMENT"),
    ]
    ents = doc.ents
    doc._.entity_clusters = [[ents[0], ents[2]], [ents[1], ents[3]], [ents[4]]]
    relation = {"head": ents[0], "tail": ents[1], "label": "positive", "head_cluster": 0, "tail_cluster": 1}
    doc._.relations = [relation]
    asked = ask(doc, "re", gold=True)
    found = {(q.spans[0].start, q.spans[1].start): q.instance.response for q in asked}
    expected = {(s, e): "positive" for s in (1, 5) for e in (3, 7)}
    assert found == {**expected, (9, 3): "not related", (9, 7): "not related"}
    doc._.relations = [{**relation, "head_cluster": None}]
    found = {(q.spans[0].start, q.spans[1].start): q.instance.response for q in ask(doc, "re", gold=True)}
    assert [place for place, response in found.items() if response == "positive"] == [(1, 3), (1, 7)]


def test_a_status_that_is_none_is_refused():
    doc = nlp("Takes zinc")
    doc.ents = [Span(doc, 1, 2, "SUPPLEMENT")]
    doc.ents[0]._.usage = "Continuing"
    assert len(ask(doc, "uc")) == 1
    with pytest.raises(ValueError, match="R537.*'Continuing'.*discontinued"):
        ask(doc, "uc", gold=True)


def test_triples_are_learned_where_they_are_stated():
    doc = nlp(
        "Takes iron for pain . " + "Sleeps well at night . " * 3 + "Lives in a quiet environment , stairs painful ."
    )
    doc._.triples = [("iron", "positive", "pain")]
    without = ask(doc, "te", gold=True, max_tokens=10)
    assert [q.instance.response for q in without] == ["iron | positive | pain", "none", "none"]
    doc.ents = [Span(doc, 1, 2, "SUPPLEMENT"), Span(doc, 3, 4, "EVENT")]
    assert [q.instance.response for q in ask(doc, "te", gold=True, max_tokens=10)] == [
        q.instance.response for q in without
    ]
