"""`ragre annotate`: the relations of a corpus, on this machine or on a cluster."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Mapping, Optional

import typer

from ..errors import Errors
from ..training.devices import choose_gpu
from ._util import GPU_ID, Arg, Opt, load_pipeline, module_of, pipe_names, ragre_cli, user_errors

if TYPE_CHECKING:
    from spacy.language import Language

    from ..annotate.run import Pipeline
    from ..assist.teacher import Sampling

# As `Sampling` has them, which is imported when it is used.
_SAMPLES = 5
_TEMPERATURE = 0.7


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
    teacher: Optional[str] = Opt(
        None,
        "--teacher",
        metavar="TEACHER",
        help="Write silver relations for training: a larger model answers each pair several times, in place of the "
        "pipeline's own. A config with a section [teacher], or a pipeline",
    ),
    samples: Optional[int] = Opt(None, "--samples", min=1, help=f"Answers of the teacher for each pair [{_SAMPLES}]"),
    temperature: Optional[float] = Opt(
        None, "--temperature", help=f"Temperature of these answers, above 0 [{_TEMPERATURE}]"
    ),
    seed: Optional[int] = Opt(None, "--seed", min=0, help="Seed of the first answer [0]"),
    part_size: int = Opt(500, "--part-size", min=1, help="Documents of a part, which is done as a whole or again"),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    batch_size: Optional[int] = Opt(None, "--batch-size", "-bs", min=1, help="Documents of a batch"),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Annotate a corpus with the relations that a pipeline finds.

    The output is a folder of parts in the order of the input. The same command goes on where it was stopped, by
    whatever it was. Documents that fail are listed with reasons in OUT/_job/failed.jsonl.

    With --teacher, relations have the share of its answers that agree as score, and pairs a weight for training.
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
            teacher=teacher,
            samples=samples,
            temperature=temperature,
            seed=seed,
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
    teacher: Optional[str] = None,
    samples: Optional[int] = None,
    temperature: Optional[float] = None,
    seed: Optional[int] = None,
    part_size: int = 500,
    spans_key: Optional[str] = None,
    batch_size: Optional[int] = None,
    gpu_id: Optional[int] = None,
) -> None:
    """Annotate a corpus and say what became of it; see `spacy_ragre.annotate.run.annotate_corpus`.

    pipeline (str): the pipeline's folder or package.
    teacher (Optional[str]): a config or a pipeline; see `spacy_ragre.assist.teacher.put_teacher`. None for none.
    samples (Optional[int]): its answers for each pair.
    temperature (Optional[float]): of these.
    seed (Optional[int]): of the first of these.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU. On Ray, 0 gives each worker a GPU of its own.
    """
    from ..annotate.jobs import Settings
    from ..annotate.run import annotate_corpus

    if workers is not None and engine != "ray":
        why = "the local engine is this process alone"
        raise ValueError(Errors.R323.format(option="--workers", needed="--engine ray", why=why))
    gpu = engine == "ray" and gpu_id is not None and gpu_id >= 0
    given = {"samples": samples, "temperature": temperature, "seed": seed}
    summary = annotate_corpus(
        input_path,
        output_path,
        pipeline_of(pipeline, teacher, {name: v for name, v in given.items() if v is not None}, 0 if gpu else gpu_id),
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


def pipeline_of(name: str, teacher: Optional[str], sampling: Mapping[str, float], gpu_id: Optional[int]) -> "Pipeline":
    """What workers load, and what tells it from other pipelines.

    name (str): the pipeline's folder or package.
    teacher (Optional[str]): a config or a pipeline that answers in place of its own extractor; None for none.
    sampling (Mapping[str, float]): how the teacher's answers are sampled, where that was said.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU.
    RETURNS (Pipeline): the pipeline. A numbered error is raised where there is none of that name.
    """
    from ..annotate.run import Pipeline

    about: Dict[str, object] = {"sha256": pipeline_hash(name), "teacher": None}
    if teacher is None:
        for option in sampling:
            why = "only a teacher's answers are sampled"
            raise ValueError(Errors.R323.format(option=f"--{option}", needed="--teacher", why=why))
        return Pipeline(partial(load_finder, whole_path(name), gpu_id), about)
    from ..assist.teacher import Sampling, read_settings

    how = Sampling(**sampling).check()  # type: ignore[arg-type]
    if is_config(teacher):
        read_settings(Path(teacher))
    about.update(teacher=teacher_hash(teacher), **how._asdict())
    return Pipeline(partial(load_teacher, whole_path(name), whole_path(teacher), how, gpu_id), about)


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


def load_teacher(name: str, teacher: str, sampling: "Sampling", gpu_id: Optional[int]) -> "Language":
    """Load a pipeline with a teacher in it.

    name (str): the pipeline's folder or package.
    teacher (str): a config or a pipeline.
    sampling (Sampling): how its answers are sampled.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU.
    RETURNS (Language): the pipeline. A ValueError is raised where one of both can't be loaded, or does not teach.
    """
    from ..assist.teacher import put_teacher, sample_answers

    choose_gpu(gpu_id)
    nlp = load_pipeline(name)
    put_teacher(nlp, load_pipeline(teacher) if not is_config(teacher) else Path(teacher))
    sample_answers(nlp, sampling, teacher)
    return nlp


def is_config(teacher: str) -> bool:
    """RETURNS (bool): whether a teacher is given by a config file, and not by a pipeline."""
    return Path(teacher).suffix == ".cfg"


def teacher_hash(teacher: str) -> str:
    """RETURNS (str): checksum of a teacher's config, or of its pipeline. A numbered error is raised for neither."""
    from ..corpora.files import existing_path
    from ..files import file_hash

    return file_hash(existing_path(teacher)) if is_config(teacher) else pipeline_hash(teacher)


def whole_path(name: str) -> str:
    """RETURNS (str): the path of a file or folder from the root on, since workers may be in another folder; else the
    name of a package as it is.
    """
    return str(Path(name).resolve()) if Path(name).exists() else name


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
