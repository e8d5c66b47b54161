"""Bring SemEval-2010 Task 8 into the project: from a local copy where the variable RAGRE_ASSETS names one, else from
the public addresses in project.yml. Every file's checksum is the one in project.yml, and a file appears under its name
only when it is whole.
"""

import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Dict, List, Sequence

import srsly

PROJECT = "project.yml"
VARIABLE = "RAGRE_ASSETS"
ROOT = Path("assets")
FOLDER = "semeval2010_task8"
# The official numbers of the first training and test sentence.
PARTS = {"TRAIN_FILE.TXT": ("train", 1), "TEST_FILE_FULL.TXT": ("test", 8001)}
TIMEOUT = 60  # seconds


class AssetError(Exception):
    """What is told to the user in one line."""


def main() -> int:
    assets: Dict[str, Dict[str, str]] = {item["dest"]: item for item in srsly.read_yaml(Path(PROJECT))["assets"]}
    mirror = os.environ.get(VARIABLE)
    try:
        for name in PARTS:
            asset = assets[(ROOT / FOLDER / name).as_posix()]
            if is_there(asset):
                print(f"{asset['dest']} is there already")
                continue
            if mirror:
                copy(Path(mirror) / FOLDER / name, asset)
            else:
                build(name, asset, assets)
            print(f"{asset['dest']} is ready")
    except AssetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def is_there(asset: Dict[str, str]) -> bool:
    """RETURNS (bool): whether the file is in the project, whole."""
    path = Path(asset["dest"])
    return path.is_file() and checksum(path.read_bytes()) == asset["checksum"]


def copy(source: Path, asset: Dict[str, str]) -> None:
    """source (Path): the file in the local copy.
    asset (Dict[str, str]): what it is to become.
    """
    try:
        data = source.read_bytes()
    except OSError as error:
        raise AssetError(f"Can't read {source}: {error.strerror}. Mend or unset the variable {VARIABLE}.") from error
    write(data, asset, source)


def build(name: str, asset: Dict[str, str], assets: Dict[str, Dict[str, str]]) -> None:
    """Make a file of the official format from the downloaded parts.

    name (str): "TRAIN_FILE.TXT" or "TEST_FILE_FULL.TXT".
    asset (Dict[str, str]): what is to be made.
    assets (Dict[str, Dict[str, str]]): all assets of the project, by destination.
    """
    part, first = PARTS[name]

    def load(source: str) -> Any:
        return json.loads(download(assets[(ROOT / FOLDER / "source" / f"{source}.json").as_posix()]))

    relations = load(f"{part}_relations")
    if any(isinstance(relation, int) for relation in relations):
        names = load("relations")["relation"]["names"]
        relations = [names[number] for number in relations]
    text = official_format(load(f"{part}_sentences"), relations, first)
    write(text.encode("utf8"), asset, "the downloaded files")


def official_format(sentences: Sequence[str], relations: Sequence[str], first: int) -> str:
    """RETURNS (str): records of number, sentence, relation and an empty comment."""
    pairs = zip(sentences, relations)
    records: List[str] = [f'{i}\t"{text}"\n{relation}\nComment:\n\n' for i, (text, relation) in enumerate(pairs, first)]
    return "".join(records)


def download(asset: Dict[str, str]) -> bytes:
    """RETURNS (bytes): the file at the asset's address, downloaded where it is not there yet."""
    if not is_there(asset):
        try:
            with urllib.request.urlopen(asset["url"], timeout=TIMEOUT) as response:
                data = response.read()
        except (OSError, urllib.error.URLError) as error:
            raise AssetError(
                f"Can't download {asset['url']}: {error}. Without a connection, set {VARIABLE} to a folder "
                "with a copy of the data."
            ) from error
        write(data, asset, asset["url"])
    return Path(asset["dest"]).read_bytes()


def bring(folder: str, parts: Sequence[str]) -> int:
    """Bring files into the project, from the local copy where there is one, else from their addresses.

    folder (str): their folder, in the assets and in the copy.
    parts (Sequence[str]): their names.
    RETURNS (int): the exit code.
    """
    assets: Dict[str, Dict[str, str]] = {item["dest"]: item for item in srsly.read_yaml(Path(PROJECT))["assets"]}
    mirror = os.environ.get(VARIABLE)
    try:
        for name in parts:
            asset = assets[f"assets/{folder}/{name}"]
            if is_there(asset):
                print(f"{asset['dest']} is there already")
                continue
            if mirror:
                copy(Path(mirror) / folder / name, asset)
            elif "url" in asset:
                download(asset)
            else:
                raise AssetError(
                    f"{asset['dest']} is missing, and has no public address in this form: set {VARIABLE} to a folder "
                    f"that holds {folder}/{name}."
                )
            print(f"{asset['dest']} is ready")
    except AssetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def write(data: bytes, asset: Dict[str, str], source: Any) -> None:
    """Write a file whose checksum is right."""
    found = checksum(data)
    if found != asset["checksum"]:
        raise AssetError(
            f"{source} has the checksum {found}, but {PROJECT} says {asset['checksum']}. Nothing was written."
        )
    path = Path(asset["dest"])
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise AssetError(f"Can't write {path}: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def checksum(data: bytes) -> str:
    # md5, because that is what spaCy projects use for assets.
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
