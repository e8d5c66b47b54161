"""JSON that is none of a format's, with a number, null or a list anywhere, is told and never a traceback."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest
import spacy

from spacy_ragre.corpora import CorpusCounts, convert, doc_from_dict
from spacy_ragre.corpora.formats import FORMATS, READERS, recognise
from spacy_ragre.corpora.records import Sample

NLP = spacy.blank("en")
LINES = ("jsonl", "prodigy", "doccano", "spacy-llm", "glirel")
JSON = (*LINES, "labelstudio", "spert", "tacred", "docred", "bioc", "uima")
WRITTEN = {"docred": "docred-docs"}
ODD: Tuple[Any, ...] = (0, -1, 1.5, None, True, "", "x", [], [0], [None], [[]], [{}], ["x", 0], {}, {"x": 0})
SETTINGS = {"spans_key": None, "split_tokens": True, "relation_names": None, "patch": None}
RECORD = {
    "id": "d1",
    "text": "Ann runs Acme.",
    "ents": [{"start": 0, "end": 3, "label": "PERSON"}, {"start": 9, "end": 13, "label": "ORG"}],
    "relations": [{"head": 0, "tail": 1, "label": "runs"}],
}
# What tools export and `export` does not write.
FURTHER: Dict[str, List[Dict[str, Any]]] = {
    "doccano": [{"text": "Ann runs.", "label": [[0, 3, "PERSON"]], "Comments": ["sure?"]}],
    "prodigy": [{"text": "Ann runs.", "spans": [{"start": 0, "end": 3}], "_task_hash": 1, "answer": "accept"}],
    "labelstudio": [
        {"id": 1, "text": "Ann runs.", "label": [{"start": 0, "end": 3, "labels": ["P"]}], "annotator": 1},
        {
            "id": 1,
            "data": {"text": "Ann runs."},
            "predictions": [],
            "annotations": [{"id": 1, "was_cancelled": False, "ground_truth": True, "result": []}],
        },
    ],
    "bioc": [
        {
            "id": "d1",
            "passages": [
                {"offset": 0, "text": "Ann runs.", "relations": [], "sentences": [{"offset": 0, "text": "Ann runs."}]}
            ],
            "relations": [{"id": "R0", "infons": {"entity1": {"identifier": "D1"}, "entity2": "D2", "type": "r"}}],
        },
        {"PubTator3": [{"id": "d1", "passages": [{"offset": 0, "text": "Ann runs.", "annotations": []}]}]},
    ],
}


def samples(name: str, folder: Path) -> List[Any]:
    """RETURNS (List[Any]): records of a format that hold all that it knows."""
    write: Any = FORMATS[WRITTEN.get(name, name)].write
    settings = {"spans_key": None, "relation_names": None, "dropped": CorpusCounts().dropped}
    write([doc_from_dict(RECORD, NLP)], folder / "written", **settings)
    path = folder / "written" / "d1.json" if name == "uima" else folder / "written"
    value = json.loads(path.read_text(encoding="utf8"))
    return [*(value if isinstance(value, list) else [value]), *FURTHER.get(name, [])]


def changed(value: Any, odd: Sequence[Any] = ODD) -> Iterator[Any]:
    """YIELDS (Any): a value with something odd in one place, at any depth."""
    yield from deepcopy(odd)
    if isinstance(value, (dict, list)):
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            for other in changed(item, odd):
                copy = value.copy()
                copy[key] = other
                yield copy


def with_id(value: Any, id_: str) -> Any:
    """RETURNS (Any): a record with another id in place of its own."""
    if isinstance(value, dict):
        return {key: with_id(item, id_) for key, item in value.items()}
    return [with_id(item, id_) for item in value] if isinstance(value, list) else id_ if value == "d1" else value


@pytest.mark.parametrize("name", JSON)
def test_a_format_is_told_from_any_json(tmp_path: Path, name: str) -> None:
    for record in samples(name, tmp_path):
        for odd in changed(record):
            sample = Sample(tmp_path / "in", lines=(json.dumps(odd),), records=(odd,))
            for format_ in FORMATS.values():
                assert format_.matches(sample) in (True, False)


@pytest.mark.filterwarnings("ignore:Not mapping external offset")
@pytest.mark.parametrize("name", JSON)
def test_any_json_is_read_or_told(tmp_path: Path, name: str) -> None:
    told: List[Any] = []
    path = tmp_path / "in"
    # A whole file for each takes long.
    values = (0, None, "x", {"x": 0}) if name == "uima" else ODD
    odd = [item for record in samples(name, tmp_path) for item in changed(record, values)]
    records = [json.dumps(with_id(item, f"d{number}")) for number, item in enumerate(odd)]
    texts = ["\n".join(records) if name in LINES else f"[{','.join(records)}]"]
    for text in records if name == "uima" else texts:
        path.write_text(text, encoding="utf8")
        list(READERS[name](path, NLP, counts=CorpusCounts(), on_error=lambda *item: told.append(item), **SETTINGS))
    assert told and all(reason.startswith("[R") for _, _, reasons in told for reason in reasons)


@pytest.mark.parametrize("record", [{"text": "a b", "entities": [1, 2]}, {"text": "a", "ents": 1, "relations": 2}])
def test_r340_no_format(tmp_path: Path, record: Any) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(record), encoding="utf8")
    with pytest.raises(ValueError, match=r"\[R340\]"):
        recognise(tmp_path / "in.jsonl")
    with pytest.raises(ValueError, match=r"\[R340\]"):
        convert(tmp_path / "in.jsonl", tmp_path / "out.spacy")
