"""Pictures of documents: what is drawn, where, and that no text becomes markup."""

import itertools
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Tuple
from xml.etree import ElementTree

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_ragre.relations import set_clusters, set_relations
from spacy_ragre.visual import render
from spacy_ragre.visual.arcs import LABEL_HEIGHT, ArcsPicture, lay_out
from spacy_ragre.visual.colours import HUES, tone
from spacy_ragre.visual.document import Selection, read_graph, read_text
from spacy_ragre.visual.layout import GAP, lay_out_graph
from spacy_ragre.visual.texts import direction, shorten, shown, width

SVG = "{http://www.w3.org/2000/svg}"
MakeDoc = Callable[..., Doc]
Rect = Tuple[float, float, float, float]


def draw(docs: Any, style: str = "arcs", **options: Any) -> str:
    return render(docs, style=style, jupyter=False, options=options)


def texts(svg: str, kind: str = "") -> List[str]:
    """The texts of an SVG, of one class."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return ["".join(text.itertext()) for text in found if text.get("class", "") == kind]


def placed(doc: Doc, most: float = 960.0) -> ArcsPicture:
    return lay_out(read_text(doc, Selection()), most)


def label_rects(picture: ArcsPicture) -> List[Rect]:
    half = LABEL_HEIGHT / 2
    return [(arc.x - arc.width / 2, arc.y - half, arc.x + arc.width / 2, arc.y + half) for arc in picture.arcs]


def meet(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] - 0.01 and b[0] < a[2] - 0.01 and a[1] < b[3] - 0.01 and b[1] < a[3] - 0.01


# What is drawn


def test_arcs_show_words_types_labels_and_scores(gates: Doc) -> None:
    svg = draw(gates)
    assert texts(svg)[:4] == ["Microsoft", "was founded by", "Bill Gates", "in"]
    assert texts(svg, "type") == ["ORG", "PERSON", "GPE", "PERSON", "PERSON"]
    assert sorted(texts(svg, "label")) == ["founded_by0.84", "located_in0.31", "married_to0.60", "married_to0.80"]
    assert len(svg.split('class="tip"')) - 1 == 4


def test_symmetric_relations_have_two_arrows(gates: Doc, make_doc: MakeDoc) -> None:
    assert len(draw(gates, symmetric=["married_to"]).split('class="tip"')) - 1 == 6
    # Found in both directions, a relation is one line, with the better score.
    both = make_doc("Ann met Bob.", {"Ann": "P", "Bob": "P"}, [("Ann", "met", "Bob", 0.5), ("Bob", "met", "Ann", 0.7)])
    for style in ("arcs", "graph"):
        svg = draw(both, style)
        assert texts(svg, "label") == ["met0.70"] and len(svg.split('class="tip"')) - 1 == 2


def test_pictures_say_what_they_show(gates: Doc) -> None:
    for style in ("arcs", "graph"):
        svg = ElementTree.fromstring(draw(gates, style, labels=["founded_by"]))
        assert svg.get("role") == "img" and svg.get("aria-label") == "1 relation" and svg.get("lang") == "en"
        assert svg.findtext(f"{SVG}desc") == "Microsoft founded_by Bill Gates (0.84)."
        titles = [title.text for title in svg.iter(f"{SVG}title")]
        assert "Microsoft founded_by Bill Gates (0.84)" in titles


def test_graph_has_a_node_for_each_entity(gates: Doc) -> None:
    names = ["Microsoft", "Bill Gates", "Albuquerque", "He", "Melinda French"]
    assert sorted(texts(draw(gates, "graph"))) == sorted(names)
    ents = {ent.text: ent for ent in gates.ents}
    set_clusters(gates, [[ents["Bill Gates"], ents["He"]]])
    assert sorted(texts(draw(gates, "graph"))) == sorted(set(names) - {"He"})


def test_graph_reads_the_clusters_that_relations_name(gates: Doc) -> None:
    ents = {ent.text: ent for ent in gates.ents}
    set_clusters(gates, [[ents["Microsoft"]], [ents["Bill Gates"], ents["He"]]])
    relation = {"head": ents["Microsoft"], "tail": ents["He"], "label": "founded_by"}
    set_relations(gates, [{**relation, "head_cluster": 0, "tail_cluster": 1}])
    nodes = read_graph(gates, Selection()).nodes
    assert [(node.name, node.label) for node in nodes] == [("Microsoft", "ORG"), ("Bill Gates", "PERSON")]


def test_relations_of_the_same_two_entities_share_a_line(make_doc: MakeDoc) -> None:
    relations = [("Ann", "met", "Bob"), ("Bob", "likes", "Ann"), ("Ann", "knows", "Ann")]
    svg = draw(make_doc("Ann met Bob.", {"Ann": "P", "Bob": "P"}, relations), "graph")
    labels = texts(svg, "label")
    # Where a line has several, an arrow before each says where it goes.
    assert len(labels) == 3 and {label[2:-4] for label in labels[:2]} == {"met", "likes"} and labels[2] == "knows1.00"
    assert {labels[0][0], labels[1][0]} == {"→", "←"}


def test_options_choose_relations(gates: Doc) -> None:
    assert len(texts(draw(gates, min_score=0.7), "label")) == 2
    assert texts(draw(gates, labels=["located_in"]), "label") == ["located_in0.31"]
    svg = draw(gates, labels=["located_in"], colors={"located_in": "rgb(1, 2, 3)"})
    assert "--l:rgb(1, 2, 3);--d:rgb(1, 2, 3)" in svg


def test_a_span_shows_the_relations_inside_of_it(gates: Doc) -> None:
    first, second = gates.sents
    assert texts(draw(first), "label") == ["founded_by0.84", "located_in0.31"]
    assert texts(draw(second), "type") == ["PERSON", "PERSON"]
    assert texts(draw(second, "graph"), "label") == ["married_to0.80"]


def test_entities_of_a_span_group(make_doc: MakeDoc) -> None:
    entities = {"New York University": "ORG", "New York": "GPE", "Ann": "PERSON"}
    doc = make_doc("Ann left New York University.", entities, [("Ann", "left", "New York University")], key="all")
    assert sorted(texts(draw(doc, spans_key="all"), "type")) == ["GPE", "ORG", "PERSON"]
    # Without the key, mentions of relations are shown all the same.
    assert sorted(texts(draw(doc), "type")) == ["ORG", "PERSON"]


def test_no_relations_no_text_and_many_documents(make_doc: MakeDoc) -> None:
    none = make_doc("Ann left.", {"Ann": "PERSON"}, [])
    assert texts(draw(none)) == ["Ann", "left."] and 'aria-label="No relations"' in draw(none)
    assert texts(draw(none, "graph"), "none") == ["No relations"]
    empty = spacy.blank("en")("")
    assert texts(draw(empty), "none") == ["No text"] and texts(draw(empty, "graph"), "none") == ["No relations"]
    assert draw(doc for doc in (none, empty)).count("<svg") == 2 and draw([]) == ""


def test_pages_and_short_markup(gates: Doc) -> None:
    page = render([gates, gates], page=True, jupyter=False)
    assert page.startswith("<!DOCTYPE html>") and page.count("<svg") == 2 and "http-equiv" in page
    short = render(gates, minify=True, jupyter=False)
    assert "\n" not in short and texts(short) == texts(draw(gates))


def test_notebooks_show_the_picture(gates: Doc, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: List[str] = []
    module: Any = SimpleNamespace(HTML=lambda html: html, display=seen.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=module))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    assert render(gates, jupyter=True) is None
    assert len(seen) == 1 and "tex2jax_ignore" in seen[0] and "<svg" in seen[0]


# Escaping

EVIL = '<script>alert("1")</script>'


@pytest.mark.parametrize("style", ["arcs", "graph"])
def test_texts_never_become_markup(make_doc: MakeDoc, style: str) -> None:
    doc = make_doc(f"Ann met {EVIL} & 'Bob' <img src=x onerror=alert(1)>.", {"Ann": EVIL, "Bob": "'\"><b>"}, [])
    ann, bob = doc.ents
    tag = doc.char_span(doc.text.index(EVIL), doc.text.index(EVIL) + len(EVIL), alignment_mode="expand")
    set_relations(doc, [{"head": ann, "tail": tag, "label": EVIL}, {"head": ann, "tail": bob, "label": "a&b</title>"}])
    page = render(doc, style=style, page=True, jupyter=False)
    assert "<script" not in page and "<img" not in page and "<b>" not in page
    svg = draw(doc, style)
    assert f"{EVIL}1.00" in texts(svg, "label") and EVIL in texts(svg, "type")
    assert {element.tag[len(SVG) :] for element in ElementTree.fromstring(svg).iter()} <= {
        "svg", "desc", "style", "rect", "g", "text", "tspan", "path", "title"
    }  # fmt: skip


def test_colors_hold_nothing_but_a_color(gates: Doc) -> None:
    for color in ("red;background:url(//x)", '"><script>', "url(x)</style>", 5):
        with pytest.raises(ValueError, match="R693"):
            draw(gates, colors={"founded_by": color})


def test_characters_that_xml_lacks_are_replaced(make_doc: MakeDoc) -> None:
    doc = Doc(spacy.blank("en").vocab, words=["a\x00b", "\x1b[0m", "\u202ecd", "\ufffe"])
    assert texts(draw(doc)) == ["a\ufffdb \ufffd[0m \ufffdcd \ufffd"]


# Where things are


def test_each_sentence_begins_a_row_and_long_ones_wrap(gates: Doc) -> None:
    def rows(most: float) -> List[str]:
        lines: Dict[float, List[str]] = {}
        for run in placed(gates, most).runs:
            lines.setdefault(run.y, []).append(run.text)
        return [" ".join(line) for line in lines.values()]

    assert rows(2000) == [
        "Microsoft was founded by Bill Gates in Albuquerque .",
        "He married Melinda French .",
    ]
    narrow = rows(300)
    assert len(narrow) > 2 and " ".join(narrow) == " ".join(rows(2000))
    assert placed(gates, 300).width < 330


def test_lines_of_text_break_where_the_document_does() -> None:
    doc = spacy.blank("en")("One\ntwo\n\nthree")
    assert len({run.y for run in placed(doc).runs}) == 3


def people(count: int) -> Tuple[str, Dict[str, str]]:
    names = [f"{'Person' * (i % 3)}{chr(65 + i)}" for i in range(count)]
    return " and ".join(names) + " met.", dict.fromkeys(names, "PERSON")


@pytest.mark.parametrize("most", [300, 700, 2000])
@pytest.mark.parametrize("step", [1, 3])
def test_labels_never_meet(make_doc: MakeDoc, most: float, step: int) -> None:
    text, entities = people(9)
    pairs = list(itertools.permutations(entities, 2))[::step]
    doc = make_doc(text, entities, [(a, f"relation_{'x' * (i % 9)}", b) for i, (a, b) in enumerate(pairs)])
    picture = placed(doc, most)
    boxes = [(box.left, box.top, box.right, box.bottom) for box in picture.boxes]
    rects = [*label_rects(picture), *boxes]
    assert not [(a, b) for a, b in itertools.combinations(rects, 2) if meet(a, b)]
    for left, top, right, bottom in rects:
        assert 0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height
    for arc in picture.arcs:
        assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in arc.points)


def test_lines_end_at_the_mentions_and_hide_no_words(make_doc: MakeDoc) -> None:
    text, entities = people(8)
    doc = make_doc(text, entities, [(a, "met", b) for a, b in itertools.combinations(entities, 2)])
    picture = placed(doc, 420)
    home = {box.mention: box for box in picture.boxes}
    words = [(run.x - run.width / 2, run.y - 11, run.x + run.width / 2, run.y + 4) for run in picture.runs]
    for arc in picture.arcs:
        for mention, (x, y) in ((arc.edge.head, arc.points[0]), (arc.edge.tail, arc.points[-1])):
            assert home[mention].left < x < home[mention].right and y == home[mention].top
        for (x1, y1), (x2, y2) in zip(arc.points, arc.points[1:]):
            line = (min(x1, x2), min(y1, y2), max(x1, x2) + 0.1, max(y1, y2) + 0.1)
            assert not any(meet(line, word) for word in words)


def test_nested_mentions_stand_inside_of_each_other(make_doc: MakeDoc) -> None:
    entities = {"New York University": "ORG", "New York": "GPE", "York": "NAME"}
    doc = make_doc("I left New York University.", entities, [("New York", "in", "York")], key="all")
    outer, middle, inner = lay_out(read_text(doc, Selection(spans_key="all")), 960).boxes
    for around, inside in ((outer, middle), (middle, inner)):
        assert around.left < inside.left and inside.right < around.right
        assert around.top < inside.top and inside.bottom < around.bottom


def test_a_mention_longer_than_a_line_and_a_long_word(make_doc: MakeDoc) -> None:
    name = " ".join(["word"] * 80)
    doc = make_doc(f"Ann wrote {name} in {'x' * 400}.", {"Ann": "P", name: "WORK"}, [("Ann", "wrote", name)])
    picture = placed(doc, 400)
    assert len([box for box in picture.boxes if box.mention == 1]) > 3
    assert picture.width < 420 and any("…" in run.text for run in picture.runs)


def test_text_that_runs_from_right(make_doc: MakeDoc) -> None:
    entities = {"ביל גייטס": "PERSON", "Microsoft": "ORG", "Office": "PRODUCT"}
    doc = make_doc("ביל גייטס ייסד את Microsoft Office כאן.", entities, [("Microsoft", "made", "Office")], lang="he")
    runs = {run.text: run.x for run in placed(doc).runs}
    # Hebrew words follow each other to the left, English ones among them to the right.
    assert runs["ביל גייטס"] > runs["ייסד את"] > runs["Office"] > runs["Microsoft"] > runs["כאן."]
    assert draw(doc).count('direction="rtl"') == 5


def test_words_from_right_inside_of_text_from_left(make_doc: MakeDoc) -> None:
    doc = make_doc("I met ביל גייטס there.", {"ביל": "FIRST", "גייטס": "LAST"}, [("ביל", "of", "גייטס")])
    runs = {run.text: run.x for run in placed(doc).runs}
    assert runs["I met"] < runs["גייטס"] < runs["ביל"] < runs["there."]


def test_white_space_may_be_a_mention() -> None:
    doc = spacy.blank("en")("Ann   Bob  ")
    doc.ents = [Span(doc, 1, 2, "GAP"), Span(doc, 3, 4, "GAP")]
    assert texts(draw(doc), "type") == ["GAP", "GAP"]


# Graphs


def test_nodes_and_labels_of_a_graph_never_meet_and_are_always_placed_alike() -> None:
    for links in ([(i, j) for i in range(8) for j in range(i)], [(0, i) for i in range(1, 20)], [(0, 1), (2, 3)]):
        count = max(max(pair) for pair in links) + 2  # one has no link
        sizes = [(40.0 + 17 * (i % 5), 38.0) for i in range(count)]
        places = lay_out_graph(sizes, links)
        assert np.array_equal(places, lay_out_graph(sizes, links))
        rects = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(places, sizes)]
        assert not [(a, b) for a, b in itertools.combinations(rects, 2) if meet(a, b)]
        assert min(min(rect) for rect in rects) > -GAP


# The picture of the README


def test_the_picture_of_the_documentation_is_what_is_drawn() -> None:
    text = "Microsoft, based in Redmond, was founded by Bill Gates. Bill Gates married Melinda French in Hawaii."
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    doc = nlp(text)
    names = [("Microsoft", "ORG"), ("Redmond", "GPE"), ("Bill Gates", "PERSON"), ("Bill Gates", "PERSON")]
    at = 0
    ents = []
    for name, label in [*names, ("Melinda French", "PERSON"), ("Hawaii", "GPE")]:
        at = text.index(name, at)
        ents.append(doc.char_span(at, at + len(name), label=label))
        at += len(name)
    doc.ents = ents
    triples = ((0, "founded_by", 2, 0.87), (3, "married_to", 4, 0.9), (0, "located_in", 1, 0.63))
    relations = [
        {"head": ents[head], "label": label, "tail": ents[tail], "score": score} for head, label, tail, score in triples
    ]
    set_relations(doc, relations)
    file = Path(__file__).parents[2] / "docs" / "images" / "relations.svg"
    drawn = draw(doc, symmetric=["married_to"]) + "\n"
    if os.environ.get("RAGRE_RENEW"):
        file.write_text(drawn, encoding="utf8")
    assert file.read_text(encoding="utf8") == drawn, "run this test with RAGRE_RENEW=1, and look at the picture"


# Colours and texts


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_read_on_both_grounds() -> None:
    tones = {tone(f"label {i}") for i in range(500)}
    assert len(tones) == 2 * HUES
    assert min(contrast(item.light, "#ffffff") for item in tones) >= 4.5
    assert min(contrast(item.dark, "#14181d") for item in tones) >= 4.5


def test_a_label_keeps_its_colour() -> None:
    # Pictures of different days are compared with each other.
    assert tone("founded_by") == ("#7347af", "#be9df7")


def test_widths_of_texts() -> None:
    assert width("Microsoft", 1000) == pytest.approx(833 + 222 + 500 + 333 + 556 + 500 + 556 + 278 + 278)
    assert width("é", 10) == width("e", 10) == width("e\u0301", 10)
    assert (
        width("👩‍🚀", 10) == width("👍🏽", 10) == width("🇧🇷", 10) == width("🚀", 10) > width("東", 10) > width("e", 10)
    )
    assert shorten("Microsoft", 10, 30) == "Micr…" and shorten("Ann", 10, 30) == "Ann"
    assert shown(" a\n b\t") == "a b" and direction("12 שלום a") == "rtl" and direction("...", "rtl") == "rtl"


# Errors


@pytest.mark.parametrize("what", ["text", 5, {"text": "a"}, ["text"], None])
def test_what_is_no_document_is_refused(what: Any) -> None:
    with pytest.raises(ValueError, match="R690"):
        draw(what)


def test_unknown_styles_and_options_are_refused(gates: Doc) -> None:
    with pytest.raises(ValueError, match=r"\[R691\].*'dep'.*arcs, graph"):
        render(gates, style="dep")
    with pytest.raises(ValueError, match=r"\[R692\].*'ents'"):
        draw(gates, ents=["ORG"])
    for name, value in (("labels", "a"), ("min_score", 2), ("symmetric", [1]), ("width", 5), ("spans_key", 1)):
        with pytest.raises(ValueError, match=rf"\[R693\].*'{name}'"):
            draw(gates, **{name: value})
