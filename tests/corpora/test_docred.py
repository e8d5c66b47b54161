import copy
import json
import os
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_ragre.corpora import convert, convert_split, export_docs, read_docred, write_docred
from spacy_ragre.corpora.docred import NAMES_KEY
from spacy_ragre.corpora.reader import Corpus, copy_input, read_docs
from spacy_ragre.relations import CLUSTERS_KEY, ID_KEY, relations_key

NAMES = {"P17": "country", "P36": "capital", "P112": "founded by"}
# "New York" holds "York"; "Acme" stands in both sentences, the second time under another name.
DOCUMENT = {
    "title": "Acme",
    "sents": [
        ["Acme", "(", "New", "York", ")", "was", "founded", "by", "Ann", ",", "a", '"', "co", "-", "founder", '"', "."],
        ["", "The", "firm", "'s", "\xa0", "home", "is", "the", "U.S.", "."],
    ],
    "vertexSet": [
        [
            {"name": "The firm", "sent_id": 1, "pos": [1, 3], "type": "ORG"},
            {"name": "Acme Inc", "sent_id": 0, "pos": [0, 1], "type": "ORG"},
        ],
        [{"name": "New York", "sent_id": 0, "pos": [2, 4], "type": "LOC"}],
        [{"name": "York", "sent_id": 0, "pos": [3, 4], "type": "LOC"}],
        [{"name": "Ann", "sent_id": 0, "pos": [8, 9], "type": "PER"}],
        [{"name": "U.S.", "sent_id": 1, "pos": [8, 9], "type": "LOC"}],
    ],
    "labels": [
        {"h": 0, "t": 3, "r": "P112", "evidence": [0]},
        {"h": 0, "t": 4, "r": "P17", "evidence": [0, 1]},
        {"h": 2, "t": 4, "r": "P17", "evidence": []},
    ],
}


def changed(**parts):
    return {**copy.deepcopy(DOCUMENT), **parts}


@pytest.fixture
def write(tmp_path):
    def make(*docs, names=None, name="dev.json"):
        (tmp_path / name).write_text(json.dumps(docs), encoding="utf8")
        if names is not None:
            (tmp_path / "rel_info.json").write_text(json.dumps(names), encoding="utf8")
        return tmp_path / name

    return make


# Reading


def test_reads_text_sentences_and_mentions(write):
    (doc,) = read_docred(write(DOCUMENT, names=NAMES))
    assert doc.text == 'Acme (New York) was founded by Ann, a "co-founder". The firm\'s\xa0home is the U.S.'.replace(
        "U.S.", "U.S.."
    )
    assert [sent.text for sent in doc.sents][1].startswith("The firm") and len(list(doc.sents)) == 2
    assert doc.user_data[ID_KEY] == "Acme"
    # Nested mentions don't fit in doc.ents, but are in their clusters.
    assert [(ent.text, ent.label_) for ent in doc.ents] == [
        ("Acme", "ORG"),
        ("New York", "LOC"),
        ("Ann", "PER"),
        ("The firm", "ORG"),
        ("U.S.", "LOC"),
    ]
    clusters = [[(span.text, span.label_) for span in cluster] for cluster in doc._.entity_clusters]
    assert clusters[0] == [("Acme", "ORG"), ("The firm", "ORG")]
    assert [cluster[0][0] for cluster in clusters] == ["Acme", "New York", "York", "Ann", "U.S."]
    assert doc.user_data[NAMES_KEY][0] == ["The firm", "Acme Inc"]


def test_reads_relations(write):
    (doc,) = read_docred(write(DOCUMENT, names=NAMES))
    found = [(r.head.text, r.label, r.tail.text, r.head_cluster, r.tail_cluster) for r in doc._.relations]
    assert found == [
        ("Acme", "founded by", "Ann", 0, 3),
        ("Acme", "country", "U.S.", 0, 4),
        ("York", "country", "U.S.", 2, 4),
    ]
    assert [r.evidence for r in doc._.relations] == [{"sentences": [0]}, {"sentences": [0, 1]}, {"sentences": []}]


