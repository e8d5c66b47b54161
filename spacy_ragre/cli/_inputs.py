"""What `extract` and `neighbours` read: a text, a file, or standard input, each document with its place."""

import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Iterator, List, Optional

import typer

from ..annotate.documents import Item, LeftOut
from ..errors import Errors
from ._left_out import left_out_to
from ._util import Arg, Opt, read_corpus

if TYPE_CHECKING:
    from spacy.language import Language

STDIN = "-"

# The same for all commands that read texts.
TEXT: Optional[str] = Arg(None, metavar="[TEXT]", help="Text to read")
INPUT: Optional[str] = Opt(
    None,
    "--input",
    "-i",
    metavar="FILE",
    help="File to read: .spacy, .jsonl (objects with a text, or interchange), SemEval .txt, else a text a line; - for "
    "standard input, a text a line",
)
_SEMEVAL = re.compile(rb'\d+\t"')


def check_inputs(text: Optional[str], input_path: Optional[str]) -> None:
    """Raise a ValueError unless either a text or a file is given."""
    if (text is None) == (input_path is None):
        raise ValueError(Errors.R607.format(what="both" if text is not None else "neither"))


def read_inputs(
    nlp: "Language", text: Optional[str], path: Optional[str], spans_key: Optional[str] = None, skip: bool = False
) -> Iterator[Item]:
    """Read what is to be processed.

    nlp (Language): its tokenizer is used.
    text (Optional[str]): a text, or None to read a file.
    path (Optional[str]): a file, or "-". Of plain text, each line that is not blank is a document with the line's
        number as id.
    spans_key (Optional[str]): where the entities of interchange documents go.
    skip (bool): give a `LeftOut` for a document that can't be read, where the next one can; else raise a ValueError.
    YIELDS (Item): the documents. Entities and entity clusters are kept, and relations are not.
    """
    from ..corpora.files import existing_path

    if text is not None:
        yield Item("the text", nlp.make_doc(text), plain=True)
    elif path == STDIN:
        yield from _read_lines(nlp, typer.get_binary_stream("stdin"), "standard input", skip)
    elif path is not None:
        file = existing_path(path)
        if file.is_dir() or file.suffix.lower() in (".spacy", ".jsonl") or _is_semeval(file):
            yield from _read_documents(nlp, file, spans_key, skip)
        else:
            with file.open("rb") as stream:
                yield from _read_lines(nlp, stream, path, skip)


def _is_semeval(file: Path) -> bool:
    if file.suffix.lower() != ".txt":
        return False
    with file.open("rb") as stream:
        first = next((line for line in stream if line.strip()), b"")
    return _SEMEVAL.match(first.removeprefix(b"\xef\xbb\xbf")) is not None


def _read_documents(nlp: "Language", file: Path, spans_key: Optional[str], skip: bool) -> Iterator[Item]:
    from ..corpora.reader import copy_input

    left_out: List[LeftOut] = []
    collect = left_out_to(left_out) if skip else None
    number = 0
    # Tokens may not fit the entities that someone else annotated; cutting them changes no text.
    for doc in read_corpus(file, nlp, spans_key=spans_key, split_tokens=True, on_error=collect):
        yield from (Item(item.place, item) for item in left_out)
        number += len(left_out) + 1
        left_out.clear()
        yield Item(f"document {number}", copy_input(doc))
    yield from (Item(item.place, item) for item in left_out)


def _read_lines(nlp: "Language", stream: IO[bytes], path: str, skip: bool) -> Iterator[Item]:
    from ..corpora.files import split_lines
    from ..relations import ID_KEY

    for number, raw in split_lines(stream, path):
        place = f"line {number}"
        try:
            line = raw.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            problem = Errors.R613.format(path=path, line=number, problem=error)
            if not skip:
                raise ValueError(problem) from error
            yield Item(place, LeftOut(place, [problem]), plain=True)
            continue
        if line:
            doc = nlp.make_doc(line)
            doc.user_data[ID_KEY] = str(number)
            yield Item(place, doc, plain=True)
