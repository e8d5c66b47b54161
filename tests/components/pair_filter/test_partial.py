"""Documents that were annotated for some of the labels."""

import numpy as np
import pytest
import spacy
from spacy.util import fix_random_seed

from spacy_ragre.components.pair_filter.gold import gold_pairs as learned
from spacy_ragre.pair_weights import set_weights

from .conftest import NAME, examples_of


def half_annotated(docs, copies):
    """All related pairs are also in documents in which nobody looked for their label."""
    for doc in copies:
        doc._.relations = []
        doc._.annotated_labels = ["other"]
    return [*docs, *copies]


def test_a_label_half_annotated_keeps_its_recall(make_nlp, gold_docs):
    fix_random_seed(0)
    nlp = make_nlp()
    docs = half_annotated(gold_docs(nlp), [*gold_docs(nlp), *gold_docs(nlp)])
    examples = examples_of(docs)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    assert nlp.get_pipe(NAME).positive_weight == pytest.approx((13 / 5) ** 0.5)
    for _ in range(12):
        nlp.update(examples, sgd=optimizer)
    found = nlp.evaluate(examples_of(gold_docs(nlp)))
    assert found["pairs_r"] == 1.0 == found["pairs_p"]


def test_what_is_learned_of_them(make_nlp, gold_docs):
    nlp = make_nlp()
    pipe = nlp.get_pipe(NAME)
    doc = gold_docs(nlp)[0]
    (example,) = examples_of([doc])
    pairs = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    for labels, everything, known in (
        (None, {"at", "by"}, pairs),
        (["at", "by"], {"at", "by"}, pairs),
        (["at"], {"at", "by"}, pairs[:2]),
        (["at"], None, pairs[:2]),
    ):
        doc._.annotated_labels = labels
        gold = learned(example, pipe._input, everything)
        assert sorted(zip(*(i.tolist() for i in np.nonzero(gold.known)))) == known and gold.has_pairs
    doc._.relations = []
    assert not learned(example, pipe._input, {"at", "by"}).has_pairs
    doc._.annotated_labels = ["other"]
    assert nlp.update([example], sgd=nlp.initialize(lambda: examples_of(gold_docs(nlp)))) == {NAME: 0.0}


def test_labels_of_the_corpus_are_kept(trained, gold_docs, make_nlp, tmp_path):
    nlp, _ = trained(steps=1)
    assert nlp.get_pipe(NAME).corpus_labels == {"at"}
    nlp.to_disk(tmp_path)
    assert spacy.load(tmp_path).get_pipe(NAME).corpus_labels == {"at"}
    # A filter of an older version does not say which labels it learned.
    settings = {k: v for k, v in nlp.get_pipe(NAME)._settings().items() if k != "labels"}
    pipe = make_nlp().get_pipe(NAME)
    pipe._apply(settings)
    assert pipe.corpus_labels is None


def test_calibration_with_them(trained, gold_docs):
    nlp, _ = trained(steps=3)
    pipe = nlp.get_pipe(NAME)
    docs = half_annotated(gold_docs(nlp), gold_docs(nlp))
    alone = pipe.calibrate(examples_of(gold_docs(nlp)))
    scale = pipe.scale
    assert pipe.calibrate(examples_of(docs)) == alone and pipe.scale == scale
    for doc in docs:
        doc._.annotated_labels = ["other"]
    with pytest.raises(ValueError, match=r"R548.*none of the 3 document.*\(at\)"):
        pipe.calibrate(examples_of(docs))


def test_labels_of_pairs_that_nobody_looked_for(make_nlp, gold_docs):
    """Of a pair of one label, another label loses nothing where its document was not annotated for it."""
    nlp = make_nlp(label_weight=1.0)
    pipe = nlp.get_pipe(NAME)
    docs = gold_docs(nlp)
    docs[1]._.relations = [{**r.to_dict(), "label": "by"} for r in docs[1]._.relations]
    examples = examples_of(docs)
    nlp.initialize(lambda: examples)
    other = pipe.shim.labels.index("by") + 1
    scores = [np.zeros((3, 3, 3))]
    for labels, gradient in ((None, 0.25), (["at"], 0.0)):
        docs[0]._.annotated_labels = labels
        _, (slope,) = pipe.get_loss(examples[:1], scores)
        assert slope[0, 1, other] == pytest.approx(gradient)


def test_pairs_count_as_much_as_their_weight_says(make_nlp, gold_docs):
    nlp = make_nlp()
    pipe = nlp.get_pipe(NAME)
    doc = gold_docs(nlp)[0]
    (example,) = examples_of([doc])
    logits = [np.random.default_rng(0).normal(size=(3, 3, 1)).astype("float32")]
    pipe.positive_weight = 1.0
    whole, (plain,) = pipe.get_loss([example], logits)
    first, second = (next(iter(cluster)) for cluster in doc._.entity_clusters[:2])
    set_weights(doc, [(second, first, 0.5)])
    _, (half,) = pipe.get_loss([example], logits)
    # The mean of six ordered pairs, two of which count half.
    assert half[0, 1] == pytest.approx(plain[0, 1] * 0.5 * 6 / 5) and half[1, 0] == pytest.approx(plain[1, 0] * 0.6)
    assert half[0, 2] == pytest.approx(plain[0, 2] * 6 / 5)
    set_weights(doc, [(first, second, 0.0)])
    gold = learned(example, pipe._input, {"at"})
    assert not gold.known[0, 1] and not gold.known[1, 0] and gold.known[0, 2]
