"""The service as an ASGI application."""

import asyncio
import base64
import hashlib
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, AsyncIterator, Awaitable, Callable, Collection, Dict, List, Optional

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ..errors import Errors
from .guard import Guard, names_of
from .limits import Limits, Refusal
from .metrics import Metrics
from .openapi import describe
from .query import read_query
from .worker import Worker

if TYPE_CHECKING:
    from spacy.language import Language

PAGE = Path(__file__).parent / "page.html"

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    nlp: "Language", limits: Optional[Limits] = None, *, name: str = "", hosts: Optional[Collection[str]] = None
) -> Starlette:
    """Make the service of a pipeline. It answers as long as its lifespan lasts, and has its thread in `state.worker`.

    nlp (Language): the pipeline. Nothing else may use it from now on. A ValueError is raised where it finds no
        relations.
    limits (Optional[Limits]): how much a request may ask for; those of `Limits()` where None.
    name (str): what the pipeline is called on the page; the name in its meta data where empty.
    hosts (Optional[Collection[str]]): names in small letters by which the service may be asked, beside all addresses;
        "localhost" where None.
    RETURNS (Starlette): the application.
    """
    limits = limits or Limits()
    if limits.chars > nlp.max_length:
        limits = Limits(**{**limits.__dict__, "chars": nlp.max_length})
    name = name or f"{nlp.meta['lang']}_{nlp.meta['name']}"
    worker = Worker(nlp, limits, lambda count: metrics.batch(count))
    if not worker.names:
        raise ValueError(Errors.R606.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
    page = PAGE.read_text(encoding="utf8")
    policy = page_policy(page)

    async def show_page(request: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    async def relations(request: Request) -> Response:
        query = read_query(await request.body(), request.headers.get("content-type", ""), limits)
        job = worker.ask(query)
        try:
            docs = await asyncio.wait_for(asyncio.wrap_future(job.future), limits.seconds)
        except asyncio.TimeoutError as error:
            raise Refusal(504, Errors.R624.format(what="The answer", seconds=limits.seconds)) from error
        return JSONResponse({"docs": docs, "threshold": job.least_score})

    async def labels(request: Request) -> Response:
        shown = {key: value for key, value in limits.__dict__.items() if key in ("chars", "texts", "labels")}
        content = {
            "pipeline": name,
            "labels": worker.labels,
            "editable": worker.reader is not None,
            "threshold": worker.least_score,
            "entity_types": worker.entity_types,
            "limits": shown,
        }
        return JSONResponse(content)

    async def health(request: Request) -> Response:
        ready = worker.state == "ready"
        return JSONResponse({"status": worker.state}, 200 if ready else 503)

    async def show_metrics(request: Request) -> Response:
        content, media_type = metrics.text()
        return Response(content, headers={"Content-Type": media_type})

    async def openapi(request: Request) -> Response:
        return JSONResponse(describe(limits))

    endpoints: Dict[str, Endpoint] = {
        "GET /": show_page,
        "POST /relations": relations,
        "GET /labels": labels,
        "GET /health": health,
        "GET /metrics": show_metrics,
        "GET /openapi.json": openapi,
    }

    async def refuse(request: Request, error: HTTPException) -> Response:
        # 404 and 405. The guard answers.
        raise Refusal(error.status_code, Errors.R629.format(known=", ".join(endpoints)), error.headers or {}) from None

    routes: List[Route] = []
    for place, endpoint in endpoints.items():
        method, path = place.split()
        routes.append(Route(path, endpoint, methods=[method]))
    metrics = Metrics([route.path for route in routes], lambda: worker.waiting)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        worker.start()
        try:
            yield
        finally:
            await asyncio.get_running_loop().run_in_executor(None, worker.close)

    names = names_of("localhost") if hosts is None else hosts
    guard = Middleware(Guard, limits=limits, names=names, observe=metrics.request)
    app = Starlette(
        routes=routes,
        middleware=[guard],
        exception_handlers={HTTPException: refuse},  # type: ignore[dict-item]
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.worker = worker
    return app


def page_policy(page: str) -> str:
    """The policy under which a browser shows the page: nothing runs but its own script, and nothing is asked but the
    service.

    page (str): the page, with its script inside.
    RETURNS (str): of the header Content-Security-Policy.
    """
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    run = " ".join(f"'sha256-{hash_}'" for hash_ in hashes)
    return (
        f"default-src 'none'; script-src {run}; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
