"""Files are replaced as a whole; what is no regular file is never replaced."""

import os
import stat
import threading
from pathlib import Path

import pytest

from spacy_ragre.corpora.files import atomic_write


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
