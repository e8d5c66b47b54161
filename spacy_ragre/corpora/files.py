"""Files of corpora: lines with their numbers, and problems gathered over a file."""

import json
import re
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from ..errors import Errors
from ..files import atomic_write

MAX_SHOWN = 10
# Takes the place of a record ("line 3"), the record as it stands in the file and all that is wrong with it.
OnError = Callable[[str, str, List[str]], None]

# A carriage return alone ends a line, too, as in files of old Macs.
_RETURN = re.compile(rb"\r(?!\n)")
# UTF-32 in its little-endian form begins as UTF-16 does, so that it comes first.
_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Problems:
    """What is wrong with a file, gathered so that one error can tell it all.

    path (Path): the file.
    on_error (Optional[OnError]): is told each problem in place of that; nothing is gathered then.
    """

    def __init__(self, path: Path, on_error: Optional[OnError] = None) -> None:
        self.path = path
        self.on_error = on_error
        self.messages: List[str] = []

    def __bool__(self) -> bool:
        return bool(self.messages)

    def add(self, place: Union[int, str], *messages: str, record: str = "") -> None:
        """place (Union[int, str]): the line's number, from 1, or where else it is.
        *messages (str): what is wrong there.
        record (str): what stands there.
        """
        where = f"line {place}" if isinstance(place, int) else place
        if self.on_error is not None:
            self.on_error(where, record, list(messages))
        else:
            self.messages += [f"- {where}: {message}" for message in messages]

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


def check_encoding(beginning: bytes, path: Union[str, Path]) -> None:
    """Raise a ValueError where a file is in UTF-16 or UTF-32, of which every line would be an error of its own.

    beginning (bytes): its first four bytes or more. Those of a text in UTF-8 hold no zero byte.
    path (Union[str, Path]): the file, for the error.
    """
    found = next((encoding for mark, encoding in _MARKS if beginning.startswith(mark)), "")
    if not found and b"\0" in beginning[:4]:
        found = "utf-16"
    if found:
        raise ValueError(Errors.R332.format(path=path, problem=f"it seems to be {found.upper()}", encoding=found))


def decode(content: bytes, path: Union[str, Path]) -> str:
    """RETURNS (str): the text of a whole file in UTF-8, without its byte order mark. A ValueError is raised where it is
    in another encoding.
    """
    check_encoding(content, path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise ValueError(Errors.R332.format(path=path, problem=err, encoding="latin1")) from err


def split_lines(stream: Iterable[bytes], path: Union[str, Path], first: int = 1) -> Iterator[Tuple[int, bytes]]:
    """The lines of a text in UTF-8, without their ends and the text's byte order mark.

    Lines end with a line feed, a carriage return or both. Characters such as U+2028 or a form feed may stand inside a
    sentence.

    stream (Iterable[bytes]): the open file, or what it gives from a line on.
    path (Union[str, Path]): what it is called, for errors. A ValueError is raised where it is in UTF-16 or UTF-32.
    first (int): the number of the first line.
    YIELDS (Tuple[int, bytes]): the line's number, from 1, and the line.
    """
    number = first - 1
    for chunk in stream:
        if number == 0:
            check_encoding(chunk, path)
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        for line in _RETURN.split(chunk.removesuffix(b"\n").removesuffix(b"\r")):
            number += 1
            yield number, line


def read_lines(path: Path, problems: Problems) -> Iterator[Tuple[int, str]]:
    """The lines of a UTF-8 file, as `split_lines` gives them.

    path (Path): the file.
    problems (Problems): where lines that are not UTF-8 are told; they are left out.
    YIELDS (Tuple[int, str]): the line's number, from 1, and its text.
    """
    with path.open("rb") as file_:
        for number, raw in split_lines(file_, path):
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as err:
                problems.add(number, Errors.R403.format(problem=err))
                continue
            yield number, line


def read_all_lines(path: Path) -> Iterator[Tuple[int, str, str]]:
    """The lines of a file in which several make a document, so that none may be missing: also those that are not UTF-8.

    path (Path): the file.
    YIELDS (Tuple[int, str, str]): the line's number, from 1, its text, and what is wrong with it or "".
    """
    with path.open("rb") as file_:
        for number, raw in split_lines(file_, path):
            try:
                yield number, raw.decode("utf-8"), ""
            except UnicodeDecodeError as err:
                yield number, raw.decode("utf-8", "replace"), Errors.R403.format(problem=err)


def write_json_lines(path: Union[str, Path], records: Iterable[Mapping[str, Any]]) -> int:
    """Write records as JSON, one a line. The file appears under its name only when it is whole.

    path (Union[str, Path]): the file to write.
    records (Iterable[Mapping[str, Any]]): the records; they are written one after the other.
    RETURNS (int): how many there were.
    """
    count = 0
    with atomic_write(path) as file_:
        for record in records:
            file_.write(json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n")
            count += 1
    return count


def write_json(path: Union[str, Path], records: Sequence[Mapping[str, Any]]) -> int:
    """Write records as one JSON list. The file appears under its name only when it is whole.

    path (Union[str, Path]): the file to write.
    records (Sequence[Mapping[str, Any]]): the records.
    RETURNS (int): how many there are.
    """
    with atomic_write(path) as file_:
        file_.write(json.dumps(records, ensure_ascii=False).encode("utf-8"))
    return len(records)
