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
    from spacy_ragre.cli.evaluate import symmetric_labels

    labels = {"near": {"text": "is near", "symmetric": True}, "runs": "runs"}
    nlp.add_pipe("rag_relation_extractor", config={**tiny_config, "labels": labels})
    assert symmetric_labels(nlp) == {"near"}


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
