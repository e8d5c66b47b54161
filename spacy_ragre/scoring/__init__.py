"""Scores of relations: micro and macro averages, and the official score of SemEval-2010 Task 8."""

from .relations import make_relation_scorer, score_relations
from .semeval import doc_label, make_semeval_scorer, semeval_score, write_answers

__all__ = [
    "doc_label",
    "make_relation_scorer",
    "make_semeval_scorer",
    "score_relations",
    "semeval_score",
    "write_answers",
]
