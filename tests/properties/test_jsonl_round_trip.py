"""Any annotated document: written in the interchange format and read again, it is the same."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from spacy_ragre.corpora import doc_to_dict, read_jsonl, write_jsonl
from spacy_ragre.relations import ID_KEY

NLP = spacy.blank("en")
MANY = settings(max_examples=2 * settings().max_examples)

CHARACTERS = st.characters(exclude_categories=("Cs",))
NAMES = st.one_of(st.sampled_from(["ORG", "founded_by", "a b"]), st.text(CHARACTERS, min_size=1, max_size=4))
WORDS = st.one_of(
    st.sampled_from(["Acme", "Dr.", "don't", "日本", "🙂", "e\u0301", "x-y", ".", "(", " ", "\n", "\u2028", "\x85"]),
    st.text(CHARACTERS, min_size=1, max_size=4),
)
WHOLE = st.integers(-(2**63) + 1, 2**63 - 1)
DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), WHOLE, st.floats(allow_nan=False), st.text(CHARACTERS, max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=2)),
    max_leaves=4,
)


@st.composite
def documents(draw: st.DrawFn) -> Tuple[Doc, Optional[str]]:
    """A document, and the key of its entities, where they may overlap."""
    words = draw(st.lists(WORDS, max_size=12))
    doc = Doc(NLP.vocab, words=words, spaces=[draw(st.booleans()) for _ in words])
    key = draw(st.sampled_from([None, "sc"]))
    # Spaces at an entity's edge are left out on reading.
    places = [(i, j) for i in range(len(doc)) for j in range(i + 1, len(doc) + 1)]
    places = [(i, j) for i, j in places if doc[i:j].text == doc[i:j].text.strip() and not doc[j - 1].is_space]
    spans: List[Span] = []
    for start, end in draw(st.lists(st.sampled_from(places), max_size=5)) if places else ():
        if key or all(end <= span.start or span.end <= start for span in spans):
            # `doc.ents` holds no entity without a label.
            label = draw(st.one_of(st.just(""), NAMES) if key else NAMES)
            kb_id = draw(st.one_of(st.just(""), NAMES))
            spans.append(Span(doc, start, end, label=label, kb_id=kb_id))
    if key:
        doc.spans[key] = spans
    else:
        doc.ents = sorted(spans, key=lambda span: span.start)  # type: ignore[assignment]
    for span in spans:
        span._.usage = draw(st.one_of(st.just(""), NAMES))
        span._.usage_score = draw(st.one_of(st.none(), st.floats(0, 1)))
    annotate(draw, doc, sorted(spans, key=lambda span: (span.start, span.end)))
    return doc, key


def annotate(draw: st.DrawFn, doc: Doc, spans: List[Span]) -> None:
    clusters: List[List[Span]] = []
    if draw(st.booleans()):
        doc.user_data[ID_KEY] = draw(st.text(CHARACTERS, max_size=4))
    if spans and draw(st.booleans()):
        groups = st.lists(st.integers(0, len(spans) - 1), min_size=1, max_size=3, unique=True)
        clusters = [[spans[i] for i in sorted(group)] for group in draw(st.lists(groups, min_size=1, max_size=3))]
        doc._.entity_clusters = clusters
    if draw(st.booleans()):
        doc._.triples = draw(st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=2))
    if draw(st.booleans()):
        doc._.annotated_labels = draw(st.lists(NAMES, max_size=2))
    relations: List[Dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 3)) if spans else 0):
        relation: Dict[str, Any] = {"label": draw(NAMES), "score": draw(st.floats(0, 1))}
        relation["evidence"] = draw(st.dictionaries(st.sampled_from(["text", "examples", "n"]), DATA, max_size=2))
        for role in ("head", "tail"):
            if clusters:
                index = draw(st.integers(0, len(clusters) - 1))
                relation[role], relation[f"{role}_cluster"] = clusters[index][0], index
            else:
                relation[role] = draw(st.sampled_from(spans))
        relations.append(relation)
    if relations or draw(st.booleans()):
        doc._.relations = relations


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jsonl") / "docs.jsonl"


@MANY
@given(drawn=st.lists(documents(), max_size=3))
def test_what_is_written_is_read(path: Path, drawn: List[Tuple[Doc, Optional[str]]]) -> None:
    for key in (None, "sc"):
        docs = [doc for doc, own in drawn if own == key]
        assert write_jsonl(docs, path, spans_key=key) == len(docs)
        found = list(read_jsonl(path, NLP, spans_key=key, split_tokens=True))
        assert [doc.text for doc in found] == [doc.text for doc in docs]
        assert [doc_to_dict(doc, key) for doc in found] == [doc_to_dict(doc, key) for doc in docs]
