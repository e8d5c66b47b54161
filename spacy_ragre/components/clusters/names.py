"""Names of one entity: "Marie Curie" and "Dr. Curie", "Apple Inc." and "Apple", "World Bank" and "WB"."""

import re
import unicodedata
from collections import defaultdict
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple

from .words import (
    ARTICLES,
    DEGREES,
    DEMONYMS,
    FEMALE_NAMES,
    FEMALE_TITLES,
    GENERATIONS,
    LEGAL_FORMS,
    MALE_NAMES,
    MALE_TITLES,
    ORGANISATION,
    PERSON,
    PLACE,
    PLACE_NAMES,
    PLACE_STARTS,
    SMALL,
    TITLES,
    VALUE,
)

_POSSESSIVE = re.compile(r"(?:\s?['’]s|(?<=s)\s?['’])$", re.IGNORECASE)
_DOTTED = re.compile(r"\b(?:\w\.\s?){2,}")
# Words inside of a name that join another name to it.
_INNER = SMALL | {"s"}
_APOSTROPHES = re.compile(r"[‘’'ʼ`]")


class Name(NamedTuple):
    """A name as it is compared.

    words (Tuple[str, ...]): its words in lower case, without articles, titles, legal forms and possessives.
    gender (str): "m" or "f" where a title or a first name tells, else "".
    generation (str): "jr", "iii" and so on, of a person.
    acronym (str): of a name that is written like an acronym, its letters in lower case, else "".
    """

    words: Tuple[str, ...]
    gender: str = ""
    generation: str = ""
    acronym: str = ""


def read_name(text: str, kind: str) -> Name:
    """text (str): the name as it stands in the text.
    kind (str): what its entity type stands for.
    RETURNS (Name): the name as it is compared. Its words are those of the text where nothing else would be left.
    """
    bare = _POSSESSIVE.sub("", text.strip())
    words = split_words(bare, dotted=kind != PERSON)
    while len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    if kind == PERSON:
        return _read_person(words, bare)
    if kind == ORGANISATION:
        words = _without(words, LEGAL_FORMS)
    return Name(tuple(words), acronym=_acronym(bare))


def split_words(text: str, dotted: bool = True) -> List[str]:
    """text (str): a text.
    dotted (bool): read letters with dots as one word ("U.S.").
    RETURNS (List[str]): its words in lower case, Latin letters without accents. A text without words is one.
    """
    if dotted:
        text = _DOTTED.sub(lambda found: re.sub(r"[.\s]", "", found.group()) + " ", text)
    text = _APOSTROPHES.sub("", text)
    if not text.isascii():
        text = "".join(map(_letter, unicodedata.normalize("NFKC", text).casefold()))
    words = re.findall(r"[a-z0-9]+", text.lower()) if text.isascii() else text.split()
    return words or [text.casefold()]


def _letter(letter: str) -> str:
    """RETURNS (str): how a letter is compared: marks of other scripts count, those of Latin letters don't."""
    if "ʰ" <= letter <= "˿":  # signs of transliterations ("Qurʾān")
        return ""
    base = unicodedata.normalize("NFKD", letter)
    if base[0].isascii():
        return base[0] if base[0].isalnum() else " "
    if letter.isalnum():
        return letter
    category = unicodedata.category(letter)
    if category == "Cf" or (category == "Mn" and unicodedata.name(letter, "").startswith("COMBINING")):
        return ""
    return letter if category[0] == "M" else " "


def _acronym(text: str) -> str:
    letters = re.sub(r"[.\s-]", "", text)
    capitals = sum(letter.isupper() for letter in letters)
    short = 2 <= len(letters) <= 10 and letters[0].isupper() and letters.isalnum()
    if not short or (" " in text.strip() and "." not in text) or capitals < 2 or capitals < 0.6 * len(letters):
        return ""
    return letters.lower()


def _without(words: List[str], ends: Iterable[str]) -> List[str]:
    while len(words) > 1 and words[-1] in ends:
        words = words[:-1]
    return words


def _read_person(words: List[str], text: str) -> Name:
    gender = generation = ""
    while len(words) > 1 and words[0] in TITLES:
        gender = "m" if words[0] in MALE_TITLES else "f" if words[0] in FEMALE_TITLES else gender
        words = words[1:]
    while len(words) > 1 and words[-1] in DEGREES:
        words = words[:-1]
    if len(words) > 1 and words[-1] in GENERATIONS:
        generation = GENERATIONS[words[-1]]
        words = words[:-1]
    if not gender and (len(words) > 1 or words[0] not in TITLES):
        gender = "m" if words[0] in MALE_NAMES else "f" if words[0] in FEMALE_NAMES else ""
    return Name(tuple(words), gender, generation, _acronym(text))


