"""The script that assembles pipelines of trained ones, and verifies all of them."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List

import pytest
import spacy

from spacy_ragre.instances import Answer, Instance

NAME = "rag_relation_extractor"
CONFIG = """
[paths]
trained = null

[nlp]
lang = "en"
pipeline = ["entity_ruler","rag_relation_extractor"]

[components]

[components.entity_ruler]
factory = "entity_ruler"

[components.rag_relation_extractor]
source = ${paths.trained}
"""
SOURCE = {"precision": "half", "examples": False, "meta": {"version": "0.1.0", "description": "A test."}}


@pytest.fixture
def script(load_script: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with descriptions and pipelines in a folder of its own."""
    module = load_script("build_pipelines")
    monkeypatch.setattr(module, "SOURCES", tmp_path)
    monkeypatch.setattr(module, "PIPELINES", tmp_path / "pipelines")
    (tmp_path / "en_ragre_test_sm.json").write_text(json.dumps(SOURCE), encoding="utf8")
    (tmp_path / "en_ragre_test_sm.cfg").write_text(CONFIG, encoding="utf8")
    return module


@pytest.fixture
def trained(tiny_config: Dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """`trained(weight)`: a pipeline with an example, whose neighbours have this weight."""

    def make(weight: float = 0.0) -> Path:
        nlp = spacy.blank("en")
        scorer = {"@scorers": "ragre.docred_scorer.v1", "train": str(tmp_path / "train.spacy")}
        pipe: Any = nlp.add_pipe(NAME, config={**tiny_config, "labels": ["near"], "scorer": scorer, "weights": None})
        pipe.predictor.pending = [Instance("Ann saw Bob.", (0, 3), (8, 11), answers=(Answer("near"),))]
        object.__setattr__(pipe.predictor.calibration, "weight", weight)
        nlp.to_disk(tmp_path / "trained")
        return tmp_path / "trained"

    return make


def test_trained_components_behind_others(script: ModuleType, trained: Callable[..., Path]) -> None:
    script.assemble("en_ragre_test_sm", trained())
    nlp = spacy.load(script.PIPELINES / "en_ragre_test_sm")
    assert nlp.pipe_names == ["entity_ruler", NAME]
    assert (nlp.meta["name"], nlp.meta["description"]) == ("ragre_test_sm", "A test.")
    pipe: Any = nlp.get_pipe(NAME)
    assert pipe.labels == ("near",) and not pipe.predictor.known_examples
    # Nothing of the machine that built it.
    config = nlp.config
    assert not any(config["paths"].values()) and config["components"][NAME]["scorer"]["train"] is None


def test_examples_that_count_are_calibrated_away(
    script: ModuleType, trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="give --dev"):
        script.assemble("en_ragre_test_sm", trained(0.5))
    calls: List[Path] = []
    monkeypatch.setattr(script, "calibrate", lambda pipeline, dev: calls.append(dev))
    script.assemble("en_ragre_test_sm", tmp_path / "trained", tmp_path / "dev.spacy")
    assert calls == [tmp_path / "dev.spacy"]


def test_a_pipeline_that_is_too_large(
    script: ModuleType, trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "MOST", 1000)
    with pytest.raises(SystemExit, match="en_ragre_test_sm has 0.. MB, more than 0"):
        script.assemble("en_ragre_test_sm", trained())


def test_all_pipelines_are_verified_before_one_fails(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: List[str] = []

    def verify(pipeline: str, assets: Path) -> None:
        seen.append(Path(pipeline).name)
        if pipeline.endswith("a_sm"):
            raise ValueError("[R655] It differs.")

    monkeypatch.setattr(script, "verify", verify)
    for name in ("en_a_sm", "en_b_sm"):
        (script.PIPELINES / name).mkdir(parents=True)
        (script.PIPELINES / name / "meta.json").write_text("{}", encoding="utf8")
    with pytest.raises(SystemExit, match="R655"):
        script.verify_all(Path("assets"))
    assert seen == ["en_a_sm", "en_b_sm"]


def test_the_workflow_of_the_wiki_pipeline(dry_run: Callable[..., List[str]]) -> None:
    commands = str(dry_run("wiki", filter_freeze_words="true"))
    assert "assemble en_ragre_wiki_sm training/redocred/model-best" in commands
    assert commands.index("spacy train configs/lmrc_redocred.cfg") < commands.index("measure en_ragre_wiki_sm")


def test_descriptions_name_what_is_there() -> None:
    sources = Path(__file__).parents[2] / "configs" / "pipelines"
    for file in sources.glob("*.json"):
        about = json.loads(file.read_text(encoding="utf8"))
        assert {"precision", "meta", "needs", "checks", "about"} <= about.keys()
    wiki = json.loads((sources / "en_ragre_wiki_sm.json").read_text(encoding="utf8"))
    config = spacy.util.load_config(sources.parent / "lmrc_redocred.cfg")
    assert wiki["about"]["properties"].keys() == config["components"][NAME]["labels"].keys()
    assert len(set(wiki["about"]["properties"].values())) == 96
