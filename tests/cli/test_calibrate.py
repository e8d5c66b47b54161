from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Tuple

import pytest
import spacy
import srsly
from spacy.cli.package import generate_readme
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import ensure_path
from typer.testing import Result


class Counter:
    """A component that notes how many examples it was calibrated on."""

    def __init__(self) -> None:
        self.count = self.marked = 0
        self.broken = False

    def __call__(self, doc: Doc) -> Doc:
        doc.user_data["marked"] = self.count > 0
        return doc

    def calibrate(self, examples: Iterable[Any]) -> Dict[str, float]:
        examples = list(examples)
        self.count = len(examples)
        self.marked = sum(bool(example.predicted.user_data.get("marked")) for example in examples)
        return {"before": 0.25, "after": 0.5, "cross_validated": 0.375}

    def score(self, examples: Iterable[Any], **settings: Any) -> Dict[str, Any]:
        marked = [bool(example.predicted.user_data["marked"]) for example in examples]
        return {"marked_f": sum(marked) / len(marked), "marked_r": None}

    def to_disk(self, path: Any, exclude: Any = ()) -> None:
        ensure_path(path).mkdir(exist_ok=True)
        (ensure_path(path) / "counts").write_text(f"{self.count} {self.marked}", encoding="utf8")
        if self.broken:
            raise OSError("no space left")

    def from_disk(self, path: Any, exclude: Any = ()) -> "Counter":
        self.count, self.marked = map(int, (ensure_path(path) / "counts").read_text(encoding="utf8").split())
        return self


@Language.factory("test_counter")
def make_counter(nlp: Language, name: str) -> Counter:
    return Counter()


@pytest.fixture
def corpus(run: Callable[..., Result], semeval: Path, tmp_path: Path) -> Path:
    assert run("convert", semeval, tmp_path / "dev.spacy", "--format", "semeval").exit_code == 0
    return tmp_path / "dev.spacy"


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    nlp = spacy.blank("en")
    nlp.add_pipe("test_counter")
    nlp.to_disk(tmp_path / "counting")
    return tmp_path / "counting"


def count_in(path: Path) -> int:
    return spacy.load(path).get_pipe("test_counter").count  # type: ignore[attr-defined]


def test_saves_in_place_or_elsewhere(run: Callable[..., Result], counting: Path, corpus: Path, tmp_path: Path) -> None:
    result = run("calibrate", counting, corpus, "--output", tmp_path / "other", "--limit", 2)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert (
        "0.250 micro-F1 before, 0.500 micro-F1 after (fitted on these documents), 0.375 micro-F1 after (cross-" in said
    )
    assert "on 2 documents (dev.spacy)" in said and "fitted on these same documents" in said
    assert (count_in(counting), count_in(tmp_path / "other")) == (0, 2)
    assert run("calibrate", counting, corpus).exit_code == 0
    assert count_in(counting) == 4


def test_calibrate_errors(
    fails: Callable[..., str], counting: Path, corpus: Path, pipeline: str, tmp_path: Path
) -> None:
    assert "[R614]" in fails("calibrate", "some_package", corpus)
    assert "[R612]" in fails("calibrate", pipeline, corpus)
    assert "[R401]" in fails("calibrate", counting, tmp_path / "missing.spacy")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf8")
    assert "[R215]" in fails("calibrate", counting, corpus, "--output", tmp_path / "mine")
    assert count_in(counting) == 0


def test_components_see_what_those_before_them_annotate(
    run: Callable[..., Result], corpus: Path, tmp_path: Path
) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("test_counter", name="first")
    nlp.add_pipe("test_counter", name="second")
    nlp.to_disk(tmp_path / "two")
    assert run("calibrate", tmp_path / "two", corpus).exit_code == 0
    again = spacy.load(tmp_path / "two")
    assert [again.get_pipe(name).marked for name in ("first", "second")] == [0, 4]  # type: ignore[attr-defined]


def snapshot(folder: Path) -> Dict[str, Tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_other_files_of_the_folder_stay(run: Callable[..., Result], counting: Path, corpus: Path) -> None:
    (counting / "notes.txt").write_text("mine", encoding="utf8")
    (counting / "data").mkdir()
    (counting / "data" / "mine.bin").write_bytes(b"mine")
    (counting / "test_counter" / "mine.txt").write_text("mine", encoding="utf8")
    before = snapshot(counting)
    assert run("calibrate", counting, corpus).exit_code == 0
    after = snapshot(counting)
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"meta.json", "test_counter/counts"}
    # The same folder under another name is no other folder.
    assert run("calibrate", counting, corpus, "--output", counting / "data" / "..").exit_code == 0
    assert set(snapshot(counting)) == set(before)


def test_a_failure_leaves_the_pipeline_as_it_was(
    fails: Callable[..., str], counting: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(counting)
    init = Counter.__init__

    def broken(self: Counter) -> None:
        init(self)
        self.broken = True

    monkeypatch.setattr(Counter, "__init__", broken)
    assert "no space left" in fails("calibrate", counting, corpus)
    assert snapshot(counting) == before


def test_scores_after_calibration_go_into_the_package(
    run: Callable[..., Result], counting: Path, corpus: Path, tmp_path: Path
) -> None:
    meta = srsly.read_json(counting / "meta.json")
    meta.update(performance={"other_f": 0.75, "marked_f": 0.0}, notes="Mine.")
    srsly.write_json(counting / "meta.json", meta)
    for limit in (2, 0):
        assert run("calibrate", counting, corpus, "--limit", limit).exit_code == 0
    assert run("calibrate", counting, corpus, "--output", tmp_path / "other").exit_code == 0
    for folder in (counting, tmp_path / "other"):
        meta = srsly.read_json(folder / "meta.json")
        expected = {"other_f": 0.75, "marked_f": 1.0, "test_counter_cross_validated": 0.375}
        assert meta["performance"] == expected
        mine, note = meta["notes"].splitlines()
        assert mine == "Mine." and "on 4 documents (dev.spacy)" in note and "0.375 (test_counter)" in note
        readme = generate_readme(meta)
        assert "`MARKED_F` | 100.00" in readme and "`TEST_COUNTER_CROSS_VALIDATED` | 37.50" in readme and note in readme
