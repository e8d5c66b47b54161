"""Which pairs open labels are asked about: those of a passage by default, and clusters in all their mentions."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import spacy
import torch
from spacy.training import Example

from spacy_ragre.candidates import Candidate, make_whole_document
from spacy_ragre.components.relations.annotations import RelationPrediction, drop_rivals
from spacy_ragre.components.relations.open_labels import group_pairs
from spacy_ragre.components.relations.open_reader import TokenInput, pack
from spacy_ragre.instances import Instance
from spacy_ragre.labels import LabelSet

NEAR, SAME, WHOLE = (
    {"@ragre_candidates": f"ragre.{name}.v1"} for name in ("NearSentences", "SameSentence", "WholeDocument")
)
NAME = "rag_relation_extractor"
TEXT = "Acme wrote . Ann met Bob . Cara saw Globex ."
ENTS = [("Acme", "ORG"), ("Ann", "PERSON"), ("Bob", "PERSON"), ("Cara", "PERSON"), ("Globex", "ORG")]
ALL = {"threshold": 1e-6, "multi_label": True}


@pytest.fixture
def make(make_nlp, open_settings):
    def build(**settings):
        nlp = make_nlp(**{**open_settings, **ALL, **settings})
        nlp.add_pipe("sentencizer", first=True)
        return nlp

    return build


def marked(nlp):
    """The pipeline, with a reader that sees which tokens are marked, and with what type."""
    model = nlp.get_pipe("rag_relation_extractor").predictor.open.reader.model
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.marks.weight.normal_()
        model.type_proj.weight.normal_()
    return nlp


@pytest.fixture
def keep_rivals(monkeypatch):
    monkeypatch.setattr("spacy_ragre.components.relations.extractor.drop_rivals", lambda found, labels: found)


def scores(doc):
    return {(r.head.text, r.label, r.tail.text): r.score for r in doc._.relations}


def pairs(doc):
    return {tuple(sorted((head, tail))) for head, _, tail in scores(doc)}


def test_a_passage_is_the_default(make, make_doc):
    nlp = make()
    doc = make_doc(nlp, TEXT, ENTS)
    nlp.get_pipe("sentencizer")(doc)
    asked = [c.instance for c in nlp.get_pipe("rag_relation_extractor")._candidates(doc)]
    read = {tuple(sorted((instance.first_text, instance.second_text))): instance.text for instance in asked}
    assert len(read) == 10 and read["Acme", "Ann"] == read["Acme", "Globex"] == TEXT
    assert read["Ann", "Bob"] == "Ann met Bob ."
    assert pairs(nlp(doc)) > {("Ann", "Bob"), ("Cara", "Globex")}
    same = make(candidates=SAME)
    assert pairs(same(make_doc(same, TEXT, ENTS))) == {("Ann", "Bob"), ("Cara", "Globex")}


def test_what_was_chosen_is_saved(make, make_doc, tmp_path):
    for name, settings in (("open", {}), ("same", {"candidates": SAME})):
        nlp = make(**settings)
        expected = scores(nlp(make_doc(nlp, TEXT, ENTS)))
        nlp.to_disk(tmp_path / name)
        loaded = spacy.load(tmp_path / name)
        assert scores(loaded(make_doc(loaded, TEXT, ENTS))) == pytest.approx(expected)


def test_other_answers_ask_about_one_sentence(make, make_doc, component, gold_examples, train):
    nlp = make(answer="auto")
    doc = make_doc(nlp, TEXT, ENTS)
    nlp.get_pipe("sentencizer")(doc)
    extractor = component(nlp)
    assert len(extractor._candidates(doc)) > 2 == len(extractor._candidates(doc, trained="head"))
    train(nlp, gold_examples(nlp), steps=1)
    assert extractor.predictor.mode == "head" and len(extractor._candidates(doc)) == 2


def test_pairs_across_sentences_have_a_limit_of_their_own(make, make_doc, reader_files, tmp_path, keep_rivals):
    folder = tmp_path / "weights"
    shutil.copytree(reader_files[1], folder)
    about = json.loads((folder / "open_reader.json").read_text())

    def found(across, **settings):
        limits = dict.fromkeys(("types", "no_types"), across)
        known = {**about, "decision": dict.fromkeys(limits, 1e-6), "decision_across": limits}
        (folder / "open_reader.json").write_text(json.dumps(known))
        nlp = make(weights=str(folder), **{"threshold": 0.0, **settings})
        return pairs(nlp(make_doc(nlp, TEXT, ENTS)))

    inside = {("Ann", "Bob"), ("Cara", "Globex")}
    assert found(1.1) == inside < found(1e-6)
    # What the user sets counts for both.
    assert found(1.1, threshold=1e-6) == found(1e-6)
    assert found(1.1, threshold={"*": 1e-6}) == found(1e-6)
    assert found(1e-6, threshold=1.0) < found(1e-6)
    # Weights that know of no other limit have one.
    (folder / "open_reader.json").write_text(json.dumps({**about, "decision": dict.fromkeys(about["decision"], 1e-6)}))
    nlp = make(weights=str(folder), threshold=0.0)
    assert pairs(nlp(make_doc(nlp, TEXT, ENTS))) == found(1e-6)


def test_behind_a_recogniser_pairs_across_sentences_have_the_limit_for_entities_that_are_found(
    make, make_doc, reader_files, tmp_path
):
    folder = tmp_path / "weights"
    shutil.copytree(reader_files[1], folder)
    about = json.loads((folder / "open_reader.json").read_text())
    least, kinds = 1e-6, ("types", "no_types", "types_found", "no_types_found")

    def found(**across):
        limits = {"decision": dict.fromkeys(kinds, least), "decision_across": {"types": 1.1, "no_types": 1.1, **across}}
        (folder / "open_reader.json").write_text(json.dumps({**about, **limits}))
        nlp = make(weights=str(folder), threshold=0.0)
        nlp.add_pipe("ner", first=True).add_label("PERSON")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pairs(nlp.get_pipe(NAME)(nlp.get_pipe("sentencizer")(make_doc(nlp, TEXT, ENTS))))

    inside = {("Ann", "Bob"), ("Cara", "Globex")}
    assert found(types_found=least, no_types_found=least) > inside
    # Weights that know of none for these have none that is good enough.
    assert found() == inside


# Clusters


def test_clusters_of_one_mention_are_plain_entities(make, make_doc, keep_rivals):
    near, whole = make(candidates=NEAR), make(candidates=WHOLE)
    expected = scores(near(make_doc(near, TEXT, ENTS)))
    found = scores(whole(make_doc(whole, TEXT, ENTS)))
    assert len(expected) > 8
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-4)


@pytest.fixture
def clustered(make_doc):
    """Acme and Ann meet twice, in different words, and a document in between."""

    def build(nlp, between=1):
        filler = "Bob met Cara . " * between
        text = f"Acme wrote Ann . {filler}Ann founded Acme ."
        ents = [("Acme", "ORG"), ("Ann", "PERSON"), *[("Bob", "PERSON"), ("Cara", "PERSON")] * between]
        doc = make_doc(nlp, text, [*ents, ("Ann", "PERSON"), ("Acme", "ORG")])
        nlp.get_pipe("sentencizer")(doc)
        return doc

    return build


def test_clusters_are_read_in_all_their_nearest_mentions(make, clustered, component):
    nlp = make(candidates=WHOLE)
    doc = clustered(nlp)
    candidate = next(
        c for c in component(nlp)._candidates(doc) if {c.instance.first_text, c.instance.second_text} == {"Acme", "Ann"}
    )
    assert {instance.text for instance in candidate.mention_pairs} >= {"Acme wrote Ann .", "Ann founded Acme ."}
    # Whichever stands first, all are in the order of the clusters.
    assert len({instance.first_text for instance in candidate.mention_pairs}) == 1
    predictor = component(nlp).predictor
    alone = [predictor.score([instance]).scores[0] for instance in candidate.mention_pairs]
    packed = predictor._score_pairs([candidate]).scores[0]
    np.testing.assert_allclose(packed, np.max(alone, axis=0), atol=1e-3)
    assert np.ptp(alone, axis=0).max() > 1e-3


def test_documents_together_and_alone(make, clustered, make_doc):
    nlp = marked(make(candidates=WHOLE))
    docs = [clustered(nlp), make_doc(nlp, "", []), make_doc(nlp, "Acme wrote .", ENTS[:1]), make_doc(nlp, TEXT, ENTS)]
    # The same text, with fewer entities, and with others.
    docs += [make_doc(nlp, TEXT, ENTS[1:4]), make_doc(nlp, TEXT, [(name, "GPE") for name, _ in ENTS])]
    alone = [scores(nlp(doc.copy())) for doc in docs]
    assert [scores(doc) for doc in nlp.pipe(docs)] == [pytest.approx(each, abs=1e-3) for each in alone]
    assert [len(each) > 0 for each in alone] == [True, False, False, True, True, True]


def test_calibration_reads_documents_as_prediction_does(make, make_doc, monkeypatch):
    nlp = marked(make(candidates=WHOLE))
    docs = [make_doc(nlp, TEXT, ENTS, [(0, "founded_by", 1)]), make_doc(nlp, TEXT, ENTS[1:4], [(0, "founded_by", 1)])]
    predictor, read = nlp.get_pipe("rag_relation_extractor").predictor, []
    score = predictor._score_pairs
    monkeypatch.setattr(predictor, "_score_pairs", lambda *args: read.append(score(*args)) or read[-1])
    nlp.get_pipe("rag_relation_extractor").calibrate([Example(doc, doc) for doc in docs])
    (together,) = [scored.scores for scored in read]
    alone = [score(nlp.get_pipe("rag_relation_extractor")._labelled(doc)).scores for doc in docs]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-3)


def test_a_place_with_two_types(make):
    """Each pair is read with its own: a text has one type at a place."""
    names = {"Acme": ((0, 4), "ORG"), "Ann": ((10, 13), "PERSON"), "Bob": ((14, 17), "PERSON")}
    pairs = [("Acme", "Ann"), ("Ann", "Bob"), ("Acme", "Bob")]
    typed = [(*names[first], *names[second]) for first, second in pairs]
    instances = [Instance("Acme paid Ann Bob", a, b, x, y) for a, x, b, y in typed]
    other = [replace(instances[0], first_type="GPE"), replace(instances[2], first_type="GPE")]
    texts, places = group_pairs([*instances, *other, instances[0]])
    assert [len(text.mentions) for text in texts] == [3, 3]
    assert [number for number, _, _ in places] == [0, 0, 0, 1, 1, 0]
    # Two documents are two texts, told by their numbers or their ids.
    assert [number for number, _, _ in group_pairs(instances, [0, 0, 1])[1]] == [0, 0, 1]
    assert len(group_pairs([instances[0], replace(instances[0], id="other")])[0]) == 2


def test_tokens_have_the_type_of_the_shortest_mention():
    vectors = {name: torch.full((1,), float(number)) for number, name in enumerate(("", "whole", "part"))}
    mentions = [(0, 3, "whole"), (2, 3, "part")]
    for order in (mentions, mentions[::-1]):
        batch = pack([TokenInput([1, 2, 3, 4], order, [(0, 1)])], vectors)
        assert batch.type_table[batch.types].flatten().tolist() == [1, 1, 2, 0]


def test_r504_weights_that_are_no_numbers(make, make_doc):
    nlp = make()
    nlp(make_doc(nlp, TEXT, ENTS))
    nlp.get_pipe("rag_relation_extractor").predictor.open.reader.model.related.bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"\[R504\].*open_reader"):
        nlp(make_doc(nlp, TEXT, ENTS))


def test_a_document_longer_than_the_window(make, clustered):
    nlp = make(candidates=WHOLE)
    short, long = scores(nlp(clustered(nlp))), scores(nlp(clustered(nlp, between=200)))
    assert len(long) == len(short) and ("Acme", "founded_by", "Ann") in long


def test_the_pairs_of_mentions_of_two_clusters(make, clustered):
    doc = clustered(make())
    for candidate in make_whole_document()(doc, doc.ents):
        names = [(instance.first_text, instance.second_text) for instance in candidate.mention_pairs]
        assert 1 <= len(names) <= 2 and len(set(names)) == 1
        # Nearest first, and in its sentences only.
        assert candidate.mention_pairs[0].text in candidate.instance.text


# Relations across sentences and those of one sentence


def relation(head, label, tail, score, across, **own):
    """A prediction in a text that consists of its names."""
    instance = Instance(f"{head} {tail}", (0, len(head)), (len(head) + 1, len(head) + 1 + len(tail)))
    return RelationPrediction(Candidate((0, 1), (1, 2), instance, across=across, **own), label, False, score, {})


@pytest.mark.parametrize(
    "label, head, tail, stays",
    [
        ("founded_by", "Amazon", "Jobs", False),  # who founded Apple
        ("founded_by", "apple", "Bezos", False),  # which Jobs founded
        ("founded_by", "Apple", "JOBS", True),  # the same once more
        ("based_in", "Amazon", "Jobs", True),
        ("founded_by", "Jobs", "Amazon", True),  # the other way round
        ("married_to", "Ann", "Jobs", True),
        ("married_to", "Ann", "Bob", False),  # symmetric: whichever is the head
    ],
)
def test_a_relation_in_one_sentence_explains_those_across(label, head, tail, stays):
    labels = LabelSet({"founded_by": {}, "based_in": {}, "married_to": {"symmetric": True}})
    near = [relation("Apple", "founded_by", "Jobs", 0.8, False), relation("Bob", "married_to", "Cara", 0.8, False)]
    far = relation(head, label, tail, 0.7, True)
    assert drop_rivals([*near, far], labels) == ([*near, far] if stays else near)
    # Likelier ones, those of one sentence, and those of clusters always stay.
    for other in ((0.9, True, {}), (0.7, False, {}), (0.7, True, {"first_cluster": 0, "second_cluster": 1})):
        score, across, own = other
        item = relation(head, label, tail, score, across, **own)
        assert drop_rivals([item, *near], labels) == [item, *near]
