"""`ragre annotate`: the relations of a corpus, on this machine or on a cluster."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from ..errors import Errors
from ..training.devices import choose_gpu
from ._util import GPU_ID, Arg, Opt, load_pipeline, module_of, pipe_names, ragre_cli, user_errors

if TYPE_CHECKING:
    from spacy.language import Language


@ragre_cli.command("annotate")
def annotate_cli(
    input_path: Path = Arg(
        ..., metavar="IN", help="Corpus: a .jsonl (interchange), .parquet or .spacy file, or a folder with such files"
    ),
    output_path: Path = Arg(..., metavar="OUT", help="Folder to write the parts of the annotated corpus to"),
    pipeline: str = Opt(
        ..., "--pipeline", "-p", metavar="PIPELINE", help="Folder or package of a pipeline that finds relations"
    ),
    engine: str = Opt("local", "--engine", "-e", help="local (this process), or ray (workers on Ray)"),
    workers: Optional[int] = Opt(
        None, "--workers", "-w", min=1, help="Workers of Ray, each of which loads the pipeline; one a CPU, or a GPU"
    ),
    format: str = Opt("jsonl", "--format", "-f", help="Format of the parts: jsonl (interchange) or parquet"),
    graph: Optional[Path] = Opt(
        None,
        "--graph",
        metavar="FILE",
        help="Write the knowledge graph of the corpus, too: .graphml, .json (node-link), .ttl, .nt or .cypher",
    ),
    part_size: int = Opt(500, "--part-size", min=1, help="Documents of a part, which is done as a whole or again"),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    batch_size: Optional[int] = Opt(None, "--batch-size", "-bs", min=1, help="Documents of a batch"),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Annotate a corpus with the relations that a pipeline finds.

    The output is a folder of parts in the order of the input. The same command goes on where it was stopped, by
    whatever it was. Documents that fail are listed with reasons in OUT/_job/failed.jsonl.
    """
    with user_errors(annotate_cli):
        annotate(
            input_path,
            output_path,
            pipeline,
            engine=engine,
            workers=workers,
            format=format,
            graph=graph,
            part_size=part_size,
            spans_key=spans_key,
            batch_size=batch_size,
            gpu_id=gpu_id,
        )


def annotate(
    input_path: Path,
    output_path: Path,
    pipeline: str,
    *,
    engine: str = "local",
    workers: Optional[int] = None,
    format: str = "jsonl",
    graph: Optional[Path] = None,
    part_size: int = 500,
    spans_key: Optional[str] = None,
    batch_size: Optional[int] = None,
    gpu_id: Optional[int] = None,
) -> None:
    """Annotate a corpus and say what became of it; see `spacy_ragre.annotate.run.annotate_corpus`.

    pipeline (str): the pipeline's folder or package.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU. On Ray, 0 gives each worker a GPU of its own.
    """
    from ..annotate.jobs import Settings
    from ..annotate.run import Pipeline, annotate_corpus

    if workers is not None and engine != "ray":
        why = "the local engine is this process alone"
        raise ValueError(Errors.R323.format(option="--workers", needed="--engine ray", why=why))
    gpu = engine == "ray" and gpu_id is not None and gpu_id >= 0
    folder = Path(pipeline)
    # Workers may be in another folder.
    load = partial(load_finder, str(folder.resolve()) if folder.is_dir() else pipeline, 0 if gpu else gpu_id)
    summary = annotate_corpus(
        input_path,
        output_path,
        Pipeline(load, {"sha256": pipeline_hash(pipeline)}),
        Settings(format, part_size, batch_size, spans_key, graph is not None),
        engine=engine,
        workers=workers,
        gpu=gpu,
        graph=graph,
        tell=lambda message: typer.echo(message, err=True),
    )
    if summary.was_whole:
        typer.echo(f"{output_path} is whole already: nothing is left to do.", err=True)
    if summary.first is None:
        return
    problem, path = " ".join(summary.first.reasons), summary.failed_path
    if summary.failed == summary.documents:
        count, place = summary.documents, summary.first.place
        raise ValueError(Errors.R325.format(count=count, place=place, problem=problem, path=path))
    typer.echo(f"Left out {summary.failed} of {summary.documents} documents: see {path}", err=True)


def load_finder(name: str, gpu_id: Optional[int]) -> "Language":
    """Load a pipeline that finds relations.

    name (str): its folder or package.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU.
    RETURNS (Language): the pipeline. A ValueError is raised where it can't be loaded or finds none.
    """
    choose_gpu(gpu_id)
    nlp = load_pipeline(name)
    if not pipe_names(nlp, "doc._.relations"):
        raise ValueError(Errors.R606.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
    return nlp


def pipeline_hash(name: str) -> str:
    """RETURNS (str): checksum of a pipeline's files. A ValueError is raised where there is no such pipeline."""
    from spacy.util import get_package_path, is_package

    from ..files import folder_hash

    module = module_of(name)
    if is_package(module):
        return folder_hash(get_package_path(module))
    if not Path(module).is_dir():
        load_pipeline(name)  # says what is wrong
    return folder_hash(Path(module))
