import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import spacy
from typer.testing import Result

from spacy_ragre.cli._journal import Journal
from spacy_ragre.cli._util import parse_labels
from spacy_ragre.cli.extract import extract

TEXT = "Ann left Acme ."
RELATIONS = [{"head": 0, "tail": 1, "label": "near", "score": 0.5}]


def lines(text: str) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_text_gives_a_line_of_json(run: Callable[..., Result], pipeline: str) -> None:
    result = run("extract", pipeline, TEXT)
    assert result.exit_code == 0, result.output
    (doc,) = lines(result.stdout)
    assert doc["text"] == TEXT and doc["relations"] == RELATIONS
    assert [ent["label"] for ent in doc["ents"]] == ["PERSON", "ORG"]


def test_lines_of_a_file_are_documents(run: Callable[..., Result], pipeline: str, tmp_path: Path) -> None:
    source, output = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    for end in ("\n", "\r\n", "\r"):
        source.write_bytes(f"\ufeff{TEXT}{end}{end}Nobody is here.{end}".encode())
        result = run("extract", pipeline, "--input", source, "--output", output)
        assert result.exit_code == 0, result.output
        assert result.stdout == ""
        docs = lines(output.read_text(encoding="utf8"))
        assert [(doc["id"], doc["relations"]) for doc in docs] == [("1", RELATIONS), ("3", [])]


def test_standard_input(run: Callable[..., Result], pipeline: str) -> None:
    result = run("extract", pipeline, "--input", "-", input=f"{TEXT}\n{TEXT}\n")
    assert [doc["relations"] for doc in lines(result.stdout)] == [RELATIONS, RELATIONS]


def test_interchange_documents_keep_entities_and_lose_relations(
    run: Callable[..., Result], pipeline: str, write_jsonl: Callable[..., Path]
) -> None:
    gold = {
        "id": "a",
        "text": "Zed left Acme.",
        "ents": [{"start": 0, "end": 3, "label": "PERSON"}],
        "relations": [{"head": 0, "tail": 0, "label": "old"}],
    }
    result = run("extract", pipeline, "--input", write_jsonl(gold, {"text": "Nobody."}))
    assert result.exit_code == 0, result.output
    first, second = lines(result.stdout)
    assert first["id"] == "a" and [ent["start"] for ent in first["ents"]] == [0, 9]
    assert first["relations"] == RELATIONS and second["relations"] == []


def test_a_terminal_gets_a_table(
    pipeline: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    extract(pipeline, TEXT)
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("head", "tail", "Ann", "near", "Acme", "0.50")) and "document" not in shown
    source = tmp_path / "texts.txt"
    source.write_text(f"{TEXT}\n{TEXT}\n", encoding="utf8")
    extract(pipeline, input_path=str(source))
    assert "document" in capsys.readouterr().out
    extract(pipeline, "Nobody.")
    assert "No relations in 1 document." in capsys.readouterr().out


def test_a_failure_leaves_what_is_finished_for_resume(
    run: Callable[..., Result], fails: Callable[..., str], pipeline: str, tmp_path: Path
) -> None:
    source, output = tmp_path / "texts.txt", tmp_path / "out.jsonl"
    source.write_text(f"These fail.\n{TEXT}\n", encoding="utf8")
    command = ("extract", pipeline, "--input", source, "--output", output)
    assert "[R999]" in fails(*command)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["pipeline", "texts.txt"]
    source.write_text(f"{TEXT}\nThese fail.\n{TEXT}\n", encoding="utf8")
    message = fails(*command, lines=2)
    assert "[R999]" in message and "[R326]" in message and "1 document(s)" in message
    assert not output.exists()
    result = run(*command, "--resume", "--skip-errors", tmp_path / "left.jsonl")
    assert result.exit_code == 0, result.output
    assert [doc["id"] for doc in lines(output.read_text(encoding="utf8"))] == ["1", "3"]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["left.jsonl", "out.jsonl", "pipeline", "texts.txt"]


