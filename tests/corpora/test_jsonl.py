import json
import os

import numpy as np
import pytest
import spacy
from spacy.tokens import Span

import spacy_ragre
from spacy_ragre.corpora import convert, doc_from_dict, doc_to_dict, export_docs, read_jsonl, write_jsonl
from spacy_ragre.relations import ID_KEY, relations_key

SENTENCE = {
    "id": "d1",
    "text": "Pt stopped zinc, and takes iron for anemia.",
    "ents": [
        {"start": 11, "end": 15, "label": "SUPPLEMENT", "usage": "discontinued", "usage_score": 0.75},
        {"start": 27, "end": 31, "label": "SUPPLEMENT", "usage": "continuing"},
        {"start": 36, "end": 42, "label": "EVENT", "kb_id": "Q5445"},
    ],
    "relations": [
        {"head": 1, "tail": 2, "label": "positive"},
        {"head": 0, "tail": 2, "label": "negative", "score": 0.5, "evidence": {"examples": [{"id": "x"}]}},
    ],
    "triples": [["iron", "positive", "anemia"]],
}
DOCUMENT = {
    "id": "d2",
    "text": "Ada Byron wrote notes. She, Ada, lived in London.",
    "ents": [
        {"start": 0, "end": 9, "label": "PERSON"},
        {"start": 28, "end": 31, "label": "PERSON"},
        {"start": 42, "end": 48, "label": "PLACE"},
    ],
    "clusters": [[2], [0, 1]],
    "relations": [{"head": 1, "tail": 0, "label": "lived_in"}],
}
PLAIN = {"text": "", "ents": []}


