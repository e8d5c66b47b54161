"""Copy the invented supplement sentences into the project, from the folder that the variable RAGRE_ASSETS names. Every
file's checksum is the one in project.yml.
"""

import sys

from fetch_assets import bring

PARTS = ("train.jsonl", "dev.jsonl", "test.jsonl")


def main() -> int:
    return bring("supplements", PARTS)


if __name__ == "__main__":
    sys.exit(main())
