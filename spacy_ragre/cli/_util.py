"""What the commands share: the app that they belong to, how an error reaches the user, and what a terminal is shown."""

import json
import os
import re
import unicodedata
from collections import Counter
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import typer

from ..bundled import BUNDLED, locate
from ..errors import Errors
from ..labels import label_table

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
    from spacy.vocab import Vocab

    from ..corpora import CorpusCounts
    from ..corpora.files import OnError

HELP = """Relation extraction with language models that retrieve examples: install the models, convert and export
corpora, look at what retrieval gives, extract relations and score them.
"""

Arg = typer.Argument
Opt = typer.Option

# The same for all commands that run models.
GPU_ID: Optional[int] = Opt(
    None,
    "--gpu-id",
    "-g",
    min=-1,
    help="GPU ID, or -1 for CPU; where a component's setting device names another device, that one is used",
)

ragre_cli = typer.Typer(name="ragre", help=HELP, no_args_is_help=True)

# spaCy's own errors carry codes too: [E050] for a pipeline that is not there.
_CODE = re.compile(r"\[[A-Z]\d{3,4}\]")
# How files with labels end, and what looks like the name of a label.
_FILE_ENDINGS = (".txt", ".json", ".jsonl", ".csv", ".tsv")
_NAME = re.compile(r"[^\W\d][\w.:/-]*")
# Marks, embeddings, overrides and isolates: they change the order in which a terminal shows what follows.
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Other characters that begin a new line or can't be written.
_ODD = frozenset(("Cc", "Cs", "Zl", "Zp"))


@contextmanager
def user_errors(command: Optional[Callable[..., None]] = None) -> Iterator[None]:
    """Turn an error that the user can mend into a message on stderr and exit code 1.

    Those are numbered errors, of missing packages, too, and errors of files. Others are bugs, and keep their traceback.
    A message that tells of several problems has a line for each. It names the options of the command in place of
    Python's arguments.

    command (Optional[Callable[..., None]]): the command's function.
    """
    try:
        yield
    except BrokenPipeError:
        # The reader of our output has seen enough, as `head` does: typer ends quietly.
        raise
    except (ValueError, OSError, ImportError) as error:
        message = str(error).strip()
        if not _CODE.match(message):
            if not isinstance(error, OSError):
                raise
            message = Errors.R601.format(problem=one_line(error))
        for line in name_options(message, command).splitlines():
            if line.strip():
                typer.echo(visible(line), err=True)
        raise typer.Exit(1) from error


def name_options(message: str, command: Optional[Callable[..., None]]) -> str:
    """Put the options of a command in place of the arguments of Python's functions.

    message (str): "... or read the file with split_tokens=True."
    command (Optional[Callable[..., None]]): the command's function, whose arguments have typer's options as defaults.
    RETURNS (str): "... or read the file with --split-tokens."
    """
    parameters = signature(command).parameters.values() if command is not None else ()
    for parameter in parameters:
        option = next(iter(getattr(parameter.default, "param_decls", None) or ()), "")
        # Names of a single word may be meant as words.
        if option.startswith("--") and "_" in parameter.name:
            argument = rf"(?<![\w.\[])(?:an? |the )?{parameter.name}(?:=True)?(?![\w\]])"
            message = re.sub(argument, option, message)
    return message


def one_line(error: Exception) -> str:
    """RETURNS (str): an error's message without line breaks, to stand inside of another message."""
    return " ".join(str(error).split())


def visible(text: str) -> str:
    """Write characters that a terminal would obey, or that turn the order of what is shown, as their numbers.

    text (str): any text, such as that of a document.
    RETURNS (str): the text with "\\x1b" in place of an escape character, and "\\u202e" in place of an override.
    """
    return "".join(_number(char) if _is_odd(char) else char for char in text)


def json_line(data: Mapping[str, object]) -> str:
    """RETURNS (str): JSON in one line, in which characters are readable, except for those that `visible` replaces."""
    text = json.dumps(data, ensure_ascii=False)
    # They stand only inside of strings, where JSON has the same way to write them.
    return "".join(f"\\u{ord(char):04x}" if _is_odd(char) else char for char in text)


def _is_odd(char: str) -> bool:
    return not " " <= char <= "~" and (char in _BIDIRECTIONAL or unicodedata.category(char) in _ODD)


