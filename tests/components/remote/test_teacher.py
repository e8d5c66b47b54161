"""A teacher on a server, or one that is loaded here, answers several times; a small model learns what it is sure of."""

import json
import warnings
from typing import Any, Callable, Dict, List

import pytest
import spacy
from spacy.language import Language
from spacy.training import Example

from spacy_ragre import doc_from_dict, doc_to_dict
from spacy_ragre.assist.teacher import Sampling, put_teacher, teach
from spacy_ragre.components.relations.teaching import agree
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.pair_weights import get_weights, set_weights

from .conftest import FOUNDED, NAME, NEAR, NONE, Fault, completion, found, founders, pairs_of

TEXT = "Acme was founded by Ann. Globex met Bob."
SAMPLING = Sampling(samples=4, temperature=0.8, seed=10)


def by_seed(*answers: Dict[str, str]) -> Callable[..., Any]:
    """Answers by the seed of a request, from 10 on."""
    return lambda body, number: completion(json.dumps(answers[body["seed"] - 10]))


def taught_by(nlp: Language, texts: List[str], sampling: Sampling = SAMPLING) -> List[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(teach(map(nlp.make_doc, texts), nlp, sampling))


def weights_in(doc: Any) -> Dict[str, float]:
    return {f"{pair.head.text} {pair.tail.text}": pair.weight for pair in get_weights(doc)}


# What answers agree on


def test_the_answer_that_is_given_most_often_is_taken() -> None:
    assert agree([(1,), (), (1,), (2,)]) == ((1,), 0.5)
    assert agree([(), (), (2,)]) == ((), pytest.approx(2 / 3))
    # Several labels are one answer, in whatever order.
    assert agree([(1, 2), (2, 1), (1,)]) == ((1, 2), pytest.approx(2 / 3))
    # One that says nothing agrees with none.
    assert agree([(1,), None, None, (2,)]) == ((1,), 0.25)
    assert agree([None, None]) == (None, 0.0)


@pytest.mark.parametrize("request_of", ["document", "pair"])
def test_scores_and_weights_are_the_share_of_the_answers(server: Any, make_remote: Any, request_of: str) -> None:
    answers = [{"1": FOUNDED, "2": NONE}, {"1": FOUNDED, "2": NONE}, {"1": NEAR, "2": NEAR}, {"1": FOUNDED, "2": NONE}]
    server.react = by_seed(*answers)
    if request_of == "pair":
        server.react = lambda body, number: completion(
            json.dumps({"1": answers[body["seed"] - 10]["1" if "Ann" in pairs_of(body)["1"] else "2"]})
        )
    (doc,) = taught_by(make_remote(request=request_of), [TEXT])
    assert found(doc) == [("Acme", "founded_by", "Ann")] and doc._.relations[0].score == 0.75
    # A pair without a relation has a weight, too.
    assert weights_in(doc) == {"Acme Ann": 0.75, "Globex Bob": 0.75}
    assert doc._.annotated_labels == ["founded_by", "near"]
    assert {(body["temperature"], body["seed"]) for body in server.requests} == {(0.8, seed) for seed in range(10, 14)}
    assert not any("logprobs" in body for body in server.requests)


def test_all_samples_are_asked_at_once(server: Any, make_remote: Any) -> None:
    server.react = lambda body, number: Fault(body=founders(body), wait=0.05)
    (doc,) = taught_by(make_remote(concurrency=8), ["Acme was founded by Ann."])
    assert server.most == 4 and doc._.relations[0].score == 1 and not get_weights(doc)


def test_several_relations_of_a_pair_are_one_answer(server: Any, make_remote: Any) -> None:
    both, one = json.dumps({"1": ["B", "D"]}), json.dumps({"1": ["B"]})
    server.react = lambda body, number: completion(one if body["seed"] == 12 else both)
    (doc,) = taught_by(make_remote({"multi_label": True}), ["Acme was founded by Ann."])
    assert [(r.label, r.score) for r in doc._.relations] == [("founded_by", 0.75), ("near", 0.75)]


def test_evidence_keeps_the_examples(server: Any, make_remote: Any, text_retriever: Any, make_doc: Any) -> None:
    server.react = founders
    nlp = make_remote({"n_examples": 2, "retriever": text_retriever})
    docs = [
        make_doc(nlp, "Initech was founded by Dan.", [("Initech", "ORG"), ("Dan", "PERSON")], [(0, "founded_by", 1)]),
        make_doc(nlp, "Eve saw Hooli.", [("Eve", "PERSON"), ("Hooli", "ORG")], []),
    ]
    nlp.get_pipe(NAME).add_examples(docs)
    (doc,) = taught_by(nlp, ["Acme was founded by Ann."])
    (relation,) = doc._.relations
    assert len(relation.evidence["examples"]) == 2 and relation.evidence["text"] == "Acme was founded by Ann."
    # It goes through a file as it is.
    again = doc_from_dict(doc_to_dict(doc), nlp)
    assert doc_to_dict(again) == doc_to_dict(doc)


def test_the_threshold_says_how_many_must_agree(server: Any, make_remote: Any) -> None:
    server.react = by_seed({"1": FOUNDED}, {"1": FOUNDED}, {"1": NEAR}, {"1": NONE})
    (doc,) = taught_by(make_remote({"threshold": 0.6}), ["Acme was founded by Ann."])
    # Of this pair nothing is known: it is no example of "no relation", either.
    assert found(doc) == [] and weights_in(doc) == {"Acme Ann": 0.0}


def test_answers_that_say_nothing_teach_nothing(server: Any, make_remote: Any) -> None:
    server.react = lambda body, number: completion("{}")
    nlp = make_remote()
    with pytest.warns(UserWarning, match="W757.*Of 8 answers.*'tiny' left out 8"):
        docs = list(teach([nlp.make_doc(TEXT)], nlp, SAMPLING))
    assert found(docs[0]) == [] and weights_in(docs[0]) == {"Acme Ann": 0.0, "Globex Bob": 0.0}
    (student,) = [pipe for _, pipe in nlp.pipeline if pipe.name == NAME]
    assert student._gold(docs) == []


def test_a_document_that_fails_goes_to_the_error_handler(server: Any, make_remote: Any) -> None:
    server.react = lambda body, number: completion('{"1": ') if "Globex" in str(body) else founders(body)
    nlp = make_remote()
    failed: List[str] = []
    nlp.set_error_handler(lambda name, component, docs, error: failed.extend(doc.text for doc in docs))
    docs = taught_by(nlp, ["Acme was founded by Ann.", "Globex is by Bob."])
    assert [found(doc) for doc in docs] == [[("Acme", "founded_by", "Ann")]] and failed == ["Globex is by Bob."]


def test_a_server_without_seeds(server: Any, make_remote: Any) -> None:
    def react(body: Any, number: int) -> Any:
        return Fault(400, {"error": {"message": "unknown field: seed"}}) if "seed" in body else founders(body)

    server.react = react
    (doc,) = taught_by(make_remote(), ["Acme was founded by Ann."])
    assert found(doc) == [("Acme", "founded_by", "Ann")]


def test_kept_answers_are_those_of_their_seed(server: Any, make_remote: Any, tmp_path: Any) -> None:
    server.react = founders
    for _ in range(2):  # a run that was stopped goes on with what was answered
        taught_by(make_remote(cache=str(tmp_path)), [TEXT])
    assert len(server.requests) == 4
    taught_by(make_remote(cache=str(tmp_path)), [TEXT], SAMPLING._replace(samples=5))
    assert len(server.requests) == 5
    # The likeliest answer is none of them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_remote(cache=str(tmp_path))(TEXT)
    assert len(server.requests) == 6 and "seed" not in server.requests[-1]


# Teachers that are loaded here


def test_a_model_that_is_loaded_is_drawn_from(make_nlp: Any, gold_docs: Any) -> None:
    nlp = make_nlp(answer="trie")
    docs = gold_docs(nlp)
    sampling = Sampling(samples=200, temperature=1.0)
    extractor = nlp.get_pipe(NAME)
    taught = list(teach(map(copy_input, docs), nlp, sampling))
    for doc, own in zip(taught, docs):
        (pair,) = extractor._candidates(own)
        _, ((*probability,),) = extractor.predictor.judge([pair], [0])
        (share,) = [weight for _, _, weight in get_weights(doc)]
        assert share == pytest.approx(max(probability), abs=0.12)
    # The same whatever the batches, and another with another seed.
    again = [list(map(doc_to_dict, teach(map(copy_input, docs), nlp, sampling, batch_size=size))) for size in (1, 3)]
    assert again[0] == again[1] == list(map(doc_to_dict, taught))
    other = teach(map(copy_input, docs), nlp, sampling._replace(seed=1))
    assert list(map(doc_to_dict, other)) != again[0]
    # It answers as before, when it has taught.
    assert extractor.sampling is None


def test_a_lower_temperature_is_surer(make_nlp: Any, gold_docs: Any) -> None:
    nlp = make_nlp(answer="trie", multi_label=True)
    shares = []
    for temperature in (5.0, 0.05):
        docs = teach(map(copy_input, gold_docs(nlp)), nlp, Sampling(50, temperature))
        shares.append(sum(weight for doc in docs for _, _, weight in get_weights(doc) or [(0, 0, 1.0)]))
    assert shares[0] < shares[1]


def test_the_reader_of_open_labels_teaches(make_nlp: Any, open_settings: Any, gold_docs: Any) -> None:
    nlp = make_nlp(**{**open_settings, "answer": "open"})
    docs = list(teach(map(copy_input, gold_docs(nlp)), nlp, Sampling(5)))
    assert all(len(doc._.relations) <= 1 for doc in docs) and any(get_weights(doc) for doc in docs)


@pytest.mark.parametrize("settings", [{"samples": 0}, {"temperature": 0.0}, {"temperature": -1}, {"seed": -1}])
def test_what_no_answers_can_be_sampled_with(make_remote: Any, settings: Any) -> None:
    nlp = make_remote()
    with pytest.raises(ValueError, match="R756"):
        list(teach([nlp.make_doc(TEXT)], nlp, Sampling(**settings)))


def test_what_cannot_teach(make_nlp: Any, nlp: Any, gold_docs: Any, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="R758.*components: none"):
        list(teach([nlp("x")], nlp))
    written = make_nlp(answer="generate")
    with pytest.raises(ValueError, match="R757"):
        list(teach(gold_docs(written), written))
    (tmp_path / "teacher.cfg").write_text("[other]\na = 1\n")
    with pytest.raises(ValueError, match=r"R759.*no section \[teacher\]"):
        put_teacher(nlp, tmp_path / "teacher.cfg")
    with pytest.raises(ValueError, match="R759"):
        put_teacher(nlp, tmp_path / "missing.cfg")
    with pytest.raises(ValueError, match="R758"):
        put_teacher(spacy.blank("en"), nlp)


# Where a teacher comes from


def test_a_config_puts_a_teacher_in_place_of_the_extractor(
    server: Any, make_remote: Any, make_nlp: Any, gold_docs: Any, tmp_path: Any
) -> None:
    server.react = founders
    pipeline = make_remote({"labels": {"founded_by": "was founded by"}})
    config = f"""
[teacher]
n_examples = 0

[teacher.model]
@architectures = "ragre.LabelModel.v1"

[teacher.model.backbone]
@ragre_backbones = "ragre.OpenAI.v1"
name = "large"
url = "{server.url}"
"""
    (tmp_path / "teacher.cfg").write_text(config)
    put_teacher(pipeline, tmp_path / "teacher.cfg")
    assert pipeline.pipe_names == ["sentencizer", "entity_ruler", "teacher"]
    (doc,) = taught_by(pipeline, ["Acme was founded by Ann."])
    assert found(doc) == [("Acme", "founded_by", "Ann")] and server.requests[0]["model"] == "large"
    # That pipeline, saved, teaches in another one.
    pipeline.to_disk(tmp_path / "saved")
    other = make_remote({"labels": {"near": "is near"}})
    put_teacher(other, spacy.load(tmp_path / "saved"))
    assert other.pipe_names == ["sentencizer", "entity_ruler", "teacher"]
    assert found(taught_by(other, ["Acme was founded by Bob."])[0]) == [("Acme", "founded_by", "Bob")]


# What is learned of it


def weighed(docs: List[Any], weight: float, rows: Any) -> List[Any]:
    """Some documents' only pair counts less."""
    for row in rows:
        set_weights(docs[row], [(*docs[row].ents, weight)])
    return docs


def losses_of(nlp: Language, docs: List[Any], train: Any) -> List[float]:
    steps: List[float] = train(nlp, [Example(copy_input(doc), doc) for doc in docs], steps=3)
    return steps


@pytest.mark.parametrize("settings", [{}, {"multi_label": True}, {"answer": "open"}])
def test_a_weight_of_0_leaves_a_pair_out(
    make_nlp: Any, gold_docs: Any, train: Any, settings: Any, open_settings: Any
) -> None:
    own = {**(open_settings if settings else {}), **settings} if settings.get("answer") == "open" else settings
    nlp = make_nlp(**own)
    without = losses_of(nlp, [doc for row, doc in enumerate(gold_docs(nlp)) if row not in (1, 6)], train)
    nlp = make_nlp(**own)
    assert losses_of(nlp, weighed(gold_docs(nlp), 0.0, (1, 6)), train) == pytest.approx(without, rel=1e-4)
    assert len(nlp.get_pipe(NAME).predictor.known_examples) == 6


@pytest.mark.parametrize("settings", [{}, {"multi_label": True}, {"answer": "open"}])
def test_weights_multiply_the_loss_of_their_pairs(
    make_nlp: Any, gold_docs: Any, train: Any, settings: Any, open_settings: Any
) -> None:
    own = {**open_settings, **settings} if settings.get("answer") == "open" else settings
    first = []
    for rows, weight in ((), 1.0), (range(8), 0.5), (range(4), 0.0), (range(4), 0.5):
        nlp = make_nlp(**own)
        first.append(losses_of(nlp, weighed(gold_docs(nlp), weight, rows), train)[0])
    whole, half, second, mixed = first
    # The mean of the pairs: four of them alone, and the other four at half their loss.
    assert half == pytest.approx(whole / 2, rel=1e-4)
    rest = 2 * whole - second
    assert mixed == pytest.approx((0.5 * rest + second) / 2, rel=1e-4)


def test_silver_relations_train_a_small_model(server: Any, make_remote: Any, make_nlp: Any, train: Any) -> None:
    server.react = founders
    teacher = make_remote()
    texts = ["Acme was founded by Ann.", "Globex was founded by Bob.", "Acme met Globex.", "Ann met Bob."]
    docs = [doc_from_dict(doc_to_dict(doc)) for doc in taught_by(teacher, texts)]
    nlp = make_nlp(labels={"founded_by": "was founded by", "near": {"text": "is near", "symmetric": True}})
    train(nlp, [Example(copy_input(doc), doc) for doc in docs])
    learned = [found(doc) for doc in nlp.pipe(map(copy_input, docs))]
    assert learned == [[("Acme", "founded_by", "Ann")], [("Globex", "founded_by", "Bob")], [], []]
