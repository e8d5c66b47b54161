"""The filter of candidate pairs, through its life: building, learning, calibration, prediction, saving."""

import logging
import warnings

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_ragre.components.pair_filter import encoders as pair_encoder
from spacy_ragre.components.pair_filter.gold import gold_pairs as learned
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.relations import CLUSTERS_KEY, PAIRS_KEY

from .conftest import NAME, examples_of, gold_pairs, make_doc, pairs_of


def test_building_loads_no_weights():
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe(NAME)
    assert not pipe.shim.encoder.is_loaded and not pipe.shim.is_ready
    assert nlp.config["components"][NAME]["target_recall"] == 0.95
    meta = nlp.get_pipe_meta(NAME)
    assert meta.assigns == ["doc._.candidate_pairs"] and meta.requires == ["doc.ents"]
    assert meta.default_score_weights["pairs_f"] == 1.0


@pytest.mark.parametrize(
    "settings",
    [{"threshold": 1.5}, {"balance": -1}, {"target_recall": 0.0}, {"label_weight": -0.5}, {"max_distance": -1}],
)
def test_settings_that_are_not_valid(make_nlp, settings):
    with pytest.raises(ValueError, match=f"R522.*{next(iter(settings))}"):
        make_nlp(**settings)


def test_an_untrained_filter_says_so(make_nlp, gold_docs):
    nlp = make_nlp()
    with pytest.raises(ValueError, match="R521"):
        nlp(gold_docs(nlp)[0])


# Learning


def test_learns_labels(make_nlp, gold_docs):
    fix_random_seed(0)
    nlp = make_nlp(label_weight=1.0)
    docs = gold_docs(nlp)
    docs[4]._.relations = [{**docs[4]._.relations[0].to_dict(), "label": "to"}]
    examples = examples_of(docs)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    pipe = nlp.get_pipe(NAME)
    assert pipe.shim.labels == ["at", "to"]
    pipe.calibrate(examples)
    for again in (nlp, spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())):
        found = list(again.pipe([copy_input(doc) for doc in docs]))
        assert pairs_of(found) == gold_pairs(docs)
        best = [[max(pair.labels, key=pair.labels.get) for pair in doc._.candidate_pairs] for doc in found]
        assert best == [["at", "at"], ["at", "at"], [], [], ["to"]]
        assert all(sum(pair.labels.values()) == pytest.approx(1, abs=0.02) for pair in found[0]._.candidate_pairs)


@pytest.mark.parametrize("lora", [None, {"rank": 8, "alpha": 32}])
def test_learns(trained, gold_docs, lora):
    nlp, losses = trained(steps=40, lora=lora)
    assert losses[-1] < losses[0] / 2
    docs = gold_docs(nlp)
    assert pairs_of(nlp.pipe([copy_input(doc) for doc in docs])) == gold_pairs(docs)
    scores = nlp.evaluate(examples_of(docs))
    assert scores["pairs_f"] == scores["pairs_dropped"] == 1.0
    for pair in nlp(copy_input(docs[0]))._.candidate_pairs:
        assert 0.5 <= pair.score <= 1.0


def test_imbalance_is_weighed_and_taken_off_again(make_nlp, gold_docs):
    # 5 of 18 ordered pairs hold a relation.
    weights = {}
    for balance in (0.0, 0.5, 1.0):
        nlp = make_nlp(balance=balance)
        examples = examples_of(gold_docs(nlp))
        nlp.initialize(lambda examples=examples: examples)
        pipe = nlp.get_pipe(NAME)
        weights[balance] = pipe.positive_weight
        assert pipe.scale.shift == pytest.approx(-np.log(pipe.positive_weight))
    assert weights == pytest.approx({0.0: 1.0, 0.5: (13 / 5) ** 0.5, 1.0: 13 / 5})


