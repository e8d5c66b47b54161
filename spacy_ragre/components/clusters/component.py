"""Which mentions name one entity, by rules: names that are written in several ways, noun phrases and pronouns."""

import warnings
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab
from thinc.api import Config

from ...coreference import coreference_clusters
from ...errors import Errors, Warnings
from ...extensions import check_extensions
from ...relations import CLUSTERS_KEY, EntityCluster, cluster_entities, entity_spans
from ..base import Scorer, mentions_warning
from ..saving import Saved
from .names import Group, is_short_for, join_names
from .phrases import Entity, find_phrases
from .words import KINDS, VALUE

DEFAULT_CONFIG = """
[entity_clusterer]
partial_names = true
acronyms = true
demonyms = false
noun_phrases = true
pronouns = true
max_sentences = 3
kinds = {}
nouns = {}
spans_key = null

[entity_clusterer.scorer]
@scorers = "ragre.cluster_scorer.v1"
"""

_CONFIG = Config().from_str(DEFAULT_CONFIG)["entity_clusterer"]

# A mention: token offsets, end exclusive, and its entity type, "" of one that is no entity.
Mention = Tuple[int, int, str]


@Language.factory(
    "entity_clusterer",
    assigns=["doc._.entity_clusters"],
    requires=["doc.ents"],
    default_config=_CONFIG,
    default_score_weights={"clusters_f": 1.0, "clusters_p": None, "clusters_r": None},
)
def make_entity_clusterer(
    nlp: Language,
    name: str,
    partial_names: bool,
    acronyms: bool,
    demonyms: bool,
    noun_phrases: bool,
    pronouns: bool,
    max_sentences: int,
    kinds: Dict[str, str],
    nouns: Dict[str, List[str]],
    spans_key: Optional[str],
    scorer: Optional[Scorer],
) -> "EntityClusterer":
    """Build the component.

    partial_names (bool): "Curie" and "M. Curie" name "Marie Curie" where the document has her, "Johns Hopkins" names
        "Johns Hopkins University". Two persons with different full names are never joined; a surname that several have
        is that of the one who was named first.
    acronyms (bool): "WHO" names the "World Health Organization", and so does what stands in parentheses behind it and
        has its letters.
    demonyms (bool): "French" names "France", where both have an entity type of places.
    noun_phrases (bool): "the company" names a company: the one that the text calls so ("Acme is a bank"), or the only
        one that may be meant. Needs a parse.
    pronouns (bool): "she", "his", "it" and so on name an entity of fitting type and gender. Needs a parse.
    max_sentences (int): how many sentences before a noun phrase or pronoun its entity was last named, at most.
    kinds (Dict[str, str]): what your entity types stand for, such as {"FIRM": "organisation"}: person, organisation,
        place, group (peoples, parties), value (dates, numbers) or thing. The usual types are known; all others are
        things.
    nouns (Dict[str, List[str]]): nouns that stand for entities of a type, such as {"DRUG": ["medication"]}. The words
        of the type itself always do: "the drug".
    spans_key (Optional[str]): read mentions from `doc.spans[spans_key]` instead of `doc.ents`; they may overlap.
    scorer (Optional[Callable]): the scoring method.
    """
    return EntityClusterer(
        nlp.vocab,
        name,
        partial_names=partial_names,
        acronyms=acronyms,
        demonyms=demonyms,
        noun_phrases=noun_phrases,
        pronouns=pronouns,
        max_sentences=max_sentences,
        kinds=kinds,
        nouns=nouns,
        spans_key=spans_key,
        scorer=scorer,
    )


