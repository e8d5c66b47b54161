"""Jinja templates, and mentions marked in text.

Texts of users are values and never templates: a text with `{{` in it is put into the prompt as it is. Whitespace in
values is reduced to single spaces, so that a text takes one line of a prompt whatever it holds.
"""

import re
from functools import cache
from typing import Any, List, Tuple

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from ..errors import Errors
from ..instances import Instance

# Stands where two pieces meet while a template is rendered. Python counts it as whitespace, so that no value has it.
CUT = "\x1f"
_WHITESPACE = re.compile(r"\s+")

Brackets = Tuple[Tuple[str, str], Tuple[str, str]]


@cache
def load_template(name: str) -> Any:
    """Load the macros of a template file of this package.

    name (str): the file's name.
    RETURNS (Any): a Jinja module, whose attributes are the template's macros.
    """
    environment = SandboxedEnvironment(
        loader=PackageLoader("spacy_ragre.prompts", "templates"),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    environment.globals["cut"] = CUT
    return environment.get_template(name).module


def split_pieces(rendered: str) -> Tuple[str, ...]:
    """RETURNS (Tuple[str, ...]): a rendered part as pieces, without empty ones."""
    return tuple(piece for piece in rendered.split(CUT) if piece)


def one_line(text: str) -> str:
    """RETURNS (str): the text with every run of whitespace made one space, and none at its ends."""
    return " ".join(text.split())


def mention_texts(pair: Instance) -> Tuple[str, str]:
    """RETURNS (Tuple[str, str]): the texts of both mentions on one line, checked against the text's length."""
    for which, (start, end) in (("first", pair.first), ("second", pair.second)):
        if not 0 <= start < end <= len(pair.text) or pair.text[start:end].isspace():
            raise ValueError(Errors.R302.format(which=which, start=start, end=end, length=len(pair.text)))
    return one_line(pair.first_text), one_line(pair.second_text)


def place_brackets(pair: Instance, brackets: Brackets) -> List[Tuple[int, bool, str]]:
    """Where the brackets of two mentions stand, which may be nested or overlap.

    pair (Instance): the text and the mentions.
    brackets (Tuple[Tuple[str, str], Tuple[str, str]]): opening and closing bracket of the first and of the second
        mention.
    RETURNS (List[Tuple[int, bool, str]]): character offset, whether it opens a mention, and the bracket, in the order
        of the text. At one offset, brackets close before others open; the inner of two mentions opens last and closes
        first.
    """
    events: List[Tuple[Tuple[int, bool, int, int], str]] = []
    for which, ((start, end), (opening, closing)) in enumerate(zip((pair.first, pair.second), brackets)):
        events.append(((start, True, -end, which), opening))
        events.append(((end, False, -start, -which), closing))
    return [(offset, opens, bracket) for (offset, opens, _, _), bracket in sorted(events)]


def typed_markers(pair: Instance, punctuation: bool) -> Brackets:
    """Brackets that say which mention is the subject and which the object, and of what types they are: the "typed
    entity marker" of Zhou & Chen 2021, https://arxiv.org/abs/2102.01373.

    pair (Instance): the text and the mentions. The first mention is the subject.
    punctuation (bool): with punctuation and the type in words, "@ * person * Bill @" and "# ^ city ^ Seattle #", as
        their "typed entity marker (punct)"; else "<S:PERSON> Bill </S:PERSON>" and "<O:CITY> Seattle </O:CITY>".
        Without a type, these are "@ Bill @" and "<S> Bill </S>".
    RETURNS (Tuple[Tuple[str, str], Tuple[str, str]]): opening and closing bracket of the first and of the second
        mention. A space belongs between bracket and mention.
    """
    markers = []
    for type_, name, (edge, inner) in ((pair.first_type, "S", "@*"), (pair.second_type, "O", "#^")):
        type_ = one_line(type_)
        if punctuation:
            words = type_.replace("_", " ").lower()
            markers.append((f"{edge} {inner} {words} {inner}" if words else edge, edge))
        else:
            tag = f"{name}:{type_}" if type_ else name
            markers.append((f"<{tag}>", f"</{tag}>"))
    return markers[0], markers[1]


def mark_mentions(pair: Instance, brackets: Brackets, spaced: bool = True, inside: bool = False) -> str:
    """The text with brackets around its two mentions, which may be nested or overlap.

    There is a cut after each opening bracket and before each closing one.

    pair (Instance): the text and the mentions.
    brackets (Tuple[Tuple[str, str], Tuple[str, str]]): opening and closing bracket of the first and of the second
        mention.
    spaced (bool): put exactly one space before an opening bracket, except at the start of the text and after
        another opening bracket. Otherwise the text is kept as it is there.
    inside (bool): put a space between a bracket and its mention, too.
    RETURNS (str): the text on one line, with `CUT` at the cuts.
    """
    mention_texts(pair)
    result: List[str] = []
    position, after_opening = 0, True  # the start of the text is treated as if a bracket opened there
    gap = ""  # what stands between an opening bracket and its mention
    for offset, opens, bracket in place_brackets(pair, brackets):
        text = _WHITESPACE.sub(" ", pair.text[position:offset])
        if after_opening:
            text = gap + text.lstrip()
        if opens:
            if spaced:
                text = text.rstrip()
                if text or not after_opening or gap:
                    text += " "
            result.extend((text, bracket, CUT))
        else:
            result.extend((text.rstrip(), CUT, " " + bracket if inside else bracket))
        gap = " " if inside else ""
        position, after_opening = offset, opens
    result.append(_WHITESPACE.sub(" ", pair.text[position:]).rstrip())
    return "".join(result)
