"""What is asked of a server, and what its answers become."""

import json
import math
import pickle
import threading
import time
import warnings
from contextlib import ExitStack

import numpy as np
import pytest
import spacy

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.llm.remote.answers import Unreadable, read_answer
from spacy_ragre.llm.remote.questions import Questions, by_document
from spacy_ragre.llm.remote.replies import Reply, read_tokens
from spacy_ragre.llm.remote.wording import Form, PairWording
from spacy_ragre.prompts import make_relation_prompt
from spacy_ragre.training import locks

from .conftest import FOUNDED, LABELS, NAME, NONE, backbone_of, completion, found, founders, logprobs_of, pairs_of

TEXT = "Acme was founded by Ann. Globex was founded by Bob."
FACTS = [("Acme", "founded_by", "Ann"), ("Globex", "founded_by", "Bob")]
PAIR = Instance("Acme was founded by Ann.", (0, 4), (20, 23), "ORG", "PERSON")


@pytest.fixture
def answers(server):
    server.react = founders
    return server


def quiet(nlp, texts, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(nlp.pipe(texts, **settings))


# From documents to relations


@pytest.mark.parametrize("request_of", ["document", "pair"])
def test_relations_are_those_that_the_server_names(answers, make_remote, request_of):
    nlp = make_remote(request=request_of)
    (doc,) = quiet(nlp, [TEXT])
    assert found(doc) == FACTS
    assert [relation.score for relation in doc._.relations] == [1.0, 1.0]
    # One request for both sentences, or one for each pair.
    assert len(answers.requests) == (1 if request_of == "document" else 2)


def test_a_request_says_what_is_asked_and_holds_the_answer_to_the_labels(answers, make_remote):
    quiet(make_remote(), [TEXT])
    (body,) = answers.requests
    assert body["model"] == "tiny" and body["temperature"] == 0 and not body["stream"]
    system, user = (message["content"] for message in body["messages"])
    assert "A: X and Y are not related." in system and "D: X is near Y." in system
    assert user.splitlines() == [
        "Text: Acme was founded by Ann.",
        '1: X = "Acme" (ORG), Y = "Ann" (PERSON)',
        "",
        "Text: Globex was founded by Bob.",
        '2: X = "Globex" (ORG), Y = "Bob" (PERSON)',
    ]
    form = body["response_format"]["json_schema"]
    assert form["strict"] and form["schema"]["required"] == ["1", "2"]
    assert form["schema"]["properties"]["2"] == {"type": "string", "enum": ["A", "B", "C", "D"]}
    assert body["logprobs"] and body["top_logprobs"] == 20 and "grammar" not in body


def test_types_leave_fewer_answers(answers, make_remote):
    labels = {"founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]}}
    quiet(make_remote({"labels": labels}), ["Ann and Bob of Acme."])
    (body,) = answers.requests
    # Two persons found nothing, so that their pair is not asked about.
    assert [pair for pair in pairs_of(body).values()] == [("Ann", "Acme"), ("Bob", "Acme")]
    schema = body["response_format"]["json_schema"]["schema"]["properties"]
    assert [value["enum"] for value in schema.values()] == [["A", "C"], ["A", "C"]]


def test_examples_are_shown_with_their_answers(answers, make_remote, text_retriever, make_doc):
    nlp = make_remote({"n_examples": 2, "retriever": text_retriever})
    docs = [
        make_doc(nlp, "Initech was founded by Dan.", [("Initech", "ORG"), ("Dan", "PERSON")], [(0, "founded_by", 1)]),
        make_doc(nlp, "Eve saw Hooli.", [("Eve", "PERSON"), ("Hooli", "ORG")], []),
    ]
    nlp.get_pipe(NAME).add_examples(docs)
    (doc,) = quiet(nlp, [TEXT])
    user = answers.requests[0]["messages"][1]["content"]
    assert user.count("Answer: ") == 2 and user.index("Initech") < user.index("Now answer for these:")
    assert 'Answer: {"1": "B"}' in user and 'Answer: {"1": "A"}' in user
    assert found(doc) == FACTS
    assert {len(relation.evidence["examples"]) for relation in doc._.relations} == {2}


def test_pipe_equals_call_in_batches_of_any_size(answers, make_remote):
    texts = [TEXT, "", "Nobody.", "Ann met Bob.", "Acme is by Bob."]
    expected = [found(make_remote()(text)) for text in texts]
    for size in (2, 100):
        assert [found(doc) for doc in quiet(make_remote(), texts, batch_size=size)] == expected
    assert expected[:2] == [FACTS, []]


def test_documents_are_asked_about_at_once_up_to_the_bound_over_kept_connections(server, make_remote):
    from .conftest import Fault

    server.react = lambda body, number: Fault(body=founders(body), wait=0.05)
    nlp = make_remote(concurrency=4)
    docs = quiet(nlp, [f"Acme number {i} was founded by Ann." for i in range(12)])
    assert all(found(doc) == [FACTS[0]] for doc in docs)
    assert server.most == 4 and server.connections == 4
    quiet(nlp, ["Acme was founded by Bob."])
    assert server.connections == 4


def test_the_next_batch_is_made_while_the_server_answers(server, make_remote):
    events = []

    def react(body, number):
        events.append("asked")
        while "made 3" not in events and number == 0:  # the other thread goes on, or this never ends
            time.sleep(0.001)
        return founders(body)

    def texts():
        for number in range(6):
            events.append(f"made {number}")
            yield TEXT.replace("by", f"{number} by")

    server.react = react
    docs = quiet(make_remote(request="document"), texts(), batch_size=2)
    assert [found(doc) for doc in docs] == [FACTS] * 6 and len(server.requests) == 6


def test_a_stream_inside_of_asking_does_not_wait_for_itself(answers, make_remote):
    nlp = make_remote()
    other = LabelSet({"made_by": "was made by"})
    with nlp.get_pipe(NAME).asking(labels=other):
        docs = quiet(nlp, [TEXT, "Acme by Bob.", "Nobody.", "Bob of Globex"], batch_size=1)
    assert [found(doc) for doc in docs][1] == [("Acme", "made_by", "Bob")]
    assert [found(doc) for doc in quiet(nlp, [TEXT])] == [FACTS]
    stream = nlp.pipe([TEXT, "Acme by Bob.", "Nobody.", "Bob of Globex"], batch_size=1)
    assert found(next(stream)) == FACTS
    with nlp.get_pipe(NAME).asking(threshold=0.5):
        assert len(list(stream)) == 3


@pytest.mark.parametrize("begun_before", [False, True])
def test_a_stream_inside_of_asking_asks_once(answers, make_remote, begun_before):
    nlp = make_remote()
    component = nlp.get_pipe(NAME)

    def texts():
        if begun_before:
            turn.enter_context(locks._turn.lock)  # the thread that is told to ask about the first text has to wait
            yield "Acme by Ann."
        turn.enter_context(component.asking(labels=LabelSet({"made_by": "was made by"})))
        yield from ("Acme by Bob.", "Globex by Ann.", "Globex by Bob.")

    with ExitStack() as turn:
        docs = quiet(nlp, texts(), batch_size=1)
    assert all(len(found(doc)) == 1 for doc in docs) and len(answers.requests) == len(docs)
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(10)
    assert len(answers.requests) == len(docs)


def test_a_stream_that_is_left_asks_no_more(answers, make_remote):
    nlp = make_remote()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = nlp.pipe((TEXT.replace("by", f"{number} by") for number in range(100)), batch_size=2)
        assert found(next(stream)) == FACTS
        stream.close()
        count = len(answers.requests)
        assert count <= 6
        # The pipeline goes on answering.
        assert found(nlp("Acme was founded by Ann.")) == FACTS[:1] and len(answers.requests) <= count + 3


def test_answers_are_counted_with_their_cost(answers, make_remote):
    nlp = make_remote(prices={"input": 2.0, "output": 5.0})
    quiet(nlp, [TEXT, TEXT, "Acme by Ann."])
    usage = backbone_of(nlp).usage
    # The same text in one batch is asked about twice, later it is known.
    quiet(nlp, [TEXT])
    assert usage.cached == 1 and usage.requests == 3
    assert (usage.input_tokens, usage.output_tokens) == (300, 30)
    assert usage.cost == pytest.approx((300 * 2 + 30 * 5) / 1e6)


def test_answers_are_kept_on_disk_by_what_was_asked(answers, make_remote, tmp_path):
    folder = tmp_path / "answers"
    first = [found(doc) for doc in quiet(make_remote(cache=str(folder)), [TEXT])]
    count = len(answers.requests)
    nlp = make_remote(cache=str(folder))
    assert [found(doc) for doc in quiet(nlp, [TEXT])] == first == [FACTS]
    assert len(answers.requests) == count and backbone_of(nlp).usage.cached == 1
    (file,) = folder.rglob("*.json")
    assert "Acme" not in file.read_text()
    # A damaged file is asked for again and mended; another model is another question.
    file.write_text("{")
    assert [found(doc) for doc in quiet(make_remote(cache=str(folder)), [TEXT])] == first
    assert json.loads(file.read_text())["text"]
    quiet(make_remote(cache=str(folder), name="large"), [TEXT])
    assert len(answers.requests) == count + 2


def test_a_folder_that_cannot_be_written_to_is_said(answers, make_remote, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="W705"):
        doc = make_remote(cache=str(tmp_path / "file"))(TEXT)
    assert found(doc) == FACTS


def test_a_pipeline_is_saved_with_its_server_and_without_its_key(answers, make_remote, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "very-secret-123")
    nlp = make_remote(key_variable="SOME_API_KEY")
    expected = found(quiet(nlp, [TEXT])[0])
    assert answers.headers[0]["authorization"] == "Bearer very-secret-123"
    nlp.to_disk(tmp_path / "pipeline")
    held = b"".join(path.read_bytes() for path in (tmp_path / "pipeline").rglob("*") if path.is_file())
    assert b"SOME_API_KEY" in held and b"very-secret" not in held + nlp.to_bytes() + pickle.dumps(nlp)
    loaded = spacy.load(tmp_path / "pipeline")
    assert found(quiet(loaded, [TEXT])[0]) == expected == FACTS
    assert backbone_of(loaded).address.url == answers.url
    again = pickle.loads(pickle.dumps(nlp))
    assert found(quiet(again, [TEXT])[0]) == expected


def test_nothing_is_asked_before_a_document_has_pairs(answers, make_remote, tmp_path):
    nlp = make_remote()
    nlp.initialize()
    nlp.to_disk(tmp_path / "pipeline")
    quiet(spacy.load(tmp_path / "pipeline"), ["Nobody is here.", "", "Acme alone."])
    assert answers.requests == []


def test_several_relations_of_a_pair(server, make_remote):
    server.react = lambda body, number: completion('{"1": ["B", "D"], "2": []}')
    nlp = make_remote({"multi_label": True})
    (doc,) = quiet(nlp, [TEXT])
    assert found(doc) == [("Acme", "founded_by", "Ann"), ("Acme", "near", "Ann")]
    schema = server.requests[0]["response_format"]["json_schema"]["schema"]["properties"]["1"]
    assert schema["type"] == "array" and schema["maxItems"] == 4
    nlp = make_remote({"multi_label": True}, constrain="grammar")
    quiet(nlp, [TEXT])
    assert '"[" (v1 (", " v1){0,3})? "]"' in server.requests[1]["grammar"]


def test_a_grammar_for_llama_cpp(answers, make_remote):
    (doc,) = quiet(make_remote(constrain="grammar"), [TEXT])
    assert found(doc) == FACTS
    (body,) = answers.requests
    assert "response_format" not in body
    assert body["grammar"].splitlines() == [
        'root ::= "{" "\\"1\\": " v1 ", " "\\"2\\": " v2 "}"',
        'v1 ::= "\\"A\\"" | "\\"B\\"" | "\\"C\\"" | "\\"D\\""',
        'v2 ::= "\\"A\\"" | "\\"B\\"" | "\\"C\\"" | "\\"D\\""',
    ]


def test_one_letter_by_its_probability(server, make_remote):
    tokens = logprobs_of([("The", -0.5, {"The": -0.5, "B": -1.2, " B": -3.0, "A": -2.0})])
    server.react = lambda body, number: completion("The", tokens, finish="length")
    nlp = make_remote(constrain="logprobs", request="pair")
    (doc,) = quiet(nlp, ["Acme was founded by Ann."])
    (relation,) = doc._.relations
    mass = {"B": math.exp(-1.2) + math.exp(-3.0), "A": math.exp(-2.0)}
    assert relation.label == "founded_by"
    # The two letters that are not listed have next to nothing left.
    assert relation.score == pytest.approx(mass["B"] / sum(mass.values()), abs=0.02)
    assert "response_format" not in server.requests[0]


# Probabilities


def ask(content, tokens=None, several=False, pairs=(PAIR,), allowed=None):
    labels = LabelSet(LABELS)
    form = Form(several=several)
    questions = Questions(PairWording(make_relation_prompt(), labels), form, 8192, "m")
    rows = [allowed or [True] * 4] * len(pairs)
    (question,) = questions.of(range(len(pairs)), pairs, rows, [[] for _ in pairs])
    reply = Reply(content, read_tokens(logprobs_of(tokens)) if tokens else ())
    scores, tally = read_answer(question, reply, questions.wording.choices)
    return scores, tally


def shares(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


OPEN = ('{"', -0.1, {})


# The last two have tokens that hold more than the letter.
@pytest.mark.parametrize("value", [["1", '": "', "B", '"}'], ["1", '":', ' "B', '"}'], ['1": "', 'B"}']])
def test_probabilities_are_those_of_the_letters(value):
    near = {"A": -1.5, "B": -0.3, "C": -4.0, "D": -5.0}
    others = {token: {token.replace("B", letter): logprob for letter, logprob in near.items()} for token in value}
    tokens = [OPEN, *((token, -0.3, others[token] if "B" in token else {}) for token in value)]
    scores, tally = ask("".join(token for token, _, _ in tokens), tokens)
    expected = np.exp([-1.5, -0.3, -4.0, -5.0])
    assert shares(scores)[0] == pytest.approx(expected / expected.sum(), abs=1e-5)
    assert not (tally.missing or tally.unknown or tally.invented)


def test_letters_that_are_not_allowed_have_no_share():
    near = {"C": -0.2, "B": -2.0, "A": -2.5}
    tokens = [OPEN, ("1", -0.1, {}), ('": "', -0.1, {}), ("B", -2.0, near), ('"}', 0.0, {})]
    scores, _ = ask('{"1": "B"}', tokens, allowed=[True, True, False, False])
    expected = np.exp([-2.5, -2.0])
    assert shares(scores)[0] == pytest.approx([*(expected / expected.sum()), 0, 0], abs=1e-5)


def test_each_pair_has_its_own_probabilities():
    def value(letter, other, logprob):
        return (letter, logprob, {letter: logprob, other: math.log(1 - math.exp(logprob))})

    tokens = [OPEN, ("1", 0, {}), ('": "', 0, {}), value("B", "A", -0.1), ('", "', 0, {}), ("2", 0, {})]
    tokens += [('": "', 0, {}), value("A", "D", -0.5), ('"}', 0, {})]
    scores, _ = ask('{"1": "B", "2": "A"}', tokens, pairs=(PAIR, PAIR))
    assert shares(scores)[0] == pytest.approx([1 - math.exp(-0.1), math.exp(-0.1), 0, 0], abs=1e-4)
    assert shares(scores)[1] == pytest.approx([math.exp(-0.5), 0, 0, 1 - math.exp(-0.5)], abs=1e-4)


def test_tokens_that_are_not_the_text_give_no_probabilities():
    scores, _ = ask('{"1": "B"}', [("something", -0.1, {}), ("else", -0.1, {})])
    assert shares(scores)[0] == pytest.approx([0, 1, 0, 0])


def test_a_code_of_several_tokens_is_as_likely_as_they_are_together():
    labels = LabelSet({f"label_{i}": {"text": f"is {i} of", "symmetric": True} for i in range(30)})
    questions = Questions(PairWording(make_relation_prompt(), labels), Form(), 8192, "m")
    (question,) = questions.of([0], [PAIR], [[True] * 31], [[]])
    tokens = [OPEN, ("1", 0, {}), ('": "', 0, {}), ("1", -0.2, {"1": -0.2}), ("7", -0.3, {"7": -0.3}), ('"}', 0, {})]
    reply = Reply('{"1": "17"}', read_tokens(logprobs_of(tokens)))
    scores, _ = read_answer(question, reply, questions.wording.choices)
    assert scores[0].argmax() == 17 and shares(scores)[0, 17] == pytest.approx(math.exp(-0.5), abs=1e-4)


def test_lists_are_as_sure_as_what_is_not_in_them_is_unlikely():
    first = ("B", -0.9, {"B": math.log(0.4), "D": math.log(0.35), "A": math.log(0.25)})
    second = ("D", -0.1, {"D": math.log(0.9), "C": math.log(0.1)})
    tokens = [OPEN, ("1", 0, {}), ('": ["', 0, {}), first, ('", "', 0, {}), second, ('"]}', 0, {})]
    scores, _ = ask('{"1": ["B", "D"]}', tokens, several=True)
    odds = 1 / (1 + np.exp(-(scores[0] - scores[0, 0])))
    assert odds == pytest.approx([0.5, 0.75, 0, 0.9], abs=1e-4)


# Answers that are not as they should be


@pytest.mark.parametrize(
    "content",
    [
        '```json\n{"1": "B"}\n```',
        '<think>{"1": "A"} or not?</think>\n{"1": "B"}',
        '{"1": "B: X was founded by Y."}',
        '{"1": "X was founded by Y"}',
        '{"1": ["B"]}',
        "B",
        "X was founded by Y.",
    ],
)
def test_answers_in_other_words(content):
    scores, tally = ask(content)
    assert scores[0].argmax() == 1 and not tally.unknown


@pytest.mark.parametrize(
    "value", ["E", "owned_by", "founded_by", "", "B or C", None, 7, True, {"a": 1}, ["B", "D"], "BB"]
)
def test_what_is_no_label_is_no_relation(value):
    scores, tally = ask(json.dumps({"1": value}))
    assert scores[0].argmax() == 0 and tally.unknown == 1


def test_letters_that_types_forbid_are_no_relation():
    scores, tally = ask('{"1": "C"}', allowed=[True, True, False, False])
    assert scores[0].argmax() == 0 and tally.unknown == 1


def test_pairs_that_are_left_out_or_invented_are_counted():
    scores, tally = ask('{"2": "B", "3": "B", "Acme and Elon": "B"}', pairs=(PAIR, PAIR))
    assert scores.argmax(axis=1).tolist() == [0, 1]
    assert (tally.total, tally.missing, tally.invented) == (2, 1, 2)


@pytest.mark.parametrize("content", ["", "I can't say.", '{"1": "B"', "[1]", '"1": "B"}'])
def test_answers_that_cannot_be_read(content):
    with pytest.raises(Unreadable):
        ask(content, pairs=(PAIR, PAIR))


# Questions


def pairs_in(text, count):
    return [Instance(text, (0, 4), (20, 23), "ORG", "PERSON", id=str(i)) for i in range(count)]


def test_what_does_not_fit_goes_into_further_questions():
    labels = LabelSet(LABELS)
    questions = Questions(PairWording(make_relation_prompt(), labels), Form(), 600, "m")
    pairs = pairs_in("Acme was founded by Ann.", 30)
    asked = list(questions.of(range(30), pairs, [[True] * 4] * 30, [[]] * 30))
    assert len(asked) > 1 and [row for question in asked for row in question.rows] == list(range(30))


def test_examples_are_left_out_where_they_do_not_fit():
    labels = LabelSet(LABELS)
    example = Instance("Initech was founded by Dan.", (0, 7), (23, 26), answers=(Answer("founded_by"),))
    long = Instance("Initech was founded by Dan. " + "word " * 400, (0, 7), (23, 26), answers=())
    questions = Questions(PairWording(make_relation_prompt(), labels), Form(), 500, "m")
    (question,) = questions.of([0], [PAIR], [[True] * 4], [[example, long]])
    assert "Initech" in question.user and "word" not in question.user


def test_long_texts_are_cut_around_their_mentions(answers, make_remote):
    nlp = make_remote(max_length=300)
    text = "Acme, which is large, " + "and so on " * 40 + "was founded by Ann."
    with pytest.warns(UserWarning, match="W704"):
        doc = nlp(text)
    assert found(doc) == [FACTS[0]]
    assert "…" in answers.requests[0]["messages"][1]["content"]


def test_a_window_that_is_too_small_for_the_labels_is_an_error(make_remote):
    labels = {f"label_{i}": f"is number {i} of" for i in range(100)}
    with pytest.raises(ValueError, match="R717"):
        make_remote({"labels": labels}, max_length=256)(TEXT)


def test_names_that_stand_twice_are_told_apart():
    questions = Questions(PairWording(make_relation_prompt(), LabelSet(LABELS)), Form(), 8192, "m")
    pair = Instance("Ann met Bob, and later Ann left.", (8, 11), (23, 26))
    (question,) = questions.of([0], [pair], [[True] * 4], [[]])
    # "Bob" stands once, and "Ann" twice.
    assert question.user.splitlines()[-1] == '1: X = "Bob", Y = "Ann" in "Bob, and later [Ann] left."'


def test_documents_are_told_by_number_name_or_text():
    one, two = PAIR, Instance("Another text.", (0, 7), (8, 12))
    assert by_document([one, two, one], [0, 0, 1]) == [[0, 1], [2]]
    assert by_document([one, two, one], None) == [[0, 2], [1]]
    named = [Instance("A b.", (0, 1), (2, 3), id="d"), Instance("C d.", (0, 1), (2, 3), id="d")]
    assert by_document(named, None) == [[0, 1]]


def test_letters_of_the_tests_are_those_of_the_labels():
    questions = Questions(PairWording(make_relation_prompt(), LabelSet(LABELS)), Form(), 8192, "m")
    assert dict(zip(questions.wording.choices.codes, questions.wording.choices.statements)) == {
        NONE: "X and Y are not related.",
        FOUNDED: "X was founded by Y.",
        "C": "Y was founded by X.",
        "D": "X is near Y.",
    }
