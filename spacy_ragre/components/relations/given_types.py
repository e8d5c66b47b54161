"""Which entity types the pipeline of a component can give, as its other components say."""

import weakref
from typing import Any, Dict, FrozenSet, Optional, Set

from spacy.language import Language

from ...entity_types import NAME, TERM

# What adds entities of which little is known.
_PHRASES = "entity_phrases"
# Recognisers that were trained, which err; the last is one where its pipeline has one, and then gives types.
_TRAINED = ("ner", "beam_ner")
_EMBEDDED = "embedded_pipeline"


class GivenTypes:
    """Asks the components before one which entities they find.

    nlp (Language): the pipeline, to which no reference is kept alive.
    name (str): the component's name there.
    """

    def __init__(self, nlp: Language, name: str) -> None:
        self._nlp: Optional[weakref.ReferenceType[Language]] = weakref.ref(nlp)
        self._name = name
        self._last: Optional[FrozenSet[str]] = None

    def __getstate__(self) -> Dict[str, Any]:
        # Another process has no such pipeline.
        return {"_nlp": None, "_name": self._name, "_last": self.found()}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)

    def found(self) -> Optional[FrozenSet[str]]:
        """RETURNS (Optional[FrozenSet[str]]): the types of the entities that components before this one find; None
        where no trained recogniser and no rule for phrases is among them, so that entities are somebody's own.
        """
        nlp = self._nlp() if self._nlp is not None else None
        if nlp is None or self._name not in nlp.pipe_names:
            return self._last
        types: Set[str] = set()
        errs = False
        for name in nlp.pipe_names[: nlp.pipe_names.index(self._name)]:
            factory = nlp.get_pipe_meta(name).factory
            labels = getattr(nlp.get_pipe(name), "labels", ())
            errs = errs or factory in (*_TRAINED, _PHRASES) or (factory == _EMBEDDED and bool(labels))
            if "doc.ents" in nlp.get_pipe_meta(name).assigns:
                types.update(labels)
        self._last = frozenset(types - {NAME, TERM}) if errs else None
        return self._last
