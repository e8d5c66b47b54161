"""Names of one entity, rule by rule."""

from typing import Any, List, Sequence, Tuple

import pytest

from spacy_ragre.components.clusters.names import Group, is_short_for, join_names, read_name, split_words

PERSON, ORGANISATION, PLACE, VALUE = "person", "organisation", "place", "value"
ON = {"partial": True, "acronyms": True, "demonyms": True}


def join(kind: str, *names: str, **settings: Any) -> List[int]:
    """For each name, the first one that it is joined with."""
    return join_names([Group([(name, kind)]) for name in names], **{**ON, **settings})


def groups(*names: Tuple[str, str], **settings: Any) -> List[int]:
    return join_names([Group([name]) for name in names], **{**ON, **settings})


@pytest.mark.parametrize(
    "kind, names",
    [
        (PERSON, ("Marie Curie", "MARIE CURIE", "Marie Curie's", "Marie Curie ’s")),
        (ORGANISATION, ("the World Bank", "World Bank", "The World Bank's")),
        (ORGANISATION, ("Apple Inc.", "Apple", "Apple, Inc", "Apple Corporation")),
        (ORGANISATION, ("Ho - Chunk", "Ho-Chunk")),
        (PLACE, ("U.S.", "US", "the United States", "United States of America", "America", "U. S. A.")),
        (PLACE, ("Republic of Kazakhstan", "Kazakhstan")),
        (PERSON, ("Níkos Aliágas", "Nikos Aliagas")),
        ("thing DRUG", ("Aspirin", "aspirin")),
        (PLACE, ("ירושלים", "ירושלים")),
    ],
)
def test_one_name_written_in_several_ways(kind: str, names: Sequence[str]) -> None:
    assert join(kind, *names, partial=False, acronyms=False) == [0] * len(names)


@pytest.mark.parametrize(
    "names",
    [
        ("Marie Curie", "Curie", "Marie", "Dr. Curie", "M. Curie", "Mrs. Curie", "Marie S. Curie"),
        ("Martin Luther King", "Luther King", "King"),
        ("William Hepburn Armstrong", "William H. Armstrong", "W. H. Armstrong"),
        ("Vincent van Gogh", "van Gogh"),
        ("Paul Desmarais Jr.", "Paul Desmarais"),
        ("Curie", "Marie Curie"),
    ],
)
def test_parts_of_a_person_s_name(names: Sequence[str]) -> None:
    assert join(PERSON, *names) == [0] * len(names)
    assert len(set(join(PERSON, *names, partial=False))) > 1


def test_persons_with_one_surname_are_never_joined() -> None:
    assert join(PERSON, "Marie Curie", "Pierre Curie") == [0, 1]
    # A surname that both have is that of the one who was named first, but where a title says otherwise.
    assert join(PERSON, "Marie Curie", "Pierre Curie", "Curie") == [0, 1, 0]
    assert join(PERSON, "Marie Curie", "Pierre Curie", "Mr. Curie") == [0, 1, 1]
    assert join(PERSON, "Curie", "Marie Curie", "Pierre Curie") == [0, 1, 2]
    assert join(PERSON, "George W. Bush", "George Bush", "George H. W. Bush")[0] == 0
    assert len(set(join(PERSON, "George Bush Jr.", "George Bush Sr."))) == 2
    assert len(set(join(PERSON, "Carol I", "Carol II"))) == 2
    assert join(PERSON, "Mr. Poe", "Mrs. Poe") == [0, 1]
    assert join(PERSON, "John Poe", "Mrs. Poe") == [0, 1]


def test_parts_of_an_organisation_s_name() -> None:
    assert join(ORGANISATION, "Johns Hopkins University", "Johns Hopkins") == [0, 0]
    assert join(ORGANISATION, "San Antonio Spurs", "Spurs") == [0, 0]
    assert join(ORGANISATION, "Bank of America", "America") == [0, 1]
    assert join(ORGANISATION, "Church of England", "Church") == [0, 1]
    # Two that a part fits are none.
    assert join(ORGANISATION, "Sony Music", "Sony Pictures", "Sony") == [0, 1, 2]
    # Parts of other names say nothing.
    assert join(PLACE, "New Mexico", "Mexico") == [0, 1]
    assert join("thing WORK", "Super Breakout", "Breakout") == [0, 1]


