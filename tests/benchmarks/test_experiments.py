"""The studies: their runner goes on where it stopped, their files become tables, and each of them runs."""

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List

import pytest
from filelock import FileLock

from benchmarks.experiments import runner
from benchmarks.experiments.plan import Budget, Measured, Place, Study
from benchmarks.results import write_run


def made_up(run: Any, place: Place) -> Measured:
    scores = {"semeval_macro_f": 0.5 + run["seed"] / 10}
    return Measured(str(run["method"]), "made up", "test (2)", scores, {"train_minutes": 1.0 + run["seed"]})


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    found = Study("A question", [{"method": ["a", "b"], "seed": [0, 1]}], made_up, minutes=1)
    monkeypatch.setitem(runner.ALL, "made_up", found)
    return found


@pytest.fixture
def run_all(tmp_path: Path) -> Callable[..., List[str]]:
    """`run_all(execute, "method=a")`: makes the runs that have no file."""
    return lambda execute, *only: runner.run_study("made_up", tmp_path / "results", execute, only, tmp_path / "locks")


@pytest.fixture
def execute(tmp_path: Path) -> Callable[[str, str], None]:
    return lambda study, name: runner.make_run(study, name, Place(tmp_path, tmp_path), tmp_path / "results")


def test_what_was_cut_off_goes_on_and_nothing_runs_twice(
    study: Study, run_all: Callable[..., List[str]], execute: Callable[[str, str], None]
) -> None:
    ran: List[str] = []

    def killed(name: str, run: str) -> None:
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(run)
        execute(name, run)

    with pytest.raises(KeyboardInterrupt):
        run_all(killed)
    # The first seed of everything comes first.
    assert ran == ["a-0", "b-0"]
    again: List[str] = []
    assert run_all(lambda name, run: (again.append(run), execute(name, run))) == []
    assert again == ["a-1", "b-1"]
    assert run_all(lambda name, run: pytest.fail("made twice")) == []


def test_a_run_that_fails_stops_no_other_and_is_made_by_the_next_call(
    study: Study, run_all: Callable[..., List[str]], execute: Callable[[str, str], None]
) -> None:
    def failing(name: str, run: str) -> None:
        if run == "b-0":
            raise ValueError("no memory")
        execute(name, run)

    assert run_all(failing) == ["made_up: b-0"]
    ran: List[str] = []
    assert run_all(lambda name, run: (ran.append(run), execute(name, run))) == []
    assert ran == ["b-0"]


