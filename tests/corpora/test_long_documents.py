"""Long documents with many annotations take as many steps a token as short ones, and are written the same."""

from collections import Counter
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
import spacy
from spacy.tokens import Doc

from spacy_ragre.corpora import CorpusCounts, convert, doc_from_dict, glirel
from spacy_ragre.corpora.formats import FORMATS
from spacy_ragre.corpora.reader import read_docs
from spacy_ragre.corpora.tokens import split_at, utf16_offsets
from spacy_ragre.corpora.writing import to_words

NLP = spacy.blank("en")
# Those that count in characters, in units of UTF-16 and in tokens.
WRITTEN = [*"bioc brat doccano glirel labelstudio prodigy pubtator spacy-llm spert uima webanno".split()]


class Number(int):
    """An offset that counts how often it is compared."""

    compared = 0

    def _count(self, name: str, other: object) -> Any:
        Number.compared += 1
        return getattr(int, name)(self, other)

    def __lt__(self, other: object) -> Any:
        return self._count("__lt__", other)

    def __gt__(self, other: object) -> Any:
        return self._count("__gt__", other)

    def __le__(self, other: object) -> Any:
        return self._count("__le__", other)

    def __ge__(self, other: object) -> Any:
        return self._count("__ge__", other)


class Watched:
    """A document that counts how often its text is asked for, which spaCy then puts together from all tokens."""

    def __init__(self, doc: Doc) -> None:
        self._doc = doc
        self.texts = 0

    @property
    def text(self) -> str:
        self.texts += 1
        return self._doc.text

    def __getattr__(self, name: str) -> Any:
        return getattr(self._doc, name)

    def __getitem__(self, key: Any) -> Any:
        return self._doc[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._doc)

    def __len__(self) -> int:
        return len(self._doc)


def make(count: int) -> Doc:
    """A document of sentences with an emoji, two entities and a relation each; every third has a space before it."""
    text, ents, relations = "", [], []
    for i in range(count):
        for name, label, rest in ((f"Ann{i}", "PERSON", " 😊 runs "), (f"Acme𝒳{i}", "ORG", " .")):
            ents.append({"start": len(text), "end": len(text) + len(name), "label": label})
            text += name + rest
        text += " " if i % 3 else "  "
        relations.append({"head": 2 * i, "tail": 2 * i + 1, "label": "runs"})
    doc = doc_from_dict({"id": "7", "text": text.strip(), "ents": ents, "relations": relations}, NLP)
    for token in doc:
        token.is_sent_start = token.i == 0 or doc[token.i - 1].text == "."
    return doc


def content(doc: Doc) -> Any:
    ents = [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
    return doc.text, ents, [(rel.head.start_char, rel.label, rel.tail.start_char) for rel in doc._.relations]


@pytest.mark.parametrize("name", WRITTEN)
def test_the_text_is_taken_once(tmp_path: Path, name: str) -> None:
    asked: List[int] = []
    for count in (3, 60):
        doc: Any = Watched(make(count))
        write: Any = FORMATS[name].write
        write([doc], tmp_path / f"{count}", spans_key=None, dropped=Counter())
        asked.append(doc.texts)
    assert asked[0] == asked[1] <= 3


@pytest.mark.parametrize("name", ["bioc", "brat", "doccano", "labelstudio", "prodigy", "spacy-llm", "uima", "webanno"])
def test_many_annotations_between_emoji(tmp_path: Path, name: str) -> None:
    doc = make(60)
    dropped: Counter[str] = Counter()
    write: Any = FORMATS[name].write
    write([doc], tmp_path / "out", spans_key=None, dropped=dropped)
    convert(tmp_path / "out", tmp_path / "back.spacy", name, counts=CorpusCounts())
    (back,) = read_docs(tmp_path / "back.spacy", NLP.vocab)
    assert content(back) == content(doc)


def test_mentions_are_looked_for_in_one_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: List[Tuple[int, str, str]] = []
    monkeypatch.setattr(
        glirel,
        "check_mention",
        lambda text, start, end, wanted, *rest: checked.append((id(text), text[start:end], wanted)),
    )
    write: Any = FORMATS["glirel"].write
    write([make(60)], tmp_path / "out", spans_key=None, dropped=Counter())
    convert(tmp_path / "out", tmp_path / "back.spacy", "glirel", counts=CorpusCounts())
    assert len(checked) == 240 and all(found == wanted for _, found, wanted in checked)
    assert len({text for text, _, _ in checked}) == 1


def count_compared(count: int) -> Tuple[int, int]:
    """How often offsets are compared where each of many tokens is cut, and where each is an entity."""
    doc = NLP.make_doc("abcd " * count)
    cuts = [Number(token.idx + 2) for token in doc]
    Number.compared = 0
    assert split_at(doc, cuts) == count and [token.text for token in doc] == ["ab", "cd"] * count
    split, Number.compared = Number.compared, 0
    ents = [{"start": Number(token.idx), "end": Number(token.idx + len(token))} for token in doc]
    words, places = to_words(doc, {"text": doc.text, "ents": ents}, Counter())
    assert words == [token.text for token in doc] and places == [(i, i + 1) for i in range(len(doc))]
    return split, Number.compared


def test_offsets_are_looked_up() -> None:
    for few, many in zip(count_compared(32), count_compared(256)):
        # Eight times as many take eight times as long, but for the logarithm.
        assert many <= 8 * 2 * few


def test_units_of_utf16() -> None:
    text = "a😊é\u2028𝒳b"
    assert utf16_offsets(text) == [len(text[:i].encode("utf-16-le")) // 2 for i in range(len(text) + 1)]
    assert utf16_offsets("") == [0]
