"""Tell how many annotations of the package are or hold `Any`. It only reports: the share should shrink."""

import ast
import sys
from pathlib import Path
from typing import Iterator


def annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """tree (ast.AST): a module.
    YIELDS (ast.expr): the annotations of arguments, results and variables.
    """
    for node in ast.walk(tree):
        found = getattr(node, "returns", None) or getattr(node, "annotation", None)
        if isinstance(found, ast.expr):
            yield found


def main(folder: Path = Path("spacy_ragre")) -> int:
    total = loose = 0
    for path in sorted(folder.rglob("*.py")):
        for annotation in annotations(ast.parse(path.read_text(encoding="utf8"))):
            total += 1
            loose += any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))
    print(f"Any in {loose} of {total} annotations ({100 * loose / max(total, 1):.1f}%).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
