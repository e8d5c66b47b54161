"""`open_entities`: entities of the types that are named, without training.

Where a recogniser such as en_core_web_sm's has a fixed list of types, this one reads yours: "DRUG", "VESSEL", or words
that say what is meant. It comes before what reads `doc.ents`.
"""

import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import srsly
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import minibatch
from spacy.vocab import Vocab

from ...entity_types import ONTONOTES
from ...errors import Errors, Warnings
from ...files import file_hash
from ..relations.open_tokens import type_words
from .finder import EntityFinder

BUNDLED_WEIGHTS = "open"
FILE = "open_entities"
WEIGHTS = Path(__file__).parents[2] / "weights"
BATCH = 32

Scorer = Callable[..., Dict[str, Any]]


@Language.factory(
    "open_entities",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config={
        "types": sorted(ONTONOTES),
        "weights": BUNDLED_WEIGHTS,
        "caution": None,
        "scorer": {"@scorers": "spacy.ner_scorer.v1"},
    },
    # Shown, and of no weight: it does not learn, so that it must not decide which state of a training is best.
    default_score_weights={"ents_f": 0.0, "ents_p": None, "ents_r": None, "ents_per_type": None},
)
def make_open_entities(
    nlp: Language,
    name: str,
    types: Union[List[str], Dict[str, str]],
    weights: str,
    caution: Optional[float],
    scorer: Optional[Scorer],
) -> "OpenEntities":
    """Build the component.

    types (Union[List[str], Dict[str, str]]): the entity types to find, or types with words that say what is meant:
        {"VULN": "software vulnerability"}. The words of a name are used otherwise: "business unit" of BusinessUnit.
        All of OntoNotes by default, as spaCy's English pipelines have them.
    weights (str): "open" for those that come with the package, or a folder with others.
    caution (Optional[float]): log-odds against an entity at every word: the higher, the fewer and surer entities. That
        of the weights where null.
    scorer (Optional[Callable]): the scoring method.
    """
    return OpenEntities(nlp.vocab, name, types=types, weights=weights, caution=caution, scorer=scorer)


class OpenEntities(Pipe):
    """Finds entities and adds them to `doc.ents`. Entities that are there stay, and what would overlap one is left out.

    vocab (Vocab): the shared vocabulary.
    name (str): the component's name.
    types (Union[Sequence[str], Mapping[str, str]]): the entity types to find, or types with words for each.
    weights (str): "open" for those of the package, or a folder with others. They are loaded at first use.
    caution (Optional[float]): log-odds against an entity at every word; that of the weights where None.
    scorer (Optional[Callable]): the scoring method.
    """

    def __init__(
        self,
        vocab: Vocab,
        name: str = "open_entities",
        *,
        types: Union[Sequence[str], Mapping[str, str]] = tuple(sorted(ONTONOTES)),
        weights: str = BUNDLED_WEIGHTS,
        caution: Optional[float] = None,
        scorer: Optional[Scorer] = None,
    ) -> None:
        given = types if isinstance(types, Mapping) else {type_: "" for type_ in types}
        wrong = [type_ for type_, words in given.items() if not (_is_text(type_) and isinstance(words, str))]
        if wrong or not given or isinstance(types, str):
            raise ValueError(Errors.R643.format(name=name, types=types))
        self.vocab = vocab
        self.name = name
        self.types = {type_: words.strip() or type_words(type_) for type_, words in given.items()}
        same = [type_ for type_, words in self.types.items() if list(self.types.values()).count(words) > 1]
        if same and not set(same) <= ONTONOTES:
            warnings.warn(Warnings.W642.format(name=name, types=", ".join(same)), stacklevel=2)
        if vocab.lang not in ("en", ""):
            warnings.warn(Warnings.W643.format(name=name, lang=vocab.lang), stacklevel=2)
        self.weights = weights
        self.caution = caution
        self.scorer = scorer
        self._finder: Optional[EntityFinder] = None
        self._read: Any = None
        self._known_caution = 0.0

    @property
    def labels(self) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): the types that it finds."""
        return tuple(self.types)

    def __reduce__(self) -> Tuple[Any, ...]:
        # Another process loads the weights itself.
        settings = dict(types=self.types, weights=self.weights, caution=self.caution, scorer=self.scorer)
        return _remake, (self.vocab, self.name, settings, self.get_error_handler())

    def __call__(self, doc: Doc) -> Doc:
        """doc (Doc): the document.
        RETURNS (Doc): the same, with more entities.
        """
        return next(iter(self.pipe([doc])), doc)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = BATCH) -> Iterator[Doc]:
        """stream (Iterable[Doc]): the documents.
        batch_size (int): documents of a batch, which are read together.
        YIELDS (Doc): the documents, in order. Where a batch fails, its documents are read one by one, so that only
            those that fail themselves go to the error handler.
        """
        handler: Callable[..., Any] = self.get_error_handler()
        for docs in minibatch(stream, size=batch_size):
            try:
                self.set_annotations(docs, self.predict(docs))
            except Exception as error:  # the handler decides
                if len(docs) > 1:
                    yield from self.pipe(docs, batch_size=1)
                else:
                    handler(self.name, self, docs, error)
            else:
                yield from docs

    def predict(self, docs: Sequence[Doc]) -> List[List[Tuple[int, int, str]]]:
        """docs (Sequence[Doc]): documents, which do not change.
        RETURNS (List[List[Tuple[int, int, str]]]): of each the entities that are found: first token, the one after the
            last, and type.
        """
        finder = self._load()
        names = self.labels
        words = [[(token.idx, token.idx + len(token)) for token in doc] for doc in docs]
        caution = self._known_caution if self.caution is None else self.caution
        found = finder.find([doc.text for doc in docs], words, self._read, caution=caution)
        return [[(ent.start, ent.end, names[ent.type]) for ent in ents] for ents in found]

    def set_annotations(self, docs: Sequence[Doc], found: Sequence[Sequence[Tuple[int, int, str]]]) -> None:
        """docs (Sequence[Doc]): documents.
        found (Sequence[Sequence[Tuple[int, int, str]]]): what `predict` gave for them.
        """
        for doc, ents in zip(docs, found):
            taken = {token.i for ent in doc.ents for token in ent}
            free = [Span(doc, first, last, type_) for first, last, type_ in ents if not taken & set(range(first, last))]
            doc.set_ents([*doc.ents, *free])

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): what the scorer gives."""
        return self.scorer(examples, **kwargs) if self.scorer is not None else {}

    def _load(self) -> EntityFinder:
        if self._finder is None:
            folder = WEIGHTS if self.weights == BUNDLED_WEIGHTS else Path(self.weights)
            file, about = folder / f"{FILE}.safetensors", folder / f"{FILE}.json"
            missing = [path.name for path in (file, about) if not path.exists()]
            if missing:
                raise ValueError(Errors.R644.format(name=self.name, folder=folder, missing=" and ".join(missing)))
            known = srsly.read_json(about)
            if file_hash(file) != known["sha256"]:
                raise ValueError(Errors.R120.format(file=file))
            self._known_caution = float(known["caution"])
            finder = EntityFinder.load(file)
            self._read = finder.read_types(list(self.types.values()))
            self._finder = finder
        return self._finder


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _remake(vocab: Vocab, name: str, settings: Dict[str, Any], handler: Callable[..., Any]) -> OpenEntities:
    pipe = OpenEntities(vocab, name, **settings)
    pipe.set_error_handler(handler)
    return pipe
