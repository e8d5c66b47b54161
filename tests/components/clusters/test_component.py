"""The clusterer of entities: what it reads, what it adds, what is saved, and bad input."""

import json
import warnings
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_ragre import EntityClusterer
from spacy_ragre.bundled import BUNDLED, locate
from spacy_ragre.corpora.jsonl import doc_from_dict, doc_to_dict

NAME = "entity_clusterer"
PIPELINE = "en_core_web_sm"
NAMES_ALONE = {"pronouns": False, "noun_phrases": False}
real = [
    pytest.mark.real,
    pytest.mark.skipif(locate(PIPELINE) is None, reason=f"{PIPELINE} is not installed"),
]


def make_doc(nlp: Language, text: str, *ents: Tuple[str, str]) -> Doc:
    """A document with the entities that are named, each where it stands next in the text."""
    doc = nlp.make_doc(text)
    spans, at = [], 0
    for name, label in ents:
        at = text.index(name, at)
        spans.append(doc.char_span(at, at + len(name), label=label))
        at += len(name)
    doc.ents = [span for span in spans if span is not None]
    assert len(doc.ents) == len(ents)
    return doc


def texts(doc: Doc) -> List[List[str]]:
    return [[span.text for span in cluster] for cluster in doc._.entity_clusters]


@pytest.fixture(scope="module")
def parser() -> Language:
    """Parses, and finds no entities."""
    return spacy.load(BUNDLED[PIPELINE].module, disable=["ner"])


def read(parser: Language, text: str, *ents: Tuple[str, str], **settings: Any) -> List[List[str]]:
    """RETURNS (List[List[str]]): the clusters with more than one mention."""
    doc = make_doc(parser, text, *ents)
    for _, pipe in parser.pipeline:
        doc = pipe(doc)
    doc = EntityClusterer(parser.vocab, **settings)(doc)
    return [cluster for cluster in texts(doc) if len(cluster) > 1]


# Names


def test_names_of_a_document(nlp: Language) -> None:
    nlp.add_pipe(NAME, config=NAMES_ALONE)
    text = "Marie Curie worked in Paris for the World Bank (WB). Dr. Curie left the WB; Pierre Curie and Paris did not."
    ents = [("Marie Curie", "PERSON"), ("Paris", "GPE"), ("World Bank", "ORG"), ("WB", "ORG"), ("Dr. Curie", "PERSON")]
    ents += [("WB", "ORG"), ("Pierre Curie", "PERSON"), ("Paris", "GPE")]
    doc = nlp(make_doc(nlp, text, *ents))
    expected = [["Marie Curie", "Dr. Curie"], ["Paris", "Paris"], ["World Bank", "WB", "WB"], ["Pierre Curie"]]
    assert texts(doc) == expected
    assert [cluster.label for cluster in doc._.entity_clusters] == ["PERSON", "GPE", "ORG", "PERSON"]
    assert len(doc.ents) == len(ents)
    assert texts(EntityClusterer(nlp.vocab, **NAMES_ALONE, partial_names=False)(make_doc(nlp, text, *ents)))[0] == [
        "Marie Curie"
    ]


def test_an_acronym_is_explained_in_either_order(nlp: Language) -> None:
    clusterer = EntityClusterer(nlp.vocab, **NAMES_ALONE)
    ents = [("acetylsalicylic acid", "DRUG"), ("ASA", "DRUG")]
    assert len(texts(clusterer(make_doc(nlp, "They took acetylsalicylic acid (ASA).", *ents)))) == 1
    assert len(texts(clusterer(make_doc(nlp, "They took acetylsalicylic acid, or ASA.", *ents)))) == 2
    assert len(texts(clusterer(make_doc(nlp, "They took ASA (acetylsalicylic acid).", *ents[::-1])))) == 1
    off = EntityClusterer(nlp.vocab, **NAMES_ALONE, acronyms=False)
    assert len(texts(off(make_doc(nlp, "They took acetylsalicylic acid (ASA).", *ents)))) == 2


def test_types_stand_for_kinds(nlp: Language) -> None:
    text, ents = "Acme Inc. and Acme", [("Acme Inc.", "FIRM"), ("Acme", "FIRM")]
    assert len(texts(EntityClusterer(nlp.vocab, **NAMES_ALONE)(make_doc(nlp, text, *ents)))) == 2
    known = EntityClusterer(nlp.vocab, **NAMES_ALONE, kinds={"FIRM": "organisation"})
    assert len(texts(known(make_doc(nlp, text, *ents)))) == 1
    things = EntityClusterer(nlp.vocab, **NAMES_ALONE, kinds={"ORG": "thing"})
    assert len(texts(things(make_doc(nlp, "Acme Inc. and Acme", ("Acme Inc.", "ORG"), ("Acme", "ORG"))))) == 2