def write(path, *records):
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def read_json(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_reads_sentence(tmp_path):
    (doc,) = read_jsonl(write(tmp_path / "a.jsonl", SENTENCE))
    assert doc.user_data[ID_KEY] == "d1"
    assert [(e.text, e.label_, e._.usage) for e in doc.ents] == [
        ("zinc", "SUPPLEMENT", "discontinued"),
        ("iron", "SUPPLEMENT", "continuing"),
        ("anemia", "EVENT", ""),
    ]
    assert doc.ents[0]._.usage_score == 0.75 and doc.ents[2].kb_id_ == "Q5445"
    rels = doc._.relations
    assert [(r.head.text, r.label, r.tail.text, r.score) for r in rels] == [
        ("iron", "positive", "anemia", 1.0),
        ("zinc", "negative", "anemia", 0.5),
    ]
    assert rels[0].head_cluster is None and rels[1].evidence == {"examples": [{"id": "x"}]}
    assert doc._.triples == [("iron", "positive", "anemia")]


def test_reads_clusters(tmp_path):
    (doc,) = read_jsonl(write(tmp_path / "a.jsonl", DOCUMENT))
    assert [[m.text for m in cluster] for cluster in doc._.entity_clusters] == [["London"], ["Ada Byron", "Ada"]]
    (rel,) = doc._.relations
    assert (rel.head.text, rel.head_cluster, rel.tail.text, rel.tail_cluster) == ("Ada Byron", 1, "London", 0)


@pytest.mark.parametrize("record", [SENTENCE, DOCUMENT, PLAIN, {**PLAIN, "relations": [], "labels": ["met"]}])
def test_round_trip_through_records(record):
    nlp = spacy.blank("en")
    for spans_key in (None, "sc"):
        doc = spacy_ragre.doc_from_dict(record, nlp, spans_key=spans_key)
        assert doc.vocab is nlp.vocab
        found = spacy_ragre.doc_to_dict(doc, spans_key=spans_key)
        assert found == record and json.loads(json.dumps(found)) == record


def test_labels_that_were_found_are_written_among_the_annotated_ones():
    doc = doc_from_dict({**SENTENCE, "labels": ["positive", "negative"]})
    doc._.annotated_labels = ["negative"]
    record = doc_to_dict(doc)
    assert record["labels"] == ["negative", "positive"]
    assert doc_to_dict(doc_from_dict(record)) == record


def test_records_with_numbers_of_numpy():
    numbers = {name: np.dtype(name).type for name in ("int64", "int32", "float32", "float16")}
    record = {
        "id": numbers["int64"](7),
        "text": "Ann runs Acme.",
        "ents": (
            {"start": numbers["int64"](0), "end": numbers["int32"](3), "label": np.str_("P")},
            {"start": 9, "end": 13, "label": "O", "usage_score": numbers["float16"](0.5)},
        ),
        "clusters": np.array([[0], [1]]),
        "relations": [
            {
                "head": numbers["int64"](0),
                "tail": 1,
                "label": "runs",
                "score": numbers["float32"](0.5),
                "evidence": {"n": numbers["float32"](0.25)},
            }
        ],
    }
    doc = doc_from_dict(record)
    doc.user_data[ID_KEY] = numbers["int64"](7)
    doc.ents[0]._.usage_score = numbers["float32"](0.25)
    assert json.loads(json.dumps(doc_to_dict(doc))) == {
        "id": 7,
        "text": "Ann runs Acme.",
        "ents": [
            {"start": 0, "end": 3, "label": "P", "usage_score": 0.25},
            {"start": 9, "end": 13, "label": "O", "usage_score": 0.5},
        ],
        "clusters": [[0], [1]],
        "relations": [{"head": 0, "tail": 1, "label": "runs", "score": 0.5, "evidence": {"n": 0.25}}],
    }


@pytest.mark.parametrize(
    "record, match",
    [
        ({"ents": []}, "R335.*1 problem.*\n.*R405.*'text'"),
        ({"text": "Ann.", "ents": [{"start": 0, "end": 2, "label": "A"}]}, "R335.*\n.*R407"),
        ({"text": "Ann.", "ents": [{"start": 0, "end": 9}]}, "R335.*2 problem.*\n.*R406.*\n.*R405"),
        ([1], "R335.*\n.*R404"),
        ({"text": object()}, "R013.*the record.*object"),
        ({"text": "A", "id": {1: [{2}]}}, "R013.*the record.*set"),
    ],
)
def test_r335_records_that_are_no_documents(record, match):
    with pytest.raises(ValueError, match=match):
        doc_from_dict(record)


def test_round_trip_through_spacy_file(tmp_path):
    records = [SENTENCE, DOCUMENT, PLAIN, {**PLAIN, "relations": []}]
    source = write(tmp_path / "a.jsonl", *records)
    assert convert(source, tmp_path / "new" / "a.spacy", "jsonl") == 4
    assert export_docs(tmp_path / "new" / "a.spacy", tmp_path / "b.jsonl") == 4
    assert read_json(tmp_path / "b.jsonl") == records
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl", "new"]


def test_unset_relations_are_not_empty_relations(tmp_path):
    unset, empty = read_jsonl(write(tmp_path / "a.jsonl", PLAIN, {**PLAIN, "relations": []}))
    assert relations_key() not in unset.user_data and empty.user_data[relations_key()] == []


def test_unicode_and_line_separators(tmp_path):
    text = "Z\u0308rich\u2028 \U0001f600 caf\u00e9"
    record = {"text": text, "ents": [{"start": 0, "end": 6, "label": "GPE"}]}
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(record, ensure_ascii=False).encode() + b"\r\n\n")
    (doc,) = read_jsonl(path)
    assert doc.text == text and doc.ents[0].text == text[:6]
    write_jsonl([doc], tmp_path / "b.jsonl")
    (again,) = read_jsonl(tmp_path / "b.jsonl")
    assert doc_to_dict(again) == record


