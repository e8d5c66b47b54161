"""What a saved component holds: checksums of all its files, damage that they show, and nothing of killed runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from spacy.language import Language
from spacy.util import raise_error

from spacy_ragre.components.base import Component
from spacy_ragre.components.relations.labelled import Labelled
from spacy_ragre.files import file_hash

from .test_saved_before import BASES, COMPONENTS, load

MANIFEST = "manifest.json"


@pytest.fixture(params=[name for name in BASES if name != "relations_untrained"], scope="module")
def saved(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Tuple[Language, Path]:
    """Each component, trained: a pipeline, and the folder of the component in what was saved of it."""
    nlp = load(request.param)
    path = tmp_path_factory.mktemp("saved") / "pipeline"
    nlp.to_disk(path)
    return nlp, path / COMPONENTS[request.param]


@pytest.fixture
def copied(saved: Tuple[Language, Path], tmp_path: Path) -> Tuple[Any, Path]:
    nlp, folder = saved
    shutil.copytree(folder, tmp_path / "copy")
    return nlp.get_pipe(folder.name), tmp_path / "copy"


@pytest.fixture(scope="module")
def dead_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def files_of(folder: Path) -> List[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def manifest_of(folder: Path) -> Any:
    return json.loads((folder / MANIFEST).read_bytes())["sha256"]


def test_all_components_share_the_base(saved: Tuple[Language, Path]) -> None:
    nlp, folder = saved
    pipe = nlp.get_pipe(folder.name)
    for method in ("to_bytes", "from_bytes", "to_disk", "from_disk", "pipe", "update"):
        # Loading with other labels is all that the relation extractors add.
        base = Labelled if method == "from_disk" and isinstance(pipe, Labelled) else Component
        assert getattr(type(pipe), method) is getattr(base, method)


def test_the_manifest_has_every_file(saved: Tuple[Language, Path]) -> None:
    _, folder = saved
    assert sorted([*manifest_of(folder), MANIFEST]) == files_of(folder)
    assert all(file_hash(folder / name) == known for name, known in manifest_of(folder).items())


def test_damage_to_any_file_is_noticed(copied: Tuple[Any, Path]) -> None:
    pipe, folder = copied
    for name in manifest_of(folder):
        data = (folder / name).read_bytes()
        # One bit, in the middle: weights, settings and stores stay readable.
        at = len(data) // 2
        (folder / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else b" ")
        with pytest.raises(ValueError, match=f"R120.*{name}"):
            pipe.from_disk(folder, exclude=["vocab"])
        (folder / name).unlink()
        with pytest.raises(OSError, match=f"R121.*{name}"):
            pipe.from_disk(folder, exclude=["vocab"])
        (folder / name).write_bytes(data)
    pipe.from_disk(folder, exclude=["vocab"])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"sha256": 3}'])
def test_a_damaged_manifest_is_noticed(copied: Tuple[Any, Path], content: bytes) -> None:
    pipe, folder = copied
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(ValueError, match=f"R120.*{MANIFEST}"):
        pipe.from_disk(folder, exclude=["vocab"])
    # Saving mends it.
    pipe.to_disk(folder, exclude=["vocab"])
    pipe.from_disk(folder, exclude=["vocab"])


def test_parts_that_are_left_out_are_not_checked(copied: Tuple[Any, Path]) -> None:
    pipe, folder = copied
    (folder / "model").write_bytes(b"other")
    pipe.from_disk(folder, exclude=["vocab", "model"])


def test_saving_a_part_keeps_the_checksums_of_the_others(copied: Tuple[Any, Path]) -> None:
    pipe, folder = copied
    before = manifest_of(folder)
    pipe.to_disk(folder, exclude=["vocab", "model"])
    assert manifest_of(folder)["model"] == before["model"]
    (folder / "model").write_bytes(b"other")
    with pytest.raises(ValueError, match="R120.*model"):
        pipe.from_disk(folder, exclude=["vocab"])


def test_an_interrupted_save_over_another_one_is_noticed(
    copied: Tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, folder = copied
    with monkeypatch.context() as patch:
        patch.setattr(pipe, "_settings", lambda: {"of": "another state"})
        patch.setattr(pipe.model.shims[0], "to_bytes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pipe.to_disk(folder, exclude=["vocab"])
    with pytest.raises(ValueError, match="R120.*cfg"):
        pipe.from_disk(folder, exclude=["vocab"])


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("act", ["to_disk", "from_disk"])
def test_what_killed_runs_left_is_removed(copied: Tuple[Any, Path], act: str, dead_process: int) -> None:
    pipe, folder = copied
    expected = files_of(folder)
    (folder / f".model.{dead_process}.{'0' * 32}.tmp").write_bytes(b"half")
    left = folder / f".store.{dead_process}.{'0' * 32}.tmp"
    left.mkdir()
    (left / "file").write_bytes(b"half")
    if (folder / "store").exists():
        shutil.copytree(folder / "store", folder / ".store.old")
    getattr(pipe, act)(folder, exclude=["vocab"])
    assert files_of(folder) == expected


def test_a_pipeline_on_a_read_only_disk_loads(
    saved: Tuple[Language, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_process: int
) -> None:
    nlp, folder = saved
    shutil.copytree(folder, tmp_path / "copy")
    left = tmp_path / "copy" / f".cfg.{dead_process}.{'0' * 32}.tmp"
    left.write_bytes(b"half")

    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError("read only")

    monkeypatch.setattr(Path, "unlink", refuse)
    nlp.get_pipe(folder.name).from_disk(tmp_path / "copy", exclude=["vocab"])  # type: ignore[attr-defined]
    assert left.exists()


# Streams


class Failing:
    """A component of which the documents with a word fail, and batches that hold one."""

    def __init__(self, pipe: Any, word: str) -> None:
        self.own, self.word = pipe.predict, word

    def __call__(self, docs: Any) -> Any:
        if any(self.word in doc.text for doc in docs):
            raise RuntimeError(f"secret {self.word}")
        return self.own(docs)


def test_a_batch_that_is_tried_again_is_logged(
    saved: Tuple[Language, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nlp, folder = saved
    pipe: Any = nlp.get_pipe(folder.name)
    monkeypatch.setattr(pipe, "predict", Failing(pipe, "bad"))
    failed: List[str] = []
    pipe.set_error_handler(lambda name, proc, docs, error: failed.extend(doc.text for doc in docs))
    docs = [nlp.make_doc(text) for text in ("Good .", "A bad one .", "Good too .", "Well .")]
    with caplog.at_level("WARNING", logger="spacy_ragre"):
        kept = [doc.text for doc in pipe.pipe(docs, batch_size=3)]
    pipe.set_error_handler(raise_error)
    assert kept == ["Good .", "Good too .", "Well ."] and failed == ["A bad one ."]
    assert len(caplog.messages) == 1
    assert all(part in caplog.messages[0] for part in (folder.name, "3 documents", "RuntimeError"))
    assert "bad" not in caplog.text and "secret" not in caplog.text
