"""The annotations of openwiki, and the script that puts texts under them."""

import json
from pathlib import Path
from types import ModuleType
from typing import Callable

import pytest

from spacy_ragre.corpora import openrel

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "corpora_src" / "openwiki"

RECORD = {
    "title": "Acme (firm)",
    "sents": [
        ["Acme", "(", "est.", "1990", ")", "is", "a", "firm", "[", "sic", "]", "of", "Bad", "Ems", "."],
        ["Ann", "'s", "brother", "runs", "it", "."],
        ["word"] * 130,
    ],
    "vertexSet": [
        [{"sent_id": 0, "pos": [0, 1], "type": "ORG"}],
        [{"sent_id": 0, "pos": [3, 4], "type": "TIME"}],
        [{"sent_id": 0, "pos": [12, 14], "type": "LOC"}],
        [{"sent_id": 1, "pos": [0, 1], "type": "PER"}],
        [{"sent_id": 2, "pos": [0, 1], "type": "MISC"}],
    ],
}
MARKED = "[Acme|ORG] (est. [1990|TIME]) is a firm (sic) of [Bad Ems|LOC]. [Ann|PER]'s brother runs it."
ANNOTATED = """# title: Firms
# labels
based_in | is based in; sits in; has its seat in | the head has its seat in the tail | ORG | LOC
# texts
Acme (firm) || 1 based_in 3
"""


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("fill_openwiki")


def test_mentions_are_marked_in_whole_sentences(script):
    assert script.mark(RECORD) == MARKED


def test_filled_files_are_source_files_of_openrel(script, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "001.txt").write_text(ANNOTATED, encoding="utf8")
    (tmp_path / "documents.json").write_text(json.dumps([RECORD]), encoding="utf8")
    script.main([str(tmp_path / part) for part in ("in", "documents.json", "out")])
    schema = openrel.read_schema(tmp_path / "out" / "001.txt")
    assert [ent.type for ent in schema.texts[0].ents] == ["ORG", "TIME", "LOC", "PER"]
    assert schema.texts[0].relations == ((0, "based_in", 2),)


def test_a_title_that_is_not_there(script):
    with pytest.raises(KeyError, match="Acme"):
        list(script.fill(ANNOTATED.splitlines(), {}))


def test_the_annotations_are_sound(script):
    """With any text in their place, the lines have what the README counts, and each title once a file."""
    labels = lines = relations = 0
    for path in openrel.source_files(FOLDER):
        head, annotated = path.read_text(encoding="utf8").split("# texts\n")
        titles = [line.rsplit(" || ", 1)[0] for line in annotated.splitlines()]
        assert len(titles) == len(set(titles)) == 5
        labels += head.count("\n") - 2
        lines += len(titles)
        relations += sum(0 if line.endswith(" none") else line.count(" ; ") + 1 for line in annotated.splitlines())
    assert (labels, lines, relations) == (1200, 600, 4278)