def test_overlapping_entities(tmp_path):
    record = {
        "id": "o",
        "text": "Bank of China",
        "ents": [
            {"start": 0, "end": 13, "label": "ORG"},
            {"start": 8, "end": 13, "label": "GPE"},
            {"start": 8, "end": 13, "label": "LOC"},
        ],
        "relations": [{"head": 0, "tail": 2, "label": "in"}],
    }
    path = write(tmp_path / "a.jsonl", record)
    with pytest.raises(ValueError, match="R408.*'Bank of China' at \\(0, 13\\) and 'China' at \\(8, 13\\).*spans_key"):
        list(read_jsonl(path))
    (doc,) = read_jsonl(path, spans_key="sc")
    assert [s.label_ for s in doc.spans["sc"]] == ["ORG", "GPE", "LOC"] and not doc.ents
    assert doc_to_dict(doc, spans_key="sc") == record
    convert(path, tmp_path / "a.spacy", "jsonl", spans_key="sc")
    export_docs(tmp_path / "a.spacy", tmp_path / "b.jsonl", spans_key="sc")
    assert read_json(tmp_path / "b.jsonl") == [record]
    assert doc_to_dict(spacy.blank("en")("a"), spans_key="sc") == {"text": "a", "ents": []}


def test_offsets_inside_a_token(tmp_path):
    path = write(
        tmp_path / "a.jsonl", PLAIN, {"text": "Take vitamin D.", "ents": [{"start": 5, "end": 14, "label": "S"}]}
    )
    with pytest.raises(ValueError, match="line 2: .R407. ents.0., start=5 and end=14, text 'vitamin D'.*'D\\.'"):
        list(read_jsonl(path))
    _, doc = read_jsonl(path, split_tokens=True)
    assert doc.text == "Take vitamin D." and doc.ents[0].text == "vitamin D" and doc[-1].text == "."


ENT = {"start": 0, "end": 3, "label": "A"}


