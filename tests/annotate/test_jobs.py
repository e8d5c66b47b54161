"""Jobs of annotation in this process: what comes out, in which order, and how they go on."""

import errno
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import light
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import DocBin

from spacy_ragre.annotate.jobs import Settings
from spacy_ragre.annotate.progress import Progress
from spacy_ragre.annotate.run import Pipeline, annotate_corpus
from spacy_ragre.corpora import doc_from_dict
from spacy_ragre.graph import build, write
from spacy_ragre.relations import ID_KEY

parquet = pytest.importorskip("pyarrow.parquet")
arrow = pytest.importorskip("pyarrow")

LEFT = [{"head": 0, "tail": 1, "label": "left", "score": 0.5}]


def files(folder: Path) -> Dict[str, bytes]:
    """All files of an output, without the lock, which says nothing."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def lines(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def docs_of(folder: Path) -> List[Dict[str, Any]]:
    return [doc for path in sorted(folder.glob("part-*.jsonl")) for doc in lines(path)]


def write_docs(path: Path, texts: Dict[str, str]) -> None:
    """Write documents of these ids and texts in the format that the file's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t in texts.items()), encoding="utf8")
    elif path.suffix == ".parquet":
        table = arrow.table({"id": list(texts), "text": list(texts.values()), "other": [1.5] * len(texts)})
        parquet.write_table(table, path, row_group_size=3)
    else:
        docs = []
        for id_, text in texts.items():
            docs.append(spacy.blank("en")(text))
            docs[-1].user_data[ID_KEY] = id_
        DocBin(docs=docs, store_user_data=True).to_disk(path)


