"""What a corpus holds, which candidates reach it, and how long to train on it."""

from typing import Any, List, Sequence, Tuple

import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_ragre.assist import choose_candidates, make_plan, measure_reach, profile, read_with, sample, words_of
from spacy_ragre.candidates import make_same_sentence

nlp = spacy.blank("en")


def make_doc(words: str, ents: Sequence[Tuple[int, int, str]], relations: Sequence[Tuple[int, int, str]]) -> Doc:
    """A document of words, in which a "." ends a sentence."""
    doc = nlp.make_doc(words)
    for token in doc:
        token.is_sent_start = token.i == 0 or doc[token.i - 1].text == "."
    doc.ents = [Span(doc, start, end, label=label) for start, end, label in ents]
    doc._.relations = [{"head": doc.ents[h], "tail": doc.ents[t], "label": label} for h, t, label in relations]
    return doc


def couple(way: Sequence[Tuple[int, int, str]] = ((0, 1, "married"), (1, 0, "married"))) -> Doc:
    return make_doc("Ann married Bob", [(0, 1, "PERSON"), (2, 3, "PERSON")], way)


def founder(*labels: str) -> Doc:
    return make_doc("Ann founded Acme", [(0, 1, "PERSON"), (2, 3, "ORG")], [(0, 1, label) for label in labels])


def far(apart: int) -> Doc:
    """Ann and Acme, with so many words between them and a sentence border."""
    words = ["Ann", *["word"] * (apart - 1), ".", "Acme"]
    return make_doc(" ".join(words), [(0, 1, "PERSON"), (len(words) - 1, len(words), "ORG")], [(0, 1, "founded")])


def test_types_and_directions_of_labels() -> None:
    found = profile([*[couple()] * 4, *[founder("founded")] * 5, founder("founded", "runs")])
    assert found.labels == ["married", "founded", "runs"]
    assert found.counts.relations == {"married": 8, "founded": 6, "runs": 1}
    assert found.types["founded"] == {("PERSON", "ORG"): 6}
    assert found.symmetric == {"married"}
    assert found.ends("married") == (["PERSON"], ["PERSON"])
    assert found.ends("founded") == (["PERSON"], ["ORG"])
    assert (found.pairs, found.several, found.multi_label) == (10, 1, True)
    assert not profile([couple()] * 4).multi_label
    # Where there is one type, it tells nothing.
    assert profile([couple()] * 4).ends("married") == ([], [])
    assert profile([couple(((0, 1, "married"),))] * 4).symmetric == set()


def test_words_of_a_label() -> None:
    names = ("founded_by", "org:foundedBy", "/org/founded-by", "Founded By", "FOUNDED_BY")
    assert {words_of(name) for name in names} == {"founded by"}
    assert words_of("P131") == "p131" and words_of("::") == "::"


def test_candidates_are_no_more_than_the_relations_ask_for() -> None:
    near = [founder("founded")] * 60
    assert choose_candidates(near).settings["@ragre_candidates"] == "ragre.SameSentence.v1"
    # One of 61 is less than 2%.
    assert choose_candidates([*near, far(5)]).settings["@ragre_candidates"] == "ragre.SameSentence.v1"
    reach = choose_candidates([*near[:10], far(45), far(61)])
    assert reach.settings == {
        "@ragre_candidates": "ragre.NearSentences.v1",
        "max_sentences": 1,
        "max_distance": 70,
        "max_tokens": 200,
    }
    assert (reach.relations, reach.share, reach.missed) == (12, 1.0, [])


def test_distance_counts_where_no_sentences_are_known_or_they_are_far_apart() -> None:
    words = " . ".join(["Ann", *["word"] * 6, "Acme"])
    many = make_doc(words, [(0, 1, "PERSON"), (14, 15, "ORG")], [(0, 1, "founded")])
    reach = choose_candidates([many])
    assert reach.settings == {"@ragre_candidates": "ragre.TokenDistance.v1", "max_distance": 20, "max_tokens": 200}
    missed = measure_reach([many, founder("founded")], make_same_sentence())
    assert missed.share == 0.5 and [relation.label for _, relation in missed.missed] == ["founded"]


def test_relations_of_clusters_need_whole_documents() -> None:
    doc = founder("founded")
    doc._.entity_clusters = [[doc.ents[0]], [doc.ents[1]]]
    relation = {"head": doc.ents[0], "tail": doc.ents[1], "label": "founded", "head_cluster": 0, "tail_cluster": 1}
    doc._.relations = [relation]
    found = profile([doc])
    assert found.by_cluster
    reach = choose_candidates([doc], by_cluster=True)
    assert reach.settings["@ragre_candidates"] == "ragre.WholeDocument.v1" and reach.share == 1.0


@pytest.mark.parametrize("memory, parts", [(None, 1), (16.0, 1), (2.0, 2), (0.1, 8)])
def test_a_plan_follows_from_corpus_and_machine(monkeypatch: pytest.MonkeyPatch, memory: Any, parts: int) -> None:
    monkeypatch.setattr("spacy_ragre.assist.plan.machine_memory", lambda: (memory, ""))
    small, large = profile([founder("founded")] * 40), profile([founder("founded")] * 40)
    large.words, large.counts.relations["founded"] = 150_000, 7000
    for found, optimize, answer in ((small, "speed", "open"), (small, "accuracy", "open"), (large, "speed", "open")):
        plan = make_plan(found, optimize)  # type: ignore[arg-type]
        assert (plan.answer, plan.parts, plan.batch_size) == (answer, parts, 64)
        assert plan.steps % plan.eval_frequency == 0
    assert make_plan(large, "accuracy").answer == "head"
    assert 1300 < make_plan(large, "speed").steps < 1700
    assert 500 < make_plan(large, "accuracy").steps < 800
    assert 20 < make_plan(small, "speed").steps < 60


def test_a_base_pipeline_gives_sentences_and_is_counted() -> None:
    base = spacy.blank("en")
    base.add_pipe("sentencizer")
    ruler = base.add_pipe("entity_ruler")
    patterns: List[Any] = [{"label": "ORG", "pattern": "Acme"}, {"label": "ORG", "pattern": "Ann"}]
    ruler.add_patterns(patterns)  # type: ignore[attr-defined]
    doc = base.make_doc("Ann founded Acme. It grew.")
    doc.ents = [Span(doc, 0, 1, "PERSON"), Span(doc, 2, 3, "ORG"), Span(doc, 4, 5, "ORG")]
    assert tuple(read_with(base, [doc])) == (3, 2, 1)
    assert [sent.text for sent in doc.sents] == ["Ann founded Acme.", "It grew."]
    assert [ent.label_ for ent in doc.ents] == ["PERSON", "ORG", "ORG"]
    docs = [founder(str(i)) for i in range(20)]
    assert sample(docs, 30) == docs
    assert sample(docs, 5) == sample(docs, 5) and len(sample(docs, 5)) == 5
