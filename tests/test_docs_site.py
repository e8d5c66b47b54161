"""The documentation site builds without a warning, and what it says of the code is as the code."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_site_builds_strictly(tmp_path, monkeypatch):
    pytest.importorskip("mkdocs")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    start = (tmp_path / "index.html").read_text(encoding="utf8")
    assert "The first relations in a minute" in start and 'href="relations/"' in start
    # What stands outside of docs/ and has a page of its own is linked to that page, and the rest is named.
    assert 'href="weights/"' in start and 'href="contributing/"' in start and "LICENSE" not in start
    api = (tmp_path / "reference" / "api" / "index.html").read_text(encoding="utf8")
    assert "freeze_labels" in api and "CandidatePair" in api
    assert 'id="r122"' in (tmp_path / "reference" / "messages" / "index.html").read_text(encoding="utf8")


def test_tables_of_settings_are_as_the_code(load_script):
    assert load_script("render_reference").main(["--check"]) == 0


def test_a_stale_table_is_noticed(load_script, tmp_path, monkeypatch, capsys):
    script = load_script("render_reference")
    page = tmp_path / "page.md"
    text = "<!-- settings ragre.SameSentence.v1:begin -->\nold\n<!-- settings ragre.SameSentence.v1:end -->\n"
    page.write_text(text, encoding="utf8")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "DOCS", tmp_path)
    assert script.main(["--check"]) == 1 and "page.md" in capsys.readouterr().err
    assert script.main([]) == 0 and script.main(["--check"]) == 0
    assert "| setting | default |" in page.read_text(encoding="utf8")


def test_every_setting_of_every_factory_says_what_it_does(load_script):
    script = load_script("render_reference")
    for name in script.FACTORIES:
        rows = script.factory_rows(name)
        assert rows and all(text for _, _, text in rows)


def test_arguments_of_a_docstring(load_script):
    script = load_script("render_reference")
    doc = """Do it.

    first (int): a number
        over two lines.
    second, third (str): texts.
    RETURNS (int): nothing.
    """
    found = {"first": "a number over two lines.", "second": "texts.", "third": "texts."}
    assert script.arguments(doc) == found


@pytest.mark.parametrize(
    "source, text, expected",
    [
        ("README.md", "[a](docs/relations.md#settings)", "[a](relations.md#settings)"),
        ("README.md", "[a](LICENSE)", "a (`LICENSE`)"),
        ("docs/results/semeval.md", "[a](../../README.md)", "[a](../index.md)"),
        ("docs/relations.md", "[a](../spacy_ragre/weights/README.md)", "[a](weights.md)"),
        ("docs/relations.md", "[a](https://spacy.io)", "[a](https://spacy.io)"),
    ],
)
def test_links_lead_to_pages_of_the_site(load_script, source, text, expected):
    pytest.importorskip("mkdocs")
    assert load_script("docs_site").relink(text, source) == expected
