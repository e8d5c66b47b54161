"""From a corpus to a folder of annotated documents."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, List, Mapping, NamedTuple, Optional

from ..corpora.files import existing_path
from ..errors import Errors
from .documents import LeftOut
from .jobs import FORMATS, Job, Settings, open_job
from .packages import need
from .progress import Progress
from .shards import Part
from .workers import Work, disk_full

if TYPE_CHECKING:
    import networkx
    from spacy.language import Language

ENGINES = ("local", "ray")
# Formats of graphs by the ending of a file.
GRAPHS = {".graphml": "graphml", ".json": "node-link", ".ttl": "ttl", ".nt": "nt", ".cypher": "cypher"}


class Pipeline(NamedTuple):
    """A pipeline that workers load.

    load (Callable[[], Language]): loads it; it is sent to other processes, where it has to be found by its name.
    about (Mapping[str, object]): what tells it from others, as plain data, such as the checksum of its files.
    """

    load: "Callable[[], Language]"
    about: Mapping[str, object]


class Summary(NamedTuple):
    """What became of a corpus.

    documents (int): of the corpus.
    failed (int): those that were left out.
    first (Optional[LeftOut]): the first of them.
    failed_path (Path): where they are listed.
    was_whole (bool): all had been finished before.
    """

    documents: int
    failed: int
    first: Optional[LeftOut]
    failed_path: Path
    was_whole: bool


def annotate_corpus(
    source: Path,
    folder: Path,
    pipeline: Pipeline,
    settings: Settings = Settings(),
    *,
    engine: str = "local",
    workers: Optional[int] = None,
    gpu: bool = False,
    graph: Optional[Path] = None,
    tell: Callable[[str], None] = lambda message: None,
) -> Summary:
    """Annotate a corpus, or go on where an earlier run of the same job was stopped.

    source (Path): a .jsonl, .parquet or .spacy file, or a folder with such files.
    folder (Path): the output. See `spacy_ragre.annotate.jobs` for what is in it.
    pipeline (Pipeline): the pipeline.
    settings (Settings): what decides about the output.
    engine (str): "local" (this process) or "ray".
    workers (Optional[int]): workers of Ray; one for each CPU, or GPU, where None.
    gpu (bool): each worker of Ray has a GPU of its own.
    graph (Optional[Path]): the file for the knowledge graph of all documents; the settings say that there is one.
    tell (Callable[[str], None]): is told what is done.
    RETURNS (Summary): what became of the documents. Numbered errors are raised for what the user can mend; what was
        finished before is kept.
    """
    _check(settings, engine, graph)
    # Workers may be in another folder.
    source, folder = existing_path(source).resolve(), folder.resolve()
    with open_job(source, folder, pipeline.about, settings, tell) as job:
        total = sum(part.size for part in job.parts)
        if not total:
            raise ValueError(Errors.R736.format(path=source))
        left = job.left
        if left:
            _work(job, left, Work(pipeline.load, folder, job.shards, settings), engine, workers, gpu, tell)
        with disk_full(folder):
            first = job.finish()
            if graph is not None:
                _write_graph(job, graph)
        failed = sum(count.left_out for count in job.done.values())
        return Summary(total, failed, first, job.output.failed, not left)


def _check(settings: Settings, engine: str, graph: Optional[Path]) -> None:
    for value, known in ((engine, ENGINES), (settings.format, FORMATS)):
        if value not in known:
            raise ValueError(Errors.R414.format(format=value, known=", ".join(known)))
    if graph is not None and graph.suffix.lower() not in GRAPHS:
        raise ValueError(Errors.R734.format(path=graph, known=", ".join(GRAPHS)))
    if settings.graph:
        from ..graph.packages import need as need_graph

        need_graph("networkx")
    if settings.format == "parquet":
        need("pyarrow.parquet", "--format parquet")
    if engine == "ray":
        need("ray.data", "--engine ray")


def _work(
    job: Job,
    left: List[Part],
    work: Work,
    engine: str,
    workers: Optional[int],
    gpu: bool,
    tell: Callable[[str], None],
) -> None:
    documents = sum(count.documents for count in job.done.values())
    failed = sum(count.left_out for count in job.done.values())
    if job.done:
        tell(f"Going on: {len(job.done)} of {len(job.parts)} parts are finished")
    progress = Progress(sum(part.size for part in job.parts), documents, failed)
    try:
        for number in _engine(work, left, engine, workers, gpu):
            progress.add(*job.note(number))
    except (ValueError, OSError) as error:
        if not job.done:
            raise
        problem = error.strerror if isinstance(error, OSError) and error.strerror else error
        done, parts, output = len(job.done), len(job.parts), job.output.folder
        raise ValueError(Errors.R727.format(problem=problem, done=done, parts=parts, output=output)) from error
    finally:
        progress.close()


def _engine(work: Work, parts: List[Part], engine: str, workers: Optional[int], gpu: bool) -> Iterator[int]:
    if engine == "local":
        from .local import run_local

        return run_local(work, parts)
    from .ray_engine import run_ray

    return run_ray(work, parts, workers, gpu)


def _write_graph(job: Job, path: Path) -> None:
    """Join the graphs of the parts, one after the other."""
    from ..graph import merge, write

    graph = merge(_read_graph(job.output.graph(part.number)) for part in job.parts)
    write(graph, path, GRAPHS[path.suffix.lower()])


def _read_graph(path: Path) -> "networkx.MultiDiGraph":
    import networkx

    return networkx.node_link_graph(json.loads(path.read_bytes()), edges="edges")
