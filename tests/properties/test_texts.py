"""Any text with any two mentions: marked, cut and tokenised, it says the same."""

from typing import Any, List, Tuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spacy_ragre.instances import Instance
from spacy_ragre.prompts.rendering import CUT, mark_mentions, one_line
from spacy_ragre.prompts.shortening import GAP, cut_mentions, cut_text
from spacy_ragre.retrieval import texts

LETTERS = st.sampled_from(["a", "B", "é", "日", "🙂", ".", " ", " ", "\n", "\u00a0", "[", "}", "<e1>", "…"])
TEXTS = st.lists(LETTERS, min_size=1, max_size=40).map("".join)
MANY = settings(max_examples=2 * settings().max_examples)


@st.composite
def pairs(draw: Any) -> Instance:
    text = draw(TEXTS)
    spans: List[Tuple[int, int]] = []
    for _ in range(2):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        assume(text[start:end].strip())
        spans.append((start, end))
    return Instance(text, spans[0], spans[1], "X", "Y")


def plain(text: str) -> str:
    return "".join(text.split())


@MANY
@given(pairs(), st.booleans())
def test_marked_text_is_the_text_with_four_marks(pair: Instance, spaced: bool) -> None:
    marks = (("⟦", "⟧"), ("⦃", "⦄"))
    marked = mark_mentions(pair, marks, spaced)
    assert "\n" not in marked and "  " not in marked.replace(CUT, "")
    bare = marked.replace(CUT, "")
    for (opening, closing), mention in zip(marks, (pair.first_text, pair.second_text)):
        assert marked.count(opening) == marked.count(closing) == 1
        inside = bare[bare.index(opening) + 1 : bare.index(closing)]
        for mark in "⟦⟧⦃⦄":
            inside = inside.replace(mark, "")
        assert plain(inside) == plain(mention)
    for mark in "⟦⟧⦃⦄":
        bare = bare.replace(mark, "")
    assert plain(bare) == plain(pair.text)


@MANY
@given(pairs())
def test_marks_for_encoders_change_nothing_else(pair: Instance) -> None:
    marked = texts.mark_mentions(pair)
    assert len(marked) == len(pair.text) + 8
    assert sorted(plain(marked)) == sorted(plain(pair.text) + "[]{}")


@MANY
@given(pairs(), st.integers(0, 12))
def test_text_that_is_cut_keeps_both_mentions_whole(pair: Instance, context: int) -> None:
    cut = cut_text(pair, context)
    assert (cut.first_text, cut.second_text) == (pair.first_text, pair.second_text)
    assert len(cut.text) <= len(pair.text) + len(GAP)
    parts = cut.text.split(GAP) if GAP not in pair.text else [pair.first_text]
    assert all(part in pair.text for part in parts)
    assert len(cut_text(pair, context + 1).text.split(GAP)) <= 2 or GAP in pair.text
    longest = cut_text(pair, len(pair.text))
    assert one_line(longest.text) == one_line(pair.text)


@MANY
@given(pairs(), st.integers(1, 3))
def test_mentions_that_are_cut_keep_their_ends(pair: Instance, words: int) -> None:
    cut = cut_mentions(pair, words)
    for before, after in ((pair.first_text, cut.first_text), (pair.second_text, cut.second_text)):
        assert after[0] == before[0] and after[-1] == before[-1]
    assert cut.first_type == "X" and 0 <= cut.first[0] < cut.first[1] <= len(cut.text)
