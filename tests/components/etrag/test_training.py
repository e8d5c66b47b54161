"""Training the extractor: all parts learn from one loss, and what must not be used is not."""

import logging

import numpy as np
import pytest
import torch

from spacy_ragre.corpora.reader import copy_input

NAME = "etrag_extractor"


@pytest.mark.parametrize(
    "settings",
    [{}, {"k": 0}, {"train_retriever": False}, {"prompt_length": 3}, {"tuning": "full"}, {"index": "hnsw"}],
    ids=["etrag", "no retrieval", "frozen", "long prompt", "full", "hnsw"],
)
def test_learns_the_training_sentences(make_etrag, train_etrag, gold_examples, gold_docs, found, settings):
    nlp = make_etrag(**settings)
    examples = gold_examples(nlp)
    losses = train_etrag(nlp, examples)
    assert losses[-1] < 0.1 * losses[0]
    docs = list(nlp.pipe(example.predicted for example in examples))
    assert found(docs) == found(gold_docs(nlp))


def test_the_loss_of_votes_teaches_what_to_retrieve(make_etrag, train_etrag, gold_examples, etrag):
    """The first neighbour comes to have the query's label, for all but the two whose label no other example has."""

    def nearest(**own):
        nlp = make_etrag(k=1, temperature=0.05, **own)
        examples = gold_examples(nlp)
        train_etrag(nlp, examples, steps=0)
        shares = [etrag(nlp).retrieval_report(examples)["nearest"]]
        train_etrag(nlp, examples, steps=10, initialize=False)
        return [*shares, etrag(nlp).retrieval_report(examples)["nearest"]]

    before, after = nearest(retrieval_loss=1.0)
    assert before < 0.5 and after == 0.75
    # The answers' loss through soft prompts alone teaches little of it.
    assert nearest(retrieval_loss=0.0)[1] < 0.6


def test_votes_are_of_prediction_alone(make_etrag, train_etrag, gold_examples):
    """Training is the same whatever a vote weighs."""
    trained = []
    for vote in (0.0, 5.0):
        nlp = make_etrag(vote=vote, retrieval_loss=1.0)
        train_etrag(nlp, gold_examples(nlp), steps=2)
        trained.append(weights(nlp))
    assert not changed(*trained)


def test_neighbours_vote(make_etrag, train_etrag, gold_examples, etrag):
    """A class that the instances with most weight all have gets the whole of `vote` beside the head's logit."""
    nlp = make_etrag(vote=0.0)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=3)
    pipe = etrag(nlp)
    queries = pipe._gold([example.reference for example in examples])
    plain = pipe.predictor.score(queries).scores
    pipe.predictor.shim.settings["vote"] = 2.0
    voted = pipe.predictor.score(queries).scores
    votes = pipe.predictor.shim.retrieve(*pipe.predictor._queries(queries)).selection.votes
    np.testing.assert_allclose(votes.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(voted - plain, 2 * votes, atol=1e-4)
    assert np.ptp(votes, axis=0).max() > 0


@pytest.mark.parametrize("multi_label", [False, True])
def test_gradient_of_the_second_loss_is_right(make_etrag, train_etrag, gold_examples, etrag, multi_label):
    nlp = make_etrag(retrieval_loss=2.0, multi_label=multi_label)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=1)
    predictor = etrag(nlp).predictor
    instances = etrag(nlp)._gold([example.reference for example in examples])
    predictor.train(instances)
    parameter = predictor.shim.reader.knn.log_temperature
    gradient = float(parameter.grad)
    losses = []
    for step in (1e-2, -2e-2):
        with torch.no_grad():
            parameter += step
        losses.append(predictor.train(instances))
    assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(gradient, rel=0.05)


def test_dropout_of_labels_is_of_training_alone(make_etrag, train_etrag, gold_examples, etrag):
    """Without their labels, neighbours still have their keys; a prediction reads both."""
    nlp = make_etrag(label_dropout=1.0, vote=0.0)
    examples = gold_examples(nlp)
    losses = train_etrag(nlp, examples)
    assert losses[-1] < 0.3 * losses[0]
    predictor = etrag(nlp).predictor
    instances = etrag(nlp)._gold([example.reference for example in examples])
    predictor.train(instances)
    reader = predictor.shim.reader
    assert not reader.labels.grad.any() and reader.projection.weight.grad.any()
    before = predictor.score(instances).scores
    with torch.no_grad():
        reader.labels.neg_()
    assert np.abs(predictor.score(instances).scores - before).max() > 1e-3


