"""The script that brings the supplement sentences into the project, and the columns of their results."""

import sys
from hashlib import md5
from pathlib import Path

import pytest
import srsly

ROOT = Path(__file__).parents[2]
PARTS = {name: f'{{"text": "{name}"}}\n' for name in ("train.jsonl", "dev.jsonl", "test.jsonl")}


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAGRE_ASSETS", raising=False)
    sums = {name: md5(text.encode(), usedforsecurity=False).hexdigest() for name, text in PARTS.items()}
    assets = [{"dest": f"assets/supplements/{name}", "checksum": value} for name, value in sums.items()]
    srsly.write_yaml(tmp_path / "project.yml", {"assets": assets})
    mirror = tmp_path / "mirror" / "supplements"
    mirror.mkdir(parents=True)
    for name, text in PARTS.items():
        (mirror / name).write_text(text, encoding="utf8")
    import fetch_supplements

    yield fetch_supplements
    for name in ("fetch_supplements", "fetch_assets"):
        sys.modules.pop(name, None)


def test_sentences_are_copied_once(fetch, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAGRE_ASSETS", str(tmp_path / "mirror"))
    assert fetch.main() == 0 and fetch.main() == 0
    assert "is there already" in capsys.readouterr().out
    folder = tmp_path / "assets" / "supplements"
    assert {path.name: path.read_text(encoding="utf8") for path in folder.glob("*.jsonl")} == PARTS


def test_without_a_local_copy(fetch, capsys):
    assert fetch.main() == 1
    assert "RAGRE_ASSETS" in capsys.readouterr().err


def test_another_file_is_refused(fetch, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAGRE_ASSETS", str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "supplements" / "dev.jsonl").write_text("other", encoding="utf8")
    assert fetch.main() == 1
    assert "checksum" in capsys.readouterr().err and not (tmp_path / "assets" / "supplements" / "dev.jsonl").exists()


def test_numbers_are_no_percentages(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import render_results

    scores = {"uc_macro_f": [0.5], "throughput": [12.34], "adapters": [4.0, 4.0]}
    row = {"name": "a", "description": "", "split": "test", "seeds": [0], "machines": [{}], "scores": scores}
    table = render_results.render_file({"benchmark": "B", "rows": [row], "commit": "c"})
    assert "| setting |  | UC macro-F1 | adapters | sentences a second | seeds | split |" in table
    assert "| a |  | 50.0 | 4.0 ± 0.0 | 12.3 | 0 | test |" in table
    sys.modules.pop("render_results", None)
