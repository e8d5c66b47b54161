"""`ragre extract`: the relations of texts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Iterable, Iterator, List, Mapping, Optional

import typer

from ..annotate.documents import LeftOut, Run
from ..errors import Errors
from ..training.devices import choose_gpu
from ._inputs import INPUT, TEXT, check_inputs, read_inputs
from ._journal import Journal, journal_path
from ._left_out import LEFT_OUT, SKIP_ERRORS, report_left_out
from ._util import GPU_ID, Arg, Opt, cell, json_line, load_pipeline, parse_labels, pipe_names, ragre_cli, user_errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

FACTORY = "rag_relation_extractor"


@ragre_cli.command("extract")
def extract_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a pipeline that finds relations"),
    text: Optional[str] = TEXT,
    input_path: Optional[str] = INPUT,
    output_path: Optional[Path] = Opt(
        None, "--output", "-o", metavar="FILE", help="Write interchange JSONL to this file"
    ),
    labels: List[str] = Opt(
        [],
        "--labels",
        "-l",
        metavar="LABELS",
        help="Find these relations without training, with any pipeline that finds entities: NAME=WORDS, several with "
        "commas between, or a file (a label a line, or .json). May be given several times",
    ),
    examples: Optional[Path] = Opt(
        None, "--examples", metavar="STORE", help="Show examples of this store, made by `index`, to the language model"
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    skip_errors: Optional[Path] = SKIP_ERRORS,
    resume: bool = Opt(False, "--resume", help="Go on where an earlier run with the same --output was stopped"),
    batch_size: Optional[int] = Opt(None, "--batch-size", "-bs", min=1, help="Documents of a batch"),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Extract relations from a text, or from each document of a file.

    On a terminal the relations are shown as a table; otherwise, and with --output, documents are written in the
    interchange format, one JSON object a line. An output file appears under its name only when it is whole; until then,
    what is finished is kept next to it, in .FILE.partial, for --resume.
    """
    with user_errors(extract_cli):
        extract(
            pipeline,
            text,
            input_path=input_path,
            output_path=output_path,
            labels=parse_labels(labels),
            examples=examples,
            spans_key=spans_key,
            skip_errors=skip_errors,
            resume=resume,
            batch_size=batch_size,
            gpu_id=gpu_id,
        )


def extract(
    pipeline: str,
    text: Optional[str] = None,
    *,
    input_path: Optional[str] = None,
    output_path: Optional[Path] = None,
    labels: Optional[Dict[str, object]] = None,
    examples: Optional[Path] = None,
    spans_key: Optional[str] = None,
    skip_errors: Optional[Path] = None,
    resume: bool = False,
    batch_size: Optional[int] = None,
    gpu_id: Optional[int] = None,
) -> None:
    """Extract relations and write them, or show them.

    pipeline (str): the pipeline's folder or package.
    text (Optional[str]): a text.
    input_path (Optional[str]): a file in place of a text, or "-". Entities of interchange documents are given to the
        pipeline, their relations are not.
    output_path (Optional[Path]): the file to write.
    labels (Optional[Dict[str, object]]): find these relations with an untrained extractor at the pipeline's end.
    examples (Optional[Path]): a store that `ragre index` made, whose examples are added to the pipeline's extractor, or
        to an untrained one that takes its labels from them.
    spans_key (Optional[str]): read and write entities in `doc.spans[spans_key]`.
    skip_errors (Optional[Path]): the file for documents that fail, with reasons; the first of them ends the run where
        None.
    resume (bool): go on with what an earlier run with this `output_path` finished.
    batch_size (Optional[int]): documents of a batch.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU; see `choose_gpu`.
    """
    from ..files import atomic_write, check_outputs

    check_inputs(text, input_path)
    check_outputs({"input": input_path}, {"output": output_path, LEFT_OUT: skip_errors})
    if resume and output_path is None:
        raise ValueError(Errors.R323.format(option="--resume", needed="--output FILE", why="it goes on with that file"))
    if resume and output_path is not None and output_path.exists() and not journal_path(output_path).exists():
        typer.echo(f"{output_path} is whole already: nothing is left to do.", err=True)
        return
    choose_gpu(gpu_id)
    nlp = load_pipeline(pipeline)
    add_labels(nlp, pipeline, labels or {}, spans_key, examples)
    skip = skip_errors is not None
    run = Run(nlp, read_inputs(nlp, text, input_path, spans_key, skip), spans_key, batch_size, skip)
    if output_path is None:
        left_out = _show(run)
    elif output_path.exists() and not output_path.is_file():
        # A device or a pipe, next to which no journal can be kept; a folder is an error.
        with atomic_write(output_path) as stream:
            left_out = _print(run, lambda line: stream.write(f"{line}\n".encode()))
    else:
        about: Dict[str, object] = {
            "pipeline": pipeline,
            "input": input_path or text,
            "labels": labels or {},
            "spans_key": spans_key,
        }
        about["examples"] = None if examples is None else str(examples)
        left_out = _write(run, output_path, about, resume)
    if skip_errors is not None:
        report_left_out(left_out, run.count, skip_errors)


