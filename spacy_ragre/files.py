"""Files and folders that are written as a whole or not at all, and what tells whether they are whole.

A write goes to a temporary neighbour first, which then takes the target's name. A process that is killed leaves its
temporary files behind; their names hold its number, so that the next write or load of the same folder removes them.
"""

import hashlib
import os
import re
import shutil
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Collection, Dict, Iterator, Mapping, Set, Union

from .errors import Errors

_BLOCK = 1 << 20
# ".name.<process>.<random>.tmp", and the forms of version 0.1.0 with only one of the two.
_TEMPORARY = re.compile(r"\..+?\.(?:(?P<process>\d+)\.)?(?:[0-9a-f]{32}|(?P<alone>\d+))\.tmp")
# Without a process to ask for, a temporary file of this age (in seconds) belongs to nobody.
_ABANDONED = 3600.0
# Temporary names that this process is writing to.
_open: Set[str] = set()


def file_hash(path: Path) -> str:
    """RETURNS (str): sha256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def folder_hash(folder: Path) -> str:
    """RETURNS (str): sha256 over the names and contents of the files of a folder, in hexadecimal. What Python compiled,
    and what is being written, does not count.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc" and not is_temporary(path):
            digest.update(f"{path.relative_to(folder).as_posix()}\n{file_hash(path)}\n".encode())
    return digest.hexdigest()


def check_outputs(inputs: Mapping[str, object], outputs: Mapping[str, object]) -> None:
    """Raise a ValueError where writing a file would lose what is to be read, or what was written just before.

    inputs (Mapping[str, object]): what is read, by what it is: "input". What is neither a path nor a string is none.
    outputs (Mapping[str, object]): what is written, in order. Devices and pipes hold nothing that could be lost.
    """
    taken: Dict[Path, str] = {}
    for what, value in (*inputs.items(), *outputs.items()):
        if not isinstance(value, (str, Path)):
            continue
        path = Path(value).resolve()
        if path in taken and what in outputs and (path.is_file() or path.is_dir() or not path.exists()):
            raise ValueError(Errors.R336.format(what=what, path=value, other=taken[path]))
        taken.setdefault(path, what)


@contextmanager
def atomic_write(path: Union[str, Path]) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name only when it is whole.

    The bytes go to a temporary file in the same folder, which then replaces the target. After a failure the temporary
    file is gone and the target is as it was. A target that is no regular file, such as a device or a pipe, is written
    to directly: it must not be replaced.

    path (Union[str, Path]): the target. Folders above it are made.
    YIELDS (IO[bytes]): the open file.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    with _temporary(path) as temporary:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


@contextmanager
def replace_folder(folder: Path, owned: Collection[str]) -> Iterator[Path]:
    """Write a folder next to the one it replaces, and rename it over when it is whole.

    A write that fails leaves what was there before and nothing else. The two renames are not one step: a process
    killed between them leaves the old folder under the name that `existing` finds.

    folder (Path): the folder to write.
    owned (Collection[str]): names that such a folder holds. A folder that holds others is not replaced.
    YIELDS (Path): an empty folder to write into.
    """
    if folder.exists():
        known = folder.is_dir() and {item.name for item in folder.iterdir() if not is_temporary(item)} <= set(owned)
        if not known:
            raise ValueError(Errors.R215.format(folder=folder, owned=", ".join(sorted(owned))))
    remove_leftovers(folder.parent, folder.name)
    try:
        with _temporary(folder) as temporary:
            # Not tempfile.mkdtemp, whose folders only their owner can read.
            temporary.mkdir(parents=True)
            yield temporary
            for path in temporary.rglob("*"):
                if path.is_file():
                    _sync(path)
            _swap(temporary, folder)
    except OSError as error:
        raise OSError(Errors.R214.format(folder=folder, reason=error)) from error


def remove_folder(folder: Path) -> None:
    """Remove a folder, which is there as a whole or not at all while others look."""
    if folder.is_dir():
        with _temporary(folder) as temporary:
            os.replace(folder, temporary)


def existing(folder: Path) -> Path:
    """RETURNS (Path): the folder, or the old one that a killed process left while it replaced it. What else it left
    beside the folder is removed.
    """
    remove_leftovers(folder.parent, folder.name)
    backup = _backup(folder)
    return backup if not folder.exists() and backup.is_dir() else folder


def is_temporary(path: Path) -> bool:
    """RETURNS (bool): whether a file or folder has the name of one that is being written."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove what killed processes left in a folder while they wrote to it.

    folder (Path): the folder. It may be missing, or be one that this process may not write to.
    name (str): only what was to become the file or folder of this name; everything where empty.
    """
    try:
        items = [item for item in folder.iterdir() if item.name.startswith(f".{name}")]
    except OSError:
        return
    for item in items:
        if _is_replaced(item) or (is_temporary(item) and _is_abandoned(item)):
            _remove(item)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A name beside a target, under which nothing is left."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex}.tmp")
    _open.add(temporary.name)
    try:
        yield temporary
    finally:
        _remove(temporary)
        _open.discard(temporary.name)


def _remove(item: Path) -> None:
    try:
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink(missing_ok=True)
    except OSError:  # another process was faster, or the folder is read-only: it stays as it is
        pass


def _is_replaced(item: Path) -> bool:
    """RETURNS (bool): whether it is the old form of a folder that is there."""
    if not item.name.endswith(".old") or not item.is_dir():
        return False
    return item.with_name(item.name[1 : -len(".old")]).is_dir()


def _is_abandoned(item: Path) -> bool:
    match = _TEMPORARY.fullmatch(item.name)
    number = match and (match["process"] or match["alone"])
    if number:
        return item.name not in _open if int(number) == os.getpid() else not _is_running(int(number))
    try:
        return time.time() - item.stat().st_mtime > _ABANDONED
    except OSError:
        return False


def _is_running(process: int) -> bool:
    if sys.platform == "win32":  # where os.kill ends a process, whatever the signal
        import ctypes

        synchronize, timeout = 0x00100000, 0x00000102
        handle = ctypes.windll.kernel32.OpenProcess(synchronize, False, process)
        if not handle:
            return False
        try:
            return bool(ctypes.windll.kernel32.WaitForSingleObject(handle, 0) == timeout)
        finally:
            ctypes.windll.kernel32.CloseHandle(handle)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


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
    # Not opened for reading alone: Windows syncs only what may be written to.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