def test_loss_by_hand(make_nlp, gold_docs):
    nlp = make_nlp()
    pipe = nlp.get_pipe(NAME)
    pipe.positive_weight = 3.0
    examples = examples_of(gold_docs(nlp)[4:])
    loss, (gradient,) = pipe.get_loss(examples, [np.array([[[9.0], [1.0]], [[-2.0], [9.0]]])])
    sigmoid = 1 / (1 + np.exp(-np.array([1.0, -2.0])))
    assert loss == pytest.approx((-3 * np.log(sigmoid[0]) - np.log(1 - sigmoid[1])) / 4)
    assert gradient[..., 0] == pytest.approx(np.array([[0, 3 * (sigmoid[0] - 1)], [sigmoid[1], 0]]) / 4)


def test_loss_of_labels_by_hand(make_nlp, gold_docs):
    nlp = make_nlp(label_weight=0.5)
    pipe = nlp.get_pipe(NAME)
    pipe.shim._labels = ["at", "by", "on"]
    examples = examples_of(gold_docs(nlp)[:2])
    reference = examples[0].reference
    known = reference._.relations
    reference._.relations = [*known, {**known[1].to_dict(), "label": "on"}]
    logits = [np.zeros((3, 3, 4)), np.zeros((3, 3, 4))]
    logits[0][0, 1] = [0, 2, 0, 0]
    loss, gradients = pipe.get_loss(examples, logits)
    share = np.exp(2) / (np.exp(2) + 2)
    # Four pairs with a relation: one with the logits above, one with two labels, and two in the other document.
    labels = (-np.log(share) + 3 * np.log(3)) / 4
    assert loss == pytest.approx(np.log(2) + 0.5 * labels)
    assert gradients[0][0, 1, 1] == pytest.approx(0.5 * (share - 1) / 4)
    assert gradients[0][0, 2, 1:] == pytest.approx(0.5 * (1 / 3 - np.array([0.5, 0, 0.5])) / 4)
    assert (gradients[0][1, :, 1:] == 0).all() and (gradients[1][1, 0, 1:] != 0).all()


def test_gradients_add_up_until_a_step(trained, gold_docs):
    nlp, _ = trained(steps=1)
    pipe = nlp.get_pipe(NAME)
    examples = examples_of(gold_docs(nlp))
    before = {name: value.detach().clone() for name, value in pipe.shim.parameters().items()}
    pipe.update(examples)
    assert all((value == before[name]).all() for name, value in pipe.shim.parameters().items())
    pipe.finish_update(nlp.create_optimizer())
    assert not all((value == before[name]).all() for name, value in pipe.shim.parameters().items())


def test_examples_without_anything_to_learn(trained, make_nlp):
    nlp, _ = trained(steps=1)
    docs = [
        make_doc(nlp, ["A"], [[0]], []),
        make_doc(nlp, ["a", "b"], [], []),
        make_doc(nlp, ["A", "b"], [[0], [1]]),  # its relations are not known
        Doc(nlp.vocab),
    ]
    assert nlp.update(examples_of(docs), sgd=nlp.create_optimizer()) == {NAME: 0.0}
    assert nlp.update([], sgd=nlp.create_optimizer()) in ({}, {NAME: 0.0})


def test_relations_between_mentions_and_other_tokens(make_nlp):
    nlp = make_nlp()
    pipe = nlp.get_pipe(NAME)
    reference = Doc(nlp.vocab, words=["Ann", "is", "in", "New", "York"], spaces=[True] * 4 + [False])
    reference.ents = [spacy.tokens.Span(reference, 0, 1, "PER"), spacy.tokens.Span(reference, 3, 5, "LOC")]
    reference._.relations = [{"head": (0, 1), "tail": (3, 5), "label": "at"}]
    predicted = Doc(nlp.vocab, words=["An", "n", "is", "in", "New York"], spaces=[False, True, True, True, False])
    gold = learned(Example(predicted, reference), pipe._input)
    assert gold.item.clusters == [[(0, 2)], [(4, 5)]] and gold.item.types == ["PER", "LOC"]
    assert gold.related.tolist() == [[False, True], [False, False]]
    # A mention that is part of a token has no place; its pairs are left out.
    predicted = Doc(nlp.vocab, words=["Ann", "is", "in New", "York"], spaces=[True] * 3 + [False])
    assert len(learned(Example(predicted, reference), pipe._input).item.clusters) == 1


