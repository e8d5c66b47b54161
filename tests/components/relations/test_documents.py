"""Documents of every kind: without entities, across sentences, nested, long, and in any script."""

from typing import Any, List, Tuple

import numpy as np
import pytest
from spacy.tokens import Doc, Span

DISTANCE = {"@ragre_candidates": "ragre.TokenDistance.v1", "max_distance": 30}
WHOLE = {"@ragre_candidates": "ragre.WholeDocument.v1"}


@pytest.fixture
def answer_all(component, monkeypatch):
    """Every pair that is asked about gets the first label, first mention to second."""

    def patch(nlp: Any) -> List[Any]:
        asked: List[Any] = []
        predictor = component(nlp).predictor

        def score(mode: str, instances: Any, neighbours: Any, documents: Any = None) -> Any:
            asked.extend(instances)
            scores = np.zeros((len(instances), len(predictor.labels.classes)), dtype="float32")
            scores[:, 1] = 9.0
            return scores

        monkeypatch.setattr(predictor, "_score_mode", score)
        return asked

    return patch


def texts(doc: Doc) -> List[Tuple[str, str]]:
    return [(relation.head.text, relation.tail.text) for relation in doc._.relations]


@pytest.mark.parametrize(
    "text, ents",
    [("", []), (" \n ", []), ("No names here .", []), ("Acme sleeps .", [("Acme", "ORG")])],
    ids=["empty", "blank", "no entity", "one entity"],
)
def test_nothing_to_ask(make_nlp, make_doc, component, text, ents):
    nlp = make_nlp()
    doc = make_doc(nlp, text, ents)
    doc._.relations = []
    assert nlp(doc)._.relations == []
    assert not component(nlp).predictor.backbone.is_loaded  # nothing was asked


def test_relations_of_an_earlier_run_are_replaced(make_nlp, make_doc):
    nlp = make_nlp()
    doc = make_doc(nlp, "Acme sleeps . Ann too", [("Acme", "ORG"), ("Ann", "PERSON")], [(0, "founded_by", 1)])
    doc.set_ents([])
    assert nlp(doc)._.relations == []


def test_two_entities_are_asked_about_once(make_nlp, make_doc, answer_all):
    nlp = make_nlp()
    asked = answer_all(nlp)
    doc = nlp(make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))
    assert len(asked) == 1
    (relation,) = doc._.relations
    assert (relation.head.text, relation.label, relation.tail.text) == ("Acme", "founded_by", "Ann")
    assert (relation.head.label_, relation.tail.label_) == ("ORG", "PERSON")
    assert relation.head_cluster is None and relation.tail_cluster is None


def test_entities_in_different_sentences(make_nlp, make_doc, answer_all):
    text, ents = "Acme grew . Ann left Bob .", [("Acme", "ORG"), ("Ann", "PERSON"), ("Bob", "PERSON")]
    for settings, expected in (
        ({}, [("Ann", "Bob")]),
        ({"candidates": DISTANCE}, [("Acme", "Ann"), ("Acme", "Bob"), ("Ann", "Bob")]),
    ):
        nlp = make_nlp(**settings)
        nlp.add_pipe("sentencizer", first=True)
        answer_all(nlp)
        assert sorted(texts(nlp(make_doc(nlp, text, ents)))) == expected


def test_nested_entities(make_nlp, answer_all):
    nlp = make_nlp(spans_key="names")
    asked = answer_all(nlp)
    doc = nlp.make_doc("Bank of England employs Ann .")
    spans = [Span(doc, 0, 3, "ORG"), Span(doc, 2, 3, "GPE"), Span(doc, 4, 5, "PERSON")]
    doc.spans["names"] = spans
    doc = nlp(doc)
    assert sorted(texts(doc)) == [("Bank of England", "Ann"), ("Bank of England", "England"), ("England", "Ann")]
    assert {(i.first_type, i.second_type) for i in asked} == {("ORG", "GPE"), ("ORG", "PERSON"), ("GPE", "PERSON")}
    assert {relation.head.label_ for relation in doc._.relations} == {"ORG", "GPE"}


