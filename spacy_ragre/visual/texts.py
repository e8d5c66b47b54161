"""Texts in pictures: what is shown of them, how wide that is, in which direction it runs, and how markup holds it."""

import unicodedata
from functools import lru_cache
from html import escape
from typing import Dict, Tuple

# Arial, and what stands in for it elsewhere, has these widths, in thousandths of the size of the letters.
FONT = "Arial, Helvetica, 'Liberation Sans', 'Noto Sans', sans-serif"
_WIDTHS: Dict[str, int] = {
    char: width
    for width, chars in {
        191: "'",
        222: "ijl",
        260: "|",
        278: " !,./:;I[\\]ft",
        333: "()-`r{}",
        355: '"',
        389: "*",
        469: "^",
        500: "Jcksvxyz",
        556: "#$0123456789?L_abdeghnopqu",
        584: "+<=>~",
        611: "FTZ",
        667: "&ABEKPSVXY",
        722: "CDHNRUw",
        778: "GOQ",
        833: "Mm",
        889: "%",
        944: "W",
        1015: "@",
    }.items()
    for char in chars
}
# About how wide the letters of other scripts are, by the beginning of their names in Unicode.
_SCRIPTS = {"ARABIC": 470, "HEBREW": 530, "GREEK": 550, "CYRILLIC": 570, "DEVANAGARI": 560, "THAI": 560}
_OTHER = 600
_WIDE = 1000
_EMOJI = 1250
_JOINER = "\u200d"
_ELLIPSIS = "…"


def shown(text: str) -> str:
    """RETURNS (str): a text as a picture shows it: white space is one space each, and characters that XML does not
    allow, or that turn the order of what follows, are U+FFFD.
    """
    return "".join(map(_allowed, " ".join(text.split())))


def _allowed(char: str) -> str:
    odd = unicodedata.category(char) in ("Cc", "Cs") or char in "\u202d\u202e\ufffe\uffff"
    return "\ufffd" if odd else char


def markup(text: str) -> str:
    """RETURNS (str): a text for markup, inside of elements and of attributes."""
    return escape(shown(text), quote=True)


def marked(text: str, *marks: Tuple[int, int, str]) -> str:
    """A passage of text with parts of it marked; those may overlap.

    text (str): the text.
    marks (Tuple[int, int, str]): offsets of a part, and the class of the elements that mark it.
    RETURNS (str): the markup.
    """
    plain = "".join(" " if char.isspace() else _allowed(char) for char in text)
    cuts = sorted({0, len(plain), *(cut for start, end, _ in marks for cut in (start, end))})
    parts = []
    for start, end in zip(cuts, cuts[1:]):
        part = escape(plain[start:end], quote=True)
        names = [name for first, last, name in marks if first <= start and end <= last]
        parts.append(f'<mark class="{" ".join(names)}">{part}</mark>' if names else part)
    return "".join(parts)


def width(text: str, size: float) -> float:
    """How wide a text is. Letters of Western scripts are exact in Arial; others are estimates, so that pictures give
    each text the width that was reckoned with.

    text (str): the text.
    size (float): size of its letters, in pixels.
    RETURNS (float): its width, in pixels.
    """
    total = 0
    joined = False
    for char in text:
        total += 0 if joined else _char_width(char)
        joined = char == _JOINER
    return total * size / 1000


@lru_cache(maxsize=4096)
def _char_width(char: str) -> int:
    if char in _WIDTHS:
        return _WIDTHS[char]
    category = unicodedata.category(char)
    # Marks stand on the letter before, and so do the tones of skin.
    if category in ("Mn", "Me", "Cf") or 0x1F3FB <= ord(char) <= 0x1F3FF:
        return 0
    # Two of them are one flag.
    if 0x1F1E6 <= ord(char) <= 0x1F1FF:
        return _EMOJI // 2
    if has_emoji(char):
        return _EMOJI
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return _WIDE
    script = unicodedata.name(char, "").split(" ")[0]
    return _WIDTHS.get(unicodedata.normalize("NFD", char)[0], _SCRIPTS.get(script, _OTHER))


def has_emoji(text: str) -> bool:
    """RETURNS (bool): whether a text has pictures among its characters, which each system draws as wide as it likes."""
    return any(ord(char) >= 0x1F000 and not 0x20000 <= ord(char) < 0x40000 for char in text) or "\ufe0f" in text


def shorten(text: str, size: float, most: float) -> str:
    """RETURNS (str): a text of at most so many pixels, with an ellipsis in place of its end where it has more."""
    if width(text, size) <= most:
        return text
    while text and width(text + _ELLIPSIS, size) > most:
        text = text[:-1]
    return text.rstrip(_JOINER) + _ELLIPSIS


def direction(text: str, default: str = "ltr") -> str:
    """RETURNS (str): "rtl" or "ltr", by the first character that has a direction of its own."""
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind in ("R", "AL"):
            return "rtl"
        if kind == "L":
            return "ltr"
    return default
