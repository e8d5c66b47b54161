"""Pipelines that version 0.1.0 saved, before the modules were moved, load and answer as they did then."""

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ragre.components.relations.predictor import RelationPredictor
from spacy_ragre.corpora.reader import copy_input

SAVED = Path(__file__).parents[1] / "fixtures" / "saved"
EXPECTED = json.loads((SAVED / "expected.json").read_text(encoding="utf8"))
BACKBONE = {"model.backbone.name": "llama"}
# Where the base models of each pipeline are now.
BASES: Dict[str, Dict[str, str]] = {
    "relations": BACKBONE,
    "relations_untrained": {**BACKBONE, "retriever.encoder.name": "bert"},
    "etrag": {**BACKBONE, "model.encoder.name": "bert"},
    "supplements": {**BACKBONE, "retriever.encoder.name": "bert"},
    "pair_filter": {"model.encoder.name": "encoder"},
}
COMPONENTS = {
    "relations": "rag_relation_extractor",
    "relations_untrained": "rag_relation_extractor",
    "etrag": "etrag_extractor",
    "supplements": "supplement_usage_classifier",
    "pair_filter": "pair_candidate_filter",
}


def load(name: str) -> Language:
    config = {
        f"components.{COMPONENTS[name]}.{setting}": str(SAVED / "models" / model)
        for setting, model in BASES[name].items()
    }
    return spacy.load(SAVED / name, config=config)


def relations(docs: List[Doc]) -> List[Any]:
    return [[[r.head.text, r.label, r.tail.text, r.score] for r in doc._.relations] for doc in docs]


def nearly(rows: List[Any]) -> List[Any]:
    return [[[*row[:-1], pytest.approx(row[-1], abs=2e-3)] for row in own] for own in rows]


@pytest.mark.filterwarnings("ignore:.*W501")
@pytest.mark.parametrize("name", ["relations", "relations_untrained", "etrag"])
def test_relations(name: str, gold_docs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = load(name)
    # 0.1.0 showed the nearest examples to models that were not trained, too, whatever they held.
    monkeypatch.setattr(RelationPredictor, "shows_answers", False)
    docs = list(nlp.pipe([copy_input(doc) for doc in gold_docs(nlp)]))
    assert relations(docs) == nearly(EXPECTED[name])


def test_supplements() -> None:
    nlp = load("supplements")
    texts = [("Takes zinc for colds .", 0), ("Stopped iron due to nausea .", 1), ("Start biotin today .", 2)]
    for text, row in texts:
        doc = nlp(text)
        mentions, found, triples = EXPECTED["supplements"][row]
        assert [[e.start, e.end, e.label_, e._.usage] for e in doc.ents] == [m[:4] for m in mentions]
        assert [[r.head.start, r.label, r.tail.start] for r in doc._.relations] == [r[:3] for r in found]
        assert [list(triple) for triple in doc._.triples] == triples


def test_pair_filter() -> None:
    nlp = load("pair_filter")
    doc = nlp.make_doc("A is in b and c")
    plain = [[(0, 1, "PER")], [(3, 4, "LOC")], [(5, 6, "LOC")]]
    spans = [doc.char_span(start, start + 1, label=label) for start, label in ((0, "PER"), (8, "LOC"), (14, "LOC"))]
    doc.set_ents(spans)
    doc._.entity_clusters = plain
    pairs = [[p.head, p.tail, p.score] for p in nlp(doc)._.candidate_pairs]
    assert sorted(pairs) == sorted(nearly([EXPECTED["pair_filter"][0]])[0])
