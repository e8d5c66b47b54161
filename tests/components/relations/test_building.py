"""Building the component, its labels and examples, and the ways to answer without training."""

import re
from typing import Any, Dict, List

import numpy as np
import pytest
import spacy
import srsly
from spacy.language import Language

from spacy_ragre.instances import Instance
from spacy_ragre.llm.base import Likelihoods

NAME = "rag_relation_extractor"


def names(nlp: Language) -> List[str]:
    return list(nlp.get_pipe(NAME).labels)


# Building


def test_building_loads_no_weights(make_nlp, component):
    nlp = make_nlp()
    assert not component(nlp).predictor.backbone.is_loaded


def test_building_without_config_loads_no_weights():
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe(NAME)
    assert not pipe.predictor.backbone.is_loaded
    assert pipe.labels == ()


def test_config_round_trip(make_nlp, make_doc, found, component):
    nlp = make_nlp(threshold=0.25, multi_label=True)
    again = spacy.util.load_model_from_config(nlp.config)
    assert again.config == nlp.config
    assert not component(again).predictor.backbone.is_loaded
    assert component(again).labels == component(nlp).labels
    assert component(again).predictor.calibration.threshold == 0.25
    docs = [pipe(make_doc(pipe, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")])) for pipe in (nlp, again)]
    assert found(docs)[0] == found(docs)[1]


def test_loading_from_disk_loads_no_weights(trained, component):
    assert not component(spacy.load(trained)).predictor.backbone.is_loaded


def test_analysis_of_the_pipeline():
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME)
    analysis = nlp.analyze_pipes(keys=["assigns", "requires"])
    assert analysis["summary"][NAME] == {"assigns": ["doc._.relations"], "requires": ["doc.ents"]}
    assert analysis["problems"][NAME] == ["doc.ents"]
    nlp.add_pipe("entity_ruler", first=True)
    assert nlp.analyze_pipes(keys=["assigns", "requires"])["problems"][NAME] == []


def test_factory_meta():
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME)
    meta = nlp.get_pipe_meta(NAME)
    assert meta.default_score_weights["rels_micro_f"] == 1.0
    assert set(meta.scores) == {
        "rels_micro_f",
        "rels_micro_p",
        "rels_micro_r",
        "rels_macro_f",
        "rels_micro_all_f",
        "rels_per_type",
    }


def test_unknown_way_to_answer(make_nlp):
    with pytest.raises(ValueError, match="R502.*'guess'.*auto, head, trie, generate"):
        make_nlp(answer="guess")


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_label_smoothing_is_a_share(make_nlp, value):
    with pytest.raises(ValueError, match=f"R508.*{value}"):
        make_nlp(label_smoothing=value)


# Labels


def test_call_without_labels(make_nlp, make_doc):
    nlp = make_nlp(labels={})
    doc = make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")])
    with pytest.raises(ValueError, match=f"R501.*'{NAME}'.*add_examples"):
        nlp(doc)
    with pytest.raises(ValueError, match="R501"):
        list(nlp.pipe([doc]))


def test_call_without_labels_and_without_config():
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME)
    with pytest.raises(ValueError, match="R501"):
        nlp("Some text .")


def test_label_data_and_add_label(make_nlp, component):
    pipe = component(make_nlp(labels={}))
    assert pipe.add_label("founded_by") == 1
    assert pipe.add_label("founded_by", "was set up by") == 0
    assert pipe.add_label("sibling", {"text": "is a sibling of", "symmetric": True, "head_types": ["PERSON"]}) == 1
    assert pipe.labels == ("founded_by", "sibling")
    assert pipe.label_data["founded_by"]["text"] == "founded by"
    assert pipe.label_data["sibling"]["symmetric"] is True
    other = component(make_nlp(labels=pipe.label_data))
    assert other.label_data == pipe.label_data


