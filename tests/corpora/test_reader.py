import json
from collections import Counter

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example

from spacy_ragre.corpora import (
    Corpus,
    CorpusCounts,
    convert,
    convert_split,
    create_corpus,
    export_docs,
    read_jsonl,
    split,
)
from spacy_ragre.errors import Errors
from spacy_ragre.relations import CLUSTERS_KEY, ID_KEY, TRIPLES_KEY, relations_key

nlp = spacy.blank("en")


def make_doc(i: int) -> Doc:
    doc = Doc(nlp.vocab, words=["Ada", "Byron", f"met{i}", "Bob", "."], spaces=[True, True, True, False, False])
    doc.ents = [Span(doc, 0, 2, "PERSON", kb_id="Q7259"), Span(doc, 3, 4, "PERSON", span_id="bob")]
    doc.spans["sc"] = SpanGroup(doc, name="sc", attrs={"a": [1]}, spans=[Span(doc, 0, 1, "X"), Span(doc, 0, 2, "Y")])
    doc._.entity_clusters = [[doc.ents[0]], [doc.ents[1]]]
    doc._.relations = [{"head": doc.ents[0], "tail": doc.ents[1], "label": "met"}]
    doc._.triples = [("Ada", "met", "Bob")]
    doc.ents[0]._.usage = "x"
    doc.user_data[ID_KEY] = str(i)
    return doc


def ids(examples):
    return [eg.reference.user_data[ID_KEY] for eg in examples]


@pytest.fixture
def path(tmp_path):
    bins = [DocBin(store_user_data=True, docs=[make_doc(i) for i in part]) for part in (range(12), range(12, 20))]
    (tmp_path / "corpus" / "sub").mkdir(parents=True)
    bins[0].to_disk(tmp_path / "corpus" / "a.spacy")
    bins[1].to_disk(tmp_path / "corpus" / "sub" / "b.spacy")
    return tmp_path / "corpus"


def test_gold_entities_and_no_relations(path):
    eg = next(iter(create_corpus(path)(nlp)))
    pred, ref = eg.predicted, eg.reference
    assert pred is not ref and [t.text_with_ws for t in pred] == [t.text_with_ws for t in ref]
    assert [(e.text, e.label_, e.kb_id_, e.ent_id_, e.id_) for e in pred.ents] == [
        (e.text, e.label_, e.kb_id_, e.ent_id_, e.id_) for e in ref.ents
    ]
    assert pred.ents[0].kb_id_ == "Q7259" and pred.ents[1].id_ == "bob"
    assert [(s.text, s.label_) for s in pred.spans["sc"]] == [("Ada", "X"), ("Ada Byron", "Y")]
    assert pred.spans["sc"].attrs == {"a": [1]} and pred.spans["sc"].attrs is not ref.spans["sc"].attrs
    assert pred.user_data[ID_KEY] == "0"
    assert pred.user_data[CLUSTERS_KEY] == ref.user_data[CLUSTERS_KEY]
    for key in (relations_key(), TRIPLES_KEY):
        assert key in ref.user_data and key not in pred.user_data
    assert ref.ents[0]._.usage == "x" and pred.ents[0]._.usage == ""


def test_without_gold_entities(path):
    eg = next(iter(create_corpus(path, gold_ents=False)(nlp)))
    assert not eg.predicted.ents and not eg.predicted.spans
    assert list(eg.predicted.user_data) == [ID_KEY]
    assert len(eg.predicted) == len(eg.reference)


def test_pairs_that_a_corpus_asks_about_are_given(tmp_path):
    doc = make_doc(0)
    doc._.candidate_pairs = [(1, 0)]
    DocBin(store_user_data=True, docs=[doc]).to_disk(tmp_path / "a.spacy")
    given, predicted = (next(iter(Corpus(tmp_path, gold_ents=gold)(nlp))).predicted for gold in (True, False))
    assert [pair[:2] for pair in given._.candidate_pairs] == [(1, 0)]
    assert predicted._.candidate_pairs == []


