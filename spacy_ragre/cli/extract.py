"""`ragre extract`: the relations of texts."""

import json
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Iterable, Iterator, List, Optional

import typer

from ..errors import Errors
from ._util import Arg, Opt, load_pipeline, pipe_names, ragre_cli, use_gpu, user_errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

STDIN = "-"


@ragre_cli.command("extract")
def extract_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a pipeline that finds relations"),
    text: Optional[str] = Arg(None, metavar="[TEXT]", help="Text to read"),
    input_path: Optional[str] = Opt(
        None,
        "--input",
        "-i",
        metavar="FILE",
        help="File to read: .jsonl (objects with a text, or interchange), else a text a line; - for standard input",
    ),
    output_path: Optional[Path] = Opt(
        None, "--output", "-o", metavar="FILE", help="Write interchange JSONL to this file"
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    batch_size: Optional[int] = Opt(None, "--batch-size", "-bs", min=1, help="Documents of a batch"),
    gpu_id: int = Opt(-1, "--gpu-id", "-g", help="GPU ID, or -1 for CPU"),
) -> None:
    """
    Extract relations from a text, or from each document of a file.

    On a terminal the relations are shown as a table; otherwise, and with --output, documents are written in the
    interchange format, one JSON object a line. An output file appears under its name only when it is whole.
    """
    with user_errors():
        extract(
            pipeline,
            text,
            input_path=input_path,
            output_path=output_path,
            spans_key=spans_key,
            batch_size=batch_size,
            gpu_id=gpu_id,
        )


def extract(
    pipeline: str,
    text: Optional[str] = None,
    *,
    input_path: Optional[str] = None,
    output_path: Optional[Path] = None,
    spans_key: Optional[str] = None,
    batch_size: Optional[int] = None,
    gpu_id: int = -1,
) -> None:
    """Extract relations and write them, or show them.

    pipeline (str): the pipeline's folder or package.
    text (Optional[str]): a text.
    input_path (Optional[str]): a file in place of a text, or "-". Entities of interchange documents are given to the
        pipeline, their relations are not.
    output_path (Optional[Path]): the file to write.
    spans_key (Optional[str]): read and write entities in `doc.spans[spans_key]`.
    batch_size (Optional[int]): documents of a batch.
    gpu_id (int): the GPU to use, or -1.
    """
    if (text is None) == (input_path is None):
        raise ValueError(Errors.R607.format(what="both" if text is not None else "neither"))
    use_gpu(gpu_id)
    nlp = load_pipeline(pipeline)
    if not pipe_names(nlp, "doc._.relations"):
        raise ValueError(Errors.R606.format(name=pipeline, components=", ".join(nlp.pipe_names) or "none"))
    inputs = [nlp.make_doc(text)] if text is not None else read_inputs(nlp, str(input_path), spans_key)
    docs = nlp.pipe(inputs, batch_size=batch_size)
    if output_path is not None:
        from ..corpora import write_jsonl

        write_jsonl(docs, output_path, spans_key=spans_key)
    elif sys.stdout.isatty():
        show_table(docs)
    else:
        from ..corpora import doc_to_dict

        for doc in docs:
            typer.echo(json.dumps(doc_to_dict(doc, spans_key=spans_key), ensure_ascii=False))


def read_inputs(nlp: "Language", path: str, spans_key: Optional[str] = None) -> Iterator["Doc"]:
    """Read what is to be processed.

    nlp (Language): its tokenizer is used.
    path (str): a file, or "-". Of plain text, each line that is not blank is a document with the line's number as id.
    spans_key (Optional[str]): where the entities of interchange documents go.
    YIELDS (Doc): the documents.
    """
    from ..corpora import read_jsonl
    from ..corpora.files import existing_path
    from ..corpora.reader import copy_input

    if path == STDIN:
        yield from _read_lines(nlp, typer.get_binary_stream("stdin"), "standard input")
    elif path.lower().endswith(".jsonl"):
        # Tokens may not fit the entities that someone else annotated; cutting them changes no text.
        for doc in read_jsonl(path, nlp, spans_key=spans_key, split_tokens=True):
            yield copy_input(doc)
    else:
        with existing_path(path).open("rb") as stream:
            yield from _read_lines(nlp, stream, path)


def _read_lines(nlp: "Language", stream: IO[bytes], path: str) -> Iterator["Doc"]:
    from ..relations import ID_KEY

    for number, raw in enumerate(stream, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise ValueError(Errors.R613.format(path=path, line=number, problem=error)) from error
        if line:
            doc = nlp.make_doc(line)
            doc.user_data[ID_KEY] = str(number)
            yield doc


def show_table(docs: "Iterable[Doc]") -> None:
    """Show relations as a table, best first in each document.

    docs (Iterable[Doc]): the documents.
    """
    from rich.console import Console
    from rich.table import Table

    rows: List[List[str]] = []
    count = 0
    for count, doc in enumerate(docs, 1):
        rows.extend([str(count), r.head.text, r.label, r.tail.text, f"{r.score:.2f}"] for r in doc._.relations)
    console = Console(highlight=False)
    if not rows:
        console.print(f"No relations in {count} document{'' if count == 1 else 's'}.")
        return
    # The number tells documents apart, and says nothing about a single one.
    first = 0 if count > 1 else 1
    table = Table()
    for name in ["document", "head", "relation", "tail"][first:]:
        table.add_column(name)
    table.add_column("score", justify="right")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row[first:]))
    console.print(table)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(" ".join(text.split()))
