"""Which weights a file or folder holds: full hashes, remembered so that only the first start reads the files.

A hash is remembered for as long as path, size and time of the last change stay the same. What is remembered is a file
in the cache folder; without one that can be written to, it is this process alone that remembers.
"""

import hashlib
import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from ..files import atomic_write

HASHES = "hashes.json"
_BLOCK = 1 << 20
_known: Dict[str, str] = {}


def content_hash(files: Sequence[Path], cache: Path, names: bool = True) -> str:
    """The content hash of files, read whole unless nothing has changed since it was last asked for.

    files (Sequence[Path]): the files, in an order that stays the same.
    cache (Path): the folder that hashes are remembered in.
    names (bool): whether the files' names count, too.
    RETURNS (str): sha256 over names and contents, in hexadecimal.
    """
    key = _key(files, names)
    found = _known.get(key) or _read(cache).get(key)
    if found is None:
        digest = hashlib.sha256()
        for path in files:
            if names:
                digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        found = digest.hexdigest()
        _remember(cache, key, found)
    _known[key] = found
    return found


def _key(files: Sequence[Path], names: bool) -> str:
    parts: List[List[object]] = []
    for path in files:
        about = path.stat()
        parts.append([str(path.resolve()), about.st_size, about.st_mtime_ns])
    return json.dumps([names, parts])


def _read(cache: Path) -> Dict[str, str]:
    try:
        known: Optional[object] = json.loads((cache / HASHES).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in known.items() if isinstance(value, str)} if isinstance(known, dict) else {}


def _remember(cache: Path, key: str, value: str) -> None:
    known = _read(cache)
    # Of a file that has changed, the old hash is not asked for again.
    paths = {part[0] for part in json.loads(key)[1]}
    kept = {k: v for k, v in known.items() if not paths & {part[0] for part in json.loads(k)[1]}}
    try:
        with atomic_write(cache / HASHES) as file:
            file.write(json.dumps({**kept, key: value}, indent=0).encode("utf8"))
    except OSError:  # a cache that can't be written to costs time, and nothing else
        return
