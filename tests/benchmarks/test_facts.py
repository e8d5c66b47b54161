"""Facts in real sentences: what a block may say, what is told about a wrong one, training, the corpus."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from benchmarks import sentences
from benchmarks.open_relations import corpora, facts, sampling
from spacy_ragre.components.relations.open_tokens import TokenLayout
from spacy_ragre.corpora.files import Problems

TEXT = "ann lee sold acme to bob in 1990, and bob sold acme in 1995."
BLOCK = """#core-1
ann lee > sold | seller of > acme
bob > ~did business with | partner > ann lee
- was born in ; bought
+ 1990 ; acme@@2
"""


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "relations"
    folder.mkdir(parents=True)
    rows = [{"id": f"core-{number}", "text": TEXT, "ents": [], "relations": []} for number in range(1, 21)]
    (folder / "core.train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return tmp_path / "data"


@pytest.fixture
def layout():
    words = [
        "[X]",
        "[B]",
        *sorted({*TEXT.replace(",", " ,").replace(".", " .").split(), "bought", "to", "born", "head"}),
    ]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate([*words, "tail", ":"])}, "[X]"))
    tokenizer.pre_tokenizer = Whitespace()
    return TokenLayout(tokenizer, [1], [1])


def problems_of(folder, text, texts=None):
    path = folder / "a.txt"
    path.write_text(text, encoding="utf8")
    problems = Problems(path)
    sentences.read_blocks(path, {"core-1": TEXT} if texts is None else texts, problems, facts.Block)
    return problems.messages


def test_a_block_is_a_document_with_labels_of_its_own(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(BLOCK, encoding="utf8")
    (block,) = sentences.read_blocks(path, {"core-1": TEXT}, Problems(path), facts.Block)
    assert block.labels() == [
        (("sold", "seller of"), False),
        (("did business with", "partner"), True),
        (("was born in",), False),
        (("bought",), False),
    ]
    record = block.record(TEXT)
    names = [TEXT[ent["start"] : ent["end"]] for ent in record["ents"]]
    assert names == ["ann lee", "acme", "bob", "1990", "acme"] and record["ents"][4]["start"] == 47
    assert record["relations"] == [
        {"head": 0, "tail": 1, "label": "sold"},
        {"head": 2, "tail": 0, "label": "did business with"},
    ]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("#core-1", "#core-99", "line 1: no sentence has the id 'core-99'"),
        ("#core-1\n", "", "line 1: no '#id' of a sentence stands above it"),
        ("> acme", "> acm", "line 1: 'acm' does not stand in the sentence 'core-1' as whole words"),
        ("acme@@2", "acme@@3", "'acme@@3' does not stand"),
        ("> ann lee", "> bob", "'bob' and 'bob' overlap"),
        ("- was born in", "- Seller of", "'Seller of' is right and wrong"),
        ("; bought", ";", "line 4: a part between semicolons is empty"),
        (" | seller of", " |", "line 2: a wording is empty"),
        ("ann lee > sold | seller of > acme", "ann lee sold acme", "line 2: 'head > label | other wording > tail'"),
        (BLOCK, "#core-1\n+ acme\n", "has neither facts nor wrong labels"),
        ("> ~did", "> sold | ~did", "line 3: '~' stands before the first wording alone"),
        ("> ~did business with", "> ~did business with | sold", "'sold' is a wording of two labels"),
        (BLOCK, BLOCK * 2, "line 6: the sentence 'core-1' stands twice"),
    ],
)
def test_wrong_blocks_are_told_by_line(tmp_path, old, new, message):
    told = problems_of(tmp_path, BLOCK.replace(old, new, 1) if old != BLOCK else new)
    assert any(message in line for line in told), told


def test_every_tenth_sentence_of_a_file_is_held_out(tmp_path, data):
    blocks = [BLOCK.replace("core-1", f"core-{number}") for number in range(1, 21)]
    (tmp_path / "a.txt").write_text("".join(blocks), encoding="utf8")
    held = [block.id for block, _ in facts.read_facts(data, True, tmp_path)]
    assert held == ["core-10", "core-20"]
    train = [block.id for block, _ in facts.read_facts(data, False, tmp_path)]
    assert len(train) == 18 and not set(train) & set(held)


def test_what_a_sentence_does_not_name_counts_only_where_it_is_unlike_what_holds():
    """Numbers: 0 and 1 are the first text's labels, 2 and 3 the second's. 2 is much like 0, 3 like nothing."""
    labels = [corpora.Label(name, (name,), definitions=("",)) for name in ("sold", "bought", "sold to", "born in")]
    likeness = np.array([[1, 0], [0, 1], [0.9, 0.43], [0, -1]], dtype="float32")
    first = corpora.Document([5, 6, 7], [(0, 1, ""), (2, 3, "")], {(0, 1): {0}}, labels={0, 1})
    second = corpora.Document([5, 6, 7], [(0, 1, ""), (2, 3, "")], {}, labels={2, 3})
    schema = corpora.Schema("facts", facts.SOURCE, labels, [first, second], likeness=likeness)
    assert sampling._unlike(schema, {0}, [0, 1, 2, 3]) == {1, 3}
    assert sampling._unlike(schema, set(), [0, 1, 2, 3]) == set()


def test_a_group_has_the_labels_of_its_sentences(layout):
    names = ("sold", "bought", "sold to", "born in")
    labels = [corpora.Label(name, (name,), definitions=("",)) for name in names]
    docs = [
        corpora.Document([5, 6, 7], [(0, 1, ""), (2, 3, "")], {(0, 1): {first}}, labels={first, first + 1})
        for first in (0, 2)
    ]
    schema = corpora.Schema("facts", facts.SOURCE, labels, docs, likeness=np.eye(4, dtype="float32"))
    group = sampling.Sampler(layout, [schema], seed=0, tokens=8).group()
    assert group.target.shape == (4, 4) and int(group.target.sum()) == 2
    # A pair that holds something: its own labels, and those of the other sentence, which are unlike. The others: only
    # their own.
    assert sorted(group.allowed.sum(1).tolist()) == [2, 2, 4, 4]
    assert not (group.target & ~group.allowed).any()


@pytest.mark.real
def test_sentences_that_train_become_one_schema(layout, tmp_path, data):
    (tmp_path / "a.txt").write_text(BLOCK + BLOCK.replace("core-1", "core-2"), encoding="utf8")
    schema = facts.read_schema(data, layout.tokenizer, tmp_path)
    assert [label.texts for label in schema.labels][:2] == [("sold", "seller of"), ("did business with", "partner")]
    assert len(schema.docs) == 2 and all(doc.labels == {0, 1, 2, 3} for doc in schema.docs)
    assert schema.docs[0].relations == {(0, 1): {0}, (2, 0): {1}, (0, 2): {1}}
    assert np.allclose(np.linalg.norm(schema.likeness, axis=1), 1, atol=1e-5)


def test_the_corpus_has_no_problems_and_as_much_as_its_card_says():
    count = found = 0
    wordings = set()
    for path in sorted(facts.FOLDER.glob("*.txt")):
        problems = Problems(path)
        blocks = sentences.read_blocks(path, None, problems, facts.Block)
        assert not problems.messages
        count, found = count + len(blocks), found + sum(len(block.facts) for block in blocks)
        wordings |= {wording for block in blocks for label, _ in block.labels() for wording in label}
    card = (facts.FOLDER / "README.md").read_text(encoding="utf8")
    assert f"{count:,} sentences, {found:,} facts, {len(wordings):,} wordings" in card


def test_sentences_that_are_held_out_do_not_train_under_their_corpus_s_labels(tmp_path, layout):
    rows = [
        {
            "id": f"core-{number}",
            "text": TEXT,
            "ents": [{"start": 0, "end": 7, "label": "ORG"}, {"start": 13, "end": 17, "label": "ORG"}],
            "relations": [{"head": 0, "tail": 1, "label": "sold"}],
        }
        for number in (1, 2)
    ]
    for split, part in (("train", rows), ("dev", []), ("test", [])):
        lines = "".join(json.dumps(row) + "\n" for row in part)
        (tmp_path / f"core.{split}.jsonl").write_text(lines, encoding="utf8")
    (tmp_path / "core.labels.json").write_text('{"sold": {"text": "sold", "definition": "head sold tail"}}')
    read = [corpora.read_relations(tmp_path, "core", tmp_path, layout.tokenizer, unseen) for unseen in ((), {"core-2"})]
    assert [len(schema.docs) for schema in read] == [2, 1]
