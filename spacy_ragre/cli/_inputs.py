"""What `extract` and `neighbours` read: a text, a file, or standard input, each document with its place."""

import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Union

import typer

from ..errors import Errors
from ._util import Arg, Opt, read_corpus

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

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


class LeftOut(NamedTuple):
    """A document that could not be read or processed.

    place (str): where it stands: "line 3" or "document 3".
    reasons (List[str]): why it was left out.
    id (str): its id, or "" where it has none.
    text (str): its text, or "" where it could not be read.
    """

    place: str
    reasons: List[str]
    id: str = ""
    text: str = ""

    def to_dict(self) -> Dict[str, object]:
        """RETURNS (Dict[str, object]): what is written to a file of documents that were left out."""
        data: Dict[str, object] = {"place": self.place, "reasons": self.reasons}
        return {**data, **({"id": self.id} if self.id else {}), **({"text": self.text} if self.text else {})}


class Item(NamedTuple):
    """One document of the input, or why there is none.

    place (str): where it stands: "line 3" or "document 3".
    content (Union[Doc, LeftOut]): the document, without relations.
    plain (bool): True where nothing but its text is known.
    """

    place: str
    content: "Union[Doc, LeftOut]"
    plain: bool = False


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
            yield from _read_documents(nlp, file, spans_key)
        else:
            with file.open("rb") as stream:
                yield from _read_lines(nlp, stream, path, skip)


def _is_semeval(file: Path) -> bool:
    if file.suffix.lower() != ".txt":
        return False
    with file.open("rb") as stream:
        first = next((line for line in stream if line.strip()), b"")
    return _SEMEVAL.match(first.removeprefix(b"\xef\xbb\xbf")) is not None


def _read_documents(nlp: "Language", file: Path, spans_key: Optional[str]) -> Iterator[Item]:
    from ..corpora.reader import copy_input

    # Tokens may not fit the entities that someone else annotated; cutting them changes no text.
    docs = read_corpus(file, nlp, spans_key=spans_key, split_tokens=True)
    for number, doc in enumerate(docs, 1):
        yield Item(f"document {number}", copy_input(doc))


def _read_lines(nlp: "Language", stream: IO[bytes], path: str, skip: bool) -> Iterator[Item]:
    from ..relations import ID_KEY

    for number, raw in enumerate(stream, 1):
        place = f"line {number}"
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
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
