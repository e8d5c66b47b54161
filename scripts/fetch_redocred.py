"""Bring Re-DocRED into the project: from a local copy where the variable RAGRE_ASSETS names one, else from the public
addresses in project.yml. Every file's checksum is the one in project.yml.
"""

import sys

from fetch_assets import bring

PARTS = ("dev_revised.json", "test_revised.json", "rel_info.json")


def main() -> int:
    return bring("redocred", PARTS)


if __name__ == "__main__":
    sys.exit(main())