def is_short_for(short: str, long: str) -> bool:
    """Whether a text is the acronym of another one, as one explains the other in parentheses: each of its letters
    stands in the longer text, in order, the first one at the beginning of a word (Schwartz and Hearst 2003).
    """
    letters, words = _acronym(short), split_words(long)
    if not letters or len(words) < 2:
        return False
    return any(_in_letters(letters, "".join(words[i:])) for i, word in enumerate(words[:-1]) if word[0] == letters[0])


def _in_letters(few: str, many: str) -> bool:
    rest = iter(many)
    return all(letter in rest for letter in few)


def fits_person(short: Name, long: Name) -> bool:
    """Whether a name may be a shorter form of another one of a person: "Curie", "Marie" and "M. Curie" of "Marie S.
    Curie". Of two names with first and last name, both must agree, and what stands between in the order that it has.
    """
    if short.gender and long.gender and short.gender != long.gender:
        return False
    if short.generation and (short.generation != long.generation):
        return False
    a, b = short.words, long.words
    if len(a) == 1:
        return len(a[0]) > 1 and a[0] in b
    if a[-1] == b[-1] and _agree(a[0], b[0]):
        return _in_order(a[1:-1], b[1:-1])
    return len(a) < len(b) and (b[: len(a)] == a or b[-len(a) :] == a)


def _agree(one: str, other: str) -> bool:
    return one == other or (1 in (len(one), len(other)) and one[0] == other[0])


def _in_order(few: Sequence[str], many: Sequence[str]) -> bool:
    rest = iter(many)
    return all(any(_agree(word, other) for other in rest) for word in few)


def fits_organisation(short: Name, long: Name) -> bool:
    """Whether a name may be how a longer one of an organisation begins or ends: "Johns Hopkins" and "Johns Hopkins
    University", "Spurs" and "San Antonio Spurs". A name in another one's "of" or "in" ("Bank of America", "Sony's
    studio") is its own.
    """
    a, b = short.words, long.words
    if len(a) >= len(b):
        return False
    return (b[: len(a)] == a and b[len(a)] not in _INNER) or (b[-len(a) :] == a and b[-len(a) - 1] not in _INNER)


# Joining


class Group(NamedTuple):
    """Mentions that are known to name one entity.

    names (Sequence[Tuple[str, str]]): text and kind of each mention that is a name.
    id (str): its id in a knowledge base, or "".
    """

    names: Sequence[Tuple[str, str]]
    id: str = ""


