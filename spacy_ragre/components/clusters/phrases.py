"""Pronouns and noun phrases that name an entity that was named before: "she", "the company".

Candidates are weighed by salience (Lappin and Leass 1994, https://aclanthology.org/J94-4002): by the sentence they
stand in, and by their grammatical role there. Noun phrases that are no entities are candidates, too: a pronoun that
means one of them means no entity. All rules are English, over the dependency labels of spaCy's English pipelines.
"""

from collections import defaultdict
from typing import Callable, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from spacy.tokens import Doc, Span, Token

from .names import read_name
from .words import (
    COUNTRIES,
    COUNTRY_NOUNS,
    FEMALE_NOUNS,
    FEMALE_PRONOUNS,
    GENERAL_NOUNS,
    GROUP,
    LEADING_NOUNS,
    MALE_NOUNS,
    MALE_PRONOUNS,
    NEUTER_PRONOUNS,
    NOUNS,
    ORGANISATION,
    PERSON,
    PERSON_ENDINGS,
    PERSON_NOUNS,
    PLACE,
    PLURAL_PRONOUNS,
    VALUE,
)

# Weight of a mention by its role in the sentence; of others the last.
_ROLES = {"nsubj": 80, "nsubjpass": 80, "dobj": 50, "attr": 50, "dative": 40, "poss": 40, "pobj": 30, "compound": 0}
_OTHER_ROLE = 20
_MENTION = 50
_SAME_ROLE = 35
_SUBJECTS = ("nsubj", "nsubjpass")
_NAMES_SUBJECT = (*_SUBJECTS, "appos")
_BE = {
    "is",
    "was",
    "are",
    "were",
    "be",
    "been",
    "being",
    "'s",
    "’s",
    "become",
    "becomes",
    "became",
    "remains",
    "remained",
}
# An "it" that has one of these beside it stands for a clause ("it is known that").
_CLAUSES = ("ccomp", "csubj", "csubjpass", "advcl", "relcl")
_EMPTY_VERBS = _BE | {
    "seems",
    "seemed",
    "appears",
    "appeared",
    "takes",
    "took",
    "happens",
    "happened",
    "turns",
    "turned",
}
_WEATHER = {"rains", "rained", "raining", "snows", "snowed", "snowing"}
_REFLEXIVES = {"himself", "herself", "itself", "themselves"}
# Most mentions before an anaphor that are weighed.
_MOST = 40


class Entity(NamedTuple):
    """An entity that was named.

    mentions (Sequence[Tuple[int, int, str]]): token offsets and entity type of its mentions, "" of those that are no
        names.
    kind (str): what its type stands for.
    """

    mentions: Sequence[Tuple[int, int, str]]
    kind: str


class _Place(NamedTuple):
    """A mention, or a noun phrase that names no entity.

    owner (int): the entity; below 0 a noun phrase.
    root (int): its head, a token.
    sentence (int): the sentence's number.
    role (str): the head's dependency label.
    """

    owner: int
    root: int
    sentence: int
    role: str


def find_phrases(
    doc: Doc,
    entities: Sequence[Entity],
    *,
    pronouns: bool,
    noun_phrases: bool,
    nouns: Mapping[str, FrozenSet[str]],
    max_sentences: int,
) -> List[Tuple[int, int, int]]:
    """Find the pronouns and noun phrases that name one of the entities.

    doc (Doc): a document with a parse.
    entities (Sequence[Entity]): its entities.
    pronouns (bool): look for pronouns.
    noun_phrases (bool): look for noun phrases.
    nouns (Mapping[str, FrozenSet[str]]): more head nouns of noun phrases, by entity type.
    max_sentences (int): how many sentences before an anaphor its entity was last named, at most.
    RETURNS (List[Tuple[int, int, int]]): token offsets of each, and the index of its entity, in the order of the text.
    """
    return _Reader(doc, entities, nouns, max_sentences).read(pronouns, noun_phrases)


