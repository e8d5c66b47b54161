"""What a long run has finished, kept next to its output until all is done, so that a killed run can go on.

A journal is a file of JSON lines. The first says what the run is; each further one is a document of the input, in
order and without gaps: either what was written for it, or why it was left out. So the number of lines is the number of
documents that are finished, and the last line alone can be cut off.
"""

import json
from pathlib import Path
from typing import IO, TYPE_CHECKING, Dict, Iterator, List, Mapping, Optional

from ..annotate.documents import Item, LeftOut, to_line
from ..errors import Errors

if TYPE_CHECKING:
    from types import TracebackType

# Under which key a line has what was written, and why nothing was.
_DOC = "doc"
_LEFT_OUT = "left_out"


class Journal:
    """Records documents in the order of the input.

    output (Path): the file that the run writes.
    about (Mapping[str, object]): what the run is, as plain data.
    resume (bool): go on with what an earlier run left; else start again. A journal of another run, or one that is
        damaged, raises a ValueError.
    """

    def __init__(self, output: Path, about: Mapping[str, object], resume: bool) -> None:
        self.output = output
        self.path = journal_path(output)
        # An end that was cut off is written again.
        self.finished = self._check(about) if resume and self.path.exists() else 0
        self.count = self.finished
        if not self.finished:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(to_line(about))
        self._stream: IO[bytes] = self.path.open("ab")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: Optional[type], error: Optional[BaseException], trace: "Optional[TracebackType]") -> None:
        self._stream.close()
        # A run that finished nothing leaves nothing.
        if error is not None and not self.count:
            self.path.unlink(missing_ok=True)

    def add(self, doc: Mapping[str, object]) -> None:
        """doc (Mapping[str, object]): what is to be written for the next document."""
        self._write({_DOC: doc})

    def leave_out(self, item: LeftOut) -> None:
        """item (LeftOut): why nothing is written for the next document."""
        self._write({_LEFT_OUT: item.to_dict()})

    def _write(self, record: Mapping[str, object]) -> None:
        self._stream.write(to_line(record))
        # What a killed process has written is kept by the system, and what is in its buffers is not.
        self._stream.flush()
        self.count += 1

    def skip_finished(self, items: Iterator[Item]) -> None:
        """Go past the documents that are finished.

        items (Iterator[Item]): the input from its beginning. Where its texts are not those of the journal, a ValueError
            is raised.
        """
        for number, record in enumerate(self._records(), 1):
            item = next(items, None)
            content = record.get(_DOC) or record.get(_LEFT_OUT) or {}
            found = "" if item is None else item.content.text
            expected = str(content.get("text", ""))
            if item is None or found != expected:
                what = "is missing" if item is None else f"reads {found[:60]!r}"
                problem = f"its document {number} reads {expected[:60]!r}, and that of the input {what}"
                raise ValueError(Errors.R324.format(path=self.path, problem=problem))

    def finish(self) -> List[LeftOut]:
        """Write the output, which appears under its name only when it is whole, and remove the journal.

        RETURNS (List[LeftOut]): the documents that were left out.
        """
        from ..files import atomic_write

        left_out: List[LeftOut] = []
        with atomic_write(self.output) as stream:
            for record in self._records():
                if _DOC in record:
                    stream.write(to_line(record[_DOC]))
                else:
                    left_out.append(LeftOut(**record[_LEFT_OUT]))  # type: ignore[arg-type]
        self.path.unlink()
        return left_out

    def _records(self) -> "Iterator[Dict[str, Dict[str, object]]]":
        with self.path.open("rb") as stream:
            next(stream)
            for line in stream:
                yield json.loads(line)

    def _check(self, about: Mapping[str, object]) -> int:
        """Cut off a last line that is not whole. RETURNS (int): the number of documents."""
        whole = count = 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream):
                if not line.endswith(b"\n"):
                    break
                try:
                    record = json.loads(line)
                except ValueError as error:
                    problem = f"its line {number + 1} is damaged ({error})"
                    raise ValueError(Errors.R324.format(path=self.path, problem=problem)) from error
                if number == 0 and record != json.loads(to_line(about)):
                    was = ", ".join(f"{key} {value!r}" for key, value in record.items() if about.get(key) != value)
                    raise ValueError(Errors.R324.format(path=self.path, problem=f"it is of another run ({was})"))
                count = number
                whole += len(line)
        if whole < self.path.stat().st_size:
            with self.path.open("rb+") as stream:
                stream.truncate(whole)
        return count


def journal_path(output: Path) -> Path:
    """RETURNS (Path): where the journal of an output is."""
    return output.with_name(f".{output.name}.partial")
