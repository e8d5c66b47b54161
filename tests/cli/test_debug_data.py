"""`ragre debug data`: what is in training data, and what may be wrong with it."""

import re
import warnings
from pathlib import Path
from typing import Any, Callable, List, Sequence, Tuple

import pytest
import spacy
from spacy.tokens import DocBin
from typer.testing import Result

CONFIG = """
[paths]
train = null
dev = null
[system]
gpu_allocator = null
[nlp]
lang = "en"
pipeline = ["rag_relation_extractor"]
[components]
[components.rag_relation_extractor]
factory = "rag_relation_extractor"
answer = "open"
[components.rag_relation_extractor.candidates]
@ragre_candidates = "ragre.TokenDistance.v1"
max_distance = 2
[components.rag_relation_extractor.labels]
%s
[corpora]
[corpora.train]
@readers = "ragre.Corpus.v1"
path = ${paths.train}
[corpora.dev]
@readers = "ragre.Corpus.v1"
path = ${paths.dev}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes documents: words, in which Ann and Acme are entities, with a label or none."""

    def call(name: str, docs: Sequence[Tuple[str, str]]) -> Path:
        nlp = spacy.blank("en")
        ruler = nlp.add_pipe("entity_ruler")
        patterns: List[Any] = [{"label": "ORG", "pattern": "Acme"}, {"label": "PERSON", "pattern": "Ann"}]
        ruler.add_patterns(patterns)  # type: ignore[attr-defined]
        made = DocBin(store_user_data=True)
        for text, label in docs:
            doc = nlp(text)
            ends = {"head": doc.ents[0], "tail": doc.ents[1], "label": label}
            doc._.relations = [ends] if label else []
            made.add(doc)
        made.to_disk(tmp_path / name)
        return tmp_path / name

    return call


@pytest.fixture
def files(write: Callable[..., Path]) -> Tuple[Path, Path]:
    runs = [(f"Ann runs Acme since {year} .", "runs") for year in range(1900, 1920)]
    wrong = [("Ann runs Acme alone .", "owns"), ("Ann runs Acme alone .", "owns")]
    far = [("Ann , who was here before all of the others , runs Acme .", "owns")]
    turned = [("Acme belongs to Ann .", "owns")]
    dev = [("Ann runs Acme since 1900 .", "runs"), ("Ann sells Acme .", "sold")]
    return write("train.spacy", [*runs, *wrong, *far, *turned]), write("dev.spacy", dev)


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch, encoder: str) -> None:
    """A random encoder in place of the real one."""
    from spacy_ragre.retrieval import TextEncoder

    monkeypatch.setattr("spacy_ragre.retrieval.TextEncoder", lambda: TextEncoder(encoder))


def said(result: Result) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", result.output).split())


def test_what_is_in_the_data(run: Callable[..., Result], files: Tuple[Path, Path]) -> None:
    result = run("debug", "data", "--train", files[0], "--dev", files[1])
    assert result.exit_code == 0, result.output
    text = said(result)
    assert "Training: 24 documents, of which 0 have no entities." in text
    assert "runs 20 1" in text and "owns 4 0" in text
    assert "Fewer than 20 training relations: owns" in text and "No training relations: sold" in text
    assert "PERSON > ORG 3, ORG > PERSON 1" in text
    assert "ragre.SameSentence.v1" in text and "100.0% of 24 relations" in text
    assert "1 training documents have the text of another one." in text
    assert "1 development documents are training documents, too." in text
    assert "owns, where 20 others have runs [Ann] runs [Acme] alone ." in text


def test_a_config_says_what_is_asked_about(
    run: Callable[..., Result], files: Tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "config.cfg"
    paths = ("--paths.train", files[0], "--paths.dev", files[1])
    path.write_text(CONFIG % "")
    result = run("debug", "data", path, *paths)
    assert result.exit_code == 0, result.output
    assert "Out of reach: owns 1 Ann (PERSON) owns Acme (ORG), 11 tokens between them" in said(result)
    # What training would stop at is an error.
    path.write_text(CONFIG % 'runs = {"head_types": ["PERSON"]}\nowns = {"head_types": ["ORG"]}')
    result = run("debug", "data", path, *paths)
    assert result.exit_code == 1
    assert "Not among the labels of the config, so that training stops: sold" in said(result)
    # Before there are development documents, those for training are looked at alone.
    result = run("debug", "data", path, *paths[:2])
    assert "[R417]" not in said(result) and "Development: 0 documents" in said(result)
    assert "--paths.dev corpus/dev.spacy" in said(run("debug", "data", path, *paths[2:]))


def test_types_are_those_of_training(run: Callable[..., Result], files: Tuple[Path, Path], tmp_path: Path) -> None:
    """The pipeline says which are found, and which others stand for them."""
    path = tmp_path / "config.cfg"
    types = '{"head_types": ["ORG"], "tail_types": ["ORG"]}'
    found = '[components]\n[components.open_entities]\nfactory = "open_entities"\ntypes = ["PERSON", "ORG"]\n'
    config = CONFIG % f"runs = {types}\nowns = {types}\nsold = {types}"
    config = config.replace("[components]\n", found).replace("pipeline = [", 'pipeline = ["open_entities", ')
    texts = []
    for strictness in ("strict", "near"):
        path.write_text(config.replace('answer = "open"', f'answer = "open"\ntypes = "{strictness}"'))
        with warnings.catch_warnings():
            warnings.filterwarnings("error", r"\[W64")
            result = run("debug", "data", path, "--paths.train", files[0], "--paths.dev", files[1])
        assert result.exit_code == 0, result.output
        texts.append(said(result))
    assert "0.0% of 24 relations, by 0 pairs" in texts[0] and "95.8% of 24 relations, by 23 pairs" in texts[1]


def test_what_can_not_be_looked_at(
    run: Callable[..., Result], fails: Callable[..., str], write: Callable[..., Path], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.spacy"
    DocBin().to_disk(empty)
    assert "[R330]" in fails("debug", "data", "--train", empty)
    assert "[R673] Give either CONFIG or --train, and not neither" in fails("debug", "data")
    assert "not both" in fails("debug", "data", tmp_path / "a.cfg", "--train", empty)
    path = tmp_path / "config.cfg"
    path.write_text((CONFIG % "").replace('["rag_relation_extractor"]', "[]"))
    plain = write("plain.spacy", [("Ann runs Acme .", "")])
    assert "[R674]" in fails("debug", "data", path, "--paths.train", plain, "--paths.dev", plain)
    result = run("debug", "data", "--train", plain)
    assert result.exit_code == 1 and "No document holds a relation." in said(result)
