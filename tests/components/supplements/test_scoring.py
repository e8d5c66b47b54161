import pickle

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ragre.components.supplements import scoring as supplements
from spacy_ragre.components.supplements.scoring import make_supplement_scorer, score_supplements
from spacy_ragre.prompts import supplements as prompts
from spacy_ragre.registry import registry

nlp = spacy.blank("en")
WORDS = "She takes fish oil and zinc for dry eyes and rash".split()
OIL, ZINC, EYES, RASH = (2, 4, "SUPPLEMENT"), (5, 6, "SUPPLEMENT"), (7, 9, "EVENT"), (10, 11, "EVENT")


def make_doc(ents=None, relations=None, triples=None, usage=None, words=WORDS, spans_key=None):
    """relations: (head, tail, label) by index into ents; usage: a status for each entity or None."""
    doc = Doc(nlp.vocab, words=words)
    spans = [Span(doc, start, end, label) for start, end, label in ents or ()]
    if spans_key:
        doc.spans[spans_key] = spans
    elif ents is not None:
        doc.set_ents(spans, default="outside")
    for span, status in zip(spans, usage or ()):
        if status:
            span._.usage = status
    if relations is not None:
        doc._.relations = [{"head": spans[h], "tail": spans[t], "label": label} for h, t, label in relations]
    if triples is not None:
        doc._.triples = triples
    return doc


def scored(gold, predicted, **settings):
    return score_supplements([Example(make_doc(**predicted), make_doc(**gold))], **settings)


def test_entities_strict_and_lenient():
    # Right; too short; right offsets with a wrong label; missed; invented.
    gold = {"ents": [OIL, EYES, ZINC, RASH]}
    predicted = {"ents": [OIL, (8, 9, "EVENT"), (5, 6, "EVENT"), (0, 1, "SUPPLEMENT")]}
    scores = scored(gold, predicted)
    assert scores["ner_strict_p"] == scores["ner_strict_r"] == scores["ner_strict_f"] == pytest.approx(1 / 4)
    assert scores["ner_lenient_p"] == scores["ner_lenient_r"] == scores["ner_lenient_f"] == pytest.approx(2 / 4)
    assert scores["ner_per_type"]["SUPPLEMENT"] == pytest.approx({"p": 1 / 2, "r": 1 / 2, "f": 1 / 2})
    assert scores["ner_per_type"]["EVENT"] == pytest.approx({"p": 0, "r": 0, "f": 0})


def test_lenient_matches_are_one_to_one():
    long = (2, 6, "SUPPLEMENT")
    scores = scored({"ents": [long]}, {"ents": [OIL, ZINC]})
    assert (scores["ner_lenient_p"], scores["ner_lenient_r"]) == (1 / 2, 1)
    scores = scored({"ents": [OIL, ZINC]}, {"ents": [long]})
    assert (scores["ner_lenient_p"], scores["ner_lenient_r"]) == (1, 1 / 2)


def test_entities_of_other_labels_do_not_count():
    scores = scored({"ents": [OIL]}, {"ents": [(0, 1, "PERSON"), OIL]})
    assert scores["ner_strict_f"] == 1
    assert list(scored({"ents": [OIL]}, {"ents": [OIL]}, labels=["X"])["ner_per_type"] or ()) == []


