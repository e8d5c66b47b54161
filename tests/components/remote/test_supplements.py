"""The four tasks on supplements over a server: what is asked, what answers become, and what is wrong with them."""

import json
import math
import warnings
from typing import Any, Callable, Dict, List, Optional

import pytest
import spacy
from spacy.language import Language

from spacy_ragre.instances import Answer, Instance

from .conftest import Fault, completion, logprobs_of

NAME = "supplement_usage_classifier"
S, E = "SUPPLEMENT", "EVENT"
TEXT = "Takes zinc for colds. Stopped iron due to nausea."
PATTERNS: List[Any] = [
    *({"label": S, "pattern": name} for name in ("zinc", "iron", "kava")),
    *({"label": E, "pattern": name} for name in ("colds", "nausea", "sleep")),
]
MENTIONS = {"zinc": "supplement", "iron": "supplement", "colds": "event", "nausea": "event"}


def asked(body: Dict[str, Any]) -> str:
    return str(body["messages"][1]["content"]).rsplit("Now answer for these:", 1)[-1]


def knowing(body: Dict[str, Any], number: int = 0) -> Dict[str, Any]:
    """A model that knows all about zinc and iron."""
    values: Dict[str, Any] = {}
    for line in asked(body).splitlines():
        number_of, _, rest = line.removeprefix("Text ").partition(": ")
        if line.startswith("Text ") and number_of.isdigit():
            names = [name for name in MENTIONS if name in rest]
            values[number_of] = [{"text": name, "kind": MENTIONS[name]} for name in names]
            if "how dietary supplements act" in body["messages"][0]["content"]:
                sign = "positive" if "zinc" in rest else "negative"
                pair = [name for name in names if name in rest]
                values[number_of] = [{"supplement": pair[0], "relation": sign, "event": pair[1]}] if pair else []
        elif "event =" in line:
            values[number_of] = "A" if "zinc" in rest else "B"
        elif "supplement =" in line:
            values[number_of] = "A" if "zinc" in rest else "B"
    return completion(json.dumps(values))


@pytest.fixture
def make(server: Any, text_retriever: Any) -> Callable[..., Language]:
    """`make(tasks, ...)`: a pipeline that asks the server; settings of the backbone, and `component` ones."""

    def build(*tasks: str, component: Optional[Dict[str, Any]] = None, **settings: Any) -> Language:
        backbone = {"@ragre_backbones": "ragre.OpenAI.v1", "name": "tiny", "url": server.url, "retries": 2, **settings}
        model = {"@architectures": "ragre.MultiTaskModel.v1", "backbone": backbone}
        encoder = {**text_retriever["encoder"], "text": "response"}
        config = {
            "tasks": list(tasks),
            "n_examples": 0,
            "model": model,
            "retriever": {**text_retriever, "encoder": encoder},
            **(component or {}),
        }
        nlp = spacy.blank("en")
        nlp.add_pipe("sentencizer")
        if "ner" not in tasks:
            nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
        nlp.add_pipe(NAME, config=config)
        return nlp

    return build


