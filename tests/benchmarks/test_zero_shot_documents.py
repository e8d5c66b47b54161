"""The zero-shot benchmark of whole documents."""

import json

import pytest

from benchmarks import zero_shot, zero_shot_documents


def mention(sentence, start, end, name, type_):
    return {"sent_id": sentence, "pos": [start, end], "name": name, "type": type_}


DOCUMENT = {
    "title": "Acme",
    "sents": [["Acme", "was", "founded", "by", "Ann", "Lee", "."], ["Lee", "lives", "in", "Oslo", "."]],
    "vertexSet": [
        [mention(0, 0, 1, "Acme", "ORG")],
        [mention(0, 4, 6, "Ann Lee", "PER"), mention(1, 0, 1, "Lee", "PER")],
        [mention(1, 3, 4, "Oslo", "LOC")],
    ],
    "labels": [{"h": 0, "t": 1, "r": "P112", "evidence": [0]}, {"h": 1, "t": 2, "r": "P551", "evidence": [1]}],
}
NAMES = {"P112": "founded by", "P551": "residence", "P26": "spouse"}


@pytest.fixture
def data(tmp_path):
    files = {
        "redocred/test_revised.json": [DOCUMENT, {**DOCUMENT, "title": "Acme again"}],
        "redocred/rel_info.json": NAMES,
        "relations/fewrel64.labels.json": {"residence": {"text": "lives in", "definition": "HEAD lives in TAIL."}},
    }
    for name, content in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf8")
    return tmp_path / "data"


def test_labels_have_the_words_of_all_sources(data):
    labels = zero_shot_documents.read_labels(data)
    assert {name: spec["text"] for name, spec in labels.items()} == {
        "founded by": "was founded by",
        "residence": "lives in",
        "spouse": "is married to",
    }
    assert all(spec["definition"] for spec in labels.values())


def test_documents_are_all_or_a_subset(data):
    assert len(zero_shot_documents.read_documents(data)) == 2 == len(zero_shot_documents.read_documents(data, 5))
    assert len(zero_shot_documents.read_documents(data, 1)) == 1


@pytest.mark.real
def test_a_row_of_whole_documents(data, tmp_path):
    zero_shot.main(["redocred", "--systems", "open", "--data", str(data), "--output", str(tmp_path / "results")])
    (row,) = json.loads((tmp_path / "results" / "zero_shot_redocred.json").read_text())["rows"]
    assert row["split"] == "test (2 documents)" and "Re-DocRED dev" in row["description"]
    assert row["scores"]["docred_p"] == [1.0] and row["scores"]["docred_r"][0] >= 0.5