def test_learns_with_an_encoder_decoder(make_etrag, train_etrag, gold_examples, tiny_t5):
    nlp = make_etrag(backbone=tiny_t5, seq2seq=True)
    losses = train_etrag(nlp, gold_examples(nlp))
    assert losses[-1] < 0.3 * losses[0]


def test_multi_label(make_etrag, train_etrag, gold_examples):
    nlp = make_etrag(multi_label=True)
    losses = train_etrag(nlp, gold_examples(nlp), steps=8)
    assert losses[-1] < losses[0]


def weights(nlp):
    return {name: p.detach().clone() for name, p in nlp.get_pipe(NAME).predictor.shim.parameters().items()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_one_step_changes_all_parts(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag()
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=1)  # lets LoRA's second matrices leave 0, so that the first ones learn, too
    before = weights(nlp)
    table = etrag(nlp).predictor.shim.encoder.model.get_input_embeddings().weight.clone()
    train_etrag(nlp, examples, steps=1, initialize=False)
    after = weights(nlp)
    untouched = set(before) - changed(before, after)
    # Pieces' types and the position of the longest text's end are not seen by all texts.
    assert not {name for name in untouched if "embeddings" not in name and "key.bias" not in name}, untouched
    assert "reader.knn.log_temperature" in changed(before, after)
    assert torch.equal(table, etrag(nlp).predictor.shim.encoder.model.get_input_embeddings().weight)


def test_a_frozen_retriever_stays_as_it_is(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag(train_retriever=False)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=0)
    shim = etrag(nlp).predictor.shim
    before = {name: p.clone() for name, p in shim.encoder.model.named_parameters()}
    keys = shim.encoder_fingerprint
    train_etrag(nlp, examples, steps=4, initialize=False)
    assert all(torch.equal(before[name], p) for name, p in shim.encoder.model.named_parameters())
    assert shim.encoder_fingerprint == keys == etrag(nlp).predictor.retriever.store.fingerprint
    assert not shim.encoder.tuned and not any(name.startswith("encoder.") for name in shim.parameters())


def test_last_layers_alone(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag(train_layers=1)
    train_etrag(nlp, gold_examples(nlp), steps=2)
    names = [name for name in etrag(nlp).predictor.shim.parameters() if name.startswith("encoder.")]
    assert names and all(name.startswith("encoder.encoder.layer.1.") for name in names)


def test_without_retrieval_nothing_is_encoded(make_etrag, train_etrag, gold_examples, etrag, tmp_path):
    nlp = make_etrag(k=0, encoder=tmp_path / "nowhere")
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=2)
    docs = list(nlp.pipe(example.predicted for example in examples))
    assert not len(etrag(nlp).predictor.retriever)
    assert all(not r.evidence["examples"] for doc in docs for r in doc._.relations)


def test_gradients_reach_queries_and_instances(make_etrag, train_etrag, gold_examples, etrag):
    """Where no instance is encoded anew, the encoder learns from the queries alone."""
    gradients = []
    for fresh in (0, 8):
        nlp = make_etrag(fresh=fresh)
        examples = gold_examples(nlp)
        train_etrag(nlp, examples, steps=0)
        etrag(nlp).update(examples)
        shim = etrag(nlp).predictor.shim
        gradients.append({n: p.grad for n, p in shim.parameters().items() if n.startswith("encoder.encoder")})
    assert all(g is not None and g.abs().sum() > 0 for g in gradients[0].values() if g is not None)
    assert any(not torch.allclose(gradients[0][n], gradients[1][n]) for n in gradients[0])


def test_gradient_of_an_encoder_weight_is_right(make_etrag, train_etrag, gold_examples, etrag):
    """With every instance encoded anew, the loss changes by a weight of the encoder as its gradient says."""
    nlp = make_etrag(fresh=100)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=3)
    predictor = etrag(nlp).predictor
    instances = etrag(nlp)._gold([example.reference for example in examples])
    predictor.train(instances)
    parameter = dict(predictor.shim.parameters())["encoder.encoder.layer.1.output.dense.weight"]
    gradient = parameter.grad.clone()
    for p in predictor.shim.parameters().values():
        p.grad = None
    place = np.unravel_index(int(gradient.abs().argmax()), gradient.shape)
    losses = []
    for step in (1e-2, -2e-2):
        with torch.no_grad():
            parameter[place] += step
        losses.append(predictor.train(instances))
    assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(float(gradient[place]), rel=0.1)