# Calibration


def test_calibration_keeps_the_wanted_share(trained, gold_docs):
    for recall in (0.2, 0.5, 0.9, 1.0):
        nlp, _ = trained(steps=2, target_recall=recall)
        pipe = nlp.get_pipe(NAME)
        examples = examples_of(gold_docs(nlp))
        scores = pipe.calibrate(examples)
        assert scores["recall"] >= recall
        assert scores["recall"] < recall + 1 / 5 + 1e-9
        # The scorer finds the same.
        found = nlp.evaluate(examples)
        assert found["pairs_r"] == pytest.approx(scores["recall"])
        assert found["pairs_p"] == pytest.approx(scores["precision"])
        assert found["pairs_dropped"] == pytest.approx(scores["dropped"])


def test_calibrated_scores_are_probabilities(trained, gold_docs):
    nlp, _ = trained(steps=3)
    pipe = nlp.get_pipe(NAME)
    docs = gold_docs(nlp)
    pipe.calibrate(examples_of(docs))
    probability = np.concatenate([p[~np.eye(len(p), dtype=bool)] for p in pipe.score_pairs(docs)])
    # Platt's targets are a little off 0 and 1.
    assert probability.mean() == pytest.approx(5 / 18, abs=0.05)


def test_nothing_to_calibrate_on(trained, gold_docs):
    nlp, _ = trained(steps=1)
    for examples in ([], examples_of(gold_docs(nlp)[2:4])):
        with pytest.raises(ValueError, match="R523"):
            nlp.get_pipe(NAME).calibrate(examples)


# Documents


def test_odd_documents(trained, gold_docs):
    nlp, _ = trained(steps=1)
    nlp.get_pipe(NAME).threshold = 0.0
    docs = [
        Doc(nlp.vocab),
        make_doc(nlp, ["a", "b"], []),
        make_doc(nlp, ["A"], [[0]]),
        make_doc(nlp, ["A", "b", "\u200d\U0001f9d9", " "], [[0], [1], [2], [3]]),
        make_doc(nlp, ["A"] * 200 + ["b"] * 200, [[0], [100], [399]]),
    ]
    together = list(nlp.pipe([copy_input(doc) for doc in docs]))
    assert [len(doc._.candidate_pairs) for doc in together] == [0, 0, 0, 12, 6]
    for doc, batched in zip(docs, together):
        alone = nlp(copy_input(doc))
        assert [p[:2] for p in alone._.candidate_pairs] == [p[:2] for p in batched._.candidate_pairs]
        scores = [p.score for p in batched._.candidate_pairs]
        assert [p.score for p in alone._.candidate_pairs] == pytest.approx(scores, abs=1e-5)
        assert scores == sorted(scores, reverse=True)
        assert PAIRS_KEY in batched.user_data


def test_pairs_that_are_too_far_apart(trained):
    nlp, _ = trained(steps=1, max_distance=100)
    nlp.get_pipe(NAME).threshold = 0.0
    # The second entity has a mention near the third.
    doc = make_doc(nlp, ["A"] * 200 + ["b"] * 200, [[0], [100, 350], [399], [101]])
    assert pairs_of([nlp(doc)]) == [[(0, 1), (1, 0), (1, 2), (1, 3), (2, 1), (3, 1)]]
    assert (nlp.get_pipe(NAME).score_pairs([doc])[0] > 0).sum() == 12
    assert nlp.config["components"][NAME]["max_distance"] == 100