def test_documents_that_fail_go_to_a_file_with_reasons(
    run: Callable[..., Result], fails: Callable[..., str], pipeline: str, tmp_path: Path
) -> None:
    source, output, left = tmp_path / "texts.txt", tmp_path / "out.jsonl", tmp_path / "left.jsonl"
    source.write_bytes(f"{TEXT}\nThese fail.\nCaf".encode() + b"\xe9\n" + f"\n{TEXT}\n".encode())
    for to_file in (True, False):
        where = ("--output", output) if to_file else ()
        result = run("extract", pipeline, "--input", source, *where, "--skip-errors", left, "--batch-size", 2)
        assert result.exit_code == 0, result.output
        written = output.read_text(encoding="utf8") if to_file else result.stdout
        assert [doc["id"] for doc in lines(written)] == ["1", "5"]
        assert "2 of 4" in result.stderr
        failed, unreadable = lines(left.read_text(encoding="utf8"))
        assert failed == {
            "place": "line 2",
            "reasons": ["test_first_and_last: [R999] The document fails."],
            "id": "2",
            "text": "These fail.",
        }
        assert unreadable["place"] == "line 3" and "[R613]" in unreadable["reasons"][0]
    source.write_text("These fail.\nThose fail.\n", encoding="utf8")
    message = fails("extract", pipeline, "--input", source, "--skip-errors", left, lines=2)
    assert "[R325]" in message and "[R999]" in message and str(left) in message


@pytest.mark.parametrize("name", ["docs.jsonl", "semeval.txt"])
def test_bad_records_of_a_corpus_go_to_a_file_with_reasons(
    run: Callable[..., Result], pipeline: str, tmp_path: Path, name: str
) -> None:
    source, output, left = tmp_path / name, tmp_path / "out.jsonl", tmp_path / "left.jsonl"
    if name == "docs.jsonl":
        bad, place = '{"text": 1}', "line 2"
        records = [json.dumps({"text": TEXT}), bad, '{"text": "These fail."}', json.dumps({"text": TEXT}), "{"]
        source.write_bytes("\n".join(records).encode() + b"\n\xe9\n")
        places = ["line 2", "document 3", "line 5", "line 6"]
    else:
        bad, place = '2\t"ab"\nOther', "line 4"
        tagged = "<e1>Ann</e1> left <e2>Acme</e2> ."
        texts = [tagged, "", f"{tagged} These fail.", tagged]
        records = [bad if not text else f'{i}\t"{text}"\nOther' for i, text in enumerate(texts, 1)]
        source.write_text("\n\n".join(records), encoding="utf8")
        places = ["line 4", "document 3"]
    result = run("extract", pipeline, "-i", source, "-o", output, "--skip-errors", left)
    assert result.exit_code == 0, result.output
    assert [doc["relations"] for doc in lines(output.read_text(encoding="utf8"))] == [RELATIONS, RELATIONS]
    items = lines(left.read_text(encoding="utf8"))
    assert sorted(item["place"] for item in items) == sorted(places)
    assert next(item for item in items if item["place"] == place)["text"] == bad
    assert f"Left out {len(places)} of {len(places) + 2} documents" in result.stderr


def test_a_run_goes_on_after_bad_records(
    run: Callable[..., Result], pipeline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output, left = tmp_path / "docs.jsonl", tmp_path / "out.jsonl", tmp_path / "left.jsonl"
    source.write_text('{"text": 1}\n' + (json.dumps({"text": TEXT}) + "\n") * 2, encoding="utf8")
    command = ("extract", pipeline, "-i", source, "-o", output, "-bs", 1, "--skip-errors", left)
    add = Journal.add

    def stop(self: Journal, doc: Any) -> None:
        if self.count == 2:
            raise OSError("[E999] The disk is full.")
        add(self, doc)

    monkeypatch.setattr(Journal, "add", stop)
    assert run(*command).exit_code == 1
    monkeypatch.setattr(Journal, "add", add)
    result = run(*command, "--resume")
    assert result.exit_code == 0, result.output
    assert len(lines(output.read_text(encoding="utf8"))) == 2 and "Left out 1 of 3" in result.stderr


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["texts.txt", "docs.jsonl", "-"])
def test_r332_other_encodings(
    fails: Callable[..., str], pipeline: str, tmp_path: Path, encoding: str, name: str
) -> None:
    content = json.dumps({"text": TEXT}).encode(encoding)
    (tmp_path / "x").write_bytes(content)
    source = name if name == "-" else (tmp_path / "x").rename(tmp_path / name)
    message = fails("extract", pipeline, "--input", source, "--skip-errors", tmp_path / "left.jsonl", input=content)
    assert "[R332]" in message and f"iconv -f {encoding}" in message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that begin as a copy of this one")
