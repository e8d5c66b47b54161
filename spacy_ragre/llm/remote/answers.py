"""What an answer says of the pairs that were asked about: which statement holds, and how likely it is."""

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

from .questions import Question
from .replies import Reply, Token
from .wording import Choices

if TYPE_CHECKING:
    import numpy as np

# The score of what was not named. Nothing is certain: what a server rounds to 1 would else be infinite odds.
_NOT_NAMED = -1e4
_LEAST = 1e-6
# Models that reason may write their thoughts first.
_THOUGHTS = re.compile(r"^.*</think>", re.DOTALL)
_AROUND = " \t\r\n\"'`*.:,;()[]{}"
# What ends a list of letters, or begins an empty one.
_END = "]"


class Unreadable(Exception):
    """An answer that is not in the form that was asked for. It may be asked for again."""


@dataclass
class Tally:
    """What was wrong with answers that could be read.

    total (int): pairs that were asked about, or items that were listed.
    missing (int): pairs, or texts, that were left out.
    unknown (int): pairs that were answered with what is none of the statements, or items that lack a field.
    invented (int): answers to pairs that nobody asked about, or items that are not in the text.
    other (int): lists for texts that nobody asked about.
    """

    total: int = 0
    missing: int = 0
    unknown: int = 0
    invented: int = 0
    other: int = 0

    def add(self, other: "Tally") -> None:
        """other (Tally): of another answer."""
        self.total += other.total
        self.missing += other.missing
        self.unknown += other.unknown
        self.invented += other.invented
        self.other += other.other


def read_answer(question: Question, reply: Reply, choices: Choices) -> "Tuple[np.ndarray, Tally]":
    """Scores of the pairs of a question.

    question (Question): what was asked.
    reply (Reply): the answer.
    choices (Choices): what the letters stand for.
    RETURNS (Tuple[numpy.ndarray, Tally]): float32, *Shape* (pairs, letters): natural logs of probabilities, or where
        several statements may hold, their log-odds, against 0 for the first; NaN for pairs without an answer. Of an
        answer that was sampled, the letter that was drawn has all the probability. And what was wrong. An Unreadable
        is raised for an answer in another form.
    """
    import numpy as np

    several = question.form.several
    values = values_of(question, reply)
    tally = Tally(total=len(question.rows), invented=len(values.keys() - set(question.numbers)))
    scores = np.full((len(question.rows), len(choices.codes)), _NOT_NAMED, dtype="float32")
    for row, (number, allowed) in enumerate(zip(question.numbers, question.allowed)):
        given = values.get(number, [])
        named = [choices.match(value) for value in given]
        known = [index for index in named if index is not None and choices.codes[index] in allowed]
        if number not in values:
            tally.missing += 1
        elif len(known) < len(given) or (not several and len(known) != 1):
            tally.unknown += 1
            known = known if several else []
        if number not in values or not (known or several):
            scores[row] = np.nan
            continue
        places = [] if question.draw else _places(reply, None if question.form.bare else number)
        if several:
            scores[row, 0] = 0.0
            for index, odds in zip(known, _odds([choices.codes[i] for i in known], allowed, places)):
                if index:
                    scores[row, index] = odds
            continue
        scores[row, known[0]] = 0.0
        shares = _shares(choices.codes[known[0]], allowed, places)
        for code, share in shares.items():
            scores[row, list(choices.codes).index(code)] = math.log(max(share, _LEAST))
    return scores, tally


def values_of(question: Question, reply: Reply) -> Dict[str, List[object]]:
    """RETURNS (Dict[str, List[object]]): the values of each number. An Unreadable is raised where there are none."""
    text = _THOUGHTS.sub("", reply.text).strip()
    if question.form.bare:
        likeliest = None if question.draw else _likeliest(reply, question.allowed[0])
        return {"1": [likeliest or text]}
    single, lists = len(question.rows) == 1, bool(question.form.fields)
    # A list alone is that of the only text, and a letter alone that of the only pair.
    listed = _json_list(text) if lists and single else None
    found: Optional[Dict[str, object]] = _json_object(text) if listed is None else {"1": listed}
    if found is None and single and not lists and "{" not in text and text:
        found = {"1": text}
    if found is None:
        raise Unreadable("it holds no JSON object" if text else "it is empty")
    return {str(key).strip(): value if isinstance(value, list) else [value] for key, value in found.items()}


