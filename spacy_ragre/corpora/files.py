"""Files of corpora: lines with their numbers, problems gathered over a file, and writes that are all or nothing."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Iterator, List, Tuple, Union

from ..errors import Errors

MAX_SHOWN = 10


class Problems:
    """What is wrong with a file, gathered so that one error can tell it all.

    path (Path): the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: List[str] = []

    def __bool__(self) -> bool:
        return bool(self.messages)

    def add(self, place: Union[int, str], message: str) -> None:
        """place (Union[int, str]): the line's number, from 1, or where else it is.
        message (str): what is wrong there.
        """
        where = f"line {place}" if isinstance(place, int) else place
        self.messages.append(f"- {where}: {message}")

    def raise_any(self) -> None:
        """Raise a ValueError that shows the first problems, where there are any."""
        count = len(self.messages)
        if count:
            shown = "" if count <= MAX_SHOWN else f", the first {MAX_SHOWN} are shown"
            problems = "\n".join(self.messages[:MAX_SHOWN])
            raise ValueError(Errors.R402.format(path=self.path, count=count, shown=shown, problems=problems))


def existing_path(path: Union[str, Path]) -> Path:
    """RETURNS (Path): the path. A FileNotFoundError is raised where nothing is there."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(Errors.R401.format(path=path, cwd=Path.cwd()))
    return path


def read_lines(path: Path, problems: Problems) -> Iterator[Tuple[int, str]]:
    """The lines of a UTF-8 file, without their ends.

    Lines end with a line feed only: characters such as U+2028 or a form feed may stand inside a sentence.

    path (Path): the file. A byte order mark and carriage returns before line feeds are taken off.
    problems (Problems): where lines that are not UTF-8 are told; they are left out.
    YIELDS (Tuple[int, str]): the line's number, from 1, and its text.
    """
    with path.open("rb") as file_:
        for number, raw in enumerate(file_, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as err:
                problems.add(number, Errors.R403.format(problem=err))
                continue
            yield number, line.rstrip("\r\n")


@contextmanager
def atomic_write(path: Union[str, Path]) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name only when it is whole.

    The bytes go to a temporary file in the same folder, which then replaces the target. After a failure the temporary
    file is gone and the target is as it was. A target that is no regular file, such as a device or a pipe, is written
    to directly: it must not be replaced.

    path (Union[str, Path]): the target. Folders above it are made.
    YIELDS (IO[bytes]): the open file.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as file_:
            yield file_
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file_:
            yield file_
            file_.flush()
            os.fsync(file_.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
