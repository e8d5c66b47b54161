"""`open_entities`: what it has learned, which types it is asked for, and its life in a pipeline."""

import json
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ragre.components.open_entities.component import OpenEntities, make_open_entities
from spacy_ragre.components.open_entities.finder import EntityFinder, Found, best_path
from spacy_ragre.components.open_entities.tagger import (
    CAPITALISED,
    LOWER,
    MIXED,
    NUMBER,
    OTHER,
    UPPER,
    writing_of,
)
from spacy_ragre.components.relations.given_types import Given, GivenTypes
from spacy_ragre.components.relations.open_scorer import FOUND, NAMED, PHRASES, OpenScorer
from spacy_ragre.entity_types import STRICT, TypeRules
from spacy_ragre.instances import Instance
from spacy_ragre.labels import LabelSet

from .conftest import TEXTS

NAME = "open_entities"


def found(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


@pytest.fixture
def nlp(entity_settings):
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config=entity_settings)
    return nlp


# What it finds


@pytest.mark.parametrize(("text", "ents"), TEXTS)
def test_finds_what_it_has_learned(nlp, text, ents):
    assert found(nlp(text)) == list(ents)


def test_finds_the_types_that_are_asked_for(entity_settings):
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={**entity_settings, "types": {"STAFF": "person"}})
    assert found(nlp("Acme Corp hired Ann Lee")) == [("Ann Lee", "STAFF")]


def test_caution_leaves_entities_out(entity_settings):
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={**entity_settings, "caution": 1e3})
    assert found(nlp("Acme Corp hired Ann Lee")) == []


def test_entities_that_are_there_stay(nlp):
    doc = nlp.make_doc("Acme Corp hired Ann Lee")
    doc.set_ents([Span(doc, 4, 5, "SURNAME")])
    assert found(nlp(doc)) == [("Acme Corp", "FIRM"), ("Lee", "SURNAME")]


def test_text_longer_than_one_window(entity_files):
    # A model that knows each token by itself, and is wrong beside the ends of what it reads.
    finder = EntityFinder.load(entity_files[1] / "open_entities.safetensors", entity_files[0])
    bob = finder.layout.ids("bob")[0]

    def score(batch, types):
        entity = (batch.ids == bob) | (batch.columns < 20)
        begin = torch.where(entity, 9.0, -9.0)
        return torch.stack([-begin, begin, torch.full_like(begin, -99.0)], 1)

    finder.model.read_tokens = lambda batch: batch
    finder.model.score = score
    words = ["rain"] * 300 + ["Bob"] + ["rain"] * 250 + ["Bob"]
    starts = [5 * i - sum(word == "Bob" for word in words[:i]) for i in range(len(words))]
    places = [(start, start + len(word)) for start, word in zip(starts, words)]
    (ents,) = finder.find([" ".join(words)], [places], finder.read_types(["person"]))
    assert [ent.start for ent in ents if ent.start >= 20] == [300, 551]


def test_words_that_have_no_token(nlp):
    doc = Doc(nlp.vocab, words=["\u200b", "Bob", "left", "Initech", "\u200b"])
    assert found(nlp(doc)) == [("Bob", "PERSON"), ("Initech", "FIRM")]


@pytest.mark.parametrize(("space", "joins"), [("  ", True), ("\n", True), (" \u00a0", True), ("\n\n", False)])
def test_entities_go_over_spaces_and_end_at_empty_lines(nlp, space, joins):
    doc = nlp(f"Acme{space}Corp hired Ann Lee")
    first = [ent for ent in doc.ents if ent.label_ == "FIRM"][0]
    assert (first.text == f"Acme{space}Corp") == joins


def test_blocked_tokens_stay_blocked(nlp):
    doc = nlp.make_doc("Acme Corp hired Ann Lee")
    doc.set_ents([], blocked=[doc[1:2]])
    assert found(nlp(doc)) == [("Ann Lee", "PERSON")]
    assert doc[1].ent_iob == 3 and not doc[1].ent_type_


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_text_without_words(nlp, text):
    doc = nlp(text)
    assert doc.ents == () and (not len(doc) or doc.has_annotation("ENT_IOB"))


CHARS = st.sampled_from(list("aB.,-' \t\n1é😊日\u00a0\u200b"))


@settings(max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(CHARS, max_size=40), min_size=1, max_size=4))
def test_any_text_has_entities_of_its_own_words(nlp, texts):
    texts = [f"{text} Bob {text}" for text in texts]
    docs = list(nlp.pipe(texts))
    assert [doc.text for doc in docs] == texts
    assert [found(doc) for doc in docs] == [found(nlp(text)) for text in texts]
    assert all(ent.text.strip() for doc in docs for ent in doc.ents)


# Its life in a pipeline


def test_pipe_is_call(nlp, known_texts):
    texts = [*known_texts, "", *known_texts]
    one_by_one = [found(nlp(text)) for text in texts]
    assert [found(doc) for doc in nlp.pipe(texts, batch_size=3)] == one_by_one