def test_names_of_other_types_are_kept_apart(nlp: Language) -> None:
    clusterer = EntityClusterer(nlp.vocab, **NAMES_ALONE)
    doc = clusterer(make_doc(nlp, "Jordan met Jordan", ("Jordan", "PERSON"), ("Jordan", "GPE")))
    assert texts(doc) == [["Jordan"], ["Jordan"]]


def test_linked_entities(nlp: Language) -> None:
    doc = make_doc(nlp, "Big Blue and IBM and Paris and Paris", ("Big Blue", "ORG"), ("IBM", "ORG"))
    ids = {(0, 2): "Q37156", (3, 4): "Q37156", (5, 6): "Q90", (7, 8): "Q830149"}
    doc.ents = [Span(doc, *place, "ORG", kb_id=id_) for place, id_ in ids.items()]
    assert texts(EntityClusterer(nlp.vocab, **NAMES_ALONE)(doc)) == [["Big Blue", "IBM"], ["Paris"], ["Paris"]]


def test_clusters_that_were_set_stay(nlp: Language) -> None:
    clusterer = EntityClusterer(nlp.vocab, **NAMES_ALONE)
    doc = make_doc(nlp, "Acme and Acme", ("Acme", "ORG"), ("Acme", "ORG"))
    doc._.entity_clusters = [[doc[0:1]], [doc[2:3]]]
    assert texts(clusterer(doc)) == [["Acme"], ["Acme"]]
    again = make_doc(nlp, "Acme and Acme", ("Acme", "ORG"), ("Acme", "ORG"))
    assert texts(clusterer(clusterer(again))) == [["Acme", "Acme"]]


def test_mentions_of_a_span_group_may_overlap(nlp: Language) -> None:
    nlp.add_pipe(NAME, config={**NAMES_ALONE, "spans_key": "sc"})
    doc = nlp.make_doc("Bank of America and America")
    doc.spans["sc"] = [Span(doc, 0, 3, "ORG"), Span(doc, 2, 3, "GPE"), Span(doc, 4, 5, "GPE")]
    assert texts(nlp(doc)) == [["Bank of America"], ["America", "America"]]


# Coreference components of other packages


@pytest.fixture
def extension() -> Any:
    """`extension(name)` registers an attribute of Doc, which is removed at the end of the test."""
    names = []

    def register(name: str) -> None:
        Doc.set_extension(name, default=None)
        names.append(name)

    yield register
    for name in names:
        Doc.remove_extension(name)


class Mention:
    """As coreferee has them."""

    def __init__(self, *token_indexes: int) -> None:
        self.token_indexes = list(token_indexes)


@pytest.fixture
def curie(nlp: Language) -> Doc:
    text = "Marie Curie met the World Bank . She liked the World Bank 's bankers , and Marie smiled ."
    ents = [("Marie Curie", "PERSON"), ("World Bank", "ORG"), ("World Bank", "ORG"), ("Marie", "PERSON")]
    return make_doc(nlp, text, *ents)


EXPECTED = [["Marie Curie", "She", "Marie"], ["World Bank", "World Bank"]]


