"""Passages under labels of their own: what trains, what is held out, and how they are cut into parts."""

import random

import pytest
import spacy
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from benchmarks.open_entities import data, found
from benchmarks.open_relations import corpora, passages, sampling
from spacy_ragre.components.relations.open_scorer import WEIGHTS
from spacy_ragre.components.relations.open_tokens import TokenLayout
from spacy_ragre.corpora.openrel import read_schemas, source_files, to_records

PASSAGE = """# title: Number {number}
# labels
founded | founded; founder of; set up | | PERSON | ORG
likes | likes; fond of; is keen on | | PERSON,DRINK | PERSON,ORG
# texts
{text} || 1 founded 2; 1 likes 3
"""
TEXT = "[Ann Lee|PERSON] set up [Burro {}|ORG]. It rains. She and [Bob|PERSON] met in [Rome|GPE] in [1990|DATE]."


@pytest.fixture
def folder(tmp_path):
    text = "".join(PASSAGE.format(number=number, text=TEXT.format(number)) for number in range(10))
    (tmp_path / "a.txt").write_text(text, encoding="utf8")
    return tmp_path


@pytest.fixture
def layout():
    words = ["[X]", "[B]", *"Ann Lee set up Burro . It rains She and Bob met in Rome 1990 head tail :".split()]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, "[X]"))
    tokenizer.pre_tokenizer = Whitespace()
    return TokenLayout(tokenizer, [1], [1])


def test_every_tenth_is_held_out(folder):
    train, held_out = (passages.read_passages(way, folder) for way in (False, True))
    assert [schema.name for schema in held_out] == ["a_10"] and len(train) == 9


def test_parts_keep_the_relations_inside_of_them(folder):
    (record,) = to_records(passages.read_passages(True, folder)[0])
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    cuts = [passages.cut(record, nlp, random.Random(seed)) for seed in range(20)]
    assert {tuple(part["text"][:3] for part, _ in cut) for cut in cuts} == {("Ann", "She"), ("Ann", "It ")}
    for cut in cuts:
        for part, numbers in cut:
            assert numbers == ([0, 1] if part["text"].startswith("Ann") else [2, 3, 4])
            words = [part["text"][ent["start"] : ent["end"]] for ent in part["ents"]]
            assert words == (["Ann Lee", "Burro 9"] if part["text"].startswith("Ann") else ["Bob", "Rome", "1990"])
    first, _ = cuts[0][0]
    assert first["relations"] == [{"head": 0, "tail": 1, "label": "founded"}] and first["labels"] == record["labels"]


@pytest.mark.real
def test_passages_become_one_schema_whose_documents_know_their_labels(layout, folder, monkeypatch):
    schema = passages.read_schema(layout.tokenizer, folder)
    # Equal labels of nine passages are one.
    assert [label.texts for label in schema.labels] == [
        ("founded", "founder of", "set up"),
        ("likes", "fond of", "is keen on"),
    ]
    assert len(schema.docs) == 9 and all(doc.labels == {0, 1} for doc in schema.docs)
    assert all(doc.relations == {(0, 1): {0}, (0, 2): {1}} and len(doc.parts) == 2 for doc in schema.docs)
    assert all(part.labels == {0, 1} for doc in schema.docs for part in doc.parts)
    for share, texts in ((0.0, 1), (1.0, 2)):
        monkeypatch.setattr(sampling, "IN_PARTS", share)
        group = sampling.Sampler(layout, [schema], seed=0, tokens=8).group()
        assert len(group.texts) == texts and group.target.shape[1] == 2 and group.target.any()


@pytest.mark.real
def test_a_part_does_not_deny_what_is_stated_outside_of_it(layout, folder):
    text = "[Ann Lee|PERSON] set up [Burro|ORG]. [Bob|PERSON] saw [Ann Lee|PERSON] at [Burro|ORG]. || 1 founded 2"
    (folder / "a.txt").write_text(PASSAGE.format(number=0, text=text).split(" || 1 founded 2; ")[0], encoding="utf8")
    schema = passages.read_schema(layout.tokenizer, folder)
    last = schema.docs[0].parts[-1]
    assert [end - start for start, end, _ in last.ents][-3:] == [1, 2, 1]
    head, tail = len(last.ents) - 2, len(last.ents) - 1
    assert (head, tail, 0) in last.undecided


def test_all_mentions_of_a_passage_are_read(layout):
    """Where other texts have at most `MOST_MENTIONS`."""
    ents = [(i, i + 1, "") for i in range(20)]
    found = []
    for source in ("passages", "openrel"):
        labels = [corpora.Label("met", ("met",), definitions=("",))]
        doc = corpora.Document(list(range(5, 25)), ents, {(0, 1): {0}})
        sampler = sampling.Sampler(layout, [corpora.Schema(source, source, labels, [doc])], seed=0, tokens=8)
        found.append(len(sampler.group().texts[0].mentions))
    assert found[0] == 20 and found[1] <= sampling.MOST_MENTIONS


