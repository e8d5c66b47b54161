"""The benchmark of ordinary paragraphs: what counts as right, and that the default component runs through."""

import json
import sys

import pytest
import spacy
from spacy.tokens import Doc

from benchmarks import paragraphs
from spacy_ragre.corpora.openrel import SourceText, component_labels, read_schema

SOURCE = """# title: Dairies
# labels
owns | owns; holds | the head owns the tail | PERSON,ORG | ORG
partner_of | is a partner of | the two work together | ORG | ORG | symmetric
# texts
Ann Lee owns the [Reds|ORG] with [Blues|ORG]. The [Reds|ORG] belong to [Ann Lee|PERSON]. || 4 owns 1; 2 partner_of 1
"""
SYMMETRIC = frozenset({"partner_of"})


@pytest.fixture
def text(tmp_path) -> SourceText:
    path = tmp_path / "dairies.txt"
    path.write_text(SOURCE, encoding="utf8")
    return read_schema(path, min_wordings=1).texts[0]


def make_doc(text: SourceText, mentions, relations=()) -> Doc:
    """mentions: texts with the number of their occurrence; relations: (mention, label, mention)."""
    doc = spacy.blank("en").make_doc(text.text)
    spans = []
    for words, occurrence in mentions:
        start = -1
        for _ in range(occurrence + 1):
            start = text.text.index(words, start + 1)
        spans.append(doc.char_span(start, start + len(words), label="ORG"))
    doc.ents = spans
    doc._.relations = [{"head": spans[h], "tail": spans[t], "label": label} for h, label, t in relations]
    return doc


def test_relations_count_between_names(text):
    mentions = [("Reds", 1), ("Blues", 0), ("Ann Lee", 1)]
    doc = make_doc(text, mentions, [(2, "owns", 0), (0, "partner_of", 1)])
    # Of the other mention of a name, and in the other direction of a symmetric label.
    assert paragraphs.count(doc, text, SYMMETRIC) == (2, 2, 2, 3, 3, 2)
    doc = make_doc(text, mentions, [(0, "owns", 2), (0, "owns", 1)])
    assert paragraphs.count(doc, text, SYMMETRIC) == (0, 2, 2, 3, 3, 2)


def test_an_entity_is_found_where_it_overlaps_and_reads_the_same_up_to_determiners(text):
    doc = make_doc(text, [("The Reds", 0), ("Blues", 0), ("Ann Lee", 1)], [(2, "owns", 0)])
    assert paragraphs.count(doc, text, SYMMETRIC) == (1, 1, 2, 3, 3, 2)
    # A longer span is another name, and so is one that overlaps with no gold mention.
    doc = make_doc(text, [("Reds belong", 0), ("Ann Lee", 0)], [(1, "owns", 0)])
    assert paragraphs.count(doc, text, SYMMETRIC) == (0, 1, 2, 0, 3, 0)


def test_scores_are_micro_averages():
    counts = [paragraphs.Counts(1, 4, 2, 3, 4, 2), paragraphs.Counts(1, 0, 2, 1, 4, 0)]
    scores = {"relations_p": 0.5, "relations_r": 0.5, "relations_f": 0.5, "relations_reached_r": 1.0, "entities_r": 0.5}
    assert paragraphs.scores_of(counts) == scores
    assert paragraphs.scores_of([paragraphs.Counts(0, 0, 3, 0, 0, 0)])["relations_f"] == 0


def test_gold_entities_are_those_of_the_paragraph(text):
    doc = paragraphs.with_gold(spacy.blank("en"), text)
    assert [(ent.text, ent.label_) for ent in doc.ents] == [
        ("Reds", "ORG"),
        ("Blues", "ORG"),
        ("Reds", "ORG"),
        ("Ann Lee", "PERSON"),
    ]


def test_labels_of_the_component(tmp_path):
    path = tmp_path / "dairies.txt"
    path.write_text(SOURCE, encoding="utf8")
    schema = read_schema(path, min_wordings=1)
    assert component_labels(schema)["owns"] == {
        "text": ["owns", "holds"],
        "definition": "the head owns the tail",
        "symmetric": False,
        "head_types": ["PERSON", "ORG"],
        "tail_types": ["ORG"],
    }
    assert set(component_labels(schema, types=False)["owns"]) == {"text", "definition", "symmetric"}


def test_a_subset_is_the_same_each_time():
    whole = paragraphs.read()
    first, second = paragraphs.subset(whole, 5), paragraphs.subset(paragraphs.read(), 5)
    assert first == second and sum(len(schema.texts) for schema in first) == 5
    assert sum(len(schema.texts) for schema in whole) == 86
    assert paragraphs.subset(whole, 0) == paragraphs.subset(whole, 86) == whole


@pytest.mark.real
@pytest.mark.parametrize("entities, answer", [("gold", "open"), ("own", "clusters")])
def test_the_benchmark_writes_a_row(tmp_path, monkeypatch, entities, answer):
    output = tmp_path / "paragraphs.json"
    arguments = ["--answers", answer, "--entities", entities, "--limit", "2", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["paragraphs", *arguments])
    paragraphs.main()
    rows = json.loads(output.read_text())["rows"]
    assert [row["name"] for row in rows] == [f"{answer}, {kind} entity types" for kind in ("with", "without")]
    found_by = paragraphs.ENTITIES[entities].format(pipeline=paragraphs.PIPELINE)
    assert all(row["split"] == f"paragraphs, seeded subset (2), {found_by}" for row in rows)
    assert all(0 <= value <= 1 for row in rows for values in row["scores"].values() for value in values)
    assert (rows[0]["scores"]["entities_r"] == [1.0]) == (entities == "gold")


def test_test_paragraphs_are_others_and_measured_by_their_name(tmp_path, monkeypatch, capsys):
    test, dev = paragraphs.read(paragraphs.TEST), paragraphs.read()
    assert sum(len(schema.texts) for schema in test) == 27 and all(len(schema.labels) == 8 for schema in test)
    assert not {text.text for schema in test for text in schema.texts} & {t.text for s in dev for t in s.texts}
    monkeypatch.setattr(paragraphs, "measure", lambda schemas, *args: ({"relations_f": 0.5}, {}))
    output = tmp_path / "out.json"
    options = ["paragraphs", "--test", "--answers", "open", "--entities", "gold", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", options)
    paragraphs.main()
    rows = json.loads(output.read_text(encoding="utf8"))["rows"]
    assert {row["split"] for row in rows} == {"test paragraphs (27), gold entities"}
