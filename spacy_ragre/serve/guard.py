"""What stands before every request: who may ask, how large it may be and how long it may take to arrive; and what every
response carries.

A service on this machine can be reached by any page that the user's browser shows, so that two things are checked. The
header Host must name this machine: a page that lets its own name lead to 127.0.0.1 ("DNS rebinding") still sends its
own name there. The header Origin, where there is one, must be the service itself.
"""

import asyncio
import ipaddress
import json
import logging
import socket
import time
from typing import Callable, Collection, Dict, List, Tuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Errors
from .limits import Limits, Refusal, too_large

logger = logging.getLogger(__name__)

Observe = Callable[[str, int, float], None]

# Nothing that the service gives may be kept, framed, or taken for something else.
HEADERS: Dict[str, str] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """RETURNS (bool): whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_of(host: str) -> List[str]:
    """RETURNS (List[str]): names beside addresses by which a service may be asked that listens on a host."""
    own = [] if is_loopback(host) else [host, socket.gethostname(), socket.getfqdn()]
    return sorted({name.lower() for name in ("localhost", *own)})


class Guard:
    """Lets through what may come in, as ASGI.

    app (ASGIApp): the service.
    limits (Limits): bytes of a body, and seconds that it may take to arrive.
    names (Collection[str]): names of hosts that may be asked for. Addresses may be, always: no page can let the name
        that it has be one.
    observe (Callable[[str, int, float], None]): is told path, status and seconds of each request.
    """

    def __init__(self, app: ASGIApp, limits: Limits, names: Collection[str], observe: Observe) -> None:
        self.app = app
        self.limits = limits
        self.names = frozenset(names)
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                extra = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(item for item in extra if item[0] not in given)]
            await send(message)

        try:
            headers = Headers(scope=scope)
            self._check_sender(headers, scope["method"])
            await self.app(scope, _replay(await self._body(headers, receive), receive), answer)
        except Refusal as refusal:
            await send_refusal(refusal, answer)
        except Exception as error:  # of the service itself
            logger.error("A request could not be answered.", exc_info=error)
            if status:  # it has begun: the connection breaks off
                raise
            await send_refusal(Refusal(500, Errors.R628.format(problem="an error that is not its own")), answer)
        finally:
            # None was sent where the client went away.
            self._observe(scope["path"], status or 499, time.perf_counter() - started)

    def _check_sender(self, headers: Headers, method: str) -> None:
        host = headers.get("host", "")
        if not self._is_own(host):
            raise Refusal(403, Errors.R626.format(problem="the header Host names no address of the service"))
        origins = headers.getlist("origin")
        if any(origin.partition("://")[2].lower() != host.lower() for origin in origins):
            raise Refusal(403, Errors.R626.format(problem="the header Origin is that of another page"))
        site = headers.get("sec-fetch-site", "none")
        if method != "GET" and not origins and site not in ("none", "same-origin"):
            raise Refusal(403, Errors.R626.format(problem="it comes from another page"))

    def _is_own(self, host: str) -> bool:
        name = _host_name(host).lower()
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """RETURNS (bytes): the whole body. A Refusal is raised where it is too large or does not arrive in time."""
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.limits.bytes:
            raise _closing(too_large("bytes", "the size of the body in bytes", length, self.limits))
        parts: List[bytes] = []

        async def read() -> None:
            size = 0
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":  # the client is gone
                    raise Refusal(400, Errors.R622.format(problem="the body did not arrive whole"))
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > self.limits.bytes:
                    raise too_large("bytes", "the size of the body in bytes", f"{size} or more", self.limits)
                more = message.get("more_body", False)

        try:
            await asyncio.wait_for(read(), self.limits.seconds)
        except asyncio.TimeoutError as error:
            message = Errors.R624.format(what="The request's arrival", seconds=self.limits.seconds)
            raise _closing(Refusal(408, message)) from error
        except Refusal as refusal:
            raise _closing(refusal) from None
        return b"".join(parts)


def _host_name(host: str) -> str:
    """RETURNS (str): a host without its port: "::1" of "[::1]:8080"."""
    if host.startswith("["):
        name, end, _ = host[1:].partition("]")
        return name if end else ""
    return host.partition(":")[0]


def _closing(refusal: Refusal) -> Refusal:
    # What is left of the body is not read.
    refusal.headers["Connection"] = "close"
    return refusal


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: List[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


async def send_refusal(refusal: Refusal, send: Send) -> None:
    """refusal (Refusal): is sent as a JSON object with the key `error`.
    send (Send): of ASGI.
    """
    # In ASCII, since a message may repeat half of a surrogate pair.
    body = json.dumps({"error": refusal.message}).encode("ascii")
    headers: List[Tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in refusal.headers.items()),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
