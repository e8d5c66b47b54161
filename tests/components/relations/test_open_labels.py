"""The answer "open": labels that nobody trained on, read by the encoder that comes with the package."""

import json
import pickle
import shutil

import numpy as np
import pytest
import spacy

from spacy_ragre.components.relations.open_labels import NEVER, OpenLabel, OpenText
from spacy_ragre.components.relations.open_scorer import WEIGHTS, OpenScorer
from spacy_ragre.instances import Instance
from spacy_ragre.labels import LabelSet

pytestmark = pytest.mark.real

NAME = "rag_relation_extractor"
TYPED = {
    "founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]},
    "born_in": {"text": "was born in", "head_types": ["PERSON"], "tail_types": ["GPE"]},
    "married_to": {"text": "is married to", "symmetric": True, "head_types": ["PERSON"], "tail_types": ["PERSON"]},
}
LABELS_OF_GOLD = {"founded_by": "was founded by", "located_in": "is located in"}
TEXT = OpenText(
    "Bill Gates and Melinda French founded Microsoft in Albuquerque.",
    ((0, 10, "PERSON"), (15, 29, "PERSON"), (38, 47, "ORG"), (51, 62, "GPE")),
)
LABELS = [
    OpenLabel("founded_by", ("was founded by", "owes its start to"), "TAIL founded HEAD.", ("ORG",), ("PERSON",)),
    OpenLabel("married_to", ("is married to",), "", ("PERSON",), ("PERSON",), True),
    OpenLabel("based_in", ("is based in",), "HEAD has its seat in TAIL.", ("ORG",), ("GPE",)),
]


@pytest.fixture(scope="module")
def scorer():
    return OpenScorer()


@pytest.fixture(scope="module")
def reader(scorer):
    return scorer.reader


@pytest.fixture
def make_open(make_nlp):
    def make(labels=TYPED, **settings):
        nlp = make_nlp(labels=labels, **{"weights": "open", **settings})
        ruler = nlp.add_pipe("entity_ruler", first=True)
        names = {"ORG": ["Acme", "Globex"], "PERSON": ["Ann Lee", "Bob Poe"], "GPE": ["Rome", "Oslo"]}
        ruler.add_patterns([{"label": k, "pattern": name} for k, all_ in names.items() for name in all_])
        return nlp

    return make


def found(doc):
    return [(r.head.text, r.label, r.tail.text) for r in doc._.relations]


def score(reader, texts, labels=LABELS, **kwargs):
    return reader.score(texts, labels, reader.read_labels(labels), **kwargs)


def test_one_array_a_text(reader):
    texts = [TEXT, OpenText("Nothing here.", ()), OpenText("Only Bonn.", ((5, 9, "GPE"),)), OpenText("", ())]
    assert [array.shape for array in score(reader, texts)] == [(12, 3), (0, 3), (0, 3), (0, 3)]


def test_order_and_number_of_labels_change_nothing(reader):
    whole = score(reader, [TEXT])[0]
    np.testing.assert_allclose(whole, score(reader, [TEXT], LABELS[::-1])[0][:, ::-1], atol=1e-3)
    np.testing.assert_allclose(whole[:, :1], score(reader, [TEXT], LABELS[:1])[0], atol=1e-3)


def test_other_texts_in_the_batch_change_nothing(reader):
    other = OpenText("Ada met Bo in a town that none of them knew.", ((0, 3, "PERSON"), (8, 10, "PERSON")))
    np.testing.assert_allclose(score(reader, [other, TEXT])[1], score(reader, [TEXT])[0], atol=1e-3)


def test_unlikely_labels_are_not_corrected(reader):
    pairs, states = reader.read_pairs([TEXT]), reader.read_labels(LABELS)
    whole = reader.match(pairs, states)
    network, reader.model.match = reader.model.match, None
    try:
        sums = reader.match(pairs, states)
    finally:
        reader.model.match = network
    low, high = np.quantile(sums, [0.3, 0.6])
    cut = reader.match(pairs, states, unlikely=(float(low), float(high)))
    np.testing.assert_array_equal(cut[sums < low], sums[sums < low])
    np.testing.assert_allclose(cut[sums > high], whole[sums > high], atol=1e-4)
    share = (sums - low) / (high - low)
    between = (share > 0) & (share < 1)
    assert between.any()
    np.testing.assert_allclose(cut[between], (sums + share * (whole - sums))[between], atol=1e-3)
    # Pairs that could not be read stay so, and no pairs are no fault.
    unread = type(pairs)(pairs.vectors, np.full_like(pairs.related, np.nan))
    assert np.isnan(reader.match(unread, states, unlikely=(-1.0, 0.0))).all()
    assert reader.match(type(pairs)(pairs.vectors[:0], pairs.related[:0]), states, unlikely=(-1.0, 0.0)).shape == (0, 3)
    np.testing.assert_array_equal(reader.match(pairs, states, unlikely=(1e3, 2e3)), sums)