class _Entities:
    """Groups that become one another's by joining. Two with different ids never do, nor persons of different gender."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.parents = list(range(len(groups)))
        self.ids: List[Set[str]] = [{group.id} - {""} for group in groups]
        self.genders: List[Set[str]] = [set() for _ in groups]

    def find(self, i: int) -> int:
        while self.parents[i] != i:
            self.parents[i] = self.parents[self.parents[i]]
            i = self.parents[i]
        return i

    def join(self, i: int, j: int) -> None:
        i, j = sorted((self.find(i), self.find(j)))
        ids, genders = self.ids[i] | self.ids[j], self.genders[i] | self.genders[j]
        if i != j and len(ids) < 2 and len(genders) < 2:
            self.parents[j] = i
            self.ids[i], self.genders[i] = ids, genders


_Key = Tuple[str, ...]
# Parts of longer names than this are not looked for.
_MOST_WORDS = 12


class _Form(NamedTuple):
    """A name of a group, once for all mentions that have it."""

    name: Name
    kind: str
    group: int


def join_names(
    groups: Sequence[Group],
    *,
    partial: bool,
    acronyms: bool,
    demonyms: bool,
    defined: Sequence[Tuple[int, int]] = (),
) -> List[int]:
    """Find the groups whose names are those of one entity.

    groups (Sequence[Group]): the groups, in the order of the text.
    defined (Sequence[Tuple[int, int]]): groups of which one explains the other in parentheses; see `is_short_for`.
    partial (bool): join "Curie" with "Marie Curie", and "Toyota" with "Toyota Motor".
    acronyms (bool): join "WHO" with "World Health Organization".
    demonyms (bool): join "French" with "France", where both have a type of places.
    RETURNS (List[int]): for every group the first one that names the same entity.
    """
    entities = _Entities(groups)
    forms: List[_Form] = []
    for i, group in enumerate(groups):
        for text, kind in dict.fromkeys(group.names):
            name = read_name(text, kind)
            forms.append(_Form(name, kind, i))
            if name.gender and kind == PERSON:
                entities.genders[i].add(name.gender)
    _join_equal(entities, forms, demonyms)
    for one, other in defined:
        entities.join(one, other)
    if acronyms:
        _join_acronyms(entities, forms)
    if partial:
        _join_partial(entities, forms)
    return [entities.find(i) for i in range(len(groups))]


def _join_equal(entities: _Entities, forms: Sequence[_Form], demonyms: bool) -> None:
    first: Dict[Tuple[str, str, str], int] = {}
    for form in forms:
        text = " ".join(form.name.words)
        if form.kind == PLACE:
            text = _place(text, demonyms)
        entities.join(first.setdefault((form.kind, form.name.generation, text), form.group), form.group)


def _place(name: str, demonyms: bool) -> str:
    """RETURNS (str): the name that stands for all names of a place."""
    name = DEMONYMS.get(name, name) if demonyms else name
    if name in PLACE_NAMES:
        return PLACE_NAMES[name]
    start = next((start for start in PLACE_STARTS if name.startswith(start)), "")
    return name[len(start) :]


def _join_acronyms(entities: _Entities, forms: Sequence[_Form]) -> None:
    # Other kinds are easily taken for one another ("EU"), but persons are no organisations.
    long: Dict[Tuple[bool, str], Set[int]] = defaultdict(set)
    for form in forms:
        for initials in _initials(form.name.words) if form.kind != VALUE else ():
            long[form.kind == PERSON, initials].add(form.group)
    for form in forms:
        letters = form.name.acronym
        if len(letters) > 1 + (form.kind == PERSON) and form.kind != VALUE:
            found = {entities.find(i) for i in long.get((form.kind == PERSON, letters), ())}
            if len(found) == 1:
                entities.join(found.pop(), form.group)


def _initials(words: Sequence[str]) -> Set[str]:
    if len(words) < 2:
        return set()
    return {"".join(word[0] for word in words), "".join(word[0] for word in words if word not in SMALL)}


def _join_partial(entities: _Entities, forms: Sequence[_Form]) -> None:
    forms = [form for form in forms if form.kind in _FITS]
    index: Dict[_Key, List[_Form]] = defaultdict(list)
    for form in forms:
        for key in set(_found_under(form)):
            index[key].append(form)
    for form in sorted(forms, key=_size, reverse=True):
        fits = _FITS[form.kind]
        longer = (other for key in _looked_up(form) for other in index[key] if _size(other) > _size(form))
        found = {entities.find(other.group) for other in longer if fits(form.name, other.name)}
        own = entities.find(form.group)
        if len(found) > 1 and form.kind == PERSON:
            # A surname that several have is that of the one who was named first.
            found = set(sorted(i for i in found if i < form.group)[:1])
        if len(found) == 1 and own not in found:
            entities.join(found.pop(), form.group)


def _found_under(form: _Form) -> Iterator[_Key]:
    """YIELDS (Tuple[str, ...]): keys under which a name is found that may be longer than another one: how it begins and
    ends, and of a person each word, and the first with the last.
    """
    words = form.name.words
    for count in range(1, min(len(words), _MOST_WORDS) + 1):
        yield (form.kind, *words[:count])
        yield (form.kind, *words[-count:])
    if form.kind == PERSON and len(words) > 1:
        yield from ((form.kind, word) for word in words[:_MOST_WORDS])
        yield (form.kind, "first", words[0], words[-1])
        yield (form.kind, "initial of", words[0][0], words[-1])
        if len(words[0]) == 1:
            yield (form.kind, "initial", words[0], words[-1])


def _looked_up(form: _Form) -> Iterator[_Key]:
    """YIELDS (Tuple[str, ...]): the keys under which names are found that a name may be a part of."""
    words = form.name.words
    yield (form.kind, *words)
    if form.kind == PERSON and len(words) > 1:
        if len(words[0]) == 1:
            yield (form.kind, "initial of", words[0], words[-1])
        else:
            yield (form.kind, "first", words[0], words[-1])
            yield (form.kind, "initial", words[0][0], words[-1])


def _size(form: _Form) -> Tuple[int, int, int]:
    """RETURNS (Tuple[int, int, int]): how much a name tells."""
    return (len(form.name.words), sum(map(len, form.name.words)), len(form.name.generation))


_FITS: Dict[str, Callable[[Name, Name], bool]] = {PERSON: fits_person, ORGANISATION: fits_organisation}
