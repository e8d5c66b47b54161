"""Files are replaced as a whole; what is no regular file is never replaced."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spacy_ragre.files import atomic_write, existing, remove_leftovers, replace_folder


def test_failure_leaves_the_target_as_it_was(tmp_path: Path):
    target = tmp_path / "out.jsonl"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_write(target) as file:
        file.write(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with atomic_write(pipe) as file:
        file.write(b"all")
    reader.join(timeout=10)
    assert read == [b"all"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def dead_process() -> int:
    """The number of a process that has ended."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(done.stdout)


def leave(folder: Path, name: str, process: int) -> Path:
    left = folder / f".{name}.{process}.{'0' * 32}.tmp"
    left.write_bytes(b"half")
    return left


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path: Path):
    gone = dead_process()
    lefts = [leave(tmp_path, "out.jsonl", gone), leave(tmp_path, "store", gone)]
    old_form = tmp_path / f".out.jsonl.{gone}.tmp"
    old_form.write_bytes(b"half")
    working = leave(tmp_path, "out.jsonl", os.getppid())
    # Numbers come again: in a container, each run has the same.
    before = leave(tmp_path, "out.jsonl", os.getpid())
    with atomic_write(tmp_path / "out.jsonl") as file:
        file.write(b"all")
        with atomic_write(tmp_path / "out.jsonl") as other:
            other.write(b"other")
    assert (tmp_path / "out.jsonl").read_bytes() == b"all"
    assert not lefts[0].exists() and not old_form.exists() and not before.exists()
    # Another file's belongs to the next write of that, and that of a process that is at work to it.
    assert lefts[1].exists() and working.exists()
    with replace_folder(tmp_path / "store", ["index"]) as folder:
        (folder / "index").write_bytes(b"all")
    assert not lefts[1].exists() and (tmp_path / "store" / "index").read_bytes() == b"all"


def test_a_folder_of_a_temporary_name_goes_too_once_it_is_old(tmp_path: Path):
    left = tmp_path / f".store.{'a' * 32}.tmp"
    left.mkdir()
    (left / "index").write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert left.exists()
    os.utime(left, (0, 0))
    remove_leftovers(tmp_path)
    assert not left.exists()


def test_a_missing_folder_has_no_leftovers(tmp_path: Path):
    remove_leftovers(tmp_path / "nowhere")


def test_an_old_folder_that_was_replaced_is_removed(tmp_path: Path):
    for name in (".store.old", "store"):
        (tmp_path / name).mkdir()
    leave(tmp_path, "store", dead_process())
    assert existing(tmp_path / "store").name == "store"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_an_old_folder_that_was_not_yet_replaced_is_read(tmp_path: Path):
    (tmp_path / ".store.old").mkdir()
    assert existing(tmp_path / "store").name == ".store.old"


def test_files_are_synced_by_handles_that_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fcntl = pytest.importorskip("fcntl")
    synced = []

    def sync(descriptor: int) -> None:
        # As on Windows.
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        synced.append(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with replace_folder(tmp_path / "folder", ["inside"]) as folder:
        (folder / "inside").write_bytes(b"whole")
    with atomic_write(tmp_path / "file") as file:
        file.write(b"whole")
    assert len(synced) == 2
