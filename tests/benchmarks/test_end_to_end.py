"""Gold and own entities of whole documents, on two small ones."""

import json
import sys

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from benchmarks.end_to_end import ROWS, answer, main, score
from spacy_ragre.corpora import read_docred

PEOPLE = {"Ann", "Bob", "Acme"}


@Language.component("test_people", assigns=["doc.ents"])
def people(doc: Doc) -> Doc:
    """Finds all names but Cy."""
    doc.ents = [Span(doc, token.i, token.i + 1, "PER") for token in doc if token.text in PEOPLE]
    return doc


@Language.component("test_all_near", assigns=["doc._.relations"], requires=["doc.ents"])
def all_near(doc: Doc) -> Doc:
    """Relates the first entity to each other one."""
    clusters = doc._.entity_clusters
    doc._.relations = [
        {"head": clusters[0][0], "tail": c[0], "head_cluster": 0, "tail_cluster": i, "label": "near"}
        for i, c in enumerate(clusters)
        if i
    ]
    return doc


@pytest.fixture
def data(tmp_path):
    def mentions(*places):
        return [{"sent_id": 0, "pos": [place, place + 1], "type": "PER", "name": name} for place, name in places]

    words = ["Ann", "saw", "Bob", "and", "Cy", "."]
    vertices = [mentions((0, "Ann"), (2, "Bob")), mentions((4, "Cy"))]
    first = {"title": "a", "sents": [words], "vertexSet": vertices, "labels": [{"h": 0, "t": 1, "r": "near"}]}
    vertices = [mentions((0, "Ann")), mentions((2, "Bob"))]
    second = {**first, "title": "b", "vertexSet": vertices}
    path = tmp_path / "test.json"
    path.write_text(json.dumps([first, second]), encoding="utf8")
    return path


@pytest.fixture
def pipeline(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("test_people")
    nlp.add_pipe("entity_clusterer", config={"noun_phrases": False, "pronouns": False})
    nlp.add_pipe("test_all_near")
    nlp.to_disk(tmp_path / "pipeline")
    return tmp_path / "pipeline"


def scores(pipeline, data, row):
    nlp = spacy.load(pipeline)
    examples, seconds = answer(nlp, list(read_docred(data, nlp)), ROWS[row])
    assert nlp.pipe_names == ["test_people", "entity_clusterer", "test_all_near"] and seconds > 0
    return score(examples)


def test_gold_entities_and_clusters(pipeline, data):
    found = scores(pipeline, data, "gold entities")
    assert (found["relations_p"], found["relations_r"], found["docred_f"]) == (1, 1, 1)
    assert (found["entities_r"], found["relations_reached_r"], found["clusters_f"]) == (1, 1, 1)


def test_gold_entities_that_are_grouped_anew(pipeline, data):
    found = scores(pipeline, data, "own clusters")
    # In the first document, Ann and Bob are two: both are the first gold entity.
    assert found["entities_r"] == 1 and found["clusters_p"] == 1 and found["clusters_r"] < 1
    assert (found["relations_p"], found["relations_r"]) == (pytest.approx(2 / 3), 1)


def test_own_entities_and_clusters(pipeline, data):
    found = scores(pipeline, data, "own entities and clusters")
    assert found["entities_r"] == pytest.approx(4 / 5)
    # One of two relations has both its entities.
    assert (found["relations_r"], found["relations_reached_r"]) == (0.5, 1.0)


def test_the_command_writes_rows_that_can_be_shown(pipeline, data, tmp_path, monkeypatch, load_script):
    output = tmp_path / "results" / "end_to_end.json"
    arguments = ["--pipeline", str(pipeline), "--data", str(data), "--output", str(output), "--limit", "1"]
    monkeypatch.setattr(sys, "argv", ["end_to_end", *arguments])
    main()
    result = json.loads(output.read_text())
    assert [row["name"] for row in result["rows"]] == list(ROWS)
    page = load_script("render_results").render_page("end_to_end", result)
    assert "B-cubed F1" in page and "entities found" in page and "the first 1" in page
