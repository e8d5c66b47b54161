import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from typer.testing import Result

THREE = {
    "id": "d1",
    "text": "Ann met Bob and Eve.",
    "ents": [
        {"start": 0, "end": 3, "label": "PERSON"},
        {"start": 8, "end": 11, "label": "PERSON"},
        {"start": 16, "end": 19, "label": "PERSON"},
    ],
}


@pytest.fixture
def store(run: Callable[..., Result], semeval: Path, encoder: str, tmp_path: Path) -> Path:
    result = run("index", semeval, tmp_path / "store", "--encoder", encoder)
    assert result.exit_code == 0, result.output
    assert "4 examples" in result.stdout
    return tmp_path / "store"


def lines(result: Result) -> List[Dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_document_gets_a_line(run: Callable[..., Result], store: Path, semeval: Path) -> None:
    found = lines(run("neighbours", store, "--input", semeval, "-k", 2))
    assert [line["id"] for line in found] == ["1", "2", "3", "4"]
    labels = {"1": "Cause-Effect(e2,e1)", "2": "Cause-Effect(e1,e2)", "3": "no_relation", "4": "Component-Whole(e1,e2)"}
    for line in found:
        assert set(line) == {"id", "neighbours"}
        assert len(line["neighbours"]) == 2
        scores = [neighbour["score"] for neighbour in line["neighbours"]]
        assert scores == sorted(scores, reverse=True) and scores[0] <= 1.0001
        for neighbour in line["neighbours"]:
            assert neighbour["id"] != line["id"]
            assert neighbour["labels"] == [labels[neighbour["id"]]]
            assert "<e1>" not in neighbour["text"]


def test_the_same_text_can_be_kept(run: Callable[..., Result], store: Path, semeval: Path) -> None:
    found = lines(run("neighbours", store, "--input", semeval, "-k", 1, "--keep-same"))
    assert [line["neighbours"][0]["id"] for line in found] == ["1", "2", "3", "4"]
    assert found[0]["neighbours"][0]["score"] == pytest.approx(1, abs=1e-4)


def test_all_formats_are_read(
    run: Callable[..., Result], store: Path, semeval: Path, write_jsonl: Callable[..., Path]
) -> None:
    corpus = semeval.parent / "corpus.spacy"
    assert run("convert", semeval, corpus, "--format", "semeval").exit_code == 0
    assert lines(run("neighbours", store, "--input", corpus)) == lines(run("neighbours", store, "--input", semeval))
    found = lines(run("neighbours", store, "-i", write_jsonl(THREE, {"text": "No names."}), "-k", 1))
    assert [line["id"] for line in found] == ["d1", "d1", "d1", "2"]
    assert [[mention["text"] for mention in line["pair"]] for line in found[:3]] == [
        ["Ann", "Bob"],
        ["Ann", "Eve"],
        ["Bob", "Eve"],
    ]
    assert found[0]["pair"][1] == {"start": 8, "end": 11, "text": "Bob"}
    assert found[3]["neighbours"] == []


def test_neighbours_reads_what_extract_reads(
    run: Callable[..., Result], fails: Callable[..., str], store: Path, tmp_path: Path
) -> None:
    text = "The rain caused a flood."
    source = tmp_path / "plain.txt"
    source.write_text(f"{text}\n\n{text}\n", encoding="utf8")
    (by_text,) = lines(run("neighbours", store, text, "--keep-same", "-k", 1))
    assert by_text["neighbours"][0]["id"] == "2"
    assert by_text["neighbours"][0]["score"] == pytest.approx(1, abs=1e-4)
    by_file = lines(run("neighbours", store, "--input", source, "--keep-same", "-k", 1))
    assert [line["id"] for line in by_file] == ["1", "3"]
    assert by_file[0]["neighbours"] == by_text["neighbours"]
    assert lines(run("neighbours", store, "-i", "-", "--keep-same", "-k", 1, input=f"{text}\n")) == by_file[:1]
    assert "neither" in fails("neighbours", store)
    assert "both" in fails("neighbours", store, text, "--input", source)


def test_pairs_without_relations_have_no_labels(
    run: Callable[..., Result], write_jsonl: Callable[..., Path], encoder: str, semeval: Path, tmp_path: Path
) -> None:
    assert run("index", write_jsonl(THREE), tmp_path / "unlabelled", "-e", encoder).exit_code == 0
    found = lines(run("neighbours", tmp_path / "unlabelled", "--input", semeval, "-k", 1))
    assert found[0]["neighbours"][0]["labels"] == []


def test_the_encoder_is_the_one_that_made_the_store(
    run: Callable[..., Result],
    semeval: Path,
    encoder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(Path(encoder).parent)
    result = run("index", semeval, tmp_path / "marked", "--encoder", Path(encoder).name, "--text", "marked")
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(tmp_path)
    found = lines(run("neighbours", "marked", "--input", semeval, "-k", 1, "--keep-same"))
    assert found[0]["neighbours"][0]["score"] == pytest.approx(1, abs=1e-4)


def test_index_replaces_a_store_and_nothing_else(
    run: Callable[..., Result], fails: Callable[..., str], store: Path, semeval: Path, encoder: str
) -> None:
    assert run("index", semeval, store, "--encoder", encoder).exit_code == 0
    (store / "notes.txt").write_text("mine", encoding="utf8")
    assert "[R215]" in fails("index", semeval, store, "--encoder", encoder)
    assert (store / "notes.txt").exists()


def test_index_errors(
    fails: Callable[..., str], semeval: Path, encoder: str, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    store = tmp_path / "new"
    assert "[R401]" in fails("index", tmp_path / "missing.spacy", store, "--encoder", encoder)
    assert "[R605]" in fails("index", tmp_path / "corpus.conll", store, "--encoder", encoder)
    assert "[R604]" in fails("index", write_jsonl({"text": "No names."}), store, "--encoder", encoder)
    assert "[R610]" in fails("index", semeval, store, "--encoder", encoder, "--text", "bold")
    assert not store.exists()


def test_neighbours_errors(fails: Callable[..., str], store: Path, semeval: Path, tmp_path: Path) -> None:
    assert "[R603]" in fails("neighbours", tmp_path / "missing", "--input", semeval)
    assert "[R611]" in fails("neighbours", store, "--input", semeval, "-k", 0)
    assert "[R401]" in fails("neighbours", store, "--input", tmp_path / "missing.jsonl")
    index = next(store.rglob("index.faiss"))
    index.write_bytes(index.read_bytes()[:-10])
    assert str(index) in fails("neighbours", store, "--input", semeval)
    for damaged in ('[retriever]\n@ragre_retrievers = "nothing"\n', "[other]\n", "no config"):
        (store / "config.cfg").write_text(damaged, encoding="utf8")
        assert "[R610]" in fails("neighbours", store, "--input", semeval)


@pytest.mark.filterwarnings("ignore:.W201")
@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
def test_stores_of_other_kinds_find_the_same(
    run: Callable[..., Result], store: Path, semeval: Path, encoder: str, tmp_path: Path, kind: str
) -> None:
    for _ in range(2):  # the second one replaces the first
        result = run("index", semeval, tmp_path / "large", "--encoder", encoder, "--index", kind)
        assert result.exit_code == 0 and "4 examples" in result.stdout, result.output
    assert (tmp_path / "large" / "retriever" / "store" / "keys.bin").is_file()
    expected, found = (
        lines(run("neighbours", folder, "--input", semeval, "-k", 2)) for folder in (store, tmp_path / "large")
    )
    for one, other in zip(expected, found, strict=True):
        assert [item["id"] for item in one["neighbours"]] == [item["id"] for item in other["neighbours"]]


def test_an_index_that_does_not_exist(fails: Callable[..., str], semeval: Path, encoder: str, tmp_path: Path) -> None:
    message = fails("index", semeval, tmp_path / "large", "--encoder", encoder, "--index", "annoy")
    assert "R610" in message and "--index" in message and "annoy" in message
    assert not (tmp_path / "large").exists()
