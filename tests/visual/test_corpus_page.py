"""The page of a corpus: what it holds, that nothing in it becomes markup, and how it works in a browser."""

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
import spacy
from spacy.tokens import Doc

from spacy_ragre.graph.places import passage
from spacy_ragre.relations import ID_KEY, get_relations, set_relations
from spacy_ragre.visual import corpus_page
from spacy_ragre.visual.corpus import CorpusData, Found, fill_page

MakeDoc = Callable[..., Doc]
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def data_of(page: str) -> CorpusData:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: CorpusData = json.loads(found[1])
    return data


def said(data: CorpusData) -> Dict[str, int]:
    """The relations of a page, with how many places say so."""
    names, labels = [node[0] for node in data["nodes"]], [label[0] for label in data["labels"]]
    return {f"{names[e['head']]} {labels[e['label']]} {names[e['tail']]}": len(e["found"]) for e in data["edges"]}


def many(count: int) -> CorpusData:
    """A page of so many relations, without documents that they come from."""
    texts = [f"Number {i} is a sentence." for i in range(1000)]
    places: List[Found] = [
        {"doc": f"doc {i}", "text": i % 1000, "score": 0.5, "head": (0, 6), "tail": (7, 8), "support": -1}
        for i in range(count)
    ]
    nodes = max(2, count // 2)
    return {
        "docs": count,
        "drawn": 3000,
        "nodes": [(f"Entity {i}", "ORG" if i % 3 else "PERSON", "") for i in range(nodes)],
        "types": {"ORG": ("#207020", "#80c080"), "PERSON": ("#203090", "#8090e0")},
        "labels": [(f"label {i}", "#705010", "#e0c080") for i in range(20)],
        "edges": [
            {
                "head": i % nodes,
                "tail": (i * 7 + 1 + i // nodes) % nodes,
                "label": i % 20,
                "score": 1 - i / count / 2,
                "both": False,
                "found": [places[i]],
            }
            for i in range(count)
        ],
        "texts": texts,
        "support": [],
    }


# What it holds


def test_entities_of_different_documents_are_one(make_doc: MakeDoc, tmp_path: Path) -> None:
    entities = {"Microsoft": "ORG", "Bill Gates": "PERSON"}
    docs = [
        make_doc("Microsoft was founded by Bill Gates.", entities, [("Microsoft", "founded_by", "Bill Gates", score)])
        for score in (0.4, 0.9)
    ]
    other = make_doc(
        "MICROSOFT hired Ann.", {"MICROSOFT": "ORG", "Ann": "PERSON"}, [("MICROSOFT", "hired", "Ann", 0.7)]
    )
    docs[0].user_data[ID_KEY] = "first"
    page = corpus_page((doc for doc in [*docs, other]), tmp_path / "page.html", title="A & B")
    assert (tmp_path / "page.html").read_text(encoding="utf8") == page and "<title>A &amp; B</title>" in page
    data = data_of(page)
    assert said(data) == {"Microsoft founded_by Bill Gates": 2, "Microsoft hired Ann": 1}
    best = data["edges"][0]
    assert best["score"] == 0.9 and [place["doc"] for place in best["found"]] == ["document 2", "first"]
    assert data["docs"] == 3 and data["texts"][0] == "Microsoft was founded by Bill Gates."


def test_ids_of_a_knowledge_base_tell_entities_apart(make_doc: MakeDoc) -> None:
    docs = []
    for key, name in (("Q1", "Paris"), ("Q2", "Paris"), ("Q1", "Paris, France")):
        doc = make_doc(f"Ann saw {name}.", {"Ann": "PERSON", name: "GPE"}, [])
        ann, place = doc.ents
        place = doc.char_span(place.start_char, place.end_char, label="GPE", kb_id=key)
        doc.ents = [ann, place]
        set_relations(doc, [{"head": ann, "tail": place, "label": "saw"}])
        docs.append(doc)
    data = data_of(corpus_page(docs))
    assert [node[::2] for node in data["nodes"]] == [["Ann", ""], ["Paris", "Q1"], ["Paris", "Q2"]]
    assert [len(edge["found"]) for edge in data["edges"]] == [2, 1]


def test_symmetric_relations_are_one(make_doc: MakeDoc) -> None:
    doc = make_doc("Ann met Bob.", {"Ann": "P", "Bob": "P"}, [("Ann", "met", "Bob", 0.5), ("Bob", "met", "Ann", 0.7)])
    assert said(data_of(corpus_page(doc))) == {"Bob met Ann": 1, "Ann met Bob": 1}
    data = data_of(corpus_page(doc, options={"symmetric": ["met"], "colors": {"met": "teal", "P": "red"}}))
    assert len(data["edges"]) == 1 and data["edges"][0]["both"] and data["edges"][0]["score"] == 0.7
    assert data["labels"] == [["met", "teal", "teal"]] and data["types"] == {"P": ["red", "red"]}


def test_evidence_is_kept(make_doc: MakeDoc) -> None:
    example = {"id": "e1", "text": "Apple was founded by Jobs.", "labels": ["founded_by"], "score": 0.5}
    evidence = {"text": "Ann met Bob.", "examples": [example], "sentences": [1, 7, "x"]}
    doc = make_doc("Ann met Bob. It rained.", {"Ann": "P", "Bob": "P"}, [("Ann", "met", "Bob")], evidence=evidence)
    bare = make_doc("Ann met Bob.", {"Ann": "P", "Bob": "P"}, [("Ann", "met", "Bob")], evidence={"sentences": [9]})
    data = data_of(corpus_page([doc, bare]))
    assert data["support"] == [{"examples": [example], "sentences": ["It rained."]}]
    assert [place["support"] for place in data["edges"][0]["found"]] == [0, -1]


@pytest.mark.parametrize("sentences", [True, False])
@pytest.mark.parametrize("between", [0, 3, 400])
def test_the_text_around_a_relation(make_doc: MakeDoc, sentences: bool, between: int) -> None:
    text = "Ann left 🚀. " + "It rained. " * between + "Then Bob came. The end."
    doc = make_doc(text, {"Ann": "P", "Bob": "P"}, [("Bob", "followed", "Ann")])
    if not sentences:
        for token in doc:
            token.is_sent_start = None
    whole, head, tail = passage(get_relations(doc)[0])
    assert whole[slice(*head)] == "Bob" and whole[slice(*tail)] == "Ann"
    assert len(whole) < 800 and (" ... " in whole) == (between == 400)
    assert ("The end." in whole) != sentences


def test_options_and_arguments_are_checked(gates: Doc) -> None:
    assert len(data_of(corpus_page(gates, options={"min_score": 0.7}))["edges"]) == 2
    with pytest.raises(ValueError, match=r"\[R692\].*'width'"):
        corpus_page(gates, options={"width": 500})
    for wrong in ("text", [5]):
        with pytest.raises(ValueError, match="R690"):
            corpus_page(wrong)  # type: ignore[arg-type, list-item]


def evil_doc(make_doc: MakeDoc) -> Doc:
    doc = make_doc(f"Ann met {EVIL} there 🚀.", {"Ann": EVIL}, [])
    start = doc.text.index("</script>")
    bad = doc.char_span(start, start + len(EVIL), label="<b>", alignment_mode="expand")
    evidence = {"examples": [{"id": EVIL, "text": EVIL, "labels": [EVIL], "score": 0.5}], "sentences": [0]}
    set_relations(doc, [{"head": doc.ents[0], "tail": bad, "label": EVIL, "evidence": evidence}])
    doc.user_data[ID_KEY] = EVIL
    return doc


def test_texts_never_become_markup(make_doc: MakeDoc) -> None:
    page = corpus_page(evil_doc(make_doc), title=EVIL)
    assert "<img" not in page and "<script>document" not in page
    # Its three elements, and nothing that a text could have ended or begun; the last is the page's own.
    assert page.count("<script") == page.count("</script>") == 3
    assert data_of(page)["labels"][0][0] == EVIL
    assert "http-equiv" in page and "default-src 'none'" in page and "script-src 'sha256-" in page


# In a browser


class Shown:
    """A page in a browser, with what went wrong in it and what it asked the network for."""

    def __init__(self, browser: Any, path: Path, **settings: Any) -> None:
        self.page = browser.new_page(**settings)
        # Machines that run tests may be busy, and no test is about time.
        self.page.set_default_timeout(120_000)
        self.problems: List[str] = []
        self.requests: List[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def has_rows(self, count: int) -> None:
        """Wait until the table has so many rows."""
        self.page.wait_for_selector(f"tbody:has(tr:nth-child({count})):not(:has(tr:nth-child({count + 1})))")

    def rows(self) -> List[str]:
        return [" ".join(row.split()) for row in self.page.locator("tbody tr").all_inner_texts()]


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    pages: List[Shown] = []

    def call(html: str, **settings: Any) -> Shown:
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf8")
        pages.append(Shown(browser, path, **settings))
        return pages[-1]

    yield call
    for shown in pages:
        assert shown.problems == [] and all(url.startswith(("file:", "data:")) for url in shown.requests)
        shown.page.close()


@pytest.mark.browser
def test_search_and_filters(gates: Doc, show: Callable[..., Shown]) -> None:
    shown = show(corpus_page(gates, title="Gates"))
    assert shown.text("#counts") == "4 relations between 5 entities in 1 document"
    assert shown.rows()[0] == "Microsoft founded_by Bill Gates 0.84 1"
    shown.page.fill("#search", "FRENCH")
    shown.has_rows(2)
    shown.page.fill("#search", "albuquerque")  # in a sentence of three relations
    shown.page.wait_for_selector("#counts:has-text('3 of 4')")
    assert [row.split()[-2] for row in shown.rows()] == ["0.84", "0.60", "0.31"]
    shown.page.fill("#least", "0.7")
    shown.has_rows(1)
    shown.page.click("#label-summary")
    shown.page.uncheck("#labels label:has-text('founded_by') input")
    assert shown.text("#nothing") == shown.text("#message") == "No relation fits the search and the filters."
    assert shown.text("#label-summary").startswith("2 of 3 relations")
    shown.page.click("#all")
    assert len(shown.rows()) == 1
    shown.page.keyboard.press("Escape")
    shown.page.fill("#search", "")
    shown.has_rows(2)
    assert [row.split()[-2] for row in shown.rows()] == ["0.84", "0.80"]
    shown.page.click("th button[data-by=label]")
    shown.page.click("th button[data-by=label]")
    assert [row.split()[-2] for row in shown.rows()] == ["0.80", "0.84"]
    assert shown.page.get_attribute("th:nth-child(2)", "aria-sort") == "descending"


@pytest.mark.browser
def test_a_click_on_an_edge_shows_its_sentence_and_evidence(make_doc: MakeDoc, show: Callable[..., Shown]) -> None:
    evidence = {
        "examples": [{"id": "e1", "text": "Apple was founded by Jobs.", "labels": ["founded_by"], "score": 0.5}]
    }
    relations = [("Microsoft", "founded_by", "Bill Gates", 0.84)]
    entities = {"Microsoft": "ORG", "Bill Gates": "PERSON"}
    doc = make_doc("🚀🚀 Microsoft was founded by Bill Gates.", entities, relations, evidence=evidence)
    shown = show(corpus_page(doc), viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    assert shown.page.is_hidden("#details")
    # The only edge is in the middle of the picture.
    box = shown.page.locator("#picture").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    shown.page.mouse.move(x - 5, y)
    shown.page.mouse.move(x, y)
    shown.page.wait_for_selector("#graph[style*=pointer]")
    shown.page.mouse.click(x, y)
    shown.page.wait_for_selector("#details:not([hidden])")
    assert shown.text("#details h2") == "Microsoft — founded_by → Bill Gates"
    assert shown.text("#details .place > p:first-child") == doc.text
    assert shown.text("#details mark.head") == "Microsoft" and shown.text("#details mark.tail") == "Bill Gates"
    assert shown.text("#details .about") == "document 1 · score 0.84"
    shown.page.click("#details summary")
    assert "Apple was founded by Jobs." in shown.text("#details li") and "similarity 0.50" in shown.text("#details li")
    assert shown.page.get_attribute("tbody tr", "aria-selected") == "true"
    shown.page.click("#details .close")
    assert shown.page.is_hidden("#details")
    # The table does the same, by keys.
    shown.page.focus("tbody tr")
    shown.page.keyboard.press("Enter")
    assert shown.page.is_visible("#details")


@pytest.mark.browser
def test_no_text_is_run(make_doc: MakeDoc, show: Callable[..., Shown]) -> None:
    shown = show(corpus_page(evil_doc(make_doc), title=EVIL))
    shown.page.click("tbody tr")
    shown.page.click("#details summary >> nth=0")
    assert EVIL in shown.text("#details") and EVIL in shown.text("tbody tr")
    assert shown.page.title() == EVIL and shown.page.locator("img").count() == 0


@pytest.mark.browser
def test_two_thousand_edges_are_drawn_and_the_page_answers(show: Callable[..., Shown]) -> None:
    data = many(2000)
    count = sum(777 in (edge["head"], edge["tail"]) for edge in data["edges"])
    shown = show(fill_page(data, "Many"))
    assert shown.page.is_visible("#graph canvas") and shown.page.is_hidden("#message")
    assert shown.text("#where") == "1–100 of 2,000"
    shown.page.fill("#search", "Entity 777")
    shown.page.wait_for_selector(f"#counts:has-text('{count} of 2,000')")
    assert all("Entity 777" in row for row in shown.rows())


@pytest.mark.browser
def test_a_hundred_thousand_edges_are_a_table_with_a_message(show: Callable[..., Shown]) -> None:
    shown = show(fill_page(many(100_000), "Too many"))
    assert "100,000 relations are too many to draw" in shown.text("#message")
    assert shown.page.is_hidden("#graph") and shown.text("#where") == "1–100 of 100,000"
    shown.page.click("#after")
    assert shown.text("#where") == "101–200 of 100,000"
    # What a search leaves is drawn.
    shown.page.fill("#search", "Entity 4999")
    shown.page.wait_for_selector("#graph canvas")
    assert shown.page.is_hidden("#message") and len(shown.rows()) <= 100


@pytest.mark.browser
def test_no_relations(show: Callable[..., Shown]) -> None:
    shown = show(corpus_page([spacy.blank("en")("Nothing here."), spacy.blank("en")("Nor here.")]))
    assert shown.text("#message") == "There are no relations in these 2 documents."
    assert shown.page.is_hidden("#side") and shown.page.is_hidden("#filters")


@pytest.mark.browser
def test_wide_and_narrow_light_and_dark(gates: Doc, show: Callable[..., Shown]) -> None:
    shown = show(corpus_page(gates))
    shown.page.click("tbody tr")
    for width, scheme in ((1280, "light"), (360, "dark")):
        shown.page.set_viewport_size({"width": width, "height": 740})
        shown.page.emulate_media(color_scheme=scheme)
        # Nothing stands out on the side, and the picture and the table do not cover each other.
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        picture, side = (shown.page.locator(name).bounding_box() for name in ("#picture", "#side"))
        assert picture["width"] >= 300 and side["width"] >= 300
        assert side["x"] >= picture["x"] + picture["width"] - 1 or side["y"] >= picture["y"] + picture["height"] - 1
        red = shown.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(red) > 200) == (scheme == "light")