def quiet(nlp: Language, texts: List[str], **settings: Any) -> List[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [annotated(doc) for doc in nlp.pipe(texts, **settings)]


def annotated(doc: Any) -> Any:
    """All that the component writes."""
    return (
        [(e.text, e.label_, e._.usage) for e in doc.ents],
        sorted((r.head.text, r.label, r.tail.text) for r in doc._.relations),
        doc._.triples,
    )


RELATIONS = [("iron", "negative", "nausea"), ("zinc", "positive", "colds")]
TRIPLES = [("zinc", "positive", "colds"), ("iron", "negative", "nausea")]
ALL = (
    [("zinc", S, "continuing"), ("colds", E, ""), ("iron", S, "discontinued"), ("nausea", E, "")],
    RELATIONS,
    TRIPLES,
)


# What is asked, and what the answers become


@pytest.mark.parametrize("request_of", ["document", "pair"])
def test_all_four_tasks(server: Any, make: Any, request_of: str) -> None:
    server.react = knowing
    nlp = make("ner", "re", "te", "uc", component={"triples": "generate"}, request=request_of)
    assert quiet(nlp, [TEXT]) == [ALL]
    # One request a task, or one for each of the two sentences, pairs and supplements.
    assert len(server.requests) == (4 if request_of == "document" else 8)


def test_pipe_equals_call(server: Any, make: Any) -> None:
    server.react = knowing
    texts = [TEXT, "", "Nothing.", "Takes zinc.", "Iron? No, iron due to nausea."]
    tasks = ("ner", "re", "te", "uc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = make(*tasks)
        expected = [annotated(one(text)) for text in texts]
    for size in (2, 100):
        assert quiet(make(*tasks), texts, batch_size=size) == expected
    assert expected[0] == ALL and expected[1] == ([], [], [])


def test_documents_are_asked_about_at_once(server: Any, make: Any) -> None:
    server.react = lambda body, number: Fault(body=knowing(body), wait=0.05)
    found = quiet(make("uc", concurrency=4), [f"Takes zinc, number {i}." for i in range(8)])
    assert len(found) == 8 and server.most == 4 == server.connections


def test_lists_are_held_to_their_form(server: Any, make: Any) -> None:
    server.react = knowing
    quiet(make("ner"), [TEXT])
    (body,) = server.requests
    assert asked(body).splitlines() == ["Text 1: Takes zinc for colds.", "", "Text 2: Stopped iron due to nausea."]
    form = body["response_format"]["json_schema"]["schema"]
    assert form["required"] == ["1", "2"]
    item = form["properties"]["2"]["items"]
    assert item["properties"]["kind"] == {"type": "string", "enum": ["supplement", "event"]}
    assert item["required"] == ["text", "kind"] and form["properties"]["2"]["maxItems"] == 16
    # Probabilities of the tokens of names are of no use.
    assert "logprobs" not in body and "top_logprobs" not in body


def test_lists_by_a_grammar(server: Any, make: Any) -> None:
    server.react = knowing
    nlp = make("te", component={"triples": "generate"}, constrain="grammar")
    ((_, _, triples),) = quiet(nlp, [TEXT])
    assert triples == TRIPLES
    rules = server.requests[0]["grammar"].splitlines()
    assert rules[0] == 'root ::= "{" "\\"1\\": " list ", " "\\"2\\": " list "}"'
    assert rules[2].startswith('item ::= "{" "\\"supplement\\": " string ", " "\\"relation\\": " ("\\"positive\\"" | ')


def test_letters_are_asked_about_mentions(server: Any, make: Any) -> None:
    server.react = knowing
    quiet(make("re", "uc"), ["Takes zinc for colds."])
    relation, usage = server.requests
    assert asked(relation).splitlines()[1] == '1: supplement = "zinc", event = "colds"'
    assert asked(usage).splitlines()[1] == '1: supplement = "zinc"'
    assert "B: negative (" in relation["messages"][0]["content"]
    assert "D: uncertain (" in usage["messages"][0]["content"]
    schema = usage["response_format"]["json_schema"]["schema"]["properties"]
    assert schema["1"]["enum"] == ["A", "B", "C", "D"]


def test_probabilities_are_those_of_the_letters(server: Any, make: Any) -> None:
    near = {"A": math.log(0.25), "B": math.log(0.75)}
    tokens = logprobs_of([('{"', 0, {}), ("1", 0, {}), ('": "', 0, {}), ("B", near["B"], near), ('"}', 0, {})])
    server.react = lambda body, number: completion('{"1": "B"}', tokens)
    doc = make("uc")("Takes zinc.")
    assert doc.ents[0]._.usage == "discontinued"
    assert doc.ents[0]._.usage_score == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize("task", ["ner", "uc"])
def test_examples_are_shown_with_their_answers(server: Any, make: Any, task: Any) -> None:
    server.react = knowing
    nlp = make(task, component={"n_examples": 1})
    text = "Takes kava for sleep."
    whole = (0, len(text))
    example = Instance(text, whole, whole, response="kava (supplement); sleep (event)")
    if task == "uc":
        example = Instance(text, (6, 10), (6, 10), S, S, (Answer("started"),), "", "started")
    nlp.get_pipe(NAME).predictor.add_examples(task, [example])
    (found,) = quiet(nlp, [TEXT])
    user = server.requests[0]["messages"][1]["content"]
    shown = {"ner": [{"text": "kava", "kind": "supplement"}, {"text": "sleep", "kind": "event"}], "uc": "C"}
    assert f"Answer: {json.dumps({'1': shown[task]})}" in user
    assert [(name, label) for name, label, _ in found[0]] == [(name, label) for name, label, _ in ALL[0]]


def test_answers_are_counted_kept_and_saved(server: Any, make: Any, tmp_path: Any) -> None:
    server.react = knowing
    nlp = make("ner", "uc", cache=str(tmp_path / "kept"), prices={"input": 1.0, "output": 1.0})
    expected = quiet(nlp, [TEXT])
    usage = nlp.get_pipe(NAME).predictor.backbone.usage
    assert (usage.requests, usage.cached, usage.input_tokens) == (2, 0, 200) and usage.cost == pytest.approx(220 / 1e6)
    nlp.to_disk(tmp_path / "pipeline")
    loaded = spacy.load(tmp_path / "pipeline")
    assert quiet(loaded, [TEXT]) == expected and len(server.requests) == 2
    assert loaded.get_pipe(NAME).predictor.backbone.usage.cached == 2  # type: ignore[attr-defined]


def test_training_is_refused(make: Any) -> None:
    nlp = make("uc")
    doc = nlp.make_doc("Takes zinc.")
    doc.ents = [doc.char_span(6, 10, label=S)]
    doc.ents[0]._.usage = "started"
    with pytest.raises(ValueError, match="R701"):
        nlp.initialize(lambda: [spacy.training.Example(nlp.make_doc(doc.text), doc)])


# Bad answers


def test_names_that_are_not_in_the_text_are_dropped_and_counted(server: Any, make: Any) -> None:
    listed = [
        {"text": "zinc", "kind": "supplement"},
        {"text": "magnesium", "kind": "supplement"},
        {"text": "colds", "kind": "remedy"},
        {"kind": "event"},
        "colds",
    ]
    server.react = lambda body, number: completion(json.dumps({"1": listed, "7": []}))
    nlp = make("ner")
    with pytest.warns(
        UserWarning, match="W755.*Of 5 items.*'tiny' listed, 3 lack a field.*1 name what.*1 texts.*1 for"
    ):
        doc = nlp(TEXT)
    assert [(e.text, e.label_) for e in doc.ents] == [("zinc", S)]
    assert nlp.get_pipe(NAME).dropped == 4


def test_triples_of_names_that_are_not_in_the_text_are_dropped(server: Any, make: Any) -> None:
    listed = [
        {"supplement": "Zinc", "relation": "POSITIVE", "event": "colds"},
        {"supplement": "zinc", "relation": "positive", "event": "flu"},
        {"supplement": "zinc", "relation": "unclear", "event": "colds"},
    ]
    server.react = lambda body, number: completion(json.dumps({"1": listed, "2": []}))
    nlp = make("te", component={"triples": "generate"})
    with pytest.warns(UserWarning, match="W755.*Of 3 items.*1 lack.*1 name"):
        doc = nlp(TEXT)
    # As it stands in the text.
    assert doc._.triples == [("zinc", "positive", "colds")] and nlp.get_pipe(NAME).dropped == 2


@pytest.mark.parametrize(
    "content",
    [
        '```json\n{"1": [{"text": "zinc", "kind": "supplement"}]}\n```',
        '<think>{"1": []}?</think>{"1": [{"kind": "Supplement", "text": "ZINC"}]}',
        '[{"text": "zinc", "kind": "supplement"}]',
        '{"1": {"text": "zinc", "kind": "supplement"}}',
    ],
)
def test_lists_in_other_forms(server: Any, make: Any, content: str) -> None:
    server.react = lambda body, number: completion(content)
    ((mentions, _, _),) = quiet(make("ner"), ["Takes zinc."])
    assert mentions == [("zinc", S, "")]


def test_what_cannot_be_read_is_asked_again_and_then_an_error(server: Any, make: Any) -> None:
    server.react = lambda body, number: completion("zinc (supplement)") if number == 0 else knowing(body)
    ((mentions, _, _),) = quiet(make("ner"), ["Takes zinc."])
    assert mentions == [("zinc", S, "")] and len(server.requests) == 2
    server.react = lambda body, number: completion("I can't say.")
    with pytest.raises(OSError, match="R716.*no JSON object"):
        make("ner")("Takes iron.")


def test_questions_without_an_answer_are_left_open(server: Any, make: Any) -> None:
    server.react = lambda body, number: completion('{"1": "A", "2": "Z"}')
    nlp = make("re", "uc")
    with pytest.warns(UserWarning, match="W756.*Of [24] questions.*left out 0 and answered 1"):
        doc = nlp(TEXT)
    assert annotated(doc)[1] == [("zinc", "positive", "colds")]
    assert [e._.usage for e in doc.ents if e.label_ == S] == ["continuing", ""]


def test_a_failing_document_goes_to_the_error_handler(server: Any, make: Any) -> None:
    def react(body: Any, number: int) -> Any:
        return Fault(400, {"error": {"message": "no"}}) if "iron" in asked(body) else knowing(body)

    server.react = react
    nlp = make("uc")
    failed: List[str] = []
    nlp.set_error_handler(lambda name, component, docs, error: failed.extend(doc.text for doc in docs))
    assert len(quiet(nlp, ["Takes zinc.", "Takes iron.", "More zinc."])) == 2
    assert failed == ["Takes iron."]


def test_a_text_that_is_too_long_is_read_in_parts(server: Any, make: Any) -> None:
    server.react = knowing
    text = "Takes zinc " + "and so on " * 300 + "for colds"
    ((mentions, _, _),) = quiet(make("ner", component={"max_tokens": 2000}, max_length=1000), [text])
    assert [name for name, _, _ in mentions] == ["zinc", "colds"]
    assert len(server.requests) > 1
