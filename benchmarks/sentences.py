"""Sentences of open corpora by their ids, and names in them: for `corpora_src/facts` and `corpora_src/types`."""

import json
import re
from pathlib import Path
from typing import Dict, List, Tuple

# In the splits of `relations/NAME.SPLIT.jsonl`.
CORPORA = ("fewrel64", "geneva", "causal_news", "core", "because", "somesci", "product")
# Of so many sentences of a file the last one by number is held out of training, to measure on.
HELD_OUT = 10


def read_texts(data: Path) -> Dict[str, str]:
    """data (Path): the folder of corpora.
    RETURNS (Dict[str, str]): the sentences of `CORPORA` by id.
    """
    texts = {}
    for name in CORPORA:
        for path in sorted((data / "relations").glob(f"{name}.*.jsonl")):
            for line in path.read_text(encoding="utf8").splitlines():
                record = json.loads(line)
                texts[record["id"]] = record["text"]
    return texts


def is_held_out(number: int) -> bool:
    """number (int): of a sentence in its file, from 1.
    RETURNS (bool): whether it never trains.
    """
    return number % HELD_OUT == 0


def places(text: str, name: str) -> List[Tuple[int, int]]:
    """RETURNS (List[Tuple[int, int]]): the characters of a name wherever it stands as whole words; only of its second
    place where it ends in "@@2".
    """
    name, _, number = name.partition("@@")
    if not name or (number and not (number.isdigit() and int(number))):
        return []
    before = r"(?<!\w)" if name[0].isalnum() else ""
    after = r"(?!\w)" if name[-1].isalnum() else ""
    found = [match.span() for match in re.finditer(before + re.escape(name) + after, text)]
    return found[int(number) - 1 : int(number)] if number else found
