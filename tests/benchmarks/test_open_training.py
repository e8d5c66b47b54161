"""What the reader of open labels is trained on: labels in one style a group, phrases beside the entities."""

import logging

import pytest
import spacy
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from benchmarks.open_relations import corpora, phrases, sampling
from spacy_ragre.bundled import locate
from spacy_ragre.components.relations.open_tokens import TokenLayout
from spacy_ragre.corpora.wordings import Wordings

TEXT = "Ann Lee owns Acme in the old town"
ENTS = [{"start": 0, "end": 7, "label": "PERSON"}, {"start": 13, "end": 17, "label": "ORG"}]
OWNS = Wordings(
    ("property", "asset"), ("possesses", "controls"), ("owner", "holder"), "Proprietor-Belonging", "defined"
)
RUNS = Wordings(("charge", "duty"), ("leads", "steers"), ("head", "chief"), "Leader-Led", "explained")
STYLES = {
    "verb": {"owns", "possesses", "controls", "runs", "leads", "steers"},
    "noun": {"property", "asset", "charge", "duty"},
    "short": {"owner", "holder", "head", "chief"},
    "name": {"owning", "running"},
    "role": {"Proprietor-Belonging", "Proprietor - Belonging", "Leader-Led", "Leader - Led"},
}


@pytest.fixture
def layout():
    wordings = [*OWNS.nouns, *OWNS.verbs, *OWNS.shorts, *RUNS.nouns, *RUNS.verbs, *RUNS.shorts]
    words = {
        *TEXT.split(),
        *wordings,
        *"owns runs owning running Proprietor Belonging Leader Led - head tail :".split(),
    }
    words |= {"defined", "explained", "meaning", "a", "proprietor", "belonging", "leader", "led"}
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(["[X]", "[B]", *sorted(words)])}, "[X]"))
    tokenizer.pre_tokenizer = Whitespace()
    return TokenLayout(tokenizer, [1], [1])


def make_schema(layout, *, wordings=True, source="openrel", **extra):
    labels = [
        corpora.Label("owning", ("owns",), "", (), (), False, ("meaning",), OWNS if wordings else None),
        corpora.Label("running", ("runs",), "", (), (), False, ("meaning",), RUNS if wordings else None),
    ]
    relation = {"head": 0, "tail": 1, "label": "owning"}
    record = {"text": TEXT, "ents": ENTS, "relations": [relation]}
    doc = corpora.make_document(layout.tokenizer, record, labels, **extra)
    return corpora.Schema("small", source, labels, [doc])


def words_of(layout, statement):
    """The words between the placeholders, and whether something follows them."""
    (_, start, _), (end, after, _) = statement.mentions
    decode = layout.tokenizer.id_to_token
    text = " ".join(decode(i) for i in statement.ids[start:end])
    return text.replace("Proprietor - ", "Proprietor-").replace("Leader - ", "Leader-"), statement.ids[after:-1]


@pytest.mark.parametrize("style", STYLES)
def test_the_labels_of_a_group_are_written_in_one_style(layout, monkeypatch, style):
    monkeypatch.setattr(sampling, "STYLES", {style: 1.0})
    monkeypatch.setattr(sampling, "LOWER", 0.0)
    sampler = sampling.Sampler(layout, [make_schema(layout)], seed=0, tokens=8)
    groups = [sampler.group() for _ in range(60)]
    assert all(len(group.labels) == 2 for group in groups)
    found = {words_of(layout, label)[0] for group in groups for label in group.labels}
    assert found == {text.replace(" - ", "-") for text in STYLES[style]}


def test_labels_are_written_in_all_styles_with_and_without_definitions(layout):
    sampler = sampling.Sampler(layout, [make_schema(layout)], seed=0, tokens=8)
    labels = [words_of(layout, label) for _ in range(300) for label in sampler.group().labels]
    texts = {text for text, _ in labels}
    assert all(texts & words for words in STYLES.values())
    assert {"proprietor - belonging", "leader - led"} <= texts  # as a hurried user writes them
    token = layout.tokenizer.token_to_id
    following = {tuple(rest) for _, rest in labels}
    assert following == {(), *((token(":"), token(word)) for word in ("meaning", "defined", "explained"))}


def test_a_label_without_other_wordings_is_written_by_its_own(layout, monkeypatch):
    monkeypatch.setattr(sampling, "STYLES", {"noun": 0.5, "name": 0.5})
    sampler = sampling.Sampler(layout, [make_schema(layout, wordings=False)], seed=0, tokens=8)
    texts = {words_of(layout, label)[0] for _ in range(50) for label in sampler.group().labels}
    assert texts == {"owns", "runs", "owning", "running"}


def test_schemas_of_many_texts_are_drawn_more_often(layout):
    small, large = make_schema(layout), make_schema(layout)
    small.labels, large.name, large.docs = small.labels[:1], "large", large.docs * 16
    sampler = sampling.Sampler(layout, [small, large], seed=0, tokens=8)
    share = sum(len(sampler.group().labels) == 1 for _ in range(500)) / 500
    assert share == pytest.approx(0.2, abs=0.05)


def test_labels_get_the_wordings_of_their_source(layout, caplog):
    schema = make_schema(layout, wordings=False)
    with caplog.at_level(logging.INFO, "open_reader"):
        made = corpora.with_wordings(schema, {"small": {"owning": OWNS}, "other": {"running": RUNS}})
    assert [label.wordings for label in made.labels] == [OWNS, None]
    assert "no other wordings of small (openrel): running" in caplog.text


# Phrases


