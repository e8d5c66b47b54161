from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from typer.testing import Result

DOC: Dict[str, Any] = {
    "id": "d1",
    "text": "Ann runs Acme. Ann met Bob.",
    "ents": [
        {"start": 0, "end": 3, "label": "PERSON"},
        {"start": 9, "end": 13, "label": "ORG"},
        {"start": 23, "end": 26, "label": "PERSON"},
    ],
    "relations": [{"head": 0, "tail": 1, "label": "runs"}, {"head": 0, "tail": 2, "label": "met", "score": 0.5}],
}


@pytest.mark.parametrize("style, count", [("corpus", 0), ("arcs", 1), ("graph", 1)])
def test_render_writes_a_page(
    run: Callable[..., Result], write_jsonl: Callable[..., Path], tmp_path: Path, style: str, count: int
) -> None:
    output = tmp_path / "out.html"
    result = run("render", write_jsonl(DOC), output, "--style", style)
    assert result.exit_code == 0, result.output
    page = output.read_text(encoding="utf8")
    assert page.startswith("<!DOCTYPE html>") and page.count("<svg ") == count and "runs" in page and "met" in page
    assert str(output) in result.stdout.replace("\n", "")


def test_render_chooses_relations(run: Callable[..., Result], write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    output = tmp_path / "out.html"
    run("render", write_jsonl(DOC), output, "-s", "arcs", "--min-score", 0.7)
    page = output.read_text(encoding="utf8")
    assert "Ann runs Acme (1.00)" in page and "Ann met Bob" not in page
    run(
        "render",
        write_jsonl(DOC),
        output,
        "-s",
        "arcs",
        "--labels",
        "met, other",
        "--symmetric",
        "runs",
        "--symmetric",
        "met",
    )
    page = output.read_text(encoding="utf8")
    assert "Ann runs Acme (" not in page and page.count('class="tip"') == 2


@pytest.mark.parametrize("style", ["corpus", "arcs", "graph"])
def test_render_draws_entities_that_overlap(
    run: Callable[..., Result], write_jsonl: Callable[..., Path], tmp_path: Path, style: str
) -> None:
    docs = write_jsonl({**DOC, "ents": [*DOC["ents"], {"start": 0, "end": 13, "label": "EVENT"}]})
    output = tmp_path / "out.html"
    result = run("render", docs, output, "-s", style, "--spans-key", "sc")
    assert result.exit_code == 0, result.output
    page = output.read_text(encoding="utf8")
    assert "runs" in page and "met" in page


def test_render_says_what_is_wrong(fails: Callable[..., str], write_jsonl: Callable[..., Path], tmp_path: Path) -> None:
    output = tmp_path / "out.html"
    assert "[R691]" in fails("render", write_jsonl(DOC), output, "-s", "dep")
    assert "[R693]" in fails("render", write_jsonl(DOC), output, "--min-score", 2)
    assert fails("render", tmp_path / "none.spacy", output)
    assert not output.exists()
