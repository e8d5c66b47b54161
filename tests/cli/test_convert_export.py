import json
from pathlib import Path
from typing import Callable

import spacy
from spacy.tokens import DocBin
from typer.testing import Result

from spacy_ragre.relations import ID_KEY

DOC = {
    "id": "d1",
    "text": "Ann runs Acme.",
    "ents": [{"start": 0, "end": 3, "label": "PERSON"}, {"start": 9, "end": 13, "label": "ORG"}],
    "relations": [{"head": 0, "tail": 1, "label": "runs"}],
}


def load(path: Path) -> list:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_convert_semeval(run: Callable[..., Result], semeval: Path, tmp_path: Path) -> None:
    output = tmp_path / "train.spacy"
    result = run("convert", semeval, output, "--format", "semeval")
    assert result.exit_code == 0, result.output
    assert "4 documents" in result.stdout
    docs = load(output)
    assert [doc.user_data[ID_KEY] for doc in docs] == ["1", "2", "3", "4"]
    assert [rel.label for rel in docs[0]._.relations] == ["Cause-Effect"]


def test_convert_puts_documents_aside(run: Callable[..., Result], semeval: Path, tmp_path: Path) -> None:
    train, dev = tmp_path / "train.spacy", tmp_path / "dev.spacy"
    result = run("convert", semeval, train, "-f", "semeval", "--dev", dev, "--dev-share", 0.25, "--seed", 3)
    assert result.exit_code == 0, result.output
    ids = [[doc.user_data[ID_KEY] for doc in load(path)] for path in (train, dev)]
    assert [len(part) for part in ids] == [3, 1]
    assert sorted(ids[0] + ids[1]) == ["1", "2", "3", "4"]


def test_export_gives_back_what_was_converted(
    run: Callable[..., Result], write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    docs, output = tmp_path / "docs.spacy", tmp_path / "out.jsonl"
    assert run("convert", write_jsonl(DOC), docs).exit_code == 0
    result = run("export", docs, output, "--format", "jsonl")
    assert result.exit_code == 0, result.output
    assert json.loads(output.read_text(encoding="utf8")) == DOC


def test_convert_errors(fails: Callable[..., str], semeval: Path, write_jsonl: Callable[..., Path]) -> None:
    output = semeval.parent / "out.spacy"
    assert "[R401]" in fails("convert", "missing.txt", output, "--format", "semeval")
    assert "[R414]" in fails("convert", semeval, output, "--format", "conll")
    share = fails("convert", semeval, output, "-f", "semeval", "--dev", "dev.spacy", "--dev-share", 2)
    assert "[R418]" in share
    # Each problem of a file has a line, and names the command's option.
    inside = {**DOC, "ents": [{"start": 1, "end": 3, "label": "PERSON"}], "relations": []}
    broken = fails("convert", write_jsonl(inside, {"text": 1}), output, lines=4).splitlines()
    assert "[R402]" in broken[0] and broken[1].startswith("- line 1: [R407]") and broken[2].startswith("- line 2:")
    assert "--split-tokens" in broken[1] and "split_tokens" not in broken[1]
    ents = [{"start": 0, "end": 3, "label": "A"}, {"start": 0, "end": 8, "label": "B"}]
    overlap = fails("convert", write_jsonl({"text": "Ann runs", "ents": ents}), output, lines=3)
    assert "[R408]" in overlap and "--spans-key" in overlap and "spans_key" not in overlap
    assert not output.exists()


def test_convert_into_a_file_as_folder(fails: Callable[..., str], semeval: Path) -> None:
    assert "[R601]" in fails("convert", semeval, semeval / "out.spacy", "--format", "semeval")


def test_export_errors(fails: Callable[..., str], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.spacy"
    damaged.write_bytes(b"no corpus")
    assert "[R415]" in fails("export", damaged, tmp_path / "out.jsonl")
    assert "[R414]" in fails("export", damaged, tmp_path / "out.txt", "--format", "brat")
    assert "[R401]" in fails("export", tmp_path / "missing.spacy", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_docred_there_and_back(run: Callable[..., Result], fails: Callable[..., str], tmp_path: Path) -> None:
    mentions = [[{"sent_id": 0, "pos": [i, i + 1], "type": "X", "name": name}] for i, name in ((0, "Ann"), (2, "Acme"))]
    labels = [{"h": 0, "t": 1, "r": "P108", "evidence": [0]}]
    document = {"title": "t", "sents": [["Ann", "runs", "Acme"]], "vertexSet": mentions, "labels": labels}
    source, names, docs = tmp_path / "dev.json", tmp_path / "names.json", tmp_path / "dev.spacy"
    source.write_text(json.dumps([document]), encoding="utf8")
    names.write_text(json.dumps({"P108": "employer"}), encoding="utf8")
    result = run("convert", source, docs, "--format", "docred", "--relation-names", names)
    assert result.exit_code == 0, result.output
    assert [rel.label for rel in load(docs)[0]._.relations] == ["employer"]
    assert "[R435]" in fails("export", docs, tmp_path / "out.json", "--format", "docred")
    assert run("export", docs, tmp_path / "out.json", "-f", "docred", "-rn", names).exit_code == 0
    answers = json.loads((tmp_path / "out.json").read_text(encoding="utf8"))
    assert answers == [{"title": "t", "h_idx": 0, "t_idx": 1, "r": "P108", "evidence": [0]}]
