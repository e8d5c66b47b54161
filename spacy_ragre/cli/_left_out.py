"""Documents that could not be read or processed, and the file that --skip-errors names for them."""

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence

import typer

from ..annotate.documents import LeftOut, to_line
from ..errors import Errors
from ._util import Opt

if TYPE_CHECKING:
    from ..corpora.files import OnError

# The same for all commands that can go on after a document.
SKIP_ERRORS: Optional[Path] = Opt(
    None, "--skip-errors", metavar="FILE", help="Write documents that fail to this file, with reasons, and go on"
)
# What that file is, for errors.
LEFT_OUT = "documents that fail"


def left_out_to(items: List[LeftOut]) -> "OnError":
    """items (List[LeftOut]): the list for the records of a corpus that can't be read.
    RETURNS (OnError): what its reader is to call.
    """
    return lambda place, record, reasons: items.append(LeftOut(place, reasons, text=record))


def report_left_out(items: Sequence[LeftOut], count: int, path: Path) -> None:
    """Write the documents that were left out, one JSON object a line, and say how many they are.

    items (Sequence[LeftOut]): the documents, with reasons. A ValueError is raised where they are all.
    count (int): of all documents, those among them.
    path (Path): the file.
    """
    from ..files import atomic_write

    with atomic_write(path) as stream:
        stream.writelines(to_line(item.to_dict()) for item in items)
    if not items:
        return
    if len(items) == count:
        problem = " ".join(items[0].reasons)
        raise ValueError(Errors.R325.format(count=count, place=items[0].place, problem=problem, path=path))
    typer.echo(f"Left out {len(items)} of {count} documents: see {path}", err=True)
