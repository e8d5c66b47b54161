import json
import pickle
import random

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from spacy_ragre.corpora import convert, read_docred, write_docred
from spacy_ragre.corpora.docred import NAMES_KEY
from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.registry import registry
from spacy_ragre.relations import CLUSTERS_KEY
from spacy_ragre.scoring import score_docred, train_facts

nlp = spacy.blank("en")
WORDS = [f"w{i}" for i in range(12)]
SENTENCES = [i % 4 == 0 for i in range(12)]  # three sentences of four tokens
# Entity 0 is in sentences 0 and 2, entity 1 in sentence 0, entity 2 in sentence 1, entity 3 in sentence 2.
CLUSTERS = [[(0, 1), (8, 9)], [(2, 3)], [(4, 6)], [(10, 12)]]


def make_doc(triples, clusters=CLUSTERS, sentences=SENTENCES, names=None):
    doc = Doc(nlp.vocab, words=WORDS, sent_starts=sentences)
    if clusters is not None:
        doc._.entity_clusters = clusters
    if names is not None:
        doc.user_data[NAMES_KEY] = names
    if triples is not None:
        doc._.relations = [
            {"head": clusters[h][0], "tail": clusters[t][0], "label": r, "head_cluster": h, "tail_cluster": t}
            for h, t, r in triples
        ]
    return doc


def test_hand_computed():
    gold = [(0, 1, "a"), (0, 1, "b"), (1, 2, "a"), (2, 3, "c"), (0, 3, "a")]
    predicted = [(0, 1, "a"), (1, 0, "b"), (1, 2, "a"), (1, 3, "a")]
    scores = score_docred([Example(make_doc(predicted), make_doc(gold))])
    # 2 right of 4 given and 5 gold.
    assert scores["docred_p"] == pytest.approx(2 / 4)
    assert scores["docred_r"] == pytest.approx(2 / 5)
    assert scores["docred_f"] == pytest.approx(4 / 9)
    # In one sentence: gold (0,1,a) (0,1,b) (0,3,a), given (0,1,a) (1,0,b), 1 right.
    assert scores["docred_intra_f"] == pytest.approx(2 / 5)
    # Across: gold (1,2,a) (2,3,c), given (1,2,a) (1,3,a), 1 right.
    assert scores["docred_inter_f"] == pytest.approx(2 / 4)
    assert scores["docred_ign_f"] is None


def test_ign_f1_by_hand():
    train = make_doc([(0, 1, "a")], names=[["Acme", "Firm"], ["Ann"], ["x"], ["y"]])
    facts = train_facts([train])
    assert facts == {("Acme", "Ann", "a"), ("Firm", "Ann", "a")}
    names = [["Other", "Firm"], ["Ann"], ["Bob"], ["Ann"]]
    gold = make_doc([(0, 1, "a"), (0, 1, "b"), (0, 2, "a"), (0, 3, "a")], names=names)
    predicted = make_doc([(0, 1, "a"), (0, 1, "b"), (0, 3, "c"), (1, 0, "a")])
    scores = score_docred([Example(predicted, gold)], facts=facts)
    # Of the 2 right ones (0,1,a) is known. A known one that is wrong or missed changes nothing.
    precision = 1 / (4 - 1 + 1e-5)
    assert scores["docred_ign_p"] == pytest.approx(precision)
    assert scores["docred_ign_f"] == pytest.approx(2 * precision * 0.5 / (precision + 0.5))
    assert scores["docred_f"] == pytest.approx(0.5)


def test_texts_are_names_where_there_are_no_others():
    doc = make_doc([(0, 2, "a")])
    assert train_facts([doc]) == {("w0", "w4 w5", "a"), ("w8", "w4 w5", "a")}
    assert train_facts([make_doc(None)]) == frozenset()


