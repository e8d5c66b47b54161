"""A runner for the commands, small corpora, a tiny encoder and a pipeline that finds relations by rule."""

import json
import os
import signal
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from typer.testing import CliRunner, Result

from spacy_ragre.cli import ragre_cli

SEMEVAL = [
    (1, "The <e1>fire</e1> was caused by a <e2>cigarette</e2>.", "Cause-Effect(e2,e1)"),
    (2, "The <e1>rain</e1> caused a <e2>flood</e2>.", "Cause-Effect(e1,e2)"),
    (3, "A misty <e1>ridge</e1> rises from the <e2>surge</e2>.", "Other"),
    (4, "The <e1>wheel</e1> of the <e2>car</e2> broke.", "Component-Whole(e1,e2)"),
]


@Language.component("test_first_and_last", assigns=["doc._.relations"], requires=["doc.ents"])
def first_and_last(doc: Doc) -> Doc:
    """Relates the first entity to the last one, or ends the process at the text that KILLED_AT says."""
    if doc.text == os.environ.get("KILLED_AT"):
        os.kill(os.getpid(), signal.SIGKILL)
    if "fail" in doc.text:
        raise ValueError("[R999] The document fails.")
    if len(doc.ents) > 1:
        doc._.relations = [{"head": doc.ents[0], "tail": doc.ents[-1], "label": "near", "score": 0.5}]
    else:
        doc._.relations = []
    return doc


@Language.component("test_near_and_runs", assigns=["doc._.relations"], requires=["doc.ents"])
def near_and_runs(doc: Doc) -> Doc:
    """Relates the first entity to the last one where the text says how."""
    labels = [label for label in ("near", "runs") if label in doc.text and len(doc.ents) > 1]
    doc._.relations = [{"head": doc.ents[0], "tail": doc.ents[-1], "label": label, "score": 0.8} for label in labels]
    return doc


@pytest.fixture
def run() -> Callable[..., Result]:
    """Calls a command in this process: `run("convert", "a.jsonl", ...)`."""

    def call(*args: Any, **settings: Any) -> Result:
        return CliRunner().invoke(ragre_cli, [str(arg) for arg in args], **settings)

    return call


@pytest.fixture
def fails(run: Callable[..., Result]) -> Callable[..., str]:
    """Calls a command that must end with code 1 and a message of `lines` lines on stderr, and gives the message."""

    def call(*args: Any, lines: int = 1, **settings: Any) -> str:
        result = run(*args, **settings)
        assert result.exit_code == 1, result.output
        assert len(result.stderr.splitlines()) == lines, result.stderr
        assert "Traceback" not in result.output
        return result.stderr

    return call


@pytest.fixture
def semeval(tmp_path: Path) -> Path:
    path = tmp_path / "TRAIN_FILE.TXT"
    path.write_text("".join(f'{i}\t"{text}"\n{label}\nComment:\n\n' for i, text, label in SEMEVAL), encoding="utf8")
    return path


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    def write(*docs: Dict[str, Any], name: str = "docs.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(doc) + "\n" for doc in docs), encoding="utf8")
        return path

    return write


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    """The folder of a pipeline that finds names by rule, and relates the first to the last."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    patterns: List[Any] = [{"label": "ORG", "pattern": "Acme"}, {"label": "PERSON", "pattern": "Ann"}]
    ruler.add_patterns(patterns)  # type: ignore[attr-defined]
    nlp.add_pipe("test_first_and_last")
    nlp.to_disk(tmp_path / "pipeline")
    return str(tmp_path / "pipeline")


@pytest.fixture(scope="session")
def encoder(make_bert: Callable[..., Path]) -> str:
    """The folder of a random BERT that reads letters."""
    return str(make_bert(128))
