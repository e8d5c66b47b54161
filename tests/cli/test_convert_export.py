import json
import os
import sys
from pathlib import Path
from typing import Callable

import pytest
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


def test_the_format_is_found_and_tools_are_written_for(
    run: Callable[..., Result], write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    docs = tmp_path / "docs.spacy"
    scored = {**DOC, "relations": [{**DOC["relations"][0], "score": 0.5}]}  # type: ignore[dict-item,index]
    assert "Format: the interchange format" in run("convert", write_jsonl(scored), docs).stdout
    for format, title in (
        ("brat", "brat's"),
        ("prodigy", "Prodigy's"),
        ("labelstudio", "Label"),
        ("doccano", "doccano"),
    ):
        result = run("export", docs, tmp_path / format, "-f", format)
        assert result.exit_code == 0, result.output
        assert "Left out, as the format can't hold it: scores of relations 1" in result.stderr
        result = run("convert", tmp_path / format, tmp_path / "back.spacy")
        assert f"Format: {title}" in result.stdout and "By label: runs 1" in result.stdout


def test_convert_says_what_the_corpus_holds(
    run: Callable[..., Result], fails: Callable[..., str], semeval: Path, write_jsonl: Callable[..., Path]
) -> None:
    output = semeval.parent / "out.spacy"
    result = run("convert", semeval, output, "-f", "semeval")
    assert result.stdout.splitlines()[-3:] == [
        "Entities: 8 (documents without: 0)",
        "Relations: 3 (documents without: 1)",
        "By label: Cause-Effect 2; Component-Whole 1",
    ]
    odd = {**DOC, "relations": [{"head": 0, "tail": 1, "label": "a\x1b[31m"}]}
    source = write_jsonl({"text": "No one.", "ents": []}, odd)
    shown = run("convert", source, output, "--dev", output.with_name("dev.spacy"), "--dev-share", 0.5).stdout
    assert "Relations: 1 (documents without: 1, 1 of them not annotated for relations)" in shown
    assert "\x1b[31m" not in shown and "a\\x1b[31m 1" in shown
    assert "[R334]" in fails("convert", write_jsonl(), output.with_name("empty.spacy"))


@pytest.mark.parametrize("format", ["jsonl", "semeval", "docred"])
def test_convert_leaves_bad_records_out(
    run: Callable[..., Result], fails: Callable[..., str], tmp_path: Path, format: str
) -> None:
    docred = {"title": "t", "sents": [["Ann"]], "vertexSet": [[{"sent_id": 0, "pos": [0, 1], "type": "X"}]]}
    good, bad, joined, place = {
        "jsonl": (json.dumps(DOC), '{"text": 1}', "\n{}\n{}".format, "line 2"),
        "semeval": ('1\t"<e1>a</e1> <e2>b</e2>"\nOther', '2\t"ab"\nOther', "{}\n\n{}\n".format, "line 4"),
        "docred": (json.dumps(docred), '{"title": "\\ud800"}', "[{},{}]".format, "document 2"),
    }[format]
    source, output, left = (tmp_path / name for name in ("in", "out.spacy", "left.jsonl"))
    source.write_text(joined(good, bad).lstrip("\n"), encoding="utf8")
    assert "[R402]" in fails("convert", source, output, "-f", format, lines=3)
    result = run("convert", source, output, "--format", format, "--skip-errors", left)
    assert result.exit_code == 0, result.output
    assert "Wrote 1 documents" in result.stdout and result.stderr == f"Left out 1 of 2 documents: see {left}\n"
    (item,) = [json.loads(line) for line in left.read_text(encoding="utf8").splitlines()]
    assert item["place"] == place and item["reasons"][0].startswith("[R4") and item["text"] == bad
    assert len(load(output)) == 1
    source.write_text(joined(bad, bad).lstrip("\n"), encoding="utf8")
    output.unlink()
    message = fails("convert", source, output, "-f", format, "--skip-errors", left, lines=2)
    assert "[R325] None of the 2" in message and str(left) in message and not output.exists()
    assert len(left.read_text(encoding="utf8").splitlines()) == 2


def test_r336_the_file_for_bad_records_is_another_one(
    fails: Callable[..., str], pipeline: str, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    source, output, dev = write_jsonl(DOC), tmp_path / "out", tmp_path / "dev"
    for path, what in ((source, "input"), (output, "output"), (dev, "dev")):
        assert f"that is the {what}" in fails("convert", source, output, "--dev", dev, "--skip-errors", path)
    for path in (source, output):
        assert "[R336]" in fails("extract", pipeline, "-i", source, "-o", output, "--skip-errors", path)
    assert json.loads(source.read_text(encoding="utf8")) == DOC and not output.exists()


@pytest.mark.parametrize(
    "command, written",
    [
        ("convert {docs} {docs}", "output"),
        ("convert {docs} {folder}/../{name}/docs.jsonl", "output"),
        ("convert {docs} {link}", "output"),
        ("convert {docs} {out} --dev {docs}", "development set"),
        ("convert {docs} {out} --dev {out}", "development set"),
        ("convert {docs} {names} -f docred --relation-names {names}", "output"),
        ("convert {docs} {names} -f tacred --patch {names}", "output"),
        ("export {spacy} {spacy}", "output"),
        ("export {spacy} {spacy} -f csv", "output"),
        ("export {spacy} {names} -f docred --relation-names {names}", "output"),
        ("export {spacy} {names} -f ttl --relation-names {names}", "output"),
        ("extract {pipeline} -i {docs} -o {docs}", "output"),
        ("suggest {pipeline} {docs} {docs}", "output"),
        ("render {docs} {docs}", "output"),
        ("evaluate {pipeline} {docs} -o {docs}", "scores"),
        ("evaluate {pipeline} {docs} --html {docs}", "report"),
        ("evaluate {pipeline} {docs} -o {out} --html {out}", "report"),
        ("init config {docs} --train {docs} --force", "config"),
        ("init config {docs} --train {spacy} --dev {docs} --force", "config"),
    ],
)
def test_r336_nothing_is_written_over_what_is_read(
    run: Callable[..., Result],
    fails: Callable[..., str],
    pipeline: str,
    write_jsonl: Callable[..., Path],
    tmp_path: Path,
    command: str,
    written: str,
) -> None:
    paths = {"docs": write_jsonl(DOC, {**DOC, "id": "d2"}), "spacy": tmp_path / "docs.spacy"}
    assert run("convert", paths["docs"], paths["spacy"]).exit_code == 0
    paths.update(out=tmp_path / "out", names=tmp_path / "names.json", link=tmp_path / "link", folder=tmp_path)
    paths["names"].write_text('{"P1": "runs"}', encoding="utf8")
    paths["link"].symlink_to(paths["docs"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    args = [part.format(**paths, pipeline=pipeline, name=tmp_path.name) for part in command.split()]
    assert f"[R336] Can't write the {written} to " in fails(*args)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_two_outputs_may_go_where_nothing_is_kept(
    run: Callable[..., Result], write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    result = run("convert", write_jsonl(DOC, {**DOC, "id": "d2"}), os.devnull, "--dev", os.devnull)
    assert result.exit_code == 0, result.output


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
    assert "[R414]" in fails("export", damaged, tmp_path / "out.txt", "--format", "odd")
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
    message = fails("convert", docs, tmp_path / "x.spacy", "--format", "jsonl", "--relation-names", names)
    assert "[R619]" in message and "--relation-names" in message
    assert "[R435]" in fails("export", docs, tmp_path / "out.json", "--format", "docred")
    assert run("export", docs, tmp_path / "out.json", "-f", "docred", "-rn", names).exit_code == 0
    answers = json.loads((tmp_path / "out.json").read_text(encoding="utf8"))
    assert answers == [{"title": "t", "h_idx": 0, "t_idx": 1, "r": "P108", "evidence": [0]}]


def test_export_of_a_graph(
    run: Callable[..., Result], fails: Callable[..., str], write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    docs, output = tmp_path / "docs.spacy", tmp_path / "graph.json"
    relations = [{"head": 0, "tail": 1, "label": "runs"}, {"head": 0, "tail": 1, "label": "owns", "score": 0.2}]
    back = {"head": 1, "tail": 0, "label": "run by", "score": 0.9}
    assert run("convert", write_jsonl({**DOC, "relations": [*relations, back]}), docs).exit_code == 0
    result = run("export", docs, output, "-f", "node-link", "--min-score", 0.5, "--inverse", "run by=runs")
    assert result.exit_code == 0, result.output
    assert "Wrote 1 relations between 2 entities" in result.stdout
    assert "Left out by --min-score: 1 relations" in result.stdout
    (edge,) = json.loads(output.read_text(encoding="utf8"))["edges"]
    assert (edge["source"], edge["label"], edge["target"]) == ("name:PERSON:ann", "runs", "name:ORG:acme")
    assert [(place["document"], place["sentence"]) for place in edge["provenance"]] == [("d1", "Ann runs Acme.")]
    for format in ("graphml", "ttl", "nt", "csv", "cypher"):
        result = run("export", docs, tmp_path / format, "--format", format, "--functional", "runs", "--isolated")
        assert result.exit_code == 0, result.output
    assert (tmp_path / "csv" / "nodes.csv").is_file()
    assert run("export", docs, output, "-f", "ttl", "--base", "http://a.org/").exit_code == 0
    assert "http://a.org/entity/" in output.read_text(encoding="utf8")


def test_r619_options_of_graphs(
    fails: Callable[..., str], write_jsonl: Callable[..., Path], run: Callable[..., Result], tmp_path: Path
) -> None:
    docs, output = tmp_path / "docs.spacy", tmp_path / "out"
    assert run("convert", write_jsonl(DOC), docs).exit_code == 0
    assert "[R619]" in fails("export", docs, output, "--min-count", 2)
    assert "--functional" in fails("export", docs, output, "--functional", "runs", "-f", "docred")
    assert "[R619]" in fails("export", docs, output, "-f", "csv", "--base", "http://a.org/")
    names = tmp_path / "names.json"
    for format in ("jsonl", "csv", "graphml"):
        assert "--relation-names" in fails("export", docs, output, "-f", format, "--relation-names", names)
    assert "[R617]" in fails("export", docs, output, "-f", "csv", "--inverse", "runs")
    assert "[R617]" in fails("export", docs, output, "-f", "csv", "--min-score", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "networkx", None)
        assert "[R616]" in fails("export", docs, output, "-f", "graphml")
    assert not output.exists()


def test_ids_of_relations_are_taken_from_a_pipelines_card(
    run: Callable[..., Result],
    fails: Callable[..., str],
    write_jsonl: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docs, output = tmp_path / "docs.spacy", tmp_path / "graph.nt"
    assert (
        run("convert", write_jsonl({**DOC, "relations": [{"head": 0, "tail": 1, "label": "runs"}]}), docs).exit_code
        == 0
    )
    folder = tmp_path / "site" / "en_ragre_names_sm" / "en_ragre_names_sm-0.1.0"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("", encoding="utf8")
    card = {"needs": [], "checks": [], "about": {"properties": {"runs": "P1037", "owns": ""}}}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf8")
    assert run("export", docs, output, "-f", "nt", "--relation-names", folder).exit_code == 0
    assert "<http://www.wikidata.org/prop/direct/P1037>" in output.read_text(encoding="utf8")
    (folder / "card.json").write_text(json.dumps({**card, "about": {}}), encoding="utf8")
    assert "[R664]" in fails("export", docs, output, "-f", "nt", "--relation-names", folder)
    (folder / "card.json").unlink()
    assert "[R654]" in fails("export", docs, output, "-f", "nt", "--relation-names", folder)
