"""`python -m spacy ragre ...`: the commands, added to spaCy's own through the entry point group `spacy_cli`.

Nothing heavy is imported here: each command imports what it needs when it runs.
"""

from spacy.cli._util import app

from ._util import ragre_cli
from .annotate import annotate
from .calibrate import calibrate
from .convert import convert
from .debug_data import debug_data
from .download import download
from .evaluate import evaluate
from .export import export
from .export_model import export_model
from .extract import extract
from .index import index
from .init_config import init_config
from .neighbours import neighbours
from .render import render
from .serve import serve
from .shrink import shrink
from .suggest import suggest
from .train import train
from .verify import verify

app.add_typer(ragre_cli)

__all__ = [
    "annotate",
    "calibrate",
    "convert",
    "debug_data",
    "download",
    "evaluate",
    "export",
    "export_model",
    "extract",
    "index",
    "init_config",
    "neighbours",
    "ragre_cli",
    "render",
    "serve",
    "shrink",
    "suggest",
    "train",
    "verify",
]
