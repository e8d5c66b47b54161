"""A tiny encoder for pairs, and documents for it."""

import random
from pathlib import Path
from typing import Any, Callable, List

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_ragre.components.pair_filter.encoders import PairInput
from spacy_ragre.corpora.reader import copy_input

NAME = "pair_candidate_filter"


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


def make_doc(nlp, words, clusters, related=None):
    """Entities with an upper-case letter are persons, others places."""
    doc = Doc(nlp.vocab, words=words)
    spans = [[doc[start : start + 1] for start in cluster] for cluster in clusters]
    label = ["PER" if cluster[0].text[0].isupper() else "LOC" for cluster in spans]
    plain = [[(m.start, m.end, name) for m in cluster] for cluster, name in zip(spans, label)]
    doc.ents = sorted((spacy.tokens.Span(doc, *m) for cluster in plain for m in cluster), key=lambda s: s.start)
    doc._.entity_clusters = plain
    if related is not None:
        doc._.relations = [
            {"head": plain[h][0], "tail": plain[t][0], "label": "at", "head_cluster": h, "tail_cluster": t}
            for h, t in related
        ]
    return doc


@pytest.fixture
def gold_docs():
    """Each person is at each place."""

    def make(nlp):
        return [
            make_doc(nlp, "A is in b and c".split(), [[0], [3], [5]], [(0, 1), (0, 2)]),
            make_doc(nlp, "d is where A was with B".split(), [[0], [3], [6]], [(1, 0), (2, 0)]),
            make_doc(nlp, "A and B met , A left".split(), [[0, 4], [2]], []),
            make_doc(nlp, "b lies by c".split(), [[0], [3]], []),
            make_doc(nlp, "then C went to b".split(), [[1], [4]], [(0, 1)]),
        ]

    return make


@pytest.fixture
def make_nlp(tiny_encoder):
    def make(lora=None, engine="torch", **settings):
        encoder = {
            "@architectures": "ragre.HuggingFaceEncoder.v1",
            "name": str(tiny_encoder),
            "device": "cpu",
            "overlap": 16,
            "lora": lora,
            "engine": engine,
        }
        model = {"@architectures": "ragre.PairFilter.v1", "encoder": encoder, "hidden": 16, "block": 8}
        nlp = spacy.blank("en")
        nlp.add_pipe(NAME, config={"model": model, **settings})
        return nlp

    return make


def examples_of(docs):
    return [Example(copy_input(doc), doc) for doc in docs]


@pytest.fixture
def trained(make_nlp, gold_docs):
    def make(steps=12, **settings):
        fix_random_seed(0)
        nlp = make_nlp(**settings)
        examples = examples_of(gold_docs(nlp))
        optimizer = nlp.initialize(lambda: examples)
        optimizer.learn_rate = 0.01
        losses = [nlp.update(examples, sgd=optimizer)[NAME] for _ in range(steps)]
        return nlp, losses

    return make


def pairs_of(docs):
    return [sorted((p.head, p.tail) for p in doc._.candidate_pairs) for doc in docs]


def gold_pairs(docs):
    return [sorted((r.head_cluster, r.tail_cluster) for r in doc._.relations) for doc in docs]
