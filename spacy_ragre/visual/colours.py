"""Colours by name: a label has the same colour in every picture, in a tone for light and in one for dark grounds.

Colours are chosen in OKLCH (Ottosson 2020, https://bottosson.github.io/posts/oklab/), whose lightness is that which
eyes see, so that every hue can be read equally well.
"""

import math
from typing import NamedTuple, Tuple
from zlib import crc32

# Neighbours among these can still be told apart; two lightnesses double their number.
HUES = 18
# The usual types of entities stand side by side in nearly every picture: they have hues that are far apart.
_TYPES = {
    name: place
    for place, names in {
        2: "GPE LOC FAC",
        5: "DATE TIME",
        7: "ORG",
        9: "NUM CARDINAL ORDINAL QUANTITY MONEY PERCENT",
        12: "PER PERSON",
        14: "NORP LANGUAGE LAW",
        16: "EVENT MISC PRODUCT WORK_OF_ART",
    }.items()
    for name in names.split()
}
# Lightness and chroma of lines and words, on a light and on a dark ground, for each of the two steps.
_LIGHT = ((0.50, 0.16), (0.42, 0.12))
_DARK = ((0.76, 0.13), (0.84, 0.09))


class Tone(NamedTuple):
    """One colour in two tones, as CSS writes them.

    light (str): for a light ground.
    dark (str): for a dark ground.
    """

    light: str
    dark: str


def tone(name: str) -> Tone:
    """name (str): a label or an entity type.
    RETURNS (Tone): its colour, the same in every process, readable as text on either ground.
    """
    number = crc32(name.encode("utf8", "replace"))
    # By the golden ratio, names whose numbers are near have hues that are not.
    place = _TYPES.get(name, int(number * 0.6180339887498949) % (HUES * len(_LIGHT)))
    step, hue = divmod(place, HUES)
    angle = 360 * hue / HUES
    return Tone(_hex(*_LIGHT[step], angle), _hex(*_DARK[step], angle))


def _hex(lightness: float, chroma: float, hue: float) -> str:
    """RETURNS (str): the colour in sRGB, with as much of its chroma as sRGB has."""
    channels = _channels(lightness, chroma, hue)
    while not all(-1e-6 <= channel <= 1 + 1e-6 for channel in channels):
        chroma *= 0.96
        channels = _channels(lightness, chroma, hue)
    return "#" + "".join(f"{round(255 * _gamma(min(1.0, max(0.0, channel)))):02x}" for channel in channels)


def _channels(lightness: float, chroma: float, hue: float) -> Tuple[float, float, float]:
    """RETURNS (Tuple[float, float, float]): linear red, green and blue, from 0 to 1 where sRGB has the colour."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055
