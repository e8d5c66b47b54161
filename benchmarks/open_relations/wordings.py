"""Other wordings of the labels that train and measure the reader: `corpora_src/wordings`.

    python -m benchmarks.open_relations.wordings --assets assets

checks that each label has its line. Without the assets, labels of corpora that are not in the project are not compared.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from spacy_ragre.components.relations.open_labels import OpenLabel
from spacy_ragre.components.relations.open_tokens import type_words
from spacy_ragre.corpora.files import Problems
from spacy_ragre.corpora.openrel import DEV_SCHEMAS, read_schema, source_files
from spacy_ragre.corpora.wordings import SchemaWordings, Wordings, check_labels, read_wordings

from .redocred_words import FEWREL_VAL

SOURCES = Path(__file__).parents[2] / "corpora_src"
FOLDER = SOURCES / "wordings"
# Of openrel's development schemas: for measuring only, so that no source of training has this name.
DEV = "openrel_dev"

# How a label is written in each style that is measured, from its own words and its other wordings. A wording stands
# there alone, without a definition, where nothing else is said.
STYLES: Dict[str, Callable[[OpenLabel, Wordings], OpenLabel]] = {
    "verb": lambda label, _: _only(label, label.texts[0]),
    "name": lambda label, _: _only(label, type_words(label.name)),
    "noun": lambda label, other: _only(label, other.nouns[0]),
    "short": lambda label, other: _only(label, other.shorts[0]),
    "role": lambda label, other: _only(label, other.roles),
    "noun+definition": lambda label, other: _only(label, other.nouns[0], other.definition),
}


def _only(label: OpenLabel, text: str, definition: str = "") -> OpenLabel:
    return replace(label, texts=(text,), definition=definition)


def read_source(source: str, folder: Path = FOLDER) -> SchemaWordings:
    """RETURNS (SchemaWordings): the wordings of a source's labels; none where it has no file."""
    path = folder / f"{source}.txt"
    return read_wordings(path) if path.exists() else {}


def labels_of(source: str, assets: Optional[Path] = None) -> Optional[Dict[str, List[str]]]:
    """The labels that have wordings.

    source (str): a source: a corpus, or `DEV`.
    assets (Optional[Path]): the folder of corpora that are not in the project.
    RETURNS (Optional[Dict[str, List[str]]]): their names by schema. None where the corpus is not there.
    """
    if source in ("openrel", "openwiki", DEV):
        paths = source_files(SOURCES / source.removesuffix("_dev"))
        chosen = [path for path in paths if (path.stem in DEV_SCHEMAS) == (source == DEV)]
        # The texts of openwiki are not in the project: what is wrong with them is not asked here.
        return {path.stem: list(read_schema(path, Problems(path)).labels) for path in chosen}
    if assets is None:
        return None
    if source == "redocred":
        properties = json.loads((assets / "redocred" / "rel_info.json").read_text(encoding="utf8"))
        return {source: [name for key, name in properties.items() if key not in FEWREL_VAL]}
    return {source: list(json.loads((assets / "relations" / f"{source}.labels.json").read_text(encoding="utf8")))}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """RETURNS (int): 0, or 1 where a file has problems."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--assets", type=Path, help="the folder of corpora that are not in the project")
    args = parser.parse_args(argv)
    told = 0
    for path in source_files(args.folder):
        problems = Problems(path)
        wordings = read_wordings(path, problems)
        labels = labels_of(path.stem, args.assets)
        if labels is not None:
            check_labels(wordings, labels, problems)
        count = sum(map(len, wordings.values()))
        kind = "not compared" if labels is None else f"{len(problems.messages)} problems"
        sys.stdout.write("".join(f"{path} {message}\n" for message in problems.messages))
        sys.stdout.write(f"{path.stem}: {len(wordings)} schemas, {count} labels, {kind}\n")
        told += len(problems.messages)
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main())
