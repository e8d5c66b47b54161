"""Scores of relations: micro and macro averages, and the official scores of SemEval-2010 Task 8, TACRED and
DocRED."""

from .docred import make_docred_scorer, score_docred, train_facts
from .pairs import make_pair_filter_scorer, score_pairs
from .relations import make_relation_scorer, score_relations
from .semeval import doc_label, make_semeval_scorer, semeval_score, write_answers
from .tacred import score_tacred, tacred_score

__all__ = [
    "doc_label",
    "make_docred_scorer",
    "make_pair_filter_scorer",
    "make_relation_scorer",
    "make_semeval_scorer",
    "score_docred",
    "score_pairs",
    "score_relations",
    "score_tacred",
    "semeval_score",
    "tacred_score",
    "train_facts",
    "write_answers",
]
