"""The source files of openrel: what a line may say, what is told about a wrong one, and the way there and back."""

import json
from pathlib import Path
from types import ModuleType
from typing import Callable, List

import pytest

from spacy_ragre.corpora import openrel, read_jsonl
from spacy_ragre.corpora.files import Problems

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "corpora_src" / "openrel"

SMALL = """# title: Dairies
# labels
owns | owns; holds; is the owner of | the head owns the tail | PERSON,ORG | ORG
partner_of | is a partner of; works with; is allied to | the two work together | ORG | ORG | symmetric
# texts
[Rosalba Conti|PERSON] owns [Latteria Conti|ORG], a partner of [Burro|ORG]. || 1 owns 2 ; 3 partner_of 2
[Burro|ORG] denies that it knows [Rosalba Conti|PERSON]. || none
"""


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("convert_openrel")


def write(folder: Path, text: str, name: str = "small.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf8"))
    return path


def problems_of(folder: Path, text: str) -> List[str]:
    path = write(folder, text)
    problems = Problems(path)
    openrel.read_schema(path, problems)
    return problems.messages


def test_reads_labels_and_texts(tmp_path):
    schema = openrel.read_schema(write(tmp_path, SMALL))
    assert (schema.name, schema.title) == ("small", "Dairies")
    owns, partner = schema.labels["owns"], schema.labels["partner_of"]
    assert owns.texts == ("owns", "holds", "is the owner of")
    assert (owns.head_types, owns.tail_types, owns.symmetric) == (("PERSON", "ORG"), ("ORG",), False)
    assert partner.symmetric
    first, second = schema.texts
    assert first.text == "Rosalba Conti owns Latteria Conti, a partner of Burro."
    assert [first.text[ent.start : ent.end] for ent in first.ents] == ["Rosalba Conti", "Latteria Conti", "Burro"]
    assert first.relations == ((0, "owns", 1), (2, "partner_of", 1))
    assert second.relations == ()


def test_a_symmetric_label_allows_its_types_in_both_orders():
    label = openrel.SourceLabel("l", ("a", "b", "c"), "d", ("PERSON",), ("ORG",), True)
    assert label.allows("PERSON", "ORG") and label.allows("ORG", "PERSON")
    assert not label.allows("PERSON", "PERSON")


@pytest.mark.parametrize(
    "line, number, message",
    [
        ("owned | owns; holds | the head owns the tail | ORG | ORG", 3, "'owned' has 2 wording(s), and 3 are needed"),
        ("owned | owns; holds; owns | the head owns the tail | ORG | ORG", 3, "'owned' has the same wording twice"),
        ("owned | owns", 3, "it has 2 parts between bars"),
        ("owned | a; b; c | d | ORG | ORG | mirrored", 3, "not 'mirrored'"),
        ("owned | a; b; c | d | | ORG", 3, "the label has no head types"),
        ("owned by | a; b; c | d | ORG | ORG", 3, "the name 'owned by' has spaces"),
        ("owns | a; b; c | d | ORG | ORG", 4, "the label 'owns' stands twice"),
    ],
)
def test_wrong_label_lines_are_told_by_file_and_line(tmp_path, line, number, message):
    text = SMALL.split("\n")
    text.insert(number - 1, line)
    problems = problems_of(tmp_path, "\n".join(text))
    assert len(problems) == 1
    assert problems[0].startswith(f"- line {number}: [R350] ")
    assert message in problems[0]


