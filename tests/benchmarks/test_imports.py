"""Every benchmark can be imported: names that moved in the package moved there, too."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [path.relative_to(ROOT / "benchmarks") for path in (ROOT / "benchmarks").rglob("*.py")]
NAMES = sorted(".".join(path.with_suffix("").parts) for path in FILES if path.stem != "__init__")


@pytest.mark.parametrize("name", NAMES)
def test_benchmarks_can_be_imported(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").__doc__
