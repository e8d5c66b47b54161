"""`ragre serve`: a pipeline as a service on this machine."""

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Dict, List, Optional

import typer

from ..errors import Errors, Warnings
from ..training.devices import choose_gpu
from ._util import GPU_ID, Arg, Opt, load_pipeline, parse_labels, pipe_names, ragre_cli, user_errors, visible
from .extract import add_labels

if TYPE_CHECKING:
    from ..serve import Limits

# What the service needs beside the package, each with what it is imported as.
_NEEDED = {"starlette": "starlette", "uvicorn": "uvicorn", "prometheus-client": "prometheus_client"}


def _check_packages() -> None:
    """Raise a ValueError where a package is missing."""
    for package, module in _NEEDED.items():
        if find_spec(module) is None:
            raise ValueError(Errors.R620.format(package=package))


@ragre_cli.command("serve")
def serve_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a pipeline that finds entities"),
    host: str = Opt("127.0.0.1", "--host", help="Address to listen on. Others than this machine's are a risk"),
    port: int = Opt(8080, "--port", "-p", min=0, max=65535, help="Port to listen on; 0 for a free one"),
    labels: List[str] = Opt(
        [],
        "--labels",
        "-l",
        metavar="LABELS",
        help="Find these relations without training, as for `extract`. Without them, a pipeline that finds no "
        "relations is asked about labels that each request brings",
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    timeout: float = Opt(30.0, "--timeout", min=0.1, help="Seconds that a request may take"),
    max_bytes: int = Opt(1_048_576, "--max-bytes", min=1, help="Size of a request"),
    max_chars: int = Opt(20_000, "--max-chars", min=1, help="Characters of a text"),
    max_texts: int = Opt(64, "--max-texts", min=1, help="Texts of a request"),
    max_labels: int = Opt(128, "--max-labels", min=1, help="Labels of a request"),
    max_waiting: int = Opt(256, "--max-waiting", min=1, help="Texts of all requests that may wait"),
    batch_size: int = Opt(16, "--batch-size", "-bs", min=1, help="Texts that are read together"),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Answer requests for relations, and show a page that asks for them, until Ctrl+C.

    POST /relations answers, GET / is the page, and /openapi.json describes the rest. Only programs and pages of this
    machine may ask, unless --host says otherwise.
    """
    with user_errors(serve_cli):
        _check_packages()
        from ..serve import Limits

        limits = Limits(
            bytes=max_bytes,
            chars=max_chars,
            texts=max_texts,
            labels=max_labels,
            seconds=timeout,
            waiting=max_waiting,
            batch=batch_size,
        )
        serve(pipeline, host, port, labels=parse_labels(labels), spans_key=spans_key, limits=limits, gpu_id=gpu_id)


def serve(
    pipeline: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    labels: Optional[Dict[str, object]] = None,
    spans_key: Optional[str] = None,
    limits: "Optional[Limits]" = None,
    gpu_id: Optional[int] = None,
) -> None:
    """Serve a pipeline until the process is told to end.

    pipeline (str): its folder or package. Where it finds no relations, an untrained extractor is added.
    host (str): the address to listen on. A warning is given where other machines may reach it.
    port (int): the port; 0 for a free one.
    labels (Optional[Dict[str, object]]): as the extractor's setting, for a pipeline that finds no relations.
    spans_key (Optional[str]): that extractor reads entities from `doc.spans[spans_key]`.
    limits (Optional[Limits]): how much a request may ask for.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU; see `choose_gpu`.
    """
    from ..serve import Limits, create_app
    from ..serve.guard import is_loopback, names_of
    from ..serve.server import address_of, listen, run

    limits = limits or Limits()
    opened = listen(host, port)
    with opened:
        if not is_loopback(host):
            warnings.warn(Warnings.W620.format(host=host), stacklevel=2)
        choose_gpu(gpu_id)
        nlp = load_pipeline(pipeline)
        if labels or not pipe_names(nlp, "doc._.relations"):
            add_labels(nlp, pipeline, labels or {}, spans_key, needs_labels=False)
        app = create_app(nlp, limits, name=pipeline, hosts=names_of(host))
        address = address_of(opened, host)
        typer.echo(f"Starting {visible(pipeline)} ...", err=True)
        run(app, opened, limits, lambda: typer.echo(f"Ready: {address} (Ctrl+C ends it)", err=True))
