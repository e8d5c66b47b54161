"""A server that is slow, fails, refuses, or answers with what nobody asked for."""

import logging
import os
import re
import socket
import time
import traceback
import warnings
from email.utils import formatdate

import pytest

from spacy_ragre.llm.remote.address import Address
from spacy_ragre.llm.remote.breaker import Breaker, ServerError, pause
from spacy_ragre.llm.remote.client import Clock
from spacy_ragre.llm.remote.loop import LoopThread

from .conftest import LABELS, NAME, Fault, backbone_of, completion, found, founders, pairs_of

TEXT = "Acme was founded by Ann."
FACTS = [("Acme", "founded_by", "Ann")]
SECRET = "sk-very-secret-0123456789"


def in_turn(*reactions, then=founders):
    """Reacts to the first requests as told, and then as it should."""
    return lambda body, number: reactions[number] if number < len(reactions) else then(body, number)


def refusing(word, message, status=400):
    """Refuses requests that hold a setting."""

    def react(body, number):
        return Fault(status, {"error": {"message": message}}) if word in body else founders(body)

    return react


@pytest.fixture
def ask(server, make_remote):
    """`ask(reaction, ...)`: the relations of one document."""

    def call(reaction, component=None, **settings):
        server.react = reaction
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return found(make_remote(component, **settings)(TEXT))

    return call


# What passes


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(status, {"error": {"message": "later"}}) for status in (408, 429, 500, 502, 503, 504, 529)),
        Fault(reset=True),
        Fault(body=completion("{}"), cut=True),
        Fault(body='{"choices": [', headers={"Content-Type": "application/json"}),
    ],
)
def test_what_passes_is_tried_again(ask, server, fault):
    assert ask(in_turn(fault, fault)) == FACTS
    assert len(server.requests) == 3


def test_the_server_says_when_to_come_back(ask, no_pauses):
    headers = {"Retry-After": "7"}
    assert ask(in_turn(Fault(429, "slow down", headers), Fault(503))) == FACTS
    assert no_pauses == ["7", None]


def test_retries_are_counted(server, make_remote):
    server.react = in_turn(Fault(500), Fault(429))
    nlp = make_remote()
    with pytest.warns(UserWarning, match="W700"):
        nlp(TEXT)
    assert backbone_of(nlp).usage.retries == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_does_not_pass_is_an_error(ask, server, status):
    with pytest.raises(OSError, match=rf"R708.*status {status}.*tried 3 times: busy now"):
        ask(lambda body, number: Fault(status, {"error": {"message": "busy now"}}))
    assert len(server.requests) == 3


