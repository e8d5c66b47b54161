"""Ids of documents as names of files: on any file system, each its own, and found again."""

import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any, List
from urllib.parse import unquote

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_ragre.corpora import CorpusCounts, convert, doc_from_dict
from spacy_ragre.corpora.folders import FileNames
from spacy_ragre.corpora.formats import FORMATS
from spacy_ragre.corpora.reader import read_docs
from spacy_ragre.relations import ID_KEY

NLP = spacy.blank("en")
SENTENCE = "エコノミストによると、同社は来年の春までに新しい工場を北海道に建てる予定である。"
FOLDERS = ("brat", "webanno", "uima")
ODD = ["Ann", "ann", "aNN", "con", "CON", "Con.x", "nul/a", "é", "e\u0301", "straße", "STRASSE", "50%41", "a:b?"]
ODD += [".", "..", "../up", "/x", "x/", "a//b", "dir./f", "dir/f", "DIR/f", "a.b", " a ", "\u202ea\n", "가", SENTENCE]


def round_trip(folder: Path, name: str, ids: List[str]) -> Any:
    """The ids of documents that were written and read again, and what was told to be left out."""
    record = {"text": "Ann runs.", "ents": [{"start": 0, "end": 3, "label": "PERSON"}], "relations": []}
    dropped: Counter[str] = Counter()
    write: Any = FORMATS[name].write
    write([doc_from_dict({**record, "id": id_}, NLP) for id_ in ids], folder / name, spans_key=None, dropped=dropped)
    convert(folder / name, folder / "back.spacy", name, counts=CorpusCounts())
    found = [doc.user_data[ID_KEY] for doc in read_docs(folder / "back.spacy", NLP.vocab)]
    return found, [what for what, count in dropped.items() if count]


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_are_found_again(tmp_path: Path, name: str) -> None:
    found, dropped = round_trip(tmp_path, name, ODD)
    assert sorted(found) == sorted(ODD) and not dropped
    names = [path.stem for path in (tmp_path / name).iterdir()]
    assert SENTENCE in names and "Ann" in names


@pytest.mark.parametrize("name", FOLDERS)
def test_ids_that_are_too_long_are_cut(tmp_path: Path, name: str) -> None:
    ids = [SENTENCE * 4, f"{SENTENCE * 4}1", "a/" * 200 + "b", "x" * 250, "y" * 251]
    found, dropped = round_trip(tmp_path, name, ids)
    if name == "uima":  # which has the id in the file
        assert sorted(found) == sorted(ids) and not dropped
    else:
        assert dropped == ["ends of ids that are too long for the name of a file"]
        assert len(set(found)) == len(ids) and {ids[2], ids[3]} <= set(found)
        assert sum(id_.startswith(SENTENCE) for id_ in found) == 2


PARTS = st.sampled_from([*"aAbBß.% /\\:?\n-1é", "ss", "e\u0301", "con", "CON", "日", "\u200d", "a" * 90, "日" * 60])
IDS = st.lists(PARTS, min_size=1, max_size=6).map("".join)


@given(ids=st.lists(IDS, unique=True, max_size=12))
def test_any_ids(ids: List[str]) -> None:
    dropped: Counter[str] = Counter()
    names = FileNames(dropped)
    given = {id_: names.add(id_) for id_ in ids}
    again = FileNames(dropped)
    # What a name becomes may be an id, too.
    given.update({name: names.add(name) for name in map(again.add, ids) if name not in given})
    folded = {unicodedata.normalize("NFD", name).casefold() for name in given.values()}
    assert len(folded) == len(given)
    for id_, name in given.items():
        assert not re.search(r'[<>:"\\|?*\n]', name)
        for part in name.split("/"):
            assert part and part.strip(".") and len(part.encode()) <= 250
            assert part.partition(".")[0].strip().lower() not in ("con", "nul")
        for folder in name.split("/")[:-1]:
            assert folder[-1] not in ". "
        if unquote(name) != id_:
            assert len("".join(f"%{byte:02X}" for byte in id_.encode())) > 250 and any(dropped.values())