def test_several_wordings_are_kept_and_the_first_is_asked(make_nlp, component, tmp_path):
    words = ["was founded by", "was started by"]
    nlp = make_nlp(labels={"founded_by": {"text": words}})
    nlp.to_disk(tmp_path)
    for loaded in (nlp, spacy.load(tmp_path)):
        pipe = component(loaded)
        assert pipe.label_data["founded_by"]["text"] == words
        instance = Instance("Acme was founded by Ann .", (0, 4), (20, 23))
        assert pipe.predictor.prompt.answers(instance, pipe.predictor.labels)[1] == " Acme was founded by Ann."
    with pytest.raises(ValueError, match="R006.*'led'.*not blank"):
        pipe.add_label("led", {"text": ["", "led"]})


def test_labels_are_closed_once_there_is_a_head(trained, component):
    pipe = component(spacy.load(trained))
    assert pipe.add_label("founded_by") == 0
    with pytest.raises(ValueError, match="R505.*'sibling'"):
        pipe.add_label("sibling")
    assert "sibling" not in pipe.labels


def test_no_relation_is_no_label(make_nlp, component):
    with pytest.raises(ValueError, match="R005"):
        component(make_nlp()).add_label("no_relation")


# Zero-shot and few-shot


def test_zero_shot_gives_scored_relations(make_nlp, make_doc):
    nlp = make_nlp()
    docs = [make_doc(nlp, f"{a} helps {b} .", [(a, "ORG"), (b, "ORG")]) for a in ("Acme", "Hooli") for b in ("X", "Yz")]
    docs = list(nlp.pipe(docs))
    relations = [relation for doc in docs for relation in doc._.relations]
    assert relations
    for relation in relations:
        assert relation.label in ("founded_by", "located_in")
        assert 1 / 5 <= relation.score <= 1  # the best of five classes
        assert relation.evidence == {"text": relation.head.doc.text, "examples": []}


def test_generated_answers(make_nlp, make_doc, component, monkeypatch):
    nlp = make_nlp(answer="generate")
    backbone = component(nlp).predictor.backbone
    answers = iter([" Ann was founded by Acme", " who knows"])
    monkeypatch.setattr(backbone, "generate", lambda ids, count: [next(answers) for _ in ids])
    docs = [make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]) for _ in range(2)]
    first, second = nlp.pipe(docs)
    assert [(r.head.text, r.label, r.tail.text, r.score) for r in first._.relations] == [
        ("Ann", "founded_by", "Acme", 1.0)
    ]
    assert second._.relations == []


def test_generated_answers_of_the_model_itself(make_nlp, make_doc):
    nlp = make_nlp(answer="generate")
    doc = nlp(make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))
    assert len(doc._.relations) <= 1


@pytest.mark.parametrize("encoder", ["states", "text"])
def test_examples_give_labels_where_none_were_configured(make_nlp, gold_docs, component, text_retriever, encoder):
    nlp = make_nlp(labels={}, n_examples=2, **({"retriever": text_retriever} if encoder == "text" else {}))
    # The first document has no relation: its pair is an example of none all the same.
    docs = gold_docs(nlp)[::-1]
    assert component(nlp).add_examples(docs) == 8
    assert set(names(nlp)) == {"founded_by", "located_in"}
    assert len(component(nlp).predictor.retriever) == 8
    assert component(nlp).add_examples(iter(docs[:3])) == 3


def test_examples_with_unknown_labels(make_nlp, make_doc, component):
    nlp = make_nlp()
    ents = [("Acme", "ORG"), ("Ann", "PERSON")]
    good = make_doc(nlp, "Acme was founded by Ann .", ents, [(0, "founded_by", 1)])
    bad = make_doc(nlp, "Acme hired Ann .", ents, [(0, "hired", 1)])
    with pytest.raises(ValueError, match="R007.*'hired'.*founded_by, located_in"):
        component(nlp).add_examples([good, bad])
    assert len(component(nlp).predictor.retriever) == 0
    assert names(nlp) == ["founded_by", "located_in"]


