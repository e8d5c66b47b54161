"""When to ask a failing server again: the pause between tries, and the breaker that gives it up for a while."""

import random
import time
from email.utils import parsedate_to_datetime
from typing import Callable, Optional

from ...errors import Errors

# Seconds: the first pause, which doubles with each try, and the longest one.
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 20.0


class ServerError(OSError):
    """A server that could not be asked, or did not answer as it should."""


def pause(tries: int, retry_after: Optional[str] = None) -> float:
    """How long to wait before the next try: any time up to one that doubles (full jitter), so that those who wait do
    not come back together.

    tries (int): how often it was tried.
    retry_after (Optional[str]): what the server's header `Retry-After` says, in seconds or as a date. It is kept to.
    RETURNS (float): seconds.
    """
    jitter = random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (tries - 1)))
    return _seconds(retry_after) + jitter if retry_after else jitter


def _seconds(retry_after: str) -> float:
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:  # neither a number nor a date
        return 0.0


class Breaker:
    """Gives a server up that failed several requests in a row, each with all its tries, so that the documents that
    follow fail at once. After a while one request is let through, and what becomes of it decides.

    url (str): the server, for messages.
    limit (int): failed requests in a row.
    rest (float): seconds without any request.
    clock (Callable[[], float]): gives the time in seconds.
    """

    def __init__(
        self, url: str, limit: int = 3, rest: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.url = url
        self.limit = limit
        self.rest = rest
        self._clock = clock
        self._failed = 0
        self._closed_until = 0.0
        self._problem = ""

    def check(self) -> None:
        """Raise a ServerError while the server is given up."""
        if self._failed < self.limit:
            return
        left = self._closed_until - self._clock()
        if left > 0:
            values = {"url": self.url, "seconds": max(left, 1), "count": self._failed, "problem": self._problem}
            raise ServerError(Errors.R710.format(**values))
        # This one is let through; the others wait for what becomes of it.
        self._closed_until = self._clock() + self.rest

    def failed(self, problem: str) -> None:
        """problem (str): why a request failed, with all its tries."""
        self._failed += 1
        self._problem = problem
        if self._failed >= self.limit:
            self._closed_until = self._clock() + self.rest

    def worked(self) -> None:
        """Note an answer of the server."""
        self._failed = 0
