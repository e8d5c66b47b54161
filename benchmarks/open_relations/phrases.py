"""Noun phrases and names of the training texts that nobody annotated, as further mentions.

Entities of a pipeline, and of `entity_phrases` still more, are mostly such: what a reader that was trained on annotated
entities alone takes for one end of a relation.
"""

import re
from typing import List, Sequence, Tuple

import spacy
from spacy.tokens import Span
from tokenizers import Tokenizer

from spacy_ragre.components.embedded import EmbeddedPipeline
from spacy_ragre.components.entity_phrases.rules import RULES, find_phrases

from .corpora import Document, Schema, token_span

PIPELINE = "en_core_web_sm"
SOURCES = ("openrel", "passages", "openwiki", "redocred")
# The texts of these were annotated completely. In the others mentions are names, and nobody looked at what a common
# noun holds.
COMPLETE = ("openrel",)
_REFERS = re.compile(
    r"(?:the|this|that|these|those|his|her|their|its|my|our|your|both|all|such|it|he|she|they|we|i|you|who|which|each"
    r"|either|neither|another|other|same|one|two|three)\b",
    re.IGNORECASE,
)


def add_phrases(schemas: Sequence[Schema], tokenizer: Tokenizer) -> None:
    """Give the documents of `SOURCES` the phrases that `entity_phrases` finds outside of their entities.

    schemas (Sequence[Schema]): all that trains; their documents are changed.
    tokenizer (Tokenizer): the one that made the documents.
    """
    found = [
        (schema.source, own)
        for schema in schemas
        if schema.source in SOURCES
        for doc in schema.docs
        for own in (doc, *doc.parts)
    ]
    nlp = spacy.blank("en")
    pipeline = EmbeddedPipeline("phrases", pipeline=PIPELINE, exclude=["lemmatizer"])
    for (source, doc), parsed in zip(found, pipeline.pipe(nlp.make_doc(doc.text) for _, doc in found)):
        phrases = find_phrases(parsed, parsed.ents, RULES)
        doc.phrases = _outside(doc, phrases, source in COMPLETE, tokenizer)


def _outside(
    doc: Document, phrases: Sequence[Span], complete: bool, tokenizer: Tokenizer
) -> List[Tuple[int, int, bool]]:
    offsets = tokenizer.encode(doc.text, add_special_tokens=False).offsets
    out = []
    for phrase in phrases:
        span = token_span(offsets, phrase.start_char, phrase.end_char)
        if span is not None and not any(span[0] < end and start < span[1] for start, end, _ in doc.ents):
            out.append((*span, complete and not may_refer(phrase)))
    return out


def may_refer(phrase: Span) -> bool:
    """Whether a phrase may stand for an entity of its text ("the firm", "Her mother"), so that nobody can say that it
    holds nothing.
    """
    return phrase.text[:1].isupper() or refers(phrase)


def refers(phrase: Span) -> bool:
    """Whether a phrase begins as one does that stands for an entity of its text: "the firm", "her mother"."""
    texts = phrase.doc[max(0, phrase.start - 1) : phrase.end].text, phrase.text
    return any(_REFERS.match(text) for text in texts)
