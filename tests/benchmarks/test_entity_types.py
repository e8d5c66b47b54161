"""Entities of real sentences under types of their own: the form of a block, what is told of a wrong one, the corpus."""

import json

import pytest

from benchmarks import sentences
from benchmarks.open_entities import data as corpora
from benchmarks.open_entities import types
from benchmarks.open_entities.train import Sampler
from spacy_ragre.corpora.files import Problems

TEXT = "In 2018, Helix of Reno met Helix users in Reno."
BLOCK = """#core-1
year : 2018
firm : Helix
town : Reno@@2
- river ; disease
"""


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "relations"
    folder.mkdir(parents=True)
    rows = [{"id": f"core-{number}", "text": TEXT} for number in range(1, 21)]
    (folder / "core.train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return tmp_path / "data"


def read(folder, text):
    path = folder / "a.txt"
    path.write_text(text, encoding="utf8")
    problems = Problems(path)
    return sentences.read_blocks(path, {"core-1": TEXT}, problems, types.Block), problems.messages


def test_names_stand_as_whole_words_at_every_place_or_the_one_that_is_named():
    assert sentences.places("a b, ab a", "a") == [(0, 1), (8, 9)]
    assert sentences.places("a b, ab a", "a@@2") == [(8, 9)] and sentences.places("a b", "a@@2") == []
    assert sentences.places("a (b) c", "(b)") == [(2, 5)]
    assert sentences.places("a b", "a@@x") == sentences.places("a b", "") == sentences.places("a", "a@@0") == []


def test_a_block_is_a_text_under_its_own_types(tmp_path):
    (block,), told = read(tmp_path, BLOCK)
    assert not told
    typed = block.typed(TEXT)
    assert list(typed.types) == ["year", "firm", "town", "river", "disease"]
    ents = [(TEXT[start:end], start, type_) for start, end, type_ in typed.texts[0].ents]
    assert ents == [("2018", 3, "year"), ("Helix", 9, "firm"), ("Helix", 27, "firm"), ("Reno", 42, "town")]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("#core-1\n", "", "line 1: no '#id' of a sentence stands above it"),
        ("#core-1", "#core-99", "line 1: no sentence has the id 'core-99'"),
        ("firm : Helix", "firm : Heli", "'Heli' does not stand in the sentence 'core-1' as whole words"),
        ("firm : Helix", "firm : Helix of Reno@@1 ; Helix of", "overlap"),
        ("firm : Helix", "firm Helix", "line 3: 'type : name; name' or '- type; type' is needed"),
        ("firm : Helix", "year : Helix", "line 3: the type 'year' stands twice"),
        ("- river", "- firm", "has 'firm' and has none of it"),
        ("river ;", ";", "line 5: 'type : name; name'"),
        (BLOCK, "#core-1\n- river\n", "has no entity"),
        (BLOCK, BLOCK * 2, "line 6: the sentence 'core-1' stands twice"),
    ],
)
def test_wrong_blocks_are_told_by_line(tmp_path, old, new, message):
    _, told = read(tmp_path, new if old == BLOCK else BLOCK.replace(old, new, 1))
    assert any(message in line for line in told), told


def test_every_tenth_sentence_of_a_file_is_held_out(tmp_path, data):
    (tmp_path / "a.txt").write_text(
        "".join(BLOCK.replace("core-1", f"core-{number}") for number in range(1, 21)), encoding="utf8"
    )
    assert [item.name for item in types.read_types(data, True, tmp_path)] == ["core-10", "core-20"]
    assert len(types.read_types(data, False, tmp_path)) == 18


class Finder:
    """Lays texts out by their words."""

    def encode(self, text):
        words = text.split()
        places = [text.index(word) for word in words]
        return list(range(len(words))), [0] * len(words), [(at, at + len(word)) for at, word in zip(places, words)]

    def row(self, ids, ways, first, last):
        return ids[first:last], ways[first:last]

    def type_row(self, words):
        return [len(words)], [0]


def test_short_schemas_are_drawn_until_there_are_enough_tokens():
    def texts(name, source, count):
        text = corpora.Text("Ann saw Rome", ((0, 3, "person"), (8, 12, "town")))
        return corpora.TypedTexts(name, source, {"person": ("person",), "town": ("town",)}, [text] * count)

    short = Sampler(Finder(), [texts(str(n), "types", 1) for n in range(9)], 0, 20, {"types": 1.0}).groups()
    assert len(short) == 4 and all(len(rows) == 1 for rows, _, _ in short)
    long = Sampler(Finder(), [texts("a", "openrel", 9)], 0, 20, {"openrel": 1.0}).groups()
    assert len(long) == 1 and len(long[0][0]) == 7


def test_the_corpus_has_no_problems_and_as_much_as_its_card_says():
    count = names = 0
    known = set()
    for path in sorted(types.FOLDER.glob("*.txt")):
        problems = Problems(path)
        blocks = sentences.read_blocks(path, None, problems, types.Block)
        assert not problems.messages
        count, names = count + len(blocks), names + sum(len(part) for block in blocks for part in block.names.values())
        known |= {type_ for block in blocks for type_ in (*block.names, *block.none)}
    card = (types.FOLDER / "README.md").read_text(encoding="utf8")
    assert f"{count:,} sentences, {names:,} names, {len(known):,} types" in card