# What must not be used


def test_own_instance_and_duplicates_are_never_used(make_etrag, make_doc, train_etrag, etrag, monkeypatch):
    from spacy.training import Example

    nlp = make_etrag(k=2, preselect=20)
    texts = ["Acme was founded by Ann .", "acme was  FOUNDED by ann .", "Acme was founded by Bob .", "Eve met Finn ."]
    pairs = [("Acme", "Ann"), ("acme", "ann"), ("Acme", "Bob"), ("Eve", "Finn")]
    docs = []
    for text, (first, second) in zip(texts, pairs):
        relations = [] if "met" in text else [(0, "founded_by", 1)]
        docs.append(make_doc(nlp, text, [(first, "X"), (second, "Y")], relations))
    examples = [Example(copy_input(doc), doc) for doc in docs]
    predictor = etrag(nlp).predictor
    seen = []
    for name in ("begin_retrieve", "retrieve"):
        method = getattr(predictor.shim, name)

        def spy(texts, *args, method=method, name=name, **kwargs):
            result = method(texts, *args, **kwargs)
            seen.append((name, texts, (result if name == "retrieve" else result[0]).selection))
            return result

        monkeypatch.setattr(predictor.shim, name, spy)
    train_etrag(nlp, examples, steps=2)
    list(nlp.pipe(copy_input(doc) for doc in docs))
    assert {name for name, _, _ in seen} == {"begin_retrieve", "retrieve"}
    own = {0: {0, 1}, 1: {0, 1}, 2: {2}, 3: {3}}
    for _, queries, selection in seen:
        for row, query in enumerate(queries):
            plain = query
            for mark in ("[ ", " ]", "{ ", " }"):
                plain = plain.replace(mark, "")
            used = selection.weights[row] > 0
            assert (used == selection.allowed[row]).all()
            assert set(selection.positions[row][used].tolist()) == {0, 1, 2, 3} - own[texts.index(plain)]


def test_fewer_allowed_than_k(make_etrag, make_doc, train_etrag):
    """Two texts and k = 2: each query may use one instance, and the second neighbour is left out."""
    from spacy.training import Example

    nlp = make_etrag(k=2)
    docs = [
        make_doc(nlp, "Acme was founded by Ann .", [("Acme", "X"), ("Ann", "Y")], [(0, "founded_by", 1)]),
        make_doc(nlp, "Eve met Finn .", [("Eve", "X"), ("Finn", "Y")], []),
    ]
    losses = train_etrag(nlp, [Example(copy_input(doc), doc) for doc in docs], steps=3)
    assert np.isfinite(losses).all()
    doc = nlp(copy_input(docs[0]))
    for relation in doc._.relations:
        assert len(relation.evidence["examples"]) == 1
        assert relation.evidence["examples"][0]["weight"] == pytest.approx(0.5)


# Keys that were kept


def test_keys_are_made_anew_while_training(make_etrag, train_etrag, gold_examples, etrag, caplog):
    nlp = make_etrag(refresh_every=2)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=0)
    store = etrag(nlp).predictor.retriever.store
    first = store.keys_of(np.arange(len(store)))
    train_etrag(nlp, examples, steps=1, initialize=False)
    np.testing.assert_array_equal(store.keys_of(np.arange(len(store))), first)
    with caplog.at_level(logging.INFO):
        train_etrag(nlp, examples, steps=1, initialize=False)
    assert "encoded again after 2 steps" in caplog.text and "staleness" in caplog.text
    renewed = store.keys_of(np.arange(len(store)))
    predictor = etrag(nlp).predictor
    assert predictor.staleness == pytest.approx(float((1 - (first * renewed).sum(1)).mean()), abs=1e-5)
    assert predictor.staleness > 0
    np.testing.assert_allclose(renewed, predictor.encoder.encode_examples(store.instances), atol=1e-5)


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_keys_are_made_anew_in_parts(make_etrag, train_etrag, gold_examples, etrag, index):
    nlp = make_etrag(refresh_every=1, refresh_size=3, index=index)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=0)
    predictor = etrag(nlp).predictor
    store = predictor.retriever.store
    every = np.arange(len(store))
    first = store.keys_of(every)
    for expected in ({0, 1, 2}, set(range(6)), set(range(8))):
        train_etrag(nlp, examples, steps=1, initialize=False)
        differs = (store.keys_of(every) != first).any(1)
        assert set(np.flatnonzero(differs).tolist()) == expected
    # Before it answers, all keys are those of the encoder as it is.
    nlp(examples[0].predicted)
    np.testing.assert_allclose(store.keys_of(every), predictor.encoder.encode_examples(store.instances), atol=1e-5)
    assert store.fingerprint == predictor.encoder.fingerprint