def test_spans_key_that_a_document_lacks(make_nlp, make_doc):
    nlp = make_nlp(spans_key="names")
    assert nlp(make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))._.relations == []


def test_clusters_of_a_span_group(make_nlp, answer_all):
    """Cluster indexes are those of the component's mentions, not of doc.ents."""
    nlp = make_nlp(spans_key="names", candidates=WHOLE)
    answer_all(nlp)
    doc = nlp.make_doc("Acme hired Ann . Acme grew .")
    doc.spans["names"] = [Span(doc, 0, 1, "ORG"), Span(doc, 2, 3, "PERSON"), Span(doc, 4, 5, "ORG")]
    (relation,) = nlp(doc)._.relations
    clusters = doc._.entity_clusters
    assert [m.start for m in clusters[relation.head_cluster]] == [0, 4]
    assert [m.start for m in clusters[relation.tail_cluster]] == [2]


def test_relations_of_another_extractor_stay_where_clusters_are_replaced(make_nlp, make_doc, answer_all):
    first, second = make_nlp(candidates=WHOLE), make_nlp(candidates=WHOLE, spans_key="names", labels=["near"])
    answer_all(first)
    answer_all(second)
    doc = first(make_doc(first, "In Rome Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))
    doc.spans["names"] = [Span(doc, 1, 2, "GPE"), Span(doc, 2, 3, "ORG")]
    doc = second(doc)
    clusters = doc._.entity_clusters
    named = {rel.label: (rel.head_cluster, rel.tail_cluster) for rel in doc._.relations}
    assert [cluster[0].text for cluster in clusters] == ["Rome", "Acme"]
    assert named == {"founded_by": (1, None), "near": (0, 1)}
    assert sorted(texts(doc)) == [("Acme", "Ann"), ("Rome", "Acme")]


def test_relations_read_at_a_pronoun_are_told_of_the_nearest_name(make_nlp, make_doc, answer_all):
    nlp = make_nlp(candidates=WHOLE)
    asked = answer_all(nlp)
    doc = make_doc(nlp, "Ann Poe left . Then Poe came , and she ran Acme", [("Ann Poe", "PERSON"), ("Acme", "ORG")])
    doc._.entity_clusters = [[(0, 2, "PERSON"), (5, 6, "PERSON"), (9, 10)], [(11, 12, "ORG")]]
    doc = nlp(doc)
    (relation,) = doc._.relations
    assert asked[0].text[slice(*asked[0].first)] == "she" and asked[0].first_type == "PERSON"
    assert (relation.head.text, relation.head.start, relation.head.label_) == ("Poe", 5, "PERSON")
    assert (relation.head_cluster, relation.tail_cluster, relation.tail.text) == (0, 1, "Acme")
    assert [span.text for span in doc._.entity_clusters[0]] == ["Ann Poe", "Poe", "she"]
    # Of a pronoun's span, the relations of its cluster are read.
    assert doc[9:10]._.relations == doc._.relations


def test_mentions_with_the_same_text(make_nlp, make_doc):
    nlp = make_nlp()
    doc = make_doc(nlp, "Paris , Texas and Paris and Paris", [("Paris", "GPE"), ("Paris", "GPE"), ("Paris", "GPE")])
    doc = nlp(doc)
    assert all(relation.head.start != relation.tail.start for relation in doc._.relations)


def test_equal_documents_get_equal_answers(make_nlp, make_doc, plain):
    nlp = make_nlp()
    docs = [make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]) for _ in range(3)]
    results = plain(nlp.pipe(docs))
    assert results[0] and results[0] == results[1] == results[2]


