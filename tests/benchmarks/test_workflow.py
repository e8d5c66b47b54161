"""The steps of the workflow `open`: from a training of no time to weights that a pipeline answers with."""

import json
from pathlib import Path

import pytest
import srsly

from benchmarks import paragraphs, zero_shot
from benchmarks.open_relations import corpora, passages, train, workflow
from spacy_ragre.corpora.openrel import read_schema, write_corpus
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet

ROOT = Path(__file__).parents[2]
SOURCE = """# title: Dairies
# labels
owns | owns; holds; is the owner of | the head owns the tail | PERSON,ORG | ORG
# texts
"""
# So many that a threshold can be chosen on them.
SOURCE += "".join(f"[Conti {i}|PERSON] owns [Latteria {i}|ORG]. || 1 owns 2\n" for i in range(60))


@pytest.mark.real
def test_training_and_export_give_weights_that_answer(tmp_path, monkeypatch):
    path = tmp_path / "04_boards.txt"
    path.write_text(SOURCE, encoding="utf8")
    write_corpus([read_schema(path)], tmp_path / "openrel")
    monkeypatch.setattr(train, "read_all", lambda *args: [])
    some = paragraphs.subset(paragraphs.read(), 2)
    monkeypatch.setattr(paragraphs, "read", lambda: some)
    few = passages.read_passages(held_out=True)[:3]
    monkeypatch.setattr(passages, "read_passages", lambda held_out: few)
    openrel, openwiki, out = (str(tmp_path / name) for name in ("openrel", "openwiki", "open"))
    workflow.main(["train", str(tmp_path), openrel, openwiki, out, "--minutes", "1e-9", "--seed", "3"])
    record = json.loads((tmp_path / "open" / "training.json").read_text())
    assert (record["seed"], record["minutes"]) == (3, 1e-9) and all(
        name in record["data"] for name in corpora.RELATION_CORPORA
    )
    workflow.main(["export", openrel, out])
    weights = tmp_path / "open" / "weights"
    known = json.loads((weights / "open_reader.json").read_text())
    assert known["training"] == record and known["dev"]["types"]["gold"] == 60
    assert known["examples"]["types"]["held_out"] == {"04_boards": known["examples"]["types"]["variance"]}
    system = zero_shot.Package("open", weights)
    pair = Instance("Acme was founded by Ann Lee.", (0, 4), (20, 27))
    assert system.answers([pair], LabelSet({"founded_by": "was founded by"}))[0] in (
        [],
        [Answer("founded_by")],
        [Answer("founded_by", True)],
    )


def test_other_mentions_of_two_names_are_undecided():
    """A relation is annotated for the nearest mentions; a third name's pairs stay negatives."""
    text = "Ann runs Acme. Ann likes Acme and Bob."
    spans = [(0, 3), (9, 13), (15, 18), (25, 29), (34, 37)]
    ents = [{"start": start, "end": end, "label": "X"} for start, end in spans]
    labels = [corpora.Label(name, (name,), "", (), (), name == "knows") for name in ("runs", "knows")]
    relations = [{"head": 0, "tail": 1, "label": "runs"}, {"head": 2, "tail": 4, "label": "knows"}]
    record = {"text": text, "ents": ents, "relations": relations}
    runs = {(0, 3, 0), (2, 1, 0), (2, 3, 0)}
    assert corpora.other_mentions(record, labels) == runs | {(0, 4, 1), (4, 0, 1)}


def test_the_open_workflow_is_valid(dry_run) -> None:
    commands = dry_run("open")
    assert "--minutes 70" in commands[-3] and "workflow export" in commands[-2] and "zero_shot" in commands[-1]


def test_assets_are_all_that_training_and_measuring_read() -> None:
    assets = {item["dest"] for item in srsly.read_yaml(ROOT / "project.yml")["assets"]}
    splits = ("labels.json", "train.jsonl", "dev.jsonl", "test.jsonl")
    needed = {f"assets/relations/{name}.{split}" for name in corpora.RELATION_CORPORA for split in splits}
    needed |= {f"assets/relations/crossre.{split}" for split in ("labels.json", "test.jsonl")}
    assert {path for path in assets if path.startswith("assets/relations/")} == needed
