"""The commands as a user calls them: in a fresh process, through spaCy."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from spacy_ragre.cli._util import user_errors

COMMANDS = ["calibrate", "convert", "download", "evaluate", "export", "extract", "index", "neighbours", "train"]


def run(*args: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "spacy", "ragre", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.returncode == 0, result.stderr
    listed = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ") and line.strip()]
    assert [name for name in COMMANDS if name in listed] == COMMANDS


def test_an_error_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    result = run("convert", "missing.txt", str(tmp_path / "out.spacy"), "--format", "semeval")
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
