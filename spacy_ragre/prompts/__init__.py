"""How pairs are put into words: prompts, the answers they allow, and the words of classes."""

from .base import ParsedAnswer, Prompt, Segments
from .rag4re import RAG4REPrompt, make_rag4re_prompt
from .relation import RelationPrompt, make_relation_prompt
from .verbalizer import class_words

__all__ = [
    "ParsedAnswer",
    "Prompt",
    "RAG4REPrompt",
    "RelationPrompt",
    "Segments",
    "class_words",
    "make_rag4re_prompt",
    "make_relation_prompt",
]
