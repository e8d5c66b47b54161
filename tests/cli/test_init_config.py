"""`ragre init config`: a filled config, made for the documents."""

import json
from pathlib import Path
from typing import Any, Callable

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.util import load_config, load_model_from_config
from typer.testing import Result

NAME = "rag_relation_extractor"


@pytest.fixture
def write_corpus(tmp_path: Path) -> Callable[..., Path]:
    """Writes documents in which Ann has a relation with Acme, by whatever name."""

    def write(*labels: str, count: int = 4, name: str = "train.spacy") -> Path:
        nlp = spacy.blank("en")
        docs = DocBin(store_user_data=True)
        for i in range(count):
            doc = nlp.make_doc(f"Ann founded Acme in {1900 + i}.")
            doc.ents = [doc.char_span(0, 3, "PERSON"), doc.char_span(12, 16, "ORG"), doc.char_span(20, 24, "DATE")]
            doc._.relations = [{"head": doc.ents[0], "tail": doc.ents[1], "label": label} for label in labels]
            docs.add(doc)
        path = tmp_path / name
        docs.to_disk(path)
        return path

    return write


def test_a_config_that_loads_and_trains_by_spacy(
    run: Callable[..., Result], write_corpus: Callable[..., Path], pipeline: str, tmp_path: Path
) -> None:
    train, out = write_corpus("founded_by"), tmp_path / "out.cfg"
    dev = write_corpus("founded_by", name="dev.spacy")
    result = run("init", "config", out, "--train", train, "--dev", dev, "--base", pipeline)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "1 labels." in said and "reaches 4 of 4 relations (100.0%)" in said
    # The rules of the base pipeline know no dates.
    assert "W670" not in said and "spacy train" in said
    config = load_config(out)
    component = config["components"][NAME]
    assert component["labels"] == {
        "founded_by": {"text": "founded by", "head_types": ["PERSON"], "tail_types": ["ORG"]}
    }
    assert (component["answer"], component["weights"], component["multi_label"]) == ("open", "open", False)
    assert component["candidates"]["@ragre_candidates"] == "ragre.SameSentence.v1"
    # What the base pipeline has for relations is left out.
    assert config["nlp"]["pipeline"] == ["entity_ruler", NAME]
    assert config["components"]["entity_ruler"] == {"source": pipeline}
    assert config["training"]["frozen_components"] == ["entity_ruler"]
    weights = {key: value for key, value in config["training"]["score_weights"].items() if value}
    assert weights == {"rels_micro_f": 1.0}
    steps = config["vars"]["steps"]
    filled = load_config(out, interpolate=True)
    assert filled["training"]["max_steps"] == filled["training"]["optimizer"]["learn_rate"]["total_steps"] == steps
    # It is filled: nothing is added when it is loaded, and what is loaded finds the entities of a text.
    nlp = load_model_from_config(filled)
    assert nlp.config["training"] == filled["training"]
    assert [ent.text for ent in nlp.get_pipe("entity_ruler")(nlp.make_doc("Ann runs Acme")).ents] == ["Ann", "Acme"]
    text = out.read_text(encoding="utf8")
    assert "# SameSentence reaches 4 of 4 relations (100.0%), with 12 pairs." in text
    assert 'founded_by = {"text": "founded by"' in text


def test_words_that_are_given_and_more_data_take_the_language_model(
    run: Callable[..., Result],
    write_corpus: Callable[..., Path],
    pipeline: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spacy_ragre.assist.plan.MANY_RELATIONS", 4)
    out = tmp_path / "out.cfg"
    options = ("--train", write_corpus("founded"), "--base", pipeline, "--optimize", "accuracy")
    result = run("init", "config", out, *options, "--labels", "founded=was the founder of,owns=has")
    assert result.exit_code == 0, result.output
    config = load_config(out)
    component = config["components"][NAME]
    assert component["labels"]["founded"]["text"] == "was the founder of"
    assert component["labels"]["founded"]["tail_types"] == ["ORG"]
    assert component["labels"]["owns"] == {"text": "has"}
    assert component["model"]["backbone"]["lora"]["rank"] == 16
    assert (component["answer"], component["both_orders"]) == ("head", True)
    assert config["paths"]["dev"] is None and "--paths.dev" in result.output
    load_model_from_config(load_config(out, interpolate=True))


def test_labels_that_a_config_cannot_hold_get_a_file(
    run: Callable[..., Result], write_corpus: Callable[..., Path], pipeline: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.cfg"
    result = run("init", "config", out, "--train", write_corpus("per:founder", "a.b"), "--base", pipeline)
    assert result.exit_code == 0, result.output
    path = tmp_path / "out.labels.json"
    labels = json.loads(path.read_text(encoding="utf8"))
    assert sorted(labels) == ["a.b", "per:founder"] and labels["per:founder"]["text"] == "founder"
    filled = load_config(out, interpolate=True)
    assert filled["components"][NAME]["labels"] == {} and filled["components"][NAME]["multi_label"]
    initialize = filled["initialize"]["components"][NAME]
    assert spacy.registry.resolve({"x": initialize["labels"]})["x"] == labels


def test_what_can_not_be_used(
    run: Callable[..., Result],
    fails: Callable[..., str],
    write_corpus: Callable[..., Path],
    pipeline: str,
    tmp_path: Path,
) -> None:
    out, base = tmp_path / "out.cfg", ("--base", pipeline)
    assert "[R670] None of the 4 document(s)" in fails("init", "config", out, "--train", write_corpus(), *base)
    train = write_corpus("founded")
    empty = tmp_path / "empty.spacy"
    DocBin().to_disk(empty)
    assert "[R330]" in fails("init", "config", out, "--train", empty, *base)
    assert "[R329]" in fails("init", "config", out, "--train", train, "--dev", empty, *base)
    assert "[R602]" in fails("init", "config", out, "--train", train, "--base", tmp_path / "no")
    out.write_text("mine")
    assert "[R671]" in fails("init", "config", out, "--train", train, *base)
    assert out.read_text() == "mine"
    assert run("init", "config", out, "--train", train, *base, "--force").exit_code == 0


def test_a_base_that_finds_other_entities_is_told(
    run: Callable[..., Result], write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    nlp: Any = spacy.blank("en")
    nlp.to_disk(tmp_path / "blank")
    result = run("init", "config", tmp_path / "out.cfg", "-t", write_corpus("founded"), "-b", tmp_path / "blank")
    assert result.exit_code == 0, result.output
    assert "[W672]" not in result.output
    assert "[W670]" in result.output and "finds 0 of 12 annotated entities" in " ".join(result.output.split())


def test_labels_that_are_codes_are_told(
    run: Callable[..., Result], write_corpus: Callable[..., Path], pipeline: str, tmp_path: Path
) -> None:
    options = ("--train", write_corpus("P17"), "--base", pipeline, "--force")
    assert "[W672]" in run("init", "config", tmp_path / "out.cfg", *options).output
    assert "[W672]" not in run("init", "config", tmp_path / "out.cfg", *options, "--labels", "P17=is in").output
