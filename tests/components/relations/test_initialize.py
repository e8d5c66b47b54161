"""What training takes from documents, and what is left of before where it starts anew."""

from typing import Any, List

import numpy as np
import pytest
from spacy.training import Example

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.corpora.reader import copy_input

NAME = "rag_relation_extractor"


# Labels and examples


def test_unknown_label_after_initialisation(make_nlp, make_doc, gold_examples, component):
    nlp = make_nlp(labels={})
    optimizer = nlp.initialize(lambda: gold_examples(nlp))
    doc = make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")], [(0, "hired", 1)])
    with pytest.raises(ValueError, match="R007.*'hired'.*founded_by"):
        nlp.update([Example(copy_input(doc), doc)], sgd=optimizer)
    with pytest.raises(ValueError, match="R007.*'hired'"):
        component(nlp).add_examples([doc])
    assert "hired" not in component(nlp).labels


def test_initialisation_without_labels(make_nlp, make_doc):
    nlp = make_nlp(labels={})
    doc = make_doc(nlp, "Acme hired Ann .")
    with pytest.raises(ValueError, match="R501"):
        nlp.initialize(lambda: [Example(copy_input(doc), doc)])


def test_initialisation_with_label_data(make_nlp, gold_examples, component):
    nlp = make_nlp(labels={})
    nlp.config["initialize"]["components"][NAME] = {
        "labels": {"located_in": {"text": "lies in"}, "founded_by": "was set up by"}
    }
    nlp.initialize(lambda: gold_examples(nlp))
    assert component(nlp).labels == ("located_in", "founded_by")
    assert component(nlp).label_data["located_in"]["text"] == "lies in"


def test_initialisation_without_data_keeps_zero_shot(make_nlp, make_doc, component):
    nlp = make_nlp()
    nlp.initialize()
    assert component(nlp).predictor.mode == "trie"
    nlp(make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))


@pytest.mark.parametrize("encoder", ["states", "text"])
def test_initialising_twice_keeps_each_example_once(
    make_nlp, gold_docs, gold_examples, component, text_retriever, encoder
):
    nlp = make_nlp(**({"retriever": text_retriever} if encoder == "text" else {}))
    component(nlp).add_examples(gold_docs(nlp)[:3])
    for _ in range(2):
        nlp.initialize(lambda: gold_examples(nlp))
    predictor = component(nlp).predictor
    assert len(predictor.retriever) + len(predictor.pending) == 8
    # Keys that the model made before it had an adapter are not kept as if they were of this one.
    assert len(predictor.retriever) == (0 if encoder == "states" else 8)
    nlp.to_bytes()


@pytest.mark.parametrize("encoder", ["states", "text"])
def test_prompts_in_training_never_show_the_example_itself(
    make_nlp, gold_examples, train, component, text_retriever, monkeypatch, encoder
):
    nlp = make_nlp(n_examples=2, **({"retriever": text_retriever} if encoder == "text" else {}))
    examples = gold_examples(nlp)
    predictor = component(nlp).predictor
    shown: List[int] = []
    segments = type(predictor.prompt).segments

    def spy(self: Any, query: Any, labels: Any, neighbours: Any = ()) -> Any:
        assert query.text not in [neighbour.text for neighbour in neighbours]
        shown.append(len(neighbours))
        return segments(self, query, labels, neighbours)

    monkeypatch.setattr(type(predictor.prompt), "segments", spy)
    losses = train(nlp, examples, steps=2)
    assert np.isfinite(losses).all()
    if encoder == "text":
        assert shown == [2] * 16
        assert len(predictor.retriever) == 8 and not predictor.pending
    else:
        # Keys of the model's own states are out of date as soon as it learns.
        assert shown == [0] * 16
        assert len(predictor.retriever) == 0 and len(predictor.pending) == 8
        predictor.refresh()
        shown.clear()
        train(nlp, examples, steps=2, initialize=False)
        # Prompts of a trained model are those of its training, with a store that is up to date, too.
        assert set(shown) == {0}
        assert len(predictor.retriever) == 0 and len(predictor.pending) == 8


def test_predictions_in_training_use_no_stale_neighbours(make_nlp, gold_examples, train, component):
    nlp = make_nlp(n_examples=2)
    examples = gold_examples(nlp)
    train(nlp, examples, steps=2)
    predictor = component(nlp).predictor
    predictor.refresh()
    assert len(predictor.retriever) == 8
    optimizer = nlp.resume_training()
    component(nlp).update(examples)
    assert len(predictor.retriever) == 8  # no step yet
    component(nlp).finish_update(optimizer)
    assert len(predictor.retriever) == 0 and len(predictor.pending) == 8
    docs = nlp.pipe([copy_input(example.reference) for example in examples])
    assert all(relation.evidence["examples"] == [] for doc in docs for relation in doc._.relations)


