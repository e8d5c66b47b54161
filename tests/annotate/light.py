"""A light pipeline that finds relations by rule, to be loaded by workers in other processes."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ragre.annotate.jobs import Settings
from spacy_ragre.annotate.run import Pipeline, Summary, annotate_corpus

NAMES: Any = [{"label": "ORG", "pattern": "Acme"}, {"label": "PERSON", "pattern": "Ann"}]


@Language.component("test_light_relations", assigns=["doc._.relations"], requires=["doc.ents"])
def light_relations(doc: Doc) -> Doc:
    """Relates the first entity to the last one. Texts can make it fail, be slow, or end the process once."""
    if "fails" in doc.text:
        raise ValueError("[R999] The document fails.")
    if "slow" in doc.text:
        time.sleep(0.01)
    flag = Path(os.environ.get("RAGRE_TEST_FLAG", os.devnull))
    if "kills" in doc.text and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    ends = [{"head": doc.ents[0], "tail": doc.ents[-1], "label": "left", "score": 0.5}] if len(doc.ents) > 1 else []
    doc._.relations = ends
    return doc


def load() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("entity_ruler").add_patterns(NAMES)  # type: ignore[attr-defined]
    nlp.add_pipe("test_light_relations")
    return nlp


def load_nothing() -> Language:
    raise OSError("the weights are gone")


LIGHT = Pipeline(load, {"sha256": "0" * 64})


def annotate(source: Path, output: Path, engine: str = "local", **options: Any) -> Summary:
    settings = Settings(part_size=options.pop("part_size", 10), graph="graph" in options)
    return annotate_corpus(source, output, LIGHT, settings, engine=engine, **options)


if __name__ == "__main__":
    import light  # type: ignore[import-not-found]  # by its name, so that workers find it

    light.annotate(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], graph=Path(sys.argv[4]))