def test_a_folder_gives_one_output_a_document_in_the_order_of_the_input(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    names = ("a/1.parquet", "b.spacy", "c.jsonl", "d.jsonl")
    texts = {name: {f"{name[0]}{i}": f"Ann left Acme in {i}." for i in range(8)} for name in names}
    texts["c.jsonl"]["c4"] = "This fails."
    for name in names:
        write_docs(source / name, texts[name])
    write_docs(source / "_job" / "x.jsonl", {"no": "This is no document."})
    (source / "README.txt").write_text("This is none, too.", encoding="utf8")
    summary = light.annotate(source, out, part_size=3)
    ids = [id_ for name in names for id_ in texts[name]]
    docs = docs_of(out)
    assert [doc["id"] for doc in docs] == [id_ for id_ in ids if id_ != "c4"]
    assert all(doc["relations"] == LEFT for doc in docs)
    assert (summary.documents, summary.failed, summary.was_whole) == (32, 1, False)
    assert lines(summary.failed_path) == [
        {
            "place": "c.jsonl, line 5",
            "reasons": ["test_light_relations: [R999] The document fails."],
            "id": "c4",
            "text": "This fails.",
        }
    ]
    # A part holds documents of one file.
    assert [len(lines(path)) for path in sorted(out.glob("part-*"))] == [3, 3, 2] * 2 + [3, 2, 2] + [3, 3, 2]
    # The output of one job is the input of another: what is in _job is none of it.
    assert light.annotate(out, tmp_path / "again", part_size=100).documents == 31
    before = files(out)
    assert light.annotate(source, out, part_size=3).was_whole and files(out) == before


def test_parquet_holds_what_jsonl_does(corpus: Callable[..., Path], tmp_path: Path) -> None:
    source, out = corpus(7, t2="This fails.", t3="Nobody."), tmp_path / "out"
    annotate_corpus(source, out, light.LIGHT, Settings("parquet", part_size=4))
    light.annotate(source, tmp_path / "lines")
    table = parquet.read_table(out)
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == ["d0", "d1", "d3", "d4", "d5", "d6"]
    for row, doc in zip(rows, docs_of(tmp_path / "lines")):
        ents = [{key: value for key, value in ent.items() if value is not None} for ent in row["ents"]]
        relations = [{key: value for key, value in rel.items() if value is not None} for rel in row["relations"]]
        assert {**doc, "ents": ents, "relations": relations} == doc
    # Entities are read back, and relations are found anew.
    assert light.annotate(out, tmp_path / "again").documents == 6
    assert docs_of(tmp_path / "again") == docs_of(tmp_path / "lines")


def test_given_entities_stay_and_what_can_not_be_read_is_listed(tmp_path: Path) -> None:
    source, out = tmp_path / "docs.jsonl", tmp_path / "out"
    given = {"id": 7, "text": "Zed left Acme.", "ents": [{"start": 0, "end": 3, "label": "PERSON"}]}
    records = [json.dumps(given).encode(), b"", b'{"text": 1}', b'{"id": "x"', b'{"text": "caf\xe9"}', b'{"text": ""}']
    for end in (b"\n", b"\r\n", b"\r"):
        source.write_bytes(b"\xef\xbb\xbf" + end.join(records))
        summary = light.annotate(source, tmp_path / f"out{len(end)}{end[0]}", part_size=1)
        out = tmp_path / f"out{len(end)}{end[0]}"
        first, empty = docs_of(out)
        assert first["id"] == "7" and len(first["ents"]) == 2 and first["relations"] == LEFT and empty["text"] == ""
        failed = lines(summary.failed_path)
        assert [item["place"] for item in failed] == ["line 3", "line 4", "line 5"]
        assert ["R405" in failed[0]["reasons"][0], "R404" in failed[1]["reasons"][0]] == [True, True]
        assert "R403" in failed[2]["reasons"][0] and failed[1]["text"] == '{"id": "x"'


class Raises:
    """Fails as a parser does, which takes no error handler."""

    def __call__(self, doc: Any) -> Any:
        return doc

    def pipe(self, docs: Any, batch_size: int) -> Any:
        for doc in docs:
            if "breaks" in doc.text:
                raise RuntimeError("shapes do not fit")
            yield doc


def load_raising() -> Language:
    nlp = light.load()
    Language.component("test_raises", func=Raises())
    nlp.add_pipe("test_raises", first=True)
    return nlp


def test_components_without_error_handler_lose_the_document_that_fails(
    corpus: Callable[..., Path], tmp_path: Path
) -> None:
    source = corpus(12, t3="It breaks.", t11="It breaks.", t5="This fails.")
    summary = annotate_corpus(source, tmp_path / "out", Pipeline(load_raising, {}), Settings(part_size=6))
    assert [doc["id"] for doc in docs_of(tmp_path / "out")] == [f"d{i}" for i in range(12) if i not in (3, 5, 11)]
    failed = lines(summary.failed_path)
    assert [item["id"] for item in failed] == ["d3", "d5", "d11"]
    assert failed[0]["reasons"] == ["RuntimeError: shapes do not fit"]


def test_the_graph_of_the_parts_is_that_of_the_whole(corpus: Callable[..., Path], tmp_path: Path) -> None:
    source, graph = corpus(23, t4="This fails.", t9="Nobody."), tmp_path / "graph.json"
    light.annotate(source, tmp_path / "out", graph=graph)
    nlp = light.load()
    docs = nlp.pipe(doc_from_dict({"id": doc["id"], "text": doc["text"]}, nlp) for doc in docs_of(tmp_path / "out"))
    write(build(docs), tmp_path / "whole.json", "node-link")
    assert json.loads(graph.read_bytes()) == json.loads((tmp_path / "whole.json").read_bytes())
    # A job that is whole writes its graph again, in another format, too.
    assert light.annotate(source, tmp_path / "out", graph=tmp_path / "graph.ttl").was_whole
    assert (tmp_path / "graph.ttl").stat().st_size


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that begin as a copy of this one")
def test_killed_at_random_moments_the_output_is_that_of_an_undisturbed_run(
    corpus: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = corpus(120, t40="This fails.")
    begin = time.perf_counter()
    light.annotate(source, tmp_path / "whole", part_size=4, graph=tmp_path / "whole.json")
    seconds = time.perf_counter() - begin
    chance, killed = random.Random(0), 0
    while killed < 10:
        process = os.fork()
        if not process:
            # Its default is to end the process, with nothing that Python does at its end.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.01, 0.5) * seconds)
            light.annotate(source, tmp_path / "out", part_size=4, graph=tmp_path / "graph.json")
            os._exit(0)
        chance.random()
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0:
            # It was done before its end came: the next one begins again.
            for path in [*(tmp_path / "out").glob("part-*"), *(tmp_path / "out" / "_job").glob("*.json")]:
                path.unlink()
        else:
            killed += 1
    light.annotate(source, tmp_path / "out", part_size=4, graph=tmp_path / "graph.json")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert (tmp_path / "graph.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_a_full_disk_leaves_what_is_finished(
    corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = corpus(30), tmp_path / "out"
    synced: List[int] = []

    def full(number: int) -> None:
        synced.append(number)
        if len(synced) == 4:  # after the manifest, and a part with its receipt
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("spacy_ragre.files.os.fsync", full)
    with pytest.raises(ValueError, match=r"R727.*R732.*No space left(?s:.*)1 of 3 parts") as found:
        light.annotate(source, out)
    assert len(str(found.value).splitlines()) == 2
    assert len(docs_of(out)) == 10 and not [path for path in out.rglob("*") if path.suffix == ".tmp"]
    monkeypatch.undo()
    light.annotate(source, out)
    light.annotate(source, tmp_path / "whole")
    assert files(out) == files(tmp_path / "whole")


def test_parts_that_were_damaged_are_done_again(corpus: Callable[..., Path], tmp_path: Path) -> None:
    source, out = corpus(30), tmp_path / "out"
    light.annotate(source, out)
    before = files(out)
    (out / "part-00000.jsonl").write_text("", encoding="utf8")
    (out / "part-00001.jsonl").unlink()
    (out / "_job" / "part-00002.json").write_text("{", encoding="utf8")
    (out / f".part-00000.jsonl.{2**22 + 1}.{'0' * 32}.tmp").write_text("", encoding="utf8")
    assert not light.annotate(source, out).was_whole
    assert files(out) == before


def test_a_folder_of_another_job(corpus: Callable[..., Path], tmp_path: Path) -> None:
    source, out = corpus(4), tmp_path / "out"
    light.annotate(source, out)
    before = files(out)
    for pipeline, settings, named in (
        (light.LIGHT, Settings(part_size=5), "--part-size was 10, and is 5"),
        (light.LIGHT, Settings("parquet", part_size=10), '--format was "jsonl", and is "parquet"'),
        (light.LIGHT, Settings(part_size=10, graph=True), "--graph was false, and is true"),
        (Pipeline(light.load, {"sha256": "1" * 64}), Settings(part_size=10), "the content of the pipeline was"),
    ):
        with pytest.raises(ValueError, match=f"R724.*{named}"):
            annotate_corpus(source, out, pipeline, settings)
    corpus(4, t2="Ann left.")
    with pytest.raises(ValueError, match="R724.*of the input, corpus.jsonl is changed"):
        light.annotate(source, out)
    with pytest.raises(ValueError, match="R724.*more.jsonl is new"):
        corpus(1, "in/more.jsonl")
        corpus(4, "in/corpus.jsonl")
        light.annotate(tmp_path / "in", out)
    assert files(out) == before
    (out / "_job" / "manifest.json").write_text("{", encoding="utf8")
    with pytest.raises(ValueError, match="R724.*damaged"):
        light.annotate(source, out)
    (out / "_job" / "manifest.json").unlink()
    with pytest.raises(ValueError, match="R725.*part-00000.jsonl"):
        light.annotate(source, out)
    with pytest.raises(ValueError, match="R725"):
        light.annotate(source, source)
    with pytest.raises(ValueError, match="R733"):
        light.annotate(tmp_path / "in", tmp_path / "in" / "out")


def test_two_runs_at_a_time(corpus: Callable[..., Path], tmp_path: Path) -> None:
    source, out = corpus(4), tmp_path / "out"

    def load() -> Language:
        with pytest.raises(ValueError, match="R726"):
            light.annotate(source, out)
        return light.load()

    annotate_corpus(source, out, Pipeline(load, light.LIGHT.about), Settings(part_size=10))
    assert len(docs_of(out)) == 4


def test_ids_that_are_there_twice(tmp_path: Path) -> None:
    source = tmp_path / "in"
    write_docs(source / "a.jsonl", {"1": "One.", "x": "Two."})
    write_docs(source / "b.parquet", {"y": "One.", "x": "Two."})
    write_docs(source / "c.spacy", {"z": "One.", "1": "Two."})
    with pytest.raises(ValueError, match=r"R723.*2 id") as found:
        light.annotate(source, tmp_path / "out")
    assert "- 'x': a.jsonl, line 2 and b.parquet, row 2" in str(found.value)
    assert "- '1': a.jsonl, line 1 and c.spacy, document 2" in str(found.value)
    assert files(tmp_path / "out") == {}


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    source = tmp_path / "in"
    texts = {str(i): f"Text {i}. " * 50 for i in range(100)}
    write_docs(source / "cut.parquet", texts)
    write_docs(source / "hole.parquet", texts)
    write_docs(source / "cut.spacy", texts)
    for name in ("cut.parquet", "cut.spacy"):
        (source / name).write_bytes((source / name).read_bytes()[:-20])
    # The end tells where columns are: it is whole, and they are not.
    content = bytearray((source / "hole.parquet").read_bytes())
    content[4:600] = b"\xff" * 596
    (source / "hole.parquet").write_bytes(content)
    parquet.write_table(arrow.table({"text": [1, 2]}), source / "numbers.parquet")
    (source / "pretty.jsonl").write_text('[\n{"text": "One."}\n]', encoding="utf8")
    (source / "wide.jsonl").write_text('{"text": "One."}', encoding="utf16")
    with pytest.raises(ValueError) as found:
        light.annotate(source, tmp_path / "out")
    told = str(found.value).splitlines()
    codes = [(line[1:5], next(name for name in os.listdir(source) if name in line)) for line in told]
    assert codes == [
        ("R721", "cut.parquet"),
        ("R415", "cut.spacy"),
        ("R721", "hole.parquet"),
        ("R722", "numbers.parquet"),
        ("R444", "pretty.jsonl"),
        ("R332", "wide.jsonl"),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="R731"):
        light.annotate(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="R401"):
        light.annotate(tmp_path / "missing", tmp_path / "out")
    (tmp_path / "empty" / "a.jsonl").write_text("\n", encoding="utf8")
    with pytest.raises(ValueError, match="R736"):
        light.annotate(tmp_path / "empty", tmp_path / "out")


def test_a_pipeline_at_fault_stops_the_job(corpus: Callable[..., Path], tmp_path: Path) -> None:
    source, out = corpus(20, **{f"t{i}": "This fails." for i in range(10, 20)}), tmp_path / "out"
    with pytest.raises(ValueError, match=r"R727.*R729.*10 documents from line 11 on.*R999(?s:.*)1 of 2 parts"):
        light.annotate(source, out)
    assert len(docs_of(out)) == 10
    with pytest.raises(ValueError, match="R728.*this machine.*OSError: the weights are gone") as found:
        annotate_corpus(source, tmp_path / "other", Pipeline(light.load_nothing, {}))
    assert "R727" not in str(found.value)


def test_what_is_missing_or_unknown(
    corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = corpus(2), tmp_path / "out"
    with pytest.raises(ValueError, match="R414.*local, ray"):
        light.annotate(source, out, "spark")
    with pytest.raises(ValueError, match="R734.*graphml"):
        light.annotate(source, out, graph=tmp_path / "graph.txt")
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"R720.*'ray'.*spacy-ragre\[ray\]"):
        light.annotate(source, out, "ray")
    with pytest.raises(ImportError, match="R720.*'pyarrow'"):
        annotate_corpus(source, out, light.LIGHT, Settings("parquet"))
    assert not out.exists()
    assert light.annotate(source, out).documents == 2


def test_progress_tells_rate_and_what_is_left(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("spacy_ragre.annotate.progress.time.monotonic", lambda: now[0])
    progress = Progress(50_000, 10_000, 1)
    for seconds in (20.0, 25.0, 40.0):
        now[0] = seconds
        progress.add(1000, 1)
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        "11,000 of 50,000 documents (22%), 2 left out, 50 a second, about 13 min left",
        "13,000 of 50,000 documents (26%), 4 left out, 75 a second, about 8 min left",
    ]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = Progress(10, 0, 0)
    for _ in range(2):
        now[0] += 1
        progress.add(5, 0)
    progress.close()
    half, whole = "5 of 10 documents (50%), 5 a second, about 1 s left", "10 of 10 documents (100%), 5 a second"
    assert capsys.readouterr().err == f"\r{half}\r{whole.ljust(len(half))}\n"
