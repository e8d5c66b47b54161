"""TACRED and its revisions, on invented records in the exact form."""

import json
import os
import warnings
from collections import Counter
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_ragre.candidates.generators import make_proposed
from spacy_ragre.corpora import TACRED_WORDS, Corpus, CorpusCounts, convert, read_tacred, read_tacred_patch
from spacy_ragre.corpora.formats import recognise
from spacy_ragre.labels import LabelSet
from spacy_ragre.prompts import make_relation_prompt
from spacy_ragre.relations import ID_KEY, has_relations
from spacy_ragre.scoring import score_tacred

NLP = spacy.blank("en")


def record(id_, words, subject, object_, relation, types=("PERSON", "TITLE"), **more):
    """Ends are inclusive."""
    tokens = words.split()
    tags = {"stanford_pos": ["NN"] * len(tokens), "stanford_ner": ["O"] * len(tokens), "stanford_head": [0]}
    ends = {"subj_start": subject[0], "subj_end": subject[1], "obj_start": object_[0], "obj_end": object_[1]}
    kinds = {"subj_type": types[0], "obj_type": types[1]}
    return {"id": id_, "docid": "D1", "relation": relation, "token": tokens, **ends, **kinds, **tags, **more}


RECORDS = [
    record("e1", "Ada -LRB- a surgeon -RRB- met Bob .", (0, 0), (3, 3), "per:title"),
    record("e2", "The painter Bob Ross . He slept .", (2, 3), (1, 1), "no_relation"),
    record("e3", "Acme Tools of Oslo", (0, 1), (3, 3), "org:city_of_headquarters", ("ORGANIZATION", "CITY")),
]


@pytest.fixture
def write(tmp_path):
    def call(data, name="train.json"):
        path = tmp_path / name
        path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf8")
        return path

    return call


def labels(docs):
    return {doc.user_data[ID_KEY]: [rel.label for rel in doc._.relations] for doc in docs}


def test_records_with_their_tokens(write):
    docs = list(read_tacred(write(RECORDS)))
    assert [token.text for token in docs[0]] == RECORDS[0]["token"]
    assert docs[0].text == "Ada -LRB- a surgeon -RRB- met Bob ."
    (rel,) = docs[0]._.relations
    assert (rel.head.text, rel.head.label_, rel.label) == ("Ada", "PERSON", "per:title")
    assert (rel.tail.text, rel.tail.label_) == ("surgeon", "TITLE")
    (rel,) = docs[2]._.relations
    assert (rel.head.text, rel.tail.text) == ("Acme Tools", "Oslo")
    # No relation is known to be none.
    assert has_relations(docs[1]) and docs[1]._.relations == []
    assert [[(span.text, span.label_) for span in cluster] for cluster in docs[1]._.entity_clusters] == [
        [("Bob Ross", "PERSON")],
        [("painter", "TITLE")],
    ]
    assert [pair[:2] for pair in docs[1]._.candidate_pairs] == [(0, 1)]
    assert [(ent.text, ent.label_) for ent in docs[1].ents] == [("painter", "TITLE"), ("Bob Ross", "PERSON")]


def test_found_from_the_content_and_converted(write, tmp_path):
    path = write(RECORDS)
    counts = CorpusCounts()
    assert recognise(path) == "tacred"
    assert convert(path, tmp_path / "out.spacy", counts=counts) == 3
    assert counts.relations == Counter({"per:title": 1, "org:city_of_headquarters": 1}) and not counts.dropped
    # What a component is given asks subject first, as the prompt with typed markers shows.
    (example,) = list(Corpus(tmp_path / "out.spacy", limit=0)(NLP))[1:2]
    (candidate,) = make_proposed(head_first=True)(example.predicted, example.predicted.ents)
    text = make_relation_prompt(instruction=False, markers="typed_punct").segments(candidate.instance, LabelSet()).text
    assert text.split("\n")[0] == "The # ^ title ^ painter # @ * person * Bob Ross @ . He slept ."
    assert score_tacred([Example(doc, doc) for doc in read_tacred(path)])["tacred_f"] == 1


def test_subject_and_object_may_overlap(write, tmp_path):
    nested = record("e4", "the Oslo Opera", (1, 2), (1, 1), "org:city_of_headquarters", ("ORGANIZATION", "CITY"))
    counts = CorpusCounts()
    convert(write([*RECORDS, nested]), tmp_path / "out.spacy", counts=counts)
    doc = list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(NLP.vocab))[-1]
    assert [[span.text for span in cluster] for cluster in doc._.entity_clusters] == [["Oslo Opera"], ["Oslo"]]
    (rel,) = doc._.relations
    assert (rel.head.text, rel.tail.text, counts.overlapping) == ("Oslo Opera", "Oslo", 1)


# Patches


def test_patch_of_tacrev_keeps_the_other_records(write, tmp_path):
    path = write(RECORDS)
    patch = write([{"id": "e2", "relation": "per:title"}, {"id": "e3", "relation": "no_relation"}], "dev_patch.json")
    assert labels(read_tacred(path, patch=patch)) == {"e1": ["per:title"], "e2": ["per:title"], "e3": []}
    convert(path, tmp_path / "out.spacy", patch=patch)
    docs = DocBin().from_disk(tmp_path / "out.spacy").get_docs(NLP.vocab)
    assert labels(docs)["e2"] == ["per:title"]