def test_clusters_of_span_groups(nlp: Language, curie: Doc) -> None:
    curie.spans["coref_clusters_1"] = [curie[0:2], curie[7:8]]
    curie.spans["coref_clusters_2"] = [curie[3:6], curie[9:13]]
    assert texts(curie) == [["Marie Curie", "She"], ["World Bank", "World Bank"], ["Marie"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pronouns were read, so that no parse is missed
        assert texts(EntityClusterer(nlp.vocab)(curie)) == EXPECTED


def test_clusters_of_fastcoref(nlp: Language, curie: Doc, extension: Any) -> None:
    extension("coref_clusters")
    assert texts(EntityClusterer(nlp.vocab, **NAMES_ALONE)(curie.copy())) == [["Marie Curie", "Marie"], EXPECTED[1]]
    she = curie.text.index("She")
    bank = curie.text.index("the World")
    curie._.coref_clusters = [[(0, 11), (she, she + 3)], [(bank, bank + 14)]]
    assert texts(EntityClusterer(nlp.vocab, **NAMES_ALONE)(curie)) == EXPECTED


def test_chains_of_coreferee(nlp: Language, curie: Doc, extension: Any) -> None:
    extension("coref_chains")
    # The head of the name; the pronoun; two that are named together.
    curie._.coref_chains = [[Mention(1), Mention(7), Mention(1, 5)]]
    assert texts(EntityClusterer(nlp.vocab, **NAMES_ALONE)(curie)) == EXPECTED


@pytest.mark.parametrize("value", [3, "text", [[(0, 99999)]], [["ab"]], [[None]], [[(1, 2, 3)]]])
@pytest.mark.parametrize("name", ["coref_clusters", "coref_chains"])
def test_what_another_package_keeps_there_is_left_alone(curie: Doc, extension: Any, name: str, value: Any) -> None:
    extension(name)
    curie._.set(name, value)
    with pytest.warns(UserWarning, match=f"W630.*{name}"):
        assert len(curie._.entity_clusters) == 3


# Pronouns and noun phrases

CURIE, POE, ACME = ("Marie Curie", "PERSON"), ("Mr. Poe", "PERSON"), ("Acme", "ORG")
PHRASES: List[Tuple[str, Sequence[Tuple[str, str]], List[List[str]]]] = [
    (
        "Marie Curie was born in 1867. She moved to Paris, where her sister lived.",
        [CURIE],
        [["Marie Curie", "She", "her"]],
    ),
    ("Marie Curie said that he was late.", [CURIE], []),
    (
        "Mr. Poe met Marie Curie. She thanked him.",
        [("Mr. Poe", "PERSON"), CURIE],
        [["Mr. Poe", "him"], ["Marie Curie", "She"]],
    ),
    ("Marie Curie told her.", [CURIE], []),
    ("Marie Curie saw herself.", [CURIE], [["Marie Curie", "herself"]]),
    ("Acme was founded in 1990. It makes tools, and its owner is rich.", [ACME], [["Acme", "It", "its"]]),
    ("Acme grew. It is clear that it rained.", [ACME], []),
    ("Acme opened a shop. The shop burned down because it had no alarm.", [ACME], []),
    ("Acme said they would grow.", [ACME], [["Acme", "they"]]),
    ("Acme hired workers, and they were glad.", [ACME], []),
    ("Ann Poe and Bob Doe met. They married.", [("Ann Poe", "PERSON"), ("Bob Doe", "PERSON")], []),
    ("Acme grew fast. The company hired Ann.", [ACME], [["Acme", "The company"]]),
    ("Acme is a bank. The bank has ten offices.", [ACME], [["Acme", "The bank"]]),
    ("Acme is a bank. The company that owns Globex is rich.", [ACME], []),
    ("Acme and Globex merged. The company grew.", [ACME, ("Globex", "ORG")], []),
    ("Acme grew. A company failed, and the parent company, too.", [ACME], []),
    ("Lake Como is deep. The lake is cold.", [("Lake Como", "LOC")], [["Lake Como", "The lake"]]),
    ("State Highway 82 ends there. The state grew.", [("State Highway 82", "FAC")], []),
    ("The manager, Ann Poe, left. Her office is empty.", [("Ann Poe", "PERSON")], [["Ann Poe", "Her"]]),
    ("Lyon is in the province of Velm. The province is old.", [("Velm", "GPE")], [["Velm", "The province"]]),
    ("A tunnel, the Strand, crosses it.", [("Strand", "FAC")], []),
    ("The doctor gave Pills to Ann. She counted them.", [("Pills", "DRUG")], []),
    ("Lyon grew. The city is old.", [("Lyon", "GPE")], [["Lyon", "The city"]]),
    ("Lyon grew. The country is old.", [("Lyon", "GPE")], []),
    ("France grew. The country is old.", [("France", "GPE")], [["France", "The country"]]),
    ("Aspirin helps. The drug is cheap.", [("Aspirin", "DRUG")], [["Aspirin", "The drug"]]),
    ("Aspirin helps. The medication is cheap.", [("Aspirin", "DRUG")], []),
    ("They met in 1990. It was cold.", [("1990", "DATE")], []),
]


@pytest.mark.parametrize("text, ents, expected", [pytest.param(*case, id=case[0], marks=real) for case in PHRASES])
def test_phrases(parser: Language, text: str, ents: Sequence[Tuple[str, str]], expected: List[List[str]]) -> None:
    assert read(parser, text, *ents) == expected


@pytest.mark.parametrize("case", [pytest.param(None, marks=real)])
def test_settings_of_phrases(parser: Language, case: None) -> None:
    text = "Acme grew. It hired Ann. The company is rich."
    assert read(parser, text, ACME, pronouns=False) == [["Acme", "The company"]]
    assert read(parser, text, ACME, noun_phrases=False) == [["Acme", "It"]]
    far = "Marie Curie left. Snow fell. Ice came. She froze."
    assert read(parser, far, CURIE) == [["Marie Curie", "She"]] and read(parser, far, CURIE, max_sentences=2) == []
    medication = read(
        parser, "Aspirin helps. The medication is cheap.", ("Aspirin", "DRUG"), nouns={"DRUG": ["medication"]}
    )
    assert medication == [["Aspirin", "The medication"]]


def parsed(nlp: Language, words: str, tags: str, heads: Sequence[int], deps: str, **more: Any) -> Doc:
    pos = {"NNP": "PROPN", "PRP": "PRON", "VBD": "VERB", ".": "PUNCT"}
    given = tags.split()
    return Doc(
        nlp.vocab,
        words=words.split(),
        tags=given,
        pos=[pos[t] for t in given],
        heads=list(heads),
        deps=deps.split(),
        **more,
    )


@pytest.fixture
def she_won(nlp: Language) -> Doc:
    deps = "compound nsubj ROOT punct nsubj ROOT punct"
    doc = parsed(nlp, "Marie Curie worked . She won .", "NNP NNP VBD . PRP VBD .", [1, 2, 2, 2, 5, 5, 5], deps)
    doc.ents = [Span(doc, 0, 2, "PERSON")]
    return doc


def test_added_mentions_are_no_entities(nlp: Language, she_won: Doc) -> None:
    doc = EntityClusterer(nlp.vocab)(she_won)
    assert [[(span.text, span.label_) for span in cluster] for cluster in doc._.entity_clusters] == [
        [("Marie Curie", "PERSON"), ("She", "")]
    ]
    assert [ent.text for ent in doc.ents] == ["Marie Curie"]
    # The interchange format has mentions that are entities.
    record = doc_to_dict(doc)
    assert record["clusters"] == [[0]]
    assert texts(doc_from_dict(record, nlp)) == [["Marie Curie"]]


def test_without_a_parse_names_alone(nlp: Language) -> None:
    clusterer = EntityClusterer(nlp.vocab)
    with pytest.warns(UserWarning, match="W631.*no parse") as record:
        for _ in range(2):
            doc = clusterer(
                make_doc(nlp, "Acme Inc. grew. Acme is big. It grows.", ("Acme Inc.", "ORG"), ("Acme", "ORG"))
            )
            assert texts(doc) == [["Acme Inc.", "Acme"]]
    assert len(record) == 1
    german = spacy.blank("de")
    with pytest.warns(UserWarning, match="W631.*'de'"):
        EntityClusterer(german.vocab)(make_doc(german, "Acme", ("Acme", "ORG")))


def test_documents_without_entities(nlp: Language) -> None:
    clusterer = EntityClusterer(nlp.vocab)
    with pytest.warns(UserWarning, match="W530"):
        assert texts(clusterer(nlp.make_doc("nothing was looked for"))) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for doc in (nlp.make_doc(""), make_doc(nlp, "no entity here"), make_doc(nlp, " \n ")):
            assert texts(clusterer(doc)) == []
    with pytest.warns(UserWarning, match="W531"):
        EntityClusterer(nlp.vocab, spans_key="sc")(nlp.make_doc("no such group"))


# Settings and errors


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"max_sentences": -1}, "max_sentences"),
        ({"max_sentences": True}, "max_sentences"),
        ({"kinds": {"FIRM": "company"}}, "kinds.FIRM.*group, organisation, person, place, value, thing"),
        ({"nouns": {"DRUG": "medication"}}, "nouns.DRUG"),
        ({"nouns": {"DRUG": [" "]}}, "nouns.DRUG"),
    ],
)
def test_settings_that_are_not_valid(nlp: Language, settings: Dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"R630.*{message}"):
        EntityClusterer(nlp.vocab, **settings)