@pytest.mark.parametrize(
    "line, message",
    [
        ("[A|ORG] and [B|ORG]. none", "'||' stands in it 0 times"),
        ("[A|ORG] || and [B|ORG]. || none", "'||' stands in it 2 times"),
        ("[A|ORG] and [B|ORG]. ||", "nothing follows '||'"),
        ("[A|ORG] and [B|org]. || none", "a bracket or a bar is left over"),
        ("[A|ORG] alone. || none", "it has 1 entities, and two are needed"),
        ("[A|ORG] and [B|ORG]. || 1 owns", "'1 owns' can't be taken: it is not 'number label number'"),
        ("[A|ORG] and [B|ORG]. || 1 has 2", "the label 'has' is unknown"),
        (
            "[A|ORG] and [B|ORG]. || 1 owns 3",
            "'1 owns 3' can't be taken: it needs two different ones of the 2 ",
        ),
        (
            "[A|ORG] and [B|ORG]. || 0 owns 1",
            "'0 owns 1' can't be taken: it needs two different ones of the 2 ",
        ),
        (
            "[A|ORG] and [B|ORG]. || 1 owns 1",
            "'1 owns 1' can't be taken: it needs two different ones of the 2 ",
        ),
        ("[A|ORG] and [B|PERSON]. || 1 owns 2", "it joins ORG and PERSON, which 'owns' does not allow"),
        ("[A|ORG] and [B|ORG]. || 1 owns 2 ; 1 owns 2", "'1 owns 2' can't be taken: it stands twice"),
        ("[A|ORG] and [B|ORG]. || 1 partner_of 2 ; 2 partner_of 1", "'2 partner_of 1' can't be taken: it stands twice"),
        ("[Burro|ORG] denies that it knows [Rosalba Conti|PERSON]. || none", "the same text stands in line 7"),
    ],
)
def test_wrong_text_lines_are_told_by_file_and_line(tmp_path, line, message):
    problems = problems_of(tmp_path, SMALL + line + "\n")
    assert any(problem.startswith("- line 8: [R35") and message in problem for problem in problems)


def test_all_problems_are_raised_together(tmp_path):
    path = write(tmp_path, SMALL + "[A|ORG] alone. || none\n[B|ORG] alone. || 1 has 2\n")
    with pytest.raises(ValueError) as caught:
        openrel.read_schema(path)
    message = str(caught.value)
    assert str(path) in message and "- line 8: " in message and "- line 9: " in message


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"R354\] it has no labels"),
        (SMALL.split("# texts")[0], r"R354\] it has no texts"),
        ("x\n", r"line 1: \[R353\]"),
    ],
)
def test_files_without_labels_or_texts_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        openrel.read_schema(write(tmp_path, text))


def test_a_file_may_hold_several_schemas(tmp_path):
    second = SMALL.replace("# title: ", "# title: more ").replace(". ||", "! ||")
    path = write(tmp_path, SMALL + second)
    first, last = openrel.read_schemas(path)
    assert (first.name, last.name, last.title) == ("small_1", "small_2", f"more {first.title}")
    assert first.labels == last.labels and len(first.texts) == len(last.texts) == 2
    with pytest.raises(ValueError, match=r"the file: \[R360\] it has 2 schemas"):
        openrel.read_schema(path)
    problems = Problems(path)
    openrel.read_schemas(write(tmp_path, second.split("# texts")[0] + SMALL + SMALL), problems)
    assert any("the schema 'more" in message and "R354] it has no texts" in message for message in problems.messages)
    assert any("the same text stands in line" in message for message in problems.messages)


def test_records_say_what_they_were_annotated_for(tmp_path):
    records = list(openrel.to_records(openrel.read_schema(write(tmp_path, SMALL))))
    assert [record["id"] for record in records] == ["small-0", "small-1"]
    assert all(record["labels"] == ["owns", "partner_of"] for record in records)
    assert records[0]["ents"][2] == {"start": 48, "end": 53, "label": "ORG"}
    assert records[0]["relations"][1] == {"head": 2, "tail": 1, "label": "partner_of"}
    assert records[1]["relations"] == []


def test_there_and_back(tmp_path):
    schema = openrel.read_schema(write(tmp_path, SMALL))
    labels = json.loads(json.dumps(openrel.label_config(schema)))
    records = json.loads(json.dumps(list(openrel.to_records(schema))))
    assert openrel.from_records(schema.name, schema.title, labels, records) == schema


def test_a_line_separator_inside_a_text_stays(tmp_path):
    text = SMALL + "[A|ORG] and\u2028[B|ORG]. || none\n"
    schema = openrel.read_schema(write(tmp_path, text))
    assert schema.texts[-1].text == "A and\u2028B."


def test_how_many_wordings_a_label_needs_is_asked_for(tmp_path):
    line = next(line for line in SMALL.splitlines() if line.startswith("owns |"))
    text = SMALL.replace(line, "owns | owns | | " + " | ".join(line.split(" | ")[3:]))
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match="'owns' has 1 wording.*\n.*no definition"):
        openrel.read_schema(path)
    schema = openrel.read_schema(path, min_wordings=1)
    assert schema.labels["owns"].texts == ("owns",) and schema.labels["owns"].definition == ""
    with pytest.raises(ValueError, match="R356"):
        openrel.read_schema(path, min_wordings=0)