@pytest.mark.parametrize(
    "record, code, shown",
    [
        ('{"text"', "R404", "Expecting"),
        ("[1]", "R404", "list"),
        ({"ents": []}, "R405", "'text' to be a string, but it is missing"),
        ({"text": 3, "ents": []}, "R405", "3"),
        ({"text": "\ud800", "ents": []}, "R423", "character 0"),
        ({"text": "abc", "ents": {}}, "R405", "list of objects"),
        ({"text": "abc", "ents": [], "id": [1]}, "R405", "[1]"),
        ({"text": "abc", "ents": [{"start": 0, "label": "A"}]}, "R405", "ents[0] needs 'end'"),
        ({"text": "abc", "ents": [{"start": "0", "end": 3, "label": "A"}]}, "R405", "'0'"),
        ({"text": "abc", "ents": [{"start": False, "end": 3, "label": "A"}]}, "R405", "False"),
        ({"text": "abc", "ents": [ENT, ENT], "relations": [{"head": 0, "tail": 1, "label": ""}]}, "R405", "not empty"),
        ({"text": "abc", "relations": [{"head": 2, "tail": 0, "label": "r"}]}, "R442", "no entities"),
        ({"text": "abc", "ents": [], "id": "\ud800"}, "R423", "id has"),
        ({"text": "abc", "ents": [{**ENT, "label": "a\udfff"}]}, "R423", "ents[0].label"),
        ({"text": "abc", "ents": [], "id": 2**70}, "R441", "22 digits"),
        ({"text": "abc", "ents": [], "labels": "a"}, "R405", "labels"),
        (
            {"text": "abc", "ents": [ENT], "labels": ["b"], "relations": [{"head": 0, "tail": 0, "label": "a"}]},
            "R443",
            "'a'",
        ),
        ({"text": "Ann.", "entities": [[0, 3, "PERSON"]]}, "R440", "'entities', but no 'ents'"),
        ({"text": "Ann.", "spans": [], "relations": []}, "R440", "'spans', but no 'ents'"),
        ({"text": "Ann.", "ents": [], "rels": []}, "R440", "'rels', but no 'relations'"),
        ({"text": "abc", "ents": [{**ENT, "usage": 1}]}, "R405", "'usage'"),
        ({"text": "abc", "ents": [{**ENT, "end": 4}]}, "R406", "start=0 and end=4, but the text has 3"),
        ({"text": "abc", "ents": [{**ENT, "start": 3}]}, "R406", "start=3 and end=3"),
        ({"text": "abc", "ents": [{**ENT, "start": 2, "end": 1}]}, "R406", "start=2 and end=1"),
        ({"text": "abc", "ents": [{**ENT, "start": -1}]}, "R406", "start=-1"),
        ({"text": "abc", "ents": [ENT], "relations": [{"head": 0, "label": "r"}]}, "R405", "'tail'"),
        ({"text": "abc", "ents": [ENT], "relations": [{"head": 0, "tail": 0}]}, "R405", "relations[0] needs 'label'"),
        ({"text": "abc", "ents": [ENT], "relations": [{"head": 0, "tail": 1, "label": "r"}]}, "R409", "tail is 1"),
        ({"text": "abc", "ents": [ENT], "relations": [{"head": -1, "tail": 0, "label": "r"}]}, "R409", "head is -1"),
        ({"text": "abc", "ents": [ENT], "clusters": [[1]]}, "R409", "clusters[0][0] is 1"),
        ({"text": "abc", "ents": [ENT], "clusters": [[]]}, "R405", "one index or more"),
        (
            {"text": "abc", "ents": [ENT, ENT], "clusters": [[0]], "relations": [{"head": 0, "tail": 1, "label": "r"}]},
            "R409",
            "1 clusters",
        ),
        (
            '{"text": "abc", "ents": [{"start": 0, "end": 3, "label": "A"}], '
            '"relations": [{"head": 0, "tail": 0, "label": "r", "score": NaN}]}',
            "R405",
            "nan",
        ),
        ({"text": "abc", "ents": [], "triples": [["a", "b"]]}, "R405", "three strings"),
    ],
)
def test_problems(tmp_path, record, code, shown):
    path = write(tmp_path / "bad.jsonl", PLAIN, record)
    with pytest.raises(ValueError, match="R402") as err:
        list(read_jsonl(path))
    assert f"line 2: [{code}]" in str(err.value)
    assert shown in str(err.value) and str(path) in str(err.value)


def test_problems_are_gathered_and_the_first_shown(tmp_path):
    bad = {"text": "abc", "ents": [{"start": 0, "end": 9, "label": 3}]}
    path = write(tmp_path / "bad.jsonl", PLAIN, *[bad] * 6, PLAIN)
    got = []
    with pytest.raises(ValueError, match="12 problem.*first 10") as err:
        for doc in read_jsonl(path):
            got.append(doc)
    assert len(got) == 1 and str(err.value).count("- line") == 10


def test_ids_may_be_repeated(tmp_path):
    docs = list(read_jsonl(write(tmp_path / "a.jsonl", {**PLAIN, "id": 7}, "", {**PLAIN, "id": "7"})))
    write_jsonl(docs, tmp_path / "b.jsonl")
    assert [doc.user_data["ragre.id"] for doc in read_jsonl(tmp_path / "b.jsonl")] == ["7", "7"]


def test_null_is_absent(tmp_path):
    full = {
        "id": None,
        "text": "Ann runs Acme.",
        "ents": [{"start": 0, "end": 3, "label": "P", "kb_id": None}, {"start": 9, "end": 13, "label": "O"}],
        "relations": [{"head": 0, "tail": 1, "label": "runs", "score": None, "evidence": None}],
        "clusters": None,
        "triples": None,
        "labels": None,
    }
    (doc,) = read_jsonl(write(tmp_path / "a.jsonl", full))
    assert doc_to_dict(doc) == {
        "text": "Ann runs Acme.",
        "ents": [{"start": 0, "end": 3, "label": "P"}, {"start": 9, "end": 13, "label": "O"}],
        "relations": [{"head": 0, "tail": 1, "label": "runs"}],
    }


