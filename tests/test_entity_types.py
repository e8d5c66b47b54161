"""Which entity types may stand where a label asks for others."""

import pytest

from spacy_ragre.entity_types import FORBIDDEN, ONTONOTES, OTHER_NAME, STRICT, UNKNOWN, TypeRules, is_numeric
from spacy_ragre.labels import LabelSet

NEAR = TypeRules(ONTONOTES)


@pytest.mark.parametrize(
    ("have", "wanted", "cost"),
    [
        ("ORG", [], 0.0),
        ("ORG", ["ORG"], 0.0),
        ("ORG", ["COMPANY"], FORBIDDEN),
        ("ORG", ["PERSON"], FORBIDDEN),
        ("TERM", [], 0.0),
    ],
)
def test_strict_rules_take_what_is_asked_for(have, wanted, cost):
    assert STRICT.cost(have, wanted) == cost


@pytest.mark.parametrize(
    ("have", "wanted", "cost"),
    [
        ("ORG", ["PERSON", "ORG"], 0.0),
        ("ORG", ["COMPANY"], 0.0),  # another name of a type that is found
        ("GPE", ["Location"], 0.0),
        ("PERSON", ["Person"], 0.0),  # the same type in other letters
        ("PERSON", ["org"], OTHER_NAME),
        ("PERSON", ["ORG"], OTHER_NAME),
        ("NAME", ["ORG"], OTHER_NAME),
        ("DATE", ["ORG"], FORBIDDEN),
        ("ORG", ["DATE"], FORBIDDEN),
        ("TIME", ["DATE"], OTHER_NAME),
        ("TERM", ["PERSON"], FORBIDDEN),
        ("TERM", ["DRUG"], UNKNOWN),  # a type that nothing finds
        ("ORG", ["DRUG"], UNKNOWN),
        ("QUANTITY", ["DRUG"], FORBIDDEN),
        ("QUANTITY", ["Dose"], 0.0),
        ("FREQUENCY", ["FREQUENCY"], 0.0),
        ("TERM", ["DOSE"], FORBIDDEN),
        ("TERM", [], UNKNOWN),  # no recogniser says that it is a name
        ("NAME", [], 0.0),
    ],
)
def test_near_types_cost_something(have, wanted, cost):
    assert NEAR.cost(have, wanted) == cost


def test_types_of_a_recogniser_of_one_s_own_are_kept_apart():
    own = TypeRules(frozenset({"DRUG", "CONDITION", "COMPANY"}))
    assert own.cost("DRUG", ["CONDITION"]) == FORBIDDEN
    assert own.cost("COMPANY", ["COMPANY"]) == 0 and own.cost("ORG", ["COMPANY"]) == FORBIDDEN
    assert own.unknown(["DRUG", "ORG", "CITY"]) == ("ORG", "CITY")
    assert NEAR.unknown(["COMPANY", "DRUG", "FOOD", "DATE"]) == ("DRUG", "FOOD")


def test_numbers_are_told_by_the_last_word():
    assert all(is_numeric(name) for name in ("DOSE", "StartYear", "dose_amount", "CARDINAL", "Price"))
    assert not any(is_numeric(name) for name in ("DRUG", "AgeGroup", "", "Person"))


def test_costs_of_classes():
    labels = LabelSet(
        {
            "treats": {"text": "treats", "head_types": ["DRUG"], "tail_types": ["CONDITION"]},
            "married_to": {"text": "married", "symmetric": True, "head_types": ["PERSON"], "tail_types": ["ORG"]},
        }
    )
    assert labels.costs("PERSON", "ORG") == [0, FORBIDDEN, FORBIDDEN, 0]
    assert labels.costs("ORG", "PERSON", NEAR) == [0, 2 * UNKNOWN, 2 * UNKNOWN, 0]
    assert labels.allowed("TERM", "DATE", NEAR) == [True, False, False, False]
