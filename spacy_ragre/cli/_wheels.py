"""Wheels of pipelines: what an installer needs of a pipeline's folder, with nothing built or downloaded.

A wheel is a zip file with the package, its metadata and the checksum of each file (packaging.python.org, "Binary
distribution format"). The same folder gives the same bytes on every machine, so that a wheel has one checksum: files
are in order, stored as they are, with one date. `spacy package` makes one that works alike, by the tools of packaging.
"""

import base64
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Dict, List, Tuple

from ..errors import Errors
from ..files import atomic_write, is_temporary
from ._card import CARD, Card

META = "meta.json"
MANIFEST = "manifest.json"
_DATE = (1980, 1, 1, 0, 0, 0)
_INIT = """from pathlib import Path

from spacy.util import get_model_meta, load_model_from_init_py
from spacy_ragre.pipelines import whole_labels

__version__ = get_model_meta(Path(__file__).parent)["version"]


def load(**overrides):
    return load_model_from_init_py(__file__, **whole_labels(overrides))
"""


def package_name(folder: Path) -> Tuple[str, str]:
    """folder (Path): a pipeline's folder.
    RETURNS (Tuple[str, str]): the name of its package, such as "en_ragre_open_sm", and its version. A ValueError is
        raised where the folder is no saved pipeline.
    """
    try:
        meta = json.loads((folder / META).read_bytes())
        return f"{meta['lang']}_{meta['name']}", str(meta["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(Errors.R602.format(name=folder, problem=f"its {META} can't be read ({error})")) from error


def build_wheel(folder: Path, output: Path) -> Path:
    """Make the wheel of a pipeline.

    folder (Path): the pipeline's folder.
    output (Path): the folder to write it into.
    RETURNS (Path): the wheel.
    """
    name, version = package_name(folder)
    inside, info = f"{name}/{name}-{version}", f"{name}-{version}.dist-info"
    meta = (folder / META).read_bytes()
    files: Dict[str, bytes] = {f"{name}/__init__.py": _INIT.encode(), f"{name}/{META}": meta}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not is_temporary(path):
            files[f"{inside}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    files[f"{info}/METADATA"] = _metadata(name, version, json.loads(meta), folder).encode("utf8")
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: spacy-ragre\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = f"[spacy_models]\n{name} = {name}\n".encode()
    files[f"{info}/top_level.txt"] = f"{name}\n".encode()
    rows = [f"{path},{_record(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode("utf8")
    wheel = output / f"{name}-{version}-py3-none-any.whl"
    with atomic_write(wheel) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for member, data in files.items():
            entry = zipfile.ZipInfo(member, _DATE)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, data)
    return wheel


def read_needs(wheel: Path) -> List[str]:
    """RETURNS (List[str]): the embedded models that the pipeline in a wheel is loaded with, by its card; none without
    a card. A ValueError is raised where the file is no wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            cards = [name for name in archive.namelist() if name.endswith(f"/{CARD}")]
            return Card.parse(archive.read(cards[0]), f"{wheel}/{cards[0]}").needs if cards else []
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(Errors.R211.format(file=wheel, problem=error)) from error


def read_manifest(data: bytes, where: str) -> Dict[str, str]:
    """data (bytes): the content of a manifest: each pipeline's name with the sha256 of its wheel.
    where (str): the file, for messages.
    RETURNS (Dict[str, str]): the checksums by name. A ValueError is raised where it is damaged.
    """
    try:
        return {str(name): str(entry["sha256"]) for name, entry in json.loads(data).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(Errors.R211.format(file=where, problem=error)) from error


def _metadata(name: str, version: str, meta: Dict[str, str], folder: Path) -> str:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        f"Summary: {' '.join(meta.get('description', '').split())}",
        f"License: {meta.get('license', '')}",
        f"Requires-Dist: spacy{meta.get('spacy_version', '')}",
        "Requires-Dist: spacy-ragre",
    ]
    # Not the packages of embedded models, which would bring what nobody needs: `ragre download` sees to them.
    readme = folder / "README.md"
    lines.append("Description-Content-Type: text/markdown")
    return "\n".join([*lines, "", readme.read_text(encoding="utf8") if readme.is_file() else "", ""])


def _record(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
