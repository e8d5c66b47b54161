"""Windows: where documents are cut, and what is read together."""

import pytest
import spacy

from spacy_ragre.components.supplements.windows import Limits, windows

nlp = spacy.blank("en")


def texts(doc, max_tokens=64, max_sentences=1):
    return [doc[start:end].text for start, end in windows(doc, Limits(max_tokens, max_sentences))]


@pytest.mark.parametrize(
    "sentences",
    [
        ["Takes zinc.", "No pain!", '"Any iron?"', "Yes..."],
        ["Takes vitamin D.", "Zinc stopped."],
        ["PMH: HTN", "Takes zinc", "- iron"],
        ["Vitals stable.", "3 tabs of zinc."],
        ["Denies St. John's wort, cont. Vit. D3 and vit. B12, incl. B complex vs. zinc.", "Dr. Wu agrees."],
        ["Recurrent C. diff, milk thistle? or used to, L. reuteri to begin."],
        ["Uses e.g. fish oil 1.5 g a.m."],
        ["Takes fish\noil.", "Iron,\nno zinc\n\n", "no pain"],
    ],
)
def test_sentences_are_read_one_by_one(sentences):
    separator = " " if sentences[0].endswith(tuple(".!?")) else "\n"
    found = texts(nlp(separator.join(sentences)))
    assert [text.strip() for text in found] == [sentence.strip() for sentence in sentences]


def test_sentences_of_the_pipeline_are_used():
    doc = nlp("a b c. D e f g h i j k l")
    for token in doc:
        token.is_sent_start = token.i in (0, 5)
    assert windows(doc, Limits(8)) == [(0, 5), (5, len(doc))]


def test_several_sentences_are_read_together_where_that_is_asked_for():
    doc = nlp("Takes zinc daily. No pain. Sleeps. " * 4)
    assert [text.count(".") for text in texts(doc, max_sentences=2)] == [2] * 6
    cuts = windows(doc, Limits(12, None))
    assert cuts[0][0] == 0 and cuts[-1][1] == len(doc) and all(end - start <= 12 for start, end in cuts)
    assert len(cuts) < 12 and all(a[1] == b[0] for a, b in zip(cuts, cuts[1:]))
    assert all(doc[end - 1].text == "." for _, end in cuts)
    assert texts(doc, max_tokens=1000, max_sentences=None) == [doc.text.strip()]


def test_a_sentence_without_end_is_cut_where_it_is_full():
    doc = nlp("zinc " * 30)
    assert windows(doc, Limits(8)) == [(0, 8), (8, 16), (16, 24), (24, 30)]


def test_white_space_and_encoded_data_are_not_read():
    assert texts(nlp("")) == texts(nlp(" \n\n \t ")) == []
    doc = nlp("Takes zinc\n\n   \n" + "A" * 300 + " and iron. " + "B" * 300)
    assert [text.strip() for text in texts(doc)] == ["Takes zinc", "and iron."]
    assert windows(nlp("zinc . " + "QmFzZTY0" * 200 + " iron . B6"), Limits(64, None)) == [(0, 2), (3, 6)]
    assert texts(nlp("A" * 300)) == []
