"""A job of annotation: what it is about, kept in its output folder, and what of it is finished.

    OUT/part-00000.jsonl        annotated documents, in the order of the input
    OUT/_job/manifest.json      what the job is: files of the input and pipeline by their checksums, settings, parts
    OUT/_job/part-00000.json    the receipt of a finished part: how many documents, and which were left out, and why
    OUT/_job/graph-00000.json   its knowledge graph, where one is asked for
    OUT/_job/failed.jsonl       documents that were left out, in the order of the input; written at the end

Each file appears under its name only when it is whole, and the receipt of a part comes last. So a part is finished or
will be done again, and what a killed run was writing is not there.
"""

import json
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from filelock import FileLock, Timeout

from ..errors import Errors
from ..files import atomic_write, file_hash, remove_leftovers
from .documents import LeftOut, to_line
from .shards import Part, Shard, cut, find_shards

# Spark, pandas and pyarrow read no file whose name, or folder's name, begins so.
FOLDER = "_job"
FORMATS = ("jsonl", "parquet")
_MANIFEST = "manifest.json"
_LOCK = "lock"


class Settings(NamedTuple):
    """What, beside input and pipeline, decides about the output.

    format (str): "jsonl" or "parquet".
    part_size (int): documents of a part, at most.
    batch_size (Optional[int]): documents of a batch; the pipeline's own where None.
    spans_key (Optional[str]): entities are read from and written to `doc.spans[spans_key]`.
    graph (bool): gather a knowledge graph.
    """

    format: str = "jsonl"
    part_size: int = 500
    batch_size: Optional[int] = None
    spans_key: Optional[str] = None
    graph: bool = False


class Count(NamedTuple):
    """How many documents a finished part had, and how many of them were left out."""

    documents: int
    left_out: int


class Receipt(NamedTuple):
    """What is told of a finished part.

    documents (int): how many the part had.
    size (int): of its file, in bytes.
    left_out (List[LeftOut]): those that are not in the file.
    """

    documents: int
    size: int
    left_out: List[LeftOut]

    def counted(self) -> Count:
        """RETURNS (Count): its numbers alone."""
        return Count(self.documents, len(self.left_out))


class Output:
    """The files of a job.

    folder (Path): where they are.
    format (str): "jsonl" or "parquet".
    """

    def __init__(self, folder: Path, format: str) -> None:
        self.folder = folder
        self.format = format
        self.inside = folder / FOLDER

    def part(self, number: int) -> Path:
        """RETURNS (Path): the documents of a part."""
        return self.folder / f"part-{number:05}.{self.format}"

    def graph(self, number: int) -> Path:
        """RETURNS (Path): the graph of a part."""
        return self.inside / f"graph-{number:05}.json"

    def tries(self, number: int) -> Path:
        """RETURNS (Path): is there, with a byte for each time, while a worker of Ray is at work on a part."""
        return self.inside / f"tries-{number:05}"

    @property
    def failed(self) -> Path:
        """RETURNS (Path): the documents that were left out."""
        return self.inside / "failed.jsonl"

    def finish_part(self, number: int, documents: int, left_out: Sequence[LeftOut]) -> None:
        """Say that the files of a part are whole.

        number (int): the part's.
        documents (int): how many it had.
        left_out (Sequence[LeftOut]): those that are not in its file.
        """
        receipt = {
            "documents": documents,
            "size": self.part(number).stat().st_size,
            "left_out": [item.to_dict() for item in left_out],
        }
        with atomic_write(self._receipt(number)) as file:
            file.write(to_line(receipt))

    def receipt(self, number: int) -> Optional[Receipt]:
        """RETURNS (Optional[Receipt]): that of a part; None where the part is not finished, or its file is gone."""
        try:
            data = json.loads(self._receipt(number).read_bytes())
            receipt = Receipt(data["documents"], data["size"], [LeftOut(**item) for item in data["left_out"]])
            return receipt if self.part(number).stat().st_size == receipt.size else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _receipt(self, number: int) -> Path:
        return self.inside / f"part-{number:05}.json"


class Job:
    """A job, new or gone on with.

    output (Output): its files.
    shards (List[Shard]): the files of the input.
    parts (List[Part]): the parts, in order.
    """

    def __init__(self, output: Output, shards: List[Shard], parts: List[Part]) -> None:
        self.output = output
        self.shards = shards
        self.parts = parts
        # Numbers alone: the documents that were left out may be many, and stay in their receipts.
        self.done: Dict[int, Count] = {}
        for part in parts:
            receipt = output.receipt(part.number)
            if receipt is not None:
                self.done[part.number] = receipt.counted()

    @property
    def left(self) -> List[Part]:
        """RETURNS (List[Part]): the parts that are not finished."""
        return [part for part in self.parts if part.number not in self.done]

    def note(self, number: int) -> Count:
        """Take in that a worker has finished a part. RETURNS (Count): how many documents it had."""
        self.done[number] = self._finished(number).counted()
        return self.done[number]

    def finish(self) -> Optional[LeftOut]:
        """Write the documents that were left out into one file. RETURNS (Optional[LeftOut]): the first of them."""
        first = None
        with atomic_write(self.output.failed) as file:
            for part in self.parts:
                if self.done[part.number].left_out:
                    for item in self._finished(part.number).left_out:
                        first = first or item
                        file.write(to_line(item.to_dict()))
        return first

    def _finished(self, number: int) -> Receipt:
        receipt = self.output.receipt(number)
        if receipt is None:
            raise RuntimeError(f"part {number} was said to be finished, and is not")
        return receipt


