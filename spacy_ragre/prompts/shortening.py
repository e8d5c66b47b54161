"""Texts cut around their mentions, for prompts that a model's window does not take whole."""

import re
from dataclasses import replace
from typing import Callable, List, Tuple

from ..instances import Instance
from ..labels import LabelSet

# Stands for words that were left out.
GAP = " … "
# Words at each end of a mention that stay where it is cut.
MENTION_WORDS = 4
# Scripts without spaces are cut, too.
_WORD = re.compile(r"\S{1,16}")

Offsets = Tuple[int, int]


def count_words(text: str) -> int:
    """RETURNS (int): the words of a text, as they are counted here."""
    return len(_WORD.findall(text))


def cut_text(instance: Instance, context: int) -> Instance:
    """Keep of a text the words near its two mentions. Both mentions stay whole.

        "A b c [Ann] d e f g h {Bob} i j", 1 word   ->   "c [Ann] d … h {Bob} i"

    instance (Instance): the text and its mentions.
    context (int): words that are kept on each side of each mention.
    RETURNS (Instance): the same pair in the shorter text.
    """
    words = [match.span() for match in _WORD.finditer(instance.text)]
    kept: List[Offsets] = []
    for start, end in sorted((instance.first, instance.second)):
        before = [word for word in words if word[1] <= start][-context:] if context else []
        after = [word for word in words if word[0] >= end][:context]
        # A word that a mention is a part of comes with it.
        begin = min([start, *(w[0] for w in before), *(w[0] for w in words if w[0] < start < w[1])])
        stop = max([end, *(w[1] for w in after), *(w[1] for w in words if w[0] < end < w[1])])
        if kept and not instance.text[kept[-1][1] : begin].strip():
            kept[-1] = (kept[-1][0], max(kept[-1][1], stop))
        else:
            kept.append((begin, stop))
    return _keep(instance, kept)


def most_context(instance: Instance, fits: Callable[[Instance], bool]) -> Instance:
    """Keep of a text as much as fits: all of it, or the words near its mentions.

    instance (Instance): the text and its mentions, which fit without any context.
    fits (Callable[[Instance], bool]): whether the model's window takes a pair.
    RETURNS (Instance): the same pair in the longest text that fits.
    """
    if fits(instance):
        return instance
    # The whole text in words does not fit, either.
    least, most = 0, count_words(instance.text)
    while least < most:
        middle = (least + most + 1) // 2
        if fits(cut_text(instance, middle)):
            least = middle
        else:
            most = middle - 1
    return cut_text(instance, least)


def cut_mentions(instance: Instance, words: int) -> Instance:
    """Cut the middle out of mentions that have many words.

    instance (Instance): the text and its mentions.
    words (int): words that are kept at each end of a mention.
    RETURNS (Instance): the same pair, with shorter mentions.
    """
    holes = []
    for start, end in (instance.first, instance.second):
        inside = [match.span() for match in _WORD.finditer(instance.text, start, end)]
        if len(inside) > 2 * words:
            holes.append((inside[words - 1][1], inside[-words][0]))
    # The inner of two nested mentions may lie in the hole of the outer one, whose words then are those that go.
    free = [h for h in holes if not any(_overlaps(h, o) for o in (instance.first, instance.second) if not _holds(o, h))]
    edges = [0, *(edge for hole in _joined(free) for edge in hole), len(instance.text)]
    return _keep(instance, list(zip(edges[::2], edges[1::2])))


def without_definitions(labels: LabelSet) -> LabelSet:
    """RETURNS (LabelSet): the same labels and classes, without their definitions."""
    return LabelSet({label: {**table, "definition": ""} for label, table in labels.to_dict().items()})


def _keep(instance: Instance, kept: List[Offsets]) -> Instance:
    """RETURNS (Instance): the pair in the parts of its text that are kept, in which its mentions begin and end."""
    text = GAP.join(instance.text[start:end] for start, end in kept)

    def moved(offset: int, is_end: bool) -> int:
        done = 0
        for start, end in kept:
            if start <= offset < end or (is_end and start < offset <= end):
                return done + offset - start
            done += end - start + len(GAP)
        return done

    first, second = ((moved(start, False), moved(end, True)) for start, end in (instance.first, instance.second))
    return replace(instance, text=text, first=first, second=second)


def _overlaps(one: Offsets, other: Offsets) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _holds(outer: Offsets, inner: Offsets) -> bool:
    return outer[0] < inner[0] and inner[1] < outer[1]


def _joined(spans: List[Offsets]) -> List[Offsets]:
    result: List[Offsets] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result
