"""`ragre suggest`: pre-annotated texts, in an order for annotation."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import spacy
from typer.testing import Result

TEXTS = ["Acme was founded by Ann .", "Ann runs Acme , says Ann .", "Nobody is here ."]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS), encoding="utf8")
    return path


@pytest.fixture
def extractor(tmp_path: Path, tiny_config: Dict[str, Any]) -> str:
    """The folder of a pipeline with names by rule and an untrained extractor."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    patterns: List[Any] = [{"label": "ORG", "pattern": "Acme"}, {"label": "PERSON", "pattern": "Ann"}]
    ruler.add_patterns(patterns)  # type: ignore[attr-defined]
    nlp.add_pipe("rag_relation_extractor", config={**tiny_config, "labels": {"runs": "runs", "owns": "owns"}})
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "extractor")
    return str(tmp_path / "extractor")


def read(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def test_the_least_sure_text_comes_first(
    run: Callable[..., Result], extractor: str, texts: Path, tmp_path: Path
) -> None:
    orders = {}
    for order in ("uncertain", "confident"):
        out = tmp_path / f"{order}.jsonl"
        result = run("suggest", extractor, texts, out, "--order", order)
        assert result.exit_code == 0, result.output
        assert "1 of them have no two entities" in " ".join(result.output.split())
        orders[order] = [record["text"] for record in read(out)]
    assert sorted(orders["uncertain"]) == sorted(TEXTS) and orders["uncertain"][-1] == TEXTS[2]
    nlp = spacy.load(extractor)
    found = {doc.text: len(doc._.relations) for doc in nlp.pipe(TEXTS)}
    assert {record["text"]: len(record["relations"]) for record in read(tmp_path / "uncertain.jsonl")} == found
    component: Any = nlp.get_pipe("rag_relation_extractor")
    doubts = component.predict_with_doubt(list(nlp.pipe(TEXTS)))[1]
    # The two mentions of Ann are no pair.
    assert [len(pairs) for pairs in doubts] == [1, 2, 0]


def test_any_pipeline_can_be_diverse(
    run: Callable[..., Result], fails: Callable[..., str], pipeline: str, texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    assert "[R672]" in fails("suggest", pipeline, texts, out)
    assert "[R414]" in fails("suggest", pipeline, texts, out, "--format", "paper")
    assert "[R401]" in fails("suggest", pipeline, tmp_path / "no.txt", out, "--order", "diverse")
    texts.write_text(TEXTS[0])
    assert run("suggest", pipeline, texts, out, "--order", "diverse").exit_code == 0
    assert [relation["label"] for record in read(out) for relation in record["relations"]] == ["near"]
    for format in ("prodigy", "doccano", "labelstudio", "brat"):
        result = run("suggest", pipeline, texts, tmp_path / format, "--order", "diverse", "--format", format)
        assert result.exit_code == 0 and "scores of relations" in result.stderr, result.output
    texts.write_text("\n")
    assert "[R334]" in fails("suggest", pipeline, texts, out, "--order", "diverse")
