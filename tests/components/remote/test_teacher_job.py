"""`ragre annotate --teacher`: silver relations of a corpus, by a job that goes on where it was stopped."""

import json
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from spacy.training import Example
from typer.testing import CliRunner

from spacy_ragre.annotate.workers import Worker
from spacy_ragre.assist.teacher import Sampling
from spacy_ragre.cli import annotate, ragre_cli
from spacy_ragre.corpora import read_jsonl
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.pair_weights import get_weights

from .conftest import NONE, completion, founders, pairs_of

TEXTS = ["Acme was founded by Ann.", "Globex was founded by Bob.", "Ann met Bob.", "Acme is by Bob.", "Nobody."]


def unsure(body: Dict[str, Any], number: int) -> Any:
    """One of the answers about Bob is another."""
    whole = json.loads(founders(body)["choices"][0]["message"]["content"])
    if body["seed"] == 2:
        whole = {key: NONE if "Bob" in pairs_of(body)[key] else value for key, value in whole.items()}
    return completion(json.dumps(whole))


@pytest.fixture
def job(server: Any, make_remote: Any, tmp_path: Path) -> Callable[..., List[Any]]:
    """`job(OUT, ...)`: annotates the texts with a teacher, and gives the records that it wrote."""
    server.react = unsure
    # What it would say itself is not asked.
    make_remote({"labels": {"founded_by": "was founded by"}}, url="http://127.0.0.1:9/v1").to_disk(tmp_path / "base")
    teacher = f"""
[teacher]

[teacher.model]
@architectures = "ragre.LabelModel.v1"

[teacher.model.backbone]
@ragre_backbones = "ragre.OpenAI.v1"
name = "large"
url = "{server.url}"
"""
    (tmp_path / "teacher.cfg").write_text(teacher)
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))

    def run(out: str, **settings: Any) -> List[Any]:
        values = {"teacher": str(tmp_path / "teacher.cfg"), "samples": 4, "part_size": 2, **settings}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            annotate(tmp_path / "in.jsonl", tmp_path / out, str(tmp_path / "base"), **values)
        return [json.loads(line) for part in sorted((tmp_path / out).glob("part-*")) for line in part.open()]

    return run


def test_silver_relations_are_written_and_learned(job: Any, server: Any, tmp_path: Path, make_nlp: Any) -> None:
    records = job("silver")
    assert [record["text"] for record in records] == TEXTS
    scores = [[(r["label"], r.get("score", 1.0)) for r in record["relations"]] for record in records]
    assert scores == [[("founded_by", 1.0)], [("founded_by", 0.75)], [], [("founded_by", 0.75)], []]
    assert [record.get("weights") for record in records[:3]] == [None, [{"head": 0, "tail": 1, "weight": 0.75}], None]
    assert all(body["temperature"] == 0.7 and body["model"] == "large" for body in server.requests)
    # A small model learns from them, as from other documents of the interchange format.
    docs = [doc for part in sorted((tmp_path / "silver").glob("*.jsonl")) for doc in read_jsonl(part)]
    assert [pair.weight for doc in docs for pair in get_weights(doc)] == [0.75, 0.75]
    nlp = make_nlp(labels={"founded_by": "was founded by"})
    examples = [Example(copy_input(doc), doc) for doc in docs]
    optimizer = nlp.initialize(lambda: examples)
    assert nlp.update(examples, sgd=optimizer)["rag_relation_extractor"] > 0


def test_it_goes_on_where_it_was_stopped(job: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = job("whole")
    count = len(server.requests)
    done: List[int] = []
    own = Worker.do

    def stopped(worker: Worker, part: Any) -> None:
        if len(done) == 1:
            raise KeyboardInterrupt
        own(worker, part)
        done.append(part.number)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "do", stopped)
        with pytest.raises(KeyboardInterrupt):
            job("stopped")
    before = len(server.requests)
    assert job("stopped") == expected
    # What was finished is not asked about again: two documents with four answers each.
    assert len(server.requests) - before == count - 8
    # Another way to sample would be another job.
    with pytest.raises(ValueError, match="R724.*--samples was 4, and is 5"):
        job("stopped", samples=5)
    with pytest.raises(ValueError, match="R724.*the content of --teacher was"):
        job("stopped", teacher=None, samples=None)


def test_a_teacher_may_be_a_pipeline(job: Any, server: Any, make_remote: Any, tmp_path: Path) -> None:
    make_remote({"labels": {"founded_by": "was founded by"}}).to_disk(tmp_path / "teacher")
    records = job("silver", teacher=str(tmp_path / "teacher"), seed=5)
    assert [len(record["relations"]) for record in records] == [1, 1, 0, 1, 0]
    assert {body["seed"] for body in server.requests} == {5, 6, 7, 8}


def test_parquet_keeps_weights(job: Any, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        annotate(
            tmp_path / "in.jsonl",
            tmp_path / "silver",
            str(tmp_path / "base"),
            teacher=str(tmp_path / "teacher.cfg"),
            samples=4,
            format="parquet",
        )
    rows = parquet.read_table(tmp_path / "silver" / "part-00000.parquet").to_pylist()
    assert [row["weights"] for row in rows][:2] == [None, [{"head": 0, "tail": 1, "weight": 0.75}]]


def test_a_teacher_that_answers_nothing(job: Any, server: Any, tmp_path: Path) -> None:
    server.react = lambda body, number: completion("{}")
    records = job("silent")
    assert not any(record["relations"] for record in records)
    assert [pair["weight"] for record in records for pair in record.get("weights", ())] == [0, 0, 0, 0]
    # One that can't be understood at all stops the job.
    server.react = lambda body, number: completion("What?", finish="length")
    with pytest.raises(ValueError, match="R728.*R714"):
        job("unreadable")


def test_options_of_a_teacher_need_one(job: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="R323.*--samples.*--teacher"):
        job("none", teacher=None)
    with pytest.raises(ValueError, match="R756"):
        job("none", temperature=0.0)
    arguments = ["annotate", str(tmp_path / "in.jsonl"), str(tmp_path / "o"), "--pipeline", str(tmp_path / "base")]
    result = CliRunner().invoke(ragre_cli, [*arguments, "--teacher", str(tmp_path / "missing.cfg")])
    assert result.exit_code == 1 and "R759" in result.output and not (tmp_path / "o").exists()


def test_the_help_says_the_defaults() -> None:
    text = CliRunner().invoke(ragre_cli, ["annotate", "--help"], env={"COLUMNS": "200"}).output
    assert f"[{Sampling().samples}]" in text and f"[{Sampling().temperature}]" in text