def test_spaces_at_the_edges_of_an_entity_are_left_out(tmp_path):
    text = "Microsoft was founded by Bill Gates."
    ents = [{"start": 0, "end": 10, "label": "ORG"}, {"start": 24, "end": 35, "label": "PER"}]
    for split_tokens in (False, True):
        (doc,) = read_jsonl(write(tmp_path / "a.jsonl", {"text": text, "ents": ents}), split_tokens=split_tokens)
        assert [(e.text, e.start_char, e.end_char) for e in doc.ents] == [("Microsoft", 0, 9), ("Bill Gates", 25, 35)]


def test_what_is_written_is_read_again(tmp_path):
    nlp = spacy.blank("en")
    doc = nlp("Ada met Bob .")
    doc.spans["sc"] = [Span(doc, 0, 1), Span(doc, 2, 2, "EMPTY"), Span(doc, 2, 3, "P")]
    doc._.relations = [{"head": Span(doc, 0, 1), "tail": Span(doc, 2, 3, "P"), "label": "met"}]
    doc._.annotated_labels = ["met", "knows"]
    write_jsonl([doc, doc], tmp_path / "a.jsonl", spans_key="sc")
    again = list(read_jsonl(tmp_path / "a.jsonl", spans_key="sc"))
    assert [s.label_ for s in again[0].spans["sc"]] == ["", "P"]
    assert again[0]._.annotated_labels == ["met", "knows"]
    assert [doc_to_dict(d, "sc") for d in again] == [doc_to_dict(doc, "sc")] * 2


def test_lines_with_errors_can_be_left_out(tmp_path):
    bad = {"text": "abc", "ents": [{"start": 0, "end": 9, "label": "A"}]}
    left_out = []
    path = write(tmp_path / "a.jsonl", PLAIN, bad, PLAIN)
    docs = list(read_jsonl(path, on_error=lambda *problem: left_out.append(problem)))
    ((place, line, messages),) = left_out
    assert len(docs) == 2 and place == "line 2" and json.loads(line) == bad and "R406" in messages[0]


def test_lines_in_another_encoding_can_be_left_out(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(PLAIN).encode() + b'\n{"text": "caf\xe9"}\n' + json.dumps(PLAIN).encode())
    left_out = []
    docs = list(read_jsonl(path, on_error=lambda *problem: left_out.append(problem)))
    ((place, line, messages),) = left_out
    assert len(docs) == 2 and (place, line) == ("line 2", "") and "R403" in messages[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_r332_other_encodings(tmp_path, encoding):
    (tmp_path / "a.jsonl").write_text(json.dumps(PLAIN) + "\n", encoding=encoding)
    with pytest.raises(ValueError, match=r"R332.*a\.jsonl is not in UTF-8.*iconv"):
        list(read_jsonl(tmp_path / "a.jsonl", on_error=lambda *problem: None))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks(tmp_path, end, mark):
    lines = [json.dumps(PLAIN), json.dumps(PLAIN), "{"]
    (tmp_path / "a.jsonl").write_bytes((mark + end.join(lines) + end).encode())
    places = []
    docs = list(read_jsonl(tmp_path / "a.jsonl", on_error=lambda *problem: places.append(problem[0])))
    assert len(docs) == 2 and places == ["line 3"]


@pytest.mark.parametrize("value", [[PLAIN, PLAIN], PLAIN])
def test_r444_one_value_over_many_lines_is_one_message(tmp_path, value):
    (tmp_path / "a.jsonl").write_text(json.dumps(value, indent=2), encoding="utf8")
    with pytest.raises(ValueError, match="R444"):
        list(read_jsonl(tmp_path / "a.jsonl"))


def test_nesting_that_is_too_deep(tmp_path):
    evidence = {}
    for _ in range(100):
        evidence = {"a": evidence}
    record = {**PLAIN, "relations": [{"head": 0, "tail": 0, "label": "a", "evidence": evidence}]}
    with pytest.raises(ValueError, match="R441.*nested"):
        list(read_jsonl(write(tmp_path / "a.jsonl", record)))


def test_bad_bytes_long_text_and_missing_file(tmp_path):
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "caf\xe9", "ents": []}\n')
    with pytest.raises(ValueError, match="line 1: .R403"):
        list(read_jsonl(tmp_path / "b.jsonl"))
    nlp = spacy.blank("en")
    nlp.max_length = 5
    with pytest.raises(ValueError, match="line 1: .R425.*E088"):
        list(read_jsonl(write(tmp_path / "c.jsonl", {"text": "too long", "ents": []}), nlp))
    with pytest.raises(FileNotFoundError, match="R401"):
        list(read_jsonl(tmp_path / "nowhere.jsonl"))


