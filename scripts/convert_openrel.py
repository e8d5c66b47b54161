"""The source files of openrel: checks them, and converts them to the interchange format.

    python scripts/convert_openrel.py check corpora_src/openrel
    python scripts/convert_openrel.py convert corpora_src/openrel corpus/openrel

`corpora_src/openrel/README.md` tells the form of a source file. `convert` writes `train.jsonl`, `dev.jsonl` (the
schemas that models are chosen on) and `schemas.json` (the labels of every schema with their words, definitions and
types). Every document says which labels it was annotated for. `--min-wordings 1` takes labels with one wording, as in
`corpora_src/paragraphs`.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import List, Optional, Sequence

from spacy_ragre.corpora.files import Problems
from spacy_ragre.corpora.openrel import MIN_WORDINGS, SourceSchema, read_schemas, source_files, write_corpus

MAX_SHOWN = 40
# A label that holds less often is told.
RARE = 6


def summary(schema: SourceSchema) -> str:
    """RETURNS (str): one line of counts."""
    counts = Counter(label for text in schema.texts for _, label, _ in text.relations)
    empty = sum(not text.relations for text in schema.texts)
    few = [name for name in schema.labels if counts[name] < RARE]
    rare = f"; fewer than {RARE} times: {', '.join(few)}" if few else ""
    texts = f"{len(schema.texts)} texts ({empty} hold nothing)"
    return (
        f"{schema.name}: {schema.title}: {len(schema.labels)} labels, {texts}, {sum(counts.values())} relations{rare}"
    )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """RETURNS (int): 0, or 1 where a file has problems."""
    parser = argparse.ArgumentParser(description="Check or convert the source files of openrel.")
    parser.add_argument("--min-wordings", type=int, default=MIN_WORDINGS, help="least wordings of a label")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check the source files and count what is in them")
    check.add_argument("folder", type=Path)
    convert = commands.add_parser("convert", help="write them in the interchange format")
    convert.add_argument("folder", type=Path)
    convert.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    schemas: List[SourceSchema] = []
    found: List[str] = []
    for path in source_files(args.folder):
        problems = Problems(path)
        schemas += read_schemas(path, problems, min_wordings=args.min_wordings)
        found.extend(f"{path} {message}" for message in problems.messages)
    lines = found[:MAX_SHOWN]
    if args.command == "check":
        lines += [summary(schema) for schema in schemas]
        labels, texts = sum(len(schema.labels) for schema in schemas), sum(len(schema.texts) for schema in schemas)
        total = sum(len(text.relations) for schema in schemas for text in schema.texts)
        counted = f"{len(schemas)} schemas, {labels} labels, {texts} texts, {total} relations"
        lines.append(f"{counted}, {len(found)} problems")
    elif not found:
        counts = write_corpus(schemas, args.out)
        lines.append(", ".join(f"{split}: {count} documents" for split, count in counts.items()))
    else:
        lines.append(f"{len(found)} problems; nothing was written")
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
