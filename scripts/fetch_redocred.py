"""Bring Re-DocRED into the project: from a local copy where the variable RAGRE_ASSETS names one, else from the public
addresses in project.yml. Every file's checksum is the one in project.yml.
"""

import os
import sys
from pathlib import Path
from typing import Dict

import srsly
from fetch_assets import PROJECT, VARIABLE, AssetError, copy, download, is_there

FOLDER = "redocred"
PARTS = ("dev_revised.json", "test_revised.json", "rel_info.json")


def main() -> int:
    assets: Dict[str, Dict[str, str]] = {item["dest"]: item for item in srsly.read_yaml(Path(PROJECT))["assets"]}
    mirror = os.environ.get(VARIABLE)
    try:
        for name in PARTS:
            asset = assets[f"assets/{FOLDER}/{name}"]
            if is_there(asset):
                print(f"{asset['dest']} is there already")
                continue
            if mirror:
                copy(Path(mirror) / FOLDER / name, asset)
            else:
                download(asset)
            print(f"{asset['dest']} is ready")
    except AssetError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
