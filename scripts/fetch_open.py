"""Bring what the reader of open labels is trained and measured on into the project, beside SemEval-2010 Task 8 and
Re-DocRED: FewRel, and corpora of relations in the interchange format; or a corpus of the workflow `corpus` alone, by
its name. They come from a local copy where the variable RAGRE_ASSETS names one, else from the public addresses in
project.yml. Every file's checksum is the one in project.yml.
"""

import sys
from pathlib import Path
from typing import Sequence

import srsly
from fetch_assets import PROJECT, ROOT, bring

FOLDERS = ("fewrel", "relations")


def main(argv: Sequence[str] = ()) -> int:
    paths = [Path(item["dest"]) for item in srsly.read_yaml(Path(PROJECT))["assets"]]
    folders = [ROOT / name for name in argv or FOLDERS]
    # A corpus has a folder of its own, or files that begin with its name.
    wanted = [path for path in paths if path.parent in folders or path.name.split(".")[0] in argv]
    if not wanted:
        print(f"{PROJECT} has no corpus {' '.join(argv)}.", file=sys.stderr)
        return 1
    return max(
        bring(folder.name, [path.name for path in wanted if path.parent == folder])
        for folder in dict.fromkeys(path.parent for path in wanted)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
