"""The commands as a user calls them: through spaCy, in a fresh process."""

import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest
import typer
from typer.testing import Result

from spacy_ragre.cli._util import user_errors

COMMANDS = ["calibrate", "convert", "download", "evaluate", "export", "extract", "index", "neighbours", "train"]


def test_help_lists_the_commands(run: Callable[..., Result]) -> None:
    result = run("--help")
    assert result.exit_code == 0, result.stderr
    listed = [line.strip("│ ").partition(" ")[0] for line in result.stdout.splitlines()]
    assert [name for name in listed if name in COMMANDS] == COMMANDS


def test_an_error_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    command = ["convert", "missing.txt", str(tmp_path / "out.spacy"), "--format", "semeval"]
    command = [sys.executable, "-m", "spacy", "ragre", *command]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 1
    assert result.stderr.startswith("[R401]") and result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_importing_the_commands_is_light() -> None:
    code = (
        "import sys, spacy.cli; before = set(sys.modules); import spacy_ragre.cli; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"transformers", "faiss", "peft", "bitsandbytes"} & set(result.stdout.split())


def test_bugs_keep_their_traceback() -> None:
    with pytest.raises(ValueError, match="no code"), user_errors():
        raise ValueError("no code")
    with pytest.raises(typer.Exit), user_errors():
        raise PermissionError(13, "Permission denied", "x")
    with pytest.raises(BrokenPipeError), user_errors():
        raise BrokenPipeError
