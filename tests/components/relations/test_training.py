"""Training: what is learned, what a step does, and what a prompt shows meanwhile."""

from typing import Any, Dict, List

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Span
from spacy.training import Example

from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.training import parallel

NAME = "rag_relation_extractor"
WHOLE = {"@ragre_candidates": "ragre.WholeDocument.v1"}
PROPOSED = {"@ragre_candidates": "ragre.Proposed.v1"}


def answers(nlp: Any, examples: Any, found: Any) -> Any:
    return found(nlp.pipe([copy_input(example.reference) for example in examples]))


# What is learned


def test_learns_labels_directions_and_no_relation(make_nlp, gold_examples, train, found, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    losses = train(nlp, examples)
    assert losses[-1] < 0.1 < 1 < losses[0]
    assert answers(nlp, examples, found) == found(example.reference for example in examples)
    assert component(nlp).predictor.mode == "head"
    scores = nlp.evaluate(examples)
    assert scores["rels_micro_f"] == 1.0
    assert scores["rels_micro_all_f"] == 1.0


def test_learns_after_a_document_inside_of_inference_mode(make_nlp, gold_docs, gold_examples, train, tmp_path):
    nlp = make_nlp()
    with torch.inference_mode():
        nlp(gold_docs(nlp)[0])
    train(nlp, gold_examples(nlp), steps=1)
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    with torch.inference_mode():
        again(gold_docs(again)[0])
    train(again, gold_examples(again), steps=1, initialize=False)


def test_learns_labels_from_the_data(make_nlp, gold_examples, train, found, component):
    nlp = make_nlp(labels={})
    # The documents without relations come first.
    examples = gold_examples(nlp)[::-1]
    train(nlp, examples)
    assert set(component(nlp).labels) == {"founded_by", "located_in"}
    assert answers(nlp, examples, found) == found(example.reference for example in examples)
    assert len(component(nlp).predictor.pending) == 8


def test_learns_several_labels_of_one_pair(make_nlp, make_doc, gold_examples, train, found):
    nlp = make_nlp(multi_label=True)
    both = [(0, "founded_by", 1), (1, "located_in", 0)]
    doc = make_doc(nlp, "Soylent belongs to Kim .", [("Soylent", "ORG"), ("Kim", "PERSON")], both)
    examples = [Example(copy_input(doc), doc), *gold_examples(nlp)]
    losses = train(nlp, examples, steps=25)
    assert losses[-1] < losses[0] / 5
    predicted = answers(nlp, examples, found)
    assert predicted[0] == [("Kim", "located_in", "Soylent"), ("Soylent", "founded_by", "Kim")]
    assert predicted == found(example.reference for example in examples)


def cluster_doc(nlp: Any, words: str, clusters: Any, relations: Any) -> Any:
    """A document whose entities are the clusters' mentions, given as token indexes."""
    doc = nlp.make_doc(words)
    spans = {i: Span(doc, i, i + 1, "ORG") for cluster in clusters for i in cluster}
    doc.set_ents(sorted(spans.values(), key=lambda span: span.start))
    doc._.entity_clusters = [[spans[i] for i in cluster] for cluster in clusters]
    doc._.relations = [
        {
            "head": spans[clusters[h][0]],
            "tail": spans[clusters[t][0]],
            "label": label,
            "head_cluster": h,
            "tail_cluster": t,
        }
        for h, label, t in relations
    ]
    return doc


@pytest.mark.parametrize("candidates", [WHOLE, PROPOSED], ids=["whole document", "proposed"])
def test_learns_relations_between_clusters(make_nlp, train, candidates):
    nlp = make_nlp(candidates=candidates, multi_label=True)
    # "Acme" and "it" are one entity, and so are "Ann" and "she".
    doc = cluster_doc(
        nlp,
        "Acme is rich . Ann set it up in Rome . she sold it .",
        [[0, 6, 12], [4, 10], [9]],
        [(0, "founded_by", 1), (0, "located_in", 2)],
    )
    predicted = copy_input(doc)
    if candidates is PROPOSED:
        doc._.candidate_pairs = [(0, 1, 0.9), (1, 0, 0.9), (2, 1, 0.4)]
        predicted._.candidate_pairs = doc._.candidate_pairs
    train(nlp, [Example(predicted, doc)], steps=25)
    result = nlp(predicted)
    triples = sorted((r.head_cluster, r.label, r.tail_cluster) for r in result._.relations)
    if candidates is PROPOSED:
        assert triples == [(0, "founded_by", 1)]  # the other pair was not proposed
    else:
        assert triples == [(0, "founded_by", 1), (0, "located_in", 2)]
    for relation in result._.relations:
        # Mentions are those that stand nearest to each other.
        assert relation.head.text == "it"
        cluster = result._.entity_clusters[relation.head_cluster]
        assert (relation.head.start, relation.head.end) in [(mention.start, mention.end) for mention in cluster]


def test_only_proposed_directions_are_answered(make_nlp, make_doc, component, monkeypatch):
    nlp = make_nlp(candidates=PROPOSED, multi_label=True)
    monkeypatch.setattr(
        component(nlp).predictor,
        "_score_mode",
        lambda mode, instances, *others: np.tile(np.array([0.0, 5, 5, 5, 5], dtype="float32"), (len(instances), 1)),
    )
    doc = make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")])
    doc._.candidate_pairs = [(1, 0)]
    assert {(r.head.text, r.tail.text) for r in nlp(doc)._.relations} == {("Ann", "Acme")}


TYPED: Dict[str, Any] = {
    "founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]},
    "located_in": {"text": "is located in", "head_types": ["GPE"], "tail_types": ["GPE"]},
    "met": {"text": "met", "symmetric": True, "head_types": ["PERSON"], "tail_types": ["PERSON"]},
}


def test_learns_a_symmetric_label_whichever_way_it_is_annotated(make_nlp, make_doc, gold_examples, train):
    nlp = make_nlp(labels=TYPED)
    people = [("Eve", "PERSON"), ("Finn", "PERSON")]
    examples = gold_examples(nlp)[:6]
    for text, order in (("Eve met Finn .", (0, "met", 1)), ("Eve saw Finn .", (1, "met", 0))):
        doc = make_doc(nlp, text, people, [order])
        examples.append(Example(copy_input(doc), doc))
    train(nlp, examples)
    for example in examples[6:]:
        (relation,) = nlp(copy_input(example.reference))._.relations
        assert relation.label == "met"
        assert {relation.head.text, relation.tail.text} == {"Eve", "Finn"}


def test_trained_answers_respect_the_types(make_nlp, make_doc, gold_examples, train):
    """A pair of other types gets no founded_by, though its sentence reads like one, in both directions."""
    nlp = make_nlp(labels={key: TYPED[key] for key in ("founded_by", "located_in")})
    train(nlp, gold_examples(nlp))
    for text, first, second in (
        ("Acme was founded by Ann .", "Acme", "Ann"),
        ("Cara founded Hooli .", "Cara", "Hooli"),
    ):
        doc = nlp(make_doc(nlp, text, [(first, "GPE"), (second, "GPE")]))
        assert {relation.label for relation in doc._.relations} <= {"located_in"}
        doc = nlp(make_doc(nlp, text, [(first, "PERSON"), (second, "PERSON")]))
        assert doc._.relations == []


# Steps


def test_losses_are_those_of_the_seed(make_nlp, gold_examples, train):
    def losses(seed: int) -> List[float]:
        nlp = make_nlp()
        return train(nlp, gold_examples(nlp), steps=4, seed=seed)

    first = losses(0)
    assert losses(0) == first
    assert losses(1) != first


def test_gradients_add_up_until_a_step(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    pipe = component(nlp)
    shim = pipe.predictor.shim
    before = {name: p.detach().clone() for name, p in shim.parameters().items()}
    pipe.update(examples[:4])
    half = shim.weight.grad.clone()
    pipe.update(examples[4:])
    whole = shim.weight.grad.clone()
    assert not np.allclose(half, whole)
    assert all((p == before[name]).all() for name, p in shim.parameters().items())
    # Nothing was learned yet, so that the head is not trusted and no key is out of date.
    assert not pipe.predictor.trained
    assert pipe.predictor.mode == "trie"
    pipe.finish_update(optimizer)
    assert pipe.predictor.trained
    assert pipe.predictor.mode == "head"
    assert shim.weight.grad is None
    assert not (shim.weight == before["head.weight"]).all()
    # The sum of the means over halves is the mean over all, twice.
    other = make_nlp()
    other.initialize(lambda: gold_examples(other))
    component(other).update(gold_examples(other))
    assert np.allclose(whole, 2 * component(other).predictor.shim.weight.grad, atol=1e-5)


def test_a_step_without_gradients_changes_nothing(make_nlp, gold_examples, component):
    nlp = make_nlp()
    optimizer = nlp.initialize(lambda: gold_examples(nlp))
    component(nlp).finish_update(optimizer)
    assert not component(nlp).predictor.trained
    # Nor does it load the model of a component that was never initialised.
    fresh = make_nlp()
    component(fresh).finish_update(optimizer)
    assert not component(fresh).predictor.backbone.is_loaded


def test_update_with_an_optimizer_takes_a_step(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    shim = component(nlp).predictor.shim
    before = shim.weight.detach().clone()
    losses = component(nlp).update(examples, sgd=optimizer)
    assert set(losses) == {NAME} and losses[NAME] > 0
    assert not (shim.weight == before).all()


def test_update_without_pairs(make_nlp, make_doc, component):
    nlp = make_nlp()
    doc = make_doc(nlp, "Nobody sleeps .", [], [])
    example = Example(copy_input(doc), doc)
    optimizer = nlp.initialize(lambda: [example])
    assert not component(nlp).predictor.shim.has_head  # no relation to learn from: ready for zero-shot
    losses = nlp.update([example], sgd=optimizer)
    assert losses == {NAME: 0.0}
    assert component(nlp).update([]) == {NAME: 0.0}
    assert component(nlp).predictor.mode == "trie"


def test_update_adds_to_the_losses_it_is_given(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    nlp.initialize(lambda: examples)
    losses = {"other": 2.0, NAME: 1.0}
    assert component(nlp).update(examples, losses=losses) is losses
    assert losses["other"] == 2.0 and losses[NAME] > 1.0


def test_loss_of_scores(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    scores = np.zeros((8, 5), dtype="float32")
    loss, gradient = component(nlp).get_loss(examples, scores)
    assert loss == pytest.approx(np.log(5))
    assert gradient.shape == (8, 5)
    assert np.allclose(gradient.sum(axis=1), 0, atol=1e-6)
    # The first sentence is founded_by, read forward: class 1; the last has no relation.
    assert gradient[0, 1] == pytest.approx((1 / 5 - 1) / 8)
    assert gradient[-1, 0] == pytest.approx((1 / 5 - 1) / 8)


def test_label_smoothing_spreads_the_target(make_nlp, gold_examples, component):
    nlp = make_nlp(label_smoothing=0.1)
    examples = gold_examples(nlp)
    nlp.initialize(lambda: examples)
    _, gradient = component(nlp).get_loss(examples, np.zeros((8, 5), dtype="float32"))
    assert gradient[0, 1] == pytest.approx((1 / 5 - (0.9 + 0.1 / 5)) / 8)
    assert gradient[0, 0] == pytest.approx((1 / 5 - 0.1 / 5) / 8)


# Both orders


def test_a_turned_pair_has_turned_answers(make_nlp, gold_examples, component):
    nlp = make_nlp()
    for example in gold_examples(nlp):
        for candidate in component(nlp)._labelled(example.reference):
            turned = candidate.instance.swapped()
            assert (turned.first, turned.second) == (candidate.instance.second, candidate.instance.first)
            assert [(a.label, a.reversed) for a in turned.answers] == [
                (a.label, not a.reversed) for a in candidate.instance.answers
            ]
            assert turned.swapped() == candidate.instance


def test_answers_to_both_orders_agree(make_nlp, gold_examples, train, found, component):
    nlp = make_nlp(both_orders=True)
    train(nlp, gold_examples(nlp), steps=80, learn_rate=0.01)
    predictor = component(nlp).predictor
    pairs = [c.instance for e in gold_examples(nlp) for c in component(nlp)._labelled(e.reference)]
    scores = predictor.score(pairs).scores
    assert [int(row.argmax()) for row in scores] == [(t or [0])[0] for t in predictor.targets(pairs)]
    # The mean over both orders is the same whichever order is asked in.
    classes = [0 if c is None else predictor.labels.index(c.swapped()) for c in predictor.labels.classes]
    turned = predictor.score([pair.swapped() for pair in pairs]).scores
    np.testing.assert_allclose(turned[:, classes], scores, atol=1e-4)
    predictor.both_orders = False
    assert np.abs(predictor.score(pairs).scores - scores).max() > 1e-3


def test_keys_are_the_states_of_both_orders(make_nlp, gold_examples, component):
    nlp = make_nlp(both_orders=True)
    predictor = component(nlp).predictor
    pairs = [c.instance for e in gold_examples(nlp) for c in component(nlp)._labelled(e.reference)]
    predictor.add_examples(pairs)
    width = predictor.backbone.width
    assert predictor.retriever.encoder.width == predictor.retriever.store.width == 2 * width
    states, turned = predictor.states(pairs), predictor.states([pair.swapped() for pair in pairs])
    np.testing.assert_allclose(states[:, :width], turned[:, width:], atol=1e-5)
    np.testing.assert_allclose(states[:, width:], turned[:, :width], atol=1e-5)
    # Keys of one order are of no use for queries in both.
    both = predictor.fingerprint()
    predictor.both_orders = False
    assert predictor.states(pairs).shape == (len(pairs), width) and predictor.fingerprint() != both


@pytest.mark.parametrize("answer", ["head", "open"])
def test_a_process_may_have_no_share_of_a_batch(
    make_nlp, gold_examples, train, component, open_settings, monkeypatch, answer
):
    nlp = make_nlp(**(open_settings if answer == "open" else {}))
    examples = gold_examples(nlp)
    train(nlp, examples, steps=0)
    monkeypatch.setattr(parallel._group, "size", 100)
    predictor = component(nlp).predictor
    assert predictor.train(component(nlp)._gold([examples[0].reference])) == 0
    assert all(parameter.grad is None for parameter in predictor.shim.parameters().values())