def test_names_are_given_found_or_left_out(write, tmp_path):
    path = write(DOCUMENT)
    (doc,) = read_docred(path)
    assert [r.label for r in doc._.relations] == ["P112", "P17", "P17"]
    (doc,) = read_docred(path, relation_names={"P112": "made by", "P17": "in"})
    assert [r.label for r in doc._.relations] == ["made by", "in", "in"]
    (tmp_path / "names.json").write_text(json.dumps(NAMES), encoding="utf8")
    (doc,) = read_docred(path, relation_names=tmp_path / "names.json")
    assert doc._.relations[0].label == "founded by"


def test_overlapping_mentions_in_a_span_group(write):
    (doc,) = read_docred(write(DOCUMENT), spans_key="sc")
    assert [span.text for span in doc.spans["sc"]] == ["Acme", "New York", "York", "Ann", "The firm", "U.S."]
    assert not doc.ents and len(doc._.entity_clusters) == 5


def test_documents_without_labels_entities_or_text(write):
    unlabelled = changed(title="a")
    del unlabelled["labels"]
    bare = {"title": "b", "sents": [["Nothing", "."]], "vertexSet": [], "labels": []}
    empty = {"title": "c", "sents": [[]], "vertexSet": []}
    docs = list(read_docred(write(unlabelled, bare, empty)))
    assert relations_key() not in docs[0].user_data
    assert docs[1].user_data[relations_key()] == [] and docs[1].user_data[CLUSTERS_KEY] == []
    assert len(docs[2]) == 0


def test_mentions_of_one_place_in_two_clusters_are_kept(write):
    clusters = [*DOCUMENT["vertexSet"], DOCUMENT["vertexSet"][3]]
    (doc,) = read_docred(write(changed(vertexSet=clusters)))
    assert len(doc._.entity_clusters) == 6 and len(doc.ents) == 5


@pytest.mark.parametrize("key", ["title", "sents", "vertexSet"])
def test_missing_keys(write, key):
    document = changed()
    del document[key]
    with pytest.raises(ValueError, match=f"R431.*'{'number 1' if key == 'title' else 'Acme'}'.*'{key}'.*missing"):
        list(read_docred(write(document)))


@pytest.mark.parametrize(
    "change, match",
    [
        ({"labels": [{"t": 1, "r": "P17"}]}, "labels\\[0\\].h'.*missing"),
        ({"labels": [{"h": 0, "t": 9, "r": "P17"}]}, "labels\\[0\\].t'.*it is 9.*5 entities"),
        ({"labels": [{"h": 0, "t": "1", "r": "P17"}]}, "labels\\[0\\].t'.*no int"),
        ({"labels": ["x"]}, "labels\\[0\\]'.*no.*object"),
        ({"labels": {}}, "labels'.*no list"),
        ({"sents": ["Acme"]}, "sents\\[0\\]'.*tokens"),
        ({"vertexSet": [[]]}, "vertexSet\\[0\\]'.*at least one"),
        ({"vertexSet": [["x"]]}, "vertexSet\\[0\\]\\[0\\]'.*object"),
        ({"vertexSet": [[{"sent_id": 0, "pos": [15, 18], "type": "X"}]]}, "pos'.*\\[15, 18\\].*17 tokens"),
        ({"vertexSet": [[{"sent_id": 0, "pos": [3, 3], "type": "X"}]]}, "pos'.*\\[3, 3\\]"),
        ({"vertexSet": [[{"sent_id": 1, "pos": [0, 1], "type": "X"}]]}, "pos'.*\\[0, 1\\]"),
        ({"vertexSet": [[{"sent_id": 2, "pos": [0, 1], "type": "X"}]]}, "sent_id'.*it is 2.*2 sentence"),
        ({"vertexSet": [[{"sent_id": 0, "pos": [0, 1]}]]}, "type'.*missing"),
    ],
)
def test_problems_name_document_and_key(write, change, match):
    with pytest.raises(ValueError, match=f"(?s)R402.*document 1.*R431.*'Acme'.*{match}"):
        list(read_docred(write(changed(**change))))