ODD = [
    ("🎉🎊 hired 👩\u200d👩\u200d👧 !", "🎉🎊", "👩\u200d👩\u200d👧"),
    ("Cafe\u0301 Zoe\u0308 hired A\u030angstro\u0308m .", "Zoe\u0308", "A\u030angstro\u0308m"),
    ("شركة أكمي أسسها أحمد .", "أكمي", "أحمد"),
    ("אקמה נוסדה על ידי דנה .", "אקמה", "דנה"),
    ("Ac\u200bme hired An\ufeffn .", "Ac\u200bme", "An\ufeffn"),
    ("東京 は 日本 です", "東京", "日本"),
    ("Acme\n\nhired\tthe\r\nboss Ann .", "Acme", "Ann"),
    ("{Acme} {{hired}} {% Ann %} [ x ] <s> </s>", "Acme", "Ann"),
    ("{{ 7 * 7 }} and {# Ann #}", "7", "Ann"),
    ("Acme\x00 and Ann\x07", "Acme", "Ann"),
]


@pytest.mark.parametrize("text, first, second", ODD, ids=[f"odd{i}" for i in range(len(ODD))])
def test_odd_text(make_nlp, text, first, second):
    nlp = make_nlp()
    doc = nlp.make_doc(text)
    spans = []
    for words in (first, second):
        at = text.index(words)
        span = doc.char_span(at, at + len(words), label="X", alignment_mode="expand")
        spans.append(span)
    doc.set_ents(spans)
    (doc,) = nlp.pipe([doc])
    scored = nlp.get_pipe("rag_relation_extractor").predict([doc])
    assert len(scored) == 1
    for relation in doc._.relations:
        assert 0 <= relation.score <= 1
        assert {relation.head.text, relation.tail.text} == {spans[0].text, spans[1].text}


def test_text_of_a_prompt_is_not_read_as_a_template(make_nlp, component):
    nlp = make_nlp()
    doc = nlp.make_doc("{{ 7 * 7 }} and Ann")
    doc.set_ents([Span(doc, i, i + 1, "X") for i, token in enumerate(doc) if token.text in ("7", "Ann")][-2:])
    (instance,) = [c.instance for c in component(nlp)._candidates(doc)]
    prompt = "".join(component(nlp).predictor.pieces(instance)[2])
    assert "{{ 7 *" in prompt and "49" not in prompt


@pytest.mark.parametrize("sentences", [True, False], ids=["same sentence", "token distance"])
def test_a_long_document(make_nlp, component, answer_all, sentences):
    """20,000 tokens with 400 entities: each pair is read in a window of its own, and none is asked about twice."""
    nlp = make_nlp(**({} if sentences else {"candidates": {**DISTANCE, "max_distance": 60}}))
    asked = answer_all(nlp)
    words, ents = [], []
    for i in range(20_000):
        words.append("." if i % 100 == 99 else f"Name{i}" if i % 50 == 10 else "word")
    doc = Doc(nlp.vocab, words=words, sent_starts=[i % 100 == 0 for i in range(20_000)])
    ents = [Span(doc, i, i + 1, "ORG") for i in range(10, 20_000, 50)]
    doc.set_ents(ents)
    doc = nlp(doc)
    assert len(doc.ents) == 400
    assert len(asked) == len(doc._.relations) == (200 if sentences else 399)
    assert max(len(instance.text.split()) for instance in asked) <= 200
    for relation in doc._.relations:
        assert relation.tail.start - relation.head.start == 50


def test_a_long_document_is_answered_by_the_model(make_nlp, component):
    nlp = make_nlp()
    words = [f"Name{i}" if i % 500 in (10, 12) else "word" for i in range(20_000)]
    doc = Doc(nlp.vocab, words=words, sent_starts=[i % 20 == 0 for i in range(20_000)])
    doc.set_ents([Span(doc, i, i + 1, "ORG") for i in range(20_000) if i % 500 in (10, 12)])
    (found,) = component(nlp).predict([doc])
    assert len(component(nlp)._candidates(doc)) == 40
    assert all(item.candidate.second[0] - item.candidate.first[0] == 2 for item in found)
