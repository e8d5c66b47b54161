"""Documents that were annotated for some of the labels: what nobody looked for is no negative."""

import pytest
from spacy.training import Example

from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.instances import Answer, Instance

LOCATED_ONLY = frozenset(["located_in"])


def half_annotated(docs, copies):
    """Each founder is also in two documents in which nobody looked for founders."""
    for doc in copies:
        doc._.relations = [r for r in doc._.relations if r.label != "founded_by"]
        doc._.annotated_labels = ["located_in"]
    return [Example(copy_input(doc), doc) for doc in [*docs, *copies]]


@pytest.mark.parametrize("settings", [{}, {"multi_label": True}, {"retrieval_loss": 1.0, "vote": 3.0}])
def test_a_label_half_annotated_keeps_its_recall(make_etrag, train_etrag, gold_docs, gold_examples, settings):
    nlp = make_etrag(**{"vote": 0.0, **settings})
    train_etrag(nlp, half_annotated(gold_docs(nlp), [*gold_docs(nlp), *gold_docs(nlp)]))
    scores = nlp.evaluate(gold_examples(nlp))
    assert scores["rels_per_type"]["founded_by"]["r"] == 1.0


def test_such_instances_are_read_without_an_answer_and_have_no_vote(make_etrag, train_etrag, gold_docs, etrag):
    nlp = make_etrag()
    train_etrag(nlp, half_annotated(gold_docs(nlp), gold_docs(nlp)), steps=1)
    predictor = etrag(nlp).predictor
    store = predictor.retriever.store.instances
    unsure = [i for i, instance in enumerate(store) if instance.annotated == LOCATED_ONLY and not instance.answers]
    assert unsure
    assert not predictor.encoder.read(store[unsure[0]]).startswith("no relation")
    query = Instance("Zed met Ann .", (0, 3), (8, 11), "PERSON", "PERSON")
    found = predictor._search([query], predictor.encoder.encode_queries([query]))
    for position, row in zip(found.positions[0], found.rows[0]):
        assert found.classes[row].sum() == (0 if position in unsure else 1)


def test_report_counts_pairs_of_which_the_answer_is_known(make_etrag, train_etrag, gold_docs, gold_examples, etrag):
    nlp = make_etrag()
    examples = half_annotated(gold_docs(nlp), gold_docs(nlp))
    train_etrag(nlp, examples, steps=1)
    report = etrag(nlp).retrieval_report(examples)
    assert report["pairs"] == 8 + 2
    assert Answer("located_in") in {
        answer for i in etrag(nlp)._gold(d.reference for d in examples) for answer in i.answers
    }
