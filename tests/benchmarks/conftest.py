"""A few sentences in the official format of SemEval-2010 Task 8."""

from pathlib import Path
from typing import Callable

import pytest

RELATIONS = ("Cause-Effect(e2,e1)", "Other", "Component-Whole(e1,e2)", "Message-Topic(e1,e2)")


@pytest.fixture(scope="session")
def write_semeval() -> Callable[..., None]:
    """`write_semeval(data, 30, 8)`: so many training and test sentences, in the folder of the corpus."""

    def write(data: Path, train: int, test: int) -> None:
        folder = data / "semeval2010_task8"
        folder.mkdir(parents=True)
        for name, count in (("TRAIN_FILE.TXT", train), ("TEST_FILE_FULL.TXT", test)):
            lines = []
            for i in range(count):
                text = f"The <e1>fire{i}</e1> was seen by a <e2>spark</e2> of {'no ' * (i % 3)}name."
                lines.append(f'{i + 1}\t"{text}"\n{RELATIONS[i % len(RELATIONS)]}\nComment:\n\n')
            (folder / name).write_text("".join(lines), encoding="utf8")

    return write
