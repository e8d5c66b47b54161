"""Pictures: relations of documents as arcs above the text or as a graph, and a page for a corpus."""

from .corpus import corpus_page
from .render import render

__all__ = ["corpus_page", "render"]
