"""What does the work: loads a pipeline once, and annotates one part after the other."""

import ctypes
import errno
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

from ..errors import Errors
from ..files import atomic_write
from ..pipelines import forget_words
from .documents import Item, LeftOut, Run, left_out, to_line
from .jobs import Output, Settings
from .shards import Part, Reader, Shard

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

# Read before the first document, so that what is loaded or built at first use is, and stays.
_FIRST = "Ann Smith of Oslo founded Acme in 1999."
# Where so many documents or more all fail, it is not because of them.
_SUSPICIOUS = 10
# What is made of a document: what is written, and the document itself; or why nothing is.
_Made = List[Union[Tuple[Dict[str, object], "Doc"], LeftOut]]


class Work(NamedTuple):
    """What a worker has to know, all of which can be sent to another process.

    load (Callable[[], Language]): loads the pipeline.
    folder (Path): the output.
    shards (List[Shard]): the files of the input.
    settings (Settings): the settings.
    """

    load: "Callable[[], Language]"
    folder: Path
    shards: List[Shard]
    settings: Settings


class Worker:
    """Annotates parts.

    work (Work): what there is to do. An error that says why is raised where the pipeline can't be loaded.
    node (str): where this is, for that error.
    """

    def __init__(self, work: Work, node: str) -> None:
        self.settings = work.settings
        self.output = Output(work.folder, work.settings.format)
        self.reader = Reader(work.shards, work.settings.spans_key)
        try:
            self.nlp = work.load()
            self.nlp(_FIRST)
        except Exception as error:
            problem = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise ValueError(Errors.R728.format(node=node, problem=problem)) from error

    def do(self, part: Part) -> None:
        """Annotate the documents of a part and write them, and then its receipt.

        part (Part): the part. A ValueError is raised where all of its documents fail in the pipeline, and an OSError
            where its files can't be written.
        """
        with forget_words(self.nlp):
            made = self._make(part)
            records = [item[0] for item in made if not isinstance(item, LeftOut)]
            graph = None
            if self.settings.graph:
                from ..graph import build

                docs = (item[1] for item in made if not isinstance(item, LeftOut))
                graph = build(docs, isolated=True, spans_key=self.settings.spans_key)
            failed = [item for item in made if isinstance(item, LeftOut)]
            del made
        with disk_full(self.output.folder):
            if graph is not None:
                from ..graph import write

                write(graph, self.output.graph(part.number), "node-link")
            self._write(self.output.part(part.number), records)
            self.output.finish_part(part.number, part.size, failed)
        del records, graph
        give_back_memory()

    def _make(self, part: Part) -> _Made:
        items = list(self.reader.read(part, self.nlp))
        asked = [item.place for item in items if not isinstance(item.content, LeftOut)]
        try:
            made = self._run(items)
        except Exception:
            # Not all components take an error handler. Alone, each document tells whether it is the one that failed.
            made = [found for item in self.reader.read(part, self.nlp) for found in self._alone(item)]
        places = set(asked)
        failed = [item for item in made if isinstance(item, LeftOut) and item.place in places]
        if len(failed) == len(asked) >= _SUSPICIOUS:
            problem = " ".join(failed[0].reasons)
            raise ValueError(Errors.R729.format(count=len(asked), place=asked[0], problem=problem))
        return made

    def _run(self, items: Sequence[Item]) -> _Made:
        run = Run(self.nlp, iter(items), self.settings.spans_key, self.settings.batch_size, skip=True)
        return [_with_doc(run, item) for item in run.results()]

    def _alone(self, item: Item) -> _Made:
        try:
            return self._run([item])
        except Exception as error:
            if isinstance(item.content, LeftOut):
                raise
            return [left_out(item.place, item.content, error)]

    def _write(self, path: Path, records: List[Dict[str, object]]) -> None:
        with atomic_write(path) as stream:
            if self.settings.format == "jsonl":
                stream.writelines(map(to_line, records))
            else:
                from .parquet import write_rows

                write_rows(records, stream)


def _with_doc(run: Run, item: Item) -> "Union[Tuple[Dict[str, object], Doc], LeftOut]":
    record = run.to_dict(item)
    if isinstance(record, LeftOut) or isinstance(item.content, LeftOut):
        return record if isinstance(record, LeftOut) else LeftOut(item.place, [])
    return record, item.content


def give_back_memory() -> None:
    """Give the system back what the C library holds free between what is in use. It keeps that else, and takes more
    where the next part has texts of other lengths. glibc has a call for it; elsewhere nothing is done.
    """
    trim = getattr(ctypes.pythonapi, "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def disk_full(path: Path) -> Iterator[None]:
    """Say what is the matter where a disk is full.

    path (Path): what is written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, Errors.R732.format(path=path, problem=error.strerror)) from error
        raise