def test_a_forked_process_uses_one_thread(nlp, monkeypatch):
    # It would wait for ever for the threads that its parent had.
    before = torch.get_num_threads()
    monkeypatch.setattr("spacy_ragre.training.locks._PROCESS", -1)
    torch.set_num_threads(2)
    try:
        nlp("Bob left Initech")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.real
def test_several_processes():
    # No other process has what a test has replaced: the weights of the package.
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME)
    texts = ["Bob left Paris in 1990.", "Ann Lee works for Acme Corp."] * 2
    assert [found(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=1)] == [found(nlp(text)) for text in texts]


def test_saved_and_loaded(nlp, tmp_path, known_texts):
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")
    assert again.get_pipe(NAME).labels == ("PERSON", "FIRM")
    assert [found(again(text)) for text in known_texts] == [found(nlp(text)) for text in known_texts]


def test_is_scored_as_a_recogniser(nlp):
    examples = []
    for text, ents in TEXTS:
        doc = nlp.make_doc(text)
        doc.set_ents([doc.char_span(text.index(ent), text.index(ent) + len(ent), label=type_) for ent, type_ in ents])
        examples.append(Example(nlp.make_doc(text), doc))
    assert nlp.evaluate(examples)["ents_f"] == 1.0


def test_a_document_that_fails_goes_to_the_handler(nlp, monkeypatch):
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, error: failed.append((name, len(docs), str(error))))

    find = EntityFinder.find

    def fail(self, texts, *args, **kwargs):
        if any("rain" in text for text in texts):
            raise RuntimeError("out of luck")
        return find(self, texts, *args, **kwargs)

    monkeypatch.setattr(EntityFinder, "find", fail)
    docs = list(nlp.pipe(["Bob left Initech", "rain fell on Initech", "Ann Lee met Bob"]))
    assert [len(doc.ents) for doc in docs] == [2, 2] and failed == [(NAME, 1, "out of luck")]


def test_types_that_relations_are_read_with(nlp):
    nlp.add_pipe("sentencizer")
    given = GivenTypes(nlp, nlp.get_pipe("sentencizer"))
    assert given.found() == Given(frozenset({"PERSON", "FIRM"}), NAMED)
    nlp.add_pipe("ner", first=True).add_label("GPE")
    assert given.found() == Given(frozenset({"PERSON", "FIRM", "GPE"}), FOUND)
    nlp.add_pipe("entity_phrases", after="ner")
    assert given.found().by == PHRASES


@pytest.mark.parametrize("by", [NAMED, FOUND, PHRASES])
@pytest.mark.parametrize("head_types", [["PERSON"], []])
def test_the_reader_is_told_types_where_labels_have_none(by, head_types):
    class Scorer(OpenScorer):
        def _class_scores(self, instances, labels, examples, documents=None):
            self.told = {instance.first_type for instance in instances}
            return np.zeros((len(instances), len(labels.classes)), dtype="float32")

    scorer = Scorer(None)
    scorer.types, scorer.entities = TypeRules(frozenset({"PERSON", "FIRM"})), by
    labels = LabelSet({"left": {"text": "left", "head_types": head_types}})
    pair = Instance("Bob left Initech", first=(0, 3), second=(9, 16), first_type="PERSON", second_type="FIRM")
    scorer.scores([pair], labels)
    assert scorer.told == ({"PERSON"} if by == NAMED and not head_types else {""})


def test_limits_of_what_it_finds(tmp_path):
    known = {"decision": {"types": 0.2, "types_found": 0.3, "types_named": 0.4}, "sha256": ""}
    known["decision_across"] = {"types": 0.5, "types_named": 0.6}
    (tmp_path / "open_reader.json").write_text(json.dumps(known))
    scorer = OpenScorer(str(tmp_path))
    labels = LabelSet({"left": {"text": "left", "head_types": ["PERSON"]}})
    assert (scorer.decision(labels), scorer.decision(labels, across=True)) == (0.2, 0.5)
    scorer.types = TypeRules(frozenset({"PERSON"}))
    assert (scorer.decision(labels), scorer.decision(labels, across=True)) == (0.3, 1.0)
    scorer.entities = NAMED
    assert (scorer.decision(labels), scorer.decision(labels, across=True)) == (0.4, 0.6)
    # What is known of a recogniser counts for phrases, until they have a limit of their own.
    scorer.entities = PHRASES
    assert (scorer.decision(labels), scorer.decision(labels, across=True)) == (0.3, 1.0)
    scorer.known["decision"]["types_phrases"] = scorer.known["decision_across"]["types_phrases"] = 0.35
    assert (scorer.decision(labels), scorer.decision(labels, across=True)) == (0.35, 0.35)
    # Strict types are those that the others were chosen for.
    scorer.types = STRICT
    assert (scorer.decision(labels), scorer.decision(labels, across=True)) == (0.2, 0.5)


