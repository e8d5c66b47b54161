"""Bring what the reader of open labels is trained and measured on into the project, beside SemEval-2010 Task 8 and
Re-DocRED: FewRel, and corpora of relations in the interchange format. They come from a local copy where the variable
RAGRE_ASSETS names one, else from the public addresses in project.yml. Every file's checksum is the one in project.yml.
"""

import sys
from pathlib import Path

import srsly
from fetch_assets import PROJECT, ROOT, bring

FOLDERS = ("fewrel", "relations")


def main() -> int:
    paths = [Path(item["dest"]) for item in srsly.read_yaml(Path(PROJECT))["assets"]]
    return max(bring(folder, [path.name for path in paths if path.parent == ROOT / folder]) for folder in FOLDERS)


if __name__ == "__main__":
    sys.exit(main())
