"""Corpora to .spacy files, and back."""

import warnings
from itertools import chain
from pathlib import Path
from typing import IO, Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple, TypeVar, Union

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from ..errors import Errors, Warnings
from ..files import atomic_write, check_outputs
from .counts import CorpusCounts
from .docred import Names
from .files import OnError, existing_path
from .formats import FORMATS, READERS, WRITERS, recognise
from .reader import read_docs, split
from .records import OVERLAP_KEY
from .tacred import TACRED
from .tokens import get_nlp

DOCRED = "docred"

# A converted corpus has tokens, sentences and entities: the attributes of a tagger or a parser would only take room.
ATTRS = ("ORTH", "SPACY", "NORM", "SENT_START", "ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID")

T = TypeVar("T")


def convert(
    input_path: Union[str, Path],
    output_path: Union[str, Path],
    format: Optional[str] = None,
    nlp: Optional[Language] = None,
    *,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    relation_names: Names = None,
    patch: Union[str, Path, None] = None,
    on_error: Optional[OnError] = None,
    counts: Optional[CorpusCounts] = None,
) -> int:
    """Convert a corpus to a .spacy file. The file appears under its name only when it is whole.

    input_path (Union[str, Path]): the corpus.
    output_path (Union[str, Path]): the .spacy file to write.
    format (Optional[str]): the format of the corpus, one of `spacy_ragre.corpora.formats.READERS`. If None, it is found
        from what the corpus holds.
    nlp (Optional[Language]): its tokenizer is used; blank English by default.
    spans_key (Optional[str]): keep entities in `doc.spans[spans_key]`, where they may overlap. If None, formats of
        annotation tools keep them in `doc.spans["entities"]` where any overlap, and the longer ones in `doc.ents`.
    split_tokens (bool): for "jsonl": cut tokens where an entity begins or ends inside one, as other formats always do.
    relation_names (Union[str, Path, Mapping[str, str], None]): for "docred": relation ids with their names, or a JSON
        file that has them; `rel_info.json` next to the corpus if None.
    patch (Union[str, Path, None]): for "tacred": the patch of TACREV or Re-TACRED for this file.
    on_error (Optional[OnError]): is given the place of a record that can't be read, the record and what is wrong with
        it; the rest is converted. Problems are gathered and raised where None.
    counts (Optional[CorpusCounts]): where what is written is counted, and what could not be kept; if None, a warning
        tells of the latter.
    RETURNS (int): how many documents were written. A corpus without documents raises a ValueError, as does an output
        that is one of the files that are read.
    """
    check_outputs(_inputs(input_path, relation_names, patch), {"output": output_path})
    docs = _read(
        input_path,
        format,
        nlp,
        counts,
        spans_key=spans_key,
        split_tokens=split_tokens,
        relation_names=relation_names,
        patch=patch,
        on_error=on_error,
    )
    with atomic_write(output_path) as file_:
        return _write_docbin(docs, file_)


