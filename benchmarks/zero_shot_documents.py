"""Whole documents before training: Re-DocRED's test documents with its 96 properties as open labels.

Gold mentions and entities are given, every pair of entities is asked about in its nearest mentions, and a pair may hold
several relations. Unlike the other zero-shot benchmarks, many of the properties were among the labels that the reader
was trained on, with sentences of the development documents, too; the test documents were not. How pairs of clusters are
scored, and the limit, were chosen on development documents.
"""

import json
import random
from pathlib import Path
from typing import Any, Dict, List, Optional

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_ragre.corpora.docred import RELATION_NAMES, read_docred
from spacy_ragre.corpora.files import existing_path
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.scoring import score_docred

from .open_relations.redocred_words import FEWREL_VAL, WORDS
from .results import add_row
from .zero_shot_words import FEWREL_WIKI

NAME = "rag_relation_extractor"
TITLE = "Zero-shot: Re-DocRED, whole documents"
ROW = {
    "name": "open labels",
    "description": "the reader that comes with the package, several relations a pair; its training knew many of the 96 "
    "properties (openwiki, Re-DocRED dev), not the test documents",
}
SCORES = ("docred_p", "docred_r", "docred_f", "docred_intra_f", "docred_inter_f")
# Least probability of a relation: the best F1 on 40 development documents.
THRESHOLD = 0.33


def read_labels(data: Path) -> Dict[str, Dict[str, Any]]:
    """RETURNS (Dict[str, Dict[str, Any]]): the 96 properties by name, as the component takes labels.

    data (Path): the folder of data.
    """
    names = json.loads(existing_path(data / "redocred" / RELATION_NAMES).read_text(encoding="utf8"))
    few = json.loads(existing_path(data / "relations" / "fewrel64.labels.json").read_text(encoding="utf8"))
    known = {name: (value["text"], value["definition"]) for name, value in few.items()}
    words = {id_: FEWREL_WIKI[id_] if id_ in FEWREL_VAL else {**known, **WORDS}[name] for id_, name in names.items()}
    # None is symmetric: the official scorer counts both directions, and so has to be told both.
    return {name: {"text": words[id_][0], "definition": words[id_][1]} for id_, name in names.items()}


def read_documents(data: Path, limit: int = 0, split: str = "test") -> List[Doc]:
    """RETURNS (List[Doc]): the documents, or a seeded subset of so many of them.

    data (Path): the folder of data.
    """
    docs = list(read_docred(data / "redocred" / f"{split}_revised.json"))
    return random.Random(0).sample(docs, limit) if 0 < limit < len(docs) else docs


def make_pipeline(labels: Dict[str, Any], weights: Optional[Path] = None, **settings: Any) -> Language:
    """RETURNS (Language): the component on whole documents; other settings are its defaults."""
    whole = {"@ragre_candidates": "ragre.WholeDocument.v1"}
    own = {"answer": "open", "multi_label": True, "threshold": THRESHOLD, "candidates": whole, **settings}
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME, config={"labels": labels, **own, **({} if weights is None else {"weights": str(weights)})})
    return nlp


def measure(nlp: Language, docs: List[Doc]) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): the official scores, from 0 to 1."""
    examples = [Example(nlp.get_pipe(NAME)(copy_input(doc)), doc) for doc in docs]
    scores = score_docred(examples)
    return {key: scores[key] for key in SCORES if scores[key] is not None}


def add_results(data: Path, path: Path, weights: Optional[Path], limit: int) -> None:
    """Measure the test documents, and write a row.

    data (Path): the folder of data.
    path (Path): the results file.
    weights (Optional[Path]): folder with another reader of open labels.
    limit (int): measure a seeded subset of so many documents.
    """
    docs = read_documents(data, limit)
    scores = measure(make_pipeline(read_labels(data), weights), docs)
    split = f"test, seeded subset ({len(docs)} documents)" if limit else f"test ({len(docs)} documents)"
    add_row(path, TITLE, {**ROW, "split": split}, 0, scores)
    print(ROW["name"], split, {key: round(value, 4) for key, value in scores.items()}, flush=True)