def test_runs_are_chosen_by_their_settings_and_left_to_who_makes_them(
    study: Study, run_all: Callable[..., List[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: List[str] = []
    (tmp_path / "locks").mkdir()
    with FileLock(tmp_path / "locks" / "made_up-b-1.lock"):
        assert run_all(lambda name, run: ran.append(run), "method=b") == []
    assert ran == ["b-0"] and "b-1 is made by another process" in capsys.readouterr().out


def test_each_run_is_a_process_with_the_same_folders(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: List[List[str]] = []
    monkeypatch.setattr(runner, "start", calls.append)
    folders = ["--work", str(tmp_path / "work"), "--results", str(tmp_path / "results")]
    assert runner.main([*folders, "run", "made_up", "--only", "seed=1"]) == 0
    assert [command[-3:] for command in calls] == [["one", "made_up", "a-1"], ["one", "made_up", "b-1"]]
    assert set(folders) <= set(calls[0])
    # What the process does, in this one.
    assert runner.main(calls[0][3:]) == 0
    known = json.loads((tmp_path / "results" / "made_up" / "a-1.json").read_text())
    assert known["run"] == {"method": "a", "seed": 1} and known["benchmark"] == "A question" and known["commit"]
    assert runner.main([*folders, "list"]) == 0
    assert "made_up: 1 of 4 runs done" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        runner.main([*folders, "one", "made_up", "c-0"])


def test_files_of_runs_become_a_table(tmp_path: Path, load_script: Callable[[str], ModuleType]) -> None:
    render = load_script("render_results")
    results = tmp_path / "results"
    for seed in (0, 1):
        run = {"method": "a", "seed": seed}
        found = made_up(run, Place(tmp_path, tmp_path))
        row = {"name": found.name, "description": found.description, "split": found.split}
        write_run(results / "made_up" / f"a-{seed}.json", "A question", row, run, found.scores, found.costs)
        write_run(results / "scores" / f"a-{seed}.json", "Scores alone", row, run, found.scores, {})
    (tmp_path / "README.md").write_text("<!-- results:begin -->\n<!-- results:end -->\n", encoding="utf8")
    paths = [
        "--results",
        str(results),
        "--readme",
        str(tmp_path / "README.md"),
        "--pages",
        str(tmp_path / "pages"),
        "--docs",
        str(tmp_path),
    ]
    assert render.main(paths) == 0 and render.main([*paths, "--check"]) == 0
    page = (tmp_path / "pages" / "made_up.md").read_text(encoding="utf8")
    assert "from the 2 files of `benchmarks/results/made_up/`" in page and page.startswith("# A question\n")
    assert "| a | made up | 55.0 ± 7.1 | 1.5 ± 0.7 | 0, 1 | test (2) |" in page and "times: " in page
    scores_alone = (tmp_path / "pages" / "scores.md").read_text(encoding="utf8")
    assert "| a | made up | 55.0 ± 7.1 | 0, 1 | test (2) |" in scores_alone and "times: " not in scores_alone
    assert "(made_up.md)" in (tmp_path / "pages" / "README.md").read_text(encoding="utf8")


def test_each_run_has_a_seed_and_a_name_of_its_own() -> None:
    for study in runner.ALL.values():
        runs = study.runs()
        assert all("seed" in run for run in runs.values())
        assert len(runs) == sum(math.prod(map(len, part.values())) for part in study.grid)


# The studies


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, write_semeval: Callable[..., None]) -> Place:
    """A few sentences, a tiny language model, and hardly a step."""
    folder = tmp_path_factory.mktemp("studies")
    write_semeval(folder / "data", 30, 8)
    sentence = {"tokens": ["Bob", "has", "Dawn", "."], "h": ["dawn", "Q1", [[2]]], "t": ["bob", "Q2", [[0]]]}
    (folder / "data" / "fewrel").mkdir()
    rows = {"gene_found_in_organism": [sentence], "is_normal_tissue_origin_of_disease": [sentence]}
    (folder / "data" / "fewrel" / "val_pubmed.json").write_text(json.dumps(rows), encoding="utf8")
    steps = dict.fromkeys((72, 360, 720), 1)
    few = Budget(6, dev=3, slow=3, timed=3, model_steps=2, reader_steps=steps, backbone=str(tiny_llama))
    return Place(folder / "data", folder / "work", few)


RUNS: List[Any] = [
    ("four_cells", {"answer": "open", "method": "neither"}),
    ("four_cells", {"answer": "open", "method": "both"}),
    ("four_cells", {"answer": "trie", "method": "retrieval"}),
    ("four_cells", {"answer": "head", "method": "both"}),
    ("training_size", {"method": "retrieval", "sentences": 72}),
    ("adapters", {"adapter": "LoRA"}),
    ("adapters", {"adapter": "QLoRA"}),
    ("adapters", {"adapter": "full"}),
    ("out_of_domain", {"trained": "SemEval", "corpus": "pubmed"}),
    ("retrieval_cost", {"way": "1 in the prompt", "examples": 500}),
    ("implicit_relations", {"system": "open", "method": "retrieval"}),
]


@pytest.mark.real
@pytest.mark.parametrize("study, settings", RUNS, ids=lambda value: value if isinstance(value, str) else "")
def test_each_study_runs(place: Place, study: str, settings: Dict[str, Any]) -> None:
    run = {**settings, "seed": 0}
    assert run in list(runner.ALL[study].runs().values())
    found = runner.ALL[study].measure(run, place)
    assert found.name and found.description and found.split
    assert all(0 <= value <= 1 for value in found.scores.values())
    assert all(value > 0 for value in found.costs.values()) and (found.scores or found.costs)