def test_all_problems_are_told_at_once(write):
    bad = changed(title="b", labels=[{"h": 0, "t": 1, "r": "P9"}])
    with pytest.raises(ValueError, match="(?s)R402.*2 problem.*document 2.*R432.*'b'.*'P9'.*document 3.*R433.*'Acme'"):
        list(read_docred(write(DOCUMENT, bad, DOCUMENT, names=NAMES)))


def test_documents_with_errors_can_be_left_out(write):
    bad = changed(title="b", labels=[{"h": 0, "t": 1, "r": "P9"}, {"h": 9, "t": 1, "r": "P17"}])
    half = changed(title="c", sents=[["\ud800"]])
    left_out = []
    path = write(DOCUMENT, bad, "x", DOCUMENT, half, changed(title="last"), names=NAMES)
    docs = list(read_docred(path, on_error=lambda *problem: left_out.append(problem)))
    assert [doc.user_data[ID_KEY] for doc in docs] == ["Acme", "last"]
    assert [place for place, _, _ in left_out] == ["document 2", "document 3", "document 4", "document 5"]
    assert json.loads(left_out[0][1]) == bad and json.loads(left_out[3][1]) == half
    codes = [[message[1:5] for message in messages] for _, _, messages in left_out]
    assert codes[0] == ["R432", "R431"] and codes[2:] == [["R433"], ["R423"]]


@pytest.mark.parametrize("encoding", ["utf-16", "latin1"])
def test_r332_other_encodings(write, tmp_path, encoding):
    path = write()
    path.write_text(json.dumps([changed(title="Caf\xe9")], ensure_ascii=False), encoding=encoding)
    with pytest.raises(ValueError, match=f"R332.*dev.json is not in UTF-8.*iconv -f {encoding}"):
        list(read_docred(path))
    path.write_text(json.dumps([DOCUMENT]), encoding="utf-8-sig")
    assert len(list(read_docred(path))) == 1


def test_files_that_are_not_docred(write, tmp_path):
    path = write(DOCUMENT)
    path.write_bytes(b"[{")
    with pytest.raises(ValueError, match="R430"):
        list(read_docred(path))
    path.write_text('{"title": "x"}', encoding="utf8")
    with pytest.raises(ValueError, match="R430.*not a list"):
        list(read_docred(path))
    with pytest.raises(FileNotFoundError, match="R401"):
        list(read_docred(tmp_path / "missing.json"))
    with pytest.raises(FileNotFoundError, match="R401"):
        list(read_docred(write(DOCUMENT), relation_names=tmp_path / "missing.json"))


@pytest.mark.parametrize(
    "names, match", [(["a"], "no.*object"), ({"P1": ""}, "object"), ({"P1": "x", "P2": "x"}, "'x'")]
)
def test_relation_names_that_are_not_valid(write, names, match):
    with pytest.raises(ValueError, match=f"R434.*{match}"):
        list(read_docred(write(DOCUMENT, names=names)))


# Conversion and export


def submission(document):
    return [
        {"title": document["title"], "h_idx": x["h"], "t_idx": x["t"], "r": x["r"], "evidence": x["evidence"]}
        for x in document["labels"]
    ]


def load(path):
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_round_trip(write, tmp_path):
    second = changed(title="Second")
    corpus = tmp_path / "dev.spacy"
    assert convert(write(DOCUMENT, second, names=NAMES), corpus, "docred") == 2
    docs = load(corpus)
    assert [len(list(doc.sents)) for doc in docs] == [2, 2]
    assert docs[0].user_data[NAMES_KEY][0] == ("The firm", "Acme Inc")
    assert export_docs(corpus, tmp_path / "out.json", "docred") == 2
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf8")) == submission(DOCUMENT) + submission(second)