class _Reader:
    """Reads a document from its beginning to its end, and knows which entities were named where."""

    def __init__(
        self, doc: Doc, entities: Sequence[Entity], nouns: Mapping[str, FrozenSet[str]], max_sentences: int
    ) -> None:
        self.doc = doc
        self.entities = entities
        self.max_sentences = max_sentences
        self.nouns = nouns
        self.sentences = [0] * len(doc)
        for number, sent in enumerate(doc.sents):
            self.sentences[sent.start : sent.end] = [number] * len(sent)
        mentions = [(owner, mention) for owner, entity in enumerate(entities) for mention in entity.mentions]
        self.owners = {i: owner for owner, (start, end, _) in mentions for i in range(start, end)}
        self.genders = ["" for _ in entities]
        self.described: List[Set[str]] = [set() for _ in entities]
        self.named: List[Set[str]] = [set() for _ in entities]
        self.countries = [False for _ in entities]
        for owner, (start, end, label) in mentions:
            self._take_name(owner, doc[start:end], label)
        self.places: List[_Place] = []

    def _take_name(self, i: int, span: Span, label: str) -> None:
        kind = self.entities[i].kind
        if label:
            name = read_name(span.text, kind)
            # "Lyon University", "University of Lyon", "Lake Como", and no "State Highway 82".
            pairs = zip(name.words, (*name.words[1:], ""))
            self.named[i].update(word for word, after in pairs if after in ("", "of") or word in LEADING_NOUNS)
            self.countries[i] |= " ".join(name.words) in COUNTRIES
            if kind == PERSON:
                self.genders[i] = self.genders[i] or name.gender
        root = span.root
        described = [child for child in root.children if child.dep_ in ("appos", "compound")]
        if root.dep_ == "appos":
            described.append(root.head)
        if root.dep_ == "pobj" and root.head.lower_ == "of" and _noun(root.head.head) in NOUNS.get(kind, ()):
            described.append(root.head.head)
        if root.dep_ in _SUBJECTS and root.head.lower_ in _BE:
            described += [child for child in root.head.children if child.dep_ == "attr"]
        for token in (token for token in described if token.i not in self.owners):
            noun = _noun(token)
            self.described[i].add(noun)
            if kind == PERSON and not self.genders[i]:
                self.genders[i] = "m" if noun in MALE_NOUNS else "f" if noun in FEMALE_NOUNS else ""

    def read(self, pronouns: bool, noun_phrases: bool) -> List[Tuple[int, int, int]]:
        doc = self.doc
        starts: Dict[int, List[Tuple[int, int]]] = defaultdict(list)  # by the first token: end, and entity or -1
        for i, entity in enumerate(self.entities):
            for start, end, _ in entity.mentions:
                starts[start].append((end, i))
        for chunk in doc.noun_chunks:
            if chunk.root.i not in self.owners and chunk.root.pos_ != "PRON" and not self._describes(chunk.root):
                starts[chunk.start].append((chunk.end, -1))
        found = []
        for token in doc:
            if pronouns and token.i not in self.owners:
                owner = self._pronoun(token)
                if owner is not None:
                    found.append((token.i, token.i + 1, owner))
                    self._add(owner, token)
            for end, i in starts.get(token.i, ()):
                span = doc[token.i : end]
                known = self._noun_phrase(span) if i < 0 and noun_phrases else None
                if known is not None:
                    found.append((span.start, span.end, known))
                self._add(i if known is None else known, span.root)
        return found

    def _describes(self, token: Token) -> bool:
        """RETURNS (bool): whether a noun says what an entity is, and names nothing besides it: "Acme, a bank", "the
        bank, Acme", "Acme is a bank and a brand", "the city of Lyon".
        """
        while token.dep_ == "conj":
            token = token.head
        beside = [token.head] if token.dep_ == "appos" else [c for c in token.children if c.dep_ == "appos"]
        if any(other.i in self.owners for other in beside):
            return True
        if token.dep_ == "attr" and any(c.dep_ in _SUBJECTS and c.i in self.owners for c in token.head.children):
            return True
        return any(_noun(token) in NOUNS.get(self.entities[owner].kind, ()) for owner in self._after_of(token))

    def _after_of(self, token: Token) -> List[int]:
        """RETURNS (List[int]): the entities that stand behind a noun and "of"."""
        names = (word.i for child in token.children if child.lower_ == "of" for word in child.children)
        return [self.owners[i] for i in names if i in self.owners]

    def _add(self, owner: int, root: Token) -> None:
        role = root.head.dep_ if root.dep_ == "appos" else root.dep_
        self.places.append(_Place(owner if owner >= 0 else -1 - root.i, root.i, self.sentences[root.i], role))

    # Pronouns

    def _pronoun(self, token: Token) -> Optional[int]:
        word = token.lower_
        if word in MALE_PRONOUNS or word in FEMALE_PRONOUNS:
            gender = "m" if word in MALE_PRONOUNS else "f"
            return self._weigh(token, lambda place: self._fits_person(place, gender), gender)
        if word in NEUTER_PRONOUNS:
            return None if _is_empty(token) else self._weigh(token, self._fits_thing)
        if word in PLURAL_PRONOUNS:
            return self._weigh(token, self._fits_several)
        return None

    def _fits_person(self, place: _Place, gender: str) -> bool:
        if place.owner >= 0:
            return self.entities[place.owner].kind == PERSON and self.genders[place.owner] in ("", gender)
        noun = _noun(self.doc[place.root])
        other = FEMALE_NOUNS if gender == "m" else MALE_NOUNS
        return not _is_plural(self.doc[place.root]) and _is_person(noun) and noun not in other

    def _fits_thing(self, place: _Place) -> bool:
        if place.owner >= 0:
            return self._is_thing(place) and not self._are_things(place)
        token = self.doc[place.root]
        return not _is_plural(token) and not _is_person(_noun(token)) and token.ent_type_ == ""

    def _fits_several(self, place: _Place) -> bool:
        if place.owner >= 0:
            # Persons that are named together are several.
            kind = self.entities[place.owner].kind
            together = kind == PERSON and _is_joined(self.doc[place.root])
            return together or kind in (ORGANISATION, GROUP) or self._are_things(place)
        return _is_plural(self.doc[place.root]) or _is_joined(self.doc[place.root])

    def _is_thing(self, place: _Place) -> bool:
        return self.entities[place.owner].kind not in (PERSON, GROUP, VALUE)

    def _are_things(self, place: _Place) -> bool:
        """RETURNS (bool): whether an entity is a thing with a plural name, and no team or place ("the Rovers")."""
        named = self.entities[place.owner].kind in (ORGANISATION, PLACE)
        return self._is_thing(place) and not named and self.doc[place.root].tag_ == "NNS"

    def _weigh(self, token: Token, fits: Callable[[_Place], bool], gender: str = "") -> Optional[int]:
        """RETURNS (Optional[int]): the entity that a pronoun names; None where it names none of them, or may. If there
        is no other candidate, the pronoun tells the entity's gender.
        """
        sentence = self.sentences[token.i]
        clause = _subjects(token)
        weights: Dict[int, Dict[int, float]] = defaultdict(dict)
        for place in self.places[-_MOST:]:
            distance = sentence - place.sentence
            if distance > self.max_sentences or not fits(place):
                continue
            if token.lower_ in _REFLEXIVES and place.root not in clause:
                continue
            weight = (_MENTION + _ROLES.get(place.role, _OTHER_ROLE)) / 2**distance
            weight += _SAME_ROLE / 2**distance if _role(token) == place.role else 0
            own = weights[place.owner]
            own[distance] = max(own.get(distance, 0.0), weight)
        if token.lower_ not in _REFLEXIVES and token.dep_ not in ("poss", *_SUBJECTS):
            # "Ann told her": another one than the subject.
            for place in self.places[-_MOST:]:
                if place.root in clause:
                    weights.pop(place.owner, None)
        order = sorted(((sum(own.values()), owner) for owner, own in weights.items()), reverse=True)
        if not order or (len(order) > 1 and order[0][0] == order[1][0]):
            return None
        best = order[0][1]
        if token.lower_ in PLURAL_PRONOUNS and any(i < 0 or self.entities[i].kind == PERSON for _, i in order):
            # An organisation is "they" only where no others are in sight.
            return None
        if best >= 0 and gender and len(order) == 1:
            self.genders[best] = gender
        return best if best >= 0 else None

    # Noun phrases

    def _noun_phrase(self, span: Span) -> Optional[int]:
        """RETURNS (Optional[int]): the entity that "the company" names: the last one of those that the text calls so,
        else the only one that may be called so.
        """
        root = span.root
        if span[0].lower_ not in ("the", "this") or root.i != span.end - 1 or _is_plural(root):
            return None
        if any(
            child.dep_ in ("prep", "relcl", "acl", "appos", "compound", "amod")
            for child in root.children
            if child.i > root.i
        ):
            return None
        noun = " ".join(token.lower_ for token in span[1:])
        sentence = self.sentences[root.i]
        called: List[int] = []
        may: List[int] = []
        for place in reversed(self.places[-_MOST:]):
            owner = place.owner
            if owner < 0 or sentence - place.sentence > self.max_sentences:
                continue
            if owner not in called and self._is_called(owner, noun):
                called.append(owner)
            if owner not in may and self._may_be_called(owner, noun):
                may.append(owner)
        if called:
            return called[0]
        return may[0] if len(may) == 1 else None

    def _is_called(self, owner: int, noun: str) -> bool:
        entity = self.entities[owner]
        labels = {label for _, _, label in entity.mentions if label}
        own = {word for label in labels for word in (label.lower().replace("_", " "), *self.nouns.get(label, ()))}
        if noun in own and entity.kind not in (PERSON, VALUE):
            return True
        fits = noun in NOUNS.get(entity.kind, ()) or noun in own
        return fits and (noun in self.described[owner] or noun in self.named[owner])

    def _may_be_called(self, owner: int, noun: str) -> bool:
        entity = self.entities[owner]
        if noun not in GENERAL_NOUNS.get(entity.kind, ()) or self.described[owner] & (NOUNS[entity.kind] - {noun}):
            return False
        if entity.kind == PERSON:
            return self.genders[owner] == ("m" if noun in MALE_NOUNS else "f")
        if entity.kind == PLACE:
            if all(label in ("", "FAC") for _, _, label in entity.mentions):  # a building is no city
                return False
            return (noun in COUNTRY_NOUNS) == self.countries[owner]
        return True


