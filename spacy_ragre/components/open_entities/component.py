"""`open_entities`: entities of the types that are named, without training.

Where a recogniser such as en_core_web_sm's has a fixed list of types, this one reads yours: "DRUG", "VESSEL", or words
that say what is meant. It comes before what reads `doc.ents`.
"""

import logging
import math
import warnings
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import srsly
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import minibatch
from spacy.vocab import Vocab

from ...corpora.tokens import blocked_tokens
from ...entity_types import ONTONOTES
from ...errors import Errors, Warnings
from ...files import file_hash
from ...labels import lost_in_config
from ...training.locks import use_own_threads
from ..relations.open_tokens import type_words
from .finder import MAX_TYPE_TOKENS, EntityFinder

logger = logging.getLogger(__name__)

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
    lost = lost_in_config(types)
    if lost:
        raise ValueError(Errors.R645.format(name=name, types=", ".join(map(repr, lost))))
    if weights == BUNDLED_WEIGHTS and nlp.lang != "en":
        warnings.warn(Warnings.W643.format(name=name, lang=nlp.lang), stacklevel=2)
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
        words = _words_of(types)
        if not words or not all(map(_has_word, words.values())):
            raise ValueError(Errors.R643.format(name=name, types=types))
        if not (isinstance(weights, str) and weights.strip()):
            wanted = "Give 'open' for the weights that come with the package, or a folder with others."
            raise ValueError(Errors.R646.format(name=name, setting="weights", value=weights, wanted=wanted))
        if caution is not None and not (isinstance(caution, (int, float)) and math.isfinite(caution)):
            wanted = "Give a number, such as 1.0, or null for that of the weights."
            raise ValueError(Errors.R646.format(name=name, setting="caution", value=caution, wanted=wanted))
        self.vocab = vocab
        self.name = name
        #: The types with their words. They stay as they are: what was read of them is kept.
        self.types: Mapping[str, str] = MappingProxyType(words)
        # Of OntoNotes' own, CARDINAL and ORDINAL are both numbers.
        same = [type_ for type_, text in words.items() if type_ not in ONTONOTES and [*words.values()].count(text) > 1]
        if same:
            warnings.warn(Warnings.W642.format(name=name, types=", ".join(same)), stacklevel=2)
        self._weights = weights
        self._caution = caution
        self.scorer = scorer
        self._finder: Optional[EntityFinder] = None
        self._read: Any = None
        self._known_caution = 0.0

    @property
    def labels(self) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): the types that it finds."""
        return tuple(self.types)

    @property
    def weights(self) -> str:
        """RETURNS (str): as it was set. A setting stays as the config has it, which is what is saved."""
        return self._weights

    @property
    def caution(self) -> Optional[float]:
        """RETURNS (Optional[float]): as it was set; see `weights`."""
        return self._caution

    def __reduce__(self) -> Tuple[Any, ...]:
        # Another process loads the weights itself.
        settings = dict(types=dict(self.types), weights=self.weights, caution=self.caution, scorer=self.scorer)
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
        self._load()  # no document is at fault where this fails
        for docs in minibatch(stream, size=batch_size):
            failed = False
            try:
                self.set_annotations(docs, self.predict(docs))
            except Exception as error:  # the handler decides
                failed = True
                if len(docs) == 1:
                    handler(self.name, self, docs, error)
                else:
                    logger.warning("%s: %d documents failed (%r) and are read one by one", self.name, len(docs), error)
            if not failed:
                yield from docs
            elif len(docs) > 1:
                yield from self.pipe(docs, batch_size=1)

    def predict(self, docs: Sequence[Doc]) -> List[List[Tuple[int, int, str]]]:
        """docs (Sequence[Doc]): documents, which do not change.
        RETURNS (List[List[Tuple[int, int, str]]]): of each the entities that are found: first token, the one after the
            last, and type.
        """
        finder = self._load()
        names = self.labels
        caution = self._known_caution if self.caution is None else self.caution
        found = []
        for part in minibatch(docs, size=BATCH):  # scores of all words and types are kept until a part is read
            words = [[(token.idx, token.idx + len(token)) for token in doc] for doc in part]
            found += finder.find([doc.text for doc in part], words, self._read, caution=caution)
        return [[(ent.start, ent.end, names[ent.type]) for ent in ents] for ents in found]

    def set_annotations(self, docs: Sequence[Doc], found: Sequence[Sequence[Tuple[int, int, str]]]) -> None:
        """docs (Sequence[Doc]): documents.
        found (Sequence[Sequence[Tuple[int, int, str]]]): what `predict` gave for them.
        """
        for doc, ents in zip(docs, found):
            blocked = blocked_tokens(doc)
            taken = {token.i for span in (*doc.ents, *blocked) for token in span}
            free = [Span(doc, first, last, type_) for first, last, type_ in ents if not taken & set(range(first, last))]
            doc.set_ents([*doc.ents, *free], blocked=blocked)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): what the scorer gives."""
        return self.scorer(examples, **kwargs) if self.scorer is not None else {}

    def _load(self) -> EntityFinder:
        use_own_threads()
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
            cut = [type_ for type_, words in self.types.items() if finder.is_cut(words)]
            if cut:
                warned = Warnings.W645.format(name=self.name, types=", ".join(cut), limit=MAX_TYPE_TOKENS)
                warnings.warn(warned, stacklevel=4)
            self._read = finder.read_types(list(self.types.values()))
            self._finder = finder
        return self._finder


def _words_of(types: Any) -> Dict[str, str]:
    """RETURNS (Dict[str, str]): the words of each type; nothing where what is given is no list or table of types."""
    if not isinstance(types, (Mapping, list, tuple)):
        return {}
    given = types if isinstance(types, Mapping) else {type_: "" for type_ in types}
    if not all(isinstance(part, str) for item in given.items() for part in item):
        return {}
    return {type_.strip(): words.strip() or type_words(type_) for type_, words in given.items()}


def _has_word(text: str) -> bool:
    return any(map(str.isalnum, text))


def _remake(vocab: Vocab, name: str, settings: Dict[str, Any], handler: Callable[..., Any]) -> OpenEntities:
    pipe = OpenEntities(vocab, name, **settings)
    pipe.set_error_handler(handler)
    return pipe