def test_folder_and_registry(path):
    assert ids(Corpus(path)(nlp)) == [str(i) for i in range(20)]
    assert ids(Corpus(path / "a.spacy")(nlp)) == [str(i) for i in range(12)]
    from spacy_ragre.registry import registry

    reader = registry.resolve({"corpus": {"@readers": "ragre.Corpus.v1", "path": str(path)}})["corpus"]
    assert len(list(reader(nlp))) == 20


def test_limit_is_stable(path):
    corpus = Corpus(path, limit=5, seed=3)
    first = ids(corpus(nlp))
    assert len(first) == 5 and first == ids(corpus(nlp)) == ids(Corpus(path, limit=5, seed=3)(nlp))
    assert first != ids(Corpus(path, limit=5, seed=4)(nlp))
    assert sorted(first, key=int) == first
    shuffled = Corpus(path, limit=5, seed=3, shuffle=True)
    epochs = [ids(shuffled(nlp)) for _ in range(4)]
    assert all(sorted(epoch, key=int) == first for epoch in epochs)
    assert len(ids(Corpus(path, limit=99)(nlp))) == 20


def test_shuffle_is_seeded_and_changes_by_epoch(path):
    a, b = Corpus(path, shuffle=True, seed=1), Corpus(path, shuffle=True, seed=1)
    epochs = [ids(a(nlp)), ids(a(nlp))]
    assert epochs == [ids(b(nlp)), ids(b(nlp))]
    assert epochs[0] != epochs[1] and set(epochs[0]) == set(epochs[1])


def test_empty_documents_and_unknown_spaces(tmp_path):
    docs = [Doc(nlp.vocab), Doc(nlp.vocab, words=["a", "b"])]
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "a.spacy")
    (eg,) = Corpus(tmp_path / "a.spacy")(nlp)
    assert eg.predicted.has_unknown_spaces and eg.predicted.text == eg.reference.text


