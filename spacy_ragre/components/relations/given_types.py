"""Which entity types the pipeline of a component can give, as its other components say."""

import weakref
from typing import Any, Dict, FrozenSet, NamedTuple, Optional, Sequence, Set

from spacy.language import Language
from spacy.tokens import Doc

from ...entity_types import NAME, ONTONOTES, TERM
from .open_scorer import FOUND, NAMED, PHRASES

# What adds entities of which little is known.
_PHRASES = "entity_phrases"
# What looks for the types that it is told, which are those of the labels as a rule.
_NAMED = "open_entities"
# Recognisers that were trained, which err; the last is one where its pipeline has one, and then gives types.
_TRAINED = ("ner", "beam_ner")
_EMBEDDED = "embedded_pipeline"


class Given(NamedTuple):
    """What the components before one find.

    types (Optional[FrozenSet[str]]): the types of their entities; None where neither a trained recogniser nor
        `open_entities` nor a rule for phrases is among them, so that entities are somebody's own.
    by (str): what finds them, as limits of the reader are kept: `FOUND` for a recogniser, `PHRASES` where rules for
        phrases add to it, and `NAMED` for `open_entities` alone: what looks for the types that it is told tells them
        apart well.
    known (bool): whether the pipeline is known.
    """

    types: Optional[FrozenSet[str]] = None
    by: str = FOUND
    known: bool = True


# In a pipeline that is not known, a recogniser is likely, with the types that most of them give.
_UNKNOWN = Given(ONTONOTES, known=False)


class GivenTypes:
    """Asks the components before one which entities they find.

    nlp (Language): the pipeline. No reference to it or to the component is kept alive.
    component (Any): the component, under whatever name it is there.
    """

    def __init__(self, nlp: Language, component: Any) -> None:
        self._nlp: Optional[weakref.ReferenceType[Language]] = weakref.ref(nlp)
        self._component: Optional[weakref.ReferenceType[Any]] = weakref.ref(component)
        # Where there is none to ask, as in another process.
        self._found = _UNKNOWN

    def __getstate__(self) -> Dict[str, Any]:
        return {"_nlp": None, "_component": None, "_found": self.found()}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)

    def found(self, docs: Sequence[Doc] = ()) -> Given:
        """What the components before find. It is not known where the pipeline is gone or does not hold the component
        any more, nor in another one that the component was added to, of which it is not told: its documents have
        another vocabulary.

        docs (Sequence[Doc]): documents that the component got.
        RETURNS (Given): what is found; one that is not `known` where it is not known.
        """
        nlp = self._nlp() if self._nlp is not None else None
        component = self._component() if self._component is not None else None
        if nlp is None or not any(pipe is component for _, pipe in nlp.components):
            return self._found
        if any(doc.vocab is not nlp.vocab for doc in docs):
            return _UNKNOWN
        types: Set[str] = set()
        errs = named = phrases = False
        for name, pipe in nlp.components:
            if pipe is component:
                break
            if name in nlp.disabled:
                continue
            meta, labels = nlp.get_pipe_meta(name), getattr(pipe, "labels", ())
            named, phrases = named or meta.factory == _NAMED, phrases or meta.factory == _PHRASES
            errs = errs or meta.factory in _TRAINED or (meta.factory == _EMBEDDED and bool(labels))
            if "doc.ents" in meta.assigns:
                types.update(labels)
        by = PHRASES if phrases else NAMED if named and not errs else FOUND
        return Given(frozenset(types - {NAME, TERM}) if errs or named or phrases else None, by)
