"""All formats that `convert` and `export` know, and how a file's own is found."""

import re
from pathlib import Path
from typing import Any, Dict, Union

from ..errors import Errors
from .bioc import BIOC
from .brat import BRAT
from .doccano import DOCCANO
from .docred import read_docred, write_docred, write_docred_documents
from .files import existing_path
from .glirel import GLIREL
from .jsonl import read_jsonl, write_jsonl
from .labelstudio import LABEL_STUDIO
from .parse import OTHER_KEYS
from .prodigy import PRODIGY
from .pubtator import PUBTATOR
from .records import Format, Reader, Sample, Writer, describe, take_sample
from .semeval import read_semeval, write_semeval
from .spacy_llm import SPACY_LLM
from .spacy_rel import SPACY_REL
from .spert import SPERT
from .tacred import TACRED
from .uima import UIMA
from .webanno import WEBANNO

_SEMEVAL = re.compile(r'\d+\t"?.*<e1>')


def _is_interchange(sample: Sample) -> bool:
    return any(map(_has_ents, sample.records)) or (bool(sample.records) and all(map(_has_text, sample.records)))


def _has_ents(record: Any) -> bool:
    ents = record.get("ents") if isinstance(record, dict) and isinstance(record.get("text"), str) else None
    return isinstance(ents, list) and bool(ents) and isinstance(ents[0], dict) and "start" in ents[0]


def _has_text(record: Any) -> bool:
    """Whether it is a document of the interchange format without entities."""
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        return False
    others = {other for key, keys in OTHER_KEYS.items() if key not in record for other in keys}
    # What another format calls entities may be under any name.
    tables = any(isinstance(value, list) and value and isinstance(value[0], dict) for value in record.values())
    return not record.get("ents") and not tables and not others & record.keys()


def _is_semeval(sample: Sample) -> bool:
    return bool(sample.lines) and _SEMEVAL.match(sample.lines[0]) is not None


def _is_docred(sample: Sample) -> bool:
    return sample.has_object(lambda record: {"sents", "vertexSet"} <= record.keys())


_ALL = (
    Format(
        "jsonl",
        "the interchange format, JSONL",
        _is_interchange,
        lambda path, nlp, spans_key, split_tokens, on_error, **settings: read_jsonl(
            path, nlp, spans_key=spans_key, split_tokens=split_tokens, on_error=on_error
        ),
        lambda docs, path, spans_key, **settings: write_jsonl(docs, path, spans_key=spans_key),
    ),
    Format(
        "semeval",
        "SemEval-2010 Task 8",
        _is_semeval,
        lambda path, nlp, on_error, **settings: read_semeval(path, nlp, on_error=on_error),
        write_semeval,
    ),
    Format(
        "docred",
        "DocRED and Re-DocRED, JSON",
        _is_docred,
        lambda path, nlp, spans_key, relation_names, on_error, **settings: read_docred(
            path, nlp, spans_key=spans_key, relation_names=relation_names, on_error=on_error
        ),
        lambda docs, path, spans_key, relation_names, **settings: write_docred(
            docs, path, spans_key=spans_key, relation_names=relation_names
        ),
    ),
    # Both are read as "docred"; what was first written under that name are answers for the leaderboard.
    Format("docred-docs", "documents of DocRED, JSON", lambda sample: False, write=write_docred_documents),
    PRODIGY,
    BRAT,
    LABEL_STUDIO,
    DOCCANO,
    SPACY_LLM,
    TACRED,
    SPERT,
    PUBTATOR,
    BIOC,
    WEBANNO,
    UIMA,
    SPACY_REL,
    GLIREL,
)
FORMATS: Dict[str, Format] = {format_.name: format_ for format_ in _ALL}
READERS: Dict[str, Reader] = {format_.name: format_.read for format_ in _ALL if format_.read is not None}
WRITERS: Dict[str, Writer] = {format_.name: format_.write for format_ in _ALL if format_.write is not None}


def recognise(path: Union[str, Path]) -> str:
    """Find the format of a file or folder from what it holds, and not from its ending.

    path (Union[str, Path]): the file or folder.
    RETURNS (str): the format's name. A ValueError that says what was found is raised where that fits none, or several.
    """
    sample = take_sample(existing_path(path))
    found = [name for name in READERS if FORMATS[name].matches(sample)]
    if len(found) == 1:
        return found[0]
    looks = f"like {' and '.join(found)} at once" if found else "like no format that is known"
    known = ", ".join(f"{name} ({FORMATS[name].title})" for name in READERS)
    raise ValueError(Errors.R340.format(path=path, looks=looks, found=describe(sample), known=known))