def test_entities_that_the_pipeline_lacks_are_missed():
    gold = make_doc([(0, 1, "a"), (2, 3, "a")])
    # The pipeline found entity 1, one mention of entity 0, and something that is no entity.
    predicted = make_doc([(1, 0, "a"), (2, 0, "a")], clusters=[[(2, 3)], [(8, 9)], [(6, 7)]])
    scores = score_docred([Example(predicted, gold)])
    assert scores["docred_p"] == pytest.approx(1 / 2)
    assert scores["docred_r"] == pytest.approx(1 / 2)
    # (6, 7) and entity 1 are in different sentences; (2, 3, a) of gold, too.
    assert scores["docred_intra_f"] == 1.0
    assert scores["docred_inter_f"] == 0.0


def test_nothing_found_and_relations_between_mentions():
    gold = make_doc([(0, 1, "a")])
    assert score_docred([Example(make_doc([], clusters=[]), gold)])["docred_r"] == 0.0
    predicted = make_doc(None)
    predicted._.relations = [{"head": (8, 9), "tail": (2, 3), "label": "a"}]
    assert score_docred([Example(predicted, gold)])["docred_f"] == 1.0


def test_entities_that_share_a_mention():
    clusters = [[(0, 1)], [(0, 1)], [(2, 3)]]
    gold = make_doc([(1, 2, "a")], clusters=clusters)
    assert score_docred([Example(make_doc([(1, 2, "a")], clusters=clusters), gold)])["docred_f"] == 1.0
    assert score_docred([Example(make_doc([(0, 2, "a")], clusters=clusters), gold)])["docred_f"] == 0.0


def test_duplicates_count_once():
    gold = make_doc([(0, 1, "a"), (0, 1, "a")])
    scores = score_docred([Example(make_doc([(0, 1, "a"), (0, 1, "a"), (1, 0, "a")]), gold)])
    assert (scores["docred_p"], scores["docred_r"]) == (0.5, 1.0)


def test_nothing_to_count():
    unlabelled = Example(make_doc([(0, 1, "a")]), make_doc(None))
    assert all(value is None for value in score_docred([unlabelled]).values())
    assert all(value is None for value in score_docred([Example(make_doc([]), make_doc([]))]).values())
    without = [None] * 12
    scores = score_docred([Example(make_doc([(0, 1, "a")]), make_doc([(0, 1, "a")], sentences=without))])
    assert scores["docred_f"] == 1.0 and scores["docred_intra_f"] is None


def test_texts_with_other_spaces():
    gold = make_doc([(0, 1, "a")])
    predicted = Doc(nlp.vocab, words=WORDS, spaces=[False] * 12)
    predicted._.entity_clusters = CLUSTERS
    predicted._.relations = [{"head": (0, 1), "tail": (2, 3), "label": "a"}]
    scores = score_docred([Example(predicted, gold)])
    assert scores["docred_f"] == scores["docred_intra_f"] == 1.0


# Against the official definition


def by_definition(answers, truth, train):
    """The official definition over the files: (F1, Ign F1, intra-F1, inter-F1)."""
    gold, sentences, names = set(), {}, {}
    for document in truth:
        for i, entity in enumerate(document["vertexSet"]):
            sentences[document["title"], i] = {mention["sent_id"] for mention in entity}
            names[document["title"], i] = {mention["name"] for mention in entity}
        gold |= {(document["title"], x["h"], x["t"], x["r"]) for x in document["labels"]}
    known = {
        (a["name"], b["name"], x["r"])
        for document in train
        for x in document["labels"]
        for a in document["vertexSet"][x["h"]]
        for b in document["vertexSet"][x["t"]]
    }
    given = {(x["title"], x["h_idx"], x["t_idx"], x["r"]) for x in answers}

    def f1(right, given, gold, ignored=0):
        p = (right - ignored) / (given - ignored + (1e-5 if ignored else 0)) if given else 0
        r = right / gold if gold else 0
        return 2 * p * r / (p + r) if p + r else 0

    in_train = sum(
        any((a, b, r) in known for a in names[title, h] for b in names[title, t]) for title, h, t, r in given & gold
    )
    result = [f1(len(given & gold), len(given), len(gold)), f1(len(given & gold), len(given), len(gold), in_train)]
    for within in (True, False):
        g, a = (
            {x for x in triples if bool(sentences[x[0], x[1]] & sentences[x[0], x[2]]) == within}
            for triples in (gold, given)
        )
        result.append(f1(len(g & a), len(a), len(g)))
    return result


