"""Folders that have a file for each document: what the files are called, and how they are written.

A file has the id of its document as its name, in which letters of all scripts stay as they are. What a file system
refuses is written as in URLs, so that `unquote` gives the id back; and so are first characters of an id where its
name would else be that of another document, since Windows and macOS don't tell "Ann" from "ann", nor the two ways to
write "é".
"""

import re
import unicodedata
from collections import Counter
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Iterator, Mapping, Set, Union
from urllib.parse import unquote

from ..files import replace_folder

# In bytes: file systems have 255 for a name, of which an ending takes five.
_LONGEST = 250
_DIGITS = 16
_REFUSED = re.compile(
    # Characters that Windows refuses, and the one that begins what is escaped.
    r'[%<>:"\\|?*]'
    # A slash is a folder's, unless nothing stands before or behind it.
    r"|(?<![^/])/|/(?![^/])"
    # Folders can't end with a dot or space on Windows, and a name of dots alone leads elsewhere.
    r"|[. ](?=/)|(?<![^/])\.(?=\.*\Z)"
    # Names of devices on Windows, whatever their ending.
    r"|(?<![^/])(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?=\s*(?:[./]|\Z))",
    re.IGNORECASE,
)
# Of which the last may be cut.
_ESCAPES_AT_END = re.compile(r"(?:%[0-9A-F]{0,2})+\Z")


class FileNames:
    """Gives the documents of a folder names of files that differ, whatever file system they go to.

    dropped (Counter[str]): ids that are too long to be read from a name again are counted here.
    """

    def __init__(self, dropped: Counter[str]) -> None:
        self.dropped = dropped
        self._taken: Set[str] = set()

    def add(self, id_: str) -> str:
        """id_ (str): the id of a document, which no other one has.
        RETURNS (str): the path of its file below the folder, without an ending.
        """
        name = next(name for name in _names(id_) if _folded(name) not in self._taken)
        self._taken.add(_folded(name))
        self.dropped["ends of ids that are too long for the name of a file"] += unquote(name) != id_
        return name


def _names(id_: str) -> Iterator[str]:
    """YIELDS (str): names for an id, the best first."""
    for escaped in range(len(id_) + 1):
        name = _percent(id_[:escaped]) + _escaped(id_[escaped:])
        if max(map(_size, name.split("/"))) > _LONGEST:
            break
        yield name
    flat = _escaped(id_).replace("/", _percent("/")).encode()[: _LONGEST - _DIGITS - 1].decode(errors="ignore")
    cut = _ESCAPES_AT_END.sub("", flat)
    for number in count():
        yield f"{cut}-{sha256(f'{number} {id_}'.encode()).hexdigest()[:_DIGITS]}"


def _escaped(text: str) -> str:
    found = _REFUSED.sub(lambda match: _percent(match[0]), text)
    return "".join(char if char.isprintable() else _percent(char) for char in found)


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _size(name: str) -> int:
    return len(name.encode())


def _folded(name: str) -> str:
    """RETURNS (str): what is the same for names that a file system may take for one."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def write_files(path: Union[str, Path], files: Mapping[str, str]) -> None:
    """Write a folder that appears under its name only when it is whole.

    path (Union[str, Path]): the folder.
    files (Mapping[str, str]): texts by their paths in it.
    """
    with replace_folder(Path(path), {name.partition("/")[0] for name in files}) as folder:
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode("utf-8"))
