"""A pipeline answers the same before and after it is saved, whatever the way to answer, and with its adapter."""

from itertools import product
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import spacy
from spacy.language import Language

from spacy_ragre.prompts.supplements import TASKS
from spacy_ragre.relations import ID_KEY

NAME = "supplement_usage_classifier"
Key = Tuple[str, str, int]

# Each task, by each way to answer it, with examples in the prompt and without.
CASES: List[Key] = [
    (task, answer, n_examples)
    for task, answer, n_examples in product(TASKS, ("head", "trie"), (0, 1))
    if answer == "head" or task in ("re", "uc")
]


def answers(nlp: Language, gold: Any, case: Key) -> List[Tuple[str, float]]:
    task, answer, n_examples = case
    component: Any = nlp.get_pipe(NAME)
    component.predictor.answer, component.predictor.n_examples = answer, n_examples
    questions = component._gold(gold(nlp))[task]
    return [(found.text, round(found.score, 4)) for found in component.predictor.predict({task: questions})[task]]


@pytest.fixture(scope="module")
def states(
    make_supplements: Any, gold: Any, gold_examples_of: Any, train_supplements: Any, tmp_path_factory: Any
) -> Dict[str, Tuple[Language, Path]]:
    """A trained and an untrained pipeline in memory, and the folders that they were saved to before any use."""
    result = {}
    for name, steps in (("trained", 40), ("untrained", 0)):
        # A high dropout: were it left on, no two answers would be the same.
        nlp = make_supplements(dropout=0.5, n_examples=1)
        train_supplements(nlp, gold_examples_of(nlp), steps=steps)
        path = tmp_path_factory.mktemp("states") / name
        nlp.to_disk(path)
        result[name] = (nlp, path)
    return result


@pytest.mark.parametrize("state", ["trained", "untrained"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_answers_after_saving_are_those_before(states: Any, gold: Any, state: str, case: Key) -> None:
    nlp, path = states[state]
    nlp.get_pipe(NAME).predictor.backbone.set_training(True)  # as a step of training leaves it
    expected = answers(nlp, gold, case)
    assert answers(nlp, gold, case) == expected
    # A pipeline whose first use is this one.
    loaded = spacy.load(path)
    assert answers(loaded, gold, case) == expected
    assert answers(loaded, gold, case) == expected


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_adapter_is_used(states: Any, gold: Any, case: Key) -> None:
    trained, untrained = (answers(spacy.load(states[name][1]), gold, case) for name in ("trained", "untrained"))
    assert trained != untrained


def test_what_is_remembered_while_training_is_bounded(
    make_supplements: Any, gold_examples_of: Any, train_supplements: Any
) -> None:
    # Each step reads documents with other names, which never come back.
    nlp = make_supplements(tasks=["uc"], n_examples=1, swap_mentions=1.0)
    examples = gold_examples_of(nlp)
    for i, example in enumerate(examples):
        example.reference.user_data[ID_KEY] = str(i)
    predictor: Any = nlp.get_pipe(NAME).predictor
    train_supplements(nlp, examples, steps=12)
    assert 0 < len(predictor._found_before) <= sum(map(len, predictor.stores.values()))


def test_what_was_found_is_remembered(
    make_supplements: Any, gold_examples_of: Any, train_supplements: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nlp = make_supplements(n_examples=1)
    predictor: Any = nlp.get_pipe(NAME).predictor
    examples = gold_examples_of(nlp)
    train_supplements(nlp, examples, steps=1)
    asked: List[int] = []
    found = predictor.found
    monkeypatch.setattr(predictor, "found", lambda task, items: asked.append(len(items)) or found(task, items))
    nlp.update(examples)
    assert sum(asked) == 0
