"""Threads: those of torch and tokenizers in the processes of `nlp.pipe(n_process=2)`, and those of a program that calls
a pipeline from several at once.
"""

import os
import threading
from contextlib import contextmanager
from functools import wraps
from typing import Any, Callable, Iterator, TypeVar, cast

_PROCESS = os.getpid()
_Method = TypeVar("_Method", bound=Callable[..., Any])


class _Turn:
    """The lock of this process. A forked process starts with a free one, whoever held it."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.lock = threading.RLock()
        # How often the thread that asks keeps it for several calls.
        self.kept = threading.local()


_turn = _Turn()
_TOKENIZERS = "TOKENIZERS_PARALLELISM"


class _OneTokenizerThread:
    """Says, while a process forks, what the package tokenizers does in the new one anyway: use one thread. Where nobody
    says so, it prints a warning for each process.
    """

    def __init__(self) -> None:
        self.set = False

    def begin(self) -> None:
        self.set = _TOKENIZERS not in os.environ
        os.environ.setdefault(_TOKENIZERS, "false")

    def end(self) -> None:
        if self.set:
            os.environ.pop(_TOKENIZERS, None)


_tokenizers = _OneTokenizerThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_tokenizers.begin, after_in_parent=_tokenizers.end, after_in_child=_turn.renew)


def one_at_a_time(method: _Method) -> _Method:
    """Decorator of methods that use a model: threads take turns. Models share state while they compute, such as what is
    known of the prompts of a batch, and are loaded at first use.

    method (Callable): the method; no generator.
    RETURNS (Callable): the method, which waits until no other decorated one runs in another thread.
    """

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _turn.lock:
            return method(*args, **kwargs)

    return cast(_Method, call)


@contextmanager
def keep_turn() -> Iterator[None]:
    """Keep what `one_at_a_time` decorates waiting in all other threads, for several calls."""
    with _turn.lock:
        _turn.kept.times = getattr(_turn.kept, "times", 0) + 1
        try:
            yield
        finally:
            _turn.kept.times -= 1


def keeps_turn() -> bool:
    """RETURNS (bool): whether this thread is inside of `keep_turn`, so that it must not wait for others."""
    return getattr(_turn.kept, "times", 0) > 0


def use_own_threads() -> None:
    """Keep a forked process from waiting for ever: it has none of the threads that torch started before, and torch does
    not notice.
    """
    if os.getpid() != _PROCESS:
        import torch

        torch.set_num_threads(1)
