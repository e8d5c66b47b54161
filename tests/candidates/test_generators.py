import pickle
from itertools import product

import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_ragre.candidates import (
    make_near_sentences,
    make_passage,
    make_proposed,
    make_same_sentence,
    make_token_distance,
    make_whole_document,
)
from spacy_ragre.registry import registry
from spacy_ragre.relations import ID_KEY, CandidatePair

NAMES = (
    "ragre.SameSentence.v1",
    "ragre.NearSentences.v1",
    "ragre.Passage.v1",
    "ragre.TokenDistance.v1",
    "ragre.WholeDocument.v1",
    "ragre.Proposed.v1",
)


@pytest.fixture(scope="module")
def vocab():
    return spacy.blank("en").vocab


def make_doc(vocab, sentences, ents=()):
    """A document of whitespace-separated sentences, with entities given as (start, end, label)."""
    words, starts = [], []
    for sentence in sentences:
        tokens = sentence.split()
        words.extend(tokens)
        starts.extend(i == 0 for i in range(len(tokens)))
    doc = Doc(vocab, words=words, sent_starts=starts)
    doc.spans["all"] = [Span(doc, *ent[:2], label=ent[2]) for ent in ents]
    return doc


def pairs(candidates):
    return [(candidate.first, candidate.second) for candidate in candidates]


def check_texts(doc, candidates, max_tokens):
    for candidate in candidates:
        instance = candidate.instance
        for (start, end), (first, last) in (
            (candidate.first, instance.first),
            (candidate.second, instance.second),
        ):
            assert instance.text[first:last] == doc[start:end].text
        assert len(instance.text.split()) <= max_tokens
        assert candidate.first[0] <= candidate.second[0]


