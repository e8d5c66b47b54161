"""Entities that a named entity recogniser does not find, by rules: names, noun phrases, amounts.

It comes after the tagger, the parser and what finds entities, and before what reads them. What is found gets the type
NAME, TERM, QUANTITY or FREQUENCY, which `rag_relation_extractor` reads as types of which little is known.
"""

import warnings
from typing import List, Sequence

from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ...errors import Errors, Warnings
from .rules import RULES, find_phrases


@Language.factory(
    "entity_phrases",
    assigns=["doc.ents"],
    requires=["token.pos", "token.tag", "token.dep"],
    default_config={"rules": list(RULES)},
)
def make_entity_phrases(nlp: Language, name: str, rules: List[str]) -> "EntityPhrases":
    """Build the component.

    rules (List[str]): which rules to use: "boundaries" (entities that are there become whole), "measures" (amounts with
        their unit, frequencies), "names" (proper nouns), "terms" (noun phrases).
    """
    return EntityPhrases(nlp.vocab, name, rules=rules)


class EntityPhrases:
    """Adds entities to `doc.ents`. No entity is lost; "boundaries" and "measures" change where some begin and end.

    vocab (Vocab): the shared vocabulary.
    name (str): the component's name.
    rules (Sequence[str]): which rules to use, of `RULES`.
    """

    def __init__(self, vocab: Vocab, name: str = "entity_phrases", *, rules: Sequence[str] = RULES) -> None:
        unknown = [rule for rule in rules if rule not in RULES]
        if unknown:
            shown = ", ".join(map(repr, unknown))
            raise ValueError(Errors.R640.format(name=name, unknown=shown, known=", ".join(RULES)))
        if vocab.lang not in ("en", ""):
            warnings.warn(Warnings.W640.format(name=name, lang=vocab.lang), stacklevel=2)
        self.name = name
        self.rules = tuple(rules)

    def __call__(self, doc: Doc) -> Doc:
        """Add entities.

        doc (Doc): the document. A ValueError is raised where it is not tagged, or not parsed where a rule needs it.
        RETURNS (Doc): the same.
        """
        needed = ["TAG", "POS", *(["DEP"] if "terms" in self.rules else [])]
        missing = [attribute for attribute in needed if not doc.has_annotation(attribute)]
        if missing and len(doc):
            raise ValueError(Errors.R641.format(name=self.name, missing=", ".join(missing), text=doc.text[:40]))
        doc.set_ents(find_phrases(doc, doc.ents, self.rules))
        return doc