def test_limits_of_weights_that_have_none_for_it(tmp_path):
    known = {"decision": {"types": 0.2}, "decision_across": {"types": 0.5}, "sha256": ""}
    (tmp_path / "open_reader.json").write_text(json.dumps(known))
    scorer = OpenScorer(str(tmp_path))
    scorer.types, scorer.entities = TypeRules(frozenset({"PERSON"})), NAMED
    labels = LabelSet({"left": {"text": "left", "head_types": ["PERSON"]}})
    assert (scorer.decision(labels), scorer.decision(labels, across=True)) == (0.2, 0.5)


# Bad input


@pytest.mark.parametrize(
    "types", [[], {}, [""], "PERSON", None, 5, ["__"], ["-"], {"A": "__"}, [5], {"A": None}, {5: "person"}]
)
def test_types_that_are_none(types):
    with pytest.raises(ValueError, match=r"\[R643\]"):
        OpenEntities(spacy.blank("en").vocab, types=types)


@pytest.mark.parametrize(
    "types", [{"A:B": "x y"}, {"a=b": "x"}, {"#A": "x"}, {"A": "${nlp.lang}"}, {"A": "a $b"}, ["$x"], ["${a.b}"]]
)
def test_types_that_no_config_keeps(types):
    with pytest.raises(ValueError, match=r"\[R645\]"):
        make_open_entities(spacy.blank("en"), NAME, types, "open", None, None)


@pytest.mark.parametrize(
    "setting", [{"caution": "1.5"}, {"caution": float("nan")}, {"weights": None}, {"weights": " "}]
)
def test_settings_that_are_none(setting):
    with pytest.raises(ValueError, match=r"\[R646\]"):
        OpenEntities(spacy.blank("en").vocab, **setting)


def test_types_stay_as_they_are(nlp):
    with pytest.raises(TypeError):
        nlp.get_pipe(NAME).types["ORG"] = "organisation"
    # What is saved is the config.
    with pytest.raises(AttributeError):
        nlp.get_pipe(NAME).caution = 1.0


def test_weights_that_are_not_there(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={"weights": str(tmp_path)})
    with pytest.raises(ValueError, match=r"\[R644\].*no open_entities.safetensors and open_entities.json"):
        nlp("Bob left Initech")


def test_weights_that_are_damaged(entity_settings, tmp_path):
    for file in Path(entity_settings["weights"]).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "open_entities.safetensors").open("ab") as file:
        file.write(b"x")
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={**entity_settings, "weights": str(tmp_path)})
    with pytest.raises(ValueError, match=r"\[R120\]"):
        nlp("Bob left Initech")


def test_weights_that_are_no_numbers(nlp):
    nlp("Bob left Initech")
    nlp.get_pipe(NAME)._finder.model.none.bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"\[R504\].*open_entities"):
        nlp("Bob left Initech")


def test_types_with_the_same_words():
    with pytest.warns(UserWarning, match=r"\[W642\].*DRUG, MEDICINE"):
        OpenEntities(spacy.blank("en").vocab, types={"DRUG": "medicine", "MEDICINE": "medicine"})


def test_types_with_more_words_than_are_read(entity_settings):
    """The type that is cut is told at first use; what is found is of its first words."""
    nlp = spacy.blank("en")
    types = {"PERSON": "person", "LONG": "company " * 24, "LONGER": "company " * 25}
    nlp.add_pipe(NAME, config={**entity_settings, "types": types})
    with pytest.warns(UserWarning, match=r"\[W645\] The words of LONGER are more"):
        nlp("Bob left Initech")


def test_another_language():
    with pytest.warns(UserWarning, match=r"\[W643\]"):
        spacy.blank("de").add_pipe(NAME)


# Its parts


def tags(*rows):
    return np.log(np.array(rows) + 1e-9)


def test_an_entity_goes_on_only_where_it_has_begun():
    # Classes: none, begin of 0 and 1, inside of 0 and 1.
    scores = tags([0.6, 0.4, 0, 0, 0], [0.1, 0, 0, 0.9, 0], [0.2, 0, 0.1, 0, 0.7])
    assert best_path(scores) == [Found(0, 2, 0)]
    assert best_path(tags([0.1, 0, 0, 0.9, 0])) == []


def test_one_entity_after_the_other():
    scores = tags([0, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0])
    assert best_path(scores) == [Found(0, 1, 0), Found(1, 2, 0), Found(2, 4, 1)]


def test_no_words_and_no_types():
    assert best_path(np.zeros((0, 5))) == [] and best_path(np.zeros((3, 1))) == []


@pytest.mark.parametrize(
    ("word", "way"),
    [("bob", LOWER), ("Bob", CAPITALISED), ("NATO", UPPER), ("A", CAPITALISED), ("iPhone", MIXED), ("McKay", MIXED)]
    + [("1990", NUMBER), ("(", OTHER), ("", OTHER), ("日本", LOWER)],
)
def test_how_words_are_written(word, way):
    assert writing_of(word) == way