def test_acronyms() -> None:
    assert join(ORGANISATION, "World Health Organization", "WHO", "W.H.O.") == [0, 0, 0]
    assert join(ORGANISATION, "Communist Party of China", "CPC") == [0, 0]
    assert join(ORGANISATION, "World Health Organization", "WHO", acronyms=False) == [0, 1]
    assert join(ORGANISATION, "World Health Organization", "who", "WTO") == [0, 1, 2]
    assert groups(("European Union", ORGANISATION), ("EU", PLACE)) == [0, 0]
    assert groups(("John F. Kennedy", PERSON), ("JFK", PERSON)) == [0, 0]
    assert groups(("Alan Parker", PERSON), ("AP", ORGANISATION)) == [0, 1]
    # Two that an acronym fits are none.
    assert join(ORGANISATION, "Central Bank", "City Bank", "CB") == [0, 1, 2]


def test_what_is_explained_in_parentheses() -> None:
    assert is_short_for("OMB", "U.S. Office of Management and Budget")
    assert is_short_for("NAVFORGER", "United States Naval Forces Germany")
    assert not is_short_for("OMB", "Ministry of Trade") and not is_short_for("Bern", "Big Eastern Region")
    assert not is_short_for("", "A B") and not is_short_for("AB", "")
    names = [Group([("United States Naval Forces Germany", ORGANISATION)]), Group([("NAVFORGER", ORGANISATION)])]
    assert join_names(names, **ON, defined=[(0, 1)]) == [0, 0] and join_names(names, **ON) == [0, 1]


def test_demonyms_where_both_are_places() -> None:
    assert join(PLACE, "France", "French", "Frenchmen") == [0, 0, 0]
    assert join(PLACE, "American", "U.S.", "Americans") == [0, 0, 0]
    assert join(PLACE, "France", "French", demonyms=False) == [0, 1]
    assert groups(("France", PLACE), ("French", "group")) == [0, 1]


def test_other_ids_are_never_joined() -> None:
    one, other = Group([("Paris", PLACE)], "Q90"), Group([("Paris", PLACE)], "Q830149")
    assert join_names([one, other], **ON) == [0, 1]
    assert join_names([one, Group([("Paris", PLACE)]), Group([("PARIS", PLACE)], "Q90")], **ON) == [0, 0, 0]


def test_values_are_joined_by_their_words_alone() -> None:
    assert join(VALUE, "July 31, 1946", "July 31 , 1946", "1946") == [0, 0, 2]


@pytest.mark.parametrize(
    "name", ["", " ", ".", "—", "A", "'", "'s", "the", "Dr.", "Jr.", "🙂", "्", "a\u200cb", "I", "Inc."]
)
@pytest.mark.parametrize("kind", [PERSON, ORGANISATION, PLACE, VALUE, "thing X"])
def test_odd_names_are_names(name: str, kind: str) -> None:
    assert read_name(name, kind).words
    assert join(kind, name, "Ann Poe", name)[2] == 0


def test_one_letter_names_are_not_taken_for_others() -> None:
    assert join(PERSON, "Ann B. Poe", "B", "A", "P") == [0, 1, 2, 3]


def test_words_of_other_scripts_keep_their_marks() -> None:
    assert split_words("अर्जुन") == ["अर्जुन"] and split_words("Qurʾān") == split_words("Quran")
    assert split_words("על־ידי מרים") == ["על", "ידי", "מרים"]
    assert join(PERSON, "مريم العلي", "العلي") == [0, 0]


@pytest.mark.parametrize(
    "kind, name",
    [(PERSON, "A{} Smith"), (PERSON, "{} B. Smith"), (ORGANISATION, "National A{} Bank"), (PLACE, "New A{}")],
)
def test_thousands_of_names_with_common_words(kind: str, name: str) -> None:
    assert join(kind, *(name.format(i) for i in range(5000))) == list(range(5000))
