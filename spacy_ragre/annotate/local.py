"""The engine that works in this process."""

from typing import Iterator, Sequence

from .shards import Part
from .workers import Work, Worker


def run_local(work: Work, parts: Sequence[Part]) -> Iterator[int]:
    """work (Work): what a worker has to know.
    parts (Sequence[Part]): what is to be done.
    YIELDS (int): number of each part that is finished.
    """
    worker = Worker(work, "this machine")
    for part in parts:
        worker.do(part)
        yield part.number
