"""What the benchmark measures: triples where no mentions are found, and the baseline of speed."""

import importlib
from typing import Any, List

import pytest

NAME = "supplement_usage_classifier"


@pytest.fixture
def benchmark() -> Any:
    return importlib.import_module("benchmarks.supplements")


def test_triples_without_mentions_are_the_generated_ones(
    benchmark: Any, make_supplements: Any, gold: Any, gold_examples_of: Any, train_supplements: Any
) -> None:
    nlp = make_supplements(tasks=["re", "te"], gazetteer=None)
    train_supplements(nlp, gold_examples_of(nlp))
    scores = benchmark.evaluate(nlp, gold(nlp))
    assert scores["te_strict_f"] == scores["te_generated_strict_f"] > 0.5
    assert scores["re_micro_f"] > 0.5 and "ner_strict_f" not in scores


def test_one_prompt_at_a_time_asks_every_question(
    benchmark: Any, make_supplements: Any, gold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nlp = make_supplements()
    predictor = nlp.get_pipe(NAME).predictor
    before = predictor.prompt
    asked: List[Any] = []
    put, generate = predictor.prompt_ids, benchmark.by_transformers

    def prompt_ids(task: str, instances: Any) -> Any:
        assert predictor.prompt is not before
        asked.append((task, len(instances)))
        return put(task, instances)

    def record(backbone: Any, prompts: Any, max_new_tokens: int) -> Any:
        asked[-1] += (len(prompts), max_new_tokens)
        return generate(backbone, prompts, max_new_tokens)

    monkeypatch.setattr(predictor, "prompt_ids", prompt_ids)
    monkeypatch.setattr(benchmark, "by_transformers", record)
    doc = gold(nlp)[4]  # two supplements and an event
    assert benchmark.one_at_a_time(nlp, [doc], False) > 0
    assert [task for task, *_ in asked] == ["ner", "re", "re", "te", "uc", "uc"]
    assert {(instances, prompts) for _, instances, prompts, _ in asked} == {(1, 1)}
    # Labels are short; lists have the component's limit.
    assert all((limit == predictor.max_new_tokens) == (task in ("ner", "te")) for task, _, _, limit in asked)
    assert predictor.prompt is before


def test_notes_keep_the_annotations_of_their_sentences(benchmark: Any, make_supplements: Any, gold: Any) -> None:
    nlp = make_supplements()
    docs = gold(nlp)
    found = benchmark.notes(docs, nlp)
    assert len(found) == -(-len(docs) // benchmark.NOTE_SENTENCES)

    def told(parts: Any) -> Any:
        usage = sorted((ent.text, ent.label_, ent._.usage or "") for doc in parts for ent in doc.ents)
        relations = sorted((r.head.text, r.tail.text, r.label) for doc in parts for r in doc._.relations)
        return usage, relations, {tuple(triple) for doc in parts for triple in doc._.triples}

    assert told(found) == told(docs) and told(docs)[1]
    assert all(doc.text in "\n".join(note.text for note in found) for doc in docs)


def test_the_sentences_of_the_corpus_are_read_whole(benchmark: Any, make_supplements: Any, gold: Any) -> None:
    nlp = make_supplements(tasks=["uc"])
    benchmark.evaluate(nlp, gold(nlp))
    assert nlp.get_pipe(NAME).runner.limits.max_sentences is None
