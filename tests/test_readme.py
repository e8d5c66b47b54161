"""The Python of the README and the pages of docs/ runs, and prints what the pages say that it prints.

Blocks of a page run in their order and share their names. A block that cannot run with the embedded models says why in
a line before it: `<!-- not run: REASON -->`.
"""

import contextlib
import io
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run: *(?P<reason>.*?) *-->\n)?"
    r"```python\n(?P<code>.*?)^```$"
    r"(?:\n\s*```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A block of Python, the line where it starts, what it prints, and why it is not run."""

    code: str
    line: int
    output: Optional[str]
    reason: Optional[str]


def blocks(text: str) -> List[Block]:
    return [
        Block(found["code"], text.count("\n", 0, found.start("code")), found["output"], found["reason"])
        for found in BLOCK.finditer(text)
    ]


def with_python() -> List[Any]:
    pages = [page for page in PAGES if "```python" in page.read_text(encoding="utf8")]
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


@pytest.mark.parametrize("page", with_python())
def test_every_block_is_seen_and_compiles(page: Path) -> None:
    text = page.read_text(encoding="utf8")
    found = blocks(text)
    assert len(found) == text.count("```python")
    for block in found:
        compile("\n" * block.line + block.code, str(page), "exec")
        assert block.reason != "", f"{page}, line {block.line}: the block does not say why it is not run"


@pytest.mark.real
@pytest.mark.parametrize("page", with_python())
def test_blocks_run(page: Path) -> None:
    names: Dict[str, Any] = {}
    for block in blocks(page.read_text(encoding="utf8")):
        if block.reason:
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * block.line + block.code, str(page), "exec"), names)
        if block.output is not None:
            assert printed.getvalue() == block.output


def test_links_between_pages_lead_somewhere() -> None:
    missing = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf8")):
            if not re.match(r"\w+:", target) and not (page.parent / target).exists():
                missing.append(f"{page.relative_to(ROOT)}: {target}")
    assert not missing


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf8").splitlines()) <= 200
