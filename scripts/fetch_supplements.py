"""Copy the invented supplement sentences into the project, from the folder that the variable RAGRE_ASSETS names. Every
file's checksum is the one in project.yml.
"""

import os
import sys
from pathlib import Path
from typing import Dict

import srsly
from fetch_assets import PROJECT, VARIABLE, AssetError, copy, is_there

FOLDER = "supplements"
PARTS = ("train.jsonl", "dev.jsonl", "test.jsonl")


def main() -> int:
    assets: Dict[str, Dict[str, str]] = {item["dest"]: item for item in srsly.read_yaml(Path(PROJECT))["assets"]}
    mirror = os.environ.get(VARIABLE)
    try:
        for name in PARTS:
            asset = assets[f"assets/{FOLDER}/{name}"]
            if is_there(asset):
                print(f"{asset['dest']} is there already")
                continue
            if not mirror:
                raise AssetError(
                    f"{asset['dest']} is missing. It was written for this project and has no public address: set "
                    f"{VARIABLE} to a folder that holds {FOLDER}/{name}."
                )
            copy(Path(mirror) / FOLDER / name, asset)
            print(f"{asset['dest']} is ready")
    except AssetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