def _number(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def cell(text: str) -> str:
    """RETURNS (str): a text for a cell of one of rich's tables: in one line, visible, and without markup."""
    from rich.markup import escape

    return escape(visible(" ".join(text.split())))


def tell_dropped(counts: "CorpusCounts") -> None:
    """Say what the written format can't hold, where there was any of it.

    counts (CorpusCounts): what the writer counted.
    """
    if counts.dropped_items():
        typer.echo(f"Left out, as the format can't hold it: {'; '.join(counts.dropped_items())}", err=True)


def load_pipeline(name: str) -> "Language":
    """Load a pipeline.

    name (str): its folder or package, or the name of an embedded pipeline such as en_core_web_sm.
    RETURNS (Language): the pipeline. A ValueError is raised where it can't be loaded.
    """
    from spacy.util import load_model

    try:
        return load_model(module_of(name))
    # A damaged folder, a package with missing parts or a config with unknown names: spaCy raises one of these.
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ValueError(Errors.R602.format(name=name, problem=one_line(error).rstrip("."))) from error


def module_of(name: str) -> str:
    """RETURNS (str): the name by which spaCy loads a pipeline: the package's own for that of an embedded pipeline."""
    from spacy.util import is_package

    if name in BUNDLED and not Path(name).exists() and not is_package(name) and locate(name) is not None:
        return BUNDLED[name].module
    return name


def read_corpus(
    path: Path,
    nlp: "Union[Language, Vocab, None]" = None,
    *,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    on_error: "Optional[OnError]" = None,
) -> Iterator["Doc"]:
    """Read documents from a file, whose ending tells its format.

    path (Path): a .spacy file or a folder of them, interchange .jsonl, or a SemEval-2010 Task 8 .txt file.
    nlp (Union[Language, Vocab, None]): makes the documents; blank English if None.
    spans_key (Optional[str]): keep the entities of interchange documents in `doc.spans[spans_key]`.
    split_tokens (bool): cut tokens of interchange documents where an entity begins or ends inside one.
    on_error (Optional[OnError]): is told what can't be read of a .jsonl or .txt file; the rest is read all the same.
    YIELDS (Doc): the documents. An unknown ending raises a ValueError.
    """
    from ..corpora import read_jsonl, read_semeval
    from ..corpora.reader import read_docs
    from ..corpora.tokens import get_nlp

    suffix = path.suffix.lower()
    if suffix == ".spacy" or path.is_dir():
        yield from read_docs(path, get_nlp(nlp).vocab)
    elif suffix == ".jsonl":
        yield from read_jsonl(path, nlp, spans_key=spans_key, split_tokens=split_tokens, on_error=on_error)
    elif suffix == ".txt":
        yield from read_semeval(path, nlp, on_error=on_error)
    else:
        raise ValueError(Errors.R605.format(path=path, known=".spacy, .jsonl (interchange), .txt (SemEval)"))


def pipe_names(nlp: "Language", attr: str) -> List[str]:
    """RETURNS (List[str]): names of the components that assign an attribute such as `doc._.relations`."""
    return [name for name in nlp.pipe_names if attr in nlp.get_pipe_meta(name).assigns]


def parse_labels(values: List[str]) -> Dict[str, object]:
    """Read labels as the command line gives them.

    values (List[str]): each a file, or one or more labels with commas between them: `name=words`, or the name alone.
        A .json file holds what the component's setting `labels` takes: a list of names, or an object of names with
        their words or tables. Any other file has a label a line.
    RETURNS (Dict[str, object]): names with their words ("" for the name's own) or tables. What is no label raises a
        ValueError.
    """
    labels: Dict[str, object] = {}
    for value in values:
        # `Path.is_file` raises an error for many labels: no name of a file is so long.
        is_file = value.lower().endswith(".json") or os.path.isfile(value)
        found = _labels_of_file(Path(value)).items() if is_file else _labels_of_text(value, f"--labels {value!r}")
        labels = _once([*labels.items(), *found], "--labels")
    return labels


def _once(pairs: Sequence[Tuple[str, object]], source: object) -> Dict[str, object]:
    """RETURNS (Dict[str, object]): a table. A ValueError is raised where a name is given twice."""
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(Errors.R321.format(source=source, problem=f"{twice[0]!r} is given twice"))
    return dict(pairs)


def _labels_of_text(text: str, source: str) -> List[Tuple[str, object]]:
    # "a=is in, or at,b=..." has a comma inside of words: one that no name follows.
    first, *others = re.split(r",(?=[^,=]+=|\s*(?:,|$))", text)
    # Only in front, names alone can be told from words.
    parts = [*([first] if "=" in first else first.split(",")), *others]
    for part in parts:
        problem = _problem_of_label(part)
        if problem:
            raise ValueError(Errors.R321.format(source=source, problem=problem))
    return [_label(part, source) for part in parts]


def _problem_of_label(text: str) -> str:
    """RETURNS (str): what tells that a part of `--labels` is meant as something else than one label; "" for nothing."""
    name, _, words = text.strip().partition("=")
    if (words or name).lower().endswith(_FILE_ENDINGS) or (name == text.strip() and re.search(r"[/\\]", name)):
        return f"there is no file {text.strip()!r}"
    unclear = [word for word in words.split(",")[1:] if _NAME.fullmatch(word)]
    if not unclear:
        return ""
    told = f"{unclear[0]!r} may be another label, or belong to the words {words!r}"
    return f"{told}: give labels without words first or by another --labels, and commas inside of words with a space"


def _labels_of_file(path: Path) -> Dict[str, object]:
    from ..corpora.files import decode, existing_path

    text = decode(existing_path(path).read_bytes(), path)
    try:
        if path.suffix.lower() != ".json":
            return _once([_label(line, str(path)) for line in text.splitlines() if line.strip()], path)
        data = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, path))
    except json.JSONDecodeError as error:
        raise ValueError(Errors.R321.format(source=path, problem=error)) from error
    if isinstance(data, dict) or (isinstance(data, list) and all(isinstance(item, (str, dict)) for item in data)):
        return label_table(data)
    problem = "it holds neither a list of names or tables nor an object of names with words"
    raise ValueError(Errors.R321.format(source=path, problem=problem))


def _label(text: str, source: str) -> Tuple[str, object]:
    name, _, words = text.partition("=")
    if not name.strip():
        raise ValueError(Errors.R321.format(source=source, problem=f"{text!r} has no name"))
    return name.strip(), words.strip()
