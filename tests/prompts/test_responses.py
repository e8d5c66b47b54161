"""Responses as text: written, read leniently, and aligned strictly."""

import pytest

from spacy_ragre.prompts.responses import (
    Aligner,
    count_answers,
    read_entities,
    read_triples,
    response_pieces,
    write_entities,
    write_triples,
)

KINDS = ("supplement", "event")
RELATIONS = ("positive", "negative")
TEXT = "Zinc helps; zinc\n lozenge and fish  oil for dry eyes, zinc again."


def test_written_lists_are_read_back():
    mentions = [("fish oil", "supplement"), ("BP 152/94 (sitting)", "event")]
    assert write_entities(mentions) == "fish oil (supplement); BP 152/94 (sitting) (event)"
    assert read_entities(" " + write_entities(mentions), KINDS) == (mentions, 0)
    triples = [("fish oil", "positive", "dry eyes"), ("zinc", "negative", "rash")]
    assert write_triples(triples) == "fish oil | positive | dry eyes; zinc | negative | rash"
    assert read_triples(write_triples(triples), RELATIONS) == (triples, 0)
    assert write_entities([]) == write_triples([]) == "none"
    assert read_entities(" none", KINDS) == read_triples("None.", RELATIONS) == ([], 0)


def test_line_breaks_in_a_name_are_written_as_spaces():
    assert write_entities([("fish\n oil", "supplement")]) == "fish oil (supplement)"


@pytest.mark.parametrize(
    "response, items, malformed",
    [
        ("", [], 0),
        ("I can't help with that.", [], 1),
        ("zinc (Supplement) ; rash ( event )", [("zinc", "supplement"), ("rash", "event")], 0),
        ("zinc (supplement); rash (evil); (event); fish", [("zinc", "supplement")], 3),
        ("zinc (supplement)\nrash (event)", [("zinc", "supplement")], 0),
        ("zinc (supplement); " * 3, [("zinc", "supplement")] * 3, 0),
        ('[{"name": "zinc"}]', [], 1),
    ],
)
def test_entities_that_are_no_list(response, items, malformed):
    assert read_entities(response, KINDS) == (items, malformed)


@pytest.mark.parametrize(
    "response, items, malformed",
    [
        ("zinc helps rash", [], 1),
        ("zinc | positive", [], 1),
        ("zinc | cures | rash; | positive | rash; zinc | positive |", [], 3),
        ("zinc | positive | rash | eyes", [], 1),
        ("zinc|Negative|rash", [("zinc", "negative", "rash")], 0),
    ],
)
def test_triples_that_are_no_list(response, items, malformed):
    assert read_triples(response, RELATIONS) == (items, malformed)


def test_repeated_mentions_are_told_apart_by_their_order():
    places = Aligner(TEXT).align(["zinc", "fish oil", "zinc", "zinc", "zinc"])
    # Small letters stand in the text, so that these places come first; a third small one does not exist.
    assert places == [(12, 16), (30, 39), (54, 58), None, None]
    assert [TEXT[slice(*place)] for place in places if place] == ["zinc", "fish  oil", "zinc"]


def test_white_space_and_case_do_not_matter_where_the_text_has_no_same_case():
    aligner = Aligner(TEXT)
    assert aligner.align(["ZINC LOZENGE"]) == [(12, 25)]
    assert aligner.places("Dry Eyes") == [(44, 52)]


def test_names_that_are_not_in_the_text_have_no_place():
    aligner = Aligner(TEXT)
    assert aligner.align(["zin", "oil of fish", "", "  ", "...", "eyes, zin", "🙂"]) == [None] * 7
    assert Aligner("").align(["zinc"]) == [None]


def test_mentions_do_not_share_words():
    assert Aligner("fish oil").align(["fish oil", "oil"]) == [(0, 8), None]


def test_out_of_order_mentions_are_still_found():
    assert Aligner("zinc for rash").align(["rash", "zinc"]) == [(9, 13), (0, 4)]


def test_pieces_of_a_response_keep_the_space_before_them():
    assert response_pieces(" fish oil (event); VSL#3") == [" fish", " oil", " (", "event", ")", ";", " VSL", "#", "3"]
    assert "".join(response_pieces(" a | b")) == " a | b"


@pytest.mark.parametrize(
    "response, answers",
    [
        ("fish oil (supplement); dry eyes (event)", 2),
        ("fish oil | positive | dry eyes", 1),
        ("none", 1),
        ("", 1),
        ("not related", 1),
    ],
)
def test_answers_of_a_response(response, answers):
    assert count_answers(response) == answers