def test_what_may_stand_for_an_entity_is_known_by_its_words():
    nlp = spacy.blank("en")

    def may_refer(text, first):
        doc = nlp(text)
        return phrases.may_refer(doc[first:])

    assert may_refer("the old firm", 1) and may_refer("Her mother", 1) and may_refer("in Berlin", 1)
    assert not may_refer("sells old furniture", 1)


@pytest.mark.skipif(locate(phrases.PIPELINE) is None, reason=f"{phrases.PIPELINE} is not installed")
def test_phrases_of_a_text_are_found_outside_of_its_entities(layout):
    text = "Ann Lee sells old furniture to the museum of Linz"
    ents = [{"start": 0, "end": 7, "label": "PERSON"}, {"start": 45, "end": 49, "label": "GPE"}]
    schemas = []
    for source in ("openrel", "openwiki", "fewrel64"):
        schema = make_schema(layout, source=source)
        record = {"text": text, "ents": ents, "relations": []}
        schema.docs = [corpora.make_document(layout.tokenizer, record, schema.labels)]
        schemas.append(schema)
    phrases.add_phrases(schemas, layout.tokenizer)
    openrel, openwiki, fewrel = (schema.docs[0].phrases for schema in schemas)
    # "furniture" holds nothing where the text was annotated completely; "museum" may be one of the entities.
    furniture, museum = 4, 7
    assert {(last - 1, known) for _, last, known in openrel} == {(furniture, True), (museum, False)}
    assert {(last - 1, known) for _, last, known in openwiki} == {(furniture, False), (museum, False)}
    assert fewrel == []


def test_phrases_are_mentions_and_hold_nothing_or_are_not_asked(layout, monkeypatch):
    monkeypatch.setattr(sampling, "WITH_PHRASES", 1.0)
    monkeypatch.setattr(sampling, "PHRASE_SHARES", (1.0,))
    schema = make_schema(layout)
    schema.docs[0].phrases = [(4, 5, False), (6, 8, True)]
    group = sampling.Sampler(layout, [schema], seed=0, tokens=8).group()
    (text,) = group.texts
    assert [mention[:2] for mention in text.mentions] == [(1, 3), (4, 5), (5, 6), (7, 9)]
    assert {words for _, _, words in text.mentions[2:]} == {""}
    assert sorted(text.pairs) == [(h, t) for h in (0, 1, 3) for t in (0, 1, 3) if h != t]
    held = [pair for pair, target in zip(text.pairs, group.target) if target.any()]
    assert held == [(0, 1)] and group.allowed[list(text.pairs).index((3, 0))].all()


def test_phrases_are_drawn_in_some_groups_and_not_where_pairs_are_given(layout):
    schema = make_schema(layout)
    schema.docs[0].phrases = [(6, 8, True)]
    sampler = sampling.Sampler(layout, [schema], seed=0, tokens=8)
    counts = {len(sampler.group().texts[0].mentions) for _ in range(40)}
    assert counts == {2, 3}
    given = make_schema(layout, pairs=[(0, 1), (1, 0)])
    given.docs[0].phrases = [(6, 8, True)]
    texts = [sampling.Sampler(layout, [given], seed=seed, tokens=8).group().texts[0] for seed in range(40)]
    assert {len(text.mentions) for text in texts} == {2, 3}
    assert {tuple(sorted(text.pairs)) for text in texts} == {((0, 1), (1, 0))}


def test_a_phrase_that_is_also_a_number_is_one_mention(layout, monkeypatch):
    monkeypatch.setattr(sampling, "WITH_PHRASES", 1.0)
    schema = make_schema(layout, extra=[(24, 27, "DATE")])
    schema.docs[0].phrases = [(6, 8, True)]
    sampler = sampling.Sampler(layout, [schema], seed=0, tokens=8)
    for _ in range(40):
        text = sampler.group().texts[0]
        assert len({mention[:2] for mention in text.mentions}) == len(text.mentions)


def test_mentions_as_a_recogniser_finds_them_stay_apart_and_in_order(layout, monkeypatch):
    monkeypatch.setattr(sampling, "OTHER_TYPE", 0.5)
    monkeypatch.setattr(sampling, "NO_TYPE", 0.2)
    monkeypatch.setattr(sampling, "OTHER_ENDS", 1.0)
    sampler = sampling.Sampler(layout, [make_schema(layout)], seed=0, tokens=8)
    mentions = [(0, 1, "PERSON"), (1, 3, "ORG"), (5, 6, "")]
    drawn = [sampler._as_found(mentions, 6) for _ in range(200)]
    for found in drawn:
        assert all(0 <= start < end <= 6 for start, end, _ in found)
        assert all(first[1] <= second[0] for first, second in zip(found, found[1:]))
    assert {found[0][2] for found in drawn} == {"PERSON", "ORG", ""} and {found[2][2] for found in drawn} == {""}
    assert {found[1][:2] for found in drawn} == {(1, 2), (1, 3), (1, 4), (2, 3), (2, 4)}


def test_noise_changes_what_is_told_and_not_what_holds(layout, monkeypatch):
    def drawn(share):
        monkeypatch.setattr(sampling, "AS_FOUND", share)
        monkeypatch.setattr(sampling, "OTHER_ENDS", 1.0)
        sampler = sampling.Sampler(layout, [make_schema(layout)], seed=0, tokens=8)
        return [sampler.group() for _ in range(40)]

    for groups in (drawn(0.0), drawn(1.0)):
        assert all(int(group.target.sum()) for group in groups)
        assert all(not (group.target & ~group.allowed).any() for group in groups)