def test_converts_by_schema_and_reads_back(tmp_path):
    schemas = [openrel.read_schema(write(tmp_path, SMALL, name)) for name in ("04_boards.txt", "a.txt", "b.txt")]
    assert openrel.write_corpus(schemas, tmp_path / "out") == {"train": 4, "dev": 2}
    docs = list(read_jsonl(tmp_path / "out" / "dev.jsonl"))
    assert [rel.label for rel in docs[0]._.relations] == ["owns", "partner_of"]
    assert docs[0]._.annotated_labels == ["owns", "partner_of"]
    config = json.loads((tmp_path / "out" / "schemas.json").read_text(encoding="utf8"))
    assert config["04_boards"]["labels"]["partner_of"]["symmetric"] is True
    assert openrel.read_corpus(tmp_path / "out", "dev") == schemas[:1]
    assert openrel.read_corpus(tmp_path / "out", "train") == schemas[1:]


@pytest.mark.parametrize("config", ["{", "{}", '{"small": {"title": "t"}}', '{"small": {"title": "t", "labels": 1}}'])
def test_a_converted_corpus_that_is_damaged_is_told(tmp_path, config):
    openrel.write_corpus([openrel.read_schema(write(tmp_path, SMALL))], tmp_path)
    (tmp_path / "schemas.json").write_text(config)
    with pytest.raises(ValueError, match="R357"):
        openrel.read_corpus(tmp_path, "train")


def test_a_corpus_that_was_not_converted_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="R401"):
        openrel.read_corpus(tmp_path, "train")


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="R355"):
        openrel.source_files(tmp_path)


# The command


def test_nothing_is_written_where_a_file_is_wrong(script, tmp_path, capsys):
    path = write(tmp_path, SMALL + "[A|ORG] alone. || none\n")
    assert script.main(["convert", str(tmp_path), str(tmp_path / "out")]) == 1
    told = capsys.readouterr().out
    assert f"{path} - line 8: [R351]" in told and "1 problems; nothing was written" in told
    assert not (tmp_path / "out").exists()


def test_the_command_converts(script, tmp_path, capsys):
    write(tmp_path, SMALL.replace("owns; holds; is the owner of", "owns"))
    out = tmp_path / "out"
    assert script.main(["convert", str(tmp_path), str(out)]) == 1
    assert script.main(["--min-wordings", "1", "convert", str(tmp_path), str(out)]) == 0
    assert capsys.readouterr().out.endswith("train: 2 documents, dev: 0 documents\n")
    assert len(openrel.read_corpus(out, "train")[0].texts) == 2


def test_check_counts(script, tmp_path, capsys):
    write(tmp_path, SMALL)
    assert script.main(["check", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "small: Dairies: 2 labels, 2 texts (1 hold nothing), 2 relations; fewer than 6 times: owns, partner" in out
    assert out.endswith("1 schemas, 2 labels, 2 texts, 2 relations, 0 problems\n")


# The corpus itself


def test_the_corpus_is_sound():
    schemas = [openrel.read_schema(path) for path in openrel.source_files(FOLDER)]
    assert len(schemas) == 412
    assert sum(len(schema.labels) for schema in schemas) == 4430
    assert sum(len(schema.texts) for schema in schemas) == 13023
    assert sum(len(text.relations) for schema in schemas for text in schema.texts) == 46130
    assert {*openrel.DEV_SCHEMAS} <= {schema.name for schema in schemas}


def test_the_corpus_goes_there_and_back():
    for path in openrel.source_files(FOLDER):
        schema = openrel.read_schema(path)
        back = openrel.from_records(schema.name, schema.title, openrel.label_config(schema), openrel.to_records(schema))
        assert back == schema


def test_no_text_of_a_dev_schema_trains():
    schemas = [openrel.read_schema(path) for path in openrel.source_files(FOLDER)]
    dev = {text.text for schema in schemas if schema.name in openrel.DEV_SCHEMAS for text in schema.texts}
    train = {text.text for schema in schemas if schema.name not in openrel.DEV_SCHEMAS for text in schema.texts}
    assert not dev & train


def test_the_paragraphs_are_sound():
    folder = ROOT / "corpora_src" / "paragraphs"
    schemas = [openrel.read_schema(path, min_wordings=1) for path in openrel.source_files(folder)]
    assert [(len(schema.labels), len(schema.texts)) for schema in schemas] == [(8, 3)] * 10 + [(8, 2)] * 10 + [
        (8, 3)
    ] * 12
