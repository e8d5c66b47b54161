"""Files of corpora: lines with their numbers, and problems gathered over a file."""

from pathlib import Path
from typing import Iterator, List, Tuple, Union

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
