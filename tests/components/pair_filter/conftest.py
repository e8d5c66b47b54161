"""A tiny encoder for pairs, and documents for it."""

import random
from pathlib import Path
from typing import Any, Callable, List

import pytest
import spacy
from spacy.tokens import Doc

from spacy_ragre.components.pair_filter.encoders import PairInput


@pytest.fixture
def make_input() -> Callable[..., PairInput]:
    """`make_input(tokens, entities, seed)`: a document of random words with random mentions."""

    def make(tokens: int, entities: int, seed: int = 0, most: int = 3) -> PairInput:
        rng = random.Random(seed)
        words = ["".join(rng.choice("abcdefgh") for _ in range(rng.randint(1, 5))) for _ in range(tokens)]
        doc = Doc(spacy.blank("en").vocab, words=words)
        clusters: List[Any] = []
        for _ in range(entities):
            starts = sorted(rng.sample(range(tokens), min(tokens, rng.randint(1, most))))
            clusters.append([(start, min(tokens, start + rng.randint(1, 2))) for start in starts])
        return PairInput(doc, clusters, [rng.choice(["A", "B"]) for _ in clusters])

    return make


@pytest.fixture
def encoder_path(tiny_encoder: Path) -> str:
    return str(tiny_encoder)
