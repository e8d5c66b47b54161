"""Jobs of annotation on a real cluster of Ray, which is started once."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import light
import numpy
import pytest

from spacy_ragre.annotate.jobs import Settings
from spacy_ragre.annotate.ray_engine import _Actor
from spacy_ragre.annotate.shards import Part, Shard
from spacy_ragre.annotate.workers import Work

ray = pytest.importorskip("ray")
HERE = Path(__file__).parent


def files(folder: Path) -> Dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.ray
def test_killed_drivers_and_workers_change_nothing(
    corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    texts = {f"t{i}": f"Ann was slow to leave Acme in year {i}." for i in range(160)}
    source, out = corpus(160, **{**texts, "t15": "This fails.", "t155": "Ann kills Acme."}), tmp_path / "out"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parents[1])]))
    monkeypatch.setenv("RAGRE_TEST_FLAG", str(tmp_path / "killed"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    settings = {"object_store_memory": 80 * 2**20, "include_dashboard": False, "log_to_driver": False}
    ray.init(address="local", num_cpus=2, **settings)
    try:
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
        assert 2 <= finished < 16 and not (tmp_path / "killed").exists()
        summary = light.annotate(source, out, "ray", workers=2, graph=tmp_path / "graph.json")
    finally:
        ray.shutdown()
    assert (tmp_path / "killed").exists()
    assert (summary.documents, summary.failed) == (160, 1)
    assert "160 of 160 documents (100%), 1 left out" in capsys.readouterr().err
    light.annotate(source, tmp_path / "whole", graph=tmp_path / "whole.json")
    assert files(out) == files(tmp_path / "whole")
    assert (tmp_path / "graph.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


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
