"""With the models that are used in earnest."""

import math

import pytest
import spacy


@pytest.mark.real
def test_zero_shot_with_the_default_model():
    nlp = spacy.blank("en")
    config = {"labels": {"founded_by": "was founded by", "located_in": "is located in"}}
    nlp.add_pipe("rag_relation_extractor", config=config)
    doc = nlp.make_doc("Microsoft was founded by Bill Gates in Albuquerque.")
    spans = [("Microsoft", "ORG"), ("Bill Gates", "PERSON"), ("Albuquerque", "GPE")]
    doc.set_ents([doc.char_span(doc.text.index(t), doc.text.index(t) + len(t), label=label) for t, label in spans])
    doc = nlp(doc)
    assert doc._.relations
    for relation in doc._.relations:
        assert relation.label in config["labels"]
        assert math.isfinite(relation.score) and 0 < relation.score <= 1
        assert relation.head.text != relation.tail.text