def test_a_killed_run_goes_on(run: Callable[..., Result], pipeline: str, tmp_path: Path) -> None:
    source, output, partial = (tmp_path / name for name in ("texts.txt", "out.jsonl", ".out.jsonl.partial"))
    texts = [f"Text {i}." for i in range(20)]
    source.write_text("\n".join(texts), encoding="utf8")
    command = ["extract", pipeline, "-i", source, "-o", output, "--resume", "--batch-size", "3"]
    for fatal in ("Text 7.", "Text 13."):
        process = os.fork()
        if not process:
            os.environ["KILLED_AT"] = fatal
            run(*command)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
        assert not output.exists() and partial.stat().st_size
        # The system may write the beginning of a line only.
        with partial.open("ab") as stream:
            stream.write(b'{"doc": {"id": "')
    assert run(*command).exit_code == 0
    assert [doc["text"] for doc in lines(output.read_text(encoding="utf8"))] == texts
    assert not partial.exists()


def test_resume_of_another_run(
    run: Callable[..., Result], fails: Callable[..., str], pipeline: str, tmp_path: Path
) -> None:
    source, output, partial = tmp_path / "texts.txt", tmp_path / "out.jsonl", tmp_path / ".out.jsonl.partial"
    source.write_text(f"{TEXT}\nThese fail.\n", encoding="utf8")
    command = ("extract", pipeline, "--input", source, "--output", output)
    fails(*command, lines=2)
    kept = partial.read_bytes()
    assert "another run" in fails(*command, "--resume", "--spans-key", "sc")
    source.write_text("Another text.\n", encoding="utf8")
    assert "Another text." in fails(*command, "--resume")
    source.write_text("", encoding="utf8")
    assert "is missing" in fails(*command, "--resume")
    partial.write_bytes(kept.replace(b"{", b"[", 2))
    assert "damaged" in fails(*command, "--resume")
    assert "[R323]" in fails("extract", pipeline, TEXT, "--resume")
    source.write_text(TEXT, encoding="utf8")
    assert run(*command).exit_code == 0 and not partial.exists()
    # A run that is finished is not done again.
    assert "whole already" in run(*command, "--resume").stderr
    assert len(lines(output.read_text(encoding="utf8"))) == 1


def test_terminals_are_shown_no_control_characters(
    pipeline: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]
) -> None:
    nlp = spacy.load(pipeline)
    odd = {"\x1b": "\\x1b", "\x9b": "\\x9b", "\x07": "\\x07", "\u202e": "\\u202e", "\u2066": "\\u2066"}
    for char in odd:
        nlp.get_pipe("entity_ruler").add_patterns(  # type: ignore[attr-defined]
            [{"label": "ORG", "pattern": f"A{char}[31m"}]
        )
    nlp.to_disk(pipeline)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for char, shown in odd.items():
        extract(pipeline, f"Ann left A{char}[31m")
        out = capsys.readouterr().out
        assert f"A{char}" not in out and f"A{shown}[31m" in out
    monkeypatch.undo()
    for char in odd:
        result = run("extract", pipeline, f"Ann left A{char}[31m")
        assert char not in result.stdout and lines(result.stdout)[0]["text"] == f"Ann left A{char}[31m"
        assert char not in run("extract", f"no{char}pipeline", TEXT).stderr


