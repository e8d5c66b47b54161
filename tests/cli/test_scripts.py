"""The project's scripts, run in folders of their own."""

import importlib
import importlib.util
import json
import re
from hashlib import md5
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List

import pytest
import srsly

ROOT = Path(__file__).parents[2]
README = "# Title\n\n<!-- results:begin -->\nold\n<!-- results:end -->\n\nEnd.\n"


# fetch_assets

SENTENCES = {"train": ["<e1>Fire</e1> by a <e2>spark</e2>."], "test": ["A <e1>ridge</e1> of <e2>rock</e2>."]}
RECORDS = {
    "TRAIN_FILE.TXT": '1\t"<e1>Fire</e1> by a <e2>spark</e2>."\nCause-Effect(e2,e1)\nComment:\n\n',
    "TEST_FILE_FULL.TXT": '8001\t"A <e1>ridge</e1> of <e2>rock</e2>."\nOther\nComment:\n\n',
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose addresses are files of this machine."""
    sources: Dict[str, Any] = {
        "relations": {"relation": {"names": ["Cause-Effect(e1,e2)", "Cause-Effect(e2,e1)"]}},
        "train_relations": [1],
        "test_relations": ["Other"],
        **{f"{part}_sentences": sentences for part, sentences in SENTENCES.items()},
    }
    (tmp_path / "web").mkdir()
    (tmp_path / "project").mkdir()
    folder = "assets/semeval2010_task8"
    assets = [{"dest": f"{folder}/{name}", "checksum": checksum(text.encode())} for name, text in RECORDS.items()]
    for name, data in sources.items():
        path = tmp_path / "web" / f"{name}.json"
        path.write_text(json.dumps(data), encoding="utf8")
        checksum_ = checksum(path.read_bytes())
        assets.append({"dest": f"{folder}/source/{name}.json", "url": path.as_uri(), "checksum": checksum_})
    srsly.write_yaml(tmp_path / "project" / "project.yml", {"assets": assets})
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("RAGRE_ASSETS", raising=False)
    return tmp_path / "project"


def checksum(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


def files(project: Path) -> Dict[str, str]:
    folder = project / "assets" / "semeval2010_task8"
    return {path.name: path.read_text(encoding="utf8") for path in folder.glob("*.TXT")}


def test_assets_are_made_from_the_downloaded_parts(project: Path, load_script: Callable[[str], ModuleType]) -> None:
    assert load_script("fetch_assets").main() == 0
    assert files(project) == RECORDS


def test_assets_are_copied_from_a_mirror(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    load_script: Callable[[str], ModuleType],
) -> None:
    mirror = project.parent / "mirror" / "semeval2010_task8"
    mirror.mkdir(parents=True)
    for name, text in RECORDS.items():
        (mirror / name).write_text(text, encoding="utf8")
    monkeypatch.setenv("RAGRE_ASSETS", str(mirror.parent))
    assert load_script("fetch_assets").main() == 0
    assert files(project) == RECORDS
    assert not (project / "assets" / "semeval2010_task8" / "source").exists()
    # What is there and whole is not fetched again.
    monkeypatch.setenv("RAGRE_ASSETS", "nowhere")
    assert load_script("fetch_assets").main() == 0
    assert "there already" in capsys.readouterr().out


def test_assets_that_differ_are_refused(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    load_script: Callable[[str], ModuleType],
) -> None:
    mirror = project.parent / "mirror" / "semeval2010_task8"
    mirror.mkdir(parents=True)
    (mirror / "TRAIN_FILE.TXT").write_text("other", encoding="utf8")
    monkeypatch.setenv("RAGRE_ASSETS", str(mirror.parent))
    assert load_script("fetch_assets").main() == 1
    message = capsys.readouterr().err
    assert "checksum" in message and message.count("\n") == 1
    assert files(project) == {}


def test_no_connection_and_no_mirror(
    project: Path, capsys: pytest.CaptureFixture, load_script: Callable[[str], ModuleType]
) -> None:
    for path in (project.parent / "web").iterdir():
        path.unlink()
    assert load_script("fetch_assets").main() == 1
    message = capsys.readouterr().err
    assert "RAGRE_ASSETS" in message and message.count("\n") == 1
    (project.parent / "web").rmdir()


def test_the_project_is_valid(dry_run: Callable[..., List[str]]) -> None:
    commands = dry_run("all", budget="full")
    assert "fetch_assets.py" in commands[0] and "--build sdist" in commands[-1]


def test_overrides_are_settings_of_the_config(load_script) -> None:
    from thinc.api import Config

    variables = Config().from_disk(ROOT / "configs" / "rag_semeval.cfg", interpolate=False)["vars"]
    budgets = load_script("budgets").BUDGETS
    assert set(budgets) == {"smoke", "small", "full"}
    for budget in budgets.values():
        assert set(budget.overrides) <= set(variables)
    assert {"backbone", "device"} <= set(variables)


# Re-DocRED


def test_redocred_is_copied_from_a_mirror(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    load_script: Callable[[str], ModuleType],
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    names = load_script("fetch_redocred").PARTS
    mirror = project.parent / "mirror" / "redocred"
    mirror.mkdir(parents=True)
    assets = []
    for name in names:
        (mirror / name).write_text("[]", encoding="utf8")
        url = (project.parent / "web" / name).as_uri()
        assets.append({"dest": f"assets/redocred/{name}", "url": url, "checksum": checksum(b"[]")})
    srsly.write_yaml(project / "project.yml", {"assets": assets})
    assert load_script("fetch_redocred").main() == 1
    assert "RAGRE_ASSETS" in capsys.readouterr().err
    monkeypatch.setenv("RAGRE_ASSETS", str(mirror.parent))
    assert load_script("fetch_redocred").main() == 0
    assert sorted(path.name for path in (project / "assets" / "redocred").iterdir()) == sorted(names)
    monkeypatch.delenv("RAGRE_ASSETS")
    assert load_script("fetch_redocred").main() == 0
    assert "there already" in capsys.readouterr().out


def test_the_etrag_workflow_is_valid(dry_run: Callable[..., List[str]]) -> None:
    assert str(dry_run("etrag")).count("spacy train configs/etrag_semeval.cfg") == 4


def test_the_redocred_workflow_is_valid(dry_run: Callable[..., List[str]]) -> None:
    commands = dry_run("redocred")
    assert "fetch_redocred.py" in commands[0] and "--build sdist" in commands[-1]


# render_results

MACHINE = {"processor": "CPU X", "cores": 2, "gpu": None}
RESULT = {
    "benchmark": "SemEval-2010 Task 8",
    "rows": [
        {
            "name": "fine-tuned",
            "description": "no | retrieval",
            "seeds": [0, 1],
            "machines": [MACHINE, {**MACHINE, "processor": "CPU Y"}],
            "scores": {"semeval_macro_f": [0.88, 0.90], "semeval_micro_all_f": [0.8, 0.8]},
            "split": "test",
        },
        {
            "name": "fine-tuned + retrieval",
            "seeds": [0],
            "machines": [MACHINE],
            "scores": {"semeval_macro_f": [0.301]},
            "split": "test, 500",
        },
    ],
    "commit": "abc1234",
    "machine": MACHINE,
    "command": "python benchmarks/x.py",
    "date": "2026-01-01",
}


@pytest.fixture
def render(tmp_path: Path, load_script: Callable[[str], ModuleType]) -> Callable[..., int]:
    (tmp_path / "README.md").write_text(README, encoding="utf8")
    (tmp_path / "results").mkdir()
    main = load_script("render_results").main
    paths = ["--results", str(tmp_path / "results"), "--readme", str(tmp_path / "README.md")]
    paths += ["--pages", str(tmp_path / "pages"), "--docs", str(tmp_path / "docs")]
    return lambda *args: main([*args, *paths])


def test_results_become_tables(render: Callable[..., int], tmp_path: Path) -> None:
    (tmp_path / "results" / "semeval.json").write_text(json.dumps(RESULT), encoding="utf8")
    assert render("--check") == 1
    assert (tmp_path / "README.md").read_text(encoding="utf8") == README
    assert render() == 0
    assert render("--check") == 0
    readme = (tmp_path / "README.md").read_text(encoding="utf8")
    link = "[SemEval-2010 Task 8](docs/results/semeval.md)"
    assert f"| {link} | fine-tuned + retrieval | official macro-F1 | 30.1 | test, 500 |" in readme
    assert f"| {link} | fine-tuned | official macro-F1 | 89.0 ± 1.4 | test |" in readme
    assert readme.startswith("# Title\n") and readme.endswith("\nEnd.\n") and "old" not in readme
    assert "[SemEval-2010 Task 8](semeval.md)" in (tmp_path / "pages" / "README.md").read_text(encoding="utf8")
    text = (tmp_path / "pages" / "semeval.md").read_text(encoding="utf8")
    assert text.startswith("# SemEval-2010 Task 8\n") and "benchmarks/results/semeval.json" in text
    assert "| fine-tuned | no \\| retrieval | 89.0 ± 1.4 | 80.0 ± 0.0 | 0, 1 | test |" in text
    assert "| fine-tuned + retrieval |  | 30.1 |  | 0 | test, 500 |" in text
    assert "`abc1234`; CPU X, 2 CPU cores and CPU Y, 2 CPU cores; 2026-01-01" in text
    # A page whose results are gone is stale, and goes.
    (tmp_path / "results" / "semeval.json").unlink()
    assert render("--check") == 1
    assert render() == 0 and render("--check") == 0
    assert [path.name for path in (tmp_path / "pages").glob("*")] == ["README.md"]


def test_figures_of_the_text_are_those_of_the_results(
    render: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results" / "semeval.json").write_text(json.dumps(RESULT), encoding="utf8")
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "choose.md"
    right = "It has 89.0 ([figures](results/semeval.md)), and about 0.9 of 1.5 others\n\nNo link: 12.3, `4.5`.\n"
    page.write_text(right.replace("1.5", "one and a half"), encoding="utf8")
    assert render() == 0 and render("--check") == 0
    page.write_text(right + "\n- An item: 30.1 and 1.4\n- [other](results/semeval.md): 30.2\n", encoding="utf8")
    capsys.readouterr()
    assert render("--check") == 1
    said = capsys.readouterr().err.splitlines()
    assert [re.findall(r"says ([\d.]+),", line) for line in said] == [["1.5"], ["30.2"]] and "semeval.md" in said[0]


def test_rows_stand_in_the_order_of_their_splits(render: Callable[..., int], tmp_path: Path) -> None:
    splits = ["10% of training", "5% of training", "10% of training"]
    same = {"seeds": [0], "machines": [MACHINE], "scores": {}}
    rows = [{"name": f"row {i}", "split": split, **same} for i, split in enumerate(splits)]
    data = {"benchmark": "Sizes", "commit": "abc1234", "rows": rows}
    (tmp_path / "results" / "sizes.json").write_text(json.dumps(data), encoding="utf8")
    assert render() == 0
    text = (tmp_path / "pages" / "sizes.md").read_text(encoding="utf8")
    assert re.findall(r"row \d", text) == ["row 1", "row 0", "row 2"]


def test_costs_are_of_one_machine(render: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = importlib.import_module("benchmarks.results")
    path, row = tmp_path / "results" / "lmrc.json", {"name": "a", "description": "", "split": "test"}
    for seed, processor in enumerate(("CPU X", "CPU Y", "CPU Z")):
        about = {"processor": processor, "cores": 2, "gpu": None}
        monkeypatch.setattr(results, "machine", lambda about=about: about)
        # The first run has its seconds among the scores, the last none.
        seconds = {"seconds_a_document": 3.0 - seed}
        scores = {"docred_f": 0.5, **(seconds if seed == 0 else {})}
        results.add_row(path, "B", row, seed, scores, seconds if seed == 1 else None)
    assert render() == 0
    text = (tmp_path / "pages" / "lmrc.md").read_text(encoding="utf8")
    assert "| a |  | 50.0 ± 0.0 | 2.0 | 0, 1, 2 | test |" in text
    measured = " and ".join(f"CPU {name}, 2 CPU cores" for name in "XYZ")
    assert f"; {measured}; " in text and "times: CPU Y, 2 CPU cores." in text
    # A seed that is measured again counts for its last machine alone.
    results.add_row(path, "B", row, 0, {"docred_f": 0.5})
    (again,) = json.loads(path.read_text())["rows"]
    assert again["seeds"] == [1, 2, 0]
    assert [machine["processor"] for machine in again["machines"]] == ["CPU Y", "CPU Z", "CPU Z"]


def test_measurements_become_tables(render: Callable[..., int], tmp_path: Path) -> None:
    about = {key: RESULT[key] for key in ("commit", "machine", "date", "command")}
    parts = {"all_pairs": {"documents": 20, "pairs_per_second": 123.456, "ratio": 12.3456, **about}}
    data = {"benchmark": "Packed scoring", "parts": parts}
    (tmp_path / "results" / "packed.json").write_text(json.dumps(data), encoding="utf8")
    assert render("--check") == 1
    assert render() == 0
    assert render("--check") == 0
    text = (tmp_path / "pages" / "packed.md").read_text(encoding="utf8")
    assert "| all pairs |  |\n| --- | ---: |\n| documents | 20 |\n| pairs per second | 123 |\n| ratio | 12.3 |" in text
    assert "`python benchmarks/x.py`; commit `abc1234`; CPU X, 2 CPU cores; 2026-01-01." in text
    assert "No results yet." in (tmp_path / "README.md").read_text(encoding="utf8")


def test_no_results_and_no_markers(render: Callable[..., int], tmp_path: Path) -> None:
    assert render() == 0
    assert "No results yet." in (tmp_path / "README.md").read_text(encoding="utf8")
    (tmp_path / "README.md").write_text("# Title\n", encoding="utf8")
    assert render() == 1


# plot_results


def test_results_become_figures(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    load_script: Callable[[str], ModuleType],
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    plot = load_script("plot_results")
    scores = {"semeval_macro_f": lambda x: [0.5 + x / 100, 0.6]}
    tasks = {score: lambda x: [x / 1000] for score in plot.SUPPLEMENTS}
    sizes = [(f"open: {way} | {x} sentences, test (9)", x, scores) for way in ("both", "retrieval") for x in (72, 9)]
    files = {
        "etrag_sweep": [("k = 8 | test", 8, scores), ("k = 1 | test", 1, scores), ("m = 2 | test", 2, scores)],
        "supplements_training-size": [("420 sentences | test", 420, tasks), ("52 sentences | test", 52, tasks)],
        "training_size": sizes,
        "suggest": [
            ("random | 80 sentences, test (9)", 80, scores),
            ("uncertain | 80 sentences, test (9)", 80, scores),
        ],
    }
    output = tmp_path / "images"
    arguments = ["--results", str(tmp_path), "--output", str(output)]
    assert plot.main(arguments) == 1  # nothing was measured yet
    assert set(plot.COMMANDS) == set(plot.FIGURES)
    said = capsys.readouterr().err
    assert all(command in said for command in plot.COMMANDS.values())
    found = {}
    for name, rows in files.items():
        found[name] = [
            {**dict(zip(("name", "split"), row.split(" | "))), "scores": {s: make(x) for s, make in made.items()}}
            for row, x, made in rows
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps({"rows": found[name]}), encoding="utf8")
    k, m = (plot.read_points(found["etrag_sweep"], panel) for panel in plot.FIGURES["etrag_sweep"])
    (official,) = plot.SEMEVAL.values()
    assert [value for value, _ in k[official]] == [1, 8] and m[official] == [(2, [52.0, 60.0])]
    (curve,) = plot.FIGURES["supplements_training-size"]
    points = plot.read_points(found["supplements_training-size"], curve)
    assert set(points) == set(plot.SUPPLEMENTS.values())
    assert points[plot.SUPPLEMENTS["uc_macro_f"]] == [(52, [5.2]), (420, [42.0])]
    # Rows that are lines: one for each way.
    lines = plot.read_points(found["training_size"], plot.FIGURES["training_size"][0])
    assert {name: [x for x, _ in points] for name, points in lines.items()} == {"both": [9, 72], "retrieval": [9, 72]}
    assert plot.main(arguments) == 0
    first = {name: (output / f"{name}.svg").read_bytes() for name in files}
    assert all(image.startswith(b"<?xml") for image in first.values())
    assert (
        plot.main([*arguments, "etrag_sweep"]) == 0
        and (output / "etrag_sweep.svg").read_bytes() == first["etrag_sweep"]
    )
    with pytest.raises(SystemExit):
        plot.main([*arguments, "nothing"])


# Corpora of open labels


def test_corpora_of_open_labels_come_from_a_mirror(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    load_script: Callable[[str], ModuleType],
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    mirror, web = project.parent / "mirror", project.parent / "web"
    paths = ("fewrel/val_wiki.json", "relations/core.train.jsonl", "other/file.json")
    assets = []
    for path in paths:
        (mirror / path).parent.mkdir(parents=True)
        (mirror / path).write_text(path, encoding="utf8")
        assets.append({"dest": f"assets/{path}", "checksum": checksum(path.encode())})
    (web / "val_wiki.json").write_text(paths[0], encoding="utf8")
    assets[0]["url"] = (web / "val_wiki.json").as_uri()
    srsly.write_yaml(project / "project.yml", {"assets": assets})
    fetch = load_script("fetch_open")
    assert fetch.main() == 1  # FewRel has an address, the other corpora have none
    assert "relations/core.train.jsonl" in capsys.readouterr().err
    assert (project / "assets" / paths[0]).is_file()
    monkeypatch.setenv("RAGRE_ASSETS", str(mirror))
    assert fetch.main() == 0
    found = sorted(path.relative_to(project / "assets") for path in (project / "assets").rglob("*.json*"))
    assert found == [Path(paths[0]), Path(paths[1])]
