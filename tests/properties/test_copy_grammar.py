"""Any text: what the copy grammar allows is a list of the text's own words, and what is such a list is allowed."""

from typing import Any, List, Tuple

from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_ragre.llm.copy_grammar import CopyGrammar, Piece

END, NONE, SEPARATOR, KIND, BAR = range(5)
FIRST = 10
# Words by number; the last one can't begin or end a name, as a comma.
COMMA = FIRST + 4
WORDS = st.lists(st.integers(FIRST, COMMA), min_size=1, max_size=8)
FIELDS: Tuple[Any, ...] = ([None, [(KIND,)]], [None, [(BAR,)], None])
MANY = settings(max_examples=2 * settings().max_examples)


def make(words: List[int], fields: Any, most: int) -> CopyGrammar:
    pieces = [Piece((word,), (word,), word != COMMA, word != COMMA) for word in words]
    return CopyGrammar(pieces, fields, separator=(SEPARATOR,), none=(NONE,), end=END, max_pieces=most)


def runs(words: List[int], most: int) -> List[Tuple[int, ...]]:
    """All names."""
    found = (words[i:j] for i in range(len(words)) for j in range(i + 1, min(len(words), i + most) + 1))
    return [tuple(run) for run in found if COMMA not in (run[0], run[-1])]


@MANY
@given(st.data(), WORDS, st.sampled_from(FIELDS), st.integers(1, 4))
def test_what_is_allowed_is_a_list_of_names_and_ends(data: Any, words: List[int], fields: Any, most: int) -> None:
    rules = make(words, fields, most)
    states, response = rules.start(), []
    # The longest list has each run of words with each, and few tokens for each.
    for _ in range(4 * (most + 3) * (1 + len(words)) ** 4):
        allowed = rules.allowed(states)
        drafted = rules.draft(states, 4)
        assert allowed == sorted(set(allowed)) and END not in drafted
        assert not drafted or drafted[0] in allowed
        # Lists that go on show more than those that end at once.
        token = data.draw(st.sampled_from(allowed)) if len(response) < 12 else END if END in allowed else allowed[0]
        if token == END:
            break
        response.append(token)
        states = rules.advance(states, token)
    assert token == END
    if response == [NONE]:
        return
    names = runs(words, most)
    text = ",".join(map(str, response))
    for item in text.split(f",{SEPARATOR},"):
        parts = item.removesuffix(f",{KIND}").split(f",{BAR},")
        assert len(parts) == (1 if len(fields) == 2 else 2)
        assert all(tuple(map(int, part.split(","))) in names for part in parts)


@MANY
@given(st.data(), WORDS, st.integers(1, 4))
def test_every_list_of_names_in_the_order_of_the_text_is_allowed(data: Any, words: List[int], most: int) -> None:
    rules = make(words, FIELDS[0], most)
    response: List[int] = []
    place = 0
    while place < len(words):
        end = data.draw(st.integers(place + 1, min(len(words), place + most)))
        if COMMA not in (words[place], words[end - 1]) and data.draw(st.booleans()):
            response += [*([SEPARATOR] if response else []), *words[place:end], KIND]
            place = end
        else:
            place += 1
    states = rules.start()
    for token in response or [NONE]:
        assert token in rules.allowed(states)
        states = rules.advance(states, token)
    assert END in rules.allowed(states)
