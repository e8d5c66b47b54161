"""What is wrong with a file of any format is told in one message, with file, place, what was found and what is wanted;
the rest of the file is kept where that is asked for.
"""

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_ragre.corpora import CorpusCounts, convert, convert_split, doc_from_dict, export_docs
from spacy_ragre.corpora.formats import READERS, recognise
from spacy_ragre.corpora.spacy_rel import KEY
from spacy_ragre.relations import ID_KEY

NLP = spacy.blank("en")
FORMATS = sorted(READERS)
WRITTEN = {"docred": "docred-docs"}
# Formats of whole objects in JSON, of text, and of a file for each document.
LINES = ("jsonl", "prodigy", "doccano", "spacy-llm", "glirel")
LISTS = ("labelstudio", "spert", "tacred", "docred", "bioc")
FOLDERS = ("brat", "webanno", "uima")
TEXTS = ("semeval", "pubtator")
JSON = (*LINES, *LISTS)
NO_IDS = ("glirel", "spacy-llm")
WORDS = (("Ann", "runs", "Acme"), ("Bob", "owns", "Café"), ("Eve", "met", "Al"))
ALL = [words[0] for words in WORDS]
OTHERS = ["Ann", "Eve"]


def document(number: int, words: Tuple[str, ...]) -> Doc:
    text = " ".join(words)
    start = len(text) - len(words[-1])
    ents = [{"start": 0, "end": 3, "label": "PERSON"}, {"start": start, "end": len(text), "label": "ORG"}]
    relation = {"head": 0, "tail": 1, "label": words[1]}
    return doc_from_dict({"id": str(number), "text": text, "ents": ents, "relations": [relation]}, NLP)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Three documents in a format, as `export` writes them."""
    folder = tmp_path_factory.mktemp("written")
    docs = [document(i, words) for i, words in enumerate(WORDS, 1)]
    DocBin(docs=docs, store_user_data=True).to_disk(folder / "docs.spacy")

    def write(name: str) -> Path:
        path = folder / name
        if not path.exists():
            export_docs(folder / "docs.spacy", path, WRITTEN.get(name, name), counts=CorpusCounts())
        return path

    return write


@pytest.fixture
def damaged(written: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """Those documents with the bytes of the file changed; in a folder, those of the second document's."""

    def change(name: str, edit: Callable[[bytes], bytes]) -> Path:
        source, target = written(name), tmp_path / "in"
        if not source.is_dir():
            target.write_bytes(edit(source.read_bytes()))
            return target
        target.mkdir()
        for file in source.iterdir():
            data = file.read_bytes()
            mine = file.name.startswith("2.") and file.suffix != ".txt"
            (target / file.name).write_bytes(edit(data) if mine else data)
        return target

    return change


def edit_records(name: str, edit: Callable[[List[Any]], None]) -> Callable[[bytes], bytes]:
    """RETURNS (Callable[[bytes], bytes]): changes the records of a file of JSON."""

    def change(data: bytes) -> bytes:
        text = data.decode()
        if name in LINES:
            records = [json.loads(line) for line in text.splitlines()]
            edit(records)
            return "".join(json.dumps(record) + "\n" for record in records).encode()
        whole = json.loads(text)
        edit(whole["documents"] if name == "bioc" else whole)
        return json.dumps(whole).encode()

    return change