def test_relations_count_not_related_too():
    ents = [OIL, ZINC, EYES, RASH]
    gold = [(0, 2, "positive"), (1, 2, "not_related"), (0, 3, "negative"), (1, 3, "negative")]
    predicted = [(0, 2, "positive"), (1, 2, "positive"), (0, 3, "negative")]
    scores = scored({"ents": ents, "relations": gold}, {"ents": ents, "relations": predicted})
    assert (scores["re_micro_p"], scores["re_micro_r"]) == pytest.approx((2 / 3, 2 / 4))
    assert scores["re_micro_f"] == pytest.approx(2 * 2 / (3 + 4))
    # positive: one right, one wrong: 2/3; negative: one right, one missed: 2/3; not_related: 0.
    assert scores["re_macro_f"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert set(scores["re_per_type"]) == {"positive", "negative", "not_related"}


def test_triples_are_compared_by_text():
    gold = [("fish oil", "positive", "dry eyes"), ("zinc", "negative", "rash")]
    predicted = [("fish\noil", "positive", "dry eyes"), ("zinc", "positive", "rash"), ("Zinc", "negative", "rash")]
    scores = scored({"triples": gold}, {"triples": predicted})
    assert (scores["te_strict_p"], scores["te_strict_r"], scores["te_strict_f"]) == pytest.approx((1 / 3, 1 / 2, 0.4))
    assert scores["te_per_type"]["positive"] == pytest.approx({"p": 1 / 2, "r": 1, "f": 2 / 3})


def test_usage_with_a_confusion_matrix():
    gold = {"ents": [OIL, ZINC, EYES], "usage": ["started", "continuing", None]}
    predicted = {"ents": [OIL, ZINC, EYES], "usage": ["continuing", "continuing", None]}
    scores = scored(gold, predicted)
    assert scores["uc_micro_f"] == scores["uc_micro_p"] == 1 / 2
    # continuing: one right, one wrong: 2/3; started: 0.
    assert scores["uc_macro_f"] == pytest.approx((2 / 3 + 0) / 2)
    assert scores["uc_confusion"] == {"started": {"continuing": 1}, "continuing": {"continuing": 1}}


def test_usage_of_mentions_that_one_side_lacks():
    gold = {"ents": [OIL, ZINC], "usage": ["started", "uncertain"]}
    predicted = {"ents": [OIL, (0, 1, "SUPPLEMENT")], "usage": ["started", "continuing"]}
    scores = scored(gold, predicted)
    assert (scores["uc_micro_p"], scores["uc_micro_r"]) == (1 / 2, 1 / 2)
    assert scores["uc_confusion"] == {"started": {"started": 1}, "uncertain": {"": 1}, "": {"continuing": 1}}
    # Statuses that are only predicted are in no average.
    assert scores["uc_macro_f"] == pytest.approx((1 + 0) / 2)


def test_usage_found_in_a_text_without_supplements_is_wrong():
    scores = scored({"ents": []}, {"ents": [OIL], "usage": ["started"]})
    assert (scores["uc_micro_p"], scores["uc_macro_f"]) == (0, None)


def test_what_is_not_annotated_is_not_scored():
    predicted = {
        "ents": [OIL, EYES],
        "relations": [(0, 1, "positive")],
        "triples": [("a", "b", "c")],
        "usage": ["started"],
    }
    scores = scored({}, predicted)
    assert {value for value in scores.values()} == {None}
    scores = scored({"ents": [OIL]}, predicted)
    assert scores["uc_micro_f"] is None and scores["re_micro_f"] is None and scores["ner_strict_r"] == 1


def test_no_examples():
    scores = score_supplements([])
    assert set(scores.values()) == {None}
    assert {"ner_strict_f", "ner_lenient_f", "re_micro_f", "re_macro_f", "te_strict_f", "uc_macro_f"} <= set(scores)


def test_only_the_tasks_that_are_asked_for():
    assert all(key.startswith(("re_", "uc_")) for key in scored({}, {}, tasks=["re", "uc"]))
    scorer = make_supplement_scorer(tasks=["te"])
    assert {key[:2] for key in scorer([], tasks=["ner"])} == {"te"}
    assert {key[:3] for key in make_supplement_scorer()([], tasks=["ner"], labels=("x",))} == {"ner"}


def test_span_groups_may_overlap():
    nested = (3, 4, "SUPPLEMENT")
    gold = {"ents": [OIL, nested], "spans_key": "sc", "usage": ["started", "uncertain"]}
    scores = scored(gold, {**gold, "usage": ["started", "started"]}, spans_key="sc")
    assert scores["ner_strict_f"] == scores["ner_lenient_f"] == 1
    assert scores["uc_micro_f"] == 1 / 2


def test_other_tokens_of_the_same_text():
    gold = make_doc([OIL], usage=["started"])
    predicted = Doc(
        nlp.vocab, words=["She", "takes", "fish", "o", "il", *WORDS[4:]], spaces=[True] * 3 + [False] + [True] * 8
    )
    predicted.ents = [Span(predicted, 2, 5, "SUPPLEMENT")]
    predicted.ents[0]._.usage = "started"
    scores = score_supplements([Example(predicted, gold)])
    assert scores["ner_strict_f"] == scores["uc_micro_f"] == 1


def test_registered_and_pickled():
    scorer = registry.scorers.get("ragre.supplement_scorer.v1")(tasks=["uc"])
    gold = {"ents": [OIL], "usage": ["started"]}
    examples = [Example(make_doc(**gold), make_doc(**gold))]
    assert pickle.loads(pickle.dumps(scorer))(examples) == scorer(examples)
    assert scorer(examples)["uc_macro_f"] == 1


def test_a_supplement_without_a_status_is_not_scored():
    gold = {"ents": [OIL, ZINC], "usage": ["continuing", None]}
    scores = scored(gold, {"ents": [OIL, ZINC], "usage": ["continuing", "started"]})
    assert scores["uc_micro_f"] == 1.0 and scores["uc_confusion"] == {"continuing": {"continuing": 1}}
    scores = scored(gold, {"ents": [OIL, (10, 11, "SUPPLEMENT")], "usage": ["continuing", "started"]})
    assert scores["uc_micro_p"] == 0.5


def test_relations_of_other_kinds_are_not_scored():
    gold = {"ents": [OIL, EYES], "relations": [(0, 1, "positive"), (0, 1, "mentioned_with")]}
    scores = scored(gold, {"ents": [OIL, EYES], "relations": [(0, 1, "positive"), (1, 0, "near")]})
    assert scores["re_micro_f"] == scores["re_macro_f"] == 1.0


def test_the_scorer_knows_the_labels_that_the_model_is_asked_for():
    assert (supplements.TASKS, supplements.RELATIONS) == (prompts.TASKS, prompts.RELATIONS)