def test_steps_do_not_copy_the_waiting_examples(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    component(nlp).update(examples, sgd=optimizer)
    pending = component(nlp).predictor.pending
    component(nlp).update(examples, sgd=optimizer)
    assert component(nlp).predictor.pending is pending


def test_frozen_component_learns_nothing(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    before = component(nlp).predictor.shim.weight.detach().clone()
    nlp.update(examples, sgd=optimizer, exclude=[NAME])
    assert (component(nlp).predictor.shim.weight == before).all()
    assert not component(nlp).predictor.trained


def test_initialising_again_starts_anew(make_nlp, gold_examples, train):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    first = train(nlp, examples, steps=4)
    again = train(nlp, examples, steps=4)
    # An adapter that changes nothing yet, and the head's first rows: the loss before the first step is the same.
    assert again[0] == pytest.approx(first[0], rel=1e-4) and first[-1] < 0.8 * first[0]


# What is known, and from when


def test_documents_whose_relations_were_never_set_teach_nothing(make_nlp, gold_examples, train, component):
    """Training gives the same as without them, and they are no examples."""
    scores = []
    for extra in (0, 18):
        nlp = make_nlp()
        examples = gold_examples(nlp)
        plain = [Example(copy_input(eg.reference), copy_input(eg.reference)) for eg in examples * 3][:extra]
        train(nlp, [*examples, *plain])
        scores.append(nlp.evaluate(examples)["rels_micro_f"])
        assert len(component(nlp).predictor.pending) == len(examples)
        assert component(nlp).add_examples(example.reference for example in plain) == 0
    assert scores == [1.0, 1.0]


def test_a_symmetric_label_in_both_directions_is_one_class(make_nlp, make_doc, train):
    nlp = make_nlp(labels={"married_to": {"text": "is married to", "symmetric": True}})
    people = [("Ann", "PERSON"), ("Bob", "PERSON")]
    docs = [
        make_doc(nlp, "Ann married Bob .", people, [(0, "married_to", 1), (1, "married_to", 0)]),
        make_doc(nlp, "Ann met Bob .", people, []),
    ]
    losses = train(nlp, [Example(copy_input(doc), doc) for doc in docs], steps=25)
    (relation,) = nlp(copy_input(docs[0]))._.relations
    # Two classes that share the probability would stay at one half each.
    assert relation.label == "married_to" and relation.score > 0.9 and losses[-1] < 0.1


def test_what_was_calibrated_before_training_is_forgotten(make_nlp, gold_examples, train, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    # As zero-shot likelihoods have it: far from the logits of a head.
    component(nlp).predictor.calibration = Calibration(prior=(-90.0, -120.0, -110.0, -130.0, -100.0), threshold=0.25)
    train(nlp, examples)
    assert component(nlp).predictor.calibration == Calibration(threshold=0.25)
    assert nlp.evaluate(examples)["rels_micro_f"] == 1.0


def test_a_label_that_is_added_after_calibration(make_nlp, gold_examples, component):
    nlp = make_nlp()
    component(nlp).predictor.calibration = Calibration(prior=(0.0,) * 5)
    assert component(nlp).add_label("knows", "knows") == 1
    assert len(nlp(gold_examples(nlp)[0].predicted)._.relations) <= 1


def test_initialize_again_with_other_labels(make_nlp, gold_examples, make_doc, train, component):
    nlp = make_nlp(labels={})
    examples = gold_examples(nlp)
    train(nlp, examples[:4], steps=1)
    assert component(nlp).labels == ("founded_by",)
    train(nlp, examples, steps=1)
    assert component(nlp).labels == ("founded_by", "located_in")
    assert component(nlp).predictor.shim.weight.shape[0] == len(component(nlp).predictor.labels.classes) == 5
    with pytest.raises(ValueError, match="R505"):
        component(nlp).add_label("knows")


def test_gradients_of_before_do_not_outlive_initialize(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    nlp.initialize(lambda: examples)
    nlp.update(examples, sgd=False)
    nlp.initialize(lambda: examples)
    assert all(parameter.grad is None for parameter in component(nlp).predictor.shim.parameters().values())


def test_the_scorer_is_told_what_is_symmetric_and_where_entities_are(make_nlp, make_doc):
    nlp = make_nlp(labels={"married_to": {"text": "is married to", "symmetric": True}}, spans_key="sc")
    gold, found = (make_doc(nlp, "Ann married Bob .", [("Ann", "PERSON"), ("Bob", "PERSON")]) for _ in range(2))
    for doc, ends in ((gold, (1, 0)), (found, (0, 1))):
        doc.spans["sc"] = list(doc.ents)
        doc.ents = []
        head, tail = (doc.spans["sc"][i] for i in ends)
        doc._.relations = [{"head": head, "tail": tail, "label": "married_to"}]
    scores = nlp.get_pipe(NAME).score([Example(found, gold)])
    assert scores["rels_micro_f"] == scores["rels_micro_all_f"] == 1.0
    nlp.get_pipe(NAME).spans_key = None
    assert nlp.get_pipe(NAME).score([Example(found, gold)], symmetric=[])["rels_micro_f"] == 0.0