def replace(old: str, new: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old.encode() in data
        return data.replace(old.encode(), new.encode(), 1)

    return change


def firsts(path: Path) -> List[str]:
    return sorted(str(doc[0]) for doc in DocBin().from_disk(path).get_docs(NLP.vocab))


def read(path: Path, name: str, tmp_path: Path, **settings: Any) -> List[str]:
    """RETURNS (List[str]): the first word of each document."""
    convert(path, tmp_path / "out.spacy", name, counts=CorpusCounts(), **settings)
    return firsts(tmp_path / "out.spacy")


def told(path: Path, name: str, tmp_path: Path) -> str:
    with pytest.raises((ValueError, OSError)) as error:
        read(path, name, tmp_path)
    return str(error.value)


def kept(path: Path, name: str, tmp_path: Path) -> Tuple[List[str], List[Any]]:
    """What is kept of a file, and what was left out."""
    left: List[Any] = []
    return read(path, name, tmp_path, on_error=lambda *item: left.append(item)), left


def second(name: str, **fields: Any) -> Callable[[List[Any]], None]:
    """Changes a field of the second record, which is named by a path; None takes it away."""

    def edit(records: List[Any]) -> None:
        for path, value in fields.items():
            place: Any = records[1]
            *parts, last = path.split("__")
            for part in parts:
                place = place[int(part) if part.isdigit() else part]
            if value is None:
                del place[last]
            else:
                place[int(last) if last.isdigit() else last] = value

    return edit


# For each format: a field that is missing, and offsets that don't match, in the second document; what the message says.
MISSING: Dict[str, Tuple[Callable[[bytes], bytes], str]] = {
    "jsonl": (edit_records("jsonl", second("", ents__0__start=None)), "line 2: [R405]"),
    "prodigy": (edit_records("prodigy", second("", spans__0__end=None)), "line 2: [R405]"),
    "doccano": (edit_records("doccano", second("", relations__0__to_id=None)), "line 2: [R405]"),
    "spacy-llm": (edit_records("spacy-llm", second("", relations__0__dep=None)), "line 2: [R405]"),
    "glirel": (edit_records("glirel", second("", relations__0__head__position=None)), "line 2: [R405]"),
    "labelstudio": (
        edit_records("labelstudio", second("", annotations__0__result__0__value__start=None)),
        "document 2 (line 1): [R349]",
    ),
    "spert": (edit_records("spert", second("", entities__0__end=None)), "document 2 (line 1): [R405]"),
    "tacred": (edit_records("tacred", second("", obj_type=None)), "document 2 (line 1): [R405]"),
    "docred": (edit_records("docred", second("", vertexSet__0__0__pos=None)), "document 2: [R431]"),
    "bioc": (edit_records("bioc", second("", passages__0__offset=None)), "document 2: [R405]"),
    "brat": (replace("T2\tORG 9 13", "T2\tORG 9"), "2.ann: [R344]"),
    "webanno": (replace("\tORG\t", "\t"), "2.tsv: line 9: [R382]"),
    "uima": (replace('"%FEATURE_STRUCTURES"', '"%OTHER"'), "2.json: [R384]"),
    "semeval": (replace("2\t", "2 "), "[R410]"),
    "pubtator": (replace("2\t0\t3\tBob\tPERSON\tM1", "2\t0\t3\tBob"), "line 7: [R379]"),
}
OFFSETS: Dict[str, Tuple[Callable[[bytes], bytes], str]] = {
    "jsonl": (edit_records("jsonl", second("", ents__1__end=99)), "line 2: [R406]"),
    "prodigy": (edit_records("prodigy", second("", spans__1__start=4)), "line 2: [R341]"),
    "doccano": (edit_records("doccano", second("", entities__1__end_offset=99)), "line 2: [R406]"),
    "spacy-llm": (edit_records("spacy-llm", second("", ents__1__end_char=99)), "line 2: [R406]"),
    "glirel": (edit_records("glirel", second("", ner__1__1=9)), "line 2: [R342]"),
    "labelstudio": (
        edit_records("labelstudio", second("", annotations__0__result__0__value__start=1)),
        "document 2 (line 1): [R341]",
    ),
    "spert": (edit_records("spert", second("", entities__0__end=9)), "document 2 (line 1): [R378]"),
    "tacred": (edit_records("tacred", second("", obj_end=9)), "document 2 (line 1): [R374]"),
    "docred": (edit_records("docred", second("", vertexSet__0__0__pos=[0, 9])), "document 2: [R431]"),
    "bioc": (
        edit_records("bioc", second("", passages__0__annotations__0__locations=[{"offset": 1, "length": 3}])),
        "[R380]",
    ),
    "brat": (replace("T2\tORG 9 13", "T2\tORG 8 12"), "2.ann: [R341]"),
    "webanno": (replace("\t4-8\t", "\t4-9\t"), "2.tsv: line 8: [R382]"),
    "uima": (replace('"begin": 9, "end": 13, "value"', '"begin": 9, "end": 99, "value"'), "2.json: [R384]"),
    "semeval": (replace("<e2>Café", "Café"), "line 5: [R410]"),
    "pubtator": (replace("2\t9\t13", "2\t8\t12"), "line 8: [R379]"),
}
# Two documents of one id. brat and WebAnno have file names; the interchange format may repeat an id.
DUPLICATES: Dict[str, Tuple[Callable[[bytes], bytes], str]] = {
    "prodigy": (edit_records("prodigy", second("", meta={"id": "1"})), "line 2: [R337]"),
    "doccano": (edit_records("doccano", second("", id="1")), "line 2: [R337]"),
    "labelstudio": (edit_records("labelstudio", second("", data__id="1")), "document 2 (line 1): [R337]"),
    "spert": (edit_records("spert", second("", orig_id="1")), "document 2 (line 1): [R337]"),
    "tacred": (edit_records("tacred", second("", id="1")), "document 2 (line 1): [R337]"),
    "docred": (edit_records("docred", second("", title="1")), "document 2: [R433]"),
    "bioc": (edit_records("bioc", second("", id="1")), "document 2: [R337]"),
    "uima": (replace('"documentId": "2"', '"documentId": "1"'), "2.json: [R337]"),
    "semeval": (replace("2\t", "1\t"), "line 5: [R412]"),
    "pubtator": (lambda data: data.replace(b"2|", b"1|").replace(b"\n2\t", b"\n1\t"), "[R337]"),
}
CASES = [
    pytest.param(kind, name, *case, id=f"{name}-{kind}")
    for kind, cases in (("missing", MISSING), ("offsets", OFFSETS), ("duplicate", DUPLICATES))
    for name, case in cases.items()
]


def test_every_format_is_tried() -> None:
    assert set(MISSING) == set(OFFSETS) == set(READERS) - {"spacy-rel"}


@pytest.mark.parametrize("kind, name, edit, message", CASES)
def test_one_bad_document(
    damaged: Any, tmp_path: Path, kind: str, name: str, edit: Callable[[bytes], bytes], message: str
) -> None:
    """One message with file and place, and the others are kept."""
    path = damaged(name, edit)
    error = told(path, name, tmp_path)
    assert "[R402]" in error and str(path) in error and "1 problem(s)" in error, error
    assert message in error, error
    found, left = kept(path, name, tmp_path)
    assert found == OTHERS and len(left) == 1, left


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("given", [True, False])
def test_an_empty_file(tmp_path: Path, name: str, given: bool) -> None:
    for content in (b"", b"\xef\xbb\xbf \r\n"):
        (tmp_path / "in").write_bytes(content)
        error = told(tmp_path / "in", name if given else None, tmp_path)
        assert str(tmp_path / "in") in error and re.search(r"\[R(334|415|345|384)\]", error), error


@pytest.mark.parametrize("name", sorted({*JSON, *TEXTS, *FOLDERS}))
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_other_encodings(damaged: Any, tmp_path: Path, name: str, encoding: str) -> None:
    path = damaged(name, lambda data: data.decode().encode(encoding))
    error = told(path, name, tmp_path)
    wanted = r"\[R332\]" if encoding != "latin-1" else r"\[R(332|403)\]"
    assert re.search(wanted, error) and "UTF-8" in error and str(path) in error, error
    if name in FOLDERS or (encoding == "latin-1" and name in LINES):
        found, left = kept(path, name, tmp_path)
        assert found == OTHERS and len(left) == 1


@pytest.mark.parametrize("name", sorted({*JSON, *TEXTS, *FOLDERS}))
@pytest.mark.parametrize("ends", [b"\r\n", b"\r"])
def test_marks_and_line_ends(damaged: Any, tmp_path: Path, name: str, ends: bytes) -> None:
    path = damaged(name, lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", ends))
    assert recognise(path) == name and read(path, None, tmp_path) == ALL


@pytest.mark.parametrize("name", JSON)
def test_pretty_printed(damaged: Any, tmp_path: Path, name: str) -> None:
    def pretty(data: bytes) -> bytes:
        values = [json.loads(line) for line in data.splitlines()]
        return "\n".join(json.dumps(value, indent=2) for value in values).encode()

    path = damaged(name, pretty)
    if name == "jsonl":  # one object a line is what it is
        assert "[R444]" in told(path, name, tmp_path)
    else:
        assert read(path, None, tmp_path) == ALL


@pytest.mark.parametrize("name", sorted({*JSON, "semeval", "webanno", "uima", "spacy-rel"}))
def test_a_file_that_ends_too_early(damaged: Any, tmp_path: Path, name: str) -> None:
    path = damaged(name, lambda data: data[: len(data) * 3 // 5])
    error = told(path, name, tmp_path)
    assert str(path) in error and re.search(r"\[R\d+\]", error)


@pytest.mark.parametrize("name", FORMATS)
def test_another_format_than_was_named(written: Any, tmp_path: Path, name: str) -> None:
    """What is told is what is wanted, in one message."""
    other = "spert" if name in ("doccano", "jsonl") else "doccano"
    error = told(written(other), name, tmp_path)
    assert str(written(other)) in error or "in" in error
    assert re.search(r"\[R(338|440|410|379|382|384|345|404|415|430)\]", error), error


@pytest.mark.parametrize("name", LINES)
def test_mixed_formats(damaged: Any, tmp_path: Path, name: str) -> None:
    other = {"tokens": ["Ann"], "entities": [{"type": "PERSON", "start": 0, "end": 1}]}
    path = damaged(name, lambda data: data + json.dumps(other).encode())
    error = told(path, name, tmp_path)
    assert "line 4: " in error and "1 problem(s)" in error and "'entities'" in error or "[R338]" in error, error
    found, left = kept(path, name, tmp_path)
    assert found == ALL and len(left) == 1


def test_r336_nothing_is_written_over_what_is_read(written: Any, tmp_path: Path) -> None:
    source, output = written("jsonl"), tmp_path / "out.spacy"
    before = source.read_bytes()
    for call, paths in (
        (convert, (source, source)),
        (convert_split, (source, source, output)),
        (convert_split, (source, output, source)),
        (convert_split, (source, output, str(output))),
        (export_docs, (source, source)),
    ):
        with pytest.raises(ValueError, match=r"\[R336\]"):
            call(*paths)
    assert source.read_bytes() == before and not output.exists()


def test_spans_that_overlap_and_relations_to_relations(damaged: Any, tmp_path: Path) -> None:
    """What can't be kept is counted, the rest stays."""
    counts = CorpusCounts()
    extra = "T3\tPART 0 3;9 13\tBob Café\nR2\tr Arg1:R1 Arg2:T1\n"
    path = damaged("brat", lambda data: data + extra.encode())
    convert(path, tmp_path / "out.spacy", counts=counts)
    assert counts.overlapping == 1 and counts.dropped_items() == [
        "gaps of entities with several parts (kept from first to last character) 1",
        "relations with a relation as an argument 1",
    ]


def test_relations_to_relations_and_gaps_of_bioc(damaged: Any, tmp_path: Path) -> None:
    def edit(records: List[Any]) -> None:
        place = [{"offset": 0, "length": 3}, {"offset": 9, "length": 4}]
        passage = records[1]["passages"][0]
        passage["annotations"].append({"id": "x", "infons": {"type": "PART"}, "text": "Bob Café", "locations": place})
        records[1]["relations"].append(
            {"id": "R9", "infons": {"type": "r"}, "nodes": [{"refid": "R0"}, {"refid": "x"}]}
        )

    counts = CorpusCounts()
    convert(damaged("bioc", edit_records("bioc", edit)), tmp_path / "out.spacy", counts=counts)
    assert counts.overlapping == 1 and set(counts.dropped_items()) == {
        "gaps inside of discontinuous annotations 1",
        "relations to relations 1",
    }


def test_spacy_rel(written: Any, tmp_path: Path) -> None:
    docs = list(DocBin().from_disk(written("spacy-rel")).get_docs(NLP.vocab))
    docs[1].user_data[KEY] = {(0, 1): {"owns": 1.0}}
    docs[2].user_data[ID_KEY] = "1"
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "in.spacy")
    error = told(tmp_path / "in.spacy", "spacy-rel", tmp_path)
    assert "document 2: [R347]" in error and "document 3: [R337]" in error
    found, left = kept(tmp_path / "in.spacy", "spacy-rel", tmp_path)
    assert found == ["Ann"] and len(left) == 2
