"""How far a job is: documents, how many a second, and how long it will take."""

import sys
import time
from typing import TextIO

# Seconds between two lines of a file, and between two states of one line of a terminal.
_LINES = 10.0
_STATES = 0.2


class Progress:
    """Tells how far a job is.

    total (int): documents of the job.
    done (int): those that an earlier run finished.
    failed (int): those of them that were left out.
    """

    def __init__(self, total: int, done: int, failed: int) -> None:
        self.total = total
        self.done = self.before = done
        self.failed = failed
        self._begin = time.monotonic()
        self._next = self._begin
        self._stream: TextIO = sys.stderr
        self._terminal = self._stream.isatty()
        self._shown = 0

    def add(self, documents: int, failed: int) -> None:
        """documents (int): that were finished.
        failed (int): those of them that were left out.
        """
        self.done += documents
        self.failed += failed
        if time.monotonic() >= self._next or self.done == self.total:
            self._next = time.monotonic() + (_STATES if self._terminal else _LINES)
            self._write()

    def close(self) -> None:
        """End the line of a terminal."""
        if self._shown:
            self._stream.write("\n")
            self._shown = 0

    def _write(self) -> None:
        text = self.text(time.monotonic() - self._begin)
        if self._terminal:
            self._stream.write("\r" + text.ljust(self._shown))
            self._shown = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def text(self, seconds: float) -> str:
        """seconds (float): since this run began.
        RETURNS (str): how far it is.
        """
        rate = (self.done - self.before) / max(seconds, 1e-9)
        told = [f"{self.done:,} of {self.total:,} documents ({self.done / max(self.total, 1):.0%})"]
        if self.failed:
            told.append(f"{self.failed:,} left out")
        told.append(f"{rate:,.3g} a second" if rate < 1000 else f"{rate:,.0f} a second")
        if self.done < self.total and rate:
            told.append(f"about {_duration((self.total - self.done) / rate)} left")
        return ", ".join(told)


def _duration(seconds: float) -> str:
    """RETURNS (str): "40 s", "12 min" or "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