@contextmanager
def open_job(
    source: Path,
    folder: Path,
    pipeline: Mapping[str, object],
    settings: Settings,
    tell: Callable[[str], None],
) -> Iterator[Job]:
    """Begin a job, or go on with one. Nobody else can while it is open.

    source (Path): the input, a file or a folder.
    folder (Path): the output.
    pipeline (Mapping[str, object]): what tells the pipeline from others, as plain data.
    settings (Settings): the settings.
    tell (Callable[[str], None]): is told what takes time.
    YIELDS (Job): the job. A ValueError is raised where the folder holds something else.
    """
    shards = find_shards(source)
    if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
        raise ValueError(Errors.R733.format(path=source, output=folder))
    output = Output(folder, settings.format)
    manifest = output.inside / _MANIFEST
    _check_folder(folder, manifest)
    output.inside.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output.inside / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(Errors.R726.format(output=folder)) from error
    try:
        for place in (folder, output.inside):
            remove_leftovers(place)
        for path in output.inside.glob("tries-*"):
            path.unlink()
        versions = {name: metadata.version(name) for name in ("spacy", "spacy-ragre")}
        about: Dict[str, object] = {"pipeline": dict(pipeline), "settings": settings._asdict(), "versions": versions}
        yield Job(output, shards, _plan(manifest, folder, shards, about, settings, tell))
    finally:
        lock.release()


def _check_folder(folder: Path, manifest: Path) -> None:
    if folder.exists() and not manifest.exists():
        names = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else [folder.name]
        others = [name for name in names if name != FOLDER]
        if others:
            shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
            raise ValueError(Errors.R725.format(output=folder, names=shown))


def _plan(
    manifest: Path,
    folder: Path,
    shards: Sequence[Shard],
    about: Dict[str, object],
    settings: Settings,
    tell: Callable[[str], None],
) -> List[Part]:
    """RETURNS (List[Part]): the parts that the manifest has, or those of a new one. A ValueError is raised where the
    manifest is of another job.
    """
    inputs = [{"name": shard.name, "sha256": file_hash(shard.path)} for shard in shards]
    about = {**about, "input": inputs}
    if manifest.exists():
        try:
            known = json.loads(manifest.read_bytes())
            parts = [Part(*numbers) for numbers in known.pop("parts")]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"its {FOLDER}/{_MANIFEST} is damaged ({error})"
            raise ValueError(Errors.R724.format(output=folder, problem=problem)) from error
        different = list(_differences(known, json.loads(to_line(about))))
        if different:
            raise ValueError(Errors.R724.format(output=folder, problem="; ".join(different)))
        return parts
    tell(f"Reading the input: {len(shards)} file{'' if len(shards) == 1 else 's'}")
    parts = cut(shards, settings.part_size)
    with atomic_write(manifest) as file:
        file.write(to_line({**about, "parts": parts}))
    return parts


def _differences(known: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    """YIELDS (str): in what two jobs differ."""
    for key, value in now.items():
        before = known.get(key)
        if before == value:
            continue
        if key == "input":
            yield _other_input(before, value)
        elif isinstance(value, dict) and isinstance(before, dict):
            for name, other in value.items():
                if before.get(name) != other:
                    yield f"{_WORDS.get(name, name)} was {_shown(before.get(name))}, and is {_shown(other)}"
        else:
            yield f"its {key} is not told"


_WORDS = {"sha256": "the content of the pipeline", "part_size": "--part-size", "batch_size": "--batch-size"}
_WORDS.update(format="--format", spans_key="--spans-key", graph="--graph", teacher="the content of --teacher")
_WORDS.update(samples="--samples", temperature="--temperature", seed="--seed")


def _shown(value: object) -> str:
    text = json.dumps(value)
    return f'{text[:13]}..."' if isinstance(value, str) and len(value) == 64 else text


def _other_input(before: object, now: object) -> str:
    def files(inputs: object) -> Dict[str, str]:
        return {str(item["name"]): str(item["sha256"]) for item in inputs} if isinstance(inputs, list) else {}

    was, is_ = files(before), files(now)
    kinds: Tuple[Tuple[str, List[str]], ...] = (
        ("changed", [name for name in was if name in is_ and was[name] != is_[name]]),
        ("gone", [name for name in was if name not in is_]),
        ("new", [name for name in is_ if name not in was]),
    )
    told = [f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''} is {kind}" for kind, names in kinds if names]
    return f"of the input, {' and '.join(told)}"
