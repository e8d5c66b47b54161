"""The checksums of a saved component's files, so that damage is noticed before anything is loaded."""

import json
from pathlib import Path
from typing import Any, Collection, Dict, Iterator

from ..errors import Errors
from ..files import atomic_write, file_hash, is_temporary

MANIFEST = "manifest.json"


def write_manifest(folder: Path, parts: Collection[str]) -> None:
    """Write the checksums of parts that were saved. Those of other parts that are there stay as they were written.

    folder (Path): the component's folder.
    parts (Collection[str]): names of the files and folders that were saved.
    """
    try:
        before = _read(folder)
    except ValueError:  # a damaged one is replaced
        before = {}
    hashes = {name: known for name, known in before.items() if _part(name) not in parts and (folder / name).is_file()}
    hashes.update({name: file_hash(folder / name) for part in parts for name in _files(folder, part)})
    with atomic_write(folder / MANIFEST) as file:
        file.write(json.dumps({"sha256": hashes}, indent=2).encode("utf8"))


def check_manifest(folder: Path, parts: Collection[str]) -> None:
    """Hold parts against their checksums. Raises an OSError where a file is missing, a ValueError where it is not
    the one that was saved. A component that version 0.1.0 saved has no checksums, and passes.

    folder (Path): the component's folder.
    parts (Collection[str]): names of the files and folders that are to be loaded.
    """
    for name, known in sorted(_read(folder).items()):
        if _part(name) not in parts:
            continue
        file = folder / name
        if not file.is_file():
            raise OSError(Errors.R121.format(file=file))
        if file_hash(file) != known:
            raise ValueError(Errors.R120.format(file=file))


def _files(folder: Path, part: str) -> Iterator[str]:
    path = folder / part
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and not is_temporary(file):
            yield file.relative_to(folder).as_posix()


def _part(name: str) -> str:
    return name.split("/")[0]


def _read(folder: Path) -> Dict[str, str]:
    """RETURNS (Dict[str, str]): sha256 of each file by its path in the folder; none where there is no manifest."""
    file = folder / MANIFEST
    if not file.exists():
        return {}
    try:
        content: Any = json.loads(file.read_bytes())
        return {str(name): str(known) for name, known in content["sha256"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(Errors.R120.format(file=file)) from error
