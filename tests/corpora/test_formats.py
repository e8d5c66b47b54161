"""Formats of annotation tools: how they are told apart, and what all of them share."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_ragre.corpora import CorpusCounts, convert
from spacy_ragre.corpora.formats import FORMATS, READERS, recognise
from spacy_ragre.relations import ID_KEY

LLM = {
    "text": "Ann runs Acme.",
    "ents": [{"start_char": 0, "end_char": 3, "label": "PERSON"}, {"start_char": 9, "end_char": 13, "label": "ORG"}],
    "relations": [{"dep": 0, "dest": 1, "relation": "runs"}],
}
INTERCHANGE = {
    "id": "d1",
    "text": "Ann runs Acme.",
    "ents": [{"start": 0, "end": 3, "label": "PERSON"}, {"start": 9, "end": 13, "label": "ORG"}],
    "relations": [{"head": 0, "tail": 1, "label": "runs"}],
}
DOCRED = {"title": "t", "sents": [["Ann"]], "vertexSet": [[{"sent_id": 0, "pos": [0, 1], "type": "X"}]]}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., List[Doc]]:
    """Converts a file, whose format is found, and reads the documents."""

    def call(path: Path, **settings: Any) -> List[Doc]:
        convert(path, tmp_path / "out.spacy", **{"counts": CorpusCounts(), **settings})
        return list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(spacy.blank("en").vocab))

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes records as JSON lines, or what else is given."""

    def call(*records: Any, name: str = "in.any") -> Path:
        path = tmp_path / name
        lines = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in records]
        path.write_bytes(b"\n".join(lines))
        return path

    return call


def relations(doc: Doc) -> List[Any]:
    return [(rel.head.text, rel.label, rel.tail.text) for rel in doc._.relations]


@pytest.mark.parametrize(
    "record, name",
    [
        (LLM, "spacy-llm"),
        (INTERCHANGE, "jsonl"),
        ({"text": "No one."}, "jsonl"),
        ({**INTERCHANGE, "ents": [], "relations": []}, "jsonl"),
        ([DOCRED], "docred"),
        (b'1\t"The <e1>a</e1> and <e2>b</e2>"\nOther\n', "semeval"),
    ],
)
def test_a_format_is_found_from_the_content(write: Callable[..., Path], record: Any, name: str) -> None:
    assert recognise(write(record)) == name
    if not isinstance(record, bytes):
        pretty = json.dumps(record, indent=2).encode()
        assert recognise(write(b"\xef\xbb\xbf" + pretty)) == name
        assert recognise(write(json.dumps(record).encode(), b"")) == name


def test_every_format_has_a_name_and_a_title() -> None:
    assert all(name == item.name and item.title for name, item in FORMATS.items())
    assert {"jsonl", "semeval", "docred", "spacy-llm"} <= set(READERS)


def test_r340_says_what_was_found(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\[R340\].*the keys tweet, tags \[name\]") as error:
        recognise(write({"tweet": "a", "tags": [{"name": 1}]}))
    assert all(name in str(error.value) for name in READERS)
    with pytest.raises(ValueError, match="text, whose first line is 'Dear all'"):
        recognise(write(b"Dear all", b"how are you"))
    with pytest.raises(ValueError, match="a folder with 1 .odd"):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "a.odd").touch()
        recognise(tmp_path / "folder")
    with pytest.raises(ValueError, match=r"\[R340\].*like jsonl and spacy-llm at once"):
        recognise(write(INTERCHANGE, LLM))
    for empty in (b"", b" \n\r\n", b"\xef\xbb\xbf\n"):
        with pytest.raises(ValueError, match=r"\[R334\]"):
            recognise(write(empty))
    with pytest.raises(ValueError, match=r"\[R332\].*UTF-16"):
        recognise(write(json.dumps(LLM).encode("utf-16")))
    with pytest.raises(FileNotFoundError, match=r"\[R401\]"):
        recognise(tmp_path / "missing")


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("listed", [True, False])
def test_json_in_any_shape(read: Any, write: Any, ends: bytes, indent: Any, listed: bool) -> None:
    second = {**LLM, "text": "Bob runs Acme."}
    whole = json.dumps([LLM, second], indent=indent).encode()
    if not listed:
        whole = b"\n".join(json.dumps(item, indent=indent).encode() for item in (LLM, second))
    docs = read(write(b"\xef\xbb\xbf" + whole.replace(b"\n", ends)))
    assert [relations(doc) for doc in docs] == [[("Ann", "runs", "Acme")], [("Bob", "runs", "Acme")]]


