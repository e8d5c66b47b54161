"""Put the texts of Re-DocRED under the annotations of openwiki.

    python scripts/fill_openwiki.py corpora_src/openwiki assets/redocred/dev_revised.json corpus/openwiki_src

`corpora_src/openwiki/README.md` tells the form of an annotation file. What is written has the form of openrel's source
files, and `convert_openrel.py` checks and converts it. Brackets and bars of a text become round ones and slashes, since
they mark entities there.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

from spacy_ragre.corpora.openrel import source_files
from spacy_ragre.files import atomic_write, check_outputs

# Whole sentences are taken as long as a paragraph has no more words.
MOST_WORDS = 135
NO_SPACE_BEFORE = {".", ",", ";", ":", "!", "?", ")", "]", "'s", "n't", "%"}
NO_SPACE_AFTER = {"(", "["}
PLAIN = str.maketrans("[]|", "()/")


def mark(record: Dict[str, Any]) -> str:
    """The beginning of a document, with its mentions marked as in openrel.

    record (Dict[str, Any]): a document of Re-DocRED.
    RETURNS (str): whole sentences of at most `MOST_WORDS` words, or the first one.
    """
    mentions = {
        (mention["sent_id"], mention["pos"][0]): (mention["pos"][1], mention["type"])
        for cluster in record["vertexSet"]
        for mention in cluster
    }
    text, last, words = "", "", 0
    for number, sentence in enumerate(record["sents"]):
        if words and words + len(sentence) > MOST_WORDS:
            break
        words += len(sentence)
        at = 0
        while at < len(sentence):
            end, type_ = mentions.get((number, at), (at + 1, ""))
            surface = " ".join(sentence[at:end]).translate(PLAIN)
            space = "" if not text or sentence[at] in NO_SPACE_BEFORE or last in NO_SPACE_AFTER else " "
            text += space + (f"[{surface}|{type_}]" if type_ else surface)
            last, at = sentence[end - 1], end
    return text


def fill(lines: Sequence[str], records: Dict[str, Dict[str, Any]]) -> Iterator[str]:
    """Text lines in place of lines that begin with a document's title.

    lines (Sequence[str]): an annotation file.
    records (Dict[str, Dict[str, Any]]): documents of Re-DocRED by title.
    YIELDS (str): the lines of a source file of openrel. A title that is not there raises a KeyError.
    """
    texts = False
    for line in lines:
        if texts and line.strip():
            title, relations = line.rsplit(" || ", 1)
            line = f"{mark(records[title])} || {relations}"
        texts = texts or line.startswith("# texts")
        yield line


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("documents", type=Path, help="dev_revised.json of Re-DocRED")
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    check_outputs({"annotations": args.annotations}, {"output": args.out})
    records: List[Dict[str, Any]] = json.loads(args.documents.read_text(encoding="utf8"))
    by_title = {record["title"]: record for record in records}
    args.out.mkdir(parents=True, exist_ok=True)
    for path in source_files(args.annotations):
        lines = path.read_text(encoding="utf8").splitlines()
        with atomic_write(args.out / path.name) as file_:
            file_.write("".join(f"{line}\n" for line in fill(lines, by_title)).encode("utf8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