@pytest.fixture
def finds_entities(tmp_path: Path) -> str:
    nlp = spacy.blank("en")
    patterns: List[Any] = [{"label": "ORG", "pattern": "Acme"}, {"label": "PERSON", "pattern": "Ann"}]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)  # type: ignore[attr-defined]
    nlp.to_disk(tmp_path / "entities")
    return str(tmp_path / "entities")


def test_labels_of_the_command_line(
    run: Callable[..., Result],
    fails: Callable[..., str],
    finds_entities: str,
    pipeline: str,
    tiny_config: Dict[str, Any],
    semeval: Path,
    encoder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = tmp_path / "store"
    assert run("index", semeval, store, "--encoder", encoder).exit_code == 0
    import spacy_ragre.components.relations.component as component

    add_pipe = spacy.Language.add_pipe

    def tiny(self: Any, factory: str, *args: Any, **settings: Any) -> Any:
        if factory == "rag_relation_extractor":
            settings["config"] = {**settings["config"], **tiny_config}
        return add_pipe(self, factory, *args, **settings)

    monkeypatch.setattr(spacy.Language, "add_pipe", tiny)
    asked: List[Any] = []
    predict = component.RagRelationExtractor.predict

    def seen(self: Any, docs: Any) -> Any:
        asked.append(self.label_data)
        return predict(self, docs)

    monkeypatch.setattr(component.RagRelationExtractor, "predict", seen)
    for labels in (["works_for=works for", "runs"], ["works_for=works for,runs="]):
        arguments = [part for label in labels for part in ("--labels", label)]
        result = run("extract", finds_entities, TEXT, *arguments)
        assert result.exit_code == 0, result.output
        (doc,) = lines(result.stdout)
        assert {relation["label"] for relation in doc["relations"]} <= {"works_for", "runs"}
        assert {name: label["text"] for name, label in asked[-1].items()} == {
            "works_for": "works for",
            "runs": "runs",
        }
    table = {"works_for": {"text": ["works for", "is employed by"], "head_types": ["PERSON"]}}
    (tmp_path / "labels.json").write_text(json.dumps(table), encoding="utf8")
    assert run("extract", finds_entities, TEXT, "--labels", tmp_path / "labels.json").exit_code == 0
    assert asked[-1]["works_for"]["text"] == ["works for", "is employed by"]
    # Few-shot: a store, made with another encoder, gives examples and labels.
    result = run("extract", finds_entities, TEXT, "--examples", store)
    assert result.exit_code == 0, result.output
    assert set(asked[-1]) == {"Cause-Effect", "Component-Whole"}
    assert "[R331]" in fails("extract", pipeline, TEXT, "--examples", store)
    assert "[R210]" in fails("extract", finds_entities, TEXT, "--examples", tmp_path / "missing")
    assert "[R322]" in fails("extract", pipeline, TEXT, "--labels", "runs")
    assert "[R606]" in fails("extract", finds_entities, TEXT)
    assert "[R321]" in fails("extract", finds_entities, TEXT, "--labels", "=runs")


def test_labels_are_read(tmp_path: Path) -> None:
    assert parse_labels(["a,b", "c=is in, or at,d=by"]) == {"a": "", "b": "", "c": "is in, or at", "d": "by"}
    path = tmp_path / "labels.txt"
    path.write_text("\ufeffper:title=has the title, or rank\n\nruns\n", encoding="utf8")
    assert parse_labels([str(path)]) == {"per:title": "has the title, or rank", "runs": ""}
    path = tmp_path / "labels.json"
    table: Dict[str, Any] = {"runs": {"text": "runs", "head_types": ["PERSON"]}, "in": "is in"}
    listed = [{"label": "runs", "text": "runs", "head_types": ["PERSON"]}, {"label": "in", "text": "is in"}]
    in_tables = {"runs": table["runs"], "in": {"text": "is in"}}
    for data, expected in ((table, table), (["a", "b"], {"a": "", "b": ""}), (listed, in_tables)):
        path.write_text(json.dumps(data), encoding="utf8")
        assert parse_labels([str(path)]) == expected
    for text in ("[1]", "{", "7"):
        path.write_text(text, encoding="utf8")
        with pytest.raises(ValueError, match="R321"):
            parse_labels([str(path)])
    for encoding in ("utf-16", "latin1"):
        path.write_text('{"runs": "l\xe4uft"}', encoding=encoding)
        with pytest.raises(ValueError, match=f"R332.*iconv -f {encoding}"):
            parse_labels([str(path)])
    with pytest.raises(OSError, match="R401"):
        parse_labels([str(tmp_path / "missing.json")])


def test_labels_of_one_option_may_be_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"label_{i}" for i in range(500)]
    assert list(parse_labels([",".join(names)])) == names
    assert parse_labels(["a,b,c=is in"]) == {"a": "", "b": "", "c": "is in"}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run=1").mkdir()
    (tmp_path / "run=1" / "labels.txt").write_text("runs\n", encoding="utf8")
    assert parse_labels(["run=1/labels.txt", "kind=is a/an"]) == {"runs": "", "kind": "is a/an"}