class EntityClusterer(Saved, Pipe):
    """Groups the mentions that name one entity. The arguments are those of the factory; see `make_entity_clusterer`.

    What coreference components and entity linkers have found is taken as it is, and joined by the rules; mentions with
    different ids are never joined. A document whose clusters were set already stays as it is.
    """

    partial_names: bool
    acronyms: bool
    demonyms: bool
    noun_phrases: bool
    pronouns: bool
    max_sentences: int
    kinds: Dict[str, str]
    nouns: Dict[str, List[str]]
    spans_key: Optional[str]

    def __init__(
        self,
        vocab: Vocab,
        name: str = "entity_clusterer",
        *,
        partial_names: bool = True,
        acronyms: bool = True,
        demonyms: bool = False,
        noun_phrases: bool = True,
        pronouns: bool = True,
        max_sentences: int = 3,
        kinds: Optional[Dict[str, str]] = None,
        nouns: Optional[Dict[str, List[str]]] = None,
        spans_key: Optional[str] = None,
        scorer: Optional[Scorer] = None,
    ) -> None:
        check_extensions()
        self.vocab = vocab
        self.name = name
        self.scorer = scorer
        self.cfg: Dict[str, Any] = {}
        self._warned = False
        self._apply(
            {
                "partial_names": partial_names,
                "acronyms": acronyms,
                "demonyms": demonyms,
                "noun_phrases": noun_phrases,
                "pronouns": pronouns,
                "max_sentences": max_sentences,
                "kinds": dict(kinds or {}),
                "nouns": dict(nouns or {}),
                "spans_key": spans_key,
            }
        )

    def __call__(self, doc: Doc) -> Doc:
        """Set `doc._.entity_clusters`.

        doc (Doc): the document.
        RETURNS (Doc): the same.
        """
        check_extensions()
        if CLUSTERS_KEY not in doc.user_data:
            doc._.entity_clusters = self.predict(doc)
        return doc

    def predict(self, doc: Doc) -> List[List[Mention]]:
        """Find the clusters of a document, without changing it.

        doc (Doc): the document.
        RETURNS (List[List[Tuple[int, int, str]]]): the mentions of every entity in the order of the text, the entities
            in that of their first mentions.
        """
        spans = entity_spans(doc, self.spans_key)
        if not spans:
            self._warn(mentions_warning(self.name, self.spans_key, [doc]))
            return []
        joined = self._join(doc, cluster_entities(doc, spans))
        for start, end, owner in self._phrases(doc, joined, spans):
            joined[owner].append((start, end, ""))
        return sorted((sorted(cluster) for cluster in joined), key=lambda cluster: cluster[0][:2])

    def _kind(self, label: str) -> str:
        """RETURNS (str): what an entity type stands for. Things are told apart by their types."""
        kind = self.kinds.get(label) or KINDS.get(label.upper(), _THING)
        return f"{_THING} {label}" if kind == _THING else kind

    def _join(self, doc: Doc, clusters: Sequence[EntityCluster]) -> List[List[Mention]]:
        """RETURNS (List[List[Tuple[int, int, str]]]): the clusters, those of one entity as one."""
        groups = [
            Group(
                [(span.text, self._kind(span.label_)) for span in cluster if span.label_],
                next((span.kb_id_ for span in cluster if span.kb_id_ not in ("", "NIL")), ""),
            )
            for cluster in clusters
        ]
        owners = join_names(
            groups,
            partial=self.partial_names,
            acronyms=self.acronyms,
            demonyms=self.demonyms,
            defined=list(self._defined(doc, clusters)) if self.acronyms else (),
        )
        joined: Dict[int, List[Mention]] = {}
        for owner, cluster in zip(owners, clusters):
            joined.setdefault(owner, []).extend((span.start, span.end, span.label_) for span in cluster)
        return list(joined.values())

    def _defined(self, doc: Doc, clusters: Sequence[EntityCluster]) -> Iterable[Tuple[int, int]]:
        """YIELDS (Tuple[int, int]): two clusters, one of which explains the other: "Central Bank (CB)"."""
        starts = {span.start: (i, span) for i, cluster in enumerate(clusters) for span in cluster if span.label_}
        for i, cluster in enumerate(clusters):
            for span in cluster:
                if not span.label_ or self._kind(span.label_) == VALUE or span.end + 1 >= len(doc):
                    continue
                j, other = starts.get(span.end + 1, (i, span))
                closed = doc[span.end].text == "(" and other.end < len(doc) and doc[other.end].text == ")"
                if closed and self._kind(other.label_) != VALUE:
                    if is_short_for(other.text, span.text) or is_short_for(span.text, other.text):
                        yield i, j

    def _phrases(
        self, doc: Doc, clusters: Sequence[Sequence[Mention]], spans: Sequence[Span]
    ) -> List[Tuple[int, int, int]]:
        """RETURNS (List[Tuple[int, int, int]]): token offsets of pronouns and noun phrases, and their clusters."""
        if not (self.pronouns or self.noun_phrases) or coreference_clusters(doc, spans):
            return []
        reason = _unread(doc)
        if reason:
            self._warn(Warnings.W631.format(name=self.name, reason=reason))
            return []
        labels = [next((label for _, _, label in cluster if label), "") for cluster in clusters]
        entities = [Entity(cluster, self._kind(label)) for cluster, label in zip(clusters, labels)]
        return find_phrases(
            doc,
            entities,
            pronouns=self.pronouns,
            noun_phrases=self.noun_phrases,
            nouns=self._nouns,
            max_sentences=self.max_sentences,
        )

    def _warn(self, message: Optional[str]) -> None:
        if message is not None and not self._warned:
            self._warned = True
            warnings.warn(message, stacklevel=4)

    # Settings

    def _settings(self) -> Dict[str, Any]:
        return {name: getattr(self, name) for name in _CONFIG if name != "scorer"}

    def _apply(self, settings: Dict[str, Any]) -> None:
        for name, value in settings.items():
            setattr(self, name, value)
        known = ", ".join((*sorted({*KINDS.values()}), _THING))
        for label, kind in self.kinds.items():
            if kind not in (*KINDS.values(), _THING):
                raise ValueError(self._wrong(f"kinds.{label}", kind, f"one of {known}"))
        for label, words in self.nouns.items():
            if isinstance(words, str) or not all(isinstance(word, str) and word.strip() for word in words):
                raise ValueError(self._wrong(f"nouns.{label}", words, "a list of nouns"))
        count = self.max_sentences
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError(self._wrong("max_sentences", count, "a whole number, 0 or more,"))
        self._nouns: Dict[str, FrozenSet[str]] = {
            label: frozenset(word.strip().lower() for word in words) for label, words in self.nouns.items()
        }

    def _wrong(self, setting: str, value: object, expected: str) -> str:
        return str(Errors.R630.format(setting=setting, value=value, name=self.name, expected=expected))


_THING = "thing"


def _unread(doc: Doc) -> str:
    """RETURNS (str): why noun phrases and pronouns of a document can't be read, "" where they can."""
    if doc.lang_ not in ("en", ""):
        return f"their rules are English, and the documents have the language {doc.lang_!r}"
    if len(doc) and not doc.has_annotation("DEP"):
        return "the documents have no parse; put a 'parser' before it"
    return ""
