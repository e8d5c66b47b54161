"""Pictures: relations of documents as arcs above the text or as a graph, and a page for a corpus."""

from .render import render

__all__ = ["render"]
