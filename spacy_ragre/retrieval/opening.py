"""Saved stores of examples: each is loaded as what it was saved as."""

import json
from pathlib import Path
from typing import Dict, List, Optional, Union

from ..files import existing
from ..instances import Instance
from .mapped import MappedStore
from .mapped_files import KEYS
from .mapped_files import VERSION as MAPPED
from .packing import unpack_files
from .store import META_FILE, ExampleStore

AnyStore = Union[ExampleStore, MappedStore]


def open_store(folder: Union[str, Path], *, fingerprint: Optional[str] = None) -> AnyStore:
    """Load a store.

    folder (Union[str, Path]): the folder.
    fingerprint (Optional[str]): fingerprint of the encoder that will make the queries' keys.
    RETURNS (Union[ExampleStore, MappedStore]): the store. Errors are those of `ExampleStore.from_disk`.
    """
    path = existing(Path(folder))
    files = {name: b"" for name in (KEYS, META_FILE) if (path / name).is_file()}
    if META_FILE in files:
        files[META_FILE] = (path / META_FILE).read_bytes()
    return _empty(files).from_disk(folder, fingerprint=fingerprint)


def unpack_store(data: bytes, *, fingerprint: Optional[str] = None) -> AnyStore:
    """data (bytes): what `to_bytes` of a store gave.
    fingerprint (Optional[str]): as in `open_store`.
    RETURNS (Union[ExampleStore, MappedStore]): the store. Errors are those of `ExampleStore.from_bytes`.
    """
    return _empty(unpack_files(data)).from_bytes(data, fingerprint=fingerprint)


def _empty(files: Dict[str, bytes]) -> AnyStore:
    """RETURNS (Union[ExampleStore, MappedStore]): a store of the kind whose files these are, a damaged one, too."""
    try:
        version = json.loads(files[META_FILE])["version"]
    except (ValueError, KeyError, TypeError):  # loading says what it is
        version = None
    return MappedStore() if version == MAPPED or KEYS in files else ExampleStore()


def read_examples(path: Union[str, Path]) -> List[Instance]:
    """The labelled examples of a store, without the encoder that made its keys.

    path (Union[str, Path]): the folder of a store, what `ragre index` wrote, or a saved component's folder.
    RETURNS (List[Instance]): the examples whose answers are known, each once. Errors are those of
        `ExampleStore.from_disk`.
    """
    return labelled(open_store(store_folder(path)))


def labelled(store: AnyStore) -> List[Instance]:
    """RETURNS (List[Instance]): the examples of a store whose answers are known, each once."""
    return list(dict.fromkeys(instance for instance in store.instances if instance.answers is not None))


def store_folder(path: Union[str, Path]) -> Path:
    """path (Union[str, Path]): as in `read_examples`.
    RETURNS (Path): the folder of the store itself.
    """
    folder = existing(Path(path))
    while nested := next((folder / name for name in ("retriever", "store") if (folder / name).is_dir()), None):
        folder = nested
    return folder
