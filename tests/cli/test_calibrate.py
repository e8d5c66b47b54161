from pathlib import Path
from typing import Any, Callable, Dict, Iterable

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import ensure_path
from typer.testing import Result


class Counter:
    """A component that notes how many examples it was calibrated on."""

    def __init__(self) -> None:
        self.count = self.marked = 0

    def __call__(self, doc: Doc) -> Doc:
        doc.user_data["marked"] = self.count > 0
        return doc

    def calibrate(self, examples: Iterable[Any]) -> Dict[str, float]:
        examples = list(examples)
        self.count = len(examples)
        self.marked = sum(bool(example.predicted.user_data.get("marked")) for example in examples)
        return {"before": 0.25, "after": 0.5}

    def to_disk(self, path: Any, exclude: Any = ()) -> None:
        ensure_path(path).write_text(f"{self.count} {self.marked}", encoding="utf8")

    def from_disk(self, path: Any, exclude: Any = ()) -> "Counter":
        self.count, self.marked = map(int, ensure_path(path).read_text(encoding="utf8").split())
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
    assert "0.250 before, 0.500 after" in result.stdout
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
