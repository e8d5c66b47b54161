"""The source files of openrel: what a line may say, what is told about a wrong one, and the way there and back."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import List

import pytest

from spacy_ragre.corpora import read_jsonl

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
def openrel() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convert_openrel", ROOT / "scripts" / "convert_openrel.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def write(folder: Path, text: str, name: str = "small.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf8"))
    return path


def problems_of(openrel: ModuleType, folder: Path, text: str) -> List[str]:
    problems: List[str] = []
    openrel.read_schema(write(folder, text), problems)
    return problems


def test_reads_labels_and_texts(openrel, tmp_path):
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


def test_a_symmetric_label_allows_its_types_in_both_orders(openrel):
    label = openrel.SourceLabel("l", ("a", "b", "c"), "d", ("PERSON",), ("ORG",), True)
    assert label.allows("PERSON", "ORG") and label.allows("ORG", "PERSON")
    assert not label.allows("PERSON", "PERSON")


@pytest.mark.parametrize(
    "line, number, message",
    [
        ("owned | owns; holds | the head owns the tail | ORG | ORG", 3, "'owned' has 2 wordings; 3 are wanted"),
        ("owned | owns", 3, "a label line is 'name | wording"),
        ("owned | a; b; c | d | ORG | ORG | mirrored", 3, "not 'mirrored'"),
        ("owned | a; b; c | d | | ORG", 3, "a label without head types"),
        ("owned by | a; b; c | d | ORG | ORG", 3, "a name without spaces is wanted"),
        ("owns | a; b; c | d | ORG | ORG", 4, "the label 'owns' stands twice"),
    ],
)
def test_wrong_label_lines_are_told_by_file_and_line(openrel, tmp_path, line, number, message):
    text = SMALL.split("\n")
    text.insert(number - 1, line)
    problems = problems_of(openrel, tmp_path, "\n".join(text))
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path / 'small.txt'}:{number}: ")
    assert message in problems[0]


@pytest.mark.parametrize(
    "line, message",
    [
        ("[A|ORG] and [B|ORG]. none", "exactly one '||' is wanted"),
        ("[A|ORG] || and [B|ORG]. || none", "exactly one '||' is wanted"),
        ("[A|ORG] and [B|ORG]. ||", "'none' is wanted"),
        ("[A|ORG] and [B|org]. || none", "a stray bracket or bar"),
        ("[A|ORG] alone. || none", "1 entities; two or more are wanted"),
        ("[A|ORG] and [B|ORG]. || 1 owns", "'1 owns' is not 'number label number'"),
        ("[A|ORG] and [B|ORG]. || 1 has 2", "unknown label 'has'"),
        ("[A|ORG] and [B|ORG]. || 1 owns 3", "'1 owns 3' wants two of the 2 entities"),
        ("[A|ORG] and [B|ORG]. || 0 owns 1", "'0 owns 1' wants two of the 2 entities"),
        ("[A|ORG] and [B|ORG]. || 1 owns 1", "'1 owns 1' wants two of the 2 entities"),
        ("[A|ORG] and [B|PERSON]. || 1 owns 2", "joins ORG and PERSON, which 'owns' does not allow"),
        ("[A|ORG] and [B|ORG]. || 1 owns 2 ; 1 owns 2", "'1 owns 2' stands twice"),
        ("[A|ORG] and [B|ORG]. || 1 partner_of 2 ; 2 partner_of 1", "'2 partner_of 1' stands twice"),
        ("[Burro|ORG] denies that it knows [Rosalba Conti|PERSON]. || none", "the same text as in line 7"),
    ],
)
def test_wrong_text_lines_are_told_by_file_and_line(openrel, tmp_path, line, message):
    problems = problems_of(openrel, tmp_path, SMALL + line + "\n")
    assert any(problem.startswith(f"{tmp_path / 'small.txt'}:8: ") and message in problem for problem in problems)


def test_all_problems_are_raised_together(openrel, tmp_path):
    path = write(tmp_path, SMALL + "[A|ORG] alone. || none\n[B|ORG] alone. || 1 has 2\n")
    with pytest.raises(ValueError) as caught:
        openrel.read_schema(path)
    assert ":8: " in str(caught.value) and ":9: " in str(caught.value)


@pytest.mark.parametrize(
    "text, message", [("", "no labels"), (SMALL.split("# texts")[0], "no texts"), ("x\n", "before")]
)
def test_files_without_labels_or_texts_are_refused(openrel, tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        openrel.read_schema(write(tmp_path, text))


def test_records_say_what_they_were_annotated_for(openrel, tmp_path):
    records = list(openrel.to_records(openrel.read_schema(write(tmp_path, SMALL))))
    assert [record["id"] for record in records] == ["small-0", "small-1"]
    assert all(record["labels"] == ["owns", "partner_of"] for record in records)
    assert records[0]["ents"][2] == {"start": 48, "end": 53, "label": "ORG"}
    assert records[0]["relations"][1] == {"head": 2, "tail": 1, "label": "partner_of"}
    assert records[1]["relations"] == []


def test_there_and_back(openrel, tmp_path):
    schema = openrel.read_schema(write(tmp_path, SMALL))
    assert openrel.format_schema(schema) == SMALL
    labels = json.loads(json.dumps(openrel.label_config(schema)))
    records = json.loads(json.dumps(list(openrel.to_records(schema))))
    assert openrel.from_records(schema.name, schema.title, labels, records) == schema


def test_a_line_separator_inside_a_text_stays(openrel, tmp_path):
    text = SMALL + "[A|ORG] and\u2028[B|ORG]. || none\n"
    schema = openrel.read_schema(write(tmp_path, text))
    assert schema.texts[-1].text == "A and\u2028B."


def test_converts_a_folder_by_schema(openrel, tmp_path):
    write(tmp_path, SMALL)
    write(tmp_path, SMALL, "04_boards.txt")
    assert openrel.convert_folder(tmp_path, tmp_path / "out") == {"train": 2, "dev": 2}
    docs = list(read_jsonl(tmp_path / "out" / "dev.jsonl"))
    assert [rel.label for rel in docs[0]._.relations] == ["owns", "partner_of"]
    schemas = json.loads((tmp_path / "out" / "schemas.json").read_text(encoding="utf8"))
    assert schemas["04_boards"]["labels"]["partner_of"]["symmetric"] is True


def test_nothing_is_written_where_a_file_is_wrong(openrel, tmp_path, capsys):
    write(tmp_path, SMALL + "[A|ORG] alone. || none\n")
    with pytest.raises(ValueError, match=":8: "):
        openrel.convert_folder(tmp_path, tmp_path / "out")
    assert openrel.main(["convert", str(tmp_path), str(tmp_path / "out")]) == 1
    assert "nothing was written" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_an_error(openrel, tmp_path):
    with pytest.raises(FileNotFoundError, match="no source files"):
        openrel.convert_folder(tmp_path, tmp_path / "out")


def test_check_counts(openrel, tmp_path, capsys):
    write(tmp_path, SMALL)
    assert openrel.main(["check", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "small: Dairies: 2 labels, 2 texts (1 hold nothing), 2 relations; fewer than 6 times: owns, partner" in out
    assert out.endswith("1 schemas, 2 labels, 2 texts, 2 relations, 0 problems\n")


# The corpus itself


def test_the_corpus_is_sound(openrel):
    schemas = [openrel.read_schema(path) for path in openrel.source_files(FOLDER)]
    assert len(schemas) == 86
    assert sum(len(schema.labels) for schema in schemas) == 1198
    assert sum(len(schema.texts) for schema in schemas) == 7160
    assert sum(len(text.relations) for schema in schemas for text in schema.texts) == 16457
    assert {*openrel.DEV_SCHEMAS} <= {schema.name for schema in schemas}


def test_the_corpus_goes_there_and_back(openrel):
    for path in openrel.source_files(FOLDER):
        schema = openrel.read_schema(path)
        back = openrel.from_records(schema.name, schema.title, openrel.label_config(schema), openrel.to_records(schema))
        assert back == schema
        assert openrel.format_schema(back).count("\n") == len(schema.labels) + len(schema.texts) + 3


def test_no_text_of_a_dev_schema_trains(openrel):
    schemas = [openrel.read_schema(path) for path in openrel.source_files(FOLDER)]
    dev = {text.text for schema in schemas if schema.name in openrel.DEV_SCHEMAS for text in schema.texts}
    train = {text.text for schema in schemas if schema.name not in openrel.DEV_SCHEMAS for text in schema.texts}
    assert not dev & train
