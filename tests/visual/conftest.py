"""Documents with relations, as a test describes them."""

from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
import spacy
from spacy.tokens import Doc

from spacy_ragre.relations import set_relations

MakeDoc = Callable[..., Doc]


@pytest.fixture(scope="session")
def make_doc() -> MakeDoc:
    def make(
        text: str,
        entities: Dict[str, str],
        relations: List[Tuple[Any, ...]],
        *,
        lang: str = "en",
        key: Optional[str] = None,
        evidence: Optional[Dict[str, Any]] = None,
    ) -> Doc:
        """A document of sentences. entities: texts with their types, the first of each. relations: head, label, tail
        and, if it is not 1, score. key: entities go to this span group.
        """
        nlp = spacy.blank(lang)
        nlp.add_pipe("sentencizer")
        doc = nlp(text)
        spans = {}
        for name, label in entities.items():
            start = text.index(name)
            spans[name] = doc.char_span(start, start + len(name), label=label)
        if key is None:
            doc.ents = list(spans.values())
        else:
            doc.spans[key] = list(spans.values())
        set_relations(
            doc,
            [
                {
                    "head": spans[head],
                    "tail": spans[tail],
                    "label": label,
                    "score": score[0] if score else 1.0,
                    "evidence": evidence,
                }
                for head, label, tail, *score in relations
            ],
        )
        return doc

    return make


@pytest.fixture
def gates(make_doc: MakeDoc) -> Doc:
    return make_doc(
        "Microsoft was founded by Bill Gates in Albuquerque. He married Melinda French.",
        {"Microsoft": "ORG", "Bill Gates": "PERSON", "Albuquerque": "GPE", "He": "PERSON", "Melinda French": "PERSON"},
        [
            ("Microsoft", "founded_by", "Bill Gates", 0.84),
            ("Microsoft", "located_in", "Albuquerque", 0.31),
            ("He", "married_to", "Melinda French", 0.8),
            ("Bill Gates", "married_to", "Melinda French", 0.6),
        ],
    )