def test_bad_records_are_told_with_their_place_and_left_out(read: Any, write: Any) -> None:
    other = {"text": "a", "spans": []}
    path = write(LLM, other, b"{", {**LLM, "relations": [{"dep": 0, "dest": 1}]}, "caf\xe9".encode("latin-1"))
    with pytest.raises(ValueError, match=r"\[R402\].*4 problem") as error:
        read(path)
    places = [line.split(" ", 4)[1:4] for line in str(error.value).splitlines()[1:-1]]
    assert places == [
        ["line", f"{n}:", code] for n, code in ((2, "[R338]"), (3, "[R404]"), (4, "[R405]"), (5, "[R403]"))
    ]
    left: List[Any] = []
    assert len(read(path, on_error=lambda *item: left.append(item))) == 1
    assert [place for place, _, _ in left] == ["line 2", "line 3", "line 4", "line 5"]
    assert json.loads(left[0][1]) == other and "spans" in left[0][2][0] and "start_char" in left[0][2][0]


def test_r339_json_that_ends_too_early(read: Any, write: Any) -> None:
    whole = json.dumps([LLM, LLM], indent=1).encode()
    path = write(whole[:-30])
    with pytest.raises(ValueError, match=r"- line 42: \[R339\] the file is no whole JSON: Unterm"):
        read(path)
    left: List[Any] = []
    assert len(read(path, on_error=lambda *item: left.append(item))) == 1 and len(left) == 1
    with pytest.raises(ValueError, match=r"- line 1: \[R339\]"):
        read(write(b'[{"text": "a"'), format="spacy-llm")
    with pytest.raises(ValueError, match=r"\[R339\].*more after its end"):
        read(write(json.dumps([LLM], indent=1).encode(), b'["more"]'))
    with pytest.raises(ValueError, match=r"\[R339\].*the list has no end"):
        read(write(json.dumps([LLM]).encode()[:-1]))


def test_tokens_are_split_and_overlapping_entities_kept(read: Any, write: Any) -> None:
    ents = [(0, 10, "ORG"), (0, 4, "GPE"), (11, 14, "X")]
    nested: Dict[str, Any] = {
        "text": "York Acmes co-run.",
        "ents": [dict(zip(("start_char", "end_char", "label"), ent)) for ent in ents],
        "relations": [{"dep": 1, "dest": 2, "relation": "r"}],
    }
    counts = CorpusCounts()
    docs = read(write(LLM, nested), counts=counts)
    assert [span.text for span in docs[1].spans["entities"]] == ["York Acmes", "York", "co-"]
    assert [ent.text for ent in docs[1].ents] == ["York Acmes", "co-"]
    assert [span.text for span in docs[0].spans["entities"]] == ["Ann", "Acme"]
    assert relations(docs[1]) == [("York", "r", "co-")]
    assert counts.entities == 5 and counts.overlapping == 1
    lines = counts.lines()
    assert "Overlapping entities: in 1 documents" in "\n".join(lines) and "doc.spans['entities']" in "\n".join(lines)
    assert lines[0] == "Format: few-shot examples of spacy-llm, JSON, found from what the corpus holds"
    # Where none overlap, there is no group; a token is cut where an entity ends inside of it.
    nested["ents"][1] = {"start_char": 15, "end_char": 16, "label": "GPE"}
    counts = CorpusCounts()
    docs = read(write(nested), counts=counts)
    assert not docs[0].spans and relations(docs[0]) == [("u", "r", "co-")]
    assert any(line.startswith("Split tokens: 1,") for line in counts.lines())
    (doc,) = read(write(nested), spans_key="mine")
    assert len(doc.spans["mine"]) == 3 and not doc.ents


@pytest.mark.parametrize("label", ["No-rel", "no_relation", "NO RELATION"])
def test_a_label_that_says_there_is_none_is_no_label(read: Any, write: Any, label: str) -> None:
    counts = CorpusCounts()
    none = {"dep": 1, "dest": 0, "relation": label}
    told = {**LLM, "relations": [*LLM["relations"], none]}
    first, second = read(write(told, {**LLM, "relations": [none]}), counts=counts)
    assert relations(first) == [("Ann", "runs", "Acme")] and relations(second) == []
    assert dict(counts.dropped) == {f"relations with the label {label!r}, which are pairs without one": 2}


def test_spacy_llm(read: Any, write: Any) -> None:
    (doc,) = read(write(LLM))
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Ann", "PERSON"), ("Acme", "ORG")]
    assert relations(doc) == [("Ann", "runs", "Acme")] and ID_KEY not in doc.user_data
    with pytest.raises(ValueError, match=r"\[R409\]"):
        read(write({**LLM, "relations": [{"dep": 0, "dest": 7, "relation": "runs"}]}))
