"""A real server on loopback: llama.cpp with the embedded SmolLM2."""

import warnings
from typing import Any, Callable, Iterator

import pytest
import spacy
from spacy.language import Language
from spacy.training import Example

from spacy_ragre import doc_from_dict, doc_to_dict
from spacy_ragre.assist.teacher import Sampling, teach
from spacy_ragre.bundled import locate
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.pair_weights import get_weights

from .conftest import NAME, backbone_of

MODEL = "smollm2-135m-instruct"
TEXT = "Acme was founded by Ann."

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(locate(MODEL) is None, reason=f"{MODEL} is not installed"),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    llama = pytest.importorskip("xllamacpp")
    params = llama.CommonParams()
    params.model.path = str(locate(MODEL))
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx, params.n_parallel, params.cpuparams.n_threads, params.warmup = 1024, 1, 1, False
    started = llama.Server(params)
    yield f"{started.listening_address}/v1"
    del started


@pytest.mark.parametrize(
    "settings",
    [{}, {"constrain": "logprobs", "request": "pair"}],
    ids=["schema", "letter"],
)
def test_it_answers_with_labels_and_probabilities(
    url: str, make_remote: Callable[..., Language], settings: Any
) -> None:
    nlp = make_remote(url=url, max_length=1024, concurrency=2, **settings)
    extractor: Any = nlp.get_pipe(NAME)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is left out, and all pairs are answered
        doc = nlp(TEXT)
        (pair,) = extractor._candidates(doc)
        scores = extractor.predictor.score([pair.instance], documents=[0]).scores
    # A distribution in which nothing is certain.
    assert scores.shape == (1, 4) and scores.max() < -1e-4 and scores.min() > -100
    assert {relation.label for relation in doc._.relations} <= set(extractor.labels)
    usage = backbone_of(nlp).usage
    assert usage.requests == 1 and usage.input_tokens > 100 and usage.output_tokens > 0 and not usage.uncounted


def test_several_relations_of_a_pair_by_a_grammar(url: str, make_remote: Callable[..., Language]) -> None:
    nlp = make_remote({"multi_label": True}, url=url, max_length=1024, constrain="grammar")
    assert all(0.5 < relation.score <= 1 for relation in nlp(TEXT)._.relations)


def test_a_refused_request_is_told_in_the_words_of_the_server(url: str, make_remote: Callable[..., Language]) -> None:
    # The text is longer than the server's window, which max_length does not say.
    nlp = make_remote({"candidates": {"@ragre_candidates": "ragre.WholeDocument.v1", "max_tokens": 6000}}, url=url)
    with pytest.raises(OSError, match="R713.*context"):
        nlp("Acme was founded by Ann " + "and so on " * 500 + ".")


def test_it_teaches_a_small_model(url: str, make_remote: Any, make_nlp: Any, train: Any) -> None:
    # It stands in for a larger model: what it says is not looked at, only that it is asked, written and learned.
    teacher = make_remote(url=url, max_length=1024, concurrency=1)
    docs = list(teach([teacher.make_doc(TEXT)], teacher, Sampling(samples=2, temperature=1.5)))
    usage = backbone_of(teacher).usage
    assert usage.requests == 2 and usage.cached == 0
    docs = [doc_from_dict(doc_to_dict(doc)) for doc in docs]
    shares = {pair.weight for doc in docs for pair in get_weights(doc)}
    assert shares <= {0.0, 0.5}
    docs[0]._.relations = docs[0]._.relations or [
        {"head": docs[0].ents[0], "tail": docs[0].ents[1], "label": "founded_by"}
    ]
    student = make_nlp(labels={"founded_by": "was founded by", "near": {"text": "is near", "symmetric": True}})
    losses = train(student, [Example(copy_input(doc), doc) for doc in docs], steps=4)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("constrain", ["json_schema", "grammar"])
def test_lists_and_letters_of_the_supplement_tasks(url: str, constrain: str) -> None:
    backbone = {"@ragre_backbones": "ragre.OpenAI.v1", "name": "m", "url": url, "max_length": 1024}
    model = {"@architectures": "ragre.MultiTaskModel.v1", "backbone": {**backbone, "constrain": constrain}}
    nlp = spacy.blank("en")
    nlp.add_pipe("supplement_usage_classifier", config={"tasks": ["ner", "uc"], "n_examples": 0, "model": model})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*W755")  # a model of this size may invent names
        doc = nlp("Takes zinc for colds.")
    assert all(ent.label_ in ("SUPPLEMENT", "EVENT") for ent in doc.ents)
    server = nlp.get_pipe("supplement_usage_classifier").predictor.backbone  # type: ignore[attr-defined]
    assert server.usage.requests >= 1 and server.usage.output_tokens > 0