@pytest.mark.parametrize("encoder", ["states", "text"])
def test_few_shot_prompts_hold_the_examples_and_relations_their_evidence(
    make_nlp, make_doc, gold_docs, component, text_retriever, monkeypatch, encoder
):
    nlp = make_nlp(n_examples=2, answer="trie", **({"retriever": text_retriever} if encoder == "text" else {}))
    predictor = component(nlp).predictor
    component(nlp).add_examples(gold_docs(nlp))
    monkeypatch.setattr(predictor.decision, "pick", lambda probability, *_: tuple((1,) for _ in probability))
    shown: List[List[str]] = []
    segments = type(predictor.prompt).segments

    def spy(self: Any, query: Any, labels: Any, examples: Any = ()) -> Any:
        shown.append([example.text for example in examples])
        return segments(self, query, labels, examples)

    monkeypatch.setattr(type(predictor.prompt), "segments", spy)
    doc = nlp(make_doc(nlp, "Stark was founded by Jon .", [("Stark", "ORG"), ("Jon", "PERSON")]))
    (relation,) = doc._.relations
    evidence = relation.evidence["examples"]
    assert len(evidence) == 2
    # The most similar example is shown last, next to the question.
    assert [example["text"] for example in evidence] == max(shown, key=len)[::-1]
    assert evidence[0]["score"] >= evidence[1]["score"]
    assert {"id", "text", "labels", "score"} == set(evidence[0])
    assert srsly.msgpack_loads(srsly.msgpack_dumps(relation.evidence)) == relation.evidence
    assert spacy.tokens.Doc(nlp.vocab).from_bytes(doc.to_bytes())._.relations[0].evidence == relation.evidence


@pytest.mark.parametrize("encoder", ["states", "text"])
def test_an_example_is_never_shown_for_its_own_text(make_nlp, gold_docs, component, text_retriever, encoder):
    prompt = {"@ragre_prompts": "ragre.Relation.v1", "example_labels": False}
    nlp = make_nlp(n_examples=7, prompt=prompt, **({"retriever": text_retriever} if encoder == "text" else {}))
    docs = gold_docs(nlp)
    component(nlp).add_examples(docs)
    instances = [candidate.instance for doc in docs for candidate in component(nlp)._candidates(doc)]
    scored = component(nlp).predictor.score(instances)
    for instance, neighbours in zip(instances, scored.neighbours):
        assert len(neighbours) == 7
        assert instance.text not in [neighbour.instance.text for neighbour in neighbours]


def test_examples_that_do_not_fit_are_left_out(make_nlp, make_doc, component):
    nlp = make_nlp(n_examples=3, prompt={"@ragre_prompts": "ragre.Relation.v1", "example_labels": False})
    ents = [("Acme", "ORG"), ("Ann", "PERSON")]
    examples = [make_doc(nlp, "Acme was founded by Ann " + "again " * n + ".", ents, []) for n in (2, 40, 300)]
    component(nlp).add_examples(examples)
    predictor = component(nlp).predictor
    predictor.backbone.max_length = 350
    (instance,) = [c.instance for c in component(nlp)._candidates(make_doc(nlp, "Acme hired Ann .", ents))]
    (neighbours,) = predictor.score([instance]).neighbours
    assert len(neighbours) == 3
    assert predictor.backbone.count_tokens(predictor.pieces(instance, neighbours)) <= 350


