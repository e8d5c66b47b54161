"""The limit of probability that ships is chosen on ordinary paragraphs."""

import json

import pytest

from benchmarks import paragraphs
from benchmarks.open_relations import describe, limits
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
    assert limits.choose([]) == 0.5


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
    written = limits.write_limits(tmp_path)
    before = json.loads((WEIGHTS / f"{READER}.json").read_text(encoding="utf8"))
    known = json.loads((tmp_path / f"{READER}.json").read_text(encoding="utf8"))
    assert known == {**before, "decision": written}
    assert set(written) == {"types", "no_types", "types_found", "no_types_found"} and all(
        0 < limit < 1 for limit in written.values()
    )


@pytest.mark.real
def test_limits_that_ship_are_those_of_the_paragraphs():
    """Found with the limit that ships: at least the precision that it was chosen for."""
    schemas = paragraphs.read()
    known = json.loads((WEIGHTS / f"{READER}.json").read_text(encoding="utf8"))
    scores, _ = paragraphs.measure(schemas, "open", True, "gold")
    assert known["decision"]["types"] < 0.5 and scores["relations_p"] >= limits.PRECISION
