import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import spacy
from typer.testing import Result

from spacy_ragre.cli.extract import extract

TEXT = "Ann left Acme ."
RELATIONS = [{"head": 0, "tail": 1, "label": "near", "score": 0.5}]


def lines(text: str) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_text_gives_a_line_of_json(run: Callable[..., Result], pipeline: str) -> None:
    result = run("extract", pipeline, TEXT)
    assert result.exit_code == 0, result.output
    (doc,) = lines(result.stdout)
    assert doc["text"] == TEXT and doc["relations"] == RELATIONS
    assert [ent["label"] for ent in doc["ents"]] == ["PERSON", "ORG"]


def test_lines_of_a_file_are_documents(run: Callable[..., Result], pipeline: str, tmp_path: Path) -> None:
    source, output = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    source.write_text(f"{TEXT}\n\nNobody is here.\n", encoding="utf8")
    result = run("extract", pipeline, "--input", source, "--output", output)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    docs = lines(output.read_text(encoding="utf8"))
    assert [(doc["id"], doc["relations"]) for doc in docs] == [("1", RELATIONS), ("3", [])]


def test_standard_input(run: Callable[..., Result], pipeline: str) -> None:
    result = run("extract", pipeline, "--input", "-", input=f"{TEXT}\n{TEXT}\n")
    assert [doc["relations"] for doc in lines(result.stdout)] == [RELATIONS, RELATIONS]


def test_interchange_documents_keep_entities_and_lose_relations(
    run: Callable[..., Result], pipeline: str, write_jsonl: Callable[..., Path]
) -> None:
    gold = {
        "id": "a",
        "text": "Zed left Acme.",
        "ents": [{"start": 0, "end": 3, "label": "PERSON"}],
        "relations": [{"head": 0, "tail": 0, "label": "old"}],
    }
    result = run("extract", pipeline, "--input", write_jsonl(gold, {"text": "Nobody."}))
    assert result.exit_code == 0, result.output
    first, second = lines(result.stdout)
    assert first["id"] == "a" and [ent["start"] for ent in first["ents"]] == [0, 9]
    assert first["relations"] == RELATIONS and second["relations"] == []


def test_a_terminal_gets_a_table(
    pipeline: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    extract(pipeline, TEXT)
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("head", "tail", "Ann", "near", "Acme", "0.50")) and "document" not in shown
    source = tmp_path / "texts.txt"
    source.write_text(f"{TEXT}\n{TEXT}\n", encoding="utf8")
    extract(pipeline, input_path=str(source))
    assert "document" in capsys.readouterr().out
    extract(pipeline, "Nobody.")
    assert "No relations in 1 document." in capsys.readouterr().out


def test_a_failure_leaves_no_output(fails: Callable[..., str], pipeline: str, tmp_path: Path) -> None:
    source, output = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    source.write_text(f"{TEXT}\nThese fail.\n", encoding="utf8")
    assert "[R999]" in fails("extract", pipeline, "--input", source, "--output", output)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["pipeline", "texts.txt"]


def test_extract_errors(fails: Callable[..., str], pipeline: str, tmp_path: Path) -> None:
    assert "neither" in fails("extract", pipeline)
    assert "both" in fails("extract", pipeline, TEXT, "--input", "x.txt")
    assert "[R401]" in fails("extract", pipeline, "--input", tmp_path / "missing.txt")
    assert "[R602]" in fails("extract", tmp_path / "missing", TEXT)
    (tmp_path / "latin.txt").write_bytes(b"Ann left Acme.\nCaf\xe9\n")
    message = fails("extract", pipeline, "--input", tmp_path / "latin.txt", "--output", tmp_path / "out.jsonl")
    assert "[R613]" in message and "line 2" in message
    spacy.blank("en").to_disk(tmp_path / "blank")
    assert "[R606]" in fails("extract", tmp_path / "blank", TEXT)


def test_a_broken_pipeline_gives_one_line(fails: Callable[..., str], pipeline: str) -> None:
    config = Path(pipeline) / "config.cfg"
    config.write_text(config.read_text(encoding="utf8").replace("test_first_and_last", "nothing"), encoding="utf8")
    assert "[R602]" in fails("extract", pipeline, TEXT)


@pytest.mark.skipif(bool(os.environ.get("CUDA_VISIBLE_DEVICES")), reason="a GPU may be there")
def test_a_missing_gpu(fails: Callable[..., str], pipeline: str) -> None:
    assert "[R615]" in fails("extract", pipeline, TEXT, "--gpu-id", 97)
