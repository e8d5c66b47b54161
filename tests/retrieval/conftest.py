"""A tiny BERT with random weights, and instances it can read. Nothing is downloaded."""

import random
from pathlib import Path
from typing import Callable, List

import numpy as np
import pytest

from spacy_ragre.instances import Answer, Instance

NAMES = ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka", "soylent", "tyrell"]
PEOPLE = ["ann", "bob", "cara", "dan", "eve", "finn", "gus", "hana", "ivy", "jon"]
WORDS = ["was", "founded", "hired", "sued", "by", "the", "in", "of", "and", "a", "great", "firm", "query", "passage"]


@pytest.fixture(scope="session")
def make_bert(make_bert: Callable[..., Path]) -> Callable[..., Path]:
    """`make_bert(seed, width)`: a folder with a random BERT that reads the words of these tests whole."""
    return lambda seed=0, width=32: make_bert(48, words=[*WORDS, *NAMES, *PEOPLE], width=width, seed=seed)


@pytest.fixture(scope="session")
def bert(make_bert: Callable[..., Path]) -> str:
    return str(make_bert())


def instance(first: str, verb: str, second: str, label: str = "", id: str = "") -> Instance:
    """ "acme was founded by ann": the answer is unknown for the label "?" and none for ""."""
    text = f"{first} was {verb} by {second}"
    answers = None if label == "?" else (Answer(label),) if label else ()
    start = len(text) - len(second)
    return Instance(text, (0, len(first)), (start, len(text)), "ORG", "PERSON", answers, id)


@pytest.fixture
def make_instance() -> Callable[..., Instance]:
    return instance


@pytest.fixture
def instances() -> List[Instance]:
    """60 sentences, in which the verb is the label and the names are noise."""
    rng = random.Random(0)
    pairs = rng.sample([(name, person) for name in NAMES for person in PEOPLE], 60)
    verbs = {"founded": "founded_by", "hired": "hired_by", "sued": ""}
    return [
        instance(name, list(verbs)[i % 3], person, list(verbs.values())[i % 3], id=f"d{i}")
        for i, (name, person) in enumerate(pairs)
    ]


@pytest.fixture
def vectors() -> Callable[..., np.ndarray]:
    def make(count: int, width: int = 16, seed: int = 0) -> np.ndarray:
        keys = np.random.default_rng(seed).normal(size=(count, width)).astype("float32")
        return keys / np.linalg.norm(keys, axis=1, keepdims=True)

    return make
