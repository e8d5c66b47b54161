"""Training: what is learned, what a step does, and what a prompt shows meanwhile."""

from typing import Any, Dict, List

import numpy as np
import pytest
from spacy.tokens import Span
from spacy.training import Example

from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.models.calibration import Calibration

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
    assert component(nlp).answerer.mode == "head"
    scores = nlp.evaluate(examples)
    assert scores["rels_micro_f"] == 1.0
    assert scores["rels_micro_all_f"] == 1.0


def test_learns_labels_from_the_data(make_nlp, gold_examples, train, found, component):
    nlp = make_nlp(labels={})
    # The documents without relations come first.
    examples = gold_examples(nlp)[::-1]
    train(nlp, examples)
    assert set(component(nlp).labels) == {"founded_by", "located_in"}
    assert answers(nlp, examples, found) == found(example.reference for example in examples)
    assert len(component(nlp).answerer.waiting) == 8


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
        component(nlp).answerer,
        "_score_mode",
        lambda mode, instances, found: np.tile(np.array([0.0, 5, 5, 5, 5], dtype="float32"), (len(instances), 1)),
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
    shim = pipe.answerer.shim
    before = {name: p.detach().clone() for name, p in shim.parameters().items()}
    pipe.update(examples[:4])
    half = shim.weight.grad.clone()
    pipe.update(examples[4:])
    whole = shim.weight.grad.clone()
    assert not np.allclose(half, whole)
    assert all((p == before[name]).all() for name, p in shim.parameters().items())
    # Nothing was learned yet, so that the head is not trusted and no key is out of date.
    assert not pipe.answerer.trained
    assert pipe.answerer.mode == "trie"
    pipe.finish_update(optimizer)
    assert pipe.answerer.trained
    assert pipe.answerer.mode == "head"
    assert shim.weight.grad is None
    assert not (shim.weight == before["head.weight"]).all()
    # The sum of the means over halves is the mean over all, twice.
    other = make_nlp()
    other.initialize(lambda: gold_examples(other))
    component(other).update(gold_examples(other))
    assert np.allclose(whole, 2 * component(other).answerer.shim.weight.grad, atol=1e-5)


def test_a_step_without_gradients_changes_nothing(make_nlp, gold_examples, component):
    nlp = make_nlp()
    optimizer = nlp.initialize(lambda: gold_examples(nlp))
    component(nlp).finish_update(optimizer)
    assert not component(nlp).answerer.trained
    # Nor does it load the model of a component that was never initialised.
    fresh = make_nlp()
    component(fresh).finish_update(optimizer)
    assert not component(fresh).answerer.backbone.is_loaded


