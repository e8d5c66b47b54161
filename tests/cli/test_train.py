"""`ragre train`: as many steps as the corpus asks for."""

from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.util import load_config
from typer.testing import Result

from spacy_ragre.cli.train import plan

CONFIG = Path(__file__).parents[2] / "configs" / "rag_relations.cfg"


@pytest.fixture
def write_corpus(tmp_path: Path) -> Callable[[int], Path]:
    def write(count: int) -> Path:
        nlp = spacy.blank("en")
        docs = DocBin(store_user_data=True)
        for i in range(count):
            doc = nlp.make_doc(f"Acme number {i} was founded by Ann .")
            doc.ents = [doc.char_span(0, 4, label="ORG"), doc.char_span(len(doc.text) - 5, len(doc.text) - 2, "PERSON")]
            doc._.relations = [{"head": doc.ents[0], "tail": doc.ents[1], "label": "founded_by"}]
            docs.add(doc)
        path = tmp_path / f"{count}.spacy"
        docs.to_disk(path)
        return path

    return write


def config_for(path: Path, **overrides: Any) -> Any:
    return load_config(CONFIG, overrides={"paths.train": str(path), "paths.dev": str(path), **overrides})


def test_steps_follow_from_the_corpus(write_corpus: Callable[[int], Path]) -> None:
    small = plan(config_for(write_corpus(48)))
    assert small.documents == 48 and small.batches < 4
    # 600 steps would be 300 epochs.
    assert small.steps <= 22 * small.batches and small.steps % small.every == 0
    assert small.variables == {
        "max_steps": small.steps,
        "total_steps": small.steps,
        "warmup_steps": round(small.steps / 10),
        "eval_frequency": small.every,
    }
    assert plan(config_for(write_corpus(48)), epochs=3).steps == 3 * small.batches
    # Where the config's own steps are fewer, they hold.
    many = plan(config_for(write_corpus(48), **{"vars.max_steps": 10}))
    assert (many.steps, many.every, many.variables) == (10, 200, {})
    kept = plan(config_for(write_corpus(48)), keep=True)
    assert (kept.steps, kept.variables) == (600, {})


def test_train_with_a_progress_bar_and_patience(
    run: Callable[..., Result],
    fails: Callable[..., str],
    write_corpus: Callable[[int], Path],
    tiny_llama: Path,
    tmp_path: Path,
) -> None:
    path = write_corpus(6)
    own: Dict[str, Any] = {"paths.train": path, "paths.dev": path, "vars.backbone": tiny_llama, "vars.device": "cpu"}
    settings = [part for key, value in own.items() for part in (f"--{key}", value)]
    result = run("train", CONFIG, "--output", tmp_path / "out", "--epochs", 4, "--patience", 2, *settings)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "6 training documents are 1 updates an epoch. Trains for 4 updates (4 epochs)" in said
    assert "stops after 2 without a better score" in said
    nlp = spacy.load(tmp_path / "out" / "model-best")
    assert nlp.get_pipe("rag_relation_extractor").labels == ("founded_by",)  # type: ignore[attr-defined]
    training = nlp.config.interpolate()["training"]
    assert (training["max_steps"], training["eval_frequency"], training["patience"]) == (4, 1, 2)
    assert training["optimizer"]["learn_rate"]["total_steps"] == 4
    assert training["logger"]["progress_bar"] == "train"
    both = ("train", CONFIG, "--output", tmp_path / "out", "--epochs", 4, "--vars.max_steps", 9, *settings)
    assert "[R323]" in fails(*both)
    empty = tmp_path / "empty.spacy"
    DocBin().to_disk(empty)
    assert "[R330]" in fails("train", CONFIG, "-o", tmp_path / "out", "--paths.train", empty, "--paths.dev", empty)
    assert "[R401]" in fails("train", tmp_path / "no.cfg", "-o", tmp_path / "out")
