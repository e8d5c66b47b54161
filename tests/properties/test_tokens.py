"""Any text, cut anywhere, on tokenizers of every kind."""

from typing import Any, Callable, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_ragre.llm.tokens import TextTokens

LETTERS = st.sampled_from([*"Paris located in Bob [ ] { } . : é 日 🙂".split(), " ", " ", "\n", "a", "met", "=", "1"])
CONTROL = st.sampled_from(["<s>", "</s>", "<|im_end|>", "<unk>", "[SEP]", "<", ">", "＜s＞"])
PIECES = st.lists(st.lists(LETTERS, max_size=4).map("".join), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def readers(make_tokenizer: Callable[[str], Any]) -> Dict[str, TextTokens]:
    return {kind: TextTokens(make_tokenizer(kind)) for kind in ("byte_bpe", "metaspace_always", "prepend", "t5")}


def said(reader: TextTokens, ids: Any) -> str:
    """What ids say."""
    text: str = reader.tokenizer.decode(ids)
    return text


@given(pieces=PIECES)
def test_pieces_say_what_the_whole_text_says(readers: Dict[str, TextTokens], pieces: List[str]) -> None:
    text = "".join(pieces)
    for kind, reader in readers.items():
        ids, _ = reader.pieces(pieces)
        if kind == "t5":  # white space is one space there, and none at the ends
            assert " ".join(said(reader, ids).split()) == " ".join(text.split())
        else:
            assert said(reader, ids) in (text, text.removeprefix(" "))


@given(parts=st.lists(st.one_of(CONTROL, LETTERS), max_size=8))
def test_no_text_becomes_a_control_token(readers: Dict[str, TextTokens], parts: List[str]) -> None:
    text = "".join(parts)
    for reader in readers.values():
        tokenizer = reader.tokenizer
        control = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}
        assert control.isdisjoint(reader.ids(text)) and control.isdisjoint(reader.ids(text, before="a"))
