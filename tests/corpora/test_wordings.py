"""Other wordings of labels: what a line may say, what is told about a wrong one, and the corpus itself."""

import pytest

from benchmarks.open_relations import facts, passages
from benchmarks.open_relations import wordings as source
from benchmarks.open_relations.sampling import SHARES
from spacy_ragre.corpora.files import Problems
from spacy_ragre.corpora.wordings import Wordings, check_labels, read_wordings

OWNS = "owns | property; asset | has title to; possesses | owner of; has asset | Owner-Property | what the first has"
TEXT = f"# schema: firms\n{OWNS}\n# schema: farms\n{OWNS}\n"


def problems_of(folder, text):
    path = folder / "a.txt"
    path.write_text(text, encoding="utf8")
    problems = Problems(path)
    read_wordings(path, problems)
    return problems.messages


def test_reads_all_styles_by_schema_and_label(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TEXT, encoding="utf8")
    read = read_wordings(path)
    assert list(read) == ["firms", "farms"]
    assert read["firms"] == {
        "owns": Wordings(
            ("property", "asset"),
            ("has title to", "possesses"),
            ("owner of", "has asset"),
            "Owner-Property",
            "what the first has",
        )
    }


@pytest.mark.parametrize(
    "line, message",
    [
        (OWNS, "the label 'owns' stands twice"),
        ("# schema: firms", "the schema 'firms' stands twice"),
        ("has | property; asset | a; b", "it has 3 parts between bars, and 6 are needed"),
        (OWNS.replace("owns", "has").replace("; asset", ""), "its nouns are 'property', and 2 different ones"),
        (OWNS.replace("owns", "has").replace("asset |", "Property |"), "its nouns are 'property, Property'"),
        (OWNS.replace("owns", "has").replace("; has asset", ";"), "its short labels are 'owner of, '"),
        (OWNS.replace("owns", "has").replace("Owner-", "Co-Owner-"), "its roles are 'Co-Owner-Property'"),
        (OWNS.replace("owns", "has").replace("what the first has", ""), "it has no definition"),
    ],
)
def test_wrong_lines_are_told_by_line(tmp_path, line, message):
    told = problems_of(tmp_path, f"{TEXT}{line}\n")
    assert len(told) == 1 and told[0].startswith("- line 5: [R358]") and message in told[0]


def test_a_line_needs_a_schema_above_it(tmp_path):
    (told,) = problems_of(tmp_path, OWNS)
    assert "no '# schema: NAME' stands above it" in told
    with pytest.raises(ValueError, match="R358"):
        read_wordings(tmp_path / "a.txt")


def test_labels_are_compared_with_the_source(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TEXT, encoding="utf8")
    problems = Problems(path)
    check_labels(read_wordings(path), {"firms": ["owns", "buys", "sells"]}, problems)
    assert problems.messages == [
        "- schema farms: [R359] some labels are not among its labels: owns. Each label of a schema has one line, under "
        "its name in the source.",
        "- schema firms: [R359] some labels have no wordings: buys, sells. Each label of a schema has one line, under "
        "its name in the source.",
    ]


# The corpus itself


def test_each_label_of_the_project_has_its_line(capsys):
    assert source.main([]) == 0
    told = capsys.readouterr().out
    assert "openrel: 403 schemas, 4304 labels, 0 problems" in told
    assert "openrel_dev: 9 schemas, 126 labels, 0 problems" in told
    assert "openwiki: 120 schemas, 1200 labels, 0 problems" in told
    assert "fewrel64: 1 schemas, 64 labels, not compared" in told


def test_labels_of_other_corpora_are_compared_where_they_are(tmp_path, capsys):
    folder, assets = tmp_path / "wordings", tmp_path / "assets"
    for name in (folder, assets / "relations", assets / "redocred"):
        name.mkdir(parents=True)
    (folder / "core.txt").write_text(f"# schema: core\n{OWNS}\n", encoding="utf8")
    (folder / "redocred.txt").write_text(f"# schema: redocred\n{OWNS}\n", encoding="utf8")
    (assets / "relations" / "core.labels.json").write_text('{"buys": {}}')
    # The property P26 is one of FewRel's validation set, so that it does not train.
    (assets / "redocred" / "rel_info.json").write_text('{"P26": "spouse", "P1830": "owns"}')
    assert source.main(["--folder", str(folder), "--assets", str(assets)]) == 1
    told = capsys.readouterr().out
    assert "have no wordings: buys" in told and "are not among its labels: owns" in told
    assert "core: 1 schemas, 1 labels, 2 problems" in told and "redocred: 1 schemas, 1 labels, 0 problems" in told


def test_all_that_trains_has_a_file_and_the_development_schemas_have_one_of_their_own():
    # The labels of facts and passages have their wordings there.
    assert {path.stem for path in source.FOLDER.glob("*.txt")} == {*SHARES, source.DEV} - {
        facts.SOURCE,
        passages.SOURCE,
    }
    assert not {*source.read_source(source.DEV)} & {*source.read_source("openrel")}
