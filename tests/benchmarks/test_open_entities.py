"""What the finder of entities is trained on and measured by."""

import json
from pathlib import Path

import pytest

from benchmarks.open_entities import data, evaluate
from spacy_ragre.entity_types import ONTONOTES

OPENREL = Path(data.__file__).parents[2] / "corpora_src" / "openrel"

FILE = """# title: Drugs
# labels
treats | treats; is given for; helps against | the head is given against the tail | {types}
# texts
[Ann Lee|PERSON] gave [aspirin|{drug}] for a [headache|TERM]. || none
"""


def read(tmp_path, drug, types):
    path = tmp_path / "900_drugs.txt"
    path.write_text(FILE.format(drug=drug, types=types), encoding="utf8")
    (schema,) = data.read_openrel(tmp_path, held_out=False)
    return schema


def test_all_types_of_spacy_are_asked_for_where_others_are_not(tmp_path):
    schema = read(tmp_path, "PRODUCT", "PERSON | PRODUCT")
    assert set(schema.types) == ONTONOTES
    # Common nouns are none of them.
    assert [type_ for _, _, type_ in schema.texts[0].ents] == ["PERSON", "PRODUCT"]


def test_types_of_one_s_own_are_asked_for_as_they_are(tmp_path):
    schema = read(tmp_path, "DRUG", "PERSON | DRUG")
    assert schema.types == {"DRUG": ("drug",), "PERSON": ("person", "people", "name of a person", "human")}


def test_what_is_held_out_does_not_train():
    train, held_out = (data.read_openrel(OPENREL, held_out=way) for way in (False, True))
    assert len(held_out) == len(data.HELD_OUT)
    assert not {schema.name for schema in train} & {schema.name for schema in held_out}
    first = {int(schema.name.split("_")[0]) for schema in (*train, *held_out)}
    assert min(first) >= data.FIRST_COMPLETE


def test_of_entities_that_overlap_the_longer_one_stays():
    ents = [(0, 4, "A"), (0, 9, "B"), (5, 9, "A"), (10, 12, "A")]
    assert data.without_overlaps(ents) == ((0, 9, "B"), (10, 12, "A"))


def test_a_document_of_docred_in_parts(tmp_path):
    record = {
        "sents": [["Ann", "Lee", "left", "."], ["She", "saw", "Rome", "."], ["It", "rained", "."]],
        "vertexSet": [
            [{"sent_id": 0, "pos": [0, 2], "type": "PER"}],
            [{"sent_id": 1, "pos": [2, 3], "type": "LOC"}],
        ],
    }
    path = tmp_path / "dev.json"
    path.write_text(json.dumps([record] * 5), encoding="utf8")
    schema = data.read_docred(path)
    found = {(text.text[start:end], type_) for text in schema.texts for start, end, type_ in text.ents}
    assert found == {("Ann Lee", "PER"), ("Rome", "LOC")}
    assert sum(len(text.ents) for text in schema.texts) == 10


def test_entities_are_compared_without_an_article():
    text = "The Alps and a lake"
    assert evaluate.counted(text, [(0, 8, "LOC")]) == evaluate.counted(text, [(4, 8, "LOC")])
    assert evaluate.counted("A", [(0, 1, "X")]) == {(0, 1, "X")}


def test_scores_with_types_and_without():
    gold = {(0, 3, "A"), (4, 6, "B")}
    scores = evaluate.scores_of([(gold, {(0, 3, "A"), (4, 6, "A"), (7, 8, "A")}), (gold, set())])
    assert scores["ents_p"] == pytest.approx(1 / 3) and scores["ents_r"] == pytest.approx(1 / 4)
    assert scores["spans_p"] == pytest.approx(2 / 3) and scores["spans_r"] == pytest.approx(1 / 2)
    assert evaluate.scores_of([(gold, set())])["ents_f"] == 0.0


def test_types_of_ontonotes_count_as_the_wider_ones():
    schema = data.TypedTexts("x", "redocred", {}, [data.Text("Rome in 1990", ((0, 4, "LOC"), (8, 12, "TIME")))])

    class Ent:
        def __init__(self, start, end, label):
            self.start_char, self.end_char, self.label_ = start, end, label

    class Doc:
        ents = (Ent(0, 4, "GPE"), Ent(8, 12, "DATE"))

    ((gold, found),) = evaluate.find([schema], lambda _: lambda texts: [Doc() for _ in texts])
    assert gold == found
