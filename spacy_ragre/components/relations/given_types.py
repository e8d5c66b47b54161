"""Which entity types the pipeline of a component can give, as its other components say."""

import weakref
from typing import Any, Dict, FrozenSet, Optional, Set, Tuple

from spacy.language import Language

from ...entity_types import NAME, TERM

# What adds entities of which little is known.
_PHRASES = "entity_phrases"
# What looks for the types that it is told, which are those of the labels as a rule.
_NAMED = "open_entities"
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
        self._last: Tuple[Optional[FrozenSet[str]], bool] = None, False

    def __getstate__(self) -> Dict[str, Any]:
        # Another process has no such pipeline.
        return {"_nlp": None, "_name": self._name, "_last": self._read()}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)

    def found(self) -> Optional[FrozenSet[str]]:
        """RETURNS (Optional[FrozenSet[str]]): the types of the entities that components before this one find; None
        where neither a trained recogniser nor `open_entities` nor a rule for phrases is among them, so that entities
        are somebody's own.
        """
        return self._read()[0]

    @property
    def named(self) -> bool:
        """RETURNS (bool): whether it is `open_entities` that finds them, and neither recogniser nor rules for phrases:
        what looks for the types that it is told tells them apart well.
        """
        return self._read()[1]

    def _read(self) -> Tuple[Optional[FrozenSet[str]], bool]:
        nlp = self._nlp() if self._nlp is not None else None
        if nlp is None or self._name not in nlp.pipe_names:
            return self._last
        types: Set[str] = set()
        errs = named = False
        for name in nlp.pipe_names[: nlp.pipe_names.index(self._name)]:
            factory = nlp.get_pipe_meta(name).factory
            labels = getattr(nlp.get_pipe(name), "labels", ())
            named = named or factory == _NAMED
            errs = errs or factory in (*_TRAINED, _PHRASES) or (factory == _EMBEDDED and bool(labels))
            if "doc.ents" in nlp.get_pipe_meta(name).assigns:
                types.update(labels)
        self._last = frozenset(types - {NAME, TERM}) if errs or named else None, named and not errs
        return self._last