def test_calibration_counts_pairs_that_are_too_far_apart_as_lost(trained, gold_docs):
    nlp, _ = trained(steps=2, target_recall=1.0, max_distance=3)
    examples = examples_of(gold_docs(nlp))
    scores = nlp.get_pipe(NAME).calibrate(examples)
    assert scores["recall"] == 3 / 5
    found = nlp.evaluate(examples)
    assert (found["pairs_r"], found["pairs_dropped"]) == pytest.approx((scores["recall"], scores["dropped"]))


def test_many_clusters(trained):
    nlp, _ = trained(steps=1)
    nlp.get_pipe(NAME).shim.settings["memory"] = 4
    pipe = nlp.get_pipe(NAME)
    pipe.threshold = 0.0
    words = [chr(97 + i % 26) for i in range(600)]
    doc = make_doc(nlp, words, [[i * 3] for i in range(200)])
    pipe.shim.pooling.limit = 1 << 14
    assert len(pipe.predict([doc])[0]) == 200 * 199


def test_mentions_in_a_span_group(trained):
    nlp, _ = trained(steps=1, spans_key="sc")
    nlp.get_pipe(NAME).threshold = 0.0
    doc = Doc(nlp.vocab, words=["New", "York", "City"])
    doc.spans["sc"] = [spacy.tokens.Span(doc, 0, 3, "LOC"), spacy.tokens.Span(doc, 0, 2, "LOC")]
    assert pairs_of([nlp(doc)]) == [[(0, 1), (1, 0)]]
    assert len(doc._.entity_clusters) == 2
    empty = nlp(Doc(nlp.vocab, words=["x"]))
    assert empty._.candidate_pairs == [] and CLUSTERS_KEY not in empty.user_data


def test_a_document_that_fails_does_not_stop_the_others(trained, gold_docs, monkeypatch, caplog):
    nlp, _ = trained(steps=1)
    pieces = pair_encoder.HuggingFaceEncoder._pieces

    def fail(self, item):
        if "where" in item.doc.text:
            raise ValueError("no")
        return pieces(self, item)

    monkeypatch.setattr(pair_encoder.HuggingFaceEncoder, "_pieces", fail)
    seen = []
    nlp.get_pipe(NAME).set_error_handler(lambda name, pipe, docs, error: seen.extend(docs))
    with caplog.at_level(logging.ERROR):
        docs = list(nlp.pipe(gold_docs(nlp)))
    assert [doc.text.strip() for doc in seen] == ["d is where A was with B"]
    assert len(docs) == 4


def test_scores_that_are_no_numbers(trained, gold_docs):
    nlp, _ = trained(steps=1)
    pipe = nlp.get_pipe(NAME)
    pipe.shim.pooling.bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="R524"):
        nlp(gold_docs(nlp)[0])
    with pytest.raises(ValueError, match="R524"):
        pipe.update(examples_of(gold_docs(nlp)))


@pytest.mark.filterwarnings("ignore")
def test_several_processes_give_the_same(trained, gold_docs):
    nlp, _ = trained(steps=5)
    nlp.get_pipe(NAME).calibrate(examples_of(gold_docs(nlp)))
    docs = gold_docs(nlp) * 2
    expected = pairs_of(nlp.pipe([copy_input(doc) for doc in docs]))
    found = list(nlp.pipe([copy_input(doc) for doc in docs], n_process=2, batch_size=3))
    assert pairs_of(found) == expected and any(expected)


# Saving