def test_update_with_an_optimizer_takes_a_step(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    shim = component(nlp).answerer.shim
    before = shim.weight.detach().clone()
    losses = component(nlp).update(examples, sgd=optimizer)
    assert set(losses) == {NAME} and losses[NAME] > 0
    assert not (shim.weight == before).all()


def test_update_without_pairs(make_nlp, make_doc, component):
    nlp = make_nlp()
    doc = make_doc(nlp, "Acme sleeps .", [("Acme", "ORG")], [])
    example = Example(copy_input(doc), doc)
    optimizer = nlp.initialize(lambda: [example])
    assert not component(nlp).answerer.shim.has_head  # no relation to learn from: ready for zero-shot
    losses = nlp.update([example], sgd=optimizer)
    assert losses == {NAME: 0.0}
    assert component(nlp).update([]) == {NAME: 0.0}
    assert component(nlp).answerer.mode == "trie"


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
    doc = make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")], [])
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
    assert component(nlp).answerer.mode == "trie"
    nlp(make_doc(nlp, "Acme hired Ann .", [("Acme", "ORG"), ("Ann", "PERSON")]))


@pytest.mark.parametrize("encoder", ["states", "text"])
def test_initialising_twice_keeps_each_example_once(
    make_nlp, gold_docs, gold_examples, component, text_retriever, encoder
):
    nlp = make_nlp(**({"retriever": text_retriever} if encoder == "text" else {}))
    component(nlp).add_examples(gold_docs(nlp)[:3])
    for _ in range(2):
        nlp.initialize(lambda: gold_examples(nlp))
    answerer = component(nlp).answerer
    assert len(answerer.retriever) + len(answerer.waiting) == 8
    # Keys that the model made before it had an adapter are not kept as if they were of this one.
    assert len(answerer.retriever) == (0 if encoder == "states" else 8)
    nlp.to_bytes()


@pytest.mark.parametrize("encoder", ["states", "text"])
def test_prompts_in_training_never_show_the_example_itself(
    make_nlp, gold_examples, train, component, text_retriever, monkeypatch, encoder
):
    nlp = make_nlp(n_examples=2, **({"retriever": text_retriever} if encoder == "text" else {}))
    examples = gold_examples(nlp)
    answerer = component(nlp).answerer
    shown: List[int] = []
    segments = type(answerer.prompt).segments

    def spy(self: Any, query: Any, labels: Any, neighbours: Any = ()) -> Any:
        assert query.text not in [neighbour.text for neighbour in neighbours]
        shown.append(len(neighbours))
        return segments(self, query, labels, neighbours)

    monkeypatch.setattr(type(answerer.prompt), "segments", spy)
    losses = train(nlp, examples, steps=2)
    assert np.isfinite(losses).all()
    if encoder == "text":
        assert shown == [2] * 16
        assert len(answerer.retriever) == 8 and not answerer.waiting
    else:
        # Keys of the model's own states are out of date as soon as it learns.
        assert shown == [0] * 16
        assert len(answerer.retriever) == 0 and len(answerer.waiting) == 8
        answerer.refresh()
        shown.clear()
        train(nlp, examples, steps=2, initialize=False)
        assert sorted(set(shown)) == [0, 2]
        assert len(answerer.retriever) == 0 and len(answerer.waiting) == 8


def test_predictions_in_training_use_no_stale_neighbours(make_nlp, gold_examples, train, component):
    nlp = make_nlp(n_examples=2)
    examples = gold_examples(nlp)
    train(nlp, examples, steps=2)
    answerer = component(nlp).answerer
    answerer.refresh()
    assert len(answerer.retriever) == 8
    optimizer = nlp.resume_training()
    component(nlp).update(examples)
    assert len(answerer.retriever) == 8  # no step yet
    component(nlp).finish_update(optimizer)
    assert len(answerer.retriever) == 0 and len(answerer.waiting) == 8
    docs = nlp.pipe([copy_input(example.reference) for example in examples])
    assert all(relation.evidence["examples"] == [] for doc in docs for relation in doc._.relations)


def test_steps_do_not_copy_the_waiting_examples(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    component(nlp).update(examples, sgd=optimizer)
    waiting = component(nlp).answerer.waiting
    component(nlp).update(examples, sgd=optimizer)
    assert component(nlp).answerer.waiting is waiting


def test_frozen_component_learns_nothing(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    optimizer = nlp.initialize(lambda: examples)
    before = component(nlp).answerer.shim.weight.detach().clone()
    nlp.update(examples, sgd=optimizer, exclude=[NAME])
    assert (component(nlp).answerer.shim.weight == before).all()
    assert not component(nlp).answerer.trained


def test_initialising_again_starts_anew(make_nlp, gold_examples, train):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    first = train(nlp, examples, steps=4)
    again = train(nlp, examples, steps=4)
    # An adapter that changes nothing yet, and the head's first rows: the loss before the first step is the same.
    assert again[0] == pytest.approx(first[0], rel=1e-4) and first[-1] < 0.8 * first[0]


# Both orders


def test_a_turned_pair_has_turned_answers(make_nlp, gold_examples, component):
    nlp = make_nlp()
    for example in gold_examples(nlp):
        for candidate in component(nlp)._labelled(example.reference):
            turned = candidate.instance.turned()
            assert (turned.first, turned.second) == (candidate.instance.second, candidate.instance.first)
            assert [(a.label, a.inverse) for a in turned.answers] == [
                (a.label, not a.inverse) for a in candidate.instance.answers
            ]
            assert turned.turned() == candidate.instance


def test_answers_to_both_orders_agree(make_nlp, gold_examples, train, found, component):
    nlp = make_nlp(both_orders=True)
    train(nlp, gold_examples(nlp), steps=80, learn_rate=0.01)
    answerer = component(nlp).answerer
    pairs = [c.instance for e in gold_examples(nlp) for c in component(nlp)._labelled(e.reference)]
    scores = answerer.score(pairs).scores
    assert [int(row.argmax()) for row in scores] == [(t or [0])[0] for t in answerer.targets(pairs)]
    # The mean over both orders is the same whichever order is asked in.
    classes = [0 if c is None else answerer.labels.index(c.turned()) for c in answerer.labels.classes]
    turned = answerer.score([pair.turned() for pair in pairs]).scores
    np.testing.assert_allclose(turned[:, classes], scores, atol=1e-4)
    answerer.both_orders = False
    assert np.abs(answerer.score(pairs).scores - scores).max() > 1e-3


def test_keys_are_the_states_of_both_orders(make_nlp, gold_examples, component):
    nlp = make_nlp(both_orders=True)
    answerer = component(nlp).answerer
    pairs = [c.instance for e in gold_examples(nlp) for c in component(nlp)._labelled(e.reference)]
    answerer.add_examples(pairs)
    width = answerer.backbone.width
    assert answerer.retriever.encoder.width == answerer.retriever.store.width == 2 * width
    states, turned = answerer.states(pairs), answerer.states([pair.turned() for pair in pairs])
    np.testing.assert_allclose(states[:, :width], turned[:, width:], atol=1e-5)
    np.testing.assert_allclose(states[:, width:], turned[:, :width], atol=1e-5)
    # Keys of one order are of no use for queries in both.
    both = answerer.fingerprint()
    answerer.both_orders = False
    assert answerer.states(pairs).shape == (len(pairs), width) and answerer.fingerprint() != both


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
        assert len(component(nlp).answerer.waiting) == len(examples)
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
    component(nlp).answerer.calibration = Calibration(prior=(-90.0, -120.0, -110.0, -130.0, -100.0), threshold=0.25)
    train(nlp, examples)
    assert component(nlp).answerer.calibration == Calibration(threshold=0.25)
    assert nlp.evaluate(examples)["rels_micro_f"] == 1.0


def test_a_label_that_is_added_after_calibration(make_nlp, gold_examples, component):
    nlp = make_nlp()
    component(nlp).answerer.calibration = Calibration(prior=(0.0,) * 5)
    assert component(nlp).add_label("knows", "knows") == 1
    assert len(nlp(gold_examples(nlp)[0].predicted)._.relations) <= 1


def test_initialize_again_with_other_labels(make_nlp, gold_examples, make_doc, train, component):
    nlp = make_nlp(labels={})
    examples = gold_examples(nlp)
    train(nlp, examples[:4], steps=1)
    assert component(nlp).labels == ("founded_by",)
    train(nlp, examples, steps=1)
    assert component(nlp).labels == ("founded_by", "located_in")
    assert component(nlp).answerer.shim.weight.shape[0] == len(component(nlp).answerer.labels.classes) == 5
    with pytest.raises(ValueError, match="R505"):
        component(nlp).add_label("knows")


def test_gradients_of_before_do_not_outlive_initialize(make_nlp, gold_examples, component):
    nlp = make_nlp()
    examples = gold_examples(nlp)
    nlp.initialize(lambda: examples)
    nlp.update(examples, sgd=False)
    nlp.initialize(lambda: examples)
    assert all(parameter.grad is None for parameter in component(nlp).answerer.shim.parameters().values())


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