@pytest.mark.parametrize("name", NAMES)
def test_registered_and_picklable(name):
    generate = registry.ragre_candidates.get(name)()
    assert callable(pickle.loads(pickle.dumps(generate)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text,ents", [("", []), ("Nothing here .", []), ("Only Ada here .", [(1, 2, "PERSON")])])
def test_fewer_than_two_mentions(vocab, name, text, ents):
    doc = make_doc(vocab, [text], ents)
    assert registry.ragre_candidates.get(name)()(doc, doc.spans["all"]) == []


@pytest.mark.parametrize("name", NAMES[:5])
def test_text_at_both_ends(vocab, name):
    doc = make_doc(vocab, ["Ada met Bob"], [(0, 1, "PERSON"), (2, 3, "")])
    doc.user_data[ID_KEY] = "d1"
    (candidate,) = registry.ragre_candidates.get(name)()(doc, doc.spans["all"])
    instance = candidate.instance
    assert instance.text == "Ada met Bob" and instance.id == "d1"
    assert (instance.first, instance.second) == ((0, 3), (8, 11))
    assert (instance.first_type, instance.second_type) == ("PERSON", "")
    assert candidate.forward and candidate.reversed
    assert candidate.forward_proposal is None and candidate.reversed_proposal is None
    assert instance.answers is None


def test_same_sentence(vocab):
    ents = [(0, 1, "P"), (2, 3, "P"), (4, 5, "P"), (6, 7, "P")]
    doc = make_doc(vocab, ["Ada met Bob .", "Cleo met Dan ."], ents)
    candidates = make_same_sentence()(doc, doc.spans["all"])
    assert pairs(candidates) == [((0, 1), (2, 3)), ((4, 5), (6, 7))]
    assert [candidate.instance.text for candidate in candidates] == ["Ada met Bob .", "Cleo met Dan ."]
    assert candidates[0].first_cluster is None and candidates[0].second_cluster is None


def test_order_of_spans_does_not_matter(vocab):
    ents = [(2, 3, "P"), (0, 1, "P"), (4, 5, "P")]
    doc = make_doc(vocab, ["Ada met Bob and Cleo ."], ents)
    assert pairs(make_same_sentence()(doc, list(doc.spans["all"]))) == [
        ((0, 1), (2, 3)),
        ((0, 1), (4, 5)),
        ((2, 3), (4, 5)),
    ]


def test_mention_across_a_sentence_border(vocab):
    doc = make_doc(vocab, ["He saw Yahoo !", "Inc there .", "Bob left ."], [(1, 2, "X"), (2, 5, "ORG"), (5, 6, "X")])
    candidates = make_same_sentence()(doc, doc.spans["all"])
    assert pairs(candidates) == [((1, 2), (2, 5)), ((2, 5), (5, 6))]
    assert {candidate.instance.text for candidate in candidates} == {"He saw Yahoo ! Inc there ."}


def test_nested_and_identical_mentions(vocab):
    ents = [(1, 4, "ORG"), (3, 4, "GPE"), (3, 4, "GPE"), (3, 4, "LOC"), (1, 2, "X")]
    doc = make_doc(vocab, ["The Bank of England moved ."], ents)
    for generate in (make_same_sentence(), make_near_sentences(), make_passage(), make_token_distance()):
        candidates = generate(doc, doc.spans["all"])
        check_texts(doc, candidates, 200)
        found = [(c.first, c.second, c.instance.first_type, c.instance.second_type) for c in candidates]
        assert found == [
            ((1, 4), (1, 2), "ORG", "X"),
            ((1, 4), (3, 4), "ORG", "GPE"),
            ((1, 4), (3, 4), "ORG", "LOC"),
            ((1, 2), (3, 4), "X", "GPE"),
            ((1, 2), (3, 4), "X", "LOC"),
        ]


def test_blank_mentions_are_left_out(vocab):
    doc = Doc(vocab, words=["Ada", "\n\n", "Bob"], spaces=[False, False, False])
    spans = [doc[0:1], doc[1:2], doc[1:1], doc[2:3]]
    for generate in (make_same_sentence(), make_token_distance(), make_whole_document()):
        assert pairs(generate(doc, spans)) == [((0, 1), (2, 3))]


def test_long_sentence_is_cut_and_far_pairs_left_out(vocab):
    sentence = " ".join(f"w{i}" for i in range(100))
    doc = make_doc(vocab, ["Before .", sentence, "After ."], [(12, 13, "X"), (18, 19, "X"), (80, 81, "X")])
    candidates = make_same_sentence(max_tokens=21)(doc, doc.spans["all"])
    assert pairs(candidates) == [((12, 13), (18, 19))]
    assert candidates[0].instance.text.split() == [f"w{i}" for i in range(3, 24)]


def test_no_sentence_boundaries(vocab):
    doc = Doc(vocab, words=[f"w{i}" for i in range(500)])
    spans = [doc[10:11], doc[20:21], doc[450:451]]
    candidates = make_same_sentence(max_tokens=50)(doc, spans)
    assert pairs(candidates) == [((10, 11), (20, 21))]
    check_texts(doc, candidates, 50)


def test_token_distance_crosses_sentences(vocab):
    ents = [(0, 1, "P"), (2, 3, "P"), (4, 5, "P"), (9, 10, "P")]
    doc = make_doc(vocab, ["Ada met Bob .", "Cleo met Dan .", "Now Eve ."], ents)
    candidates = make_token_distance(max_distance=3)(doc, doc.spans["all"])
    assert pairs(candidates) == [((0, 1), (2, 3)), ((0, 1), (4, 5)), ((2, 3), (4, 5))]
    assert pairs(make_token_distance(max_distance=0)(doc, doc.spans["all"])) == []


def test_windows_end_at_sentence_borders(vocab):
    sentences = [f"Sentence {i} has six tokens ." for i in range(30)]
    doc = make_doc(vocab, sentences, [(61, 62, "X"), (67, 68, "X")])
    (candidate,) = make_token_distance(max_tokens=24)(doc, doc.spans["all"])
    # Sentences 10 and 11 hold the mentions, and there is room for one more on each side.
    assert candidate.instance.text == " ".join(sentences[9:13])
    (candidate,) = make_token_distance(max_tokens=29)(doc, doc.spans["all"])
    assert candidate.instance.text == " ".join(sentences[9:13])
    (candidate,) = make_token_distance(max_tokens=12)(doc, doc.spans["all"])
    assert candidate.instance.text == " ".join(sentences[10:12])
    (candidate,) = make_token_distance(max_tokens=11)(doc, doc.spans["all"])
    check_texts(doc, [candidate], 11)


@pytest.mark.parametrize("position", [0, 1, 250, 498])
def test_windows_use_their_room_at_the_ends(vocab, position):
    doc = Doc(vocab, words=[f"w{i}" for i in range(500)])
    (candidate,) = make_token_distance(max_tokens=40)(doc, [doc[position : position + 1], doc[position + 1 :][:1]])
    assert len(candidate.instance.text.split()) == 40


@pytest.mark.parametrize("sentences", [True, False])
def test_pairs_of_one_neighbourhood_share_their_text(vocab, sentences):
    words = [f"w{i}" if i % 9 else "." for i in range(4000)]
    starts = [i % 9 == 1 or i == 0 for i in range(4000)] if sentences else None
    doc = Doc(vocab, words=words, sent_starts=starts)
    doc._.entity_clusters = [[(i, i + 1, "X")] for i in range(5, 4000, 10)]
    doc._.candidate_pairs = [(i, j, 1.0) for i in range(400) for j in range(i + 1, min(400, i + 6))]
    candidates = make_proposed(max_tokens=200)(doc, [])
    assert len(candidates) == len(doc._.candidate_pairs)
    check_texts(doc, candidates, 200)
    assert len({c.instance.text for c in candidates}) <= 4000 // 50 + 4
    for candidate in candidates:
        # Each mention has context on both sides, but at the ends of the document.
        text, (first, second) = candidate.instance.text, (candidate.instance.first, candidate.instance.second)
        assert candidate.first[0] < 100 or len(text[: first[0]].split()) >= 30
        assert candidate.second[1] > 3900 or len(text[second[1] :].split()) >= 30


def test_whole_document_takes_the_nearest_mentions(vocab):
    ents = [(0, 1, "PERSON"), (10, 11, "PERSON"), (12, 13, "ORG"), (20, 21, "ORG")]
    words = [f"w{i}" for i in range(30)]
    words[0] = words[10] = "Ada"
    words[12] = words[20] = "Acme"
    doc = make_doc(vocab, [" ".join(words)], ents)
    (candidate,) = make_whole_document()(doc, doc.spans["all"])
    assert (candidate.first, candidate.second) == ((10, 11), (12, 13))
    assert (candidate.first_cluster, candidate.second_cluster) == (0, 1)
    assert candidate.instance.text == doc.text.strip()


def test_whole_document_with_user_clusters(vocab):
    doc = make_doc(vocab, ["Ada said that she likes Acme and its staff ."])
    doc._.entity_clusters = [[(0, 1, "PERSON"), (3, 4)], [(5, 6, "ORG"), (7, 8)], [(7, 8)]]
    candidates = make_whole_document()(doc, [])
    assert [(c.first_cluster, c.second_cluster, c.first, c.second) for c in candidates] == [
        (0, 1, (3, 4), (5, 6)),
        (0, 2, (3, 4), (7, 8)),
        (1, 2, (5, 6), (7, 8)),
    ]
    # A mention without a type has the type of its cluster.
    assert candidates[0].instance.first_type == "PERSON"


def test_clusters_of_the_same_mention_are_no_pair(vocab):
    doc = make_doc(vocab, ["Ada met Bob ."])
    doc._.entity_clusters = [[(0, 1)], [(0, 1)], [(0, 1), (2, 3)]]
    assert [(c.first_cluster, c.second_cluster, c.first, c.second) for c in make_whole_document()(doc, [])] == [
        (0, 2, (0, 1), (2, 3)),
        (1, 2, (0, 1), (2, 3)),
    ]


def test_nested_mention_is_near(vocab):
    doc = make_doc(vocab, ["The Bank of England moved to Leeds , England ."])
    doc._.entity_clusters = [[(3, 4), (8, 9)], [(1, 4)], [(6, 7)]]
    candidates = make_whole_document()(doc, [])
    assert (candidates[0].first, candidates[0].second) == ((1, 4), (3, 4))
    assert (candidates[0].first_cluster, candidates[0].second_cluster) == (1, 0)
    assert (candidates[1].first, candidates[1].second) == ((6, 7), (8, 9))


def test_far_mentions_get_two_contexts(vocab):
    sentences = [f"Sentence {i} has six tokens ." for i in range(100)]
    doc = make_doc(vocab, sentences, [(61, 62, "X"), (481, 482, "Y")])
    (candidate,) = make_whole_document(max_tokens=40)(doc, doc.spans["all"])
    left, right = candidate.instance.text.split(" ... ")
    assert left == " ".join(sentences[9:12])
    assert right == " ".join(sentences[79:82])
    check_texts(doc, [candidate], 40)


def test_far_and_long_mentions(vocab):
    doc = Doc(vocab, words=[f"w{i}" for i in range(200)])
    doc._.entity_clusters = [[(5, 20)], [(100, 103)], [(150, 170)]]
    candidates = make_whole_document(max_tokens=20)(doc, [])
    check_texts(doc, candidates[:1], 20)
    # The mentions alone have 35 and 23 tokens: more than the limit, and nothing else is taken.
    assert [len(candidate.instance.text.split()) for candidate in candidates] == [20, 36, 24]
    doc._.entity_clusters = [[(0, 50)], [(10, 60)]]
    (candidate,) = make_whole_document(max_tokens=20)(doc, [])
    assert len(candidate.instance.text.split()) == 60


def test_proposed(vocab):
    doc = make_doc(vocab, ["Ada met Bob in Rome ."], [(0, 1, "P"), (2, 3, "P"), (4, 5, "G")])
    doc.ents = doc.spans["all"]
    doc._.candidate_pairs = [(1, 0, 0.5), (0, 1, 0.75), (2, 0, 0.25), (1, 1, 0.9)]
    candidates = make_proposed()(doc, doc.ents)
    assert [(c.first_cluster, c.second_cluster, c.forward, c.reversed) for c in candidates] == [
        (0, 1, True, True),
        (0, 2, False, True),
    ]
    assert [(c.forward_proposal, c.reversed_proposal) for c in candidates] == [
        (CandidatePair(0, 1, 0.75), CandidatePair(1, 0, 0.5)),
        (None, CandidatePair(2, 0, 0.25)),
    ]
    check_texts(doc, candidates, 400)


def test_proposed_direction_follows_the_text(vocab):
    doc = make_doc(vocab, ["Bob met Ada ."])
    doc._.entity_clusters = [[(2, 3)], [(0, 1)]]
    doc._.candidate_pairs = [(0, 1, 0.5)]
    (candidate,) = make_proposed()(doc, [])
    assert (candidate.first_cluster, candidate.second_cluster) == (1, 0)
    assert (candidate.forward, candidate.reversed) == (False, True)
    assert (candidate.forward_proposal, candidate.reversed_proposal) == (None, CandidatePair(0, 1, 0.5))


def test_proposed_head_first(vocab):
    doc = make_doc(vocab, ["Bob met Ada and Eve ."])
    doc._.entity_clusters = [[(2, 3, "P")], [(0, 1, "Q")], [(4, 5, "R")]]
    doc._.candidate_pairs = [(0, 1, 0.5), (1, 2, 0.4), (2, 0, 0.3), (0, 2, 0.2)]
    turned, forward, both = make_proposed(head_first=True)(doc, [])
    assert (turned.first, turned.second, turned.forward, turned.reversed) == ((2, 3), (0, 1), True, False)
    assert (turned.first_cluster, turned.second_cluster) == (0, 1)
    assert (turned.forward_proposal, turned.reversed_proposal) == (CandidatePair(0, 1, 0.5), None)
    assert (turned.instance.first_text, turned.instance.first_type, turned.instance.second_type) == ("Ada", "P", "Q")
    assert [pair.first_text for pair in turned.mention_pairs] == ["Ada"]
    # A pair that is asked about in both directions stays in the order of the text.
    assert (forward.first, forward.forward) == ((0, 1), True)
    assert (both.first, both.forward, both.reversed) == ((2, 3), True, True)
    assert make_proposed()(doc, [])[0] == turned.swapped()


def test_proposed_of_other_entities_is_an_error(vocab):
    doc = make_doc(vocab, ["Ada met Bob ."], [(0, 1, "P"), (2, 3, "P")])
    doc.ents = doc.spans["all"]
    doc._.candidate_pairs = [(0, 1, 0.5)]
    with pytest.raises(ValueError, match="R312"):
        make_proposed()(doc, doc.ents[:1])


@pytest.mark.parametrize("max_tokens", [0, 7, -1, 2.5, True])
@pytest.mark.parametrize("name", NAMES)
def test_max_tokens_is_checked(name, max_tokens):
    with pytest.raises(ValueError, match="R310"):
        registry.ragre_candidates.get(name)(max_tokens=max_tokens)


@pytest.mark.parametrize("max_distance", [-1, 1.5, True])
def test_max_distance_is_checked(max_distance):
    with pytest.raises(ValueError, match="R311"):
        make_token_distance(max_distance=max_distance)


def test_emoji_and_newlines(vocab):
    nlp = spacy.blank("en")
    doc = nlp("👩‍🔬 Ada\n\nmet 🤖 Bob\u2028today.")
    spans = [doc.char_span(doc.text.index(name), doc.text.index(name) + 3) for name in ("Ada", "Bob")]
    (candidate,) = make_same_sentence()(doc, spans)
    assert (candidate.instance.first_text, candidate.instance.second_text) == ("Ada", "Bob")


@pytest.mark.parametrize("sentences", [True, False])
def test_long_document(vocab, sentences):
    count, distance = 20_000, 50
    starts = [i % 25 == 0 for i in range(count)] if sentences else None
    doc = Doc(vocab, words=[f"w{i % 977}" for i in range(count)], sent_starts=starts)
    spans = [Span(doc, i, i + 2, label="X") for i in range(0, count, distance)]
    assert len(spans) == 400
    doc._.entity_clusters = [spans[i::100] for i in range(100)]
    doc._.candidate_pairs = [(i, j) for i in range(100) for j in range(100) if i != j]
    for generate, limit in (
        (make_same_sentence(200), 200),
        (make_token_distance(100, 200), 200),
        (make_whole_document(100), 100),
        (make_proposed(100), 100),
    ):
        candidates = generate(doc, spans)
        assert candidates or (sentences and limit == 200)
        check_texts(doc, candidates[::7], limit)
    assert len(candidates) == 4950


# Sentences next to each other

STORY = ["Ada founded Acme .", "She met Bob there .", "Cleo left Rome ."]
STORY_ENTS = [(0, 1, "P"), (2, 3, "ORG"), (4, 5, "P"), (6, 7, "P"), (9, 10, "P"), (11, 12, "GPE")]
ADA, ACME, SHE, BOB, CLEO, ROME = ((start, end) for start, end, _ in STORY_ENTS)


def test_near_sentences(vocab):
    doc = make_doc(vocab, STORY, STORY_ENTS)
    candidates = make_near_sentences()(doc, doc.spans["all"])
    check_texts(doc, candidates, 200)
    texts = {pair: candidate.instance.text for pair, candidate in zip(pairs(candidates), candidates)}
    beside = [*product((ADA, ACME), (SHE, BOB)), *product((SHE, BOB), (CLEO, ROME))]
    assert sorted(texts) == sorted([(ADA, ACME), (SHE, BOB), (CLEO, ROME), *beside])
    assert texts[ADA, ACME] == STORY[0]
    assert texts[ACME, BOB] == " ".join(STORY[:2]) and texts[SHE, ROME] == " ".join(STORY[1:])
    assert (ADA, CLEO) not in texts


def test_near_sentences_of_other_reach(vocab):
    doc = make_doc(vocab, STORY, STORY_ENTS)
    same, near, far = (pairs(make_near_sentences(n)(doc, doc.spans["all"])) for n in (0, 1, 2))
    assert same == pairs(make_same_sentence()(doc, doc.spans["all"]))
    assert set(same) < set(near) < set(far) and len(far) == 15
    # Acme is three tokens before Bob, and Ada five.
    close = pairs(make_near_sentences(max_distance=3)(doc, doc.spans["all"]))
    assert (ACME, BOB) in close and (ADA, BOB) not in close
    # A text of eight tokens holds no pair of Ada and Rome, which are twelve apart.
    short = make_near_sentences(2, max_tokens=8)(doc, doc.spans["all"])
    check_texts(doc, short, 8)
    assert (ADA, BOB) in pairs(short) and (ADA, CLEO) not in pairs(short)


def test_a_passage_is_read_whole(vocab):
    doc = make_doc(vocab, STORY, STORY_ENTS)
    candidates = make_passage()(doc, doc.spans["all"])
    check_texts(doc, candidates, 200)
    texts = {pair: candidate.instance.text for pair, candidate in zip(pairs(candidates), candidates)}
    assert len(texts) == 15 and texts.pop((ADA, ACME)) == STORY[0]
    assert texts.pop((SHE, BOB)) == STORY[1] and texts.pop((CLEO, ROME)) == STORY[2]
    assert set(texts.values()) == {" ".join(STORY)}
    close = pairs(make_passage(max_distance=3)(doc, doc.spans["all"]))
    assert (ACME, BOB) in close and (ADA, BOB) not in close


def test_passages_of_a_long_text_are_shared(vocab):
    sentences = [f"P{number} met many people there ." for number in range(100)]
    doc = make_doc(vocab, sentences, [(6 * i, 6 * i + 1, "P") for i in range(100)])
    candidates = make_passage(max_distance=40, max_tokens=80)(doc, doc.spans["all"])
    check_texts(doc, candidates, 80)
    assert len({candidate.instance.text for candidate in candidates}) < len(candidates) / 4


@pytest.mark.parametrize("generate", [make_near_sentences(), make_passage()])
def test_mentions_of_one_entity_are_no_pair(vocab, generate):
    doc = make_doc(vocab, ["Ada met ADA .", "She saw Ada ."], [(0, 1, "P"), (2, 3, "P"), (4, 5, "P"), (6, 7, "ORG")])
    first, twin, she, other = (0, 1), (2, 3), (4, 5), (6, 7)
    found = pairs(generate(doc, doc.spans["all"]))
    # Another type is another entity.
    assert (first, twin) not in found and (first, other) in found and (first, she) in found
    doc._.entity_clusters = [[first, she], [twin], [other]]
    found = pairs(generate(doc, doc.spans["all"]))
    assert found == [(first, other), (twin, she), (twin, other), (she, other)]


def test_near_sentences_without_borders_is_one_sentence(vocab):
    doc = Doc(vocab, words="Ada met Bob . Cleo left .".split())
    doc.spans["all"] = [Span(doc, i, i + 1, "P") for i in (0, 2, 4)]
    assert len(make_near_sentences(0)(doc, doc.spans["all"])) == 3


@pytest.mark.parametrize("value", [-1, True, 1.5, "1"])
def test_r202_sentences_that_are_no_number(value):
    with pytest.raises(ValueError, match=r"R202.*max_sentences.*whole number"):
        make_near_sentences(value)
    with pytest.raises(ValueError, match="R311"):
        make_near_sentences(max_distance=value)
