"""From a model's name to a folder that `transformers` can load.

A name is, in this order: a local folder; a GGUF file; the name of an embedded model (`spacy_ragre.bundled`); an id
on the Hugging Face hub. A GGUF file is converted once to a safetensors folder in the user's cache.
"""

import errno
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, Union

from filelock import FileLock

from ..bundled import BUNDLED, locate
from ..errors import Errors
from .identity import content_hash

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "RAGRE_CACHE"
MANIFEST = "ragre.json"


def cache_dir() -> Path:
    """RETURNS (Path): where converted models are kept: the variable `RAGRE_CACHE`, else the user's cache folder."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    from platformdirs import user_cache_path

    return user_cache_path("spacy-ragre")


def resolve(name: Union[str, Path]) -> str:
    """Find a model.

    name (Union[str, Path]): a local folder, a GGUF file, the name of an embedded model or a hub id.
    RETURNS (str): a local folder, or the hub id as it was given.
    """
    path = Path(name)
    if path.is_dir():
        return str(path)
    if str(name).endswith(".gguf"):
        if not path.is_file():
            raise ValueError(Errors.R101.format(name=name))
        return str(convert_gguf(path))
    if str(name) in BUNDLED:
        found = locate(str(name))
        if found is None:
            raise ValueError(Errors.R102.format(name=name, package=BUNDLED[str(name)].package))
        return str(convert_gguf(found)) if found.suffix == ".gguf" else str(found)
    return str(name)


def local_folder(name: str) -> Path:
    """RETURNS (Path): the folder that holds a model: itself, or its snapshot in the hub's cache. Raises an OSError or a
    ValueError where there is none.
    """
    if os.path.isdir(name):
        return Path(name)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, local_files_only=True))


def load_problem(name: Union[str, Path], error: Exception) -> str:
    """RETURNS (str): the message for a model that is there but can't be loaded."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    known = ", ".join(n for n, m in BUNDLED.items() if m.kind == "backbone")
    return Errors.R104.format(name=str(name), reason=reason, embedded=known)


def convert_gguf(path: Path) -> Path:
    """Convert a GGUF file to a safetensors folder in the cache, once.

    The folder is written under another name and renamed when it is whole, so that a killed conversion leaves
    nothing that a later start would trust; a lock makes processes that start together wait for one conversion.

    path (Path): the GGUF file.
    RETURNS (Path): the folder. Raises an OSError where it can't be written, a ValueError where the file is damaged.
    """
    root = cache_dir()
    target = root / f"{path.stem}-{content_hash([path], root, names=False)[:16]}"
    if _is_whole(target):
        return target
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(str(root / f"{target.name}.lock")):
            if _is_whole(target):
                return target
            for stale in root.glob(f"{target.name}.tmp-*"):
                shutil.rmtree(stale, ignore_errors=True)
            temporary = Path(tempfile.mkdtemp(prefix=f"{target.name}.tmp-", dir=root))
            try:
                logger.info("Converting %s once, into %s", path.name, root)
                _convert(path, temporary)
                _write_manifest(temporary)
                shutil.rmtree(target, ignore_errors=True)
                os.replace(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        reason = "no space is left" if error.errno == errno.ENOSPC else str(error)
        raise OSError(
            Errors.R103.format(name=path.name, folder=root, reason=reason, variable=CACHE_VARIABLE)
        ) from error
    return target


def _convert(path: Path, target: Path) -> None:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    # Float32, because a product of a 4-bit value with its scale has no exact 16-bit form.
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, torch_dtype=torch.float32, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name, trust_remote_code=False)
    except Exception as error:  # readers of a damaged file raise nearly anything
        raise ValueError(load_problem(path, error)) from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
    try:
        model.save_pretrained(str(target), safe_serialization=True)
        tokenizer.save_pretrained(str(target))
    except SafetensorError as error:  # a full disk, among others; safetensors has no OSError for it
        raise OSError(str(error)) from error


def _write_manifest(folder: Path) -> None:
    sizes = {f.name: f.stat().st_size for f in sorted(folder.iterdir()) if f.is_file()}
    (folder / MANIFEST).write_text(json.dumps({"files": sizes}, indent=2), encoding="utf8")


def _read_manifest(folder: Path) -> Dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _is_whole(folder: Path) -> bool:
    """A folder is trusted when its manifest is there and every file has the size that was written."""
    files = _read_manifest(folder).get("files")
    if not files or not isinstance(files, dict):
        return False
    return all((folder / f).is_file() and (folder / f).stat().st_size == size for f, size in files.items())


def hash_weights(folder: Union[str, Path]) -> str:
    """The content hash of a model's weights, by which an adapter knows its base.

    folder (Union[str, Path]): a folder with `.safetensors` or `.bin` files.
    RETURNS (str): sha256 over the weight files in the order of their names.
    """
    folder = Path(folder)
    return content_hash(sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")), cache_dir())