def test_found_entities_are_matched_with_those_of_the_passage(layout):
    """By half of their tokens, each once; what stands for nothing else holds nothing."""
    record = {"text": "Ann Lee met Bob in Rome", "relations": []}
    record["ents"] = [{"start": 0, "end": 7, "label": "PERSON"}, {"start": 12, "end": 15, "label": "PERSON"}]
    doc = corpora.make_document(layout.tokenizer, record, [])
    # "Ann Lee" as a whole and in part, a stretch of which "Bob" is less than half, a place, and the same as what may
    # stand for a name.
    found = [(0, 7, "ORG", False), (4, 7, "PERSON", False), (12, 23, "PERSON", False), (19, 23, "GPE", False)]
    found.append((19, 23, "GPE", True))
    assert [tuple(item) for item in passages.match(doc, found, layout.tokenizer)] == [
        (0, 2, "ORG", 0, True),
        (1, 2, "PERSON", None, False),
        (3, 6, "PERSON", None, False),
        (5, 6, "GPE", None, True),
        (5, 6, "GPE", None, False),
    ]


def test_pairs_of_found_entities_hold_what_the_entities_hold(layout, monkeypatch):
    monkeypatch.setattr(sampling, "FOUND", 1.0)
    labels = [corpora.Label("met", ("met",), definitions=("",))]
    doc = corpora.Document(list(range(5, 13)), [(0, 2, "P"), (3, 4, "P"), (5, 6, "P")], {(0, 1): {0}})
    # The second entity, the first by other ends and type, one that is none, and one that may stand for another. The
    # third entity is not found.
    rows = [(3, 4, "P", 1, True), (0, 1, "Q", 0, True), (6, 7, "Q", None, True), (7, 8, "P", None, False)]
    doc.found = [corpora.Found(*row) for row in rows]
    for source, mentions in (("passages", 4), ("openrel", 3)):
        sampler = sampling.Sampler(layout, [corpora.Schema(source, source, labels, [doc])], seed=0, tokens=8)
        group = sampler.group()
        (text,) = group.texts
        assert len(text.mentions) == mentions
        if source == "passages":
            assert [mention[:2] for mention in text.mentions] == [(4, 5), (1, 2), (7, 8), (8, 9)]
            held = {tuple(pair) for pair, holds in zip(text.pairs, group.target[:, 0].tolist()) if holds}
            asked = {tuple(pair) for pair in text.pairs}
            assert held == {(1, 0)} and len(asked) == 6 and not any(3 in pair for pair in asked)


@pytest.mark.real
def test_what_a_finder_finds_is_read_with_its_passage_and_with_its_parts(layout, folder, tmp_path, monkeypatch):
    path = tmp_path / "found.jsonl"
    monkeypatch.setattr("sys.argv", ["found", str(path), str(WEIGHTS), str(folder / "a.txt")])
    found.main()
    assert len(path.read_text(encoding="utf8").splitlines()) == 9
    schema = passages.read_schema(layout.tokenizer, folder, path)
    for doc in schema.docs:
        assert {0, 2} <= {item.entity for item in doc.found}  # both persons
        assert sum(len(part.found) for part in doc.parts) == len(doc.found)
        assert {item.entity for item in doc.parts[0].found} <= {0, 1, None}
    assert passages.read_schema(layout.tokenizer, folder).docs[0].found is None


def test_types_that_labels_name_are_asked_for(folder, monkeypatch):
    monkeypatch.setattr(passages, "FOLDER", folder)
    monkeypatch.setattr(passages.read_passages, "__defaults__", (folder,))
    (schema,) = data.read_passages(held_out=True)
    assert set(schema.types) == {"PERSON", "ORG", "GPE", "DATE", "DRINK"} | set(data.ONTONOTES)
    assert schema.source == passages.SOURCE and len(schema.texts[0].ents) == 5


def test_the_corpus_has_as_much_as_its_card_says():
    schemas = [s for path in source_files(passages.FOLDER) for s in read_schemas(path, min_wordings=1)]
    texts = [text for schema in schemas for text in schema.texts]
    labels = [label for schema in schemas for label in schema.labels.values()]
    wordings = {words for label in labels for words in label.texts}
    types = {ent.type for text in texts for ent in text.ents}
    counts = (
        f"{len(schemas):,} passages, {len(labels):,} labels in {len(wordings):,} wordings, "
        f"{sum(len(text.ents) for text in texts):,} entities of {len(types):,} types, "
        f"{sum(len(text.relations) for text in texts):,} relations"
    )
    assert counts in (passages.FOLDER / "README.md").read_text(encoding="utf8")
    assert len(texts) == len(schemas) and all(len(label.texts) >= 3 for label in labels)
