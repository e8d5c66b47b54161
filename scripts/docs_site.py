"""What the documentation site needs besides the pages of docs/: pages that stand elsewhere, and the links to them.

A hook of MkDocs (`mkdocs.yml`).
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
#: Pages of the repository by where they stand in the site.
ELSEWHERE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "weights.md": "spacy_ragre/weights/README.md",
}
_LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?P<target>[^)#\s:]+)(?P<place>#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take in the pages that stand elsewhere."""
    for name, source in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf8")
        files.append(File.generated(config, name, content=relink(text, source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files outside of docs/ into links of the site, or into plain words where it has no such page."""
    if page.file.src_uri in ELSEWHERE:
        return markdown
    return relink(markdown, posixpath.join("docs", page.file.src_uri))


def relink(text: str, source: str) -> str:
    """text (str): a page.
    source (str): its path in the repository.
    RETURNS (str): the page with links as they are in the site.
    """
    place = {path: name for name, path in ELSEWHERE.items()}
    own = place.get(source, source.removeprefix("docs/"))
    folder = posixpath.dirname(own)

    def change(match: "re.Match[str]") -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match["target"]))
        there = place.get(target, target.removeprefix("docs/") if target.startswith("docs/") else "")
        if not there:
            return f"{match['text']} (`{target}`)"
        there = "index.md" if there == "README.md" else there
        return f"[{match['text']}]({posixpath.relpath(there, folder or '.')}{match['place'] or ''})"

    return _LINK.sub(change, text)
