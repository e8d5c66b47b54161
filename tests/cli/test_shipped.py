"""The pipelines under pipelines/: their size, cards and checksums, and that they load and answer."""

import json
import zipfile
from pathlib import Path

import pytest
import spacy
import srsly

from spacy_ragre import LabelSet
from spacy_ragre.cli._card import Card
from spacy_ragre.cli._wheels import MANIFEST, build_wheel, package_name, read_manifest
from spacy_ragre.cli.verify import measure
from spacy_ragre.files import file_hash
from spacy_ragre.instances import Answer

PIPELINES = Path(__file__).parents[2] / "pipelines"
FOLDERS = sorted(path.parent for path in PIPELINES.glob("*/meta.json"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_shipped_folder(folder, tmp_path):
    card, (name, _) = Card.read(folder), package_name(folder)
    assert folder.name == name and card.needs and card.checks and card.about["figures"]
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 25_000_000
    page = (folder / "README.md").read_text(encoding="utf8")
    assert f"{100 * card.checks[0].value:.2f}" in page and all(limit in page for limit in card.about["limits"])
    # The wheel that anybody makes of it is the one in the manifest.
    known = read_manifest((PIPELINES / MANIFEST).read_bytes(), MANIFEST)
    assert set(known) == {folder.name for folder in FOLDERS}
    assert file_hash(build_wheel(folder, tmp_path)) == known[name]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_missing_data_name_the_step_that_gets_them(folder, tmp_path):
    steps = {command["name"] for command in srsly.read_yaml(PIPELINES.parent / "project.yml")["commands"]}
    with pytest.raises(ValueError, match="R656") as error:
        measure(str(folder), Card.read(folder).checks[0], tmp_path)
    assert str(error.value).rsplit(" ", 1)[1] in steps


@pytest.mark.real
def test_the_open_one_answers_and_takes_other_labels():
    nlp = spacy.load(PIPELINES / "en_ragre_open_sm")
    doc = nlp("Microsoft was founded by Bill Gates and Paul Allen in Albuquerque in 1975.")
    found = {(rel.head.text, rel.label, rel.tail.text) for rel in doc._.relations}
    assert ("Microsoft", "founded by", "Bill Gates") in found
    assert json.loads((PIPELINES / "en_ragre_open_sm" / "card.json").read_text())["about"]["properties"].keys() == set(
        nlp.get_pipe("rag_relation_extractor").labels
    )
    with nlp.get_pipe("rag_relation_extractor").asking(LabelSet({"started": "started the company"})):
        doc = nlp("Microsoft was founded by Bill Gates in 1975.")
    assert {rel.label for rel in doc._.relations} <= {"started"}


@pytest.mark.real
def test_a_successor_is_not_who_was_succeeded():
    """However it is said: "replaces" was read the wrong way round in the passive."""
    pipe = spacy.load(PIPELINES / "en_ragre_open_sm").get_pipe("rag_relation_extractor")
    labels = pipe.predictor.labels
    first, second = (labels.index(Answer("replaces", reverse)) for reverse in (False, True))
    nlp = spacy.blank("en")
    for text, passive in (
        ("Elena Marsh was succeeded as chair by Tobias Wolf.", True),
        ("Elena Marsh retired and was replaced by Tobias Wolf.", True),
        ("Elena Marsh succeeded Tobias Wolf as chair.", False),
        ("Elena Marsh is the successor of Tobias Wolf.", False),
    ):
        doc = nlp.make_doc(text)
        places = [(text.index(name), text.index(name) + len(name)) for name in ("Elena Marsh", "Tobias Wolf")]
        doc.set_ents([doc.char_span(*place, label="PERSON") for place in places])
        scores = pipe.predictor.score([candidate.instance for candidate in pipe._candidates(doc)]).scores[0]
        assert (scores[second] > scores[first]) == passive, text


@pytest.mark.real
def test_the_installed_one_takes_labels_when_it_is_loaded(tmp_path, monkeypatch):
    with zipfile.ZipFile(build_wheel(PIPELINES / "en_ragre_open_sm", tmp_path)) as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    labels = {"started": {"text": "was started by", "head_types": ["ORG"], "tail_types": ["PERSON"]}}
    nlp = spacy.load("en_ragre_open_sm", config={"components.rag_relation_extractor.labels": labels})
    doc = nlp("Microsoft was founded by Bill Gates in 1975.")
    assert [(r.head.text, r.label, r.tail.text) for r in doc._.relations] == [("Microsoft", "started", "Bill Gates")]


@pytest.mark.real
def test_the_extractor_of_semeval_serves_another_pipeline():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "X", "pattern": word} for word in ("earthquake", "tsunami")])
    nlp.add_pipe("rag_relation_extractor", source=spacy.load(PIPELINES / "en_ragre_semeval_sm"))
    doc = nlp("The earthquake caused a tsunami.")
    assert [(r.head.text, r.label, r.tail.text) for r in doc._.relations] == [("earthquake", "Cause-Effect", "tsunami")]
