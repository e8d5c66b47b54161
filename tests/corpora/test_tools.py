"""The formats of annotation tools: what is read of each, what is told of what can't be, and the way back."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from spacy_ragre.corpora import CorpusCounts, convert, doc_from_dict, doc_to_dict, export_docs
from spacy_ragre.corpora.formats import recognise
from spacy_ragre.relations import ID_KEY

TEXT = "Ann runs Acme."
ENDS = {"head_span": {"start": 0, "end": 3, "label": "PERSON"}, "child_span": {"start": 9, "end": 13, "label": "ORG"}}
PRODIGY: Dict[str, Any] = {
    "text": TEXT,
    "spans": [
        {"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "PERSON"},
        {"start": 9, "end": 13, "token_start": 2, "token_end": 2, "label": "ORG", "text": "Acme"},
    ],
    "tokens": [{"text": "Ann", "start": 0, "end": 3, "id": 0}, {"text": "runs", "start": 4, "end": 8, "id": 1}],
    "relations": [{"head": 0, "child": 2, "label": "runs", **ENDS}],
    "_task_hash": 7,
    "answer": "accept",
}
DOCCANO: Dict[str, Any] = {
    "id": 7,
    "text": TEXT,
    "entities": [
        {"id": 4, "label": "PERSON", "start_offset": 0, "end_offset": 3},
        {"id": 9, "label": "ORG", "start_offset": 9, "end_offset": 13},
    ],
    "relations": [{"id": 1, "from_id": 4, "to_id": 9, "type": "runs"}],
}
REGIONS: List[Dict[str, Any]] = [
    {"id": "a", "type": "labels", "value": {"start": 0, "end": 3, "text": "Ann", "labels": ["PERSON"]}},
    {"id": "b", "type": "labels", "value": {"start": 9, "end": 13, "labels": ["ORG"]}},
]
LINK = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right", "labels": ["runs"]}
STUDIO: Dict[str, Any] = {"id": 7, "data": {"text": TEXT}, "annotations": [{"result": [*REGIONS, LINK]}]}
GLIREL: Dict[str, Any] = {
    "tokenized_text": ["Ann", "runs", "Acme", "."],
    "ner": [[0, 0, "PERSON", "Ann"], [2, 2, "ORG", "Acme"], [0, 0, "PERSON", "Ann"]],
    "relations": [
        {
            "head": {"mention": "Ann", "position": [0, 0], "type": "PERSON"},
            "tail": {"mention": "Acme", "position": [2, 2], "type": "X"},
            "relation_text": "runs",
        }
    ],
}
ANN = "T1\tPERSON 0 3\tAnn\nT2\tORG 9 13\tAcme\nR1\truns Arg1:T1 Arg2:T2\n"
EXPECTED = ([("Ann", "PERSON"), ("Acme", "ORG")], [("Ann", "runs", "Acme")])


def studio(*results: Any, **task: Any) -> Dict[str, Any]:
    return {**STUDIO, "annotations": [{"result": list(results)}], **task}


def load(path: Path) -> List[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def content(doc: Doc) -> Any:
    ents = doc.spans["entities"] if "entities" in doc.spans else doc.ents
    found = [(rel.head.text, rel.label, rel.tail.text) for rel in doc._.relations]
    return [(ent.text, ent.label_) for ent in ents], found


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Tuple[List[Doc], Dict[str, int]]]:
    """Converts records or a path, and gives the documents and what was left out."""

    def call(*records: Any, **settings: Any) -> Tuple[List[Doc], Dict[str, int]]:
        path = records[0]
        if not isinstance(path, Path):
            path = tmp_path / "in.any"
            path.write_text("\n".join(map(json.dumps, records)), encoding="utf8")
        counts = CorpusCounts()
        convert(path, tmp_path / "out.spacy", counts=counts, **settings)
        return load(tmp_path / "out.spacy"), {what: count for what, count in counts.dropped.items() if count}

    return call


@pytest.fixture
def brat(tmp_path: Path) -> Callable[..., Path]:
    def write(ann: Any = ANN, text: Any = TEXT, name: str = "brat/d1") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for ending, data in ((".ann", ann), (".txt", text)):
            path.with_name(path.name + ending).write_bytes(data if isinstance(data, bytes) else data.encode())
        return tmp_path / "brat"

    return write


@pytest.mark.parametrize(
    "record, name",
    [
        (PRODIGY, "prodigy"),
        (DOCCANO, "doccano"),
        (STUDIO, "labelstudio"),
        ([STUDIO], "labelstudio"),
        (GLIREL, "glirel"),
    ],
)
def test_what_is_read(read: Any, tmp_path: Path, record: Any, name: str) -> None:
    (doc,), dropped = read(record)
    assert content(doc) == EXPECTED and doc.text == TEXT and dropped == {}
    assert doc.user_data.get(ID_KEY) == (None if name == "glirel" else "7")
    assert recognise(tmp_path / "in.any") == name


@pytest.mark.parametrize("format", ["prodigy", "doccano", "labelstudio", "brat", "jsonl"])
def test_there_and_back(tmp_path: Path, format: str) -> None:
    first = {
        "id": "a/b 1",
        "text": "Ann \U0001f600 runs\nAcme Inc. York",
        "ents": [
            {"start": 0, "end": 3, "label": "PERSON"},
            {"start": 11, "end": 20, "label": "ORG"},
            {"start": 11, "end": 15, "label": "NAME"},
        ],
        "relations": [{"head": 0, "tail": 2, "label": "runs"}, {"head": 1, "tail": 0, "label": "run_by"}],
    }
    second = {"id": "..", "text": "No one.", "ents": [], "relations": []}
    vocab = spacy.blank("en")
    docs = [doc_from_dict(item, vocab, spans_key="entities", split_tokens=True) for item in (first, second)]
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "docs.spacy")
    counts = CorpusCounts()
    assert export_docs(tmp_path / "docs.spacy", tmp_path / "out", format, counts=counts) == 2
    assert counts.dropped_items() == [] and recognise(tmp_path / "out") == format
    settings = {"spans_key": "entities"} if format == "jsonl" else {}
    convert(tmp_path / "out", tmp_path / "back.spacy", counts=CorpusCounts(), **settings)
    back = {doc.user_data[ID_KEY]: doc_to_dict(doc, "entities") for doc in load(tmp_path / "back.spacy")}
    assert back == {"a/b 1": first, "..": second}


def test_what_a_format_cannot_hold_is_told(tmp_path: Path) -> None:
    record = {
        "text": TEXT,
        "ents": [
            {"start": 0, "end": 3, "label": "A", "usage": "started", "kb_id": "Q1"},
            {"start": 9, "end": 13, "label": "B"},
        ],
        "clusters": [[0], [1]],
        "relations": [{"head": 0, "tail": 1, "label": "r", "score": 0.5}],
        "triples": [["a", "b", "c"]],
        "labels": ["r"],
    }
    docs = [doc_from_dict(record), doc_from_dict({"text": TEXT})]
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "docs.spacy")
    counts = CorpusCounts()
    export_docs(tmp_path / "docs.spacy", tmp_path / "out", "labelstudio", counts=counts)
    assert set(counts.dropped_items()) == {
        "entity clusters 2",
        "ids in a knowledge base 1",
        "lists of annotated labels 1",
        "marks of documents that were not annotated for relations 1",
        "scores of relations 1",
        "triples 1",
        "usage of entities 1",
    }
    with pytest.warns(UserWarning, match=r"\[W337\].*triples 1"):
        export_docs(tmp_path / "docs.spacy", tmp_path / "out", "doccano")


def test_prodigy(read: Any, tmp_path: Path) -> None:
    tasks = [{**PRODIGY, "_task_hash": i, "answer": answer} for i, answer in enumerate(("accept", "reject", "ignore"))]
    # Without spans of the arguments there are tokens; those that are no entity become one.
    short = {"head": 1, "child": 2, "label": "by"}
    (first, second, third), dropped = read(
        *tasks,
        {**PRODIGY, "_task_hash": 5, "relations": [short], "meta": {"id": "mine"}},
        {**PRODIGY, "_task_hash": 6, "relations": None},
    )
    assert dropped == {
        "documents with the answer 'reject'": 1,
        "documents with the answer 'ignore'": 1,
        "types of relation arguments that are no span (kept as ENTITY)": 1,
    }
    assert content(second)[1] == [("runs", "by", "Acme")] and second.user_data[ID_KEY] == "mine"
    assert content(third) == (EXPECTED[0], [])
    path = tmp_path / "tasks"
    path.write_text("\n".join(map(json.dumps, tasks)), encoding="utf8")
    with pytest.warns(UserWarning, match=r"\[W337\].*reject"):
        convert(path, tmp_path / "out.spacy")


def test_doccano_without_relations(read: Any) -> None:
    old = {"text": TEXT, "label": [[0, 3, "PERSON"], [9, 13, "ORG"]], "Comments": ["check"]}
    (doc,), dropped = read(old)
    assert content(doc) == (EXPECTED[0], []) and dropped == {"comments": 1}


def test_label_studio(read: Any) -> None:
    back, both = ({**LINK, "direction": direction} for direction in ("left", "bi"))
    (left, two, emoji, none), dropped = read(
        studio(*REGIONS, back, id=1),
        studio(*REGIONS, both, {**LINK, "labels": []}, {"type": "choices", "value": {"choices": ["x"]}}, id=2),
        studio(
            {"id": "a", "type": "labels", "value": {"start": 3, "end": 6, "text": "Ann", "labels": ["P", "Q"]}},
            data={"x": "long enough to be longer", "body": "\U0001f600 Ann"},
            id=3,
        ),
        {**STUDIO, "annotations": [], "predictions": [{}], "id": 4},
        {**STUDIO, "annotations": [{"was_cancelled": True, "result": []}], "id": 5},
    )
    assert content(left)[1] == [("Acme", "runs", "Ann")] and len(content(two)[1]) == 2
    assert content(emoji)[0] == [("Ann", "P"), ("Ann", "Q")] and none.text == TEXT
    assert dropped == {
        "relations without a label": 1,
        "results of the type 'choices'": 1,
        "predictions": 1,
        "documents that were skipped": 1,
    }
    small = {"id": 1, "text": TEXT, "tag": [REGIONS[0]["value"]], "annotator": 1, "lead_time": 2.5}
    (doc,), dropped = read(small)
    assert content(doc) == ([("Ann", "PERSON")], []) and "JSON-MIN" in next(iter(dropped))


def test_label_studio_counts_as_browsers_do(read: Any) -> None:
    """An emoji counts as two characters, also where the other way to count finds the same words."""

    def region(start: int, end: int, text: str) -> Dict[str, Any]:
        return {
            "id": f"{start}",
            "type": "labels",
            "value": {"start": start, "end": end, "text": text, "labels": ["A"]},
        }

    text = "\U0001f600"
    (first, second), _ = read(
        studio(region(0, 2, text), data={"text": text}, id=1),
        studio(region(2, 3, "a"), data={"text": f"{text}aa"}, id=2),
    )
    assert [(ent.start_char, ent.end_char) for doc in (first, second) for ent in doc.ents] == [(0, 1), (1, 2)]


def test_brat(read: Any, brat: Any) -> None:
    extra = (
        "T3\tX 0 3;9 13\tAnn Acme\nT4\tORG 9 13\nE1\trun:T3 Who:T1\nA1\tNegation E1\n#1\tAnnotatorNotes T1\tsure?\n"
        "R2\tr Arg1:E1 Arg2:T1\nR3\tr Arg1:R1 Arg2:T1\n*\tEquiv T2 T4\nN1\tReference T1 Wiki:Q1\tAnn\n"
    )
    brat("", "Nothing.", "brat/deep/d2")
    (folder_alone := brat(ANN + extra)).joinpath("alone.txt").write_text("x")
    (first, second), dropped = read(folder_alone)
    assert first.user_data[ID_KEY] == "d1" and second.user_data[ID_KEY] == "deep/d2"
    assert content(first)[0] == [*EXPECTED[0], (TEXT[:-1], "X"), ("Acme", "ORG")]
    assert content(first)[1] == EXPECTED[1] and first.spans["entities"][0].kb_id_ == "Wiki:Q1"
    assert [[span.text for span in cluster] for cluster in first._.entity_clusters] == [
        ["Ann"],
        ["Acme"] * 2,
        [TEXT[:-1]],
    ]
    assert dropped == {
        "events": 1,
        "attributes": 1,
        "notes": 1,
        "relations with an event as an argument": 1,
        "relations with a relation as an argument": 1,
        "gaps of entities with several parts (kept from first to last character)": 1,
        "texts without a file of annotations": 1,
    }
    (doc,), _ = read(folder_alone / "d1.txt", format="brat")
    assert content(doc)[1] == EXPECTED[1]


@pytest.mark.parametrize("ends", [b"\r\n", b"\r", b"\n"])
@pytest.mark.parametrize("marked", [0, 1])
def test_brat_line_ends_and_marks(read: Any, brat: Any, ends: bytes, marked: int) -> None:
    # Offsets may count the byte order mark as a character.
    gap = len(ends) + marked
    ann = f"T1\tA {marked} {3 + marked}\tAnn\nT2\tB {3 + gap} {7 + gap}\tAcme\nR1\tr a:T1 b:T2\n".encode()
    text = (b"\xef\xbb\xbf" if marked else b"") + b"Ann" + ends + b"Acme"
    (doc,), _ = read(brat(ann.replace(b"\n", ends), text))
    assert content(doc) == ([("Ann", "A"), ("Acme", "B")], [("Ann", "r", "Acme")])


def test_glirel(read: Any) -> None:
    other = {"head": {"position": [1, 1], "mention": "runs"}, "tail": {"position": [2, 2]}, "relation_text": "is r"}
    (doc,), _ = read({**GLIREL, "relations": [other]})
    assert content(doc) == ([EXPECTED[0][0], ("runs", "ENTITY"), EXPECTED[0][1]], [("runs", "is r", "Acme")])
    assert [token.text for token in doc] == GLIREL["tokenized_text"]


@pytest.fixture
def tutorial(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of spaCy's tutorial."""

    def write(*rels: Any) -> Path:
        docs = []
        for rel in rels:
            doc = Doc(spacy.blank("en").vocab, words=["Ann", "runs", "Acme", "."], spaces=[True, True, False, False])
            doc.ents = (Span(doc, 0, 1, "PERSON"), Span(doc, 2, 3, "ORG"))
            if rel is not None:
                doc.user_data["._.", "rel", None, None] = rel
            docs.append(doc)
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "rel.spacy")
        return tmp_path / "rel.spacy"

    return write


