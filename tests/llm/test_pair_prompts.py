"""Prompts of pairs keep to the model's window; what goes first, and what is said of it."""

import warnings
from pathlib import Path
from typing import Any, List

import pytest

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.llm import CausalLM
from spacy_ragre.llm.label_scoring import PairPrompts
from spacy_ragre.prompts.rag4re import make_rag4re_prompt
from spacy_ragre.prompts.relation import make_relation_prompt

LABELS = LabelSet({f"l{i}": {"text": f"has {i} of", "definition": "This is " + "so " * 10} for i in range(6)})
FEW = LabelSet({"founded_by": {"text": "was founded by", "definition": "Made by."}})


def make_pair(between: int, around: int = 0, first: str = "Acme", second: str = "Ann") -> Instance:
    before = "so " * around
    text = f"{before}{first} {'very ' * between}{second} {before}".strip()
    return Instance(
        text, (len(before), len(before) + len(first)), (text.index(second), text.index(second) + len(second))
    )


@pytest.fixture
def small(tiny_llama: Path) -> Any:
    return lambda limit: CausalLM(str(tiny_llama), device="cpu", max_length=limit)


def said(caught: Any) -> List[str]:
    return [str(warning.message) for warning in caught]


def test_what_fits_is_left_as_it_is(small: Any) -> None:
    prompt, pair = make_relation_prompt(), make_pair(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pieces = PairPrompts().pieces(small(2000), prompt, pair, LABELS)
    assert "".join([pieces[0], *pieces[1], *pieces[2]]) == prompt.segments(pair, LABELS).text


def test_long_texts_are_cut_around_the_mentions_and_it_is_said_once(small: Any) -> None:
    backbone, prompts, prompt = small(300), PairPrompts(), make_relation_prompt(document=True)
    with pytest.warns(UserWarning, match="W132") as caught:
        for between in (300, 400):
            pieces = prompts.pieces(backbone, prompt, make_pair(between, around=200), FEW)
            # As much is kept as fits: one more word on each side would be too much.
            assert 250 < backbone.count_tokens(pieces) <= 300
            assert "[Acme] very" in "".join(pieces[2]) and "…" in "".join(pieces[2])
            assert "Made by." in pieces[0]
    assert len(said(caught)) == 1 and "cut around the mentions" in said(caught)[0]


def test_examples_go_before_anything_else(small: Any) -> None:
    shown = [Instance(make_pair(n).text, (0, 4), (5, 9), answers=(Answer("founded_by"),)) for n in (1, 2, 300)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pieces = PairPrompts().pieces(small(400), make_relation_prompt(), make_pair(3), FEW, shown)
    assert "".join(pieces[2]).count("was founded by") == 2


def test_definitions_go_where_there_are_many_labels(small: Any) -> None:
    prompt, pair = make_relation_prompt(), make_pair(3)
    length = small(2000).count_tokens(PairPrompts().pieces(small(2000), prompt, pair, LABELS))
    backbone = small(length - 1)
    with pytest.warns(UserWarning, match="W131.* 6 labels .*definitions are left out") as caught:
        pieces = PairPrompts().pieces(backbone, prompt, pair, LABELS)
    assert backbone.count_tokens(pieces) < length and len(said(caught)) == 1
    assert "has 5 of" in pieces[0] and "This is" not in pieces[0]


def test_the_list_of_labels_goes_where_it_does_not_fit_at_all(small: Any) -> None:
    many = LabelSet({f"l{i}": f"has {i} of" for i in range(200)})
    backbone = small(400)
    with pytest.warns(UserWarning, match="W131.* 200 labels .*list is left out"):
        pieces = PairPrompts().pieces(backbone, make_relation_prompt(), make_pair(3), many)
    assert pieces[0] == "" and "very" in "".join(pieces[2])


def test_long_mentions_lose_their_middle(small: Any) -> None:
    backbone, first = small(300), " ".join(f"w{i}" for i in range(200))
    with pytest.warns(UserWarning, match="W132"):
        pieces = PairPrompts().pieces(backbone, make_relation_prompt(), make_pair(3, first=first), FEW)
    text = "".join(pieces[2])
    assert backbone.count_tokens(pieces) <= 300 and "w0 w1 w2 w3 … w196 w197 w198 w199" in text and "Ann" in text


def test_r131_windows_that_take_no_pair(small: Any) -> None:
    with pytest.raises(ValueError, match="R131.*at most 20.*1 label"):
        PairPrompts().pieces(small(20), make_relation_prompt(), make_pair(3), FEW)


def test_r131_labels_that_stand_in_the_question(small: Any) -> None:
    many = LabelSet({f"l{i}": f"has {i} of" for i in range(200)})
    with pytest.raises(ValueError, match="R131.*200 label"):
        PairPrompts().pieces(small(400), make_rag4re_prompt(), make_pair(3), many)
