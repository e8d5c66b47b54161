"""The limit of probability that ships is chosen on ordinary paragraphs."""

import json

import pytest

from benchmarks import paragraphs
from benchmarks.open_relations import describe, limits, passages
from spacy_ragre.components.relations.open_scorer import READER, WEIGHTS

# Right ones first: precision falls from 1 to 0.5 over 200 relations.
FOUND = [(1 - i / 200, i < 60 or i % 3 == 0) for i in range(200)]


@pytest.mark.parametrize("precision", [0.6, 0.75, 0.9])
def test_the_limit_finds_most_with_the_wanted_precision(precision):
    def measure(limit):
        kept = [right for score, right in FOUND if score > limit]
        return sum(kept) / len(kept), sum(kept)

    limit = limits.choose(FOUND, precision)
    assert measure(limit)[0] >= precision
    further = [measure(score - 1e-6) for score, _ in FOUND]
    assert all(right <= measure(limit)[1] for reached, right in further if reached >= precision)


def test_a_lucky_few_decide_nothing():
    """Ten right ones at the top would do for any precision; so many that a limit means something are asked for."""
    found = [(0.9, True)] * 10 + [(0.5 - i / 1000, i % 2 == 0) for i in range(100)]
    kept = [right for score, right in found if score > limits.choose(found, 0.95)]
    assert len(kept) >= limits.FEW


def test_without_relations_the_limit_is_even_odds():
    assert limits.choose([], 0.75) == 0.5


def relations(within, across):
    """Of one subject: so many right and wrong ones in one sentence, and scores across sentences."""
    own = [limits.Found("a", 0.9, 0.0, i < within[0]) for i in range(sum(within))]
    return own + [limits.Found("a", 0.1, score, right) for score, right in across]


def test_the_limit_across_sentences_keeps_the_precision_of_all_together():
    found = relations((8, 2), [(0.8, True), (0.7, False), (0.6, False), (0.5, False), (0.4, True)])
    assert limits.choose_across(found, 0.3, 0.74) == pytest.approx(0.65)  # 9 of 12
    assert limits.choose_across(found, 0.3, 0.65) == pytest.approx(0.3)  # 10 of 15, and no limit is below that within
    assert limits.choose_across(found, 0.3, 0.99) == 1.0
    assert limits.choose_across([], 0.3, 0.74) == 1.0
    # What is found in one sentence anyhow tells nothing of those across.
    assert limits.choose_across([limits.Found("a", 0.9, 0.6, True)] * 9, 0.3, 0.74) == 1.0


def test_held_out_figures_are_of_limits_from_other_subjects():
    """The right ones of the third have scores that wrong ones of the others are above, too."""
    found = [
        limits.Found(subject, score, 0.0, right) for subject in "ab" for score, right in ((0.8, True), (0.5, False))
    ]
    found = [*found, limits.Found("c", 0.4, 0.0, True)] * 60
    assert limits.held_out(found, dict.fromkeys("abc", 80), 0.75) == {"p": 100.0, "r": 50.0}


def test_paragraphs_and_all_together_must_reach_the_precision():
    poor = [limits.Found("a", score, 0.0, score > 0.5) for score in (0.9, 0.8, 0.4, 0.3)] * 60
    rich = [limits.Found("b", 0.4, 0.0, True)] * 2000
    # What is found elsewhere is so often right that nothing more would be left out.
    assert limits.choose_both([*poor, *rich], 0.9)[0] < 0.4
    assert limits.choose_stricter(poor, rich, 0.9) == limits.choose_both(poor, 0.9)
    good = [limits.Found("c", 0.2, 0.0, True)] * 60
    assert limits.choose_stricter(good, poor, 0.9) == limits.choose_both([*good, *poor], 0.9)


def test_figures_of_the_results_stand_beside_the_weights(tmp_path):
    row = {"name": "open labels", "split": "dev", "commit": "abc", "scores": {"relations_f": [0.5, 0.41234]}}
    other = {**row, "name": "cosine"}
    (tmp_path / "zero_shot_x.json").write_text(json.dumps({"rows": [row, other]}))
    (tmp_path / "paragraphs.json").write_text(json.dumps({"rows": [{**row, "name": "open, with entity types"}]}))
    out = tmp_path / "open_reader.json"
    out.write_text(json.dumps({"decision": {}}))
    describe.add_figures(str(out), tmp_path)
    figures = json.loads(out.read_text())["zero_shot"]
    assert figures["zero_shot_x"] == [{"name": "open labels", "split": "dev", "commit": "abc", "relations_f": 41.2}]
    assert [known["name"] for known in figures["paragraphs"]] == ["open, with entity types"]


@pytest.mark.real
def test_limits_are_written_beside_the_weights(tmp_path, monkeypatch):
    for name in (f"{READER}.json", f"{READER}.safetensors"):
        (tmp_path / name).write_bytes((WEIGHTS / name).read_bytes())
    schemas = paragraphs.subset(paragraphs.read(), 2)
    monkeypatch.setattr(paragraphs, "read", lambda: schemas)
    monkeypatch.setattr(passages, "read_passages", lambda held_out: schemas[:1] if held_out else [])
    written = limits.write_limits(tmp_path, schemas[:1])
    before = json.loads((WEIGHTS / f"{READER}.json").read_text(encoding="utf8"))
    known = json.loads((tmp_path / f"{READER}.json").read_text(encoding="utf8"))
    assert known == {**before, **written}
    kinds = {f"{kind}{ending}" for kind in ("types", "no_types") for ending in ("", "_found", "_phrases", "_named")}
    assert set(written["decision_across"]) == set(written["decision"]) == kinds
    assert all(0 < limit <= 1 for name in ("decision", "decision_across") for limit in written[name].values())


@pytest.mark.real
def test_limits_that_ship_are_those_of_the_paragraphs():
    """Found with the limits that ship: at least the precision that they were chosen for, and over sentences, too."""
    schemas = paragraphs.read()
    known = json.loads((WEIGHTS / f"{READER}.json").read_text(encoding="utf8"))
    scores, _ = paragraphs.measure(schemas, "open", True, "gold")
    assert known["decision"]["types"] < 0.5 and known["decision"]["types"] < known["decision_across"]["types"] < 1
    assert scores["relations_p"] >= limits.PRECISION["types"] - limits.WITHIN and scores["relations_r"] > 0.5
