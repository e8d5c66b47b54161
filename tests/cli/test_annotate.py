"""`ragre annotate` on the command line."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import spacy
from typer.testing import Result

TEXT = "Ann left Acme ."


def docs_of(folder: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("part-*")) for line in path.open(encoding="utf8")]


def test_a_corpus_is_annotated_and_gone_on_with(
    run: Callable[..., Result],
    fails: Callable[..., str],
    pipeline: str,
    write_jsonl: Callable[..., Path],
    tmp_path: Path,
) -> None:
    source = write_jsonl(*({"id": i, "text": TEXT} for i in range(5)))
    out, graph = tmp_path / "out", tmp_path / "graph.json"
    command = ("annotate", source, out, "--pipeline", pipeline, "--part-size", 2, "--graph", graph)
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert [(doc["id"], len(doc["relations"])) for doc in docs_of(out)] == [(str(i), 1) for i in range(5)]
    assert [path.name for path in sorted(out.glob("part-*"))] == [f"part-0000{i}.jsonl" for i in range(3)]
    assert "Reading the input: 1 file" in result.stderr and "5 of 5 documents (100%)" in result.stderr
    assert json.loads(graph.read_bytes())["edges"][0]["count"] == 5
    (out / "part-00001.jsonl").unlink()
    assert "Going on: 2 of 3 parts are finished" in run(*command).stderr
    assert "whole already" in run(*command).stderr
    nlp = spacy.load(pipeline)
    nlp.get_pipe("entity_ruler").add_patterns([{"label": "GPE", "pattern": "Oslo"}])  # type: ignore[attr-defined]
    nlp.to_disk(pipeline)
    message = fails(*command)
    assert "[R724]" in message and "the content of the pipeline was" in message


def test_documents_that_fail_are_told(
    run: Callable[..., Result],
    fails: Callable[..., str],
    pipeline: str,
    write_jsonl: Callable[..., Path],
    tmp_path: Path,
) -> None:
    source, out = write_jsonl({"text": TEXT}, {"id": "b", "text": "These fail."}), tmp_path / "out"
    result = run("annotate", source, out, "--pipeline", pipeline)
    failed = out / "_job" / "failed.jsonl"
    assert result.exit_code == 0 and f"Left out 1 of 2 documents: see {failed}" in result.stderr
    assert json.loads(failed.read_text(encoding="utf8"))["id"] == "b"
    source = write_jsonl({"text": "These fail."}, name="bad.jsonl")
    message = fails("annotate", source, tmp_path / "bad", "--pipeline", pipeline, lines=4)
    assert "[R325]" in message and "[R999]" in message


def test_annotate_errors(
    fails: Callable[..., str], pipeline: str, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    source, out = write_jsonl({"text": TEXT}), tmp_path / "out"
    assert "[R602]" in fails("annotate", source, out, "--pipeline", tmp_path / "missing")
    assert "[R323]" in fails("annotate", source, out, "--pipeline", pipeline, "--workers", 2)
    assert "[R414]" in fails("annotate", source, out, "--pipeline", pipeline, "--format", "csv")
    assert "local, ray" in fails("annotate", source, out, "--pipeline", pipeline, "--engine", "spark")
    spacy.blank("en").to_disk(tmp_path / "blank")
    message = fails("annotate", source, out, "--pipeline", tmp_path / "blank", lines=2)
    assert "[R728]" in message and "[R606]" in message