def test_patch_of_re_tacred_takes_records_out(write, tmp_path):
    path = write(RECORDS)
    patch = write({"e1": "no_relation", "e3": "org:city_of_branch"}, "train_id2label.json")
    counts = CorpusCounts()
    found = labels(read_tacred(path, patch=patch, counts=counts))
    assert found == {"e1": [], "e3": ["org:city_of_branch"]}
    assert counts.dropped_items() == ["records that the patch takes out 1"]
    with pytest.warns(UserWarning, match="W337.*that the patch takes out 1"):
        convert(path, tmp_path / "out.spacy", patch=patch)


def test_patch_with_ids_that_are_not_in_the_file(write):
    path = write(RECORDS)
    patch = write({"e1": "per:title", "e2": "no_relation", "x8": "per:age", "x9": "per:age"}, "dev_id2label.json")
    with pytest.raises(ValueError, match="R372.* 2 of the 4 ids .*dev_id2label.json.*such as x8, x9"):
        list(read_tacred(path, patch=patch))
    told = []
    docs = list(read_tacred(path, patch=patch, on_error=lambda *problem: told.append(problem)))
    assert labels(docs) == {"e1": ["per:title"], "e2": []}
    assert [place for place, _, _ in told] == ["the patch"]


@pytest.mark.parametrize(
    "text,problem",
    [
        ('[{"id": "e1", "relation": "a"}, {"id": "e1", "relation": "b"}]', "1 of its ids stand there more than once"),
        ('{"e1": "a", "e2": "b", "e1": "a"}', "1 of its ids stand there more than once, such as e1"),
        ('{"e1": null}', "'e1' has the relation None"),
        ('[{"id": "e1"}]', "item 0 has no id and relation"),
        ('["e1"]', "item 0"),
        ("[]", "names no record"),
        ("3", "names no record"),
        ('{"e1": ', "line 1"),
    ],
)
def test_patch_that_is_none(write, text, problem):
    with pytest.raises(ValueError, match=f"R371.*{problem}"):
        read_tacred_patch(write(text, "patch.json"))


def test_patch_of_another_format(write, tmp_path):
    path = write('{"text": "Ann runs.", "ents": [{"start": 0, "end": 3, "label": "P"}]}')
    with pytest.raises(ValueError, match="R619.*'jsonl'.*patch.*tacred"):
        convert(path, tmp_path / "out.spacy", patch=path)


# The figures of Alt et al. 2020: revised records of dev and test.
@pytest.mark.parametrize("part,count", [("dev", 1590), ("test", 936)])
def test_the_published_patches_of_tacrev(part, count):
    path = Path(os.environ.get("RAGRE_ASSETS", "assets")) / "tacrev_patch" / f"{part}_patch.json"
    if not path.is_file():
        pytest.skip("no patch of TACREV (RAGRE_ASSETS)")
    patch = read_tacred_patch(path)
    assert len(patch.labels) == count and not patch.only
    assert set(patch.labels.values()) <= {*TACRED_WORDS, "no_relation"}


def test_words_tell_relations_apart():
    assert len(set(TACRED_WORDS.values())) == len(TACRED_WORDS) == 45
    assert len(LabelSet(TACRED_WORDS)) == 45


# Bad input


@pytest.mark.parametrize(
    "change,code",
    [
        ({"token": "Ada met"}, "R405.*token"),
        ({"token": ["Ada", ""]}, "R405.*token"),
        ({"token": []}, "R405.*token"),
        ({"subj_start": None}, "R405.*subj_start"),
        ({"subj_end": "3"}, "R405.*subj_end"),
        ({"obj_type": 3}, "R405.*obj_type"),
        ({"relation": ""}, "R405.*relation.*no_relation"),
        ({"id": ["e1"]}, "R405.*'id'"),
        ({"obj_end": 8}, "R374.*obj_start=3 and obj_end=8.*there are 8"),
        ({"subj_end": -1}, "R374"),
        ({"obj_start": 0, "obj_end": 0}, "R373.*'e1'"),
        ({"id": "e2"}, "R337.*'e2'"),
    ],
)
def test_records_that_are_not_whole(write, change, code):
    broken = {**RECORDS[0], **change}
    path = write([RECORDS[1], broken, RECORDS[2]])
    with pytest.raises(ValueError, match=code):
        list(read_tacred(path))
    told = []
    docs = list(read_tacred(path, on_error=lambda *problem: told.append(problem)))
    assert labels(docs).keys() == {"e2", "e3"}
    assert json.loads(told[0][1]) == broken and "document 2" in told[0][0]


@pytest.mark.parametrize("text", ["", "[]", '{"e1": "per:title"}', '[{"id": "e1", "relation": "per:title"}]'])
def test_files_that_are_none(write, tmp_path, text):
    with warnings.catch_warnings(), pytest.raises(ValueError, match="R334|R338|R402|R340"):
        convert(write(text), tmp_path / "out.spacy", "tacred")