def test_types_that_are_not_allowed_never_hold(reader):
    array = score(reader, [TEXT])[0]
    allowed = {(2, 0): [0], (2, 1): [0], (0, 1): [1], (1, 0): [1], (2, 3): [2]}
    for row, pair in enumerate(TEXT.all_pairs()):
        assert [i for i in range(3) if array[row, i] != NEVER] == allowed.get(pair, [])


def test_a_symmetric_label_has_one_score(reader):
    array = score(reader, [TEXT])[0]
    rows = {pair: row for row, pair in enumerate(TEXT.all_pairs())}
    assert array[rows[0, 1], 1] == array[rows[1, 0], 1] != NEVER


def test_mentions_in_long_texts(reader):
    far = "He went home. " * 200
    text = f"Acme was founded by Ann. {far} Bob left Globex."
    places = [(0, 4, "ORG"), (20, 23, "PERSON"), (len(text) - 17, len(text) - 14, "PERSON")]
    array = score(reader, [OpenText(text, tuple(places))])[0]
    rows = {pair: row for row, pair in enumerate(OpenText(text, tuple(places)).all_pairs())}
    assert array[rows[0, 1], 0] > NEVER and array[rows[0, 2], 0] == NEVER


def test_control_tokens_in_a_text_are_words(reader):
    plain = reader.layout.tokenizer.encode("[SEP]", add_special_tokens=False)
    assert len(plain.ids) > 1


def test_classes_of_pairs_in_both_directions(scorer):
    labels = LabelSet(TYPED)
    text = "Acme was founded by Ann Lee."
    instance = Instance(text, (0, 4), (20, 27), "ORG", "PERSON")
    forward, backward = scorer.scores([instance, instance.swapped()], labels)
    # classes: none, founded_by, its reverse, born_in, its reverse, married_to
    assert forward.argmax() == 1 and backward.argmax() == 2
    assert forward[1] == pytest.approx(backward[2], abs=1e-4) and forward[0] == backward[0]


def test_zero_shot(make_open):
    nlp = make_open()
    assert found(nlp("Acme was founded by Ann Lee.")) == [("Acme", "founded_by", "Ann Lee")]
    assert found(nlp("Bob Poe was born in Oslo.")) == [("Bob Poe", "born_in", "Oslo")]
    assert not nlp.get_pipe(NAME).predictor.backbone.is_loaded


def test_pipe_equals_call_and_saved_pipelines(make_open, tmp_path):
    nlp = make_open()
    texts = ["Acme was founded by Ann Lee.", "", "Rome.", "Ann Lee is married to Bob Poe."]
    expected = [found(nlp(text)) for text in texts]
    assert [found(doc) for doc in nlp.pipe(texts)] == expected and expected[0]
    nlp.to_disk(tmp_path)
    assert [found(doc) for doc in spacy.load(tmp_path).pipe(texts)] == expected
    again = pickle.loads(pickle.dumps(nlp.get_pipe(NAME)))
    assert again.predictor.open._reader is None


def test_a_label_added_later_is_read(make_open):
    nlp = make_open({"born_in": TYPED["born_in"]})
    assert found(nlp("Acme was founded by Ann Lee.")) == []
    nlp.get_pipe(NAME).add_label("founded_by", TYPED["founded_by"])
    assert found(nlp("Acme was founded by Ann Lee.")) == [("Acme", "founded_by", "Ann Lee")]


def test_several_wordings_are_averaged(scorer, reader):
    instance = Instance("Acme was founded by Ann Lee.", (0, 4), (20, 27), "ORG", "PERSON")
    words = ["was founded by", "owes its start to"]
    both, first, second = (
        scorer.scores([instance], LabelSet({"founded_by": {"text": text}}))[0] for text in (words, *words)
    )
    label = OpenLabel("founded_by", tuple(words))
    text = OpenText(instance.text, ((0, 4, "ORG"), (20, 27, "PERSON")), ((0, 1),))
    fitted = scorer.known["calibration"]["no_types"]
    plain = score(reader, [text], [label])[0][0, 0]
    assert both[1] == pytest.approx(fitted["slope"] * plain + fitted["offset"], abs=1e-4)
    assert both[1] != pytest.approx(first[1], abs=1e-2) and both[1] != pytest.approx(second[1], abs=1e-2)


