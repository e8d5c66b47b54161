"""Jobs of annotation on a real cluster of Ray, which is started once."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import light
import numpy
import pytest
import spacy

from spacy_ragre.annotate.jobs import Settings
from spacy_ragre.annotate.ray_engine import _Actor
from spacy_ragre.annotate.shards import Part, Shard
from spacy_ragre.annotate.workers import Work
from spacy_ragre.cli import annotate as annotate_by_command

from ..components.remote.conftest import NAME, PATTERNS, Server, founders

ray = pytest.importorskip("ray")
HERE = Path(__file__).parent


def files(folder: Path) -> Dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster on this machine. Gives the file that is there once a worker was killed."""
    flag = tmp_path_factory.mktemp("cluster") / "killed"
    settings = {"object_store_memory": 80 * 2**20, "include_dashboard": False, "log_to_driver": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parents[1])]))
        patch.setenv("RAGRE_TEST_FLAG", str(flag))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(address="local", num_cpus=2, **settings)
        try:
            yield flag
        finally:
            ray.shutdown()


@pytest.mark.ray
def test_killed_drivers_and_workers_change_nothing(
    cluster: Path, corpus: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    texts = {f"t{i}": f"Ann was slow to leave Acme in year {i}." for i in range(160)}
    source, out = corpus(160, **{**texts, "t15": "This fails.", "t155": "Ann kills Acme."}), tmp_path / "out"
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, HERE / "light.py", source, out, "ray", tmp_path / "graph.json"],
        env={**os.environ, "RAY_ADDRESS": address},
        stderr=subprocess.PIPE,
        text=True,
    )
    receipts = out / "_job"
    while driver.poll() is None and len(list(receipts.glob("part-*.json"))) < 2:
        time.sleep(0.01)
    driver.kill()
    _, told = driver.communicate()
    assert driver.returncode == -signal.SIGKILL, told
    finished = len(list(receipts.glob("part-*.json")))
    assert 2 <= finished < 16 and not cluster.exists()
    summary = light.annotate(source, out, "ray", workers=2, graph=tmp_path / "graph.json")
    assert cluster.exists()
    assert (summary.documents, summary.failed) == (160, 1)
    assert "160 of 160 documents (100%), 1 left out" in capsys.readouterr().err
    light.annotate(source, tmp_path / "whole", graph=tmp_path / "whole.json")
    assert files(out) == files(tmp_path / "whole")
    assert (tmp_path / "graph.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


@pytest.mark.ray
def test_workers_ask_a_teacher(cluster: Path, corpus: Callable[..., Path], tmp_path: Path) -> None:
    texts = {"t1": "Acme was founded by Ann.", "t2": "Ann met Bob.", "t4": "Globex was founded by Bob."}
    nlp, server = spacy.blank("en"), Server()
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
    backbone = f'@ragre_backbones = "ragre.OpenAI.v1"\nname = "large"\nurl = "{server.url}"\nretries = 0\n'
    model = f'[teacher.model]\n@architectures = "ragre.LabelModel.v1"\n[teacher.model.backbone]\n{backbone}'
    (tmp_path / "teacher.cfg").write_text(f"[teacher]\n{model}")
    nlp.add_pipe(NAME, config={"labels": {"founded_by": "was founded by"}})
    nlp.to_disk(tmp_path / "base")
    server.react = founders
    settings = {"teacher": str(tmp_path / "teacher.cfg"), "samples": 2, "part_size": 2, "seed": 3}
    try:
        for engine, more in (("local", {}), ("ray", {"workers": 2})):
            before = len(server.requests)
            options: Any = {**settings, **more, "engine": engine}
            annotate_by_command(corpus(6, **texts), tmp_path / engine, str(tmp_path / "base"), **options)
            assert {body["seed"] for body in server.requests[before:]} == {3, 4}
    finally:
        server.stop()
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    docs = [json.loads(line) for path in sorted((tmp_path / "ray").glob("part-*")) for line in path.open()]
    assert [len(doc["relations"]) for doc in docs] == [1, 1, 0, 1, 1, 1]


def ask(actor: _Actor, part: Part) -> List[object]:
    answer = actor({"part": numpy.asarray([json.dumps(part)])})
    return [answer["number"][0], answer["problem"][0], answer["foreseen"][0]]


def test_workers_tell_what_is_wrong(
    corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(load: Any) -> Work:
        return Work(load, tmp_path / "out", [Shard("corpus.jsonl", corpus(20))], Settings(part_size=10))

    (tmp_path / "out" / "_job").mkdir(parents=True)
    part = Part(1, 0, 10, 10, corpus(10).stat().st_size, 11)
    number, problem, foreseen = ask(_Actor(work(light.load_nothing)), part)
    assert (number, foreseen) == (1, True) and str(problem).startswith("[R728]")
    assert f"the node {platform.node()}" in str(problem) and "the weights are gone" in str(problem)
    actor = _Actor(work(light.load))
    assert ask(actor, part) == [1, "", True]
    assert sorted(files(tmp_path / "out")) == ["_job/part-00001.json", "part-00001.jsonl"]
    # A part at which three processes ended is given up.
    (tmp_path / "out" / "part-00001.jsonl").unlink()
    tries = tmp_path / "out" / "_job" / "tries-00001"
    tries.write_bytes(b"xxx")
    assert "[R730] Workers ended 3 times" in str(ask(actor, part)[1]) and "from line 11 on" in str(ask(actor, part)[1])
    tries.write_bytes(b"x")
    assert ask(actor, part) == [1, "", True] and not tries.exists()
    # Faults of the software come with where they are.
    (tmp_path / "out" / "part-00001.jsonl").unlink()
    monkeypatch.setattr(actor.worker, "do", lambda part: 1 // 0)
    _, problem, foreseen = ask(actor, part)
    assert not foreseen and "[R735]" in str(problem) and "ZeroDivisionError" in str(problem)