def test_staleness_of_what_is_used(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag(refresh_every=0)
    train_etrag(nlp, gold_examples(nlp), steps=4)
    stale = etrag(nlp).predictor.shim.staleness
    assert len(stale) == 4 and stale[0] == pytest.approx(0, abs=1e-5) and stale[-1] > stale[0]


def test_a_step_of_several_retrievals_encodes_no_more_anew(make_etrag, train_etrag, gold_examples, etrag, monkeypatch):
    nlp = make_etrag(fresh=4)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=0)
    pipe = etrag(nlp)
    counts = []
    encode = pipe.predictor.shim.encode

    def count(texts, training=False):
        counts.append(len(texts) * training)
        return encode(texts, training)

    monkeypatch.setattr(pipe.predictor.shim, "encode", count)
    pipe.update(examples)
    assert counts == [8, 4]  # queries, and instances
    counts.clear()
    pipe.predictor.backbone.batch_tokens = 64
    pipe.update(examples)
    assert counts == [8, 4]  # however many passes the language model makes
    counts.clear()
    monkeypatch.setattr("spacy_ragre.components.etrag.predictor._QUERIES", 3)
    pipe.update(examples)
    assert counts[::2] == [3, 3, 2] and sum(counts[1::2]) <= 4 + len(counts) // 2


@pytest.mark.parametrize("settings", [{}, {"k": 0}])
def test_gradients_do_not_depend_on_the_passes(make_etrag, train_etrag, gold_examples, etrag, settings):
    """Those of the retriever are gathered from all passes of the language model."""
    nlp = make_etrag(**settings)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=1)
    predictor = etrag(nlp).predictor
    predictor.backbone.model.train = lambda mode=True: None  # no dropout
    instances = etrag(nlp)._gold([example.reference for example in examples])
    found = []
    for tokens in (4096, 64):
        predictor.backbone.batch_tokens = tokens
        assert (len(list(predictor._chunks(instances))) > 1) == (tokens == 64)
        loss = predictor.train(instances)
        found.append((loss, {n: p.grad.clone() for n, p in predictor.shim.parameters().items() if p.grad is not None}))
        for parameter in predictor.shim.parameters().values():
            parameter.grad = None
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    assert found[0][1].keys() == found[1][1].keys()
    assert any(name.startswith("encoder.") for name in found[0][1]) == (not settings)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_16_bits(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag()
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=0)
    exact = etrag(nlp).predictor.shim.encode(["Acme was founded by Ann ."])
    etrag(nlp).predictor.backbone.dtype_name = "bfloat16"
    rough = etrag(nlp).predictor.shim.encode(["Acme was founded by Ann ."])
    assert rough.dtype == torch.float32 and float(rough.norm()) == pytest.approx(1, abs=1e-5)
    assert float((exact * rough).sum()) > 0.99 and not torch.equal(exact, rough)


# Life of the component


def test_initialize_starts_anew(make_etrag, train_etrag, gold_examples, etrag):
    for settings in ({}, {"tuning": "full"}):
        nlp = make_etrag(**settings)
        examples = gold_examples(nlp)
        first = train_etrag(nlp, examples, steps=8)
        again = train_etrag(nlp, examples, steps=1)
        assert again[0] == pytest.approx(first[0], rel=0.02) and first[-1] < 0.8 * first[0]
        assert len(etrag(nlp).predictor.retriever) == 8


def test_examples_can_be_added_without_training(make_etrag, train_etrag, gold_examples, make_doc, etrag):
    nlp = make_etrag(preselect=20)
    train_etrag(nlp, gold_examples(nlp), steps=2)
    doc = make_doc(nlp, "Stark was founded by Jon !", [("Stark", "ORG"), ("Jon", "PERSON")], [(0, "founded_by", 1)])
    pipe = etrag(nlp)
    assert pipe.add_examples([doc]) == 1 and len(pipe.predictor.retriever) == 9
    queries = pipe._gold([make_doc(nlp, "Eve met Jon .", [("Eve", "PERSON"), ("Jon", "PERSON")], [])])
    selection = pipe.predictor.shim.retrieve(*pipe.predictor._queries(queries)).selection
    assert selection.weights[0, selection.positions[0].tolist().index(8)] > 0


