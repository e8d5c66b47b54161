"""Corpora to .spacy files, and back."""

from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, Iterator, Optional, Tuple, Union

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from ..errors import Errors
from ..files import atomic_write
from .counts import CorpusCounts
from .docred import Names, read_docred, write_docred
from .files import OnError
from .jsonl import read_jsonl, write_jsonl
from .reader import read_docs, split
from .semeval import read_semeval
from .tokens import get_nlp

# A converted corpus has tokens, sentences and entities: the attributes of a tagger or a parser would only take room.
ATTRS = ("ORTH", "SPACY", "NORM", "SENT_START", "ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID")

# Each takes all settings of `convert` and uses those that its format has.
Reader = Callable[..., Iterator[Doc]]
Writer = Callable[..., int]

READERS: Dict[str, Reader] = {
    "semeval": lambda path, nlp, on_error, **settings: read_semeval(path, nlp, on_error=on_error),
    "jsonl": lambda path, nlp, spans_key, split_tokens, on_error, **settings: read_jsonl(
        path, nlp, spans_key=spans_key, split_tokens=split_tokens, on_error=on_error
    ),
    "docred": lambda path, nlp, spans_key, relation_names, on_error, **settings: read_docred(
        path, nlp, spans_key=spans_key, relation_names=relation_names, on_error=on_error
    ),
}
WRITERS: Dict[str, Writer] = {
    "jsonl": lambda docs, path, spans_key, **settings: write_jsonl(docs, path, spans_key=spans_key),
    "docred": write_docred,
}


def convert(
    input_path: Union[str, Path],
    output_path: Union[str, Path],
    format: str,
    nlp: Optional[Language] = None,
    *,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    relation_names: Names = None,
    on_error: Optional[OnError] = None,
    counts: Optional[CorpusCounts] = None,
) -> int:
    """Convert a corpus to a .spacy file. The file appears under its name only when it is whole.

    input_path (Union[str, Path]): the corpus.
    output_path (Union[str, Path]): the .spacy file to write.
    format (str): the format of the corpus, "semeval", "jsonl" or "docred".
    nlp (Optional[Language]): its tokenizer is used; blank English by default.
    spans_key (Optional[str]): for "jsonl" and "docred": keep entities in `doc.spans[spans_key]`, where they may
        overlap.
    split_tokens (bool): for "jsonl": cut tokens where an entity begins or ends inside one.
    relation_names (Union[str, Path, Mapping[str, str], None]): for "docred": relation ids with their names, or a JSON
        file that has them; `rel_info.json` next to the corpus if None.
    on_error (Optional[OnError]): is given the place of a record that can't be read, the record and what is wrong with
        it; the rest is converted. Problems are gathered and raised where None.
    counts (Optional[CorpusCounts]): where what is written is counted.
    RETURNS (int): how many documents were written. A corpus without documents raises a ValueError.
    """
    docs = _read(
        input_path,
        format,
        nlp,
        counts,
        spans_key=spans_key,
        split_tokens=split_tokens,
        relation_names=relation_names,
        on_error=on_error,
    )
    with atomic_write(output_path) as file_:
        return _write_docbin(docs, file_)


def convert_split(
    input_path: Union[str, Path],
    train_path: Union[str, Path],
    dev_path: Union[str, Path],
    format: str,
    dev_share: float = 0.1,
    seed: int = 0,
    nlp: Optional[Language] = None,
    *,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    relation_names: Names = None,
    on_error: Optional[OnError] = None,
    counts: Optional[CorpusCounts] = None,
) -> Tuple[int, int]:
    """Convert a corpus that has no development set to two .spacy files.

    input_path (Union[str, Path]): the corpus.
    train_path (Union[str, Path]): the .spacy file to write the larger part to.
    dev_path (Union[str, Path]): the .spacy file to write the share to.
    format (str): the format of the corpus, "semeval", "jsonl" or "docred".
    dev_share (float): the share of the documents that goes to `dev_path`.
    seed (int): of the choice.
    nlp, spans_key, split_tokens, relation_names, on_error, counts: as for `convert`; both files are counted together.
    RETURNS (Tuple[int, int]): how many documents were written to each file.
    """
    docs = _read(
        input_path,
        format,
        nlp,
        counts,
        spans_key=spans_key,
        split_tokens=split_tokens,
        relation_names=relation_names,
        on_error=on_error,
    )
    train, dev = split(docs, dev_share, seed)
    with atomic_write(train_path) as train_file, atomic_write(dev_path) as dev_file:
        return _write_docbin(train, train_file), _write_docbin(dev, dev_file)


def export_docs(
    docs_path: Union[str, Path],
    output_path: Union[str, Path],
    format: str = "jsonl",
    *,
    spans_key: Optional[str] = None,
    relation_names: Names = None,
) -> int:
    """Write the documents of a .spacy file, or of a folder with such files, in another format.

    docs_path (Union[str, Path]): the file or folder.
    output_path (Union[str, Path]): the file to write.
    format (str): the format to write, "jsonl" or "docred" (the submission format).
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    relation_names (Union[str, Path, Mapping[str, str], None]): for "docred": relation ids with their names, or a JSON
        file that has them; `rel_info.json` next to the output if None.
    RETURNS (int): how many documents were written. A file without documents raises a ValueError.
    """
    if format not in WRITERS:
        raise ValueError(Errors.R414.format(format=format, known=", ".join(WRITERS)))
    docs = not_empty(read_docs(docs_path, spacy.blank("xx").vocab), docs_path)
    return WRITERS[format](docs, output_path, spans_key=spans_key, relation_names=relation_names)


def _read(
    path: Union[str, Path], format: str, nlp: Optional[Language], counts: Optional[CorpusCounts], **settings: Any
) -> Iterator[Doc]:
    if format not in READERS:
        raise ValueError(Errors.R414.format(format=format, known=", ".join(READERS)))
    docs = not_empty(READERS[format](path, get_nlp(nlp), **settings), path)
    return docs if counts is None else counts.counting(docs, settings["spans_key"])


def not_empty(docs: Iterable[Doc], path: Union[str, Path]) -> Iterator[Doc]:
    """YIELDS (Doc): the documents; a ValueError is raised at the end where there was none."""
    empty = True
    for doc in docs:
        empty = False
        yield doc
    if empty:
        raise ValueError(Errors.R334.format(path=path))


def _write_docbin(docs: Iterable[Doc], file_: IO[bytes]) -> int:
    doc_bin = DocBin(attrs=ATTRS, store_user_data=True)
    for doc in docs:
        doc_bin.add(doc)
    file_.write(doc_bin.to_bytes())
    return len(doc_bin)