def random_document(rng, title):
    sents = [["w"] * rng.randint(2, 5) for _ in range(rng.randint(1, 4))]
    places = [(s, i) for s, sent in enumerate(sents) for i in range(len(sent))]
    rng.shuffle(places)
    entities = []
    for _ in range(min(rng.randint(2, 5), len(places))):
        mentions = [places.pop() for _ in range(min(rng.randint(1, 2), len(places)))]
        entities.append(
            [{"sent_id": s, "pos": [i, i + 1], "type": "X", "name": rng.choice("ABCDE")} for s, i in mentions]
        )
    entities = [entity for entity in entities if entity]
    pairs = [(h, t, r) for h in range(len(entities)) for t in range(len(entities)) if h != t for r in ("P1", "P2")]
    labels = [{"h": h, "t": t, "r": r, "evidence": []} for h, t, r in rng.sample(pairs, min(len(pairs), 3))]
    return {"title": title, "sents": sents, "vertexSet": entities, "labels": labels}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("binary", [True, False])
def test_agrees_with_the_definition(seed, binary, tmp_path):
    rng = random.Random(seed)
    truth = [random_document(rng, f"d{i}") for i in range(8)]
    train = [random_document(rng, f"t{i}") for i in range(4)]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "train.json").write_text(json.dumps(train))
    path = tmp_path / "train.json"
    if binary:
        path = tmp_path / "train.spacy"
        convert(tmp_path / "train.json", path, "docred")
    references = list(read_docred(tmp_path / "truth.json"))
    docs = []
    for reference in references:
        doc = copy_input(reference)
        count = len(reference._.entity_clusters)
        known = {(x.head_cluster, x.tail_cluster, x.label) for x in reference._.relations}
        doc._.relations = [
            {"head": (0, 1), "tail": (1, 2), "label": r, "head_cluster": h, "tail_cluster": t}
            for h in range(count)
            for t in range(count)
            for r in ("P1", "P2")
            if h != t and rng.random() < (0.6 if (h, t, r) in known else 0.1)
        ]
        docs.append(doc)
    scorer = registry.scorers.get("ragre.docred_scorer.v1")(train=path)
    scores = pickle.loads(pickle.dumps(scorer))([Example(doc, ref) for doc, ref in zip(docs, references)])
    write_docred(docs, tmp_path / "answers.json")
    answers = json.loads((tmp_path / "answers.json").read_text())
    expected = by_definition(answers, truth, train)
    found = [scores[f"docred_{key}"] or 0 for key in ("f", "ign_f", "intra_f", "inter_f")]
    assert found == pytest.approx(expected, abs=1e-5)


def test_scorer_gives_the_scores_of_relations_too():
    scorer = registry.resolve({"scorer": {"@scorers": "ragre.docred_scorer.v1"}})["scorer"]
    gold, predicted = make_doc([(0, 1, "a")]), make_doc([(0, 1, "a"), (1, 0, "a")])
    scores = scorer([Example(predicted, gold)], labels=("a",))
    assert scores["rels_micro_f"] == scores["docred_f"] == pytest.approx(2 / 3)
    assert CLUSTERS_KEY in gold.user_data


def test_predictions_of_labels_that_nobody_looked_for_count_neither_way():
    gold = make_doc([(0, 1, "a")])
    gold._.annotated_labels = ["a"]
    scores = score_docred([Example(make_doc([(0, 1, "a"), (1, 2, "b")]), gold)])
    assert (scores["docred_p"], scores["docred_r"]) == (1.0, 1.0)
