"""Names that are exchanged in training: what is annotated goes with them."""

import random
from typing import Any, List

import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_ragre.components.supplements.mention_swap import MentionSwapper
from spacy_ragre.relations import ID_KEY

from .conftest import E, S, annotate

NAME = "supplement_usage_classifier"


def read(text: str, mentions: Any, relations: Any = (), id: str = "") -> Doc:
    doc = annotate(spacy.blank("en").make_doc(text), mentions, relations)
    if id:
        doc.user_data[ID_KEY] = id
    return doc


def swapper(*names: Any, share: float = 1.0) -> MentionSwapper:
    """One that knows names, given as (text, label)."""
    result = MentionSwapper(share)
    for text, label in names:
        result.add(read(text, [(text, label, "")]).ents)
    return result


def test_annotations_go_with_the_names():
    mentions = [("zinc", S, "continuing"), ("dry eyes", E, ""), ("iron", S, "discontinued"), ("rash", E, "")]
    relations = [(0, "positive", 1), (2, "negative", 3), (0, "not_related", 3)]
    doc = read("Takes zinc for dry eyes. Stopped iron (rash).", mentions, relations, id="a")
    for token in doc:
        token.is_sent_start = token.i in (0, 6)
    before = doc.to_bytes()
    copy, spans = swapper(("St. John's wort", S), ("colds", E))(doc, doc.ents)
    assert copy.text == "Takes St. John's wort for colds. Stopped St. John's wort (colds)."
    assert [span.text for span in spans] == ["St. John's wort", "colds", "St. John's wort", "colds"]
    assert [span.label_ for span in spans] == [S, E, S, E] and all(span.doc is copy for span in spans)
    assert [span._.usage for span in spans] == ["continuing", "", "discontinued", ""]
    found = {(r.head.start, r.label, r.tail.start) for r in copy._.relations}
    at = [span.start for span in spans]
    assert found == {(at[h], label, at[t]) for h, label, t in relations}
    assert copy._.triples == [("St. John's wort", "positive", "colds"), ("St. John's wort", "negative", "colds")]
    assert [sent.text for sent in copy.sents] == [
        "Takes St. John's wort for colds.",
        "Stopped St. John's wort (colds).",
    ]
    assert copy.user_data[ID_KEY] == "a"
    assert doc.to_bytes() == before


def test_mentions_of_one_name_stay_one_name():
    random.seed(0)
    names = swapper(("biotin", S), ("kava", S), ("garlic", S), ("ginger", S))
    doc = read("Zinc daily; zinc helps, more zinc.", [("Zinc", S, ""), ("zinc", S, ""), ("zinc", S, "")])
    texts = set()
    for _ in range(20):
        _, spans = names(doc, doc.ents)
        assert len({span.text.casefold() for span in spans}) == 1
        # A text begins with a capital, as it did.
        assert spans[0].text[0].isupper() and spans[1].text[0].islower()
        texts.add(spans[1].text)
    assert texts == {"biotin", "kava", "garlic", "ginger"}


def test_names_are_of_the_same_kind_and_share():
    random.seed(0)
    doc = read("Takes zinc for colds.", [("zinc", S, ""), ("colds", E, "")])
    half = swapper(("kava", S), share=0.5)
    results = [half(doc, doc.ents)[0].text for _ in range(400)]
    assert set(results) == {"Takes zinc for colds.", "Takes kava for colds."}
    assert results.count("Takes kava for colds.") == pytest.approx(200, abs=40)


def test_overlapping_mentions_keep_their_names():
    doc = read("Low zinc, on iron pills.", [])
    spans = [Span(doc, 1, 2, label=E), Span(doc, 4, 5, label=S), Span(doc, 4, 6, label=S)]
    copy, moved = swapper(("kava", S), ("fever", E))(doc, spans)
    assert copy.text == "Low fever, on iron pills."
    assert [span.text for span in moved] == ["fever", "iron", "iron pills"]


@pytest.mark.parametrize("share, names", [(0.0, [("kava", S)]), (1.0, []), (1.0, [("ZINC", S)])])
def test_nothing_to_exchange(share, names):
    doc = read("Takes zinc.", [("zinc", S, "")])
    copy, spans = swapper(*names, share=share)(doc, doc.ents)
    assert copy is doc and list(spans) == list(doc.ents)


def shown(nlp, examples, monkeypatch):
    """The texts that a step of training reads."""
    predictor = nlp.get_pipe(NAME).predictor
    seen: List[str] = []
    train = predictor.train

    def spy(questions, weights):
        seen.extend(item.text for items in questions.values() for item in items)
        return train(questions, weights)

    monkeypatch.setattr(predictor, "train", spy)
    nlp.get_pipe(NAME).update(examples)
    return set(seen)


def test_training_reads_other_names_and_stores_keep_them(make_supplements, gold_examples_of, monkeypatch):
    random.seed(0)
    nlp = make_supplements(n_examples=1, swap_mentions=1.0)
    examples = gold_examples_of(nlp)
    for i, example in enumerate(examples):
        example.reference.user_data[ID_KEY] = str(i)
    texts = {example.reference.text for example in examples}
    nlp.initialize(lambda: examples)
    stores = nlp.get_pipe(NAME).predictor.stores
    assert {instance.text for instance in stores["uc"].store.instances} <= texts
    assert shown(nlp, examples, monkeypatch) - texts
    assert {example.reference.text for example in examples} == texts


@pytest.mark.parametrize("n_examples, swapped", [(0, True), (1, False)])
def test_documents_without_an_id_are_not_shown_themselves(
    make_supplements, gold_examples_of, monkeypatch, n_examples, swapped
):
    random.seed(0)
    nlp = make_supplements(tasks=["uc"], n_examples=n_examples, swap_mentions=1.0)
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    texts = {example.reference.text for example in examples}
    assert bool(shown(nlp, examples, monkeypatch) - texts) == swapped


def test_a_step_without_the_setting_reads_the_texts(make_supplements, gold_examples_of, monkeypatch):
    nlp = make_supplements(tasks=["uc"])
    examples = gold_examples_of(nlp)
    nlp.initialize(lambda: examples)
    assert shown(nlp, examples, monkeypatch) <= {example.reference.text for example in examples}


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_wrong_share(make_supplements, share):
    with pytest.raises(ValueError, match=r"\[R535\]"):
        make_supplements(swap_mentions=share)


def test_a_name_of_both_labels_is_kept_since_a_triple_has_names_alone():
    doc = read("Takes iron for low iron.", [("iron", S, "continuing"), ("iron", E, "")], [(0, "positive", 1)])
    copy, _ = swapper(("kava", S), ("fever", E))(doc, doc.ents)
    assert copy is doc


def test_triples_follow_names_in_other_case():
    doc = read("Takes Zinc for colds.", [("Zinc", S, "continuing"), ("colds", E, "")], [(0, "positive", 1)])
    doc._.triples = [("zinc", "positive", "Colds")]
    copy, _ = swapper(("kava", S), ("fever", E))(doc, doc.ents)
    assert copy.text == "Takes kava for fever." and copy._.triples == [("kava", "positive", "fever")]