def _noun(token: Token) -> str:
    return str(token.lower_)


def _is_person(noun: str) -> bool:
    return noun in PERSON_NOUNS or noun.endswith(PERSON_ENDINGS)


def _is_plural(token: Token) -> bool:
    return token.tag_ in ("NNS", "NNPS") or "Plur" in token.morph.get("Number", [])


def _is_joined(token: Token) -> bool:
    return token.dep_ == "conj" or any(child.dep_ == "conj" for child in token.children)


def _role(token: Token) -> str:
    return str(token.dep_)


def _verb(token: Token) -> Token:
    """RETURNS (Token): the verb that a token belongs to, or the head of its sentence."""
    while token.head.i != token.i and token.pos_ not in ("VERB", "AUX"):
        token = token.head
    return token


def _subjects(token: Token) -> Set[int]:
    """RETURNS (Set[int]): the subjects of the verb that a token belongs to."""
    subjects = [child for child in _verb(token.head).children if child.dep_ in _SUBJECTS]
    return {word.i for subject in subjects for word in (subject, *subject.children) if word.dep_ in _NAMES_SUBJECT}


def _is_empty(token: Token) -> bool:
    """RETURNS (bool): whether an "it" names nothing ("it rains", "it is clear that")."""
    if token.dep_ == "expl":
        return True
    verb = token.head
    if token.dep_ not in _SUBJECTS:
        return False
    near = [verb, *(child for child in verb.children if child.dep_ in ("acomp", "attr", "xcomp", "oprd"))]
    clause = any(child.dep_ in _CLAUSES and child.i > token.i for word in near for child in word.children)
    clause = clause or any(c.dep_ == "xcomp" for word in near[1:] for c in word.children)
    return verb.lower_ in _WEATHER or (clause and (verb.lower_ in _EMPTY_VERBS or token.dep_ == "nsubjpass"))
