"""Documents with entities and relations by their words."""

from pathlib import Path
from typing import Any, Callable, List, Sequence, Tuple

import pytest
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span

from spacy_ragre.corpora import convert
from spacy_ragre.relations import ID_KEY

Mention = Tuple[str, str, str]
Rel = Tuple[int, str, int, float]
MakeDoc = Callable[..., Doc]


@pytest.fixture
def make_doc(nlp: Language) -> MakeDoc:
    """`make_doc("Ann runs Acme.", "Ann PERSON, Acme ORG Q1", (0, "runs", 1, 0.9))`: entities with types and ids."""

    def make(text: str, mentions: Any, *relations: Rel, id: str = "") -> Doc:
        doc = nlp(text)
        if isinstance(mentions, str):
            mentions = [(*mention.split(), "")[:3] for mention in mentions.split(", ") if mention]
        spans: List[Span] = []
        for name, label, kb_id in mentions:
            start = text.index(name, spans[-1].end_char if spans else 0)
            spans.append(doc.char_span(start, start + len(name), label=label, kb_id=kb_id, alignment_mode="expand"))
        doc.ents = spans
        doc._.relations = [
            {"head": spans[head], "tail": spans[tail], "label": label, "score": score}
            for head, label, tail, score in relations
        ]
        if id:
            doc.user_data[ID_KEY] = id
        return doc

    return make


@pytest.fixture
def corpus(make_doc: MakeDoc) -> Sequence[Doc]:
    """Two persons, a company and a town, in three documents, the company by an id."""
    return [
        make_doc("Ann runs Acme. Bob is hers.", "Ann PERSON, Acme ORG Q1, Bob PERSON", (0, "runs", 1, 0.9), id="a"),
        make_doc("ANN led Acme Inc in Rome .", "ANN PERSON, Acme ORG Q1, Rome GPE", (0, "runs", 1, 0.5), id="b"),
        make_doc("Ann likes Bob.", "Ann PERSON, Bob PERSON", (0, "knows", 1, 0.7), (1, "knows", 0, 0.6), id="c"),
    ]


@pytest.fixture
def read_concepts(nlp: Language, tmp_path: Path) -> Callable[..., Doc]:
    """`read_concepts("a D1, b D1|D2", "D1 P1")`: a document of PubTator with mentions and relations of concepts."""

    def read(mentions: str, *relations: str) -> Doc:
        pairs = [mention.split() for mention in mentions.split(", ")]
        text = " ".join(name for name, _ in pairs)
        ends = [(text.index(name), text.index(name) + len(name)) for name, _ in pairs]
        lines = [f"1|t|{text}", *(f"1\t{a}\t{b}\t{name}\tX\t{id_}" for (a, b), (name, id_) in zip(ends, pairs))]
        lines += ["\t".join(("1", "CID", *relation.split())) for relation in relations]
        (tmp_path / "in.txt").write_text("\n".join([*lines, ""]))
        convert(tmp_path / "in.txt", tmp_path / "out.spacy", "pubtator")
        (doc,) = DocBin().from_disk(tmp_path / "out.spacy").get_docs(nlp.vocab)
        return doc

    return read
