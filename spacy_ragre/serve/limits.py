"""How much a request may ask for, and what it is told when it is refused."""

from dataclasses import dataclass, fields
from typing import Dict, Mapping

from ..errors import Errors

# More of a message than this is of no use to who reads it: it repeats what was sent.
_MOST_SHOWN = 1000


@dataclass(frozen=True)
class Limits:
    """How much is taken at once. A ValueError is raised where one of them is not above 0.

    bytes (int): of a request's body.
    chars (int): of a text.
    texts (int): of a request.
    labels (int): of a request, each wording of a label counted.
    seconds (float): that a request may take to arrive, and again to be answered.
    waiting (int): texts that may wait for the pipeline, those of all requests together.
    batch (int): texts that the pipeline reads at once.
    """

    bytes: int = 1_048_576
    chars: int = 20_000
    texts: int = 64
    labels: int = 128
    seconds: float = 30.0
    waiting: int = 256
    batch: int = 16

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not value > 0:
                message = Errors.R202.format(
                    setting=field.name, value=value, what="the service", expected="a number above 0 is needed"
                )
                raise ValueError(message)


#: The option of the command that raises each limit.
OPTIONS: Mapping[str, str] = {
    "bytes": "--max-bytes",
    "chars": "--max-chars",
    "texts": "--max-texts",
    "labels": "--max-labels",
}


class Refusal(Exception):
    """What a client is told in place of an answer.

    status (int): of HTTP.
    message (str): a numbered message.
    headers (Mapping[str, str]): of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] = {}) -> None:
        super().__init__(message)
        self.status = status
        self.message = message if len(message) <= _MOST_SHOWN else f"{message[: _MOST_SHOWN - 4]} ..."
        self.headers: Dict[str, str] = dict(headers)


def too_large(limit: str, what: str, value: object, limits: Limits) -> Refusal:
    """RETURNS (Refusal): 413, of a request that goes beyond a limit.

    limit (str): the limit's name.
    what (str): what is too large.
    value (object): how large it is.
    limits (Limits): the limits.
    """
    message = Errors.R623.format(what=what, value=value, limit=getattr(limits, limit), option=OPTIONS[limit])
    return Refusal(413, message)