def test_many_labels_and_long_words(make_open):
    labels = {f"label_{i}": {"text": f"is number {i} of"} for i in range(300)}
    labels["long"] = {"text": "is " + "very " * 300 + "near"}
    labels["defined"] = {"text": "is near", "definition": "HEAD is " + "very " * 60 + "near TAIL."}
    nlp = make_open({**labels, **TYPED})
    with pytest.warns(UserWarning, match=r"\[W166\] The words of long, defined are more"):
        assert isinstance(found(nlp("Acme was founded by Ann Lee.")), list)


@pytest.mark.parametrize("definition", ["", "HEAD is near TAIL."])
def test_a_label_is_cut_where_its_last_words_are_not_read(reader, definition):
    layout = reader.layout
    lengths = [len(layout.statement("very " * count + "near", definition, [], []).ids) for count in range(60)]
    cut = [layout.is_cut("very " * count + "near", definition) for count in range(60)]
    # All labels that are cut are read in full length; of those that are not, each is longer than the one before.
    assert cut == sorted(cut) and any(cut) and not cut[0]
    whole = lengths[: cut.index(True)]
    assert whole == sorted(set(whole)) and max(whole) == max(lengths)


def test_r120_damaged_weights(tmp_path):
    for name in ("open_reader.json", "open_reader.safetensors"):
        shutil.copy(WEIGHTS / name, tmp_path / name)
    data = bytearray((tmp_path / "open_reader.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "open_reader.safetensors").write_bytes(bytes(data))
    with pytest.raises(ValueError, match="R120.*open_reader"):
        OpenScorer(str(tmp_path)).scores([], LabelSet(TYPED))


def test_r560_folder_without_weights(make_open, tmp_path):
    with pytest.raises(ValueError, match=r"\[R560\].*open_reader.json"):
        make_open(weights=str(tmp_path))("Acme was founded by Ann Lee.")


def test_r561_open_answer_without_weights(make_open):
    with pytest.raises(ValueError, match=r"\[R561\]"):
        make_open(weights=None, answer="open")


def test_it_answers_until_something_is_trained(make_open, gold_examples, train):
    nlp = make_open(weights=None)
    assert nlp.get_pipe(NAME).predictor.mode == "trie"
    nlp = make_open(LABELS_OF_GOLD)
    predictor = nlp.get_pipe(NAME).predictor
    assert predictor.mode == "open"
    train(nlp, gold_examples(nlp), steps=1)
    assert predictor.mode == "head"


def test_the_limit_is_that_of_the_weights_or_the_users(make_open):
    nlp = make_open()
    predictor = nlp.get_pipe(NAME).predictor
    (relation,) = nlp("Acme was founded by Ann Lee.")._.relations
    assert predictor.open.decision(predictor.labels) < relation.score < 1
    strict = make_open(threshold=min(0.999, relation.score + 0.001))
    assert found(strict("Acme was founded by Ann Lee.")) == []
    lenient = make_open(threshold=0.001)
    text = "Acme met Ann Lee in Rome and Bob Poe in Oslo."
    assert len(found(lenient(text))) > len(found(nlp(text)))


def test_several_labels_a_pair_or_one(make_open):
    twins = {"founded_by": {"text": "was founded by"}, "set_up_by": {"text": "was founded by"}}
    text = "Acme was founded by Ann Lee."
    assert len(found(make_open(twins)(text))) == 1
    assert len(found(make_open(twins, multi_label=True)(text))) == 2


def test_w160_saved_with_other_weights(make_open, tmp_path):
    make_open().to_disk(tmp_path / "pipeline")
    cfg = tmp_path / "pipeline" / NAME / "cfg"
    settings = json.loads(cfg.read_text(encoding="utf8"))
    component = make_open().get_pipe(NAME)
    with pytest.warns(UserWarning, match=r"\[W160\]"):
        component._apply({**settings, "reader": "0" * 64})


def test_other_weights_are_no_matter_to_a_trained_head(make_open, tmp_path, recwarn):
    make_open().to_disk(tmp_path / "pipeline")
    settings = json.loads((tmp_path / "pipeline" / NAME / "cfg").read_text(encoding="utf8"))
    make_open().get_pipe(NAME)._apply({**settings, "reader": "0" * 64, "trained": True})
    assert not [warning for warning in recwarn if "W160" in str(warning.message)]


def test_the_card_has_what_is_measured():
    known = json.loads((WEIGHTS / "open_reader.json").read_text(encoding="utf8"))
    assert known["bytes"] == (WEIGHTS / "open_reader.safetensors").stat().st_size < 30_000_000
    assert {"thresholds", "dev", "zero_shot", "training"} <= set(known)
