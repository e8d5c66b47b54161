"""The baseline of the benchmark of speed."""

import importlib
import sys
from pathlib import Path
from typing import Any, List

import pytest

NAME = "supplement_usage_classifier"


def test_one_prompt_at_a_time_asks_every_question(
    make_supplements: Any, gold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    benchmark = importlib.import_module("supplements")
    nlp = make_supplements()
    answerer = nlp.get_pipe(NAME).answerer
    before = answerer.prompt, answerer.constrained, answerer.max_new_tokens
    asked: List[Any] = []
    respond = answerer.respond

    def record(task: str, instances: Any) -> Any:
        assert not answerer.constrained
        asked.append((task, len(instances), answerer.max_new_tokens))
        return respond(task, instances)

    monkeypatch.setattr(answerer, "respond", record)
    doc = gold(nlp)[4]  # two supplements and an event
    assert benchmark.one_at_a_time(nlp, [doc], False) > 0
    assert [task for task, _, _ in asked] == ["ner", "re", "re", "te", "uc", "uc"]
    assert {count for _, count, _ in asked} == {1}
    # Labels are short; lists have the component's limit.
    assert all((limit == before[2]) == (task in ("ner", "te")) for task, _, limit in asked)
    assert (answerer.prompt, answerer.constrained, answerer.max_new_tokens) == before
    for name in ("supplements", "results"):
        sys.modules.pop(name, None)
