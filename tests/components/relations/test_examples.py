"""Which examples are shown to a model that was not trained, and how neighbours vote."""

import numpy as np
import pytest
import spacy

from spacy_ragre.calibration.settings import Calibration
from spacy_ragre.calibration.temperature import interpolate
from spacy_ragre.components.relations.decisions import MultiLabel, SingleLabel
from spacy_ragre.components.relations.examples import both_kinds, only_kind
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.retrieval import Neighbour

LABELS = LabelSet({"born_in": "was born in", "died_in": "died in"})
BORN, DIED = Answer("born_in"), Answer("died_in")


def neighbour(score, *answers, known=True):
    return Neighbour(Instance("Ann and Bob", (0, 3), (8, 11), answers=answers if known else None), score, 0)


def test_kinds_of_examples():
    related, unrelated, unknown = neighbour(1, BORN), neighbour(1), neighbour(1, known=False)
    kinds = [[related], [unrelated], [related, unrelated], [related, unknown], [unknown], []]
    assert [only_kind([n.instance for n in items], LABELS) for items in kinds] == [True, False, None, True, None, None]


@pytest.mark.parametrize("count,expected", [(1, []), (2, [0.9, 0.1]), (3, [0.9, 0.1]), (4, [0.9, 0.8, 0.1, 0.0])])
def test_as_many_examples_with_a_relation_as_without(count, expected):
    store = [neighbour(score / 10, *([BORN] if score > 1 else [])) for score in range(9, -1, -1)]
    calls = []

    def find(rows, number):
        calls.append((list(rows), number))
        return [store[:number] for _ in rows]

    (shown,) = both_kinds([store[:count]], count, find, len(store), LABELS)
    assert [item.score for item in shown] == expected
    # Only where it is needed, and further each time.
    assert calls == ([] if count == 1 else [([0], number) for number in (10,)] if count > 1 else [])


def test_nothing_is_shown_where_the_other_kind_is_missing():
    store = [neighbour(0.5, BORN), neighbour(0.4, DIED), neighbour(0.3, known=False)]
    assert both_kinds([store, []], 2, lambda rows, number: [store for _ in rows], 3, LABELS) == [[], []]


# In a pipeline


def scores(nlp, docs):
    pipe = nlp.get_pipe("rag_relation_extractor")
    return pipe.predictor.score([c.instance for doc in docs for c in pipe._candidates(copy_input(doc))])


@pytest.mark.parametrize("answer", ["trie", "generate"])
@pytest.mark.parametrize("kind,what", [(slice(0, 6), "hold a relation"), (slice(6, 8), "hold no relation")])
@pytest.mark.parametrize("number", [1, None])
def test_examples_of_one_kind_change_no_answer_of_an_untrained_model(
    make_nlp, text_retriever, gold_docs, component, answer, kind, what, number
):
    nlp = make_nlp(answer=answer, n_examples=3, retriever=text_retriever)
    docs = gold_docs(nlp)
    before = scores(nlp, docs)
    with pytest.warns(UserWarning, match=rf"W511.*{what}"):
        component(nlp).add_examples(docs[kind][:number])
    after = scores(nlp, docs)
    np.testing.assert_allclose(after.scores, before.scores, atol=1e-5)
    assert not any(after.neighbours)


def test_examples_of_both_kinds_are_shown_in_equal_numbers(make_nlp, text_retriever, gold_docs, component, recwarn):
    nlp = make_nlp(n_examples=4, retriever=text_retriever)
    docs = gold_docs(nlp)
    component(nlp).add_examples(docs)
    assert not [w for w in recwarn if "W511" in str(w.message)]
    for near in scores(nlp, docs).neighbours:
        kinds = [bool(item.instance.answers) for item in near]
        assert sum(kinds) * 2 == len(kinds) > 0
        assert [item.score for item in near] == sorted((item.score for item in near), reverse=True)


def test_prompts_that_show_no_answers_show_the_nearest(make_nlp, text_retriever, gold_docs, component):
    prompt = {"@ragre_prompts": "ragre.RAG4RE.v1"}
    nlp = make_nlp(n_examples=1, retriever=text_retriever, prompt=prompt)
    docs = gold_docs(nlp)
    component(nlp).add_examples(docs[:1])
    assert [len(near) for near in scores(nlp, docs[1:]).neighbours] == [1] * 7


def test_a_trained_model_is_shown_what_it_was_trained_with(make_nlp, text_retriever, gold_examples, train):
    nlp = make_nlp(n_examples=3, retriever=text_retriever)
    examples = gold_examples(nlp)
    train(nlp, examples, steps=1)
    assert [len(near) for near in scores(nlp, [e.reference for e in examples]).neighbours] == [3] * 8


# Votes


def test_a_neighbour_that_holds_two_labels_counts_whole_for_each():
    near = [[neighbour(0.5, BORN, DIED), neighbour(0.5, BORN, DIED)]]
    classes = [LABELS.index(BORN), LABELS.index(DIED)]
    votes = MultiLabel().votes(near, LABELS, 0.1, None)
    assert votes[0, classes] == pytest.approx([1, 1]) and votes.sum() == pytest.approx(2)
    shared = SingleLabel().votes(near, LABELS, 0.1, None)
    assert shared[0, classes] == pytest.approx([0.5, 0.5])


def test_votes_for_classes_that_are_not_allowed_do_not_count():
    near = [[neighbour(0.5, BORN), neighbour(0.5, DIED)]]
    allowed = np.ones((1, len(LABELS.classes)), dtype=bool)
    allowed[0, LABELS.index(BORN)] = False
    assert SingleLabel().votes(near, LABELS, 0.1, allowed)[0, LABELS.index(DIED)] == pytest.approx(1)
    assert MultiLabel().votes(near, LABELS, 0.1, allowed)[0, LABELS.index(DIED)] == pytest.approx(0.5)


@pytest.mark.parametrize("decision", [SingleLabel(), MultiLabel()])
def test_one_neighbour_has_less_say_than_many(decision):
    near = [[neighbour(0.9, BORN)] * number for number in (0, 1, 4, 8)]
    votes = decision.votes(near, LABELS, 0.1, None)
    heard = decision.turnout(near, votes, LABELS, 8)
    assert heard.ravel().tolist() == [0, 1 / 8, 1 / 2, 1]
    model = np.full((4, len(LABELS.classes)), 0.2)
    mixed = interpolate(model, votes, 0.8 * heard)
    assert mixed[:, LABELS.index(BORN)] == pytest.approx([0.2, 0.28, 0.52, 0.84])


def test_one_example_does_not_outvote_a_calibrated_model(trained, component, make_doc):
    nlp = spacy.load(trained)
    predictor = component(nlp).predictor
    predictor.pending = []
    text = ("Kim met Lou .", [("Kim", "PERSON"), ("Lou", "PERSON")])
    before, _ = predictor.predict(component(nlp)._candidates(make_doc(nlp, *text)))
    component(nlp).add_examples(
        [make_doc(nlp, "Ann met Bob .", [("Ann", "ORG"), ("Bob", "PERSON")], [(0, "founded_by", 1)])]
    )
    predictor.calibration = Calibration(neighbours=8, weight=0.9)
    assert [r.label for r in predictor.predict(component(nlp)._candidates(make_doc(nlp, *text)))[0]] == [
        r.label for r in before
    ]
