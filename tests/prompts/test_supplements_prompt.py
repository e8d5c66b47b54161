"""The words of the supplement prompts, and the rules of whitespace that packed scoring needs."""

import pytest

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.prompts.supplements import GENERATED, LABELS, TASKS, SupplementsPrompt, make_supplements_prompt
from spacy_ragre.registry import registry

TEXT = "Takes fish oil for\n dry eyes."
OIL, EYES = (6, 14), (20, 28)


def query(task, text=TEXT, response=""):
    whole = (0, len(text))
    first, second = {"uc": (OIL, OIL), "re": (OIL, EYES)}.get(task, (whole, whole))
    return Instance(text, first, second, response=response)


EXPECTED = {
    "ner": "Takes fish oil for dry eyes.\nEntities:",
    "te": "Takes fish oil for dry eyes.\nTriples:",
    "re": "Takes [fish oil] for {dry eyes}.\nRelation of fish oil to dry eyes:",
    "uc": "Takes [fish oil] for dry eyes.\nUse of fish oil:",
}


@pytest.mark.parametrize("task", TASKS)
def test_query(task):
    assert SupplementsPrompt(instruction=False).segments(task, query(task)).text == EXPECTED[task]


@pytest.mark.parametrize("task", TASKS)
def test_example_with_its_response_before_the_query(task):
    example = query(task, response="answer")
    segments = SupplementsPrompt(instruction=False).segments(task, query(task), [example])
    assert segments.text == f"{EXPECTED[task]} answer\n{EXPECTED[task]}"


@pytest.mark.parametrize("task", TASKS)
def test_pieces_keep_the_rules_of_whitespace(task):
    segments = SupplementsPrompt().segments(task, query(task), [query(task, response="answer")])
    assert segments.instruction.endswith("\n") and not segments.instruction.endswith("\n\n")
    for part in (*segments.examples, segments.query):
        *inner, last = (part,) if isinstance(part, str) else part
        assert all(piece and piece == piece.rstrip() for piece in inner)
        assert last == (last.rstrip() + "\n" if part is not segments.query else last.rstrip())


def test_instructions_name_all_answers():
    prompt = SupplementsPrompt()
    for task, labels in LABELS.items():
        instruction = prompt.segments(task, query(task)).instruction
        assert all(f'"{label.replace("_", " ")}"' in instruction for label in labels)
        assert prompt.answers(task) == [f" {label.replace('_', ' ')}" for label in labels]
    for task in GENERATED:
        assert '"none"' in prompt.segments(task, query(task)).instruction


def test_query_answers_and_responses_are_not_shown():
    told = Instance(TEXT, OIL, OIL, answers=(Answer("started"),), response="started")
    assert SupplementsPrompt().segments("uc", told).text == SupplementsPrompt().segments("uc", query("uc")).text


def test_texts_are_values_and_no_templates():
    text = "Takes {{ fish }} oil % [a] {b}"
    assert SupplementsPrompt(False).segments("ner", query("ner", text)).text == f"{text}\nEntities:"


def test_registered():
    assert registry.ragre_prompts.get("ragre.Supplements.v1") is make_supplements_prompt
    assert make_supplements_prompt() == SupplementsPrompt(True)