def test_gradients_add_up(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag()
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=0)
    before = weights(nlp)
    etrag(nlp).update(examples)
    assert not changed(before, weights(nlp))
    etrag(nlp).finish_update(nlp.create_optimizer())
    assert changed(before, weights(nlp))


def test_averages_are_used_and_taken_back(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag()
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=3)
    shim = etrag(nlp).predictor.shim
    before, keys = weights(nlp), shim.encoder_fingerprint
    name = next(n for n in before if n.startswith("encoder."))
    with nlp.use_params({(shim.id, name): (before[name] * 2).numpy()}):
        assert changed(before, weights(nlp)) == {name}
        assert shim.encoder_fingerprint != keys
    assert not changed(before, weights(nlp)) and shim.encoder_fingerprint == keys


def test_score_and_loss(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag()
    examples = gold_examples(nlp)
    train_etrag(nlp, examples)
    assert nlp.evaluate(examples)["rels_micro_f"] == 1.0
    instances = etrag(nlp)._gold([example.reference for example in examples])
    scores = etrag(nlp).predictor.score(instances).scores
    loss, gradient = etrag(nlp).get_loss(examples, scores)
    assert 0 <= loss < 0.2 and gradient.shape == scores.shape


def test_calibration(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag()
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=3)
    scores = etrag(nlp).calibrate(examples)
    assert scores["after"] >= scores["before"]


# Inspection


def test_evidence(make_etrag, train_etrag, gold_examples):
    nlp = make_etrag(k=2, temperature=0.01, learn_temperature=False)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples)
    doc = nlp(examples[0].predicted)
    (relation,) = doc._.relations
    shown = relation.evidence["examples"]
    assert len(shown) == 2 and shown[0]["weight"] >= shown[1]["weight"]
    assert 2 / 7 < sum(item["weight"] for item in shown) <= 1.0001  # more than two of seven equal ones
    assert all(isinstance(item["weight"], float) for item in shown)
    assert doc.text not in {item["text"] for item in shown}


def test_report(make_etrag, train_etrag, gold_examples, etrag, monkeypatch):
    nlp = make_etrag(k=2)
    examples = gold_examples(nlp)
    train_etrag(nlp, examples, steps=0)
    pipe = etrag(nlp)
    report = pipe.retrieval_report(examples)
    assert report["pairs"] == 8
    queries = pipe._gold([example.reference for example in examples])
    found = pipe.predictor.neighbours(queries)
    pairs = [(query, neighbour.instance) for query, near in zip(queries, found) for neighbour in near]
    assert len(pairs) == 16
    assert report["label"] == pytest.approx(np.mean([a.answers == b.answers for a, b in pairs]))
    names = [{a.first_text, a.second_text} & {b.first_text, b.second_text} for a, b in pairs]
    assert report["entity"] == pytest.approx(np.mean([bool(n) for n in names]))
    nearest = [near[0].instance.answers == query.answers for query, near in zip(queries, found)]
    assert report["nearest"] == pytest.approx(np.mean(nearest))
    assert 0 <= report["weight"] <= 1 and report["either"] >= max(report["label"], report["entity"])


def test_report_of_nothing(make_etrag, train_etrag, gold_examples, etrag):
    nlp = make_etrag()
    train_etrag(nlp, gold_examples(nlp), steps=0)
    assert set(etrag(nlp).retrieval_report([]).values()) == {0.0}


def test_training_all_weights_leaves_those_of_other_pipelines(make_etrag, train_etrag, gold_examples):
    other = make_etrag().get_pipe(NAME).predictor.backbone
    before = {name: value.clone() for name, value in other.model.state_dict().items()}
    nlp = make_etrag(tuning="full")
    train_etrag(nlp, gold_examples(nlp), steps=1)
    trained = nlp.get_pipe(NAME).predictor.backbone.model.state_dict()
    assert any((trained[name] != value).any() for name, value in before.items())
    assert all((other.model.state_dict()[name] == value).all() for name, value in before.items())
