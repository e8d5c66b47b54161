"""Small corpora."""

import json
import sys
from pathlib import Path
from typing import Callable

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # workers import light.py by its name


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Path]:
    """`corpus(count, **texts)`: a .jsonl file with so many documents, of which `t7="..."` gives the text of one."""

    def write(count: int, name: str = "corpus.jsonl", **texts: str) -> Path:
        docs = [{"id": f"d{i}", "text": texts.get(f"t{i}", f"Ann left Acme in year {i}.")} for i in range(count)]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(doc) + "\n" for doc in docs), encoding="utf8")
        return path

    return write