@pytest.mark.parametrize(
    "values, problem",
    [
        (["a", "a=b"], "'a' is given twice"),
        (["a=x,a=y"], "'a' is given twice"),
        (["a,b,a"], "'a' is given twice"),
        (["founded_by=was founded by,lives_in"], "'lives_in' may be another label, or .* 'was founded by,lives_in'"),
        (["a=x,per:title,b=y"], "'per:title' may be another label"),
        (["a=x,"], "'' has no name"),
        (["a=x,,b=y"], "'' has no name"),
        (["labls.txt"], "no file 'labls.txt'"),
        (["a,labls.tsv"], "no file 'labls.tsv'"),
        (["lables/typo"], "no file 'lables/typo'"),
        (["run=1/labls.txt"], "no file 'run=1/labls.txt'"),
    ],
)
def test_r321_labels_that_are_meant_otherwise(values: List[str], problem: str) -> None:
    with pytest.raises(ValueError, match=f"R321.*{problem}"):
        parse_labels(values)


@pytest.mark.parametrize("name, text", [("labels.txt", "a=x\nb\na=y\n"), ("labels.json", '{"a": "x", "a": "y"}')])
def test_r321_a_file_that_gives_a_label_twice(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf8")
    with pytest.raises(ValueError, match=f"R321.*{name}: 'a' is given twice"):
        parse_labels([str(tmp_path / name)])


def test_extract_errors(fails: Callable[..., str], pipeline: str, tmp_path: Path) -> None:
    assert "neither" in fails("extract", pipeline)
    assert "both" in fails("extract", pipeline, TEXT, "--input", "x.txt")
    assert "[R401]" in fails("extract", pipeline, "--input", tmp_path / "missing.txt")
    assert "[R602]" in fails("extract", tmp_path / "missing", TEXT)
    (tmp_path / "latin.txt").write_bytes(b"Ann left Acme.\nCaf\xe9\n")
    output = tmp_path / "out.jsonl"
    message = fails("extract", pipeline, "--input", tmp_path / "latin.txt", "--output", output, "-bs", 1, lines=2)
    assert "[R613]" in message and "line 2" in message
    spacy.blank("en").to_disk(tmp_path / "blank")
    assert "[R606]" in fails("extract", tmp_path / "blank", TEXT)


def test_a_broken_pipeline_gives_one_line(fails: Callable[..., str], pipeline: str) -> None:
    config = Path(pipeline) / "config.cfg"
    config.write_text(config.read_text(encoding="utf8").replace("test_first_and_last", "nothing"), encoding="utf8")
    assert "[R602]" in fails("extract", pipeline, TEXT)


@pytest.mark.skipif(bool(os.environ.get("CUDA_VISIBLE_DEVICES")), reason="a GPU may be there")
def test_a_missing_gpu(fails: Callable[..., str], pipeline: str) -> None:
    assert "[R615]" in fails("extract", pipeline, TEXT, "--gpu-id", 97)
