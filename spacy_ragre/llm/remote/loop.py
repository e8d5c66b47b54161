"""A thread with an event loop, for programs that are not asynchronous, and for those that are, such as notebooks."""

import asyncio
import os
import threading
import weakref
from concurrent.futures import Future
from typing import Any, Callable, Coroutine, List, Optional, TypeVar

_Result = TypeVar("_Result")
Closing = Callable[[], "Coroutine[Any, Any, None]"]


class LoopThread:
    """Runs coroutines in a thread of its own, which begins with the first one and ends with this object. A forked
    process gets a new one.
    """

    def __init__(self) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._process = 0
        self._closing: List[Closing] = []
        self._current: Optional[Future[Any]] = None

    @property
    def is_running(self) -> bool:
        """RETURNS (bool): whether the thread runs in this process."""
        return self._loop is not None and self._process == os.getpid()

    def run(self, work: "Coroutine[Any, Any, _Result]") -> _Result:
        """work (Coroutine): what to do.
        RETURNS (object): its result. Where waiting for it is interrupted, it is cancelled.
        """
        if self._loop is None or not self.is_running:
            self._loop = asyncio.new_event_loop()
            self._process, self._closing = os.getpid(), []
            threading.Thread(target=_run, args=(self._loop,), name="ragre-remote", daemon=True).start()
            weakref.finalize(self, _stop, self._loop, self._process, self._closing)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._current = future
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def cancel(self) -> None:
        """Cancel what another thread waits for, if there is anything."""
        if self._current is not None:
            self._current.cancel()

    def at_end(self, close: Closing) -> None:
        """close (Callable[[], Coroutine]): what to do last, such as to close connections; it must not hold this
        object.
        """
        self._closing.append(close)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, process: int, closing: List[Closing]) -> None:
    async def end() -> None:
        await asyncio.gather(*(close() for close in closing), return_exceptions=True)
        loop.stop()

    # The thread of another process is not here.
    if process == os.getpid() and not loop.is_closed():
        loop.call_soon_threadsafe(lambda: loop.create_task(end()))
