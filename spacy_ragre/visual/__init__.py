"""Pictures: relations of documents as arcs above the text or as a graph, and a page for a corpus."""

from .corpus import corpus_page
from .pictures import STYLES, render

__all__ = ["STYLES", "corpus_page", "render"]
