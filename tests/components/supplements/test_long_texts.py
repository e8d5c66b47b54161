"""Texts that are longer than the language model's window."""

import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ragre.corpora.reader import copy_input

NAME = "supplement_usage_classifier"
WORDS = ["Takes", "zinc", "daily", "and", "sleeps", "well", "on", "most", "nights", "."] * 12
Make = Callable[..., Language]


@pytest.fixture
def make_short(make_supplements: Make, tiny_llama: Path) -> Make:
    """`make_short(max_length, ...)`: a pipeline whose model has this window, and reads a whole document at once."""

    def make(max_length: int = 120, **settings: Any) -> Language:
        nlp = make_supplements(max_tokens=500, max_sentences=None, **settings)
        nlp.get_pipe(NAME).predictor.backbone.max_length = max_length  # type: ignore[attr-defined]
        return nlp

    return make


def long_doc(nlp: Language) -> Doc:
    doc = Doc(nlp.vocab, words=WORDS)
    doc.set_ents([Span(doc, 1, 2, "SUPPLEMENT"), Span(doc, 94, 96, "EVENT")], default="outside")
    doc[1:2]._.usage = "continuing"
    doc._.relations = [{"head": (1, 2), "tail": (94, 96), "label": "positive"}]
    doc._.triples = [("zinc", "positive", "sleeps well")]
    return doc


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[List[Any]]:
    """The prompts that became token ids."""
    from spacy_ragre.llm.base import Backbone

    prompts: List[Any] = []
    original = Backbone.tokenize

    def tokenize(self: Backbone, pieces: Any) -> Any:
        prompts.append("".join([pieces[0], *pieces[1], *pieces[2]]))
        return original(self, pieces)

    monkeypatch.setattr(Backbone, "tokenize", tokenize)
    yield prompts


@pytest.mark.parametrize("tasks", [["re"], ["uc"]])
@pytest.mark.parametrize("answer", ["trie", "head"])
def test_a_question_about_mentions_is_cut_around_them(
    make_short: Make, read: List[str], tasks: List[str], answer: str
) -> None:
    nlp = make_short(tasks=tasks, answer=answer)
    pipe: Any = nlp.get_pipe(NAME)
    pipe.predictor.init_heads()
    docs = [copy_input(long_doc(nlp), gold_ents=True) for _ in range(2)]
    with pytest.warns(UserWarning, match=r"W140\].*window of .* has 120: such texts are cut around") as caught:
        for doc in docs:
            pipe(doc)
    assert len([w for w in caught if "W140" in str(w.message)]) == 1
    for doc in docs:
        assert len(doc._.relations) == ("re" in tasks)
        assert (doc[1:2]._.usage != "") == ("uc" in tasks)
    assert read and all("[zinc]" in text and ("{sleeps well}" in text) == ("re" in tasks) for text in read)
    # As much as fits is read.
    lengths = [pipe.predictor.backbone.text.ids(text) for text in read]
    assert all(100 < len(ids) <= 120 for ids in lengths)


@pytest.mark.parametrize("tasks", [["ner"], ["te"]])
def test_a_text_in_which_mentions_are_looked_for_is_read_in_parts(
    make_short: Make, read: List[str], tasks: List[str]
) -> None:
    nlp = make_short(tasks=tasks)
    with pytest.warns(UserWarning, match=r"W140"):
        nlp.get_pipe(NAME)(copy_input(long_doc(nlp)))  # type: ignore[operator]
    assert len(read) > 1 and sum(text.count("zinc") for text in read) == 12


@pytest.mark.parametrize("tasks", [["ner", "re", "te", "uc"], ["ner"], ["re", "uc"]])
def test_long_documents_are_learned(make_short: Make, tasks: List[str]) -> None:
    nlp = make_short(tasks=tasks, triples="generate", n_examples=1)
    examples = [Example(copy_input(long_doc(nlp)), long_doc(nlp)) for _ in range(2)]
    losses: Dict[str, float] = {}
    with pytest.warns(UserWarning, match="W140"):
        optimizer = nlp.initialize(lambda: examples)
        nlp.update(examples, sgd=optimizer, losses=losses)
    assert losses[NAME] > 0


def test_the_stream_goes_on_after_a_long_document(make_short: Make, gold: Any) -> None:
    nlp = make_short(tasks=["re", "uc"])
    docs = [copy_input(doc, gold_ents=True) for doc in (*gold(nlp)[:1], long_doc(nlp), *gold(nlp)[1:2])]
    with pytest.warns(UserWarning, match="W140"):
        found = list(nlp.pipe(docs))
    assert [len(doc._.relations) for doc in found] == [1, 1, 1]


def test_texts_that_fit_are_read_as_before_and_nothing_is_said(make_short: Make, gold: Any, read: List[str]) -> None:
    nlp = make_short(2048)
    docs = [copy_input(doc, gold_ents=True) for doc in (*gold(nlp), long_doc(nlp))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(nlp.pipe(docs))
    assert any(" ".join(WORDS) in text for text in read)


def test_r109_a_window_that_takes_no_question(make_short: Make) -> None:
    nlp = make_short(4)
    with pytest.warns(UserWarning, match="W140"), pytest.raises(ValueError, match="R109.*at most 4"):
        nlp(Doc(nlp.vocab, words=["Takes", "zinc"]))
