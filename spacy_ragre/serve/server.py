"""The server under the service: uvicorn, on a socket of our own."""

import asyncio
import signal
import socket
import threading
from contextlib import contextmanager
from typing import Callable, Iterator, List, Optional

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import Errors
from .limits import Limits


def listen(host: str, port: int) -> socket.socket:
    """Open the socket that the service listens on.

    host (str): an address or a name.
    port (int): its number; 0 for a free one.
    RETURNS (socket.socket): the socket. A ValueError is raised where it can't be had.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    # The second is of names that are none, the third of ports beyond 65535.
    except (OSError, UnicodeError, OverflowError) as error:
        raise ValueError(Errors.R621.format(host=host, port=port, problem=error)) from error


def address_of(opened: socket.socket, host: str) -> str:
    """RETURNS (str): the address of a service for a browser.

    opened (socket.socket): what it listens on.
    host (str): as it was given.
    """
    return f"http://{f'[{host}]' if ':' in host else host}:{opened.getsockname()[1]}"


def make_server(app: Starlette, limits: Limits) -> uvicorn.Server:
    """app (Starlette): the service.
    limits (Limits): how long a request may take.
    RETURNS (uvicorn.Server): the server, not yet started. At its end it answers what it has begun to answer.
    """
    config = uvicorn.Config(
        app,
        http=_protocol(limits.seconds),
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )
    return uvicorn.Server(config)


def run(app: Starlette, opened: socket.socket, limits: Limits, started: Callable[[], None]) -> None:
    """Serve until the process is told to end, by Ctrl+C or SIGTERM. Where the pipeline fails at its start, its error is
    raised.

    app (Starlette): the service.
    opened (socket.socket): what it listens on.
    limits (Limits): how long a request may take.
    started (Callable[[], None]): called once the pipeline has answered.
    """
    server = make_server(app, limits)
    worker = app.state.worker

    async def watch() -> None:
        while worker.state == "starting":
            await asyncio.sleep(0.05)
        if worker.state == "failed":
            server.should_exit = True
        elif worker.state == "ready":
            started()

    async def serve() -> None:
        watching = asyncio.create_task(watch())
        await server.serve(sockets=[opened])
        watching.cancel()

    with _quiet_end():
        asyncio.run(serve())
    if worker.problem is not None:
        raise worker.problem


@contextmanager
def _quiet_end() -> Iterator[None]:
    """Uvicorn gives on the signal that ended it, once it is done: to the handlers that were there before, which would
    end the process with a traceback, or without what is left to do.
    """

    def nothing(number: int, frame: object) -> None:
        pass

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _protocol(seconds: float) -> "type[asyncio.Protocol]":
    class Protocol(H11Protocol):
        """Closes a connection on which the head of a request does not arrive in time, which uvicorn waits for without
        end.
        """

        _late: Optional[asyncio.TimerHandle] = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._late = self.loop.call_later(seconds, transport.close)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            states: List[str] = [str(state) for state in (self.conn.our_state, self.conn.their_state)]
            if states != ["IDLE", "IDLE"]:
                self._unset()
            elif self._late is None:
                self._late = self.loop.call_later(seconds, self.transport.close)

        def connection_lost(self, exc: Optional[Exception]) -> None:
            self._unset()
            super().connection_lost(exc)

        def _unset(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Protocol
