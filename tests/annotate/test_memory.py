"""What jobs of annotation keep in memory: nothing that grows with the documents."""

import ctypes
import gc
import os
from pathlib import Path
from typing import Any, Callable, List

import light
import pytest
from spacy.language import Language

from spacy_ragre.annotate.documents import LeftOut
from spacy_ragre.annotate.jobs import Settings, open_job
from spacy_ragre.annotate.local import run_local
from spacy_ragre.annotate.run import Pipeline, annotate_corpus
from spacy_ragre.annotate.workers import Work, give_back_memory


def test_words_of_documents_are_not_kept(corpus: Callable[..., Path], tmp_path: Path) -> None:
    made: List[Language] = []
    sizes: List[int] = []

    def load() -> Language:
        made.append(light.load())
        return made[0]

    for name, count in (("few", 10), ("many", 40)):
        source = corpus(count, f"{name}.jsonl", **{f"t{i}": f"Ann{name}{i} left Acme{i} ." for i in range(count)})
        annotate_corpus(source, tmp_path / name, Pipeline(load, {}), Settings(part_size=10))
        sizes.append(len(made[-1].vocab.strings))
        made.clear()
    assert sizes[0] == sizes[1]


def test_documents_that_were_left_out_are_not_kept(corpus: Callable[..., Path], tmp_path: Path) -> None:
    source, out = corpus(20, **{f"t{i}": "This fails." for i in range(0, 20, 4)}), tmp_path / "out"
    for _ in range(2):  # the second time, all is finished when it is opened
        with open_job(source, out, {}, Settings(part_size=10), print) as job:
            for number in run_local(Work(light.load, out, job.shards, Settings(part_size=10)), job.left):
                job.note(number)
            gc.collect()
            assert [item for item in gc.get_objects() if isinstance(item, LeftOut)] == []
            assert getattr(job.finish(), "place", None) == "line 1"
            assert [job.done[number] for number in (0, 1)] == [(10, 3), (10, 2)]


def test_free_memory_goes_back_to_the_system() -> None:
    libc: Any = ctypes.pythonapi
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("only glibc has malloc_trim")
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    size = 100_000
    blocks = [libc.malloc(size) for _ in range(600)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks[::2] + blocks[1:-1:2]:  # the last of them keeps the others from the end of the heap
        libc.free(block)
    before = resident()
    give_back_memory()
    libc.free(blocks[-1])
    assert before - resident() > 40_000_000