def test_a_window_that_takes_no_pair_is_an_error(make_nlp, make_doc, component):
    nlp = make_nlp()
    component(nlp).predictor.backbone.max_length = 20
    with pytest.raises(ValueError, match="R131.*at most 20"):
        nlp(make_doc(nlp, "Acme was founded by the great Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))


def test_texts_longer_than_the_window_do_not_stop_the_others(make_nlp, make_doc, component):
    nlp = make_nlp()
    component(nlp).predictor.backbone.max_length = 120
    ents = [("Acme", "ORG"), ("Ann", "PERSON")]
    long = make_doc(nlp, "Acme was founded by " + "the great " * 80 + "Ann .", ents)
    short = [make_doc(nlp, "Acme hired Ann .", ents) for _ in range(2)]
    with pytest.warns(UserWarning, match="W132.*120 tokens"):
        docs = list(nlp.pipe([short[0], long, short[1]]))
    alone = make_nlp()(make_doc(nlp, "Acme hired Ann .", ents))
    for doc in (docs[0], docs[2]):
        assert [round(r.score, 4) for r in doc._.relations] == [round(r.score, 4) for r in alone._.relations]


# Scores and answers that can't be


def test_head_that_was_not_trained(make_nlp, make_doc):
    nlp = make_nlp(answer="head")
    with pytest.raises(ValueError, match="R503"):
        nlp(make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))


def test_scores_that_are_not_numbers(make_nlp, make_doc, component, monkeypatch):
    nlp = make_nlp()

    def broken(inputs: Any, answers: Any) -> List[Likelihoods]:
        return [Likelihoods([float("nan")] * len(texts.paths), [1] * len(texts.paths)) for texts in answers]

    monkeypatch.setattr(component(nlp).predictor.backbone, "likelihoods", broken)
    with pytest.raises(ValueError, match="R504.*tiny-llama"):
        nlp(make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))


def test_weights_that_are_not_numbers(trained, make_doc, component):
    nlp = spacy.load(trained)
    shim = component(nlp).predictor.shim
    shim.restore()
    shim.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="R504"):
        nlp(make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))


# Type constraints

TYPED: Dict[str, Any] = {
    "founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]},
    "sibling": {"text": "is a sibling of", "symmetric": True, "head_types": ["PERSON"], "tail_types": ["PERSON"]},
}


@pytest.mark.parametrize(
    "ents, expected",
    [
        # Class 1 is founded_by, class 2 its inverse, class 3 sibling.
        ([("Aa", "ORG"), ("Bb", "PERSON")], [1]),
        ([("Aa", "PERSON"), ("Bb", "ORG")], [2]),
        ([("Aa", "PERSON"), ("Bb", "PERSON")], [3]),
        ([("Aa", "ORG"), ("Bb", "ORG")], None),
    ],
)
@pytest.mark.parametrize("multi_label", [False, True])
def test_type_constraints(make_nlp, make_doc, component, monkeypatch, ents, expected, multi_label):
    nlp = make_nlp(labels=TYPED, multi_label=multi_label)
    pipe = component(nlp)
    asked = []

    def sure_of_everything(mode: str, instances: Any, *others: Any) -> Any:
        asked.extend(instances)
        return np.tile(np.array([0.0, 5.0, 6.0, 7.0], dtype="float32"), (len(instances), 1))

    monkeypatch.setattr(pipe.predictor, "_score_mode", sure_of_everything)
    doc = nlp(make_doc(nlp, "Aa and Bb .", ents))
    answers = [(r.head.text, r.label, r.tail.text) for r in doc._.relations]
    if expected is None:
        assert answers == [] and asked == []
    else:
        answer = pipe.predictor.labels.classes[expected[0]]
        texts = ("Bb", "Aa") if answer.reversed else ("Aa", "Bb")
        assert answers == [(texts[0], answer.label, texts[1])]


@pytest.mark.parametrize("factory", [NAME, "etrag_extractor"])
@pytest.mark.parametrize(
    "labels",
    [
        {"per:title": "is a title of", "per:age": "is the age of"},
        {"a=b": "x"},
        {"#1": "x"},
        {" padded": "x"},
        {"org.founded": {"text": "was founded by"}},
        {"ok": "has ${var}"},
        {"ok": "costs $5"},
        ["a$b"],
        ["${a.b}"],
    ],
)
def test_labels_that_a_config_would_not_give_back(factory, labels):
    with pytest.raises(ValueError, match=f"R009.*{re.escape(repr(next(iter(labels))))}.*add_label"):
        spacy.blank("en").add_pipe(factory, config={"labels": labels})


def test_such_labels_can_be_added(make_nlp, component, tmp_path):
    nlp = make_nlp(labels={"org.founded": "was founded by", "née": "was born as"})
    component(nlp).add_label("per:title", "is a title of")
    nlp.to_disk(tmp_path)
    assert component(spacy.load(tmp_path)).labels == ("org.founded", "née", "per:title")