def test_spacy_rel(read: Any, tutorial: Any) -> None:
    rel = {(0, 2): {"runs": 1.0, "by": 0.2}, (2, 0): {"runs": 0.0}}
    path = tutorial(rel, None)
    assert recognise(path) == "spacy-rel"
    (first, second), dropped = read(path)
    assert content(first) == EXPECTED and content(second) == (EXPECTED[0], [])
    assert dropped == {"relations with a value below 0.5": 1}
    assert [len(doc.spans["s"]) for doc in read(path, spans_key="s")[0]] == [2, 2]
    for bad in ({(1, 2): {"runs": 1}}, {(0, 2): 1}, {(0, 2): {"runs": "yes"}}, {0: {}}, [1]):
        with pytest.raises(ValueError, match=r"document 1: \[R347\]"):
            read(tutorial(bad), format="spacy-rel")


def changed(record: Dict[str, Any], key: str, index: int, **values: Any) -> Dict[str, Any]:
    items = [{**item, **values} if i == index else item for i, item in enumerate(record[key])]
    return {**record, key: items}


GLIREL_END = {**GLIREL, "ner": [[0, 1, "PERSON", "Ann"]], "relations": []}


@pytest.mark.parametrize(
    "record, code, part",
    [
        (changed(PRODIGY, "spans", 1, end=12), "R341", "'Acm'"),
        (changed(PRODIGY, "spans", 0, label=""), "R405", "spans[0]"),
        (changed(PRODIGY, "relations", 0, label=None), "R405", "label"),
        (changed(PRODIGY, "relations", 0, head=9, head_span=None), "R342", "9"),
        (changed(PRODIGY, "spans", 0, end=99), "R406", "99"),
        (changed(DOCCANO, "relations", 0, to_id=5), "R342", "to_id"),
        (changed(DOCCANO, "entities", 1, id=4), "R343", "4"),
        (changed(DOCCANO, "entities", 1, label=None), "R405", "label"),
        (studio(*REGIONS, {**LINK, "to_id": "c"}), "R342", "'c'"),
        (studio(REGIONS[0], REGIONS[0]), "R343", "'a'"),
        (studio({"id": "a", "type": "labels", "value": {"start": "/p[1]", "end": "/p[1]"}}), "R349", "/p[1]"),
        (studio({**REGIONS[0], "value": {**REGIONS[0]["value"], "text": "Bob"}}), "R341", "'Bob'"),
        (studio(data={"image": 1}), "R349", "no text"),
        (studio(*REGIONS, data=None), "R405", "data"),
        (GLIREL_END, "R341", "the end included"),
        (changed(GLIREL, "relations", 0, head={"position": [0, 9]}), "R342", "[0, 9]"),
        ({**GLIREL, "tokenized_text": ["a", ""]}, "R405", "tokenized_text"),
        ({**GLIREL, "ner": [[0]]}, "R405", "ner"),
    ],
)
def test_what_cannot_be_read(read: Any, record: Any, code: str, part: str) -> None:
    with pytest.raises(ValueError, match=rf"- line 1: \[{code}\]") as error:
        read(record)
    assert part in str(error.value)


