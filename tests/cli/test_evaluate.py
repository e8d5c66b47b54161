"""`ragre evaluate`: scores, per-label tables and confusions, with gold entities and with the pipeline's own."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import spacy
from typer.testing import Result

Ent = Tuple[str, str]


def document(id_: str, text: str, ents: List[Ent], *relations: Tuple[int, str, int]) -> Dict[str, Any]:
    return {
        "id": id_,
        "text": text,
        "ents": [
            {"start": text.index(name), "end": text.index(name) + len(name), "label": label} for name, label in ents
        ],
        "relations": [{"head": head, "label": label, "tail": tail} for head, label, tail in relations],
    }


ANN, ACME, ZED = ("Ann", "PERSON"), ("Acme", "ORG"), ("Zed", "PERSON")


@pytest.fixture
def corpus(write_jsonl: Callable[..., Path]) -> Path:
    return write_jsonl(
        document("right", "Ann is near Acme .", [ANN, ACME], (0, "near", 1)),
        document("other", "Ann runs Acme .", [ANN, ACME], (0, "runs", 1)),
        document("turned", "Ann and Acme .", [ANN, ACME], (1, "near", 0)),
        document("none", "Ann and then Acme .", [ANN, ACME]),
        document("unseen", "Zed is near Acme .", [ZED, ACME], (0, "near", 1)),
    )


def confusions(result: Dict[str, Any]) -> Dict[Tuple[str, str], int]:
    return {(item["gold"], item["predicted"]): item["times"] for item in result["confusions"]}


def test_scores_with_gold_and_with_own_entities(
    run: Callable[..., Result], pipeline: str, corpus: Path, tmp_path: Path
) -> None:
    results = {}
    for option in ("gold", "own"):
        output = tmp_path / f"{option}.json"
        result = run("evaluate", pipeline, corpus, f"--{option}-entities", "--output", output)
        assert result.exit_code == 0, result.output
        results[option] = json.loads(output.read_text(encoding="utf8"))
        assert results[option]["entities"] == option and results[option]["documents"] == 5
    shared = {("runs", "near"): 1, ("near", "near, reversed"): 1, ("no_relation", "near"): 1}
    gold, own = results["gold"], results["own"]
    assert confusions(gold) == shared
    # The pipeline finds no Zed.
    assert confusions(own) == {**shared, ("near", "no_relation"): 1}
    assert gold["scores"]["rels_micro_p"] == pytest.approx(2 / 5)
    assert gold["scores"]["rels_micro_r"] == pytest.approx(2 / 4)
    assert own["scores"]["rels_micro_r"] == pytest.approx(1 / 4)
    assert gold["scores"]["rels_macro_f"] == pytest.approx((2 * 2 / (5 + 3)) / 2)
    assert set(gold["scores"]["rels_per_type"]) == {"near", "runs"}
    mistake = next(item for item in gold["confusions"] if item["gold"] == "runs")["mistakes"][0]
    assert mistake == {"id": "other", "text": "Ann runs Acme .", "head": "Ann", "tail": "Acme"}


def test_predictions_of_labels_that_nobody_looked_for_count_neither_way(
    run: Callable[..., Result], pipeline: str, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    right = document("right", "Ann is near Acme .", [ANN, ACME], (0, "near", 1))
    partly = {**document("partly", "Ann runs Acme .", [ANN, ACME], (0, "runs", 1)), "labels": ["runs"]}
    other = {**document("other", "Ann and then Acme .", [ANN, ACME]), "labels": ["runs"]}
    output = tmp_path / "scores.json"
    assert run("evaluate", pipeline, write_jsonl(right, partly, other), "--output", output).exit_code == 0
    result = json.loads(output.read_text(encoding="utf8"))
    assert (result["scores"]["rels_micro_p"], result["scores"]["rels_micro_r"]) == (1.0, 0.5)
    assert set(result["scores"]["rels_per_type"]) == {"near", "runs"}
    assert confusions(result) == {("runs", "no_relation"): 1}


def test_scores_are_shown(run: Callable[..., Result], pipeline: str, corpus: Path) -> None:
    shown = run("evaluate", pipeline, corpus, "--confusions", 1).stdout
    for part in ("rels_micro_f", "rels_macro_f", "relations", "precision", "recall", "near", "runs", "40.0", "50.0"):
        assert part in shown
    assert shown.count("was answered by") == 1 and "Acme -> Ann in: Ann and Acme ." in shown


def test_own_entities_of_a_multi_task_component_are_left_out_for_gold_ones(pipeline: str) -> None:
    from spacy_ragre.cli.evaluate import prepare

    nlp = spacy.load(pipeline)
    pipe = nlp.add_pipe("supplement_usage_classifier", config={"tasks": ["ner", "re", "uc"]})
    prepare(nlp, pipeline, gold_entities=False)
    assert pipe.tasks == ("ner", "re", "uc") and "entity_ruler" in nlp.pipe_names  # type: ignore[attr-defined]
    prepare(nlp, pipeline, gold_entities=True)
    assert pipe.tasks == ("re", "uc") and "entity_ruler" not in nlp.pipe_names  # type: ignore[attr-defined]


def test_symmetric_labels_have_no_direction(nlp: Any, tiny_config: Dict[str, Any]) -> None:
    from spacy_ragre.cli._answers import symmetric_labels

    labels = {"near": {"text": "is near", "symmetric": True}, "runs": "runs"}
    nlp.add_pipe("rag_relation_extractor", config={**tiny_config, "labels": labels})
    assert symmetric_labels(nlp) == {"near"}


def test_intervals_counts_and_curves_are_in_the_json(
    run: Callable[..., Result], pipeline: str, corpus: Path, tmp_path: Path
) -> None:
    output = tmp_path / "scores.json"
    shown = run("evaluate", pipeline, corpus, "--output", output).stdout
    result = json.loads(output.read_text(encoding="utf8"))
    low, high = result["intervals"]["rels_micro_f"]
    assert low <= result["scores"]["rels_micro_f"] <= high and "95% interval" in shown
    assert set(result["intervals"]["rels_per_type"]) == {"near", "runs"}
    assert result["resampling"]["seed"] == 0 and result["resampling"]["level"] == 0.95
    assert result["counts"]["near"] == {"gold": 3, "predicted": 5, "right": 2}
    assert result["errors"] == {"wrong label": 1, "wrong direction": 1, "missed": 0, "not annotated": 1}
    # All answers have the same score.
    assert result["curve"]["points"] == [{"threshold": 0.5, "precision": 0.4, "recall": 0.5}]
    assert result["reliability"]["ece"] == result["reliability"]["ece_of_answers"] == pytest.approx(0.1)


def test_the_report_needs_nothing_and_escapes_texts(
    run: Callable[..., Result], pipeline: str, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    data = write_jsonl(
        document("<b>id</b>", f"Ann runs Acme . {evil}", [ANN, ACME], (0, "<i>runs</i>", 1)),
        document("right", "Ann is near Acme .", [ANN, ACME], (0, "near", 1)),
    )
    page = tmp_path / "report.html"
    assert run("evaluate", pipeline, data, "--html", page).exit_code == 0
    html = page.read_text(encoding="utf8")
    assert "<script" not in html and "<img" not in html and "<i>runs</i>" not in html and "<b>id</b>" not in html
    assert "&lt;script&gt;" in html and "default-src 'none'" in html and "http" not in html.replace("http-equiv", "")
    for part in (
        "micro-F1",
        "Confusion matrix",
        "Precision against recall",
        "Expected calibration error",
        "wrong label: 1",
    ):
        assert part in html
    # The mentions are marked in their sentence.
    assert '<mark class="head">Ann</mark> runs <mark class="tail">Acme</mark>' in html


@pytest.fixture
def other(pipeline: str, tmp_path: Path) -> str:
    """The folder of a pipeline that relates the first name to the last where the text says how."""
    nlp = spacy.blank("en")
    nlp.add_pipe("test_near_and_runs")
    (tmp_path / "other").mkdir()
    nlp.to_disk(tmp_path / "other" / "pipeline")
    return str(tmp_path / "other" / "pipeline")


def test_two_pipelines_are_compared(
    run: Callable[..., Result], pipeline: str, other: str, corpus: Path, tmp_path: Path
) -> None:
    output, page = tmp_path / "scores.json", tmp_path / "report.html"
    result = run("evaluate", other, corpus, "--compare", pipeline, "--output", output, "--html", page)
    assert result.exit_code == 0, result.output
    data = json.loads(output.read_text(encoding="utf8"))
    compared = data["compared"]
    assert compared["scores"]["rels_micro_r"] == 0.5 and data["scores"]["rels_micro_r"] == 0.75
    difference = compared["differences"]["rels_micro_r"]
    assert difference["difference"] == pytest.approx(0.25) and 0 < difference["p"] <= 1
    assert difference["interval"][0] <= 0.25 <= difference["interval"][1]
    assert compared["differences"]["rels_per_type"]["runs"]["difference"] == 1.0
    assert compared["better"]["pairs"] == 2 and compared["worse"]["pairs"] == 0
    assert compared["better"]["places"][0] == {
        "gold": "runs",
        "wrong": "near",
        "id": "other",
        "text": "Ann runs Acme .",
        "head": "Ann",
        "tail": "Acme",
    }
    assert "approximate randomisation" in compared["test"]["method"] and "approximate randomisation" in result.stdout
    assert "F1 by label: 2 gained, 0 lost" in result.stdout
    html = page.read_text(encoding="utf8")
    # Folders of one name are told apart by their paths.
    assert f"Evaluation of {other} compared with {pipeline}" in html and "Labels that gained: 2" in html
    assert f"only {other} is right: 2" in html


def test_relations_that_are_not_likely_enough_are_in_the_curve(
    run: Callable[..., Result], nlp: Any, tiny_config: Dict[str, Any], corpus: Path, tmp_path: Path
) -> None:
    config = {**tiny_config, "labels": ["near", "runs"], "threshold": 1.0}
    nlp.add_pipe("rag_relation_extractor", config=config)
    nlp.to_disk(tmp_path / "strict")
    output, page = tmp_path / "scores.json", tmp_path / "report.html"
    assert run("evaluate", tmp_path / "strict", corpus, "--output", output, "--html", page).exit_code == 0
    result = json.loads(output.read_text(encoding="utf8"))
    assert result["errors"]["missed"] == 4 and result["scores"]["rels_micro_r"] == 0.0
    # Of each pair the likeliest relation.
    assert sum(part["count"] for part in result["reliability"]["bins"]) == 5
    assert result["reliability"]["ece_of_answers"] is None and len(result["curve"]["points"]) > 1
    assert 'answered</i> <span class="label"><span>no_relation</span></span></span> <span class="score">0.' in (
        page.read_text(encoding="utf8")
    )


def test_evaluate_errors(
    run: Callable[..., Result], fails: Callable[..., str], pipeline: str, corpus: Path, tmp_path: Path
) -> None:
    nlp = spacy.load(pipeline)
    nlp.remove_pipe("entity_ruler")
    nlp.to_disk(tmp_path / "finds_none")
    assert "[R328]" in fails("evaluate", tmp_path / "finds_none", corpus, "--own-entities")
    assert run("evaluate", tmp_path / "finds_none", corpus).exit_code == 0
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", encoding="utf8")
    assert "[R329]" in fails("evaluate", pipeline, empty)
    inside = document("a", "Ann runs Acme.", [("nn", "PERSON")])
    empty.write_text(json.dumps(inside), encoding="utf8")
    assert "--split-tokens" in fails("evaluate", pipeline, empty, lines=3)
    assert run("evaluate", pipeline, empty, "--split-tokens").exit_code == 0


def test_pipelines_that_can_not_be_compared(
    fails: Callable[..., str], pipeline: str, corpus: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    nlp = spacy.load(pipeline)
    nlp.remove_pipe("test_first_and_last")
    nlp.to_disk(tmp_path / "relates_none")
    assert "[R606]" in fails("evaluate", pipeline, corpus, "--compare", tmp_path / "relates_none")
    bare = document("a", "Ann runs Acme.", [ANN, ACME])
    del bare["relations"]
    assert "[R390]" in fails("evaluate", pipeline, write_jsonl(bare, name="bare.jsonl"), "--compare", pipeline)
    assert "[R602]" in fails("evaluate", pipeline, corpus, "--compare", tmp_path / "nowhere")