def _json_list(text: str) -> Optional[List[object]]:
    """RETURNS (Optional[List[object]]): a list that is not inside of an object."""
    start, end = text.find("["), text.rfind("]")
    inside = 0 <= text.find("{") < start
    try:
        found = json.loads(text[start : end + 1]) if 0 <= start < end and not inside else None
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _json_object(text: str) -> Optional[Dict[str, object]]:
    start, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1]) if 0 <= start < end else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


# Probabilities


def _likeliest(reply: Reply, allowed: Sequence[str]) -> Optional[str]:
    """RETURNS (Optional[str]): the likeliest of the letters that may stand first; None without probabilities of any."""
    mass = _mass(reply.tokens[0], allowed) if reply.tokens else {}
    return max(mass, key=lambda code: mass[code]) if mass else None


def _places(reply: Reply, number: Optional[str]) -> List[List[Token]]:
    """RETURNS (List[List[Token]]): the tokens that hold each value of a number, or where None those of a bare answer;
    none where the server told none, or tokens that do not make up the text.
    """
    if number is None:
        return [[reply.tokens[0]]] if reply.tokens else []
    whole = "".join(token.text for token in reply.tokens)
    found = list(re.finditer(rf'"{number}"\s*:\s*(\[[^\]]*\]?|"?[^",}}\]]*)', whole))
    if not found or reply.text.strip() not in whole:
        return []
    start, end = found[-1].span(1)
    places: List[List[Token]] = []
    for value in re.finditer(r"\w+", whole[start:end]):
        at, inside = 0, []
        for token in reply.tokens:
            if at < start + value.end() and at + len(token.text) > start + value.start():
                inside.append(token)
            at += len(token.text)
        places.append(inside)
    return places


def _mass(token: Token, codes: Sequence[str]) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): the probability of each of the codes that might stand in a token's place."""
    mass: Dict[str, float] = {}
    for text, logprob in dict([(token.text, token.logprob), *token.others]).items():
        code = text.strip(_AROUND)
        if code in codes:
            mass[code] = mass.get(code, 0.0) + math.exp(logprob)
    return mass


def _shares(chosen: str, allowed: Sequence[str], places: Sequence[Sequence[Token]]) -> Dict[str, float]:
    """How likely each letter is, among those that a pair may be answered with.

    chosen (str): the letter of the answer.
    allowed (Sequence[str]): all letters that the pair may have.
    places (Sequence[Sequence[Token]]): the tokens of the pair's values.
    RETURNS (Dict[str, float]): shares that add up to 1; nothing where the server tells no probabilities. A code of
        several tokens is as likely as these are together, and the others share what is left.
    """
    if len(places) != 1 or not places[0]:
        return {}
    tokens = places[0]
    if len(tokens) == 1 and tokens[0].others:
        mass = _mass(tokens[0], allowed)
        # What is not among the likeliest tokens is less likely than all of them, and has no more than they leave.
        listed = [math.exp(logprob) for _, logprob in tokens[0].others]
        rest = [code for code in allowed if code not in mass]
        least = min(min(listed), max(0.0, 1 - sum(listed)) / max(1, len(rest)))
        mass.update(dict.fromkeys(rest, least))
        total = sum(mass.values())
        return {code: value / total for code, value in mass.items()} if total > 0 else {}
    likely = math.exp(min(0.0, sum(token.logprob for token in tokens)))
    others = [code for code in allowed if code != chosen]
    return {chosen: likely if others else 1.0, **dict.fromkeys(others, (1 - likely) / max(1, len(others)))}


def _odds(named: Sequence[str], allowed: Sequence[str], places: Sequence[Sequence[Token]]) -> List[float]:
    """How sure each letter of a list is: where it was written, those of the list might stand, in any order, or those
    that are not in it, or its end.

    named (Sequence[str]): the letters.
    allowed (Sequence[str]): all letters that the pair may have.
    places (Sequence[Sequence[Token]]): the tokens of each.
    RETURNS (List[float]): log-odds, from -13.8 to 13.8; the highest without probabilities.
    """
    found = []
    for number in range(len(named)):
        share = 1.0
        tokens = places[number] if len(places) == len(named) else []
        if len(tokens) == 1 and tokens[0].others:
            mass = _mass(tokens[0], [*allowed])
            ends = sum(math.exp(logprob) for text, logprob in tokens[0].others if text.strip().startswith(_END))
            left = [code for code in mass if code not in named[:number]]
            total = sum(mass[code] for code in left) + ends
            share = sum(mass[code] for code in left if code in named) / total if total > 0 else 1.0
        elif tokens:
            share = math.exp(min(0.0, sum(token.logprob for token in tokens)))
        share = min(max(share, _LEAST), 1 - _LEAST)
        found.append(math.log(share / (1 - share)))
    return found
