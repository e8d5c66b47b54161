"""Every format that is read is written, and what is read again is what was written, or is told to be lost."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin

from spacy_ragre.corpora import CorpusCounts, convert, doc_from_dict, doc_to_dict, export_docs
from spacy_ragre.corpora.formats import READERS, WRITERS, recognise
from spacy_ragre.pair_weights import set_weights
from spacy_ragre.relations import ID_KEY, has_relations

NLP = spacy.blank("en")
# The name of a format where it is written otherwise than it is read.
WRITTEN = {"docred": "docred-docs"}
# Formats of tokens, which say nothing about spaces; of those of one pair a record, there is a row of its own.
TOKENS = ("spert", "glirel", "docred", "tacred")
NO_IDS = ("glirel", "spacy-llm")
# Where overlapping entities can't stand.
FLAT = ("spacy-rel", "semeval", "tacred")
RECORD: Dict[str, Any] = {
    "id": "7",
    "text": "Ann and Bob run Acme. It is in New York City.",
    "ents": [
        {"start": 0, "end": 3, "label": "PERSON"},
        {"start": 8, "end": 11, "label": "PERSON"},
        {"start": 16, "end": 20, "label": "ORG"},
        {"start": 31, "end": 44, "label": "GPE"},
        {"start": 31, "end": 39, "label": "GPE"},
    ],
    "relations": [
        {"head": 0, "tail": 2, "label": "runs"},
        {"head": 2, "tail": 1, "label": "run_by"},
        {"head": 2, "tail": 3, "label": "is_in"},
        {"head": 2, "tail": 4, "label": "near"},
    ],
}
PAIR: Dict[str, Any] = {
    "id": "8",
    "text": "Ann runs Acme.",
    "ents": [{"start": 0, "end": 3, "label": "NOMINAL"}, {"start": 9, "end": 13, "label": "NOMINAL"}],
    "relations": [{"head": 1, "tail": 0, "label": "run-by"}],
}
NOTHING = {**PAIR, "id": "9", "relations": []}


def load(path: Path) -> List[Doc]:
    return list(DocBin().from_disk(path).get_docs(NLP.vocab))


def save(path: Path, docs: List[Doc]) -> Path:
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def content(doc: Doc) -> Any:
    """What all formats keep: texts with types, and relations between them."""
    ents = doc.spans["entities"] if "entities" in doc.spans else doc.ents
    mentions = ents if doc._.entity_clusters is None else [m for cluster in doc._.entity_clusters for m in cluster]
    found = {(span.start_char, span.end_char, span.label_) for span in (*ents, *mentions)}
    held = {(rel.head.start_char, rel.head.end_char, rel.label, rel.tail.start_char) for rel in doc._.relations}
    return doc.text, sorted(found), sorted(held), has_relations(doc)


Back = Callable[..., Tuple[List[Doc], Dict[str, int]]]


def round_trip(folder: Path, docs: List[Doc], name: str) -> Tuple[List[Doc], Dict[str, int]]:
    """Documents that were written and read again, and what was told to be left out."""
    counts = CorpusCounts()
    out = folder / f"written-{name}"
    export_docs(save(folder / "docs.spacy", docs), out, WRITTEN.get(name, name), counts=counts)
    assert recognise(out) == name
    again = CorpusCounts()
    convert(out, folder / "back.spacy", counts=again, **({"spans_key": "entities"} if name == "jsonl" else {}))
    assert not again.dropped_items()
    return load(folder / "back.spacy"), {what: count for what, count in counts.dropped.items() if count}


def test_every_format_goes_both_ways() -> None:
    assert {WRITTEN.get(name, name) for name in READERS} <= set(WRITERS)


@pytest.mark.parametrize("name", [name for name in READERS if name not in FLAT])
def test_there_and_back(tmp_path: Path, name: str) -> None:
    docs = [doc_from_dict(record, NLP, spans_key="entities", split_tokens=True) for record in (RECORD, PAIR, NOTHING)]
    back, dropped = round_trip(tmp_path, docs, name)
    assert sorted(map(content, back), key=str) == sorted(map(content, docs), key=str)
    told = {"ids of documents": 3} if name in NO_IDS else {}
    assert dropped == ({"identifiers made up for entities that hold a relation": 7} if name == "pubtator" else told)
    ids = sorted(str(doc.user_data.get(ID_KEY)) for doc in back)
    assert ids == (["None"] * 3 if name in NO_IDS else ["7", "8", "9"])
    if name in TOKENS:
        words = [[token.text for token in doc] for doc in docs]
        assert sorted([token.text for token in doc] for doc in back) == sorted(words)


@pytest.mark.parametrize("name", FLAT)
def test_one_pair_a_record(tmp_path: Path, name: str) -> None:
    docs = [doc_from_dict(record, NLP) for record in (PAIR, NOTHING)]
    spaced = name == "tacred"
    if spaced:  # a space after each token
        docs = [Doc(NLP.vocab, words=[t.text for t in doc], spaces=[True, True, True, False]) for doc in docs]
        for doc, relation in zip(docs, (True, False)):
            doc.set_ents([doc.char_span(0, 3, label="NOMINAL"), doc.char_span(9, 13, label="NOMINAL")])
            doc.user_data[ID_KEY] = "8" if relation else "9"
            doc._.relations = [{"head": doc.ents[1], "tail": doc.ents[0], "label": "run-by"}] if relation else []
    back, dropped = round_trip(tmp_path, docs, name)
    assert list(map(content, back)) == list(map(content, docs)) and dropped == {}
    assert [doc.user_data[ID_KEY] for doc in back] == ["8", "9"]


def test_pairs_of_a_document_that_has_more(tmp_path: Path) -> None:
    doc = doc_from_dict(RECORD, NLP, spans_key="entities")
    back, dropped = round_trip(tmp_path, [doc], "semeval")
    assert [doc.text for doc in back] == [RECORD["text"]] * 4
    assert [rel.label for doc in back for rel in doc._.relations] == ["runs", "run_by", "is_in", "near"]
    assert dropped == {
        "documents of several pairs (a record for each)": 1,
        "ids of documents that are no numbers, or of several pairs": 1,
        "pairs of which it is known that they hold nothing": 6,
        "types of entities (written as NOMINAL)": 8,
    }
    back, dropped = round_trip(tmp_path, [doc], "tacred")
    assert [doc.user_data[ID_KEY] for doc in back] == ["7-1", "7-2", "7-3", "7-4"]
    assert dropped["texts whose spaces are not kept as they are"] == 1
    set_weights(doc, [(doc.spans["entities"][0], doc.spans["entities"][2], 0.5)])
    (back_doc,), dropped = round_trip(tmp_path, [doc], "spacy-rel")
    assert dropped == {
        "entities that overlap longer ones": 1,
        "relations of entities that overlap longer ones": 1,
        "weights of pairs": 1,
    }
    assert len(back_doc._.relations) == 3


def test_clusters_and_identifiers(tmp_path: Path) -> None:
    """Relations between concepts hold between all their mentions; what has no identifier gets one."""
    ents = [dict(ent) for ent in RECORD["ents"]]
    ents[0]["kb_id"], ents[1]["kb_id"] = "D1", "D1|D2"
    relations = [{"head": 0, "tail": 2, "label": "runs"}, {"head": 1, "tail": 2, "label": "knows"}]
    clusters = [[0, 1], [1], [2], [3], [4]]
    record = {**RECORD, "ents": ents, "clusters": clusters, "relations": relations}
    doc = doc_from_dict(record, NLP, spans_key="entities")
    for name in ("pubtator", "bioc"):
        (back,), dropped = round_trip(tmp_path, [doc], name)
        ids = [span.kb_id_ for span in back.spans["entities"]]
        assert ids == ["D1", "D1|D2", "M3", "", ""]
        found = doc_to_dict(back, "entities")
        assert sorted(map(sorted, found["clusters"])) == sorted(clusters)
        assert {(found["clusters"][rel["head"]][0], rel["label"]) for rel in found["relations"]} == {
            (0, "runs"),
            (1, "knows"),
        }
        assert dropped == {"identifiers made up for entities that hold a relation": 1}
    (back,), dropped = round_trip(tmp_path, [doc], "docred")
    assert [len(cluster) for cluster in back._.entity_clusters] == [2, 1, 1, 1, 1]
    assert [(rel.head_cluster, rel.label) for rel in back._.relations] == [(0, "runs"), (1, "knows")]
    assert dropped["ids in a knowledge base"] == 2


def test_features_of_relations_are_kept(tmp_path: Path) -> None:
    relation = {"head": 1, "tail": 0, "label": "run|by_[1]", "evidence": {"features": {"sure": "very; *"}, "x": 1}}
    doc = doc_from_dict({**PAIR, "relations": [relation]}, NLP)
    for name in ("webanno", "uima"):
        (back,), dropped = round_trip(tmp_path, [doc], name)
        (found,) = back._.relations
        assert found.label == "run|by_[1]" and found.evidence == {"features": {"sure": "very; *"}}
        assert dropped == {"evidence of relations": 1}


@pytest.mark.parametrize("name", sorted(READERS))
def test_what_is_not_annotated(tmp_path: Path, name: str) -> None:
    """A document of which nothing is known is not one that is known to hold nothing, or it is told."""
    unknown = {key: value for key, value in NOTHING.items() if key != "relations"}
    docs = [doc_from_dict(record, NLP) for record in (PAIR, unknown)]
    back, dropped = round_trip(tmp_path, docs, name)
    told = "marks of documents that were not annotated for relations"
    assert has_relations(back[1]) == (told in dropped)


CHARS = st.sampled_from(list("ab.,-'[]|_\\*;>#<&\t\n\r \u00a0\u2028é😊日"))
TEXTS = st.text(CHARS, min_size=1, max_size=12)
LABELS = st.text(st.sampled_from(list("ab|_[]\\*;> é")), min_size=1, max_size=5).map(str.strip).filter(bool)


@st.composite
def documents(draw: Any) -> Dict[str, Any]:
    text = draw(TEXTS)
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text)))
    kept = {place for place in draw(st.lists(places, max_size=4)) if place[0] < place[1]}
    kept = {place for place in kept if text[place[0] : place[1]].strip()}
    ents = [{"start": start, "end": end, "label": draw(LABELS)} for start, end in sorted(kept)]
    record: Dict[str, Any] = {"text": text, "ents": ents}
    if ents and draw(st.booleans()):
        index = st.integers(0, len(ents) - 1)
        relation = st.fixed_dictionaries({"head": index, "tail": index, "label": LABELS})
        record["relations"] = draw(st.lists(relation, max_size=3))
    return record


# Of those that hold everything, and of those that tell what they don't.
@pytest.mark.parametrize("name", sorted(set(READERS) - {"brat"}))
@settings(max_examples=settings.default.max_examples // 2)
@given(records=st.lists(documents(), min_size=1, max_size=3))
def test_whatever_is_written_is_read(tmp_path: Path, name: str, records: List[Dict[str, Any]]) -> None:
    """What is written is read again without an error, the same but for what was told to be lost."""
    docs = [doc_from_dict(record, NLP, spans_key="entities", split_tokens=True) for record in records]
    counts = CorpusCounts()
    out = tmp_path / f"out-{name}"
    shutil.rmtree(out, ignore_errors=True)
    export_docs(save(tmp_path / "docs.spacy", docs), out, WRITTEN.get(name, name), spans_key="entities", counts=counts)
    settings = {"spans_key": "entities", "split_tokens": True} if name != "spacy-rel" else {}
    try:
        convert(out, tmp_path / "back.spacy", name, counts=CorpusCounts(), **settings)
    except ValueError as error:
        # Nothing was left to write.
        assert "[R334]" in str(error) and counts.dropped_items()
        return
    back = load(tmp_path / "back.spacy")
    lost = {what for what, count in counts.dropped.items() if count and what != "ids of documents"}
    if not lost and name not in FLAT:
        assert sorted(map(content, back)) == sorted(map(content, docs))


SAMPLES = ("prodigy_rel.jsonl", "brat_rel.ann", "doccano_rel.jsonl", "labelstudio.json", "spacy_llm_rel.jsonl")


@pytest.mark.parametrize("sample", (*SAMPLES, "webanno.tsv", "uima_cas.json"))
def test_real_samples_read_written_and_read_again(tmp_path: Path, sample: str) -> None:
    path = Path(os.environ.get("RAGRE_ASSETS", "assets")) / "formats" / sample
    if not path.is_file():
        pytest.skip("no samples of formats (RAGRE_ASSETS)")
    convert(path, tmp_path / "docs.spacy", counts=CorpusCounts())
    docs = load(tmp_path / "docs.spacy")
    back, dropped = round_trip(tmp_path, docs, recognise(path))
    assert dropped == {}
    key = "entities" if "entities" in docs[0].spans else None
    assert [doc_to_dict(doc, key) for doc in back] == [doc_to_dict(doc, key) for doc in docs]


def test_docred_as_it_was_published(tmp_path: Path) -> None:
    """A token may be a space, and the documents are those of the file again."""
    mentions = [
        [{"name": "Ann", "sent_id": 0, "pos": [0, 1], "type": "PER"}],
        [{"name": "Acme", "sent_id": 0, "pos": [3, 4], "type": "ORG"}],
    ]
    label = {"h": 0, "t": 1, "r": "P108", "evidence": [0, 1]}
    sents = [["Ann", "runs", "\u00a0", "Acme", "."], ["It", "(", "Acme", ")", "sells", "."]]
    document = {"title": "t", "sents": sents, "vertexSet": mentions, "labels": [label]}
    document["vertexSet"][1].append({"name": "Acme", "sent_id": 1, "pos": [2, 3], "type": "ORG"})
    (tmp_path / "in.json").write_text(json.dumps([document]), encoding="utf8")
    convert(tmp_path / "in.json", tmp_path / "docs.spacy", counts=CorpusCounts())
    counts = CorpusCounts()
    export_docs(tmp_path / "docs.spacy", tmp_path / "out.json", "docred-docs", counts=counts)
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf8")) == [document]
    assert counts.dropped_items() == []


def test_names_of_relations_become_ids(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text('{"P1": "run-by"}', encoding="utf8")
    save(tmp_path / "docs.spacy", [doc_from_dict(PAIR, NLP)])
    settings = {"relation_names": tmp_path / "names.json", "counts": CorpusCounts()}
    export_docs(tmp_path / "docs.spacy", tmp_path / "out.json", "docred-docs", **settings)
    (document,) = json.loads((tmp_path / "out.json").read_text(encoding="utf8"))
    assert document["labels"][0]["r"] == "P1"


@pytest.mark.parametrize(
    "name, field, value, code",
    [
        ("pubtator", "id", "a|b", "R810"),
        ("pubtator", "label", "12", "R810"),
        ("semeval", "label", "a\tb", "R810"),
        ("brat", "label", "a b", "R346"),
    ],
)
def test_what_a_format_cannot_write(tmp_path: Path, name: str, field: str, value: str, code: str) -> None:
    record = {**PAIR, "relations": [dict(PAIR["relations"][0])]}
    (record if field == "id" else record["relations"][0])[field] = value
    save(tmp_path / "docs.spacy", [doc_from_dict(record, NLP)])
    with pytest.raises(ValueError, match=rf"\[{code}\]"):
        export_docs(tmp_path / "docs.spacy", tmp_path / "out", name, counts=CorpusCounts())


def test_labels_of_semeval_beside_others(tmp_path: Path) -> None:
    task = {**PAIR, "id": "5", "relations": [{"head": 0, "tail": 1, "label": "Cause-Effect"}]}
    save(tmp_path / "docs.spacy", [doc_from_dict(record, NLP) for record in (PAIR, task)])
    with pytest.raises(ValueError, match=r"\[R811\].*Cause-Effect.*run-by"):
        export_docs(tmp_path / "docs.spacy", tmp_path / "out", "semeval", counts=CorpusCounts())
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=r"\[R348\]"):
        save(tmp_path / "docs.spacy", [doc_from_dict(PAIR, NLP)] * 2)
        export_docs(tmp_path / "docs.spacy", tmp_path / "out", "bioc", counts=CorpusCounts())
