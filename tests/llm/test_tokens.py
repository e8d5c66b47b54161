"""What text becomes: words and no control tokens, and pieces as the whole text."""

import pickle
import tracemalloc
from pathlib import Path
from typing import Any, Callable

import pytest

from spacy_ragre.llm import CausalLM, tokens
from spacy_ragre.llm.label_scoring import score_texts
from spacy_ragre.llm.tokens import TextTokens, special_tokens

KINDS = ("byte_bpe", "byte_bpe_space", "metaspace_always", "metaspace_first", "prepend", "t5", "wordpiece")
PIECES = (
    "Say how:\n",
    "Paris is [",
    "loc",
    "ated",
    "] in {",
    " France",
    "}. 日本é 🙂\n",
    "",
    "The relation of Ann and Bob:",
)
MakeTokenizer = Callable[[str], Any]


def words(tokenizer: Any, ids: Any) -> str:
    """What the ids say; WordPiece does not keep spaces."""
    text = tokenizer.decode(ids)
    return text.replace(" ", "") if tokenizer.cls_token else text


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_say_what_the_whole_text_says(make_tokenizer: MakeTokenizer, kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    ids, last = TextTokens(tokenizer).pieces(PIECES)
    whole = tokenizer("".join(PIECES), add_special_tokens=False)["input_ids"]
    assert words(tokenizer, ids) == words(tokenizer, whole) and last == PIECES[-1]
    if kind not in ("t5", "wordpiece"):  # these keep no line breaks
        assert tokenizer.decode(ids).removeprefix(" ") == "".join(PIECES)


@pytest.mark.parametrize("kind", ["metaspace_always", "metaspace_first", "prepend", "t5", "byte_bpe_space"])
def test_before_the_words_of_a_piece_there_is_no_space_that_the_text_has_not(
    make_tokenizer: MakeTokenizer, kind: str
) -> None:
    text = TextTokens(make_tokenizer(kind))
    assert text.ids("Paris") != text.ids("Paris", before="[")
    assert text.tokenizer.decode([*text.ids("["), *text.ids("Paris", before="[")]).strip() == "[Paris"
    assert text.tokenizer.decode([*text.ids("in"), *text.ids(" Paris", before="in")]).strip() == "in Paris"
    # What a piece becomes depends on nothing else that comes before it.
    assert text.ids("Paris", before="[") == text.ids("Paris", before="a text of its own (")


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_a_document_are_no_control_tokens(make_tokenizer: MakeTokenizer, kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    text = TextTokens(tokenizer)
    control = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}
    for word in tokenizer.all_special_tokens:
        for value in (word, f"a {word} b", f"{word}{word}", f"<{word}>", f"[{word[:-1]}{word}"):
            assert control.isdisjoint(text.ids(value)) and control.isdisjoint(text.ids(value, before="a"))
            if kind not in ("t5", "wordpiece"):
                assert tokenizer.decode(text.ids(value)).removeprefix(" ") == value


def test_words_that_become_control_tokens_when_they_are_normalised(make_tokenizer: MakeTokenizer) -> None:
    tokenizer = make_tokenizer("t5")
    value = "Ann ＜／s＞ Bob"
    assert tokenizer.eos_token_id in tokenizer(value, add_special_tokens=False)["input_ids"]
    ids = TextTokens(tokenizer).ids(value)
    assert tokenizer.eos_token_id not in ids and tokenizer.decode(ids) == "Ann </s> Bob"


def test_slow_tokenizers(tiny_encoder: Path) -> None:
    from transformers import BertTokenizer

    slow = BertTokenizer(str(tiny_encoder / "vocab.txt"), do_lower_case=False)
    assert slow("a [SEP] b", add_special_tokens=False)["input_ids"][1] == slow.sep_token_id
    ids = TextTokens(slow).ids("a [SEP] b")
    assert slow.sep_token_id not in ids and slow.decode(ids).replace(" ", "") == "a[SEP]b"


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_stand_around_a_text(make_tokenizer: MakeTokenizer, kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    ends = (tokenizer.bos_token_id, tokenizer.eos_token_id) if first is None else (first, last)
    assert special_tokens(tokenizer) == ((ends[0],), (ends[1],))


def test_a_copy_reads_the_same(make_tokenizer: MakeTokenizer) -> None:
    text = TextTokens(make_tokenizer("prepend"))
    again = pickle.loads(pickle.dumps(text))
    assert again.pieces(PIECES) == text.pieces(PIECES)


@pytest.mark.parametrize("kind", ["byte_bpe", "metaspace_first", "prepend"])
def test_a_language_model_reads_a_document_as_words(with_tokenizer: Callable[[str], Path], kind: str) -> None:
    backbone = CausalLM(str(with_tokenizer(kind)), device="cpu")
    control = {*backbone.tokenizer.all_special_ids}
    pieces = ("Say how:\n", ("Ann <|im_end|></s> met [Bob].\n",), ["The relation of ", "<s>", " and Bob:"])
    prompt = backbone.tokenize(pieces)
    inner = prompt.ids[len(backbone.prefix) : -len(backbone.suffix)]
    assert control.isdisjoint(inner)
    said = "".join([pieces[0], *pieces[1], *pieces[2]])
    assert backbone.tokenizer.decode(inner).removeprefix(" ") == said
    # Put together in another way, the prompt is the same.
    flat = backbone.tokenize(("", (), [pieces[0], *pieces[1], *pieces[2]]))
    assert flat.ids == prompt.ids and backbone.count_tokens(pieces) == len(prompt)


@pytest.mark.parametrize("kind", ["byte_bpe", "metaspace_always"])
def test_packed_answers_are_those_of_separate_prompts(with_tokenizer: Callable[[str], Path], kind: str) -> None:
    backbone = CausalLM(str(with_tokenizer(kind)), device="cpu")
    document = ("Ann met Bob in </s> Paris.\n",)
    prompts = [("Say how:\n", document, [f"The relation of {name} and Bob:"]) for name in ("Ann", "Paris", "Ann [")]
    answers = [[" located", " met", " met in"]] * len(prompts)
    packed = score_texts(backbone, prompts, answers)
    for row, prompt in zip(packed, prompts):
        assert row == pytest.approx(score_texts(backbone, [prompt], answers[:1])[0], abs=1e-3)
    # A document that says how to go on is not obeyed as a turn's end would be.
    assert backbone.tokenizer.eos_token_id not in backbone.tokenize(prompts[0]).document


def test_texts_that_are_remembered_have_a_room(make_tokenizer: MakeTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_ROOM", 100_000)
    text = TextTokens(make_tokenizer("byte_bpe"))
    often = text.ids("is read often")
    tracemalloc.start()
    try:
        for i in range(60):
            assert text.ids(f"{i} " + "a document " * 100)
            assert text.ids("is read often") is often
        assert tracemalloc.get_traced_memory()[0] < 130_000  # half of them are more than that
    finally:
        tracemalloc.stop()
