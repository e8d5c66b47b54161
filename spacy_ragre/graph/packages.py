"""Packages of the extra `graph`, imported when they are needed."""

from importlib import import_module
from types import ModuleType

from ..errors import Errors


def need(package: str) -> ModuleType:
    """package (str): its name.
    RETURNS (ModuleType): the package. An ImportError that says how to install it is raised where it is missing.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(Errors.R616.format(package=package)) from error
