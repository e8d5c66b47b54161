"""What the commands share: the app that they belong to, and how an error reaches the user."""

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, List

import typer

from ..errors import Errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

HELP = """Relation extraction with language models that retrieve examples: install the models, convert and export
corpora, look at what retrieval gives, and extract relations.
"""

Arg = typer.Argument
Opt = typer.Option

ragre_cli = typer.Typer(name="ragre", help=HELP, no_args_is_help=True)

# spaCy's own errors carry codes too: [E050] for a pipeline that is not there.
_CODE = re.compile(r"\[[A-Z]\d{3,4}\]")


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error that the user can mend into one line on stderr and exit code 1.

    Those are numbered errors and errors of files. Others are bugs, and keep their traceback.
    """
    try:
        yield
    except BrokenPipeError:
        # The reader of our output has seen enough, as `head` does: typer ends quietly.
        raise
    except (ValueError, OSError) as error:
        message = " ".join(str(error).split())
        if not _CODE.match(message):
            if not isinstance(error, OSError):
                raise
            message = Errors.R601.format(problem=message)
        typer.echo(message, err=True)
        raise typer.Exit(1) from error


def use_gpu(gpu_id: int) -> None:
    """gpu_id (int): the GPU to use; -1 for the CPU. A ValueError is raised where it is not there."""
    from thinc.api import require_gpu

    if gpu_id < 0:
        return
    try:
        require_gpu(gpu_id)
    # What a missing device raises depends on the library that looks for it.
    except Exception as error:
        raise ValueError(Errors.R615.format(gpu_id=gpu_id, problem=str(error).strip().rstrip("."))) from error


def load_pipeline(name: str) -> "Language":
    """Load a pipeline.

    name (str): its folder or package.
    RETURNS (Language): the pipeline. A ValueError is raised where it can't be loaded.
    """
    from spacy.util import load_model

    try:
        return load_model(name)
    # A damaged folder, a package with missing parts or a config with unknown names: spaCy raises one of these.
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ValueError(Errors.R602.format(name=name, problem=str(error).strip().rstrip("."))) from error


def read_corpus(path: Path, nlp: Any = None) -> Iterator["Doc"]:
    """Read documents from a file, whose ending tells its format.

    path (Path): a .spacy file or a folder of them, interchange .jsonl, or a SemEval-2010 Task 8 .txt file.
    nlp (Union[Language, Vocab, None]): makes the documents; blank English if None.
    YIELDS (Doc): the documents. An unknown ending raises a ValueError.
    """
    from ..corpora import read_jsonl, read_semeval
    from ..corpora.reader import read_docs
    from ..corpora.tokens import get_nlp

    suffix = path.suffix.lower()
    if suffix == ".spacy" or path.is_dir():
        yield from read_docs(path, get_nlp(nlp).vocab)
    elif suffix == ".jsonl":
        yield from read_jsonl(path, nlp)
    elif suffix == ".txt":
        yield from read_semeval(path, nlp)
    else:
        raise ValueError(Errors.R605.format(path=path, known=".spacy, .jsonl (interchange), .txt (SemEval)"))


def pipe_names(nlp: "Language", attr: str) -> List[str]:
    """RETURNS (List[str]): names of the components that assign an attribute such as `doc._.relations`."""
    return [name for name in nlp.pipe_names if attr in nlp.get_pipe_meta(name).assigns]
