"""Where `ragre download` gets a trained pipeline from: a folder, a wheel, an address, or the package index."""

import json
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Optional
from urllib.error import URLError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import urlopen

from ..errors import Errors
from ..files import file_hash
from ._util import one_line
from ._wheels import MANIFEST, META, build_wheel, package_name, read_manifest

# Of this project's repository, and of the folder that a command is run in.
FOLDER = "pipelines"
_NAME = re.compile(r"[a-z]{2,3}_ragre_[a-z0-9_]+")
_ADDRESS = re.compile(r"(https?|file)://.+")
_SECONDS = 60.0


def is_pipeline(name: str) -> bool:
    """RETURNS (bool): whether a name is that of a pipeline of this project, or a folder, wheel or address of any."""
    path = Path(name)
    found = (path / META).is_file() or path.suffix == ".whl" or _ADDRESS.fullmatch(name) or _NAME.fullmatch(name)
    return bool(found)


@contextmanager
def wheel_of(name: str, sha256: Optional[str]) -> Iterator[Optional[Path]]:
    """A pipeline's wheel, with the checksum that it must have.

    name (str): a folder, a wheel, its address, or the name of a pipeline of this project.
    sha256 (Optional[str]): the checksum. Where None, a `manifest.json` beside the wheel or the folder has it. A wheel
        that nothing is known of, or that has another checksum, raises a ValueError.
    YIELDS (Optional[Path]): the wheel; None for what only the package index has, which has checksums of its own.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if _ADDRESS.fullmatch(name):
            yield _fetch(name, sha256, Path(temporary))
            return
        path = _local(name)
        if path is None:
            yield None
        elif path.is_dir():
            wheel = build_wheel(path, Path(temporary))
            known = _known(path.parent / MANIFEST)
            # A folder of the user's own is in no manifest.
            _check(name, wheel, sha256 or known.get(package_name(path)[0]) or file_hash(wheel))
            yield wheel
        elif not path.is_file():
            raise ValueError(Errors.R659.format(name=name, problem="there is no such file. Check the path."))
        else:
            _check(name, path, sha256 or _known(path.parent / MANIFEST).get(_package(path.name)))
            yield path


def _local(name: str) -> Optional[Path]:
    path = Path(name)
    if (path / META).is_file() or path.suffix == ".whl":
        return path
    for root in (Path(), Path(__file__).parents[2]):
        if (root / FOLDER / name / META).is_file():
            return root / FOLDER / name
    return None


def _known(manifest: Path) -> Dict[str, str]:
    return read_manifest(manifest.read_bytes(), str(manifest)) if manifest.is_file() else {}


def _package(file: str) -> str:
    """RETURNS (str): the name of the package in a wheel, by the wheel's file name."""
    return file.split("-")[0]


def _fetch(address: str, sha256: Optional[str], folder: Path) -> Path:
    file = unquote(urlsplit(address).path).rsplit("/", 1)[-1]
    if not re.fullmatch(r"[\w.]+-[\w.+-]+\.whl", file):
        raise ValueError(Errors.R659.format(name=address, problem="it is not the address of a wheel (.whl)."))
    if sha256 is None:
        try:
            manifest = urljoin(address, MANIFEST)
            sha256 = read_manifest(_get(manifest), manifest).get(_package(file))
        except OSError:  # no manifest: the message below says so
            sha256 = None
    if sha256 is None:
        _check(address, folder / file, None)
    try:
        content = _get(address)
    except OSError as error:
        problem = (
            f"it can't be fetched ({one_line(error)}). Check the address, or give a folder or a wheel that is here."
        )
        raise ValueError(Errors.R659.format(name=address, problem=problem)) from error
    (folder / file).write_bytes(content)
    _check(address, folder / file, sha256)
    return folder / file


def _get(address: str) -> bytes:
    try:
        with urlopen(address, timeout=_SECONDS) as answer:
            return bytes(answer.read())
    except URLError as error:
        raise OSError(error.reason) from error


def _check(name: str, wheel: Path, sha256: Optional[str]) -> None:
    if sha256 is None:
        problem = f"no checksum of it is known: there is no {MANIFEST} beside it. Give the checksum with --sha256."
        raise ValueError(Errors.R659.format(name=name, problem=problem))
    found = file_hash(wheel)
    if found != sha256.lower():
        problem = f"its checksum is {found[:12]}, and {sha256[:12]} is expected. Get it again from where it is from."
        raise ValueError(Errors.R659.format(name=name, problem=problem))


def write_manifest(wheels: Path, manifest: Path) -> None:
    """Write the checksums of all wheels in a folder.

    wheels (Path): the folder.
    manifest (Path): the file to write.
    """
    known = {_package(file.name): {"file": file.name, "sha256": file_hash(file)} for file in wheels.glob("*.whl")}
    manifest.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n", encoding="utf8")
