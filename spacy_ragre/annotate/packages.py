"""Packages of the extra `ray`, imported when they are needed."""

from importlib import import_module
from types import ModuleType

from ..errors import Errors


def need(package: str, what: str) -> ModuleType:
    """package (str): its name, such as "pyarrow.parquet".
    what (str): what needs it, for the error.
    RETURNS (ModuleType): the package. An ImportError that says how to install it is raised where it is missing.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(Errors.R720.format(package=package.split(".")[0], what=what)) from error