def test_r337_ids_are_different(read: Any) -> None:
    with pytest.raises(ValueError, match=r"- line 2: \[R337\].*'7' is that of line 1"):
        read(DOCCANO, DOCCANO)
    left: List[Any] = []
    docs, _ = read(DOCCANO, DOCCANO, on_error=lambda *item: left.append(item))
    assert len(docs) == 1 and [place for place, _, _ in left] == ["line 2"]


@pytest.mark.parametrize(
    "ann, code, part",
    [
        ("T1\tA 0 4\tAnna\n", "R341", "line 1, T1"),
        ("T1\tA 0 3\tAnn\nT1\tA 0 3\tAnn\n", "R343", "line 2"),
        ("T1\tA 0 3\tAnn\nR1\tr a:T1 b:T9\n", "R342", "'T9'"),
        ("*\tEquiv T1 T2\n", "R342", "'T1'"),
        ("T1 A 0 3 Ann\n", "R344", "line 1"),
        ("T1\tA 3 0\n", "R406", "start=3"),
        ("T1\tA 0 3\tAnn\nR1\tr a:E1 b:T1\n", "R342", "'E1'"),
    ],
)
def test_brat_that_cannot_be_read(read: Any, brat: Any, ann: str, code: str, part: str) -> None:
    folder = brat(ann)
    with pytest.raises(ValueError, match=rf"- d1.ann: \[{code}\]") as error:
        read(folder)
    assert part in str(error.value)
    left: List[Any] = []
    brat(name="brat/good")
    docs, _ = read(folder, on_error=lambda *item: left.append(item))
    assert len(docs) == 1 and [(place, raw) for place, raw, _ in left] == [("d1.ann", ann)]