def test_errors(tmp_path, path):
    with pytest.raises(ValueError, match="R417"):
        create_corpus(None)
    with pytest.raises(FileNotFoundError, match="R401.*nowhere"):
        list(Corpus(tmp_path / "nowhere.spacy")(nlp))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="R416.*empty"):
        list(Corpus(tmp_path / "empty")(nlp))
    whole = (path / "a.spacy").read_bytes()
    for name, data in (("half", whole[: len(whole) // 2]), ("none", b""), ("text", b"{}")):
        (tmp_path / f"{name}.spacy").write_bytes(data)
        with pytest.raises(ValueError, match=f"R415.*{name}"):
            list(Corpus(tmp_path / f"{name}.spacy")(nlp))


def test_split():
    docs = [make_doc(i) for i in range(20)]
    train, dev = split(docs, 0.25, seed=1)
    assert len(train) == 15 and len(dev) == 5
    numbers = [[int(d.user_data[ID_KEY]) for d in part] for part in (train, dev)]
    assert sorted(numbers[0] + numbers[1]) == list(range(20))
    assert all(part == sorted(part) for part in numbers)
    assert split(docs, 0.25, seed=1) == (train, dev)
    assert split(docs, 0.25, seed=2)[1] != dev
    # Of few documents each part gets one at least.
    assert [len(part) for share in (0.1, 0.9) for part in split(docs[:3], share)] == [2, 1, 1, 2]
    for share, some in ((0.0, docs), (1.0, docs), (1.5, docs), (-0.1, docs), (0.5, docs[:1]), (0.5, [])):
        with pytest.raises(ValueError, match="R418"):
            split(some, share)


def write_corpus(path, count):
    records = [{"id": str(i), "text": f"text {i}", "ents": [], "relations": []} for i in range(count)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_convert_split(tmp_path):
    source = write_corpus(tmp_path / "a.jsonl", 10)
    assert convert_split(source, tmp_path / "train.spacy", tmp_path / "dev.spacy", "jsonl", 0.3, seed=5) == (7, 3)
    parts = [ids(Corpus(tmp_path / f"{name}.spacy")(nlp)) for name in ("train", "dev")]
    assert sorted(parts[0] + parts[1]) == sorted(map(str, range(10)))
    again = tmp_path / "again"
    convert_split(source, again / "train.spacy", again / "dev.spacy", "jsonl", 0.3, seed=5)
    assert parts[1] == ids(Corpus(again / "dev.spacy")(nlp))


def test_convert_leaves_nothing_half_written(tmp_path):
    source = write_corpus(tmp_path / "a.jsonl", 3)
    with source.open("a") as file_:
        file_.write("{\n")
    with pytest.raises(ValueError, match="R402"):
        convert(source, tmp_path / "a.spacy", "jsonl")
    with pytest.raises(ValueError, match="R402"):
        convert_split(source, tmp_path / "a.spacy", tmp_path / "b.spacy", "jsonl")
    assert list(tmp_path.iterdir()) == [source]


def test_counts(tmp_path):
    ents = [{"start": 0, "end": 3, "label": "A"}, {"start": 4, "end": 7, "label": "B"}]
    related = {"text": "Ann Bob", "ents": ents, "relations": [{"head": 0, "tail": 1, "label": "met"}] * 2}
    records = [related, {**related, "relations": []}, {"text": "Ann Bob", "ents": ents}, {"text": "x", "ents": []}]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    expected = CorpusCounts(4, 6, Counter(met=2), without_entities=1, without_relations=3, not_annotated=2)
    for spans_key in (None, "sc"):
        counts = CorpusCounts()
        assert convert(source, tmp_path / "a.spacy", "jsonl", spans_key=spans_key, counts=counts) == 4
        assert counts == expected
    counts = CorpusCounts()
    convert_split(source, tmp_path / "a.spacy", tmp_path / "b.spacy", "jsonl", 0.25, counts=counts)
    assert counts == expected


@pytest.mark.parametrize("format, content", [("jsonl", "\n\n"), ("jsonl", ""), ("semeval", ""), ("docred", "[]")])
def test_r334_empty_corpora(tmp_path, format, content):
    source = tmp_path / "a"
    source.write_text(content)
    with pytest.raises(ValueError, match="R334.*holds no documents"):
        convert(source, tmp_path / "a.spacy", format)
    with pytest.raises(ValueError, match="R334"):
        convert_split(source, tmp_path / "a.spacy", tmp_path / "b.spacy", format)
    DocBin().to_disk(tmp_path / "empty.spacy")
    with pytest.raises(ValueError, match="R334"):
        export_docs(tmp_path / "empty.spacy", tmp_path / "a.jsonl")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a", "empty.spacy"]


def test_convert_semeval(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text('1\t"The <e1>a</e1>b <e2>c</e2>."\nMessage-Topic(e2,e1)\nComment:\n')
    assert convert(source, tmp_path / "a.spacy", "semeval", spacy.blank("de")) == 1
    export_docs(tmp_path / "a.spacy", tmp_path / "a.jsonl")
    (doc,) = read_jsonl(tmp_path / "a.jsonl", split_tokens=True)
    assert doc.text == "The ab c." and doc._.relations[0].head.text == "c"


def test_unknown_formats(tmp_path):
    with pytest.raises(ValueError, match="R414.*'odd'.*jsonl, semeval"):
        convert("x", "y", "odd")
    with pytest.raises(ValueError, match="R414.*'odd'"):
        convert_split("x", "y", "z", "odd")
    with pytest.raises(ValueError, match="R414.*'odd'.*jsonl"):
        export_docs("x", "y", "odd")


def test_messages_of_this_part_are_numbered():
    for name in vars(Errors):
        if name.startswith("R4"):
            assert getattr(Errors, name).startswith(f"[{name}] ")


def test_a_recogniser_adds_nothing_to_the_entities_that_are_given(path):
    trained = spacy.blank("en")
    ner = trained.add_pipe("ner")
    examples = [Example.from_dict(trained.make_doc("Ada Byron met0 Bob."), {"entities": [(10, 14, "EVENT")]})]
    optimizer = trained.initialize(lambda: examples)
    for _ in range(20):
        trained.update(examples, sgd=optimizer)
    given, free = (next(iter(create_corpus(path, gold_ents=gold)(trained))).predicted for gold in (True, False))
    before = [(ent.text, ent.label_, ent.kb_id_, ent.id_) for ent in given.ents]
    assert [(ent.text, ent.label_, ent.kb_id_, ent.id_) for ent in ner(given).ents] == before
    assert [ent.text for ent in ner(free).ents] == ["met0"]
