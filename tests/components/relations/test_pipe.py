"""Streams of documents: batches, order, failures, and other processes."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List

import pytest
import spacy

from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"
ORG, PERSON, GPE = "ORG", "PERSON", "GPE"
TEXTS = [
    ("Acme was founded by Ann .", [("Acme", ORG), ("Ann", PERSON)]),
    ("", []),
    ("Paris is located in the south of France , not in Spain .", [("Paris", GPE), ("France", GPE), ("Spain", GPE)]),
    ("Nobody is here .", []),
    ("Eve met Finn .", [("Eve", PERSON), ("Finn", PERSON)]),
    ("Rome !", [("Rome", GPE)]),
    ("Dan founded Initech and Hooli in Rome .", [("Dan", PERSON), ("Initech", ORG), ("Hooli", ORG), ("Rome", GPE)]),
    ("Italy contains Rome .", [("Italy", GPE), ("Rome", GPE)]),
    ("Ann likes Ann .", [("Ann", PERSON), ("Ann", PERSON)]),
]


@pytest.fixture
def make_docs(make_doc):
    return lambda nlp: [make_doc(nlp, *text) for text in TEXTS]


def flat(docs: Any) -> List[Any]:
    """The relations of documents in the order of the text, with scores that are equal to four decimals."""
    result = []
    for doc in docs:
        relations = sorted(doc._.relations, key=lambda r: (r.head.start, r.tail.start, r.label))
        result.append(
            [
                (r.head.start, r.head.end, r.label, r.tail.start, r.tail.end, pytest.approx(r.score, abs=1e-4))
                for r in relations
            ]
        )
    return result


@pytest.mark.parametrize("state", ["zero-shot", "few-shot", "trained"])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_pipe_equals_call(make_nlp, make_docs, gold_docs, trained, component, state, batch_size):
    nlp = spacy.load(trained) if state == "trained" else make_nlp(n_examples=2)
    if state == "few-shot":
        component(nlp).add_examples(gold_docs(nlp))
    expected = flat([nlp(doc) for doc in make_docs(nlp)])
    assert sum(map(len, expected)) >= 4
    docs = list(nlp.pipe(make_docs(nlp), batch_size=batch_size))
    assert [doc.text for doc in docs] == [text for text, _ in TEXTS]
    assert flat(docs) == expected


def test_stream_of_contexts(trained, make_docs):
    nlp = spacy.load(trained)
    pairs = list(nlp.pipe([(doc, i) for i, doc in enumerate(make_docs(nlp))], as_tuples=True, batch_size=3))
    assert [context for _, context in pairs] == list(range(len(TEXTS)))
    assert [doc.text for doc, _ in pairs] == [text for text, _ in TEXTS]


def test_stream_is_read_as_it_is_needed(trained, make_docs):
    nlp = spacy.load(trained)
    taken = []

    def stream():
        for doc in make_docs(nlp):
            taken.append(doc)
            yield doc

    result = nlp.get_pipe(NAME).pipe(stream(), batch_size=2)
    next(result)
    assert len(taken) <= 3


# Failures


@pytest.fixture
def failing(trained, component, monkeypatch):
    """A pipeline that fails on documents with "Eve"."""
    nlp = spacy.load(trained)
    predict = component(nlp).predict

    def fail(docs: Any) -> Any:
        docs = list(docs)
        if any("Eve" in doc.text for doc in docs):
            raise RuntimeError("no answer")
        return predict(docs)

    monkeypatch.setattr(component(nlp), "predict", fail)
    return nlp


def test_failing_document_goes_to_the_handler(failing, trained, make_docs):
    other = spacy.load(trained)
    expected = [
        relations for relations, (text, _) in zip(flat(other.pipe(make_docs(other))), TEXTS) if "Eve" not in text
    ]
    seen = []
    failing.set_error_handler(lambda name, proc, docs, error: seen.append((name, [d.text for d in docs], str(error))))
    docs = list(failing.pipe(make_docs(failing), batch_size=4))
    assert seen == [(NAME, ["Eve met Finn ."], "no answer")]
    assert [doc.text for doc in docs] == [text for text, _ in TEXTS if "Eve" not in text]
    assert flat(docs) == expected


def test_failing_document_raises_without_a_handler(failing, make_docs):
    with pytest.raises(RuntimeError, match="no answer"):
        list(failing.pipe(make_docs(failing)))


def test_failing_annotation_goes_to_the_handler(trained, make_docs, component, monkeypatch):
    nlp = spacy.load(trained)
    annotate = component(nlp).set_annotations

    def fail(docs: Any, predictions: Any) -> None:
        annotate(docs, predictions)
        if any("Eve" in doc.text for doc in docs):
            raise RuntimeError("no room")

    monkeypatch.setattr(component(nlp), "set_annotations", fail)
    seen = []
    nlp.set_error_handler(lambda name, proc, docs, error: seen.extend(doc.text for doc in docs))
    assert len(list(nlp.pipe(make_docs(nlp)))) == len(TEXTS) - 1
    assert seen == ["Eve met Finn ."]


# Other processes


def test_two_processes(trained, in_processes):
    assert in_processes(trained) == [1, 1, 0, 1, 1, 1]


def test_pickle(trained, make_docs):
    """As workers that are not forked receive it."""
    nlp = spacy.load(trained)
    expected = flat(nlp.pipe(make_docs(nlp)))
    pipe = nlp.get_pipe(NAME)
    again = pickle.loads(pickle.dumps(pipe))
    assert flat(again.pipe(make_docs(nlp))) == expected
    # Its encoder belongs to the copy.
    assert again.predictor.retriever.encoder._states.__self__ is again.predictor


# State


def test_pipelines_do_not_share_state(make_nlp, gold_docs, component):
    first, second = make_nlp(labels={}), make_nlp(labels={})
    component(first).add_examples(gold_docs(first))
    component(first).add_label("sibling")
    assert component(second).labels == ()
    assert len(component(second).predictor.retriever) == 0
    assert not component(second).predictor.backbone.is_loaded
    assert component(make_nlp()).labels == ("founded_by", "located_in")


def test_two_components_in_one_pipeline(make_nlp, make_doc):
    nlp = make_nlp()
    config = {key: value for key, value in nlp.get_pipe_config(NAME).items() if key != "factory"}
    other = nlp.add_pipe(NAME, name="other", config={**config, "labels": {"sibling": {"symmetric": True}}})
    assert other.labels == ("sibling",)
    assert nlp.get_pipe(NAME).labels == ("founded_by", "located_in")
    doc = nlp(make_doc(nlp, "Eve met Finn .", [("Eve", "PERSON"), ("Finn", "PERSON")]))
    assert {relation.label for relation in doc._.relations} <= {"founded_by", "located_in", "sibling"}


def test_several_threads_get_the_answers_of_one(make_nlp, gold_docs, plain):
    """With a document that is shared by its pairs, and from the first call on, which loads the model."""
    prompt = {"@ragre_prompts": "ragre.Relation.v1", "document": True, "marked": False}
    nlp = make_nlp(prompt=prompt)
    docs = [copy_input(doc) for doc in gold_docs(nlp)]
    for _ in range(2):
        with ThreadPoolExecutor(4) as pool:
            several = list(pool.map(nlp, [doc.copy() for doc in docs * 4]))
        assert plain(several) == plain(nlp(doc.copy()) for doc in docs * 4)
