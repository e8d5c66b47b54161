"""The text of an instance, as an encoder reads it and as duplicates are found."""

from ..instances import Instance
from ..prompts.rendering import one_line, place_brackets

MARKS = (("[ ", " ]"), ("{ ", " }"))


def mark_mentions(instance: Instance) -> str:
    """Put the first mention in square brackets and the second in curly ones.

    Brackets are single pieces in the vocabularies of the usual encoders, so that marks cost little of the window and
    need no new embeddings. The space inside keeps the mention's own pieces as they are without marks.

    instance (Instance): the instance. Its mentions may be nested or overlap.
    RETURNS (str): "[ Microsoft ] was founded by { Bill Gates } ."
    """
    pieces = []
    done = 0
    for offset, _, bracket in place_brackets(instance, MARKS):
        pieces += [instance.text[done:offset], bracket]
        done = offset
    return "".join(pieces) + instance.text[done:]


def with_response(instance: Instance) -> str:
    """RETURNS (str): the text and, where there is one, the response on a line of its own."""
    return f"{instance.text}\n{instance.response}" if instance.response else instance.text


def normalise(text: str) -> str:
    """RETURNS (str): the text without regard to case and white space, by which duplicates are found."""
    return one_line(text.casefold())