def test_split_and_reader_keep_what_components_need(write, tmp_path):
    train, dev = tmp_path / "train.spacy", tmp_path / "dev.spacy"
    path = write(DOCUMENT, changed(title="b"), names=NAMES)
    assert convert_split(path, train, dev, "docred", 0.5, 1) == (1, 1)
    (example,) = Corpus(train)(spacy.blank("en"))
    assert len(example.predicted._.entity_clusters) == 5
    assert [sent.text for sent in example.predicted.sents] == [sent.text for sent in example.reference.sents]
    assert not copy_input(example.reference, gold_ents=False).has_annotation("SENT_START")


def test_ids_as_labels_need_no_names(write, tmp_path):
    write_docred(read_docred(write(DOCUMENT)), tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf8")) == submission(DOCUMENT)


def test_relations_between_mentions_find_their_clusters_and_stand_once(write, tmp_path):
    (doc,) = read_docred(write(DOCUMENT))
    ents = doc.ents
    doc._.relations = [
        {"head": ents[3], "tail": ents[4], "label": "P17"},
        {"head": ents[0], "tail": ents[4], "label": "P17"},
    ]
    write_docred([doc], tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == [{"title": "Acme", "h_idx": 0, "t_idx": 4, "r": "P17"}]


def test_export_errors(write, tmp_path):
    path = write(DOCUMENT)
    out = tmp_path / "out" / "out.json"
    (doc,) = read_docred(path, relation_names=NAMES)
    with pytest.raises(ValueError, match="R435.*'founded by'.*'Acme'.*rel_info.json"):
        write_docred([doc], out)
    with pytest.raises(ValueError, match="R436.*'founded by'.*'Acme'.*known"):
        write_docred([doc], out, relation_names={"P1": "known"})
    with pytest.raises(ValueError, match="R422.*'Acme' occurs twice"):
        write_docred([doc, doc], out, relation_names=NAMES)
    doc._.relations = [{"head": (5, 6), "tail": (0, 1), "label": "country"}]
    with pytest.raises(ValueError, match="R413.*'Acme'.*the head.*'was'"):
        write_docred([doc], out, relation_names=NAMES)
    del doc.user_data[ID_KEY]
    with pytest.raises(ValueError, match="R422.*has no title"):
        write_docred([doc], out, relation_names=NAMES)
    assert not out.exists()


@pytest.mark.skipif("RAGRE_ASSETS" not in os.environ, reason="needs a local copy of the corpora")
@pytest.mark.parametrize("name, triples", [("dev_revised.json", 17284), ("test_revised.json", 17448)])
def test_real_files(name, triples, tmp_path):
    path = Path(os.environ["RAGRE_ASSETS"]) / "redocred" / name
    data = json.loads(path.read_text(encoding="utf8"))
    assert convert(path, tmp_path / "corpus.spacy", "docred") == 500
    docs = list(read_docs(tmp_path / "corpus.spacy", spacy.blank("en").vocab))
    assert sum(len(doc._.relations) for doc in docs) == triples
    for doc, document in zip(docs, data):
        assert [len(c) for c in doc._.entity_clusters] == [
            len({(m["sent_id"], *m["pos"]) for m in c}) for c in document["vertexSet"]
        ]
        assert [token.text for token in doc] == [word for sent in document["sents"] for word in sent]
    names = path.parent / "rel_info.json"
    assert export_docs(tmp_path / "corpus.spacy", tmp_path / "out.json", "docred", relation_names=names) == 500
    exported = {(x["title"], x["h_idx"], x["t_idx"], x["r"]) for x in json.loads((tmp_path / "out.json").read_text())}
    assert exported == {(d["title"], x["h"], x["t"], x["r"]) for d in data for x in d["labels"]}