def convert_split(
    input_path: Union[str, Path],
    train_path: Union[str, Path],
    dev_path: Union[str, Path],
    format: Optional[str] = None,
    dev_share: float = 0.1,
    seed: int = 0,
    nlp: Optional[Language] = None,
    *,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    relation_names: Names = None,
    patch: Union[str, Path, None] = None,
    on_error: Optional[OnError] = None,
    counts: Optional[CorpusCounts] = None,
) -> Tuple[int, int]:
    """Convert a corpus that has no development set to two .spacy files.

    input_path (Union[str, Path]): the corpus.
    train_path (Union[str, Path]): the .spacy file to write the larger part to.
    dev_path (Union[str, Path]): the .spacy file to write the share to.
    format (Optional[str]): the format of the corpus, one of `spacy_ragre.corpora.formats.READERS`. If None, it is found
        from what the corpus holds.
    dev_share (float): the share of the documents that goes to `dev_path`.
    seed (int): of the choice.
    nlp, spans_key, split_tokens, relation_names, patch, on_error, counts: as for `convert`; both files are counted
        together.
    RETURNS (Tuple[int, int]): how many documents were written to each file. Files that are the same raise a ValueError.
    """
    check_outputs(_inputs(input_path, relation_names, patch), {"output": train_path, "development set": dev_path})
    docs = _read(
        input_path,
        format,
        nlp,
        counts,
        spans_key=spans_key,
        split_tokens=split_tokens,
        relation_names=relation_names,
        patch=patch,
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
    counts: Optional[CorpusCounts] = None,
) -> int:
    """Write the documents of a .spacy file, or of a folder with such files, in another format.

    docs_path (Union[str, Path]): the file or folder.
    output_path (Union[str, Path]): the file to write; for "brat", "webanno" and "uima" the folder.
    format (str): the format to write, one of `spacy_ragre.corpora.formats.WRITERS`; "docred" is the submission format,
        "docred-docs" that of the documents.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`. If None, they are
        taken from `doc.spans["entities"]` where the first document has these, as `convert` leaves it.
    relation_names (Union[str, Path, Mapping[str, str], None]): for "docred": relation ids with their names, or a JSON
        file that has them; `rel_info.json` next to the output if None.
    counts (Optional[CorpusCounts]): where what the format can't hold is counted; if None, a warning tells of it.
    RETURNS (int): how many documents were written. A file without documents raises a ValueError, as does an output that
        is one of the files that are read.
    """
    write = _known(format, WRITERS)
    check_outputs(_inputs(docs_path, relation_names), {"output": output_path})
    docs = not_empty(read_docs(docs_path, spacy.blank("xx").vocab), docs_path)
    first = next(docs)
    if spans_key is None and OVERLAP_KEY in first.spans:
        spans_key = OVERLAP_KEY
    told = CorpusCounts() if counts is None else counts
    count = write(
        chain([first], docs), output_path, spans_key=spans_key, relation_names=relation_names, dropped=told.dropped
    )
    if counts is None:
        _warn_of_dropped(told, output_path)
    return count


def _inputs(path: Union[str, Path], relation_names: Names, patch: Union[str, Path, None] = None) -> Dict[str, object]:
    """RETURNS (Dict[str, object]): what is read, for `check_outputs`."""
    return {"input": path, "relation names": relation_names, "patch": patch}


def _read(
    path: Union[str, Path],
    format: Optional[str],
    nlp: Optional[Language],
    counts: Optional[CorpusCounts],
    **settings: Any,
) -> Iterator[Doc]:
    name = recognise(path) if format is None else format
    read = _known(name, READERS)
    if settings["relation_names"] is not None and name != DOCRED:
        raise ValueError(Errors.R619.format(format=name, option="relation_names", known=DOCRED))
    if settings["patch"] is not None and name != TACRED.name:
        raise ValueError(Errors.R619.format(format=name, option="patch", known=TACRED.name))
    told = CorpusCounts() if counts is None else counts
    told.format = FORMATS[name].title if format is None else ""
    docs = read(existing_path(path), get_nlp(nlp), counts=told, **settings)
    docs = told.counting(not_empty(docs, path), settings["spans_key"])
    return docs if counts is not None else _warning(docs, told, path)


def _known(format: str, known: Mapping[str, T]) -> T:
    if format not in known:
        raise ValueError(Errors.R414.format(format=format, known=", ".join(known)))
    return known[format]


def _warning(docs: Iterable[Doc], counts: CorpusCounts, path: Union[str, Path]) -> Iterator[Doc]:
    yield from docs
    _warn_of_dropped(counts, path)


def _warn_of_dropped(counts: CorpusCounts, path: Union[str, Path]) -> None:
    dropped = "; ".join(counts.dropped_items())
    if dropped:
        warnings.warn(Warnings.W337.format(path=path, dropped=dropped), UserWarning, stacklevel=2)


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
