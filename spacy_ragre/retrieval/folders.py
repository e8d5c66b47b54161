"""Folders that are replaced as a whole or not at all."""

import os
import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Collection, Iterator

from ..errors import Errors


@contextmanager
def replace_folder(folder: Path, owned: Collection[str]) -> Iterator[Path]:
    """Write a folder next to the one it replaces, and rename it over when it is whole.

    A write that fails leaves what was there before and nothing else. The two renames are not one step: a process
    killed between them leaves the old folder under the name that `existing` finds.

    folder (Path): the folder to write.
    owned (Collection[str]): names that such a folder holds. A folder that holds others is not replaced.
    YIELDS (Path): an empty folder to write into.
    """
    if folder.exists() and (not folder.is_dir() or {item.name for item in folder.iterdir()} - set(owned)):
        raise ValueError(Errors.R215.format(folder=folder, owned=", ".join(sorted(owned))))
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        # Not tempfile.mkdtemp, whose folders only their owner can read.
        temporary.mkdir(parents=True)
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                _sync(path)
        _swap(temporary, folder)
    except OSError as error:
        raise OSError(Errors.R214.format(folder=folder, reason=error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def existing(folder: Path) -> Path:
    """RETURNS (Path): the folder, or the old one that a killed process left while it replaced it."""
    backup = _backup(folder)
    return backup if not folder.exists() and backup.is_dir() else folder


def _swap(temporary: Path, folder: Path) -> None:
    backup = _backup(folder)
    if folder.exists():
        shutil.rmtree(backup, ignore_errors=True)
        os.replace(folder, backup)
    try:
        os.replace(temporary, folder)
    except OSError:
        if backup.exists():
            os.replace(backup, folder)
        raise
    shutil.rmtree(backup, ignore_errors=True)


def _backup(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
