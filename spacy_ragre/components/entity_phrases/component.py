"""Entities that a named entity recogniser does not find, by rules: names, noun phrases, amounts.

It comes after the tagger, the parser and what finds entities, and before what reads them. What is found gets the type
NAME, TERM, QUANTITY or FREQUENCY, which `rag_relation_extractor` reads as types of which little is known.
"""

import warnings
from types import MappingProxyType
from typing import Dict, List, Mapping, Optional, Sequence

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ...corpora.tokens import blocked_tokens
from ...errors import Errors, Warnings
from .rules import ALL_RULES, RULES, find_phrases


@Language.factory(
    "entity_phrases",
    assigns=["doc.ents"],
    requires=["token.pos", "token.tag", "token.dep"],
    default_config={"rules": list(RULES), "types": {}},
)
def make_entity_phrases(nlp: Language, name: str, rules: List[str], types: Dict[str, Optional[str]]) -> "EntityPhrases":
    """Build the component.

    rules (List[str]): which rules to use: "boundaries" (entities that are there become whole), "measures" (amounts with
        their unit, frequencies), "names" (proper nouns), "terms" (noun phrases); and "articles", which is not used by
        default (entities lose an article in front and a possessive ending).
    types (Dict[str, Optional[str]]): entity types with those that are written in their place, such as {"GPE": "LOC"}
        for a component that was trained with others; null leaves entities of a type out.
    """
    return EntityPhrases(nlp.vocab, name, rules=rules, types=types)


class EntityPhrases:
    """Adds entities to `doc.ents`. No entity is lost, unless `types` leaves it out; "boundaries", "measures" and
    "articles" change where some begin and end. Tokens that are blocked (see `Doc.set_ents`) get none, and entities
    beside them stay as they are: somebody said where they begin and end.

    vocab (Vocab): the shared vocabulary.
    name (str): the component's name.
    rules (Sequence[str]): which rules to use, of `ALL_RULES`.
    types (Mapping[str, Optional[str]]): entity types with those that are written in their place; None for entities that
        are left out.
    """

    def __init__(
        self,
        vocab: Vocab,
        name: str = "entity_phrases",
        *,
        rules: Sequence[str] = RULES,
        types: Mapping[str, Optional[str]] = MappingProxyType({}),
    ) -> None:
        unknown = [rule for rule in rules if rule not in ALL_RULES]
        if unknown:
            shown = ", ".join(map(repr, unknown))
            raise ValueError(Errors.R640.format(name=name, unknown=shown, known=", ".join(ALL_RULES)))
        for type_, value in types.items():
            if value is not None and not (isinstance(value, str) and value.strip()):
                raise ValueError(Errors.R663.format(name=name, type=type_, value=value))
        if vocab.lang not in ("en", ""):
            warnings.warn(Warnings.W640.format(name=name, lang=vocab.lang), stacklevel=2)
        self.name = name
        self.rules = tuple(rules)
        self.types = dict(types)

    def __call__(self, doc: Doc) -> Doc:
        """Add entities.

        doc (Doc): the document. A ValueError is raised where it is not tagged, or not parsed where a rule needs it.
        RETURNS (Doc): the same.
        """
        needed = ["TAG", "POS", *(["DEP"] if "terms" in self.rules else [])]
        missing = [attribute for attribute in needed if not doc.has_annotation(attribute)]
        if missing and len(doc):
            raise ValueError(Errors.R641.format(name=self.name, missing=", ".join(missing), text=doc.text[:40]))
        found = find_phrases(doc, doc.ents, self.rules)
        named = [(ent, self.types.get(ent.label_, ent.label_)) for ent in found]
        ents = [Span(doc, e.start, e.end, type_, kb_id=e.kb_id, span_id=e.id) for e, type_ in named if type_]
        doc.set_ents(ents, blocked=blocked_tokens(doc))
        return doc
