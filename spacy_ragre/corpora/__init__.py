"""Corpora of relations: readers of their formats, converters and the reader for training."""

from .convert import convert, convert_split, export_docs
from .counts import CorpusCounts
from .docred import read_docred, write_docred
from .jsonl import doc_from_dict, doc_to_dict, read_jsonl, write_jsonl
from .reader import Corpus, create_corpus, split
from .semeval import SEMEVAL_LABELS, read_semeval
from .tacred import TACRED_WORDS, read_tacred, read_tacred_patch

__all__ = [
    "Corpus",
    "CorpusCounts",
    "SEMEVAL_LABELS",
    "TACRED_WORDS",
    "convert",
    "convert_split",
    "create_corpus",
    "doc_from_dict",
    "doc_to_dict",
    "export_docs",
    "read_docred",
    "read_jsonl",
    "read_semeval",
    "read_tacred",
    "read_tacred_patch",
    "split",
    "write_docred",
    "write_jsonl",
]