def add_labels(
    nlp: "Language",
    name: str,
    labels: Dict[str, object],
    spans_key: Optional[str],
    examples: Optional[Path] = None,
    *,
    needs_labels: bool = True,
) -> None:
    """Let a pipeline find relations that it was not trained on.

    nlp (Language): the pipeline. An extractor is added at its end.
    name (str): what the pipeline is called, for errors.
    labels (Dict[str, object]): as the extractor's setting. Where empty, the pipeline has to find relations itself.
    spans_key (Optional[str]): where the entities are.
    examples (Optional[Path]): a store whose examples the extractor is given.
    needs_labels (bool): whether an extractor without labels is an error.
    """
    found = pipe_names(nlp, "doc._.relations")
    if labels and found:
        raise ValueError(Errors.R322.format(name=name, component=found[0]))
    if needs_labels and not labels and not found and examples is None:
        raise ValueError(Errors.R606.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
    if not found:
        found = [FACTORY]
        extractor = nlp.add_pipe(FACTORY, config={"spans_key": spans_key})
        for label, words in labels.items():
            # Not by the settings, which can't hold names such as per:title.
            extractor.add_label(label, words)  # type: ignore[attr-defined]
    if examples is None:
        return
    takers = [pipe for pipe in map(nlp.get_pipe, found) if hasattr(pipe, "add_store")]
    if not takers:
        raise ValueError(Errors.R331.format(name=name, components=", ".join(found)))
    for taker in takers:
        taker.add_store(examples)


def _write(run: Run, output_path: Path, about: Mapping[str, object], resume: bool) -> List[LeftOut]:
    with Journal(output_path, about, resume) as journal:
        journal.skip_finished(run.items)
        try:
            for result in run.dicts():
                if isinstance(result, LeftOut):
                    journal.leave_out(result)
                else:
                    journal.add(result)
        except (ValueError, OSError) as error:
            if not journal.count:
                raise
            raise ValueError(Errors.R326.format(problem=error, count=journal.count)) from error
    run.count = journal.count
    return journal.finish()


def _show(run: Run) -> List[LeftOut]:
    if not sys.stdout.isatty():
        return _print(run, typer.echo)
    left_out: List[LeftOut] = []

    def docs() -> "Iterator[Doc]":
        for _, content, _ in run.results():
            if isinstance(content, LeftOut):
                left_out.append(content)
            else:
                yield content

    show_table(docs())
    return left_out


def _print(run: Run, write: Callable[[str], object]) -> List[LeftOut]:
    left_out: List[LeftOut] = []
    for result in run.dicts():
        if isinstance(result, LeftOut):
            left_out.append(result)
        else:
            write(json_line(result))
    return left_out


def show_table(docs: "Iterable[Doc]") -> None:
    """Show relations as a table, best first in each document.

    docs (Iterable[Doc]): the documents.
    """
    from rich.console import Console
    from rich.table import Table

    from ..relations import get_relations

    rows: List[List[str]] = []
    count = 0
    for count, doc in enumerate(docs, 1):
        rows.extend([str(count), r.head.text, r.label, r.tail.text, f"{r.score:.2f}"] for r in get_relations(doc))
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
        table.add_row(*(cell(text) for text in row[first:]))
    console.print(table)