def test_nothing_is_left_after_a_failure(tmp_path):
    nlp = spacy.blank("en")
    path = tmp_path / "out.jsonl"

    def docs():
        yield nlp("one")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_jsonl(docs(), path)
    assert list(tmp_path.iterdir()) == []
    assert write_jsonl([nlp("one")], path) == 1
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        write_jsonl(docs(), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_write_mentions_that_are_no_entities():
    doc = spacy.blank("en")("Ada met Bob .")
    doc.ents = [Span(doc, 0, 1, "PERSON")]
    doc._.relations = [{"head": [0, 1], "tail": [2, 3], "label": "met"}]
    with pytest.raises(ValueError, match="R413.*the tail of 'met', 'Bob' .tokens 2 to 3.*doc.ents"):
        doc_to_dict(doc)
    doc._.relations = []
    doc._.entity_clusters = [[[2, 3]]]
    with pytest.raises(ValueError, match="R413.*mention of cluster 0 'Bob'"):
        doc_to_dict(doc)
    doc._.entity_clusters = []
    doc._.relations = [{"head": [0, 1], "tail": [0, 1], "label": "met"}]
    with pytest.raises(ValueError, match="R413.*entity clusters"):
        doc_to_dict(doc)


def test_write_clusters_that_were_not_set():
    doc = spacy.blank("en")("Ada met Bob , she said .")
    doc.ents = [Span(doc, 0, 1, "PERSON"), Span(doc, 2, 3, "PERSON")]
    doc.spans["coref_clusters_1"] = [doc[0:1], doc[4:5]]
    assert "clusters" not in doc_to_dict(doc)
    doc._.relations = [{"head": [0, 1], "tail": [2, 3], "label": "met", "head_cluster": 0, "tail_cluster": 1}]
    data = doc_to_dict(doc)
    assert data["clusters"] == [[0], [1]]
    assert data["relations"] == [{"head": 0, "tail": 1, "label": "met"}]


def test_scores_that_json_cannot_hold():
    doc = spacy.blank("en")("Ada met Bob .")
    doc.ents = [Span(doc, 0, 1, "PERSON"), Span(doc, 2, 3, "PERSON")]
    doc._.relations = [{"head": [0, 1], "tail": [2, 3], "label": "met"}]
    doc.user_data[relations_key()][0]["score"] = float("nan")
    with pytest.raises(ValueError, match="R424.*'met'.*nan"):
        doc_to_dict(doc)


@pytest.mark.skipif("RAGRE_ASSETS" not in os.environ, reason="needs a local copy of the corpora")
@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_real_files(tmp_path, name):
    path = os.path.join(os.environ["RAGRE_ASSETS"], "supplements", f"{name}.jsonl")
    with open(path, encoding="utf-8") as file_:
        records = [json.loads(line) for line in file_]
    convert(path, tmp_path / "a.spacy", "jsonl", split_tokens=True)
    export_docs(tmp_path / "a.spacy", tmp_path / "b.jsonl")
    assert read_json(tmp_path / "b.jsonl") == records
