"""The corpus reader for training and evaluation, and the split of documents into two parts."""

import random
import zlib
from copy import deepcopy
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, Optional, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example
from spacy.vocab import Vocab

from ..errors import Errors
from ..registry import registry
from ..relations import CLUSTERS_KEY, ID_KEY, LABELS_KEY, PAIRS_KEY
from .files import existing_path

FILE_TYPE = ".spacy"


@registry.readers("ragre.Corpus.v1")
def create_corpus(
    path: Optional[Path], gold_ents: bool = True, limit: int = 0, seed: int = 0, shuffle: bool = False
) -> Callable[[Language], Iterable[Example]]:
    """Create the reader of a corpus.

    path (Optional[Path]): a .spacy file, or a folder with such files.
    gold_ents (bool): give the entities, entity clusters and, where the corpus says which pairs it asks about, candidate
        pairs to the components. False to have them predicted.
    limit (int): read a subset of this size, picked by the seed and the same in each epoch; 0 for all.
    seed (int): of the subset and the shuffling.
    shuffle (bool): shuffle the documents anew in each epoch.
    RETURNS (Callable[[Language], Iterable[Example]]): the reader.
    """
    if path is None:
        raise ValueError(Errors.R417)
    return Corpus(path, gold_ents=gold_ents, limit=limit, seed=seed, shuffle=shuffle)


class Corpus:
    """Iterate over the Examples of a .spacy file, or of a folder with such files.

    In an Example, the predicted document has the tokens of the reference and, with `gold_ents`, its entities, span
    groups, entity clusters, candidate pairs and sentence borders: the components are asked for the relations only.
    Empty documents are left out.

    path (Union[str, Path]): the file or folder.
    gold_ents (bool): give the entities to the predicted document.
    limit (int): read a subset of this size, picked by the seed and the same in each epoch; 0 for all.
    seed (int): of the subset and the shuffling.
    shuffle (bool): shuffle the documents anew in each epoch.
    """

    def __init__(
        self, path: Union[str, Path], *, gold_ents: bool = True, limit: int = 0, seed: int = 0, shuffle: bool = False
    ) -> None:
        self.path = Path(path)
        self.gold_ents = gold_ents
        self.limit = limit
        self.seed = seed
        self.shuffle = shuffle
        self._shuffler = random.Random(seed)

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """nlp (Language): its Vocab is used.
        YIELDS (Example): the examples.
        """
        docs: Iterable[Doc] = (doc for doc in read_docs(self.path, nlp.vocab) if len(doc))
        if self.limit or self.shuffle:
            docs = list(docs)
            if 0 < self.limit < len(docs):
                chosen = random.Random(self.seed).sample(range(len(docs)), self.limit)
                docs = [docs[i] for i in sorted(chosen)]
            if self.shuffle:
                self._shuffler.shuffle(docs)
        for reference in docs:
            predicted = copy_input(reference, gold_ents=self.gold_ents)
            if self.gold_ents:
                # A recogniser that comes before the component adds none to those that are given.
                predicted.set_ents(list(predicted.ents), default="blocked")
            yield Example(predicted, reference)


def read_docs(path: Union[str, Path], vocab: Vocab) -> Iterator[Doc]:
    """Read the documents of a .spacy file, or of a folder with such files, sorted by path.

    path (Union[str, Path]): the file or folder.
    vocab (Vocab): the vocabulary of the documents.
    YIELDS (Doc): the documents. A missing path, a folder without .spacy files and a damaged file raise errors.
    """
    path = existing_path(path)
    paths = sorted(path.rglob(f"*{FILE_TYPE}")) if path.is_dir() else [path]
    if not paths:
        raise ValueError(Errors.R416.format(path=path))
    for file_path in paths:
        yield from read_doc_bin(file_path).get_docs(vocab)


def read_doc_bin(path: Path) -> DocBin:
    """RETURNS (DocBin): what a .spacy file holds. A ValueError is raised where it is damaged."""
    try:
        return DocBin().from_disk(path)
    # What a truncated file raises depends on where it ends: zlib's and msgpack's errors, or a missing key.
    except (zlib.error, ValueError, KeyError, TypeError) as err:
        raise ValueError(Errors.R415.format(path=path, problem=err)) from err


def copy_input(reference: Doc, *, gold_ents: bool = True) -> Doc:
    """A document with the tokens, the id and the annotated labels of another one and, if asked for, its entities: what
    a component may see.

    reference (Doc): the annotated document.
    gold_ents (bool): copy entities, span groups, entity clusters, candidate pairs and sentence borders, too.
    RETURNS (Doc): the new document, without relations, triples and usage.
    """
    spaces = None if reference.has_unknown_spaces else [bool(token.whitespace_) for token in reference]
    doc = Doc(reference.vocab, words=[token.text for token in reference], spaces=spaces)
    keys = (ID_KEY, LABELS_KEY, CLUSTERS_KEY, PAIRS_KEY) if gold_ents else (ID_KEY, LABELS_KEY)
    for key in keys:
        if key in reference.user_data:
            doc.user_data[key] = deepcopy(reference.user_data[key])
    if gold_ents:
        if reference.has_annotation("SENT_START"):
            for token, source in zip(doc, reference):
                token.is_sent_start = source.is_sent_start
        doc.ents = tuple(_copy_span(doc, ent) for ent in reference.ents)
        for name, group in reference.spans.items():
            spans = [_copy_span(doc, span) for span in group]
            doc.spans[name] = SpanGroup(doc, name=name, attrs=deepcopy(group.attrs), spans=spans)
    return doc


def _copy_span(doc: Doc, span: Span) -> Span:
    return Span(doc, span.start, span.end, label=span.label, kb_id=span.kb_id, span_id=span.id)


def split(docs: Iterable[Doc], share: float, seed: int = 0) -> Tuple[List[Doc], List[Doc]]:
    """Put a share of documents aside, by chance but the same for the same seed. The order is kept in both parts.

    docs (Iterable[Doc]): the documents.
    share (float): the share to put aside, between 0 and 1.
    seed (int): of the choice.
    RETURNS (Tuple[List[Doc], List[Doc]]): the rest, and the share. Neither is empty, however few documents there are.
    """
    docs = list(docs)
    if not 0 < share < 1 or len(docs) < 2:
        raise ValueError(Errors.R418.format(share=share, count=len(docs)))
    count = min(max(round(len(docs) * share), 1), len(docs) - 1)
    aside = set(random.Random(seed).sample(range(len(docs)), count))
    rest = [doc for i, doc in enumerate(docs) if i not in aside]
    return rest, [docs[i] for i in sorted(aside)]