def test_a_document_that_fails_goes_to_the_error_handler(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    clusterer = EntityClusterer(nlp.vocab, **NAMES_ALONE)
    docs = [make_doc(nlp, text, ("Acme", "ORG")) for text in ("Acme grew", "Acme fell")]
    failed: List[str] = []
    clusterer.set_error_handler(lambda name, pipe, docs, error: failed.extend(doc.text for doc in docs))
    predict = clusterer.predict
    monkeypatch.setattr(clusterer, "predict", lambda doc: predict(doc) if "grew" in doc.text else [][0])
    assert [texts(doc) for doc in clusterer.pipe(docs)] == [[["Acme"]]] and failed == ["Acme fell"]


def test_thousands_of_mentions(nlp: Language) -> None:
    sentence = [("{}", "PROPN", 1, "compound"), ("Poe", "PROPN", 2, "nsubj"), ("said", "VERB", 2, "ROOT")]
    sentence += [("she", "PRON", 4, "nsubj"), ("likes", "VERB", 2, "ccomp"), ("Acme", "PROPN", 6, "compound")]
    sentence += [("Inc.", "PROPN", 4, "dobj"), (".", "PUNCT", 2, "punct")]
    rows = [(word.format(f"Ann{i}"), pos, 8 * i + at, dep) for i in range(1000) for word, pos, at, dep in sentence]
    words, pos, heads, deps = (list(column) for column in zip(*rows))
    doc = Doc(nlp.vocab, words=words, pos=pos, heads=heads, deps=deps)
    places = [(i + at, label) for i in range(0, len(doc), 8) for at, label in ((0, "PERSON"), (5, "ORG"))]
    doc.ents = [Span(doc, at, at + 2, label) for at, label in places]
    clusters = texts(EntityClusterer(nlp.vocab)(doc))
    assert len(doc.ents) == 2000 and len(clusters) == 1001
    assert clusters[0] == ["Ann0 Poe", "she"] and len(clusters[1]) == 1000


def test_empty_sentences_and_right_to_left_text(nlp: Language) -> None:
    words = ["Acme", " ", "\n", ".", "ירושלים", "🙂", "מכבי", "תל", "אביב", "תל", "אביב"]
    doc = Doc(nlp.vocab, words=words, heads=list(range(11)), deps=["ROOT"] * 11, pos=["X"] * 11)
    places = {(0, 1): "ORG", (1, 2): "ORG", (2, 3): "ORG", (4, 5): "GPE", (6, 9): "ORG", (9, 11): "GPE", (5, 6): "ORG"}
    doc.ents = [Span(doc, *place, label) for place, label in sorted(places.items()) if doc[place[0]].text.strip()]
    doc = EntityClusterer(nlp.vocab)(doc)
    assert [len(cluster) for cluster in doc._.entity_clusters] == [1] * len(doc.ents)


# Streams, saving, scores


def ruled() -> Language:
    nlp = spacy.blank("en")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(
        [
            {"label": "ORG", "pattern": name}
            for name in ("Acme Inc.", "Acme", "Johns Hopkins University", "Johns Hopkins")
        ]
    )
    nlp.add_pipe(NAME, config={**NAMES_ALONE, "kinds": {"FIRM": "organisation"}})
    return nlp


STREAM = ["Acme Inc. grew. Acme is big.", "", "no one", "Johns Hopkins University. Johns Hopkins. Acme."]


def test_a_stream_is_read_as_its_documents(tmp_path: Path) -> None:
    nlp = ruled()
    single = [texts(nlp(text)) for text in STREAM]
    assert single[0] == [["Acme Inc.", "Acme"]] and single[3][0] == ["Johns Hopkins University", "Johns Hopkins"]
    assert [texts(doc) for doc in nlp.pipe(STREAM, batch_size=2)] == single
    assert [texts(doc) for doc in nlp.pipe(STREAM, batch_size=2, n_process=2)] == single


def test_settings_are_saved(tmp_path: Path) -> None:
    nlp = ruled()
    pipe: Any = nlp.get_pipe(NAME)
    pipe.partial_names = False
    nlp.to_disk(tmp_path / "pipeline")
    loaded = spacy.load(tmp_path / "pipeline")
    copy = EntityClusterer(nlp.vocab).from_bytes(pipe.to_bytes())
    for other in (copy, loaded.get_pipe(NAME)):
        assert (other.partial_names, other.pronouns, other.kinds) == (False, False, {"FIRM": "organisation"})
    assert texts(loaded(STREAM[3]))[:2] == [["Johns Hopkins University"], ["Johns Hopkins"]]
    saved = tmp_path / "pipeline" / NAME / "cfg"
    saved.write_text(saved.read_text().replace("organisation", "nonsense"))
    with pytest.raises(ValueError, match="R120"):
        EntityClusterer(nlp.vocab).from_disk(saved.parent)


def test_scores_of_a_pipeline() -> None:
    nlp = ruled()
    reference = nlp(STREAM[0])
    reference._.entity_clusters = [[reference.ents[0]], [reference.ents[1]]]
    scores = nlp.evaluate([Example(nlp.make_doc(STREAM[0]), reference)])
    assert (scores["clusters_p"], scores["clusters_r"]) == (0.5, 1.0)
    assert json.dumps(nlp.analyze_pipes()["summary"][NAME]["assigns"]) == '["doc._.entity_clusters"]'
