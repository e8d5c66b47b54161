"""The engine that works on Ray: an actor pool of Ray Data, each of whose workers loads the pipeline once.

Ray is started on this machine, unless this process has a connection already, or the variable RAY_ADDRESS names a
cluster. Workers read the input and write the output themselves: both are to be in a place that all of them see.
"""

import json
import logging
import os
import platform
import traceback
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Sequence

from ..errors import Errors
from .packages import need
from .shards import Part
from .workers import Work, Worker

if TYPE_CHECKING:
    import numpy

WHAT = "--engine ray"
# A part at which so many workers ended is given up: a document of it may be why.
_TRIES = 3
# Blocks of parts: each is a task, which has its cost for the driver.
_BLOCKS = 2048
# What goes through the object store is numbers of parts.
_STORE = 100 * 2**20


def run_ray(work: Work, parts: Sequence[Part], workers: Optional[int], gpu: bool) -> Iterator[int]:
    """work (Work): what a worker has to know.
    parts (Sequence[Part]): what is to be done.
    workers (Optional[int]): how many workers; one for each CPU, or GPU, of the cluster where None.
    gpu (bool): each worker has a GPU of its own.
    YIELDS (int): number of each part that is finished, in the order in which they are.
    """
    ray, data = need("ray", WHAT), need("ray.data", WHAT)
    with _connected(ray, workers, gpu):
        resources: Dict[str, float] = ray.cluster_resources()
        count = min(workers or max(1, int(resources.get("GPU" if gpu else "CPU", 1))), len(parts))
        data.DataContext.get_current().enable_progress_bars = False
        # What it tells of its plans would stand between the lines of our progress.
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        rows = [{"part": json.dumps(part)} for part in parts]
        pool = data.from_items(rows, override_num_blocks=min(len(rows), _BLOCKS)).map_batches(
            _Actor,
            fn_constructor_args=(work,),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=count),
            num_cpus=1,
            num_gpus=1 if gpu else 0,
        )
        try:
            for row in pool.iter_rows():
                if row["problem"]:
                    raise (ValueError if row["foreseen"] else RuntimeError)(row["problem"])
                yield int(row["number"])
        except ray.exceptions.RayError as error:
            problem = " ".join(str(error).split())[:500]
            raise ValueError(Errors.R737.format(problem=problem)) from error


@contextmanager
def _connected(ray: ModuleType, workers: Optional[int], gpu: bool) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
    else:
        ray.init(address="local", num_cpus=workers, include_dashboard=False, object_store_memory=_STORE, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


class _Actor:
    """A worker of the pool. Ray starts it again where its process ends, and asks it again for what that one was asked.

    An error is what it gives back: raised, Ray would wrap it. So it counts the processes that ended, too.
    """

    def __init__(self, work: Work) -> None:
        self.problem = ""
        try:
            self.worker = Worker(work, f"the node {platform.node()}")
        except ValueError as error:
            self.problem = str(error)

    def __call__(self, batch: "Dict[str, numpy.ndarray]") -> Dict[str, List[object]]:
        part = Part(*json.loads(str(batch["part"][0])))
        problem, foreseen = self.problem, True
        if not problem:
            try:
                # One that ended after it had finished the part is asked again for it.
                if self.worker.output.receipt(part.number) is None:
                    with _counted(self.worker, part):
                        self.worker.do(part)
            except (ValueError, OSError, ImportError) as error:
                problem = str(error)
            except Exception:
                problem, foreseen = Errors.R735.format(problem=traceback.format_exc()), False
        return {"number": [part.number], "problem": [problem], "foreseen": [foreseen]}


@contextmanager
def _counted(worker: Worker, part: Part) -> Iterator[None]:
    """Count how often a part was begun and not ended. A ValueError is raised where it was too often."""
    tries = worker.output.tries(part.number)
    count = tries.stat().st_size if tries.exists() else 0
    if count >= _TRIES:
        raise ValueError(Errors.R730.format(count=count, size=part.size, place=worker.reader.place(part)))
    with tries.open("ab") as file:
        file.write(b"x")
    try:
        yield
    finally:
        tries.unlink(missing_ok=True)
