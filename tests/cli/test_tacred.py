"""The workflow `tacred` from the files to the official score, on invented records."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List

import pytest
import spacy

ROOT = Path(__file__).parents[2]
PEOPLE = ("Ada", "Bob", "Eve", "Ann")


def records(part: str) -> List[Dict[str, Any]]:
    found = []
    for i, name in enumerate(PEOPLE):
        for relation, words, subject, object_, types in (
            ("per:title", [name, "is", "a", "surgeon", "."], 0, 3, ("PERSON", "TITLE")),
            ("no_relation", ["A", "painter", "met", name, "."], 3, 1, ("PERSON", "TITLE")),
            ("org:founded_by", ["Acme", "was", "founded", "by", name], 0, 4, ("ORGANIZATION", "PERSON")),
        ):
            found.append(
                {
                    "id": f"{part}-{i}-{relation}",
                    "token": words,
                    **{"subj_start": subject, "subj_end": subject, "obj_start": object_, "obj_end": object_},
                    **dict(zip(("subj_type", "obj_type"), types)),
                    "relation": relation,
                }
            )
    return found


@pytest.fixture
def tacred(tmp_path: Path) -> Path:
    folder = tmp_path / "tacred"
    folder.mkdir()
    for part in ("train", "dev", "test"):
        (folder / f"{part}.json").write_text(json.dumps(records(part)), encoding="utf8")
    return folder


@pytest.fixture
def run(load_script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the script with arguments."""

    def call(*args: Any) -> int:
        monkeypatch.setattr(sys, "argv", ["tacred.py", *map(str, args)])
        result: int = load_script("tacred").main()
        return result

    return call


def test_the_workflow_is_valid(dry_run: Callable[..., List[str]], tacred: Path) -> None:
    convert, train, calibrate, folder, evaluate = dry_run("tacred", tacred_dir=str(tacred), tacred_patches="p")
    assert f"{tacred}" in convert and "--patches p" in convert.replace("'", "")
    assert "configs/tacred.cfg" in train and "calibrate" in calibrate and "metrics/tacred.json" in evaluate


def test_from_the_files_to_the_official_score(
    tacred: Path, tmp_path: Path, tiny_llama: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    from spacy.cli.train import train

    from spacy_ragre.cli.evaluate import evaluate

    corpus = tmp_path / "corpus"
    assert run(tacred, corpus) == 0
    assert "TACRED train: 12 sentences, not the 68,124" in capsys.readouterr().out
    paths = {name: str(corpus / file) for name, file in (("train", "train.spacy"), ("dev", "dev.spacy"))}
    steps = {"max_steps": 2, "total_steps": 2, "warmup_steps": 1, "eval_frequency": 1}
    overrides = {
        **{f"paths.{name}": path for name, path in paths.items()},
        "paths.labels": str(corpus / "labels.json"),
        **{f"vars.{name}": value for name, value in steps.items()},
        "vars.backbone": str(tiny_llama),
        "vars.device": "cpu",
    }
    train(ROOT / "configs" / "tacred.cfg", tmp_path / "out", overrides=overrides)
    result = evaluate(str(tmp_path / "out" / "model-best"), corpus / "test.spacy", output_path=tmp_path / "m.json")
    scores = json.loads((tmp_path / "m.json").read_text(encoding="utf8"))["scores"]
    assert result["documents"] == 12 and 0 <= scores["tacred_f"] <= 1
    assert scores["tacred_f"] == pytest.approx(scores["rels_micro_f"])
    extractor: Any = spacy.load(tmp_path / "out" / "model-best").get_pipe("rag_relation_extractor")
    assert extractor.predictor.labels.specs["org:founded_by"].text == "was founded by"


def test_revisions(tacred: Path, tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    patches = tmp_path / "patches"
    patches.mkdir()
    assert run(tacred, tmp_path / "out", "--patches", patches) == 1
    assert "no revision" in capsys.readouterr().err
    for part in ("dev", "test"):
        changed = [{"id": f"{part}-0-no_relation", "relation": "per:title"}]
        (patches / f"{part}_patch.json").write_text(json.dumps(changed), encoding="utf8")
    assert run(tacred, tmp_path / "out", "--patches", patches) == 0
    shown = capsys.readouterr().out
    assert "TACREV test: 12 sentences" in shown and "dev: By label: per:title 5; org:founded_by 4" in shown
    (patches / "train_id2label.json").write_text("{}", encoding="utf8")
    assert run(tacred, tmp_path / "out", "--patches", patches) == 1
    assert "TACREV and Re-TACRED" in capsys.readouterr().err
    other = tmp_path / "other"
    other.mkdir()
    labels = {record["id"]: "org:members" for record in records("train")[:2]}
    (other / "train_id2label.json").write_text(json.dumps(labels), encoding="utf8")
    assert run(tacred, tmp_path / "out", "--patches", other) == 1
    # Re-TACRED revises every part.
    assert "R401" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == {"org:members": "has the member"}


def test_files_that_are_not_there(tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, tmp_path / "out") == 1
    assert "R401" in capsys.readouterr().err
