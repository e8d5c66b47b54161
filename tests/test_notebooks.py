"""The notebooks run from top to bottom, and the demo shows what it promises."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any, Dict

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.real


def run(notebook: Path) -> str:
    """RETURNS (str): what the cells of code print, one after the other in one namespace."""
    names: Dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in json.loads(notebook.read_text(encoding="utf8"))["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), str(notebook), "exec"), names)
    return printed.getvalue()


def test_first_relations() -> None:
    printed = run(ROOT / "notebooks" / "first_relations.ipynb")
    assert "founded_by" in printed and "Microsoft - founded_by -> Bill Gates" in printed


def test_examples_and_training() -> None:
    lines = [line for line in run(ROOT / "notebooks" / "examples_and_training.ipynb").splitlines() if "{" in line]
    alone, shown, trained = (json.loads(line[line.index("{") :].replace("'", '"'))["f"] for line in lines)
    assert alone < shown <= 1.0 and trained > alone


def test_the_notebooks_are_saved_without_output() -> None:
    assert len(NOTEBOOKS) == 2
    for notebook in NOTEBOOKS:
        cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
        assert all(not cell.get("outputs") for cell in cells)


def test_demo(load_script, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_script("demo").main() == 0
    shown = capsys.readouterr().out
    for fact in ("Apple: founded_by -> Steve Jobs", "Amazon: based_in -> Seattle", "relations.html"):
        assert fact in shown
    assert "<svg" in (tmp_path / "relations.html").read_text(encoding="utf8")
