"""Entity types: what kinds there are, and which of them may stand where a label asks for others.

A named entity recogniser often errs between the kinds of names, and users name types that it never gives. So where
entities come from one, a type is demanded by degrees: what is not asked for, but near it, costs a part of the score.
"""

import re
from dataclasses import dataclass
from typing import Dict, FrozenSet, Optional, Sequence, Tuple

#: Types of OntoNotes that name something, and those of numbers and dates.
NAMES = frozenset("PERSON ORG GPE LOC FAC NORP PRODUCT EVENT WORK_OF_ART LAW LANGUAGE".split())
NUMBERS = frozenset("DATE TIME PERCENT MONEY QUANTITY ORDINAL CARDINAL".split())
ONTONOTES = NAMES | NUMBERS
#: Types of entities that rules find: a name or a noun phrase of which nothing else is known, an amount with its unit,
#: and how often something is done.
NAME, TERM, QUANTITY, FREQUENCY = "NAME", "TERM", "QUANTITY", "FREQUENCY"

_MEANS: Dict[str, str] = {
    "PERSON": "PER PEOPLE HUMAN INDIVIDUAL",
    "ORG": "ORGANIZATION ORGANISATION COMPANY FIRM BUSINESS INSTITUTION AGENCY UNIVERSITY TEAM CLUB PARTY BAND",
    "GPE": "CITY COUNTRY STATE TOWN VILLAGE PROVINCE CAPITAL MUNICIPALITY",
    "LOC": "LOCATION PLACE REGION RIVER LAKE MOUNTAIN SEA ISLAND CONTINENT",
    "FAC": "FACILITY BUILDING STADIUM AIRPORT BRIDGE VENUE",
    "PRODUCT": "DEVICE VEHICLE SOFTWARE BRAND",
    "WORK_OF_ART": "WORK BOOK NOVEL FILM MOVIE SONG ALBUM PAINTING",
    "NORP": "NATIONALITY RELIGION ETHNICITY",
    "DATE": "YEAR DAY MONTH",
    "MONEY": "PRICE CURRENCY COST",
    "PERCENT": "PERCENTAGE",
    "CARDINAL": "NUMBER COUNT",
}
#: Types of OntoNotes that a type of another name means.
SYNONYMS: Dict[str, Tuple[str, ...]] = {word: (name,) for name, words in _MEANS.items() for word in words.split()}
SYNONYMS.update(LOCATION=("LOC", "GPE", "FAC"), PLACE=("LOC", "GPE", "FAC"), REGION=("LOC", "GPE"))
# Words of types that numbers and times belong to.
_NUMERIC = frozenset(
    "dose dosage amount quantity number frequency duration age year price cost percentage rate size length weight "
    "height distance temperature speed score count value time period date day month interval measure".split()
)

#: What a type that is near costs, in log-odds: another name than the one that is asked for; and what the recogniser
#: can't tell: a type that it never gives, or a phrase found by a rule. Chosen on `corpora_src/paragraphs`.
OTHER_NAME, UNKNOWN = 0.5, 0.9
FORBIDDEN = float("inf")


@dataclass(frozen=True)
class TypeRules:
    """Which entity types may stand where others are asked for.

    given (Optional[FrozenSet[str]]): the types that the pipeline's entities may have. None for strict rules: only what
        is asked for.
    """

    given: Optional[FrozenSet[str]] = None

    def cost(self, have: str, wanted: Sequence[str]) -> float:
        """What it costs that an entity stands in a place.

        have (str): its type.
        wanted (Sequence[str]): the types that a label asks for there; any where empty.
        RETURNS (float): log-odds to take from the score; 0 for what is asked for, infinite for what can't be.
        """
        if self.given is None:
            return 0.0 if not wanted or have in wanted else FORBIDDEN
        if not wanted:
            return UNKNOWN if have == TERM else 0.0
        return min(self._near(have, type_) for type_ in wanted)

    def unknown(self, wanted: Sequence[str]) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): those of the types that no entity of the pipeline has, under no name."""
        return tuple(type_ for type_ in wanted if not self._known(type_))

    def _known(self, wanted: str) -> FrozenSet[str]:
        """RETURNS (FrozenSet[str]): the types of the pipeline that are meant."""
        given = self.given or frozenset()
        return (
            frozenset((wanted,)) & given
            or frozenset(type_ for type_ in given if type_.upper() == wanted.upper())
            or frozenset(SYNONYMS.get(wanted.upper(), ())) & given
        )

    def _near(self, have: str, wanted: str) -> float:
        known = self._known(wanted)
        if have == wanted or have in known:
            return 0.0
        if not known:
            if is_numeric(wanted):
                return 0.0 if have in NUMBERS or have in (QUANTITY, FREQUENCY) else FORBIDDEN
            return UNKNOWN if have in NAMES or have in (NAME, TERM) else FORBIDDEN
        if known & NAMES:
            return OTHER_NAME if have in NAMES or have == NAME else FORBIDDEN
        return OTHER_NAME if known & NUMBERS and have in NUMBERS else FORBIDDEN


#: Only what is asked for.
STRICT = TypeRules()


def is_numeric(type_: str) -> bool:
    """RETURNS (bool): whether a type, by its name, is one of numbers or times: `DOSE`, `StartYear`, `dose_amount`."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", type_)
    return type_ in NUMBERS or bool(words) and words[-1].lower() in _NUMERIC