def test_pauses_grow_with_jitter_and_keep_to_what_the_server_says(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    assert [pause(tries) for tries in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert pause(50) == 20 and pause(1, "3") == 3.5 and pause(1, "soon") == 0.5
    later = pause(1, formatdate(time.time() + 100, usegmt=True))
    assert 95 < later < 102
    monkeypatch.setattr("random.uniform", lambda low, high: low)
    assert pause(4) == 0


def test_a_server_that_is_not_there(make_remote):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match=rf"R707.*127.0.0.1:{port}"):
        make_remote(url=f"http://127.0.0.1:{port}/v1", retries=0)(TEXT)


def test_a_slow_server_has_a_deadline_for_each_document(server, make_remote, monkeypatch):
    # Time is short for the second document, in the batch and alone.
    seconds = iter([60, 0.2, 60, 60, 0.2, 60])
    monkeypatch.setattr("spacy_ragre.llm.remote.client.Clock", lambda _: Clock(next(seconds)))

    def react(body, number):
        return Fault(body=founders(body), wait=30 if "Globex" in body["messages"][1]["content"] else 0)

    server.react = react
    nlp = make_remote()
    failed = []
    nlp.set_error_handler(lambda name, component, docs, error: failed.extend((doc.text, str(error)) for doc in docs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        docs = list(nlp.pipe([TEXT, "Globex was founded by Bob.", "Acme is by Bob."]))
    assert [found(doc) for doc in docs] == [FACTS, [("Acme", "founded_by", "Bob")]]
    ((text, problem),) = failed
    assert text.startswith("Globex") and re.search(r"R709.*0.2 s", problem)
    # What was answered in the batch is not asked about again.
    texts = [request["messages"][1]["content"] for request in server.requests]
    assert sum("Acme" in text for text in texts) == 2


# The breaker


def test_a_server_that_fails_in_a_row_is_left_alone(server, make_remote):
    server.react = lambda body, number: Fault(500, {"error": {"message": "out of memory"}})
    nlp = make_remote(retries=0, concurrency=1)
    failed = []
    nlp.set_error_handler(lambda name, component, docs, error: failed.append(str(error)))
    texts = [f"Acme number {i} was founded by Ann." for i in range(10)]
    assert list(nlp.pipe(texts, batch_size=5)) == []
    assert len(server.requests) == 3
    assert len(failed) == 10 and all("R710" in problem and "out of memory" in problem for problem in failed)


def test_after_a_rest_one_request_decides():
    now = [0.0]
    breaker = Breaker("here", limit=2, rest=10, clock=lambda: now[0])
    breaker.failed("first")
    breaker.check()
    breaker.worked()
    breaker.failed("second")
    breaker.failed("third")
    with pytest.raises(ServerError, match="R710.*10 s.*2 times.*third"):
        breaker.check()
    now[0] = 11
    breaker.check()
    with pytest.raises(ServerError, match="R710"):
        breaker.check()  # the others wait for the one that was let through
    breaker.failed("fourth")
    with pytest.raises(ServerError, match="fourth"):
        breaker.check()
    now[0] = 22
    breaker.check()
    breaker.worked()
    breaker.check()
    breaker.check()


# Other dialects


def test_a_server_without_probabilities(server, make_remote):
    server.react = refusing("top_logprobs", "unknown field: logprobs")
    with pytest.warns(UserWarning, match="W700.*tells no probabilities"):
        doc = make_remote()(TEXT)
    assert found(doc) == FACTS and doc._.relations[0].score == 1
    assert [request.get("top_logprobs") for request in server.requests] == [20, 5, None]


def test_a_server_that_gives_fewer_alternatives(ask, server):
    def react(body, number):
        few = body.get("top_logprobs", 0) <= 5
        return founders(body) if few else Fault(400, {"error": {"message": "top_logprobs must be at most 5"}})

    assert ask(react) == FACTS and server.requests[-1]["top_logprobs"] == 5


@pytest.mark.parametrize("body", [{"error": "response_format is not supported"}, {"detail": "no guided decoding"}])
def test_a_server_that_takes_no_schema(server, make_remote, body):
    server.react = lambda request, number: Fault(422, body) if "response_format" in request else founders(request)
    nlp = make_remote()
    with pytest.warns(UserWarning, match="W701.*a JSON schema"):
        assert found(nlp(TEXT)) == FACTS
    # What it refuses is not sent again.
    nlp("Acme was founded by Bob.")
    assert ["response_format" in request for request in server.requests] == [True, False, False]


def test_a_schema_that_was_asked_for_is_not_left_out(ask):
    with pytest.raises(OSError, match="R713.*response_format is not supported.*constrain is 'json_schema'"):
        ask(refusing("response_format", "response_format is not supported"), constrain="json_schema")


def test_models_that_reason(ask, server):
    def react(body, number):
        if "max_tokens" in body:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return Fault(400, {"error": {"message": message}})
        if "temperature" in body:
            return Fault(400, {"error": {"message": "Unsupported value: 'temperature' does not support 0."}})
        return founders(body) if body["max_completion_tokens"] > 1000 else completion("<think>Well", finish="length")

    assert ask(react) == FACTS and len(server.requests) == 4


def test_an_answer_that_stays_cut_off(ask, server):
    with pytest.raises(OSError, match="R714.*'tiny' was cut off after 41[0-9][0-9] tokens"):
        ask(lambda body, number: completion("<think>Well", finish="length"))
    assert len(server.requests) == 2
    # What is no thought has no more to say.
    with pytest.raises(OSError, match="R714.*'tiny' was cut off after 48 tokens"):
        ask(lambda body, number: completion('{"1": ', finish="length"))
    assert len(server.requests) == 3


def test_templates_without_a_system_role(ask, server):
    def react(body, number):
        asked = [message["role"] for message in body["messages"]]
        return Fault(500, {"error": {"message": "System role not supported"}}) if "system" in asked else founders(body)

    assert ask(react) == FACTS
    assert "A: X and Y are not related." in server.requests[-1]["messages"][0]["content"]


def test_ollama(ask, server):
    """Its older versions take no logprobs, and give an error as text."""
    server.url = server.url.replace("127.0.0.1", "localhost")
    assert ask(refusing("logprobs", 'json: unknown field "logprobs"'), url=server.url) == FACTS
    assert {path for path in server.paths} == {"/v1/chat/completions"}


@pytest.mark.parametrize(
    "reaction",
    [
        Fault(body="<html>Welcome</html>", headers={"Content-Type": "text/html"}),
        Fault(body={"response": "hello", "done": True}),
        Fault(body={"choices": []}),
        Fault(body={"choices": [{"text": "a completion of the older kind"}]}),
    ],
)
def test_what_is_no_chat_completion(ask, server, reaction):
    with pytest.raises(OSError, match="R712"):
        ask(lambda body, number: reaction)
    assert len(server.requests) == 1


def test_json_that_is_never_whole(ask, server):
    with pytest.raises(OSError, match="R712.*no JSON, or was cut off"):
        ask(lambda body, number: Fault(body="{", headers={"Content-Type": "application/json"}))
    assert len(server.requests) == 3


def test_a_model_that_the_server_does_not_have(ask):
    problem = Fault(404, {"error": {"message": 'model "tiny" not found, try pulling it first'}})
    with pytest.raises(OSError, match="R711.*'tiny'.*try pulling it first. It has: tiny, large"):
        ask(lambda body, number: problem)


# Answers


def test_an_answer_that_cannot_be_read_is_asked_for_again(ask, server):
    assert ask(in_turn(completion('{"1" "B"}'))) == FACTS
    again = server.requests[1]["messages"]
    assert [message["role"] for message in again] == ["system", "user", "assistant", "user"]
    assert "can't be used" in again[3]["content"]


def test_answers_that_can_never_be_read(ask, server):
    with pytest.raises(OSError, match="R716.*'tiny'.*no JSON object.*It begins: '{oh no'"):
        ask(lambda body, number: completion("{oh no"))
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [completion(None, refusal="I can't help with that."), completion("", finish="content_filter")],
)
def test_a_model_that_declines(ask, answer):
    with pytest.raises(OSError, match="R715.*'tiny' declines"):
        ask(lambda body, number: answer)


def test_labels_and_pairs_that_are_not_there_are_told(server, make_remote):
    server.react = lambda body, number: completion('{"1": "owned_by", "3": "B", "Elon and Twitter": "B"}')
    with pytest.warns(UserWarning, match="W702.*Of 2 pairs.*left out 1 and answered 1 .*2 answers"):
        doc = make_remote()("Acme was founded by Ann. Globex was founded by Bob.")
    assert found(doc) == []


def test_warnings_come_once(server, make_remote):
    server.react = lambda body, number: completion('{"1": "owned_by"}')
    nlp = make_remote()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for number in range(3):
            nlp(f"Acme number {number} was founded by Ann.")
    codes = [str(item.message)[:6] for item in said]
    assert sorted(code for code in codes if code.startswith("[W7")) == ["[W700]", "[W702]"]


# Keys and addresses


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("TEST_API_KEY", SECRET)
    return "TEST_API_KEY"


@pytest.mark.parametrize(
    "reaction",
    [
        Fault(401, {"error": {"message": f"Incorrect API key provided: {SECRET}"}}),
        Fault(403, f"no: {SECRET}"),
        Fault(400, {"error": {"message": f"bad header {SECRET}"}}),
        Fault(404, {"detail": SECRET}),
        Fault(500, SECRET),
        Fault(body=SECRET, headers={"Content-Type": "text/html"}),
        Fault(body={SECRET: 1}),
        Fault(reset=True),
        completion("{" + SECRET),
        completion("", refusal=f"no {SECRET}"),
    ],
)
def test_a_key_is_never_shown(server, make_remote, key, caplog, reaction):
    server.react = lambda body, number: reaction
    nlp = make_remote(key_variable=key)
    with caplog.at_level(logging.DEBUG), pytest.raises(OSError) as caught:
        nlp(TEXT)
    assert server.headers[0]["authorization"] == f"Bearer {SECRET}"
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(backbone_of(nlp).__dict__)
    assert SECRET not in shown and "R7" in shown
    if isinstance(reaction, Fault) and reaction.status in (401, 403):
        assert re.search("R706.*TEST_API_KEY", shown)


def test_a_server_that_wants_a_key(ask):
    with pytest.raises(OSError, match="R706.*status 401.*none was sent, set key_variable"):
        ask(lambda body, number: Fault(401, {"error": "unauthorized"}))


def test_a_key_that_is_not_set(server, make_remote, monkeypatch):
    monkeypatch.delenv("MISSING_API_KEY", raising=False)
    nlp = make_remote(key_variable="MISSING_API_KEY")
    with pytest.raises(ValueError, match="R705.*MISSING_API_KEY is not set"):
        nlp(TEXT)
    assert server.requests == []


@pytest.mark.parametrize("value", [SECRET, "abc123", "Bearer X", ""])
def test_a_key_in_the_settings_is_refused_and_not_shown(make_remote, value):
    with pytest.raises(ValueError, match="R704") as caught:
        make_remote(key_variable=value)
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://here/v1", "http://", "http://u:pass-word@here/v1", "https://here/v1?k=pass-word", ""],
)
def test_addresses_that_are_none(make_remote, url):
    with pytest.raises(ValueError, match="R703") as caught:
        make_remote(url=url)
    assert "pass-word" not in str(caught.value)


def test_a_key_that_would_cross_the_network_in_the_open(make_remote, key, monkeypatch):
    assert not Address("http://127.0.0.1:1/v1", key).exposes_key and not Address("https://far/v1", key).exposes_key
    nlp = make_remote(url="http://far.invalid/v1", key_variable=key, retries=0)
    monkeypatch.setattr(LoopThread, "run", lambda self, work: work.close() or 1 / 0)
    with pytest.warns(UserWarning, match="W703.*TEST_API_KEY"), pytest.raises(ZeroDivisionError):
        nlp(TEXT)


def test_a_proxy_does_not_stand_before_this_machine(ask, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://user:pass-word@127.0.0.1:9")
    assert ask(founders) == FACTS


def test_a_proxy_that_fails_is_named(make_remote, monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://user:pass-word@127.0.0.1:9")
    with pytest.raises(OSError, match="R707.*proxy that the variable HTTP_PROXY names") as caught:
        make_remote(url="http://far.invalid/v1", retries=0)(TEXT)
    assert "pass-word" not in str(caught.value)
    monkeypatch.setenv("http_proxy", "gopher://user:pass-word@127.0.0.1:9")
    with pytest.raises(OSError, match="R718.*HTTP_PROXY") as caught:
        make_remote(url="http://far.invalid/v1", retries=0)(TEXT)
    assert "pass-word" not in str(caught.value)


# Settings, and what a server cannot do


@pytest.mark.parametrize(
    "settings",
    [
        {"name": " "},
        {"request": "batch"},
        {"constrain": "regex"},
        {"constrain": "logprobs"},
        {"concurrency": 0},
        {"retries": -1},
        {"deadline": 0},
        {"max_length": 10},
        {"prices": {"input": -1.0}},
        {"prices": {"prompt": 1.0}},
    ],
)
def test_settings_that_are_not_valid(make_remote, settings):
    with pytest.raises(ValueError, match=f"R702.*{next(iter(settings))}"):
        make_remote(**settings)


def test_without_the_client(make_remote, monkeypatch):
    monkeypatch.setattr("spacy_ragre.llm.remote.backbone.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"R700.*'httpx'.*spacy-ragre\[remote\]"):
        make_remote()(TEXT)


@pytest.mark.parametrize("answer", ["head", "trie"])
def test_ways_to_answer_that_need_weights(make_remote, answer):
    with pytest.raises(ValueError, match=f"R701.*'tiny'.*{answer}"):
        make_remote({"answer": answer})


def test_it_is_not_trained(make_remote, make_doc):
    from spacy.training import Example

    nlp = make_remote()
    doc = make_doc(nlp, TEXT, [("Acme", "ORG"), ("Ann", "PERSON")], [(0, "founded_by", 1)])
    with pytest.raises(ValueError, match="R701.*training"):
        nlp.initialize(lambda: [Example(nlp.make_doc(TEXT), doc)])


def test_keys_of_examples_do_not_come_from_it(make_remote, make_doc):
    encoder = {"@ragre_encoders": "ragre.BackboneEncoder.v1"}
    nlp = make_remote({"retriever": {"@ragre_retrievers": "ragre.Retriever.v1", "encoder": encoder}})
    doc = make_doc(nlp, TEXT, [("Acme", "ORG"), ("Ann", "PERSON")], [(0, "founded_by", 1)])
    with pytest.raises(ValueError, match="R701.*hidden states"):
        nlp.get_pipe(NAME).add_examples([doc])


def test_other_components_do_not_take_it(server, nlp):
    backbone = {"@ragre_backbones": "ragre.OpenAI.v1", "name": "tiny", "url": server.url}
    model = {"@architectures": "ragre.MultiTaskModel.v1", "backbone": backbone}
    with pytest.raises(ValueError, match="R701.*'trie'"):
        nlp.add_pipe("supplement_usage_classifier", config={"model": model, "answer": "trie"})
    model = {"@architectures": "ragre.ETRAG.v1", "backbone": backbone}
    with pytest.raises(ValueError, match="R701"):
        nlp.add_pipe("etrag_extractor", config={"model": model, "labels": LABELS})


def test_a_program_with_an_event_loop_may_ask(server, make_remote):
    import asyncio

    server.react = founders
    nlp = make_remote()

    async def inside() -> object:
        return found(nlp(TEXT))

    with pytest.warns(UserWarning, match="W700"):
        assert asyncio.run(inside()) == FACTS
    assert pairs_of(server.requests[0]) == {"1": ("Acme", "Ann")}
