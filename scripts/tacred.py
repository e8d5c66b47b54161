"""Convert TACRED, or TACREV or Re-TACRED by their patches, for the workflow `tacred`, and hold the numbers of sentences
against those of the papers.

TACRED needs a licence of the Linguistic Data Consortium (LDC2018T24). The patches are public: those of TACREV
(dev_patch.json, test_patch.json) in the repository DFKI-NLP/tacrev, those of Re-TACRED (train_id2label.json,
dev_id2label.json, test_id2label.json) in gstoica27/Re-TACRED.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Dict, Optional, Tuple

PARTS = ("train", "dev", "test")
# Sentences of each part: Zhang et al. 2017, Alt et al. 2020, and version 1.1 of Re-TACRED (Stoica et al. 2021).
PUBLISHED: Dict[str, Tuple[int, int, int]] = {
    "TACRED": (68124, 22631, 15509),
    "TACREV": (68124, 22631, 15509),
    "Re-TACRED": (58465, 19584, 13418),
}
# How the files of a revision are called.
PATCHES = {"TACREV": "{part}_patch.json", "Re-TACRED": "{part}_id2label.json"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tacred", type=Path, help="folder with train.json, dev.json and test.json")
    parser.add_argument("output", type=Path, help="folder for train.spacy, dev.spacy, test.spacy and labels.json")
    parser.add_argument("--patches", default="", help="folder with the patches of one revision; none if empty")
    args = parser.parse_args()
    folder = Path(args.patches) if args.patches else None
    try:
        revision = "TACRED" if folder is None else find_revision(folder)
        counts = convert_parts(args.tacred, args.output, folder, revision)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for part, count, published in zip(PARTS, counts, PUBLISHED[revision]):
        same = "as published" if count == published else f"not the {published:,} that were published"
        print(f"{revision} {part}: {count:,} sentences, {same}")
    return 0


def find_revision(folder: Path) -> str:
    """RETURNS (str): the revision whose patches a folder holds. A ValueError is raised for none or both."""
    found = [
        name for name, file in PATCHES.items() if any((folder / file.format(part=part)).is_file() for part in PARTS)
    ]
    if len(found) != 1:
        wanted = "dev_patch.json and test_patch.json (TACREV), or train_, dev_ and test_id2label.json (Re-TACRED)"
        raise ValueError(f"{folder} holds the patches of {' and '.join(found) or 'no revision'}. Wanted: {wanted}.")
    return found[0]


def convert_parts(tacred: Path, output: Path, patches: Optional[Path], revision: str) -> Tuple[int, ...]:
    """Convert the three parts, and write the relations of the first with their words.

    tacred (Path): the folder of TACRED.
    output (Path): the folder to write to.
    patches (Optional[Path]): the folder of the patches; of those parts that have none, the relations stay. Re-TACRED
        revises all of them.
    revision (str): whose patches these are.
    RETURNS (Tuple[int, ...]): how many sentences were written of each part.
    """
    from spacy_ragre.corpora import TACRED_WORDS, CorpusCounts, convert
    from spacy_ragre.files import atomic_write

    written = []
    for part in PARTS:
        patch = None if patches is None else patches / PATCHES[revision].format(part=part)
        if revision == "TACREV" and patch is not None and not patch.is_file():
            patch = None
        counts = CorpusCounts()
        source = tacred / f"{part}.json"
        written.append(convert(source, output / f"{part}.spacy", "tacred", patch=patch, counts=counts))
        for line in counts.lines():
            print(f"{part}: {line}")
        if part == "train":
            labels = {label: TACRED_WORDS.get(label, "") for label in sorted(counts.relations)}
            with atomic_write(output / "labels.json") as file:
                file.write((json.dumps(labels, indent=2) + "\n").encode("utf8"))
    return tuple(written)


if __name__ == "__main__":
    sys.exit(main())
