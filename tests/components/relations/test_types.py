"""How strictly entities must have the types of labels: near types where a recogniser may err, strict ones elsewhere."""

import copy
import gc
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import spacy
from spacy.training import Example

from spacy_ragre.components.relations import open_examples
from spacy_ragre.components.relations.given_types import Given, GivenTypes
from spacy_ragre.components.relations.open_examples import pack_vector
from spacy_ragre.components.relations.predictor import RelationPredictor
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.entity_types import FORBIDDEN, ONTONOTES, OTHER_NAME, STRICT, TypeRules
from spacy_ragre.labels import LabelSet

NAME = "rag_relation_extractor"
TYPED = {"founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]}}
UNFOUND = {"treats": {"text": "treats", "head_types": ["DRUG"], "tail_types": ["CONDITION"]}}


@pytest.fixture
def make(make_nlp):
    """A pipeline with a recogniser that was not trained; its documents bring their entities."""

    def build(labels=TYPED, found=("PERSON", "ORG"), **settings):
        nlp = make_nlp(labels=labels, **{"weights": "open", **settings})
        ner = nlp.add_pipe("ner", first=True)
        for label in found:
            ner.add_label(label)
        return nlp

    return build


def rules_of(nlp, docs=(), name=NAME):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nlp.get_pipe(name)._type_rules(list(docs))


def test_types_are_near_where_a_recogniser_finds_entities(make, make_nlp):
    nlp = make()
    assert rules_of(nlp).given == {"PERSON", "ORG"}
    assert rules_of(make(types="strict")) == STRICT
    by_hand = make_nlp(labels=TYPED, weights="open")
    by_hand.add_pipe("entity_ruler", first=True).add_patterns([{"label": "ORG", "pattern": "Acme"}])
    assert rules_of(by_hand) == STRICT
    near = make_nlp(labels=TYPED, weights="open", types="near")
    assert rules_of(near).cost("GPE", ["ORG"]) < FORBIDDEN


def test_types_are_strict_once_something_was_chosen_or_trained(make):
    nlp = make()
    predictor = nlp.get_pipe(NAME).predictor
    predictor.calibration = copy.copy(predictor.calibration).from_dict(
        {**predictor.calibration.to_dict(), "weight": 0.5}
    )
    assert rules_of(nlp) == STRICT
    assert rules_of(make(answer="trie")) == STRICT
    assert rules_of(make(answer="trie", types="near")) == STRICT


def test_a_recogniser_behind_the_component_finds_nothing_for_it(make_nlp):
    nlp = make_nlp(labels=TYPED, weights="open")
    nlp.add_pipe("ner").add_label("ORG")
    assert rules_of(nlp) == STRICT


def test_types_are_near_behind_an_embedded_pipeline_with_a_recogniser(make_nlp, monkeypatch):
    def rules(labels):
        monkeypatch.setattr("spacy_ragre.components.embedded.EmbeddedPipeline.labels", labels)
        nlp = make_nlp(labels=TYPED, weights="open")
        nlp.add_pipe("embedded_pipeline", first=True)
        return rules_of(nlp)

    assert rules(("ORG", "GPE")).given == {"ORG", "GPE"}
    assert rules(()) == STRICT


# Examples


@pytest.fixture
def small(make, open_settings):
    """The small reader, answering near types; it is known how much examples count."""

    def build(**settings):
        return make(**{"weights": open_settings["weights"], "types": "near", **settings})

    return build


def wrong_type(nlp, make_doc, type_="GPE"):
    """A recogniser's error: Acme is taken for a place."""
    ents = [("Acme", type_), ("Ann", "PERSON"), ("1990", "DATE")]
    return make_doc(nlp, "Acme was founded by Ann in 1990 .", ents, [(0, "founded_by", 1)])


@pytest.mark.parametrize("predicted_before", [False, True])
def test_examples_of_near_types_are_kept(small, make_doc, predicted_before):
    """Those that types allow in prediction, whatever was predicted before."""
    nlp = small()
    pipe = nlp.get_pipe(NAME)
    doc = wrong_type(nlp, make_doc)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*W161")
        if predicted_before:
            pipe.predict([doc])
        assert pipe.add_examples([doc]) == 1  # and no W510
    (example,) = pipe.predictor.known_examples
    assert (example.first_type, example.second_type, len(example.answers)) == ("GPE", "PERSON", 1)
    strict = small(types="strict")
    with pytest.warns(UserWarning, match="W510"):
        assert strict.get_pipe(NAME).add_examples([doc]) == 0


def test_examples_start_from_what_near_types_cost(small, make_doc, monkeypatch):
    """And those that no type allows say nothing against a label."""
    nlp = small(
        found=("PERSON", "ORG", "GPE", "DATE"),
        labels={**TYPED, "born_in": {"text": "was born in", "tail_types": ["DATE"]}},
    )
    pipe = nlp.get_pipe(NAME)
    known = {**pipe.predictor.open.known, "examples": {"centre": pack_vector(np.zeros(64, "f"))}}
    known["examples"].update({kind: {"variance": 1.0} for kind in ("types", "no_types")})
    pipe.predictor.open._known = known
    seen = {}

    def learn(vectors, scores, holds, known, variance):
        seen.update(scores=scores, holds=holds, known=known)
        return np.zeros((scores.shape[1], vectors.shape[1]), "f"), np.zeros(scores.shape, "f")

    monkeypatch.setattr(open_examples, "learn", learn)
    found = []
    for type_ in ("GPE", "ORG"):
        doc = wrong_type(nlp, make_doc, type_)
        pipe.predictor.retriever.clear()
        pipe.add_examples([doc])
        pipe.predict([doc])
        found.append({key: value.copy() for key, value in seen.items()})
    near, right = found
    # Rows are both directions of each pair, columns the labels.
    holds = np.argwhere(near["holds"])
    assert holds.tolist() == [[0, 0]] and near["known"][0, 0]
    assert right["scores"][0, 0] - near["scores"][0, 0] == pytest.approx(OTHER_NAME)
    # A person can be no tail that is a date, and a date neither founder nor organisation.
    assert not near["known"][0, 1] and not near["known"][2:, 0].any() and near["known"][2:, 1].any()


def test_a_reader_that_was_trained_with_near_types_reads_as_it_was_trained(small, make_doc, train):
    nlp = small(labels=TYPED, answer="open")
    doc = wrong_type(nlp, make_doc)
    other = make_doc(nlp, "Paris is located in France .", [("Paris", "GPE"), ("France", "GPE")], [])
    examples = [Example(copy_input(each), each) for each in (doc, other)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no relation is lost, as W510 would say
        train(nlp, examples, steps=2, learn_rate=0.025)
    pipe = nlp.get_pipe(NAME)
    pairs = [candidate.instance for candidate in pipe._candidates(doc, pipe._type_rules([doc]))]
    targets = [replace(pair, answers=()) for pair in pairs]
    (part,) = pipe.predictor.open.begin_update(targets, pipe.predictor.labels, 0.0)
    expected = pipe.predictor.score(pairs).scores[list(part.rows)]
    assert part.logits[part.known] == pytest.approx(expected[part.known], abs=1e-4)


def test_calibration_is_for_the_types_that_answer_after_it(make, open_settings, make_doc, monkeypatch):
    """With `types = "auto"` those are strict, and what was fitted for near ones is not true of them."""
    seen = []
    monkeypatch.setattr(RelationPredictor, "calibrate", lambda self, pairs, *more: seen.append(self.open.types) or {})
    for types in ("auto", "near"):
        nlp = make(weights=open_settings["weights"], types=types)
        doc = make_doc(nlp, "Acme was founded by Ann .", [("Acme", "ORG"), ("Ann", "PERSON")], [(0, "founded_by", 1)])
        pipe = nlp.get_pipe(NAME)
        pipe.predict([doc])
        assert pipe.predictor.open.types != STRICT
        pipe.calibrate([Example(copy_input(doc), doc)])
    assert seen[0] == STRICT and seen[1] != STRICT


def test_pairs_that_are_asked_for_training_are_those_of_training(small, make_doc, monkeypatch):
    """Whatever was asked before, and with near types where they train, too."""
    for types, settings in (("near", {}), ("auto", {}), ("auto", {"found": ()})):
        nlp = small(labels=TYPED, answer="open", types=types, **settings)
        pipe = nlp.get_pipe(NAME)
        ents = [("Acme", "ORG"), ("Rome", "GPE"), ("Ann", "PERSON")]
        doc = make_doc(nlp, "Acme is old . Rome was founded by Ann .", ents, [(0, "founded_by", 2)])
        for token in doc:
            token.is_sent_start = token.i in (0, 4)
        trained = []
        monkeypatch.setattr(pipe.predictor, "train", lambda instances, trained=trained: trained.extend(instances))
        monkeypatch.setattr(pipe, "_begin_training", lambda: None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipe.predict([doc])
            asked = [replace(candidate.instance, answers=None) for candidate in pipe.asked(doc)]
            pipe.predict([doc])
            pipe.update([Example(copy_input(doc), doc)])
        assert asked and asked == [replace(instance, answers=None) for instance in trained]


def test_a_threshold_that_is_asked_for_changes_no_types(make, make_doc):
    """Those that are near stay so, and strict ones strict."""
    nlp = make()
    component = nlp.get_pipe(NAME)
    for expected in (TypeRules(frozenset({"PERSON", "ORG"})), STRICT):
        assert rules_of(nlp) == expected
        with component.asking(threshold=0.6):
            assert rules_of(nlp) == expected and component.least_score == 0.6
            with component.asking(LabelSet({"left": ""})):
                assert component.least_score == 0.6
            with component.asking(threshold=0.7):
                assert component.least_score == 0.7
        assert component.predictor.limit is None
        component.predictor.calibration = replace(component.predictor.calibration, weight=0.5)


# The pipeline that is asked


def test_a_component_of_another_name_knows_its_pipeline(make):
    nlp = make()
    expected = rules_of(nlp)
    nlp.rename_pipe(NAME, "rels")
    assert rules_of(nlp, name="rels") == expected == TypeRules(frozenset({"PERSON", "ORG"}))
    nlp.get_pipe("ner").add_label("GPE")
    nlp.rename_pipe("ner", NAME)
    assert rules_of(nlp, name="rels").given == {"PERSON", "ORG", "GPE"}
    with nlp.select_pipes(disable=[NAME]):
        assert rules_of(nlp, name="rels") == STRICT
    with nlp.select_pipes(disable=["rels"]):
        assert rules_of(nlp, name="rels").given == {"PERSON", "ORG", "GPE"}


@pytest.mark.parametrize("found", [(), ("GPE",)])
@pytest.mark.parametrize("left", [True, False])
def test_w644_a_component_of_another_pipeline_says_that_it_is_not_known(make, found, left):
    """It takes the types of most recognisers, and neither those of the other pipeline nor none."""
    other = make(found=found)
    nlp = spacy.blank("en")
    nlp.add_pipe("ner").add_label("LAW")
    nlp.add_pipe(NAME, source=other)
    if not left:
        del other
        gc.collect()
    docs = [nlp.make_doc("Acme was founded by Ann .")]
    component = nlp.get_pipe(NAME)
    with pytest.warns(UserWarning, match=r"\[W644\].*'rag_relation_extractor'") as told:
        assert component._type_rules(docs) == TypeRules(ONTONOTES)
        assert component._type_rules(docs) == TypeRules(ONTONOTES)
    assert len(told) == 1
    again = nlp.from_config(nlp.config)
    again.get_pipe("ner").add_label("LAW")
    assert rules_of(again).given == {"LAW"}
    component.types = "strict"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert component._type_rules(docs) == STRICT


def test_w644_a_component_that_was_taken_out(make):
    nlp = make()
    component = nlp.remove_pipe(NAME)[1]
    with pytest.warns(UserWarning, match="W644"):
        assert component._type_rules([]) == TypeRules(ONTONOTES)


def test_another_process_knows_the_types(make):
    nlp = make()
    given = pickle.loads(pickle.dumps(GivenTypes(nlp, nlp.get_pipe(NAME))))
    assert given.found() == Given(frozenset({"PERSON", "ORG"}))


def test_what_was_saved_before_there_were_near_types_stays_strict(make):
    nlp = make()
    component = nlp.get_pipe(NAME)
    settings = component._settings()
    component._apply(settings)
    assert rules_of(nlp) != STRICT
    component._apply({key: value for key, value in settings.items() if key != "types"})
    assert rules_of(nlp) == STRICT


def test_r642_unknown_strictness(make_nlp):
    with pytest.raises(ValueError, match="R642.*'loose'"):
        make_nlp(labels=TYPED, types="loose")


def test_w641_types_that_nothing_finds_are_told_once(make):
    nlp = make(UNFOUND)
    with pytest.warns(
        UserWarning, match=r"W641.*DRUG, CONDITION.*\(types that are found: ORG, PERSON\).*stand for them"
    ):
        nlp.get_pipe(NAME)._type_rules([])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp.get_pipe(NAME)._type_rules([])
    # Of several types that may stand there, one is enough.
    either = {"treats": {"text": "treats", "head_types": ["DRUG", "ORG"], "tail_types": ["PER", "PERSON"]}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for nlp in (make(either, types="strict"), make(either)):
            nlp.get_pipe(NAME)._type_rules([])
    strict = make(UNFOUND, types="strict")
    with pytest.warns(UserWarning, match="W641.*They get none"):
        strict.get_pipe(NAME)._type_rules([])


@pytest.mark.real
def test_a_relation_between_names_of_other_types_is_found_for_a_higher_score(make, make_doc):
    def found(ents, **settings):
        nlp = make(found=("PERSON", "ORG", "GPE"), **settings)
        doc = make_doc(nlp, "Acme was founded by Ann Lee in 1990 .", ents)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            doc = nlp.get_pipe(NAME)(doc)
        return {(r.head.text, r.label, r.tail.text): r.score for r in doc._.relations}

    key = ("Acme", "founded_by", "Ann Lee")
    right = found([("Acme", "ORG"), ("Ann Lee", "PERSON")])
    wrong = found([("Acme", "GPE"), ("Ann Lee", "PERSON")])
    assert 0 < wrong[key] < right[key]
    assert found([("Acme", "GPE"), ("Ann Lee", "PERSON")], types="strict") == {}
    assert found([("Acme", "DATE"), ("Ann Lee", "PERSON")]) == {}
    # Of a type that nothing finds, a phrase may be.
    asked = {"treats": {"text": "was founded by", "head_types": ["STARTUP"], "tail_types": ["PERSON"]}}
    assert len(found([("Acme", "TERM"), ("Ann Lee", "PERSON")], labels=asked, threshold=0.1)) == 1


@pytest.mark.real
def test_limits_are_those_of_entities_that_are_found(make, make_nlp):
    nlp, strict = make(), make(types="strict")
    limits = []
    for pipeline in (nlp, strict):
        rules_of(pipeline)
        limits.append(pipeline.get_pipe(NAME).predictor.settings.threshold)
    decision = nlp.get_pipe(NAME).predictor.open.known["decision"]
    assert limits == [decision["types_found"], decision["types"]]