def test_brat_files_that_cannot_be_read(read: Any, brat: Any) -> None:
    folder = brat(text="caf\xe9".encode("latin-1"))
    with pytest.raises(ValueError, match=r"- d1.ann: \[R332\]"):
        read(folder)
    brat(name="brat/good")
    (folder / "d1.txt").unlink()
    with pytest.raises(ValueError, match=r"- d1.ann: \[R345\].*d1.txt"):
        read(folder)


def test_what_brat_cannot_write(tmp_path: Path) -> None:
    def save(*records: Dict[str, Any]) -> Path:
        docs = [doc_from_dict({"text": TEXT, "relations": [], **record}) for record in records]
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "docs.spacy")
        return tmp_path / "docs.spacy"

    with pytest.raises(ValueError, match=r"\[R346\].*'two words'"):
        ent = {"start": 0, "end": 3, "label": "two words"}
        export_docs(save({"id": "a", "ents": [ent]}), tmp_path / "out", "brat")
    with pytest.raises(ValueError, match=r"\[R348\].*'a'"):
        export_docs(save({"id": "a"}, {"id": "a"}), tmp_path / "out", "brat")
    assert not (tmp_path / "out").exists()
    assert export_docs(save({}, {}), tmp_path / "out", "brat") == 2
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["annotation.conf", "doc00001.ann", "doc00001.txt", "doc00002.ann", "doc00002.txt"]
    clusters = {
        "id": "c",
        "ents": [{"start": 0, "end": 3, "label": "A"}, {"start": 9, "end": 13, "label": "A"}],
        "clusters": [[0, 1]],
    }
    export_docs(save(clusters), tmp_path / "other", "brat", counts=CorpusCounts())
    assert "*\tEquiv T1 T2\n" in (tmp_path / "other" / "c.ann").read_text(encoding="utf8")
    assert Counter((tmp_path / "other" / "annotation.conf").read_text(encoding="utf8").split())["A"] == 1
