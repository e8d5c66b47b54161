"""Windows of clinical notes, and responses that are found again in their text, for any text."""

from typing import List

import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_ragre.components.supplements.windows import Limits, is_too_long, windows
from spacy_ragre.prompts.responses import (
    Aligner,
    read_entities,
    read_triples,
    response_pieces,
    write_entities,
    write_triples,
)

VOCAB = spacy.blank("en").vocab
cheap = settings(max_examples=2 * settings().max_examples)

tokens = st.one_of(
    st.sampled_from(["zinc", "Fish", "oil", ".", "?", ")", "Dr.", " ", "\n", "\n\n", "x" * 201, "3.5", "a", "Z"]),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=4),
)
names = st.text("abcABC '-é9", min_size=1, max_size=12).filter(lambda name: any(map(str.isalnum, name)))


@st.composite
def documents(draw: st.DrawFn) -> Doc:
    words = draw(st.lists(tokens, max_size=40))
    spaces = [draw(st.booleans()) for _ in words]
    doc = Doc(VOCAB, words=words, spaces=spaces)
    if words and draw(st.booleans()):
        for token in doc:
            token.is_sent_start = token.i == 0 or draw(st.integers(0, 4)) == 0
    return doc


@cheap
@given(documents(), st.integers(8, 20), st.one_of(st.none(), st.integers(1, 3)))
def test_windows_cover_what_is_to_be_read(doc: Doc, max_tokens: int, max_sentences: int) -> None:
    cuts = windows(doc, Limits(max_tokens, max_sentences))
    # In the order of the text, no token twice, none larger than the limit.
    assert all(start < end <= start + max_tokens for start, end in cuts)
    assert all(a[1] <= b[0] for a, b in zip(cuts, cuts[1:]))
    read = {i for start, end in cuts for i in range(start, end)}
    for token in doc:
        if is_too_long(token):
            assert token.i not in read
        elif not token.is_space:
            assert token.i in read
    if max_sentences == 1 and doc.has_annotation("SENT_START"):
        assert all(not any(token.is_sent_start for token in doc[start + 1 : end]) for start, end in cuts)


@cheap
@given(st.lists(names, max_size=6), st.text("abc ,.", max_size=8))
def test_written_mentions_are_found_in_their_text(found: List[str], between: str) -> None:
    text = f" ;{between}; ".join(found)
    response = write_entities([(name, "supplement") for name in found])
    parsed = read_entities(response, ["supplement", "event"])
    assert parsed.malformed == 0 and [name for name, _ in parsed.items] == [" ".join(name.split()) for name in found]
    places = Aligner(text).align([name for name, _ in parsed.items])
    taken: List[int] = []
    for name, place in zip(found, places):
        assert place is not None
        # The same words, without regard to case and white space, and no character for two mentions.
        assert "".join(text[slice(*place)].split()).casefold() == "".join(name.split()).casefold()
        taken.extend(range(*place))
    assert len(taken) == len(set(taken))


@cheap
@given(st.text(max_size=40), st.text(max_size=8))
def test_a_place_holds_the_words_that_were_looked_for(text: str, words: str) -> None:
    for start, end in Aligner(text).places(words):
        assert 0 <= start < end <= len(text)
        assert [piece.strip().casefold() for piece in response_pieces(text[start:end])] == [
            piece.strip().casefold() for piece in response_pieces(words)
        ]


@cheap
@given(st.lists(st.tuples(names, st.sampled_from(["positive", "negative"]), names), max_size=5))
def test_written_triples_are_read_again(triples: List[List[str]]) -> None:
    parsed = read_triples(write_triples(triples), ["positive", "negative"])
    assert parsed.malformed == 0
    assert parsed.items == [(" ".join(h.split()), r, " ".join(t.split())) for h, r, t in triples]


@cheap
@given(st.text(max_size=60))
def test_any_response_can_be_read(response: str) -> None:
    assert read_entities(response, ["supplement"]).malformed >= 0
    assert read_triples(response, ["positive"]).malformed >= 0
