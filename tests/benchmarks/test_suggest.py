"""The benchmark of which sentences to annotate next: what is drawn, what is trained on, and that it goes on."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Set

import pytest
import spacy

from benchmarks import suggest
from benchmarks.experiments.pipelines import untrained
from benchmarks.experiments.plan import Place
from spacy_ragre.relations import ID_KEY


@pytest.mark.real
def test_both_ways_begin_alike_and_what_is_there_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_semeval: Callable[..., None]
) -> None:
    write_semeval(tmp_path, 16, 6)
    nlp = untrained(Place(tmp_path, tmp_path), "open")
    trained: Dict[str, Set[str]] = {}

    def train_on(docs: Any, seed: int, folder: Path) -> Any:
        trained[folder.name] = {doc.user_data[ID_KEY] for doc in docs}
        return nlp

    monkeypatch.setattr(suggest, "train_on", train_on)
    output = tmp_path / "suggest.json"
    arguments = ["--data", str(tmp_path), "--training", str(tmp_path / "training"), "--output", str(output)]
    arguments += ["--sizes", "4,8", "--seeds", "0", "--pool", "12", "--test", "4"]
    suggest.main(arguments)
    first = json.loads(output.read_text())
    rows = [(row["name"], row["split"]) for row in first["rows"]]
    assert rows == [(way, f"{size} sentences, test (4)") for way in ("random", "uncertain") for size in (4, 8)]
    assert first["rows"][0]["scores"] == first["rows"][2]["scores"]
    # Both share the first training, and add four sentences to it, each by its own choice.
    assert set(trained) == {"start-0-4", "random-0-8", "uncertain-0-8"}
    assert all(trained["start-0-4"] < own and len(own) == 8 for name, own in trained.items() if "start" not in name)
    assert trained["random-0-8"] != trained["uncertain-0-8"]
    suggest.main(arguments)
    assert json.loads(output.read_text()) == first


def test_a_training_has_the_steps_of_the_plan_and_its_own_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_semeval: Callable[..., None]
) -> None:
    write_semeval(tmp_path, 6, 1)
    docs = list(suggest.read_semeval(tmp_path / "semeval2010_task8" / "TRAIN_FILE.TXT", spacy.blank("en")))
    given: List[Any] = []
    monkeypatch.setattr(suggest, "train_once", lambda *args: given.append(args))
    monkeypatch.setattr(suggest.spacy, "load", lambda path: path)
    assert suggest.train_on(docs, 3, tmp_path / "run") == tmp_path / "run" / suggest.LAST
    ((config, overrides, folder),) = given
    assert (config, folder) == (suggest.CONFIG, tmp_path / "run")
    assert Path(overrides["paths.train"]).is_file() and overrides["system.seed"] == 3
    assert overrides["vars.max_steps"] == overrides["vars.total_steps"] > 0