@pytest.fixture
def transformer(tiny_encoder):
    pytest.importorskip("spacy_transformers")
    return {
        "model": {
            "@architectures": "spacy-transformers.TransformerModel.v3",
            "name": str(tiny_encoder),
            "transformer_config": {"output_attentions": True, "attn_implementation": "eager"},
        }
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shared", [True, False])
def test_an_encoder_by_spacy_transformers(transformer, shared, tiny_encoder, gold_docs, tmp_path):
    fix_random_seed(0)
    nlp = spacy.blank("en")
    if shared:
        nlp.add_pipe("transformer", config=transformer)
    encoder = {"@architectures": "ragre.TransformerEncoder.v1", "name": None if shared else str(tiny_encoder)}
    model = {"@architectures": "ragre.PairFilter.v1", "encoder": encoder, "hidden": 16, "block": 8}
    nlp.add_pipe(NAME, config={"model": model})
    # A document without entities and an empty one are in the batch that the listener checks.
    docs = [*gold_docs(nlp), make_doc(nlp, ["x"], [], []), Doc(nlp.vocab)]
    examples = examples_of(docs)
    optimizer = nlp.initialize(lambda: examples[:6])
    optimizer.learn_rate = 0.01
    losses = [nlp.update(examples, sgd=optimizer)[NAME] for _ in range(40)]
    assert losses[-1] < losses[0] / 2
    assert pairs_of(nlp.pipe([copy_input(doc) for doc in docs[:5]])) == gold_pairs(docs[:5])
    nlp.to_disk(tmp_path)
    again = spacy.load(tmp_path)
    assert pairs_of(again.pipe([copy_input(doc) for doc in docs])) == pairs_of(nlp.pipe(map(copy_input, docs)))


def test_the_scorer_looks_where_the_component_does(make_nlp, gold_docs):
    nlp = make_nlp(spans_key="sc")
    docs = gold_docs(nlp)
    for doc in docs:
        doc.spans["sc"] = list(doc.ents)
        doc.ents = []
        doc._.candidate_pairs = [(r.head_cluster, r.tail_cluster) for r in doc._.relations]
    scores = nlp.get_pipe(NAME).score([Example(doc, doc) for doc in docs])
    assert scores["pairs_f"] == scores["pairs_dropped"] == 1.0


def test_initialize_starts_from_the_configured_threshold(trained, gold_docs):
    nlp, _ = trained(threshold=0.4, label_weight=1.0)
    pipe, examples = nlp.get_pipe(NAME), examples_of(gold_docs(nlp))
    pipe.calibrate(examples)
    assert pipe.threshold != 0.4 and pipe.label_temperature != 1.0
    nlp.initialize(lambda: examples)
    assert (pipe.threshold, pipe.label_temperature) == (0.4, 1.0)


# Warnings


def test_documents_without_entities_are_noticed_once(trained, gold_docs):
    nlp, _ = trained(steps=1)
    with pytest.warns(UserWarning, match=r"\[W530\] Component 'pair_candidate_filter' finds nothing.*entity_ruler"):
        nlp("A is in b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nlp("A is in b")
        # It is known that there are none.
        again, _ = trained(steps=1)
        doc = again.make_doc("A is in b")
        doc.set_ents([])
        again(doc)
        again("")
        list(again.pipe([again.make_doc("A"), gold_docs(again)[0]]))


def test_a_span_group_that_no_document_has_is_noticed(trained):
    nlp, _ = trained(steps=1)
    nlp.get_pipe(NAME).spans_key = "sc"
    doc = nlp.make_doc("A is in b")
    doc.spans["other"] = [doc[0:1]]
    with pytest.warns(UserWarning, match=r"\[W531\].*doc.spans\['sc'\].*they have: other\)"):
        nlp(doc)


@pytest.mark.parametrize("candidates, warned", [("ragre.Proposed.v1", True), ("ragre.WholeDocument.v1", False)])
@pytest.mark.parametrize("place", ["last", "first"])
def test_a_filter_behind_what_reads_its_pairs_is_noticed(make_nlp, gold_docs, tiny_config, candidates, warned, place):
    nlp = make_nlp()
    settings = {**tiny_config, "labels": {"at": ""}, "candidates": {"@ragre_candidates": candidates}}
    nlp.add_pipe("rag_relation_extractor", name="reader", config=settings, first=place == "last" or None)
    examples = examples_of(gold_docs(nlp))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        nlp.get_pipe(NAME).initialize(lambda: examples, nlp=nlp)
    messages = [str(item.message) for item in found if "W532" in str(item.message)]
    assert len(messages) == (warned and place == "last")
    assert all("'reader'" in message and "before='reader'" in message for message in messages)
