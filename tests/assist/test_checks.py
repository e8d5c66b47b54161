"""Texts that are there twice, and pairs that were annotated unlike others of the same words."""

from typing import Sequence

import numpy as np
import spacy
from spacy.tokens import Doc, Span

from spacy_ragre.assist.checks import find_suspects, gold_pairs, repeated, repeats
from spacy_ragre.candidates import make_same_sentence
from spacy_ragre.instances import Answer, Instance

nlp = spacy.blank("en")


class Words:
    """Encodes each text by itself: what differs is as unlike as can be."""

    width = 16
    fingerprint = "words"

    def encode_queries(self, instances: Sequence[Instance]) -> np.ndarray:
        known = sorted({instance.text for instance in instances})
        return np.eye(16, dtype="float32")[[known.index(instance.text) for instance in instances]]


def make_doc(words: str, *labels: str) -> Doc:
    doc = nlp.make_doc(words)
    doc.ents = [Span(doc, 0, 1, "PERSON"), Span(doc, len(doc) - 1, len(doc), "ORG")]
    doc._.relations = [{"head": doc.ents[0], "tail": doc.ents[1], "label": label} for label in labels]
    return doc


def test_texts_that_are_there_twice() -> None:
    docs = [nlp.make_doc(text) for text in ("a b", "c", "a  b", "a b")]
    assert repeats(docs) == 2 and repeats(docs[:2]) == 0
    assert [doc.text for doc in repeated(docs, [nlp.make_doc("a b")])] == ["a b", "a  b", "a b"]
    assert repeated(docs, []) == []


def test_pairs_with_a_relation_come_before_those_without() -> None:
    docs = [make_doc("Ann runs Acme"), make_doc("Bob runs Acme", "runs"), make_doc("Eve runs Acme")]
    part = make_doc("Kim runs Acme")
    part._.annotated_labels = ["owns"]
    unknown = nlp.make_doc("Lea runs Acme")
    unknown.ents = [Span(unknown, 0, 1, "PERSON"), Span(unknown, 2, 3, "ORG")]
    pairs = gold_pairs([*docs, part, unknown], make_same_sentence())
    assert [pair.first_text for pair in pairs] == ["Bob", "Ann", "Eve"]
    assert [pair.first_text for pair in gold_pairs(docs, make_same_sentence(), most=1)] == ["Bob"]


def test_a_pair_unlike_all_others_of_the_same_words_is_suspect() -> None:
    docs = [make_doc(f"{name} runs Acme", "runs") for name in ("Ann", "Bob", "Eve", "Kim", "Lea")]
    wrong, none = make_doc("Max runs Acme", "owns"), make_doc("Joe runs Acme")
    other = [make_doc(f"{name} likes Acme", "likes") for name in ("Ann", "Bob")]
    found = find_suspects(gold_pairs([*docs, wrong, none, *other], make_same_sentence()), Words())  # type: ignore[arg-type]
    assert sorted(item.instance.first_text for item in found) == ["Joe", "Max"]
    assert all(item.others == (Answer("runs"),) and item.others_count == 5 for item in found)
    assert all(item.example.first_text == "Ann" for item in found)
    # Where the others are of two minds, nothing is said of any.
    assert find_suspects(gold_pairs([*docs[:3], wrong, wrong, wrong], make_same_sentence()), Words()) == []  # type: ignore[arg-type]
    many = [make_doc(f"{name} runs Acme", "runs") for name in "ABCDEFGHIJKLMNOP"]
    mixed = [*many, *[make_doc(f"{name} runs Acme", "owns") for name in "abcdefghijklmnop"]]
    assert find_suspects(gold_pairs(mixed, make_same_sentence()), Words()) == []  # type: ignore[arg-type]
    assert find_suspects([], Words()) == []  # type: ignore[arg-type]
