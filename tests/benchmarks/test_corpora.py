"""The workflow `corpus`: from the files of an open corpus to a trained reader with scores."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List

import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin

from benchmarks import corpora

ROOT = Path(__file__).parents[2]
PARTS = ("train", "dev", "test")


def load(path: Path) -> List[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def relations(doc: Doc) -> List[Any]:
    return [(rel.head.text, rel.label, rel.tail.text) for rel in doc._.relations]


@pytest.fixture
def assets(tmp_path: Path) -> Callable[..., Path]:
    """Writes a corpus, all parts alike."""

    def write(pattern: str, *records: Dict[str, Any]) -> Path:
        for part in PARTS:
            path = tmp_path / "assets" / pattern.format(part=part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf8")
        return tmp_path / "assets"

    return write


def test_the_workflow_is_valid(dry_run: Callable[..., List[str]]) -> None:
    commands = dry_run("corpus", corpus="phee")
    assert "fetch_open.py phee" in commands[0] and "benchmarks.corpora phee " in commands[-1]
    dests = [Path(item["dest"]) for item in srsly.read_yaml(ROOT / "project.yml")["assets"]]
    for name in corpora.CORPORA:
        files = [path.name for path in dests if path.name.startswith(f"{name}.") or path.parent.name == name]
        assert {file.split(".")[-2] for file in files} - {"labels"} == set(PARTS)


def test_one_corpus_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_script: Callable[[str], ModuleType], capsys: Any
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    dests = ("assets/phee/dev.json", "assets/relations/fire.dev.jsonl", "assets/relations/core.dev.jsonl")
    srsly.write_yaml(tmp_path / "project.yml", {"assets": [{"dest": dest, "checksum": "0"} for dest in dests]})
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAGRE_ASSETS", raising=False)
    fetch = load_script("fetch_open")
    for names, wanted in (["phee"], dests[0]), (["fire"], dests[1]), (["nothing"], "no corpus nothing"):
        assert fetch.main(names) == 1 and wanted in capsys.readouterr().err


def test_chemprot(assets: Callable[..., Path], tmp_path: Path, load_script: Callable[[str], ModuleType]) -> None:
    text = "A >> B: << Abc1 >> is [[ blocked ]] by all."
    source = assets("chemprot/{part}.txt", {"text": text, "label": "INHIBITOR", "metadata": []})
    convert = load_script("convert_corpus")
    assert convert.main(["chemprot", str(source), str(tmp_path / "out")]) == 0
    (doc,) = load(tmp_path / "out" / "test.spacy")
    assert doc.text == "A >> B: Abc1 is blocked by all." and relations(doc) == [("Abc1", "INHIBITOR", "blocked")]
    labels = json.loads((tmp_path / "out" / "labels.json").read_text(encoding="utf8"))
    assert labels["INHIBITOR"]["symmetric"] is True and len(labels) == 13
    assets("chemprot/{part}.txt", {"text": "<< Abc1 >> alone", "label": "INHIBITOR"})
    assert convert.main(["chemprot", str(source), str(tmp_path / "out")]) == 1


def test_phee(
    assets: Callable[..., Path], tmp_path: Path, load_script: Callable[[str], ModuleType], capsys: Any
) -> None:
    def words(text: str, start: int, **parts: Any) -> Dict[str, Any]:
        return {"text": [[text]], "start": [[start]], "entity_id": ["T"], **parts}

    treatment = words("Abcol for pain", 19, Drug=words("Abcol", 19), Disorder=words("pain", 29), Combination=[])
    subject = {"text": [["Men", "old"]], "start": [[0, 39]], "Gender": words("Men", 0)}
    event = {
        "event_id": "E1",
        "event_type": "Adverse_event",
        "Trigger": words("after", 13),
        "Subject": subject,
        "Treatment": treatment,
        "Effect": words("bled", 8),
        "Negated": {**words("no", 0), "value": True},
    }
    text = "Men who bled after Abcol for pain were old."
    record = {"id": "1", "context": text, "is_mult_event": False, "annotations": [{"events": [event]}]}
    source = assets("phee/{part}.json", record)
    assert load_script("convert_corpus").main(["phee", str(source), str(tmp_path / "out")]) == 0
    (doc,) = load(tmp_path / "out" / "train.spacy")
    assert set(relations(doc)) == {
        ("after", label, tail)
        for label, tail in (
            ("Subject", "Men"),
            ("Subject", "old"),
            ("Gender", "Men"),
            ("Treatment", "Abcol for pain"),
            ("Drug", "Abcol"),
            ("Treatment_Disorder", "pain"),
            ("Effect", "bled"),
        )
    }
    assert {span.label_ for span in doc.spans["entities"]} == {"Adverse_event", "ARG"}
    assert "words of Negated 1" in capsys.readouterr().out


@pytest.mark.real
@pytest.mark.parametrize("start", ["open", "encoder"])
def test_training_and_scores(
    assets: Callable[..., Path], tmp_path: Path, load_script: Callable[[str], ModuleType], start: str, capsys: Any
) -> None:
    ents = [{"start": 0, "end": 3, "label": "PERSON"}, {"start": 9, "end": 13, "label": "ORG"}]
    relation = {"head": 0, "tail": 1, "label": "runs"}
    source = assets("relations/fire.{part}.jsonl", {"text": "Ann runs Acme.", "ents": ents, "relations": [relation]})
    labels = {"runs": {"text": "runs", "definition": "HEAD runs TAIL."}, "near": {"text": "is near", "definition": ""}}
    (source / "relations" / "fire.labels.json").write_text(json.dumps(labels), encoding="utf8")
    assert load_script("convert_corpus").main(["fire", str(source), str(tmp_path / "corpus" / "fire")]) == 0
    options = {"corpus": "corpus", "training": "training", "output": "corpora.json"}
    arguments = [part for key, value in options.items() for part in (f"--{key}", str(tmp_path / value))]
    corpora.main(["fire", *arguments, "--start", start, "--steps", "2"])
    (row,) = json.loads((tmp_path / "corpora.json").read_text(encoding="utf8"))["rows"]
    assert row["seeds"] == [0] and set(row["scores"]) == {f"relations_{key}" for key in "prf"} | {"macro_f"}
    # What was read before is told, and what is there already is not trained again.
    assert ("read these texts before" in row["name"]) == (start == "open")
    nlp = spacy.load(tmp_path / "training" / f"fire-{start}-0" / "model-last")
    assert list(nlp.get_pipe("rag_relation_extractor").labels) == list(labels)
    capsys.readouterr()
    corpora.main(["fire", *arguments, "--start", start])
    assert not capsys.readouterr().out
